// AsioLoop: the loop of a server, with the sockets that live on it.
//
// It owns no thread: whoever calls Run is the loop's thread until Run returns. (The metaserver's loops run on
// threads that the Go runtime started, a test drives several things by one loop.)
//
//   AsioLoop loop;
//   loop.AddHook(this, [&] { host.Pump(); });
//   std::thread t([&] { loop.Run(); });
//   …
//   loop.Stop(); t.join();
//
// A round: all handlers of sockets that are ready and all tasks that are due, then the hooks, then what was
// asked for by AtRoundEnd (connections write what was queued in the round, in one go), and then, if nothing
// new has come, sleep. So inputs that come together are worked on together.
#pragma once

#include <functional>
#include <memory>

#include "base/loop.h"

namespace curvefs::net {

class AsioLoop final : public Loop {
 public:
  AsioLoop();
  // Not while it runs. Closes the connections that are left, and drops the tasks.
  ~AsioLoop() override;

  // Thread-safe. Times are kept to a millisecond, or later if the loop is busy.
  void After(Duration delay, Task task) override;
  const Clock& clock() const override { return Clock::System(); }

  void Run();   // until Stop
  void Stop();  // thread-safe; Run returns after the round, and may be called again
  // Runs on this thread until `done` holds, at most for `limit`; returns what it holds then. `done` is asked
  // after every round, and after every handler that ended a sleep.
  bool RunUntil(const std::function<bool()>& done, Duration limit);

  // True on the thread that runs it.
  bool InLoop() const;

  // ---- On the loop: on the thread that runs it, or while none does. So it is for all that is said to be
  // called "on the loop".
  // Runs `hook` in each round, in the order of being added. `owner` is a name for RemoveHook, which may be
  // called from a hook.
  void AddHook(const void* owner, std::function<void()> hook);
  void RemoveHook(const void* owner);
  // Once, at the end of this round (or of the next, outside of one).
  void AtRoundEnd(Task task);

  struct Core;  // what the sockets need; asio_core.h
  const std::shared_ptr<Core>& core() { return core_; }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace curvefs::net
