#include "net/server.h"

#include <unordered_map>
#include <utility>

#include "base/mutex.h"

namespace curvefs::net {

struct Server::Rep {
  ServerEvents events;
  ServerOptions options;
  std::atomic<uint64_t> next_number{1};
  mutable Mutex mu;  // a leaf
  std::unordered_map<uint64_t, std::weak_ptr<Session>> sessions CURVEFS_GUARDED_BY(mu);

  std::vector<std::shared_ptr<Session>> Live() {
    std::vector<std::shared_ptr<Session>> live;
    MutexLock lock(mu);
    for (auto& [number, weak] : sessions) {
      if (auto session = weak.lock()) live.push_back(std::move(session));
    }
    return live;
  }
};

Server::Server(ServerEvents events, ServerOptions options) : rep_(std::make_shared<Rep>()) {
  rep_->events = std::move(events);
  rep_->options = options;
}

Server::~Server() {
  for (auto& session : rep_->Live()) session->connection_->Abandon();
}

void Server::Adopt(ConnectionPtr connection) {
  const uint64_t number = rep_->next_number++;
  auto session = std::make_shared<Session>(rep_, connection, number);
  {
    MutexLock lock(rep_->mu);
    rep_->sessions[number] = session;
  }
  connection->Start({
      .frame = [session](Connection&, const Frame& frame) { session->OnFrame(frame); },
      .drained =
          [session](Connection&) {
            session->MaybeResume();
            if (auto& drained = session->server_->events.drained) drained(*session);
          },
      .closed =
          [session](Connection&, const Status& why) {
            auto& server = *session->server_;
            {
              MutexLock lock(server.mu);
              server.sessions.erase(session->number_);
            }
            if (server.events.closed) server.events.closed(*session, why);
          },
  });
  if (rep_->events.opened) rep_->events.opened(*session);
}

void Server::CloseAll(Status why) {
  for (auto& session : rep_->Live()) {
    session->connection_->loop().Post([session, why] { session->Close(why); });
  }
}

size_t Server::sessions() const {
  MutexLock lock(rep_->mu);
  return rep_->sessions.size();
}

// ---- Session

Session::Session(std::shared_ptr<Server::Rep> server, ConnectionPtr connection, uint64_t number)
    : server_(std::move(server)), connection_(std::move(connection)), number_(number) {}

void Session::OnFrame(const Frame& frame) {
  const ServerEvents& events = server_->events;
  if (frame.type == kCancel) {
    if (events.cancelled) events.cancelled(*this, frame.id);
    return;
  }
  if (frame.flags != 0) return Close({Code::kCorrupt, "a reply to what nobody has asked"});
  Reply reply;
  reply.type_ = frame.type;
  reply.id_ = frame.id;
  if (frame.id != 0) {
    reply.session_ = weak_from_this();
    ++outstanding_;
    // Whoever asks faster than is answered, or does not take the answers, waits.
    if (!paused_ && (outstanding_ >= server_->options.max_outstanding || connection_->full())) {
      paused_ = true;
      connection_->PauseReading();
    }
  }
  events.request(*this, {.type = frame.type, .id = frame.id, .bytes = frame.payload}, std::move(reply));
}

void Session::MaybeResume() {
  if (!paused_ || outstanding_ > server_->options.max_outstanding / 2 || connection_->full()) return;
  paused_ = false;
  connection_->ResumeReading();
}

void Session::Answer(FrameType type, uint64_t id, Result<std::string> outcome) {
  CURVEFS_CHECK(outstanding_ > 0);
  --outstanding_;
  Status s;
  if (outcome) s = connection_->SendAnyway(type, kReply, id, *std::move(outcome));
  if (!outcome) s = outcome.error();
  if (!s.ok() && connection_->open())
    (void)connection_->SendAnyway(type, kReply | kError, id, EncodeStatus(s));
  MaybeResume();
}

Status Session::Push(FrameType type, std::string bytes) {
  return connection_->Send(type, 0, 0, std::move(bytes));
}

void Session::Close(Status why) {
  connection_->Close(std::move(why));
}

// ---- Reply

void Reply::operator()(Result<std::string> outcome) const {
  auto session = session_.lock();
  if (!session) return;
  AsioLoop& loop = session->connection_->loop();
  if (loop.InLoop()) return session->Answer(type_, id_, std::move(outcome));
  loop.Post([session = std::move(session), type = type_, id = id_, outcome = std::move(outcome)]() mutable {
    session->Answer(type, id, std::move(outcome));
  });
}

}  // namespace curvefs::net
