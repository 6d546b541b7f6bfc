// The records of the log store, each the payload of one journal frame (docs/FORMATS.md "Raft log").
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kv/journal.h"
#include "raft/types.h"

namespace curvefs::raft {

enum class RecordKind : uint8_t {
  kAppend = 1,   // entries that replace the log from the first one's index on; perhaps a hard state
  kReset = 2,    // the log begins anew behind `base`; with a hard state
  kCompact = 3,  // entries up to base.index are gone
  kRemove = 4,   // the group is gone
  kTrim = 5,     // frames up to `trimmed` may be missing
  kRewrite =
      6,  // the group's base and hard state, and entries, as they are: a copy, so that older frames can go
};

struct LogRecord {
  RecordKind kind = RecordKind::kAppend;
  GroupId group;
  std::optional<HardState> hard;
  std::optional<SnapshotMeta> base;
  Seq trimmed = 0;
  std::vector<Entry> entries;  // consecutive
};

std::string EncodeRecord(RecordKind kind, GroupId group, const HardState* hard, const SnapshotMeta* base,
                         std::span<const Entry> entries);
std::string EncodeTrim(Seq upto);

// `payloads` false leaves the entries' payloads null, and `sizes`, if given, gets their sizes. kCorrupt if
// malformed.
Result<LogRecord> DecodeRecord(std::string_view bytes, bool payloads, std::vector<uint32_t>* sizes);

extern const kv::JournalContent kRaftLogContent;

}  // namespace curvefs::raft
