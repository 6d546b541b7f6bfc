// DirectoryAliases: takes from the kernel the old name of a directory that another mount has moved.
//
// A directory has one place in the kernel's cache of names. When a look-up finds it elsewhere the kernel
// moves it there; but not during a rename between directories, which holds the lock that moving needs:
// rename(2) then fails with ESTALE, again and again (d_splice_alias in fs/dcache.c). So the old name is taken
// away before the look-up is answered. That needs the old parent's lock, which the same rename may hold:
// therefore a thread does it, and the answer waits a little while only. In that case the rename is told
// ESTALE, lets its locks go, and the kernel tries once more by itself.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/ids.h"
#include "base/mutex.h"

namespace curvefs::fuse {

// Thread-safe. Remembers some hundred bytes for each directory that the kernel knows.
class DirectoryAliases {
 public:
  ~DirectoryAliases() { Stop(); }

  // The kernel, at `fd`, is about to be told that `dir` is at this place: one look-up of it more.
  void Found(int fd, InodeId dir, InodeId parent, std::string_view name);
  // It has moved a directory itself, if this was one; or two of them for one another.
  void Renamed(InodeId parent, std::string_view name, InodeId new_parent, std::string_view new_name,
               bool exchange);
  void Forget(InodeId inode, uint64_t lookups);  // the kernel has
  // Before a look-up: waits a little for names that could not be taken away in time.
  void AwaitOverdue() {
    if (overdue_.load(std::memory_order_relaxed)) Await();
  }
  size_t size() const;

  // Waits for the thread; what it waits for is over when the connection is. Idempotent.
  void Stop();

 private:
  using Place = std::pair<InodeId, std::string>;
  struct Job {
    int fd;
    Place place;
    uint64_t number;
  };
  struct Known {
    Place place;  // {} while it is not known
    uint64_t lookups = 0;
  };
  void Put(InodeId dir, Place place) CURVEFS_REQUIRES(mu_);
  InodeId TakeFrom(const Place& place) CURVEFS_REQUIRES(mu_);
  void Await();
  bool WaitFor(uint64_t number) CURVEFS_REQUIRES(mu_);
  void Main();

  mutable Mutex mu_;
  CondVar wake_, done_;
  std::map<InodeId, Known> known_ CURVEFS_GUARDED_BY(mu_);
  std::map<Place, InodeId> directories_ CURVEFS_GUARDED_BY(mu_);
  std::deque<Job> jobs_ CURVEFS_GUARDED_BY(mu_);
  uint64_t asked_ CURVEFS_GUARDED_BY(mu_) = 0, finished_ CURVEFS_GUARDED_BY(mu_) = 0;
  std::atomic<bool> overdue_{false};
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread thread_;  // started by the first job, under mu_
};

}  // namespace curvefs::fuse
