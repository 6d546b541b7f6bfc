// `curvefs topology` and `curvefs partition`: what a cluster consists of, as the MDS has it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/mds_args.h"
#include "cli/operators.h"
#include "proto/topology.pb.h"

namespace curvefs::cli {
namespace {

struct TopologyArgs {
  MdsArgs mds;
  std::string kind, name, in, address, grpc_address, uuid, fs;
};

using Topology = proto::ListTopologyResponse;

Result<Topology> ListAll(client::MdsClient& mds) {
  return mds.Call<Topology>("TopologyService/ListTopology", proto::ListTopologyRequest());
}

// A row by its name, or by its id. kNotFound, kInvalid: the name is not the only one.
template <typename Rows, typename Id, typename Name>
Result<uint32_t> Find(const Rows& rows, const std::string& what, const std::string& text, Id id, Name name) {
  uint32_t found = 0;
  for (const auto& row : rows) {
    if ((row.*name)() != text && std::to_string((row.*id)()) != text) continue;
    if (found != 0)
      return Fail(Code::kInvalid, "more than one " + what + " is called '" + text + "'; give its id");
    found = (row.*id)();
  }
  if (found == 0)
    return Fail(Code::kNotFound,
                "there is no " + what + " '" + text + "'; 'curvefs topology list' shows what there is");
  return found;
}
Result<uint32_t> FindPool(const Topology& t, const std::string& text) {
  return Find(t.pool(), "pool", text, &proto::Pool::pool_id, &proto::Pool::name);
}
Result<uint32_t> FindZone(const Topology& t, const std::string& text) {
  return Find(t.zone(), "zone", text, &proto::Zone::zone_id, &proto::Zone::name);
}
Result<uint32_t> FindServer(const Topology& t, const std::string& text) {
  return Find(t.server(), "server", text, &proto::Server::server_id, &proto::Server::host_name);
}
Result<uint32_t> FindMetaserver(const Topology& t, const std::string& text) {
  return Find(t.metaserver(), "metaserver", text, &proto::Metaserver::metaserver_id,
              &proto::Metaserver::address);
}

Json ToJson(const Topology& t) {
  Json j;
  for (const char* list : {"pools", "zones", "servers", "metaservers"}) j[list] = Json::array();
  for (const auto& p : t.pool()) j["pools"].push_back({{"id", p.pool_id()}, {"name", p.name()}});
  for (const auto& z : t.zone())
    j["zones"].push_back({{"id", z.zone_id()}, {"name", z.name()}, {"pool", z.pool_id()}});
  for (const auto& s : t.server())
    j["servers"].push_back({{"id", s.server_id()}, {"name", s.host_name()}, {"zone", s.zone_id()}});
  for (const auto& m : t.metaserver()) {
    j["metaservers"].push_back({{"id", m.metaserver_id()},
                                {"server", m.server_id()},
                                {"address", m.address()},
                                {"grpc_address", m.grpc_address()},
                                {"uuid", m.uuid()},
                                {"retired", m.retired()}});
  }
  return j;
}

// As a tree, or the metaservers as a table.
Status List(const TopologyArgs& args) {
  if (!args.kind.empty()) return ShowMetaservers(args.mds);
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  CURVEFS_TRY(const Topology t, ListAll(*mds));
  if (args.mds.json) {
    PrintJson(ToJson(t));
    return {};
  }
  if (t.pool().empty()) std::printf("there is no pool yet; 'curvefs topology create pool NAME' makes one\n");
  for (const auto& pool : t.pool()) {
    std::printf("pool %s (id %u)\n", pool.name().c_str(), pool.pool_id());
    for (const auto& zone : t.zone()) {
      if (zone.pool_id() != pool.pool_id()) continue;
      std::printf("  zone %s (id %u)\n", zone.name().c_str(), zone.zone_id());
      for (const auto& server : t.server()) {
        if (server.zone_id() != zone.zone_id()) continue;
        std::printf("    server %s (id %u)\n", server.host_name().c_str(), server.server_id());
        for (const auto& m : t.metaserver()) {
          if (m.server_id() == server.server_id())
            std::printf("      metaserver %u at %s%s\n", m.metaserver_id(), m.address().c_str(),
                        m.retired() ? ", gets no new replicas" : "");
        }
      }
    }
  }
  return {};
}

void Made(const TopologyArgs& args, const std::string& text, uint32_t id) {
  if (args.mds.json) return PrintJson({{"kind", args.kind}, {"id", id}});
  std::printf("%s (id %u)\n", text.c_str(), id);
}

Status NeedsIn(const TopologyArgs& args, const char* what) {
  if (!args.in.empty()) return {};
  return {Code::kInvalid, "a " + args.kind + " belongs to a " + what + ": say which with --in NAME"};
}

Status CreateMetaserver(const TopologyArgs& args, client::MdsClient& mds, const Topology& t) {
  if (args.uuid.empty() || args.grpc_address.empty())
    return {Code::kInvalid,
            "a metaserver has the --uuid of its directory, and a --grpc-address where the MDS reaches it; "
            "NAME is its HOST:PORT for clients"};
  proto::RegisterMetaserverRequest request;
  CURVEFS_TRY(const uint32_t server, FindServer(t, args.in));
  CURVEFS_TRY(const net::Address address, net::ParseAddress(args.name));
  CURVEFS_TRY(const net::Address grpc, net::ParseAddress(args.grpc_address));
  request.set_server_id(server);
  request.set_uuid(args.uuid);
  request.set_address(address.ToString());
  request.set_grpc_address(grpc.ToString());
  CURVEFS_TRY(const auto made,
              mds.Call<proto::RegisterMetaserverResponse>("TopologyService/RegisterMetaserver", request));
  Made(args,
       "metaserver " + address.ToString() + " is there; run it with --id " +
           std::to_string(made.metaserver().metaserver_id()),
       made.metaserver().metaserver_id());
  return {};
}

Status Create(const TopologyArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  if (args.kind == "pool") {
    proto::CreatePoolRequest request;
    request.set_name(args.name);
    CURVEFS_TRY(const auto made, mds->Call<proto::CreatePoolResponse>("TopologyService/CreatePool", request));
    Made(args, "pool " + args.name + " is there", made.pool().pool_id());
    return {};
  }
  CURVEFS_CHECK_OK(NeedsIn(args, args.kind == "zone" ? "pool" : args.kind == "server" ? "zone" : "server"));
  CURVEFS_TRY(const Topology t, ListAll(*mds));
  if (args.kind == "zone") {
    proto::CreateZoneRequest request;
    CURVEFS_TRY(const uint32_t pool, FindPool(t, args.in));
    request.set_pool_id(pool);
    request.set_name(args.name);
    CURVEFS_TRY(const auto made, mds->Call<proto::CreateZoneResponse>("TopologyService/CreateZone", request));
    Made(args, "zone " + args.name + " is there", made.zone().zone_id());
    return {};
  }
  if (args.kind == "server") {
    proto::CreateServerRequest request;
    CURVEFS_TRY(const uint32_t zone, FindZone(t, args.in));
    request.set_zone_id(zone);
    request.set_host_name(args.name);
    CURVEFS_TRY(const auto made,
                mds->Call<proto::CreateServerResponse>("TopologyService/CreateServer", request));
    Made(args, "server " + args.name + " is there", made.server().server_id());
    return {};
  }
  return CreateMetaserver(args, *mds, t);
}

template <typename Response, typename Request>
Status DeleteOne(client::MdsClient& mds, const char* method, const Request& request) {
  auto deleted = mds.Call<Response>(std::string("TopologyService/") + method, request);
  // It was there a moment ago: an answer was lost on the way.
  return deleted || deleted.error().code() == Code::kNotFound ? Status() : deleted.error();
}

Status Delete(const TopologyArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  CURVEFS_TRY(const Topology t, ListAll(*mds));
  Status done;
  uint32_t id = 0;
  if (args.kind == "pool") {
    proto::DeletePoolRequest request;
    CURVEFS_TRY(id, FindPool(t, args.name));
    request.set_pool_id(id);
    done = DeleteOne<proto::DeletePoolResponse>(*mds, "DeletePool", request);
  } else if (args.kind == "zone") {
    proto::DeleteZoneRequest request;
    CURVEFS_TRY(id, FindZone(t, args.name));
    request.set_zone_id(id);
    done = DeleteOne<proto::DeleteZoneResponse>(*mds, "DeleteZone", request);
  } else if (args.kind == "server") {
    proto::DeleteServerRequest request;
    CURVEFS_TRY(id, FindServer(t, args.name));
    request.set_server_id(id);
    done = DeleteOne<proto::DeleteServerResponse>(*mds, "DeleteServer", request);
  } else {
    proto::DeleteMetaserverRequest request;
    CURVEFS_TRY(id, FindMetaserver(t, args.name));
    request.set_metaserver_id(id);
    done = DeleteOne<proto::DeleteMetaserverResponse>(*mds, "DeleteMetaserver", request);
  }
  CURVEFS_CHECK_OK(done);
  if (args.mds.json) {
    PrintJson({{"deleted", args.kind}, {"id", id}});
  } else {
    std::printf("%s %s is deleted\n", args.kind.c_str(), args.name.c_str());
  }
  return {};
}

const char* StateOf(proto::PartitionState state) {
  return state == proto::PARTITION_READ_WRITE  ? "read-write"
         : state == proto::PARTITION_READ_ONLY ? "read-only"
                                               : "being deleted";
}

Status ListPartitions(const TopologyArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  CURVEFS_TRY(const proto::FsInfo fs, FindFs(*mds, args.fs));
  proto::ListPartitionRequest request;
  request.set_fs_id(fs.fs_id());
  CURVEFS_TRY(const auto list,
              mds->Call<proto::ListPartitionResponse>("TopologyService/ListPartition", request));
  if (args.mds.json) {
    Json out = Json::array();
    for (const auto& p : list.partition()) {
      out.push_back({{"partition", p.partition_id()},
                     {"copyset", p.copyset_id()},
                     {"first_inode", p.start()},
                     {"last_inode", p.end()},
                     {"state", StateOf(p.state())}});
    }
    PrintJson(out);
    return {};
  }
  std::printf("%10s %8s %-14s %20s %20s\n", "partition", "copyset", "state", "first inode", "last inode");
  for (const auto& p : list.partition()) {
    std::printf("%10u %8u %-14s %20llu %20llu\n", p.partition_id(), p.copyset_id(), StateOf(p.state()),
                static_cast<unsigned long long>(p.start()), static_cast<unsigned long long>(p.end()));
  }
  return {};
}

}  // namespace

Status ListCopysetsOfMds(const MdsArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args));
  CURVEFS_TRY(const auto list, mds->Call<proto::ListCopysetResponse>("TopologyService/ListCopyset",
                                                                     proto::ListCopysetRequest()));
  Json out = Json::array();
  if (!args.json) std::printf("%10s %8s %-8s %8s  %s\n", "copyset", "fs", "state", "epoch", "replicas");
  for (const auto& c : list.copyset()) {
    std::string replicas;
    Json peers = Json::array();
    for (const auto& p : c.peer()) {
      replicas += (replicas.empty() ? "" : ", ") + std::to_string(p.replica_id()) + " at " + p.address();
      peers.push_back({{"replica", p.replica_id()}, {"address", p.address()}});
    }
    const char* state = c.state() == proto::COPYSET_READY ? "ready" : "planned";
    if (args.json) {
      out.push_back({{"copyset", c.copyset_id()},
                     {"fs", c.fs_id()},
                     {"state", state},
                     {"epoch", c.epoch()},
                     {"pool", c.pool_id()},
                     {"peers", std::move(peers)}});
    } else {
      std::printf("%10u %8u %-8s %8llu  %s\n", c.copyset_id(), c.fs_id(), state,
                  static_cast<unsigned long long>(c.epoch()), replicas.c_str());
    }
  }
  if (args.json) PrintJson(out);
  return {};
}

void AddTopology(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<TopologyArgs>();
  CLI::App* command = app.add_subcommand(
      "topology", "See and change what a cluster consists of: pools of zones of servers with metaservers");
  command->require_subcommand(1);
  auto add = [&](const std::string& name, const char* help, Status (*run)(const TopologyArgs&)) {
    CLI::App* sub = command->add_subcommand(name, help);
    AddMdsOptions(*sub, &args->mds);
    sub->callback([=] { *exit_code = ExitCodeOf("topology " + name, run(*args)); });
    return sub;
  };
  CLI::App* list = add("list", "Show it as a tree, or the metaservers with their health and load", &List);
  list->add_option("KIND", args->kind,
                   "metaserver: a line for each, with what its heartbeats say: online, unstable or offline, "
                   "replicas, connections of clients, disk")
      ->type_name("")
      ->check(CLI::IsMember({"metaserver"}));
  list->footer(
      "Examples:\n  curvefs topology list --mds 10.0.0.1:8300\n"
      "  curvefs topology list metaserver --mds 10.0.0.1:8300");
  auto thing = [&](CLI::App* sub) {
    sub->add_option("KIND", args->kind, "pool, zone, server or metaserver")
        ->type_name("")
        ->required()
        ->check(CLI::IsMember({"pool", "zone", "server", "metaserver"}));
  };
  CLI::App* create = add("create", "Make a part of it; one that is there already is left as it is", &Create);
  thing(create);
  create->add_option("NAME", args->name, "Its name; of a metaserver its HOST:PORT for clients")
      ->type_name("")
      ->required();
  create
      ->add_option(
          "--in", args->in,
          "What it belongs to: a zone to a pool, a server to a zone, a metaserver to a server; by name or id")
      ->type_name("NAME");
  create
      ->add_option("--grpc-address", args->grpc_address,
                   "Of a metaserver: where the MDS reaches it (its --grpc-listen)")
      ->type_name("HOST:PORT");
  create
      ->add_option("--uuid", args->uuid,
                   "Of a metaserver: of its directory; who comes back with the same is the same")
      ->type_name("TEXT");
  create->footer(
      "A copyset's three replicas lie in three zones of one pool.\n\nExamples:\n"
      "  curvefs topology create pool main --mds 10.0.0.1:8300\n"
      "  curvefs topology create zone rack1 --in main --mds 10.0.0.1:8300\n"
      "  curvefs topology create server host1 --in rack1 --mds 10.0.0.1:8300\n"
      "  curvefs topology create metaserver 10.0.0.1:8200 --in host1 --grpc-address 10.0.0.1:8201 --uuid "
      "ms-host1 --mds 10.0.0.1:8300");
  CLI::App* remove = add("delete", "Delete a part of it that has nothing in it", &Delete);
  thing(remove);
  remove->add_option("NAME", args->name, "Its name (of a metaserver its HOST:PORT) or id")
      ->type_name("")
      ->required();
  remove->footer("Example:\n  curvefs topology delete zone rack3 --mds 10.0.0.1:8300");
  command->footer("Examples:\n  curvefs topology list --mds 10.0.0.1:8300\n  curvefs topology create --help");
}

void AddPartition(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<TopologyArgs>();
  CLI::App* command = app.add_subcommand("partition", "See the partitions of a file system's metadata");
  command->require_subcommand(1);
  CLI::App* list =
      command->add_subcommand("list", "List them: their inodes, and the copysets that hold them");
  list->add_option("FS", args->fs, "The file system's name")->type_name("")->required();
  AddMdsOptions(*list, &args->mds);
  list->callback([=] { *exit_code = ExitCodeOf("partition list", ListPartitions(*args)); });
  list->footer("Example:\n  curvefs partition list home --mds 10.0.0.1:8300");
  command->footer("Example:\n  curvefs partition list home --mds 10.0.0.1:8300");
}

}  // namespace curvefs::cli
