// Coordinator over etcd v3 (3.4 and later), by its gRPC API (src/proto/etcd.proto). gRPC's headers stay in
// the .cc.
//
// One endpoint is used at a time. When it does not answer, the next one is tried: a read, a lease kept alive
// and a watch go on there by themselves until their limit; a commit that may have been sent ends as
// kTimedOut, and the next call goes elsewhere.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "mds/coordinator.h"
#include "net/tls.h"

namespace curvefs::mds {

struct EtcdOptions {
  std::vector<std::string> endpoints;  // HOST:PORT, of etcd's --listen-client-urls; at least one
  // TLS: ca alone, or with cert and key, for servers that want to know their clients. Empty: plain.
  net::TlsFiles tls;
  Duration attempt = std::chrono::seconds(2);  // with one endpoint, before the next is tried
};

// Connects when there is something to ask. `loop` outlives the coordinator. The destructor waits for calls to
// be cancelled. kInvalid: no endpoints, or a file cannot be read.
Result<std::unique_ptr<Coordinator>> ConnectEtcd(Loop& loop, EtcdOptions options);

}  // namespace curvefs::mds
