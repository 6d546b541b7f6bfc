// Sizes, durations and yes/no as people write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace curvefs::cli {

// "65536", "64KiB", "64K", "1G", "1.5MiB": all units are powers of 1024; case does not matter. kInvalid.
Result<uint64_t> ParseSize(std::string_view text);
// The shortest exact form: "64KiB", "65537". Zero is "0".
std::string FormatSize(uint64_t bytes);
// For people, rounded: "1.5 GiB".
std::string RoundedSize(uint64_t bytes);

// "1s", "200ms", "1.5s", "2m", "1h", "7d"; a bare number is seconds. kInvalid.
Result<Duration> ParseDuration(std::string_view text);
std::string FormatDuration(Duration duration);

// "true", "yes", "on", "1" and "false", "no", "off", "0". kInvalid.
Result<bool> ParseBool(std::string_view text);

}  // namespace curvefs::cli
