// Knobs in a file (TOML): one line NAME = VALUE for each, as `--NAME VALUE` on the command line.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace curvefs::cli {

using KnobValues = std::vector<std::pair<std::string, std::string>>;

// `path` is for messages. kInvalid: it is no TOML, or a value is of a kind that no knob has.
Result<KnobValues> ParseConfigFile(std::string_view text, const std::string& path);
Result<KnobValues> ReadConfigFile(const std::string& path);

}  // namespace curvefs::cli
