#include "cli/progress_line.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <utility>

namespace curvefs::cli {

ProgressLine::ProgressLine(std::string what)
    : what_(std::move(what)), terminal_(::isatty(STDERR_FILENO) != 0), next_(Clock::System().Steady()) {}

void ProgressLine::Show(uint64_t done, uint64_t total) {
  if (!terminal_ || Clock::System().Steady() < next_) return;
  next_ = Clock::System().Steady() + std::chrono::milliseconds(200);
  shown_ = true;
  const std::string of = total > 0 ? " of " + std::to_string(total) : std::string();
  std::fprintf(stderr, "\r\033[K%llu%s %s", static_cast<unsigned long long>(done), of.c_str(), what_.c_str());
  std::fflush(stderr);
}

void ProgressLine::End() {
  if (std::exchange(shown_, false)) std::fprintf(stderr, "\r\033[K");
}

}  // namespace curvefs::cli
