// What the tests of the journal share: batches that tell their number, and reopening.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kv/journal.h"
#include "kv/write_batch.h"
#include "test/support/sim_disk.h"

namespace curvefs::kv {

inline constexpr const char* kDir = "/d";

// Small segments, and nothing that depends on the speed of a thread.
inline JournalOptions SmallSegments(uint64_t bytes = 8192) {
  return {.segment_bytes = bytes, .prepare_ahead = false};
}

// The batch with this number; `version` makes another one of the same size.
inline std::string BatchFor(Seq seq, size_t value_bytes = 100, char version = 'v') {
  WriteBatch batch;
  batch.Set("key" + std::to_string(seq % 7), std::to_string(seq) + std::string(value_bytes, version));
  if (seq % 3 == 0) batch.Del("key" + std::to_string(seq % 5));
  return std::string(batch.encoded());
}

struct Opened {
  Status status;
  std::unique_ptr<Journal> journal;
  JournalRecovery recovery;
  std::vector<std::pair<Seq, std::string>> replayed;

  // True if the replayed batches are BatchFor(first) … BatchFor(last) with no gap.
  bool Replayed(Seq first, Seq last) const {
    if (replayed.size() != last + 1 - first) return false;
    for (size_t i = 0; i < replayed.size(); ++i) {
      if (replayed[i].first != first + i || replayed[i].second != BatchFor(first + i)) return false;
    }
    return true;
  }
};

inline Opened OpenJournal(Disk& disk, Seq applied = 0, JournalOptions options = SmallSegments()) {
  Opened opened;
  auto journal = Journal::Open(
      disk, kDir, applied,
      [&](Seq seq, std::string_view encoded) {
        opened.replayed.emplace_back(seq, encoded);
        return Status();
      },
      options, &opened.recovery);
  if (journal) {
    opened.journal = *std::move(journal);
  } else {
    opened.status = journal.error();
  }
  return opened;
}

inline std::unique_ptr<test::SimDisk> NewDisk() {
  auto disk = std::make_unique<test::SimDisk>();
  CURVEFS_CHECK(disk->MakeDir(kDir).ok() && disk->SyncDir("/").ok());
  return disk;
}

// A disk with these files, all durable.
inline std::unique_ptr<test::SimDisk> DiskWith(const std::map<std::string, std::string>& files) {
  auto disk = NewDisk();
  for (const auto& [path, bytes] : files) disk->SetContent(path, bytes);
  return disk;
}

}  // namespace curvefs::kv
