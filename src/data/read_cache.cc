#include "data/read_cache.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace curvefs::data {

ReadCache::ReadCache(object::ObjectStore& objects, uint64_t limit_bytes, uint32_t threads)
    : objects_(objects), limit_(limit_bytes) {
  for (uint32_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { ReadAheadMain(); });
    pthread_setname_np(threads_.back().native_handle(), ("cfs-ahead-" + std::to_string(i)).c_str());
  }
}

ReadCache::~ReadCache() {
  {
    MutexLock lock(mu_);
    stop_ = true;
  }
  work_.NotifyAll();
  for (auto& t : threads_) t.join();
}

std::shared_ptr<Buffer> ReadCache::Find(const object::ObjectName& name, bool sequential) {
  MutexLock lock(mu_);
  auto it = entries_.find({name.inode, name});
  if (it == entries_.end() || it->second->state != State::kReady) return nullptr;
  if (!sequential) Use(*it->second);
  return it->second->bytes;
}

// Moves a ready entry to the front of those in use.
void ReadCache::Use(Entry& entry) {
  by_use_.splice(by_use_.begin(), entry.passed_by ? passed_ : by_use_, entry.by_use);
  entry.passed_by = false;
}

void ReadCache::PassedBy(const object::ObjectName& name) {
  std::vector<std::shared_ptr<Buffer>> evicted;  // freed after the lock
  MutexLock lock(mu_);
  auto it = entries_.find({name.inode, name});
  if (it == entries_.end() || it->second->state != State::kReady || it->second->passed_by) return;
  passed_.splice(passed_.begin(), by_use_, it->second->by_use);
  it->second->passed_by = true;
  if (passed_.size() > kMaxPassed) Drop(entries_.find(passed_.back()), &evicted);
}

void ReadCache::Drop(Map::iterator it, std::vector<std::shared_ptr<Buffer>>* evicted) {
  bytes_ -= it->second->bytes->size();
  evicted->push_back(std::move(it->second->bytes));
  (it->second->passed_by ? passed_ : by_use_).erase(it->second->by_use);
  entries_.erase(it);
}

void ReadCache::EvictTo(uint64_t limit, std::vector<std::shared_ptr<Buffer>>* evicted) {
  while (bytes_ > limit && !passed_.empty()) Drop(entries_.find(passed_.back()), evicted);
  while (bytes_ > limit && !by_use_.empty()) Drop(entries_.find(by_use_.back()), evicted);
}

// The lock is let go of while it reads.
Result<std::shared_ptr<Buffer>> ReadCache::ReadNow(const std::shared_ptr<Entry>& entry) {
  entry->state = State::kReading;
  const ObjectRef object = entry->object;
  mu_.Unlock();
  auto bytes = Buffer::Make(object.size);
  Status s = objects_.Read(object.name, object.digest, 0, bytes->data(), object.size);
  std::vector<std::shared_ptr<Buffer>> evicted;  // freed after the lock
  mu_.Lock();
  const Key key{object.name.inode, object.name};
  auto it = entries_.find(key);
  const bool wanted = it != entries_.end() && it->second == entry;  // not forgotten meanwhile
  if (s.ok()) {
    entry->bytes = bytes;
    if (wanted && object.size > limit_) {
      entries_.erase(it);
    } else if (wanted) {
      EvictTo(limit_ - object.size, &evicted);
      by_use_.push_front(key);
      entry->by_use = by_use_.begin();
      bytes_ += object.size;
    }
  } else {
    entry->error = s;
    if (wanted) entries_.erase(it);
  }
  entry->state = State::kReady;
  read_done_.NotifyAll();
  mu_.Unlock();
  evicted.clear();
  mu_.Lock();
  if (!s.ok()) return Fail(std::move(s));
  return bytes;
}

Result<std::shared_ptr<Buffer>> ReadCache::Get(const ObjectRef& object) {
  const Key key{object.name.inode, object.name};
  RelockableMutexLock lock(mu_);
  auto [it, fresh] = entries_.try_emplace(key);
  if (fresh) {
    it->second = std::make_shared<Entry>();
    it->second->object = object;
  }
  const std::shared_ptr<Entry> entry = it->second;
  // The object of a name never changes; what differs is what the metadata says of it, and that is an error to
  // be found by reading.
  if (entry->object.digest != object.digest || entry->object.size != object.size) {
    lock.Unlock();
    auto bytes = Buffer::Make(object.size);
    CURVEFS_CHECK_OK(objects_.Read(object.name, object.digest, 0, bytes->data(), object.size));
    return bytes;
  }
  if (entry->state == State::kQueued) return ReadNow(entry);
  if (entry->state == State::kReading) {
    while (entry->state != State::kReady) read_done_.Wait(mu_);
    if (!entry->error.ok()) return Fail(entry->error);
    if (entry->bytes == nullptr) {  // read and evicted again before we woke
      lock.Unlock();
      auto bytes = Buffer::Make(object.size);
      CURVEFS_CHECK_OK(objects_.Read(object.name, object.digest, 0, bytes->data(), object.size));
      return bytes;
    }
    return entry->bytes;
  }
  Use(*entry);
  return entry->bytes;
}

bool ReadCache::Prefetch(const ObjectRef& object) {
  const Key key{object.name.inode, object.name};
  MutexLock lock(mu_);
  if (entries_.contains(key)) return true;
  if (queue_.size() >= kMaxQueue || stop_) return false;
  auto entry = std::make_shared<Entry>();
  entry->object = object;
  entries_[key] = entry;
  queue_.push_back(std::move(entry));
  work_.NotifyOne();
  return true;
}

void ReadCache::ReadAheadMain() {
  MutexLock lock(mu_);
  while (true) {
    while (!stop_ && queue_.empty()) work_.Wait(mu_);
    if (stop_) return;
    auto entry = std::move(queue_.front());
    queue_.pop_front();
    if (entry->state != State::kQueued) continue;  // a reader was faster
    // Best effort: a failed read is repeated, and reported, by the reader that needs it.
    (void)ReadNow(entry);
  }
}

void ReadCache::Forget(InodeId inode) {
  std::vector<std::shared_ptr<Buffer>> evicted;
  MutexLock lock(mu_);
  Key first;
  first.inode = inode;
  for (auto it = entries_.lower_bound(first); it != entries_.end() && it->first.inode == inode;) {
    auto next = std::next(it);
    if (it->second->state == State::kReady) {
      Drop(it, &evicted);
    } else {
      if (it->second->state == State::kQueued) it->second->state = State::kReady;  // the threads pass it over
      entries_.erase(it);
    }
    it = next;
  }
}

void ReadCache::Clear() {
  std::vector<std::shared_ptr<Buffer>> evicted;
  MutexLock lock(mu_);
  EvictTo(0, &evicted);
}

uint64_t ReadCache::bytes() const {
  MutexLock lock(mu_);
  return bytes_;
}

}  // namespace curvefs::data
