#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <tuple>
#include <vector>

#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/mds_args.h"
#include "cli/values.h"

namespace curvefs::cli {
namespace {

struct Args {
  std::string server = "127.0.0.1:8200", cluster, timeout = "10s";
  bool json = false;
  uint64_t copyset = 0, replica = 0, fs = 1, office = 0;
  net::TlsFiles tls;
  std::string peers, address, change, name = "curvefs";
  bool format = false, force = false;
  std::string mds;           // of list …
  bool server_given = true;  // … and whether a metaserver was named
};

Result<AdminClient> Connect(const Args& args, const std::string& server) {
  CURVEFS_TRY(const Duration deadline, ParseDuration(args.timeout));
  return AdminClient::To(server, args.cluster, args.tls, deadline);
}

template <typename Request>
Request Make(const Args& args) {
  Request request;
  request.mutable_header()->set_copyset_id(args.copyset);
  request.mutable_header()->set_office_term(args.office);
  return request;
}

Json ToJson(const proto::CopysetStatus& s) {
  Json j{{"copyset", s.copyset_id()},
         {"fs", s.fs_id()},
         {"replica", s.replica_id()},
         {"leads", s.leads()},
         {"leader", s.leader().replica_id()},
         {"leader_address", s.leader().address()},
         {"term", s.term()},
         {"commit", s.commit()},
         {"applied", s.applied()},
         {"first", s.first()},
         {"last", s.last()},
         {"snapshot", s.snapshot()},
         {"pairs", s.pairs()},
         {"log_bytes", s.log_bytes()},
         {"loop", s.loop()},
         {"removed", s.removed()},
         {"failure", s.failure() == proto::OK ? "" : s.failure_message()}};
  j["peers"] = Json::array();
  for (const auto& p : s.peer())
    j["peers"].push_back({{"replica", p.replica_id()}, {"address", p.address()}, {"learner", p.learner()}});
  return j;
}

const char* StateOf(const proto::CopysetStatus& s) {
  if (s.failure() != proto::OK) return "stopped";
  if (s.removed()) return "removed";
  return s.leads() ? "leads" : s.leader().replica_id() == 0 ? "no leader" : "follows";
}

void PrintTable(const google::protobuf::RepeatedPtrField<proto::CopysetStatus>& rows) {
  std::printf("%10s %8s %-10s %8s %12s %12s %12s %12s  %s\n", "copyset", "replica", "state", "term",
              "applied", "last", "snapshot", "pairs", "peers");
  for (const auto& s : rows) {
    std::string peers;
    for (const auto& p : s.peer())
      peers += (peers.empty() ? "" : ",") + std::to_string(p.replica_id()) + (p.learner() ? "(learner)" : "");
    auto number = [](uint64_t n) { return static_cast<unsigned long long>(n); };
    std::printf("%10llu %8llu %-10s %8llu %12llu %12llu %12llu %12llu  %s\n", number(s.copyset_id()),
                number(s.replica_id()), StateOf(s), number(s.term()), number(s.applied()), number(s.last()),
                number(s.snapshot()), number(s.pairs()), peers.c_str());
    if (s.failure() != proto::OK) std::printf("           %s\n", s.failure_message().c_str());
  }
}

void Print(const Args& args, const google::protobuf::RepeatedPtrField<proto::CopysetStatus>& rows) {
  if (!args.json) return PrintTable(rows);
  Json out = Json::array();
  for (const auto& s : rows) out.push_back(ToJson(s));
  std::printf("%s\n", out.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

void Done(const Args& args, const std::string& text) {
  if (args.json) {
    std::printf("%s\n", Json{{"done", text}}.dump(2).c_str());
  } else {
    std::printf("%s\n", text.c_str());
  }
}

Status List(const Args& args) {
  if (!args.server_given)
    return ListCopysetsOfMds({.mds = args.mds, .timeout = args.timeout, .json = args.json});
  CURVEFS_TRY(AdminClient client, Connect(args, args.server));
  CURVEFS_TRY(const auto response, client.Call<proto::ListCopysetsResponse>(
                                       AdminCall::kList, Make<proto::ListCopysetsRequest>(args)));
  Print(args, response.status());
  return {};
}

Status ShowStatus(const Args& args) {
  CURVEFS_TRY(AdminClient client, Connect(args, args.server));
  proto::ListCopysetsResponse shown;
  CURVEFS_TRY(const auto response, client.Call<proto::GetCopysetStatusResponse>(
                                       AdminCall::kStatus, Make<proto::GetCopysetStatusRequest>(args)));
  *shown.add_status() = response.status();
  Print(args, shown.status());
  return {};
}

struct Peer {
  uint64_t replica = 0;
  std::string address;
};
Result<std::vector<Peer>> ParsePeers(const std::string& text) {
  std::vector<Peer> peers;
  for (size_t at = 0; at < text.size();) {
    const std::string item = text.substr(at, text.find(',', at) - at);
    at += item.size() + 1;
    const size_t equals = item.find('=');
    uint64_t id = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + std::min(equals, item.size()), id);
    if (equals == item.npos || error != std::errc() || end != item.data() + equals || id == 0)
      return Fail(Code::kInvalid, "'" + item + "' is not REPLICA=HOST:PORT");
    CURVEFS_TRY(const net::Address address, net::ParseAddress(item.substr(equals + 1)));
    peers.push_back({id, address.ToString()});
  }
  if (peers.empty()) return Fail(Code::kInvalid, "no replicas are given");
  return peers;
}

// On all its metaservers, one after another. Repeating it does no harm.
Status Create(const Args& args) {
  CURVEFS_TRY(const auto peers, ParsePeers(args.peers));
  std::random_device device;
  auto request = Make<proto::CreateCopysetRequest>(args);
  request.set_fs_id(static_cast<uint32_t>(args.fs));
  request.set_hash_seed(uint64_t{device()} << 32 | device());
  for (const Peer& peer : peers) {
    auto* p = request.add_peer();
    p->set_replica_id(peer.replica);
    p->set_address(peer.address);
  }
  for (const Peer& peer : peers) {
    CURVEFS_TRY(AdminClient client, Connect(args, peer.address));
    request.set_replica_id(peer.replica);
    if (auto made = client.Call<proto::CreateCopysetResponse>(AdminCall::kCreate, request); !made)
      return made.error();
  }
  if (!args.format) {
    Done(args, "copyset " + std::to_string(args.copyset) + " is made");
    return {};
  }
  auto format = Make<proto::FormatCopysetRequest>(args);
  format.set_fs_id(static_cast<uint32_t>(args.fs));
  format.set_fs_name(args.name);
  Status last;
  // Its first leader takes a moment to be found.
  const Duration limit = *ParseDuration(args.timeout);
  for (const SteadyTime end = Clock::System().Steady() + limit; Clock::System().Steady() < end;) {
    for (const Peer& peer : peers) {
      CURVEFS_TRY(AdminClient client, Connect(args, peer.address));
      auto made = client.Call<proto::FormatCopysetResponse>(AdminCall::kFormat, format);
      last = made ? Status() : made.error();
      if (last.ok()) {
        Done(args, "copyset " + std::to_string(args.copyset) + " is made, with file system " +
                       std::to_string(args.fs));
        return {};
      }
      if (last.code() != Code::kNotLeader) return last;
    }
  }
  return last;
}

Status ChangePeers(const Args& args) {
  CURVEFS_TRY(AdminClient client, Connect(args, args.server));
  auto request = Make<proto::ChangePeersRequest>(args);
  request.set_change(args.change == "add"       ? proto::ADD_LEARNER
                     : args.change == "promote" ? proto::PROMOTE
                                                : proto::REMOVE);
  request.mutable_peer()->set_replica_id(args.replica);
  request.mutable_peer()->set_address(args.address);
  if (request.change() == proto::ADD_LEARNER && !args.address.empty()) {
    // The replica must be there before it is a member; it joins with nothing, and gets all from the leader.
    CURVEFS_TRY(const auto status, client.Call<proto::GetCopysetStatusResponse>(
                                       AdminCall::kStatus, Make<proto::GetCopysetStatusRequest>(args)));
    CURVEFS_TRY(AdminClient other, Connect(args, args.address));
    auto join = Make<proto::CreateCopysetRequest>(args);
    join.set_replica_id(args.replica);
    join.set_fs_id(status.status().fs_id());
    if (auto made = other.Call<proto::CreateCopysetResponse>(AdminCall::kCreate, join); !made)
      return made.error();
  }
  if (auto changed = client.Call<proto::ChangePeersResponse>(AdminCall::kChangePeers, request); !changed)
    return changed.error();
  Done(args, "replica " + std::to_string(args.replica) +
                 (args.change == "add"       ? " is a learner"
                  : args.change == "promote" ? " is a voter"
                                             : " is no member any more"));
  return {};
}

Status Transfer(const Args& args) {
  CURVEFS_TRY(AdminClient client, Connect(args, args.server));
  auto request = Make<proto::TransferLeaderRequest>(args);
  request.set_replica_id(args.replica);
  if (auto done = client.Call<proto::TransferLeaderResponse>(AdminCall::kTransfer, request); !done)
    return done.error();
  Done(args, "replica " + std::to_string(args.replica) + " is asked to lead");
  return {};
}

Status Snapshot(const Args& args) {
  CURVEFS_TRY(AdminClient client, Connect(args, args.server));
  auto done = client.Call<proto::SnapshotCopysetResponse>(AdminCall::kSnapshot,
                                                          Make<proto::SnapshotCopysetRequest>(args));
  if (!done) return done.error();
  Done(args, "a snapshot is being written");
  return {};
}

Status Destroy(const Args& args) {
  CURVEFS_TRY(AdminClient client, Connect(args, args.server));
  auto request = Make<proto::DestroyCopysetRequest>(args);
  request.set_force(args.force);
  if (auto done = client.Call<proto::DestroyCopysetResponse>(AdminCall::kDestroy, request); !done)
    return done.error();
  Done(args, "copyset " + std::to_string(args.copyset) + " is deleted on " + args.server);
  return {};
}

Status Digest(const Args& args) {
  CURVEFS_TRY(AdminClient client, Connect(args, args.server));
  CURVEFS_TRY(const auto digest, client.Call<proto::GetStateDigestResponse>(
                                     AdminCall::kDigest, Make<proto::GetStateDigestRequest>(args)));
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(digest.digest()));
  if (args.json) {
    std::printf(
        "%s\n",
        Json{{"applied", digest.applied()}, {"pairs", digest.pairs()}, {"digest", hex}}.dump(2).c_str());
  } else {
    std::printf("applied %llu, %llu pairs, digest %s\n", static_cast<unsigned long long>(digest.applied()),
                static_cast<unsigned long long>(digest.pairs()), hex);
  }
  return {};
}

// On the disk, not over the net: the log of a metaserver is known to the program that writes it.
void AddRecover(CLI::App* command, int* exit_code) {
  struct RecoverArgs {
    std::string dir;
    uint64_t copyset = 0, replica = 0;
    bool yes = false, json = false;
  };
  auto args = std::make_shared<RecoverArgs>();
  CLI::App* sub = command->add_subcommand(
      "recover", "The last resort: a majority of a copyset is lost for good, and one replica goes on alone");
  sub->add_option("COPYSET", args->copyset, "Its id")->type_name("")->required()->check(CLI::PositiveNumber);
  sub->add_option("REPLICA", args->replica, "The replica that goes on; it must be the one in DIR")
      ->type_name("")
      ->required()
      ->check(CLI::PositiveNumber);
  sub->add_option("--dir", args->dir, "The directory of its metaserver, which must not run")
      ->type_name("DIR")
      ->required();
  sub->add_flag("--yes-i-know-data-may-be-lost", args->yes,
                "Do it. Changes that only the lost replicas had are lost, though they were acknowledged");
  sub->add_flag("--json", args->json, "Print JSON");
  sub->footer(
      "Without the confirmation it says what would be lost, and changes nothing. Take the replica that has "
      "applied most:\n'curvefs-metaserver --dump-state DIR COPYSET | head -1' tells. The lost replicas must "
      "never be started again: wipe\ntheir disks. Then start the metaserver, and add new replicas.\n\n"
      "Examples:\n"
      "  curvefs copyset recover 1 2 --dir /srv/ms\n"
      "  curvefs copyset recover 1 2 --dir /srv/ms --yes-i-know-data-may-be-lost\n"
      "  curvefs copyset change-peers 1 add 4 --address 10.0.0.4:8200 --server 10.0.0.2:8200");
  sub->callback([=] {
    std::vector<std::string> program = {"--recover-copyset", args->dir, std::to_string(args->copyset),
                                        std::to_string(args->replica)};
    if (args->yes) program.emplace_back("--yes-i-know-data-may-be-lost");
    if (args->json) program.emplace_back("--json");
    *exit_code = BecomeServer("metaserver", "copyset recover", std::move(program));
  });
}

}  // namespace

void AddCopyset(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<Args>();
  CLI::App* command = app.add_subcommand("copyset", "See and change the copysets of metaservers");
  command->require_subcommand(1);
  auto add = [=](const std::string& name, const std::string& help, Status (*run)(const Args&),
                 bool one = true) {
    CLI::App* sub = command->add_subcommand(name, help);
    if (one)
      sub->add_option("COPYSET", args->copyset, "Its id")
          ->type_name("")
          ->required()
          ->check(CLI::PositiveNumber);
    OrEnvironment(sub->add_option("--server", args->server, "The metaserver to ask"), &args->server,
                  "CURVEFS_SERVER")
        ->type_name("HOST:PORT")
        ->capture_default_str();
    OrEnvironment(sub->add_option("--cluster", args->cluster, "The cluster's name, if it has one"),
                  &args->cluster, "CURVEFS_CLUSTER")
        ->type_name("NAME");
    const std::tuple<const char*, std::string*, const char*, const char*> tls[] = {
        {"--tls-ca", &args->tls.ca, "CURVEFS_TLS_CA", "The authority (PEM) of a cluster with TLS"},
        {"--tls-cert", &args->tls.cert, "CURVEFS_TLS_CERT", "Our certificate by that authority"},
        {"--tls-key", &args->tls.key, "CURVEFS_TLS_KEY", "The key to it"}};
    for (const auto& [flag, member, variable, text] : tls)
      OrEnvironment(sub->add_option(flag, *member, text), member, variable)->type_name("FILE");
    sub->add_option("--timeout", args->timeout, "How long to wait for an answer")
        ->type_name("TIME")
        ->capture_default_str();
    sub->add_option("--office-term", args->office, "The term of office that the command is given in; 0: none")
        ->type_name("N");
    sub->add_flag("--json", args->json, "Print JSON");
    sub->callback([=] {
      const Status s = run(*args);
      *exit_code =
          s.ok() ? int{kExitOk}
                 : Complain("copyset " + name, s, s.code() == Code::kInvalid ? kExitUsage : kExitFailed);
    });
    return sub;
  };
  auto replica = [=](CLI::App* sub) {
    sub->add_option("REPLICA", args->replica, "The replica's id; its low 32 bits are its metaserver's")
        ->type_name("")
        ->required()
        ->check(CLI::PositiveNumber);
  };
  CLI::App* list =
      add("list", "All copysets: of a metaserver, with their state; or, with --mds, of the cluster", &List,
          false);
  OrEnvironment(list->add_option("--mds", args->mds, "The MDS of the cluster, or some of them"), &args->mds,
                "CURVEFS_MDS")
      ->type_name("HOST:PORT,…");
  list->parse_complete_callback([=, server = list->get_option("--server")] {
    args->server_given = args->mds.empty() || server->count() > 0;
  });
  add("status", "One copyset, as a metaserver sees it", &ShowStatus);
  CLI::App* create = add("create", "Make a copyset on all its metaservers", &Create);
  create->add_option("--peers", args->peers, "Its first replicas, and the metaservers that they are on")
      ->type_name("REPLICA=HOST:PORT,…")
      ->required();
  create->add_option("--fs", args->fs, "The file system that it is for")
      ->type_name("ID")
      ->check(CLI::Range(uint64_t{1}, uint64_t{UINT32_MAX}));
  create->add_flag("--format", args->format, "And the root directory of a new file system in it");
  create->add_option("--name", args->name, "With --format: the file system's name")->type_name("NAME");
  replica(add("transfer", "Hand the leadership to a replica; ask the leader", &Transfer));
  CLI::App* change = add("change-peers", "Add, promote or remove one replica; ask the leader", &ChangePeers);
  change->add_option("CHANGE", args->change, "add: as a learner; promote: it votes from now on; remove")
      ->type_name("")
      ->required()
      ->check(CLI::IsMember({"add", "promote", "remove"}));
  replica(change);
  change
      ->add_option("--address", args->address, "With add: where its metaserver is; the replica is made there")
      ->type_name("HOST:PORT");
  add("snapshot", "Write a snapshot now, so that the log can be trimmed", &Snapshot);
  add("digest", "What a replica holds, in short: the same for all replicas that have applied the same",
      &Digest);
  add("destroy", "Delete a replica that is no member any more", &Destroy)
      ->add_flag("--force", args->force, "Also one that is; the copyset loses it");
  AddRecover(command, exit_code);
  command->footer(
      "Examples:\n"
      "  curvefs copyset create 1 --peers 1=10.0.0.1:8200,2=10.0.0.2:8200,3=10.0.0.3:8200 --format\n"
      "  curvefs copyset list --server 10.0.0.1:8200\n"
      "  curvefs copyset list --mds 10.0.0.1:8300\n"
      "  curvefs copyset transfer 1 2 --server 10.0.0.1:8200\n"
      "  curvefs copyset change-peers 1 add 4 --address 10.0.0.4:8200 --server 10.0.0.1:8200");
}

}  // namespace curvefs::cli
