// The log of a process: spdlog, behind four functions, so that its headers stay in one file.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::cli {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// `target`: "-" for standard error, "syslog", or the path of a file, which is kept below 10 MiB with one
// older one beside it.
Status StartLog(const std::string& target, std::string_view level);
// Writes out what is buffered.
void StopLog();

// Before StartLog messages go to standard error.
void Log(LogLevel level, std::string_view message);

}  // namespace curvefs::cli
