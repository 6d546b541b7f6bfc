// ChunkIndex: what the data layer asks of the metadata. Implemented by the client over its metadata service,
// by a fake in tests.
//
// The content of a file is what its chunk records say, the highest sequence winning where they overlap, zeros
// where there is none, up to the file's length (SPEC D1). No record crosses a chunk boundary (kChunkSize).
// Threads: any. All functions may block.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "meta/records.h"

namespace curvefs::data {

// How a chunk stands after a change; tells when compaction is worth it.
struct ChunkLoad {
  uint32_t chunk_index = 0;
  uint32_t records = 0;
  uint64_t live_bytes = 0;    // sum of the records' lengths
  uint64_t inline_bytes = 0;  // thereof inline
};

class ChunkIndex {
 public:
  virtual ~ChunkIndex() = default;

  // The records that overlap [offset, offset + len), ordered by chunk and then sequence. kNotFound if the
  // inode is gone.
  virtual Result<std::vector<meta::ChunkRecord>> Records(InodeId inode, uint64_t offset, uint64_t len) = 0;

  struct FileRecords {
    InodeId inode;
    std::vector<meta::ChunkRecord> records;
  };
  using Appended = Result<std::vector<ChunkLoad>>;
  // To each of these files, all different, adds records, in this order, as the newest of their chunks (their
  // `sequence` is ignored), and raises the file's length to at least the end of the last one. Records that
  // they cover wholly go. New objects may be shared among the files. kNotFound in the place of a file whose
  // inode is gone: its data may be dropped. Other errors, of all: nothing was changed.
  virtual Result<std::vector<Appended>> Append(std::vector<FileRecords> files) = 0;

  struct Replacement {
    InodeId inode;
    std::vector<meta::ChunkRecord> before, after;
  };
  // Compaction: replaces exactly the records `before` of one chunk, as read earlier, by `after`, which hold
  // the same content; for each of several different chunks, whose new records may share objects. In the
  // place of one that failed, and of which nothing was changed: kNotFound, or kBusy if one of `before` is no
  // longer there as it was, or an older one has appeared. Newer records stay newer. Other errors, of all:
  // nothing was changed.
  virtual Result<std::vector<Status>> Replace(std::vector<Replacement> chunks) = 0;

  // Objects that files share and of which less than half is still in use; each is named once, until it has
  // lost more. May miss some.
  virtual std::vector<meta::SharedObject> TakeSparse(uint32_t max) = 0;

  // `n` consecutive new chunk ids, the first one returned. Never the same twice, also after a crash.
  virtual Result<ChunkId> NewChunks(uint32_t n) = 0;

  virtual FsId fs() const = 0;

  // Whether what Append and Replace have committed is durable when they return. Then the objects that records
  // name are made durable before; otherwise whoever makes the records durable sees to it.
  virtual bool durable_at_once() const { return false; }
};

}  // namespace curvefs::data
