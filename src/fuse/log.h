// Log: failures of ours, told to whoever runs the mount, but not more often than a person can read.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/mutex.h"

namespace curvefs::fuse {

// Thread-safe. The sink is called by one thread at a time.
class Log {
 public:
  using Sink = std::function<void(std::string_view line)>;
  explicit Log(Sink sink) : sink_(std::move(sink)) {}

  // Passes on at most kBurst lines a second; what is left out is counted in the next line.
  void Line(std::string_view line);

 private:
  static constexpr int kBurst = 10;

  Mutex mu_;  // held while the sink is called
  const Sink sink_;
  std::chrono::steady_clock::time_point second_ CURVEFS_GUARDED_BY(mu_){};  // start of the current one
  int lines_ CURVEFS_GUARDED_BY(mu_) = 0;                                   // in it
  uint64_t suppressed_ CURVEFS_GUARDED_BY(mu_) = 0;
};

}  // namespace curvefs::fuse
