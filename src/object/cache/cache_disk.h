// CacheDisk: one cache directory of one file system (docs/FORMATS.md "Cache directory").
//
//   <cache dir>/<uuid>/read/    object files: the read cache
//   <cache dir>/<uuid>/write/   object files that are not in the store yet; each is linked into read/ as well
//
// Both are laid out as a directory store and are used through one, so that what is read is verified. Which
// object is where, and what is evicted, is not decided here.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/disk.h"
#include "base/mutex.h"
#include "base/status.h"
#include "object/cache/cache_order.h"
#include "object/object_store.h"

namespace curvefs::object {

// Thread-safe once opened.
class CacheDisk {
 public:
  struct Waiting {
    CachedObject object;
    uint32_t digest = 0;
  };
  // What lay there at the start.
  struct Found {
    std::vector<CachedObject> cached;  // the least recently used first; without what waits
    std::vector<Waiting> waiting;
    uint64_t foreign = 0;  // files that are not ours: removed from read/, left alone in write/
    uint64_t torn = 0;     // half-written files of write/, which nobody was promised: removed
  };

  // Makes <dir>/<uuid> if need be and takes its lock. kBusy: another process has it. Errors of a disk that
  // does not work. `read_only`: makes, removes and locks nothing; an absent directory is an empty one.
  static Result<std::unique_ptr<CacheDisk>> Open(Disk& disk, const std::string& dir, const std::string& uuid,
                                                 bool read_only, Found* found);

  const std::string& path() const { return path_; }
  ObjectStore& read() { return *read_; }
  ObjectStore& write() { return *write_; }

  // Gives a file of write/ its second name in read/.
  Status LinkForReading(const ObjectName& name);
  // Takes a file out of write/; the name can come back with a crash until SyncRemoved has been called for it.
  // After a failure SyncRemoved tries it again.
  Status RemoveWritten(const ObjectName& name);
  // Ok at once for names that no crash can bring back.
  Status SyncRemoved(std::span<const ObjectName> names);
  Status SyncAllRemoved();
  // Puts a damaged file of write/ aside, for people, as damaged/<name>; durable as RemoveWritten is.
  Status SetAside(const ObjectName& name);

  Status SaveOrder(std::span<const CachedObject> objects);
  Result<DiskSpace> Space() { return disk_.Space(path_); }

  // Notes what an operation on this disk came to. A disk that fails kMaxErrors times is out of use for good;
  // the log says so once.
  void Note(const Status& status);
  bool out() const { return out_.load(std::memory_order_relaxed); }
  uint64_t errors() const { return errors_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kMaxErrors = 3;
  static constexpr size_t kMaxUnsyncedRemovals = 1024;

  CacheDisk(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  std::string DamagedDir() const { return path_ + "/damaged"; }
  Status MakeDirs(const std::string& dir);
  Status ScanWrite(bool read_only, Found* found);
  Status ScanRead(bool read_only, Found* found);
  std::vector<CachedObject> LoadOrder();
  Status SyncRemovedDirs(const std::set<std::string>& dirs) CURVEFS_REQUIRES(removals_mu_);

  Disk& disk_;
  const std::string path_;
  std::unique_ptr<File> lock_;
  std::unique_ptr<ObjectStore> read_, write_;
  std::atomic<uint64_t> errors_{0};
  std::atomic<bool> out_{false};

  // Held over the sync of directories, so that whoever asks after a name finds it either here or durable.
  Mutex removals_mu_;
  // By directory: of write/, or damaged/.
  std::set<std::pair<std::string, ObjectName>> removals_ CURVEFS_GUARDED_BY(removals_mu_);
  // Few: a disk on which this happens is out of use soon.
  std::set<ObjectName> unremoved_ CURVEFS_GUARDED_BY(removals_mu_);
};

}  // namespace curvefs::object
