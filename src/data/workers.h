// Workers: threads that run the parts of a job beside its owner, so that several requests to the object store
// are under way at once.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace curvefs::data {

// Thread-safe; its lock is a leaf.
class Workers {
 public:
  // `threads` may be 0: then every owner does all of its job.
  Workers(uint32_t threads, const std::string& name);
  ~Workers();  // no job is under way

  // Calls part(0) … part(n - 1), each once, in any order and several at once, and returns when all have
  // returned. The caller takes part, so a job goes on though all threads are busy with others.
  void Run(size_t n, const std::function<void(size_t)>& part);

 private:
  struct Job {
    const std::function<void(size_t)>* part;
    size_t n;
    size_t next = 0;    // part to be begun
    size_t unfinished;  // parts that have not returned
  };
  void Main();
  bool TakePart(Job& job) CURVEFS_REQUIRES(mu_);

  Mutex mu_;  // guards the jobs, too
  CondVar work_;
  CondVar finished_;
  std::deque<std::shared_ptr<Job>> jobs_ CURVEFS_GUARDED_BY(mu_);  // with parts to be begun
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace curvefs::data
