#include "mds/etcd_coordinator.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "mds/etcd_channels.h"
#include "net/grpc/credentials.h"
#include "proto/etcd.pb.h"

namespace curvefs::mds {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(50);  // between two attempts
constexpr int kMaxMessage = 64 << 20;                       // of answers: a whole state is listed by pages

// One request and one answer, tried at one endpoint after another. `repeatable`: no harm is done by one that
// arrives twice.
template <typename Request, typename Response>
class Unary : public std::enable_shared_from_this<Unary<Request, Response>> {
 public:
  using Done = std::function<void(Result<Response>)>;

  Unary(std::shared_ptr<EtcdChannels> channels, std::string method, bool repeatable, Duration limit,
        Done done)
      : channels_(std::move(channels)),
        method_(std::move(method)),
        repeatable_(repeatable),
        end_(channels_->loop().clock().Steady() + limit),
        done_(std::move(done)) {}
  Request request;

  void Start() {
    const Duration left = end_ - channels_->loop().clock().Steady();
    if (left <= Duration()) return Tell(Fail(last_));
    endpoint_ = channels_->current();
    context_ = std::make_unique<grpc::ClientContext>();
    SetDeadline(context_.get(), repeatable_ ? std::min(left, channels_->attempt()) : left);
    channels_->Enter(context_.get());
    response_.Clear();
    grpc::TemplatedGenericStub<Request, Response> stub(channels_->channel());
    stub.UnaryCall(context_.get(), method_, {}, &request, &response_,
                   [self = this->shared_from_this()](grpc::Status status) {
                     EtcdChannels& channels = *self->channels_;
                     auto context = std::move(self->context_);
                     channels.Post([self, status = std::move(status)] { self->End(status); });
                     channels.Leave(std::move(context));
                   });
  }

 private:
  void End(const grpc::Status& status) {
    if (status.ok()) return Tell(std::move(response_));
    last_ = FromGrpc(status, repeatable_ ? Code::kUnavailable : Code::kTimedOut);
    if (!IsLost(status)) return Tell(Fail(last_));
    channels_->Failed(endpoint_);
    if (!repeatable_) return Tell(Fail(last_));
    channels_->After(kPause, [self = this->shared_from_this()] { self->Start(); });
  }

  // The callback goes with it: a thread of gRPC's may hold this a little longer.
  void Tell(Result<Response> result) { std::exchange(done_, {})(std::move(result)); }

  const std::shared_ptr<EtcdChannels> channels_;
  const std::string method_;
  const bool repeatable_;
  const SteadyTime end_;
  Done done_;
  size_t endpoint_ = 0;
  std::unique_ptr<grpc::ClientContext> context_;
  Response response_;
  Status last_{Code::kUnavailable, "etcd: no time left"};
};

// A lease is kept alive by a stream; one question and one answer of it do for us, as rarely as we ask.
class KeepAliveCall final : public grpc::ClientBidiReactor<etcdserverpb::LeaseKeepAliveRequest,
                                                           etcdserverpb::LeaseKeepAliveResponse> {
 public:
  using Done = std::function<void(Result<Duration>)>;

  static void Start(std::shared_ptr<EtcdChannels> channels, LeaseId lease, SteadyTime end, Done done) {
    const Duration left = end - channels->loop().clock().Steady();
    if (left <= Duration())
      return done(Fail(Code::kUnavailable, "etcd: the lease could not be kept alive in time"));
    auto* call = new KeepAliveCall(std::move(channels), lease, end, std::move(done));
    call->Begin(left);
  }

 private:
  KeepAliveCall(std::shared_ptr<EtcdChannels> channels, LeaseId lease, SteadyTime end, Done done)
      : channels_(std::move(channels)),
        lease_(lease),
        end_(end),
        done_(std::move(done)),
        endpoint_(channels_->current()) {}

  void Begin(Duration left) {
    SetDeadline(context_.get(), std::min(left, channels_->attempt()));
    request_.set_id(lease_.value);
    channels_->Enter(context_.get());
    grpc::TemplatedGenericStub<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>
        stub(channels_->channel());
    stub.PrepareBidiStreamingCall(context_.get(), "/etcdserverpb.Lease/LeaseKeepAlive", {}, this);
    StartWrite(&request_);
    StartRead(&response_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    answered_ = ok;
    if (ok) StartWritesDone();
    context_->TryCancel();
  }
  void OnDone(const grpc::Status& status) override {
    Result<Duration> result = std::chrono::seconds(response_.ttl());
    if (!answered_) {
      result = Fail(FromGrpc(status.ok() ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "no answer") : status,
                             Code::kUnavailable));
    } else if (response_.ttl() <= 0) {
      result = Fail(Code::kNotFound, "the lease has ended");
    }
    const bool again = !answered_ && (status.ok() || IsLost(status));
    channels_->Post([channels = channels_, lease = lease_, end = end_, done = std::move(done_),
                     endpoint = endpoint_, again, result = std::move(result)]() mutable {
      if (!again) return done(std::move(result));
      channels->Failed(endpoint);
      channels->After(kPause, [=] { Start(channels, lease, end, done); });
    });
    channels_->Leave(std::move(context_));
    delete this;
  }

  const std::shared_ptr<EtcdChannels> channels_;
  const LeaseId lease_;
  const SteadyTime end_;
  Done done_;
  const size_t endpoint_;
  std::unique_ptr<grpc::ClientContext> context_ = std::make_unique<grpc::ClientContext>();
  etcdserverpb::LeaseKeepAliveRequest request_;
  etcdserverpb::LeaseKeepAliveResponse response_;
  bool answered_ = false;
};

class EtcdCoordinator final : public Coordinator {
 public:
  explicit EtcdCoordinator(std::shared_ptr<EtcdChannels> channels) : channels_(std::move(channels)) {}
  ~EtcdCoordinator() override { channels_->Close(); }

  void List(const KeyRange& range, size_t count, Revision at, Duration limit, Done<Listing> done) override {
    auto call = Make<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>(
        "KV/Range", true, limit, [done = std::move(done)](Result<etcdserverpb::RangeResponse> response) {
          if (!response) return done(Fail(response.error()));
          Listing listing{.more = response->more(), .revision = response->header().revision()};
          for (auto& kv : *response->mutable_kvs()) {
            listing.entries.push_back({std::move(*kv.mutable_key()), std::move(*kv.mutable_value()),
                                       kv.create_revision(), kv.mod_revision(), LeaseId(kv.lease())});
          }
          done(std::move(listing));
        });
    call->request.set_key(range.begin);
    call->request.set_range_end(range.end);
    call->request.set_limit(static_cast<int64_t>(count));
    call->request.set_revision(at);
    call->Start();
  }

  void Commit(Transaction transaction, Duration limit, Done<Outcome> done) override {
    auto call = Make<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>(
        "KV/Txn", false, limit, [done = std::move(done)](Result<etcdserverpb::TxnResponse> response) {
          if (!response) return done(Fail(response.error()));
          done(Outcome{response->succeeded(), response->header().revision()});
        });
    for (Condition& condition : transaction.conditions) {
      auto* compare = call->request.add_compare();
      compare->set_key(std::move(condition.key));
      if (condition.of == Condition::Of::kCreated) {
        compare->set_target(etcdserverpb::Compare::CREATE);
        compare->set_create_revision(condition.revision);
      } else {
        compare->set_target(etcdserverpb::Compare::MOD);
        compare->set_mod_revision(condition.revision);
      }
    }
    for (Change& change : transaction.changes) {
      auto* op = call->request.add_success();
      if (change.value) {
        op->mutable_request_put()->set_key(std::move(change.key));
        op->mutable_request_put()->set_value(*std::move(change.value));
        op->mutable_request_put()->set_lease(change.lease.value);
      } else {
        op->mutable_request_delete_range()->set_key(std::move(change.key));
      }
    }
    call->Start();
  }

  void Grant(Duration time, Duration limit, Done<LeaseId> done) override {
    auto call = Make<etcdserverpb::LeaseGrantRequest, etcdserverpb::LeaseGrantResponse>(
        "Lease/LeaseGrant", true, limit,
        [done = std::move(done)](Result<etcdserverpb::LeaseGrantResponse> response) {
          if (!response) return done(Fail(response.error()));
          if (!response->error().empty()) return done(Fail(Code::kUnavailable, "etcd: " + response->error()));
          done(LeaseId(response->id()));
        });
    // One that was granted twice, for an answer that was lost, ends by itself.
    call->request.set_ttl(std::chrono::ceil<std::chrono::seconds>(time).count());
    call->Start();
  }

  void KeepAlive(LeaseId lease, Duration limit, Done<Duration> done) override {
    KeepAliveCall::Start(channels_, lease, channels_->loop().clock().Steady() + limit, std::move(done));
  }

  void Revoke(LeaseId lease, Duration limit, Done<std::monostate> done) override {
    auto call = Make<etcdserverpb::LeaseRevokeRequest, etcdserverpb::LeaseRevokeResponse>(
        "Lease/LeaseRevoke", true, limit,
        [done = std::move(done)](Result<etcdserverpb::LeaseRevokeResponse> response) {
          if (!response) return done(Fail(response.error()));
          done(std::monostate());
        });
    call->request.set_id(lease.value);
    call->Start();
  }

  std::unique_ptr<Watch> Watching(const KeyRange& range, Revision from, Events events) override {
    return WatchEtcd(channels_, range, from, std::move(events));
  }

 private:
  template <typename Request, typename Response>
  std::shared_ptr<Unary<Request, Response>> Make(const char* method, bool repeatable, Duration limit,
                                                 std::function<void(Result<Response>)> done) {
    return std::make_shared<Unary<Request, Response>>(channels_, std::string("/etcdserverpb.") + method,
                                                      repeatable, limit, std::move(done));
  }
  const std::shared_ptr<EtcdChannels> channels_;
};

}  // namespace

Result<std::unique_ptr<Coordinator>> ConnectEtcd(Loop& loop, EtcdOptions options) {
  if (options.endpoints.empty()) return Fail(Code::kInvalid, "no endpoint of etcd is given");
  const net::TlsFiles& tls = options.tls;
  if (tls.given() && (tls.ca.empty() || tls.cert.empty() != tls.key.empty())) {
    return Fail(Code::kInvalid,
                "TLS to etcd needs the file of its authority, and a certificate and key together or neither");
  }
  CURVEFS_TRY(const auto credentials, net::ChannelCredentialsOf(tls, /*anonymous=*/true));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A peer whose machine is gone says nothing. etcd takes a ping every 5 s at most.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Several coordinators of a process share nothing, so that one that is closed ends for itself.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(kMaxMessage);
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (const std::string& endpoint : options.endpoints)
    channels.push_back(grpc::CreateCustomChannel(endpoint, credentials, arguments));
  return std::make_unique<EtcdCoordinator>(
      std::make_shared<EtcdChannels>(loop, options.attempt, std::move(channels)));
}

}  // namespace curvefs::mds
