// The inside of DataCache, shared by its sources: write.cc, flush.cc, pack.cc, repack.cc,
// read.cc, compact.cc.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "data/budget.h"
#include "data/data_cache.h"
#include "data/dirty_map.h"
#include "data/extents.h"
#include "data/plan.h"
#include "data/read_cache.h"
#include "data/turn.h"
#include "data/workers.h"

namespace curvefs::data {

struct DataCache::Core {
  // What is not yet stored of one file. Kept while there is something, or someone is using it.
  struct File {
    File(InodeId i, Budget& budget) : inode(i), dirty(budget), flushing(budget), leaving(budget) {}
    const InodeId inode;

    // Held while data of the file is stored and its records are committed, by Flush, Change and the end of
    // Compact. First in the lock order; held over I/O.
    Turn flush_mu CURVEFS_ACQUIRED_BEFORE(mu);

    // Second in the lock order. No I/O under it. The maps are changed under it; `flushing` and `leaving` only
    // by the holder of flush_mu.
    mutable Mutex mu;
    DirtyMap dirty CURVEFS_GUARDED_BY(mu);
    DirtyMap flushing CURVEFS_GUARDED_BY(mu);  // being stored; readable until its records are committed
    // Dropped by a Change that is not yet committed; readable, but no longer counted as content.
    DirtyMap leaving CURVEFS_GUARDED_BY(mu);
    SteadyTime oldest CURVEFS_GUARDED_BY(mu);  // when the first of `dirty` was written
    std::atomic<uint64_t> waiting{0};          // bytes in `dirty`, for whoever does not hold mu
    bool forgotten CURVEFS_GUARDED_BY(mu) = false;
    std::atomic<uint32_t> failures{0};  // flushes that failed in a row

    // Guarded by Core::mu_.
    bool scheduled = false;  // in due_, at `due`
    SteadyTime due;
    bool urgent = false;  // in urgent_

    // `flushing`, for the holder of flush_mu, who needs no lock to look at it.
    const DirtyMap& being_stored() const CURVEFS_REQUIRES(flush_mu) CURVEFS_NO_THREAD_SAFETY_ANALYSIS {
      return flushing;
    }
  };
  using FilePtr = std::shared_ptr<File>;
  using ChunkOfFile = std::pair<InodeId, uint32_t>;
  enum class FlushMode { kAll, kDurableSoon, kFullBlocks };

  Core(ChunkIndex& i, object::ObjectStore& o, DataOptions opts);
  ~Core();

  // write.cc
  Status Write(InodeId inode, uint64_t offset, BufferSlice data);
  Status WritePiece(InodeId inode, uint64_t offset, const BufferSlice& data);
  Status CheckSpace(uint64_t more);
  uint64_t DirtyEnd(InodeId inode) const;
  uint64_t DirtyBytes(InodeId inode) const;
  Status Change(InodeId inode, uint64_t offset, uint64_t len, const std::function<Status()>& commit);
  void Forget(InodeId inode);
  FilePtr Find(InodeId inode) const;
  FilePtr FindOrMake(InodeId inode);
  void Release(FilePtr file);  // removes the file's state if it is clean and nobody else uses it
  std::vector<FilePtr> AllFiles() const;

  // flush.cc
  Status FlushFile(const FilePtr& file, FlushMode mode);
  bool BeginFlush(File& file, FlushMode mode) CURVEFS_REQUIRES(file.flush_mu);
  Status EndFlush(const FilePtr& file, Status s) CURVEFS_REQUIRES(file->flush_mu);
  Status FlushAll();
  void Schedule(const FilePtr& file, SteadyTime due);
  void ScheduleFullBlocks(const FilePtr& file);
  Status WaitForMemory(uint64_t n);
  void FlusherMain();
  FilePtr NextToFlush(FlushMode* mode) CURVEFS_REQUIRES(mu_);
  void FlushInBackground(const FilePtr& file, FlushMode mode);
  Status StoreFlushing(File& file, bool durable_soon) CURVEFS_REQUIRES(file.flush_mu);
  Status StoreInline(File& file) CURVEFS_REQUIRES(file.flush_mu);
  static meta::ChunkRecord ZeroRecord(Range range);
  Result<std::optional<meta::ChunkRecord>> SmallFile(const File& file) CURVEFS_REQUIRES(file.flush_mu);
  Status StoreObjects(File& file) CURVEFS_REQUIRES(file.flush_mu);
  Result<std::vector<meta::ChunkRecord>> PutObjects(const File& file, std::span<const PlannedObject> plan)
      CURVEFS_REQUIRES(file.flush_mu);
  // Records ready to be committed, and the parts of `flushing` that they store.
  struct Stored {
    File* file = nullptr;
    std::vector<meta::ChunkRecord> records;
    std::vector<Range> done;
  };
  std::vector<Status> Commit(std::vector<Stored> stored);  // flush_mu of all of them is held
  void LetGo(const Stored& stored, const std::vector<ChunkLoad>& loads);
  Status CommitRecords(File& file, std::vector<meta::ChunkRecord> records, std::vector<Range> done)
      CURVEFS_REQUIRES(file.flush_mu);
  Result<std::vector<meta::ChunkRecord>> PutObject(InodeId inode, const PlannedObject& plan,
                                                   const BufferList& bytes, ChunkId chunk,
                                                   uint32_t compaction);
  meta::ChunkRecord NewObject(InodeId inode, uint64_t begin, uint64_t bytes, ChunkId chunk) const;
  Status Put(meta::ChunkRecord* record, const BufferList& bytes);
  static meta::ChunkRecord TakePart(meta::ChunkRecord* stored, const Range& part);
  void DeleteObjects(const std::vector<meta::ChunkRecord>& records);
  object::ObjectName NameOf(const meta::ChunkRecord& record) const;

  // pack.cc
  void TakeSmallDue(std::vector<FilePtr>* group) CURVEFS_REQUIRES(mu_);
  std::vector<FilePtr> FlushTogether(const std::vector<FilePtr>& files);
  void FlushGroup(const std::vector<FilePtr>& group);
  struct Member;
  Result<bool> Join(Member* member);
  Status PutTogether(std::vector<Member>& members);
  void StoreTogether(std::vector<Member> members, std::vector<FilePtr>* left);

  // repack.cc
  Status Repack();
  struct Moves;
  Status Collect(const ChunkOfFile& chunk, const std::set<ChunkId>& objects, Moves* moves);
  Status Move(Moves moves);

  // read.cc
  Result<BufferList> Read(InodeId inode, uint64_t offset, size_t n, uint64_t length, ReadStream* stream);
  Result<BufferList> ReadOnce(InodeId inode, Range range, bool sequential);
  Result<BufferSlice> ReadPiece(InodeId inode, const meta::ChunkRecord& record, Range range,
                                bool whole_objects);
  std::vector<Segment> NotYetStored(InodeId inode, Range range) const;
  bool Anticipate(InodeId inode, Range range, uint64_t length, ReadStream* stream);
  void ReadStridesAhead(InodeId inode, uint64_t begin, uint64_t n, uint64_t length, const ReadStream& stream);
  void ReadAhead(InodeId inode, Range range, uint64_t length, ReadStream& stream);
  Result<uint64_t> Seek(InodeId inode, uint64_t offset, uint64_t length, bool data);

  // compact.cc
  Status Compact(InodeId inode, uint32_t chunk_index, bool asked_for);
  Status CompactOnce(File& file, uint32_t chunk_index, bool asked_for, bool exclusive);
  Status RewriteVisible(InodeId inode, const std::vector<meta::ChunkRecord>& before,
                        const std::vector<Piece>& pieces, const std::vector<PlannedObject>& plan,
                        std::vector<meta::ChunkRecord>* after);
  Status MoveInlineOut(InodeId inode, const std::vector<meta::ChunkRecord>& before,
                       std::vector<meta::ChunkRecord>* after);
  Status ReplaceOne(ChunkIndex::Replacement replacement);
  void ConsiderCompaction(InodeId inode, const std::vector<ChunkLoad>& loads);
  void CompactorMain();
  bool stopping() const;

  DataStats Stats() const;

  ChunkIndex& index;
  object::ObjectStore& objects;
  const DataOptions options;
  Clock& clock = Clock::System();
  Budget budget;
  ReadCache read_cache;
  Workers putters;

  // Files by inode. A shard's lock comes after File::flush_mu and before File::mu.
  static constexpr size_t kShards = 64;
  struct Shard {
    mutable Mutex mu;
    std::unordered_map<InodeId, FilePtr> files CURVEFS_GUARDED_BY(mu);
  };
  Shard shards[kShards];
  Shard& ShardOf(InodeId inode) { return shards[inode.value % kShards]; }
  const Shard& ShardOf(InodeId inode) const { return shards[inode.value % kShards]; }

  // Third in the lock order, after File::mu: what the background threads have to do.
  mutable Mutex mu_;
  CondVar flusher_work_;
  std::multimap<SteadyTime, FilePtr> due_ CURVEFS_GUARDED_BY(mu_);
  std::deque<FilePtr> urgent_ CURVEFS_GUARDED_BY(mu_);
  CondVar compactor_work_;
  std::map<ChunkOfFile, SteadyTime> compactions_ CURVEFS_GUARDED_BY(mu_);  // when each is due
  std::multimap<SteadyTime, ChunkOfFile> compactions_by_time_ CURVEFS_GUARDED_BY(mu_);
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;

  // Free space of the store, as last asked, less what was put since.
  std::atomic<int64_t> free_bytes{INT64_MAX};
  std::atomic<int64_t> next_space_poll{0};  // steady time, ns

  struct {
    std::atomic<uint64_t> flushing_bytes{0}, read_bytes{0}, read_hits{0}, read_misses{0}, written_bytes{0},
        flushes{0}, flush_failures{0}, objects_put{0}, inline_records{0}, compactions{0}, waits{0};
  } counters;
};

}  // namespace curvefs::data
