// TLS for gRPC, with the files and rules of the hot wire (net/tls.h). For .cc files alone: it shows gRPC. A
// library of its own, so that curvefs_net does not link gRPC.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "base/status.h"
#include "net/tls.h"

namespace curvefs::net {

// What calls are made with: TLS that shows our certificate and believes the authority alone; plain without
// any file. `anonymous`: cert and key may be missing, for servers that want none (etcd). kInvalid.
Result<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentialsOf(const TlsFiles& tls,
                                                                       bool anonymous = false);
// What calls are served with: only who shows a certificate of the authority is served; plain without any
// file. kInvalid.
Result<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsOf(const TlsFiles& tls);

// gRPC says nothing on standard error any more, unless GRPC_VERBOSITY asks for it: for programs that say
// themselves what was wrong.
void SilenceGrpc();

// Why a call was not answered, and what to do if it is a matter of TLS. `tls`: we speak it.
std::string WhyUnanswered(const grpc::Status& status, bool tls);

}  // namespace curvefs::net
