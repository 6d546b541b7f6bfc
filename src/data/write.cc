// Taking in writes, and the state kept per file.
#include <algorithm>
#include <utility>

#include "data/core.h"

namespace curvefs::data {
namespace {

// A write out of a larger buffer is taken in parts of this size, so that what one part needs of the budget is
// bounded.
constexpr size_t kPiece = 1 << 20;
constexpr size_t kLargestKept = 2 << 20;

constexpr Duration kSpacePollInterval = std::chrono::milliseconds(100);

}  // namespace

DataCache::Core::FilePtr DataCache::Core::Find(InodeId inode) const {
  const Shard& shard = ShardOf(inode);
  MutexLock lock(shard.mu);
  auto it = shard.files.find(inode);
  return it == shard.files.end() ? nullptr : it->second;
}

DataCache::Core::FilePtr DataCache::Core::FindOrMake(InodeId inode) {
  Shard& shard = ShardOf(inode);
  MutexLock lock(shard.mu);
  FilePtr& file = shard.files[inode];
  if (file == nullptr) file = std::make_shared<File>(inode, budget);
  return file;
}

void DataCache::Core::Release(FilePtr file) {
  Shard& shard = ShardOf(file->inode);
  MutexLock lock(shard.mu);
  // Ours and the map's: nobody else has it, and nobody can get it without the shard's lock.
  if (file.use_count() > 2) return;
  {
    MutexLock file_lock(file->mu);
    if (!file->dirty.empty() || !file->flushing.empty() || !file->leaving.empty()) return;
  }
  auto it = shard.files.find(file->inode);
  if (it != shard.files.end() && it->second == file) shard.files.erase(it);
}

std::vector<DataCache::Core::FilePtr> DataCache::Core::AllFiles() const {
  std::vector<FilePtr> files;
  for (const Shard& shard : shards) {
    MutexLock lock(shard.mu);
    for (const auto& [inode, file] : shard.files) files.push_back(file);
  }
  return files;
}

// The store's free space is asked for ten times a second at most; in between, what was put since counts as
// taken. What is dirty will need room as well: better the writer hears of it now than the flush later.
Status DataCache::Core::CheckSpace(uint64_t more) {
  const int64_t now = clock.Steady().time_since_epoch().count();
  int64_t due = next_space_poll.load(std::memory_order_relaxed);
  if (now >= due && next_space_poll.compare_exchange_strong(due, now + kSpacePollInterval.count())) {
    if (auto space = objects.Space()) {
      free_bytes = static_cast<int64_t>(std::min<uint64_t>(space->free_bytes, INT64_MAX));
    }
  }
  const int64_t free = free_bytes.load(std::memory_order_relaxed);
  const uint64_t needed = options.reserve_bytes + budget.used() + more;
  if (free >= 0 && static_cast<uint64_t>(free) >= needed) return {};
  return {Code::kNoSpace, "the object store has " + std::to_string(std::max<int64_t>(free, 0)) +
                              " bytes free; with unsaved data and the reserve, " + std::to_string(needed) +
                              " are needed: delete files, or give the store more room"};
}

Status DataCache::Core::Write(InodeId inode, uint64_t offset, BufferSlice data) {
  if (data.size == 0) return {Code::kInvalid, "an empty write"};
  if (offset > kMaxFileSize || data.size > kMaxFileSize - offset) return Code::kFileTooBig;
  CURVEFS_CHECK_OK(CheckSpace(data.is_zero() ? 0 : data.size));
  if (data.is_zero() || data.buffer->size() <= kLargestKept) {
    CURVEFS_CHECK_OK(WritePiece(inode, offset, data));
  } else {
    for (size_t at = 0; at < data.size; at += kPiece) {
      BufferSlice piece = data.Sub(at, std::min(kPiece, data.size - at));
      CURVEFS_CHECK_OK(WritePiece(inode, offset + at, piece));
    }
  }
  counters.written_bytes.fetch_add(data.size, std::memory_order_relaxed);
  return {};
}

Status DataCache::Core::WritePiece(InodeId inode, uint64_t offset, const BufferSlice& data) {
  const FilePtr file = FindOrMake(inode);
  const uint64_t end = offset + data.size;
  while (true) {
    uint64_t cost;
    {
      MutexLock lock(file->mu);
      if (file->forgotten) return {};  // deleted while we waited
      cost = file->dirty.Cost(offset, data);
      if (budget.TryTake(cost)) {
        const SteadyTime now = clock.Steady();
        if (file->dirty.empty()) file->oldest = now;
        file->dirty.Insert(offset, data);
        file->waiting = file->dirty.bytes();
        Schedule(file, now + options.flush_age);
        const uint64_t block = offset / kBlockSize * kBlockSize;
        if (end >= block + kBlockSize && file->dirty.Covers(block, block + kBlockSize))
          ScheduleFullBlocks(file);
        if (budget.pressed()) flusher_work_.NotifyOne();
        return {};
      }
    }
    CURVEFS_CHECK_OK(WaitForMemory(cost));
  }
}

uint64_t DataCache::Core::DirtyBytes(InodeId inode) const {
  const FilePtr file = Find(inode);
  if (file == nullptr) return 0;
  MutexLock lock(file->mu);
  return file->dirty.bytes() + file->flushing.bytes();
}

uint64_t DataCache::Core::DirtyEnd(InodeId inode) const {
  const FilePtr file = Find(inode);
  if (file == nullptr) return 0;
  MutexLock lock(file->mu);
  return std::max(file->dirty.end(), file->flushing.end());
}

Status DataCache::Core::Change(InodeId inode, uint64_t offset, uint64_t len,
                               const std::function<Status()>& commit) {
  FilePtr file = FindOrMake(inode);
  const uint64_t end = len > ~uint64_t{0} - offset ? ~uint64_t{0} : offset + len;
  Status s;
  {
    TurnLock flush_lock(file->flush_mu);
    {
      MutexLock lock(file->mu);
      if (offset < end) file->dirty.Remove(offset, end, &file->leaving);
    }
    s = commit();
    MutexLock lock(file->mu);
    if (s.ok() || file->forgotten) {
      file->leaving.Clear();
    } else if (!file->leaving.empty()) {
      file->dirty.InsertUnder(&file->leaving);
      Schedule(file, clock.Steady() + options.flush_age);
    }
  }
  Release(std::move(file));
  return s;
}

void DataCache::Core::Forget(InodeId inode) {
  FilePtr file;
  {
    Shard& shard = ShardOf(inode);
    MutexLock lock(shard.mu);
    if (auto it = shard.files.find(inode); it != shard.files.end()) {
      file = std::move(it->second);
      shard.files.erase(it);
    }
  }
  if (file != nullptr) {
    // What is being flushed is dropped by whoever flushes it, when it finds the inode gone or this mark.
    MutexLock lock(file->mu);
    file->forgotten = true;
    file->dirty.Clear();
  }
  read_cache.Forget(inode);
}

}  // namespace curvefs::data
