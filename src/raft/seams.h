// What a Raft group stands between: the state that it replicates, the peers, the disk's flush. Interfaces, so
// that a simulator can own them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "raft/message.h"
#include "raft/types.h"

namespace curvefs::raft {

// A snapshot to be read in pieces, as it was when it was opened.
class SnapshotReader {
 public:
  virtual ~SnapshotReader() = default;
  virtual const SnapshotMeta& meta() const = 0;
  // Up to n bytes at `offset`; fewer only at the end.
  virtual Result<std::string> Read(uint64_t offset, size_t n) = 0;
};

// A snapshot that arrives in pieces. Destroyed without StateMachine::Restore: forgotten.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  virtual Status Append(std::string_view bytes) = 0;
};

// The replicated state of one group. All functions are called on the loop of the group, and none waits for
// I/O longer than a local file takes to open.
class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // The newest state that is durable, and how far the state in memory is, which is not less. Between the two,
  // the log is applied again after a start.
  virtual SnapshotMeta snapshot() const = 0;
  virtual Index applied() const = 0;

  // Committed entries, in order, without gaps, from applied() + 1 on. Empty ones, and changes of the members,
  // count too. An error stops the group.
  virtual Status Apply(std::span<const Entry> entries) = 0;
  // A change of the members took effect with the entry just applied.
  virtual void MembersChanged(const Members& members, const MemberChange& change) = 0;
  // This replica leads from now on and has applied all that was committed before; or it leads no more: what
  // waits has been failed by then.
  virtual void LeadershipChanged(bool leads, Term term) = 0;

  // Makes a state durable, as it is now or becomes soon, and calls `done` later, on the loop, with where that
  // state stands. The state in memory goes on changing. At most one of TakeSnapshot and Restore is under way.
  using SnapshotDone = std::function<void(Result<SnapshotMeta>)>;
  virtual void TakeSnapshot(SnapshotDone done) = 0;
  virtual Result<std::unique_ptr<SnapshotReader>> OpenSnapshot() = 0;  // the newest
  virtual Result<std::unique_ptr<SnapshotSink>> ReceiveSnapshot(const SnapshotMeta& meta) = 0;
  using Done = std::function<void(Status)>;
  // Replaces the state by what `sink` holds, durably, and calls `done` later, on the loop: then snapshot() is
  // `meta`, and applied() its index. A crash before that leaves the old or the new state.
  virtual void Restore(std::unique_ptr<SnapshotSink> sink, const SnapshotMeta& meta, Done done) = 0;
};

// The way to the peers. What is sent may be lost, doubled, late or out of order; nothing here waits. Bounded:
// what does not fit is dropped.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual void Send(Message message) = 0;
  virtual void Send(SnapshotChunk chunk) = 0;  // beside the messages, which it must not delay
  virtual void Send(SnapshotReply reply) = 0;
  // Something came lately (within half an election timeout) from the process that this replica is on. Groups
  // sleep among processes that hear each other (group_sleep.cc). That such a process has ended, or that
  // another one is in its place, is told by Host::ReportUnreachable; that nothing comes any more shows here
  // only.
  virtual bool Hears(GroupId group, ReplicaId replica) const = 0;
};

// Makes the log store durable on behalf of a loop, which goes on meanwhile.
class LogSyncer {
 public:
  virtual ~LogSyncer() = default;
  // Calls LogStore::Sync and then `done`, later, on the loop. One at a time.
  virtual void Sync(std::function<void(Status)> done) = 0;
};

}  // namespace curvefs::raft
