#include "raft/message.h"

#include <gtest/gtest.h>

#include "raft.pb.h"

namespace curvefs::raft {
namespace {

Message Sample() {
  Message m;
  m.type = MessageType::kAppend;
  m.group = GroupId(300);
  m.to = ReplicaId(2);
  m.from = ReplicaId(70000);
  m.term = 9;
  m.log_term = 7;
  m.index = 1'000'000;
  m.commit = 999'999;
  m.entries = {{.term = 8, .index = 1'000'001, .payload = MakePayload("one")},
               {.term = 9, .index = 1'000'002, .kind = EntryKind::kChange, .payload = MakePayload("two")},
               {.term = 9, .index = 1'000'003}};
  return m;
}

TEST(RaftMessage, TheCodecAndTheGeneratedClassesAgree) {
  std::string bytes;
  EncodeMessage(Sample(), &bytes);
  proto::RaftMessage proto;
  ASSERT_TRUE(proto.ParseFromString(bytes));
  EXPECT_EQ(proto.group(), 300u);
  EXPECT_EQ(proto.from(), 70000u);
  ASSERT_EQ(proto.entry_size(), 3);
  EXPECT_EQ(proto.entry(1).payload(), "two");
  auto back = DecodeMessage(proto.SerializeAsString());
  ASSERT_TRUE(back.has_value());
  std::string again;
  EncodeMessage(*back, &again);
  EXPECT_EQ(again, bytes);
  EXPECT_EQ(back->entries[2].index, 1'000'003u);
  EXPECT_FALSE(back->sleep);

  Message beat = Sample();
  beat.type = MessageType::kHeartbeat;
  beat.entries.clear();
  beat.sleep = true;
  bytes.clear();
  EncodeMessage(beat, &bytes);
  ASSERT_TRUE(proto.ParseFromString(bytes));
  EXPECT_TRUE(proto.sleep());
  EXPECT_TRUE(DecodeMessage(proto.SerializeAsString())->sleep);

  SnapshotChunk chunk{
      .group = GroupId(1),
      .to = ReplicaId(2),
      .from = ReplicaId(3),
      .term = 4,
      .meta = {.index = 5, .term = 3, .members = {{ReplicaId(2), ReplicaId(3)}, {ReplicaId(1)}}},
      .offset = 77,
      .data = "bytes",
      .last = true};
  bytes.clear();
  EncodeChunk(chunk, &bytes);
  proto::RaftSnapshotChunk proto_chunk;
  ASSERT_TRUE(proto_chunk.ParseFromString(bytes));
  EXPECT_EQ(proto_chunk.meta().voter_size(), 2);
  EXPECT_EQ(proto_chunk.SerializeAsString(), bytes);
  auto chunk_back = DecodeChunk(bytes);
  ASSERT_TRUE(chunk_back.has_value());
  EXPECT_EQ(chunk_back->meta, chunk.meta);
  EXPECT_EQ(chunk_back->data, "bytes");
  proto_chunk.set_data("bytez");
  EXPECT_EQ(DecodeChunk(proto_chunk.SerializeAsString()).error().code(), Code::kCorrupt);

  SnapshotReply reply{
      .group = GroupId(1), .to = ReplicaId(2), .from = ReplicaId(3), .index = 4, .offset = 5, .done = true};
  bytes.clear();
  EncodeReply(reply, &bytes);
  proto::RaftSnapshotReply proto_reply;
  ASSERT_TRUE(proto_reply.ParseFromString(bytes));
  EXPECT_TRUE(proto_reply.done());
  EXPECT_EQ(DecodeReply(bytes)->offset, 5u);
}

TEST(RaftMessage, RefusesWhatNoPeerSends) {
  auto refused = [](auto&& change) {
    Message m = Sample();
    change(m);
    std::string bytes;
    EncodeMessage(m, &bytes);
    return !DecodeMessage(bytes).has_value();
  };
  EXPECT_FALSE(refused([](Message&) {}));
  EXPECT_TRUE(refused([](Message& m) { m.type = static_cast<MessageType>(2); }));  // a proposal
  EXPECT_TRUE(refused([](Message& m) { m.type = MessageType::kVote; }));           // with entries
  EXPECT_TRUE(refused([](Message& m) { m.from = {}; }));
  EXPECT_TRUE(refused([](Message& m) { m.sleep = true; }));  // with entries
  EXPECT_TRUE(refused([](Message& m) { m.term = 8; }));      // entries of a later term than the sender's
  EXPECT_TRUE(refused([](Message& m) { m.entries[1].term = 7; }));  // terms that fall
  EXPECT_TRUE(refused([](Message& m) { m.index = UINT64_MAX - 2; }));
  EXPECT_TRUE(refused([](Message& m) { m.context.assign(kMaxContext + 1, 'x'); }));
  EXPECT_TRUE(refused([](Message& m) { m.snapshot = {.index = 1, .term = 1}; }));
  EXPECT_FALSE(DecodeMessage("\x08").has_value());
  SnapshotMeta meta{.index = 1, .term = 1, .members = {{ReplicaId(2), ReplicaId(1)}, {}}};
  std::string bytes;
  EncodeMeta(meta, &bytes);
  EXPECT_FALSE(DecodeMeta(bytes).has_value());
}

TEST(MemberChange, OnlyWhatHasAMeaning) {
  Members members{.voters = {ReplicaId(1)}, .learners = {}};
  auto apply = [&](MemberChange::Kind kind, uint64_t id) {
    return ApplyChange({.kind = kind, .replica = ReplicaId(id)}, &members);
  };
  using enum MemberChange::Kind;
  EXPECT_FALSE(apply(kRemove, 1));   // the last voter
  EXPECT_FALSE(apply(kPromote, 2));  // not there
  EXPECT_TRUE(apply(kAddLearner, 2));
  EXPECT_FALSE(apply(kAddLearner, 2));
  EXPECT_FALSE(apply(kAddLearner, 1));  // would demote a voter
  EXPECT_TRUE(apply(kPromote, 2));
  EXPECT_FALSE(apply(kPromote, 2));
  EXPECT_TRUE(apply(kRemove, 1));
  EXPECT_FALSE(apply(kRemove, 1));
  EXPECT_EQ(members, (Members{.voters = {ReplicaId(2)}, .learners = {}}));
  MemberChange change{.kind = kPromote, .replica = ReplicaId(77), .context = "abc"}, back;
  ASSERT_TRUE(DecodeChange(EncodeChange(change), &back));
  EXPECT_EQ(back.replica, change.replica);
  EXPECT_EQ(back.context, "abc");
  EXPECT_FALSE(
      DecodeChange("\x07"
                   "12345678",
                   &back));
  EXPECT_FALSE(
      DecodeChange("\x01"
                   "1234567",
                   &back));
}

}  // namespace
}  // namespace curvefs::raft
