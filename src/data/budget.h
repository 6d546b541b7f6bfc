// Budget: the memory that dirty data may take. Whoever wants more waits until some is given back.
#pragma once

#include <cstdint>

#include "base/mutex.h"
#include "base/status.h"

namespace curvefs::data {

// Thread-safe; its lock is a leaf.
class Budget {
 public:
  explicit Budget(uint64_t limit) : limit_(limit) {}

  // Takes n bytes if they are left. Never blocks.
  bool TryTake(uint64_t n);
  void GiveBack(uint64_t n);

  // Waits until n bytes could be taken now (they are not taken). Returns the error of the flushes if two of
  // them failed and nothing was given back in between: then waiting is in vain.
  // BeginWait announces it (see has_waiters), Wait does it and ends the announcement.
  void BeginWait();
  Status Wait(uint64_t n);
  void FlushFailed(const Status& error);

  uint64_t used() const;
  uint64_t peak() const;
  uint64_t limit() const { return limit_; }
  bool pressed() const { return used() > limit_ / 2; }
  bool has_waiters() const;

 private:
  const uint64_t limit_;
  mutable Mutex mu_;
  CondVar freed_;
  uint64_t used_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t peak_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint32_t waiters_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint32_t failures_ CURVEFS_GUARDED_BY(mu_) = 0;  // flushes failed since bytes were last given back
  Status error_ CURVEFS_GUARDED_BY(mu_);           // of the last one
};

}  // namespace curvefs::data
