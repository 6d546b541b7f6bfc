// ReadCache: whole objects in memory, the least recently used dropped first, and the threads that read ahead.
//
// Objects are immutable, so nothing here is ever invalidated, only evicted. An object that is being read is
// read once: others who need it wait for the first. A reader does not wait behind the queue of the
// read-ahead: what has not been begun it reads itself.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "base/buffer.h"
#include "base/mutex.h"
#include "object/object_store.h"

namespace curvefs::data {

// What is needed to read an object whole.
struct ObjectRef {
  object::ObjectName name;
  uint32_t digest = 0;
  uint64_t size = 0;
};

class ReadCache {
 public:
  ReadCache(object::ObjectStore& objects, uint64_t limit_bytes, uint32_t threads);
  ~ReadCache();

  // The object's bytes if they are here now; null otherwise. Never blocks. A sequential reader does not make
  // it worth keeping.
  std::shared_ptr<Buffer> Find(const object::ObjectName& name, bool sequential);
  // The object's bytes, read if need be. Errors as of ObjectStore::Read; they are not remembered.
  Result<std::shared_ptr<Buffer>> Get(const ObjectRef& object);
  // Asks for the object to be read in the background. False if too much is waiting already.
  bool Prefetch(const ObjectRef& object);

  // A sequential reader has passed the object's end: whoever sits above keeps what it has read, so the object
  // may go soon. Its memory serves the next ones, and what is read again and again stays.
  void PassedBy(const object::ObjectName& name);

  // Drops all objects that were first written for `inode`; all.
  void Forget(InodeId inode);
  void Clear();

  uint64_t bytes() const;

 private:
  // Ordered by inode first, for Forget.
  struct Key {
    InodeId inode;
    object::ObjectName name;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  enum class State { kQueued, kReading, kReady };
  struct Entry {
    State state = State::kQueued;
    ObjectRef object;
    std::shared_ptr<Buffer> bytes;
    Status error;  // of the read that has just ended, for those who wait for it
    bool passed_by = false;
    std::list<Key>::iterator by_use;  // if kReady: in passed_ if passed_by, else in by_use_
  };
  using Map = std::map<Key, std::shared_ptr<Entry>>;

  static constexpr size_t kMaxQueue = 64;
  static constexpr size_t kMaxPassed = 2;  // objects: their memory, still warm, serves those to come

  void ReadAheadMain();
  Result<std::shared_ptr<Buffer>> ReadNow(const std::shared_ptr<Entry>& entry) CURVEFS_REQUIRES(mu_);
  void EvictTo(uint64_t limit, std::vector<std::shared_ptr<Buffer>>* evicted) CURVEFS_REQUIRES(mu_);
  void Use(Entry& entry) CURVEFS_REQUIRES(mu_);
  void Drop(Map::iterator it, std::vector<std::shared_ptr<Buffer>>* evicted) CURVEFS_REQUIRES(mu_);

  object::ObjectStore& objects_;
  const uint64_t limit_;

  mutable Mutex mu_;  // a leaf; guards the entries, too
  CondVar work_;
  CondVar read_done_;
  Map entries_ CURVEFS_GUARDED_BY(mu_);
  std::list<Key> by_use_ CURVEFS_GUARDED_BY(mu_);  // the ready ones, most recent first
  std::list<Key> passed_ CURVEFS_GUARDED_BY(mu_);  // the same, of those passed by
  std::deque<std::shared_ptr<Entry>> queue_ CURVEFS_GUARDED_BY(mu_);
  uint64_t bytes_ CURVEFS_GUARDED_BY(mu_) = 0;  // of the ready ones
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace curvefs::data
