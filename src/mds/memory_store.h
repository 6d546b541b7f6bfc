// MemoryStore: a coordination store in memory, for tests: every client has a Coordinator of its own, time is
// the loop's, and what goes wrong is told from outside. One thread. Never faster than `delay` in each
// direction, so that a callback comes later than its call.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/loop.h"
#include "mds/coordinator.h"

namespace curvefs::mds {

class MemoryStore {
 public:
  struct Options {
    Duration delay = std::chrono::milliseconds(1);
    Duration least_lease = std::chrono::seconds(1);
  };
  // What becomes of one commit on its way.
  struct Fault {
    bool lose_reply = false;
    bool lose_request = false;
    Duration late = Duration();  // it arrives so much later; nobody waits for the reply any more
  };

  explicit MemoryStore(Loop& loop);
  MemoryStore(Loop& loop, Options options);
  ~MemoryStore();

  // A client's. It may be gone before or after the store.
  std::unique_ptr<Coordinator> Connect(const std::string& client);

  // ---- Faults
  // Nothing gets from the client to the store, nor back. Changes that wait for an answer end unknown.
  void Cut(const std::string& client, bool cut);
  // The client's watches say nothing, while its calls are answered.
  void Deafen(const std::string& client, bool deaf);
  // The store answers nobody, and its leases stand still; when it is back they have their full time again (as
  // etcd does when a member becomes its leader).
  void SetDown(bool down);
  // These leases end now: what a store does that lost its clock while it elected a leader.
  void Lapse(const std::vector<LeaseId>& leases);
  void LapseAll();
  void Compact(Revision revision);  // what was before it is forgotten
  // Asked for every commit that comes from a client that is not cut off.
  void OnCommit(std::function<Fault(const std::string& client, const Transaction&)> f) {
    fault_ = std::move(f);
  }
  // Told of every commit that was made.
  void Watcher(std::function<void(const std::string& client, const Transaction&, Revision)> f) {
    watcher_ = std::move(f);
  }

  // ---- What is there
  const std::map<std::string, Entry>& entries() const { return entries_; }
  std::vector<LeaseId> leases() const;
  Revision revision() const { return revision_; }

 private:
  friend class MemoryCoordinator;
  friend class MemoryWatch;
  struct Lease {
    Duration time;
    SteadyTime end;
    std::set<std::string> keys;
  };

  bool reachable(const std::string& client) const { return !down_ && !cut_.contains(client); }
  Result<Outcome> Apply(const std::string& client, const Transaction& transaction);
  void Change(const mds::Change& change, Revision revision);
  void EndLease(LeaseId id);
  void AwaitLapse(LeaseId id);
  void Poke();  // every watch

  Loop& loop_;
  const Options options_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::map<std::string, Entry> entries_;
  std::vector<Event> history_;  // by revision
  Revision revision_ = 1, forgotten_ = 0;
  std::map<LeaseId, Lease> leases_;
  int64_t last_lease_ = 0x1000;
  std::set<std::string> cut_, deaf_;
  bool down_ = false;
  std::set<class MemoryWatch*> watches_;
  std::function<Fault(const std::string&, const Transaction&)> fault_;
  std::function<void(const std::string&, const Transaction&, Revision)> watcher_;
};

}  // namespace curvefs::mds
