// Server: answers the requests of sessions. Beside replies it can speak first.
//
//   Server server({.request = [](Session& s, const Request& r, Reply reply) { reply(Handle(r)); }});
//   auto listener = Listener::Open(loop, {.address = …}, {.connected = [&](ConnectionPtr c) {
//   server.Adopt(c);
//   }});
//
// A session lives on the loop of its connection; a server may have sessions on several loops.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/connection.h"

namespace curvefs::net {

class Session;

struct Request {
  FrameType type = 0;
  uint64_t id = 0;         // 0: no reply is wanted
  std::string_view bytes;  // valid during the call
};

// The way back of one request. Copyable; to be called once, from any thread. If the session is gone, or gave
// up on this request, nothing happens.
class Reply {
 public:
  void operator()(Result<std::string> outcome) const;
  bool wanted() const { return id_ != 0; }

 private:
  friend class Session;
  std::weak_ptr<Session> session_;
  FrameType type_ = 0;
  uint64_t id_ = 0;
};

struct ServerEvents {
  std::function<void(Session&)> opened;
  // On the session's loop. `reply` may be kept.
  std::function<void(Session&, const Request&, Reply)> request;
  // Nobody waits for the reply to this request any more.
  std::function<void(Session&, uint64_t id)> cancelled;
  // The session is at the server's push limit no more.
  std::function<void(Session&)> drained;
  std::function<void(Session&, const Status& why)> closed;
};

struct ServerOptions {
  size_t max_outstanding = 1024;  // requests of one session without a reply; then nothing is read from it
};

class Server {
 public:
  Server(ServerEvents events, ServerOptions options = {});
  // Sessions end. Not while a loop with sessions runs on another thread.
  ~Server();

  // On the connection's loop: makes a session of it.
  void Adopt(ConnectionPtr connection);
  // Ends all sessions, each on its loop, soon. Thread-safe.
  void CloseAll(Status why);
  size_t sessions() const;  // thread-safe

 private:
  friend class Session;
  struct Rep;
  std::shared_ptr<Rep> rep_;
};

class Session final : public std::enable_shared_from_this<Session> {
 public:
  // Sends what was not asked for. As Connection::Send.
  Status Push(FrameType type, std::string bytes);
  void Close(Status why);

  uint64_t number() const { return number_; }  // unique in this process
  const Hello& hello() const { return connection_->theirs(); }
  Connection& connection() { return *connection_; }
  size_t outstanding() const { return outstanding_; }
  std::shared_ptr<void> context;  // the application's

  Session(std::shared_ptr<Server::Rep> server, ConnectionPtr connection, uint64_t number);

 private:
  friend class Server;
  friend class Reply;
  void OnFrame(const Frame& frame);
  void Answer(FrameType type, uint64_t id, Result<std::string> outcome);
  void MaybeResume();

  std::shared_ptr<Server::Rep> server_;
  ConnectionPtr connection_;
  const uint64_t number_;
  size_t outstanding_ = 0;
  bool paused_ = false;
};

}  // namespace curvefs::net
