#include "fuse/log.h"

namespace curvefs::fuse {

void Log::Line(std::string_view line) {
  if (!sink_) return;
  MutexLock lock(mu_);
  auto now = std::chrono::steady_clock::now();
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    lines_ = 0;
  }
  if (++lines_ > kBurst) {
    ++suppressed_;
    return;
  }
  if (suppressed_ == 0) return sink_(line);
  sink_(std::string(line) + " (and " + std::to_string(suppressed_) + " more lines before)");
  suppressed_ = 0;
}

}  // namespace curvefs::fuse
