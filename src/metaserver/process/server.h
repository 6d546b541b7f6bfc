// MetaServer: a metaserver process, without its command line: loops with copysets, the log of the disk, the
// way to the peers, and the calls, which come over the hot wire, gRPC or from a test, and all end in Handle.
//
//   auto server = MetaServer::Start(options);
//   … until SIGTERM …
//   (*server)->Shutdown();
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/mutex.h"
#include "metaserver/handlers.h"
#include "metaserver/process/access.h"
#include "metaserver/process/copyset_loop.h"
#include "metaserver/process/server_dir.h"
#include "metaserver/process/sync_thread.h"
#include "net/listener.h"
#include "net/server.h"
#include "raft/net_transport.h"

namespace curvefs::metaserver {

struct ServerOptions {
  std::string dir;
  MetaserverId id = 0;                         // 0: what the directory says
  net::Address listen;                         // port 0: any
  std::map<MetaserverId, net::Address> peers;  // may hold the own one
  std::string cluster;                         // both ends of every connection must say the same
  std::shared_ptr<net::TlsContext> tls;        // none: plain
  size_t loops = 1;
  Duration tick = std::chrono::milliseconds(60);  // an election takes 10 to 20 of them
  // Leaders read by lease (docs/adr/0009), and the clocks of all metaservers keep true time to within this
  // share; none: every read asks a quorum. All metaservers alike.
  std::optional<double> lease_drift = 0.05;
  ReplicatedOptions copyset;         // a directory that was made with another engine is refused
  uint64_t meta_memory = 256 << 20;  // bytes for the rocksdb engine, of all copysets together
  raft::GroupOptions group;          // its lease is set from the above
  raft::LogOptions log;
  uint64_t snapshot_bytes_per_second = 64 << 20;      // to one replica; 0: no limit
  Duration handover_limit = std::chrono::seconds(3);  // at the end, for leaders elsewhere
  // The engine, and the threads on which it likes to run (raft/etcd/etcd_engine.h): injected, so that only
  // the program links it.
  std::function<std::unique_ptr<raft::Engine>()> make_engine;
  std::function<void(std::function<void()>)> start_thread;
};

class MetaServer final : public raft::NetTransport::Receiver {
 public:
  // Opens the directory, loads what is there, listens. Failures say what to do: kBusy, kExists,
  // kUnsupportedVersion, kNoSpace, kInvalid of the directory; kUnavailable: the address is taken; kCorrupt.
  static Result<std::unique_ptr<MetaServer>> Start(ServerOptions options);
  ~MetaServer() override;  // without Shutdown: as if it were killed

  // Leaders elsewhere take over what is led here, if that can be had within handover_limit.
  void HandOver();
  // Tells the sessions, and ends the loops. Once.
  void Shutdown();

  // ---- Thread-safe
  // One call, by its number on the hot wire. On the loop of the copyset it is worked on at once. The answer
  // may come on any loop, and before Handle returns.
  void Handle(uint16_t method, std::string_view request, Answer answer,
              std::shared_ptr<ClientLink> link = nullptr);
  // The address that it listens on, with the port that it got.
  const net::Address& address() const { return address_; }
  MetaserverId id() const { return dir_->id(); }
  const std::string& dir() const { return options_.dir; }
  size_t loops() const { return loops_.size(); }
  CopysetLoop& LoopFor(raft::GroupId id) { return *loops_[LoopNumber(id, loops_.size())]; }
  CopysetLoop& LoopAt(size_t number) { return *loops_[number]; }
  // Runs `f` on every loop and waits for all of them; not from a loop, and not after Shutdown has begun.
  void OnEveryLoop(const std::function<void(CopysetLoop&)>& f);
  Status Announce(const std::string& text) { return dir_->Announce(text); }  // into LOCK
  uint64_t LogBytes(raft::GroupId id) const;
  // Who has been told of a higher term of office refuses lower ones: kNotPermitted.
  Status CheckOffice(uint64_t term);
  uint64_t office_term() const { return office_term_; }  // the highest that it has been told of
  uint64_t sessions() const { return server_->sessions(); }
  Access& access() { return *access_; }
  void LearnAddress(raft::ReplicaId replica, const std::string& address);
  std::string AddressOf(raft::ReplicaId replica) const;
  std::string MetricsText();

  // ---- raft::NetTransport::Receiver
  Loop* LoopOf(raft::GroupId group) override;
  void Receive(raft::Message message) override;
  void Receive(raft::SnapshotChunk chunk) override;
  void Receive(raft::SnapshotReply reply) override;
  void Unreachable(raft::GroupId group, raft::ReplicaId replica) override;

 private:
  explicit MetaServer(ServerOptions options);
  Status Open();
  Status StartLoops();
  Status Listen();
  void EndLoops();
  void HandleMeta(const MetaMethod& method, CopysetLoop& loop, raft::GroupId id, std::string_view request,
                  Answer answer, std::shared_ptr<ClientLink> link, SteadyTime arrived);

  ServerOptions options_;
  std::unique_ptr<ServerDir> dir_;
  std::unique_ptr<Access> access_;
  std::unique_ptr<raft::LogStore> log_;
  std::unique_ptr<SyncThread> sync_;
  std::unique_ptr<BackgroundThread> background_;
  std::vector<std::unique_ptr<CopysetLoop>> loops_;
  std::unique_ptr<raft::NetTransport> transport_;
  std::unique_ptr<net::Server> server_;
  std::unique_ptr<net::Listener> listener_;
  net::Address address_;
  SteadyTime started_;
  bool ended_ = false;

  // The threads: they may be none of ours to join (start_thread).
  Mutex threads_mu_;
  CondVar threads_changed_;
  size_t loading_ CURVEFS_GUARDED_BY(threads_mu_) = 0, running_ CURVEFS_GUARDED_BY(threads_mu_) = 0;
  Status load_failure_ CURVEFS_GUARDED_BY(threads_mu_);

  mutable Mutex mu_;  // under it the directory writes a small file, when there is a new term of office
  std::map<MetaserverId, net::Address> addresses_ CURVEFS_GUARDED_BY(mu_);
  std::atomic<uint64_t> office_term_{0};

  std::vector<TimeHistogram> method_times_;  // of MetaMethods, in their order
};

}  // namespace curvefs::metaserver
