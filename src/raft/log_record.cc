#include "raft/log_record.h"

#include "base/bytes.h"
#include "raft/message.h"

namespace curvefs::raft {
namespace {

// kind (1), flags (1), group (8), then what the flags say, in this order.
constexpr uint8_t kHasHard = 1, kHasBase = 2, kHasEntries = 4;
constexpr size_t kEntryHead = sizeof(Term) + 1 + sizeof(uint32_t);

std::unexpected<Status> Malformed(const char* what) {
  return Fail(Code::kCorrupt, std::string("a record of the Raft log makes no sense: ") + what);
}

uint32_t CountRecord(std::string_view) {
  return 1;
}
Result<uint32_t> VerifyRecord(std::string_view bytes) {
  CURVEFS_TRY(LogRecord record, DecodeRecord(bytes, false, nullptr));
  return CountRecord(bytes);
}

}  // namespace

const kv::JournalContent kRaftLogContent{.number = 1, .count = &CountRecord, .verify = &VerifyRecord};

std::string EncodeRecord(RecordKind kind, GroupId group, const HardState* hard, const SnapshotMeta* base,
                         std::span<const Entry> entries) {
  std::string out;
  size_t size = 128;
  for (const Entry& e : entries) size += kEntryHead + BytesOf(e.payload).size();
  out.reserve(size);
  out.push_back(static_cast<char>(kind));
  out.push_back(
      static_cast<char>((hard ? kHasHard : 0) | (base ? kHasBase : 0) | (entries.empty() ? 0 : kHasEntries)));
  PutLe<uint64_t>(&out, group.value);
  if (hard) {
    PutLe<uint64_t>(&out, hard->term);
    PutLe<uint64_t>(&out, hard->vote.value);
    PutLe<uint64_t>(&out, hard->commit);
  }
  if (base) {
    std::string meta;
    EncodeMeta(*base, &meta);
    PutLe<uint32_t>(&out, static_cast<uint32_t>(meta.size()));
    out.append(meta);
  }
  if (entries.empty()) return out;
  PutLe<uint32_t>(&out, static_cast<uint32_t>(entries.size()));
  PutLe<uint64_t>(&out, entries[0].index);
  for (const Entry& e : entries) {
    PutLe<uint64_t>(&out, e.term);
    out.push_back(static_cast<char>(e.kind));
    PutLe<uint32_t>(&out, static_cast<uint32_t>(BytesOf(e.payload).size()));
  }
  for (const Entry& e : entries) out.append(BytesOf(e.payload));
  return out;
}

std::string EncodeTrim(Seq upto) {
  std::string out;
  out.push_back(static_cast<char>(RecordKind::kTrim));
  out.push_back(0);
  PutLe<uint64_t>(&out, upto);
  return out;
}

Result<LogRecord> DecodeRecord(std::string_view bytes, bool payloads, std::vector<uint32_t>* sizes) {
  ByteReader in(bytes);
  LogRecord record;
  auto kind = in.Le<uint8_t>();
  auto flags = in.Le<uint8_t>();
  auto group = in.Le<uint64_t>();
  if (!in.ok() || kind < 1 || kind > static_cast<uint8_t>(RecordKind::kRewrite)) return Malformed("its kind");
  record.kind = static_cast<RecordKind>(kind);
  uint8_t allowed = 0, needed = 0;
  switch (record.kind) {
    case RecordKind::kAppend:
      allowed = kHasHard | kHasEntries;
      break;
    case RecordKind::kReset:
      allowed = needed = kHasHard | kHasBase;
      break;
    case RecordKind::kCompact:
      allowed = needed = kHasBase;
      break;
    case RecordKind::kRewrite:
      allowed = needed = kHasHard | kHasBase;
      allowed |= kHasEntries;
      break;
    case RecordKind::kRemove:
    case RecordKind::kTrim:
      break;
  }
  if ((flags & ~allowed) != 0 || (flags & needed) != needed) return Malformed("its flags");
  if (group == 0) return Malformed("group 0");
  if (record.kind == RecordKind::kTrim) {
    record.trimmed = group;
  } else {
    record.group = GroupId(group);
  }
  if (flags & kHasHard) {
    HardState& hard = record.hard.emplace();
    hard.term = in.Le<uint64_t>();
    hard.vote = ReplicaId(in.Le<uint64_t>());
    hard.commit = in.Le<uint64_t>();
  }
  if (flags & kHasBase) {
    CURVEFS_TRY(record.base, DecodeMeta(in.Bytes(in.Le<uint32_t>())));
  }
  if (flags & kHasEntries) {
    auto n = in.Le<uint32_t>();
    auto first = in.Le<uint64_t>();
    if (n == 0 || first == 0 || n > in.remaining() / kEntryHead || first > UINT64_MAX - n)
      return Malformed("its number of entries");
    ByteReader heads(in.Bytes(n * kEntryHead));
    record.entries.resize(n);
    if (sizes) sizes->clear();
    Term term = 0;
    for (uint32_t i = 0; i < n; ++i) {
      Entry& e = record.entries[i];
      e.index = first + i;
      e.term = heads.Le<uint64_t>();
      auto entry_kind = heads.Le<uint8_t>();
      auto size = heads.Le<uint32_t>();
      std::string_view payload = in.Bytes(size);
      if (entry_kind > 1 || size > kMaxEntryBytes || e.term < term || !in.ok()) return Malformed("an entry");
      e.kind = static_cast<EntryKind>(entry_kind);
      term = e.term;
      if (payloads) e.payload = MakePayload(payload);
      if (sizes) sizes->push_back(size);
    }
  }
  if (!in.ok() || in.remaining() != 0) return Malformed("its length");
  return record;
}

}  // namespace curvefs::raft
