// Listener: takes connections, shakes hands, and passes on who has come, on the loop that it wants.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/connection.h"

namespace curvefs::net {

struct ListenerOptions {
  Address address;  // port 0: any; an empty host: all
  ConnectionOptions connection;
  Hello hello;                      // what is said to those who come; `lanes` is filled in
  size_t max_connections = 10'000;  // those that have been passed on and live included; more are refused
};

class Listener {
 public:
  struct Events {
    // May refuse by a Status, which the other end is told; may fill in `reply` (its `info`, for example). On
    // the listener's loop. None: all who fit are taken.
    std::function<Status(const Hello& theirs, Hello* reply)> admit;
    // Hands are shaken. On the loop of the lane that was asked for, which is the connection's from now on;
    // call Start there, now.
    std::function<void(ConnectionPtr)> connected;
  };

  // Listens on the loop; `lanes` are the loops to which connections are passed, the listener's alone if
  // empty. On the loop, which like the lanes outlives the listener. kUnavailable: the address is not to be
  // had.
  static Result<std::unique_ptr<Listener>> Open(AsioLoop& loop, ListenerOptions options, Events events,
                                                std::vector<AsioLoop*> lanes = {});
  ~Listener();  // on the loop; connections that were passed on live on

  const Address& address() const;  // with the port that it got

 private:
  struct Rep;
  explicit Listener(std::shared_ptr<Rep> rep) : rep_(std::move(rep)) {}
  std::shared_ptr<Rep> rep_;
};

}  // namespace curvefs::net
