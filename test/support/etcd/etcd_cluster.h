// Real etcd servers (Debian's etcd-server) on free ports of the loopback, ended by process id. Their data are
// in a directory that goes with them; should the test die, the kernel ends them.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "net/tls.h"

namespace curvefs::test {

struct EtcdClusterOptions {
  size_t members = 1;
  Duration heartbeat = std::chrono::milliseconds(50);
  // Of etcd's own leader. A lease lasts at least 1.5 times as long, in whole seconds.
  Duration election = std::chrono::milliseconds(500);
  net::TlsFiles tls;  // if given, clients must show a certificate
};

// Ports of the loopback that are free just now, none twice.
std::vector<uint16_t> FreePorts(size_t count);

class EtcdCluster {
 public:
  // Null if there is no etcd on this machine: CURVEFS_NEEDS_ETCD() skips the test, and says so.
  static bool Installed();

  explicit EtcdCluster(EtcdClusterOptions options);  // does not start them
  ~EtcdCluster();                                    // kills what runs, deletes what they wrote

  Status StartAll();                  // and waits until they have a leader
  void Start(size_t i);               // anew or again; does not wait
  void Kill(size_t i);                // SIGKILL, and waits for its end
  void Signal(size_t i, int signal);  // SIGSTOP, SIGCONT
  Status AwaitLeader();               // of those that run

  size_t size() const { return members_.size(); }
  bool running(size_t i) const { return members_[i].pid != 0; }
  std::vector<std::string> endpoints() const;
  // Which member leads; size(): none that is known.
  size_t Leader();
  // Forgets what was before that revision.
  Status Compact(int64_t revision);

 private:
  struct Member {
    uint16_t client_port = 0, peer_port = 0;
    pid_t pid = 0;
  };
  std::string Log(size_t i) const;

  const EtcdClusterOptions options_;
  std::string dir_;
  std::vector<Member> members_;
};

}  // namespace curvefs::test

#define CURVEFS_NEEDS_ETCD()                                                                      \
  if (!::curvefs::test::EtcdCluster::Installed())                                                 \
  GTEST_SKIP() << "NOT TESTED: there is no etcd here. scripts/deps.sh test installs it (Debian: " \
                  "etcd-server)"
