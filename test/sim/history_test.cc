#include "test/sim/history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace curvefs::sim {
namespace {

constexpr uint64_t kNever = Operation::kNever;
Operation W(uint64_t value, uint64_t begin, uint64_t end) {
  return {.key = 1, .write = true, .value = value, .begin = begin, .end = end};
}
Operation R(uint64_t value, uint64_t begin, uint64_t end) {
  return {.key = 1, .value = value, .begin = begin, .end = end};
}
bool Good(const std::vector<Operation>& history) {
  return FindViolation(history).empty();
}

TEST(History, TellsGoodFromBad) {
  EXPECT_TRUE(Good({}));
  EXPECT_TRUE(Good({R(0, 1, 2), W(5, 3, 4), R(5, 5, 6)}));
  EXPECT_FALSE(Good({W(5, 3, 4), R(0, 5, 6)}));                              // a stale read
  EXPECT_TRUE(Good({W(5, 3, 6), R(0, 4, 5), R(5, 5, 7)}));                   // while it is being written
  EXPECT_FALSE(Good({W(5, 3, 9), R(5, 4, 5), R(0, 6, 7)}));                  // seen, then gone
  EXPECT_FALSE(Good({W(5, 1, 2), W(6, 3, 4), R(5, 5, 6)}));                  // a lost write
  EXPECT_TRUE(Good({W(5, 1, 2), W(6, 3, kNever), R(5, 5, 6), R(6, 7, 8)}));  // of unknown outcome: late
  EXPECT_TRUE(Good({W(5, 1, 2), W(6, 3, kNever), R(5, 5, 6)}));              // … or never
  EXPECT_FALSE(Good({W(5, 1, 2), W(6, 3, kNever), R(6, 5, 6), R(5, 7, 8)}));
  EXPECT_FALSE(Good({R(7, 1, 2)}));                            // from nowhere
  EXPECT_FALSE(Good({R(7, 1, 2), W(7, 3, 4)}));                // before it was written
  EXPECT_FALSE(Good({W(5, 1, 2), R(5, 10, 11), W(6, 3, 4)}));  // 6 between two sights of 5
  Operation other = W(6, 3, 4);
  other.key = 2;
  EXPECT_TRUE(Good({W(5, 1, 2), R(5, 10, 11), other}));
}

// By trying all orders: slow, and right by its simplicity.
bool GoodByForce(std::vector<Operation> ops) {
  std::erase_if(ops, [](const Operation& op) { return op.write && op.end == kNever && op.id == 0; });
  std::sort(ops.begin(), ops.end(), [](const auto& a, const auto& b) { return a.value < b.value; });
  std::vector<size_t> order(ops.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  do {
    uint64_t now = 0;
    bool good = true;
    for (size_t i = 0; i < order.size() && good; ++i) {
      const Operation& op = ops[order[i]];
      for (size_t j = i + 1; j < order.size(); ++j) good &= ops[order[j]].end >= op.begin;
      if (op.write) now = op.value;
      good &= op.write || op.value == now;
    }
    if (good) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

TEST(History, AgreesWithTryingAllOrders) {
  std::mt19937_64 random(1);
  int good = 0, bad = 0;
  for (int round = 0; round < 4000; ++round) {
    std::vector<Operation> ops;
    uint64_t written = 0;
    const size_t n = 2 + random() % 5;
    std::vector<uint64_t> times(2 * n);
    for (size_t i = 0; i < times.size(); ++i) times[i] = i + 1;
    std::shuffle(times.begin(), times.end(), random);
    for (size_t i = 0; i < n; ++i) {
      uint64_t a = std::min(times[2 * i], times[2 * i + 1]), b = std::max(times[2 * i], times[2 * i + 1]);
      if (random() % 2) {
        ops.push_back(W(++written, a, b));
      } else {
        ops.push_back(R(random() % 3, a, b));
      }
    }
    if (std::any_of(ops.begin(), ops.end(), [&](const auto& op) { return op.value > written; })) continue;
    bool expected = GoodByForce(ops);
    (expected ? good : bad)++;
    ASSERT_EQ(Good(ops), expected) << "round " << round;
  }
  EXPECT_GT(good, 200);
  EXPECT_GT(bad, 200);
}

}  // namespace
}  // namespace curvefs::sim
