// A loop in real time that runs only while the test waits for something, on the test's own thread: what it
// calls needs no locks.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "base/loop.h"

namespace curvefs::test {

class PumpedLoop final : public Loop {
 public:
  void After(Duration delay, Task task) override {
    const MutexLock lock(mu_);
    tasks_.emplace(Clock::System().Steady() + delay, std::move(task));
    wake_.NotifyAll();
  }
  const Clock& clock() const override { return Clock::System(); }

  // Runs what is due until `condition`, which is looked at after each task. False: the time has passed.
  bool RunUntil(const std::function<bool()>& condition, Duration limit) {
    const SteadyTime end = clock().Steady() + limit;
    while (!condition()) {
      Task task;
      {
        const MutexLock lock(mu_);
        while (tasks_.empty() || tasks_.begin()->first > clock().Steady()) {
          const SteadyTime until = tasks_.empty() ? end : std::min(end, tasks_.begin()->first);
          if (clock().Steady() >= end) return false;
          wake_.WaitUntil(mu_, until);
        }
        task = std::move(tasks_.begin()->second);
        tasks_.erase(tasks_.begin());
      }
      task();
    }
    return true;
  }
  void RunFor(Duration time) {
    RunUntil([] { return false; }, time);
  }

 private:
  Mutex mu_;
  CondVar wake_;
  std::multimap<SteadyTime, Task> tasks_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::test
