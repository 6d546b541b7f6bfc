#include "base/log.h"

#include <cstdio>
#include <mutex>
#include <utility>

namespace curvefs {
namespace {

std::mutex mu;
LogSink& sink() {
  static LogSink* s = new LogSink;
  return *s;
}

}  // namespace

void Log(LogLevel level, const std::string& message) {
  std::lock_guard lock(mu);
  if (sink()) {
    sink()(level, message);
  } else if (level != LogLevel::kInfo) {
    std::fprintf(stderr, "curvefs: %s%s\n", level == LogLevel::kWarning ? "warning: " : "", message.c_str());
  }
}

void SetLogSink(LogSink new_sink) {
  std::lock_guard lock(mu);
  sink() = std::move(new_sink);
}

}  // namespace curvefs
