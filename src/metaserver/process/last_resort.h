// The last resort: of a copyset whose majority is lost for good, one replica goes on alone.
//
// Offline, on the survivor's disk. What its log has is taken as committed, all of it; what only the lost
// replicas had is gone, though it may have been acknowledged. The members become this one replica, and new
// ones join it as usual, as learners first. The lost replicas must never be started again: together they are
// a majority of the old members, and would go on with a history of their own.
#pragma once

#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/status.h"
#include "metaserver/engine.h"
#include "raft/log_store.h"
#include "raft/types.h"

namespace curvefs::metaserver {

inline constexpr std::string_view kLastResortWarning =
    "WARNING: acknowledged changes that only the lost replicas had are lost with them. Never start the lost "
    "replicas again: wipe their disks. Clients open new sessions, fsck should look at the file systems.";

// What it did, for people.
struct LastResort {
  raft::Members before;
  raft::Index last = 0;       // of the log that was kept
  raft::Index committed = 0;  // what this replica knew to be committed: the rest perhaps was not
};

// Makes `survivor`, whose state is in `state_dir` and whose log is in `log`, the only member of its group.
// The caller has made sure that no process uses them. Logs the warning. May be interrupted and repeated.
// kInvalid: it is no member, or the only voter already. kNotFound: the log does not know the group.
Result<LastResort> SurviveAlone(Disk& disk, raft::LogStore& log, const std::string& state_dir,
                                raft::GroupId group, raft::ReplicaId survivor,
                                MetaEngine engine = MetaEngine::kMemory);

// The same for the directory of a metaserver, which it locks. kBusy: the process runs. Without
// `yes_lose_data` kInvalid with the warning, and nothing is done.
Result<LastResort> RecoverCopyset(Disk& disk, const std::string& dir, raft::GroupId group,
                                  raft::ReplicaId survivor, bool yes_lose_data);

}  // namespace curvefs::metaserver
