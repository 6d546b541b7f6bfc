// Calls of CopysetService from the command line.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "net/blocking_client.h"
#include "net/tls.h"
#include "proto/copyset.pb.h"
#include "proto/meta_wire.h"

namespace curvefs::cli {

// The numbers of the calls on the hot wire (metaserver/process/admin_calls.cc; a test of the program holds
// the two together).
enum class AdminCall : uint16_t {
  kCreate = 1024,
  kStatus = 1025,
  kList = 1026,
  kChangePeers = 1027,
  kTransfer = 1028,
  kSnapshot = 1029,
  kDestroy = 1030,
  kDigest = 1031,
  kFormat = 1032,
  kSetLimits = 1040,
};

class AdminClient {
 public:
  // `server`: HOST:PORT. `tls`: all three files, or none of them for a cluster without. kInvalid.
  static Result<AdminClient> To(const std::string& server, const std::string& cluster,
                                const net::TlsFiles& tls, Duration deadline);

  // A failure says where the leader is, if it is elsewhere and known.
  template <typename Response, typename Request>
  Result<Response> Call(AdminCall call, const Request& request) {
    CURVEFS_TRY(const std::string bytes,
                client_->Call(static_cast<net::FrameType>(call), request.SerializeAsString(), deadline_));
    Response response;
    if (!response.ParseFromString(bytes))
      return Fail(Code::kCorrupt, "the answer of " + server_ + " is no message of its kind");
    if (Status s = StatusOf(response.header()); !s.ok()) return Fail(Explain(s, response.header()));
    return response;
  }
  const std::string& server() const { return server_; }

 private:
  AdminClient() = default;
  Status Explain(const Status& status, const proto::ResponseHeader& header) const;
  std::string server_;
  Duration deadline_{};
  std::unique_ptr<net::BlockingClient> client_;
};

}  // namespace curvefs::cli
