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
    MutexLock lock(mu_);
    stop_ = true;
  }
  work_.NotifyAll();
  for (auto& t : threads_) t.join();
}

// Runs one part of the job, if there is one left to be begun.
bool Workers::TakePart(Job& job) {
  if (job.next == job.n) return false;
  const size_t i = job.next++;
  mu_.Unlock();
  (*job.part)(i);
  mu_.Lock();
  if (--job.unfinished == 0) finished_.NotifyAll();
  return true;
}

void Workers::Main() {
  MutexLock lock(mu_);
  while (true) {
    while (!stop_ && jobs_.empty()) work_.Wait(mu_);
    if (stop_) return;
    const auto job = jobs_.front();
    // The jobs take turns.
    jobs_.pop_front();
    if (job->next + 1 < job->n) jobs_.push_back(job);
    TakePart(*job);
  }
}

void Workers::Run(size_t n, const std::function<void(size_t)>& part) {
  if (n == 0) return;
  auto job = std::make_shared<Job>(Job{.part = &part, .n = n, .unfinished = n});
  MutexLock lock(mu_);
  if (n > 1 && !threads_.empty()) {
    jobs_.push_back(job);
    work_.NotifyAll();
  }
  while (TakePart(*job)) {
  }
  std::erase(jobs_, job);
  while (job->unfinished > 0) finished_.Wait(mu_);
}

}  // namespace curvefs::data
