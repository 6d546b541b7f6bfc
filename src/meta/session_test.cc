#include "meta/session.h"

#include <gtest/gtest.h>

#include "base/disk.h"
#include "kv/store.h"
#include "meta/keys.h"
#include "records.pb.h"

namespace curvefs::meta {
namespace {

class SessionRecords : public testing::Test {
 protected:
  template <typename F>
  auto Do(F f) {
    Txn txn(*store_, fs_, Timestamp{now_});
    auto r = f(txn);
    if (bool(r)) {
      EXPECT_TRUE(store_->Apply(txn.ToBatch().encoded(), ++seq_).ok());
    }
    return r;
  }
  size_t Records(KeyKind kind) {
    size_t n = 0;
    const std::string begin = KindPrefix(FsId(0), PartitionId(0), kind);
    EXPECT_TRUE(store_
                    ->Scan(begin, kv::PrefixEnd(begin),
                           [&](std::string_view, std::string_view) {
                             ++n;
                             return true;
                           })
                    .ok());
    return n;
  }

  std::unique_ptr<kv::KVStore> store_ = kv::MakeMemoryStore(Disk::Posix(), "");
  FsContext fs_;
  int64_t now_ = 77;
  Seq seq_ = 0;
};

TEST_F(SessionRecords, AreTheProtobufMessages) {
  std::string bytes = EncodeSession({.owner = "me", .opened = {-5}, .acknowledged = 7, .last = 9});
  SessionRecord session;
  ASSERT_TRUE(session.ParseFromString(bytes));
  EXPECT_EQ(session.owner(), "me");
  EXPECT_EQ(static_cast<int64_t>(session.opened_ns()), -5);
  EXPECT_EQ(session.acknowledged(), 7u);
  EXPECT_EQ(session.last(), 9u);
  EXPECT_EQ(EncodeSession(*DecodeSession(session.SerializeAsString())), bytes);

  bytes = EncodeOutcome({.status = {Code::kExists, "there"}, .reply = "r", .acknowledged = 3});
  OutcomeRecord outcome;
  ASSERT_TRUE(outcome.ParseFromString(bytes));
  EXPECT_EQ(outcome.code(), static_cast<uint32_t>(Code::kExists));
  EXPECT_EQ(outcome.message(), "there");
  EXPECT_EQ(outcome.reply(), "r");
  EXPECT_EQ(outcome.acknowledged(), 3u);
  EXPECT_EQ(EncodeOutcome(*DecodeOutcome(outcome.SerializeAsString())), bytes);

  for (std::string cut = bytes; !cut.empty(); cut.pop_back()) (void)DecodeOutcome(cut);
  EXPECT_EQ(DecodeOutcome("\x0a\xff").error().code(), Code::kCorrupt);
  EXPECT_EQ(DecodeSession("\x0a\xff").error().code(), Code::kCorrupt);
}

TEST_F(SessionRecords, KeysAreOfTheCopysetItself) {
  ParsedKey parsed;
  ASSERT_TRUE(ParseKey(SessionKey(5), &parsed));
  EXPECT_EQ(parsed.fs, FsId(0));
  EXPECT_EQ(parsed.kind, KeyKind::kSession);
  EXPECT_EQ(parsed.session, 5u);
  ASSERT_TRUE(ParseKey(OutcomeKey(5, 6), &parsed));
  EXPECT_EQ(parsed.kind, KeyKind::kOutcome);
  EXPECT_EQ(parsed.session, 5u);
  EXPECT_EQ(parsed.sequence, 6u);
  EXPECT_LT(OutcomeKey(5, 255), OutcomeKey(5, 256));
}

TEST_F(SessionRecords, OpenAcknowledgeEnd) {
  EXPECT_EQ(*Do([](Txn& txn) { return OpenSession(txn, "a"); }), 1u);
  EXPECT_EQ(*Do([](Txn& txn) { return OpenSession(txn, "b"); }), 2u);
  ASSERT_TRUE(Do([](Txn& txn) -> Status {
    for (uint64_t i = 1; i <= 5; ++i) txn.Set(OutcomeKey(1, i), EncodeOutcome({.reply = "x"}));
    txn.Set(OutcomeKey(2, 1), EncodeOutcome({.reply = "y"}));
    return {};
  }));
  ASSERT_TRUE(Do([](Txn& txn) { return Acknowledge(txn, 1, 4); }));
  EXPECT_EQ(Records(KeyKind::kOutcome), 3u);
  ASSERT_TRUE(Do([](Txn& txn) { return EndSession(txn, 1); }));
  EXPECT_EQ(Records(KeyKind::kOutcome), 1u);
  EXPECT_EQ(Do([](Txn& txn) { return EndSession(txn, 1); }).code(), Code::kFenced);
  EXPECT_EQ(Do([](Txn& txn) { return EndSession(txn, 0); }).code(), Code::kFenced)
      << "the counter is no session";
  EXPECT_EQ(Do([](Txn& txn) { return Acknowledge(txn, 1, 9); }).code(), Code::kFenced);
  EXPECT_EQ(*Do([](Txn& txn) { return OpenSession(txn, "c"); }), 3u) << "an id is never given twice";
  EXPECT_EQ(
      Do([](Txn& txn) { return OpenSession(txn, std::string(kMaxSessionOwner + 1, 'x')); }).error().code(),
      Code::kInvalid);
}

}  // namespace
}  // namespace curvefs::meta
