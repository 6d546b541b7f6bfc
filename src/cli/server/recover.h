// The last resort, from the command line (metaserver/process/last_resort.h).
#pragma once

#include <string>

#include "base/status.h"

namespace curvefs::cli {

// Makes `replica` the only member of `copyset`, in the directory of a metaserver that does not run, and
// prints what it did. Without `yes_lose_data` nothing is changed, and kInvalid says what would be lost.
Status Recover(const std::string& dir, const std::string& copyset, const std::string& replica,
               bool yes_lose_data, bool json);

}  // namespace curvefs::cli
