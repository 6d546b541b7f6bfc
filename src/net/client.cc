#include "net/client.h"

#include <atomic>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace curvefs::net {

struct Client::Rep : std::enable_shared_from_this<Client::Rep> {
  struct Waiting {
    Done done;
    SteadyTime deadline;
    bool sent = false;
    FrameType type = 0;
    std::string bytes;  // until it is sent
  };

  Rep(AsioLoop& l, ClientOptions o, Events e) : loop(l), options(std::move(o)), events(std::move(e)) {}

  AsioLoop& loop;
  const ClientOptions options;
  Events events;
  std::optional<Dialer> dialer;
  ConnectionPtr connection;
  std::atomic<bool> connected = false;
  bool closed = false;
  uint64_t next_id = 1;
  std::unordered_map<uint64_t, Waiting> calls;
  std::deque<uint64_t> unsent;  // may name calls that are over
  Status last_failure;          // not ok: the last attempt to connect failed
  SteadyTime next_sweep = SteadyTime::max();

  void Open();
  void Begin(FrameType type, std::string bytes, SteadyTime deadline, Done done);
  void Refuse(Done done, Status why);
  void SendWaiting();
  void OnConnected(ConnectionPtr c);
  void OnClosed(const Status& why);
  void OnFailed(const Status& why);
  void OnFrame(const Frame& frame);
  void Sweep();
  void PlanSweep(SteadyTime due);
  void FailAll(bool unsent_too, const Status& sent, const Status& not_sent);
};

void Client::Rep::Open() {
  std::weak_ptr<Rep> weak = weak_from_this();
  dialer.emplace(loop, options.dialer,
                 Dialer::Events{.connected =
                                    [weak](ConnectionPtr c) {
                                      if (auto rep = weak.lock()) rep->OnConnected(std::move(c));
                                    },
                                .failed =
                                    [weak](const Status& why) {
                                      if (auto rep = weak.lock()) rep->OnFailed(why);
                                    }});
}

void Client::Rep::Refuse(Done done, Status why) {
  loop.Post([done = std::move(done), why = std::move(why)] { done(Fail(why)); });
}

void Client::Rep::Begin(FrameType type, std::string bytes, SteadyTime deadline, Done done) {
  if (closed) return Refuse(std::move(done), {Code::kUnavailable, "the session is closed"});
  if (calls.size() >= options.max_outstanding)
    return Refuse(std::move(done), {Code::kUnavailable, "too many requests wait for this server"});
  if (!connection && !last_failure.ok()) {
    dialer->Hurry();
    if (!dialer->dialing()) return Refuse(std::move(done), last_failure);
  }
  const uint64_t id = next_id++;
  Waiting& call = calls[id];
  call = {.done = std::move(done), .deadline = deadline, .type = type};
  PlanSweep(deadline);
  call.bytes = std::move(bytes);
  unsent.push_back(id);
  SendWaiting();
}

// In the order of the calls.
void Client::Rep::SendWaiting() {
  while (connection && !unsent.empty()) {
    const uint64_t id = unsent.front();
    auto it = calls.find(id);
    if (it != calls.end()) {
      Waiting& call = it->second;
      if (connection->full()) return;  // `drained` goes on
      Status s = connection->SendAnyway(call.type, 0, id, std::move(call.bytes));
      if (s.code() == Code::kTooBig) {
        Refuse(std::move(call.done), s);
        calls.erase(it);
      } else if (!s.ok()) {
        return;  // `closed` says the rest; the bytes went with the connection
      } else {
        call.sent = true;
      }
    }
    unsent.pop_front();
  }
}

void Client::Rep::OnConnected(ConnectionPtr c) {
  connection = std::move(c);
  last_failure = {};
  std::weak_ptr<Rep> weak = weak_from_this();
  connection->Start({.frame =
                         [weak](Connection&, const Frame& frame) {
                           if (auto rep = weak.lock()) rep->OnFrame(frame);
                         },
                     .drained =
                         [weak](Connection&) {
                           if (auto rep = weak.lock()) rep->SendWaiting();
                         },
                     .closed =
                         [weak](Connection&, const Status& why) {
                           if (auto rep = weak.lock()) rep->OnClosed(why);
                         }});
  connected = true;
  if (events.up) events.up(connection->theirs());
  SendWaiting();
}

void Client::Rep::OnClosed(const Status& why) {
  connection = nullptr;
  connected = false;
  dialer->Redial();
  FailAll(false, {Code::kTimedOut, "the connection was lost before the reply: " + why.ToString()}, why);
  if (events.down) events.down(why);
}

void Client::Rep::OnFailed(const Status& why) {
  last_failure = {Code::kUnavailable, why.ToString()};
  FailAll(true, last_failure, last_failure);
  if (events.down) events.down(why);
}

// Those that were sent get `sent`; the others wait on unless `unsent_too`.
void Client::Rep::FailAll(bool unsent_too, const Status& sent, const Status& not_sent) {
  std::vector<std::pair<Done, Status>> failed;
  for (auto it = calls.begin(); it != calls.end();) {
    if (!it->second.sent && !unsent_too) {
      ++it;
      continue;
    }
    failed.emplace_back(std::move(it->second.done), it->second.sent ? sent : not_sent);
    it = calls.erase(it);
  }
  if (unsent_too) unsent.clear();
  for (auto& [done, why] : failed) done(Fail(why));
}

void Client::Rep::OnFrame(const Frame& frame) {
  if ((frame.flags & kReply) == 0) {
    if (events.push && frame.type >= kFirstUserType) events.push(frame.type, frame.payload);
    return;
  }
  auto it = calls.find(frame.id);
  if (it == calls.end() || !it->second.sent) return;  // too late
  Done done = std::move(it->second.done);
  calls.erase(it);
  if ((frame.flags & kError) != 0) return done(Fail(DecodeStatus(frame.payload)));
  done(std::string(frame.payload));
}

void Client::Rep::PlanSweep(SteadyTime due) {
  if (due >= next_sweep) return;
  next_sweep = due;
  loop.After(due - loop.clock().Steady(), [weak = weak_from_this(), due] {
    auto rep = weak.lock();
    if (rep && rep->next_sweep == due) rep->Sweep();
  });
}

// One timer for all calls: at the earliest deadline there was, it looks for the next.
void Client::Rep::Sweep() {
  next_sweep = SteadyTime::max();
  const SteadyTime now = loop.clock().Steady();
  SteadyTime next = SteadyTime::max();
  std::vector<Done> late;
  for (auto it = calls.begin(); it != calls.end();) {
    if (it->second.deadline > now) {
      next = std::min(next, it->second.deadline);
      ++it;
      continue;
    }
    if (it->second.sent && connection) (void)connection->Send(kCancel, 0, it->first, {});
    late.push_back(std::move(it->second.done));
    it = calls.erase(it);
  }
  if (next != SteadyTime::max()) PlanSweep(next);
  for (Done& done : late) done(Fail(Code::kTimedOut, "no reply within the deadline"));
}

// ---- Client

Client::Client(AsioLoop& loop, ClientOptions options, Events events)
    : rep_(std::make_shared<Rep>(loop, std::move(options), std::move(events))) {
  rep_->Open();
}

Client::~Client() {
  Rep& rep = *rep_;
  rep.closed = true;
  rep.dialer.reset();
  if (rep.connection) std::exchange(rep.connection, nullptr)->Abandon();
  rep.connected = false;
  const Status why(Code::kTimedOut, "the client was closed");
  rep.FailAll(true, why, why);
  rep.events = {};
}

void Client::Call(FrameType type, std::string bytes, Duration deadline, Done done) {
  Rep& rep = *rep_;
  const SteadyTime due = rep.loop.clock().Steady() + deadline;
  if (rep.loop.InLoop()) return rep.Begin(type, std::move(bytes), due, std::move(done));
  rep.loop.Post([rep = rep_, type, bytes = std::move(bytes), due, done = std::move(done)]() mutable {
    rep->Begin(type, std::move(bytes), due, std::move(done));
  });
}

void Client::Notify(FrameType type, std::string bytes) {
  auto send = [rep = rep_, type](std::string&& b) {
    if (rep->connection) (void)rep->connection->Send(type, 0, 0, std::move(b));
  };
  if (rep_->loop.InLoop()) return send(std::move(bytes));
  rep_->loop.Post([send, bytes = std::move(bytes)]() mutable { send(std::move(bytes)); });
}

bool Client::connected() const {
  return rep_->connected;
}

ConnectionCounters Client::counters() const {
  return rep_->connection ? rep_->connection->counters() : ConnectionCounters{};
}

}  // namespace curvefs::net
