#include "test/sim/random_run.h"

#include <algorithm>

#include "test/sim/copyset_machine.h"
#include "test/sim/session_client.h"

namespace curvefs::sim {
namespace {

constexpr Time kTroubles = 8 * kSecond;   // so long things go wrong
constexpr Time kPatience = 60 * kSecond;  // so long healing may take
constexpr size_t kClients = 4, kKeys = 5;

class Life {
 public:
  explicit Life(const RunOptions& options)
      : options_(options), world_(Options(options)), random_(world_.random()) {}

  RunResult Run() {
    for (size_t i = 0; i < kClients; ++i) NextOperation(i);
    if (options_.sessions) {
      // Early answers are for who changes things alone.
      for (size_t i = 0; i < (options_.early ? 1 : 2) * world_.options().groups; ++i) {
        GroupId group = world_.group(i % world_.options().groups);
        sessions_.push_back(std::make_unique<SessionClient>(world_, group, i, kKeys, options_.early));
        sessions_.back()->Start();
      }
    }
    Trouble();
    if (options_.sleep) Lulls();
    world_.Run(kTroubles);
    troubles_ = false;
    world_.SetLull(false);
    result_.asleep = world_.asleep();
    Heal();
    result_.failure = world_.failure();
    result_.trace_hash = world_.trace_hash();
    result_.events = world_.events();
    result_.acknowledged = world_.acknowledged();
    result_.snapshots = world_.snapshots_installed();
    result_.end = world_.now();
    for (const auto& client : sessions_) {
      result_.repeated += client->repeated();
      result_.fenced += client->fenced();
      result_.early += client->early();
      result_.replayed += client->replayed();
      result_.redone += client->redone();
    }
    return result_;
  }

 private:
  static WorldOptions Options(const RunOptions& run) {
    Random random(run.seed * 7919);
    WorldOptions options{.seed = run.seed,
                         .machines = run.change_members ? 5u : (random.Percent(25) ? 5u : 3u),
                         .groups = random.Between(1, 2),
                         .syncs_are_lies = run.syncs_are_lies,
                         .trace = run.trace};
    options.voters = run.change_members ? 3 : options.machines;
    if (run.copyset) {
      options.make = [canary = run.early_canary](Disk& disk, const Clock& clock, const std::string& dir,
                                                 const Members& first, Watcher watcher) {
        return MakeCopysetMachine(disk, clock, dir, first, std::move(watcher), canary);
      };
    }
    options.raft.canary = run.canary;
    options.lease = run.lease;
    options.sleep = run.sleep;
    options.raft.transfer = {.chunk_bytes = random.Between(20, 200) * (run.copyset ? 50 : 1),
                             .retry_ticks = 3,
                             .give_up_ticks = 40};
    return options;
  }
  GroupId AnyGroup() { return world_.group(random_.Below(world_.options().groups)); }
  size_t AnyMachine() { return random_.Below(world_.options().machines); }

  // ---- Clients: one operation at a time each; without an answer in time they go on to the next.
  void NextOperation(size_t client) {
    if (!clients_go_on_) return;
    if (world_.lull()) return world_.At(100 * kMillisecond, [this, client] { NextOperation(client); });
    const uint64_t number = ++operation_[client];
    GroupId group = AnyGroup();
    int leader = world_.leader(group);
    size_t machine = leader >= 0 && random_.Percent(90) ? static_cast<size_t>(leader) : AnyMachine();
    auto next = [this, client, number](Time delay) {
      world_.At(delay, [this, client, number] {
        if (operation_[client] == number) NextOperation(client);
      });
    };
    auto done = [this, next](const Status&) { next(random_.Between(100, 30 * kMillisecond)); };
    next(kSecond);
    uint64_t key = random_.Below(kKeys);
    const bool write = random_.Percent(options_.early ? 4 : 60);
    // Whoever still believes that it leads is asked, too: there the stale reads would be.
    for (size_t i = 0; i < world_.options().machines && !write; ++i) {
      raft::Group* replica = world_.replica(group, i);
      if (static_cast<int>(i) != leader && replica && replica->leads()) machine = i;
    }
    if (write) {
      world_.Write(group, machine, key, done);
    } else {
      ++result_.reads;
      world_.Read(group, machine, key, done);
    }
  }

  // ---- What goes wrong
  void Trouble() {
    if (!troubles_) return;
    if (options_.restless) return Election();
    if (options_.cut_leaders) return CutLeader();
    world_.At(random_.Between(10 * kMillisecond, 400 * kMillisecond), [this] { Trouble(); });
    const size_t machine = AnyMachine(), other = AnyMachine();
    const GroupId group = AnyGroup();
    WorldOptions& options = world_.options();
    switch (random_.Below(options_.change_members ? 16 : 11)) {
      case 0:
      case 1:
        return CrashFor(machine, random_.Between(10 * kMillisecond, 2 * kSecond));
      case 2: {  // the whole room, now and then
        if (!random_.Percent(30)) return;
        for (size_t i = 0; i < options.machines; ++i)
          CrashFor(i, random_.Between(10 * kMillisecond, kSecond));
        return;
      }
      case 3:
        if (machine != other) world_.Cut(machine, other, true);
        return;
      case 4:
        return world_.Isolate(machine, true);
      case 5:
      case 6:
        return world_.HealNetwork();
      case 7: {
        options.loss_percent = random_.Percent(50) ? 0 : static_cast<double>(random_.Below(20));
        options.duplicate_percent = random_.Percent(50) ? 0 : static_cast<double>(random_.Below(30));
        options.late_percent = random_.Percent(50) ? 0 : static_cast<double>(random_.Below(20));
        return;
      }
      case 8: {
        options.slow_sync_percent = random_.Percent(50) ? 0 : static_cast<double>(random_.Below(20));
        options.failed_sync_percent = random_.Percent(70) ? 0 : static_cast<double>(random_.Below(10));
        return;
      }
      case 9:
        if (raft::Group* leader = Leader(group)) {
          (void)leader->TransferLeadership(world_.replica_on(group, machine));
        }
        return;
      case 10:
        if (raft::Group* replica = world_.replica(group, machine)) replica->SnapshotNow();
        return;
      default:
        return ChangeMembers(group, machine);
    }
  }

  void Lulls() {
    world_.At(random_.Between(200 * kMillisecond, 2 * kSecond), [this] {
      if (!troubles_) return;
      world_.SetLull(true);
      world_.At(random_.Between(kSecond, 3 * kSecond), [this] {
        world_.SetLull(false);
        if (troubles_) Lulls();
      });
    });
  }

  void CutLeader() {
    world_.At(random_.Between(kSecond, 2500 * kMillisecond), [this] { Trouble(); });
    world_.HealNetwork();
    const int leader = world_.leader(AnyGroup());
    if (leader >= 0) world_.Isolate(static_cast<size_t>(leader), true);
    if (random_.Percent(30)) CrashFor(AnyMachine(), random_.Between(kMillisecond, 100 * kMillisecond));
  }

  // All begin anew, two stand at once, and a third falls over while it votes.
  void Election() {
    world_.At(random_.Between(300 * kMillisecond, 900 * kMillisecond), [this] { Trouble(); });
    world_.options().late_percent = 40;
    for (size_t i = 0; i < world_.options().machines; ++i) CrashFor(i, kMillisecond);
    const size_t one = AnyMachine();
    for (size_t i = 0; i < 2; ++i) {
      world_.At(10 * kMillisecond, [this, machine = (one + i) % world_.options().machines] {
        for (size_t g = 0; g < world_.options().groups; ++g) world_.Campaign(world_.group(g), machine);
      });
    }
    for (int i = 0; i < 4; ++i) {
      world_.At(random_.Between(11 * kMillisecond, 100 * kMillisecond),
                [this, machine = (one + 2) % world_.options().machines] { CrashFor(machine, kMillisecond); });
    }
  }

  void CrashFor(size_t machine, Time time) {
    if (!world_.up(machine)) return;
    ++result_.crashes;
    world_.Crash(machine);
    world_.At(time, [this, machine] { world_.Start(machine); });
  }

  raft::Group* Leader(GroupId group) {
    int machine = world_.leader(group);
    return machine < 0 ? nullptr : world_.replica(group, static_cast<size_t>(machine));
  }

  void ChangeMembers(GroupId group, size_t machine) {
    if (!world_.up(machine)) return;
    if (world_.WasRemoved(group, machine)) return world_.Leave(group, machine);
    raft::Group* leader = Leader(group);
    if (!leader) return;
    ReplicaId replica = world_.replica_on(group, machine);
    if (!replica) replica = world_.Join(group, machine);
    const Members members = leader->status().members;
    using enum raft::MemberChange::Kind;
    raft::MemberChange change{.kind = kAddLearner, .replica = replica, .context = "machine"};
    if (members.IsLearner(replica)) change.kind = random_.Percent(80) ? kPromote : kRemove;
    if (members.IsVoter(replica)) {
      if (members.voters.size() <= 2 && random_.Percent(70)) return;
      change.kind = kRemove;
    }
    leader->ChangeMembers(change, [this](Result<Index> index) { result_.changes += index.has_value(); });
  }

  // ---- Then all is well again, and must become so.
  void Heal() {
    world_.SetCalm();
    world_.HealNetwork();
    for (size_t i = 0; i < world_.options().machines; ++i) world_.Start(i);
    for (size_t g = 0; g < world_.options().groups; ++g) HealGroup(world_.group(g));
    clients_go_on_ = false;
    for (const auto& client : sessions_) client->Stop();
    const bool idle = world_.RunUntil([&] {
      return std::all_of(sessions_.begin(), sessions_.end(), [](const auto& c) { return c->idle(); });
    });
    if (!idle && world_.failure().empty()) world_.Fail("a client gets no answer after all is well again");
    world_.options().housekeeping = false;
    world_.Run(5 * kSecond);  // every operation gets its outcome
    for (size_t g = 0; g < world_.options().groups && world_.failure().empty(); ++g) {
      GroupId group = world_.group(g);
      size_t answered = 0;
      for (uint64_t key = 0; key < kKeys; ++key) {
        int leader = world_.leader(group);
        if (leader < 0) break;
        world_.Read(group, static_cast<size_t>(leader), key, [&](const Status& s) { answered += s.ok(); });
      }
      world_.RunUntil([&] { return answered == kKeys; }, 5 * kSecond);
      if (answered != kKeys) world_.Fail("the last reads have no answer");
      world_.CheckSettled(group);
      world_.CheckHistory(group);
    }
  }

  void HealGroup(GroupId group) {
    bool written = false, tried = false;
    bool good = world_.RunUntil(
        [&] {
          if (written) return true;
          int leader = world_.leader(group);
          if (leader >= 0 && !tried) {
            tried = true;
            world_.Write(group, static_cast<size_t>(leader), 0, [&](const Status& s) {
              written = s.ok();
              tried = false;
            });
          }
          return written;
        },
        kPatience);
    if (!good && world_.failure().empty()) world_.Fail("no progress after all is well again");
    // A change that is under way ends; who lags catches up.
    good = world_.RunUntil(
        [&] {
          raft::Group* leader = Leader(group);
          return leader && Equal(group, leader->status().members);
        },
        kPatience);
    if (!good && world_.failure().empty()) world_.Fail("the replicas do not become equal");
  }

  // Clients go on, so equal means: not far behind, and of one mind about the members.
  bool Equal(GroupId group, const Members& members) {
    Index low = ~Index{0}, high = 0;
    size_t seen = 0;
    for (size_t i = 0; i < world_.options().machines; ++i) {
      raft::Group* replica = world_.replica(group, i);
      if (!replica || !members.Contains(world_.replica_on(group, i))) continue;
      raft::GroupStatus status = replica->status();
      if (status.members != members) return false;
      low = std::min(low, status.applied);
      high = std::max(high, status.applied);
      ++seen;
    }
    return seen == members.voters.size() + members.learners.size() && high - low < 50;
  }

  const RunOptions options_;
  World world_;
  Random& random_;
  RunResult result_;
  std::vector<std::unique_ptr<SessionClient>> sessions_;
  bool troubles_ = true, clients_go_on_ = true;
  uint64_t operation_[kClients] = {};
};

}  // namespace

RunResult RunSeed(const RunOptions& options) {
  return Life(options).Run();
}

}  // namespace curvefs::sim
