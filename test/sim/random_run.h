// A whole life of a few machines by one seed: clients that read and write, and everything that can go wrong.
#pragma once

#include <cstdint>
#include <string>

#include "metaserver/replicated_copyset.h"
#include "raft/group.h"
#include "test/sim/world.h"

namespace curvefs::sim {

struct RunOptions {
  uint64_t seed = 1;
  bool change_members = false;
  bool copyset = false;  // the real thing: metadata operations on a ReplicatedCopyset
  raft::Canary canary = raft::Canary::kNone;
  bool syncs_are_lies = false;
  bool sessions = false;  // of a copyset: clients that send again, besides those that give up
  bool early = false;     // … that take early answers; with leases
  metaserver::ReplicatedOptions::Canary early_canary = metaserver::ReplicatedOptions::Canary::kNone;
  bool lease = false;        // reads by lease
  bool cut_leaders = false;  // one after the other, so that they are the last to know
  bool restless = false;     // elections and little else, and crashes in the middle of them
  bool sleep = true;         // idle groups sleep, and there are lulls in which they do
  bool trace = false;
};

struct RunResult {
  std::string failure;  // empty: all is well
  uint64_t trace_hash = 0, events = 0, acknowledged = 0, reads = 0, crashes = 0, snapshots = 0, changes = 0;
  uint64_t repeated = 0, fenced = 0;
  uint64_t early = 0, replayed = 0, redone = 0;  // early answers; sent again; and done anew then
  uint64_t asleep = 0;                           // ticks that replicas slept through while there was trouble
  Time end = 0;
};

RunResult RunSeed(const RunOptions& options);

}  // namespace curvefs::sim
