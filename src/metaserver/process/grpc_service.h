// The calls over gRPC: MetaServerService and CopysetService of src/proto, with health and reflection. gRPC's
// headers stay in the .cc.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "net/tls.h"

namespace curvefs::metaserver {

class MetaServer;

class GrpcService {
 public:
  // Serves on "HOST:PORT", port 0: any. kUnavailable: the address is not to be had;
  // kInvalid: `tls` is not all three files, or none for plain gRPC. `server` outlives it.
  static Result<std::unique_ptr<GrpcService>> Start(MetaServer& server, const std::string& address,
                                                    const net::TlsFiles& tls = {});
  virtual ~GrpcService() = default;  // calls that wait are cancelled

  virtual int port() const = 0;
  // What the health service says from now on: true at the beginning.
  virtual void SetServing(bool serving) = 0;
};

}  // namespace curvefs::metaserver
