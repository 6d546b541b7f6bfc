// Host: the Raft groups of one loop. It carries inputs to the engine and runs it once for all of them,
// gathers what must be durable into one sync of the log store, and lets the groups go on when that is done.
//
//   Host host(options, *engine, log, transport, syncer);
//   host.Open(group, self, machine);
//   … on the loop: host.Tick() by the clock, host.Receive(message) from the net, group.Propose(…) …
//   host.Pump();   // after a batch of such inputs: does all that can be done now
//
// Not thread-safe: everything on the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/status.h"
#include "raft/engine.h"
#include "raft/group.h"
#include "raft/log_store.h"
#include "raft/seams.h"

namespace curvefs::raft {

class Host {
 public:
  // All outlive the host. `log` may be shared with other hosts.
  Host(GroupOptions options, Engine& engine, LogStore& log, Transport& transport, LogSyncer& syncer);
  ~Host();

  // A group that is new on this disk. `machine` holds its first state: snapshot() is the same on all replicas
  // that the group begins with, its members are these. A replica that joins has an empty one (index 0, no
  // members), and gets everything from the leader. Durable when it returns. kExists if the log knows the
  // group.
  Result<Group*> Create(GroupId group, ReplicaId self, StateMachine& machine);
  // A group that this disk has: goes on from log and state. kNotFound; kCorrupt if the two do not fit.
  Result<Group*> Open(GroupId group, ReplicaId self, StateMachine& machine);
  Group* Find(GroupId group);
  // The replica is not driven any more, what waits fails; its log stays …
  void Close(GroupId group);
  // … or goes too, at the next sync.
  Status Destroy(GroupId group);

  // By the clock. After a pause the ticks that were missed are not made up for: leases rest on an interval
  // being at least that long (group.h LeaseOptions).
  void Tick();
  // For groups that are not here, or replicas that are not meant: dropped.
  void Receive(Message message);
  void Receive(SnapshotChunk chunk);
  void Receive(SnapshotReply reply);
  void ReportUnreachable(GroupId group, ReplicaId peer);
  void Pump();

  uint64_t runs() const { return runs_; }    // of the engine
  uint64_t syncs() const { return syncs_; }  // asked for

 private:
  friend class Group;
  struct Entry {
    std::unique_ptr<Group> group;
    std::shared_ptr<bool> alive;  // false once the group is closed: callbacks may come later
  };
  Result<Group*> Add(GroupId group, ReplicaId self, StateMachine& machine, bool create);
  void StartSync();

  // ---- For the groups
  // Runs `call` in the next Pump, outside of whatever runs now.
  void Defer(std::function<void()> call) { deferred_.push_back(std::move(call)); }
  // Group::BeforeRun before the engine runs next.
  void Touch(GroupId group) { touched_.push_back(group); }
  // The group waits for a sync that begins after this; its OnSynced gets the number.
  uint64_t WantSync(GroupId group);
  std::shared_ptr<bool> Watch(GroupId group) { return groups_.at(group).alive; }

  const GroupOptions options_;
  Engine& engine_;
  LogStore& log_;
  Transport& transport_;
  LogSyncer& syncer_;
  std::map<GroupId, Entry> groups_;
  Handle next_handle_ = 1;
  uint64_t next_read_ = 1;

  std::vector<std::function<void()>> deferred_;
  std::vector<GroupId> touched_;
  std::vector<std::pair<GroupId, uint64_t>> unsynced_;
  uint64_t sync_tickets_ = 0;
  bool sync_running_ = false;
  bool pumping_ = false;
  uint64_t runs_ = 0, syncs_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace curvefs::raft
