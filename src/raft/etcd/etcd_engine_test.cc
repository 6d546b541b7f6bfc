#include "raft/etcd/etcd_engine.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

namespace curvefs::raft {
namespace {

const ReplicaId k1{1}, k2{2}, k3{3};

EngineGroup Fresh(ReplicaId self, Members members) {
  SnapshotMeta base{.index = 1, .term = 1, .members = members};
  return {.self = self,
          .hard = {.term = 1, .commit = 1},
          .applied = 1,
          .members = members,
          .snapshot = base,
          .base = base};
}

Output RunOne(Engine& engine, GroupId group) {
  Output out;
  engine.Run([&](GroupId g, Output& o) {
    if (g == group) out = std::move(o);
  });
  return out;
}

// Acknowledges Ready after Ready until the group is quiet; returns all that were seen.
std::vector<Ready> Settle(Engine& engine, GroupId group, Output first) {
  std::vector<Ready> seen;
  Output out = std::move(first);
  while (out.ready) {
    seen.push_back(std::move(*out.ready));
    engine.Advance(group);
    out = RunOne(engine, group);
  }
  return seen;
}

TEST(EtcdEngine, ASingleVoterElectsItselfAndCommits) {
  auto engine = MakeEtcdEngine();
  GroupId g(7);
  engine->AddGroup(g, Fresh(k1, {.voters = {k1}}));
  engine->Propose(g, 50, 3);
  Output out = RunOne(*engine, g);
  EXPECT_EQ(out.dropped, std::vector<Handle>{50});  // nobody leads yet
  engine->Campaign(g);
  out = RunOne(*engine, g);
  EXPECT_EQ(out.status.role, Role::kLeader);
  EXPECT_EQ(out.status.hard.term, 2u);
  auto ready = Settle(*engine, g, std::move(out));
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_TRUE(ready[0].must_sync);
  ASSERT_EQ(ready[0].entries.size(), 1u);
  EXPECT_EQ(ready[0].entries[0].index, 2u);
  EXPECT_EQ(ready[0].entries[0].handle, 0u);

  engine->Propose(g, 51, 1000);
  engine->Propose(g, 52, 2000);
  out = RunOne(*engine, g);
  ASSERT_EQ(out.ready->entries.size(), 2u);
  EXPECT_EQ(out.ready->entries[1].handle, 52u);
  EXPECT_EQ(out.ready->entries[1].size, 2000u);
  EXPECT_EQ(out.ready->committed.size(), 2u);
  // No second Ready while one is outstanding.
  engine->Propose(g, 53, 1);
  EXPECT_FALSE(RunOne(*engine, g).ready.has_value());
  engine->Advance(g);
  out = RunOne(*engine, g);
  ASSERT_TRUE(out.ready.has_value());
  EXPECT_EQ(out.ready->entries.at(0).handle, 53u);
}

TEST(EtcdEngine, MembersChangeOneAtATimeAsV1) {
  auto engine = MakeEtcdEngine();
  GroupId g(7);
  engine->AddGroup(g, Fresh(k1, {.voters = {k1}}));
  engine->Campaign(g);
  Settle(*engine, g, RunOne(*engine, g));
  MemberChange change{.kind = MemberChange::Kind::kAddLearner, .replica = k2};
  engine->ProposeChange(g, 60, 9, change);
  engine->ProposeChange(g, 61, 9, change);  // one at a time: this one becomes an empty entry
  Output out = RunOne(*engine, g);
  ASSERT_EQ(out.ready->entries.size(), 2u);
  EXPECT_EQ(out.ready->entries[0].kind, EntryKind::kChange);
  EXPECT_EQ(out.ready->entries[0].handle, 60u);
  EXPECT_EQ(out.ready->entries[0].size, 9u);
  EXPECT_EQ(out.ready->entries[1].kind, EntryKind::kData);
  EXPECT_EQ(out.ready->entries[1].handle, 0u);
  engine->ApplyChange(g, out.ready->entries[0].index, change);
  engine->Advance(g);
  out = RunOne(*engine, g);
  EXPECT_EQ(out.members, (Members{.voters = {k1}, .learners = {k2}}));
  // The new replica has nothing, and the log begins at 2: it needs a snapshot, but the one there is does not
  // know it (rule 3).
  auto find_snapshot = [&](std::vector<Ready> all) {
    for (Ready& r : all) {
      for (EngineMessage& m : r.messages) {
        if (m.type == MessageType::kSnapshot) return m.snapshot.index;
      }
    }
    return Index{0};
  };
  Settle(*engine, g, std::move(out));
  Message reject;
  reject.type = MessageType::kAppendReply;
  reject.group = g;
  reject.from = k2;
  reject.to = k1;
  reject.term = 2;
  reject.index = 2;  // where the leader probes: the last index when the learner was added, less one
  reject.reject = true;
  bool wanted = false;
  for (Index probe : {3, 2, 1}) {
    reject.index = probe;
    engine->Step(g, reject, {});
    out = RunOne(*engine, g);
    wanted |= out.wants_snapshot;
    EXPECT_EQ(find_snapshot(Settle(*engine, g, std::move(out))), 0u);
  }
  EXPECT_TRUE(wanted);
  engine->SnapshotMade(g, {.index = 4, .term = 2, .members = {.voters = {k1}, .learners = {k2}}});
  engine->Compact(g, 4);
  for (int i = 0; i < 3; ++i) engine->Tick(g);
  reject.type = MessageType::kHeartbeatReply;
  reject.reject = false;
  engine->Step(g, reject, {});
  out = RunOne(*engine, g);
  EXPECT_EQ(find_snapshot(Settle(*engine, g, std::move(out))), 4u);
}

TEST(EtcdEngine, AFollowerTakesEntriesByHandleAndGivesThemByIndex) {
  auto engine = MakeEtcdEngine();
  GroupId g(7);
  engine->AddGroup(g, Fresh(k1, {.voters = {k1, k2, k3}}));
  Message append;
  append.type = MessageType::kAppend;
  append.group = g;
  append.from = k2;
  append.to = k1;
  append.term = 2;
  append.log_term = 1;
  append.index = 1;
  append.entries = {{.term = 2, .index = 2, .payload = MakePayload("xyz")},
                    {.term = 2, .index = 3, .kind = EntryKind::kChange, .payload = MakePayload("change")}};
  std::vector<Handle> handles{70, 71};
  engine->Step(g, append, handles);
  Output out = RunOne(*engine, g);
  EXPECT_EQ(out.status.leader, k2);
  ASSERT_EQ(out.ready->entries.size(), 2u);
  EXPECT_EQ(out.ready->entries[0].handle, 70u);
  EXPECT_EQ(out.ready->entries[0].size, 3u);
  EXPECT_EQ(out.ready->entries[1].handle, 71u);
  EXPECT_EQ(out.ready->entries[1].kind, EntryKind::kChange);
  ASSERT_EQ(out.ready->messages.size(), 1u);
  EXPECT_EQ(out.ready->messages[0].type, MessageType::kAppendReply);
  EXPECT_EQ(out.ready->messages[0].index, 3u);
  engine->Advance(g);
  Settle(*engine, g, RunOne(*engine, g));
  append.commit = 3;
  append.index = 3;
  append.log_term = 2;
  append.entries.clear();
  engine->Step(g, append, {});
  out = RunOne(*engine, g);
  ASSERT_EQ(out.ready->committed.size(), 2u);
  EXPECT_EQ(out.ready->committed[0].handle, 0u);
  EXPECT_FALSE(out.ready->must_sync);  // how far it is committed need not be durable
}

// What only a leader may be asked, asked of one that has just been deposed: the engine would pass it on to
// the new leader in a message of a kind that we do not send, the question with its context in place of a
// payload.
TEST(EtcdEngine, AFollowerPassesNothingOn) {
  auto engine = MakeEtcdEngine();
  GroupId g(7);
  engine->AddGroup(g, Fresh(k1, {.voters = {k1, k2, k3}}));
  Message heartbeat;
  heartbeat.type = MessageType::kHeartbeat;
  heartbeat.group = g;
  heartbeat.from = k2;
  heartbeat.to = k1;
  heartbeat.term = 2;
  engine->Step(g, heartbeat, {});
  engine->ReadIndex(g, "12345678");
  engine->TransferLeader(g, k3);
  Output out = RunOne(*engine, g);
  EXPECT_EQ(out.panic, "");
  EXPECT_EQ(out.status.leader, k2);
  for (const Ready& ready : Settle(*engine, g, std::move(out))) {
    EXPECT_TRUE(ready.reads.empty());
    for (const EngineMessage& m : ready.messages) EXPECT_EQ(m.type, MessageType::kHeartbeatReply);
  }
}

TEST(EtcdEngine, RestartsFromItsLog) {
  auto engine = MakeEtcdEngine();
  GroupId g(7);
  EngineGroup state = Fresh(k1, {.voters = {k1}});
  state.hard = {.term = 5, .vote = k1, .commit = 3};
  state.log = {
      {.term = 4, .index = 2, .size = 10}, {.term = 5, .index = 3, .size = 10}, {.term = 5, .index = 4}};
  state.applied = 2;
  engine->AddGroup(g, state);
  Output out = RunOne(*engine, g);
  ASSERT_TRUE(out.ready.has_value());
  ASSERT_EQ(out.ready->committed.size(), 1u);
  EXPECT_EQ(out.ready->committed[0].index, 3u);
  EXPECT_EQ(out.status.hard, state.hard);
}

// Rule 2, at the last place that can keep it.
TEST(EtcdEngine, ASnapshotDuringAReadyIsRefused) {
  auto engine = MakeEtcdEngine();
  GroupId g(7);
  engine->AddGroup(g, Fresh(k1, {.voters = {k1, k2, k3}}));
  engine->Campaign(g);
  ASSERT_TRUE(RunOne(*engine, g).ready.has_value());
  Message snapshot;
  snapshot.type = MessageType::kSnapshot;
  snapshot.group = g;
  snapshot.from = k2;
  snapshot.to = k1;
  snapshot.term = 3;
  snapshot.snapshot = {.index = 9, .term = 2, .members = {.voters = {k1, k2, k3}}};
  engine->Step(g, snapshot, {});
  EXPECT_NE(RunOne(*engine, g).panic.find("outstanding"), std::string::npos);
}

// Rule 8.
TEST(EtcdEngine, APanicStopsItsGroupAndNoOther) {
  auto engine = MakeEtcdEngine();
  engine->AddGroup(GroupId(1), Fresh(k1, {.voters = {k1}}));
  engine->AddGroup(GroupId(2), Fresh(k1, {.voters = {k1}}));
  PanicForTest(*engine, GroupId(1));
  engine->Campaign(GroupId(1));
  engine->Campaign(GroupId(2));
  std::map<GroupId, Output> outs;
  engine->Run([&](GroupId g, Output& out) { outs[g] = std::move(out); });
  EXPECT_EQ(outs[GroupId(1)].panic, "asked to");
  EXPECT_EQ(outs[GroupId(2)].panic, "");
  EXPECT_EQ(outs[GroupId(2)].status.role, Role::kLeader);
  engine->Tick(GroupId(1));
  EXPECT_FALSE(RunOne(*engine, GroupId(1)).panic.empty());
  // A state that makes no sense is a panic too.
  EngineGroup broken = Fresh(k1, {.voters = {k1}});
  broken.applied = 99;
  engine->AddGroup(GroupId(3), broken);
  EXPECT_NE(RunOne(*engine, GroupId(3)).panic.find("out of range"), std::string::npos);
  engine->RemoveGroup(GroupId(1));
  engine->AddGroup(GroupId(1), Fresh(k1, {.voters = {k1}}));
  engine->Campaign(GroupId(1));
  EXPECT_EQ(RunOne(*engine, GroupId(1)).status.role, Role::kLeader);
}

// Rule 4: which tick starts an election depends on the seed alone.
TEST(EtcdEngine, ElectionsFollowTheSeed) {
  auto ticks_to_stand = [](int64_t seed) {
    SeedEtcdEngines(seed);
    std::vector<int> ticks;
    auto engine = MakeEtcdEngine();
    for (uint64_t i = 1; i <= 20; ++i) {
      GroupId g(i);
      engine->AddGroup(g, Fresh(k1, {.voters = {k1, k2, k3}}));
      for (int n = 1;; ++n) {
        engine->Tick(g);
        Output out = RunOne(*engine, g);
        if (out.status.role != Role::kPreCandidate) continue;  // rule 4: pre-vote is on
        EXPECT_EQ(out.ready->messages.at(0).type, MessageType::kPreVote);
        ticks.push_back(n);
        break;
      }
    }
    return ticks;
  };
  auto first = ticks_to_stand(1);
  EXPECT_EQ(first, ticks_to_stand(1));
  EXPECT_NE(first, ticks_to_stand(2));
  for (int n : first) EXPECT_TRUE(n >= 10 && n < 20) << n;
}

// Rule 4: check-quorum is on.
TEST(EtcdEngine, ALeaderWithoutAQuorumStepsDown) {
  auto engine = MakeEtcdEngine();
  GroupId g(7);
  engine->AddGroup(g, Fresh(k1, {.voters = {k1, k2}}));
  engine->Campaign(g);
  Settle(*engine, g, RunOne(*engine, g));
  Message vote;
  vote.group = g;
  vote.from = k2;
  vote.to = k1;
  vote.term = 2;
  vote.type = MessageType::kPreVoteReply;
  engine->Step(g, vote, {});
  Settle(*engine, g, RunOne(*engine, g));
  vote.type = MessageType::kVoteReply;
  engine->Step(g, vote, {});
  Output out = RunOne(*engine, g);
  EXPECT_EQ(out.status.role, Role::kLeader);
  Settle(*engine, g, std::move(out));
  Role role = Role::kLeader;
  for (int i = 0; i < 40 && role == Role::kLeader; ++i) {
    engine->Tick(g);
    out = RunOne(*engine, g);
    role = out.status.role;
    Settle(*engine, g, std::move(out));
  }
  EXPECT_NE(role, Role::kLeader);
}

TEST(EtcdEngine, ResultsLargerThanTheBuffer) {
  auto engine = MakeEtcdEngine();
  GroupId g(7);
  engine->AddGroup(g, Fresh(k1, {.voters = {k1}}));
  engine->Campaign(g);
  Settle(*engine, g, RunOne(*engine, g));
  for (Handle h = 100; h < 20100; ++h) engine->Propose(g, h, 1);
  Output out = RunOne(*engine, g);
  ASSERT_EQ(out.ready->entries.size(), 20000u);
  EXPECT_EQ(out.ready->entries.back().handle, 20099u);
}

// Rule 6.
TEST(EtcdEngine, RunsOnAThreadOfTheRuntime) {
  std::mutex mu;
  std::condition_variable changed;
  bool done = false;
  Role role = Role::kFollower;
  StartEngineThread([&] {
    auto engine = MakeEtcdEngine();
    engine->AddGroup(GroupId(1), Fresh(k1, {.voters = {k1}}));
    engine->Campaign(GroupId(1));
    Role now = RunOne(*engine, GroupId(1)).status.role;
    std::lock_guard lock(mu);
    role = now;
    done = true;
    changed.notify_one();
  });
  std::unique_lock lock(mu);
  changed.wait(lock, [&] { return done; });
  EXPECT_EQ(role, Role::kLeader);
}

}  // namespace
}  // namespace curvefs::raft
