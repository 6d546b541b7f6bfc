// Stories of whole groups, each told on purpose: elections, changes of members, snapshots, transfers.
#include <gtest/gtest.h>

#include "test/sim/world.h"

namespace curvefs::sim {
namespace {

using enum raft::MemberChange::Kind;

class Story : public testing::Test {
 protected:
  void Begin(WorldOptions options) {
    world = std::make_unique<World>(options);
    group = world->group(0);
    ASSERT_TRUE(world->RunUntil([&] { return world->leader(group) >= 0; }));
  }
  void TearDown() override {
    if (!world) return;
    EXPECT_EQ(world->failure(), "");
  }
  size_t Leader() { return static_cast<size_t>(world->leader(group)); }
  raft::Group* LeaderGroup() { return world->replica(group, Leader()); }
  // Writes through the leader until one succeeds.
  void WriteSome(int n) {
    for (int i = 0; i < n; ++i) {
      bool done = false, waiting = false;
      ASSERT_TRUE(world->RunUntil([&] {
        if (done || waiting) return done;
        if (world->leader(group) < 0) return false;
        waiting = true;
        world->Write(group, Leader(), static_cast<uint64_t>(i % 3), [&](const Status& s) {
          done = s.ok();
          waiting = false;
        });
        return false;
      }));
    }
  }
  Result<Index> Change(raft::MemberChange::Kind kind, ReplicaId replica) {
    std::optional<Result<Index>> result;
    LeaderGroup()->ChangeMembers({.kind = kind, .replica = replica}, [&](Result<Index> r) { result = r; });
    world->Run(10 * kMillisecond);
    EXPECT_TRUE(world->RunUntil([&] { return result.has_value(); }));
    return result.value_or(std::unexpected(Status(Code::kTimedOut)));
  }
  // Until it has worked: promotion waits for the learner.
  void ChangeUntilDone(raft::MemberChange::Kind kind, ReplicaId replica) {
    ASSERT_TRUE(world->RunUntil([&] { return Change(kind, replica).has_value(); }));
  }
  bool Settled() {
    return world->RunUntil([&] {
      int leader = world->leader(group);
      if (leader < 0) return false;
      raft::GroupStatus wanted = world->replica(group, static_cast<size_t>(leader))->status();
      for (size_t i = 0; i < world->options().machines; ++i) {
        raft::Group* g = world->replica(group, i);
        if (g && wanted.members.Contains(g->status().self) && g->status().applied != wanted.applied)
          return false;
      }
      return true;
    });
  }

  std::unique_ptr<World> world;
  GroupId group;
};

// Rule 4: pre-vote.
TEST_F(Story, AReplicaThatWasAwayDoesNotDisturb) {
  Begin({});
  WriteSome(5);
  const size_t leader = Leader();
  const Term term = LeaderGroup()->status().term;
  world->Isolate((leader + 1) % 3, true);
  world->Run(20 * kSecond);
  world->HealNetwork();
  world->Run(3 * kSecond);
  EXPECT_EQ(Leader(), leader);
  EXPECT_EQ(LeaderGroup()->status().term, term);
  WriteSome(1);
}

// Rule 4: check-quorum. What waits gets "unknown", reads "elsewhere"; the others go on.
TEST_F(Story, ALeaderThatIsCutOffStepsDown) {
  Begin({});
  WriteSome(5);
  const size_t old = Leader();
  world->Isolate(old, true);
  Code write = Code::kOk, read = Code::kOk;
  world->Write(group, old, 1, [&](const Status& s) { write = s.code(); });
  world->Read(group, old, 1, [&](const Status& s) { read = s.code(); });
  ASSERT_TRUE(world->RunUntil([&] { return !world->replica(group, old)->leads(); }, 3 * kSecond));
  EXPECT_EQ(write, Code::kTimedOut);
  EXPECT_EQ(read, Code::kNotLeader);
  WriteSome(5);
  EXPECT_NE(Leader(), old);
  world->HealNetwork();
  ASSERT_TRUE(Settled());
  world->CheckSettled(group);
  world->CheckHistory(group);
}

TEST_F(Story, AnotherLeadsWithinTwoSeconds) {
  Begin({});
  WriteSome(5);
  Time before = world->now();
  world->Crash(Leader());
  WriteSome(1);
  EXPECT_LT(world->now() - before, 2 * kSecond);
}

TEST_F(Story, EverythingIsThereAfterAllFell) {
  Begin({});
  WriteSome(100);  // with snapshots in between
  for (size_t i = 0; i < 3; ++i) world->Crash(i);
  for (size_t i = 0; i < 3; ++i) world->Start(i);
  WriteSome(1);
  ASSERT_TRUE(Settled());
  world->CheckSettled(group);
}

TEST_F(Story, WhoLagsFarBehindGetsASnapshot) {
  Begin({.raft = {.snapshot_entries = 30, .keep_entries = 5, .transfer = {.chunk_bytes = 16}}});
  const size_t away = (Leader() + 1) % 3;
  world->Crash(away);
  WriteSome(100);
  world->Start(away);
  ASSERT_TRUE(Settled());
  EXPECT_GE(world->snapshots_installed(), 1u);
  EXPECT_GE(world->snapshot_chunks(), 4u);  // in pieces
  world->CheckSettled(group);
}

TEST_F(Story, ASnapshotArrivesOverABadNetwork) {
  Begin({.raft = {
             .snapshot_entries = 30, .keep_entries = 5, .transfer = {.chunk_bytes = 8, .retry_ticks = 2}}});
  const size_t away = (Leader() + 1) % 3;
  world->Crash(away);
  WriteSome(100);
  world->options().loss_percent = 20;
  world->options().duplicate_percent = 20;
  world->Start(away);
  ASSERT_TRUE(world->RunUntil([&] { return world->snapshots_installed() > 0; }));
  world->SetCalm();
  ASSERT_TRUE(Settled());
}

// Rule 3: learner first; a fresh snapshot for it, since the old one does not know it.
TEST_F(Story, AReplicaIsReplaced) {
  Begin({.machines = 4, .raft = {.snapshot_entries = 30, .keep_entries = 5, .promote_lag = 5}});
  WriteSome(80);
  const Index old_snapshot = LeaderGroup()->status().snapshot;
  const size_t leaving = (Leader() + 1) % 3;
  ReplicaId fresh = world->Join(group, 3);
  EXPECT_EQ(Change(kPromote, fresh).error().code(), Code::kInvalid);  // not before it is a learner
  auto added = Change(kAddLearner, fresh);
  ASSERT_TRUE(added.has_value());
  ASSERT_TRUE(world->RunUntil([&] { return world->snapshots_installed() == 1; }));
  EXPECT_GE(world->replica(group, 3)->status().snapshot, *added);
  EXPECT_GT(*added, old_snapshot);
  ChangeUntilDone(kPromote, fresh);
  ChangeUntilDone(kRemove, world->replica_on(group, leaving));
  ASSERT_TRUE(world->RunUntil([&] { return world->WasRemoved(group, leaving); }));
  world->Leave(group, leaving);
  WriteSome(10);
  ASSERT_TRUE(Settled());
  world->CheckSettled(group);
  EXPECT_TRUE(LeaderGroup()->status().members.IsVoter(fresh));
  EXPECT_EQ(LeaderGroup()->status().members.voters.size(), 3u);
  // The new one counts: with it, one of the old may fail.
  world->Crash(Leader() == 3 ? (leaving + 1) % 3 : Leader());
  WriteSome(3);
}

TEST_F(Story, LeadershipIsTransferred) {
  Begin({});
  WriteSome(5);
  const size_t target = (Leader() + 1) % 3;
  EXPECT_EQ(LeaderGroup()->TransferLeadership(ReplicaId(99)).code(), Code::kInvalid);
  EXPECT_EQ(world->replica(group, target)->TransferLeadership(ReplicaId(1)).code(), Code::kNotLeader);
  ASSERT_TRUE(LeaderGroup()->TransferLeadership(world->replica_on(group, target)).ok());
  ASSERT_TRUE(world->RunUntil([&] { return world->leader(group) == static_cast<int>(target); }, kSecond));
  WriteSome(5);
}

// Rule 3: the leader before it proposed to remove it; it commits that itself, hands over, and ends.
TEST_F(Story, ALeaderThatWasRemovedHandsOver) {
  Begin({});
  WriteSome(5);
  const size_t first = Leader(), second = (first + 1) % 3, third = (first + 2) % 3;
  // The first leader's proposal reaches only the second, and no answer comes back.
  world->Cut(first, third, true);
  world->Cut(second, first, true);
  LeaderGroup()->ChangeMembers({.kind = kRemove, .replica = world->replica_on(group, second)},
                               [](Result<Index>) {});
  world->replica(group, first)->status();
  world->Run(200 * kMillisecond);
  EXPECT_GT(world->replica(group, second)->status().last, world->replica(group, second)->status().applied);
  world->Crash(first);
  world->HealNetwork();
  ASSERT_TRUE(world->RunUntil([&] { return world->replica(group, second)->status().removed; }))
      << "the second, whose log is longer, leads, commits its own removal and goes";
  world->Start(first);
  WriteSome(5);
  EXPECT_NE(Leader(), second);
  EXPECT_EQ(LeaderGroup()->status().members.voters.size(), 2u);
}

// ---- Leases (docs/adr/0009): each story ends with a read at the old leader while another leads already.

class LeaseStory : public Story {
 protected:
  void Begin(raft::Canary canary) {
    Story::Begin({.seed = 3, .raft = {.canary = canary}, .clock_drift_percent = 0, .lease = true});
    world->Run(2 * kSecond);  // so that all have been up for long
    old = Leader();
    a = (old + 1) % 3;
    b = (old + 2) % 3;
    WriteSome(5);
  }
  // The old leader gets its lease; from a quorum without b, if b is cut off.
  void GetLease() {
    for (int i = 0; i < 2; ++i) {
      world->Read(group, old, 0);
      world->Run(10 * kMillisecond);
    }
  }
  // Once another leads, and has written: what does the old one say?
  std::string StaleRead(size_t next) {
    const bool led =
        world->RunUntil([&] { return world->replica(group, next) && world->replica(group, next)->leads(); },
                        200 * kMillisecond);
    if (led) {
      bool written = false;
      world->Write(group, next, 0, [&](const Status& s) { written = s.ok(); });
      world->RunUntil([&] { return written; }, 50 * kMillisecond);
    }
    world->Read(group, old, 0);
    world->Run(20 * kMillisecond);
    return FindViolation(world->history(group));
  }
  size_t old = 0, a = 0, b = 0;
};

class LeaseTransfer : public LeaseStory, public testing::WithParamInterface<bool> {};
TEST_P(LeaseTransfer, EndsTheLease) {
  const bool broken = GetParam();
  Begin(broken ? raft::Canary::kLeaseOverTransfer : raft::Canary::kNone);
  GetLease();
  ASSERT_TRUE(LeaderGroup()->TransferLeadership(world->replica_on(group, a)).ok());
  world->Pump(old);
  // The old leader hears nothing any more.
  world->Cut(a, old, true);
  world->Cut(b, old, true);
  const std::string wrong = StaleRead(a);
  EXPECT_TRUE(world->replica(group, a)->leads());
  EXPECT_EQ(!wrong.empty(), broken) << wrong;
}
INSTANTIATE_TEST_SUITE_P(AndItsCanary, LeaseTransfer, testing::Bool());

// Within the bound of drift, and beyond it.
class LeaseDrift : public LeaseStory, public testing::WithParamInterface<bool> {};
TEST_P(LeaseDrift, IsReckonedWith) {
  const bool beyond = GetParam();
  Begin(raft::Canary::kNone);
  world->SetClockRate(old, beyond ? 0.5 : 0.9);
  world->SetClockRate(a, beyond ? 2 : 1.1);
  world->SetClockRate(b, beyond ? 2 : 1.1);
  world->Run(kSecond);
  ASSERT_EQ(Leader(), old);
  GetLease();
  world->Isolate(old, true);
  ASSERT_TRUE(world->RunUntil([&] { return world->leader(group) >= 0 && Leader() != old; }, 5 * kSecond));
  const std::string wrong = StaleRead(Leader());
  EXPECT_EQ(!wrong.empty(), beyond) << wrong;
}
INSTANTIATE_TEST_SUITE_P(AndItsCanary, LeaseDrift, testing::Bool());

class LeaseRestart : public LeaseStory, public testing::WithParamInterface<bool> {};
TEST_P(LeaseRestart, IsRemembered) {
  const bool broken = GetParam();
  Begin(broken ? raft::Canary::kVoteAfterRestart : raft::Canary::kNone);
  world->Cut(old, b, true);
  world->Cut(b, old, true);
  world->Run(kSecond);  // b would like to lead, a does not let it
  GetLease();
  world->Crash(a);
  world->Start(a);
  world->Isolate(old, true);
  for (int i = 0; i < 5; ++i) {
    world->Campaign(group, b);
    world->Run(5 * kMillisecond);
  }
  const std::string wrong = StaleRead(b);
  EXPECT_EQ(!wrong.empty(), broken) << wrong;
}
INSTANTIATE_TEST_SUITE_P(AndItsCanary, LeaseRestart, testing::Bool());

// Idle groups: what is lost, cut off or powered down, somebody leads again.
class SleepStory : public Story, public testing::WithParamInterface<bool> {
 protected:
  // All replicas are asleep, and nothing is on its way.
  void BeginAsleep(WorldOptions options) {
    Begin(options);
    WriteSome(3);
    ASSERT_TRUE(world->RunUntil([&] { return AsleepNow() == 3; }));
  }
  size_t AsleepNow() {
    size_t n = 0;
    for (size_t i = 0; i < 3; ++i) {
      raft::Group* g = world->replica(group, i);
      n += g && g->status().asleep;
    }
    return n;
  }
  bool AnotherLeads(size_t than, Time limit) {
    return world->RunUntil(
        [&] {
          for (size_t i = 0; i < 3; ++i) {
            raft::Group* g = world->replica(group, i);
            if (i != than && g && g->leads()) return true;
          }
          return false;
        },
        limit);
  }
};

TEST_P(SleepStory, ALeaderThatIsCutOffIsMissed) {
  const bool broken = GetParam();
  WorldOptions options;
  if (broken) options.raft.canary = raft::Canary::kSleepOn;
  BeginAsleep(options);
  const size_t old = Leader();
  world->Isolate(old, true);
  EXPECT_EQ(AnotherLeads(old, 2 * kSecond), !broken);
}
INSTANTIATE_TEST_SUITE_P(AndItsCanary, SleepStory, testing::Bool());

TEST_F(SleepStory, ALeaderThatFellIsMissed) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    BeginAsleep({.seed = seed});
    const size_t old = Leader();
    world->Crash(old);
    EXPECT_TRUE(AnotherLeads(old, 2 * kSecond)) << seed;
  }
}

TEST_F(SleepStory, ALeaderThatFellAndRoseUnnoticedIsFollowedByAnother) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    BeginAsleep({.seed = seed});
    world->Crash(Leader());
    world->Run(kMillisecond);
    for (size_t i = 0; i < 3; ++i) world->Start(i);
    EXPECT_TRUE(world->RunUntil([&] { return world->leader(group) >= 0; }, 2 * kSecond)) << seed;
  }
}

TEST_F(SleepStory, WhoDidNotHearThatAllSleepDisturbsNobodyForLong) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Begin({.seed = seed, .loss_percent = 50});
    const Time limit = 60 * kSecond;
    ASSERT_TRUE(world->RunUntil([&] { return AsleepNow() > 0; }, limit)) << seed;
    world->SetCalm();
    ASSERT_TRUE(world->RunUntil([&] { return AsleepNow() == 3; }, limit)) << seed;
    const Term term = LeaderGroup()->status().term;
    world->Run(10 * kSecond);
    EXPECT_EQ(AsleepNow(), 3u);
    EXPECT_EQ(LeaderGroup()->status().term, term);
  }
}

TEST_F(SleepStory, WhatIsWrittenWakesAll) {
  BeginAsleep({});
  for (int i = 0; i < 5; ++i) {
    WriteSome(1);
    EXPECT_TRUE(Settled());
    ASSERT_TRUE(world->RunUntil([&] { return AsleepNow() == 3; }));
  }
  world->CheckSettled(group);
}

// Followers that sleep are nothing without their leader's process, and a leader that slept is none that was
// cut off.
TEST_F(SleepStory, AReadAfterSleepIsNotStale) {
  WorldOptions options;
  options.lease = true;
  BeginAsleep(options);
  const size_t old = Leader();
  world->Isolate(old, true);
  ASSERT_TRUE(AnotherLeads(old, 2 * kSecond));
  WriteSome(3);
  std::optional<Status> answer;
  world->Read(group, old, 0, [&](const Status& s) { answer = s; });
  world->Run(5 * kSecond);
  EXPECT_TRUE(!answer || !answer->ok()) << "it leads no more";
  world->CheckHistory(group);
}

TEST_F(Story, IdleGroupsSayNothing) {
  Begin({.groups = 10});
  world->Run(5 * kSecond);
  const uint64_t before = world->messages();
  world->Run(100 * kSecond);
  EXPECT_EQ(world->messages() - before, 0u);
}

TEST_F(Story, IdleGroupsThatDoNotSleepSayLittle) {
  Begin({.groups = 10, .raft = {.election_ticks = 10, .heartbeat_ticks = 5}, .sleep = false});
  world->Run(3 * kSecond);
  uint64_t before = world->messages();
  world->Run(10 * kSecond);
  // Heartbeats and their answers: 2 followers, 4 per second.
  EXPECT_LE(world->messages() - before, 10u * 2 * 2 * 4 * 10 * 12 / 10);
}

}  // namespace
}  // namespace curvefs::sim
