// Turn: who may store and change the committed content of a file. A lock that is held over I/O, and by one
// thread for up to a thousand files at once, which is more than the checkers of mutexes allow for.
#pragma once

#include <atomic>

namespace curvefs::data {

// Lockable, for std::lock_guard and std::unique_lock. Not fair.
class Turn {
 public:
  void lock() {
    while (taken_.exchange(true, std::memory_order_acquire)) taken_.wait(true, std::memory_order_relaxed);
  }
  bool try_lock() { return !taken_.exchange(true, std::memory_order_acquire); }
  void unlock() {
    taken_.store(false, std::memory_order_release);
    taken_.notify_one();
  }

 private:
  std::atomic<bool> taken_{false};
};

}  // namespace curvefs::data
