// KVStore: the state of one copyset, an ordered map from key to value.
//
// Changes come only as batches, in the order of the log ("log, then apply", SPEC P4): the log
// (src/kv/journal.h, later Raft) gives each batch its sequence number, and the store remembers the last one
// applied, durably together with the state, so that after a crash exactly the rest of the log is replayed.
//
// What the store keeps durable, and when:
//   memory engine    everything in memory; durable is the snapshot written by the last Save. Load reads it.
//   rocksdb engine   on disk, bounded memory; its own write-ahead log is off. Save flushes. Load opens.
// After Load, applied() says from where the log must be replayed (applied() + 1).
//
// Threads: Apply is called by one thread at a time (the copyset's strand); Get and Scan by any thread at any
// time, each seeing whole batches only; Save by one background thread while all the others go on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/disk.h"
#include "base/ids.h"
#include "base/status.h"
#include "kv/view.h"
#include "kv/write_batch.h"

namespace rocksdb {
class Env;
}

namespace curvefs::kv {

struct StoreStats {
  uint64_t pairs = 0;  // exact for memory, an estimate for rocksdb
  uint64_t key_value_bytes = 0;
  uint64_t memory_bytes = 0;  // what the engine holds in memory
};

class KVStore : public View {
 public:
  // Reads the durable state from the store's directory. Called once, before anything else. An empty directory
  // is an empty store. kCorrupt (naming file and offset) or kUnsupportedVersion if it cannot be trusted.
  virtual Status Load() = 0;

  // Applies `encoded` (WriteBatch::encoded) as one change and sets applied() to `seq`, which is greater than
  // before. An error (rocksdb: the disk) leaves the store unchanged.
  virtual Status Apply(std::string_view encoded, Seq seq) = 0;

  // The sequence number of the last batch in the state.
  virtual Seq applied() const = 0;

  // Makes the state as of some moment during the call durable, the batches after it going on unhindered, and
  // returns the sequence number of that moment: the log up to it is no longer needed. On failure the previous
  // durable state is untouched. Blocks for the time of the I/O.
  virtual Result<Seq> Save() = 0;

  // Makes a copy of the state, as of some moment during the call, in the directory `dir`, which must not be
  // there yet: durable, and free of changes from then on; a store of the same engine can be loaded from it.
  // Files are shared with the store (hard links), so `dir` is on the same disk. Blocks for the time of a
  // Save. Beside Apply, as Save. kNotSupported: the memory engine, whose saved file is such a copy.
  virtual Status Checkpoint(const std::string& dir);
  // Reads everything that is durable and checks its checksums: kCorrupt. Blocks. The memory engine does it at
  // Load.
  virtual Status Verify() { return {}; }

  virtual StoreStats stats() const = 0;

  // Called with a sequence number before state that contains that batch becomes durable, at Save or on the
  // engine's own account: makes durable what must be so first (the journal, the objects). An error ends a
  // Save; an engine that cannot stop its own write tries again until it succeeds. Set once, before Load.
  using Barrier = std::function<Status(Seq upto)>;
  void SetBarrier(Barrier barrier) { barrier_ = std::move(barrier); }

 protected:
  Status RunBarrier(Seq upto) const { return barrier_ ? barrier_(upto) : Status(); }

 private:
  Barrier barrier_;
};

// `dir` exists and belongs to the store. `disk` must outlive it.
std::unique_ptr<KVStore> MakeMemoryStore(Disk& disk, std::string dir);

// Block cache and write buffers of any number of stores in a process: at most `bytes` together.
class RocksMemory;
std::shared_ptr<RocksMemory> MakeRocksMemory(uint64_t bytes);

struct RocksOptions {
  uint64_t memory_bytes = 128 << 20;    // block cache and write buffers together
  std::shared_ptr<RocksMemory> memory;  // shared with other stores; memory_bytes says nothing then
  // No file is changed: what is applied stays in memory, and is applied before anybody else reads; Save
  // fails.
  bool read_only = false;
  rocksdb::Env* env = nullptr;  // for tests: whose files it uses, outlives the store. Null: the machine's
};
std::unique_ptr<KVStore> MakeRocksStore(std::string dir, RocksOptions options);

}  // namespace curvefs::kv
