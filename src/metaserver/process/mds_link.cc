#include "metaserver/process/mds_link.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <future>
#include <map>
#include <utility>

#include "base/mutex.h"
#include "net/grpc/credentials.h"
#include "proto/meta_wire.h"

namespace curvefs::metaserver {
namespace {

constexpr Duration kAttempt = std::chrono::seconds(3);
constexpr Duration kPause = std::chrono::milliseconds(100);  // when all have been asked
constexpr size_t kMostHints = 16;                            // leaders at addresses that were not given

class Link final : public MdsLink {
 public:
  Link(std::vector<std::string> addresses, std::shared_ptr<grpc::ChannelCredentials> credentials, bool tls)
      : credentials_(std::move(credentials)),
        tls_(tls),
        addresses_(std::move(addresses)),
        given_(addresses_.size()) {}

  Status Register(const proto::RegisterMetaserverRequest& request,
                  proto::RegisterMetaserverResponse* response, Duration limit) override {
    return Ask("/curvefs.proto.TopologyService/RegisterMetaserver", request, response, limit);
  }
  Status Heartbeat(const proto::HeartbeatRequest& request, proto::HeartbeatResponse* response,
                   Duration limit) override {
    return Ask("/curvefs.proto.HeartbeatService/Heartbeat", request, response, limit);
  }
  void Cancel() override {
    const MutexLock lock(mu_);
    cancelled_ = true;
    if (context_ != nullptr) context_->TryCancel();
    changed_.NotifyAll();
  }

 private:
  template <typename Request, typename Response>
  Status Ask(const std::string& method, const Request& request, Response* response, Duration limit) {
    const SteadyTime end = Clock::System().Steady() + limit;
    Status last(Code::kUnavailable, "no MDS answers");
    for (size_t asked = 0;; ++asked) {
      const Duration left = end - Clock::System().Steady();
      if (left <= Duration(0)) return {Code::kUnavailable, "no MDS leads: " + last.ToString()};
      const std::string address = addresses_[at_ % addresses_.size()];
      response->Clear();
      last = One(address, method, request, response, std::min(left, kAttempt));
      if (last.code() == Code::kInterrupted) return last;
      const bool elsewhere = last.code() == Code::kNotLeader;
      if (!elsewhere && last.code() != Code::kUnavailable && last.code() != Code::kTimedOut) return last;
      const std::string hint = elsewhere ? response->header().leader().address() : "";
      if (!hint.empty() && hint != address && asked % (2 * addresses_.size()) < addresses_.size()) {
        Follow(hint);
        continue;
      }
      ++at_;
      if (asked % addresses_.size() == addresses_.size() - 1 && !Pause(end)) return {Code::kInterrupted};
    }
  }

  void Follow(const std::string& hint) {
    auto found = std::ranges::find(addresses_, hint);
    if (found == addresses_.end()) {
      // MDS come and go; those that were given stay.
      if (addresses_.size() >= given_ + kMostHints) addresses_.resize(given_);
      addresses_.push_back(hint);
      found = addresses_.end() - 1;
    }
    at_ = static_cast<size_t>(found - addresses_.begin());
  }

  bool Pause(SteadyTime end) {
    const MutexLock lock(mu_);
    const SteadyTime until = std::min(end, Clock::System().Steady() + kPause);
    while (!cancelled_ && Clock::System().Steady() < until) (void)changed_.WaitUntil(mu_, until);
    return !cancelled_;
  }

  template <typename Request, typename Response>
  Status One(const std::string& address, const std::string& method, const Request& request,
             Response* response, Duration limit) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::duration_cast<std::chrono::microseconds>(limit));
    {
      const MutexLock lock(mu_);
      if (cancelled_) return {Code::kInterrupted};
      context_ = &context;
    }
    grpc::TemplatedGenericStub<Request, Response> stub(ChannelTo(address));
    std::promise<grpc::Status> done;
    auto answer = done.get_future();
    stub.UnaryCall(&context, method, {}, &request, response,
                   [&done](grpc::Status status) { done.set_value(std::move(status)); });
    const grpc::Status status = answer.get();
    const MutexLock lock(mu_);
    context_ = nullptr;
    if (cancelled_) return {Code::kInterrupted};
    if (!status.ok()) return {Code::kUnavailable, "MDS " + address + ": " + net::WhyUnanswered(status, tls_)};
    return StatusOf(response->header());
  }

  const std::shared_ptr<grpc::Channel>& ChannelTo(const std::string& address) {
    if (channels_.size() > given_ + kMostHints) channels_.clear();
    auto& channel = channels_[address];
    if (!channel) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      channel = grpc::CreateCustomChannel(address, credentials_, arguments);
    }
    return channel;
  }

  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  const bool tls_;
  std::vector<std::string> addresses_;
  const size_t given_;
  size_t at_ = 0;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;

  Mutex mu_;  // TryCancel under it does not call back
  CondVar changed_;
  grpc::ClientContext* context_ CURVEFS_GUARDED_BY(mu_) = nullptr;
  bool cancelled_ CURVEFS_GUARDED_BY(mu_) = false;
};

}  // namespace

Result<std::unique_ptr<MdsLink>> MdsLink::To(std::vector<std::string> addresses, const net::TlsFiles& tls) {
  CURVEFS_TRY(auto credentials, net::ChannelCredentialsOf(tls));
  return std::make_unique<Link>(std::move(addresses), std::move(credentials), tls.given());
}

}  // namespace curvefs::metaserver
