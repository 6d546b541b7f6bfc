#include "data/budget.h"

#include <algorithm>

#include "base/blocking.h"

namespace curvefs::data {

bool Budget::TryTake(uint64_t n) {
  MutexLock lock(mu_);
  if (n > limit_ - used_) return false;
  used_ += n;
  peak_ = std::max(peak_, used_);
  return true;
}

void Budget::GiveBack(uint64_t n) {
  if (n == 0) return;
  MutexLock lock(mu_);
  CURVEFS_CHECK(n <= used_);
  used_ -= n;
  failures_ = 0;
  if (waiters_ > 0) freed_.NotifyAll();
}

void Budget::BeginWait() {
  MutexLock lock(mu_);
  ++waiters_;
}

Status Budget::Wait(uint64_t n) {
  CURVEFS_CHECK(n <= limit_);
  AboutToBlock();
  MutexLock lock(mu_);
  while (n > limit_ - used_ && failures_ < 2) freed_.Wait(mu_);
  --waiters_;
  if (n <= limit_ - used_) return {};
  failures_ = 1;  // the next writer waits for another attempt
  return error_;
}

void Budget::FlushFailed(const Status& error) {
  MutexLock lock(mu_);
  error_ = error;
  ++failures_;
  freed_.NotifyAll();
}

uint64_t Budget::used() const {
  MutexLock lock(mu_);
  return used_;
}

uint64_t Budget::peak() const {
  MutexLock lock(mu_);
  return peak_;
}

bool Budget::has_waiters() const {
  MutexLock lock(mu_);
  return waiters_ > 0;
}

}  // namespace curvefs::data
