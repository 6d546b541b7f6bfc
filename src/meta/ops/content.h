// Content of files: chunk records (SPEC D1), their growth, cutting, sharing, compaction and end.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "meta/txn.h"

namespace curvefs::meta {

// How a chunk stands after an Append.
struct ChunkState {
  uint32_t chunk_index = 0;
  uint32_t records = 0;
  uint64_t live_bytes = 0;
  uint64_t inline_bytes = 0;
};

struct AppendRequest {
  InodeId inode;
  std::vector<ChunkRecord> records;  // each within one chunk; sequences are ignored
  std::optional<Timestamp> written;  // when: of mtime and ctime, which otherwise stay
};
struct AppendReply {
  Inode inode;
  std::vector<ChunkState> chunks;
};
// Makes the records the newest of their chunks, in their order, drops those that one of them covers, and
// raises the length. kNotFound; kInvalid (a record that crosses chunks or the largest
// file size).
Result<AppendReply> AppendChunks(Txn& txn, const AppendRequest& request);
// The same for several different files at once, whose records may share objects. In the place of a file that
// is gone stands kNotFound, and nothing of it is added; any other error fails all.
Result<std::vector<Result<AppendReply>>> AppendChunks(Txn& txn, const std::vector<AppendRequest>& requests);

// Compaction, see data::ChunkIndex::Replace.
struct ReplaceRequest {
  InodeId inode;
  std::vector<ChunkRecord> before, after;  // all of one chunk
};
Result<std::vector<Status>> ReplaceChunks(Txn& txn, const std::vector<ReplaceRequest>& requests);

// Makes [offset, offset + len) read as zeros, by cutting records; the length does not change. Sets mtime and
// ctime.
Result<Inode> ZeroRange(Txn& txn, InodeId inode, uint64_t offset, uint64_t len, bool kill_suid_gid);
// posix_fallocate: raises the length if `extend`; space needs no reserving.
Result<Inode> Allocate(Txn& txn, InodeId inode, uint64_t end, bool extend, bool kill_suid_gid);

// copy_file_range: the target's range becomes the source's content by sharing its objects. Both ranges lie
// within the source's length; ranges of one file must not overlap. At most `max_records` records are made;
// returns the number of bytes covered, at least 1 unless len is 0.
struct CloneRequest {
  InodeId from;
  uint64_t from_offset = 0;
  InodeId to;
  uint64_t to_offset = 0;
  uint64_t len = 0;
  uint32_t max_records = 4096;
  bool kill_suid_gid = false;
};
struct CloneReply {
  uint64_t bytes = 0;
  Inode to;
};
Result<CloneReply> CloneRange(Txn& txn, const CloneRequest& request);

// Removes up to `max_records` records of an orphan, and finally the orphan itself. True when it is gone (or
// was never an orphan: then nothing is done).
Result<bool> Reclaim(Txn& txn, InodeId inode, uint32_t max_records);

// The records that overlap [offset, offset + len).
Result<std::vector<ChunkRecord>> RecordsInRange(const Reader& reader, InodeId inode, uint64_t offset,
                                                uint64_t len);

}  // namespace curvefs::meta
