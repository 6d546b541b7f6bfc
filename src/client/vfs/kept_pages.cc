#include "client/vfs/kept_pages.h"

namespace curvefs::client {

bool KeptPages::Open(InodeId inode, uint64_t version, HandleId handle) {
  const MutexLock lock(mu_);
  if (auto it = kept_.find(inode); it != kept_.end()) {
    // Before the pages of an earlier version are dropped, nobody may count on them.
    if (it->second.version == version && it->second.dropped) return true;
  } else if (kept_.size() >= most_) {
    kept_.erase(kept_.begin());
  }
  kept_.insert_or_assign(inode, Kept{.version = version, .opener = handle});
  return false;
}

void KeptPages::Seen(InodeId inode, HandleId handle) {
  const MutexLock lock(mu_);
  if (auto it = kept_.find(inode); it != kept_.end() && it->second.opener == handle)
    it->second.dropped = true;
}

void KeptPages::Forget(InodeId inode) {
  const MutexLock lock(mu_);
  kept_.erase(inode);
}

}  // namespace curvefs::client
