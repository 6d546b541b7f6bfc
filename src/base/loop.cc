#include "base/loop.h"

#include <pthread.h>

namespace curvefs {

ThreadLoop::ThreadLoop(std::string name) {
  thread_ = std::thread([this] { Main(); });
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

ThreadLoop::~ThreadLoop() {
  Stop();
}

void ThreadLoop::After(Duration delay, Task task) {
  MutexLock lock(mu_);
  if (stop_) return;
  auto it = tasks_.emplace(clock().Steady() + delay, std::move(task));
  if (it == tasks_.begin()) wake_.NotifyOne();
}

void ThreadLoop::Stop() {
  {
    MutexLock lock(mu_);
    stop_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

void ThreadLoop::Main() {
  RelockableMutexLock lock(mu_);
  while (!stop_) {
    if (tasks_.empty()) {
      wake_.Wait(mu_);
      continue;
    }
    auto due = tasks_.begin()->first;
    if (due > clock().Steady()) {
      wake_.WaitUntil(mu_, due);
      continue;
    }
    Task task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    lock.Unlock();
    task();
    task = nullptr;  // what it holds goes before the lock is taken again
    lock.Lock();
  }
}

void ManualLoop::After(Duration delay, Task task) {
  tasks_.emplace(now_ + delay, std::move(task));
}

size_t ManualLoop::Advance(Duration d) {
  SteadyTime until = now_ + d;
  size_t run = 0;
  while (!tasks_.empty() && tasks_.begin()->first <= until) {
    if (tasks_.begin()->first > now_) now_ = tasks_.begin()->first;
    Task task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    task();
    ++run;
  }
  now_ = until;
  return run;
}

}  // namespace curvefs
