// Gate: which of the workers wait for requests.
//
// Waking a sleeping thread costs more than most operations, and the kernel wakes one for each request if
// several sleep in read(2). So as few as possible are readers, one to begin with, and a reader looks for the
// next request for a while before it sleeps: under load it never does. A reader that is about to do something
// long leaves, and another takes its place. When requests keep queueing up, more become readers; when there
// are none, all but one leave.
#pragma once

#include "base/mutex.h"

namespace curvefs::fuse {

// Thread-safe.
class Gate {
 public:
  explicit Gate(int most) : most_(most) {}  // readers at a time, at least 1

  // Waits until the caller may read. False once stopped.
  bool Enter();
  // The caller, a reader, does something else; another may read.
  void Leave();
  // The caller, a reader, has found nothing for a while. True: it was one too many, and is no reader any
  // more.
  bool LeaveIfSpare();
  // There are more requests than the readers take.
  void Grow();
  // Nobody enters any more; those who wait return.
  void Stop();

 private:
  const int most_;
  Mutex mu_;
  CondVar changed_;
  int readers_ CURVEFS_GUARDED_BY(mu_) = 0;
  int wanted_ CURVEFS_GUARDED_BY(mu_) = 1;
  bool stopped_ CURVEFS_GUARDED_BY(mu_) = false;
};

}  // namespace curvefs::fuse
