// Where the messages of base/log.h go in a process of ours. spdlog's headers stay in log.cc.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::cli {

// `target`: "-" for standard error, "syslog", or the path of a file, which is kept below 10 MiB with one
// older one beside it. `level`: the least important that is written: info, warn or error. Call it before
// threads start.
Status StartLog(const std::string& target, std::string_view level);
// Writes out what is buffered; later messages go to standard error.
void StopLog();

}  // namespace curvefs::cli
