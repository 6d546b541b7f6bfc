// NetTransport: the way to the peers over src/net.
//
// One connection for each pair of processes carries the messages of all their groups, packed: what the groups
// send in one round of a loop is one frame for each peer, so the heartbeats of hundreds of groups cost one
// frame per tick. Snapshots have a connection of their own, and a limit to their rate.
//
// In order per peer; bounded: what does not fit, or has no connection, is dropped, and the receiver is told
// which replicas may have missed something.
//
//   NetTransport transport(loop, self, options);
//   transport.Start(receiver);
//   transport.SetPeer(2, {"10.0.0.2", 8200});
//   Host host(…, transport, …);
//   listener: {.connected = [&](net::ConnectionPtr c) { transport.Adopt(std::move(c)); }}
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/dialer.h"
#include "raft/seams.h"

namespace curvefs::raft {

using ProcessId = uint64_t;  // of a metaserver; never 0

struct NetTransportOptions {
  net::ConnectionOptions connection;
  std::string cluster;
  // If a replica's id says where it is: what somebody sends in the name of another's replica is refused.
  // None: whoever sends is believed.
  std::function<ProcessId(ReplicaId)> process_of;
  uint64_t incarnation = 0;                       // 0: drawn by chance
  Duration alive_every{};                         // peers are told that we live; none: groups do not sleep …
  Duration heard_for{};                           // … and are believed to live for so long (Transport::Hears)
  size_t max_peer_bytes = 32 << 20;               // messages that wait for one peer; more are dropped
  size_t pack_bytes = 256 << 10;                  // a frame that is so large is not packed further
  uint64_t snapshot_bytes_per_second = 64 << 20;  // to one peer; 0: no limit
  size_t max_snapshot_bytes = 8 << 20;            // pieces that wait for one peer; more are dropped
  Duration min_pause = std::chrono::milliseconds(50), max_pause = std::chrono::seconds(1);  // of dialling
  Duration dial_grace = std::chrono::seconds(1);  // the process with the larger id dials if nobody has come
};

struct NetTransportCounters {
  uint64_t messages_out = 0, messages_in = 0, frames_out = 0, frames_in = 0, bytes_out = 0, bytes_in = 0;
  uint64_t dropped = 0;    // messages without a connection, a route or room
  uint64_t malformed = 0;  // connections that were ended for what they sent
  uint64_t chunks_out = 0, chunks_dropped = 0;
};

class NetTransport final : public Transport {
 public:
  // Who gets what comes.
  class Receiver {
   public:
    virtual ~Receiver() = default;
    // The loop that owns the group, or none: then it is dropped. On the transport's loop.
    virtual Loop* LoopOf(GroupId group) = 0;
    // On that loop.
    virtual void Receive(Message message) = 0;
    virtual void Receive(SnapshotChunk chunk) = 0;
    virtual void Receive(SnapshotReply reply) = 0;
    // Something that was sent to this replica may be lost: Host::ReportUnreachable.
    virtual void Unreachable(GroupId group, ReplicaId replica) = 0;
  };

  // Constructed, started and destroyed on the loop, which outlives it. A listener for it is on that loop too,
  // or has it as its first lane; a Hello with our id as the sender is what it says.
  NetTransport(net::AsioLoop& loop, ProcessId self, NetTransportOptions options);
  ~NetTransport() override;
  void Start(Receiver& receiver);  // outlives it, and the tasks of its loops
  // A connection that came to our listener, with the role kPeer or kPeerSnapshots. On the loop.
  void Adopt(net::ConnectionPtr connection);
  // What the listener should say to a peer: Listener::Events::admit, for these roles. On the loop.
  Status Admit(const net::Hello& theirs, net::Hello* reply);

  // ---- Thread-safe
  // Where a process is. A change ends the connection to the old address.
  void SetPeer(ProcessId peer, net::Address address);
  void RemovePeer(ProcessId peer);
  // Which process a replica is on. Who has sent us something is known without.
  void SetRoute(GroupId group, ReplicaId replica, ProcessId process);
  void RemoveRoutes(GroupId group);

  void Send(Message message) override;
  void Send(SnapshotChunk chunk) override;
  void Send(SnapshotReply reply) override;
  bool Hears(GroupId group, ReplicaId replica) const override;

  bool connected(ProcessId peer) const;
  NetTransportCounters counters() const;

  struct Rep;  // net_transport.cc

 private:
  std::shared_ptr<Rep> rep_;
};

}  // namespace curvefs::raft
