// BlockingClient: a Client for plain blocking code, from any thread.
//
// Who drives the socket: with kCallerRuns the thread that waits for a reply does it itself, which saves two
// thread switches (some 40 µs of a call); when several wait, one drives for all, and passes it on when its
// own reply has come. When nobody calls, a thread of its own takes over within a millisecond or so, for
// keep-alive and for what the server says. With kOwnThread that thread always drives.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/client.h"

namespace curvefs::net {

class BlockingClient {
 public:
  enum class Shape : uint8_t { kCallerRuns, kOwnThread };

  // `events` run on whichever thread drives, one at a time; they must not call Call.
  explicit BlockingClient(ClientOptions options, Client::Events events = {},
                          Shape shape = Shape::kCallerRuns);
  // Calls that wait get kTimedOut; no thread may come any more.
  ~BlockingClient();

  // Outcomes are those of Client::Call.
  Result<std::string> Call(FrameType type, std::string bytes, Duration deadline);
  void Notify(FrameType type, std::string bytes);
  // The same without waiting; `done` runs on whichever thread drives, and must not call Call.
  void Start(FrameType type, std::string bytes, Duration deadline, Client::Done done);
  bool connected() const;

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace curvefs::net
