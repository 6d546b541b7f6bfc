#include "raft/net_transport.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <random>
#include <unordered_map>
#include <variant>

#include "base/log.h"
#include "raft/peer_queue.h"

namespace curvefs::raft {
namespace {

constexpr Duration kOverflowPause = std::chrono::milliseconds(100);  // between reports of messages dropped
constexpr Duration kPiecesIdle =
    std::chrono::seconds(60);                   // a connection for snapshots without use is closed
constexpr size_t kPiecesQueue = 2 << 20;        // bytes of pieces in a connection's queue
constexpr size_t kMaxRoutes = 2 * kMaxMembers;  // of one group that are learnt

using net::ConnectionPtr;
using Item = std::variant<Message, SnapshotReply, SnapshotChunk>;

struct Peer {
  Peer(ProcessId i, PeerQueue::Limits limits) : id(i), queue(limits) {}
  const ProcessId id;
  PeerQueue queue;
  std::atomic<bool> overflowed = false;  // a report is on its way
  std::atomic<int64_t> heard_at = 0;  // by the loop's clock, of this connection's other end; 0: no connection

  // On the loop.
  std::optional<net::Address> address;
  bool removed = false;
  std::unique_ptr<net::Dialer> dialer;
  ConnectionPtr link;
  bool spoken = false;           // since the last Beat
  std::optional<Code> reported;  // why it cannot be reached: once for each cause is enough
  std::unique_ptr<net::Dialer> piece_dialer;
  ConnectionPtr pieces_out, pieces_in;
  SteadyTime last_piece{};
};
using PeerPtr = std::shared_ptr<Peer>;

std::string Name(const Peer& peer) {
  return "metaserver " + std::to_string(peer.id) + (peer.address ? " at " + peer.address->ToString() : "");
}

}  // namespace

struct NetTransport::Rep : std::enable_shared_from_this<NetTransport::Rep> {
  Rep(net::AsioLoop& l, ProcessId s, NetTransportOptions o) : loop(l), self(s), options(std::move(o)) {
    if (options.incarnation == 0) {
      std::random_device chance;
      options.incarnation = (uint64_t{chance()} << 32 | chance()) | 1;
    }
  }

  net::AsioLoop& loop;
  const ProcessId self;
  NetTransportOptions options;
  Receiver* receiver = nullptr;
  bool closed = false;

  mutable SharedMutex mu;  // before those of the queues
  std::unordered_map<ProcessId, PeerPtr> peers CURVEFS_GUARDED_BY(mu);
  std::unordered_map<GroupId, std::vector<std::pair<ReplicaId, ProcessId>>> routes CURVEFS_GUARDED_BY(mu);

  struct {
    std::atomic<uint64_t> messages_out, messages_in, frames_out, frames_in, bytes_out, bytes_in, dropped,
        malformed, chunks_out, chunks_dropped;
  } counters{};

  // The bucket of the snapshots' rate: bytes, may be in debt.
  double tokens = 0;
  SteadyTime filled{};
  bool pump_planned = false;

  PeerPtr FindPeer(ProcessId id, bool make);
  PeerPtr PeerOf(GroupId group, ReplicaId replica) const;
  std::vector<PeerPtr> Peers() const;
  void Learn(GroupId group, ReplicaId replica, ProcessId process);
  void OnLoop(std::function<void()> call);

  net::DialerOptions DialOptions(const Peer& peer, net::Role role) const;
  void SetAddress(const PeerPtr& peer, std::optional<net::Address> address);
  void Consider(const PeerPtr& peer);
  void Dial(const PeerPtr& peer);
  void UseLink(const PeerPtr& peer, ConnectionPtr connection);
  void OnLinkClosed(const PeerPtr& peer, const Status& why);
  void DropLinks(const PeerPtr& peer);
  void Flush(const PeerPtr& peer);
  void Beat();
  void NoteHeard(Peer& peer) { peer.heard_at = loop.clock().Steady().time_since_epoch().count(); }
  void ReportLost(const PeerPtr& peer);
  void Overflow(const PeerPtr& peer);

  void UsePieces(const PeerPtr& peer, ConnectionPtr connection);
  void DialPieces(const PeerPtr& peer);
  void PlanIdleCheck(const PeerPtr& peer, Duration after);
  void PumpPieces();
  bool SendPiece(Peer& peer);

  Status CheckSender(const Peer& peer, ReplicaId from) const;
  void OnPack(const PeerPtr& peer, net::Connection& c, const net::Frame& frame);
  void OnPiece(const PeerPtr& peer, net::Connection& c, const net::Frame& frame);
  void HandOver(std::vector<std::pair<Loop*, std::vector<Item>>> batches);
  void Close();
};

using Rep = NetTransport::Rep;

// ---- Who is where

PeerPtr Rep::FindPeer(ProcessId id, bool make) {
  {
    ReaderLock lock(mu);
    auto it = peers.find(id);
    if (it != peers.end()) return it->second;
  }
  if (!make) return nullptr;
  WriterLock lock(mu);
  PeerPtr& peer = peers[id];
  if (!peer) {
    peer = std::make_shared<Peer>(id, PeerQueue::Limits{.bytes = options.max_peer_bytes,
                                                        .pack = options.pack_bytes,
                                                        .snapshot_bytes = options.max_snapshot_bytes});
  }
  return peer;
}

PeerPtr Rep::PeerOf(GroupId group, ReplicaId replica) const {
  ReaderLock lock(mu);
  auto it = routes.find(group);
  if (it == routes.end()) return nullptr;
  for (const auto& [r, process] : it->second) {
    if (r != replica) continue;
    auto peer = peers.find(process);
    return peer == peers.end() ? nullptr : peer->second;
  }
  return nullptr;
}

std::vector<PeerPtr> Rep::Peers() const {
  ReaderLock lock(mu);
  std::vector<PeerPtr> all;
  for (const auto& [id, peer] : peers) all.push_back(peer);
  return all;
}

// Whoever has sent something for a replica is where that replica is.
void Rep::Learn(GroupId group, ReplicaId replica, ProcessId process) {
  {
    ReaderLock lock(mu);
    auto it = routes.find(group);
    if (it != routes.end()) {
      const auto& known = it->second;
      if (std::find(known.begin(), known.end(), std::pair(replica, process)) != known.end()) return;
    }
  }
  WriterLock lock(mu);
  auto& known = routes[group];
  auto it = std::find_if(known.begin(), known.end(), [&](const auto& r) { return r.first == replica; });
  if (it != known.end()) {
    it->second = process;
  } else if (known.size() < kMaxRoutes) {
    known.emplace_back(replica, process);
  }
}

// In this round if we are on the loop, else in one of its next.
void Rep::OnLoop(std::function<void()> call) {
  if (loop.InLoop()) return loop.AtRoundEnd(std::move(call));
  loop.Post(std::move(call));
}

// ---- The connection for messages

net::DialerOptions Rep::DialOptions(const Peer& peer, net::Role role) const {
  net::DialerOptions dial{.address = *peer.address,
                          .connection = options.connection,
                          .hello = {.role = role,
                                    .sender = self,
                                    .receiver = peer.id,
                                    .incarnation = options.incarnation,
                                    .cluster = options.cluster},
                          .min_pause = options.min_pause,
                          .max_pause = options.max_pause};
  if (role == net::Role::kPeerSnapshots) dial.connection.max_queue = kPiecesQueue;
  return dial;
}

void Rep::SetAddress(const PeerPtr& peer, std::optional<net::Address> address) {
  if (closed || (address && peer->address == address)) return;
  if (peer->address || !address) DropLinks(peer);
  peer->removed = !address;
  peer->address = std::move(address);
  Consider(peer);
}

// Of two processes the one with the smaller id dials. The other one does it too when nobody has come for so
// long: perhaps its own address is not known there.
void Rep::Consider(const PeerPtr& peer) {
  if (closed || !peer->address || peer->link || peer->dialer) return;
  if (self < peer->id) return Dial(peer);
  loop.After(options.dial_grace, [weak = weak_from_this(), peer] {
    auto rep = weak.lock();
    if (rep && !rep->closed && peer->address && !peer->link && !peer->dialer) rep->Dial(peer);
  });
}

void Rep::Dial(const PeerPtr& peer) {
  peer->dialer = std::make_unique<net::Dialer>(
      loop, DialOptions(*peer, net::Role::kPeer),
      net::Dialer::Events{.connected =
                              [weak = weak_from_this(), peer](ConnectionPtr c) {
                                if (auto rep = weak.lock()) rep->UseLink(peer, std::move(c));
                              },
                          .failed =
                              [weak = weak_from_this(), peer](const Status& why) {
                                auto rep = weak.lock();
                                if (!rep || peer->reported == why.code()) return;
                                peer->reported = why.code();
                                Log(LogLevel::kWarning,
                                    Name(*peer) + " cannot be reached: " + why.ToString());
                                rep->ReportLost(peer);
                              }});
}

// The newest connection counts: whoever made it knows that the one before is of no use. So both ends come to
// use the same one, and what was sent on one is never mixed with what is sent on the next.
void Rep::UseLink(const PeerPtr& peer, ConnectionPtr connection) {
  if (closed || peer->removed) return connection->Abandon();
  if (peer->link) {
    std::exchange(peer->link, nullptr)->Abandon();
    peer->queue.Close();
    ReportLost(peer);
  }
  peer->link = connection;
  peer->reported.reset();
  connection->Start({.frame =
                         [weak = weak_from_this(), peer](net::Connection& c, const net::Frame& frame) {
                           if (auto rep = weak.lock()) rep->OnPack(peer, c, frame);
                         },
                     .drained =
                         [weak = weak_from_this(), peer](net::Connection&) {
                           if (auto rep = weak.lock()) rep->Flush(peer);
                         },
                     .closed =
                         [weak = weak_from_this(), peer](net::Connection& c, const Status& why) {
                           auto rep = weak.lock();
                           if (rep && peer->link.get() == &c) rep->OnLinkClosed(peer, why);
                         }});
  NoteHeard(*peer);
  peer->queue.Open();
  Log(LogLevel::kInfo, Name(*peer) + " is connected");
}

void Rep::OnLinkClosed(const PeerPtr& peer, const Status& why) {
  Log(LogLevel::kWarning, "the connection with " + Name(*peer) + " is lost: " + why.ToString());
  peer->link = nullptr;
  peer->heard_at = 0;
  peer->queue.Close();
  ReportLost(peer);
  if (peer->dialer) return peer->dialer->Redial();
  Consider(peer);
}

void Rep::DropLinks(const PeerPtr& peer) {
  peer->dialer.reset();
  peer->piece_dialer.reset();
  for (ConnectionPtr* c : {&peer->link, &peer->pieces_out, &peer->pieces_in}) {
    if (*c) std::exchange(*c, nullptr)->Abandon();
  }
  peer->heard_at = 0;
  peer->queue.Close();
  peer->queue.ForgetChunks();
}

void Rep::Flush(const PeerPtr& peer) {
  // A full connection calls `drained`.
  while (peer->link && peer->link->open() && !peer->link->full()) {
    auto pack = peer->queue.TakePack();
    if (!pack) return;
    peer->spoken = true;
    ++counters.frames_out;
    counters.bytes_out += pack->size() + net::kFrameHead;
    (void)peer->link->SendAnyway(kPack, 0, 0, *std::move(pack));
  }
}

// Whoever gets nothing else gets a pack with nothing in it.
void Rep::Beat() {
  for (const PeerPtr& peer : Peers()) {
    if (!std::exchange(peer->spoken, false) && peer->link && peer->link->open() && !peer->link->full())
      (void)peer->link->SendAnyway(kPack, 0, 0, {});
  }
  loop.After(options.alive_every, [weak = weak_from_this()] {
    if (auto rep = weak.lock(); rep && !rep->closed) rep->Beat();
  });
}

// All groups with a replica there learn that something may be lost.
void Rep::ReportLost(const PeerPtr& peer) {
  if (receiver == nullptr) return;
  std::map<Loop*, std::vector<std::pair<GroupId, ReplicaId>>> lost;
  std::vector<std::pair<GroupId, ReplicaId>> there;
  {
    ReaderLock lock(mu);
    for (const auto& [group, replicas] : routes) {
      for (const auto& [replica, process] : replicas) {
        if (process == peer->id) there.emplace_back(group, replica);
      }
    }
  }
  for (const auto& [group, replica] : there) {
    if (Loop* owner = receiver->LoopOf(group)) lost[owner].emplace_back(group, replica);
  }
  for (auto& [owner, replicas] : lost) {
    owner->Post([to = receiver, replicas = std::move(replicas)] {
      for (const auto& [group, replica] : replicas) to->Unreachable(group, replica);
    });
  }
}

// From any thread.
void Rep::Overflow(const PeerPtr& peer) {
  if (peer->overflowed.exchange(true)) return;
  loop.After(kOverflowPause, [weak = weak_from_this(), peer] {
    auto rep = weak.lock();
    if (!rep || rep->closed) return;
    peer->overflowed = false;
    rep->ReportLost(peer);
  });
}

// ---- The connection for snapshots: only the side that sends them dials

void Rep::DialPieces(const PeerPtr& peer) {
  if (closed || peer->piece_dialer || peer->pieces_out) return;
  peer->last_piece = loop.clock().Steady();
  if (!peer->address) return peer->queue.ForgetChunks();
  peer->piece_dialer =
      std::make_unique<net::Dialer>(loop, DialOptions(*peer, net::Role::kPeerSnapshots),
                                    net::Dialer::Events{.connected =
                                                            [weak = weak_from_this(), peer](ConnectionPtr c) {
                                                              if (auto rep = weak.lock())
                                                                rep->UsePieces(peer, std::move(c));
                                                            },
                                                        .failed =
                                                            [weak = weak_from_this(), peer](const Status&) {
                                                              // Whoever sends the snapshot repeats the piece.
                                                              peer->queue.ForgetChunks();
                                                              peer->piece_dialer.reset();
                                                            }});
}

void Rep::UsePieces(const PeerPtr& peer, ConnectionPtr connection) {
  peer->piece_dialer.reset();
  peer->pieces_out = connection;
  connection->Start(
      {.frame = [](net::Connection& c,
                   const net::Frame&) { c.Close({Code::kCorrupt, "nothing is expected here"}); },
       .drained =
           [weak = weak_from_this()](net::Connection&) {
             if (auto rep = weak.lock()) rep->PumpPieces();
           },
       .closed =
           [peer](net::Connection& c, const Status&) {
             if (peer->pieces_out.get() != &c) return;
             peer->pieces_out = nullptr;
             peer->queue.ForgetChunks();
           }});
  PlanIdleCheck(peer, kPiecesIdle);
  PumpPieces();
}

void Rep::PlanIdleCheck(const PeerPtr& peer, Duration after) {
  loop.After(after, [weak = weak_from_this(), peer, c = std::weak_ptr(peer->pieces_out)] {
    auto rep = weak.lock();
    auto connection = c.lock();
    if (!rep || !connection || connection != peer->pieces_out) return;
    const Duration idle = rep->loop.clock().Steady() - peer->last_piece;
    if (idle < kPiecesIdle) return rep->PlanIdleCheck(peer, kPiecesIdle - idle);
    peer->pieces_out = nullptr;
    connection->Abandon();
  });
}

// One piece for each peer in turn, as far as the rate allows.
void Rep::PumpPieces() {
  if (closed) return;
  const auto rate = static_cast<double>(options.snapshot_bytes_per_second);
  const SteadyTime now = loop.clock().Steady();
  if (rate > 0) {
    const double most = rate / 20;
    tokens = std::min(most, tokens + rate * std::chrono::duration<double>(now - filled).count());
    filled = now;
  }
  const std::vector<PeerPtr> all = Peers();
  for (bool sent = true; sent;) {
    sent = false;
    for (const PeerPtr& peer : all) {
      if (!peer->pieces_out || !peer->pieces_out->open() || peer->pieces_out->full()) continue;
      if (rate == 0 || tokens > 0) {
        sent |= SendPiece(*peer);
        continue;
      }
      if (std::exchange(pump_planned, true)) return;
      const auto wait = static_cast<int64_t>((1 - tokens) / rate * 1e9);
      loop.After(std::max<Duration>(Duration(wait), std::chrono::milliseconds(1)), [weak = weak_from_this()] {
        auto rep = weak.lock();
        if (!rep) return;
        rep->pump_planned = false;
        rep->PumpPieces();
      });
      return;
    }
  }
}

bool Rep::SendPiece(Peer& peer) {
  auto chunk = peer.queue.TakeChunk();
  if (!chunk) return false;
  std::string bytes;
  bytes.reserve(chunk->data.size() + 256);
  EncodeChunk(*chunk, &bytes);
  tokens -= static_cast<double>(bytes.size());
  peer.last_piece = loop.clock().Steady();
  ++counters.chunks_out;
  (void)peer.pieces_out->SendAnyway(kPiece, 0, 0, std::move(bytes));
  return true;
}

// ---- What comes

// Else a message could turn the way to a replica to somebody who has none.
Status Rep::CheckSender(const Peer& peer, ReplicaId from) const {
  if (!options.process_of || options.process_of(from) == peer.id) return {};
  return {Code::kCorrupt, "a message of replica " + std::to_string(from.value) + ", which is not there"};
}

void Rep::OnPack(const PeerPtr& peer, net::Connection& c, const net::Frame& frame) {
  NoteHeard(*peer);
  ++counters.frames_in;
  counters.bytes_in += frame.payload.size() + net::kFrameHead;
  std::vector<std::pair<Loop*, std::vector<Item>>> batches;
  auto add = [&](GroupId group, ReplicaId from, Item item) {
    ++counters.messages_in;
    Loop* owner = receiver->LoopOf(group);
    if (owner == nullptr) return;
    Learn(group, from, peer->id);
    auto it = std::find_if(batches.begin(), batches.end(), [&](auto& b) { return b.first == owner; });
    if (it == batches.end()) it = batches.insert(batches.end(), {owner, {}});
    it->second.push_back(std::move(item));
  };
  Status s = frame.type == kPack && frame.flags == 0 ? Status() : Status(Code::kCorrupt, "not a pack");
  if (s.ok()) {
    s = Unpack(frame.payload, [&](PackItem kind, std::string_view bytes) -> Status {
      if (kind == PackItem::kMessage) {
        CURVEFS_TRY(Message message, DecodeMessage(bytes));
        CURVEFS_CHECK_OK(CheckSender(*peer, message.from));
        add(message.group, message.from, std::move(message));
      } else {
        CURVEFS_TRY(SnapshotReply reply, DecodeReply(bytes));
        CURVEFS_CHECK_OK(CheckSender(*peer, reply.from));
        add(reply.group, reply.from, reply);
      }
      return {};
    });
  }
  HandOver(std::move(batches));
  if (s.ok()) return;
  ++counters.malformed;
  Log(LogLevel::kWarning, Name(*peer) + " sent what is not understood: " + s.ToString());
  c.Close(s);
}

void Rep::OnPiece(const PeerPtr& peer, net::Connection& c, const net::Frame& frame) {
  Result<SnapshotChunk> chunk = Fail(Code::kCorrupt, "not a piece of a snapshot");
  if (frame.type == kPiece && frame.flags == 0) chunk = DecodeChunk(frame.payload);
  Status s = chunk ? CheckSender(*peer, chunk->from) : chunk.error();
  if (!s.ok()) {
    ++counters.malformed;
    return c.Close(std::move(s));
  }
  Loop* owner = receiver->LoopOf(chunk->group);
  if (owner == nullptr) return;
  Learn(chunk->group, chunk->from, peer->id);
  std::vector<std::pair<Loop*, std::vector<Item>>> batches(1);
  batches[0].first = owner;
  batches[0].second.push_back(*std::move(chunk));
  HandOver(std::move(batches));
}

void Rep::HandOver(std::vector<std::pair<Loop*, std::vector<Item>>> batches) {
  for (auto& [owner, items] : batches) {
    auto receive = [to = receiver, items = std::move(items)]() mutable {
      for (Item& item : items) std::visit([&](auto& i) { to->Receive(std::move(i)); }, item);
    };
    if (owner == &loop) {
      receive();
    } else {
      owner->Post(std::move(receive));
    }
  }
}

void Rep::Close() {
  closed = true;
  for (const PeerPtr& peer : Peers()) DropLinks(peer);
}

// ---- NetTransport

NetTransport::NetTransport(net::AsioLoop& loop, ProcessId self, NetTransportOptions options)
    : rep_(std::make_shared<Rep>(loop, self, std::move(options))) {
  CURVEFS_CHECK(self != 0);
}

NetTransport::~NetTransport() {
  rep_->Close();
}

void NetTransport::Start(Receiver& receiver) {
  CURVEFS_CHECK(rep_->receiver == nullptr);
  rep_->receiver = &receiver;
  for (const PeerPtr& peer : rep_->Peers()) rep_->Consider(peer);
  if (rep_->options.alive_every > Duration()) rep_->Beat();
}

Status NetTransport::Admit(const net::Hello& theirs, net::Hello* reply) {
  if (theirs.sender == 0 || theirs.sender == rep_->self)
    return {Code::kInvalid, "a peer with the id " + std::to_string(theirs.sender)};
  if (rep_->receiver == nullptr) return {Code::kUnavailable, "not ready yet"};
  PeerPtr peer = rep_->FindPeer(theirs.sender, false);
  if (peer && peer->removed) return {Code::kInvalid, "this metaserver was removed from the cluster"};
  reply->sender = rep_->self;
  reply->incarnation = rep_->options.incarnation;
  return {};
}

void NetTransport::Adopt(net::ConnectionPtr connection) {
  Rep& rep = *rep_;
  const net::Hello& theirs = connection->theirs();
  net::Hello reply;
  if (rep.closed || !Admit(theirs, &reply).ok()) return connection->Abandon();
  PeerPtr peer = rep.FindPeer(theirs.sender, true);
  if (theirs.role == net::Role::kPeer) {
    peer->dialer.reset();
    return rep.UseLink(peer, std::move(connection));
  }
  if (theirs.role != net::Role::kPeerSnapshots || peer->removed) return connection->Abandon();
  if (peer->pieces_in) peer->pieces_in->Abandon();
  peer->pieces_in = connection;
  connection->Start({.frame =
                         [weak = rep.weak_from_this(), peer](net::Connection& c, const net::Frame& frame) {
                           if (auto r = weak.lock()) r->OnPiece(peer, c, frame);
                         },
                     .closed =
                         [peer](net::Connection& c, const Status&) {
                           if (peer->pieces_in.get() == &c) peer->pieces_in = nullptr;
                         }});
}

void NetTransport::SetPeer(ProcessId id, net::Address address) {
  CURVEFS_CHECK(id != 0 && id != rep_->self);
  rep_->loop.Post([rep = rep_, peer = rep_->FindPeer(id, true), address = std::move(address)] {
    rep->SetAddress(peer, address);
  });
}

void NetTransport::RemovePeer(ProcessId id) {
  if (PeerPtr peer = rep_->FindPeer(id, false))
    rep_->loop.Post([rep = rep_, peer] { rep->SetAddress(peer, std::nullopt); });
}

void NetTransport::SetRoute(GroupId group, ReplicaId replica, ProcessId process) {
  rep_->Learn(group, replica, process);
}

void NetTransport::RemoveRoutes(GroupId group) {
  WriterLock lock(rep_->mu);
  rep_->routes.erase(group);
}

template <typename T>
static void SendTo(const std::shared_ptr<Rep>& rep, const T& what) {
  PeerPtr peer = rep->PeerOf(what.group, what.to);
  if (!peer) {
    ++rep->counters.dropped;
    return;
  }
  bool first = false;
  Status s = peer->queue.Add(what, &first);
  if (!s.ok()) {
    ++rep->counters.dropped;
    if (s.code() != Code::kUnavailable) rep->Overflow(peer);  // without a connection they know already
    return;
  }
  ++rep->counters.messages_out;
  if (first) rep->OnLoop([rep, peer] { rep->Flush(peer); });
}

void NetTransport::Send(Message message) {
  SendTo(rep_, message);
}

void NetTransport::Send(SnapshotReply reply) {
  SendTo(rep_, reply);
}

void NetTransport::Send(SnapshotChunk chunk) {
  PeerPtr peer = rep_->PeerOf(chunk.group, chunk.to);
  bool first = false;
  if (!peer || !peer->queue.Add(std::move(chunk), &first).ok()) {
    ++rep_->counters.chunks_dropped;
    return;
  }
  if (!first) return;
  rep_->OnLoop([rep = rep_, peer] {
    if (rep->closed) return;
    rep->DialPieces(peer);
    rep->PumpPieces();
  });
}

bool NetTransport::Hears(GroupId group, ReplicaId replica) const {
  PeerPtr peer = rep_->PeerOf(group, replica);
  if (!peer || rep_->options.alive_every == Duration()) return false;
  const int64_t at = peer->heard_at;
  return at != 0 && rep_->loop.clock().Steady() - SteadyTime(Duration(at)) < rep_->options.heard_for;
}

bool NetTransport::connected(ProcessId id) const {
  PeerPtr peer = rep_->FindPeer(id, false);
  return peer && peer->queue.open();
}

NetTransportCounters NetTransport::counters() const {
  const auto& c = rep_->counters;
  return {.messages_out = c.messages_out,
          .messages_in = c.messages_in,
          .frames_out = c.frames_out,
          .frames_in = c.frames_in,
          .bytes_out = c.bytes_out,
          .bytes_in = c.bytes_in,
          .dropped = c.dropped,
          .malformed = c.malformed,
          .chunks_out = c.chunks_out,
          .chunks_dropped = c.chunks_dropped};
}

}  // namespace curvefs::raft
