// HeldLocks: the advisory locks that this mount holds on files of a cluster. The leader of the copyset keeps
// them for the mount's session; here is what is said again to a new one. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "base/ids.h"
#include "base/mutex.h"
#include "base/status.h"
#include "client/cluster/copyset_client.h"
#include "meta/file_locks.h"

namespace curvefs::client {

class HeldLocks {
 public:
  // `copyset` outlives it.
  explicit HeldLocks(CopysetClient& copyset) : copyset_(copyset) {}

  // kWouldBlock: somebody else has it; nobody waits here. kNoMemory: there are too many.
  Status Set(InodeId inode, const meta::FileLock& lock);
  // What is in the way of `wanted`; of another mount's, the pid is 0.
  Result<std::optional<meta::FileLock>> Conflict(InodeId inode, const meta::FileLock& wanted);
  // Gives those back. Returns whether there were any.
  bool Release(InodeId inode, const std::function<bool(const meta::FileLock&)>& which);
  // For a leader, or a session, that knows nothing of them. What was got under a session that has ended is
  // lost: others may have had it meanwhile.
  Status SayAgain();

  size_t size();

 private:
  Status SetOnce(InodeId inode, const meta::FileLock& lock, bool* again);
  void Within(uint64_t session) CURVEFS_REQUIRES(mu_);

  CopysetClient& copyset_;
  Mutex saying_;  // held during a SetLock: the order of requests is that of their numbers. Before mu_
  Mutex mu_;      // a leaf
  uint64_t order_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t rounds_ CURVEFS_GUARDED_BY(mu_) = 0;   // of SayAgain
  uint64_t session_ CURVEFS_GUARDED_BY(mu_) = 0;  // under which all of these are held
  std::map<InodeId, meta::FileLocks> held_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::client
