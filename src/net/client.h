// Client: a session with one server: many requests at a time, and what the server says by itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "net/dialer.h"

namespace curvefs::net {

struct ClientOptions {
  DialerOptions dialer;
  size_t max_outstanding = 10'000;  // calls; more are refused
};

// A call ends in one of these ways: the server's reply; the server's own error; kUnavailable: it was not
// sent, there is no connection or too much waits; kTimedOut: the deadline passed, or the connection was lost,
// and it may have been carried out or not. Only the last is unknown.
//
// All functions are thread-safe but the constructor and destructor, which are on the loop. Callbacks run on
// the loop.
class Client {
 public:
  using Done = std::function<void(Result<std::string>)>;
  struct Events {
    // The payload is valid during the call.
    std::function<void(FrameType type, std::string_view bytes)> push;
    std::function<void(const Hello& server)> up;
    std::function<void(const Status& why)> down;  // after `up`: the session is over. Else: cannot connect
  };

  Client(AsioLoop& loop, ClientOptions options, Events events = {});
  ~Client();  // calls that wait get kTimedOut

  // `done` runs exactly once, on the loop, never from within Call. While a connection is being made, the call
  // waits for it.
  void Call(FrameType type, std::string bytes, Duration deadline, Done done);
  // Says something that has no reply. Dropped if there is no connection.
  void Notify(FrameType type, std::string bytes);

  bool connected() const;
  ConnectionCounters counters() const;  // of the connection there is; on the loop

 private:
  struct Rep;
  std::shared_ptr<Rep> rep_;
};

}  // namespace curvefs::net
