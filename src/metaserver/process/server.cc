#include "metaserver/process/server.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/protowire.h"
#include "metaserver/process/admin_calls.h"
#include "proto/meta_methods.h"
#include "proto/meta_wire.h"

namespace curvefs::metaserver {
namespace {

constexpr Duration kHandOverPoll = std::chrono::milliseconds(20);
constexpr uint64_t kPollsPerAttempt = 40;

// What routing needs of a request's header (field 1 of every request; RequestHeader).
struct PeekedHeader {
  raft::GroupId copyset;
  Duration timeout{};
  uint32_t fs = 0;
  std::string_view token;
};
bool Peek(std::string_view request, PeekedHeader* out) {
  ProtoReader fields(request);
  while (fields.Next()) {
    if (fields.field() != 1) continue;
    ProtoReader header(fields.bytes());
    while (header.Next()) {
      if (header.field() == proto::RequestHeader::kCopysetIdFieldNumber)
        out->copyset = raft::GroupId(header.number());
      if (header.field() == proto::RequestHeader::kFsIdFieldNumber)
        out->fs = static_cast<uint32_t>(header.number());
      if (header.field() == proto::RequestHeader::kTokenFieldNumber) out->token = header.bytes();
      if (header.field() == proto::RequestHeader::kTimeoutMsFieldNumber)
        out->timeout = std::chrono::milliseconds(std::min<uint64_t>(header.number(), UINT32_MAX));
    }
    return header.ok();  // what follows is for who decodes it all
  }
  return fields.ok();
}

// And not only the records of a session.
bool ChangesFiles(const MetaMethod& method) {
  using proto::MetaCall;
  const auto call = static_cast<MetaCall>(method.number);
  return method.changes && call != MetaCall::kOpenSession && call != MetaCall::kRenewSession &&
         call != MetaCall::kCloseSession;
}

// The connection of a client. What cannot be sent must not be missed: the client forgets what it keeps when
// the connection is lost.
class SessionLink final : public ClientLink {
 public:
  explicit SessionLink(net::Session& session)
      : session_(session.weak_from_this()), number_(session.number()) {}
  uint64_t number() const override { return number_; }
  void Send(uint16_t type, std::string bytes) override {
    auto session = session_.lock();
    if (!session) return;
    auto push = [session, type](std::string pushed) {
      if (Status s = session->Push(type, std::move(pushed)); !s.ok()) session->Close(std::move(s));
    };
    net::AsioLoop& loop = session->connection().loop();
    if (loop.InLoop()) return push(std::move(bytes));
    loop.Post([push, bytes = std::move(bytes)]() mutable { push(std::move(bytes)); });
  }

 private:
  const std::weak_ptr<net::Session> session_;
  const uint64_t number_;
};

}  // namespace

MetaServer::MetaServer(ServerOptions options)
    : options_(std::move(options)), started_(Clock::System().Steady()), method_times_(MetaMethods().size()) {
  if (options_.lease_drift)
    options_.group.lease = {
        .clock = &Clock::System(), .tick = options_.tick, .max_drift = *options_.lease_drift};
}

MetaServer::~MetaServer() {
  EndLoops();
}

Result<std::unique_ptr<MetaServer>> MetaServer::Start(ServerOptions options) {
  std::unique_ptr<MetaServer> server(new MetaServer(std::move(options)));
  CURVEFS_CHECK_OK(server->Open());
  CURVEFS_CHECK_OK(server->Listen());
  CURVEFS_CHECK_OK(server->StartLoops());
  return server;
}

Status MetaServer::Open() {
  Disk& disk = Disk::Posix();
  CURVEFS_TRY(dir_, ServerDir::Open(disk, options_.dir, options_.id, options_.copyset.engine));
  CURVEFS_TRY(access_, Access::Open(disk, options_.dir));
  if (dir_->engine() == MetaEngine::kRocksdb)
    options_.copyset.rocks.memory = kv::MakeRocksMemory(options_.meta_memory);
  {
    const MutexLock lock(mu_);
    addresses_ = options_.peers;
  }
  office_term_ = dir_->office_term();
  kv::JournalRecovery recovery;
  CURVEFS_TRY(log_, raft::LogStore::Open(disk, dir_->log_dir(), options_.log, &recovery));
  CURVEFS_TRY(const auto withdrawn, dir_->Withdrawn());
  for (raft::GroupId id : withdrawn) {
    if (log_->Info(id)) CURVEFS_CHECK_OK(log_->Remove(id));
  }
  if (!withdrawn.empty()) CURVEFS_CHECK_OK(log_->Sync());
  for (raft::GroupId id : withdrawn) CURVEFS_CHECK_OK(dir_->Erase(id));
  sync_ = std::make_unique<SyncThread>(*log_);
  background_ = std::make_unique<BackgroundThread>(*log_);
  return {};
}

Status MetaServer::Listen() {
  CopysetLoop::Parts parts{.disk = &Disk::Posix(),
                           .dir = dir_.get(),
                           .log = log_.get(),
                           .sync = sync_.get(),
                           .background = background_.get(),
                           .copyset = options_.copyset,
                           .route =
                               [this](raft::GroupId group, raft::ReplicaId replica) {
                                 transport_->SetRoute(group, replica, MetaserverOf(replica));
                               },
                           .forget_routes = [this](raft::GroupId group) { transport_->RemoveRoutes(group); },
                           .address_of = [this](raft::ReplicaId replica) { return AddressOf(replica); }};
  // The transport needs a loop, and the loops the transport.
  for (size_t i = 0; i < options_.loops; ++i)
    loops_.push_back(
        std::make_unique<CopysetLoop>(i, parts, options_.make_engine(), options_.group, options_.tick));
  net::AsioLoop& first = loops_[0]->loop();
  const net::ConnectionOptions connection{.tls = options_.tls};
  transport_ = std::make_unique<raft::NetTransport>(
      first, dir_->id(),
      raft::NetTransportOptions{.connection = connection,
                                .cluster = options_.cluster,
                                .process_of = MetaserverOf,
                                .alive_every = options_.tick,
                                .heard_for = options_.tick * options_.group.election_ticks / 2,
                                .snapshot_bytes_per_second = options_.snapshot_bytes_per_second});
  for (auto& loop : loops_) loop->SetTransport(*transport_);
  transport_->Start(*this);
  for (const auto& [id, address] : options_.peers) {
    if (id != dir_->id()) transport_->SetPeer(id, address);
  }
  server_ = std::make_unique<net::Server>(net::ServerEvents{
      .opened = [](net::Session& session) { session.context = std::make_shared<SessionLink>(session); },
      .request =
          [this](net::Session& session, const net::Request& request, net::Reply reply) {
            Handle(
                request.type, request.bytes,
                [reply = std::move(reply)](std::string bytes) { reply(std::move(bytes)); },
                std::static_pointer_cast<SessionLink>(session.context));
          }});
  std::vector<net::AsioLoop*> lanes;
  for (auto& loop : loops_) lanes.push_back(&loop->loop());
  net::ListenerOptions listen{.address = options_.listen,
                              .connection = connection,
                              .hello = {.sender = dir_->id(), .cluster = options_.cluster}};
  CURVEFS_TRY(listener_, net::Listener::Open(first, listen,
                                             {.admit =
                                                  [this](const net::Hello& theirs, net::Hello* reply) {
                                                    return theirs.role == net::Role::kSession
                                                               ? Status()
                                                               : transport_->Admit(theirs, reply);
                                                  },
                                              .connected =
                                                  [this](net::ConnectionPtr c) {
                                                    if (c->theirs().role == net::Role::kSession) {
                                                      server_->Adopt(std::move(c));
                                                    } else {
                                                      transport_->Adopt(std::move(c));
                                                    }
                                                  }},
                                             lanes));
  address_ = listener_->address();
  return {};
}

Status MetaServer::StartLoops() {
  CURVEFS_TRY(const auto copysets, dir_->Copysets());
  std::vector<std::vector<CopysetDescription>> by_loop(loops_.size());
  for (const CopysetDescription& d : copysets) by_loop[LoopNumber(d.id, loops_.size())].push_back(d);
  {
    const MutexLock lock(threads_mu_);
    loading_ = running_ = loops_.size();
  }
  for (auto& loop : loops_) {
    options_.start_thread([this, &loop = *loop, load = std::move(by_loop[loop->number()])] {
      const Status loaded = loop.Load(load);
      {
        const MutexLock lock(threads_mu_);
        --loading_;
        if (!loaded.ok()) load_failure_ = loaded;
        threads_changed_.NotifyAll();
      }
      if (loaded.ok()) loop.Run();
      // Nothing of the server after this: it may be gone then.
      const MutexLock lock(threads_mu_);
      --running_;
      threads_changed_.NotifyAll();
    });
  }
  const MutexLock lock(threads_mu_);
  while (loading_ > 0) threads_changed_.Wait(threads_mu_);
  return load_failure_;
}

void MetaServer::EndLoops() {
  if (ended_) return;
  ended_ = true;
  for (auto& loop : loops_) loop->Stop();
  {
    const MutexLock lock(threads_mu_);
    while (running_ > 0) threads_changed_.Wait(threads_mu_);
  }
  // The threads beside the loops post to them; then what lives on the loops; then the loops.
  sync_.reset();
  background_.reset();
  listener_.reset();
  server_.reset();
  for (auto& loop : loops_) loop->Clear();
  transport_.reset();
  loops_.clear();
}

void MetaServer::HandOver() {
  const SteadyTime limit = Clock::System().Steady() + options_.handover_limit;
  for (uint64_t polls = 0; Clock::System().Steady() < limit; ++polls) {
    std::atomic<bool> leads{false};
    OnEveryLoop([&](CopysetLoop& loop) {
      if (!loop.HandOver(polls / kPollsPerAttempt)) leads = true;
    });
    if (!leads) break;
    Mutex mu;
    CondVar never;
    const MutexLock lock(mu);
    (void)never.WaitUntil(mu, Clock::System().Steady() + kHandOverPoll);
  }
}

void MetaServer::Shutdown() {
  server_->CloseAll({Code::kUnavailable, "the metaserver is ending"});
  // A last round of every loop writes what was said.
  OnEveryLoop([](CopysetLoop&) {});
  EndLoops();
}

void MetaServer::OnEveryLoop(const std::function<void(CopysetLoop&)>& f) {
  struct Count {
    Mutex mu;
    CondVar changed;
    size_t left CURVEFS_GUARDED_BY(mu) = 0;
  };
  Count count;
  {
    const MutexLock lock(count.mu);
    count.left = loops_.size();
  }
  for (auto& loop : loops_) {
    loop->loop().Post([&count, &f, &loop = *loop] {
      f(loop);
      const MutexLock lock(count.mu);
      --count.left;
      count.changed.NotifyAll();
    });
  }
  const MutexLock lock(count.mu);
  while (count.left > 0) count.changed.Wait(count.mu);
}

void MetaServer::Handle(uint16_t number, std::string_view request, Answer answer,
                        std::shared_ptr<ClientLink> link) {
  const MetaMethod* method = FindMetaMethod(number);
  if (method == nullptr) {
    if (const AdminMethod* admin = FindAdminMethod(number))
      return admin->run(*this, request, std::move(answer));
    return answer(EncodeFailure(
        {Code::kNotSupported, "there is no call with the number " + std::to_string(number)}, 0, ""));
  }
  PeekedHeader header;
  if (!Peek(request, &header))
    return answer(EncodeFailure({Code::kInvalid, "a request that is no message of its kind"}, 0, ""));
  if (Status s = access_->Check({.fs = header.fs, .token = header.token, .changes = ChangesFiles(*method)},
                                Clock::System().Wall());
      !s.ok())
    return answer(EncodeFailure(s, 0, ""));
  CopysetLoop& loop = LoopFor(header.copyset);
  const SteadyTime arrived = Clock::System().Steady();
  if (loop.loop().InLoop())
    return HandleMeta(*method, loop, header.copyset, request, std::move(answer), std::move(link), arrived);
  loop.loop().Post([this, method, &loop, header, bytes = std::string(request), answer = std::move(answer),
                    link = std::move(link), arrived]() mutable {
    if (header.timeout > Duration::zero() && Clock::System().Steady() - arrived > header.timeout)
      return answer(
          EncodeFailure({Code::kUnavailable, "the request waited for longer than its time-out"}, 0, ""));
    HandleMeta(*method, loop, header.copyset, bytes, std::move(answer), std::move(link), arrived);
  });
}

void MetaServer::HandleMeta(const MetaMethod& method, CopysetLoop& loop, raft::GroupId id,
                            std::string_view request, Answer answer, std::shared_ptr<ClientLink> link,
                            SteadyTime arrived) {
  HeldCopyset* held = loop.Find(id);
  if (held == nullptr) {
    // It may have been moved away: no inode and no name is missing, the client has to ask somebody else.
    return answer(EncodeFailure(
        {Code::kNotLeader, "copyset " + std::to_string(id.value) + " is not on this metaserver"}, 0, ""));
  }
  TimeHistogram& of_copyset = method.changes ? held->meters->changes : held->meters->reads;
  TimeHistogram& of_method = method_times_[static_cast<size_t>(&method - MetaMethods().data())];
  // The histograms: answers come while the copyset is closed at the latest.
  MetaTarget target = held->target;
  target.link = std::move(link);
  method.run(target, request,
             [&of_copyset, &of_method, arrived, answer = std::move(answer)](std::string bytes) {
               const Duration took = Clock::System().Steady() - arrived;
               of_copyset.Record(took);
               of_method.Record(took);
               answer(std::move(bytes));
             });
}

// ---- What the loops and the calls ask

Status MetaServer::CheckOffice(uint64_t term) {
  if (term == 0 || term == office_term_) return {};
  const MutexLock lock(mu_);
  if (term < dir_->office_term()) {
    return {Code::kNotPermitted, "the command is of term of office " + std::to_string(term) +
                                     ", and there was one of " + std::to_string(dir_->office_term())};
  }
  CURVEFS_CHECK_OK(dir_->SetOfficeTerm(term));
  office_term_ = term;
  return {};
}

void MetaServer::LearnAddress(raft::ReplicaId replica, const std::string& text) {
  const MetaserverId id = MetaserverOf(replica);
  if (text.empty() || id == dir_->id()) return;
  auto address = net::ParseAddress(text);
  if (!address) return;
  {
    const MutexLock lock(mu_);
    net::Address& known = addresses_[id];
    if (known == *address) return;
    known = *address;
  }
  transport_->SetPeer(id, *address);
}

std::string MetaServer::AddressOf(raft::ReplicaId replica) const {
  const MetaserverId id = MetaserverOf(replica);
  if (id == dir_->id()) return address_.ToString();
  const MutexLock lock(mu_);
  auto it = addresses_.find(id);
  return it == addresses_.end() ? std::string() : it->second.ToString();
}

uint64_t MetaServer::LogBytes(raft::GroupId id) const {
  const auto info = log_->Info(id);
  return info ? info->bytes : 0;
}

// ---- From the peers

Loop* MetaServer::LoopOf(raft::GroupId group) {
  return &LoopFor(group).loop();
}
void MetaServer::Receive(raft::Message message) {
  LoopFor(message.group).host().Receive(std::move(message));
}
void MetaServer::Receive(raft::SnapshotChunk chunk) {
  LoopFor(chunk.group).host().Receive(std::move(chunk));
}
void MetaServer::Receive(raft::SnapshotReply reply) {
  LoopFor(reply.group).host().Receive(std::move(reply));
}
void MetaServer::Unreachable(raft::GroupId group, raft::ReplicaId replica) {
  LoopFor(group).host().ReportUnreachable(group, replica);
}

}  // namespace curvefs::metaserver
