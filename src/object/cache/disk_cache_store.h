// DiskCacheStore: a read cache, and on request a write-back cache, on local disks, around another store (SPEC
// D9).
//
// Reading. What is on a disk is read there, verified against the digest as everywhere; what is damaged there
// is dropped and read again from the store. A miss reads what was asked for from the store, and the object is
// kept if it is read whole: when a read turns out to be the whole object (its checksums give the digest),
// when a large part in its middle is wanted (kWholeFrom), or when it missed shortly before. So random small
// reads do not pull in whole blocks at their first touch. Readers that want the same beginning share one
// read.
//
// Writing. Without write-back, Put stores in the store and the object is cached afterwards, best effort. With
// it, Put writes to the disk; Sync makes that durable; uploads follow in the background, and are tried for as
// long as it takes. What waits there when a process ends is uploaded by the next one first; until then it is
// read, listed and deleted as if it were in the store. When the cache is full of what waits, Put goes to the
// store.
//
// A disk that fails, or is full, costs speed, never data that are in the store.
//
// Threads: as ObjectStore. None of its locks is held over I/O of the store or of a disk, and mu_ is a leaf.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/mutex.h"
#include "object/cache/cache_disk.h"
#include "object/object_store.h"

namespace curvefs::object {

struct DiskCacheOptions {
  std::vector<std::string> dirs;              // one for each disk; objects are spread by hash
  std::string uuid;                           // of the file system: the sub-directory that is ours
  uint64_t size_bytes = uint64_t{100} << 30;  // all disks together
  double free_space_ratio = 0.1;              // of each disk that stays free for others
  bool writeback = false;
  bool read_only = false;       // the disks are left as they are and nothing is uploaded (fsck)
  uint32_t upload_threads = 8;  // 0: nothing is uploaded, what waits goes on waiting
  Duration min_backoff = std::chrono::milliseconds(100);
  Duration max_backoff = std::chrono::seconds(30);
  // Called before the first object waits, and again before the next if it failed: notes durably that the
  // store alone is not all. Until it is ok, Put goes to the store.
  std::function<Status()> before_writeback;
};

struct DiskCacheStats {
  uint64_t hits = 0, hit_bytes = 0, misses = 0;
  uint64_t objects = 0, bytes = 0;        // on the disks, with what waits
  uint64_t fills = 0, fills_skipped = 0;  // skipped: no room on the disk, or the queue was full
  uint64_t evicted = 0, damaged = 0, foreign = 0;
  uint64_t disk_errors = 0, disks_out = 0;
  uint64_t waiting_objects = 0, waiting_bytes = 0;  // not yet uploaded
  uint64_t uploads = 0, upload_failures = 0,
           put_through = 0;  // put_through: Puts that the cache had no room for
};

class DiskCacheStore final : public ObjectStore {
 public:
  // `disk` outlives it. An error: a cache directory cannot be used (kBusy, kIo, …).
  static Result<std::unique_ptr<DiskCacheStore>> Open(Disk& disk, std::unique_ptr<ObjectStore> inner,
                                                      DiskCacheOptions options);
  // Ends the background threads, each after what it is at. What waits goes on waiting.
  ~DiskCacheStore() override;

  Result<uint32_t> Put(const ObjectName& name, const BufferList& data) override;
  Status Sync(std::span<const ObjectName> names) override;
  Status Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) override;
  Result<std::shared_ptr<Buffer>> ReadWhole(const ObjectName& name, uint32_t digest) override;
  void Prefetch(const ObjectName& name, uint64_t offset, size_t n) override;
  // kBusy: an upload of the object is under way, and takes its time; it is there until it is deleted again.
  // kUnavailable: what is on the disks is deleted, but the store is away.
  Status Delete(const ObjectName& name) override;
  Status DeleteMany(std::span<const ObjectName> names) override;
  Result<ObjectStat> Stat(const ObjectName& name) override;
  Result<Timestamp> WrittenAt(const ObjectName& name) override;
  Status List(ChunkId from, const std::function<bool(const ObjectName&)>& visit, uint64_t* foreign) override;
  Status ListDetails(ChunkId from, const std::function<bool(const ObjectDetails&)>& visit,
                     uint64_t* foreign) override;
  Result<DiskSpace> Space() override { return inner_->Space(); }

  // Returns when nothing waits. `go_on`, if given, is called now and then with how many objects and bytes do;
  // kInterrupted once it returns false.
  Status Drain(const std::function<bool(uint64_t objects, uint64_t bytes)>& go_on);
  // What a clean end leaves for the next start: the order of use. Best effort.
  void SaveOrder();

  // Warming up: is the object on a disk; bring it there (ok if it is; kNoSpace); take it away, unless it
  // waits.
  bool Cached(const ObjectName& name);
  Status Warm(const ObjectName& name, uint32_t digest);
  bool Evict(const ObjectName& name);
  // Waits until what was put or read so far has been cached or skipped.
  void AwaitFills();

  DiskCacheStats stats() const;

 private:
  static constexpr size_t kWholeFrom = 1 << 20;
  static constexpr size_t kMaxTouched = 8192;          // names that missed lately
  static constexpr uint64_t kMaxFillQueue = 64 << 20;  // bytes on their way to a disk
  static constexpr size_t kMaxFills = 512;
  static constexpr size_t kMaxWaitingObjects = 250'000;  // beyond it Put goes to the store
  static constexpr size_t kFillThreads = 2;
  static constexpr size_t kMaxAttempts = 4;
  static constexpr Duration kUploadPatience = std::chrono::seconds(1);  // of a deletion with an upload
  static constexpr uint64_t kFillsPerSave = 50'000;                     // the order of use is saved so often
  static constexpr uint32_t kFailuresToTell = 3;                        // in a row, until the log says so

  enum class State : uint8_t {
    kClean,      // in the store too
    kWaiting,    // to be uploaded
    kUploading,  // a thread is at it
    kLeaving,    // a thread removes it
  };
  struct Entry {
    uint16_t disk = 0;
    State state = State::kClean;
    bool in_read = false, in_write = false;  // where its file can be read
    bool tried = false;                      // the store may have it, whole or not
    uint32_t digest = 0;                     // of what waits
    uint32_t pins = 0;                       // Syncs that need its file in write/
    uint64_t bytes = 0;                      // of its file
    std::list<ObjectName>::iterator by_use;  // if kClean
  };
  struct NameHash {
    size_t operator()(const ObjectName& n) const noexcept;
  };
  using Entries = std::unordered_map<ObjectName, Entry, NameHash>;
  struct Shelf {                      // one disk's share
    std::unique_ptr<CacheDisk> disk;  // fixed; the rest is guarded by mu_
    std::list<ObjectName> by_use;     // the clean ones, most recent first
    uint64_t bytes = 0;               // of all, with what is reserved for writes under way
    uint64_t clean_bytes = 0;
  };
  struct Flight {  // a read of [0, n) that others may share
    uint32_t digest = 0;
    uint64_t n = 0;
    bool done = false;
    Status status;
    std::shared_ptr<Buffer> bytes;
  };
  struct Fill {
    ObjectName name;
    BufferList data;
    uint64_t bytes = 0;
  };
  enum class Local { kDone, kMiss };

  DiskCacheStore(std::unique_ptr<ObjectStore> inner, DiskCacheOptions options)
      : inner_(std::move(inner)), options_(std::move(options)) {}
  void Adopt(uint16_t disk, const CacheDisk::Found& found);
  void Start();

  Entry* Find(const ObjectName& name) CURVEFS_REQUIRES(mu_);
  bool Idle(const ObjectName& name) CURVEFS_REQUIRES(mu_);
  bool AwaitIdle(const ObjectName& name, SteadyTime until) CURVEFS_REQUIRES(mu_);
  void AddClean(const ObjectName& name, Entry* entry) CURVEFS_REQUIRES(mu_);
  void Take(Entries::iterator it) CURVEFS_REQUIRES(mu_);
  int ShelfFor(const ObjectName& name) const;
  bool Touch(const ObjectName& name) CURVEFS_REQUIRES(mu_);

  bool MakeRoom(uint16_t disk, uint64_t bytes);
  void EvictFrom(uint16_t disk, uint64_t bytes);
  void GiveBack(uint16_t disk, uint64_t bytes);
  Local ReadLocal(const ObjectName& name, const std::function<Status(ObjectStore&)>& read, Status* result);
  Result<std::shared_ptr<Buffer>> Fetch(const ObjectName& name, uint32_t digest, uint64_t n, bool whole);
  Result<uint32_t> PutWaiting(const ObjectName& name, const BufferList& data, uint16_t shelf);
  bool MayWait();
  Status DropLocal(const ObjectName& name, SteadyTime until, bool* may_be_inside);
  bool StoreIsAway();
  Status DeleteIdle(std::span<const ObjectName> names, SteadyTime until, std::vector<ObjectName>* busy);
  void Enqueue(const ObjectName& name, BufferList data, uint64_t bytes);
  Status FillNow(const ObjectName& name, const BufferList& data, uint64_t bytes);
  void FillMain();
  void UploadMain();
  Status Upload(const ObjectName& name, CacheDisk& disk, uint32_t digest, bool* damaged);
  void EndUpload(const ObjectName& name, Status status, bool damaged) CURVEFS_REQUIRES(mu_);

  const std::unique_ptr<ObjectStore> inner_;
  const DiskCacheOptions options_;
  std::vector<Shelf> shelves_;
  Mutex mark_mu_;  // held over before_writeback
  bool marked_ CURVEFS_GUARDED_BY(mark_mu_) = false;
  bool mark_failure_logged_ CURVEFS_GUARDED_BY(mark_mu_) = false;

  mutable Mutex mu_;
  CondVar changed_;      // an entry's state, a flight, the fills, what waits
  CondVar upload_work_;  // something to upload, or the end
  CondVar fill_work_;
  Entries entries_ CURVEFS_GUARDED_BY(mu_);
  std::deque<ObjectName> uploads_ CURVEFS_GUARDED_BY(mu_);  // some may have been deleted since
  uint64_t waiting_ CURVEFS_GUARDED_BY(mu_) = 0, waiting_bytes_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint32_t failures_in_a_row_ CURVEFS_GUARDED_BY(mu_) = 0;
  SteadyTime retry_at_ CURVEFS_GUARDED_BY(mu_){};  // no upload begins before
  std::unordered_map<ObjectName, std::shared_ptr<Flight>, NameHash> flights_ CURVEFS_GUARDED_BY(mu_);
  std::deque<Fill> fills_ CURVEFS_GUARDED_BY(mu_);
  std::set<ObjectName> filling_ CURVEFS_GUARDED_BY(mu_);  // being written to a disk now
  uint64_t fill_bytes_ CURVEFS_GUARDED_BY(mu_) = 0;       // in fills_, and of those at work
  uint32_t fills_at_work_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t save_at_ CURVEFS_GUARDED_BY(mu_) = kFillsPerSave;
  std::deque<ObjectName> touched_order_ CURVEFS_GUARDED_BY(mu_);
  std::set<ObjectName> touched_ CURVEFS_GUARDED_BY(mu_);
  DiskCacheStats stats_ CURVEFS_GUARDED_BY(mu_);
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace curvefs::object
