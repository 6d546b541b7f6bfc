// Three real metaservers under a load that knows what must come of it, while one of them after another is
// killed, stopped for a while, or runs out of disk. CURVEFS_CLUSTER_SECONDS: for how long.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "test/cluster/workers.h"

namespace curvefs::cluster {
namespace {

constexpr size_t kCopysets = 3, kWorkers = 12;

int Seconds() {
  const char* text = std::getenv("CURVEFS_CLUSTER_SECONDS");
  return text ? std::atoi(text) : 25;
}

class ClusterTest : public testing::Test {
 protected:
  // Small logs and frequent snapshots, so that those are under way when something happens.
  explicit ClusterTest(std::vector<std::string> more = {}) {
    std::vector<std::string> flags = {"--log-segment", "1MiB", "--snapshot-entries", "2000"};
    flags.insert(flags.end(), more.begin(), more.end());
    cluster = std::make_unique<Cluster>(CURVEFS_METASERVER, root, flags);
  }
  ~ClusterTest() override {
    cluster.reset();
    if (!HasFailure()) std::filesystem::remove_all(root);
  }
  void Start() {
    for (size_t i = 0; i < 3; ++i) {
      Status s = cluster->servers().Start(i);
      ASSERT_TRUE(s.ok()) << s.ToString();
    }
    Status s = cluster->MakeCopysets(kCopysets);
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  void RunFor(Duration d, const Workers& workers) {
    cluster->loop().RunUntil([&] { return !workers.complaint().empty(); }, d);
  }
  // One of them dies, or stands still, and comes back; again and again.
  void Havoc(Workers& workers, std::mt19937_64& random, SteadyTime until) {
    auto some = [&](int from, int to) {
      return std::chrono::milliseconds(from + static_cast<int>(random() % static_cast<uint64_t>(to - from)));
    };
    Servers& servers = cluster->servers();
    while (cluster->loop().clock().Steady() < until && workers.complaint().empty()) {
      RunFor(some(300, 1500), workers);
      const size_t victim = random() % 3;
      if (random() % 3 != 0) {
        servers.Kill(victim, SIGKILL);
        RunFor(some(50, 1500), workers);
        Status s = servers.Start(victim);
        ASSERT_TRUE(s.ok()) << s.ToString();
        ++kills;
      } else {
        servers.Kill(victim, SIGSTOP);
        RunFor(some(50, 3000), workers);
        servers.Kill(victim, SIGCONT);
        ++stops;
      }
    }
  }
  void CheckAll(Workers& workers) {
    EXPECT_TRUE(workers.End(std::chrono::seconds(60))) << "some operations never end";
    EXPECT_EQ(workers.complaint(), "");
    EXPECT_EQ(workers.CheckHistory(), "");
    EXPECT_EQ(workers.CheckChunks(), "");
    for (size_t c = 1; c <= kCopysets; ++c) EXPECT_EQ(cluster->CompareReplicas(c), "");
  }

  // What every engine must live through; in the end they are told to end, or killed at once.
  void LoseAnyOfThree(uint64_t seed, bool cleanly) {
    Start();
    Workers workers(*cluster, kCopysets, kWorkers, seed);
    Status s = workers.Prepare();
    ASSERT_TRUE(s.ok()) << s.ToString();
    std::mt19937_64 random(seed + 6);
    workers.Begin();
    Havoc(workers, random, cluster->loop().clock().Steady() + std::chrono::seconds(Seconds()));
    CheckAll(workers);
    EXPECT_GT(workers.done(), 500u);
    const ClientCounters& c = cluster->client().counters();
    std::printf(
        "%llu operations, %d kills, %d stops; %llu attempts, %llu not leader, %llu without an outcome\n",
        static_cast<unsigned long long>(workers.done()), kills, stops,
        static_cast<unsigned long long>(c.attempts), static_cast<unsigned long long>(c.not_leader),
        static_cast<unsigned long long>(c.timed_out));
    // The same again, from the disk, key by key, by the program that looks into a directory that nobody uses.
    for (size_t i = 0; i < 3; ++i) {
      if (cleanly) {
        EXPECT_EQ(cluster->servers().Stop(i), 0);
      } else {
        cluster->servers().Kill(i, SIGKILL);
      }
    }
    for (size_t copyset = 1; copyset <= kCopysets; ++copyset) {
      std::vector<std::string> dumps;
      for (size_t i = 0; i < 3; ++i) {
        int code = 0;
        dumps.push_back(RunProgram(
            {CURVEFS_METASERVER, "--dump-state", cluster->servers().dir(i), std::to_string(copyset)}, &code));
        EXPECT_EQ(code, 0) << dumps.back().substr(0, 2000);
      }
      // How far the commit was known when each ended may differ; what was known to the same place is the
      // same.
      auto applied = [](const std::string& dump) { return dump.substr(0, dump.find('\n')); };
      size_t compared = 0;
      for (size_t i = 0; i < 3; ++i) {
        for (size_t j = i + 1; j < 3; ++j) {
          if (applied(dumps[i]) != applied(dumps[j])) continue;
          ++compared;
          EXPECT_TRUE(dumps[i] == dumps[j])
              << "copyset " << copyset << ", metaservers " << i + 1 << " and " << j + 1;
        }
      }
      EXPECT_GT(compared, 0u) << applied(dumps[0]) << applied(dumps[1]) << applied(dumps[2]);
    }
  }

  // A disk that is full stops its replica, whoever leads, and nothing else; with room again it catches up.
  void FillADisk(const std::string& below, const char* size, uint64_t seed) {
    const std::string dir = cluster->servers().dir(2) + below;
    std::filesystem::create_directories(dir);
    if (::mount("tmpfs", dir.c_str(), "tmpfs", 0, (std::string("size=") + size).c_str()) != 0)
      GTEST_SKIP() << "mounting a small disk needs privileges";
    struct Unmount {
      Cluster& cluster;
      const std::string& dir;
      ~Unmount() {
        if (cluster.servers().running(2)) cluster.servers().Kill(2, SIGKILL);
        ::umount(dir.c_str());
      }
    } unmount{*cluster, dir};
    Start();
    Workers workers(*cluster, kCopysets, kWorkers, seed);
    ASSERT_TRUE(workers.Prepare().ok());
    // It leads what it can, to begin with.
    for (size_t c = 1; c <= kCopysets; ++c) {
      auto leader = cluster->Leader(c);
      ASSERT_TRUE(leader.has_value());
      proto::TransferLeaderRequest transfer;
      transfer.mutable_header()->set_copyset_id(c);
      transfer.set_replica_id(3);
      if (*leader != 2)
        (void)cluster->Admin<proto::TransferLeaderResponse>(*leader, "TransferLeader", transfer);
    }
    workers.Begin();
    auto space = [&] { return std::filesystem::space(dir).available; };
    // Something else on the disk grows.
    RunFor(std::chrono::seconds(1), workers);
    const std::string ballast = dir + "/ballast";
    std::error_code ignored;
    {
      FILE* f = std::fopen(ballast.c_str(), "w");
      const std::string block(64 << 10, 'x');
      while (space() > 0 && std::fwrite(block.data(), 1, block.size(), f) == block.size() &&
             std::fflush(f) == 0) {
      }
      std::fclose(f);
    }
    cluster->loop().RunUntil([&] { return false; }, std::chrono::seconds(6));
    const uint64_t before = workers.done();
    RunFor(std::chrono::seconds(3), workers);
    EXPECT_GT(workers.done(), before + 100) << "the others go on";
    EXPECT_EQ(workers.complaint(), "");
    ASSERT_TRUE(std::filesystem::remove(ballast, ignored));
    ASSERT_EQ(::mount("tmpfs", dir.c_str(), "tmpfs", MS_REMOUNT, "size=200m"), 0);
    CheckAll(workers);
  }

  // Of each test its own: what a failed one leaves behind is worth reading.
  const std::string root = std::filesystem::temp_directory_path() /
                           ("curvefs-cluster-" + std::to_string(::getpid()) + "-" +
                            testing::UnitTest::GetInstance()->current_test_info()->name());
  std::unique_ptr<Cluster> cluster;
  int kills = 0, stops = 0;
};

TEST_F(ClusterTest, AnyOfThreeMayDieAtAnyMoment) {
  LoseAnyOfThree(1, /*cleanly=*/true);
}

// The state in RocksDB, with so little memory that it flushes on its own account all the time.
class RocksClusterTest : public ClusterTest {
 protected:
  RocksClusterTest() : ClusterTest({"--meta-engine", "rocksdb", "--meta-memory", "8MiB"}) {}
};

TEST_F(RocksClusterTest, AnyOfThreeMayDieAtAnyMoment) {
  LoseAnyOfThree(5, /*cleanly=*/false);
}

// One that is away for so long that the log does not reach back gets a checkpoint. One that is started with
// the other engine says so and touches nothing.
TEST_F(RocksClusterTest, OneThatIsFarBehindGetsACheckpoint) {
  Start();
  Workers workers(*cluster, kCopysets, kWorkers, 6);
  ASSERT_TRUE(workers.Prepare().ok());
  Servers& servers = cluster->servers();
  servers.Kill(1, SIGKILL);
  int code = 0;
  const std::string refused = RunProgram({CURVEFS_METASERVER, "--dir", servers.dir(1), "--listen",
                                          "127.0.0.1:0", "--grpc-listen", "off", "--http-listen", "off"},
                                         &code);
  EXPECT_NE(code, 0);
  EXPECT_NE(refused.find("was made with the rocksdb engine"), refused.npos) << refused;
  workers.Begin();
  RunFor(std::chrono::seconds(6), workers);
  proto::SnapshotCopysetRequest snapshot;
  for (uint64_t c = 1; c <= kCopysets; ++c) {
    for (size_t i : {0u, 2u}) {
      snapshot.mutable_header()->set_copyset_id(c);
      EXPECT_TRUE(cluster->Admin<proto::SnapshotCopysetResponse>(i, "SnapshotCopyset", snapshot).has_value());
    }
  }
  RunFor(std::chrono::seconds(1), workers);
  const Status s = servers.Start(1);
  ASSERT_TRUE(s.ok()) << s.ToString();
  CheckAll(workers);
  // Not from the log alone: what came whole is another database than the first.
  size_t installed = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(servers.dir(1)))
    installed += entry.is_directory() && entry.path().filename() == "db-2";
  EXPECT_GT(installed, 0u);
}

// The canary: a client that sends its changes again without saying that they are the same is caught.
TEST_F(ClusterTest, ChangesDoneTwiceAreSeen) {
  Start();
  Workers workers(*cluster, kCopysets, kWorkers, 2, /*careless=*/true);
  ASSERT_TRUE(workers.Prepare().ok());
  std::mt19937_64 random(8);
  workers.Begin();
  Havoc(workers, random, cluster->loop().clock().Steady() + std::chrono::seconds(60));
  EXPECT_TRUE(workers.End(std::chrono::seconds(60)));
  EXPECT_FALSE(workers.complaint().empty() && workers.CheckChunks().empty());
}

// And the history's: a register that is read as it was before.
TEST_F(ClusterTest, AStaleReadIsSeen) {
  Start();
  Workers workers(*cluster, kCopysets, kWorkers, 3);
  ASSERT_TRUE(workers.Prepare().ok());
  workers.Begin();
  RunFor(std::chrono::seconds(2), workers);
  CheckAll(workers);
  std::vector<sim::Operation> history = workers.history(1);
  sim::Operation* first = nullptr;
  for (sim::Operation& op : history) {
    if (op.key != 0 || !op.write) continue;
    if (first == nullptr) {
      first = &op;
    } else if (op.begin > first->end) {
      history.push_back({.key = 0, .value = first->value, .begin = op.end + 1, .end = op.end + 2});
      break;
    }
  }
  EXPECT_NE(sim::FindViolation(history), "");
}

TEST_F(ClusterTest, ADiskThatIsFull) {
  FillADisk("", "10m", 4);
}

// The databases have a disk of their own, so the log goes on and they must take what it has: those that
// could not are opened again.
TEST_F(RocksClusterTest, ADiskThatIsFull) {
  FillADisk("/copysets", "40m", 7);
  std::ifstream log(cluster->servers().log(2));
  const std::string text(std::istreambuf_iterator<char>(log), {});
  EXPECT_NE(text.find("the disk has room again"), text.npos) << text;
}

}  // namespace
}  // namespace curvefs::cluster
