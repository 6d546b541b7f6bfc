// MdsService and TopologyService over gRPC, with health and reflection. gRPC's headers stay in the .cc.
//
// The health service says SERVING for the process (the empty name) from the beginning to the end, and for
// each of the services while this MDS leads.
#pragma once

#include <memory>
#include <string>

#include "base/loop.h"
#include "base/status.h"
#include "mds/mds.h"
#include "net/tls.h"

namespace curvefs::mds {

class GrpcService {
 public:
  // Requests that wait for their answer; more are refused as UNAVAILABLE.
  static constexpr int kMaxOpen = 4096;

  // Serves on "HOST:PORT", port 0: any. Requests are handed to `mds`, on its loop. kUnavailable: the address
  // is not to be had; kInvalid: `tls` is not all three files, or none for plain gRPC. Before `mds` is there
  // calls are refused, and after Detach.
  static Result<std::unique_ptr<GrpcService>> Listen(Loop& loop, const std::string& address,
                                                     const net::TlsFiles& tls = {});
  // Answers what waits and ends. The loop must run until then.
  virtual ~GrpcService() = default;

  virtual int port() const = 0;
  virtual void Attach(Mds* mds) = 0;  // on the loop; none: from now on there is none
  virtual void SetLeads(bool leads) = 0;
  virtual void SetEnding() = 0;  // for the health service: nobody should come any more
  virtual uint64_t requests() const = 0;
};

}  // namespace curvefs::mds
