// Three MDS processes on a real etcd of three: one leads, it is killed, it is stopped, and what was done is
// there.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "proto/heartbeat.pb.h"
#include "proto/mds.pb.h"
#include "proto/topology.pb.h"
#include "test/mds/processes.h"
#include "test/mds/rpc.h"
#include "test/support/etcd/etcd_cluster.h"

namespace curvefs::test {
namespace {

using namespace std::chrono_literals;

template <typename Request, typename Response>
grpc::Status Raw(const std::string& address, const std::string& method, const Request& request,
                 Response* response) {
  return Ask(To(address), method, request, response);
}

class MdsCluster : public testing::Test {
 protected:
  void SetUp() override {
    CURVEFS_NEEDS_ETCD();
    std::string name = testing::TempDir() + "/curvefs-mds-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    processes_ = std::make_unique<Processes>(dir_);
    ASSERT_TRUE(etcd_.StartAll().ok());
    for (size_t i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(Start(i));
  }
  void TearDown() override {
    processes_.reset();
    if (!dir_.empty() && !HasFailure()) std::filesystem::remove_all(dir_);
  }
  void Start(size_t i) {
    std::string endpoints;
    for (const std::string& e : etcd_.endpoints()) endpoints += (endpoints.empty() ? "" : ",") + e;
    auto line = processes_->Start(i, {CURVEFS_MDS,   "--etcd",
                                      endpoints,     "--listen",
                                      "127.0.0.1:0", "--metrics",
                                      "127.0.0.1:0", "--cluster",
                                      "test",        "--election-timeout",
                                      "500ms",       "--lease-time",
                                      "3s",          "--periodic-get-time",
                                      "500ms",       "--get-timeout",
                                      "2s",          "--heartbeat-interval",
                                      "200ms",       "--unstable-after",
                                      "2s",          "--offline-after",
                                      "8s"});
    ASSERT_TRUE(line.has_value()) << line.error().ToString();
    // "mds listens on HOST:PORT, metrics on port N"
    const size_t begin = line->find("127."), comma = line->find(',');
    addresses_[i] = line->substr(begin, comma - begin);
    metrics_[i] = line->substr(line->rfind(' ') + 1);
    metrics_[i].pop_back();
  }
  // From whoever leads, as a client does it; how long it took until one answered is in waited_.
  template <typename Response, typename Request>
  Response Call(const std::string& method, const Request& request) {
    const SteadyTime begin = Clock::System().Steady();
    Response response;
    while (Clock::System().Steady() < begin + 60s) {
      for (size_t i = 0; i < 3; ++i) {
        if (!processes_->running(i)) continue;
        response.Clear();
        const grpc::Status status = Raw(addresses_[i], "/curvefs.proto." + method, request, &response);
        EXPECT_TRUE(status.ok()) << status.error_message();
        const auto code = response.header().status();
        if (code == proto::NOT_LEADER || code == proto::UNAVAILABLE || code == proto::TIMED_OUT) continue;
        leader_ = i;
        waited_ = Clock::System().Steady() - begin;
        return response;
      }
    }
    ADD_FAILURE() << method << ": nobody leads";
    return response;
  }
  // What the health service of gRPC says about `service`: field 1 of HealthCheckRequest is its name, of
  // HealthCheckResponse the status.
  bool Serves(size_t i, const std::string& service) {
    std::string bytes;
    if (!service.empty()) bytes = std::string("\x0a") + static_cast<char>(service.size()) + service;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    const grpc::Status status = Raw(addresses_[i], "/grpc.health.v1.Health/Check", request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<grpc::Slice> slices;
    std::string answer;
    if (response.Dump(&slices).ok()) {
      for (const auto& s : slices) answer.append(reinterpret_cast<const char*>(s.begin()), s.size());
    }
    return answer == "\x08\x01";
  }
  // `grpc`: of the metaservers, where there are real ones.
  void MakeTopology(const std::vector<std::string>& listen = {}, const std::vector<std::string>& grpc = {}) {
    proto::CreatePoolRequest pool;
    pool.set_name("pool");
    const auto made = Call<proto::CreatePoolResponse>("TopologyService/CreatePool", pool);
    for (size_t z = 1; z <= 3; ++z) {
      proto::CreateZoneRequest zone;
      zone.set_pool_id(made.pool().pool_id());
      zone.set_name("zone" + std::to_string(z));
      proto::CreateServerRequest server;
      server.set_zone_id(
          Call<proto::CreateZoneResponse>("TopologyService/CreateZone", zone).zone().zone_id());
      server.set_host_name("host" + std::to_string(z));
      proto::RegisterMetaserverRequest metaserver;
      metaserver.set_server_id(
          Call<proto::CreateServerResponse>("TopologyService/CreateServer", server).server().server_id());
      metaserver.set_uuid("uuid" + std::to_string(z));
      metaserver.set_address(listen.empty() ? "127.0.0.1:" + std::to_string(8200 + z) : listen[z - 1]);
      if (!grpc.empty()) metaserver.set_grpc_address(grpc[z - 1]);
      const auto there =
          Call<proto::RegisterMetaserverResponse>("TopologyService/RegisterMetaserver", metaserver);
      EXPECT_EQ(there.metaserver().metaserver_id(), static_cast<uint32_t>(z));
    }
  }
  uint64_t Chunks(uint32_t fs) {
    proto::AllocateS3ChunkRequest request;
    request.set_fs_id(fs);
    request.set_count(100);
    const auto response = Call<proto::AllocateS3ChunkResponse>("MdsService/AllocateS3Chunk", request);
    EXPECT_EQ(response.header().status(), proto::OK) << response.header().message();
    return response.first_chunk_id();
  }

  EtcdCluster etcd_{{.members = 3}};
  std::string dir_;
  std::unique_ptr<Processes> processes_;
  std::string addresses_[3], metrics_[3];
  size_t leader_ = 3;
  Duration waited_{};
};

TEST_F(MdsCluster, ALeaderIsKilledAndStoppedAndAllIsThere) {
  MakeTopology();
  proto::CreateFsRequest create;
  create.set_fs_name("data");
  create.set_directory("/objects");
  create.set_capacity(1 << 30);
  const auto made = Call<proto::CreateFsResponse>("MdsService/CreateFs", create);
  ASSERT_EQ(made.header().status(), proto::OK) << made.header().message();
  uint64_t chunks = Chunks(made.fs().fs_id());

  // The others say where it is, and the health service which of them it is.
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(Serves(i, ""));
    EXPECT_EQ(Serves(i, "curvefs.proto.MdsService"), i == leader_);
    if (i == leader_) continue;
    proto::ListFsInfoResponse list;
    ASSERT_TRUE(
        Raw(addresses_[i], "/curvefs.proto.MdsService/ListFsInfo", proto::ListFsInfoRequest(), &list).ok());
    EXPECT_EQ(list.header().status(), proto::NOT_LEADER);
    EXPECT_EQ(list.header().leader().address(), addresses_[leader_]);
  }

  auto check = [&](const char* what) {
    const size_t before = leader_;
    proto::GetFsInfoRequest get;
    get.set_fs_name("data");
    const auto got = Call<proto::GetFsInfoResponse>("MdsService/GetFsInfo", get);
    std::printf("%s: another MDS serves after %lld ms\n", what, static_cast<long long>(waited_ / 1ms));
    EXPECT_NE(leader_, before);
    EXPECT_EQ(got.fs().SerializeAsString(), made.fs().SerializeAsString());
    const auto all =
        Call<proto::ListTopologyResponse>("TopologyService/ListTopology", proto::ListTopologyRequest());
    EXPECT_EQ(all.metaserver_size(), 3);
    proto::ListPartitionRequest partitions;
    partitions.set_fs_id(made.fs().fs_id());
    const auto list = Call<proto::ListPartitionResponse>("TopologyService/ListPartition", partitions);
    EXPECT_EQ(list.partition_size(), 3);
    EXPECT_EQ(list.copyset_size(), 3);
    const uint64_t next = Chunks(made.fs().fs_id());
    EXPECT_GT(next, chunks + 99) << "a chunk id twice";
    chunks = next;
  };
  size_t ended = leader_;
  processes_->Kill(ended);
  check("kill -9");
  EXPECT_LE(waited_, 3s + 3s);
  Start(ended);

  ended = leader_;
  EXPECT_EQ(processes_->Stop(ended), 0);
  check("SIGTERM");
  EXPECT_LE(waited_, 2s) << "it has resigned";
  Start(ended);

  // All of them, and etcd too: power off and on.
  for (size_t i = 0; i < 3; ++i) processes_->Kill(i);
  for (size_t i = 0; i < 3; ++i) etcd_.Kill(i);
  ASSERT_TRUE(etcd_.StartAll().ok());
  leader_ = 3;
  for (size_t i = 0; i < 3; ++i) Start(i);
  check("everything off and on");
}

TEST_F(MdsCluster, SaysWhatItMeasures) {
  Call<proto::ListFsInfoResponse>("MdsService/ListFsInfo", proto::ListFsInfoRequest());
  for (size_t i = 0; i < 3; ++i) {
    const std::string out = dir_ + "/metrics";
    const std::string command = "curl -s http://127.0.0.1:" + metrics_[i] + "/metrics > " + out;
    ASSERT_EQ(std::system(command.c_str()), 0);
    std::ifstream in(out);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    EXPECT_NE(text.find("\ncurvefs_mds_leads " + std::string(i == leader_ ? "1" : "0") + "\n"), text.npos)
        << text;
  }
}

#ifdef CURVEFS_METASERVER
// With real metaservers: a new file system's copysets are made and its root is written, though the leader
// dies in the middle.
TEST_F(MdsCluster, AFileSystemIsMadeOnMetaserversAndMounted) {
  const auto ports = FreePorts(6);
  std::vector<std::string> listen, grpc;
  std::string join;
  for (size_t i = 0; i < 3; ++i) {
    listen.push_back("127.0.0.1:" + std::to_string(ports[i]));
    grpc.push_back("127.0.0.1:" + std::to_string(ports[3 + i]));
    join += (i != 0 ? "," : "") + std::to_string(i + 1) + "=" + listen[i];
  }
  MakeTopology(listen, grpc);
  proto::CreateFsRequest create;
  create.set_fs_name("data");
  create.set_directory("/objects");
  create.set_uuid("the-uuid");
  ASSERT_EQ(Call<proto::CreateFsResponse>("MdsService/CreateFs", create).header().status(), proto::OK);
  for (size_t i = 0; i < 3; ++i) {
    if (i == 2) processes_->Kill(leader_);
    const std::string dir = dir_ + "/metaserver" + std::to_string(i + 1);
    std::filesystem::create_directories(dir);
    auto line = processes_->Start(3 + i, {CURVEFS_METASERVER, "--dir", dir, "--listen", listen[i], "--join",
                                          join, "--grpc-listen", grpc[i], "--http-listen", "off"});
    ASSERT_TRUE(line.has_value()) << line.error().ToString();
  }
  proto::MountFsRequest mount;
  mount.set_fs_name("data");
  mount.set_host("host");
  mount.set_mount_dir("/mnt");
  mount.set_client_uuid("client");
  proto::MountFsResponse mounted;
  const SteadyTime begin = Clock::System().Steady();
  do {
    mounted = Call<proto::MountFsResponse>("MdsService/MountFs", mount);
  } while (mounted.header().status() == proto::BUSY && Clock::System().Steady() < begin + 60s);
  ASSERT_EQ(mounted.header().status(), proto::OK) << mounted.header().message();
  std::printf("made and mounted after %lld ms\n",
              static_cast<long long>((Clock::System().Steady() - begin) / 1ms));
  EXPECT_EQ(mounted.fs().mount_num(), 1u);
  EXPECT_EQ(mounted.fs().state(), proto::FS_INITED);

  // The root is there, by the metaservers' own word.
  proto::ListPartitionRequest partitions;
  partitions.set_fs_id(mounted.fs().fs_id());
  const auto list = Call<proto::ListPartitionResponse>("TopologyService/ListPartition", partitions);
  ASSERT_EQ(list.partition_size(), 3);
  proto::GetInodeRequest root;
  root.mutable_header()->set_fs_id(mounted.fs().fs_id());
  root.mutable_header()->set_copyset_id(list.partition(0).copyset_id());
  root.set_inode_id(mounted.fs().root_inode_id());
  bool found = false;
  for (const std::string& address : grpc) {
    proto::GetInodeResponse inode;
    ASSERT_TRUE(Raw(address, "/curvefs.proto.MetaServerService/GetInode", root, &inode).ok());
    found |= inode.header().status() == proto::OK && inode.inode().nlink() == 2;
  }
  EXPECT_TRUE(found);
}

// Metaservers that come by themselves. One is lost for good: what it had is replaced on the fourth, though
// the leading MDS dies meanwhile; it comes back, and what it had is taken from it.
TEST_F(MdsCluster, MetaserversRegisterAndALostOneIsReplaced) {
  std::string mds;
  for (const std::string& address : addresses_) mds += (mds.empty() ? "" : ",") + address;
  const auto ports = FreePorts(8);
  std::string grpc[5];  // by metaserver, from 1 on
  auto start = [&](size_t i, const std::string& extra = "") {
    const auto at = [&](size_t n) { return "127.0.0.1:" + std::to_string(ports[n]); };
    const std::string number = std::to_string(i);
    grpc[i] = at(2 * i - 1);
    std::vector<std::string> args = {CURVEFS_METASERVER,
                                     "--dir",
                                     dir_ + "/metaserver" + number,
                                     "--listen",
                                     at(2 * i - 2),
                                     "--grpc-listen",
                                     grpc[i],
                                     "--http-listen",
                                     "off",
                                     "--mds",
                                     mds,
                                     "--zone",
                                     "zone" + number,
                                     "--host-name",
                                     "host" + number};
    if (!extra.empty()) args.push_back(extra);
    return processes_->Start(2 + i, args);
  };
  auto began = [&](size_t i, const Result<std::string>& line) {
    ASSERT_TRUE(line.has_value()) << line.error().ToString();
    EXPECT_TRUE(line->starts_with("metaserver " + std::to_string(i) + " listens on")) << *line;
  };
  for (size_t i = 1; i <= 3; ++i) ASSERT_NO_FATAL_FAILURE(began(i, start(i)));
  auto eventually = [](const std::function<bool()>& holds) {
    const SteadyTime end = Clock::System().Steady() + 120s;
    while (!holds()) {
      if (Clock::System().Steady() > end) return false;
      // The processes want the processors, too.
      Mutex mu;
      CondVar never;
      const MutexLock lock(mu);
      (void)never.WaitUntil(mu, Clock::System().Steady() + 50ms);
    }
    return true;
  };

  proto::CreateFsRequest create;
  create.set_fs_name("data");
  create.set_directory("/objects");
  const auto made = Call<proto::CreateFsResponse>("MdsService/CreateFs", create);
  ASSERT_EQ(made.header().status(), proto::OK) << made.header().message();
  const uint32_t fs = made.fs().fs_id();
  proto::GetFsInfoRequest get;
  get.set_fs_name("data");
  ASSERT_TRUE(eventually([&] {
    return Call<proto::GetFsInfoResponse>("MdsService/GetFsInfo", get).fs().state() == proto::FS_INITED;
  }));
  proto::ListPartitionRequest partitions;
  partitions.set_fs_id(fs);
  auto where = [&] {
    return Call<proto::ListPartitionResponse>("TopologyService/ListPartition", partitions);
  };
  const uint64_t root_copyset = where().partition(0).copyset_id();
  // At whoever of the metaservers leads the copyset of the root.
  auto at_leader = [&](const std::string& method, auto request, auto* response) {
    request.mutable_header()->set_fs_id(fs);
    request.mutable_header()->set_copyset_id(root_copyset);
    return eventually([&] {
      for (size_t i = 1; i <= 4; ++i) {
        if (!processes_->running(2 + i)) continue;
        response->Clear();
        if (Raw(grpc[i], "/curvefs.proto.MetaServerService/" + method, request, response).ok() &&
            response->header().status() == proto::OK)
          return true;
      }
      return false;
    });
  };
  for (int i = 0; i < 50; ++i) {
    proto::CreateRequest file;
    file.set_parent_inode_id(made.fs().root_inode_id());
    file.set_name("file" + std::to_string(i));
    file.set_mode(0100644);
    file.set_open_existing(true);  // it may have been made by an attempt without an answer
    proto::CreateResponse response;
    ASSERT_TRUE(at_leader("Create", file, &response)) << response.header().message();
  }

  ASSERT_NO_FATAL_FAILURE(began(4, start(4)));
  const proto::ListMetaserversRequest list;
  ASSERT_TRUE(eventually([&] {
    const auto all = Call<proto::ListMetaserversResponse>("ScheduleService/ListMetaservers", list);
    int online = 0;
    for (const auto& one : all.metaserver()) online += one.health() == proto::METASERVER_ONLINE;
    EXPECT_TRUE(all.metaserver_size() == 0 || all.metaserver(0).metaserver().token().empty());
    return online == 4;
  }));

  // Lost for good, and while it is replaced the leading MDS is, too.
  const SteadyTime lost = Clock::System().Steady();
  processes_->Kill(2 + 1);
  std::string seen;
  ASSERT_TRUE(eventually([&] {
    const auto all =
        Call<proto::GetOperatorsResponse>("ScheduleService/GetOperators", proto::GetOperatorsRequest());
    for (const auto& op : all.operator_()) seen += op.scheduler() == "recover" ? op.reason() : "";
    return !seen.empty();
  }));
  EXPECT_TRUE(seen.starts_with("metaserver 1 is offline")) << seen;
  processes_->Kill(leader_);
  auto replaced = [&] {
    const auto now = where();
    for (const auto& copyset : now.copyset()) {
      std::set<uint32_t> on;
      for (const auto& peer : copyset.peer()) {
        if (!peer.learner()) on.insert(static_cast<uint32_t>(peer.replica_id()));
      }
      if (copyset.peer_size() != 3 || on != std::set<uint32_t>{2, 3, 4}) return false;
    }
    return now.copyset_size() == 3;
  };
  ASSERT_TRUE(eventually(replaced));
  std::printf("replaced %lld ms after it was killed\n",
              static_cast<long long>((Clock::System().Steady() - lost) / 1ms));

  // The replica that is new has what the others have.
  EXPECT_TRUE(eventually([&] {
    std::set<uint64_t> digests;
    for (size_t i = 2; i <= 4; ++i) {
      proto::GetStateDigestRequest digest;
      digest.mutable_header()->set_copyset_id(root_copyset);
      proto::GetStateDigestResponse response;
      if (!Raw(grpc[i], "/curvefs.proto.CopysetService/GetStateDigest", digest, &response).ok() ||
          response.header().status() != proto::OK || response.pairs() < 100)
        return false;
      digests.insert(response.digest());
    }
    return digests.size() == 1;
  }));
  // And it is enough with one of the old ones.
  processes_->Kill(2 + 2);
  proto::GetDentryRequest look;
  look.set_parent_inode_id(made.fs().root_inode_id());
  look.set_name("file49");
  proto::GetDentryResponse found;
  EXPECT_TRUE(at_leader("GetDentry", look, &found)) << found.header().message();

  // Both come back as who they were. The first finds that it is a member of nothing: what it had goes.
  ASSERT_NO_FATAL_FAILURE(began(2, start(2)));
  ASSERT_NO_FATAL_FAILURE(began(1, start(1)));
  EXPECT_TRUE(eventually([&] {
    proto::ListCopysetsResponse there;
    if (!Raw(grpc[1], "/curvefs.proto.CopysetService/ListCopysets", proto::ListCopysetsRequest(), &there)
             .ok())
      return false;
    // A replica that balance has brought there since is another one.
    for (const auto& replica : there.status()) {
      if (replica.replica_id() == 1) return false;
    }
    return true;
  }));

  // A file system is deleted: nothing of it stays, neither here nor there.
  proto::DeleteFsInfoRequest remove;
  remove.set_fs_name("data");
  ASSERT_EQ(Call<proto::DeleteFsInfoResponse>("MdsService/DeleteFsInfo", remove).header().status(),
            proto::OK);
  EXPECT_TRUE(eventually([&] {
    for (size_t i = 1; i <= 4; ++i) {
      proto::ListCopysetsResponse there;
      if (!Raw(grpc[i], "/curvefs.proto.CopysetService/ListCopysets", proto::ListCopysetsRequest(), &there)
               .ok() ||
          there.status_size() > 0)
        return false;
    }
    return Call<proto::ListFsInfoResponse>("MdsService/ListFsInfo", proto::ListFsInfoRequest()).fs_size() ==
           0;
  }));

  // One of another cluster is refused, and told so.
  EXPECT_EQ(processes_->Stop(2 + 4), 0);
  const std::string file = dir_ + "/metaserver4/registration.toml";
  std::ifstream in(file);
  std::string text(std::istreambuf_iterator<char>(in), {});
  text.replace(text.find("cluster = \"") + 11, 8, "deadbeef");
  std::ofstream(file) << text;
  const auto refused = start(4);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("is part of the cluster deadbeef"), std::string::npos)
      << refused.error().message();
}
#endif

TEST(MdsProgram, RefusesWhatMakesNoSense) {
  auto run = [](const std::string& flags) {
    const int status = std::system((std::string(CURVEFS_MDS) + " " + flags + " 2>/dev/null").c_str());
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(run(""), 16) << "no etcd";
  EXPECT_EQ(run("--etcd nonsense"), 16);
  EXPECT_EQ(run("--etcd 127.0.0.1:1 --lease-time 2s"), 16) << "less than 1.5 election timeouts";
  EXPECT_EQ(run("--etcd 127.0.0.1:1 --etcd-cert /nowhere"), 16);
  EXPECT_EQ(run("--etcd 127.0.0.1:1 --unstable-after 1s"), 16) << "less than an interval of heartbeats";
  EXPECT_EQ(run("--what"), 16);
}

}  // namespace
}  // namespace curvefs::test
