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
  std::lock_guard lock(mu_);
  if (stop_) return;
  auto it = tasks_.emplace(clock().Steady() + delay, std::move(task));
  if (it == tasks_.begin()) wake_.notify_one();
}

void ThreadLoop::Stop() {
  {
    std::lock_guard lock(mu_);
    stop_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void ThreadLoop::Main() {
  std::unique_lock lock(mu_);
  while (!stop_) {
    if (tasks_.empty()) {
      wake_.wait(lock);
      continue;
    }
    auto due = tasks_.begin()->first;
    if (due > clock().Steady()) {
      wake_.wait_until(lock, due);
      continue;
    }
    Task task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    lock.unlock();
    task();
    task = nullptr;  // what it holds goes before the lock is taken again
    lock.lock();
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
