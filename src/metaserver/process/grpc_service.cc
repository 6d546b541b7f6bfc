#include "metaserver/process/grpc_service.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/support/byte_buffer.h>

#include <vector>

#include "base/clock.h"
#include "metaserver/process/admin_calls.h"
#include "metaserver/process/server.h"
#include "net/grpc/credentials.h"
#include "proto/copyset.pb.h"
#include "proto/metaserver.pb.h"

namespace curvefs::metaserver {
namespace {

constexpr int kMaxMessage = 32 << 20;

std::string Flat(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return {};
  std::string bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// A service whose calls are those of a descriptor and whose messages stay bytes: the handlers decode.
// `number_of`: of a call on the hot wire.
class BytesService final : public grpc::Service {
 public:
  BytesService(MetaServer& server, const google::protobuf::ServiceDescriptor& descriptor,
               uint16_t (*number_of)(const std::string&)) {
    for (int i = 0; i < descriptor.method_count(); ++i) {
      const auto& method = *descriptor.method(i);
      names_.push_back("/" + descriptor.full_name() + "/" + method.name());
      const uint16_t number = number_of(method.name());
      CURVEFS_CHECK(number != 0);
      AddMethod(new grpc::internal::RpcServiceMethod(names_.back().c_str(),
                                                     grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
      MarkMethodRawCallback(
          i, new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
                 [&server, number](grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) {
                   auto* reactor = context->DefaultReactor();
                   server.Handle(number, Flat(*request), [reactor, response](const std::string& bytes) {
                     const grpc::Slice slice(bytes);
                     *response = grpc::ByteBuffer(&slice, 1);
                     reactor->Finish(grpc::Status::OK);
                   });
                   return reactor;
                 }));
    }
  }

 private:
  std::vector<std::string> names_;
};

class Running final : public GrpcService {
 public:
  explicit Running(MetaServer& server)
      : meta_(server, *proto::GetInodeRequest::descriptor()->file()->FindServiceByName("MetaServerService"),
              [](const std::string& name) {
                const MetaMethod* method = FindMetaMethod(std::string_view(name));
                return method == nullptr ? uint16_t{0} : method->number;
              }),
        copysets_(server,
                  *proto::CreateCopysetRequest::descriptor()->file()->FindServiceByName("CopysetService"),
                  [](const std::string& name) {
                    for (const AdminMethod& method : AdminMethods())
                      if (method.name == name) return method.number;
                    return uint16_t{0};
                  }) {}
  ~Running() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
  }
  Status Listen(const std::string& address, const net::TlsFiles& tls) {
    CURVEFS_TRY(auto credentials, net::ServerCredentialsOf(tls));
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    // Another process on the same port is an error, not company.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxMessage);
    builder.SetMaxSendMessageSize(kMaxMessage);
    builder.AddListeningPort(address, std::move(credentials), &port_);
    builder.RegisterService(&meta_);
    builder.RegisterService(&copysets_);
    server_ = builder.BuildAndStart();
    if (!server_ || port_ == 0)
      return {Code::kUnavailable,
              "cannot serve gRPC on " + address + ": the address is in use, or not of this machine"};
    return {};
  }
  int port() const override { return port_; }
  void SetServing(bool serving) override { server_->GetHealthCheckService()->SetServingStatus(serving); }

 private:
  BytesService meta_, copysets_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace

Result<std::unique_ptr<GrpcService>> GrpcService::Start(MetaServer& server, const std::string& address,
                                                        const net::TlsFiles& tls) {
  auto running = std::make_unique<Running>(server);
  CURVEFS_CHECK_OK(running->Listen(address, tls));
  return running;
}

}  // namespace curvefs::metaserver
