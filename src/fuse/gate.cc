#include "fuse/gate.h"

namespace curvefs::fuse {

bool Gate::Enter() {
  std::unique_lock lock(mu_);
  changed_.wait(lock, [&] { return stopped_ || readers_ < wanted_; });
  if (stopped_) return false;
  ++readers_;
  return true;
}

void Gate::Leave() {
  std::lock_guard lock(mu_);
  --readers_;
  if (readers_ < wanted_) changed_.notify_one();
}

bool Gate::LeaveIfSpare() {
  std::lock_guard lock(mu_);
  if (readers_ < 2) return false;
  --readers_;
  wanted_ = readers_;
  return true;
}

void Gate::Grow() {
  std::lock_guard lock(mu_);
  if (wanted_ >= most_ || readers_ < wanted_) return;
  ++wanted_;
  changed_.notify_one();
}

void Gate::Stop() {
  std::lock_guard lock(mu_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace curvefs::fuse
