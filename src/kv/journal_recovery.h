// Reads the segments of a journal after a start, and makes the directory fit to go on writing. See journal.h
// for the rules, journal_format.h for the bytes. Used by Journal::Open only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kv/journal.h"
#include "kv/journal_format.h"

namespace curvefs::kv {

// A segment on disk.
struct Segment {
  Seq first = 0;
  uint64_t bytes = 0;
  uint64_t salt = 0;  // known of those that were read
};

// A segment that is written to.
struct ActiveSegment {
  std::unique_ptr<File> file;  // null: none, the next write makes one
  Seq first = 0;
  uint64_t offset = 0;  // where the next frame goes
  uint64_t size = 0;
  uint64_t salt = 0;
};

inline constexpr const char* kSpareName = "journal-spare.log";        // a segment prepared ahead: zeros
inline constexpr const char* kSpareTemporary = "journal-spare.tmp";   // … being prepared
inline constexpr const char* kSegmentTemporary = "journal-next.tmp";  // a segment being made, not yet named

struct RecoveredJournal {
  std::vector<Segment> segments;  // oldest first; the active one is the last
  ActiveSegment active;
  Seq last = 0;
  bool has_spare = false;
};

Result<RecoveredJournal> RecoverJournal(Disk& disk, const std::string& dir, Seq applied,
                                        const Journal::Replay& replay, const JournalOptions& options,
                                        JournalRecovery* report);

}  // namespace curvefs::kv
