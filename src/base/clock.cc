#include "base/clock.h"

#include <time.h>

#include <limits>

namespace curvefs {

Timestamp Timestamp::From(int64_t sec, int64_t nsec) {
  int64_t ns;
  if (__builtin_mul_overflow(sec, int64_t{1'000'000'000}, &ns) || __builtin_add_overflow(ns, nsec, &ns)) {
    return {sec < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max()};
  }
  return {ns};
}

Clock& Clock::System() {
  class SystemClock final : public Clock {
    Timestamp Wall() const override {
      // Coarse: file times then order exactly as those the kernel itself gives out with its own
      // write-back cache, which uses the same clock.
      timespec t;
      clock_gettime(CLOCK_REALTIME_COARSE, &t);
      return Timestamp::From(t.tv_sec, t.tv_nsec);
    }
    SteadyTime Steady() const override { return SteadyTime(std::chrono::steady_clock::now()); }
  };
  static SystemClock clock;
  return clock;
}

}  // namespace curvefs
