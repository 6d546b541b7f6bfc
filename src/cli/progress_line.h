// ProgressLine: "12345 of 20000 objects …" on a terminal, rewritten in place; nothing anywhere else.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace curvefs::cli {

// Not thread-safe.
class ProgressLine {
 public:
  explicit ProgressLine(std::string what);  // on standard error, if that is a terminal
  ~ProgressLine() { End(); }
  // Shown a few times a second. A total of 0 is not known.
  void Show(uint64_t done, uint64_t total);
  void End();  // clears the line

 private:
  const std::string what_;
  const bool terminal_;
  bool shown_ = false;
  SteadyTime next_;
};

}  // namespace curvefs::cli
