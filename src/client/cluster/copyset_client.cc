#include "client/cluster/copyset_client.h"

#include <algorithm>
#include <utility>

#include "base/blocking.h"
#include "base/log.h"
#include "client/served_caller.h"

namespace curvefs::client {
namespace {

constexpr Duration kShortPause = std::chrono::milliseconds(5);
constexpr uint32_t kOwnWord = 8;  // so many attempts at one that says that it leads, and does not
constexpr Duration kWorthALook = std::chrono::milliseconds(50);  // whether the caller still lives
constexpr Duration kLongPause = std::chrono::milliseconds(500);
constexpr Duration kGoodbye = std::chrono::milliseconds(500);
// An idle mount hears of a new leader that soon: until all mounts have, that one grants no locks.
constexpr Duration kRenewWithin = std::chrono::seconds(2);
constexpr Duration kNudged = std::chrono::milliseconds(50);  // the soonest, when there seems to be one
constexpr size_t kMaxServers = 64;                           // named, and learned by hints
constexpr Duration kLookAgain = std::chrono::seconds(1);

proto::ResponseHeader HeaderOf(const std::string& bytes) {
  proto::CloseSessionResponse any;  // has a header and nothing else; other fields are skipped
  if (!any.ParseFromString(bytes)) any.mutable_header()->set_status(proto::IO);
  return any.header();
}

}  // namespace

Result<std::unique_ptr<CopysetClient>> CopysetClient::Open(CopysetClientOptions options) {
  if (options.servers.empty()) return Fail(Code::kInvalid, "no metaserver is named");
  std::unique_ptr<CopysetClient> client(new CopysetClient(std::move(options)));
  CURVEFS_CHECK_OK(client->Renew(0, client->options_.first_answer));
  client->keep_alive_ = std::thread([p = client.get()] { p->RunKeepAlive(); });
  return client;
}

CopysetClient::CopysetClient(CopysetClientOptions options) : options_(std::move(options)) {
  for (const net::Address& address : options_.servers) (void)Find(address.ToString());
}

CopysetClient::~CopysetClient() {
  Stop();
  if (keep_alive_.joinable()) keep_alive_.join();
  proto::CloseSessionRequest goodbye;
  Address(goodbye.mutable_header());
  {
    MutexLock lock(mu_);
    if (session_ == 0) return;
    goodbye.mutable_header()->set_session_id(session_);
  }
  (void)server(leader_).Call(static_cast<uint16_t>(proto::MetaCall::kCloseSession),
                             goodbye.SerializeAsString(), kGoodbye);
}

void CopysetClient::Stop() {
  MutexLock lock(mu_);
  stopped_ = true;
  changed_.NotifyAll();
  settled_.NotifyAll();
}

CopysetClientCounters CopysetClient::counters() {
  MutexLock lock(mu_);
  return {.calls = calls_,
          .attempts = attempts_,
          .not_leader = not_leader_,
          .unavailable = unavailable_,
          .unknown = unknown_,
          .sessions = sessions_,
          .early = early_,
          .sent_again = sent_again_,
          .lost = lost_};
}

void CopysetClient::Address(proto::RequestHeader* header) const {
  header->set_fs_id(options_.fs.value);
  header->set_copyset_id(options_.copyset);
  if (header->partition_id() == 0) header->set_partition_id(options_.partition.value);
  if (!options_.token.empty()) header->set_token(options_.token);
  header->set_early(options_.early);
}

CopysetClient::Ticket CopysetClient::Number(proto::RequestHeader* header) {
  MutexLock lock(mu_);
  const Ticket ticket{session_, ++last_};
  outstanding_.insert(ticket.sequence);
  header->set_session_id(ticket.session);
  header->set_sequence(ticket.sequence);
  header->set_acknowledged(*outstanding_.begin());
  return ticket;
}

uint64_t CopysetClient::Enter(proto::RequestHeader* header) {
  MutexLock lock(mu_);
  header->set_session_id(session_);
  header->set_acknowledged(outstanding_.empty() ? last_ + 1 : *outstanding_.begin());
  return session_;
}

uint64_t CopysetClient::session() {
  MutexLock lock(mu_);
  return session_;
}

void CopysetClient::OnNewLeader(std::function<void()> f) {
  MutexLock lock(mu_);
  while (telling_) changed_.Wait(mu_);
  on_new_leader_ = std::move(f);
}

// The first time is no news.
void CopysetClient::HeardOf(uint64_t session, uint64_t term) {
  MutexLock lock(mu_);
  const bool first = session_ == 0;
  if (session == session_ && term == term_) return;
  if (session != session_) {
    leases_.Clear();
    LoseKept();
    session_ = session;
    last_ = 0;
    outstanding_.clear();
  }
  term_ = term;
  told_ = first;
  changed_.NotifyAll();
}

void CopysetClient::Done(const Ticket& ticket) {
  MutexLock lock(mu_);
  if (ticket.session == session_) outstanding_.erase(ticket.sequence);
}

// The replicas may have moved. The first one that was not known is asked next.
void CopysetClient::LookForOthers() {
  if (!options_.find_servers || looking_.exchange(true)) return;
  bool now = false;
  {
    MutexLock lock(servers_mu_);
    if (Clock::System().Steady() - looked_ >= kLookAgain) {
      looked_ = Clock::System().Steady();
      now = true;
    }
  }
  if (now) {
    for (const net::Address& address : options_.find_servers()) {
      const size_t known = servers();
      const size_t at = Find(address.ToString());
      if (at == known && at < kMaxServers) leader_.store(at, std::memory_order_relaxed);
    }
  }
  looking_ = false;
}

CopysetClient::Asked CopysetClient::Ask(proto::MetaCall call, const std::string& bytes, Duration timeout,
                                        const Ticket* change) {
  AboutToBlock();  // other requests need not wait for this one
  calls_.fetch_add(1, std::memory_order_relaxed);
  const SteadyTime begin = Clock::System().Steady();
  Asked asked{Fail(Code::kUnavailable), false, false};
  Status last;
  uint32_t lost = 0;  // attempts in a row that neither got an outcome nor led to somebody else
  for (uint32_t round = 0;; ++round) {
    attempts_.fetch_add(1, std::memory_order_relaxed);
    size_t at = leader_.load(std::memory_order_relaxed);
    auto elsewhere = [&] {
      leader_.compare_exchange_strong(at, (at + 1) % servers());
      if (++lost % servers() == 0) LookForOthers();
    };
    Duration pause = round < 4 ? kShortPause : std::min<Duration>(kShortPause * round, kLongPause);
    asked.attempt = leases_.Sending(at);
    BeginAttempt(change);
    asked.answer = server(at).Call(static_cast<uint16_t>(call), bytes, options_.attempt_limit);
    proto::ResponseHeader header;
    if (asked.answer) header = HeaderOf(*asked.answer);
    const Noted noted = EndAttempt(at, call, bytes, change, asked.answer ? &header : nullptr);
    asked.kept = noted == Noted::kKept;
    if (!asked.answer) {
      last = asked.answer.error();
      // Whether it was sent is known; whether it was carried out is not.
      if (last.code() == Code::kTimedOut) {
        asked.unknown = true;
        unknown_.fetch_add(1, std::memory_order_relaxed);
      }
      elsewhere();
      Nudge();
    } else {
      last = noted == Noted::kUnknown ? Status(Code::kTimedOut) : StatusOf(header);
      switch (last.code()) {
        case Code::kNotLeader:
          Nudge();
          not_leader_.fetch_add(1, std::memory_order_relaxed);
          if (size_t hinted = Find(header.leader().address()); hinted < servers() && hinted != at) {
            lost = 0;
            pause = round < 4 ? Duration::zero() : pause;
            leader_.store(hinted, std::memory_order_relaxed);
          } else if (hinted >= servers() || round % kOwnWord == kOwnWord - 1) {
            elsewhere();  // one that means itself is about to lead, mostly
          }
          break;
        case Code::kUnavailable:
          lost = 0;
          Nudge();
          unavailable_.fetch_add(1, std::memory_order_relaxed);
          break;
        case Code::kTimedOut:
          lost = 0;
          asked.unknown = true;
          unknown_.fetch_add(1, std::memory_order_relaxed);
          break;
        default:
          asked.session_over = last.code() == Code::kFenced;
          if (last.code() == Code::kLocked) asked.locked = FromWire(header.locked_by());
          return asked;
      }
    }
    const bool late = timeout > Duration() && Clock::System().Steady() - begin + pause > timeout;
    if (late || !Pause(pause)) {
      asked.answer =
          Fail(asked.unknown ? Code::kIo : Code::kUnavailable,
               "no leader of copyset " + std::to_string(options_.copyset) + " answers: " + last.ToString());
      return asked;
    }
  }
}

bool CopysetClient::WaitForLock(Asked* asked, meta::LockedBy* by, int round) {
  if (!asked->locked) return false;
  if (by != nullptr) {
    *by = *asked->locked;
    return false;
  }
  if (!options_.when_locked) return false;
  Status s = options_.when_locked(*asked->locked, round);
  if (!s.ok()) asked->answer = Fail(std::move(s));
  return asked->answer.has_value();
}

Status CopysetClient::Renew(uint64_t ended, Duration timeout) {
  MutexLock renewing(renewing_);
  {
    MutexLock lock(mu_);
    if (session_ != ended) return {};  // somebody else has opened one
  }
  if (ended != 0) {
    Log(LogLevel::kWarning, "session " + std::to_string(ended) + " with copyset " +
                                std::to_string(options_.copyset) + " has ended; opening another");
  }
  proto::OpenSessionRequest request;
  request.set_owner(options_.owner);
  Address(request.mutable_header());
  CURVEFS_TRY(const proto::OpenSessionResponse opened,
              Decode<proto::OpenSessionResponse>(
                  Ask(proto::MetaCall::kOpenSession, request.SerializeAsString(), timeout).answer));
  sessions_.fetch_add(1, std::memory_order_relaxed);
  {
    MutexLock lock(mu_);
    lease_ = std::chrono::milliseconds(std::max(opened.lease_ms(), 100U));
  }
  HeardOf(opened.session_id(), opened.term());
  return {};
}

Status CopysetClient::KeepAlive() {
  proto::RenewSessionRequest request;
  Address(request.mutable_header());
  const uint64_t session = Enter(request.mutable_header());
  Asked asked = Ask(proto::MetaCall::kRenewSession, request.SerializeAsString(), options_.timeout);
  if (asked.session_over) return Renew(session, options_.timeout);
  CURVEFS_TRY(const auto response, Decode<proto::RenewSessionResponse>(std::move(asked.answer)));
  HeardOf(session, response.term());
  return {};
}

void CopysetClient::RunKeepAlive() {
  for (;;) {
    std::function<void()> tell;
    {
      MutexLock lock(mu_);
      const SteadyTime begin = Clock::System().Steady();
      auto until = [&] {
        mu_.AssertHeld();
        return begin + (nudged_ ? kNudged : std::min(lease_ / 3, kRenewWithin));
      };
      while (!stopped_ && told_ && Clock::System().Steady() < until()) changed_.WaitUntil(mu_, until());
      if (stopped_) return;
      if (!told_) tell = on_new_leader_;
      told_ = true;
      telling_ = tell != nullptr;
    }
    if (tell) {
      tell();
      MutexLock lock(mu_);
      telling_ = false;
      changed_.NotifyAll();
    } else {
      if (Status s = KeepAlive(); !s.ok()) Log(LogLevel::kWarning, "keeping the session: " + s.ToString());
      MutexLock lock(mu_);
      nudged_ = false;
    }
  }
}

// Somebody else may lead: the session asks soon.
void CopysetClient::Nudge() {
  MutexLock lock(mu_);
  if (nudged_) return;
  nudged_ = true;
  changed_.NotifyAll();
}

// False: there is nobody to wait for any more.
bool CopysetClient::Pause(Duration time) {
  if (time >= kWorthALook && CallerWasKilled()) return false;
  MutexLock lock(mu_);
  const SteadyTime until = Clock::System().Steady() + time;
  while (!stopped_ && Clock::System().Steady() < until) changed_.WaitUntil(mu_, until);
  return !stopped_;
}

net::BlockingClient& CopysetClient::server(size_t i) {
  MutexLock lock(servers_mu_);
  return *servers_[i].client;
}

size_t CopysetClient::servers() {
  MutexLock lock(servers_mu_);
  return servers_.size();
}

size_t CopysetClient::Find(const std::string& text) {
  auto address = net::ParseAddress(text);
  MutexLock lock(servers_mu_);
  if (!address) return kMaxServers;
  auto it = std::ranges::find(servers_, *address, &Server::address);
  const auto at = static_cast<size_t>(it - servers_.begin());
  if (it != servers_.end()) return at;
  if (servers_.size() >= kMaxServers) return kMaxServers;
  net::ClientOptions options;
  options.dialer.address = *address;
  options.dialer.connection = options_.connection;
  options.dialer.hello.cluster = options_.cluster;
  auto self = std::make_shared<std::atomic<net::BlockingClient*>>();
  net::Client::Events events{.push =
                                 [this, self](net::FrameType type, std::string_view bytes) {
                                   net::BlockingClient* from = self->load();
                                   if (type == proto::kLeaseNews && from != nullptr) OnNews(*from, bytes);
                                 },
                             .up = {},
                             .down =
                                 [this, at](const Status&) {
                                   leases_.Lost(at);
                                   if (options_.early) Nudge();  // a new leader may wait for this client
                                 }};
  servers_.push_back({*address, std::make_unique<net::BlockingClient>(options, std::move(events))});
  *self = servers_.back().client.get();
  return at;
}

// On whichever thread drives the connection.
void CopysetClient::OnNews(net::BlockingClient& from, std::string_view bytes) {
  proto::LeaseNews news;
  if (!news.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    news.Clear();
    news.set_all(true);  // whatever it says
  }
  if (news.copyset_id() != 0 && news.copyset_id() != options_.copyset) return;
  leases_.News(news);
  if (news.number() == 0) return;
  proto::DropLeasesRequest dropped;
  Address(dropped.mutable_header());
  dropped.mutable_header()->set_session_id(news.session_id());
  dropped.set_number(news.number());
  from.Notify(static_cast<uint16_t>(proto::MetaCall::kDropLeases), dropped.SerializeAsString());
}

}  // namespace curvefs::client
