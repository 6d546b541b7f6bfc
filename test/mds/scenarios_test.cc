// SPEC's scenarios S1 to S10 on real processes: an etcd of three and three MDS, each on a node of its own of
// a network whose links can be cut. All the time clients ask every MDS to read and to make something; in the
// end each change that is in etcd is held against whose office it was. Prints a row of a table for each.
//
// CURVEFS_MDS_TIMES=spec: with the times of SPEC §2; otherwise shorter ones.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>

#include "proto/etcd.pb.h"
#include "proto/topology.pb.h"
#include "test/mds/history.h"
#include "test/mds/network.h"
#include "test/mds/processes.h"
#include "test/mds/rpc.h"
#include "test/mds/witness.h"
#include "test/support/etcd/etcd_cluster.h"

namespace curvefs::test {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMembers = 3;        // of etcd: nodes 0 to 2; the MDS are nodes 3 to 5
constexpr Duration kPatience = 120s;  // for what must come, on a machine that is busy

struct Times {
  std::chrono::milliseconds election, lease, periodic_get, get;
};
Times TheTimes() {
  const char* times = std::getenv("CURVEFS_MDS_TIMES");
  if (times != nullptr && std::string(times) == "spec") return {3000ms, 10000ms, 2000ms, 10000ms};
  return {500ms, 3000ms, 500ms, 2000ms};
}

SteadyTime Now() {
  return Clock::System().Steady();
}
double Seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

bool Await(const std::function<bool()>& what, Duration limit = kPatience) {
  Mutex mu;
  CondVar never;
  const SteadyTime end = Now() + limit;
  while (!what()) {
    if (Now() >= end) return false;
    MutexLock lock(mu);
    never.WaitUntil(mu, Now() + 5ms);
  }
  return true;
}

class Scenario : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/curvefs-links-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    processes_ = std::make_unique<Processes>(dir_);
    for (size_t i = 0; i < kMembers; ++i) ASSERT_NO_FATAL_FAILURE(StartEtcd(i));
    for (size_t i = 0; i < kMembers; ++i) etcd_.push_back(To(Network::Address(i) + ":2379"));
    ASSERT_TRUE(Await([&] { return EtcdLeader() < kMembers; }));
    for (size_t i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(StartMds(i));
    std::vector<std::string> mds;
    for (size_t i = 0; i < 3; ++i) mds.push_back(MdsAddress(i));
    witness_ = std::make_unique<Witness>(mds);
    ServesOn(AwaitLeader(), 500ms);
  }
  void TearDown() override {
    witness_.reset();
    processes_.reset();
    if (!dir_.empty() && !HasFailure()) {
      std::filesystem::remove_all(dir_);
    } else {
      std::printf("kept: %s\n", dir_.c_str());
    }
  }

  static std::string MdsAddress(size_t i) { return Network::Address(kMembers + i) + ":8300"; }
  static std::string Text(std::chrono::milliseconds time) { return std::to_string(time.count()) + "ms"; }
  void StartEtcd(size_t i) {
    std::string cluster;
    for (size_t j = 0; j < kMembers; ++j)
      cluster += (j ? ",m" : "m") + std::to_string(j) + "=http://" + Network::Address(j) + ":2380";
    const std::string client = "http://" + Network::Address(i) + ":2379";
    const std::string peer = "http://" + Network::Address(i) + ":2380";
    auto args = Network::On(i);
    // Processes waits for a line.
    for (const std::string& arg :
         {std::string("sh"), std::string("-c"), std::string("echo begins; exec \"$@\" 1>&2"),
          std::string("sh"), std::string("/usr/bin/etcd"), "--name=m" + std::to_string(i),
          "--data-dir=" + dir_ + "/etcd" + std::to_string(i), "--listen-client-urls=" + client,
          "--advertise-client-urls=" + client, "--listen-peer-urls=" + peer,
          "--initial-advertise-peer-urls=" + peer, "--initial-cluster=" + cluster,
          "--initial-cluster-token=" + dir_,
          "--heartbeat-interval=" + std::to_string(times_.election.count() / 10),
          "--election-timeout=" + std::to_string(times_.election.count())})
      args.push_back(arg);
    const auto line = processes_->Start(i, args);
    ASSERT_TRUE(line.has_value()) << line.error().ToString();
  }
  void StartMds(size_t i) {
    std::string endpoints;
    for (size_t j = 0; j < kMembers; ++j) endpoints += (j ? "," : "") + Network::Address(j) + ":2379";
    auto args = Network::On(kMembers + i);
    for (const std::string& arg :
         {std::string(CURVEFS_MDS), std::string("--etcd"), endpoints, std::string("--listen"), MdsAddress(i),
          std::string("--metrics"), Network::Address(kMembers + i) + ":8301", std::string("--cluster"),
          std::string("test"), std::string("--election-timeout"), Text(times_.election),
          std::string("--lease-time"), Text(times_.lease), std::string("--periodic-get-time"),
          Text(times_.periodic_get), std::string("--get-timeout"), Text(times_.get)})
      args.push_back(arg);
    const auto line = processes_->Start(kMembers + i, args);
    ASSERT_TRUE(line.has_value()) << line.error().ToString();
  }
  void KillEtcd(size_t i) { processes_->Kill(i); }
  void KillMds(size_t i) { processes_->Kill(kMembers + i); }

  // Of etcd's leader; kMembers: nobody that can be asked is.
  size_t EtcdLeader() {
    for (size_t i = 0; i < kMembers; ++i) {
      if (!processes_->running(i)) continue;
      etcdserverpb::StatusResponse status;
      if (Ask(etcd_[i], "/etcdserverpb.Maintenance/Status", etcdserverpb::StatusRequest(), &status, 500ms)
              .ok() &&
          status.leader() == status.header().member_id())
        return i;
    }
    return kMembers;
  }
  // Asks any member until one answers: only for what may be done twice.
  template <typename Response, typename Request>
  Response Etcd(const std::string& method, const Request& request) {
    Response response;
    EXPECT_TRUE(Await([&] {
      for (size_t i = 0; i < kMembers; ++i) {
        response.Clear();
        if (processes_->running(i) && Ask(etcd_[i], "/etcdserverpb." + method, request, &response, 1s).ok())
          return true;
      }
      return false;
    })) << method;
    return response;
  }
  // Keys that begin with `prefix`, as they were at `revision` (0: now).
  std::vector<etcdserverpb::KeyValue> List(const std::string& prefix, int64_t revision = 0) {
    etcdserverpb::RangeRequest request;
    request.set_key(prefix);
    std::string end = prefix;
    ++end.back();
    request.set_range_end(end);
    request.set_revision(revision);
    const auto response = Etcd<etcdserverpb::RangeResponse>("KV/Range", request);
    return {response.kvs().begin(), response.kvs().end()};
  }
  void DeleteCandidates() {  // all at once
    etcdserverpb::TxnRequest request;
    auto* range = request.add_success()->mutable_request_delete_range();
    range->set_key("test/election/");
    range->set_range_end("test/election0");
    Etcd<etcdserverpb::TxnResponse>("KV/Txn", request);
  }
  // Of the MDS, or of all (3): as if the time of its lease had passed.
  void EndLeases(size_t mds) {
    for (const auto& kv : List("test/election/")) {
      if (mds < 3 && kv.value() != MdsAddress(mds)) continue;
      etcdserverpb::LeaseRevokeRequest request;
      request.set_id(kv.lease());
      Etcd<etcdserverpb::LeaseRevokeResponse>("Lease/LeaseRevoke", request);
    }
  }

  size_t AwaitLeader(size_t but = 3) {
    std::optional<size_t> leader;
    EXPECT_TRUE(Await([&] {
      leader = witness_->Leader();
      return leader && *leader != but;
    })) << "nobody leads";
    return leader.value_or(0);
  }
  // Everybody answers, and says that it does not lead: a leader whose answers only wait leads yet.
  bool Refuses(size_t mds) const { return witness_->Answers(mds) && !witness_->Serves(mds); }
  void AwaitNobody() {
    EXPECT_TRUE(Await([&] { return Refuses(0) && Refuses(1) && Refuses(2); })) << "somebody still leads";
  }
  // The same one serves on for that long: so long nothing must happen.
  void ServesOn(size_t mds, Duration time) {
    const SteadyTime until = Now() + time;
    EXPECT_TRUE(Await([&] { return witness_->Served(mds) >= until; })) << "mds " << mds << " serves no more";
  }
  // All is well again: everybody answers, one serves.
  void AwaitWell() {
    EXPECT_TRUE(Await([&] {
      size_t serving = 0, answering = 0;
      for (size_t i = 0; i < 3; ++i) {
        serving += witness_->Serves(i);
        answering += witness_->Answers(i);
      }
      return serving == 1 && answering == 3;
    })) << "it does not get well";
  }

  std::vector<Effect> Effects() {
    std::vector<Effect> effects;
    const auto pools = List("test/state/pool/");
    for (const auto& kv : pools) {
      proto::Pool pool;
      EXPECT_TRUE(pool.ParseFromString(kv.value()));
      effects.push_back({.revision = kv.create_revision(), .name = pool.name()});
    }
    std::ranges::sort(effects, {}, &Effect::revision);
    int64_t known = 0;  // changes made together share a revision
    for (Effect& effect : effects) {
      if (effect.revision == known) {
        const Effect& before = *(&effect - 1);
        effect.term = before.term;
        effect.leader_term = before.leader_term;
        effect.leader = before.leader;
        continue;
      }
      known = effect.revision;
      const auto serial = List("test/state/serial", effect.revision);
      if (serial.size() == 1 && serial.at(0).mod_revision() == effect.revision)
        effect.term = std::atoll(serial.at(0).value().c_str());
      for (const auto& candidate : List("test/election/", effect.revision - 1)) {
        if (effect.leader_term != 0 && candidate.create_revision() > effect.leader_term) continue;
        effect.leader_term = candidate.create_revision();
        effect.leader = candidate.value();
      }
    }
    return effects;
  }
  // Ends the witness, judges what there is, and prints the row. `limit`: what SPEC allows, in words.
  Service Verdict(const char* what, const char* limit) {
    ServesOn(AwaitLeader(), 500ms);
    witness_->Stop();
    const auto effects = Effects();
    const auto attempts = witness_->attempts();
    for (const std::string& fault : Faults(effects, attempts)) ADD_FAILURE() << fault;
    EXPECT_GT(effects.size(), 10U) << "hardly anything was changed: nothing is shown";
    const Service service = Judge(witness_->answers());
    std::printf("| %s | %.2f | %s | %.2f | %zu of %zu |\n", what, Seconds(service.nobody), limit,
                Seconds(service.two), Overlap(effects), effects.size());
    std::fflush(stdout);
    return service;
  }

  const Times times_ = TheTimes();
  Network network_{kMembers + 3};
  std::string dir_;
  std::vector<std::shared_ptr<grpc::Channel>> etcd_;
  std::unique_ptr<Processes> processes_;
  std::unique_ptr<Witness> witness_;
};

TEST_F(Scenario, S1TheLeaderEnds) {
  const size_t leader = AwaitLeader();
  EXPECT_EQ(processes_->Stop(kMembers + leader), 0);
  AwaitLeader(leader);
  StartMds(leader);
  AwaitWell();
  Verdict("S1 the leading MDS ends (SIGTERM)", "moments");
}

TEST_F(Scenario, S2TheLeaderDies) {
  const size_t leader = AwaitLeader();
  network_.Pull(kMembers + leader);  // nothing is said any more, no connection is closed
  KillMds(leader);
  AwaitLeader(leader);
  network_.Mend();
  StartMds(leader);
  AwaitWell();
  Verdict("S2 the leading MDS loses its power", "LeaseTime");
}

TEST_F(Scenario, S3AStandbyEnds) {
  const size_t leader = AwaitLeader();
  // The standby in the middle of the queue ends; the one behind it watches the leader then.
  std::map<int64_t, std::string> queue;
  ASSERT_TRUE(Await([&] {
    queue.clear();
    for (const auto& kv : List("test/election/")) queue[kv.create_revision()] = kv.value();
    return queue.size() == 3;
  }));
  const std::string middle = std::next(queue.begin())->second, last = std::next(queue.begin(), 2)->second;
  size_t ended = 3, next = 3;
  for (size_t i = 0; i < 3; ++i) {
    if (MdsAddress(i) == middle) ended = i;
    if (MdsAddress(i) == last) next = i;
  }
  ASSERT_LT(ended, 3U);
  ASSERT_NE(ended, leader);
  KillMds(ended);
  ServesOn(leader, times_.lease + 1s);
  EXPECT_EQ(processes_->Stop(kMembers + leader), 0);
  EXPECT_EQ(AwaitLeader(leader), next);
  StartMds(ended);
  StartMds(leader);
  AwaitWell();
  EXPECT_EQ(Verdict("S3 a standby dies; then the leader ends", "none; moments").changes, 1U);
}

TEST_F(Scenario, S4AFollowerOfEtcdDies) {
  const size_t leader = AwaitLeader();
  const size_t dead = (EtcdLeader() + 1) % kMembers, cut = (dead + 1) % kMembers;
  KillEtcd(dead);
  ServesOn(leader, times_.lease + 1s);
  StartEtcd(dead);
  ASSERT_TRUE(Await([&] {
    etcdserverpb::RangeResponse response;
    etcdserverpb::RangeRequest request;
    request.set_key("x");
    return Ask(etcd_[dead], "/etcdserverpb.KV/Range", request, &response, 500ms).ok();
  }));
  if (EtcdLeader() != cut) network_.Pull(cut);
  ServesOn(leader, times_.lease + 1s);
  network_.Mend();
  AwaitWell();
  EXPECT_EQ(Verdict("S4 a follower of etcd dies, another is cut off", "none").changes, 0U);
}

TEST_F(Scenario, S5EtcdElectsAndLeasesSurvive) {
  const size_t leader = AwaitLeader();
  const size_t first = EtcdLeader();
  KillEtcd(first);
  ASSERT_TRUE(Await([&] { return EtcdLeader() < kMembers; }));
  ServesOn(leader, times_.lease + 1s);
  StartEtcd(first);
  AwaitWell();
  EXPECT_EQ(Verdict("S5 etcd's leader dies, the leases live on", "none").changes, 0U);
}

TEST_F(Scenario, S6EtcdElectsAndTheLeadersLeaseHasLapsed) {
  const size_t leader = AwaitLeader();
  const size_t first = EtcdLeader();
  KillEtcd(first);
  EndLeases(leader);  // as soon as there is somebody who can
  AwaitLeader(leader);
  StartEtcd(first);
  AwaitWell();
  const Service service =
      Verdict("S6 etcd's leader dies, the leading MDS's lease has lapsed", "two for PeriodicGetTime");
  EXPECT_LE(service.two, times_.periodic_get + 1s);
}

TEST_F(Scenario, S7AllLeasesHaveLapsed) {
  AwaitLeader();
  for (int round = 0; round < 3; ++round) {
    const auto before = List("test/election/");
    int64_t newest = 0;
    for (const auto& kv : before) newest = std::max(newest, kv.create_revision());
    if (round != 1) DeleteCandidates();  // in one moment, so that every campaign "succeeds"
    EndLeases(3);
    // Others, all of them, and one leads.
    ASSERT_TRUE(Await([&] {
      const auto now = List("test/election/");
      for (const auto& kv : now) {
        if (kv.create_revision() <= newest) return false;
      }
      return now.size() == 3;
    }));
    AwaitWell();
  }
  Verdict("S7 all leases have lapsed, three times", "a short gap");
}

TEST_F(Scenario, S8EtcdIsGone) {
  AwaitLeader();
  for (size_t i = 0; i < kMembers; ++i) KillEtcd(i);
  AwaitNobody();
  for (size_t i = 0; i < kMembers; ++i) StartEtcd(i);
  AwaitWell();
  // The same with links: nobody in etcd hears anybody.
  for (size_t i = 0; i < kMembers; ++i) network_.Pull(i);
  AwaitNobody();
  network_.Mend();
  AwaitWell();
  Verdict("S8 all of etcd is gone: killed, then cut off (the time it is away is in it)",
          "nobody leads until it is back");
}

// The leader reaches etcd no more (or etcd does not reach it), and clients reach the leader.
class Partition : public Scenario, public testing::WithParamInterface<int> {};
TEST_P(Partition, S9EtcdIsCutOffFromTheLeaderOnly) {
  const size_t leader = AwaitLeader(), node = kMembers + leader;
  for (size_t i = 0; i < kMembers; ++i) {
    if (GetParam() != 1) network_.Lose(node, i);
    if (GetParam() != 0) network_.Lose(i, node);
  }
  AwaitLeader(leader);
  EXPECT_TRUE(Await([&] { return Refuses(leader); })) << "the old leader leads on";
  network_.Mend();
  AwaitWell();
  // It stands again.
  EXPECT_TRUE(Await([&] { return List("test/election/").size() == 3; })) << "it does not come back";
  const char* names[] = {"S9 etcd does not hear the leading MDS", "S9 the leading MDS does not hear etcd",
                         "S9 etcd and the leading MDS are cut off from each other"};
  const Service service = Verdict(names[GetParam()], "LeaseTime; two for 5.3 s");
  EXPECT_LE(service.two, 5300ms);
}
INSTANTIATE_TEST_SUITE_P(Links, Partition, testing::Values(0, 1, 2));

// The leader and one member of etcd on one side, all others on the other.
TEST_F(Scenario, S9WithAMinorityOfEtcd) {
  const size_t leader = AwaitLeader(), node = kMembers + leader;
  const size_t with = EtcdLeader();
  for (size_t i = 0; i < kMembers + 3; ++i) {
    if (i == node || i == with) continue;
    network_.LoseBoth(i, node);
    network_.LoseBoth(i, with);
  }
  AwaitLeader(leader);
  EXPECT_TRUE(Await([&] { return Refuses(leader); })) << "the old leader leads on";
  network_.Mend();
  AwaitWell();
  const Service service = Verdict("S9 the leading MDS is left with etcd's old leader",
                                  "etcd\'s election and LeaseTime; two for 5.3 s");
  EXPECT_LE(service.two, 5300ms);
}

TEST_F(Scenario, S10ARestartedMdsServes) {
  AwaitLeader();
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(processes_->Stop(kMembers + i), 0);
  EXPECT_TRUE(Await([&] { return !witness_->Leader(); }));
  const SteadyTime begin = Now();
  StartMds(0);
  EXPECT_EQ(AwaitLeader(), 0U);
  const Duration took = witness_->Served(0) - begin;
  StartMds(1);
  StartMds(2);
  AwaitWell();
  char what[100];
  std::snprintf(what, sizeof what, "S10 an MDS is started, wins and serves: %.2f s from its start",
                Seconds(took));
  Verdict(what, "0.5 s after winning");
}

// What is checked can fail: an MDS that writes without looking at its fence, played by the test.
TEST_F(Scenario, CanaryAWriterWithoutAFenceIsFound) {
  const size_t leader = AwaitLeader();
  const auto write = [&](int64_t term, const std::string& name) {
    proto::Pool pool;
    pool.set_pool_id(1 << 30);
    pool.set_name(name);
    etcdserverpb::TxnRequest request;
    auto* put = request.add_success()->mutable_request_put();
    put->set_key("test/state/serial");
    put->set_value(std::to_string(term) + "/1");
    put = request.add_success()->mutable_request_put();
    put->set_key("test/state/pool/40000000");
    put->set_value(pool.SerializeAsString());
    Etcd<etcdserverpb::TxnResponse>("KV/Txn", request);
  };
  ASSERT_TRUE(Await([&] { return List("test/state/pool/").size() > 5; }));
  const auto serial = List("test/state/serial");
  ASSERT_EQ(serial.size(), 1);
  const int64_t term = std::atoll(serial.at(0).value().c_str());
  KillMds(leader);
  const size_t next = AwaitLeader(leader);
  ASSERT_TRUE(Await([&] { return std::atoll(List("test/state/serial").at(0).value().c_str()) > term; }));
  write(term, "late");
  EXPECT_TRUE(Await([&] { return witness_->Leader().has_value(); }));
  static_cast<void>(next);
  witness_->Stop();
  const auto effects = Effects();
  EXPECT_EQ(Overlap(effects), 1U);
  EXPECT_EQ(Faults(effects, witness_->attempts()).size(), 1U);
}

}  // namespace
}  // namespace curvefs::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!curvefs::test::EtcdCluster::Installed()) {
    std::fprintf(stderr, "NOT TESTED: there is no etcd here. scripts/deps.sh test installs it\n");
    return 77;
  }
  const std::string why = curvefs::test::Network::Enter();
  if (!why.empty()) {
    std::fprintf(stderr, "NOT TESTED: %s\n", why.c_str());
    return 77;
  }
  std::printf(
      "| scenario | s nobody served | allowed | s two answered reads | changes out of office "
      "|\n|---|---|---|---|---|\n");
  return RUN_ALL_TESTS();
}
