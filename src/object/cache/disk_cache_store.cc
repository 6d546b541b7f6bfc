#include "object/cache/disk_cache_store.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "object/object_format.h"

namespace curvefs::object {
namespace {

SteadyTime Now() {
  return Clock::System().Steady();
}

uint64_t FileBytes(uint64_t data_bytes) {
  return data_bytes + TrailerBytes(data_bytes);
}

}  // namespace

size_t DiskCacheStore::NameHash::operator()(const ObjectName& n) const noexcept {
  uint64_t h = n.chunk.value * 0x9e3779b97f4a7c15u ^ n.inode.value ^ (uint64_t{n.block} << 32) ^
               (uint64_t{n.compaction} << 48) ^ n.fs.value;
  h = (h ^ h >> 31) * 0xbf58476d1ce4e5b9u;
  return static_cast<size_t>(h ^ h >> 29);
}

Result<std::unique_ptr<DiskCacheStore>> DiskCacheStore::Open(Disk& disk, std::unique_ptr<ObjectStore> inner,
                                                             DiskCacheOptions options) {
  CURVEFS_CHECK(!options.dirs.empty());
  std::unique_ptr<DiskCacheStore> store(new DiskCacheStore(std::move(inner), std::move(options)));
  uint16_t number = 0;
  for (const std::string& dir : store->options_.dirs) {
    CacheDisk::Found found;
    auto opened = CacheDisk::Open(disk, dir, store->options_.uuid, store->options_.read_only, &found);
    if (!opened) {
      return Fail(opened.error().code(), "the cache directory " + dir +
                                             " cannot be used: " + opened.error().ToString() +
                                             "; repair the disk, or leave it out of --cache-dir");
    }
    Shelf shelf;
    shelf.disk = *std::move(opened);
    store->shelves_.push_back(std::move(shelf));
    store->Adopt(number++, found);
  }
  store->Start();
  return store;
}

// What lies on a disk at the start.
void DiskCacheStore::Adopt(uint16_t disk, const CacheDisk::Found& found) {
  MutexLock lock(mu_);
  Shelf& shelf = shelves_[disk];
  for (const CachedObject& object : found.cached) {
    auto [it, fresh] = entries_.try_emplace(object.name);
    if (!fresh) continue;  // on another disk already, from when there were more or fewer of them
    it->second.disk = disk;
    it->second.bytes = object.bytes;
    it->second.in_read = true;
    shelf.bytes += object.bytes;
    AddClean(object.name, &it->second);
  }
  for (const CacheDisk::Waiting& w : found.waiting) {
    auto it = entries_.find(w.object.name);
    if (it != entries_.end() && it->second.state != State::kClean) continue;
    if (it != entries_.end()) Take(it);
    Entry entry;
    entry.disk = disk;
    entry.state = State::kWaiting;
    entry.in_write = true;
    entry.in_read = !options_.read_only;
    entry.tried = true;
    entry.digest = w.digest;
    entry.bytes = w.object.bytes;
    entries_[w.object.name] = entry;
    shelf.bytes += entry.bytes;
    ++waiting_;
    waiting_bytes_ += entry.bytes;
    uploads_.push_back(w.object.name);
  }
  stats_.foreign += found.foreign;
  if (found.torn > 0) {
    Log(LogLevel::kWarning, shelf.disk->path() + ": " + std::to_string(found.torn) +
                                " half-written objects, which a crash cut off before they were durable");
  }
}

void DiskCacheStore::Start() {
  if (options_.read_only) return;
  for (size_t i = 0; i < kFillThreads; ++i) {
    threads_.emplace_back([this] { FillMain(); });
    pthread_setname_np(threads_.back().native_handle(), ("cfs-fill-" + std::to_string(i)).c_str());
  }
  for (size_t i = 0; i < options_.upload_threads; ++i) {
    threads_.emplace_back([this] { UploadMain(); });
    pthread_setname_np(threads_.back().native_handle(), ("cfs-upload-" + std::to_string(i)).c_str());
  }
}

DiskCacheStore::~DiskCacheStore() {
  {
    MutexLock lock(mu_);
    stop_ = true;
  }
  upload_work_.NotifyAll();
  fill_work_.NotifyAll();
  changed_.NotifyAll();
  for (auto& thread : threads_) thread.join();
}

// ---- the index

DiskCacheStore::Entry* DiskCacheStore::Find(const ObjectName& name) {
  auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second;
}

// Whether no thread is at work on the object's files.
bool DiskCacheStore::Idle(const ObjectName& name) {
  if (filling_.contains(name)) return false;
  const Entry* e = Find(name);
  return e == nullptr || ((e->state == State::kClean || e->state == State::kWaiting) && e->pins == 0);
}

// False if the object is still being uploaded at `until`.
bool DiskCacheStore::AwaitIdle(const ObjectName& name, SteadyTime until) {
  while (!Idle(name)) {
    const Entry* e = Find(name);
    if (e == nullptr || e->state != State::kUploading || until == SteadyTime::max()) {
      changed_.Wait(mu_);
    } else if (Now() >= until) {
      return false;
    } else {
      (void)changed_.WaitUntil(mu_, until);
    }
  }
  return true;
}

void DiskCacheStore::AddClean(const ObjectName& name, Entry* entry) {
  Shelf& shelf = shelves_[entry->disk];
  entry->state = State::kClean;
  shelf.by_use.push_front(name);
  entry->by_use = shelf.by_use.begin();
  shelf.clean_bytes += entry->bytes;
}

// Forgets a clean object.
void DiskCacheStore::Take(Entries::iterator it) {
  Shelf& shelf = shelves_[it->second.disk];
  shelf.bytes -= it->second.bytes;
  shelf.clean_bytes -= it->second.bytes;
  shelf.by_use.erase(it->second.by_use);
  entries_.erase(it);
}

// The disk for a new object: by hash, the next one if that is out of use; -1 if all are.
int DiskCacheStore::ShelfFor(const ObjectName& name) const {
  const size_t n = shelves_.size();
  const size_t first = NameHash()(name) % n;
  for (size_t i = 0; i < n; ++i) {
    const size_t at = (first + i) % n;
    if (!shelves_[at].disk->out()) return static_cast<int>(at);
  }
  return -1;
}

// Notes a miss. Whether there was one of the same object not long ago.
bool DiskCacheStore::Touch(const ObjectName& name) {
  if (!touched_.insert(name).second) return true;
  touched_order_.push_back(name);
  if (touched_order_.size() > kMaxTouched) {
    touched_.erase(touched_order_.front());
    touched_order_.pop_front();
  }
  return false;
}

// ---- room

// Reserves `bytes` on a disk; makes room by evicting, a little more than is needed so that not every write
// has to. False: what waits, or what others have on the disk, leaves no room.
bool DiskCacheStore::MakeRoom(uint16_t disk, uint64_t bytes) {
  Shelf& shelf = shelves_[disk];
  auto space = shelf.disk->Space();
  shelf.disk->Note(space ? Status() : space.error());
  uint64_t lacking = 0;  // of the free space that others shall have
  if (space) {
    const auto keep =
        static_cast<uint64_t>(options_.free_space_ratio * static_cast<double>(space->total_bytes));
    lacking = keep + bytes > space->free_bytes ? keep + bytes - space->free_bytes : 0;
  }
  std::vector<ObjectName> victims;
  bool room;
  {
    MutexLock lock(mu_);
    const uint64_t limit = options_.size_bytes / shelves_.size();
    const uint64_t over = shelf.bytes + bytes > limit ? shelf.bytes + bytes - limit : 0;
    uint64_t need = std::max(over, lacking);
    room = need <= shelf.clean_bytes;
    if (need > 0 && room) need += limit / 64;
    if (over > shelf.clean_bytes) need = lacking;  // evicting would not help
    for (uint64_t freed = 0;
         !shelf.by_use.empty() && (freed < need || shelf.by_use.size() >= kMaxCachedObjects);) {
      auto it = entries_.find(shelf.by_use.back());
      freed += it->second.bytes;
      victims.push_back(it->first);
      Take(it);
    }
    stats_.evicted += victims.size();
    if (room) shelf.bytes += bytes;
  }
  for (const ObjectName& name : victims) shelf.disk->Note(shelf.disk->read().Delete(name));
  return room;
}

// The disk is fuller than it said.
void DiskCacheStore::EvictFrom(uint16_t disk, uint64_t bytes) {
  Shelf& shelf = shelves_[disk];
  std::vector<ObjectName> victims;
  {
    MutexLock lock(mu_);
    for (uint64_t freed = 0; freed < bytes && !shelf.by_use.empty();) {
      auto it = entries_.find(shelf.by_use.back());
      freed += it->second.bytes;
      victims.push_back(it->first);
      Take(it);
    }
    stats_.evicted += victims.size();
  }
  for (const ObjectName& name : victims) shelf.disk->Note(shelf.disk->read().Delete(name));
}

void DiskCacheStore::GiveBack(uint16_t disk, uint64_t bytes) {
  MutexLock lock(mu_);
  shelves_[disk].bytes -= bytes;
}

// ---- reading

// Runs `read` on the directory of a cache disk that holds the object. kDone: *result is the answer.
DiskCacheStore::Local DiskCacheStore::ReadLocal(const ObjectName& name,
                                                const std::function<Status(ObjectStore&)>& read,
                                                Status* result) {
  for (size_t attempt = 0; attempt < kMaxAttempts; ++attempt) {
    CacheDisk* disk;
    bool written;
    {
      MutexLock lock(mu_);
      Entry* e = Find(name);
      if (e == nullptr || e->state == State::kLeaving || !(e->in_read || e->in_write)) return Local::kMiss;
      disk = shelves_[e->disk].disk.get();
      written = e->in_write;
      if (disk->out() && !written) return Local::kMiss;  // what waits is nowhere else
      if (e->state == State::kClean) {
        auto& by_use = shelves_[e->disk].by_use;
        by_use.splice(by_use.begin(), by_use, e->by_use);
      }
    }
    *result = read(written ? disk->write() : disk->read());
    if (result->ok()) return Local::kDone;
    disk->Note(*result);
    RelockableMutexLock lock(mu_);
    auto it = entries_.find(name);
    if (it == entries_.end() || it->second.in_write != written) continue;  // uploaded, or deleted, meanwhile
    if (written) return Local::kDone;
    const Code code = result->code();
    const bool bad = code == Code::kCorrupt || code == Code::kNotFound || code == Code::kUnsupportedVersion;
    if (!bad || it->second.state != State::kClean) return Local::kMiss;
    ++stats_.damaged;
    Take(it);
    lock.Unlock();
    (void)disk->read().Delete(name);  // best effort: it is noticed again
    return Local::kMiss;
  }
  return Local::kMiss;
}

// The object's bytes [0, n), or all of it, from the store; or what another reader is reading already, if that
// is at least [0, n).
Result<std::shared_ptr<Buffer>> DiskCacheStore::Fetch(const ObjectName& name, uint32_t digest, uint64_t n,
                                                      bool whole) {
  auto flight = std::make_shared<Flight>();
  flight->digest = digest;
  flight->n = whole ? ~uint64_t{0} : n;
  {
    MutexLock lock(mu_);
    auto [it, first] = flights_.try_emplace(name, flight);
    if (!first && it->second->digest == digest && it->second->n >= n) {
      flight = it->second;
      while (!flight->done) changed_.Wait(mu_);
      if (!flight->status.ok()) return Fail(flight->status);
      return flight->bytes;
    }
    if (!first) flight = nullptr;  // one of another kind; then this read is nobody else's
  }
  Result<std::shared_ptr<Buffer>> result = Fail(Code::kIo);
  if (whole) {
    result = inner_->ReadWhole(name, digest);
  } else {
    auto bytes = Buffer::Make(n);
    Status s = inner_->Read(name, digest, 0, bytes->data(), n);
    result = s.ok() ? Result<std::shared_ptr<Buffer>>(std::move(bytes)) : Fail(std::move(s));
  }
  if (result) {
    BufferList data{{*result, 0, (*result)->size()}};
    // Only the whole object has checksums that give its digest.
    whole = whole || MakeTrailer(data).digest == digest;
    if (whole) Enqueue(name, std::move(data), FileBytes((*result)->size()));
  }
  if (flight != nullptr) {
    MutexLock lock(mu_);
    flight->done = true;
    if (result) {
      flight->bytes = *result;
    } else {
      flight->status = result.error();
    }
    flights_.erase(name);
    changed_.NotifyAll();
  }
  return result;
}

Status DiskCacheStore::Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) {
  Status s;
  auto read = [&](ObjectStore& store) { return store.Read(name, digest, offset, out, n); };
  const Local local = ReadLocal(name, read, &s);
  // A damaged one that waits: the store may have it after all, from a Put whose outcome on the disk was
  // unknown.
  if (s.code() == Code::kCorrupt && local == Local::kDone) {
    return inner_->Read(name, digest, offset, out, n).ok() ? Status() : s;
  }
  bool whole;
  {
    MutexLock lock(mu_);
    if (local == Local::kDone) {
      ++stats_.hits;
      stats_.hit_bytes += n;
      return s;
    }
    ++stats_.misses;
    whole = Touch(name) || (offset > 0 && n >= kWholeFrom);
  }
  if (options_.read_only || ShelfFor(name) < 0 || n == 0 || (offset > 0 && !whole)) {
    return inner_->Read(name, digest, offset, out, n);
  }
  CURVEFS_TRY(const auto bytes, Fetch(name, digest, offset + n, whole));
  if (offset > bytes->size() || n > bytes->size() - offset) {
    return inner_->Read(name, digest, offset, out, n);  // says what is wrong
  }
  std::memcpy(out, bytes->data() + offset, n);
  return {};
}

Result<std::shared_ptr<Buffer>> DiskCacheStore::ReadWhole(const ObjectName& name, uint32_t digest) {
  Status s;
  std::shared_ptr<Buffer> bytes;
  auto read = [&](ObjectStore& store) -> Status {
    CURVEFS_TRY(bytes, store.ReadWhole(name, digest));
    return {};
  };
  const Local local = ReadLocal(name, read, &s);
  if (s.code() == Code::kCorrupt && local == Local::kDone) {  // as in Read
    auto inside = inner_->ReadWhole(name, digest);
    return inside ? std::move(inside) : Fail(std::move(s));
  }
  {
    MutexLock lock(mu_);
    ++(local == Local::kDone ? stats_.hits : stats_.misses);
    if (bytes != nullptr) stats_.hit_bytes += bytes->size();
  }
  if (local == Local::kDone) {
    if (!s.ok()) return Fail(std::move(s));
    return bytes;
  }
  return Fetch(name, digest, ~uint64_t{0}, /*whole=*/true);
}

void DiskCacheStore::Prefetch(const ObjectName& name, uint64_t offset, size_t n) {
  ObjectStore* store = inner_.get();
  {
    MutexLock lock(mu_);
    if (const Entry* e = Find(name); e != nullptr && (e->in_read || e->in_write)) {
      CacheDisk& disk = *shelves_[e->disk].disk;
      store = e->in_write ? &disk.write() : &disk.read();
    }
  }
  store->Prefetch(name, offset, n);
}

Result<ObjectStat> DiskCacheStore::Stat(const ObjectName& name) {
  ObjectStore* written = nullptr;
  {
    MutexLock lock(mu_);
    if (const Entry* e = Find(name); e != nullptr && e->in_write) written = &shelves_[e->disk].disk->write();
  }
  if (written == nullptr) return inner_->Stat(name);
  auto stat = written->Stat(name);
  if (!stat && stat.error().code() == Code::kNotFound) return inner_->Stat(name);  // uploaded meanwhile
  return stat;
}

Result<Timestamp> DiskCacheStore::WrittenAt(const ObjectName& name) {
  ObjectStore* written = nullptr;
  {
    MutexLock lock(mu_);
    if (const Entry* e = Find(name); e != nullptr && e->in_write) written = &shelves_[e->disk].disk->write();
  }
  if (written == nullptr) return inner_->WrittenAt(name);
  auto at = written->WrittenAt(name);
  if (!at && at.error().code() == Code::kNotFound) return inner_->WrittenAt(name);  // uploaded meanwhile
  return at;
}

Status DiskCacheStore::List(ChunkId from, const std::function<bool(const ObjectName&)>& visit,
                            uint64_t* foreign) {
  return ListDetails(from, [&](const ObjectDetails& object) { return visit(object.name); }, foreign);
}

// What waits and what the store lists, merged in order. What the store has of an object that waits may be an
// older try of it.
Status DiskCacheStore::ListDetails(ChunkId from, const std::function<bool(const ObjectDetails&)>& visit,
                                   uint64_t* foreign) {
  std::vector<ObjectName> waiting;
  {
    MutexLock lock(mu_);
    if (waiting_ > 0) {
      for (const auto& [name, e] : entries_) {
        if (name.chunk >= from && (e.state == State::kWaiting || e.state == State::kUploading)) {
          waiting.push_back(name);
        }
      }
    }
  }
  std::ranges::sort(waiting);
  auto next = waiting.begin();
  bool go_on = true;
  CURVEFS_CHECK_OK(inner_->ListDetails(
      from,
      [&](const ObjectDetails& object) {
        bool waits = false;
        for (; go_on && next != waiting.end() && *next <= object.name; ++next) {
          go_on = visit({.name = *next});
          waits = *next == object.name;
        }
        return go_on = go_on && (waits || visit(object));
      },
      foreign));
  for (; go_on && next != waiting.end(); ++next) go_on = visit({.name = *next});
  return {};
}

// ---- filling the read cache

void DiskCacheStore::Enqueue(const ObjectName& name, BufferList data, uint64_t bytes) {
  MutexLock lock(mu_);
  if (stop_ || options_.read_only || fill_bytes_ + bytes > kMaxFillQueue || fills_.size() >= kMaxFills) {
    ++stats_.fills_skipped;
    return;
  }
  fill_bytes_ += bytes;
  fills_.push_back({name, std::move(data), bytes});
  fill_work_.NotifyOne();
}

// Writes the object to a disk, unless it is on one. `name` is in filling_, or will be after the first lock.
Status DiskCacheStore::FillNow(const ObjectName& name, const BufferList& data, uint64_t bytes) {
  {
    MutexLock lock(mu_);
    if (entries_.contains(name) || !filling_.insert(name).second) return {};
  }
  const int shelf = ShelfFor(name);
  Status s = shelf < 0 ? Status(Code::kUnavailable, "no cache disk is in use") : Status();
  const auto disk = static_cast<uint16_t>(std::max(shelf, 0));
  if (s.ok() && !MakeRoom(disk, bytes))
    s = {Code::kNoSpace, "the cache is full of what waits for its upload"};
  if (s.ok()) {
    auto put = shelves_[disk].disk->read().Put(name, data);
    if (!put) {
      s = put.error();
      shelves_[disk].disk->Note(s);
      GiveBack(disk, bytes);
      if (s.code() == Code::kNoSpace) EvictFrom(disk, 2 * bytes);
    }
  }
  MutexLock lock(mu_);
  filling_.erase(name);
  changed_.NotifyAll();
  if (!s.ok()) {
    ++stats_.fills_skipped;
    return s;
  }
  Entry& e = entries_[name];
  e.disk = disk;
  e.bytes = bytes;
  e.in_read = true;
  AddClean(name, &e);
  ++stats_.fills;
  return {};
}

void DiskCacheStore::FillMain() {
  RelockableMutexLock lock(mu_);
  while (true) {
    while (!stop_ && fills_.empty()) fill_work_.Wait(mu_);
    if (stop_) return;
    Fill fill = std::move(fills_.front());
    fills_.pop_front();
    ++fills_at_work_;
    lock.Unlock();
    (void)FillNow(fill.name, fill.data, fill.bytes);  // best effort, and counted
    fill.data.clear();
    lock.Lock();
    fill_bytes_ -= fill.bytes;
    --fills_at_work_;
    changed_.NotifyAll();
    if (stats_.fills >= save_at_) {
      save_at_ = stats_.fills + kFillsPerSave;
      lock.Unlock();
      SaveOrder();
      lock.Lock();
    }
  }
}

void DiskCacheStore::AwaitFills() {
  MutexLock lock(mu_);
  while (!stop_ && !(fills_.empty() && fills_at_work_ == 0)) changed_.Wait(mu_);
}

void DiskCacheStore::SaveOrder() {
  for (Shelf& shelf : shelves_) {
    std::vector<CachedObject> order;
    {
      MutexLock lock(mu_);
      order.reserve(shelf.by_use.size());
      for (auto it = shelf.by_use.rbegin(); it != shelf.by_use.rend(); ++it) {
        order.push_back({*it, entries_.at(*it).bytes});
      }
    }
    if (!options_.read_only && !shelf.disk->out()) shelf.disk->Note(shelf.disk->SaveOrder(order));
  }
}

// ---- warming up

bool DiskCacheStore::Cached(const ObjectName& name) {
  MutexLock lock(mu_);
  const Entry* e = Find(name);
  return e != nullptr && e->state != State::kLeaving && (e->in_write || !shelves_[e->disk].disk->out());
}

Status DiskCacheStore::Warm(const ObjectName& name, uint32_t digest) {
  if (Cached(name)) return {};
  if (options_.read_only) return {Code::kReadOnly, "the cache is opened for reading only"};
  CURVEFS_TRY(auto bytes, inner_->ReadWhole(name, digest));
  const size_t size = bytes->size();
  return FillNow(name, {{std::move(bytes), 0, size}}, FileBytes(size));
}

bool DiskCacheStore::Evict(const ObjectName& name) {
  CacheDisk* disk;
  {
    MutexLock lock(mu_);
    auto it = entries_.find(name);
    if (it == entries_.end() || it->second.state != State::kClean || options_.read_only) return false;
    disk = shelves_[it->second.disk].disk.get();
    Take(it);
    touched_.erase(name);
    std::erase(touched_order_, name);
    ++stats_.evicted;
  }
  disk->Note(disk->read().Delete(name));
  return true;
}

DiskCacheStats DiskCacheStore::stats() const {
  MutexLock lock(mu_);
  DiskCacheStats s = stats_;
  for (const Shelf& shelf : shelves_) {
    s.bytes += shelf.bytes;
    s.disk_errors += shelf.disk->errors();
    s.disks_out += shelf.disk->out();
  }
  s.objects = entries_.size();
  s.waiting_objects = waiting_;
  s.waiting_bytes = waiting_bytes_;
  return s;
}

}  // namespace curvefs::object
