// A watch of etcd: a stream, and another one whenever it breaks, from where the last one got to.
#include <utility>

#include "mds/etcd_channels.h"
#include "proto/etcd.pb.h"

namespace curvefs::mds {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(100);  // before another stream

class Stream;

class EtcdWatch final : public Watch, public std::enable_shared_from_this<EtcdWatch> {
 public:
  EtcdWatch(std::shared_ptr<EtcdChannels> channels, KeyRange range, Revision from, Coordinator::Events events)
      : channels_(std::move(channels)), range_(std::move(range)), next_(from), events_(std::move(events)) {}

  void Open();
  void End();

  // From the stream with that number; an older one says nothing any more.
  void Received(uint64_t stream, const etcdserverpb::WatchResponse& response) {
    if (ended_ || stream != streams_) return;
    if (response.compact_revision() != 0) {
      // The stream's end is not the watch's beginning any more.
      const auto keep = shared_from_this();
      End();
      return events_(Fail(Code::kStale, "etcd has forgotten revision " + std::to_string(next_)));
    }
    if (response.canceled()) return Cancel();  // and OnDone opens another one
    std::vector<Event> events;
    for (const auto& event : response.events()) {
      const auto& kv = event.kv();
      if (kv.mod_revision() < next_) continue;
      events.push_back(
          {event.type() == etcdserverpb::Event::DELETE,
           {kv.key(), kv.value(), kv.create_revision(), kv.mod_revision(), LeaseId(kv.lease())}});
    }
    if (events.empty()) return;
    next_ = events.back().entry.changed + 1;
    const auto keep = shared_from_this();
    events_(std::move(events));
  }
  void Broken(uint64_t stream, size_t endpoint) {
    if (ended_ || stream != streams_) return;
    stream_ = nullptr;
    channels_->Failed(endpoint);
    channels_->After(kPause, [weak = weak_from_this()] {
      if (auto self = weak.lock(); self && !self->ended_) self->Open();
    });
  }

 private:
  void Cancel();

  const std::shared_ptr<EtcdChannels> channels_;
  const KeyRange range_;
  Revision next_;
  const Coordinator::Events events_;
  std::shared_ptr<Stream> stream_;
  uint64_t streams_ = 0;  // how many there have been
  bool ended_ = false;
};

class Stream final : public grpc::ClientBidiReactor<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse> {
 public:
  Stream(std::shared_ptr<EtcdChannels> channels, std::weak_ptr<EtcdWatch> watch, uint64_t number)
      : channels_(std::move(channels)),
        watch_(std::move(watch)),
        number_(number),
        endpoint_(channels_->current()) {}

  // It keeps itself until it is done.
  void Begin(std::shared_ptr<Stream> self, const KeyRange& range, Revision from) {
    self_ = std::move(self);
    auto* create = request_.mutable_create_request();
    create->set_key(range.begin);
    create->set_range_end(range.end);
    create->set_start_revision(from);
    // A member that has lost its leader ends the stream, instead of being silent.
    context_->AddMetadata("hasleader", "true");
    channels_->Enter(context_.get());
    grpc::TemplatedGenericStub<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse> stub(
        channels_->channel());
    stub.PrepareBidiStreamingCall(context_.get(), "/etcdserverpb.Watch/Watch", {}, this);
    StartWrite(&request_);
    StartRead(&response_);
    StartCall();
  }
  void Cancel() { channels_->Cancel(call_); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    channels_->Post([watch = watch_, number = number_, response = std::move(response_)] {
      if (auto w = watch.lock()) w->Received(number, response);
    });
    response_ = {};
    StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override {
    channels_->Post([watch = watch_, number = number_, endpoint = endpoint_] {
      if (auto w = watch.lock()) w->Broken(number, endpoint);
    });
    const auto channels = channels_;
    channels->Leave(std::move(context_));
    self_.reset();
  }

 private:
  const std::shared_ptr<EtcdChannels> channels_;
  const std::weak_ptr<EtcdWatch> watch_;
  const uint64_t number_;
  const size_t endpoint_;
  std::shared_ptr<Stream> self_;
  std::unique_ptr<grpc::ClientContext> context_ = std::make_unique<grpc::ClientContext>();
  grpc::ClientContext* const call_ = context_.get();  // for Cancel, on the loop: the other may be gone
  etcdserverpb::WatchRequest request_;
  etcdserverpb::WatchResponse response_;
};

void EtcdWatch::Open() {
  stream_ = std::make_shared<Stream>(channels_, weak_from_this(), ++streams_);
  stream_->Begin(stream_, range_, next_);
}

void EtcdWatch::Cancel() {
  if (stream_) stream_->Cancel();
}

void EtcdWatch::End() {
  ended_ = true;
  Cancel();
  stream_.reset();
}

// What the caller holds; a call that is just being made holds the other.
class Handle final : public Watch {
 public:
  explicit Handle(std::shared_ptr<EtcdWatch> watch) : watch_(std::move(watch)) {}
  ~Handle() override { watch_->End(); }

 private:
  const std::shared_ptr<EtcdWatch> watch_;
};

}  // namespace

std::unique_ptr<Watch> WatchEtcd(std::shared_ptr<EtcdChannels> channels, const KeyRange& range, Revision from,
                                 Coordinator::Events events) {
  auto watch = std::make_shared<EtcdWatch>(std::move(channels), range, from, std::move(events));
  watch->Open();
  return std::make_unique<Handle>(std::move(watch));
}

}  // namespace curvefs::mds
