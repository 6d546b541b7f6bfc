// What the simulator replicates: registers, with one value each, in one way or another.
//
// RegisterMachine: the simplest replicated state: registers by number, one value each. It knows the hash of
// all that was ever applied, so that replicas can be compared by index, and keeps its snapshot as a file on a
// simulated disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/disk.h"
#include "metaserver/replicated_copyset.h"
#include "raft/group.h"
#include "raft/seams.h"

namespace curvefs::sim {

// A proposal: a write of `value` (unique) to register `key`.
std::string EncodeWrite(uint64_t key, uint64_t value, size_t padding);
bool DecodeWrite(std::string_view bytes, uint64_t* key, uint64_t* value);

struct Watcher {
  // The entry was applied; `hash` is of this and perhaps all before it.
  std::function<void(const raft::Entry&, uint64_t hash)> applied;
  std::function<void(raft::Index, uint64_t hash)> restored;  // hash 0: not known
  std::function<void(bool leads, raft::Term)> leads;
  std::function<void(const raft::Members&)> members;
  // Runs `call` later, unless the machine is gone by then.
  std::function<void(std::function<void()>)> later;
};

class Machine : public raft::StateMachine {
 public:
  // `done` gets the index of the entry, or 0 if the machine does not say.
  using Written = std::function<void(Result<raft::Index>)>;
  virtual void Write(uint64_t key, uint64_t value, size_t padding, Written done) = 0;
  virtual void Read(uint64_t key, std::function<void(Result<uint64_t>)> done) = 0;
  // All of the state: equal texts, equal states.
  virtual std::string Dump() const = 0;
  virtual void Attach(raft::Group* group) = 0;
  // The real thing, if it is that.
  virtual metaserver::ReplicatedCopyset* copyset() { return nullptr; }
};

class RegisterMachine final : public Machine {
 public:
  // Loads the snapshot at `path`; with none, begins as `first`.
  RegisterMachine(Disk& disk, std::string path, raft::SnapshotMeta first, Watcher watcher);

  void Write(uint64_t key, uint64_t value, size_t padding, Written done) override;
  void Read(uint64_t key, std::function<void(Result<uint64_t>)> done) override;
  std::string Dump() const override { return Encode(snapshot_at_zero_); }
  void Attach(raft::Group* group) override { group_ = group; }

  raft::SnapshotMeta snapshot() const override { return snapshot_; }
  raft::Index applied() const override { return applied_; }
  Status Apply(std::span<const raft::Entry> entries) override;
  void MembersChanged(const raft::Members& members, const raft::MemberChange& change) override;
  void LeadershipChanged(bool leads, raft::Term term) override { watcher_.leads(leads, term); }
  void TakeSnapshot(SnapshotDone done) override;
  Result<std::unique_ptr<raft::SnapshotReader>> OpenSnapshot() override;
  Result<std::unique_ptr<raft::SnapshotSink>> ReceiveSnapshot(const raft::SnapshotMeta& meta) override;
  void Restore(std::unique_ptr<raft::SnapshotSink> sink, const raft::SnapshotMeta& meta, Done done) override;

 private:
  std::string Encode(const raft::SnapshotMeta& meta) const;
  Status Decode(std::string_view bytes);

  Disk& disk_;
  const std::string path_;
  Watcher watcher_;
  raft::Group* group_ = nullptr;
  const raft::SnapshotMeta snapshot_at_zero_;
  raft::SnapshotMeta snapshot_;
  raft::Term term_ = 0;  // as of applied_
  raft::Members members_;
  raft::Index applied_ = 0;
  uint64_t hash_ = 0;
  std::map<uint64_t, uint64_t> registers_;
};

}  // namespace curvefs::sim
