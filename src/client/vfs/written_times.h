// WrittenTimes: when files were written whose content the metadata do not have yet. The time goes with the
// content, in one change; until then this mount shows it itself. For metadata that are far away: elsewhere a
// write sets the times at once. Thread-safe.
#pragma once

#include <atomic>
#include <optional>
#include <unordered_map>

#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"

namespace curvefs::client {

class WrittenTimes {
 public:
  // Before what is written is taken, so that whoever stores it knows. Returns what was noted before.
  std::optional<Timestamp> Note(InodeId inode, Timestamp now) {
    MutexLock lock(mu_);
    std::optional<Timestamp> before;
    if (auto [it, added] = times_.try_emplace(inode, now); !added) before = std::exchange(it->second, now);
    any_ = true;
    return before;
  }
  // It was not written after all: as before.
  void Restore(InodeId inode, std::optional<Timestamp> before) {
    MutexLock lock(mu_);
    if (before) {
      times_[inode] = *before;
    } else {
      Erase(inode);
    }
  }
  std::optional<Timestamp> Get(InodeId inode) const {
    if (!any_) return std::nullopt;
    MutexLock lock(mu_);
    auto it = times_.find(inode);
    return it == times_.end() ? std::nullopt : std::optional(it->second);
  }
  // The metadata have it.
  void Stored(InodeId inode, Timestamp time) {
    MutexLock lock(mu_);
    if (auto it = times_.find(inode); it != times_.end() && it->second == time) Erase(inode);
  }
  // Somebody sets the times, or there is nothing any more to be stored. Returns what was noted.
  std::optional<Timestamp> Forget(InodeId inode) {
    MutexLock lock(mu_);
    auto it = times_.find(inode);
    if (it == times_.end()) return std::nullopt;
    const Timestamp was = it->second;
    Erase(inode);
    return was;
  }

 private:
  void Erase(InodeId inode) CURVEFS_REQUIRES(mu_) {
    times_.erase(inode);
    any_ = !times_.empty();
  }

  std::atomic<bool> any_{false};
  mutable Mutex mu_;  // a leaf
  std::unordered_map<InodeId, Timestamp> times_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::client
