// Time: wall-clock stamps for files, steady time for intervals. Both come from a Clock, so that a
// simulation can own them.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace curvefs {

// Nanoseconds since 1970-01-01T00:00:00Z, negative before; years 1678 to 2262.
struct Timestamp {
  int64_t ns = 0;
  friend constexpr auto operator<=>(Timestamp, Timestamp) = default;

  // Seconds and nanoseconds as in struct timespec (0 <= nsec < 1e9); out of range is clamped.
  static Timestamp From(int64_t sec, int64_t nsec);
  int64_t sec() const { return (ns - nsec()) / 1'000'000'000; }
  int64_t nsec() const {
    int64_t r = ns % 1'000'000'000;
    return r < 0 ? r + 1'000'000'000 : r;
  }
};

using Duration = std::chrono::nanoseconds;
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp Wall() const = 0;
  virtual SteadyTime Steady() const = 0;

  // The machine's clocks.
  static Clock& System();
};

}  // namespace curvefs
