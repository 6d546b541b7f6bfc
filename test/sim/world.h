// World: a few machines with disks, clocks and a network between them, in one thread, by one seed.
//
// On each machine: a simulated disk, and while it is up a log store, an engine and a host with the replicas
// of one or more groups. All that happens is an event at a time; equal seeds give equal runs, which
// trace_hash() proves.
//
// It watches by itself, all the time: replicas apply the same at the same index, one leader in a term, what
// was acknowledged is in the log for good. What it finds wrong is in failure(), with the seed's trace to look
// at.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "raft/host.h"
#include "test/sim/history.h"
#include "test/sim/machine.h"
#include "test/support/sim_disk.h"

namespace curvefs::sim {

using raft::GroupId;
using raft::Index;
using raft::Members;
using raft::ReplicaId;
using raft::Term;

using Time = uint64_t;  // microseconds
inline constexpr Time kMillisecond = 1000, kSecond = 1'000'000;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  uint64_t Below(uint64_t n) { return n == 0 ? 0 : Next() % n; }
  uint64_t Between(uint64_t low, uint64_t high) { return low + Below(high - low + 1); }
  bool Percent(double p) { return static_cast<double>(Next() % 1'000'000) < p * 10'000; }

 private:
  uint64_t state_;
};

struct WorldOptions {
  uint64_t seed = 1;
  size_t machines = 3;
  size_t groups = 1;
  size_t voters = 3;  // of each group, on the first machines
  raft::GroupOptions raft{.snapshot_entries = 60, .keep_entries = 10, .promote_lag = 20};
  Time tick = 50 * kMillisecond;
  double clock_drift_percent = 10;  // each machine's clock is so much too slow or too fast, at most
  bool lease = false;               // reads by lease …
  double assumed_drift = 0.12;      // … which counts on no more than this
  bool sleep = true;                // idle groups sleep
  // The network, per message.
  double loss_percent = 0, duplicate_percent = 0, late_percent = 0;  // late: up to 300 ms
  Time min_delay = 200, max_delay = 2 * kMillisecond;
  // The disks.
  Time max_sync = 3 * kMillisecond;
  double slow_sync_percent = 0;  // up to 400 ms
  double failed_sync_percent = 0;
  bool syncs_are_lies = false;
  bool trace = false;  // to stdout
  // Makes the state of a replica on `disk` below `dir`; RegisterMachine if not set.
  using Make = std::unique_ptr<Machine>(Disk& disk, const Clock& clock, const std::string& dir,
                                        const Members& first, Watcher);
  std::function<Make> make;
  bool housekeeping = true;  // of copysets, once a second
};

class World {
 public:
  explicit World(WorldOptions options);
  ~World();

  // ---- Time
  Time now() const { return now_; }
  void Run(Time duration);
  // Runs until the condition holds; false if it does not within `limit`.
  bool RunUntil(const std::function<bool()>& condition, Time limit = 30 * kSecond);
  void At(Time delay, std::function<void()> call);
  Random& random() { return random_; }

  // ---- Faults
  void Crash(size_t machine);  // power off: what was not synced is lost, in parts
  void Start(size_t machine);
  bool up(size_t machine) const { return machines_[machine].host != nullptr; }
  void Cut(size_t from, size_t to, bool cut);  // one direction
  void Isolate(size_t machine, bool cut);      // both, to all
  void HealNetwork();
  // Clients have nothing to do, so that groups fall asleep. They ask for it themselves.
  void SetLull(bool lull) { lull_ = lull; }
  bool lull() const { return lull_; }
  void SetCalm();  // from now on no loss, no slow disks, no failures of syncs
  // From now on the machine's clock runs so much faster (or, below 1, slower) than true time.
  void SetClockRate(size_t machine, double rate);
  test::SimDisk& disk(size_t machine) { return *machines_[machine].disk; }
  WorldOptions& options() { return options_; }

  // ---- Groups
  GroupId group(size_t i) const { return GroupId(i + 1); }
  raft::Group* replica(GroupId group, size_t machine);  // null if it is not there now
  Machine* state(GroupId group, size_t machine);
  int leader(GroupId group);  // the machine of the leader with the highest term, or -1
  ReplicaId replica_on(GroupId group, size_t machine) const;  // none if there is none
  void Campaign(GroupId group, size_t machine);
  // Puts an empty replica on a machine, to be added to the group. Its id is new.
  ReplicaId Join(GroupId group, size_t machine);
  // True if the machine's replica was a member, and by what anybody has applied is none any more.
  bool WasRemoved(GroupId group, size_t machine) const;
  const Members& newest_members(GroupId group) const { return newest_members_.at(group).second; }
  void Leave(GroupId group, size_t machine);  // takes the replica, and its log and state, away

  // ---- Operations, which become the history
  using Done = std::function<void(const Status&)>;
  void Write(GroupId group, size_t machine, uint64_t key, Done done = {});
  void Read(GroupId group, size_t machine, uint64_t key, Done done = {});
  const std::vector<Operation>& history(GroupId group) const { return histories_.at(group); }
  // For operations that a client carries out by itself on the replica's copyset.
  std::vector<Operation>& history(GroupId group) { return histories_.at(group); }
  uint64_t NewValue() { return next_value_++; }
  void Acknowledged() { ++acknowledged_; }
  void Pump(size_t machine) { machines_[machine].host->Pump(); }
  size_t acknowledged() const { return acknowledged_; }

  // ---- Outcome
  void Fail(const std::string& what);
  const std::string& failure() const { return failure_; }
  uint64_t trace_hash() const { return trace_hash_; }
  // Once calm: all replicas of a group have applied the same, every operation is accounted for.
  void CheckSettled(GroupId group);
  void CheckHistory(GroupId group);
  uint64_t events() const { return events_; }
  uint64_t asleep() const { return asleep_; }  // ticks that replicas slept through
  uint64_t snapshots_installed() const { return snapshots_installed_; }
  uint64_t messages() const { return sent_[0]; }
  uint64_t snapshot_chunks() const { return sent_[1]; }
  void Trace(const std::string& what);

 private:
  class Net;
  class Syncer;
  struct Replica {
    ReplicaId id;
    bool joined = false;  // created empty
    std::unique_ptr<Machine> machine;
  };
  // A machine's own time, which is none of the others'.
  struct MachineClock final : Clock {
    explicit MachineClock(const World& w) : world(w) {}
    Timestamp Wall() const override { return {Steady().time_since_epoch().count()}; }
    SteadyTime Steady() const override {
      const auto since = static_cast<double>(world.now_ - from) * 1000;
      return SteadyTime(at + Duration(static_cast<int64_t>(since * rate)));
    }
    void SetRate(double r) {
      at = Steady().time_since_epoch();
      from = world.now_;
      rate = r;
    }
    const World& world;
    Time from = 0;
    Duration at{};
    double rate = 1;
  };
  struct Heard {
    uint64_t epoch = 0;
    Time at = 0;
  };
  struct Server {
    std::map<size_t, Heard> heard;  // of other machines, since the start
    std::unique_ptr<test::SimDisk> disk;
    std::unique_ptr<MachineClock> clock;
    uint64_t epoch = 0;  // counts starts
    Time tick = 0;
    std::map<GroupId, Replica> replicas;  // the ids outlive a crash
    std::unique_ptr<raft::LogStore> log;
    std::unique_ptr<raft::Engine> engine;
    std::unique_ptr<Net> net;
    std::unique_ptr<Syncer> syncer;
    std::unique_ptr<raft::Host> host;
  };
  struct Committed {
    uint64_t hash = 0;   // of all up to here
    uint64_t value = 0;  // written by it
  };

  void Tick(size_t machine, uint64_t epoch);
  void SayAlive(size_t from);
  bool Hears(size_t machine, GroupId group, ReplicaId replica) const;
  void Trim(size_t machine);
  void Housekeep(size_t machine);
  void Deliver(size_t from, ReplicaId to, GroupId group, std::string bytes, int kind);
  void Arrive(size_t to, const std::string& bytes, int kind);
  void OpenReplica(size_t machine, GroupId group, bool create);
  Watcher WatcherFor(size_t machine, GroupId group);
  void OnApplied(GroupId group, size_t machine, const raft::Entry& entry, uint64_t hash);
  std::string Path(GroupId group, ReplicaId id) const;
  void WithMachine(size_t machine, Time delay, std::function<void()> call);
  void OnLeader(GroupId group, Term term, ReplicaId leader);
  void Mix(uint64_t value);

  WorldOptions options_;
  Random random_;
  Time now_ = 0;
  uint64_t events_ = 0, event_number_ = 0;
  std::map<std::pair<Time, uint64_t>, std::function<void()>> queue_;
  std::vector<Server> machines_;
  std::set<std::pair<size_t, size_t>> cuts_;
  std::map<GroupId, std::map<ReplicaId, size_t>> routes_;
  std::map<GroupId, Members> first_members_;
  std::map<GroupId, std::pair<Index, Members>> newest_members_;  // that any replica has applied
  std::map<GroupId, std::set<ReplicaId>> ever_members_;
  uint64_t next_replica_ = 1, next_value_ = 1;

  std::map<GroupId, std::map<Index, Committed>> committed_;
  std::map<GroupId, std::map<uint64_t, Index>> index_of_value_;
  std::map<std::pair<GroupId, Term>, ReplicaId> leaders_;
  std::map<GroupId, std::vector<Operation>> histories_;
  size_t acknowledged_ = 0;
  uint64_t sent_[3] = {};
  uint64_t snapshots_installed_ = 0, asleep_ = 0;
  bool lull_ = false;
  std::string failure_;
  uint64_t trace_hash_ = 0;
};

}  // namespace curvefs::sim
