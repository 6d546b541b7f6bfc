#include "client/cluster/mds_client.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <future>
#include <optional>
#include <set>
#include <utility>

#include "net/grpc/credentials.h"
#include "proto/mds.pb.h"

namespace curvefs::client {
namespace {

constexpr Duration kShortPause = std::chrono::milliseconds(50);
constexpr Duration kLongPause = std::chrono::seconds(1);
constexpr size_t kMaxServers = 32;     // named, and learned by hints
constexpr int kMaxAnswer = 256 << 20;  // a large cluster's lists
constexpr auto kNoSuchService = static_cast<grpc::StatusCode>(12);
constexpr int kReconnectMs[] = {100, 1'000};  // the least and the most

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address,
                                         const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs[0]);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kReconnectMs[1]);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMs[1]);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(kMaxAnswer);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

proto::ResponseHeader HeaderOf(const std::string& bytes) {
  proto::UmountFsResponse any;  // has a header and nothing else; other fields are skipped
  if (!any.ParseFromString(bytes)) any.mutable_header()->set_status(proto::IO);
  return any.header();
}

}  // namespace

struct MdsClient::Impl {
  struct Server {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
    std::string trouble;  // the last one
  };
  Impl(std::shared_ptr<grpc::ChannelCredentials> c, bool with_tls)
      : credentials(std::move(c)), tls(with_tls) {}
  const std::shared_ptr<grpc::ChannelCredentials> credentials;
  const bool tls;
  Mutex mu;  // a leaf
  CondVar changed;
  bool stopped CURVEFS_GUARDED_BY(mu) = false;
  std::vector<Server> servers CURVEFS_GUARDED_BY(mu);  // only grows
  size_t guess CURVEFS_GUARDED_BY(mu) = 0;             // who leads
  bool known CURVEFS_GUARDED_BY(mu) = false;           // the guess has answered as the leader
  std::set<grpc::ClientContext*> open CURVEFS_GUARDED_BY(mu);

  // servers.size() if there can be no more.
  size_t Find(const std::string& text) {
    const auto address = net::ParseAddress(text);
    const MutexLock lock(mu);
    if (!address) return servers.size();
    const std::string name = address->ToString();
    const auto at = static_cast<size_t>(std::ranges::find(servers, name, &Server::address) - servers.begin());
    if (at == servers.size() && at < kMaxServers) servers.push_back({name, ChannelTo(name, credentials), ""});
    return at;
  }

  Result<std::string> One(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                          const std::string& bytes, Duration limit) {
    grpc::ClientContext context;
    // By gRPC's monotonic clock: a step of the wall clock is no time.
    context.set_deadline(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(limit.count(), GPR_TIMESPAN)));
    {
      const MutexLock lock(mu);
      if (stopped) return Fail(Code::kInterrupted, "the client of the MDS was stopped");
      open.insert(&context);
    }
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> done;
    grpc::GenericStub stub(channel);
    stub.UnaryCall(&context, method, {}, &request, &response,
                   [&done](grpc::Status s) { done.set_value(std::move(s)); });
    const grpc::Status status = done.get_future().get();
    {
      const MutexLock lock(mu);
      open.erase(&context);
    }
    if (status.ok()) return BytesOf(response);
    switch (status.error_code()) {
      case grpc::StatusCode::DEADLINE_EXCEEDED:
        return Fail(Code::kTimedOut, "no answer");
      case kNoSuchService:
        return Fail(Code::kInvalid, "this is no MDS");
      case grpc::StatusCode::CANCELLED:
        return Fail(Code::kInterrupted, "the call was cancelled");
      default:
        return Fail(Code::kUnavailable, net::WhyUnanswered(status, tls));
    }
  }

  bool Pause(Duration time) {  // false: stopped
    const MutexLock lock(mu);
    const SteadyTime until = Clock::System().Steady() + time;
    while (!stopped && Clock::System().Steady() < until) changed.WaitUntil(mu, until);
    return !stopped;
  }

  std::string Troubles() {
    const MutexLock lock(mu);
    std::string text;
    for (const Server& server : servers) {
      if (server.trouble.empty()) continue;
      text += (text.empty() ? "" : "; ") + server.address + ": " + server.trouble;
    }
    return text;
  }
};

Result<std::vector<net::Address>> ParseMdsList(std::string_view text) {
  std::vector<net::Address> servers;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    CURVEFS_TRY(net::Address address, net::ParseAddress(text.substr(0, comma)));
    servers.push_back(std::move(address));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  if (servers.empty()) return Fail(Code::kInvalid, "no MDS is named");
  return servers;
}

MdsClient::MdsClient(MdsClientOptions options, std::unique_ptr<Impl> impl)
    : options_(std::move(options)), impl_(std::move(impl)) {
  for (const net::Address& address : options_.servers) (void)impl_->Find(address.ToString());
}

MdsClient::~MdsClient() {
  Stop();
}

Result<std::unique_ptr<MdsClient>> MdsClient::To(MdsClientOptions options) {
  if (options.servers.empty()) return Fail(Code::kInvalid, "no MDS is named");
  net::SilenceGrpc();
  CURVEFS_TRY(auto credentials, net::ChannelCredentialsOf(options.tls));
  auto impl = std::make_unique<Impl>(std::move(credentials), options.tls.given());
  return std::unique_ptr<MdsClient>(new MdsClient(std::move(options), std::move(impl)));
}

void MdsClient::Stop() {
  const MutexLock lock(impl_->mu);
  impl_->stopped = true;
  for (grpc::ClientContext* context : impl_->open) context->TryCancel();
  impl_->changed.NotifyAll();
}

std::string MdsClient::leader() {
  const MutexLock lock(impl_->mu);
  return impl_->known ? impl_->servers[impl_->guess].address : "";
}

Result<std::string> MdsClient::Ask(std::string_view method, const std::string& bytes) {
  Impl& in = *impl_;
  const std::string path = "/curvefs.proto." + std::string(method);
  const SteadyTime begin = Clock::System().Steady();
  std::optional<SteadyTime> unavailable;  // since when somebody says so
  bool answered = false;
  Duration pause = kShortPause;
  size_t tried = 0, hints = 0;  // since the last pause
  for (;;) {
    size_t at, count;
    std::shared_ptr<grpc::Channel> channel;
    {
      const MutexLock lock(in.mu);
      at = in.guess;
      count = in.servers.size();
      channel = in.servers[at].channel;
    }
    const Duration left = options_.timeout - (Clock::System().Steady() - begin);
    auto answer = in.One(channel, path, bytes, std::min(options_.attempt_limit, std::max(left, kShortPause)));
    size_t next = (at + 1) % count;
    Status trouble;
    if (!answer) {
      trouble = answer.error();
      if (trouble.code() == Code::kInterrupted) return Fail(std::move(trouble));
    } else {
      const proto::ResponseHeader header = HeaderOf(*answer);
      trouble = StatusOf(header);
      const bool elsewhere = trouble.code() == Code::kNotLeader;
      const bool later = trouble.code() == Code::kUnavailable || trouble.code() == Code::kTimedOut;
      // It may be beginning to serve, or wait for metaservers; whoever says so for long means it.
      if (later && !unavailable) unavailable = Clock::System().Steady();
      const bool means_it = later && Clock::System().Steady() - *unavailable > options_.silence;
      if ((!elsewhere && !later) || means_it) {
        const MutexLock lock(in.mu);
        in.guess = at;
        in.known = true;
        return answer;
      }
      answered = true;
      const std::string& leader = header.leader().address();
      if (elsewhere && !leader.empty()) {
        const size_t hinted = in.Find(leader);
        const MutexLock lock(in.mu);
        if (hinted < in.servers.size() && hinted != at && hints++ < 2) {
          next = hinted;
          tried = 0;
        }
        trouble = {trouble.code(), "says that " + leader + " leads"};
      } else if (elsewhere) {
        trouble = {trouble.code(), "knows of no leader"};
      }
    }
    {
      const MutexLock lock(in.mu);
      in.servers[at].trouble = trouble.message().empty() ? trouble.ToString() : trouble.message();
      in.known = false;
      in.guess = next;
    }
    if (++tried < count) continue;
    tried = hints = 0;
    const SteadyTime now = Clock::System().Steady();
    const bool silent = !answered && now - begin + pause > options_.silence;
    if (silent || now - begin + pause > options_.timeout) {
      if (!answered) {
        return Fail(Code::kUnavailable,
                    "no MDS answers (" + in.Troubles() +
                        "); are they running, and are the addresses of --mds, or in mds://, right?");
      }
      return Fail(Code::kUnavailable, "no MDS leads (" + in.Troubles() +
                                          "); without a majority of etcd, or of time to elect one, nothing "
                                          "can be served: see the log of an MDS");
    }
    if (!in.Pause(pause)) return Fail(Code::kInterrupted, "the client of the MDS was stopped");
    pause = std::min<Duration>(2 * pause, kLongPause);
  }
}

std::vector<MdsSeen> MdsClient::Look() {
  struct Target {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
  };
  std::vector<Target> targets;
  {
    const MutexLock lock(impl_->mu);
    for (const auto& server : impl_->servers) targets.push_back({server.address, server.channel});
  }
  // Who leads says that there is no such file system; the others say who does.
  proto::GetFsInfoRequest nothing;
  const std::string bytes = nothing.SerializeAsString();
  std::vector<std::future<MdsSeen>> looks;
  for (const Target& target : targets) {
    looks.push_back(std::async(std::launch::async, [this, target, &bytes] {
      MdsSeen seen{.address = target.address};
      auto answer =
          impl_->One(target.channel, "/curvefs.proto.MdsService/GetFsInfo", bytes, options_.attempt_limit);
      if (!answer) {
        seen.answers = answer.error();
        return seen;
      }
      const proto::ResponseHeader header = HeaderOf(*answer);
      const Code code = StatusOf(header).code();
      seen.leads = code == Code::kNotFound || code == Code::kOk;
      seen.leader = seen.leads ? target.address : header.leader().address();
      return seen;
    }));
  }
  std::vector<MdsSeen> all;
  for (auto& look : looks) all.push_back(look.get());
  return all;
}

}  // namespace curvefs::client
