// LogStore: the logs of all Raft groups that have their replica on one disk, in one stream of records.
//
// Each group has a hard state (term, vote, commit), a base (what its log follows) and the entries after it.
// Changes go into memory at once, and become durable together: Sync makes everything durable that was
// appended before it, by one write and one fdatasync for all groups and all callers that wait meanwhile
// (group commit).
//
// The stream is a kv::Journal: its segments, checksums, torn-tail rule and handling of failed writes are the
// same (kv/journal.h); its frames hold log_record.h. In memory is an index of every live entry (40 bytes
// each), and the payloads that are not on the disk yet or were appended lately (bounded by `cache_bytes`);
// others are read back, and checked.
//
// Space: Trim removes segments that no group needs. When there are more than `max_segments`, it first copies
// what is still alive of the oldest to the end, so that a quiet group does not hold back the log of a busy
// one.
//
// Threads: all functions may be called by any thread. Changes of one group are ordered by its owner.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/disk.h"
#include "base/mutex.h"
#include "base/status.h"
#include "kv/journal.h"
#include "raft/types.h"

namespace curvefs::raft {

struct LogRecord;
enum class RecordKind : uint8_t;

struct LogOptions {
  kv::JournalOptions journal{.segment_bytes =
                                 64 << 20};  // `content`, `placed`, `from_oldest` are the store's own
  size_t cache_bytes = 64 << 20;
  size_t max_segments = 4;  // more of them: Trim copies live records
};

struct LogInfo {
  HardState hard;
  SnapshotMeta base;
  Index last = 0;      // base.index if there are no entries
  uint64_t bytes = 0;  // of the entries' payloads
};

class LogStore {
 public:
  // Reads the logs in `dir`, which exists. `disk` outlives the store. kCorrupt, naming file and offset, if a
  // record that was durable is damaged; `recovery` may be null.
  static Result<std::unique_ptr<LogStore>> Open(Disk& disk, std::string dir, LogOptions options,
                                                kv::JournalRecovery* recovery);

  // Where to find what, of one group or all.
  std::vector<GroupId> Groups() const;
  std::optional<LogInfo> Info(GroupId group) const;
  // Of an entry, or of the base; nothing for one that is not in the log.
  std::optional<Term> TermOf(GroupId group, Index index) const;
  // Entries [begin, end), at least one, then as many as fit into max_bytes. kNotFound if `begin` is not in
  // the log.
  Result<std::vector<Entry>> Read(GroupId group, Index begin, Index end, uint64_t max_bytes) const;
  // Term, kind and payload size of every entry, for the start of the engine.
  struct EntryHead {
    Term term = 0;
    EntryKind kind = EntryKind::kData;
    uint32_t size = 0;
  };
  std::vector<EntryHead> Heads(GroupId group) const;

  // Changes. They fail with kNoSpace when the journal's buffer is full and cannot be written, and have done
  // nothing then, but for Append of many bytes, which may have kept a first part of the entries.

  // The log is empty and follows `base`; the group is made if it is not there.
  Status Reset(GroupId group, const SnapshotMeta& base, const HardState& hard);
  // Either may be absent. Entries are consecutive, begin in the log or directly behind it, and replace what
  // is there from their first index on.
  Status Append(GroupId group, const HardState* hard, std::span<const Entry> entries);
  // Entries up to base.index, which is in the log, are gone.
  Status Compact(GroupId group, const SnapshotMeta& base);
  Status Remove(GroupId group);

  // Everything appended before the call is durable when it returns ok. Blocks for the I/O.
  Status Sync();
  // Writes what is copied, and syncs: blocks for the I/O. Call it now and then, after compactions.
  Status Trim();

  kv::JournalStats stats() const { return journal_->stats(); }
  uint64_t rewritten_bytes() const;

 private:
  struct Slot {  // an entry
    Term term = 0;
    Seq seq = 0;  // of the frame that holds it
    uint32_t size = 0;
    EntryKind kind = EntryKind::kData;
    Payload payload;  // null also when it is only on the disk
  };
  struct GroupLog {
    HardState hard;
    SnapshotMeta base;
    Seq hard_seq = 0, base_seq = 0;  // frames that hold them
    std::deque<Slot> slots;          // of base.index + 1 and up
    uint64_t bytes = 0;
    // While the log is read:
    bool whole = false;   // known from its beginning
    SnapshotMeta stated;  // the last base that a record named
    Seq stated_seq = 0;
    Index last() const { return base.index + slots.size(); }
    Seq OldestFrame() const;
  };
  struct Cached {
    GroupId group;
    Index index;
    Seq seq;
  };

  LogStore() = default;
  Status Replay(Seq seq, std::string_view bytes);
  Status ReplayBase(Seq seq, const LogRecord& record, GroupLog* log) CURVEFS_REQUIRES(mu_);
  Status CheckReplayed() CURVEFS_REQUIRES(mu_);
  Status ReplayEntries(Seq seq, const LogRecord& record, std::span<const uint32_t> sizes, GroupLog* log)
      CURVEFS_REQUIRES(mu_);
  void Placed(Seq seq, kv::FramePlace place);
  std::optional<kv::FramePlace> PlaceOf(Seq seq) const;
  Status AppendRecord(RecordKind kind, GroupId group, const HardState* hard, const SnapshotMeta* base,
                      std::span<const Entry> entries, Seq* seq) CURVEFS_REQUIRES(mu_);
  void Cut(GroupLog* log, Index from) CURVEFS_REQUIRES(mu_);
  void Push(GroupId group, GroupLog* log, Slot slot) CURVEFS_REQUIRES(mu_);
  void CompactMemory(GroupLog* log, const SnapshotMeta& base) CURVEFS_REQUIRES(mu_);
  void Evict() CURVEFS_REQUIRES(mu_);
  void Uncache(Slot* slot) CURVEFS_REQUIRES(mu_);
  Slot* Find(const Cached& cached) CURVEFS_REQUIRES(mu_);
  Status Copy(GroupId group, GroupLog* log) CURVEFS_REQUIRES(mu_);
  Result<Payload> Load(Index index, const Slot& slot) const CURVEFS_REQUIRES(mu_);

  LogOptions options_;
  std::unique_ptr<kv::Journal> journal_;

  Mutex trimming_mu_ CURVEFS_ACQUIRED_BEFORE(mu_);  // one trimmer at a time, with its I/O

  // Not held during I/O, but when the journal's buffer is full, and by Trim when it copies.
  mutable Mutex mu_ CURVEFS_ACQUIRED_BEFORE(places_mu_);
  std::map<GroupId, GroupLog> groups_ CURVEFS_GUARDED_BY(mu_);
  std::deque<Cached> cached_ CURVEFS_GUARDED_BY(mu_);  // oldest first; may name entries that are gone
  size_t cached_bytes_ CURVEFS_GUARDED_BY(mu_) = 0, cached_payloads_ CURVEFS_GUARDED_BY(mu_) = 0;  // of slots
  Seq trimmed_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t rewritten_bytes_ CURVEFS_GUARDED_BY(mu_) = 0;

  mutable Mutex places_mu_;
  std::deque<kv::FramePlace> places_
      CURVEFS_GUARDED_BY(places_mu_);  // of frames first_place_, first_place_ + 1, …
  Seq first_place_ CURVEFS_GUARDED_BY(places_mu_) = 0;
};

}  // namespace curvefs::raft
