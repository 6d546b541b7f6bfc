// Seeker: answers SEEK_DATA and SEEK_HOLE for files that somebody may be writing.
//
// The kernel asks us where data is without first writing back what it holds dirty, so the answer would miss
// it. We tell it to write back, and answer then. That call returns only when other threads have served the
// WRITEs, so workers must not make it (all of them might, at once); this one thread does. Seeks in files
// without writers never come here.
#pragma once

#include <deque>
#include <thread>

#include "base/mutex.h"
#include "client/vfs/vfs.h"
#include "fuse/decode.h"
#include "fuse/reply.h"

namespace curvefs::fuse {

class Seeker {
 public:
  explicit Seeker(client::Vfs& vfs) : vfs_(vfs) {}
  ~Seeker() { Stop(); }

  // Answers the request, later. The number waiting is bounded by the kernel: each has a process that waits.
  void Post(InodeId inode, const Seek& seek, Responder reply);

  // Drops what is left; call when nothing is served any more. Idempotent.
  void Stop();

 private:
  struct Job {
    InodeId inode;
    Seek seek;
    Responder reply;
  };
  void Main();

  client::Vfs& vfs_;
  Mutex mu_;
  CondVar wake_;
  std::deque<Job> jobs_ CURVEFS_GUARDED_BY(mu_);
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread thread_;  // started by the first Post, under mu_: few mounts need it
};

// The answer itself.
void AnswerSeek(client::Vfs& vfs, InodeId inode, const Seek& seek, const Responder& reply);

}  // namespace curvefs::fuse
