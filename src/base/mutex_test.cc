#include "base/mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

namespace curvefs {
namespace {

// As the comment of mutex.h has it.
class Counter {
 public:
  void Add() {
    MutexLock lock(mu_);
    ++count_;
    changed_.NotifyAll();
  }
  void WaitFor(int n) {
    MutexLock lock(mu_);
    while (count_ < n) changed_.Wait(mu_);
  }
  // Whether n came before the time.
  bool WaitUntil(int n, std::chrono::steady_clock::time_point time) {
    MutexLock lock(mu_);
    while (count_ < n) {
      if (!changed_.WaitUntil(mu_, time)) return count_ >= n;
    }
    return true;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  int count_ CURVEFS_GUARDED_BY(mu_) = 0;
};

TEST(MutexTest, OneHolderAtATime) {
  struct {
    Mutex mu;
    int value CURVEFS_GUARDED_BY(mu) = 0;
  } shared;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 10'000; ++k) {
        MutexLock lock(shared.mu);
        ++shared.value;
      }
    });
  }
  for (auto& t : threads) t.join();
  MutexLock lock(shared.mu);
  EXPECT_EQ(shared.value, 40'000);
}

// Whether another thread could take it now.
template <typename M>
bool IsFree(M& mu) {
  return std::async(std::launch::async,
                    [&] {
                      if (!mu.TryLock()) return false;
                      mu.Unlock();
                      return true;
                    })
      .get();
}

bool IsFreeForReaders(SharedMutex& mu) {
  return std::async(std::launch::async,
                    [&] {
                      if (!mu.TryLockShared()) return false;
                      mu.UnlockShared();
                      return true;
                    })
      .get();
}

TEST(MutexTest, LocksGiveBackWhatTheyHold) {
  Mutex mu;
  {
    MutexLock lock(mu);
    EXPECT_FALSE(IsFree(mu));
  }
  EXPECT_TRUE(IsFree(mu));
  {
    RelockableMutexLock lock(mu);
    EXPECT_FALSE(IsFree(mu));
    lock.Unlock();
    EXPECT_TRUE(IsFree(mu));
    lock.Lock();
    EXPECT_FALSE(IsFree(mu));
  }
  EXPECT_TRUE(IsFree(mu));
  {
    RelockableMutexLock lock(mu);
    lock.Unlock();
  }  // not once more
  EXPECT_TRUE(IsFree(mu));
}

TEST(MutexTest, OneWriterOrManyReaders) {
  SharedMutex mu;
  {
    ReaderLock lock(mu);
    EXPECT_FALSE(IsFree(mu));
    EXPECT_TRUE(IsFreeForReaders(mu));
  }
  {
    WriterLock lock(mu);
    EXPECT_FALSE(IsFree(mu));
    EXPECT_FALSE(IsFreeForReaders(mu));
  }
  EXPECT_TRUE(IsFree(mu));
}

TEST(CondVarTest, WaitsForAChangeAndLetsOthersIn) {
  Counter counter;
  std::thread other([&] {
    for (int i = 0; i < 3; ++i) counter.Add();
  });
  counter.WaitFor(3);
  other.join();
  counter.Add();
  counter.WaitFor(4);
}

TEST(CondVarTest, EndsWithTheTime) {
  Counter counter;
  const auto now = std::chrono::steady_clock::now();
  EXPECT_FALSE(counter.WaitUntil(1, now));
  EXPECT_FALSE(counter.WaitUntil(1, now + std::chrono::milliseconds(5)));
  EXPECT_GE(std::chrono::steady_clock::now() - now, std::chrono::milliseconds(5));
  std::thread other([&] { counter.Add(); });
  EXPECT_TRUE(counter.WaitUntil(1, now + std::chrono::hours(1)));
  other.join();
  counter.Add();  // the mutex was given back
}

}  // namespace
}  // namespace curvefs
