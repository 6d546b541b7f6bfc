// A process of a cluster, as a thread: a loop, an engine, a log on a simulated disk, a host with groups of
// registers (test/sim/machine.h), and the real wire to the others.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "net/listener.h"
#include "raft/host.h"
#include "raft/net_transport.h"
#include "test/sim/machine.h"
#include "test/support/sim_disk.h"

namespace curvefs::test {

using raft::GroupId;
using raft::Index;
using raft::ProcessId;
using raft::ReplicaId;

struct ProcessOptions {
  size_t processes = 3;  // each group has a replica on every one of them
  size_t groups = 1;
  Duration tick = std::chrono::milliseconds(100);
  raft::GroupOptions raft;
  raft::NetTransportOptions wire;
};

class Process final : public raft::NetTransport::Receiver, public raft::LogSyncer {
 public:
  // Goes on from what `disk` has; it outlives the process. The port is free for one that comes back.
  Process(ProcessId id, const ProcessOptions& options, SimDisk& disk, uint16_t port = 0);
  ~Process() override;  // ends at once, without a word to the others

  const net::Address& address() const { return listener_->address(); }
  void Knows(ProcessId other, const net::Address& address) { transport_->SetPeer(other, address); }
  void Run();  // begins

  // Runs `call` on the loop and waits for it.
  void On(const std::function<void()>& call);
  // How many groups this process leads.
  size_t Leads();
  // Proposes; 0 if it is not the leader or the outcome is another one, else the index.
  Index Write(GroupId group, uint64_t key, uint64_t value);
  // What a linearizable read says; empty if it is not the leader.
  Result<uint64_t> Read(GroupId group, uint64_t key);
  Index Applied(GroupId group);
  std::string Dump(GroupId group);
  raft::NetTransport& transport() { return *transport_; }
  uint64_t rounds() const { return rounds_; }
  uint64_t runs();  // of the engine

  static ReplicaId ReplicaOf(ProcessId process, GroupId group) {
    return ReplicaId(group.value * 10 + process);
  }

  // ---- raft::NetTransport::Receiver, raft::LogSyncer
  Loop* LoopOf(GroupId) override { return &loop_; }
  void Receive(raft::Message message) override { host_->Receive(std::move(message)); }
  void Receive(raft::SnapshotChunk chunk) override { host_->Receive(std::move(chunk)); }
  void Receive(raft::SnapshotReply reply) override { host_->Receive(reply); }
  void Unreachable(GroupId group, ReplicaId replica) override { host_->ReportUnreachable(group, replica); }
  void Sync(std::function<void(Status)> done) override;

 private:
  void OpenGroup(GroupId group, bool create);
  void Tick();

  const ProcessId id_;
  const ProcessOptions options_;
  SimDisk& disk_;
  net::AsioLoop loop_;
  std::unique_ptr<raft::LogStore> log_;
  std::unique_ptr<raft::Engine> engine_;
  std::unique_ptr<raft::NetTransport> transport_;
  std::unique_ptr<net::Listener> listener_;
  std::map<GroupId, std::unique_ptr<sim::RegisterMachine>> machines_;
  std::unique_ptr<raft::Host> host_;
  std::atomic<uint64_t> rounds_ = 0;
  std::atomic<bool> running_ = false;
  std::atomic<bool> ended_ = false;
};

}  // namespace curvefs::test
