// Groups that sleep (group_sleep.cc), one replica at a time; whole groups are in test/sim.
#include "raft/etcd/host_fixture_test.h"

namespace curvefs::raft {
namespace {

class SleepTest : public HostTest {
 protected:
  void Ticks(int n) {
    for (int i = 0; i < n; ++i) {
      host->Tick();
      Settle();
    }
  }
  // Replica 1 leads, and the others have all it has.
  Group* LeadTwoWhoKeepUp(FakeMachine& machine) {
    transport.heard = {k2, k3};
    Group* group = Lead(machine);
    Ack(k2, 2);
    Ack(k3, 2);
    return group;
  }
  // One election timeout with answers: check-quorum wants them.
  void TicksWithAnswers(int n) {
    for (int i = 0; i < n; ++i) {
      for (const ReplicaId follower : {k2, k3})
        host->Receive(From(follower, MessageType::kHeartbeatReply, 2));
      Ticks(1);
    }
  }
  Group* FallAsleep(FakeMachine& machine) {
    Group* group = LeadTwoWhoKeepUp(machine);
    TicksWithAnswers(2 * kTimeout);
    EXPECT_TRUE(group->status().asleep);
    transport.messages.clear();
    return group;
  }
  // Replica 1 follows replica 2, and is told to sleep.
  Group* FollowAsleep(FakeMachine& machine) {
    transport.heard = {k2};
    Group* group = Create(kGroup, machine);
    host->Receive(From(k2, MessageType::kHeartbeat, 2));
    Settle();
    host->Receive(SleepBeat());
    Settle();
    EXPECT_TRUE(group->status().asleep);
    transport.messages.clear();
    return group;
  }
  Message SleepBeat() {
    Message beat = From(k2, MessageType::kHeartbeat, 2);
    beat.commit = 1;
    beat.sleep = true;
    return beat;
  }
  static constexpr int kTimeout = 10;
};

TEST_F(SleepTest, ALeaderWithNothingToDoSaysSoAndIsSilent) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = LeadTwoWhoKeepUp(machine);
  TicksWithAnswers(kTimeout - 1);
  EXPECT_FALSE(group->status().asleep) << "not at once";
  TicksWithAnswers(kTimeout + 1);
  ASSERT_TRUE(group->status().asleep);
  size_t told = 0;
  for (const Message& m : transport.messages) {
    told += m.sleep;
    EXPECT_EQ(m.sleep ? m.commit : 2u, 2u);
  }
  EXPECT_EQ(told, 2u);
  transport.messages.clear();
  Ticks(10 * kTimeout);
  EXPECT_TRUE(transport.messages.empty());
  EXPECT_TRUE(group->leads()) << "and nobody's silence takes the leadership from it";
}

TEST_F(SleepTest, ALeaderSleepsOnlyWhileAllAreThereAndHaveAll) {
  FakeMachine machine(First({k1, k2, k3}));
  transport.heard = {k2, k3};
  Group* group = Lead(machine);
  Ack(k2, 2);  // k3 has nothing
  TicksWithAnswers(3 * kTimeout);
  EXPECT_FALSE(group->status().asleep);
  Ack(k3, 2);
  transport.heard = {k2};
  TicksWithAnswers(3 * kTimeout);
  EXPECT_FALSE(group->status().asleep);
  transport.heard = {k2, k3};
  TicksWithAnswers(3 * kTimeout);
  EXPECT_TRUE(group->status().asleep);
  transport.heard = {k3};
  Ticks(1);
  EXPECT_FALSE(group->status().asleep);
  EXPECT_EQ(transport.Count(MessageType::kTimeoutNow), 0u);
}

TEST_F(SleepTest, AnythingWakesALeader) {
  using Way = std::function<void(Group*)>;
  const std::vector<std::pair<const char*, Way>> ways = {
      {"a proposal", [](Group* g) { (void)g->Propose(MakePayload("x"), [](Result<Index>) {}); }},
      {"a read", [](Group* g) { g->Read([](Status) {}); }},
      {"a change",
       [](Group* g) {
         g->ChangeMembers({.kind = MemberChange::Kind::kRemove, .replica = k3}, [](Result<Index>) {});
       }},
      {"a transfer", [](Group* g) { (void)g->TransferLeadership(k2); }},
      {"a member's pre-vote", [&](Group*) { host->Receive(From(k3, MessageType::kPreVote, 3)); }},
      {"a member's process is another", [&](Group*) { host->ReportUnreachable(kGroup, k3); }},
  };
  for (const auto& [what, way] : ways) {
    FakeMachine machine(First({k1, k2, k3}));
    Group* group = FallAsleep(machine);
    host->Receive(From(k2, MessageType::kHeartbeatReply, 2));
    Settle();
    EXPECT_TRUE(group->status().asleep) << "answers to the last beat do not wake";
    way(group);
    Settle();
    EXPECT_FALSE(group->status().asleep) << what;
    Ticks(1);
    EXPECT_GT(transport.messages.size(), 0u) << what;
    ASSERT_TRUE(host->Destroy(kGroup).ok());
    Settle();
  }
}

TEST_F(SleepTest, ALeaderThatIsClosedWakesTheOthers) {
  FakeMachine machine(First({k1, k2, k3}));
  FallAsleep(machine);
  host->Close(kGroup);
  ASSERT_EQ(transport.messages.size(), 2u);
  for (const Message& m : transport.messages) {
    EXPECT_EQ(m.type, MessageType::kHeartbeat);
    EXPECT_FALSE(m.sleep);
  }
}

TEST_F(SleepTest, AFollowerStandsWhenItsLeaderIsNotHeard) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = FollowAsleep(machine);
  Ticks(10 * kTimeout);
  EXPECT_TRUE(transport.messages.empty());
  transport.heard.clear();
  Ticks(2 * kTimeout);
  EXPECT_FALSE(group->status().asleep);
  EXPECT_EQ(transport.Count(MessageType::kPreVote), 2u);
}

TEST_F(SleepTest, AFollowerStandsWhenItsLeadersProcessIsAnother) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = FollowAsleep(machine);
  host->ReportUnreachable(kGroup, k3);
  EXPECT_TRUE(group->status().asleep) << "that is not its leader";
  host->ReportUnreachable(kGroup, k2);
  Ticks(2 * kTimeout);
  EXPECT_FALSE(group->status().asleep);
  EXPECT_EQ(transport.Count(MessageType::kPreVote), 2u);
}

TEST_F(SleepTest, WhoAsksAFollowerWakesIt) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = FollowAsleep(machine);
  EXPECT_EQ(group->Propose(MakePayload("x"), [](Result<Index>) {}).code(), Code::kNotLeader);
  EXPECT_FALSE(group->status().asleep);
}

TEST_F(SleepTest, AFollowerIsNotToldToSleepByAnybody) {
  FakeMachine machine(First({k1, k2, k3}));
  transport.heard = {k2, k3};
  Group* group = Create(kGroup, machine);
  host->Receive(SleepBeat());
  Settle();
  EXPECT_FALSE(group->status().asleep) << "by a leader that it does not know";
  Message beat = SleepBeat();
  beat.from = k3;
  host->Receive(beat);
  Settle();
  EXPECT_FALSE(group->status().asleep) << "by another than its leader";
  beat = SleepBeat();
  beat.commit = 0;
  host->Receive(beat);
  Settle();
  EXPECT_FALSE(group->status().asleep) << "when it has something else than the leader";
  transport.heard = {k3};
  host->Receive(SleepBeat());
  Settle();
  EXPECT_FALSE(group->status().asleep) << "by somebody that it does not hear";
  transport.heard = {k2};
  host->Receive(SleepBeat());
  Settle();
  EXPECT_TRUE(group->status().asleep);
  host->Receive(From(k2, MessageType::kHeartbeat, 2));
  Settle();
  EXPECT_FALSE(group->status().asleep) << "the leader has something to do";
}

TEST_F(SleepTest, AGroupOfOneSleeps) {
  FakeMachine machine(First({k1}));
  Group* group = Create(kGroup, machine);
  Ticks(5 * kTimeout);
  ASSERT_TRUE(group->leads());
  EXPECT_TRUE(group->status().asleep);
  Index at = 0;
  ASSERT_TRUE(group->Propose(MakePayload("x"), [&](Result<Index> r) { at = r.value_or(0); }).ok());
  Settle();
  EXPECT_GT(at, 0u);
}

}  // namespace
}  // namespace curvefs::raft
