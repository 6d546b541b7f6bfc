// StateFiles: how a replica keeps its state on disk, and how it gives and takes it whole (docs/FORMATS.md
// "The directory of a metaserver", docs/adr/0010). Below the directory of the copyset:
//
//   memory    store/snapshot      the state, as of the last Save; this very file goes to a replica that is
//                                 behind
//             incoming/snapshot   one that arrives
//   rocksdb   db                  the name of the database that counts
//             db-N/               that database; it is the state as of the last flush. A higher N: one
//             arrives copy-N/             a checkpoint of it (hard links), made when a replica needs one, and
//             gone when
//                                 the last has it; it goes as a packed directory (kv/packed_dir.h)
#pragma once

#include <memory>
#include <string>

#include "base/disk.h"
#include "kv/store.h"
#include "metaserver/engine.h"
#include "raft/seams.h"

namespace curvefs::metaserver {

// Where a state stands: index, term, members; from the pairs that it has of its own. kCorrupt.
Result<raft::SnapshotMeta> PositionOf(const kv::KVStore& store);

class StateFiles {
 public:
  virtual ~StateFiles() = default;

  // The state that is durable; an empty one if there is none. Once, before all else. Blocks. kInvalid:
  // another engine's is there.
  virtual Result<std::unique_ptr<kv::KVStore>> Load() = 0;

  // The newest state that can be given away, at least that of `saved`. kBusy: none is ready, Prepare first.
  virtual Result<std::unique_ptr<raft::SnapshotReader>> Give(const raft::SnapshotMeta& saved) = 0;
  // Blocks, on whatever thread, while Apply goes on; alone among the functions here.
  virtual Status Prepare(kv::KVStore& store) = 0;

  // A place for a state that arrives. One at a time: what came before is forgotten.
  virtual Result<std::unique_ptr<raft::SnapshotSink>> Take() = 0;
  // What arrived is whole, and the one that was announced, and is durable and counts from now on. On failure
  // nothing has changed. Blocks, on whatever thread, while the old store is read.
  virtual Result<std::unique_ptr<kv::KVStore>> Install(raft::SnapshotSink& sink,
                                                       const raft::SnapshotMeta& announced) = 0;
  // Closes a store that was replaced, and deletes what it leaves. Blocks, on whatever thread.
  virtual void Discard(std::unique_ptr<kv::KVStore> old) = 0;
};

// `dir` exists. `disk` outlives it and what it gives; RocksDB uses the machine's own.
std::unique_ptr<StateFiles> MakeStateFiles(MetaEngine engine, Disk& disk, const std::string& dir,
                                           const kv::RocksOptions& rocks);

}  // namespace curvefs::metaserver
