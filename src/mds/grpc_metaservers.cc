// Commands to metaservers, over gRPC.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <map>
#include <utility>

#include "mds/etcd_channels.h"
#include "mds/metaservers.h"
#include "net/grpc/credentials.h"
#include "proto/meta_wire.h"

namespace curvefs::mds {
namespace {

constexpr size_t kMostChannels =
    10'000;  // then they are all made anew: metaservers that are gone are forgotten

class GrpcMetaservers final : public Metaservers {
 public:
  GrpcMetaservers(Loop& loop, Duration limit, std::shared_ptr<grpc::ChannelCredentials> credentials, bool tls)
      : calls_(std::make_shared<EtcdChannels>(loop, limit, Channels())),
        credentials_(std::move(credentials)),
        tls_(tls) {}
  ~GrpcMetaservers() override { calls_->Close(); }

  void Create(const std::string& address, const proto::CreateCopysetRequest& request, Done done) override {
    Call<proto::CreateCopysetRequest, proto::CreateCopysetResponse>(address, "CreateCopyset", request,
                                                                    std::move(done));
  }
  void Format(const std::string& address, const proto::FormatCopysetRequest& request, Done done) override {
    Call<proto::FormatCopysetRequest, proto::FormatCopysetResponse>(address, "FormatCopyset", request,
                                                                    std::move(done));
  }

 private:
  using Channels = std::vector<std::shared_ptr<grpc::Channel>>;

  template <typename Request, typename Response>
  void Call(const std::string& address, const std::string& method, const Request& request, Done done) {
    struct One {
      std::unique_ptr<grpc::ClientContext> context = std::make_unique<grpc::ClientContext>();
      Request request;
      Response response;
      Done done;
    };
    auto one = std::make_shared<One>();
    one->request = request;
    one->done = std::move(done);
    SetDeadline(one->context.get(), calls_->attempt());
    calls_->Enter(one->context.get());
    grpc::TemplatedGenericStub<Request, Response> stub(ChannelTo(address));
    stub.UnaryCall(
        one->context.get(), "/curvefs.proto.CopysetService/" + method, {}, &one->request, &one->response,
        [one, calls = calls_, address, tls = tls_](grpc::Status status) {
          calls->Post([one, address, tls, status = std::move(status)] {
            auto tell = std::exchange(one->done, {});
            if (status.ok()) return tell(StatusOf(one->response.header()));
            tell({Code::kTimedOut, "metaserver " + address + ": " + net::WhyUnanswered(status, tls)});
          });
          calls->Leave(std::move(one->context));
        });
  }

  const std::shared_ptr<grpc::Channel>& ChannelTo(const std::string& address) {
    if (channels_.size() >= kMostChannels) channels_.clear();
    auto& channel = channels_[address];
    if (!channel) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      channel = grpc::CreateCustomChannel(address, credentials_, arguments);
    }
    return channel;
  }

  const std::shared_ptr<EtcdChannels> calls_;  // for its way back to the loop
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  const bool tls_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
};

}  // namespace

Result<std::unique_ptr<Metaservers>> ConnectMetaservers(Loop& loop, Duration limit,
                                                        const net::TlsFiles& tls) {
  CURVEFS_TRY(auto credentials, net::ChannelCredentialsOf(tls));
  return std::make_unique<GrpcMetaservers>(loop, limit, std::move(credentials), tls.given());
}

}  // namespace curvefs::mds
