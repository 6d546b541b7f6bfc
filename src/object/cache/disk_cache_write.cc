// Writing through the disk cache: what waits on a disk, and its upload.
#include <algorithm>
#include <map>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "object/cache/disk_cache_store.h"
#include "object/object_format.h"

namespace curvefs::object {
namespace {

SteadyTime Now() {
  return Clock::System().Steady();
}

}  // namespace

// Whether objects may wait: it is noted outside that the store alone is not all.
bool DiskCacheStore::MayWait() {
  if (!options_.writeback || options_.read_only) return false;
  MutexLock lock(mark_mu_);
  if (marked_) return true;
  Status s = options_.before_writeback ? options_.before_writeback() : Status();
  marked_ = s.ok();
  if (!marked_ && !mark_failure_logged_) {
    mark_failure_logged_ = true;
    Log(LogLevel::kWarning, "write-back is not used, data go to the store at once: " + s.ToString());
  }
  return marked_;
}

Result<uint32_t> DiskCacheStore::Put(const ObjectName& name, const BufferList& data) {
  if (options_.read_only) return Fail(Code::kReadOnly, "the cache is opened for reading only");
  const uint64_t size = TotalSize(data);
  if (size > kMaxObjectData) {
    return Fail(Code::kTooBig, "object " + name.ToString() + " is larger than a block");
  }
  // A retry: an older version must neither be uploaded over this one nor come back with a crash.
  bool inside;
  CURVEFS_CHECK_OK(DropLocal(name, SteadyTime::max(), &inside));
  for (Shelf& shelf : shelves_) CURVEFS_CHECK_OK(shelf.disk->SyncRemoved(std::span(&name, 1)));

  if (const int disk = MayWait() ? ShelfFor(name) : -1; disk >= 0) {
    auto digest = PutWaiting(name, data, static_cast<uint16_t>(disk));
    if (digest) return digest;
    MutexLock lock(mu_);
    ++stats_.put_through;
  }
  CURVEFS_TRY(const uint32_t digest, inner_->Put(name, data));
  Enqueue(name, data, size + TrailerBytes(size));
  return digest;
}

// On failure the object is on no disk.
Result<uint32_t> DiskCacheStore::PutWaiting(const ObjectName& name, const BufferList& data, uint16_t shelf) {
  const uint64_t size = TotalSize(data);
  const uint64_t bytes = size + TrailerBytes(size);
  CacheDisk& disk = *shelves_[shelf].disk;
  {
    MutexLock lock(mu_);
    if (waiting_ >= kMaxWaitingObjects) return Fail(Code::kNoSpace);
  }
  if (!MakeRoom(shelf, bytes)) return Fail(Code::kNoSpace);
  auto digest = disk.write().Put(name, data);
  if (!digest) {
    disk.Note(digest.error());
    disk.Note(disk.RemoveWritten(name));  // what a failed write left may be whole
    GiveBack(shelf, bytes);
    if (digest.error().code() == Code::kNoSpace) EvictFrom(shelf, 2 * bytes);
    return digest;
  }
  Status linked = disk.LinkForReading(name);
  if (linked.code() == Code::kExists) {  // left there by an earlier process
    (void)disk.read().Delete(name);      // best effort: then it is not kept after the upload
    linked = disk.LinkForReading(name);
  }
  disk.Note(linked);
  MutexLock lock(mu_);
  Entry& e = entries_[name];
  e.disk = shelf;
  e.state = State::kWaiting;
  e.in_write = true;
  e.in_read = linked.ok();
  e.digest = *digest;
  e.bytes = bytes;
  ++waiting_;
  waiting_bytes_ += bytes;
  uploads_.push_back(name);
  upload_work_.NotifyOne();
  return digest;
}

Status DiskCacheStore::Sync(std::span<const ObjectName> names) {
  std::map<uint16_t, std::vector<ObjectName>> written;
  std::vector<ObjectName> inside;
  {
    MutexLock lock(mu_);
    for (const ObjectName& name : names) {
      Entry* e = Find(name);
      if (e != nullptr && e->in_write && e->state != State::kLeaving) {
        ++e->pins;
        written[e->disk].push_back(name);
      } else {
        inside.push_back(name);
      }
    }
  }
  Status result;
  for (const auto& [shelf, group] : written) {
    CacheDisk& disk = *shelves_[shelf].disk;
    Status s = disk.write().Sync(group);
    disk.Note(s);
    if (result.ok()) result = std::move(s);
  }
  if (!written.empty()) {
    MutexLock lock(mu_);
    for (const auto& [shelf, group] : written) {
      for (const ObjectName& name : group) --entries_.at(name).pins;
    }
    changed_.NotifyAll();
  }
  if (!result.ok() || inside.empty()) return result;
  return inner_->Sync(inside);
}

// Takes an object off the disks. *may_be_inside: the store may have it too. kBusy: it is still being uploaded
// at `until`.
Status DiskCacheStore::DropLocal(const ObjectName& name, SteadyTime until, bool* may_be_inside) {
  RelockableMutexLock lock(mu_);
  *may_be_inside = true;
  std::erase_if(fills_, [&](const Fill& fill) CURVEFS_REQUIRES(mu_) {
    if (fill.name != name) return false;
    fill_bytes_ -= fill.bytes;
    return true;
  });
  if (!AwaitIdle(name, until)) return Code::kBusy;
  auto it = entries_.find(name);
  if (it == entries_.end()) return {};
  if (options_.read_only) return {Code::kReadOnly, "the cache is opened for reading only"};
  CacheDisk& disk = *shelves_[it->second.disk].disk;
  if (it->second.state == State::kClean) {
    Take(it);
    lock.Unlock();
    disk.Note(disk.read().Delete(name));  // best effort: if it stays, it is evicted one day
    return {};
  }
  Entry& e = it->second;
  *may_be_inside = e.tried;
  e.state = State::kLeaving;
  lock.Unlock();
  Status s = disk.RemoveWritten(name);
  if (s.ok()) disk.Note(disk.read().Delete(name));
  disk.Note(s);
  lock.Lock();
  if (s.ok()) {
    --waiting_;
    waiting_bytes_ -= e.bytes;
    shelves_[e.disk].bytes -= e.bytes;
    entries_.erase(name);
  } else {
    e.state = State::kWaiting;
    uploads_.push_back(name);
    upload_work_.NotifyOne();
  }
  changed_.NotifyAll();
  return s;
}

Status DiskCacheStore::Delete(const ObjectName& name) {
  return DeleteMany(std::span(&name, 1));
}

// Whether the uploads, which go on trying, find the store away: then it need not be asked for anything else.
bool DiskCacheStore::StoreIsAway() {
  MutexLock lock(mu_);
  return waiting_ > 0 && failures_in_a_row_ >= kFailuresToTell;
}

// Adds to `busy` what is still being uploaded at `until`.
Status DiskCacheStore::DeleteIdle(std::span<const ObjectName> names, SteadyTime until,
                                  std::vector<ObjectName>* busy) {
  std::vector<ObjectName> inside;
  Status first;
  for (const ObjectName& name : names) {
    bool may_be_inside;
    Status s = DropLocal(name, until, &may_be_inside);
    if (s.ok() && may_be_inside) inside.push_back(name);
    if (s.code() == Code::kBusy) {
      busy->push_back(name);
    } else if (first.ok()) {
      first = std::move(s);
    }
  }
  // Before the store: else a crash could bring one back, to be uploaded again when nobody knows it any more.
  for (Shelf& shelf : shelves_) CURVEFS_CHECK_OK(shelf.disk->SyncRemoved(names));
  if (inside.empty()) return first;
  Status s = StoreIsAway()
                 ? Status(Code::kUnavailable, "the store is away; objects are deleted when it is back")
             : inside.size() == 1 ? inner_->Delete(inside[0])
                                  : inner_->DeleteMany(inside);
  if (first.ok()) first = std::move(s);
  return first;
}

// What is being uploaded comes last, and is not waited for for long: with the store away an upload takes as
// long as it is tried.
Status DiskCacheStore::DeleteMany(std::span<const ObjectName> names) {
  if (options_.read_only) return {Code::kReadOnly, "the cache is opened for reading only"};
  std::vector<ObjectName> busy, still_busy;
  Status first = DeleteIdle(names, Now(), &busy);
  if (busy.empty()) return first;
  if (Status s = DeleteIdle(busy, Now() + kUploadPatience, &still_busy); first.ok()) first = std::move(s);
  if (!first.ok() || still_busy.empty()) return first;
  return {Code::kBusy, std::to_string(still_busy.size()) +
                           " objects are being uploaded; they can be deleted when that has ended"};
}

// ---- uploads

// *damaged: the file on the disk is not what was written to it.
Status DiskCacheStore::Upload(const ObjectName& name, CacheDisk& disk, uint32_t digest, bool* damaged) {
  auto bytes = disk.write().ReadWhole(name, digest);
  if (!bytes) {
    disk.Note(bytes.error());
    const Code code = bytes.error().code();
    if (code != Code::kCorrupt && code != Code::kNotFound) return bytes.error();
    auto inside = inner_->Stat(name);
    if (inside && inside->digest == digest) return inner_->Sync(std::span(&name, 1));  // stored all the same
    if (!inside && inside.error().code() != Code::kNotFound) return inside.error();
    *damaged = true;
    return bytes.error();
  }
  const size_t size = (*bytes)->size();
  CURVEFS_TRY(const uint32_t stored, inner_->Put(name, {{*std::move(bytes), 0, size}}));
  if (stored != digest) {
    return {Code::kCorrupt, "the store says that object " + name.ToString() + " is not what was uploaded"};
  }
  return inner_->Sync(std::span(&name, 1));
}

void DiskCacheStore::UploadMain() {
  RelockableMutexLock lock(mu_);
  while (!stop_) {
    if (uploads_.empty()) {
      upload_work_.Wait(mu_);
      continue;
    }
    if (Now() < retry_at_) {
      upload_work_.WaitUntil(mu_, retry_at_);
      continue;
    }
    const ObjectName name = uploads_.front();
    uploads_.pop_front();
    Entry* e = Find(name);
    if (e == nullptr || e->state != State::kWaiting) continue;  // deleted since
    e->state = State::kUploading;
    e->tried = true;
    CacheDisk& disk = *shelves_[e->disk].disk;
    const uint32_t digest = e->digest;
    lock.Unlock();
    bool damaged = false;
    const Status s = Upload(name, disk, digest, &damaged);
    lock.Lock();
    EndUpload(name, s, damaged);
  }
}

// The entry is in kUploading, so nobody else takes it away.
void DiskCacheStore::EndUpload(const ObjectName& name, Status status, bool damaged) {
  Entry& e = entries_.at(name);
  CacheDisk& disk = *shelves_[e.disk].disk;
  if (status.ok() || damaged) {
    while (e.pins > 0) changed_.Wait(mu_);
    e.in_write = false;  // from here on it is read in read/, or in the store
    mu_.Unlock();
    if (damaged) {
      Log(LogLevel::kError,
          "object " + name.ToString() + " was damaged on the cache disk before it was uploaded (" +
              status.ToString() + "); it is put aside as " + disk.path() + "/damaged/" + name.ToString() +
              ", and the file of inode " + std::to_string(name.inode.value) + " lacks it: run curvefs fsck");
    }
    Status removed = damaged ? disk.SetAside(name) : disk.RemoveWritten(name);
    disk.Note(removed);
    mu_.Lock();
    if (!removed.ok()) {
      e.in_write = true;
      status = removed;
      damaged = false;
    }
  }
  if (status.ok() || damaged) {
    --waiting_;
    waiting_bytes_ -= e.bytes;
    if (e.in_read && !damaged) {
      AddClean(name, &e);
    } else {
      shelves_[e.disk].bytes -= e.bytes;
      entries_.erase(name);
    }
    stats_.uploads += !damaged;
    if (failures_in_a_row_ >= kFailuresToTell) Log(LogLevel::kInfo, "uploads to the store work again");
    failures_in_a_row_ = 0;
    retry_at_ = {};
  } else {
    e.state = State::kWaiting;
    uploads_.push_back(name);
    ++stats_.upload_failures;
    // All wait: most likely it is not this object but the store.
    const uint32_t doublings = std::min<uint32_t>(failures_in_a_row_++, 20);
    retry_at_ =
        Now() + std::min<Duration>(options_.max_backoff, options_.min_backoff * (int64_t{1} << doublings));
    if (failures_in_a_row_ == kFailuresToTell) {
      Log(LogLevel::kWarning,
          "cannot upload to the store, " + std::to_string(waiting_) +
              " objects wait on the cache disk and it is tried again and again: " + status.ToString());
    }
  }
  changed_.NotifyAll();
  upload_work_.NotifyOne();
}

Status DiskCacheStore::Drain(const std::function<bool(uint64_t objects, uint64_t bytes)>& go_on) {
  constexpr auto kTell = std::chrono::milliseconds(200);
  RelockableMutexLock lock(mu_);
  retry_at_ = {};
  upload_work_.NotifyAll();
  while (waiting_ > 0) {
    const uint64_t objects = waiting_, bytes = waiting_bytes_;
    lock.Unlock();
    if (options_.upload_threads == 0 || options_.read_only || (go_on && !go_on(objects, bytes))) {
      return {Code::kInterrupted, std::to_string(objects) + " objects (" + std::to_string(bytes) +
                                      " bytes) still wait for their upload"};
    }
    lock.Lock();
    const SteadyTime tell_at = Now() + kTell;
    while (waiting_ > 0 && changed_.WaitUntil(mu_, tell_at)) {
    }
  }
  lock.Unlock();
  for (Shelf& shelf : shelves_) CURVEFS_CHECK_OK(shelf.disk->SyncAllRemoved());
  return {};
}

}  // namespace curvefs::object
