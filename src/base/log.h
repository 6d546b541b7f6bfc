// Messages for people: one line each, handed to a sink that the program sets (the CLI: spdlog; tests: nothing
// or stderr).
//
// Rare events only, never one per operation. Thread-safe.
#pragma once

#include <functional>
#include <string>

namespace curvefs {

enum class LogLevel { kInfo, kWarning, kError };

void Log(LogLevel level, const std::string& message);

using LogSink = std::function<void(LogLevel, const std::string&)>;
// Replaces the sink; none: warnings and errors go to stderr. Call before threads start.
void SetLogSink(LogSink sink);

}  // namespace curvefs
