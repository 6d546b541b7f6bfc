#include "client/cluster/later.h"

#include <utility>

namespace curvefs::client {

Later::Later(Duration delay, std::function<void()> work)
    : delay_(delay), work_(std::move(work)), thread_([this] { Run(); }) {}

void Later::Ask() {
  MutexLock lock(mu_);
  if (std::exchange(asked_, true)) return;
  wake_.NotifyAll();
}

void Later::Hurry() {
  MutexLock lock(mu_);
  asked_ = hurry_ = true;
  wake_.NotifyAll();
}

void Later::Stop() {
  {
    MutexLock lock(mu_);
    stop_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Later::Run() {
  for (;;) {
    {
      MutexLock lock(mu_);
      while (!stop_ && !asked_) wake_.Wait(mu_);
      const SteadyTime until = Clock::System().Steady() + delay_;
      while (!stop_ && !hurry_ && Clock::System().Steady() < until) wake_.WaitUntil(mu_, until);
      if (stop_) return;
      asked_ = hurry_ = false;
    }
    work_();
  }
}

}  // namespace curvefs::client
