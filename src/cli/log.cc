#include "cli/log.h"

#include <fcntl.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "base/log.h"

namespace curvefs::cli {
namespace {

constexpr size_t kLogBytes = 10 << 20;

}  // namespace

Status StartLog(const std::string& target, std::string_view level) {
  spdlog::sink_ptr sink;
  if (target == "-") {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else if (target == "syslog") {
    sink = std::make_shared<spdlog::sinks::syslog_sink_mt>("curvefs", LOG_PID, LOG_DAEMON,
                                                           /*enable_formatting=*/false);
  } else {
    // spdlog reports failure by an exception of its own; asked beforehand, it has none to report.
    int fd = ::open(target.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return FromErrno(errno, "open the log file " + target);
    ::close(fd);
    try {
      sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(target, kLogBytes, 1);
    } catch (const spdlog::spdlog_ex& e) {
      return {Code::kIo, "open the log file " + target + ": " + e.what()};
    }
  }
  sink->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l [%P] %v");
  auto logger = std::make_shared<spdlog::logger>("curvefs", std::move(sink));
  logger->set_level(spdlog::level::from_str(std::string(level)));
  logger->flush_on(spdlog::level::info);
  SetLogSink([logger](LogLevel severity, const std::string& message) {
    static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::info, spdlog::level::warn,
                                                            spdlog::level::err};
    logger->log(kLevels[static_cast<int>(severity)], message);
  });
  return {};
}

void StopLog() {
  SetLogSink(nullptr);
}

}  // namespace curvefs::cli
