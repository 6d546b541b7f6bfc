#include "base/log.h"

#include <cstdio>
#include <utility>

#include "base/mutex.h"

namespace curvefs {
namespace {

Mutex mu;  // held while the sink writes: lines come out one after another
LogSink& sink() CURVEFS_REQUIRES(mu) {
  static LogSink* s = new LogSink;
  return *s;
}

}  // namespace

void Log(LogLevel level, const std::string& message) {
  MutexLock lock(mu);
  if (sink()) {
    sink()(level, message);
  } else if (level != LogLevel::kInfo) {
    std::fprintf(stderr, "curvefs: %s%s\n", level == LogLevel::kWarning ? "warning: " : "", message.c_str());
  }
}

void SetLogSink(LogSink new_sink) {
  MutexLock lock(mu);
  sink() = std::move(new_sink);
}

}  // namespace curvefs
