// Looking into a copyset on a disk that no process uses.
#pragma once

#include <string>

#include "base/status.h"

namespace curvefs::cli {

// Prints the applied index, and key and value of every pair, in hexadecimal, one a line: the snapshot with
// the log applied to it, as far as the log itself knows that it is committed. kBusy: in use.
Status DumpState(const std::string& dir, const std::string& copyset);

}  // namespace curvefs::cli
