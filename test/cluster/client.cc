#include "test/cluster/client.h"

#include <algorithm>

#include "metaserver/handlers.h"
#include "metaserver/process/admin_calls.h"

namespace curvefs::cluster {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(10);

// The header of any response.
proto::ResponseHeader HeaderOf(const std::string& bytes) {
  proto::CloseSessionResponse any;
  CURVEFS_CHECK(any.ParseFromString(bytes));
  return any.header();
}

}  // namespace

uint16_t MetaMethodNumber(std::string_view name) {
  const auto* method = metaserver::FindMetaMethod(name);
  CURVEFS_CHECK(method != nullptr);
  return method->number;
}
uint16_t AdminMethodNumber(std::string_view name) {
  for (const auto& method : metaserver::AdminMethods())
    if (method.name == name) return method.number;
  CURVEFS_CHECK(false);
  return 0;
}

Client::Client(net::AsioLoop& loop, std::vector<net::Address> servers, Duration attempt_limit)
    : loop_(loop), attempt_limit_(attempt_limit), servers_(std::move(servers)) {
  for (const net::Address& address : servers_)
    clients_.push_back(
        std::make_unique<net::Client>(loop_, net::ClientOptions{.dialer = {.address = address}}));
}

void Client::Ask(size_t server, uint16_t method, const std::string& request, Done done) {
  clients_[server]->Call(method, request, attempt_limit_, std::move(done));
}

void Client::OpenSession(uint64_t copyset, std::function<void(Status)> done) {
  proto::OpenSessionRequest request;
  request.set_owner("test/cluster");
  Read(copyset, MetaMethodNumber("OpenSession"), request,
       [this, copyset, done = std::move(done)](Result<std::string> bytes) {
         proto::OpenSessionResponse response;
         CURVEFS_CHECK(bytes && response.ParseFromString(*bytes));
         const Status status = StatusOf(response.header());
         if (status.ok()) sessions_[copyset] = {.id = response.session_id()};
         done(status);
       });
}

void Client::Start(uint64_t copyset, uint16_t method, std::string bytes, uint64_t sequence, Done done) {
  ++counters_.calls;
  Attempt(std::make_shared<Pending>(Pending{copyset, sequence, method, std::move(bytes), std::move(done)}));
}

void Client::Attempt(std::shared_ptr<Pending> p) {
  ++counters_.attempts;
  const size_t server = leaders_[p->copyset];
  net::Client& client = *clients_[server];
  const std::string bytes = p->bytes;
  const uint16_t method = p->method;
  client.Call(method, bytes, attempt_limit_, [this, p = std::move(p), server](Result<std::string> answer) {
    OnAnswer(p, server, std::move(answer));
  });
}

void Client::OnAnswer(const std::shared_ptr<Pending>& p, size_t asked, Result<std::string> answer) {
  size_t& leader = leaders_[p->copyset];
  // Whoever asked the same server has turned away from it already, perhaps.
  auto elsewhere = [&] {
    if (leader == asked) leader = (asked + 1) % servers_.size();
  };
  if (!answer) {
    ++counters_.timed_out;
    elsewhere();
    return Again(p, kPause);
  }
  const proto::ResponseHeader header = HeaderOf(*answer);
  switch (FromWire(header.status())) {
    case Code::kNotLeader: {
      ++counters_.not_leader;
      auto hint = std::ranges::find_if(
          servers_, [&](const net::Address& a) { return a.ToString() == header.leader().address(); });
      if (hint != servers_.end()) {
        leader = static_cast<size_t>(hint - servers_.begin());
        return Again(p, leader == asked ? kPause : Duration::zero());
      }
      elsewhere();
      return Again(p, kPause);
    }
    case Code::kUnavailable:
      ++counters_.unavailable;
      return Again(p, kPause);
    case Code::kTimedOut:
      ++counters_.timed_out;
      return Again(p, kPause);
    default:
      break;
  }
  if (p->sequence != 0) sessions_[p->copyset].outstanding.erase(p->sequence);
  p->done(std::move(answer));
}

void Client::Again(const std::shared_ptr<Pending>& p, Duration pause) {
  loop_.After(pause, [this, p] { Attempt(p); });
}

}  // namespace curvefs::cluster
