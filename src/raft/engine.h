// Engine: Raft itself, as a machine without I/O, clock or threads. The only thing that knows which
// implementation it is (docs/adr/0005-raft-engine.md); nothing above includes more than this header.
//
// An Engine holds any number of groups, all used by one thread. Inputs are queued and carried out, in their
// order, by Run, which hands back one Output per group that was touched:
//
//   engine->Tick(g); engine->Step(g, message, handles); engine->Propose(g, handle, size);
//   engine->Run([&](GroupId g, Output& out) { … out.ready … });
//
// A Ready is what the group must have done to it before it can go on: made durable, sent, applied, in that
// order (rule 1). Then Advance(g) says that it is done, and only then comes the next. Inputs may be given
// meanwhile, except Step of a snapshot (rule 2).
//
// The engine never sees what entries carry. A new entry goes in under a handle that the caller chose, and the
// engine gives the handle back in Ready::entries, or in a message that carries the entry before it is
// durable; afterwards the entry is known by (index, term). So payloads stay where they are (rule 6).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "raft/types.h"

namespace curvefs::raft {

using Handle = uint64_t;  // never 0, never used twice by one caller

struct EngineEntry {
  Term term = 0;
  Index index = 0;
  EntryKind kind = EntryKind::kData;
  Handle handle = 0;  // 0: by (index, term), or empty
  uint32_t size = 0;  // of the payload
};

struct EngineMessage : MessageHead {
  std::vector<EngineEntry> entries;
};

enum class Role : uint8_t { kFollower = 0, kCandidate = 1, kLeader = 2, kPreCandidate = 3 };

struct EngineStatus {
  HardState hard;
  ReplicaId leader;  // none if not known
  Role role = Role::kFollower;
  ReplicaId transfer_to;  // a transfer of leadership is under way
};

struct ReadState {
  std::string context;
  Index index = 0;  // a state that has applied this much may answer the reads
};

struct Ready {
  bool must_sync = false;                // hard state and entries must be durable before the messages go
  std::optional<HardState> hard;         // changed
  std::optional<SnapshotMeta> snapshot;  // replaces state and log
  std::vector<EngineEntry> entries;      // to be made durable; they replace what the log has from there on
  std::vector<EngineEntry> committed;    // to be applied, after `snapshot`
  std::vector<EngineMessage> messages;
  std::vector<ReadState> reads;
};

struct Progress {
  ReplicaId replica;
  Index match = 0;      // the replica has the log up to here
  bool active = false;  // was heard of lately
};

struct Output {
  std::string
      panic;  // not empty: the engine found its state broken, and the group is dead; nothing else is set
  EngineStatus status;
  std::vector<Handle> dropped;     // proposals that were not taken, and are nowhere
  std::optional<Members> members;  // after ApplyChange
  std::optional<std::vector<Progress>> progress;
  bool wants_snapshot = false;  // a replica needs a snapshot newer than the last SnapshotMade
  std::optional<Ready> ready;
};

// A group as it comes from its log and state machine.
struct EngineGroup {
  ReplicaId self;
  uint32_t election_ticks =
      10;  // a follower that hears nothing for so long (to twice that, by chance) stands
  uint32_t heartbeat_ticks = 1;
  uint64_t max_append_bytes = 1 << 20;  // of the entries of one message, and of `committed` of one Ready
  uint32_t max_inflight = 256;          // messages with entries to one replica without an answer
  HardState hard;
  Index applied = 0;      // by the state machine; at most hard.commit
  Members members;        // as of `applied`
  SnapshotMeta snapshot;  // the newest of the state machine
  Index newest_replica =
      0;              // index of the last change up to `applied` that added a replica, 0 if before `base`
  SnapshotMeta base;  // what the log follows; its members do not matter
  std::vector<EngineEntry> log;  // from base.index + 1 on, without gaps; handles do not matter
};

class Engine {
 public:
  virtual ~Engine() = default;

  // ---- Inputs: queued until Run. Unknown groups are ignored.
  virtual void AddGroup(GroupId group, const EngineGroup& state) = 0;  // not there yet
  virtual void RemoveGroup(GroupId group) = 0;
  virtual void Tick(GroupId group) = 0;
  // `handles` are those of the message's entries, one each.
  virtual void Step(GroupId group, const Message& message, std::span<const Handle> handles) = 0;
  // Once a proposal is dropped, so are all that were queued before the Output which says so.
  virtual void Propose(GroupId group, Handle handle, uint32_t size) = 0;
  // `size` of the encoded change. A change while another one is not applied is replaced by an empty entry:
  // its handle does not turn up in Ready::entries.
  virtual void ProposeChange(GroupId group, Handle handle, uint32_t size, const MemberChange& change) = 0;
  // A ReadState with this context follows, unless leadership is lost or was not there.
  virtual void ReadIndex(GroupId group, const std::string& context) = 0;
  virtual void Campaign(GroupId group) = 0;
  virtual void TransferLeader(GroupId group, ReplicaId to) = 0;
  virtual void ReportUnreachable(GroupId group, ReplicaId peer) = 0;
  virtual void ReportSnapshot(GroupId group, ReplicaId peer, bool arrived) = 0;
  // A committed change takes effect; only one for which raft::ApplyChange says so.
  virtual void ApplyChange(GroupId group, Index index, const MemberChange& change) = 0;
  virtual void SnapshotMade(GroupId group, const SnapshotMeta& meta) = 0;
  virtual void Compact(GroupId group, Index upto) = 0;  // the log forgets these entries
  virtual void Advance(GroupId group) = 0;
  virtual void AskProgress(GroupId group) = 0;  // Output::progress: empty unless leader

  // Carries out what is queued, and calls `sink` once for each group that had an input, in the order of their
  // first. `sink` may queue, but not Run. False if nothing was queued.
  using Sink = std::function<void(GroupId, Output&)>;
  virtual bool Run(const Sink& sink) = 0;
};

}  // namespace curvefs::raft
