#include "data/workers.h"

#include <pthread.h>

#include <algorithm>

namespace curvefs::data {

Workers::Workers(uint32_t threads, const std::string& name) {
  for (uint32_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Main(); });
    pthread_setname_np(threads_.back().native_handle(), (name + "-" + std::to_string(i % 1000)).c_str());
  }
}

Workers::~Workers() {
  {
    std::lock_guard lock(mu_);
    stop_ = true;
  }
  work_.notify_all();
  for (auto& t : threads_) t.join();
}

// Runs one part of the job, if there is one left to be begun.
bool Workers::TakePart(Job& job, std::unique_lock<std::mutex>& lock) {
  if (job.next == job.n) return false;
  const size_t i = job.next++;
  lock.unlock();
  (*job.part)(i);
  lock.lock();
  if (--job.unfinished == 0) finished_.notify_all();
  return true;
}

void Workers::Main() {
  std::unique_lock lock(mu_);
  while (true) {
    work_.wait(lock, [&] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    const auto job = jobs_.front();
    // The jobs take turns.
    jobs_.pop_front();
    if (job->next + 1 < job->n) jobs_.push_back(job);
    TakePart(*job, lock);
  }
}

void Workers::Run(size_t n, const std::function<void(size_t)>& part) {
  if (n == 0) return;
  auto job = std::make_shared<Job>(Job{.part = &part, .n = n, .unfinished = n});
  std::unique_lock lock(mu_);
  if (n > 1 && !threads_.empty()) {
    jobs_.push_back(job);
    work_.notify_all();
  }
  while (TakePart(*job, lock)) {
  }
  std::erase(jobs_, job);
  finished_.wait(lock, [&] { return job->unfinished == 0; });
}

}  // namespace curvefs::data
