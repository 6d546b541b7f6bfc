// Dialer: makes a connection to an address, and makes it anew when it is lost, with pauses that grow and
// differ by chance.
#pragma once

#include <functional>
#include <memory>

#include "net/connection.h"

namespace curvefs::net {

struct DialerOptions {
  Address address;
  ConnectionOptions connection;
  Hello hello;
  std::string tls_name;  // whom the certificate must be for; empty: address.host
  Duration connect_limit = std::chrono::seconds(3);
  Duration min_pause = std::chrono::milliseconds(50);
  Duration max_pause = std::chrono::seconds(2);
};

class Dialer {
 public:
  struct Events {
    // Call Start on it, now. The dialer watches it and dials again when it has closed.
    std::function<void(ConnectionPtr)> connected;
    // An attempt failed; the next one follows by itself.
    std::function<void(const Status&)> failed;
  };

  // On the loop, which outlives it. Begins at once.
  Dialer(AsioLoop& loop, DialerOptions options, Events events);
  ~Dialer();  // on the loop; ends attempts, and leaves the connection

  // The connection has ended (its owner's `closed` says so): dial again.
  void Redial();
  // Not in a pause longer than the shortest: for when there is something to send.
  void Hurry();
  bool dialing() const;  // an attempt is under way
  const Address& address() const;

 private:
  struct Rep;
  std::shared_ptr<Rep> rep_;
};

}  // namespace curvefs::net
