// Rules of the leader's end, one by one; both ends together: client/cluster/lease_protocol_test.cc.
#include "metaserver/lease_table.h"

#include <gtest/gtest.h>

namespace curvefs::metaserver {
namespace {

constexpr LeaseTable::Item kDir{FsId(1), InodeId(1)}, kFile{FsId(1), InodeId(2)};
constexpr uint8_t kA = LeaseTable::kAttributes, kN = LeaseTable::kNames;

struct Told {
  uint64_t session = 0, number = 0;
  LeaseTable::Parts gone;
  bool all = false;
};

class Leases : public testing::Test {
 protected:
  Leases() { table_.Start(1'000); }
  static SteadyTime At(int ms) { return SteadyTime(std::chrono::milliseconds(ms)); }
  void Keep(uint64_t session, const LeaseTable::Item& item, uint8_t parts, int until) {
    ASSERT_NE(table_.Hear(session, 1), 0u);
    ASSERT_TRUE(table_.Hold(session, item, parts));
    table_.Extend(session, At(until));
  }
  // A change of session `self`, at that time. Whether it must wait.
  uint64_t Change(uint64_t self, const LeaseTable::Item& item, uint8_t parts, int now) {
    const uint64_t recall = table_.Recall(self, {{item, parts}}, At(now));
    if (recall != 0) table_.Await(recall, [this] { ++ready_; });
    return recall;
  }

  std::vector<Told> told_;
  int ready_ = 0;
  LeaseTable table_{[this](uint64_t session, uint64_t number, const LeaseTable::Parts& gone, bool all) {
                      told_.push_back({session, number, gone, all});
                    },
                    LeaseTable::Bounds{.of_session = 3, .of_all = 5}};
};

TEST_F(Leases, AChangeWaitsForThoseWhoKeepThatPart) {
  Keep(1, kDir, kA | kN, 100);
  Keep(2, kDir, kN, 100);
  Keep(3, kFile, kA, 100);
  const uint64_t recall = Change(1, kDir, kN, 10);
  ASSERT_NE(recall, 0u);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].session, 2u);
  EXPECT_EQ(told_[0].gone, (LeaseTable::Parts{{kDir, kN}}));
  EXPECT_FALSE(table_.Hold(2, kDir, kN));  // it is about to change
  EXPECT_TRUE(table_.Hold(1, kDir, kN));   // who has it keeps it
  table_.Dropped(3, recall);
  EXPECT_EQ(ready_, 0);
  table_.Dropped(2, recall);
  EXPECT_EQ(ready_, 1);
  EXPECT_EQ(table_.Held(1, kDir), kA | kN);
  EXPECT_EQ(table_.Held(2, kDir), 0);
  EXPECT_EQ(Change(1, kDir, kA | kN, 11), 0u);
}

TEST_F(Leases, NobodyIsWaitedForLongerThanHeReliesOnIt) {
  Keep(1, kFile, kA, 100);
  ASSERT_NE(Change(2, kFile, kA, 99), 0u);
  table_.Tick(At(99));
  EXPECT_EQ(ready_, 0);
  table_.Tick(At(100));
  EXPECT_EQ(ready_, 1);
  Keep(1, kFile, kA, 200);
  EXPECT_EQ(Change(2, kFile, kA, 200), 0u);  // told, all the same
  EXPECT_EQ(told_.back().number, 0u);
}

TEST_F(Leases, WhoComesSecondWaitsForTheSame) {
  Keep(1, kFile, kA, 100);
  const uint64_t first = Change(2, kFile, kA, 10);
  const uint64_t second = Change(3, kFile, kA, 10);
  ASSERT_NE(second, 0u);
  EXPECT_EQ(told_.size(), 2u);
  table_.Dropped(1, first);
  EXPECT_EQ(ready_, 1);
  table_.Dropped(1, second);
  EXPECT_EQ(ready_, 2);
}

TEST_F(Leases, WhatIsBeingChangedIsNotGivenOut) {
  ASSERT_NE(table_.Hear(1, 1), 0u);
  table_.Begin({{kFile, kA}});
  EXPECT_FALSE(table_.Hold(1, kFile, kA));
  table_.Begin({{kFile, kA}});
  table_.End({{kFile, kA}});
  EXPECT_FALSE(table_.Hold(1, kFile, kA));
  table_.End({{kFile, kA}});
  EXPECT_TRUE(table_.Hold(1, kFile, kA));
}

TEST_F(Leases, AnotherConnectionBeginsAnew) {
  const uint64_t epoch = table_.Hear(1, 5);
  ASSERT_TRUE(table_.Hold(1, kFile, kA));
  table_.Extend(1, At(100));
  EXPECT_EQ(table_.Hear(1, 5), epoch);
  const uint64_t recall = Change(2, kFile, kA, 10);
  ASSERT_NE(recall, 0u);
  EXPECT_NE(table_.Hear(1, 6), epoch);
  EXPECT_EQ(table_.Hear(1, 5), 0u);  // a request that is late
  table_.Tick(At(11));
  EXPECT_EQ(ready_, 1);  // it has forgotten everything
}

TEST_F(Leases, WhoKeepsTooMuchDropsAllOfIt) {
  for (uint64_t i = 1; i <= 3; ++i) Keep(1, {FsId(1), InodeId(i)}, kA, 100);
  EXPECT_FALSE(table_.Hold(1, {FsId(1), InodeId(4)}, kA));
  ASSERT_TRUE(told_.back().all);
  EXPECT_FALSE(table_.Hold(1, {FsId(1), InodeId(4)}, kA));
  EXPECT_EQ(table_.Held(1, {FsId(1), InodeId(1)}), kA);  // until it says so
  table_.Dropped(1, told_.back().number);
  EXPECT_EQ(table_.Held(1, {FsId(1), InodeId(1)}), 0);
  EXPECT_TRUE(table_.Hold(1, {FsId(1), InodeId(4)}, kA));
}

TEST_F(Leases, WhatIsGoneTakesNoRoom) {
  for (uint64_t i = 1; i <= 10; ++i) {
    Keep(1, {FsId(1), InodeId(i)}, kA | kN, 100);
    table_.Release(1, {FsId(1), InodeId(i)});
  }
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_EQ(Change(2, {FsId(1), InodeId(1)}, kA, 10), 0u);
  EXPECT_TRUE(told_.empty());
}

TEST_F(Leases, TheEndOfASessionOrOfTheOfficeEndsTheWaiting) {
  Keep(1, kFile, kA, 100);
  Keep(2, kDir, kA, 100);
  ASSERT_NE(Change(3, kFile, kA, 10), 0u);
  ASSERT_NE(Change(3, kDir, kA, 10), 0u);
  table_.Ended(1);
  EXPECT_EQ(ready_, 1);
  table_.Clear();
  EXPECT_EQ(ready_, 2);
  EXPECT_FALSE(table_.anybody());
}

}  // namespace
}  // namespace curvefs::metaserver
