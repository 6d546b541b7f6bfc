// Vfs: POSIX on top of the metadata client and the data cache, as plain blocking functions.
//
// It knows nothing of FUSE; src/fuse decodes requests and calls it, tests call it directly. The kernel checks
// permissions (default_permissions) and holds the locks of its own inodes, but nothing here relies on the
// latter: any function may be called by any thread at any time.
//
// Lifetime of inodes: whoever gets an Entry holds one reference on its inode and gives it back with Forget.
// An unlinked inode lives until its last reference and its last handle are gone (and is reclaimed at the next
// mount after a crash).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/status.h"
#include "client/meta_client.h"
#include "client/vfs/control.h"
#include "data/data_cache.h"
#include "meta/file_locks.h"
#include "meta/records.h"

namespace curvefs::client {

// Who asks.
struct Caller {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t pid = 0;
  uint32_t umask = 0;
};

// An inode with one reference to it, and how long the kernel may rely on it.
struct Entry {
  meta::Inode inode;      // inode.length is current, including data not yet stored
  bool cacheable = true;  // false: virtual files; entry and attributes must be asked for each time
};

using HandleId = uint64_t;  // an open file or directory; 0 is none

struct Opened {
  HandleId handle = 0;
  bool keep_cache = true;  // pages the kernel has are still right
  bool direct =
      false;  // do not cache pages at all. O_DIRECT does not need it: the kernel sees to that itself
  bool attributes_changed = false;  // opening changed the times: attributes that the kernel has are stale
};

// What setattr changes. Bits of `what`.
struct SetAttr {
  enum : uint32_t {
    kMode = 1,
    kUid = 2,
    kGid = 4,
    kSize = 8,
    kAtime = 16,
    kMtime = 32,
    kCtime = 64,
    kAtimeNow = 128,
    kMtimeNow = 256,
    kKillSuidGid = 512,  // the caller lacks CAP_FSETID: truncation clears set-id bits
  };
  uint32_t what = 0;
  uint32_t mode = 0;  // permission bits, 07777
  uint32_t uid = 0, gid = 0;
  uint64_t size = 0;
  Timestamp atime, mtime, ctime;
};

struct StatFs {
  uint64_t total_bytes = 0, free_bytes = 0;
  uint64_t total_inodes = 0, free_inodes = 0;
};

struct DirEntry {
  std::string_view name;  // valid during the call
  InodeId inode;
  uint32_t type = 0;    // d_type
  uint64_t cookie = 0;  // of the place after this entry; resume there. 1 to 2^63 - 1
  const Entry* entry =
      nullptr;  // with attributes: holds a reference if the visitor takes the entry; null for . and ..
};

// What it takes to read a whole file.
struct ReadCost {
  uint64_t records = 0;
  uint64_t objects = 0;
  uint64_t requests = 0;  // reads of a run of bytes of one object
  ReadCost& operator+=(const ReadCost& o) {
    records += o.records;
    objects += o.objects;
    requests += o.requests;
    return *this;
  }
  friend bool operator==(const ReadCost&, const ReadCost&) = default;
};

enum class RenameMode { kReplace, kNoReplace, kExchange, kWhiteout, kWhiteoutNoReplace };

// Bits of `mode` for Fallocate.
enum : uint32_t { kFallocKeepSize = 1, kFallocPunchHole = 2, kFallocZeroRange = 4 };

struct VfsOptions {
  bool read_only = false;
  bool sync_close = false;   // close is as durable as fsync
  bool store_close = false;  // what was written is stored, so that other mounts see it, when close returns
  // The kernel keeps written pages, and tells the times of writing when it stores them. Otherwise a write
  // sets them.
  bool kernel_times = true;
  enum class Atime { kRelatime, kNoatime, kStrict } atime = Atime::kRelatime;
  Duration trash = Duration();  // how long deleted names are kept; 0: not at all
  std::string config_text;      // what .config shows
  ControlService control;       // behind .control; null: there is no such file
  uint32_t control_uid = 0;     // its owner, who may open it, as root may
};

class Vfs {
 public:
  Vfs(MetaClient& meta, object::ObjectStore& objects, data::DataOptions data_options, VfsOptions options,
      const Clock& clock);
  ~Vfs();

  // Names.
  Result<Entry> Lookup(const Caller&, InodeId parent, std::string_view name);
  void Forget(InodeId inode, uint64_t count);
  Result<Entry> MkNod(const Caller&, InodeId parent, std::string_view name, uint32_t mode, uint32_t rdev);
  Result<Entry> MkDir(const Caller&, InodeId parent, std::string_view name, uint32_t mode);
  Result<Entry> Symlink(const Caller&, InodeId parent, std::string_view name, std::string_view target);
  Result<Entry> Link(const Caller&, InodeId inode, InodeId parent, std::string_view name);
  Status Unlink(const Caller&, InodeId parent, std::string_view name);
  Status RmDir(const Caller&, InodeId parent, std::string_view name);
  Status Rename(const Caller&, InodeId parent, std::string_view name, InodeId new_parent,
                std::string_view new_name, RenameMode mode);
  Result<std::string> ReadLink(InodeId inode);

  // Attributes.
  Result<meta::Inode> GetAttr(InodeId inode);
  Result<meta::Inode> SetAttributes(const Caller&, InodeId inode, const SetAttr& change);
  Status SetXattr(const Caller&, InodeId inode, std::string_view name, std::string_view value, bool create,
                  bool replace, bool kill_sgid);
  Result<std::string> GetXattr(InodeId inode, std::string_view name);
  Result<std::string> ListXattr(const Caller&, InodeId inode);  // names, each with a terminating zero byte
  Status RemoveXattr(const Caller&, InodeId inode, std::string_view name);
  // As it is below the directory or file: with the limits that hold there.
  Result<StatFs> GetStatFs(InodeId inode);

  // Open files. `flags` are those of open(2), without O_CREAT, O_EXCL, O_NOCTTY.
  struct Created {
    Entry entry;
    Opened opened;
  };
  Result<Created> Create(const Caller&, InodeId parent, std::string_view name, uint32_t mode, int flags);
  Result<Created> TmpFile(const Caller&, InodeId parent, uint32_t mode, int flags);
  Result<Opened> Open(const Caller&, InodeId inode, int flags, bool kill_suid_gid = false);
  Result<BufferList> Read(InodeId inode, HandleId handle, uint64_t offset, size_t n);
  // Takes all or fails. With `append` the data goes to the end of the file, whatever `offset` says.
  // `from_page_cache`: the kernel writes back cached pages, and sets the times itself.
  struct WriteFlags {
    bool append = false, from_page_cache = false, sync = false, kill_suid_gid = false;
    Caller caller;  // looked at with kill_suid_gid only
  };
  Result<size_t> Write(InodeId inode, HandleId handle, uint64_t offset, BufferSlice data, WriteFlags flags);
  Status Flush(InodeId inode, HandleId handle);  // close(2) of one descriptor
  // Advisory locks, of a file system that other mounts share; elsewhere the kernel keeps them. Nothing waits:
  // kWouldBlock. Giving a lock back stores what is dirty first. A closed handle gives back what was got
  // through it.
  Status SetLock(InodeId inode, HandleId handle, meta::FileLock lock);
  Result<std::optional<meta::FileLock>> LockConflict(InodeId inode, const meta::FileLock& wanted);
  // A process has closed a descriptor of the file: all that fcntl(2) got for it goes. Whether there was any.
  bool ReleaseLocks(InodeId inode, uint64_t owner);
  Status Fsync(InodeId inode, bool data_only);
  Status SyncFs();
  void Release(InodeId inode, HandleId handle);
  Status Fallocate(const Caller&, InodeId inode, uint32_t mode, uint64_t offset, uint64_t len);
  Result<size_t> CopyFileRange(const Caller&, InodeId from, uint64_t from_offset, InodeId to,
                               uint64_t to_offset, uint64_t len);
  Result<uint64_t> Seek(InodeId inode, uint64_t offset, bool data);  // SEEK_DATA or SEEK_HOLE
  // Whether a handle that can write is open: then the kernel may hold dirty pages that Seek does not know of.
  bool HasWriters(InodeId inode);

  // Directories.
  Result<Opened> OpenDir(InodeId inode);
  // Calls visit for the entries after `cookie` (0: from the start, with . and ..) until it returns false
  // (that entry was not taken). With `attributes` each entry carries an Entry.
  Status ReadDir(InodeId inode, uint64_t cookie, bool attributes,
                 const std::function<bool(const DirEntry&)>& visit);
  void ReleaseDir(InodeId inode, HandleId handle);
  Status FsyncDir(InodeId inode);  // of the root: as SyncFs

  // Removes at most `max` names that have been in the trash for long enough; returns how many it was.
  Result<size_t> ExpireTrash(size_t max);
  // `watcher` is called with each directory that changes without the kernel having asked for it. Null: nobody
  // is told any more; returns when no call is under way.
  void Watch(std::function<void(InodeId)> watcher);
  // How much lies below a directory, with what is not stored yet. The first time it reads all inodes.
  Result<DirUsage> DirectoryUsage(InodeId dir);
  // For the commands of the mount. What it takes to read a file as it is stored now; of anything but a file,
  // nothing.
  Result<ReadCost> CostOfReading(InodeId inode);
  // Stores what is dirty of the file and compacts all its chunks. kInterrupted: `cancelled` said so.
  Status Compact(InodeId inode, const std::function<bool()>& cancelled);

  // Stores and syncs everything, and stops background work. After it only destruction is allowed.
  Status Shutdown();

  std::string StatsText();  // what .stats shows

 private:
  struct Core;
  std::unique_ptr<Core> core_;
};

}  // namespace curvefs::client
