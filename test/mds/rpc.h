// One gRPC call from a test, without stubs made from the .proto.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>

namespace curvefs::test {

// A connection of its own, which is tried again soon after it was lost.
inline std::shared_ptr<grpc::Channel> To(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);  // so long one attempt may take
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// `method`: "/package.Service/Method". Blocks until the answer or the limit.
template <typename Request, typename Response>
grpc::Status Ask(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                 const Request& request, Response* response,
                 std::chrono::milliseconds limit = std::chrono::seconds(5)) {
  grpc::TemplatedGenericStub<Request, Response> stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + limit);
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, method, {}, &request, response,
                 [&](grpc::Status s) { done.set_value(std::move(s)); });
  return done.get_future().get();
}

}  // namespace curvefs::test
