// What the MDS tells metaservers to do: commands that carry its term of office, which one that has seen a
// higher one refuses.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/status.h"
#include "net/tls.h"
#include "proto/copyset.pb.h"

namespace curvefs::mds {

// On a loop, like a Coordinator: calls back there, later, once. `address`: of the metaserver's gRPC. What the
// answer's header says; without an answer kTimedOut: it may have been done. All commands may be sent again.
class Metaservers {
 public:
  using Done = std::function<void(Status)>;
  virtual ~Metaservers() = default;
  virtual void Create(const std::string& address, const proto::CreateCopysetRequest& request, Done done) = 0;
  virtual void Format(const std::string& address, const proto::FormatCopysetRequest& request, Done done) = 0;
};

// Over gRPC. `loop` outlives it; the destructor waits for calls to be cancelled.
Result<std::unique_ptr<Metaservers>> ConnectMetaservers(Loop& loop, Duration limit, const net::TlsFiles& tls);

}  // namespace curvefs::mds
