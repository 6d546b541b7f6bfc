// CopysetMachine: the registers of the simulator as files of a real copyset: a write is a metadata operation
// on the leader, a read a lookup.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "metaserver/replicated_copyset.h"
#include "test/sim/machine.h"

namespace curvefs::sim {

std::unique_ptr<Machine> MakeCopysetMachine(Disk& disk, const Clock& clock, const std::string& dir,
                                            const raft::Members& first, Watcher watcher,
                                            metaserver::ReplicatedOptions::Canary canary);
inline std::unique_ptr<Machine> MakePlainCopysetMachine(Disk& disk, const Clock& clock,
                                                        const std::string& dir, const raft::Members& first,
                                                        Watcher watcher) {
  return MakeCopysetMachine(disk, clock, dir, first, std::move(watcher),
                            metaserver::ReplicatedOptions::Canary::kNone);
}

// A new file that takes the place of the old one, or a change of the one that is there.
Status WriteRegister(meta::Txn& txn, uint64_t key, uint64_t value, size_t padding);
Result<uint64_t> ReadRegister(const meta::Reader& reader, uint64_t key);

}  // namespace curvefs::sim
