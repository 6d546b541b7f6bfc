// Any run of records in a Raft log is either refused as corrupt, or gives logs that can be read, written to
// and read again. The input is a sequence of records, each with its length (2 bytes) in front; the frames
// around them are right.
#include <algorithm>

#include "base/bytes.h"
#include "kv/journal_format.h"
#include "raft/log_record.h"
#include "raft/log_store.h"
#include "test/support/sim_disk.h"

namespace {

using namespace curvefs;
using namespace curvefs::raft;

constexpr uint64_t kSalt = 9;
constexpr size_t kSegment = 256 << 10;

Result<std::unique_ptr<LogStore>> Open(Disk& disk) {
  LogOptions options{.journal = {.segment_bytes = 16 << 10, .prepare_ahead = false, .salt = kSalt},
                     .cache_bytes = 100,
                     .max_segments = 2};
  return LogStore::Open(disk, "/d", options, nullptr);
}

// Everything in the store as text; every entry must be readable.
std::string Show(const LogStore& store) {
  std::string text;
  for (GroupId group : store.Groups()) {
    LogInfo info = *store.Info(group);
    text += std::to_string(group.value) + ":" + std::to_string(info.hard.term) + "," +
            std::to_string(info.hard.vote.value) + "," + std::to_string(info.hard.commit) + "," +
            std::to_string(info.base.index) + "," + std::to_string(info.base.term);
    CURVEFS_CHECK(store.Heads(group).size() == info.last - info.base.index);
    for (Index i = info.base.index; i < info.last;) {
      auto entries = store.Read(group, i + 1, info.last + 1, 1000);
      CURVEFS_CHECK(entries.has_value() && !entries->empty());
      for (const Entry& e : *entries) {
        CURVEFS_CHECK(e.index == ++i);
        text += " " + std::to_string(e.term) + "=" + std::string(BytesOf(e.payload));
      }
    }
    text += "\n";
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 64 << 10) return 0;
  std::string segment =
      kv::EncodeSegmentHeader({.first = 1, .durable = 0, .salt = kSalt, .size = kSegment, .content = 1});
  ByteReader in({reinterpret_cast<const char*>(data), size});
  for (Seq seq = 1; in.remaining() > 2; ++seq) {
    std::string_view record = in.Bytes(std::min<size_t>(in.Le<uint16_t>(), in.remaining()));
    size_t at = segment.size();
    if (at + kv::FrameSize(record.size()) > kSegment) break;
    (void)DecodeRecord(record, true, nullptr);
    kv::AppendFrame(&segment, seq, 1, record);
    kv::StampFrame(segment.data() + at, seq - 1, kSalt);
  }
  segment.resize(kSegment);
  test::SimDisk disk;
  CURVEFS_CHECK(disk.MakeDir("/d").ok() && disk.SyncDir("/").ok());
  disk.SetContent("/d/" + kv::SegmentName(1), segment);
  auto store = Open(disk);
  if (!store) {
    CURVEFS_CHECK(store.error().code() == Code::kCorrupt);
    return 0;
  }
  const std::string before = Show(**store);
  store->reset();
  store = Open(disk);
  CURVEFS_CHECK(store.has_value() && Show(**store) == before);
  for (GroupId group : (*store)->Groups()) {
    LogInfo info = *(*store)->Info(group);
    if (info.last > UINT64_MAX - 10) return 0;
    std::vector<Entry> entries{{.term = UINT64_MAX, .index = info.last + 1, .payload = MakePayload("next")}};
    CURVEFS_CHECK((*store)->Append(group, nullptr, entries).ok());
  }
  const std::string after = Show(**store);
  CURVEFS_CHECK((*store)->Sync().ok() && (*store)->Trim().ok());
  store->reset();
  disk.Crash(1, test::SimDisk::Keep::kNothing);
  store = Open(disk);
  CURVEFS_CHECK(store.has_value() && Show(**store) == after);
  return 0;
}
