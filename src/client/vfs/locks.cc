// What holds between mounts that share a file system: advisory locks, and appending.
#include <algorithm>
#include <thread>

#include "base/blocking.h"
#include "client/vfs/vfs_core.h"

namespace curvefs::client {
namespace {

constexpr Duration kFirstPause = std::chrono::microseconds(200);
constexpr Duration kLongestPause = std::chrono::milliseconds(20);

}  // namespace

Status Vfs::SetLock(InodeId inode, HandleId handle, meta::FileLock lock) {
  Core& c = *core_;
  if (VirtualFiles::IsVirtual(inode)) return Code::kNotSupported;
  // Who gets the lock next, anywhere, reads what was written under it.
  if (lock.type == meta::LockType::kUnlock) CURVEFS_CHECK_OK(c.data.Flush(inode, true));
  lock.handle = handle;
  return c.meta.SetLock(inode, lock);
}

Result<std::optional<meta::FileLock>> Vfs::LockConflict(InodeId inode, const meta::FileLock& wanted) {
  if (VirtualFiles::IsVirtual(inode)) return Fail(Code::kNotSupported);
  return core_->meta.LockConflict(inode, wanted);
}

bool Vfs::ReleaseLocks(InodeId inode, uint64_t owner) {
  return core_->meta.ReleaseLocks(inode, [owner](const meta::FileLock& held) {
    return held.kind == meta::LockKind::kRange && held.owner == owner;
  });
}

// Other mounts append too: the end of the file is looked up, and what is written there stored, under a lock
// of all mounts.
Status Vfs::Core::AppendShared(InodeId id, const std::function<Status(uint64_t end)>& append) {
  meta::FileLock lock{.kind = meta::LockKind::kAppend, .type = meta::LockType::kWrite};
  for (Duration pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    Status s = meta.SetLock(id, lock);
    if (s.ok()) break;
    if (s.code() != Code::kWouldBlock) return s;
    AboutToBlock();
    std::this_thread::sleep_for(pause);
  }
  auto locked = [&]() -> Status {
    CURVEFS_TRY(const meta::Inode inode, Attributes(id));
    CURVEFS_CHECK_OK(append(inode.length));
    Status stored = data.Flush(id, true);
    // The next one appends at the same place: this must not come there later.
    if (!stored.ok()) (void)data.Change(id, inode.length, ~uint64_t{0}, [] { return Status(); });
    return stored;
  };
  Status done = locked();
  lock.type = meta::LockType::kUnlock;
  if (Status s = meta.SetLock(id, lock); !s.ok() && done.ok()) return s;
  return done;
}

}  // namespace curvefs::client
