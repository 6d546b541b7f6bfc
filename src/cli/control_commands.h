// The commands behind .control of a mount.
#pragma once

#include "cli/control_server.h"

namespace curvefs::cli {

class ClusterFs;
class Standalone;

// `fs` outlives the server's last request.
void AddControlCommands(ControlServer& server, Standalone& fs);
// Those of a mount of a cluster; the others say why they are not there.
void AddControlCommands(ControlServer& server, ClusterFs& fs);

}  // namespace curvefs::cli
