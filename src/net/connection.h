// Connection: frames between two processes, in order, over TCP or TLS.
//
// Listener and Dialer make connections and shake hands; whoever gets one calls Start. All functions are
// called, and all callbacks run, on the connection's loop.
//
// What is sent is queued and written at the end of the loop's round, all frames of the round by one system
// call. The queue is bounded: a sender that fills it is refused, and told when it has drained. A reader that
// takes nothing for too long is cut off.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "net/asio_loop.h"
#include "net/frame.h"
#include "net/hello.h"
#include "net/tls.h"

namespace curvefs::net {

struct ConnectionOptions {
  std::shared_ptr<TlsContext> tls;  // none: plain
  Duration handshake_limit = std::chrono::seconds(5);
  Duration ping_after = std::chrono::seconds(3);    // nothing has come for so long: ask whether it lives …
  Duration dead_after = std::chrono::seconds(10);   // … and if still nothing comes, it does not
  Duration stall_limit = std::chrono::seconds(10);  // a reader that takes nothing for so long is cut off
  size_t max_payload = kMaxPayload;                 // of a frame that is taken; told to the other end
  size_t max_queue = 8 << 20;                       // bytes; Send refuses to go beyond …
  size_t hard_max_queue = 40 << 20;                 // … and SendAnyway ends the connection there
};
static_assert(kMaxPayload < (40 << 20));

struct ConnectionCounters {
  uint64_t frames_in = 0, frames_out = 0, bytes_in = 0, bytes_out = 0, writes = 0, reads = 0;
};

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  struct Events {
    // The payload is valid during the call.
    std::function<void(Connection&, const Frame&)> frame;
    // A queue that refused is half empty again.
    std::function<void(Connection&)> drained;
    // Once, and nothing after it; never from within Send or Close. `why` is what ended it.
    std::function<void(Connection&, const Status& why)> closed;
  };

  ~Connection();

  // Begins to read. Once.
  void Start(Events events);

  // Queues a frame. kWouldBlock: the queue is full, the frame is nowhere, and `drained` will tell; a frame
  // alone always fits. kTooBig: over what the other end takes. kUnavailable: closed. The payload is copied
  // only if it is small.
  Status Send(FrameType type, uint16_t flags, uint64_t id, std::string payload);
  // The same for what must not be refused, a reply for example: the queue grows up to the hard limit, where
  // the connection ends.
  Status SendAnyway(FrameType type, uint16_t flags, uint64_t id, std::string payload);

  // Stops and goes on reading: frames that are not taken fill the other end's queue. Pauses add up. Frames
  // that have been read already may still come, but none from within Pause on.
  void PauseReading();
  void ResumeReading();

  // Tells the other end why, as far as that is possible without waiting, and ends. Idempotent.
  void Close(Status why);
  // Close, and no event any more: for an owner that goes.
  void Abandon();

  bool open() const;
  bool full() const;  // Send would refuse
  size_t queued_bytes() const;
  const Hello& mine() const;
  const Hello& theirs() const;
  const std::string& remote() const;  // "host:port", for people
  AsioLoop& loop() const;
  const ConnectionCounters& counters() const;

  struct Rep;  // connection_rep.h
  explicit Connection(std::unique_ptr<Rep> rep);
  Rep& rep() { return *rep_; }

 private:
  std::unique_ptr<Rep> rep_;
};

using ConnectionPtr = std::shared_ptr<Connection>;

}  // namespace curvefs::net
