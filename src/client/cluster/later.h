// Later: runs a function on a thread of its own, a while after it was asked to: what many asked for meanwhile
// is done together. Thread-safe.
#pragma once

#include <functional>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"

namespace curvefs::client {

class Later {
 public:
  // `work` runs `delay` after the first Ask since it ran last began.
  Later(Duration delay, std::function<void()> work);
  ~Later() { Stop(); }
  Later(const Later&) = delete;
  Later& operator=(const Later&) = delete;

  void Ask();
  void Hurry();  // asks, for now
  // Nothing is run any more. Waits for what is running. Idempotent.
  void Stop();

 private:
  void Run();

  const Duration delay_;
  const std::function<void()> work_;
  Mutex mu_;  // a leaf
  CondVar wake_;
  bool asked_ CURVEFS_GUARDED_BY(mu_) = false;
  bool hurry_ CURVEFS_GUARDED_BY(mu_) = false;
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace curvefs::client
