#include "raft/log_store.h"

#include <algorithm>

#include "raft/log_record.h"

namespace curvefs::raft {
namespace {

// A record of entries is closed when it holds so much, so that reading an entry back reads little else.
constexpr size_t kRecordBytes = 256 << 10;
constexpr size_t kMaxStaleNames = 1024;  // in cached_, of payloads that are gone

std::unexpected<Status> WrittenWrong(Seq seq, const std::string& what) {
  return Fail(Code::kCorrupt,
              "record " + std::to_string(seq) + " of the Raft log was written wrong: " + what);
}

// How many of the entries go into one record.
size_t RecordPart(std::span<const Entry> entries) {
  size_t bytes = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    bytes += BytesOf(entries[i].payload).size() + sizeof(Entry);
    if (i > 0 && bytes > kRecordBytes) return i;
  }
  return entries.size();
}

}  // namespace

Result<std::unique_ptr<LogStore>> LogStore::Open(Disk& disk, std::string dir, LogOptions options,
                                                 kv::JournalRecovery* recovery) {
  std::unique_ptr<LogStore> store(new LogStore);
  LogStore* self = store.get();
  options.journal.content = &kRaftLogContent;
  options.journal.from_oldest = true;
  options.journal.placed = [self](Seq seq, kv::FramePlace place) { self->Placed(seq, place); };
  self->options_ = options;
  kv::JournalRecovery report;
  CURVEFS_TRY(self->journal_,
              kv::Journal::Open(
                  disk, dir, 0, [self](Seq seq, std::string_view bytes) { return self->Replay(seq, bytes); },
                  options.journal, &report));
  if (recovery) *recovery = report;
  MutexLock lock(self->mu_);
  // The record of a trim is durable before a segment goes, and is behind what it lets go.
  if (report.first > self->trimmed_ + 1) {
    return Fail(Code::kCorrupt,
                dir + ": the oldest segments of the Raft log are missing: it begins with record " +
                    std::to_string(report.first) + ", and only those up to " +
                    std::to_string(self->trimmed_) +
                    " were removed on purpose. Put the files back; if they are lost, remove this "
                    "replica from its groups and add a new one");
  }
  CURVEFS_CHECK_OK(self->CheckReplayed());
  return store;
}

// ---- Recovery: one thread.
//
// The oldest segments may be gone, and with them the beginning of a group's story. What is alive of a group
// is all there (see Trim), so its state is right in the end; but in between there may be entries that follow
// nothing, and a base far from them: dead parts. Until a record says the whole state of a group (Reset, or
// Rewrite with its entries), such gaps are no damage.

Status LogStore::Replay(Seq seq, std::string_view bytes) {
  std::vector<uint32_t> sizes;
  CURVEFS_TRY(LogRecord record, DecodeRecord(bytes, false, &sizes));
  MutexLock lock(mu_);
  if (record.kind == RecordKind::kTrim) {
    if (record.trimmed >= seq) return WrittenWrong(seq, "it trims what comes after it").error();
    trimmed_ = std::max(trimmed_, record.trimmed);
    return {};
  }
  if (record.kind == RecordKind::kRemove) {
    groups_.erase(record.group);
    return {};
  }
  GroupLog& log = groups_[record.group];
  if (record.kind == RecordKind::kReset) log = {.whole = true};
  if (record.hard) {
    log.hard = *record.hard;
    log.hard_seq = seq;
  }
  if (record.base) CURVEFS_CHECK_OK(ReplayBase(seq, record, &log));
  return ReplayEntries(seq, record, sizes, &log);
}

Status LogStore::ReplayBase(Seq seq, const LogRecord& record, GroupLog* log) {
  const SnapshotMeta& base = *record.base;
  log->stated = base;
  log->stated_seq = seq;
  if (base.index >= log->base.index && base.index <= log->last()) {
    CompactMemory(log, base);
  } else if (record.kind == RecordKind::kReset || (!log->whole && base.index > log->last())) {
    Cut(log, log->base.index + 1);
    log->base = base;
  } else if (log->whole) {
    return WrittenWrong(seq, "its base").error();
  } else {
    return {};  // of entries that are gone
  }
  log->base_seq = seq;
  return {};
}

Status LogStore::ReplayEntries(Seq seq, const LogRecord& record, std::span<const uint32_t> sizes,
                               GroupLog* log) {
  for (size_t i = 0; i < record.entries.size(); ++i) {
    const Entry& e = record.entries[i];
    const bool fits = e.index > log->base.index && e.index <= log->last() + 1;
    if (!fits && log->whole) return WrittenWrong(seq, "its entries are not where the log is").error();
    if (!fits) {
      Cut(log, log->base.index + 1);
      const bool stated = log->stated.index == e.index - 1;
      log->base = stated ? log->stated : SnapshotMeta{.index = e.index - 1};
      log->base_seq = stated ? log->stated_seq : 0;  // 0: not known
    }
    if (e.index <= log->last()) {
      Slot& old = log->slots[e.index - log->base.index - 1];
      if (record.kind == RecordKind::kRewrite && old.term == e.term) {
        old.seq = seq;  // a copy replaces one entry, not what follows
        continue;
      }
      Cut(log, e.index);
    }
    Push(record.group, log, {.term = e.term, .seq = seq, .size = sizes[i], .kind = e.kind});
  }
  return {};
}

Status LogStore::CheckReplayed() {
  for (auto& [group, log] : groups_) {
    if (log.base_seq == 0 || log.hard_seq == 0) {
      return {Code::kCorrupt, "the Raft log holds entries of group " + std::to_string(group.value) +
                                  " but not its base and hard state"};
    }
    log.whole = true;
    log.stated = {};
  }
  return {};
}

// ---- Places of frames

void LogStore::Placed(Seq seq, kv::FramePlace place) {
  MutexLock lock(places_mu_);
  if (places_.empty()) first_place_ = seq;
  CURVEFS_CHECK(seq == first_place_ + places_.size());
  places_.push_back(place);
}

std::optional<kv::FramePlace> LogStore::PlaceOf(Seq seq) const {
  MutexLock lock(places_mu_);
  if (seq < first_place_ || seq - first_place_ >= places_.size()) return std::nullopt;
  return places_[seq - first_place_];
}

// ---- Looking

std::vector<GroupId> LogStore::Groups() const {
  MutexLock lock(mu_);
  std::vector<GroupId> ids;
  for (const auto& [id, log] : groups_) ids.push_back(id);
  return ids;
}

std::optional<LogInfo> LogStore::Info(GroupId group) const {
  MutexLock lock(mu_);
  auto it = groups_.find(group);
  if (it == groups_.end()) return std::nullopt;
  const GroupLog& log = it->second;
  return LogInfo{.hard = log.hard, .base = log.base, .last = log.last(), .bytes = log.bytes};
}

std::optional<Term> LogStore::TermOf(GroupId group, Index index) const {
  MutexLock lock(mu_);
  auto it = groups_.find(group);
  if (it == groups_.end()) return std::nullopt;
  const GroupLog& log = it->second;
  if (index == log.base.index) return log.base.term;
  if (index < log.base.index || index > log.last()) return std::nullopt;
  return log.slots[index - log.base.index - 1].term;
}

std::vector<LogStore::EntryHead> LogStore::Heads(GroupId group) const {
  MutexLock lock(mu_);
  std::vector<EntryHead> heads;
  auto it = groups_.find(group);
  if (it == groups_.end()) return heads;
  for (const Slot& slot : it->second.slots) heads.push_back({slot.term, slot.kind, slot.size});
  return heads;
}

Result<std::vector<Entry>> LogStore::Read(GroupId group, Index begin, Index end, uint64_t max_bytes) const {
  std::vector<Entry> entries;
  std::vector<Seq> frames;  // of entries whose payload is on the disk only, else 0
  {
    MutexLock lock(mu_);
    auto it = groups_.find(group);
    if (it == groups_.end()) return Fail(Code::kNotFound);
    const GroupLog& log = it->second;
    if (begin <= log.base.index || begin > log.last()) return Fail(Code::kNotFound);
    uint64_t bytes = 0;
    for (Index i = begin; i < std::min(end, log.last() + 1); ++i) {
      const Slot& slot = log.slots[i - log.base.index - 1];
      bytes += slot.size;
      if (i > begin && bytes > max_bytes) break;
      entries.push_back({.term = slot.term, .index = i, .kind = slot.kind, .payload = slot.payload});
      frames.push_back(slot.size > 0 && !slot.payload ? slot.seq : 0);
    }
  }
  Seq loaded = 0;
  LogRecord record;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (frames[i] == 0) continue;
    if (frames[i] != loaded) {
      auto place = PlaceOf(frames[i]);
      if (!place) return Fail(Code::kNotFound);  // trimmed meanwhile
      CURVEFS_TRY(std::string bytes, journal_->Read(frames[i], *place));
      CURVEFS_TRY(record, DecodeRecord(bytes, true, nullptr));
      loaded = frames[i];
    }
    const Index at = entries[i].index - (record.entries.empty() ? 0 : record.entries[0].index);
    if (at >= record.entries.size() || record.entries[at].term != entries[i].term) {
      return WrittenWrong(loaded, "it does not hold entry " + std::to_string(entries[i].index));
    }
    entries[i].payload = record.entries[at].payload;
  }
  return entries;
}

uint64_t LogStore::rewritten_bytes() const {
  MutexLock lock(mu_);
  return rewritten_bytes_;
}

// ---- Changes

Status LogStore::Reset(GroupId group, const SnapshotMeta& base, const HardState& hard) {
  MutexLock lock(mu_);
  Seq seq = 0;
  CURVEFS_CHECK_OK(AppendRecord(RecordKind::kReset, group, &hard, &base, {}, &seq));
  GroupLog& log = groups_[group];
  Cut(&log, log.base.index + 1);
  log = {.hard = hard, .base = base, .hard_seq = seq, .base_seq = seq, .whole = true};
  return {};
}

Status LogStore::Append(GroupId group, const HardState* hard, std::span<const Entry> entries) {
  MutexLock lock(mu_);
  auto it = groups_.find(group);
  CURVEFS_CHECK(it != groups_.end());
  GroupLog& log = it->second;
  if (!entries.empty()) {
    CURVEFS_CHECK(entries[0].index > log.base.index && entries[0].index <= log.last() + 1);
  }
  bool first = true;
  while (first || !entries.empty()) {
    auto part = entries.first(RecordPart(entries));
    Seq seq = 0;
    CURVEFS_CHECK_OK(AppendRecord(RecordKind::kAppend, group, first ? hard : nullptr, nullptr, part, &seq));
    if (first && hard) {
      log.hard = *hard;
      log.hard_seq = seq;
    }
    for (const Entry& e : part) {
      if (e.index <= log.last()) Cut(&log, e.index);
      CURVEFS_CHECK(e.index == log.last() + 1);
      Push(group, &log,
           {.term = e.term,
            .seq = seq,
            .size = static_cast<uint32_t>(BytesOf(e.payload).size()),
            .kind = e.kind,
            .payload = e.payload});
    }
    entries = entries.subspan(part.size());
    first = false;
  }
  Evict();
  return {};
}

Status LogStore::Compact(GroupId group, const SnapshotMeta& base) {
  MutexLock lock(mu_);
  auto it = groups_.find(group);
  CURVEFS_CHECK(it != groups_.end());
  GroupLog& log = it->second;
  CURVEFS_CHECK(base.index <= log.last());
  if (base.index <= log.base.index) return {};
  Seq seq = 0;
  CURVEFS_CHECK_OK(AppendRecord(RecordKind::kCompact, group, nullptr, &base, {}, &seq));
  CompactMemory(&log, base);
  log.base_seq = seq;
  return {};
}

Status LogStore::Remove(GroupId group) {
  MutexLock lock(mu_);
  auto it = groups_.find(group);
  if (it == groups_.end()) return {};
  Seq seq = 0;
  CURVEFS_CHECK_OK(AppendRecord(RecordKind::kRemove, group, nullptr, nullptr, {}, &seq));
  Cut(&it->second, it->second.base.index + 1);
  groups_.erase(it);
  return {};
}

Status LogStore::Sync() {
  return journal_->Sync(journal_->last());
}

// ---- Space

Seq LogStore::GroupLog::OldestFrame() const {
  Seq oldest = std::min(hard_seq, base_seq);
  // All are looked at: a copy that failed half-way leaves newer frames before older ones.
  for (const Slot& slot : slots) oldest = std::min(oldest, slot.seq);
  return oldest;
}

Status LogStore::Trim() {
  MutexLock trimming(trimming_mu_);
  // The first frame of the second segment, if what is before it should go even though it is alive.
  Seq keep_from = 0;
  {
    MutexLock lock(places_mu_);
    size_t segments = 0;
    Seq segment = 0, second = 0;
    for (const kv::FramePlace& place : places_) {
      if (place.segment == segment) continue;
      segment = place.segment;
      if (++segments == 2) second = segment;
    }
    if (segments > options_.max_segments) keep_from = second;
  }
  Seq upto = 0;
  {
    MutexLock lock(mu_);
    Seq oldest = journal_->last() + 1;
    for (auto& [group, log] : groups_) {
      if (keep_from > 0 && log.OldestFrame() < keep_from) CURVEFS_CHECK_OK(Copy(group, &log));
      oldest = std::min(oldest, log.OldestFrame());
    }
    upto = oldest - 1;
    MutexLock places(places_mu_);
    // Nothing to do unless the oldest segment goes.
    size_t n = 0;
    while (n < places_.size() && places_[n].segment == places_[0].segment) ++n;
    if (n == places_.size() || first_place_ + n > upto + 1) return {};
  }
  // The record must be durable before a file goes: else its absence would look like damage.
  {
    MutexLock lock(mu_);
    CURVEFS_TRY(Seq seq, journal_->Append(EncodeTrim(upto)));
    (void)seq;
    trimmed_ = upto;
  }
  CURVEFS_CHECK_OK(Sync());
  {
    // Only whole segments go: the journal keeps the one that holds upto + 1.
    MutexLock lock(places_mu_);
    while (!places_.empty() && first_place_ <= upto) {
      places_.pop_front();
      ++first_place_;
    }
  }
  return journal_->TrimTo(upto);
}

// Copies the whole log of the group to the end of the stream. Not only what is in old frames: when those are
// gone, the copy is what the log begins with when it is read again.
Status LogStore::Copy(GroupId group, GroupLog* log) {
  Seq seq = 0;
  CURVEFS_CHECK_OK(AppendRecord(RecordKind::kRewrite, group, &log->hard, &log->base, {}, &seq));
  log->hard_seq = log->base_seq = seq;
  std::vector<Entry> part;
  size_t bytes = 0;
  for (size_t i = 0; i < log->slots.size(); ++i) {
    Entry e{.term = log->slots[i].term,
            .index = log->base.index + 1 + i,
            .kind = log->slots[i].kind,
            .payload = log->slots[i].payload};
    if (log->slots[i].size > 0 && !e.payload) {
      CURVEFS_TRY(e.payload, Load(e.index, log->slots[i]));
    }
    bytes += log->slots[i].size + sizeof(Entry);
    part.push_back(std::move(e));
    if (bytes <= kRecordBytes && i + 1 < log->slots.size()) continue;
    CURVEFS_CHECK_OK(AppendRecord(RecordKind::kRewrite, group, &log->hard, &log->base, part, &seq));
    rewritten_bytes_ += bytes;
    for (Entry& copied : part) {
      Slot& slot = log->slots[copied.index - log->base.index - 1];
      slot.seq = seq;
      if (slot.size == 0) continue;
      if (!slot.payload) {  // not on the disk at its new place yet
        slot.payload = std::move(copied.payload);
        cached_bytes_ += slot.size;
        ++cached_payloads_;
      }
      cached_.push_back({group, copied.index, seq});
    }
    part.clear();
    bytes = 0;
  }
  return {};
}

// The payload of an entry that is on the disk only.
Result<Payload> LogStore::Load(Index index, const Slot& slot) const {
  auto place = PlaceOf(slot.seq);
  if (!place) return Fail(Code::kNotFound);
  CURVEFS_TRY(std::string frame, journal_->Read(slot.seq, *place));
  CURVEFS_TRY(LogRecord record, DecodeRecord(frame, true, nullptr));
  const Index at = index - (record.entries.empty() ? 0 : record.entries[0].index);
  if (at >= record.entries.size() || record.entries[at].term != slot.term) {
    return WrittenWrong(slot.seq, "it does not hold entry " + std::to_string(index));
  }
  return record.entries[at].payload;
}

Status LogStore::AppendRecord(RecordKind kind, GroupId group, const HardState* hard, const SnapshotMeta* base,
                              std::span<const Entry> entries, Seq* seq) {
  CURVEFS_TRY(*seq, journal_->Append(EncodeRecord(kind, group, hard, base, entries)));
  return {};
}

void LogStore::Cut(GroupLog* log, Index from) {
  while (log->last() >= from && !log->slots.empty()) {
    Slot& slot = log->slots.back();
    log->bytes -= slot.size;
    Uncache(&slot);
    log->slots.pop_back();
  }
}

void LogStore::Push(GroupId group, GroupLog* log, Slot slot) {
  log->bytes += slot.size;
  if (slot.payload) {
    cached_bytes_ += slot.size;
    ++cached_payloads_;
    cached_.push_back({group, log->last() + 1, slot.seq});
  }
  log->slots.push_back(std::move(slot));
}

void LogStore::CompactMemory(GroupLog* log, const SnapshotMeta& base) {
  while (log->base.index < base.index && !log->slots.empty()) {
    Slot& slot = log->slots.front();
    log->bytes -= slot.size;
    Uncache(&slot);
    log->slots.pop_front();
    ++log->base.index;
  }
  log->base = base;
}

void LogStore::Uncache(Slot* slot) {
  if (!slot->payload) return;
  slot->payload.reset();
  cached_bytes_ -= slot->size;
  --cached_payloads_;
}

// The slot whose payload this names, if it is still there.
LogStore::Slot* LogStore::Find(const Cached& cached) {
  auto it = groups_.find(cached.group);
  if (it == groups_.end()) return nullptr;
  GroupLog& log = it->second;
  if (cached.index <= log.base.index || cached.index > log.last()) return nullptr;
  Slot& slot = log.slots[cached.index - log.base.index - 1];
  return slot.seq == cached.seq && slot.payload ? &slot : nullptr;
}

// Forgets the oldest payloads that are on the disk.
void LogStore::Evict() {
  while (cached_bytes_ > options_.cache_bytes && !cached_.empty()) {
    if (Slot* slot = Find(cached_.front())) {
      if (!PlaceOf(slot->seq)) break;  // the journal's buffer bounds these
      Uncache(slot);
    }
    cached_.pop_front();
  }
  if (cached_.size() > 2 * cached_payloads_ + kMaxStaleNames) {
    std::erase_if(cached_,
                  [&](const Cached& cached) CURVEFS_REQUIRES(mu_) { return Find(cached) == nullptr; });
  }
}

}  // namespace curvefs::raft
