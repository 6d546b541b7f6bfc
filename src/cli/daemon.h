// A process that goes to the background once it works, and tells the one that started it how it went.
#pragma once

#include <functional>

#include "base/status.h"

namespace curvefs::cli {

// The child's end. Ready or Failed is called once; a child that ends without either has failed.
class Readiness {
 public:
  // fd -1: nobody waits (the process stays in front); then Failed prints nothing and the caller reports.
  explicit Readiness(int fd) : fd_(fd) {}
  ~Readiness();
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  // Lets the parent go. Standard input, output and error become /dev/null.
  void Ready();
  void Failed(const Status& status);

 private:
  int fd_;
};

// Forks. In the child: a new session, runs `child` and exits with what it returns. In the parent: waits until
// the child says how it went. Call it before any thread is started.
Status RunInBackground(const std::function<int(Readiness&)>& child);

}  // namespace curvefs::cli
