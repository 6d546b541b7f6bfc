// Loops and strands: who runs what, and when.
//
// A Strand is the owner of a piece of state (a copyset): at most one writer is inside at a time, or any
// number of readers. It is not a thread: in the standalone mount the thread that brings an operation runs
// it itself, which saves the two thread hops (20 µs each) that a queue would cost. A server later puts the
// strand of each copyset on one of its loops.
//
// A Loop runs functions one after another, now or after a time. ThreadLoop has a thread of its own;
// ManualLoop runs only when a test or a simulator tells it that time has passed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"

namespace curvefs {

// To clang it is a lock: what it owns is CURVEFS_GUARDED_BY(strand_), and the functions it runs say so:
//   strand_.Run([&]() CURVEFS_REQUIRES(strand_) { ++owned_; });
//   strand_.Read([&]() CURVEFS_REQUIRES_SHARED(strand_) { return owned_; });
class CURVEFS_CAPABILITY("strand") Strand {
 public:
  // Runs f() as the only one inside. Must not be called from inside the same strand.
  template <typename F>
  decltype(auto) Run(F&& f)
      CURVEFS_EXCLUDES(this) CURVEFS_NO_THREAD_SAFETY_ANALYSIS {  // what f requires is this strand
    const Writer inside(*this);
    return std::forward<F>(f)();
  }
  // For one that has much to do, between its turns: lets in those who wait now. A lock alone would give it
  // turn after turn, since a thread that is awake takes it sooner than one that must wake up.
  void LetOthersIn() {
    for (int i = 0; i < kMostYields && waiting_.load(std::memory_order_relaxed) > 0; ++i)
      std::this_thread::yield();
  }
  // Runs f() with other readers but no writer inside.
  template <typename F>
  decltype(auto) Read(F&& f) const CURVEFS_EXCLUDES(this) CURVEFS_NO_THREAD_SAFETY_ANALYSIS {
    const Reader inside(*this);
    return std::forward<F>(f)();
  }

 private:
  static constexpr int kMostYields = 10'000;  // others may come for ever
  struct Waiting {
    explicit Waiting(std::atomic<int>& n) : count(n) { ++count; }
    ~Waiting() { --count; }
    std::atomic<int>& count;
  };
  struct CURVEFS_SCOPED_CAPABILITY Writer {
    explicit Writer(Strand& s) CURVEFS_ACQUIRE(s.mu_) : mu(s.mu_) {
      if (mu.TryLock()) return;
      const Waiting waiting(s.waiting_);
      mu.Lock();
    }
    ~Writer() CURVEFS_RELEASE() { mu.Unlock(); }
    SharedMutex& mu;
  };
  struct CURVEFS_SCOPED_CAPABILITY Reader {
    explicit Reader(const Strand& s) CURVEFS_ACQUIRE_SHARED(s.mu_) : mu(s.mu_) {
      if (mu.TryLockShared()) return;
      const Waiting waiting(s.waiting_);
      mu.LockShared();
    }
    ~Reader() CURVEFS_RELEASE() { mu.UnlockShared(); }
    SharedMutex& mu;
  };
  mutable SharedMutex mu_;
  mutable std::atomic<int> waiting_{0};
};

class Loop {
 public:
  using Task = std::function<void()>;
  virtual ~Loop() = default;

  // Runs `task` on the loop, `delay` from now or later, after tasks due earlier. Thread-safe.
  virtual void After(Duration delay, Task task) = 0;
  void Post(Task task) { After(Duration::zero(), std::move(task)); }
  virtual const Clock& clock() const = 0;
};

// A loop with a thread. Tasks that are not due when it stops are dropped.
class ThreadLoop final : public Loop {
 public:
  explicit ThreadLoop(std::string name);  // at most 15 characters: the thread's name
  ~ThreadLoop() override;                 // Stop()
  void After(Duration delay, Task task) override;
  const Clock& clock() const override { return Clock::System(); }

  // Waits for the running task and ends the thread. Idempotent; not from a task of its own.
  void Stop();

 private:
  void Main();

  Mutex mu_;  // a leaf; not held while a task runs
  CondVar wake_;
  std::multimap<SteadyTime, Task> tasks_
      CURVEFS_GUARDED_BY(mu_);  // by due time, equal times in order of arrival
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

// A loop and clock for tests: nothing happens until Advance.
class ManualLoop final : public Loop, public Clock {
 public:
  void After(Duration delay, Task task) override;
  const Clock& clock() const override { return *this; }
  Timestamp Wall() const override { return {kEpoch + now_.time_since_epoch().count()}; }
  SteadyTime Steady() const override { return now_; }

  // Lets `d` pass, running each task at its time. Returns the number of tasks run.
  size_t Advance(Duration d);

 private:
  static constexpr int64_t kEpoch = 1'700'000'000'000'000'000;
  SteadyTime now_{Duration(1)};
  std::multimap<SteadyTime, Task> tasks_;
};

}  // namespace curvefs
