// Real metaserver processes, started and ended by number.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "net/hello.h"

namespace curvefs::cluster {

class Servers {
 public:
  // Directories are `root`/1, `root`/2, …; ports are chosen now. `program`: curvefs-metaserver.
  Servers(std::string program, std::string root, size_t count, std::vector<std::string> flags = {});
  ~Servers();  // kills what runs

  // And waits until it listens. `more`: flags of this one.
  Status Start(size_t i, const std::vector<std::string>& more = {});
  void Kill(size_t i, int signal);  // of a running one; after SIGKILL it is waited for
  int Stop(size_t i);               // SIGTERM; its exit code
  bool running(size_t i) const { return pids_[i] != 0; }
  pid_t pid(size_t i) const { return pids_[i]; }

  const std::vector<net::Address>& addresses() const { return addresses_; }
  std::string dir(size_t i) const { return root_ + "/" + std::to_string(i + 1); }
  std::string log(size_t i) const { return root_ + "/" + std::to_string(i + 1) + ".log"; }
  // Processor time of all so far, of those that have ended too.
  double CpuSeconds() const;
  uint64_t MostResident() const;  // bytes, of the one that has most in memory now

 private:
  const std::string program_, root_;
  const std::vector<std::string> flags_;
  std::vector<net::Address> addresses_;
  std::vector<pid_t> pids_;
};

// A port of the loopback that was free just now.
uint16_t FreePort();

// Runs a program to its end; what it printed, both ways. `code`: how it ended.
std::string RunProgram(const std::vector<std::string>& args, int* code);

}  // namespace curvefs::cluster
