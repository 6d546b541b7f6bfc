#include "metaserver/session_table.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "kv/store.h"
#include "meta/keys.h"
#include "meta/session.h"
#include "test/support/sim_disk.h"

namespace curvefs::metaserver {
namespace {

using Verdict = SessionTable::Verdict;

class Sessions : public testing::Test {
 protected:
  Sessions() { table_.Opened(1, "me", Now()); }
  SteadyTime Now() const { return SteadyTime(now_); }
  Verdict Admit(RequestId id) {
    SessionTable::Done done = [this](const Result<std::string>&) { ++answered_; };
    return table_.Admit(id, Now(), &done, &why_);
  }
  std::vector<uint64_t> Start(RequestId id, size_t bytes = 10) {
    return table_.Start(id, bytes, &acknowledged_);
  }
  // As the copyset does it all.
  void DoAll(RequestId id, size_t bytes = 10) {
    ASSERT_EQ(Admit(id), Verdict::kNew);
    Start(id, bytes);
    table_.Committed(id, acknowledged_);
  }

  SessionTable table_;
  Duration now_{};
  Status why_;
  uint64_t acknowledged_ = 0;
  int answered_ = 0;
};

TEST_F(Sessions, ARequestIsNewJoinedRememberedRefused) {
  const RequestId first{1, 1, 1};
  EXPECT_EQ(Admit(first), Verdict::kNew);
  Start(first);
  EXPECT_EQ(Admit(first), Verdict::kJoined);
  EXPECT_EQ(table_.Committed(first, 1).size(), 1u);
  EXPECT_EQ(Admit(first), Verdict::kRemembered);
  DoAll({1, 2, 2});
  EXPECT_EQ(Admit(first), Verdict::kRefused);
  EXPECT_EQ(why_.code(), Code::kInvalid);
  EXPECT_EQ(Admit({2, 1, 1}), Verdict::kUnknown);
  for (RequestId bad : {RequestId{1, 0, 0}, RequestId{1, 3, 4}, RequestId{1, ~uint64_t{0}, 0}}) {
    EXPECT_EQ(Admit(bad), Verdict::kRefused);
    EXPECT_EQ(why_.code(), Code::kInvalid);
  }
}

TEST_F(Sessions, AFailureIsAsIfItHadNotCome) {
  const RequestId id{1, 1, 0};
  EXPECT_EQ(Admit(id), Verdict::kNew);
  Start(id);
  EXPECT_EQ(Admit(id), Verdict::kJoined);
  EXPECT_EQ(table_.Failed(id).size(), 1u);
  EXPECT_EQ(Admit(id), Verdict::kNew);
  EXPECT_EQ(table_.List(Now())[0].bytes, 0u);
}

TEST_F(Sessions, WhatIsAcknowledgedGoesOnceAndAgainAfterAFailure) {
  for (uint64_t i = 1; i <= 3; ++i) DoAll({1, i, 1});
  ASSERT_EQ(Admit({1, 4, 3}), Verdict::kNew);
  EXPECT_EQ(Start({1, 4, 3}), (std::vector<uint64_t>{1, 2}));
  ASSERT_EQ(Admit({1, 5, 3}), Verdict::kNew);
  EXPECT_TRUE(Start({1, 5, 3}).empty()) << "the one before it takes them along";
  table_.Failed({1, 4, 3});
  table_.Failed({1, 5, 3});
  ASSERT_EQ(Admit({1, 4, 3}), Verdict::kNew);
  EXPECT_EQ(Start({1, 4, 3}), (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(acknowledged_, 3u);
  table_.Committed({1, 4, 3}, 3);
  EXPECT_EQ(table_.List(Now())[0].remembered, 2u);  // 3 and 4
  EXPECT_TRUE(table_.Forgettable().empty());
  table_.Hear(1, 5, Now());
  ASSERT_EQ(table_.Forgettable().size(), 1u);
  table_.Forgotten(1, 5);
  EXPECT_EQ(table_.List(Now())[0].bytes, 0u);
}

TEST_F(Sessions, BoundsLetTheFirstUnacknowledgedIn) {
  DoAll({1, 2, 1}, kMaxSessionBytes);
  EXPECT_EQ(Admit({1, 3, 1}), Verdict::kRefused);
  EXPECT_EQ(why_.code(), Code::kUnavailable);
  EXPECT_EQ(Admit({1, 1, 1}), Verdict::kNew);
  DoAll({1, 3, 3});  // takes the large one away
  EXPECT_EQ(Admit({1, 3 + kMaxOutcomes, 3}), Verdict::kRefused);
  EXPECT_EQ(why_.code(), Code::kUnavailable);
  EXPECT_EQ(Admit({1, 2 + kMaxOutcomes, 3}), Verdict::kNew);
}

TEST_F(Sessions, SilenceAndTheEnd) {
  table_.Opened(2, "you", Now());
  now_ += std::chrono::seconds(20);
  EXPECT_TRUE(table_.Hear(1, 0, Now()));
  now_ += std::chrono::seconds(20);
  EXPECT_EQ(table_.Silent(Now(), std::chrono::seconds(30)), std::vector<uint64_t>{2});
  table_.SetEnding(2, true);
  EXPECT_TRUE(table_.Silent(Now(), std::chrono::seconds(30)).empty()) << "once is enough";
  EXPECT_EQ(Admit({2, 1, 0}), Verdict::kRefused);
  EXPECT_EQ(why_.code(), Code::kUnavailable);
  table_.Ended(2);
  EXPECT_EQ(Admit({2, 1, 0}), Verdict::kUnknown);
  EXPECT_FALSE(table_.Hear(2, 0, Now()));
}

TEST_F(Sessions, OpenFilesGoWithTheirSessions) {
  table_.Opened(2, "you", Now());
  const OpenFile a{FsId(1), InodeId(5)}, b{FsId(2), InodeId(5)};
  EXPECT_TRUE(table_.NoteOpen(1, a, 1).ok());
  EXPECT_TRUE(table_.NoteOpen(1, a, 3).ok());
  EXPECT_TRUE(table_.NoteOpen(2, a, 1).ok());
  EXPECT_TRUE(table_.NoteOpen(2, b, 2).ok());
  EXPECT_EQ(table_.NoteOpen(3, b, 1).code(), Code::kFenced);
  EXPECT_EQ(table_.NoteClosed(3, b, 1).code(), Code::kFenced);
  EXPECT_TRUE(table_.NoteClosed(1, a, 2).ok()) << "late: it was opened again since";
  table_.Ended(2);
  EXPECT_TRUE(table_.IsOpen(a));
  EXPECT_FALSE(table_.IsOpen(b));
  EXPECT_TRUE(table_.NoteClosed(1, a, 4).ok());
  EXPECT_TRUE(table_.NoteClosed(1, a, 4).ok());
  EXPECT_FALSE(table_.IsOpen(a));
}

// As a new leader does: what deleted outcomes knew of acknowledgements is in those that are left.
TEST_F(Sessions, IsMadeFromTheRecords) {
  test::SimDisk disk;
  auto store = kv::MakeMemoryStore(disk, "/");
  meta::FsContext fs;
  meta::Txn txn(*store, fs, {});
  ASSERT_EQ(*meta::OpenSession(txn, "me"), 1u);
  txn.Set(meta::OutcomeKey(1, 5), meta::EncodeOutcome({.reply = "five", .acknowledged = 4}));
  txn.Set(meta::OutcomeKey(1, 6), meta::EncodeOutcome({.reply = "six", .acknowledged = 3}));
  ASSERT_TRUE(store->Apply(txn.ToBatch().encoded(), 1).ok());
  ASSERT_TRUE(table_.Load(*store, Now()).ok());
  EXPECT_EQ(table_.size(), 1u);
  EXPECT_EQ(Admit({1, 3, 3}), Verdict::kRefused);
  EXPECT_EQ(Admit({1, 4, 3}), Verdict::kNew);
  EXPECT_EQ(Admit({1, 5, 3}), Verdict::kRemembered);

  kv::WriteBatch lost;
  lost.Set(meta::OutcomeKey(2, 1), meta::EncodeOutcome({}));
  ASSERT_TRUE(store->Apply(lost.encoded(), 2).ok());
  EXPECT_EQ(table_.Load(*store, Now()).code(), Code::kCorrupt);
}

}  // namespace
}  // namespace curvefs::metaserver
