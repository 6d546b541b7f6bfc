// CopysetLoop: one loop of a metaserver, with the Raft engine and the copysets that live on it.
//
// Which loop a copyset lives on follows from its id alone (LoopNumber), so that requests find it without
// asking.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/metrics.h"
#include "metaserver/handlers.h"
#include "metaserver/process/server_dir.h"
#include "metaserver/process/sync_thread.h"
#include "net/asio_loop.h"
#include "raft/host.h"

namespace curvefs::metaserver {

constexpr size_t LoopNumber(raft::GroupId id, size_t loops) {
  return static_cast<size_t>(id.value % loops);
}

// What is measured of one copyset.
struct CopysetMeters {
  TimeHistogram changes, reads;  // from the request to the answer
};

struct HeldCopyset {
  CopysetDescription description;
  meta::FsContext fs;
  std::unique_ptr<ReplicatedCopyset> copyset;
  raft::Group* group = nullptr;
  MetaTarget target;
  raft::Members routed;  // whose ways the transport knows
  std::shared_ptr<CopysetMeters> meters = std::make_shared<CopysetMeters>();  // shared with who reads them
};

class CopysetLoop {
 public:
  struct Parts {  // all outlive the loop
    Disk* disk = nullptr;
    ServerDir* dir = nullptr;
    raft::LogStore* log = nullptr;
    SyncThread* sync = nullptr;
    BackgroundThread* background = nullptr;
    ReplicatedOptions copyset;
    // Tells the transport where a replica is, and where metaservers are in the net.
    std::function<void(raft::GroupId, raft::ReplicaId)> route;
    std::function<void(raft::GroupId)> forget_routes;
    std::function<std::string(raft::ReplicaId)> address_of;
  };
  CopysetLoop(size_t number, const Parts& parts, std::unique_ptr<raft::Engine> engine,
              const raft::GroupOptions& options, Duration tick);
  ~CopysetLoop();
  void SetTransport(raft::Transport& transport);  // outlives what is on the loop; before Load
  // After Run has returned: closes the copysets; what waits for them fails.
  void Clear();

  // Opens what the disk has of this loop's. Blocks. Then Run, on the same thread, until Stop.
  Status Load(const std::vector<CopysetDescription>& descriptions);
  void Run();
  void Stop();  // thread-safe

  net::AsioLoop& loop() { return loop_; }
  size_t number() const { return number_; }

  // ---- On the loop
  raft::Host& host() { return *host_; }
  HeldCopyset* Find(raft::GroupId id);
  const std::map<raft::GroupId, std::unique_ptr<HeldCopyset>>& copysets() const { return copysets_; }

  // Makes a copyset; `done` later, on the loop. It is durable then. Ok also if it is here already with the
  // same replica; kBusy if it is being made, or is here as another replica.
  void Create(const CopysetDescription& description, std::function<void(Status)> done);
  // Closes it; its log and files are deleted, at once or at the next start.
  Status Destroy(raft::GroupId id);
  // Hands the leadership of all that this loop leads to others; `attempt` says to which. True: nothing is
  // led.
  bool HandOver(uint64_t attempt);

 private:
  void Tick();
  void Housekeep();
  // Replicas that stopped because the disk was full are opened again once it has room: their database takes
  // nothing more after a write that failed. They go on from their log.
  void ReopenTheFull();
  void Reopen(const CopysetDescription& description);
  std::unique_ptr<HeldCopyset> Hold(const CopysetDescription& description);
  Status Add(std::unique_ptr<HeldCopyset> held, bool create);

  const size_t number_;
  const Parts parts_;
  const raft::GroupOptions options_;
  const Duration tick_;
  net::AsioLoop loop_;
  std::unique_ptr<raft::LogSyncer> syncer_;
  std::unique_ptr<Background> background_;
  std::unique_ptr<raft::Engine> engine_;
  std::map<raft::GroupId, std::unique_ptr<HeldCopyset>> copysets_;
  std::unique_ptr<raft::Host> host_;  // goes first: its groups use the copysets
  std::set<raft::GroupId> creating_;  // or being opened again
  SteadyTime look_for_room_;
};

}  // namespace curvefs::metaserver
