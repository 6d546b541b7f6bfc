// Whom a thread works for. A process that was killed is not gone before its call into the file system has
// returned; so what may wait without end, for metaservers that are away, looks whether the caller still
// lives.
#pragma once

#include <atomic>
#include <cstdint>

namespace curvefs::client {

// While it lives, this thread works for the thread `tid` of some process (0: for nobody, or one out of
// sight), through a mount that is `gone` or not (null: it stays). They do not nest.
class ServedCaller {
 public:
  explicit ServedCaller(uint32_t tid, const std::atomic<bool>* gone = nullptr);
  ~ServedCaller();
  ServedCaller(const ServedCaller&) = delete;
  ServedCaller& operator=(const ServedCaller&) = delete;
};

// Whether whom this thread works for is ending: SIGKILL is pending for it, sent by somebody or made by the
// kernel of any signal that ends a process; or it is closing its files; or the mount is gone. Reads /proc:
// for waits, not for every call.
bool CallerWasKilled();

}  // namespace curvefs::client
