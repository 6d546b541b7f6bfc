// Ports of loopback.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace curvefs::cli {

bool PortIsFree(uint16_t port);
// The first of `count` ports in a row that are free, outside of those that the kernel hands out by itself.
// kUnavailable.
Result<uint16_t> FreePorts(uint16_t count);
// Whether GET `path` at the port is answered with a text that has `needle` in it; waits a second at most.
bool HttpSays(uint16_t port, const std::string& path, const std::string& needle);

}  // namespace curvefs::cli
