// Log: failures of ours, told to whoever runs the mount, but not more often than a person can read.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

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

  std::mutex mu_;
  const Sink sink_;
  std::chrono::steady_clock::time_point second_{};  // start of the current one
  int lines_ = 0;                                   // in it
  uint64_t suppressed_ = 0;
};

}  // namespace curvefs::fuse
