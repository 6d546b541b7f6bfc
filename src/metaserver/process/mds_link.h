// MdsLink: a metaserver's calls to whichever MDS leads. gRPC's headers stay in the .cc.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "net/tls.h"
#include "proto/heartbeat.pb.h"
#include "proto/topology.pb.h"

namespace curvefs::metaserver {

// Blocking; one thread at a time, but for Cancel. Every call asks one MDS after another, the one that led
// last first, and follows who says where the leader is, until one answers or `limit` is over: kUnavailable
// then. Both calls may be sent again.
class MdsLink {
 public:
  // `addresses`: HOST:PORT of the MDS, at least one.
  // `tls`: all three files, or none. kInvalid.
  static Result<std::unique_ptr<MdsLink>> To(std::vector<std::string> addresses, const net::TlsFiles& tls);
  virtual ~MdsLink() = default;

  virtual Status Register(const proto::RegisterMetaserverRequest& request,
                          proto::RegisterMetaserverResponse* response, Duration limit) = 0;
  virtual Status Heartbeat(const proto::HeartbeatRequest& request, proto::HeartbeatResponse* response,
                           Duration limit) = 0;
  // From any thread: what is under way ends, and nothing more is asked.
  virtual void Cancel() = 0;
};

}  // namespace curvefs::metaserver
