// Gate: which of the workers wait for requests.
//
// Waking a sleeping thread costs more than most operations, and the kernel wakes one for each request if
// several sleep in read(2). So as few as possible are readers, one to begin with, and a reader looks for the
// next request for a while before it sleeps: under load it never does. A reader that is about to do something
// long leaves, and another takes its place. When requests keep queueing up, more become readers; when there
// are none, all but one leave.
#pragma once

#include <atomic>
#include <chrono>

#include "base/mutex.h"

namespace curvefs::fuse {

// Thread-safe.
class Gate {
 public:
  explicit Gate(int most) : most_(most) {}  // readers at a time, at least 1

  // Waits until the caller may read. False once stopped.
  bool Enter();
  // The caller, a reader, does something else; another may read.
  void Leave();
  // The caller, a reader, has found nothing for a while. True: it was one too many, and is no reader any
  // more.
  bool LeaveIfSpare();
  // There are more requests than the readers take.
  void Grow();
  // Nobody enters any more; those who wait return.
  void Stop();

 private:
  const int most_;
  Mutex mu_;
  CondVar changed_;
  int readers_ CURVEFS_GUARDED_BY(mu_) = 0;
  int wanted_ CURVEFS_GUARDED_BY(mu_) = 1;
  bool stopped_ CURVEFS_GUARDED_BY(mu_) = false;
};

// Whether short reads have lately been done sooner than another thread wakes up and takes over: then a reader
// of requests serves them itself. Thread-safe.
class QuickReads {
 public:
  static constexpr uint32_t kMaxBytes = 64 << 10;  // of a short read
  static constexpr std::chrono::nanoseconds kQuick = std::chrono::microseconds(200);

  bool Likely() const { return average_ns_.load(std::memory_order_relaxed) <= kQuick.count(); }
  // A short read took so long. Concurrent calls may lose one.
  void Took(std::chrono::nanoseconds time) {
    const int64_t average = average_ns_.load(std::memory_order_relaxed);
    average_ns_.store(average + (time.count() - average) / 8, std::memory_order_relaxed);
  }

 private:
  std::atomic<int64_t> average_ns_ = 0;  // of the last few, weighted
};

}  // namespace curvefs::fuse
