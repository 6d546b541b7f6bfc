// Mutexes that clang can check (base/thread_annotations.h). Below src/ nothing else locks: the standard ones
// carry no annotations. They are the standard ones inside, at the same cost.
//
//   class Counter {
//    public:
//     void Add() {
//       MutexLock lock(mu_);
//       ++count_;
//       changed_.NotifyAll();
//     }
//     void WaitFor(int n) {
//       MutexLock lock(mu_);
//       while (count_ < n) changed_.Wait(mu_);
//     }
//
//    private:
//     Mutex mu_;
//     CondVar changed_;  // count_
//     int count_ CURVEFS_GUARDED_BY(mu_) = 0;
//   };
//
// No call that blocks on the network, a disk or an object store under one, unless the comment beside the
// mutex says so and why.
#pragma once

#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#include "base/thread_annotations.h"

namespace curvefs {

// One holder at a time. Not recursive.
class CURVEFS_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() CURVEFS_ACQUIRE() { mu_.lock(); }
  void Unlock() CURVEFS_RELEASE() { mu_.unlock(); }
  [[nodiscard]] bool TryLock() CURVEFS_TRY_ACQUIRE(true) { return mu_.try_lock(); }
  // For what clang cannot see, as in a function that is called by one who holds it. Checks nothing at run
  // time.
  void AssertHeld() const CURVEFS_ASSERT_CAPABILITY(this) {}

 private:
  friend class CondVar;
  std::mutex mu_;
};

// One writer or any number of readers.
class CURVEFS_CAPABILITY("mutex") SharedMutex {
 public:
  SharedMutex() = default;
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;

  void Lock() CURVEFS_ACQUIRE() { mu_.lock(); }
  void Unlock() CURVEFS_RELEASE() { mu_.unlock(); }
  [[nodiscard]] bool TryLock() CURVEFS_TRY_ACQUIRE(true) { return mu_.try_lock(); }
  void LockShared() CURVEFS_ACQUIRE_SHARED() { mu_.lock_shared(); }
  void UnlockShared() CURVEFS_RELEASE_SHARED() { mu_.unlock_shared(); }
  [[nodiscard]] bool TryLockShared() CURVEFS_TRY_ACQUIRE_SHARED(true) { return mu_.try_lock_shared(); }
  void AssertHeld() const CURVEFS_ASSERT_CAPABILITY(this) {}
  void AssertHeldShared() const CURVEFS_ASSERT_SHARED_CAPABILITY(this) {}

 private:
  std::shared_mutex mu_;
};

// Not a lock, but to clang the same: a part that only one thread plays at a time, by some other arrangement,
// and what belongs to whoever plays it.
class CURVEFS_CAPABILITY("role") Role {
 public:
  void Begin() CURVEFS_ACQUIRE() {}
  void End() CURVEFS_RELEASE() {}
  void AssertHeld() const CURVEFS_ASSERT_CAPABILITY(this) {}
};

// Holds a mutex as long as it lives.
class CURVEFS_SCOPED_CAPABILITY [[nodiscard]] MutexLock {
 public:
  explicit MutexLock(Mutex& mu) CURVEFS_ACQUIRE(mu) : mu_(mu) { mu_.Lock(); }
  ~MutexLock() CURVEFS_RELEASE() { mu_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mu_;
};

// The same, for one who lets go of it now and then, or before the end.
class CURVEFS_SCOPED_CAPABILITY [[nodiscard]] RelockableMutexLock {
 public:
  explicit RelockableMutexLock(Mutex& mu) CURVEFS_ACQUIRE(mu) : mu_(mu), held_(true) { mu_.Lock(); }
  ~RelockableMutexLock() CURVEFS_RELEASE() {
    if (held_) mu_.Unlock();
  }
  RelockableMutexLock(const RelockableMutexLock&) = delete;
  RelockableMutexLock& operator=(const RelockableMutexLock&) = delete;

  void Unlock() CURVEFS_RELEASE() {
    mu_.Unlock();
    held_ = false;
  }
  void Lock() CURVEFS_ACQUIRE() {
    mu_.Lock();
    held_ = true;
  }

 private:
  Mutex& mu_;
  bool held_;
};

class CURVEFS_SCOPED_CAPABILITY [[nodiscard]] WriterLock {
 public:
  explicit WriterLock(SharedMutex& mu) CURVEFS_ACQUIRE(mu) : mu_(mu) { mu_.Lock(); }
  ~WriterLock() CURVEFS_RELEASE() { mu_.Unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mu_;
};

class CURVEFS_SCOPED_CAPABILITY [[nodiscard]] ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mu) CURVEFS_ACQUIRE_SHARED(mu) : mu_(mu) { mu_.LockShared(); }
  ~ReaderLock() CURVEFS_RELEASE() { mu_.UnlockShared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mu_;
};

// Waits for a change of what a mutex guards. The mutex is let go of while waiting. Wakes without a reason
// too, so a wait is a loop around its condition; there is no form that takes the condition as a function,
// since clang would not know that it runs under the mutex.
class CondVar {
 public:
  void Wait(Mutex& mu) CURVEFS_REQUIRES(mu) {
    std::unique_lock lock(mu.mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  // False if the time has come.
  template <typename Clock, typename Duration>
  bool WaitUntil(Mutex& mu, const std::chrono::time_point<Clock, Duration>& time) CURVEFS_REQUIRES(mu) {
    std::unique_lock lock(mu.mu_, std::adopt_lock);
    const bool woken = cv_.wait_until(lock, time) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace curvefs
