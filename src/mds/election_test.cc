// SPEC §2, S1 to S10: on the store in memory, with time and faults of our own, and the chief ones on real
// etcd.
#include "mds/election.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "mds/etcd_coordinator.h"
#include "mds/memory_store.h"
#include "test/support/etcd/etcd_cluster.h"
#include "test/support/pumped_loop.h"

namespace curvefs::mds {
namespace {

using namespace std::chrono_literals;

// A candidate, that while it leads writes all the time what its term of office is.
class Candidate {
 public:
  struct Observer {
    std::function<void(int number, Revision term)> lead;
    std::function<void(int number)> stop;
  };
  Candidate(Loop& loop, std::unique_ptr<Coordinator> coordinator, int number, ElectionOptions options,
            bool fenced, Observer observer)
      : loop_(loop), coordinator_(std::move(coordinator)), fenced_(fenced) {
    options.name = "mds" + std::to_string(number);
    election_ = std::make_unique<Election>(
        loop, *coordinator_, options,
        Election::Events{.lead =
                             [=, this](Revision term) {
                               observer.lead(number, term);
                               Write();
                             },
                         .stop = [=](const std::string&) { observer.stop(number); }});
    election_->Start();
  }
  ~Candidate() {
    *alive_ = false;
    election_.reset();
  }
  Election& election() { return *election_; }

 private:
  void Write() {
    if (!election_->leads()) return;
    Transaction t{.changes = {{"work", std::to_string(election_->term()), {}}}};
    if (fenced_) t.conditions = {election_->Fence()};
    coordinator_->Commit(std::move(t), 1s, [](const auto&) {});
    loop_.After(100ms, [this, alive = alive_] {
      if (*alive) Write();
    });
  }
  Loop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<Coordinator> coordinator_;
  const bool fenced_;
  std::unique_ptr<Election> election_;
};

// Who led when, and for how long several did.
class Reigns {
 public:
  explicit Reigns(const Clock& clock) : clock_(clock) {}
  Candidate::Observer observer() {
    return {[this](int n, Revision term) { Lead(n, term); }, [this](int n) { Stop(n); }};
  }
  void Lead(int number, Revision term) {
    Count();
    EXPECT_TRUE(now_.insert(number).second);
    if (term <= last_term_) ++backwards_;
    last_term_ = std::max(last_term_, term);
    ++begun_;
    if (now_.size() > 1) ++doubles_;
  }
  void Stop(int number) {
    Count();
    EXPECT_EQ(now_.erase(number), 1u);
  }
  void Dead(int number) {
    Count();
    now_.erase(number);
  }
  int leader() const { return now_.size() == 1 ? *now_.begin() : 0; }
  const std::set<int>& now() const { return now_; }
  int begun() const { return begun_; }
  int doubles() const { return doubles_; }
  int backwards() const { return backwards_; }  // offices with a term that is not higher than all before
  Duration overlap() {
    Count();
    return overlap_;
  }

 private:
  void Count() {
    const SteadyTime t = clock_.Steady();
    if (now_.size() > 1) overlap_ += t - since_;
    since_ = t;
  }
  const Clock& clock_;
  std::set<int> now_;
  Revision last_term_ = 0;
  int begun_ = 0, doubles_ = 0, backwards_ = 0;
  SteadyTime since_{};
  Duration overlap_{};
};

class ElectionTest : public testing::Test {
 protected:
  ElectionTest() {
    store_.Watcher([this](const std::string&, const Transaction& t, Revision) {
      for (const Change& change : t.changes) {
        if (change.key != "work" || !change.value) continue;
        const Revision term = std::stoll(*change.value);
        if (term < last_write_) ++late_writes_;
        last_write_ = std::max(last_write_, term);
        ++writes_;
      }
    });
  }
  ~ElectionTest() override {
    EXPECT_TRUE(canary_ || late_writes_ == 0) << "a deposed master has changed something";
    EXPECT_TRUE(canary_ || reigns_.backwards() == 0);
  }
  static std::string Name(int number) { return "mds" + std::to_string(number); }
  void Begin(int count) {
    for (int n = 1; n <= count; ++n) {
      Begin1(n);
      Run(100ms);  // so that they stand in this order
    }
  }
  void Begin1(int n) {
    candidates_[n] =
        std::make_unique<Candidate>(loop_, store_.Connect(Name(n)), n, options_, fenced_, reigns_.observer());
  }
  void Kill(int n) {
    candidates_.erase(n);
    reigns_.Dead(n);
  }
  void Run(Duration time) {
    for (const SteadyTime end = loop_.Steady() + time; loop_.Steady() < end;) {
      loop_.Advance(1ms);
      // A leader whose key is gone and who has had time to notice is none.
      for (int n : reigns_.now()) {
        if (!store_.entries().contains(candidates_[n]->election().Fence().key)) masters_without_key_ += 1ms;
      }
    }
  }
  // How long it took until `n` alone leads; fails after `limit`.
  Duration Until(int n, Duration limit) {
    const SteadyTime begin = loop_.Steady();
    while (reigns_.leader() != n && loop_.Steady() < begin + limit) Run(1ms);
    EXPECT_EQ(reigns_.leader(), n);
    return loop_.Steady() - begin;
  }
  LeaseId LeaseOf(int n) { return store_.entries().at(candidates_[n]->election().Fence().key).lease; }

  ManualLoop loop_;
  MemoryStore store_{loop_};
  ElectionOptions options_{};
  bool fenced_ = true, canary_ = false;
  Reigns reigns_{loop_};
  std::map<int, std::unique_ptr<Candidate>> candidates_;
  Revision last_write_ = 0;
  int late_writes_ = 0, writes_ = 0;
  Duration masters_without_key_{};
};

TEST_F(ElectionTest, TheFirstLeadsAndAllKnowIt) {
  Begin(3);
  Run(60s);
  EXPECT_EQ(reigns_.leader(), 1);
  EXPECT_EQ(reigns_.begun(), 1);
  EXPECT_GT(writes_, 500);
  for (int n : {1, 2, 3}) EXPECT_EQ(candidates_[n]->election().leader(), "mds1");
}

TEST_F(ElectionTest, S1ALeaderThatEndsIsFollowedAtOnce) {
  Begin(3);
  bool told = false;
  candidates_[1]->election().Resign(1s, [&] { told = true; });
  EXPECT_EQ(reigns_.leader(), 0) << "it has stopped before anybody else knows";
  EXPECT_LE(Until(2, 1s), 20ms);
  EXPECT_TRUE(told);
  Run(30s);
  EXPECT_EQ(reigns_.leader(), 2);
}

TEST_F(ElectionTest, S2ALeaderThatDiesIsFollowedWhenItsLeaseLapses) {
  Begin(3);
  Run(20s);
  Kill(1);
  const Duration took = Until(2, 20s);
  EXPECT_LE(took, options_.lease_time + 20ms);
  EXPECT_GE(took, options_.lease_time * 6 / 10) << "the lease was kept alive a third of it ago at most";
}

TEST_F(ElectionTest, S3AStandbyThatGoesChangesNothing) {
  Begin(3);
  Kill(2);
  Run(30s);
  EXPECT_EQ(reigns_.leader(), 1);
  EXPECT_EQ(reigns_.begun(), 1);
  candidates_[1]->election().Resign(1s, [] {});
  EXPECT_LE(Until(3, 1s), 20ms) << "it waits for the first now";
}

TEST_F(ElectionTest, S4AMomentWithoutAnswersChangesNothing) {
  Begin(3);
  for (int n : {1, 2, 3}) {
    store_.Cut(Name(n), true);  // as from a member of the store that died, until the client has found another
    Run(2s);
    store_.Cut(Name(n), false);
    Run(10s);
  }
  EXPECT_EQ(reigns_.leader(), 1);
  EXPECT_EQ(reigns_.begun(), 1);
}

TEST_F(ElectionTest, S5AnElectionOfTheStoreThatLeasesSurviveChangesNothing) {
  Begin(3);
  store_.SetDown(true);
  Run(options_.election_timeout);
  store_.SetDown(false);
  Run(30s);
  EXPECT_EQ(reigns_.leader(), 1);
  EXPECT_EQ(reigns_.begun(), 1);
}

// The watch would tell the old leader within milliseconds; here it does not, and the get finds out.
TEST_F(ElectionTest, S6ALeaderWhoseLeaseLapsedStops) {
  Begin(3);
  Run(10s);
  store_.Deafen("mds1", true);
  const auto before = writes_;
  store_.Lapse({LeaseOf(1)});
  Run(500ms);
  EXPECT_TRUE(reigns_.now().contains(2));
  Until(2, 5s);
  EXPECT_LE(reigns_.overlap(), options_.periodic_get_time + 20ms);
  EXPECT_GT(writes_, before);
}

TEST_F(ElectionTest, S6AndWithAWatchItStopsAtOnce) {
  Begin(3);
  store_.Lapse({LeaseOf(1)});
  EXPECT_LE(Until(2, 5s), 20ms);
  EXPECT_LE(reigns_.overlap(), 5ms);
}

// Leases that lapse while the candidates are in the middle of it.
class AllLapse : public ElectionTest {
 protected:
  // Everybody's wait ends at once, since all keys go. Nobody may lead on the strength of that.
  void LoseAll() {
    Begin(3);
    Run(1s);
    EXPECT_EQ(reigns_.leader(), 1);
    begun_ = reigns_.begun();
    store_.LapseAll();
    Run(150ms);  // less than the pause before another round
  }
  int begun_ = 0;
};

TEST_F(AllLapse, S7AllCampaignsSucceedAndNoneLeads) {
  LoseAll();
  EXPECT_EQ(reigns_.begun(), begun_);
  EXPECT_EQ(reigns_.leader(), 0);
  Run(1s);
  EXPECT_NE(reigns_.leader(), 0) << "a new round elects one";
  EXPECT_EQ(reigns_.begun(), begun_ + 1);
  EXPECT_EQ(reigns_.doubles(), 0);
}

TEST_F(AllLapse, S7CanaryWithoutTheCheckSeveralLead) {
  canary_ = options_.canary_no_check = true;
  LoseAll();
  EXPECT_GT(reigns_.begun(), begun_) << "the check of the own key is not what keeps them from it";
}

// The same without a store: of the check alone.
TEST(ElectionRulesTest, AWaitThatEndsIsNoVictory) {
  using Kind = ElectionRules::Effect::Kind;
  for (bool there : {true, false}) {
    ElectionRules rules({.name = "x"});
    SteadyTime now{1s};
    uint64_t round = rules.Start(now).at(0).round;
    rules.Granted(now, round, LeaseId(0xab));
    EXPECT_EQ(rules.own_key(), "election/ab");
    rules.Entered(now, round, 7);
    Listing listing{.entries = {{"election/1", "a", 3, 3, {}},
                                {"election/2", "b", 5, 5, {}},
                                {"election/z", "z", 9, 9, {}}},
                    .revision = 9};
    auto effects = rules.Listed(now, round, listing);
    ASSERT_EQ(effects.size(), 1u);
    EXPECT_EQ(effects[0].kind, Kind::kAwaitEnd);
    EXPECT_EQ(effects[0].key, "election/2") << "of the smaller ones the largest";
    EXPECT_EQ(effects[0].revision, 10);
    EXPECT_EQ(rules.Ended(now, round).at(0).kind, Kind::kList);
    effects = rules.Listed(now, round, Listing{.revision = 12});
    ASSERT_EQ(effects.size(), 1u);
    EXPECT_EQ(effects[0].kind, Kind::kGetOwn);
    EXPECT_FALSE(rules.leads());
    std::optional<Entry> own;
    if (there) own = Entry{"election/ab", "x", 7, 7, LeaseId(0xab)};
    effects = rules.Got(now, round, own);
    ASSERT_EQ(effects.size(), 1u);
    EXPECT_EQ(effects[0].kind, there ? Kind::kLead : Kind::kRevoke);
    EXPECT_EQ(rules.leads(), there);
    if (there) {
      // Each of these ends the office at once.
      for (const auto& end : std::vector<std::function<ElectionRules::Effects(ElectionRules&)>>{
               [&](auto& r) { return r.Got(now, round, std::optional<Entry>()); },
               [&](auto& r) {
                 return r.Got(now, round,
                              std::optional<Entry>(Entry{"election/ab", "x", 8, 8, LeaseId(0xab)}));
               },
               [&](auto& r) {
                 return r.Got(now, round,
                              std::optional<Entry>(Entry{"election/ab", "y", 7, 9, LeaseId(0xab)}));
               },
               [&](auto& r) { return r.Got(now, round, Fail(Code::kUnavailable)); },
               [&](auto& r) { return r.KeptAlive(now, round, now, Fail(Code::kNotFound)); },
               [&](auto& r) { return r.OwnKeyDeleted(now, 8); },
               [&](auto& r) { return r.Tick(now + 10s); }}) {
        ElectionRules copy = rules;
        effects = end(copy);
        ASSERT_FALSE(effects.empty());
        EXPECT_EQ(effects[0].kind, Kind::kStop);
        EXPECT_FALSE(copy.leads());
      }
      EXPECT_TRUE(rules.OwnKeyDeleted(now, 6).empty()) << "of an earlier key";
      EXPECT_TRUE(rules.Got(now, round - 1, std::optional<Entry>()).empty()) << "of an earlier round";
    }
  }
}

TEST_F(ElectionTest, S8WithoutTheStoreNobodyLeads) {
  Begin(3);
  Run(10s);
  store_.SetDown(true);
  const SteadyTime begin = loop_.Steady();
  while (reigns_.leader() == 1 && loop_.Steady() < begin + 60s) Run(10ms);
  EXPECT_LE(loop_.Steady() - begin, options_.lease_time);
  Run(300s);
  EXPECT_TRUE(reigns_.now().empty());
  store_.SetDown(false);
  Run(30s);
  EXPECT_NE(reigns_.leader(), 0);
  EXPECT_EQ(reigns_.begun(), 2);
}

TEST_F(ElectionTest, S9ALeaderCutOffStops) {
  Begin(3);
  Run(10s);
  store_.Cut("mds1", true);
  EXPECT_LE(Until(2, 30s), options_.lease_time + 20ms);
  EXPECT_EQ(reigns_.overlap(), Duration()) << "it stops before the store can think that its lease has lapsed";
  store_.Cut("mds1", false);
  Run(60s);
  EXPECT_EQ(reigns_.leader(), 2);
}

// What a leader sent before it was cut off comes late, when another one leads.
class LateWrites : public ElectionTest {
 protected:
  void Happen() {
    Begin(3);
    Run(10s);
    store_.OnCommit([](const std::string& client, const Transaction& t) {
      const bool work = t.changes[0].key == "work";
      return MemoryStore::Fault{.late = client == "mds1" && work ? 15s : 0s};
    });
    Run(1s);
    Kill(1);
    Run(30s);
    EXPECT_EQ(reigns_.leader(), 2);
  }
};

TEST_F(LateWrites, AreFenced) {
  Happen();
  EXPECT_EQ(late_writes_, 0);
}

TEST_F(LateWrites, CanaryWithoutTheFenceTheyChangeThings) {
  canary_ = true;
  fenced_ = false;
  Happen();
  EXPECT_GT(late_writes_, 0);
}

TEST_F(ElectionTest, S10AWinnerServesAtOnce) {
  Begin(1);
  EXPECT_LE(Until(1, 1s), 500ms);
  Kill(1);
  Begin1(2);
  const Duration took = Until(2, 20s);
  EXPECT_LE(took, options_.lease_time + 500ms) << "the rest of the dead one's lease, and the moment";
}

// An entry whose answer was lost: the key is there, and nobody knows.
TEST_F(ElectionTest, AnUnknownEntryIsGivenUp) {
  int entries = 0;
  store_.OnCommit([&](const std::string&, const Transaction& t) {
    const bool entry = t.changes[0].key.starts_with("election/");
    return MemoryStore::Fault{.lose_reply = entry && ++entries == 1};
  });
  Begin1(1);
  Run(30s);
  EXPECT_EQ(reigns_.leader(), 1);
  EXPECT_EQ(entries, 2);
  const auto candidates =
      std::ranges::count_if(store_.entries(), [](const auto& e) { return e.first.starts_with("election/"); });
  EXPECT_EQ(candidates, 1);
}

TEST_F(ElectionTest, SteppingDownStandsAgain) {
  Begin(2);
  candidates_[1]->election().StepDown("for the test");
  EXPECT_LE(Until(2, 1s), 20ms);
  Run(1s);
  candidates_[2]->election().StepDown("for the test");
  EXPECT_LE(Until(1, 1s), 20ms);
}

TEST_F(ElectionTest, OptionsThatDoNotFitAreRefused) {
  ElectionOptions options{.name = "x"};
  EXPECT_TRUE(options.Check().ok());
  options.lease_time = 4s;
  EXPECT_EQ(options.Check().code(), Code::kInvalid);
  options.election_timeout = 2s;
  EXPECT_TRUE(options.Check().ok());
  options.name.clear();
  EXPECT_FALSE(options.Check().ok());
}

// Anything, in any order. In the end one leads; no deposed master has ever changed a thing; nobody led
// without a key for longer than the get and its timeout allow.
TEST_F(ElectionTest, RandomFaults) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ManualLoop loop;
    MemoryStore store(loop);
    Reigns reigns(loop);
    std::mt19937 random(seed);
    auto chance = [&](int percent) { return static_cast<int>(random() % 100) < percent; };
    Revision last = 0;
    int late = 0;
    store.Watcher([&](const std::string&, const Transaction& t, Revision) {
      if (t.changes[0].key != "work") return;
      const Revision term = std::stoll(*t.changes[0].value);
      late += term < last;
      last = std::max(last, term);
    });
    bool quiet = false;
    store.OnCommit([&](const std::string&, const Transaction&) {
      if (quiet || !chance(5)) return MemoryStore::Fault{};
      return MemoryStore::Fault{
          .lose_reply = chance(50), .lose_request = chance(30), .late = chance(30) ? 12s : 0s};
    });
    std::map<int, std::unique_ptr<Candidate>> candidates;
    auto begin = [&](int n) {
      candidates[n] = std::make_unique<Candidate>(loop, store.Connect(Name(n)), n, ElectionOptions{}, true,
                                                  reigns.observer());
    };
    for (int n : {1, 2, 3}) begin(n);
    for (int step = 0; step < 60; ++step) {
      const int n = 1 + static_cast<int>(random() % 3);
      switch (random() % 8) {
        case 0:
          store.Cut(Name(n), true);
          break;
        case 1:
          store.Cut(Name(n), false);
          break;
        case 2:
          store.Deafen(Name(n), chance(50));
          break;
        case 3:
          store.SetDown(chance(30));
          break;
        case 4:
          if (chance(30)) store.LapseAll();
          break;
        case 5:
          if (candidates.erase(n)) reigns.Dead(n);
          break;
        case 6:
          if (!candidates.contains(n)) begin(n);
          break;
        default:
          if (!store.leases().empty()) store.Lapse({store.leases()[random() % store.leases().size()]});
      }
      loop.Advance(std::chrono::milliseconds(random() % 6000));
    }
    quiet = true;
    store.SetDown(false);
    for (int n : {1, 2, 3}) {
      store.Cut(Name(n), false);
      store.Deafen(Name(n), false);
      if (!candidates.contains(n)) begin(n);
    }
    loop.Advance(60s);
    EXPECT_NE(reigns.leader(), 0);
    EXPECT_EQ(late, 0);
    EXPECT_EQ(reigns.backwards(), 0);
    for (auto& [n, c] : candidates) EXPECT_EQ(c->election().leader(), Name(reigns.leader()));
    const int leader = reigns.leader(), begun = reigns.begun();
    loop.Advance(60s);
    EXPECT_EQ(reigns.leader(), leader);
    EXPECT_EQ(reigns.begun(), begun);
    if (HasFailure()) return;
  }
}

// ---- On etcd, three members.

class EtcdElection : public testing::Test {
 protected:
  void SetUp() override {
    CURVEFS_NEEDS_ETCD();
    ASSERT_TRUE(etcd_.StartAll().ok());
    options_.election_timeout = 500ms;
    options_.lease_time = 3s;
    options_.periodic_get_time = 500ms;
    options_.get_timeout = 2s;
    for (int n = 1; n <= 3; ++n) {
      Begin(n);
      ASSERT_TRUE(loop_.RunUntil([&] { return candidates_[1]->election().leads(); }, 20s));
      loop_.RunFor(300ms);
    }
  }
  void Begin(int n) {
    auto coordinator = *ConnectEtcd(loop_, {.endpoints = etcd_.endpoints(), .attempt = 1s});
    candidates_[n] =
        std::make_unique<Candidate>(loop_, std::move(coordinator), n, options_, true, reigns_.observer());
  }
  Duration Until(int n, Duration limit) {
    const SteadyTime begin = loop_.clock().Steady();
    EXPECT_TRUE(loop_.RunUntil([&] { return reigns_.leader() == n; }, limit));
    return loop_.clock().Steady() - begin;
  }
  static void Say(const char* what, Duration took) {
    std::printf("%s: %lld ms\n", what, static_cast<long long>(took / 1ms));
  }
  test::PumpedLoop loop_;
  test::EtcdCluster etcd_{{.members = 3}};
  ElectionOptions options_;
  Reigns reigns_{Clock::System()};
  std::map<int, std::unique_ptr<Candidate>> candidates_;
};

TEST_F(EtcdElection, S1AndS2AndS3) {
  // S3: the standby in the middle goes; the one behind it waits for the leader from then on.
  candidates_.erase(2);
  loop_.RunFor(options_.lease_time + 1s);
  EXPECT_EQ(reigns_.leader(), 1);
  EXPECT_EQ(reigns_.begun(), 1);
  // S1
  candidates_[1]->election().Resign(1s, [] {});
  const Duration resigned = Until(3, 10s);
  Say("S1, a leader resigns: the next one leads after", resigned);
  EXPECT_LE(resigned, 2s);
  // S2
  Begin(2);
  loop_.RunFor(1s);
  candidates_.erase(3);
  reigns_.Dead(3);
  const Duration died = Until(2, 20s);
  Say("S2, a leader dies: the next one leads after", died);
  EXPECT_LE(died, options_.lease_time + 3s);
  EXPECT_EQ(reigns_.overlap(), Duration());
}

TEST_F(EtcdElection, S5ANewLeaderOfEtcdChangesNothing) {
  const size_t member = etcd_.Leader();
  ASSERT_LT(member, etcd_.size());
  etcd_.Kill(member);
  loop_.RunFor(8s);
  EXPECT_EQ(reigns_.leader(), 1);
  EXPECT_EQ(reigns_.begun(), 1);
  etcd_.Start(member);
  ASSERT_TRUE(etcd_.AwaitLeader().ok());
  loop_.RunFor(2s);
  EXPECT_EQ(reigns_.leader(), 1);
  EXPECT_EQ(reigns_.begun(), 1);
}

TEST_F(EtcdElection, S8WithoutEtcdNobodyLeads) {
  for (size_t i = 0; i < etcd_.size(); ++i) etcd_.Kill(i);
  const SteadyTime begin = loop_.clock().Steady();
  ASSERT_TRUE(loop_.RunUntil([&] { return reigns_.now().empty(); }, 20s));
  const Duration stopped = loop_.clock().Steady() - begin;
  Say("S8, etcd is gone: the leader stops after", stopped);
  EXPECT_LE(stopped, options_.lease_time + 500ms);
  loop_.RunFor(2s);
  EXPECT_TRUE(reigns_.now().empty());
  for (size_t i = 0; i < etcd_.size(); ++i) etcd_.Start(i);
  const SteadyTime back = loop_.clock().Steady();
  ASSERT_TRUE(loop_.RunUntil([&] { return reigns_.leader() != 0; }, 60s));
  Say("S8, etcd is back: one leads after", loop_.clock().Steady() - back);
  loop_.RunFor(2s);
  EXPECT_EQ(reigns_.now().size(), 1u);
  EXPECT_EQ(reigns_.overlap(), Duration());
}

}  // namespace
}  // namespace curvefs::mds
