#include "test/sim/world.h"

#include <algorithm>
#include <cstdio>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/log.h"
#include "raft/etcd/etcd_engine.h"

namespace curvefs::sim {
namespace {

constexpr int kMessage = 0, kChunk = 1, kReply = 2;
constexpr uint64_t kRefused = ~uint64_t{0};  // key of a write that is nowhere: nobody may ever see it
const char* const kKinds[] = {"message", "snapshot", "snapshot reply"};

}  // namespace

uint64_t Random::Next() {  // splitmix64
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

class World::Net final : public raft::Transport {
 public:
  Net(World& world, size_t machine) : world_(world), machine_(machine) {}
  void Send(raft::Message m) override {
    std::string bytes;
    EncodeMessage(m, &bytes);
    world_.Deliver(machine_, m.to, m.group, std::move(bytes), kMessage);
  }
  void Send(raft::SnapshotChunk chunk) override {
    std::string bytes;
    EncodeChunk(chunk, &bytes);
    world_.Deliver(machine_, chunk.to, chunk.group, std::move(bytes), kChunk);
  }
  void Send(raft::SnapshotReply reply) override {
    std::string bytes;
    EncodeReply(reply, &bytes);
    world_.Deliver(machine_, reply.to, reply.group, std::move(bytes), kReply);
  }
  bool Hears(GroupId group, ReplicaId replica) const override {
    return world_.Hears(machine_, group, replica);
  }

 private:
  World& world_;
  const size_t machine_;
};

class World::Syncer final : public raft::LogSyncer {
 public:
  Syncer(World& world, size_t machine) : world_(world), machine_(machine) {}
  void Sync(std::function<void(Status)> done) override {
    Random& random = world_.random_;
    const WorldOptions& options = world_.options_;
    Time delay = random.Between(100, options.max_sync);
    if (random.Percent(options.slow_sync_percent)) delay = random.Below(400 * kMillisecond);
    world_.WithMachine(machine_, delay, [this, done = std::move(done)] {
      Server& m = world_.machines_[machine_];
      if (world_.random_.Percent(world_.options_.failed_sync_percent)) {
        m.disk->FailNth(test::SimDisk::Op::kSync, 1, Code::kIo);
      }
      Status s = m.log->Sync();
      m.disk->ClearFaults();
      done(s);
    });
  }

 private:
  World& world_;
  const size_t machine_;
};

World::World(WorldOptions options) : options_(options), random_(options.seed), machines_(options.machines) {
  SetLogSink([](LogLevel, const std::string&) {});  // failures are the order of the day here
  raft::SeedEtcdEngines(static_cast<int64_t>(options.seed));
  for (Server& m : machines_) {
    m.disk = std::make_unique<test::SimDisk>();
    CURVEFS_CHECK(m.disk->MakeDir("/log").ok() && m.disk->MakeDir("/state").ok() &&
                  m.disk->SyncDir("/").ok());
    m.disk->SetSyncsAreLies(options.syncs_are_lies);
    const auto drift = static_cast<uint64_t>(options.clock_drift_percent * 100);
    m.tick = options.tick * (10'000 - drift + random_.Below(2 * drift + 1)) / 10'000;
    m.clock = std::make_unique<MachineClock>(*this);
    m.clock->SetRate(static_cast<double>(options.tick) / static_cast<double>(m.tick));
  }
  for (size_t g = 0; g < options.groups; ++g) {
    GroupId id = group(g);
    histories_[id];
    for (size_t i = 0; i < options.voters; ++i) {
      ReplicaId replica(next_replica_++);
      machines_[i].replicas[id] = {.id = replica};
      routes_[id][replica] = i;
      first_members_[id].voters.push_back(replica);
      ever_members_[id].insert(replica);
    }
    newest_members_[id] = {1, first_members_[id]};
  }
  for (size_t i = 0; i < machines_.size(); ++i) Start(i);
}

World::~World() = default;

// ---- Time

void World::At(Time delay, std::function<void()> call) {
  queue_.emplace(std::pair(now_ + delay, event_number_++), std::move(call));
}

void World::WithMachine(size_t machine, Time delay, std::function<void()> call) {
  At(delay, [this, machine, epoch = machines_[machine].epoch, call = std::move(call)] {
    if (up(machine) && machines_[machine].epoch == epoch) call();
  });
}

void World::Run(Time duration) {
  const Time end = now_ + duration;
  while (failure_.empty() && !queue_.empty() && queue_.begin()->first.first <= end) {
    auto event = queue_.extract(queue_.begin());
    now_ = event.key().first;
    ++events_;
    event.mapped()();
  }
  now_ = std::max(now_, end);
}

bool World::RunUntil(const std::function<bool()>& condition, Time limit) {
  for (const Time end = now_ + limit; now_ < end && failure_.empty(); Run(10 * kMillisecond)) {
    if (condition()) return true;
  }
  return failure_.empty() && condition();
}

void World::Tick(size_t machine, uint64_t epoch) {
  if (!up(machine) || machines_[machine].epoch != epoch) return;
  machines_[machine].host->Tick();
  machines_[machine].host->Pump();
  for (const auto& [group, replica] : machines_[machine].replicas) {
    raft::Group* g = machines_[machine].host->Find(group);
    if (!g) continue;  // it did not open, which has been noticed
    raft::GroupStatus status = g->status();
    if (!status.failure.ok()) Fail("machine " + std::to_string(machine) + ": " + status.failure.ToString());
    if (status.leader) OnLeader(group, status.term, status.leader);
    asleep_ += status.asleep;
    auto* copyset = replica.machine ? replica.machine->copyset() : nullptr;
    if (copyset) copyset->TickLeases();
  }
  machines_[machine].host->Pump();
  SayAlive(machine);
  At(machines_[machine].tick, [this, machine, epoch] { Tick(machine, epoch); });
}

// Over one-way ways that lose as they lose messages. A machine that was started anew is one that the others
// have a new connection with.
void World::SayAlive(size_t from) {
  if (!options_.sleep) return;
  for (size_t to = 0; to < machines_.size(); ++to) {
    if (to == from || random_.Percent(options_.loss_percent)) continue;
    Time delay = random_.Between(options_.min_delay, options_.max_delay);
    if (random_.Percent(options_.late_percent)) delay = random_.Below(300 * kMillisecond);
    At(delay, [this, from, to, epoch = machines_[from].epoch] {
      if (!up(to) || cuts_.contains({from, to})) return;
      Heard& heard = machines_[to].heard[from];
      if (epoch < heard.epoch) return;
      if (std::exchange(heard.epoch, epoch) != epoch) {
        for (const auto& [group, replica] : machines_[from].replicas)
          machines_[to].host->ReportUnreachable(group, replica.id);
        machines_[to].host->Pump();
      }
      heard.at = now_;
    });
  }
}

bool World::Hears(size_t machine, GroupId group, ReplicaId replica) const {
  auto routes = routes_.find(group);
  if (routes == routes_.end()) return false;
  auto route = routes->second.find(replica);
  if (route == routes->second.end()) return false;
  auto heard = machines_[machine].heard.find(route->second);
  return options_.sleep && heard != machines_[machine].heard.end() &&
         now_ - heard->second.at < options_.tick * options_.raft.election_ticks / 2;
}

void World::Mix(uint64_t value) {
  uint64_t both[2] = {trace_hash_, value};
  trace_hash_ = Xxh3({reinterpret_cast<const char*>(both), sizeof both});
}

void World::Trace(const std::string& what) {
  Mix(now_);
  Mix(Xxh3(what));
  if (options_.trace) std::printf("%10.6f %s\n", static_cast<double>(now_) / kSecond, what.c_str());
}

void World::Fail(const std::string& what) {
  Trace("WRONG: " + what);
  if (failure_.empty()) failure_ = what + ", at " + std::to_string(now_) + " µs";
}

// ---- Machines

std::string World::Path(GroupId group, ReplicaId id) const {
  return "/state/" + std::to_string(group.value) + "-" + std::to_string(id.value);
}

void World::Start(size_t machine) {
  Server& m = machines_[machine];
  if (m.host) return;
  ++m.epoch;
  Trace("start " + std::to_string(machine));
  raft::LogOptions log_options{
      .journal = {.segment_bytes = 32 << 10, .prepare_ahead = false, .salt = options_.seed | 1},
      .cache_bytes = 4 << 10,
      .max_segments = 3};
  auto log = raft::LogStore::Open(*m.disk, "/log", log_options, nullptr);
  if (!log) return Fail("machine " + std::to_string(machine) + " does not start: " + log.error().ToString());
  m.log = *std::move(log);
  m.engine = raft::MakeEtcdEngine();
  m.net = std::make_unique<Net>(*this, machine);
  m.syncer = std::make_unique<Syncer>(*this, machine);
  raft::GroupOptions raft = options_.raft;
  if (options_.lease) {
    raft.lease = {.clock = m.clock.get(),
                  .tick = std::chrono::microseconds(options_.tick),
                  .max_drift = options_.assumed_drift};
  }
  m.host = std::make_unique<raft::Host>(raft, *m.engine, *m.log, *m.net, *m.syncer);
  for (auto& [group, replica] : m.replicas) OpenReplica(machine, group, !m.log->Info(group));
  m.host->Pump();
  At(random_.Below(m.tick), [this, machine, epoch = m.epoch] { Tick(machine, epoch); });
  WithMachine(machine, kSecond, [this, machine] { Trim(machine); });
  WithMachine(machine, kSecond, [this, machine] { Housekeep(machine); });
}

void World::Housekeep(size_t machine) {
  for (auto& [group, replica] : machines_[machine].replicas) {
    auto* copyset = replica.machine ? replica.machine->copyset() : nullptr;
    if (copyset && options_.housekeeping) copyset->Housekeep();
  }
  machines_[machine].host->Pump();
  WithMachine(machine, kSecond, [this, machine] { Housekeep(machine); });
}

// What a server does on its disk's thread, now and then.
void World::Trim(size_t machine) {
  (void)machines_[machine].log->Trim();
  WithMachine(machine, kSecond, [this, machine] { Trim(machine); });
}

void World::OpenReplica(size_t machine, GroupId group, bool create) {
  Server& m = machines_[machine];
  Replica& replica = m.replicas.at(group);
  Members first;
  if (!replica.joined) first = first_members_.at(group);
  Watcher watcher = WatcherFor(machine, group);
  if (options_.make) {
    replica.machine = options_.make(*m.disk, *m.clock, Path(group, replica.id), first, std::move(watcher));
  } else {
    raft::SnapshotMeta meta;
    if (!replica.joined) meta = {.index = 1, .term = 1, .members = first};
    replica.machine =
        std::make_unique<RegisterMachine>(*m.disk, Path(group, replica.id), meta, std::move(watcher));
  }
  auto opened = create ? m.host->Create(group, replica.id, *replica.machine)
                       : m.host->Open(group, replica.id, *replica.machine);
  if (!opened) {
    return Fail("replica on machine " + std::to_string(machine) +
                " does not open: " + opened.error().ToString());
  }
  replica.machine->Attach(*opened);
}

void World::Crash(size_t machine) {
  Server& m = machines_[machine];
  if (!m.host) return;
  Trace("crash " + std::to_string(machine));
  if (random_.Percent(30)) {  // in the middle of a sync
    m.disk->SetFailedSyncKeeps(test::SimDisk::Keep::kSome);
    m.disk->FailNth(test::SimDisk::Op::kSync, 1, Code::kIo);
    (void)m.log->Sync();
    m.disk->SetFailedSyncKeeps(test::SimDisk::Keep::kNothing);
  }
  m.host.reset();
  m.heard.clear();
  for (auto& [group, replica] : m.replicas) replica.machine.reset();
  m.syncer.reset();
  m.net.reset();
  m.engine.reset();
  m.log.reset();
  m.disk->Crash(random_.Next());
}

void World::Cut(size_t from, size_t to, bool cut) {
  Trace((cut ? "cut " : "mend ") + std::to_string(from) + ">" + std::to_string(to));
  if (cut) {
    cuts_.emplace(from, to);
  } else {
    cuts_.erase({from, to});
  }
}

void World::Isolate(size_t machine, bool cut) {
  for (size_t other = 0; other < machines_.size(); ++other) {
    if (other == machine) continue;
    Cut(machine, other, cut);
    Cut(other, machine, cut);
  }
}

void World::HealNetwork() {
  Trace("mend all");
  cuts_.clear();
}

void World::SetClockRate(size_t machine, double rate) {
  machines_[machine].tick = static_cast<Time>(static_cast<double>(options_.tick) / rate);
  machines_[machine].clock->SetRate(rate);
}

void World::SetCalm() {
  options_.loss_percent = options_.duplicate_percent = options_.late_percent = 0;
  options_.slow_sync_percent = options_.failed_sync_percent = 0;
}

// ---- Network

void World::Deliver(size_t from, ReplicaId to, GroupId group, std::string bytes, int kind) {
  auto route = routes_[group].find(to);
  if (route == routes_[group].end()) return;
  const size_t machine = route->second;
  ++sent_[kind];
  Mix(Xxh3(bytes));
  Mix(now_ << 8 | from << 4 | machine);
  if (options_.trace) {
    Result<raft::Message> m = curvefs::Fail(Code::kNotFound);
    if (kind == kMessage) m = raft::DecodeMessage(bytes);
    Trace(std::to_string(from) + ">" + std::to_string(machine) + " " + kKinds[kind] +
          (m ? " " + std::to_string(static_cast<int>(m->type)) + " term " + std::to_string(m->term) +
                   " index " + std::to_string(m->index) + " entries " + std::to_string(m->entries.size()) +
                   " commit " + std::to_string(m->commit)
             : ""));
  }
  for (int copy = 0; copy < 2; ++copy) {
    if (copy == 1 && !random_.Percent(options_.duplicate_percent)) break;
    if (random_.Percent(options_.loss_percent)) continue;
    Time delay = random_.Between(options_.min_delay, options_.max_delay);
    if (random_.Percent(options_.late_percent)) delay = random_.Below(300 * kMillisecond);
    At(delay, [this, from, machine, bytes, kind] {
      if (up(machine) && !cuts_.contains({from, machine})) Arrive(machine, bytes, kind);
    });
  }
}

void World::Arrive(size_t to, const std::string& bytes, int kind) {
  raft::Host& host = *machines_[to].host;
  auto receive = [&](auto decoded) {
    if (!decoded) return Fail("a message cannot be read: " + decoded.error().ToString());
    host.Receive(*std::move(decoded));
  };
  switch (kind) {
    case kMessage:
      receive(raft::DecodeMessage(bytes));
      break;
    case kChunk:
      receive(raft::DecodeChunk(bytes));
      break;
    default:
      receive(raft::DecodeReply(bytes));
      break;
  }
  host.Pump();
}

// ---- Groups

raft::Group* World::replica(GroupId group, size_t machine) {
  return up(machine) ? machines_[machine].host->Find(group) : nullptr;
}

Machine* World::state(GroupId group, size_t machine) {
  auto it = machines_[machine].replicas.find(group);
  return it == machines_[machine].replicas.end() ? nullptr : it->second.machine.get();
}

ReplicaId World::replica_on(GroupId group, size_t machine) const {
  auto it = machines_[machine].replicas.find(group);
  return it == machines_[machine].replicas.end() ? ReplicaId() : it->second.id;
}

int World::leader(GroupId group) {
  int best = -1;
  Term term = 0;
  for (size_t i = 0; i < machines_.size(); ++i) {
    raft::Group* g = replica(group, i);
    if (!g || !g->leads() || g->status().term <= term) continue;
    term = g->status().term;
    best = static_cast<int>(i);
  }
  return best;
}

void World::Campaign(GroupId group, size_t machine) {
  if (raft::Group* g = replica(group, machine)) {
    g->Campaign();
    machines_[machine].host->Pump();
  }
}

ReplicaId World::Join(GroupId group, size_t machine) {
  Server& m = machines_[machine];
  CURVEFS_CHECK(m.host && !m.replicas.contains(group));
  ReplicaId id(next_replica_++);
  m.replicas[group] = {.id = id, .joined = true};
  routes_[group][id] = machine;
  Trace("replica " + std::to_string(id.value) + " on " + std::to_string(machine));
  OpenReplica(machine, group, true);
  m.host->Pump();
  return id;
}

bool World::WasRemoved(GroupId group, size_t machine) const {
  ReplicaId id = replica_on(group, machine);
  return id && ever_members_.at(group).contains(id) && !newest_members_.at(group).second.Contains(id);
}

void World::Leave(GroupId group, size_t machine) {
  Server& m = machines_[machine];
  CURVEFS_CHECK(m.host != nullptr);
  Trace("replica " + std::to_string(m.replicas.at(group).id.value) + " leaves " + std::to_string(machine));
  CURVEFS_CHECK(m.host->Destroy(group).ok());
  routes_[group].erase(m.replicas.at(group).id);
  (void)m.disk->Remove(Path(group, m.replicas.at(group).id));
  m.replicas.erase(group);
  // A replica that is gone must not come back with an old log under the id of another.
  (void)m.log->Sync();
}

Watcher World::WatcherFor(size_t machine, GroupId group) {
  const ReplicaId id = machines_[machine].replicas.at(group).id;
  return {
      .applied = [this, machine, group](const raft::Entry& e,
                                        uint64_t hash) { OnApplied(group, machine, e, hash); },
      .restored =
          [this, machine, group](Index index, uint64_t hash) {
            ++snapshots_installed_;
            Trace("machine " + std::to_string(machine) + " installed a snapshot at " + std::to_string(index));
            auto it = committed_[group].find(index);
            if (hash != 0 && (it == committed_[group].end() || it->second.hash != hash))
              Fail("a snapshot differs from the log");
          },
      .leads =
          [this, machine, group, id](bool leads, Term term) {
            Trace("machine " + std::to_string(machine) + (leads ? " leads" : " leads no more,") + " group " +
                  std::to_string(group.value) + " term " + std::to_string(term));
            if (leads) OnLeader(group, term, id);
          },
      .members =
          [this, machine, group](const Members& members) {
            auto& [index, newest] = newest_members_[group];
            if (Index at = state(group, machine)->applied(); at > index) {
              index = at;
              newest = members;
              for (ReplicaId learner : members.learners) ever_members_[group].insert(learner);
            }
            Trace("machine " + std::to_string(machine) + " has " + std::to_string(members.voters.size()) +
                  " voters, " + std::to_string(members.learners.size()) + " learners");
          },
      .later =
          [this, machine, group, id](std::function<void()> call) {
            WithMachine(machine, random_.Between(kMillisecond, 20 * kMillisecond),
                        [this, machine, group, id, call = std::move(call)] {
                          if (replica_on(group, machine) == id) call();
                        });
          }};
}

void World::OnLeader(GroupId group, Term term, ReplicaId leader) {
  auto [it, first] = leaders_.try_emplace({group, term}, leader);
  if (it->second != leader) Fail("two leaders in term " + std::to_string(term));
}

void World::OnApplied(GroupId group, size_t machine, const raft::Entry& entry, uint64_t hash) {
  uint64_t key = 0, value = 0;
  if (entry.kind == raft::EntryKind::kData) (void)DecodeWrite(raft::BytesOf(entry.payload), &key, &value);
  auto [it, first] = committed_[group].try_emplace(entry.index, Committed{hash, value});
  if (!first && it->second.hash != hash) {
    return Fail("machine " + std::to_string(machine) + " applied something else at index " +
                std::to_string(entry.index));
  }
  if (!first || value == 0) return;
  Mix(hash);
  auto [where, once] = index_of_value_[group].try_emplace(value, entry.index);
  if (!once) Fail("value " + std::to_string(value) + " was applied twice");
}

// ---- Operations

void World::Write(GroupId group, size_t machine, uint64_t key, Done done) {
  raft::Group* g = replica(group, machine);
  if (!g) {
    if (done) done(Code::kNotLeader);
    return;
  }
  std::vector<Operation>& history = histories_.at(group);
  const uint64_t value = next_value_++;
  const size_t at = history.size();
  history.push_back({.key = key, .write = true, .value = value, .begin = now_, .id = at + 1});
  state(group, machine)
      ->Write(key, value, random_.Below(200),
              [this, group, at, value, done = std::move(done)](Result<Index> index) {
                Operation& op = histories_.at(group)[at];
                if (index) {
                  op.end = now_;
                  ++acknowledged_;
                  auto& places = index_of_value_[group];
                  auto it = places.find(value);
                  if (*index != 0 && (it == places.end() || it->second != *index)) {
                    Fail("write of " + std::to_string(value) + " was acknowledged and is not at index " +
                         std::to_string(*index));
                  }
                } else if (index.error().code() != Code::kTimedOut) {
                  op.key = kRefused;
                }
                if (done) done(index ? Status() : index.error());
              });
  machines_[machine].host->Pump();
}

void World::Read(GroupId group, size_t machine, uint64_t key, Done done) {
  raft::Group* g = replica(group, machine);
  if (!g) {
    if (done) done(Code::kNotLeader);
    return;
  }
  state(group, machine)
      ->Read(key, [this, group, key, begin = now_, done = std::move(done)](Result<uint64_t> value) {
        if (value) {
          std::vector<Operation>& history = histories_.at(group);
          history.push_back(
              {.key = key, .value = *value, .begin = begin, .end = now_, .id = history.size() + 1});
        }
        if (done) done(value ? Status() : value.error());
      });
  machines_[machine].host->Pump();
}

// ---- Outcome

void World::CheckHistory(GroupId group) {
  std::vector<Operation> history = histories_.at(group);
  std::erase_if(history, [&](const Operation& op) {
    if (op.key != kRefused) return false;
    if (index_of_value_[group].contains(op.value)) Fail("a refused write was applied");
    return true;
  });
  if (std::string what = FindViolation(history); !what.empty()) Fail("not linearizable: " + what);
}

void World::CheckSettled(GroupId group) {
  const int first = leader(group);
  if (first < 0) return Fail("nobody leads after all is well again");
  raft::GroupStatus wanted = replica(group, static_cast<size_t>(first))->status();
  for (size_t i = 0; i < machines_.size(); ++i) {
    raft::Group* g = replica(group, i);
    if (!g || !wanted.members.Contains(g->status().self)) continue;
    raft::GroupStatus status = g->status();
    if (!status.failure.ok()) return Fail("a replica has stopped: " + status.failure.ToString());
    if (status.applied != wanted.applied || status.members != wanted.members ||
        state(group, i)->Dump() != state(group, static_cast<size_t>(first))->Dump()) {
      return Fail("machine " + std::to_string(i) + " has applied " + std::to_string(status.applied) +
                  ", the leader on " + std::to_string(first) + " " + std::to_string(wanted.applied));
    }
  }
  // What was acknowledged is in the log of the leader's state: the same hash chain, so being in it once is
  // enough.
  for (const Operation& op : histories_.at(group)) {
    if (!op.write || op.end == Operation::kNever) continue;
    if (options_.make) break;  // its entries do not tell; the history does
    auto it = index_of_value_[group].find(op.value);
    if (it == index_of_value_[group].end() || it->second > wanted.applied) {
      return Fail("acknowledged write " + std::to_string(op.value) + " is lost");
    }
  }
}

}  // namespace curvefs::sim
