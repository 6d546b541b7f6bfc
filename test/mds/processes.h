// Processes of ours, started and ended by number; the kernel ends them should the test die.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/status.h"

namespace curvefs::test {

class Processes {
 public:
  explicit Processes(std::string log_dir) : dir_(std::move(log_dir)) {}
  ~Processes();  // kills what runs

  // Runs `args`, and waits for the first line that it prints: that is what comes back.
  Result<std::string> Start(size_t number, std::vector<std::string> args);
  void Kill(size_t number);  // SIGKILL, and waits
  int Stop(size_t number);   // SIGTERM; its exit code, or minus the signal that ended it
  bool running(size_t number) const { return number < pids_.size() && pids_[number] != 0; }

 private:
  int Wait(size_t number);
  const std::string dir_;
  std::vector<pid_t> pids_;
};

}  // namespace curvefs::test
