// Journal: the log of a copyset on one machine: batches in order, made durable in groups.
//
// Append puts a batch into memory and gives it its sequence number; Sync makes everything up to a number
// durable. Many callers of Sync share one write and one fdatasync (group commit): the first does it for all
// that wait meanwhile.
//
// On disk: segments of fixed size `journal-<first seq, 20 digits>.log`, preallocated and filled with zeros,
// so that a sync need not commit file metadata. A segment is a header and a sequence of batch frames, each
// with the sequence number, the highest number known durable when it was written, the length and an XXH3-64
// checksum (docs/FORMATS.md "Journal").
//
// Recovery reads the segments in order. A frame that does not verify ends the log if nothing says that it was
// ever durable: the frames after it, if any, are remains of writes that were never acknowledged, and are
// wiped. But if the header of any later frame or segment says that the log was durable beyond this point, the
// journal is corrupt: Open fails with file and offset, and with JournalOptions::truncate_at_corruption (fsck
// --repair) cuts it there instead. Segments that hold only batches which the store has already are not read,
// so damage in them does no harm.
//
// Failures: when a write or sync fails, nothing is lost: frames not yet durable stay in memory and the next
// Sync writes them again, to a new segment, which supersedes what the old one holds from there on. Meanwhile
// Append goes on until `max_buffer_bytes` and then fails with kNoSpace.
//
// Threads: all functions may be called by any thread; appends are ordered by the caller (the copyset's
// strand).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/ids.h"
#include "base/status.h"

namespace curvefs::kv {

// Where a frame is.
struct FramePlace {
  Seq segment = 0;  // the first number in it, which names it
  uint64_t offset = 0;
};

// What the frames hold. The journal itself does not look inside.
struct JournalContent {
  uint32_t number = 0;  // in the segment header: 0 batches of SET and DEL, 1 the log of Raft groups
  // The number of records in a payload that this process made. Kept in the frame's header.
  uint32_t (*count)(std::string_view payload) = nullptr;
  // Checks a payload that was read, and returns the same number.
  Result<uint32_t> (*verify)(std::string_view payload) = nullptr;
};
extern const JournalContent kBatchContent;

struct JournalOptions {
  uint64_t segment_bytes = 32 << 20;
  size_t max_buffer_bytes = 64 << 20;
  bool truncate_at_corruption = false;
  bool read_only = false;  // recover without changing anything on disk; Append and Sync fail with kReadOnly
  // A thread makes the next segment ready while this one fills; else it is made at the roll-over.
  bool prepare_ahead = true;
  uint64_t salt = 0;  // of new segments' checksums; 0: random, as it must be outside of tests
  const JournalContent* content = &kBatchContent;
  // Begin with the oldest segment there is, whatever `applied` is: who uses the journal checks that itself.
  bool from_oldest = false;
  // Called once for each frame, in order, when it is known where it is: at the start before it is replayed,
  // later when it is durable, by the thread that syncs, without locks held.
  std::function<void(Seq, FramePlace)> placed;
};

struct JournalRecovery {
  Seq first = 0;            // lowest sequence number on disk, 0 if none
  Seq last = 0;             // last one replayed, or `applied` if none
  uint64_t batches = 0;     // replayed
  uint64_t torn_bytes = 0;  // bytes after the last good frame that were discarded
  std::string corruption;   // what was cut away with truncate_at_corruption, empty if nothing
};

struct JournalStats {
  Seq last = 0, durable = 0;
  uint64_t buffered_bytes = 0, disk_bytes = 0, syncs = 0, appended_bytes = 0, failures = 0;
};

class Journal {
 public:
  // Recovers the journal in `dir` (which exists) and calls replay(seq, encoded batch) for each batch after
  // `applied`, in order without gaps; a gap between `applied` and the first batch is kCorrupt. An error of
  // `replay` ends Open. All that was replayed is durable when Open returns. `recovery` may be null.
  using Replay = std::function<Status(Seq, std::string_view encoded)>;
  static Result<std::unique_ptr<Journal>> Open(Disk& disk, std::string dir, Seq applied, const Replay& replay,
                                               JournalOptions options, JournalRecovery* recovery);
  // Does not sync: what is not durable is lost, as in a crash.
  virtual ~Journal() = default;

  // Called before frames up to `upto` are written, by the thread that syncs, without locks held: makes
  // durable whatever the batches refer to ("data before metadata"). If it fails, Sync fails with its error
  // and nothing is written. Set once, before the first Append. It must not wait for a caller of Append: that
  // one may be waiting for this sync.
  using Barrier = std::function<Status(Seq upto)>;
  virtual void SetBarrier(Barrier barrier) = 0;

  // Takes the batch into the log: a copy into memory, no I/O, unless the buffer is full: then it syncs first,
  // and fails with kNoSpace if that fails. kTooBig for a batch over kMaxBatchBytes.
  virtual Result<Seq> Append(std::string_view encoded) = 0;

  // Returns once every batch up to `upto`, or up to last() if that is less, is durable. Blocks for the I/O.
  virtual Status Sync(Seq upto) = 0;

  // Removes the segments that hold only batches <= upto (the store has saved them); never the one being
  // written. After a failure the rest is tried again by the next call.
  virtual Status TrimTo(Seq upto) = 0;

  // The payload of a frame whose place is known and whose segment has not been trimmed. kCorrupt, naming file
  // and offset, if it is not what was written.
  virtual Result<std::string> Read(Seq seq, FramePlace place) const = 0;

  virtual Seq last() const = 0;
  virtual Seq durable() const = 0;
  virtual JournalStats stats() const = 0;
};

}  // namespace curvefs::kv
