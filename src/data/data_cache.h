// DataCache: the content of files between the mount and the object store (SPEC D3–D8).
//
// Written data waits in the write cache, per file a map of non-overlapping dirty extents; the newest write
// wins. Flush gathers them into objects of at most kBlockSize (scattered small extents share one object),
// stores those, and only then commits the records that name them. Small files and small synced changes skip
// the object: their bytes are in the record itself ("inline"). Reads take dirty bytes first, then what the
// records say.
//
// Memory is bounded: a full write cache makes Write wait for a flush, or fail with the flush's error; the
// read cache evicts. When a flush fails its data goes back to the write cache, under whatever was written
// meanwhile, and is tried again.
//
// Threads: every function may be called by any thread. Per file: any number of readers and writers at once;
// the order of racing operations on the same bytes is the order in which they get the file's lock. Lock
// order: File::flush_mu, then File::mu, then the cache's mu_. No I/O under mu or mu_.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/buffer.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/loop.h"
#include "base/status.h"
#include "data/chunk_index.h"
#include "object/object_store.h"

namespace curvefs::data {

struct DataOptions {
  uint64_t write_cache_bytes = 256 << 20;  // hard limit of dirty and flushing bytes
  uint64_t read_cache_bytes = 256 << 20;
  uint64_t inline_max = kDefaultInlineMax;       // files up to this long live in the metadata; 0: never
  uint64_t staged_max = kStagedInlineMax;        // durable flushes of up to this many bytes go inline first;
                                                 // compaction moves them out later
  uint64_t readahead_bytes = 16 << 20;           // ahead of a sequential reader
  Duration flush_age = std::chrono::seconds(1);  // dirty data older than this is flushed in the background
  uint32_t flush_threads = 2;
  uint32_t put_threads = 1;           // that store objects beside those: several of one file at once
  uint32_t ahead_threads = 2;         // that read ahead
  bool far_objects = false;           // each read of the store may take long, however short it is
  uint64_t reserve_bytes = 32 << 20;  // free space of the store below which writes fail with kNoSpace
};

struct DataStats {
  uint64_t dirty_bytes = 0, flushing_bytes = 0, read_cache_bytes = 0;
  uint64_t read_bytes = 0, read_hits = 0, read_misses = 0, written_bytes = 0;
  uint64_t flushes = 0, flush_failures = 0, objects_put = 0, inline_records = 0, compactions = 0, waits = 0;
};

// Where a reader of an open file has been: detects sequential reading, and runs of it at equal distances
// (strides). One per open handle; used by one call at a time or racing harmlessly.
struct ReadStream {
  std::atomic<uint64_t> next_offset{0};
  std::atomic<uint32_t> run{0};  // consecutive sequential reads
  std::atomic<uint64_t> prefetched_to{0};
  std::atomic<uint64_t> run_begin{0};  // where they began
  std::atomic<int64_t> stride{0};      // from the beginning of the run before to that
  std::atomic<uint32_t> strides{0};    // how often in a row it was the same
};

class DataCache {
 public:
  // All arguments outlive the cache.
  DataCache(ChunkIndex& index, object::ObjectStore& objects, DataOptions options);
  // Drops what is still dirty; call FlushAll before.
  ~DataCache();

  // Takes `data` (at least 1 byte) as the content at `offset`; the buffer is shared, not copied, if it is
  // large, and must not be changed any more. Waits while the write cache is full. kNoSpace; the error of the
  // flush if the cache is full and cannot be flushed.
  Status Write(InodeId inode, uint64_t offset, BufferSlice data);

  // The bytes [offset, min(offset + n, length)) of a file that is `length` bytes long; may be empty. `stream`
  // may be null.
  Result<BufferList> Read(InodeId inode, uint64_t offset, size_t n, uint64_t length, ReadStream* stream);

  // End of the last byte that is dirty or being flushed; 0 if there is none. A file's length is the larger of
  // this, read first, and the committed one.
  uint64_t DirtyEnd(InodeId inode) const;
  // How many bytes those are, roughly: what a flush would add if nothing is overwritten.
  uint64_t DirtyBytes(InodeId inode) const;
  bool IsDirty(InodeId inode) const;

  // Stores all that is dirty now and commits its records. `durable_soon` says that the caller will sync the
  // journal next, so small data goes through it. Ok if the inode has been deleted meanwhile.
  Status Flush(InodeId inode, bool durable_soon);
  Status FlushAll();  // every file; the first error, after trying all

  // Changes the committed content of a file: waits for a flush under way, keeps others out, drops dirty bytes
  // in [offset, offset + len) and then runs `commit`. If `commit` fails the dropped bytes are put back. len
  // ~0 means to the end.
  Status Change(InodeId inode, uint64_t offset, uint64_t len, const std::function<Status()>& commit);

  // The file is deleted: drops everything of it.
  void Forget(InodeId inode);
  // Drops clean cached data (tests, cold reads).
  void DropClean();

  // Ranges of [offset, length) that hold data, as SEEK_DATA / SEEK_HOLE see them: the first offset >=
  // `offset` that is data (or hole). kNoSuchExtent.
  Result<uint64_t> SeekData(InodeId inode, uint64_t offset, uint64_t length);
  Result<uint64_t> SeekHole(InodeId inode, uint64_t offset, uint64_t length);

  // Rewrites one chunk of a file so that fewer, larger, objects hold it (SPEC §7). Called in the background
  // when a chunk is worth it; ok if there was nothing to do.
  Status Compact(InodeId inode, uint32_t chunk_index);

  // Moves what is still used of objects that files share, and that are mostly unused by now, to new ones.
  // Done in the background every few seconds.
  Status Repack();

  DataStats stats() const;

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace curvefs::data
