#include "fuse/gate.h"

namespace curvefs::fuse {

bool Gate::Enter() {
  MutexLock lock(mu_);
  while (!stopped_ && readers_ >= wanted_) changed_.Wait(mu_);
  if (stopped_) return false;
  ++readers_;
  return true;
}

void Gate::Leave() {
  MutexLock lock(mu_);
  --readers_;
  if (readers_ < wanted_) changed_.NotifyOne();
}

bool Gate::LeaveIfSpare() {
  MutexLock lock(mu_);
  if (readers_ < 2) return false;
  --readers_;
  wanted_ = readers_;
  return true;
}

void Gate::Grow() {
  MutexLock lock(mu_);
  if (wanted_ >= most_ || readers_ < wanted_) return;
  ++wanted_;
  changed_.NotifyOne();
}

void Gate::Stop() {
  MutexLock lock(mu_);
  stopped_ = true;
  changed_.NotifyAll();
}

}  // namespace curvefs::fuse
