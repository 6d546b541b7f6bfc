#include "net/connection.h"

#include <algorithm>
#include <array>

#include "net/connection_rep.h"

namespace curvefs::net {
namespace {

constexpr size_t kReadBytes = 64 << 10;  // of one read, and of a buffer at rest
constexpr size_t kSmall = 8 << 10;       // payloads up to here are copied behind one another …
constexpr size_t kPiece = 64 << 10;      // … in pieces of this size; larger ones are sent from where they are
constexpr size_t kEncryptAhead = 256 << 10;  // what TLS may hold beyond the queue's limit
constexpr size_t kMaxGather = 64;            // pieces of one write; the most that asio passes on

// A sequence of buffers as asio wants it.
struct Gather {
  std::array<asio::const_buffer, kMaxGather> buffers;
  size_t count = 0;
  const asio::const_buffer* begin() const { return buffers.data(); }
  const asio::const_buffer* end() const { return buffers.data() + count; }
};

}  // namespace

using Rep = Connection::Rep;

// ---- Begin

Connection::Connection(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

// The last one to hold a connection that has ended may be on any thread.
Connection::~Connection() {
  if (rep_->state != Rep::State::kClosed) rep_->core->sockets.erase(this);
}

namespace {

ConnectionPtr Make(AsioLoop& loop, Rep::Socket socket, const ConnectionOptions& options, Hello mine) {
  auto rep = std::make_unique<Rep>(loop, std::move(socket), options);
  asio::error_code error;
  rep->socket.non_blocking(true, error);
  rep->socket.set_option(asio::ip::tcp::no_delay(true), error);
  auto remote = rep->socket.remote_endpoint(error);
  if (!error) rep->remote = Address{remote.address().to_string(), remote.port()}.ToString();
  rep->mine = std::move(mine);
  rep->mine.max_payload = static_cast<uint32_t>(options.max_payload);
  return std::make_shared<Connection>(std::move(rep));
}

}  // namespace

ConnectionPtr Rep::Dialled(AsioLoop& loop, Socket socket, const ConnectionOptions& options, Hello mine,
                           const std::string& tls_name, Ready ready) {
  ConnectionPtr self = Make(loop, std::move(socket), options, std::move(mine));
  Rep& rep = self->rep();
  rep.dials = true;
  rep.ready = std::move(ready);
  if (options.tls) rep.tls = std::make_unique<TlsStream>(*options.tls, true, tls_name);
  rep.Begin(self);
  return self;
}

ConnectionPtr Rep::Accepted(AsioLoop& loop, Socket socket, const ConnectionOptions& options, Hello mine,
                            Admit admit, Ready ready) {
  ConnectionPtr self = Make(loop, std::move(socket), options, std::move(mine));
  Rep& rep = self->rep();
  rep.admit = std::move(admit);
  rep.ready = std::move(ready);
  if (options.tls) rep.tls = std::make_unique<TlsStream>(*options.tls, false, "");
  rep.Begin(self);
  return self;
}

void Rep::Begin(const ConnectionPtr& self) {
  Watch(self);
  loop->After(options.handshake_limit, [weak = std::weak_ptr(self)] {
    ConnectionPtr c = weak.lock();
    if (c && c->rep().state != State::kOpen)
      c->rep().End(c, {Code::kTimedOut, c->rep().remote + " did not shake hands in time"}, false);
  });
  if (tls) {
    state = State::kTls;
    if (dials) {
      (void)tls->Handshake();
      QueueFlush(self);
    }
  } else if (dials) {
    SayHello(self);
  }
  Read(self);
}

void Rep::Watch(const ConnectionPtr& self) {
  core->sockets[self.get()] = [weak = std::weak_ptr(self)] {
    if (ConnectionPtr c = weak.lock()) c->rep().End(c, {Code::kUnavailable, "the loop has ended"}, false);
  };
}

// The socket goes over to a new Connection; the old one is over, without anybody having known it.
void Rep::Move(ConnectionPtr c, AsioLoop& to, std::function<void(ConnectionPtr)> then) {
  Rep& old = c->rep();
  CURVEFS_CHECK(!old.started && !old.parsing && !old.reading);
  if (&to == old.loop || old.state != State::kOpen) return then(std::move(c));
  old.core->sockets.erase(c.get());
  asio::error_code error;
  const auto protocol = old.socket.local_endpoint(error).protocol();
  Socket socket(to.core()->io);
  const auto handle = old.socket.release(error);
  if (!error) socket.assign(protocol, handle, error);
  if (!error) socket.non_blocking(true, error);
  if (error) return old.End(c, FromAsio(error, old.remote), false);
  auto rep = std::make_unique<Rep>(to, std::move(socket), old.options);
  rep->dials = old.dials;
  rep->state = std::exchange(old.state, State::kClosed);
  rep->mine = old.mine;
  rep->theirs = old.theirs;
  rep->remote = old.remote;
  rep->counted = std::move(old.counted);
  rep->counters = old.counters;
  rep->tls = std::move(old.tls);
  rep->in = std::move(old.in);
  rep->in_begin = old.in_begin;
  rep->in_end = old.in_end;
  rep->preface_seen = true;
  rep->out = std::exchange(old.out, {});
  rep->out_bytes = std::exchange(old.out_bytes, 0);
  rep->cipher = std::exchange(old.cipher, {});
  rep->cipher_sent = std::exchange(old.cipher_sent, 0);
  to.Post([moved = std::make_shared<Connection>(std::move(rep)), then = std::move(then)] {
    moved->rep().Watch(moved);
    moved->rep().QueueFlush(moved);
    then(moved);
  });
}

void Connection::Start(Events events) {
  Rep& rep = *rep_;
  CURVEFS_CHECK(!rep.started);
  rep.started = true;
  rep.events = std::move(events);
  ConnectionPtr self = shared_from_this();
  if (rep.state == Rep::State::kClosed) {
    rep.loop->Post([self] {
      if (auto closed = std::move(self->rep().events.closed))
        closed(*self, {Code::kUnavailable, "the connection has ended"});
    });
    return;
  }
  const Duration interval =
      std::min({rep.options.ping_after, rep.options.dead_after, rep.options.stall_limit}) / 2;
  rep.heard = true;
  rep.Look(self, interval);
  // Not from within Start: what came with the handshake.
  rep.loop->Post([self] {
    self->rep().Parse(self);
    self->rep().Read(self);
  });
}

// ---- In

void Rep::Read(const ConnectionPtr& self) {
  // Between the handshake and Start nobody takes frames.
  if (reading || state == State::kClosed || pauses > 0 || (state == State::kOpen && !started)) return;
  reading = true;
  if (in_begin == in_end) {
    in_begin = in_end = 0;
    if (in.size() > 4 * kReadBytes) {
      in.resize(kReadBytes);
      in.shrink_to_fit();
    }
  } else if (in_begin > 0 && in.size() - in_end < kReadBytes / 2) {
    in.erase(0, in_begin);
    in_end -= in_begin;
    in_begin = 0;
  }
  // A large frame gets room as it comes, so a head that promises much costs nothing.
  const size_t have = in_end - in_begin;
  const size_t room = std::max(kReadBytes, std::min(in_wanted > have ? in_wanted - have : 0, have));
  if (in.size() < in_end + room) in.resize(in_end + room);
  auto done = [self](const asio::error_code& error, size_t n) { self->rep().OnRead(self, error, n); };
  if (tls) {
    raw.resize(kReadBytes);
    socket.async_read_some(asio::buffer(raw), std::move(done));
  } else {
    socket.async_read_some(asio::buffer(in.data() + in_end, in.size() - in_end), std::move(done));
  }
}

void Rep::OnRead(const ConnectionPtr& self, const asio::error_code& error, size_t n) {
  reading = false;
  if (state == State::kClosed || (state == State::kOpen && !started && error)) return;
  if (error && state == State::kHello && dials && !tls && counters.bytes_in == 0) {
    // A server with TLS takes our greeting for nonsense.
    return End(self,
               FromAsio(error, remote + ", before it shook hands (with TLS, perhaps, and we are without)"),
               false);
  }
  if (error) return End(self, FromAsio(error, remote), false);
  heard = true;
  ++counters.reads;
  counters.bytes_in += n;
  if (!tls) {
    in_end += n;
  } else {
    tls->Feed({raw.data(), n});
    if (!Decrypt(self)) return;
  }
  Parse(self);
  Read(self);
}

bool Rep::Decrypt(const ConnectionPtr& self) {
  if (state == State::kTls) {
    auto over = tls->Handshake();
    QueueFlush(self);
    if (!over) {
      Flush(self);  // the other end is told
      End(self, {over.error().code(), remote + ": " + over.error().message()}, false);
      return false;
    }
    if (!*over) return true;
    state = State::kHello;
    if (dials) SayHello(self);
  }
  for (;;) {
    if (in.size() - in_end < kReadBytes / 4) in.resize(in_end + kReadBytes);
    auto n = tls->Read(in.data() + in_end, in.size() - in_end);
    if (!n) {
      End(self, {n.error().code(), remote + ": " + n.error().message()}, false);
      return false;
    }
    if (*n == 0) return true;
    in_end += *n;
  }
}

void Rep::Parse(const ConnectionPtr& self) {
  if (parsing) return;
  parsing = true;
  while (state == State::kHello || state == State::kOpen) {
    if (pauses > 0 || (state == State::kOpen && !started)) break;
    std::string_view bytes(in.data() + in_begin, in_end - in_begin);
    if (!preface_seen) {
      const size_t n = std::min(bytes.size(), kPreface.size());
      if (bytes.substr(0, n) != kPreface.substr(0, n)) {
        End(self, {Code::kCorrupt, remote + " does not speak our protocol"}, false);
        break;
      }
      if (n < kPreface.size()) break;
      preface_seen = true;
      in_begin += n;
      continue;
    }
    Frame frame;
    auto size = ParseFrame(bytes, options.max_payload, &frame, &in_wanted);
    if (!size) {
      End(self, {size.error().code(), remote + ": " + size.error().message()}, true);
      break;
    }
    if (*size == 0) break;
    in_begin += *size;
    in_wanted = kFrameHead;
    ++counters.frames_in;
    OnFrame(self, frame);
  }
  parsing = false;
}

void Rep::OnFrame(const ConnectionPtr& self, const Frame& frame) {
  if (state == State::kHello) return OnHello(self, frame);
  switch (frame.type) {
    case kPing:
      (void)Queue(self, {.type = kPong, .id = frame.id}, nullptr);
      return;
    case kPong:
      return;
    case kGoodbye:
      return End(self, DecodeStatus(frame.payload), false);
    default:
      break;
  }
  if ((frame.type < kFirstUserType && frame.type != kCancel) || (frame.flags & ~kKnownFlags) != 0) {
    return End(self, {Code::kCorrupt, remote + " sent a frame that means nothing"}, true);
  }
  if (events.frame) events.frame(*self, frame);
}

void Rep::OnHello(const ConnectionPtr& self, const Frame& frame) {
  if (frame.type == kGoodbye) return End(self, DecodeStatus(frame.payload), false);
  if (frame.type != kHello) return End(self, {Code::kCorrupt, remote + " did not shake hands"}, true);
  auto hello = DecodeHello(frame.payload);
  Status s = hello ? CheckHello(mine, *hello) : hello.error();
  if (s.ok()) theirs = *std::move(hello);
  if (s.ok() && !dials && admit) s = admit(theirs, &mine);
  if (!s.ok()) return End(self, s, true);
  if (!dials) SayHello(self);
  state = State::kOpen;
  admit = nullptr;
  if (auto call = std::move(ready)) {
    ready = nullptr;
    call({}, self);
  }
}

void Rep::SayHello(const ConnectionPtr& self) {
  std::string bytes(kPreface);
  const std::string hello = EncodeHello(mine);
  AppendFrame({.type = kHello, .payload = hello}, &bytes);
  out_bytes += bytes.size();
  out.push_back({.bytes = std::move(bytes)});
  QueueFlush(self);
}

void Connection::PauseReading() {
  ++rep_->pauses;
}

void Connection::ResumeReading() {
  CURVEFS_CHECK(rep_->pauses > 0);
  if (--rep_->pauses > 0) return;
  rep_->loop->Post([self = shared_from_this()] {
    self->rep().Parse(self);
    self->rep().Read(self);
  });
}

// ---- Out

Status Connection::Send(FrameType type, uint16_t flags, uint64_t id, std::string payload) {
  if (rep_->out_bytes > 0 && rep_->out_bytes + payload.size() + kFrameHead > rep_->options.max_queue) {
    rep_->was_full = true;
    return Code::kWouldBlock;
  }
  return rep_->Queue(shared_from_this(), {.type = type, .flags = flags, .id = id, .payload = payload},
                     &payload);
}

Status Connection::SendAnyway(FrameType type, uint16_t flags, uint64_t id, std::string payload) {
  if (rep_->out_bytes + payload.size() + kFrameHead > rep_->options.hard_max_queue) {
    Status why(Code::kUnavailable, rep_->remote + " does not take what is sent to it");
    rep_->End(shared_from_this(), why, false);
    return why;
  }
  Status s =
      rep_->Queue(shared_from_this(), {.type = type, .flags = flags, .id = id, .payload = payload}, &payload);
  rep_->was_full |= full();
  return s;
}

// `payload` is what frame.payload points to, if it may be taken.
Status Rep::Queue(const ConnectionPtr& self, const Frame& frame, std::string* payload) {
  CURVEFS_CHECK(core->Mine());
  if (state != State::kOpen) return {Code::kUnavailable, "the connection has ended"};
  if (frame.payload.size() > theirs.max_payload) {
    return {Code::kTooBig, "a frame of " + std::to_string(frame.payload.size()) +
                               " bytes, the other end takes " + std::to_string(theirs.max_payload)};
  }
  if (out.empty() || !out.back().joins || out.back().bytes.size() >= kPiece) out.push_back({.joins = true});
  char head[kFrameHead];
  EncodeFrameHead(frame, head);
  out_bytes += kFrameHead + frame.payload.size();
  std::string& tail = out.back().bytes;
  tail.append(head, kFrameHead);
  if (frame.payload.size() <= kSmall || payload == nullptr) {
    tail.append(frame.payload);
  } else {
    out.push_back({.bytes = std::move(*payload)});
  }
  ++counters.frames_out;
  QueueFlush(self);
  return {};
}

void Rep::QueueFlush(const ConnectionPtr& self) {
  if (flush_queued || blocked) return;
  flush_queued = true;
  loop->AtRoundEnd([self] {
    self->rep().flush_queued = false;
    self->rep().Flush(self);
  });
}

void Rep::Flush(const ConnectionPtr& self) {
  if (blocked) return;
  bool more = true;
  while (more && state != State::kClosed) {
    if (tls && !Encrypt(self)) return;
    if (!WriteSome(self, &more)) return;
  }
  if (was_full && out_bytes <= options.max_queue / 2) {
    was_full = false;
    loop->Post([self] {
      if (self->rep().state == State::kOpen && self->rep().events.drained) self->rep().events.drained(*self);
    });
  }
}

// Some of `out` becomes `cipher`.
bool Rep::Encrypt(const ConnectionPtr& self) {
  if (cipher_sent == cipher.size()) {
    cipher.clear();
    cipher_sent = 0;
  }
  tls->TakeWire(&cipher);
  while (state != State::kTls && !out.empty() && cipher.size() < kEncryptAhead) {
    Piece& piece = out.front();
    if (Status s = tls->Write(piece.bytes); !s.ok()) {
      End(self, s, false);
      return false;
    }
    out_bytes -= piece.bytes.size();
    out.pop_front();
    tls->TakeWire(&cipher);
  }
  return true;
}

// One write of what there is. False: the socket takes nothing more now, or the connection has ended.
bool Rep::WriteSome(const ConnectionPtr& self, bool* more) {
  Gather gather;
  size_t total = 0;
  auto add = [&](const std::string& bytes, size_t sent) {
    if (sent == bytes.size()) return;
    gather.buffers[gather.count++] = asio::buffer(bytes.data() + sent, bytes.size() - sent);
    total += bytes.size() - sent;
  };
  if (tls) {
    add(cipher, cipher_sent);
  } else {
    for (auto it = out.begin(); it != out.end() && gather.count < kMaxGather; ++it) add(it->bytes, it->sent);
  }
  *more = false;
  if (total == 0) return true;
  asio::error_code error;
  size_t n = socket.write_some(gather, error);
  if (error && error != asio::error::would_block && error != asio::error::try_again) {
    End(self, FromAsio(error, remote), false);
    return false;
  }
  ++counters.writes;
  counters.bytes_out += n;
  const bool all = n == total;
  if (tls) {
    cipher_sent += n;
  } else {
    out_bytes -= n;
    while (n > 0) {
      Piece& piece = out.front();
      const size_t part = std::min(n, piece.bytes.size() - piece.sent);
      piece.sent += part;
      n -= part;
      if (piece.sent == piece.bytes.size()) out.pop_front();
    }
  }
  *more = !out.empty();
  if (all) return true;
  blocked = true;
  socket.async_wait(Socket::wait_write, [self](const asio::error_code& waited) {
    Rep& rep = self->rep();
    rep.blocked = false;
    if (rep.state == State::kClosed) return;
    if (waited) return rep.End(self, FromAsio(waited, rep.remote), false);
    rep.Flush(self);
  });
  return false;
}

// ---- Watching

void Rep::Look(const ConnectionPtr& self, Duration interval) {
  loop->After(interval, [weak = std::weak_ptr(self), interval] {
    ConnectionPtr c = weak.lock();
    if (!c || c->rep().state == State::kClosed) return;
    Rep& rep = c->rep();
    // Who is not listened to cannot show that it lives.
    rep.silent = std::exchange(rep.heard, false) || rep.pauses > 0 ? Duration::zero() : rep.silent + interval;
    const bool waits = rep.blocked && rep.counters.bytes_out == rep.written_at_look;
    rep.stalled = waits ? rep.stalled + interval : Duration::zero();
    rep.written_at_look = rep.counters.bytes_out;
    if (rep.silent >= rep.options.dead_after)
      return rep.End(c, {Code::kTimedOut, rep.remote + " is silent"}, false);
    if (rep.stalled >= rep.options.stall_limit)
      return rep.End(c, {Code::kTimedOut, rep.remote + " does not take what is sent to it"}, false);
    if (rep.silent >= rep.options.ping_after && !rep.blocked) (void)rep.Queue(c, {.type = kPing}, nullptr);
    rep.Look(c, interval);
  });
}

// ---- The end

void Connection::Close(Status why) {
  if (why.ok()) why = {Code::kUnavailable, "closed"};
  rep_->End(shared_from_this(), why, true);
}

void Connection::Abandon() {
  rep_->started = true;
  rep_->events = {};
  rep_->ready = nullptr;
  rep_->End(shared_from_this(), {Code::kUnavailable, "closed"}, true);
}

void Rep::End(const ConnectionPtr& self, const Status& why, bool tell) {
  if (state == State::kClosed) return;
  if (tell && state != State::kTls && !blocked) {
    const std::string status = EncodeStatus(why);
    std::string bytes;
    // A goodbye in place of a handshake needs the preface too.
    if (state == State::kHello && !dials) bytes.append(kPreface);
    AppendFrame({.type = kGoodbye, .payload = status}, &bytes);
    out_bytes += bytes.size();
    out.push_back({.bytes = std::move(bytes)});
    Flush(self);
    if (state == State::kClosed) return;
  }
  state = State::kClosed;
  asio::error_code ignored;
  socket.shutdown(Socket::shutdown_both, ignored);
  socket.close(ignored);
  core->sockets.erase(self.get());
  out.clear();
  out_bytes = 0;
  admit = nullptr;
  // The callbacks go into the task, so that they do not keep their owner, and that us, if it never runs.
  auto call = std::exchange(ready, nullptr);
  if (!started && !call) return;
  loop->Post([self, why, call = std::move(call), closed = std::exchange(events, {}).closed] {
    if (call) call(why, nullptr);
    if (closed) closed(*self, why);
  });
}

bool Connection::open() const {
  return rep_->state == Rep::State::kOpen;
}
bool Connection::full() const {
  return rep_->out_bytes >= rep_->options.max_queue;
}
size_t Connection::queued_bytes() const {
  return rep_->out_bytes;
}
const Hello& Connection::mine() const {
  return rep_->mine;
}
const Hello& Connection::theirs() const {
  return rep_->theirs;
}
const std::string& Connection::remote() const {
  return rep_->remote;
}
AsioLoop& Connection::loop() const {
  return *rep_->loop;
}
const ConnectionCounters& Connection::counters() const {
  return rep_->counters;
}

}  // namespace curvefs::net
