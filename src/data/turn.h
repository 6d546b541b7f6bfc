// Turn: who may store and change the committed content of a file. A lock that is held over I/O, and by one
// thread for up to a thousand files at once, which is more than the checkers of mutexes allow for.
#pragma once

#include <atomic>

#include "base/mutex.h"
#include "base/status.h"

namespace curvefs::data {

// Not fair. Lockable: who holds many of them does so in std::unique_locks, which clang cannot follow, and
// says AssertHeld where it matters.
class CURVEFS_CAPABILITY("turn") Turn {
 public:
  void lock() CURVEFS_ACQUIRE() {
    while (taken_.exchange(true, std::memory_order_acquire)) taken_.wait(true, std::memory_order_relaxed);
  }
  bool try_lock() CURVEFS_TRY_ACQUIRE(true) { return !taken_.exchange(true, std::memory_order_acquire); }
  void unlock() CURVEFS_RELEASE() {
    taken_.store(false, std::memory_order_release);
    taken_.notify_one();
  }
  void AssertHeld() const CURVEFS_ASSERT_CAPABILITY(this) {
    CURVEFS_CHECK(taken_.load(std::memory_order_relaxed));
  }

 private:
  std::atomic<bool> taken_{false};
};

class CURVEFS_SCOPED_CAPABILITY [[nodiscard]] TurnLock {
 public:
  explicit TurnLock(Turn& turn) CURVEFS_ACQUIRE(turn) : turn_(turn) { turn_.lock(); }
  ~TurnLock() CURVEFS_RELEASE() { turn_.unlock(); }
  TurnLock(const TurnLock&) = delete;
  TurnLock& operator=(const TurnLock&) = delete;

 private:
  Turn& turn_;
};

}  // namespace curvefs::data
