// The inside of Connection, for those who make one: Listener and Dialer.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "net/asio_core.h"
#include "net/connection.h"

namespace curvefs::net {

struct Connection::Rep {
  using Socket = asio::ip::tcp::socket;
  // What the two ends agree on. Ok, and `connection` open; or not, and then it has ended. The acceptor's
  // `admit` may refuse.
  using Ready = std::function<void(const Status&, ConnectionPtr)>;
  using Admit = std::function<Status(const Hello& theirs, Hello* reply)>;

  // The socket is connected. Shakes hands and calls `ready` once.
  static ConnectionPtr Dialled(AsioLoop& loop, Socket socket, const ConnectionOptions& options, Hello mine,
                               const std::string& tls_name, Ready ready);
  static ConnectionPtr Accepted(AsioLoop& loop, Socket socket, const ConnectionOptions& options, Hello mine,
                                Admit admit, Ready ready);
  // An open connection that nobody has started goes to another loop, where `then` gets it. On its own loop,
  // not from a callback of its own.
  static void Move(ConnectionPtr connection, AsioLoop& to, std::function<void(ConnectionPtr)> then);

  Rep(AsioLoop& l, Socket s, const ConnectionOptions& o)
      : loop(&l), core(l.core()), socket(std::move(s)), options(o) {}

  enum class State : uint8_t { kTls, kHello, kOpen, kClosed };
  struct Piece {
    std::string bytes;
    size_t sent = 0;
    bool joins = false;  // small frames: more may be appended
  };

  AsioLoop* loop;
  std::shared_ptr<AsioLoop::Core> core;
  Socket socket;
  const ConnectionOptions options;
  bool dials = false;
  State state = State::kHello;
  Hello mine, theirs;
  std::string remote;
  Admit admit;
  Ready ready;
  Connection::Events events;
  std::shared_ptr<void> counted;  // one of the listener's
  bool started = false;
  ConnectionCounters counters;

  // In.
  std::unique_ptr<TlsStream> tls;
  std::string raw;  // of the wire, under TLS
  std::string in;   // [in_begin, in_end) is not parsed yet
  size_t in_begin = 0, in_end = 0, in_wanted = kFrameHead;
  bool reading = false;
  bool preface_seen = false;
  int pauses = 0;
  bool parsing = false;
  bool heard = true;  // since the last look
  Duration silent{}, stalled{};

  // Out.
  std::deque<Piece> out;
  size_t out_bytes = 0;
  std::string cipher;  // under TLS: what comes out before `out`
  size_t cipher_sent = 0;
  bool flush_queued = false, blocked = false, was_full = false;
  uint64_t written_at_look = 0;

  // Steps; `self` keeps the connection alive.
  void Begin(const ConnectionPtr& self);
  void Watch(const ConnectionPtr& self);
  void Look(const ConnectionPtr& self, Duration interval);
  void Read(const ConnectionPtr& self);
  void OnRead(const ConnectionPtr& self, const asio::error_code& error, size_t n);
  bool Decrypt(const ConnectionPtr& self);
  void Parse(const ConnectionPtr& self);
  void OnFrame(const ConnectionPtr& self, const Frame& frame);
  void OnHello(const ConnectionPtr& self, const Frame& frame);
  void SayHello(const ConnectionPtr& self);
  Status Queue(const ConnectionPtr& self, const Frame& frame, std::string* payload);
  void QueueFlush(const ConnectionPtr& self);
  void Flush(const ConnectionPtr& self);
  bool Encrypt(const ConnectionPtr& self);
  bool WriteSome(const ConnectionPtr& self, bool* more);
  void End(const ConnectionPtr& self, const Status& why, bool tell);
};

}  // namespace curvefs::net
