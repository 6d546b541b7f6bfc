// What a peer may send that is wrong: of another incarnation of the group, of a leader of the past, or of a
// program with a bug. None of it ends the process, and what can be seen to be wrong does not stop the group.
#include <random>

#include "raft/etcd/host_fixture_test.h"

namespace curvefs::raft {
namespace {

class HostilePeer : public HostTest {
 protected:
  void Give(Message m) {
    // As it would come from the wire.
    std::string bytes;
    EncodeMessage(m, &bytes);
    auto decoded = DecodeMessage(bytes);
    if (decoded) host->Receive(*std::move(decoded));
    refused += !decoded;
  }
  size_t refused = 0;
};

TEST_F(HostilePeer, ATermOrAnIndexWithoutEndIsRefused) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  Give(From(k2, MessageType::kHeartbeat, ~Term{0}));
  EXPECT_EQ(refused, 1u);
  Message append = From(k2, MessageType::kAppend, 5);
  append.index = ~Index{0} - 5;
  Give(append);
  EXPECT_EQ(refused, 2u);
  Settle();
  EXPECT_LT(group->status().term, 5u);
  for (int i = 0; i < 50; ++i) host->Tick();
  Settle();
  EXPECT_TRUE(group->status().failure.ok());
}

TEST_F(HostilePeer, ASecondLeaderOfTheTermIsNotHeard) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  Message append = From(k2, MessageType::kAppend, 3);
  append.log_term = 1;
  append.index = 1;
  append.commit = 2;
  append.entries = {{.term = 3, .index = 2, .payload = MakePayload("a")}};
  Give(append);
  Settle();
  EXPECT_EQ(machine.text, "a");
  transport.messages.clear();
  // Over an entry that is committed here, and a commit that is not here: the engine would stop the group.
  append.from = k3;
  append.entries[0] = {.term = 2, .index = 2, .payload = MakePayload("b")};
  append.log_term = 1;
  append.commit = 9;
  Give(append);
  Message heartbeat = From(k3, MessageType::kHeartbeat, 3);
  heartbeat.commit = 9;
  Give(heartbeat);
  Give(From(k3, MessageType::kTimeoutNow, 3));
  Settle();
  EXPECT_TRUE(group->status().failure.ok()) << group->status().failure.ToString();
  EXPECT_EQ(machine.text, "a");
  EXPECT_EQ(group->status().leader, k2);
  EXPECT_TRUE(transport.messages.empty());
}

// From a copy of our own directory on another machine, say.
TEST_F(HostilePeer, NobodySpeaksInOurName) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  group->Campaign();
  Settle();
  Give(From(k1, MessageType::kPreVoteReply, 2));
  Give(From(k1, MessageType::kHeartbeat, 7));
  Settle();
  EXPECT_LT(group->status().term, 7u);
  EXPECT_FALSE(group->status().leader);
}

// Entries that were never sent are not replicated: counted, they would be committed on one of three.
TEST_F(HostilePeer, AnAnswerToWhatWasNeverSentDoesNotCount) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Lead(machine);
  Message reply = From(k2, MessageType::kAppendReply, 2);
  reply.index = 1000;
  Give(reply);
  Settle();
  bool done = false;
  ASSERT_TRUE(group->Propose(MakePayload("x"), [&](Result<Index> r) { done = r.has_value(); }).ok());
  Settle();
  EXPECT_FALSE(done);
  EXPECT_GT(transport.Count(MessageType::kAppend), 0u) << "the replica still gets entries";
  Ack(k2, 3);
  EXPECT_TRUE(done);
}

TEST_F(HostilePeer, ASnapshotOfOthersIsRefusedAtOnce) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  SnapshotChunk chunk = Chunk(20, "bytes", 0, true);
  chunk.meta.members = {.voters = {k2, k3}};
  host->Receive(chunk);
  Settle();
  EXPECT_TRUE(transport.replies.empty());
  EXPECT_EQ(group->status().snapshot, 1u);
  // Members without a voter: malformed for whoever it is.
  chunk.meta.members = {.learners = {k1}};
  std::string bytes;
  EncodeChunk(chunk, &bytes);
  EXPECT_FALSE(DecodeChunk(bytes).has_value());
  chunk = Chunk(20, "bytes", 0, true);
  host->Receive(chunk);
  Settle();
  EXPECT_EQ(transport.replies.size(), 1u);
}

// A snapshot that is given to the engine is the one that is installed, whatever comes meanwhile.
TEST_F(HostilePeer, ASecondSnapshotDoesNotTakeThePlaceOfTheFirst) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  host->Receive(Chunk(20, "first", 0, true));
  SnapshotChunk other = Chunk(30, "second", 0, true);
  other.from = k3;
  other.term = 9;
  host->Receive(other);
  Settle();
  ASSERT_TRUE(machine.FinishPending());
  Settle();
  EXPECT_EQ(machine.text, "first");
  EXPECT_TRUE(group->status().failure.ok());
}

// A replica that was removed, and started again, stays silent whatever it hears.
TEST_F(HostilePeer, ARemovedReplicaThatWasRestartedIsSilent) {
  FakeMachine machine(First({k2, k3}));
  Group* group = Create(kGroup, machine);
  ASSERT_TRUE(group->status().removed);
  for (auto type : {MessageType::kAppend, MessageType::kHeartbeat, MessageType::kVote, MessageType::kPreVote,
                    MessageType::kTimeoutNow, MessageType::kAppendReply})
    Give(From(k2, type, 9));
  host->Receive(Chunk(20, "state", 0, true));
  group->Campaign();
  group->SnapshotNow();
  EXPECT_EQ(group->TransferLeadership(k2).code(), Code::kNotLeader);
  EXPECT_EQ(group->Propose(MakePayload("x"), nullptr).code(), Code::kNotLeader);
  Code read = Code::kOk;
  group->Read([&](const Status& s) { read = s.code(); });
  for (int i = 0; i < 30; ++i) host->Tick();
  Settle();
  EXPECT_EQ(read, Code::kNotLeader);
  EXPECT_TRUE(transport.messages.empty() && transport.replies.empty());
  EXPECT_TRUE(group->status().failure.ok());
}

// The engine takes the term 0 for "no entry here", so such an append would fit anywhere.
TEST_F(HostilePeer, AnAppendBehindAnEntryOfNoTermIsRefused) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  Message append = From(k2, MessageType::kAppend, 3);
  append.index = 5;
  append.entries = {{.term = 3, .index = 6, .payload = MakePayload("x")}};
  Give(append);
  Settle();
  EXPECT_EQ(refused, 1u);
  EXPECT_TRUE(group->status().failure.ok()) << group->status().failure.ToString();
}

// Rule 2: until the log begins behind an installed snapshot, however long the disk takes, nobody stands.
TEST_F(HostilePeer, NobodyStandsWhileASnapshotIsMadeDurable) {
  FakeMachine machine(First({k1, k2, k3}));
  Group* group = Create(kGroup, machine);
  host->Receive(Chunk(20, "state", 0, true));
  group->Campaign();
  host->Pump();
  ASSERT_TRUE(machine.FinishPending());  // restored; the log waits for its sync
  auto wait = [&] {
    for (int i = 0; i < 50; ++i) {
      host->Tick();
      host->Pump();
    }
    group->Campaign();
    Give(From(k2, MessageType::kTimeoutNow, 4));
    host->Pump();
    EXPECT_TRUE(group->status().failure.ok()) << group->status().failure.ToString();
  };
  wait();
  ASSERT_TRUE(syncer.Finish(false));  // it fails, and is tried again
  wait();
  transport.messages.clear();
  Settle();
  EXPECT_EQ(group->status().applied, 20u);
  for (int i = 0; i < 30; ++i) {
    host->Tick();
    Settle();
  }
  EXPECT_GT(transport.Count(MessageType::kPreVote), 0u);
}

// Anything in any order. A group may stop, where two histories meet; the process may not.
TEST_F(HostilePeer, WhateverComesEndsNoProcess) {
  std::mt19937_64 random(5);
  auto below = [&](uint64_t n) { return random() % n; };
  size_t stopped = 0;
  constexpr MessageType kTypes[] = {
      MessageType::kAppend,     MessageType::kAppendReply, MessageType::kVote,
      MessageType::kVoteReply,  MessageType::kHeartbeat,   MessageType::kHeartbeatReply,
      MessageType::kTimeoutNow, MessageType::kPreVote,     MessageType::kPreVoteReply};
  constexpr size_t kRuns = 1000;
  for (size_t run = 0; run < kRuns; ++run) {
    const GroupId id(100 + run);
    FakeMachine machine(First({k1, k2, k3}));
    Group* group = Create(id, machine);
    for (int step = 0; step < 200 && group->status().failure.ok(); ++step) {
      if (below(4) == 0) host->Tick();
      if (below(8) == 0) group->Campaign();
      if (below(8) == 0) (void)group->Propose(MakePayload("p"), [](Result<Index>) {});
      if (below(8) == 0) group->Read([](const Status&) {});
      if (below(30) == 0) (void)group->TransferLeadership(k2);
      if (below(30) == 0)
        group->ChangeMembers(
            {.kind = static_cast<MemberChange::Kind>(1 + below(3)), .replica = ReplicaId(1 + below(5))},
            [](Result<Index>) {});
      if (below(20) == 0) {
        SnapshotChunk chunk = Chunk(1 + below(12), "state", below(3), below(2) == 0);
        chunk.group = id;
        chunk.from = ReplicaId(1 + below(5));
        chunk.term = group->status().term + below(2);
        host->Receive(chunk);
      }
      Message m = From(ReplicaId(1 + below(5)), kTypes[below(std::size(kTypes))],
                       std::max<Term>(1, group->status().term + below(3)) - below(2));
      m.group = id;
      m.index = below(6);
      m.log_term = below(m.term + 1);
      m.commit = below(10) == 0 ? below(6) : std::min(below(6), group->status().commit);
      m.reject = below(2) == 0;
      m.reject_hint = below(9);
      if (m.type == MessageType::kAppend) {
        Term term = m.log_term;
        for (uint64_t n = below(4); n > 0; --n) {
          term = std::max<Term>(1, term + (term < m.term ? below(2) : 0));
          const bool change = below(4) == 0;
          m.entries.push_back(
              {.term = term,
               .kind = change ? EntryKind::kChange : EntryKind::kData,
               .payload = below(5) == 0
                              ? nullptr
                              : MakePayload(change ? EncodeChange({.kind = static_cast<MemberChange::Kind>(
                                                                       1 + below(3)),
                                                                   .replica = ReplicaId(1 + below(5))})
                                                   : "x")});
        }
      }
      for (const Message& sent : transport.messages)
        if (below(3) == 0 && !sent.context.empty()) m.context = sent.context;
      Give(m);
      if (below(3) == 0) Settle();
      if (below(6) == 0) (void)machine.FinishPending();
      transport.messages.clear();
    }
    Settle();
    const Status failure = group->status().failure;
    stopped += !failure.ok();
    const std::string why = failure.ToString();
    EXPECT_TRUE(failure.ok() || why.find("tocommit(") != why.npos ||
                why.find("conflict with committed entry") != why.npos)
        << why;
    (void)machine.FinishPending();
    host->Close(id);
  }
  EXPECT_LT(stopped, kRuns);
  EXPECT_GT(refused, 0u);
}

}  // namespace
}  // namespace curvefs::raft
