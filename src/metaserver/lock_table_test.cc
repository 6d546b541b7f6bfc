#include "metaserver/lock_table.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace curvefs::metaserver {
namespace {

using meta::FileLock;
using meta::LockKind;
using meta::LockType;

const OpenFile kFile{FsId(1), InodeId(42)};
const OpenFile kOther{FsId(1), InodeId(43)};

FileLock Of(uint64_t session, LockType type, LockKind kind = LockKind::kRange) {
  return {.kind = kind, .type = type, .session = session, .owner = 5};
}

TEST(LockTableTest, LocksGoWithTheirSession) {
  LockTable table;
  EXPECT_TRUE(table.Set(1, kFile, Of(1, LockType::kWrite)).ok());
  EXPECT_TRUE(table.Set(2, kOther, Of(1, LockType::kWrite)).ok());
  EXPECT_EQ(table.Set(1, kFile, Of(2, LockType::kRead)).code(), Code::kWouldBlock);
  ASSERT_NE(table.Conflict(kFile, Of(2, LockType::kRead)), nullptr);
  EXPECT_EQ(table.Conflict(kFile, Of(1, LockType::kRead)), nullptr);
  table.Ended(1);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_TRUE(table.Set(2, kFile, Of(2, LockType::kRead)).ok());
}

TEST(LockTableTest, WhatComesLateIsRefused) {
  LockTable table;
  EXPECT_TRUE(table.Set(5, kFile, Of(1, LockType::kWrite)).ok());
  EXPECT_TRUE(table.Set(5, kFile, Of(1, LockType::kWrite)).ok()) << "the same again";
  EXPECT_TRUE(table.Set(6, kFile, Of(1, LockType::kUnlock)).ok());
  EXPECT_EQ(table.Set(5, kFile, Of(1, LockType::kWrite)).code(), Code::kBusy);
  EXPECT_EQ(table.size(), 0u) << "it would be held by nobody who knows";
}

TEST(LockTableTest, WhoeverAsksForAnotherWholeLockGivesTheOldOneUp) {
  LockTable table;
  EXPECT_TRUE(table.Set(1, kFile, Of(1, LockType::kRead, LockKind::kWhole)).ok());
  EXPECT_TRUE(table.Set(1, kFile, Of(2, LockType::kRead, LockKind::kWhole)).ok());
  EXPECT_EQ(table.Set(2, kFile, Of(1, LockType::kWrite, LockKind::kWhole)).code(), Code::kWouldBlock);
  EXPECT_TRUE(table.Set(2, kFile, Of(2, LockType::kWrite, LockKind::kWhole)).ok());
}

TEST(LockTableTest, ANewLeaderHearsFirstWhatIsHeld) {
  LockTable table;
  table.Expect({{.session = 1}, {.session = 2}});
  EXPECT_TRUE(table.expecting());
  EXPECT_EQ(table.Set(1, kFile, Of(1, LockType::kWrite)).code(), Code::kUnavailable);
  auto lost = table.SayAgain(1, 7, {{kFile, Of(1, LockType::kWrite)}});
  ASSERT_TRUE(lost);
  EXPECT_TRUE(lost->empty());
  EXPECT_EQ(table.SayAgain(1, 6, {}).error().code(), Code::kBusy);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_TRUE(table.expecting());
  lost = table.SayAgain(2, 1, {{kOther, Of(2, LockType::kRead)}, {kFile, Of(2, LockType::kRead)}});
  ASSERT_TRUE(lost);
  EXPECT_EQ(*lost, std::vector<size_t>{1});
  EXPECT_FALSE(table.expecting());
  table.Expect({{.session = 3}});
  EXPECT_EQ(table.size(), 0u);
  table.Ended(3);
  EXPECT_FALSE(table.expecting());
}

TEST(LockTableTest, IsBounded) {
  LockTable table;
  FileLock byte = Of(1, LockType::kWrite);
  for (uint64_t i = 0; i < kMaxLocks; ++i) {
    byte.begin = byte.last = 2 * i;
    ASSERT_TRUE(table.Set(i + 1, kFile, byte).ok());
  }
  byte.begin = byte.last = 2 * kMaxLocks;
  EXPECT_EQ(table.Set(kMaxLocks + 1, kFile, byte).code(), Code::kNoMemory);
  EXPECT_TRUE(table.Set(kMaxLocks + 1, kOther, byte).ok());
  byte.type = LockType::kUnlock;
  byte.begin = 0;
  EXPECT_TRUE(table.Set(kMaxLocks + 2, kFile, byte).ok());
  EXPECT_EQ(table.size(), 1u);
}

}  // namespace
}  // namespace curvefs::metaserver
