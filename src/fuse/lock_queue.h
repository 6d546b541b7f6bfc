// LockQueue: processes that wait for a lock that another mount, or another process here, has.
//
// Nobody may wait in a worker: with all of them waiting, the request that gives the lock back would not be
// served. So one thread asks for all who wait, again and again, with pauses that grow to 50 ms; at once when
// a lock is given back here. Also knows which requests the kernel has called off, and finds those who wait
// for one another, as far as all of them are on this mount: one of them gets EDEADLK.
#pragma once

#include <deque>
#include <list>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "client/vfs/vfs.h"
#include "fuse/decode.h"
#include "fuse/reply.h"

namespace curvefs::fuse {

class LockQueue {
 public:
  explicit LockQueue(client::Vfs& vfs) : vfs_(vfs) {}
  ~LockQueue() { Stop(); }

  // Answers the request `unique` later: when the lock is got, or cannot be, or when it is called off. The
  // number waiting is bounded by the kernel: each has a process that waits.
  void Post(uint64_t unique, InodeId inode, const SetLock& op, Responder reply);
  // The process has a signal: EINTR, if the request waits here, or comes soon.
  void Interrupt(uint64_t unique);
  // Locks were given back.
  void Wake();

  // Drops what is left; call when nothing is served any more. Idempotent.
  void Stop();

 private:
  struct Job {
    uint64_t unique;
    InodeId inode;
    SetLock op;
    Responder reply;
    SteadyTime next;
    Duration pause;
    bool called_off = false;
    uint64_t blocked_by = kUnknown;  // the owner of a lock in the way, if it is one of this mount
  };
  static constexpr uint64_t kUnknown = 0, kElsewhere = ~uint64_t{0};
  void Main();
  // Whether it waits for somebody who waits, perhaps for others who wait, for its own owner.
  bool IsDeadlocked(const Job& job) const CURVEFS_REQUIRES(mu_);

  client::Vfs& vfs_;
  Mutex mu_;
  CondVar wake_;
  std::list<Job> jobs_ CURVEFS_GUARDED_BY(mu_);
  std::deque<uint64_t> early_ CURVEFS_GUARDED_BY(mu_);  // called off before they came, the last few
  const Job* tried_ CURVEFS_GUARDED_BY(mu_) = nullptr;
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread thread_;  // started by the first Post, under mu_: few mounts need it
};

}  // namespace curvefs::fuse
