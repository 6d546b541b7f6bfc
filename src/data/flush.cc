// Storing dirty data: objects first, then the records that name them.
#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/crc32c.h"
#include "data/core.h"

namespace curvefs::data {
namespace {

constexpr size_t kMaxRecordsPerAppend = 1000;
constexpr size_t kMaxObjectsPerAppend = 16;  // then memory is given back
constexpr Duration kRetryFirst = std::chrono::milliseconds(100);
constexpr uint32_t kRetryDoublings = 6;

meta::ChunkRecord InlineRecord(uint64_t offset, std::string bytes) {
  meta::ChunkRecord r;
  r.offset = offset;
  r.len = bytes.size();
  r.inline_crc = Crc32c(bytes);
  r.inline_data = std::move(bytes);
  return r;
}

BufferList BytesOf(const std::vector<Segment>& segments) {
  BufferList list;
  list.reserve(segments.size());
  for (const auto& s : segments) list.push_back(s.bytes);
  return list;
}

std::string Joined(const std::vector<Segment>& segments, size_t n) {
  std::string bytes(n, '\0');
  CopyOut(BytesOf(segments), bytes.data());
  return bytes;
}

}  // namespace

// ---- the background threads ----

// Has the file flushed at `due`, or earlier if it was to be flushed earlier anyway.
void DataCache::Core::Schedule(const FilePtr& file, SteadyTime due) {
  bool first;
  {
    MutexLock lock(mu_);
    if (file->scheduled) {
      if (file->due <= due) return;
      auto [from, to] = due_.equal_range(file->due);
      due_.erase(std::find_if(from, to, [&](const auto& e) { return e.second == file; }));
    }
    file->scheduled = true;
    file->due = due;
    auto added = due_.emplace(due, file);
    first = added == due_.begin();
  }
  if (first) flusher_work_.NotifyOne();
}

// Waits for memory, with the flushers knowing that somebody does.
Status DataCache::Core::WaitForMemory(uint64_t n) {
  counters.waits.fetch_add(1, std::memory_order_relaxed);
  budget.BeginWait();
  {
    MutexLock lock(mu_);
  }  // a flusher that has seen no waiter is asleep by now, and hears us
  flusher_work_.NotifyAll();
  return budget.Wait(n);
}

void DataCache::Core::ScheduleFullBlocks(const FilePtr& file) {
  {
    MutexLock lock(mu_);
    if (file->urgent) return;
    file->urgent = true;
    urgent_.push_back(file);
  }
  flusher_work_.NotifyOne();
}

// The next file to work on: one with a full block, one whose data is old enough, or, when memory runs short,
// the oldest. Null when the threads have to end.
DataCache::Core::FilePtr DataCache::Core::NextToFlush(FlushMode* mode) {
  while (!stop_) {
    if (!urgent_.empty()) {
      FilePtr file = std::move(urgent_.front());
      urgent_.pop_front();
      file->urgent = false;
      *mode = FlushMode::kFullBlocks;
      return file;
    }
    if (due_.empty()) {
      flusher_work_.Wait(mu_);
      continue;
    }
    auto next = due_.begin();
    if (next->first > clock.Steady()) {
      // Files that failed lately wait for their time, unless a writer waits for them.
      auto pick = due_.end();
      if (budget.has_waiters()) {
        pick = next;
      } else if (budget.pressed()) {
        pick = std::ranges::find_if(due_, [](const auto& entry) { return entry.second->failures == 0; });
      }
      if (pick == due_.end()) {
        const SteadyTime due = next->first;  // the entry may go while we wait
        flusher_work_.WaitUntil(mu_, due);
        continue;
      }
      next = pick;
    }
    FilePtr file = std::move(next->second);
    due_.erase(next);
    file->scheduled = false;
    *mode = FlushMode::kAll;
    return file;
  }
  return nullptr;
}

void DataCache::Core::FlushInBackground(const FilePtr& file, FlushMode mode) {
  if (mode == FlushMode::kAll && file->failures == 0 && !budget.pressed()) {
    SteadyTime due;
    {
      MutexLock lock(file->mu);
      if (file->dirty.empty()) return;
      due = file->oldest + options.flush_age;
    }
    if (due > clock.Steady()) {  // flushed since it was scheduled, and written again
      Schedule(file, due);
      return;
    }
  }
  // The error stays with the data: the file is scheduled again, and whoever calls Flush, or waits for memory,
  // gets it.
  (void)FlushFile(file, mode);
}

void DataCache::Core::FlusherMain() {
  RelockableMutexLock lock(mu_);
  FlushMode mode;
  std::vector<FilePtr> group;
  while (FilePtr file = NextToFlush(&mode)) {
    group.push_back(std::move(file));
    if (mode == FlushMode::kAll) TakeSmallDue(&group);
    lock.Unlock();
    if (group.size() == 1) {
      FlushInBackground(group.front(), mode);
    } else {
      FlushGroup(group);
    }
    for (FilePtr& f : group) Release(std::move(f));
    group.clear();
    lock.Lock();
  }
}

Status DataCache::Core::FlushAll() {
  Status first;
  std::vector<FilePtr> files = AllFiles();
  for (const FilePtr& file : FlushTogether(files)) {
    Status s = FlushFile(file, FlushMode::kAll);
    if (first.ok()) first = std::move(s);
  }
  for (FilePtr& file : files) Release(std::move(file));
  return first;
}

// ---- one file ----

Status DataCache::Core::FlushFile(const FilePtr& file, FlushMode mode) {
  TurnLock flush_lock(file->flush_mu);
  if (!BeginFlush(*file, mode)) return {};
  return EndFlush(file, StoreFlushing(*file, mode == FlushMode::kDurableSoon));
}

// Moves what is to be stored to `flushing`; false if there is nothing. flush_mu is held until EndFlush.
bool DataCache::Core::BeginFlush(File& file, FlushMode mode) {
  MutexLock lock(file.mu);
  if (mode == FlushMode::kFullBlocks) {
    for (const Range& block : file.dirty.FullBlocks())
      file.dirty.Remove(block.begin, block.end, &file.flushing);
  } else {
    std::swap(file.dirty, file.flushing);
  }
  file.waiting = file.dirty.bytes();
  if (file.flushing.empty()) return false;
  if (!file.dirty.empty()) file.oldest = clock.Steady();
  counters.flushing_bytes += file.flushing.bytes();
  return true;
}

// How it went: what is not stored goes back.
Status DataCache::Core::EndFlush(const FilePtr& file, Status s) {
  counters.flushes.fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(file->mu);
  counters.flushing_bytes -= file->flushing.bytes();  // nothing, if all went well
  if (s.code() == Code::kNotFound || file->forgotten) {
    file->flushing.Clear();  // the inode has been deleted
    return {};
  }
  if (s.ok()) {
    file->failures = 0;
    return {};
  }
  counters.flush_failures.fetch_add(1, std::memory_order_relaxed);
  file->dirty.InsertUnder(&file->flushing);
  file->waiting = file->dirty.bytes();
  const uint32_t doublings = std::min(file->failures++, kRetryDoublings);
  Schedule(file, clock.Steady() + kRetryFirst * (1 << doublings));
  budget.FlushFailed(s);
  return s;
}

Status DataCache::Core::StoreFlushing(File& file, bool durable_soon) {
  CURVEFS_TRY(auto small, SmallFile(file));
  if (small) {
    const Range all{0, small->len};
    std::vector<meta::ChunkRecord> records;
    records.push_back(*std::move(small));
    return CommitRecords(file, std::move(records), {all});
  }
  if (durable_soon && file.being_stored().bytes() <= options.staged_max) return StoreInline(file);
  return StoreObjects(file);
}

// If the file, with what is now added, is small enough to live in the metadata, the record of all its
// content.
Result<std::optional<meta::ChunkRecord>> DataCache::Core::SmallFile(const File& file) {
  if (file.being_stored().end() > options.inline_max) return std::nullopt;
  CURVEFS_TRY(const auto records, index.Records(file.inode, 0, options.inline_max + 1));
  uint64_t end = file.being_stored().end();
  for (const auto& r : records) {
    if (r.in_object() || r.end() > options.inline_max) return std::nullopt;
    // Damaged content must not be given a new, right, checksum.
    if (r.is_inline() && Crc32c(r.inline_data) != r.inline_crc) return std::nullopt;
    end = std::max(end, r.end());
  }
  std::string content(end, '\0');
  for (const Piece& p : Resolve(records, 0, end)) {
    if (p.record < 0) continue;
    const auto& r = records[static_cast<size_t>(p.record)];
    if (r.is_inline())
      std::memcpy(content.data() + p.offset, r.inline_data.data() + (p.offset - r.offset), p.len);
  }
  for (const Segment& s : file.being_stored().Collect(0, end)) {
    if (s.bytes.is_zero()) {
      std::memset(content.data() + s.offset, 0, s.bytes.size);
    } else {
      std::memcpy(content.data() + s.offset, s.bytes.data(), s.bytes.size);
    }
  }
  return InlineRecord(0, std::move(content));
}

meta::ChunkRecord DataCache::Core::ZeroRecord(Range range) {
  meta::ChunkRecord r;
  r.offset = range.begin;
  r.len = range.size();
  return r;
}

Status DataCache::Core::StoreInline(File& file) {
  constexpr uint64_t kAll = ~uint64_t{0};
  std::vector<meta::ChunkRecord> records;
  std::vector<Range> done;
  auto add = [&](meta::ChunkRecord record, Range range) CURVEFS_REQUIRES(file.flush_mu) -> Status {
    records.push_back(std::move(record));
    done.push_back(range);
    if (records.size() < kMaxRecordsPerAppend) return {};
    return CommitRecords(file, std::exchange(records, {}), std::exchange(done, {}));
  };
  const auto zeros = CutAt(file.being_stored().Runs(0, kAll, true), kChunkSize, kChunkSize);
  for (const Range& part : zeros) CURVEFS_CHECK_OK(add(ZeroRecord(part), part));
  for (const Range& part : CutAt(file.being_stored().Runs(0, kAll, false), kChunkSize, kMaxInlineRecord)) {
    std::string bytes = Joined(file.being_stored().Collect(part.begin, part.end), part.size());
    CURVEFS_CHECK_OK(add(InlineRecord(part.begin, std::move(bytes)), part));
  }
  return CommitRecords(file, std::move(records), std::move(done));
}

// Stores planned objects, several at once, and returns their records; none stays if one fails.
Result<std::vector<meta::ChunkRecord>> DataCache::Core::PutObjects(const File& file,
                                                                   std::span<const PlannedObject> plan) {
  CURVEFS_TRY(const ChunkId chunk, index.NewChunks(static_cast<uint32_t>(plan.size())));
  std::vector<Result<std::vector<meta::ChunkRecord>>> puts(plan.size());
  const DirtyMap& flushing = file.being_stored();
  putters.Run(plan.size(), [&](size_t i) {
    BufferList bytes;
    for (const Range& part : plan[i].parts) {
      for (Segment& s : flushing.Collect(part.begin, part.end)) bytes.push_back(std::move(s.bytes));
    }
    puts[i] = PutObject(file.inode, plan[i], bytes, ChunkId(chunk.value + i), 0);
  });
  std::vector<meta::ChunkRecord> records;
  Status failure;
  for (auto& put : puts) {
    if (put) {
      std::ranges::move(*put, std::back_inserter(records));
    } else if (failure.ok()) {
      failure = put.error();
    }
  }
  if (failure.ok()) return records;
  DeleteObjects(records);
  return Fail(std::move(failure));
}

Status DataCache::Core::StoreObjects(File& file) {
  constexpr uint64_t kAll = ~uint64_t{0};
  const auto zeros = CutAt(file.being_stored().Runs(0, kAll, true), kChunkSize, kChunkSize);
  const auto plan = PlanObjects(file.being_stored().Runs(0, kAll, false));
  for (size_t i = 0; i < zeros.size(); i += kMaxRecordsPerAppend) {
    const std::vector<Range> part(
        zeros.begin() + static_cast<ptrdiff_t>(i),
        zeros.begin() + static_cast<ptrdiff_t>(std::min(zeros.size(), i + kMaxRecordsPerAppend)));
    std::vector<meta::ChunkRecord> records;
    for (const Range& range : part) records.push_back(ZeroRecord(range));
    CURVEFS_CHECK_OK(CommitRecords(file, std::move(records), part));
  }
  for (size_t first = 0; first < plan.size();) {
    size_t last = first, records_planned = 0;
    while (last < plan.size() && last - first < kMaxObjectsPerAppend &&
           (last == first || records_planned + plan[last].parts.size() <= kMaxRecordsPerAppend)) {
      records_planned += plan[last++].parts.size();
    }
    const auto begin = plan.begin() + static_cast<ptrdiff_t>(first);
    CURVEFS_TRY(auto records, PutObjects(file, std::span(begin, last - first)));
    std::vector<Range> done;
    for (size_t i = first; i < last; ++i) std::ranges::copy(plan[i].parts, std::back_inserter(done));
    CURVEFS_CHECK_OK(CommitRecords(file, std::move(records), std::move(done)));
    first = last;
  }
  return {};
}

Status DataCache::Core::CommitRecords(File& file, std::vector<meta::ChunkRecord> records,
                                      std::vector<Range> done) {
  if (records.empty()) return {};
  std::vector<Stored> stored;
  stored.push_back({&file, std::move(records), std::move(done)});
  return Commit(std::move(stored)).front();
}

// Commits records of several files, which may share objects, and lets go of what they store. Objects that
// then nobody names are deleted.
std::vector<Status> DataCache::Core::Commit(std::vector<Stored> stored) {
  std::vector<Status> statuses(stored.size(), Status(Code::kNotFound));
  std::vector<std::vector<meta::ChunkRecord>> objects_put(stored.size());
  std::vector<ChunkIndex::FileRecords> files;
  std::vector<size_t> places;  // of files[i], in `stored`
  uint64_t inline_records = 0;
  for (size_t i = 0; i < stored.size(); ++i) {
    auto& records = stored[i].records;
    std::ranges::copy_if(records, std::back_inserter(objects_put[i]), &meta::ChunkRecord::in_object);
    File& file = *stored[i].file;
    {
      MutexLock lock(file.mu);
      if (file.forgotten) continue;
    }
    inline_records += static_cast<uint64_t>(std::ranges::count_if(records, &meta::ChunkRecord::is_inline));
    std::ranges::sort(records, {}, &meta::ChunkRecord::offset);  // the last one's end raises the length
    files.push_back({file.inode, std::move(records)});
    places.push_back(i);
  }
  Status failure;
  if (!files.empty()) {
    auto appended = index.Append(std::move(files));
    if (!appended) failure = appended.error();
    for (size_t k = 0; k < places.size(); ++k) {
      if (!appended) {
        statuses[places[k]] = failure;
      } else if (!(*appended)[k]) {
        statuses[places[k]] = (*appended)[k].error();
      } else {
        statuses[places[k]] = {};
        LetGo(stored[places[k]], *(*appended)[k]);
      }
    }
    if (failure.ok()) counters.inline_records.fetch_add(inline_records, std::memory_order_relaxed);
  }
  // With an unknown outcome the records may be there: then the objects stay, for fsck to judge.
  if (failure.code() == Code::kTimedOut) return statuses;
  std::set<ChunkId> named;
  for (size_t i = 0; i < stored.size(); ++i) {
    if (!statuses[i].ok()) continue;
    for (const auto& r : objects_put[i]) named.insert(r.chunk_id);
  }
  for (size_t i = 0; i < stored.size(); ++i) {
    if (statuses[i].ok()) continue;
    std::erase_if(objects_put[i], [&](const auto& r) { return !named.insert(r.chunk_id).second; });
    DeleteObjects(objects_put[i]);
  }
  return statuses;
}

// The records are committed.
void DataCache::Core::LetGo(const Stored& stored, const std::vector<ChunkLoad>& loads) {
  File& file = *stored.file;
  {
    MutexLock lock(file.mu);
    const uint64_t before = file.flushing.bytes();
    for (const Range& range : stored.done) file.flushing.Remove(range.begin, range.end, nullptr);
    counters.flushing_bytes -= before - file.flushing.bytes();
  }
  ConsiderCompaction(file.inode, loads);
}

object::ObjectName DataCache::Core::NameOf(const meta::ChunkRecord& r) const {
  return {r.chunk_id, r.block, r.compaction, index.fs(), r.object_inode};
}

// A record of an object yet to be stored: all but its digest, and the place of a part.
meta::ChunkRecord DataCache::Core::NewObject(InodeId inode, uint64_t begin, uint64_t bytes,
                                             ChunkId chunk) const {
  meta::ChunkRecord r;
  r.chunk_id = chunk;
  r.block = static_cast<uint32_t>(begin % kChunkSize / kBlockSize);
  r.object_inode = inode;
  r.object_size = bytes;
  return r;
}

// Stores the object that the record names, and sets its digest.
Status DataCache::Core::Put(meta::ChunkRecord* record, const BufferList& bytes) {
  const object::ObjectName name = NameOf(*record);
  auto digest = objects.Put(name, bytes);
  if (digest && index.durable_at_once()) {
    if (Status s = objects.Sync(std::span(&name, 1)); !s.ok()) digest = Fail(s);
  }
  if (!digest) {
    (void)objects.Delete(name);  // best effort: it may be there, half or whole
    return digest.error();
  }
  record->digest = *digest;
  counters.objects_put.fetch_add(1, std::memory_order_relaxed);
  free_bytes.fetch_sub(static_cast<int64_t>(record->object_size), std::memory_order_relaxed);
  return {};
}

// Stores one object and returns the records for its parts.
Result<std::vector<meta::ChunkRecord>> DataCache::Core::PutObject(InodeId inode, const PlannedObject& plan,
                                                                  const BufferList& bytes, ChunkId chunk,
                                                                  uint32_t compaction) {
  meta::ChunkRecord r = NewObject(inode, plan.parts.front().begin, plan.bytes, chunk);
  r.compaction = compaction;
  CURVEFS_CHECK_OK(Put(&r, bytes));
  std::vector<meta::ChunkRecord> records;
  records.reserve(plan.parts.size());
  for (const Range& part : plan.parts) records.push_back(TakePart(&r, part));
  return records;
}

// The record of the next part of a file in an object, whose parts lie one behind the other. `stored` goes on
// to the part behind it.
meta::ChunkRecord DataCache::Core::TakePart(meta::ChunkRecord* stored, const Range& part) {
  meta::ChunkRecord record = *stored;
  record.offset = part.begin;
  record.len = part.size();
  stored->object_offset += part.size();
  return record;
}

void DataCache::Core::DeleteObjects(const std::vector<meta::ChunkRecord>& records) {
  const meta::ChunkRecord* last = nullptr;
  for (const auto& r : records) {
    if (!r.in_object() || (last != nullptr && NameOf(*last) == NameOf(r))) continue;
    last = &r;
    (void)objects.Delete(NameOf(r));  // best effort: fsck finds what stays
  }
}

}  // namespace curvefs::data
