// The commands behind .control of a standalone mount.
#pragma once

#include "cli/control_server.h"

namespace curvefs::cli {

class Standalone;

// `fs` outlives the server's last request.
void AddControlCommands(ControlServer& server, Standalone& fs);

}  // namespace curvefs::cli
