#include "raft/etcd/host_fixture_test.h"

namespace curvefs::raft {
namespace {

// Rule 1: hard state and entries are durable before a message that depends on them goes out.
TEST_F(HostTest, NothingIsSentBeforeItIsDurable) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  group->Campaign();
  host->Pump();
  EXPECT_EQ(transport.Count(MessageType::kPreVote), 2u);  // depends on nothing new
  host->Receive(From(k2, MessageType::kPreVoteReply, 2));
  host->Pump();
  EXPECT_EQ(transport.Count(MessageType::kVote), 0u);  // the vote for itself is not durable
  ASSERT_TRUE(syncer.Finish(false));                   // and a failed sync does not make it so
  host->Pump();
  EXPECT_EQ(transport.Count(MessageType::kVote), 0u);
  host->Tick();
  host->Pump();
  ASSERT_TRUE(syncer.Finish());
  EXPECT_EQ(transport.Count(MessageType::kVote), 2u);
  host->Receive(From(k2, MessageType::kVoteReply, 2));
  host->Pump();
  EXPECT_EQ(transport.Count(MessageType::kAppend), 2u);  // does not depend on the leader's own copy
  ASSERT_TRUE(syncer.Finish());
  // What was sent is there after a crash.
  host.reset();
  log.reset();
  disk.Crash(1, SimDisk::Keep::kNothing);
  OpenLog();
  EXPECT_EQ(log->Info(kGroup)->hard.vote, k1);
  EXPECT_EQ(log->Info(kGroup)->hard.term, 2u);
  EXPECT_EQ(log->Info(kGroup)->last, 2u);
}

// Rule 1, the fine print: a leader's appends go out while it syncs, but what its own copy helps to commit is
// neither applied nor acknowledged nor told to anybody before that copy is durable.
TEST_F(HostTest, AppendsGoOutWhileTheLeaderSyncs) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Lead(machine);
  Index first = 0, second = 0;
  ASSERT_TRUE(group->Propose(MakePayload("x"), [&](Result<Index> r) { first = r.value_or(0); }).ok());
  host->Pump();
  ASSERT_EQ(transport.Count(MessageType::kAppend), 1u);  // to k2; of k3 the engine knows nothing yet
  EXPECT_EQ(transport.messages[0].entries.size(), 1u);
  EXPECT_LT(transport.messages[0].commit, 3u);
  // A follower has it; this replica counts as another one only when it is durable here too.
  Message reply = From(k2, MessageType::kAppendReply, 2);
  reply.index = 3;
  host->Receive(reply);
  ASSERT_TRUE(group->Propose(MakePayload("y"), [&](Result<Index> r) { second = r.value_or(0); }).ok());
  host->Pump();
  EXPECT_EQ(first, 0u);
  EXPECT_EQ(machine.text, "");
  for (const Message& m : transport.messages) EXPECT_LT(m.commit, 3u);
  ASSERT_TRUE(syncer.Finish());
  // And it does not wait for the next entry's sync.
  EXPECT_EQ(first, 3u);
  EXPECT_EQ(machine.text, "x");
  EXPECT_EQ(second, 0u);
  Ack(k2, 4);
  EXPECT_EQ(second, 4u);
}

TEST_F(HostTest, AnOnlyVoterTellsALearnerNothingThatIsNotDurable) {
  FakeMachine machine({.index = 1, .term = 1, .members = {.voters = {k1}, .learners = {k2}}});
  Group* group = Create(kGroup, machine);
  group->Campaign();
  Settle();
  ASSERT_TRUE(group->leads());
  Ack(k2, 2);
  transport.messages.clear();
  bool done = false;
  ASSERT_TRUE(group->Propose(MakePayload("x"), [&](Result<Index> r) { done = r.has_value(); }).ok());
  host->Pump();
  for (const Message& m : transport.messages) EXPECT_LT(m.commit, 3u);
  EXPECT_FALSE(done);
  Settle();
  EXPECT_TRUE(done);
}

struct TestClock final : Clock {
  Timestamp Wall() const override { return {}; }
  SteadyTime Steady() const override { return SteadyTime(now); }
  Duration now = std::chrono::seconds(100);
};

class LeaseTest : public HostTest {
 protected:
  LeaseTest() {
    options.lease = {.clock = &clock, .tick = std::chrono::milliseconds(100), .max_drift = 0.1};
    host = std::make_unique<Host>(options, *engine, *log, transport, syncer);
  }
  // A round in which k3 confirms that this is the leader.
  void Confirm() {
    Settle();
    Message reply = From(k3, MessageType::kHeartbeatReply, 2);
    for (const Message& m : transport.messages) {
      if (m.type == MessageType::kHeartbeat && !m.context.empty()) reply.context = m.context;
    }
    ASSERT_FALSE(reply.context.empty());
    transport.messages.clear();
    host->Receive(reply);
    Settle();
  }
  // Whether a read is answered without asking anybody.
  bool AtOnce(Group* group) {
    auto answered = std::make_shared<bool>(false);
    group->Read([answered](Status s) { *answered = s.ok(); });
    Settle();
    return *answered;
  }
  void Lead(FakeMachine& machine, Group** group) { *group = HostTest::Lead(machine, 10); }
  TestClock clock;
};

TEST_F(LeaseTest, LastsAsLongAsTheClocksAllow) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group;
  Lead(machine, &group);
  EXPECT_FALSE(AtOnce(group));
  clock.now += std::chrono::milliseconds(50);  // the lease counts from the question
  Confirm();
  EXPECT_TRUE(AtOnce(group));
  clock.now += std::chrono::milliseconds(650);
  EXPECT_TRUE(AtOnce(group));
  // 9 ticks of 100 ms, ours slow and theirs fast by a tenth: 736 ms. It has been used: it is asked for again.
  EXPECT_GT(transport.Count(MessageType::kHeartbeat), 0u);
  clock.now += std::chrono::milliseconds(40);
  EXPECT_FALSE(AtOnce(group));
}

TEST_F(LeaseTest, EndsWhenMembersChangeAndWhenLeadershipIsGivenAway) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group;
  Lead(machine, &group);
  (void)AtOnce(group);
  Confirm();
  ASSERT_TRUE(AtOnce(group));
  group->ChangeMembers({.kind = MemberChange::Kind::kAddLearner, .replica = ReplicaId(4)},
                       [](Result<Index>) {});
  Settle();
  Ack(k2, 3);
  EXPECT_FALSE(AtOnce(group));
  Confirm();
  ASSERT_TRUE(AtOnce(group));
  Ack(k3, 3);
  ASSERT_TRUE(group->TransferLeadership(k3).ok());
  Settle();
  ASSERT_EQ(transport.Count(MessageType::kTimeoutNow), 1u);
  EXPECT_FALSE(AtOnce(group));
  // It came to nothing; but the message may still be on its way.
  for (int i = 0; i < 10; ++i) host->Tick();
  Confirm();
  EXPECT_FALSE(AtOnce(group));
}

// What clients rely on keeps the leadership here, and they are given no more of it.
TEST_F(LeaseTest, ATransferWaitsForWhatWasPromised) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group;
  Lead(machine, &group);
  EXPECT_EQ(group->Promisable().until, SteadyTime());
  (void)AtOnce(group);
  Confirm();
  const Group::Promise promise = group->Promisable();
  EXPECT_EQ(promise.until, SteadyTime(clock.now + Duration(736'363'636)));
  // A client's clock may be slow by a tenth, and this one fast.
  EXPECT_EQ(promise.time, Duration(602'479'338));
  group->NotePromise(promise.until);
  Ack(k3, 2);
  ASSERT_TRUE(group->TransferLeadership(k3).ok());
  for (int i = 0; i < 7; ++i) {
    clock.now += std::chrono::milliseconds(100);
    host->Tick();
    Settle();
    EXPECT_EQ(transport.Count(MessageType::kTimeoutNow), 0u);
    EXPECT_EQ(group->Promisable().until, SteadyTime());
  }
  Ack(k2, 2);
  clock.now += std::chrono::milliseconds(100);
  host->Tick();
  Settle();
  EXPECT_EQ(transport.Count(MessageType::kTimeoutNow), 1u);
  EXPECT_EQ(group->Promisable().until, SteadyTime());
}

TEST_F(LeaseTest, WhoWasRestartedVotesLater) {
  FakeMachine machine(First({k1, k2, k3}));
  Create(kGroup, machine);
  Message vote = From(k2, MessageType::kVote, 5);
  vote.index = 1;
  vote.log_term = 1;
  for (int i = 0; i < 9; ++i) {
    host->Tick();
    host->Receive(vote);
    Settle();
  }
  EXPECT_EQ(transport.Count(MessageType::kVoteReply), 0u);
  host->Tick();
  host->Receive(vote);
  Settle();
  EXPECT_EQ(transport.Count(MessageType::kVoteReply), 1u);
}

TEST_F(LeaseTest, WhoHearsALeaderDoesNotStand) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  for (int i = 0; i < 10; ++i) host->Tick();
  Message heartbeat = From(k2, MessageType::kHeartbeat, 2);
  host->Receive(heartbeat);
  Settle();
  transport.messages.clear();
  group->Campaign();
  Settle();
  EXPECT_EQ(transport.Count(MessageType::kPreVote), 0u);
}

TEST_F(HostTest, AFollowerAnswersWhenItsEntriesAreDurable) {
  FakeMachine machine(First({k1, k2, k3}));
  Create(kGroup, machine);
  Message append = From(k2, MessageType::kAppend, 3);
  append.log_term = 1;
  append.index = 1;
  append.commit = 3;
  append.entries = {{.term = 2, .index = 2, .payload = MakePayload("a")},
                    {.term = 3, .index = 3, .payload = MakePayload("b")}};
  host->Receive(append);
  host->Pump();
  EXPECT_EQ(transport.Count(MessageType::kAppendReply), 0u);
  EXPECT_EQ(machine.text, "");
  ASSERT_TRUE(syncer.Finish());
  EXPECT_EQ(transport.Count(MessageType::kAppendReply), 1u);
  EXPECT_EQ(machine.text, "ab");
}

// The engine counts what a Ready had as stable only if its last entry still stands; otherwise it lists all of
// it again, with the handles of before.
TEST_F(HostTest, EntriesThatTheEngineListsAgainAreInTheLog) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  Message append = From(k2, MessageType::kAppend, 3);
  append.log_term = 1;
  append.index = 1;
  append.entries = {{.term = 3, .index = 2, .payload = MakePayload("a")},
                    {.term = 3, .index = 3, .payload = MakePayload("b")},
                    {.term = 3, .index = 4, .payload = MakePayload("c")}};
  host->Receive(append);
  host->Pump();
  Message other = From(k3, MessageType::kAppend, 4);  // before that is durable
  other.log_term = 3;
  other.index = 3;
  other.commit = 5;
  other.entries = {{.term = 4, .index = 4, .payload = MakePayload("d")},
                   {.term = 4, .index = 5, .payload = MakePayload("e")}};
  host->Receive(other);
  Settle();
  EXPECT_TRUE(group->status().failure.ok());
  EXPECT_EQ(machine.text, "abde");
  auto entries = log->Read(kGroup, 2, 6, UINT64_MAX);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 4u);
  EXPECT_EQ((*entries)[1].term, 3u);
  EXPECT_EQ(BytesOf((*entries)[2].payload), "d");
}

TEST_F(HostTest, OneSyncForAllGroups) {
  std::vector<std::unique_ptr<FakeMachine>> machines;
  std::vector<Group*> groups;
  for (uint64_t i = 1; i <= 40; ++i) {
    machines.push_back(std::make_unique<FakeMachine>(First({k1})));
    groups.push_back(Create(GroupId(i), *machines.back()));
    groups.back()->Campaign();
  }
  Settle();
  uint64_t syncs = host->syncs(), runs = host->runs();
  size_t done = 0;
  for (Group* g : groups)
    EXPECT_TRUE(g->Propose(MakePayload("x"), [&](Result<Index> index) { done += index.has_value(); }).ok());
  Settle();
  EXPECT_EQ(done, 40u);
  EXPECT_EQ(host->syncs(), syncs + 1);
  EXPECT_LE(host->runs(), runs + 3);  // rule 6: one crossing for all
}

// Rule 2.
TEST_F(HostTest, ASnapshotWaitsForTheReadyBeforeIt) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  Message append = From(k2, MessageType::kAppend, 4);
  append.log_term = 1;
  append.index = 1;
  append.entries = {{.term = 4, .index = 2, .payload = MakePayload("a")}};
  host->Receive(append);
  host->Pump();  // a Ready is outstanding
  host->Receive(Chunk(20, "sta", 0, false));
  host->Receive(Chunk(20, "te", 3, true));
  host->Pump();
  ASSERT_EQ(transport.replies.size(), 2u);
  EXPECT_EQ(transport.replies[0].offset, 3u);
  EXPECT_TRUE(transport.replies[1].done);
  EXPECT_FALSE(machine.pending);
  EXPECT_TRUE(group->status().failure.ok());
  ASSERT_TRUE(syncer.Finish());
  host->Pump();
  EXPECT_TRUE(machine.pending);  // now it is being installed
  // … during which this replica does not stand for election, however long it takes.
  transport.messages.clear();
  for (int i = 0; i < 100; ++i) {
    host->Tick();
    Settle();
  }
  EXPECT_EQ(transport.Count(MessageType::kPreVote), 0u);
  ASSERT_TRUE(machine.FinishPending());
  Settle();
  EXPECT_EQ(machine.text, "state");
  EXPECT_EQ(group->status().applied, 20u);
  EXPECT_EQ(log->Info(kGroup)->base.index, 20u);
  EXPECT_EQ(transport.Count(MessageType::kAppendReply), 1u);
}

TEST_F(HostTest, PiecesOfASnapshotThatAreLostOrDoubled) {
  FakeMachine machine(First({k1, k2, k3}));
  Create(kGroup, machine);
  host->Receive(Chunk(20, "te", 3, true));  // the first was lost
  EXPECT_EQ(transport.replies.back().offset, 0u);
  host->Receive(Chunk(20, "sta", 0, false));
  host->Receive(Chunk(20, "sta", 0, false));
  EXPECT_EQ(transport.replies.back().offset, 3u);
  EXPECT_FALSE(transport.replies.back().done);
  host->Receive(Chunk(10, "old", 0, true));  // an older one is not begun
  host->Receive(Chunk(20, "te", 3, true));
  EXPECT_TRUE(transport.replies.back().done);
  host->Pump();
  ASSERT_TRUE(machine.FinishPending());
  Settle();
  EXPECT_EQ(machine.text, "state");
  host->Receive(Chunk(20, "sta", 0, false));  // it has that
  EXPECT_TRUE(transport.replies.back().done);
}

// The leader that began to send a newer one is gone, and the next one's is older: it is all there is.
TEST_F(HostTest, AnOlderSnapshotOfALaterLeaderIsTaken) {
  FakeMachine machine(First({k1, k2, k3}));
  Create(kGroup, machine);
  host->Receive(Chunk(20, "sta", 0, false));
  SnapshotChunk next = Chunk(10, "old", 0, false);
  next.from = k3;
  next.term = 5;
  host->Receive(next);
  ASSERT_EQ(transport.replies.size(), 2u);
  EXPECT_EQ(transport.replies[1].to, k3);
  EXPECT_EQ(transport.replies[1].index, 10u);
  EXPECT_EQ(transport.replies[1].offset, 3u);
  host->Receive(Chunk(20, "te", 3, true));  // now that one is of a leader of the past
  EXPECT_EQ(transport.replies.size(), 2u);
}

// The end came after the state was replaced, and before the log was.
TEST_F(HostTest, AnInstalledSnapshotMendsTheLogAtTheStart) {
  FakeMachine machine(First({k1, k2, k3}));
  Create(kGroup, machine);
  Message append = From(k2, MessageType::kAppend, 3);
  append.log_term = 1;
  append.index = 1;
  append.entries = {{.term = 3, .index = 2, .payload = MakePayload("not committed")}};
  host->Receive(append);
  Settle();
  host.reset();
  log.reset();
  disk.Crash(1);
  OpenLog();
  FakeMachine newer({.index = 9, .term = 5, .members = {.voters = {k1, k2, k3}}});
  auto group = host->Open(kGroup, k1, newer);
  ASSERT_TRUE(group.has_value()) << group.error().ToString();
  host->Pump();
  EXPECT_EQ((*group)->status().last, 9u);
  EXPECT_EQ((*group)->status().term, 5u);
  EXPECT_EQ(log->Info(kGroup)->base.index, 9u);
  // A state older than the log's begin cannot be mended.
  host->Close(kGroup);
  FakeMachine older(First({k1, k2, k3}));
  auto refused = host->Open(kGroup, k1, older);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), Code::kCorrupt);
  EXPECT_NE(refused.error().message().find("Remove this replica"), std::string::npos);
}

TEST_F(HostTest, OutcomesOfProposals) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Lead(machine);
  std::vector<Code> outcomes;
  auto note = [&](Result<Index> index) { outcomes.push_back(index ? Code::kOk : index.error().code()); };
  EXPECT_TRUE(group->Propose(MakePayload("one"), note).ok());
  Settle();
  EXPECT_TRUE(outcomes.empty());  // a majority does not have it
  Ack(k3, 3);
  EXPECT_EQ(outcomes, std::vector{Code::kOk});
  EXPECT_EQ(machine.text, "one");
  // Bounded.
  EXPECT_TRUE(group->Propose(MakePayload(std::string(900, 'x')), note).ok());
  EXPECT_EQ(group->Propose(MakePayload(std::string(200, 'y')), note).code(), Code::kUnavailable);
  EXPECT_EQ(group->Propose(MakePayload(std::string(kMaxEntryBytes + 1, 'y')), note).code(), Code::kTooBig);
  host->Pump();
  // Lost leadership: unknown, never "done" or "not done".
  host->Receive(From(k2, MessageType::kHeartbeat, 3));
  Settle();
  EXPECT_EQ(outcomes, (std::vector{Code::kOk, Code::kTimedOut}));
  EXPECT_FALSE(machine.leads_);
  EXPECT_EQ(group->Propose(MakePayload("two"), note).code(), Code::kNotLeader);
}

// A change that was evaluated on top of another must not be done without it.
TEST_F(HostTest, AProposalThatIsDroppedTakesThoseAfterItAlong) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Lead(machine);
  std::vector<Code> outcomes;
  auto note = [&](Result<Index> index) { outcomes.push_back(index ? Code::kOk : index.error().code()); };
  ASSERT_TRUE(group->TransferLeadership(k3).ok());  // does not answer
  Settle();
  EXPECT_TRUE(group->Propose(MakePayload("one"), note).ok());
  for (int i = 0; i < 10; ++i) {  // meanwhile the transfer is given up
    host->Receive(From(k2, MessageType::kHeartbeatReply, 2));
    host->Tick();
  }
  EXPECT_TRUE(group->Propose(MakePayload("two"), note).ok());
  Settle();
  EXPECT_EQ(outcomes, (std::vector{Code::kNotLeader, Code::kNotLeader}));
  EXPECT_TRUE(group->leads());
  EXPECT_TRUE(group->Propose(MakePayload("three"), note).ok());
  Settle();
  Ack(k2, 3);
  EXPECT_EQ(outcomes.back(), Code::kOk);
  EXPECT_EQ(machine.text, "three");
}

TEST_F(HostTest, ADiskThatFailsDoesNotLead) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Lead(machine);
  bool answered = false;
  EXPECT_TRUE(group->Propose(MakePayload("x"), [&](Result<Index>) { answered = true; }).ok());
  host->Pump();
  for (int i = 0; i < 30; ++i) {
    host->Tick();
    host->Pump();
    while (syncer.Finish(false)) {
    }
  }
  // Not even heartbeats: the others will elect someone whose disk works.
  EXPECT_EQ(transport.Count(MessageType::kHeartbeat), 0u);
  EXPECT_EQ(transport.Count(MessageType::kAppend), 1u);  // that of the proposal itself
  EXPECT_TRUE(answered);                                 // check-quorum: unknown
  EXPECT_FALSE(group->leads());
}

// Rule 3.
TEST_F(HostTest, ChangesOfMembersThatAreRefused) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Lead(machine);
  std::map<std::string, Code> outcomes;
  auto change = [&](const char* name, MemberChange::Kind kind, uint64_t id) {
    group->ChangeMembers({.kind = kind, .replica = ReplicaId(id)}, [&outcomes, name](Result<Index> index) {
      outcomes[name] = index ? Code::kOk : index.error().code();
    });
    Settle();
  };
  using enum MemberChange::Kind;
  change("no-op", kAddLearner, 2);
  change("unknown", kRemove, 9);
  change("self", kRemove, 1);
  change("add", kAddLearner, 4);
  change("second", kAddLearner, 5);
  EXPECT_EQ(outcomes, (std::map<std::string, Code>{{"no-op", Code::kInvalid},
                                                   {"unknown", Code::kInvalid},
                                                   {"self", Code::kInvalid},
                                                   {"second", Code::kBusy}}));
  Ack(k2, 3);
  EXPECT_EQ(outcomes["add"], Code::kOk);
  EXPECT_EQ(machine.members_.learners, std::vector{ReplicaId(4)});
  change("promote", kPromote, 4);
  EXPECT_EQ(outcomes["promote"], Code::kBusy);  // it has nothing yet
}

TEST_F(HostTest, AChangeThatMeansNothingIsIgnoredWhenItIsMet) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  Message append = From(k2, MessageType::kAppend, 3);
  append.log_term = 1;
  append.index = 1;
  append.commit = 4;
  auto entry = [](Index index, MemberChange::Kind kind, uint64_t id) {
    return Entry{.term = 3,
                 .index = index,
                 .kind = EntryKind::kChange,
                 .payload = MakePayload(EncodeChange({.kind = kind, .replica = ReplicaId(id)}))};
  };
  append.entries = {entry(2, MemberChange::Kind::kAddLearner, 3),  // would make a voter a learner
                    entry(3, MemberChange::Kind::kRemove, 77),
                    {.term = 3, .index = 4, .kind = EntryKind::kChange, .payload = MakePayload("nonsense")}};
  host->Receive(append);
  Settle();
  EXPECT_TRUE(group->status().failure.ok()) << group->status().failure.ToString();
  EXPECT_EQ(group->status().applied, 4u);
  EXPECT_EQ(group->status().members, First({k1, k2, k3}).members);
}

// Rule 5: many reads, one round.
TEST_F(HostTest, ReadsAreBatched) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Lead(machine);
  size_t answered = 0, refused = 0;
  for (int i = 0; i < 60; ++i) {
    group->Read([&](Status s) { (s.ok() ? answered : refused)++; });
  }
  Settle();
  EXPECT_EQ(refused, 10u);  // the queue is bounded
  EXPECT_EQ(answered, 0u);  // nobody has said yet that this is the leader still
  ASSERT_EQ(transport.Count(MessageType::kHeartbeat), 2u);
  Message reply = From(k3, MessageType::kHeartbeatReply, 2);
  for (const Message& m : transport.messages) {
    if (m.type == MessageType::kHeartbeat) reply.context = m.context;
  }
  EXPECT_EQ(reply.context.size(), 8u);
  host->Receive(reply);
  Settle();
  EXPECT_EQ(answered, 50u);
  // Without a majority: never.
  Code outcome = Code::kOk;
  group->Read([&](Status s) { outcome = s.code(); });
  for (int i = 0; i < 30; ++i) {
    host->Tick();
    Settle();
  }
  EXPECT_EQ(outcome, Code::kNotLeader);
}

// Rule 8.
// The last of two voters: when the other one is told that it was removed, it may be destroyed. After a crash
// this one must still know that it is alone.
TEST_F(HostTest, AChangeOfMembersTakesEffectWhenItsCommitIsDurable) {
  auto machine = std::make_unique<FakeMachine>(First({k1, k2}));
  Group* group = Lead(*machine);
  bool done = false;
  group->ChangeMembers({.kind = MemberChange::Kind::kRemove, .replica = k2},
                       [&](Result<Index> r) { done = r.has_value(); });
  Settle();
  transport.messages.clear();
  Message reply = From(k2, MessageType::kAppendReply, 2);
  reply.index = 3;
  host->Receive(reply);
  host->Pump();
  EXPECT_FALSE(done) << "it is committed, and a crash would forget that";
  for (const Message& m : transport.messages) EXPECT_LT(m.commit, 3u);
  ASSERT_TRUE(syncer.Finish());
  EXPECT_TRUE(done);
  host.reset();
  log.reset();
  disk.Crash(1, SimDisk::Keep::kNothing);
  OpenLog();
  machine = std::make_unique<FakeMachine>(First({k1, k2}));
  auto opened = host->Open(kGroup, k1, *machine);
  ASSERT_TRUE(opened.has_value());
  for (int i = 0; i < 50; ++i) {
    host->Tick();
    Settle();
  }
  EXPECT_TRUE((*opened)->leads());
}

TEST_F(HostTest, APanicOfTheEngineStopsOneGroupLoudly) {
  std::string said;
  SetLogSink([&](LogLevel level, const std::string& text) {
    if (level == LogLevel::kError) said = text;
  });
  FakeMachine one(First({k1})), two(First({k1}));
  Group* broken = Create(kGroup, one);
  Group* good = Create(kOther, two);
  broken->Campaign();
  good->Campaign();
  Settle();
  Code outcome = Code::kOk;
  EXPECT_TRUE(broken
                  ->Propose(MakePayload("x"),
                            [&](Result<Index> index) { outcome = index ? Code::kOk : index.error().code(); })
                  .ok());
  PanicForTest(*engine, kGroup);
  Settle();
  EXPECT_EQ(outcome, Code::kTimedOut);
  EXPECT_EQ(broken->status().failure.code(), Code::kCorrupt);
  EXPECT_FALSE(one.leads_);
  EXPECT_NE(said.find("Raft group 5 has stopped"), std::string::npos);
  bool done = false;
  EXPECT_TRUE(good->Propose(MakePayload("y"), [&](Result<Index> index) { done = index.has_value(); }).ok());
  Settle();
  EXPECT_TRUE(done);
}

TEST_F(HostTest, AStateMachineThatFailsStopsItsGroup) {
  FakeMachine machine(First({k1}));
  Group* group = Create(kGroup, machine);
  group->Campaign();
  Settle();
  machine.fail = {Code::kIo, "no more"};
  Code outcome = Code::kOk;
  EXPECT_TRUE(group
                  ->Propose(MakePayload("x"),
                            [&](Result<Index> index) { outcome = index ? Code::kOk : index.error().code(); })
                  .ok());
  Settle();
  EXPECT_EQ(outcome, Code::kTimedOut);
  EXPECT_EQ(group->status().failure.code(), Code::kIo);
  EXPECT_EQ(group->status().leader, ReplicaId()) << "whoever asks it must not be sent to it again";
}

TEST_F(HostTest, SnapshotsFollowTheirLimitsAndTrimTheLog) {
  options.snapshot_entries = 20;
  options.keep_entries = 5;
  OpenLog();
  FakeMachine machine(First({k1}));
  Group* group = Create(kGroup, machine);
  group->Campaign();
  Settle();
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(group->Propose(MakePayload("x"), [](Result<Index>) {}).ok());
    Settle();
  }
  ASSERT_TRUE(machine.FinishPending());
  Settle();
  EXPECT_EQ(group->status().snapshot, 21u);
  EXPECT_EQ(group->status().first, 17u);
  EXPECT_EQ(group->status().applied, 32u);
  host.reset();
  OpenLog();
  FakeMachine again(machine.meta_);
  auto reopened = host->Open(kGroup, k1, again);
  ASSERT_TRUE(reopened.has_value()) << reopened.error().ToString();
  host->Pump();
  (*reopened)->Campaign();
  Settle();
  EXPECT_EQ((*reopened)->status().applied, 33u);
}

TEST_F(HostTest, CreateAndOpenKnowWhatIsThere) {
  FakeMachine machine(First({k1}));
  EXPECT_EQ(host->Open(kGroup, k1, machine).error().code(), Code::kNotFound);
  Create(kGroup, machine);
  EXPECT_EQ(host->Create(kGroup, k1, machine).error().code(), Code::kExists);
  host->Close(kGroup);
  EXPECT_EQ(host->Create(kGroup, k1, machine).error().code(), Code::kExists);
  EXPECT_TRUE(host->Open(kGroup, k1, machine).has_value());
  EXPECT_TRUE(host->Destroy(kGroup).ok());
  EXPECT_EQ(host->Open(kGroup, k1, machine).error().code(), Code::kNotFound);
}

}  // namespace
}  // namespace curvefs::raft
