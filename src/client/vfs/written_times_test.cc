#include "client/vfs/written_times.h"

#include <gtest/gtest.h>

namespace curvefs::client {
namespace {

constexpr InodeId kFile{7};
constexpr Timestamp kOne{100}, kTwo{200};

TEST(WrittenTimes, AreShownUntilTheyAreStored) {
  WrittenTimes times;
  EXPECT_EQ(times.Get(kFile), std::nullopt);
  EXPECT_EQ(times.Note(kFile, kOne), std::nullopt);
  EXPECT_EQ(times.Get(kFile), kOne);
  times.Stored(kFile, kOne);
  EXPECT_EQ(times.Get(kFile), std::nullopt);
}

TEST(WrittenTimes, WhatIsWrittenMeanwhileStays) {
  WrittenTimes times;
  times.Note(kFile, kOne);
  EXPECT_EQ(times.Note(kFile, kTwo), kOne);
  times.Stored(kFile, kOne);
  EXPECT_EQ(times.Get(kFile), kTwo);
}

TEST(WrittenTimes, AWriteThatFailsLeavesWhatWas) {
  WrittenTimes times;
  times.Restore(kFile, times.Note(kFile, kOne));
  EXPECT_EQ(times.Get(kFile), std::nullopt);
  times.Note(kFile, kOne);
  times.Restore(kFile, times.Note(kFile, kTwo));
  EXPECT_EQ(times.Get(kFile), kOne);
  EXPECT_EQ(times.Forget(kFile), kOne);
  EXPECT_EQ(times.Forget(kFile), std::nullopt);
}

}  // namespace
}  // namespace curvefs::client
