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
#include "raft/seams.h"

namespace curvefs::sim {

// A proposal: a write of `value` (unique) to register `key`.
std::string EncodeWrite(uint64_t key, uint64_t value, size_t padding);
bool DecodeWrite(std::string_view bytes, uint64_t* key, uint64_t* value);

class RegisterMachine final : public raft::StateMachine {
 public:
  struct Watcher {
    // The entry was applied; `hash` is of all entries up to it.
    std::function<void(const raft::Entry&, uint64_t hash)> applied;
    std::function<void(raft::Index, uint64_t hash)> restored;
    std::function<void(bool leads, raft::Term)> leads;
    std::function<void(const raft::Members&)> members;
    // Runs `call` later, unless the machine is gone by then.
    std::function<void(std::function<void()>)> later;
  };

  // Loads the snapshot at `path`; with none, begins as `first`.
  RegisterMachine(Disk& disk, std::string path, raft::SnapshotMeta first, Watcher watcher);

  uint64_t Get(uint64_t key) const;
  uint64_t hash() const { return hash_; }
  const std::map<uint64_t, uint64_t>& registers() const { return registers_; }

  raft::SnapshotMeta snapshot() const override { return snapshot_; }
  raft::Index applied() const override { return applied_; }
  Status Apply(std::span<const raft::Entry> entries) override;
  void MembersChanged(const raft::Members& members, const raft::MemberChange& change) override;
  void LeadershipChanged(bool leads, raft::Term term) override { watcher_.leads(leads, term); }
  void TakeSnapshot(const raft::SnapshotMeta& meta, Done done) override;
  Result<std::unique_ptr<raft::SnapshotReader>> OpenSnapshot() override;
  Result<std::unique_ptr<raft::SnapshotSink>> ReceiveSnapshot(const raft::SnapshotMeta& meta) override;
  void Restore(std::unique_ptr<raft::SnapshotSink> sink, const raft::SnapshotMeta& meta, Done done) override;

 private:
  std::string Encode(const raft::SnapshotMeta& meta) const;
  Status Decode(std::string_view bytes);

  Disk& disk_;
  const std::string path_;
  Watcher watcher_;
  raft::SnapshotMeta snapshot_;
  raft::Index applied_ = 0;
  uint64_t hash_ = 0;
  std::map<uint64_t, uint64_t> registers_;
};

}  // namespace curvefs::sim
