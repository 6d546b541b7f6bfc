// Any segment is either refused, or gives a run of batches without gaps, after which the journal works: what
// is appended next is there after a crash, and nothing else. With a first byte of 1 the checksums are put
// right first.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"
#include "kv/journal.h"
#include "kv/journal_format.h"
#include "kv/write_batch.h"
#include "test/support/sim_disk.h"

namespace {

using namespace curvefs;
using namespace curvefs::kv;

constexpr size_t kSaltAt = 32, kVersionAt = 8;

void FixChecksums(std::string* bytes) {
  if (bytes->size() < kSegmentHeader) return;
  if (GetLe<uint32_t>(bytes->data() + kVersionAt) > kJournalVersion) (*bytes)[kVersionAt] = 1;
  uint64_t checksum = Xxh3(std::string_view(*bytes).substr(0, kSegmentHeader - 8));
  std::memcpy(bytes->data() + kSegmentHeader - 8, &checksum, sizeof checksum);
  auto salt = GetLe<uint64_t>(bytes->data() + kSaltAt);
  for (size_t at = kSegmentHeader; at + kFrameHeader < bytes->size();) {
    size_t length = GetLe<uint32_t>(bytes->data() + at + 4);
    if (length > kMaxBatchBytes || at + FrameSize(length) > bytes->size()) return;
    StampFrame(bytes->data() + at, GetLe<uint64_t>(bytes->data() + at + 16), salt);
    at += FrameSize(length);
  }
}

struct Run {
  Status status;
  std::unique_ptr<Journal> journal;
  std::vector<std::string> batches;
  Seq last = 0;
};

Run Open(Disk& disk, bool read_only, bool cut) {
  Run run;
  JournalRecovery recovery;
  auto journal = Journal::Open(
      disk, "/d", 0,
      [&](Seq seq, std::string_view encoded) {
        CURVEFS_CHECK(seq == run.batches.size() + 1);
        CURVEFS_CHECK(WriteBatch::Verify(encoded).has_value());
        run.batches.emplace_back(encoded);
        return Status();
      },
      {.segment_bytes = 16 << 10,
       .truncate_at_corruption = cut,
       .read_only = read_only,
       .prepare_ahead = false},
      &recovery);
  if (!journal) {
    run.status = journal.error();
    CURVEFS_CHECK(run.status.code() == Code::kCorrupt || run.status.code() == Code::kUnsupportedVersion);
    return run;
  }
  CURVEFS_CHECK(recovery.last == run.batches.size());
  run.journal = *std::move(journal);
  run.last = recovery.last;
  return run;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > (1 << 20)) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 1) {
    FixChecksums(&bytes);
    // The size is an order to reserve that much, which a checked header is trusted with.
    if (bytes.size() >= kSegmentHeader && GetLe<uint64_t>(bytes.data() + 40) > (1 << 20)) return 0;
  }
  test::SimDisk disk;
  CURVEFS_CHECK(disk.MakeDir("/d").ok() && disk.SyncDir("/").ok());
  disk.SetContent("/d/" + SegmentName(1), bytes);
  const auto before = disk.Files();
  Run looked = Open(disk, /*read_only=*/true, false);
  CURVEFS_CHECK(disk.Files() == before);
  Run first = Open(disk, false, false);
  CURVEFS_CHECK(first.status == looked.status && first.batches == looked.batches);
  if (!first.status.ok()) first = Open(disk, false, /*cut=*/true);
  if (!first.status.ok()) return 0;  // a batch that was written wrong, or a newer version

  WriteBatch next;
  next.Set("next", "batch");
  CURVEFS_CHECK(first.journal->Append(next.encoded()).value() == first.last + 1);
  CURVEFS_CHECK(first.journal->Sync(first.last + 1).ok());
  first.journal.reset();
  disk.Crash(1, test::SimDisk::Keep::kNothing);
  Run second = Open(disk, false, false);
  CURVEFS_CHECK(second.status.ok());
  first.batches.emplace_back(next.encoded());
  CURVEFS_CHECK(second.batches == first.batches);
  return 0;
}
