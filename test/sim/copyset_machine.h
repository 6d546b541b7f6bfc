// CopysetMachine: the registers of the simulator as files of a real copyset: a write is a metadata operation
// on the leader, a read a lookup.
#pragma once

#include <memory>
#include <string>

#include "test/sim/machine.h"

namespace curvefs::sim {

std::unique_ptr<Machine> MakeCopysetMachine(Disk& disk, const std::string& dir, const raft::Members& first,
                                            Watcher watcher);

}  // namespace curvefs::sim
