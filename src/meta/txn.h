// Txn: the evaluation of one metadata operation (DESIGN §4, "evaluate, then replicate").
//
// An operation (src/meta/ops) reads through the transaction, which shows it its own writes over the state of
// the copyset, and leaves its changes in it. If it succeeds, the changes become one batch of the log; if it
// fails, the transaction is thrown away. Pure: no I/O but the View's reads, no clock (the time is an
// argument), no threads.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/status.h"
#include "kv/overlay.h"
#include "kv/view.h"
#include "meta/keys.h"
#include "meta/records.h"

namespace curvefs::meta {

// What an operation needs to know of the file system; constant while it is mounted.
struct FsContext {
  FsId fs{1};
  uint64_t hash_seed = 0;
  uint64_t chunk_size = kChunkSize;
  bool track_usage = false;  // transactions note how usage changes
};

// Reads of single records; for operations that change nothing, and the base of Txn.
class Reader {
 public:
  Reader(const kv::View& view, const FsContext& fs) : view_(view), fs_(fs) {}

  Result<Inode> GetInode(InodeId id) const;                               // kNotFound
  Result<Inode> GetDirectory(InodeId id) const;                           // kNotFound, kNotDirectory
  Result<Dentry> GetDentry(InodeId parent, std::string_view name) const;  // kNotFound
  Result<PartitionRecord> GetPartition(PartitionId partition) const;      // zeros if there is none yet
  Result<bool> IsOrphan(InodeId id) const;
  Result<bool> HasEntries(InodeId dir) const;
  // Visits the chunk records under the keys [begin, end) that overlap [from, to), in key order, until `visit`
  // returns false.
  Status ScanChunks(InodeId inode, std::string_view begin, std::string_view end, uint64_t from, uint64_t to,
                    const std::function<bool(ChunkRecord&&)>& visit) const;
  // The records of one chunk, by sequence.
  Result<std::vector<ChunkRecord>> ChunkRecords(InodeId inode, uint32_t chunk_index) const;

  const kv::View& view() const { return view_; }
  const FsContext& fs() const { return fs_; }

 private:
  const kv::View& view_;
  const FsContext& fs_;
};

// The name of a stored object, as ObjectStore knows it.
struct ObjectRef {
  ChunkId chunk;
  uint32_t block = 0;
  uint32_t compaction = 0;
  InodeId inode;
};

// What an inode counts for in the usage of the directory that is its home.
struct UsageShare {
  InodeId home;  // 0: nowhere; it has no name
  bool is_dir = false;
  uint64_t bytes = 0;  // the length of a file, 0 of anything else
  friend bool operator==(const UsageShare&, const UsageShare&) = default;
};
UsageShare ShareOf(const Inode& inode);
struct UsageChange {
  InodeId inode;
  UsageShare before, after;
};

class Txn : public Reader {
 public:
  Txn(const kv::View& base, const FsContext& fs, Timestamp now);
  Txn(const Txn&) = delete;
  Txn& operator=(const Txn&) = delete;

  Timestamp now() const { return now_; }

  // As Reader's; what is read for the first time is remembered, so that its change can be counted.
  Result<Inode> GetInode(InodeId id) const;
  Result<Inode> GetDirectory(InodeId id) const;

  void PutInode(const Inode& inode);
  void DeleteInode(const Inode& inode);
  // Adds an entry and counts it in `parent` (times, length, link count). A file's first name makes `parent`
  // its home, where it counts; every further one is noted as a link record, and when the name at home goes
  // the file moves to another. The caller puts parent and child.
  void AddDentry(Inode* parent, std::string_view name, Inode* child);
  Status RemoveDentry(Inode* parent, std::string_view name, Inode* child);
  // The directory is being removed, and its quota with it. The caller puts it.
  void DropQuota(Inode* dir);
  // Marks a file without links for reclaiming, or takes the mark away.
  void PutOrphan(InodeId id);
  void DeleteOrphan(InodeId id);

  // A new inode id of the partition; counts the inode. kNoSpace: it has handed out all.
  Result<InodeId> NewInode(PartitionId partition);
  Result<ChunkId> NewChunks(PartitionId partition, uint32_t n);
  Status SetSweepFrom(PartitionId partition, uint64_t chunk);  // see PartitionRecord

  // Chunk records. Remove and Shrink keep the inode's and the partition's byte counts, the object reference
  // counts and the list of objects to delete; Add keeps the byte counts only: for its object call
  // AddNewObject or ChangeRefs. The caller puts the inode.
  void AddChunk(Inode* inode, const ChunkRecord& record);
  Status RemoveChunk(Inode* inode, const ChunkRecord& record);
  // The record now covers less of the same object or inline data: [offset, offset + len) within the old
  // range. Keeps its sequence.
  Status ShrinkChunk(Inode* inode, const ChunkRecord& old, uint64_t offset, uint64_t len);

  // Changes the number of records that use the record's object; at zero the object is freed.
  Status ChangeRefs(const ChunkRecord& record, int64_t delta);
  // The record's object is new and used by `uses` records of this transaction, which hold `bytes` of it.
  // `users`, sorted, says which chunks they are in.
  void AddNewObject(const ChunkRecord& record, uint64_t uses, uint64_t bytes,
                    std::vector<SharedObject::User> users);

  void Set(std::string_view key, std::string_view value) { overlay_.Set(key, value); }
  void Del(std::string_view key) { overlay_.Del(key); }

  // The operation takes nothing that was not promised before (or gives space back): no quota refuses it.
  void PassQuotas() { pass_quotas_ = true; }
  bool passes_quotas() const { return pass_quotas_; }

  // A directory moves into another directory: no other may do so at the same time (meta/lock_guard.h).
  void NoteDirectoryMove() { moves_directory_ = true; }
  bool moves_directory() const { return moves_directory_; }

  // What the operation did.
  bool empty() const { return overlay_.empty() && counters_.empty(); }
  kv::WriteBatch ToBatch();
  // How it changed what inodes count for; empty unless FsContext::track_usage.
  std::vector<UsageChange> usage_changes() const;
  const std::vector<ObjectRef>& new_objects() const {
    return new_objects_;
  }  // must be durable before the batch
  const std::vector<InodeId>& new_orphans() const { return new_orphans_; }
  const std::vector<ObjectRef>& freed_objects() const {
    return freed_objects_;
  }  // may be deleted once the batch is durable
  // Objects shared by files, of which less than half is still in use.
  const std::vector<ChunkId>& sparse_objects() const { return sparse_objects_; }

 private:
  Result<PartitionRecord*> Counters(
      PartitionId partition);  // to be changed at once; valid until the next call
  void CountBytes(Inode* inode, int64_t delta);
  Status RemoveLinkRecord(InodeId parent, std::string_view name, Inode* child);
  UsageChange& Noted(InodeId id, const UsageShare& before) const;
  Result<ObjectRefs> Refs(const ChunkRecord& record, bool* stored) const;
  void PutRefs(const ChunkRecord& record, const ObjectRefs& refs);

  kv::Overlay overlay_;
  Timestamp now_;
  // The counters of the partitions that the operation touches: nearly always one.
  struct Counted {
    PartitionId partition;
    PartitionRecord record;
  };
  std::vector<Counted> counters_;
  std::vector<InodeId> new_orphans_;
  std::vector<ObjectRef> new_objects_, freed_objects_;
  mutable std::vector<UsageChange> shares_;  // of each inode looked at, in the order of looking
  bool pass_quotas_ = false;
  bool moves_directory_ = false;
  std::vector<ChunkId> sparse_objects_;
};

}  // namespace curvefs::meta
