// LostWrites: pages that the kernel could not write back, because the disk is full or a quota used up.
//
// With its write-back cache the kernel takes whatever is written, and tells of the failure at fsync and close
// only: who writes until there is no space would never end. But before each write(2) it asks for attributes
// that it does not have. So those are taken from it when a write-back has failed, and the question, which
// comes with an open file, is answered with the failure: once, until the next write-back fails.
#pragma once

#include <atomic>
#include <map>
#include <optional>

#include "base/ids.h"
#include "base/mutex.h"
#include "base/status.h"

namespace curvefs::fuse {

// Thread-safe.
class LostWrites {
 public:
  void Note(InodeId inode, Code code) {
    MutexLock lock(mu_);
    lost_.insert_or_assign(inode, code);
    any_.store(true, std::memory_order_relaxed);
  }
  // Whether there may be any: cheap, for those who have to find out more before they take it.
  bool any() const { return any_.load(std::memory_order_relaxed); }
  // The failure, if there was one that nobody was told of.
  std::optional<Code> Take(InodeId inode) {
    MutexLock lock(mu_);
    auto it = lost_.find(inode);
    if (it == lost_.end()) return std::nullopt;
    const Code code = it->second;
    lost_.erase(it);
    any_.store(!lost_.empty(), std::memory_order_relaxed);
    return code;
  }

 private:
  std::atomic<bool> any_{false};
  Mutex mu_;
  std::map<InodeId, Code> lost_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::fuse
