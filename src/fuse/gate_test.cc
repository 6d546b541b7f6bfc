#include "fuse/gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace curvefs::fuse {
namespace {

TEST(Gate, OneReadsAndAnotherFollows) {
  Gate gate(4);
  ASSERT_TRUE(gate.Enter());
  std::atomic<bool> second = false;
  std::thread other([&] {
    EXPECT_TRUE(gate.Enter());
    second = true;
  });
  EXPECT_FALSE(second);
  gate.Leave();
  other.join();
  EXPECT_TRUE(second);
}

TEST(Gate, GrowsToItsLimitAndShrinksToOne) {
  Gate gate(2);
  ASSERT_TRUE(gate.Enter());
  EXPECT_FALSE(gate.LeaveIfSpare());
  gate.Grow();
  ASSERT_TRUE(gate.Enter());
  gate.Grow();  // at its limit: a third would wait
  EXPECT_TRUE(gate.LeaveIfSpare());
  EXPECT_FALSE(gate.LeaveIfSpare());
}

TEST(Gate, StopLetsEverybodyGo) {
  Gate gate(1);
  ASSERT_TRUE(gate.Enter());
  std::vector<std::thread> waiting;
  for (int i = 0; i < 3; ++i) waiting.emplace_back([&] { EXPECT_FALSE(gate.Enter()); });
  gate.Stop();
  for (auto& t : waiting) t.join();
}

TEST(QuickReads, AFewSlowOnesEndItAndManyQuickOnesBeginItAgain) {
  QuickReads reads;
  EXPECT_TRUE(reads.Likely()) << "until they are known";
  for (int i = 0; i < 100; ++i) reads.Took(std::chrono::microseconds(80));
  EXPECT_TRUE(reads.Likely());
  reads.Took(std::chrono::milliseconds(10));
  EXPECT_FALSE(reads.Likely());
  int quick = 0;
  for (; !reads.Likely(); ++quick) reads.Took(std::chrono::microseconds(80));
  EXPECT_GT(quick, 8);
  EXPECT_LT(quick, 100);
}

}  // namespace
}  // namespace curvefs::fuse
