// Telling a thread's employer that the thread is about to wait for long.
//
// A thread that others rely on (the one that reads the kernel's requests) sets a hook; whoever makes a thread
// wait for memory or a disk calls AboutToBlock first, so that the work can be handed to another thread.
#pragma once

#include <functional>

namespace curvefs {

// Calls this thread's hook, if it has one. Cheap when it has none. Not under a lock that the hook could need.
void AboutToBlock();

// This thread's hook while it lives.
class BlockingHook {
 public:
  explicit BlockingHook(std::function<void()> hook);
  ~BlockingHook();
  BlockingHook(const BlockingHook&) = delete;
  BlockingHook& operator=(const BlockingHook&) = delete;

 private:
  friend void AboutToBlock();
  std::function<void()> hook_;
  BlockingHook* outer_;
};

}  // namespace curvefs
