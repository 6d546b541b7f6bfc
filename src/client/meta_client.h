// MetaClient: the metadata service as the client sees it. In the standalone mount it calls the copyset in the
// same process (src/cli/standalone.cc); in a cluster it routes to metaservers.
//
// Every function blocks until the operation is acknowledged; "durable" is another matter: see Sync. Any
// thread may call.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/status.h"
#include "meta/file_locks.h"
#include "meta/ops/attributes.h"
#include "meta/ops/content.h"
#include "meta/ops/create.h"
#include "meta/ops/names.h"
#include "meta/ops/rename.h"
#include "meta/records.h"

namespace curvefs::client {

struct MetaUsage {
  uint64_t inodes = 0;
  uint64_t bytes = 0;
};

// What lies below a directory, itself not counted.
struct DirUsage {
  uint64_t files = 0;  // everything but directories
  uint64_t subdirs = 0;
  uint64_t bytes = 0;  // lengths of regular files
  uint64_t entries() const { return files + subdirs; }
};

// Limits of a directory (of the root: of the file system), and what counts against them.
struct Limit {
  InodeId dir;
  meta::Quota quota;
  DirUsage used;
};

class MetaClient {
 public:
  virtual ~MetaClient() = default;

  virtual FsId fs() const = 0;
  virtual InodeId root() const = 0;

  virtual Result<meta::Inode> Lookup(InodeId parent, std::string_view name) = 0;
  virtual Result<meta::Inode> GetInode(InodeId inode) = 0;
  // A page of a directory after `cookie`: at most `max` entries, with their inodes if `with_inodes`.
  struct Listed {
    std::string name;
    meta::Dentry dentry;
    uint64_t cookie = 0;
    meta::Inode inode;  // only with_inodes
  };
  virtual Result<std::vector<Listed>> List(InodeId dir, uint64_t cookie, uint32_t max, bool with_inodes) = 0;

  virtual Result<meta::Inode> Create(const meta::CreateRequest& request) = 0;
  virtual Result<meta::Inode> CreateUnnamed(const meta::CreateRequest& request) = 0;
  virtual Result<meta::Inode> Link(InodeId inode, InodeId parent, std::string_view name) = 0;
  virtual Result<meta::Inode> Unlink(InodeId parent, std::string_view name, InodeId trash) = 0;
  virtual Result<meta::Inode> RemoveDirectory(InodeId parent, std::string_view name, InodeId trash) = 0;
  virtual Result<meta::RenameReply> Rename(const meta::RenameRequest& request) = 0;

  virtual Result<meta::Inode> SetAttributes(const meta::SetAttrRequest& request) = 0;
  // It was read: its access time becomes `time`. May come later to other mounts, and be lost by a crash.
  virtual Status NoteAccess(InodeId inode, Timestamp time) {
    auto r = SetAttributes({.inode = inode, .atime = time, .touch_atime = true});
    return r ? Status() : r.error();
  }
  virtual Result<meta::Inode> SetXattr(const meta::SetXattrRequest& request) = 0;
  virtual Result<meta::Inode> RemoveXattr(InodeId inode, std::string_view name) = 0;
  virtual Result<std::string> GetXattr(InodeId inode, std::string_view name) = 0;
  virtual Result<std::string> ListXattrs(InodeId inode) = 0;

  virtual Result<std::vector<meta::ChunkRecord>> Records(InodeId inode, uint64_t offset, uint64_t len) = 0;
  virtual Result<std::vector<Result<meta::AppendReply>>> AppendChunks(
      const std::vector<meta::AppendRequest>& requests) = 0;
  virtual Result<std::vector<Status>> ReplaceChunks(const std::vector<meta::ReplaceRequest>& requests) = 0;
  // See data::ChunkIndex::TakeSparse.
  virtual std::vector<meta::SharedObject> TakeSparse(uint32_t max) = 0;
  virtual Result<meta::Inode> ZeroRange(InodeId inode, uint64_t offset, uint64_t len, bool kill_suid_gid) = 0;
  virtual Result<meta::Inode> Allocate(InodeId inode, uint64_t end, bool extend, bool kill_suid_gid) = 0;
  virtual Result<meta::CloneReply> CloneRange(const meta::CloneRequest& request) = 0;
  virtual Result<ChunkId> NewChunks(uint32_t n) = 0;

  // What this mount has open stays when it loses its last name elsewhere. Called for each open and each
  // close; CreateOpen makes a file (a named one or, without a name, an orphan) and opens it. kStale: it is
  // gone.
  virtual Result<meta::Inode> OpenInode(InodeId inode) { return GetInode(inode); }
  virtual void NoteClosed(InodeId) {}
  virtual Result<meta::Inode> CreateOpen(const meta::CreateRequest& request) {
    return request.name.empty() ? CreateUnnamed(request) : Create(request);
  }

  // Whether others change the file system too. Then every change is durable when it is acknowledged.
  virtual bool shared() const { return false; }
  // Advisory locks, where `shared`; elsewhere the kernel's own are enough. kWouldBlock: somebody else has it;
  // nothing waits here. kNoMemory: there are too many.
  virtual Status SetLock(InodeId, const meta::FileLock&) { return Code::kNotSupported; }
  virtual Result<std::optional<meta::FileLock>> LockConflict(InodeId, const meta::FileLock&) {
    return Fail(Code::kNotSupported);
  }
  // Gives back those of this mount; whether there were any.
  virtual bool ReleaseLocks(InodeId, const std::function<bool(const meta::FileLock&)>&) { return false; }

  // The orphan is no longer open here: give its space back (in the background).
  virtual void ReleaseOrphan(InodeId inode) = 0;

  // Everything acknowledged so far becomes durable, and the objects that it names.
  virtual Status Sync() = 0;

  virtual Result<MetaUsage> Usage() = 0;

  // Usage of directories. Begins to keep it, if it is not kept yet; may take as long as reading all inodes.
  virtual Status TrackUsage() = 0;
  // Whether AnnounceLength is to be called; cheap.
  virtual bool tracks_usage() const = 0;
  virtual Result<DirUsage> UsageBelow(InodeId dir) = 0;
  // Data was taken in that makes the file `end` bytes long when it is stored; with `exactly` no longer than
  // that even if it was announced to be. kNoSpace, kQuotaExceeded: not within the limits; nothing is changed.
  virtual Status AnnounceLength(InodeId file, uint64_t end, bool exactly) = 0;
  // The limits that hold for an inode, the nearest first.
  virtual std::vector<Limit> LimitsAbove(InodeId inode) = 0;
  // Counters, one "name value" a line, for .stats.
  virtual std::string StatsText() = 0;
};

}  // namespace curvefs::client
