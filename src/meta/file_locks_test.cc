#include "meta/file_locks.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>

namespace curvefs::meta {
namespace {

FileLock Range(uint64_t owner, LockType type, uint64_t begin, uint64_t last) {
  return {.type = type, .owner = owner, .begin = begin, .last = last};
}

TEST(FileLocksTest, WritersExcludeAndReadersShare) {
  FileLocks locks;
  locks.Apply(Range(1, LockType::kRead, 0, 9));
  EXPECT_EQ(locks.Conflict(Range(2, LockType::kRead, 0, 9)), nullptr);
  ASSERT_NE(locks.Conflict(Range(2, LockType::kWrite, 9, 20)), nullptr);
  EXPECT_EQ(locks.Conflict(Range(2, LockType::kWrite, 9, 20))->owner, 1u);
  EXPECT_EQ(locks.Conflict(Range(2, LockType::kWrite, 10, 20)), nullptr);
  EXPECT_EQ(locks.Conflict(Range(1, LockType::kWrite, 0, 9)), nullptr) << "its own";
  FileLock same_number = Range(1, LockType::kWrite, 0, 9);
  same_number.session = 7;
  EXPECT_NE(locks.Conflict(same_number), nullptr) << "another session's owner of the same number";
  same_number.kind = LockKind::kWhole;
  EXPECT_EQ(locks.Conflict(same_number), nullptr) << "another kind";
}

TEST(FileLocksTest, TheLastByteOfAllIsAByte) {
  FileLocks locks;
  locks.Apply(Range(1, LockType::kWrite, 100, ~uint64_t{0}));
  locks.Apply(Range(1, LockType::kWrite, 0, 99));
  ASSERT_EQ(locks.size(), 1u);
  EXPECT_EQ(locks.all()[0].begin, 0u);
  EXPECT_EQ(locks.all()[0].last, ~uint64_t{0});
  locks.Apply(Range(1, LockType::kUnlock, 50, 60));
  EXPECT_EQ(locks.size(), 2u);
  EXPECT_EQ(locks.Conflict(Range(2, LockType::kWrite, 50, 60)), nullptr);
  EXPECT_NE(locks.Conflict(Range(2, LockType::kWrite, ~uint64_t{0}, ~uint64_t{0})), nullptr);
}

// Against an array of bytes.
TEST(FileLocksTest, RandomLocksAreThoseOfEachByte) {
  constexpr uint64_t kBytes = 24;
  constexpr uint64_t kOwners = 3;
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    FileLocks locks;
    std::array<std::array<LockType, kBytes>, kOwners> bytes{};
    for (int step = 0; step < 200; ++step) {
      uint64_t a = random() % kBytes, b = random() % kBytes;
      const FileLock lock =
          Range(random() % kOwners, static_cast<LockType>(random() % 3), std::min(a, b), std::max(a, b));
      bool conflict = false;
      for (uint64_t owner = 0; owner < kOwners; ++owner) {
        for (uint64_t i = lock.begin; i <= lock.last; ++i) {
          const LockType held = bytes[owner][i];
          conflict |= owner != lock.owner && held != LockType::kUnlock && lock.type != LockType::kUnlock &&
                      (held == LockType::kWrite || lock.type == LockType::kWrite);
        }
      }
      ASSERT_EQ(locks.Conflict(lock) != nullptr, conflict) << "seed " << seed << " step " << step;
      if (conflict) continue;
      locks.Apply(lock);
      for (uint64_t i = lock.begin; i <= lock.last; ++i) bytes[lock.owner][i] = lock.type;
      std::array<std::array<LockType, kBytes>, kOwners> held{};
      for (const FileLock& l : locks.all()) {
        for (uint64_t i = l.begin; i <= l.last; ++i) {
          ASSERT_EQ(held[l.owner][i], LockType::kUnlock) << "twice, seed " << seed << " step " << step;
          held[l.owner][i] = l.type;
        }
      }
      ASSERT_EQ(held, bytes) << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace curvefs::meta
