// Several clients over several stores: their calls interleave at random, clients die between any two of
// them, answers get lost, calls come again late. At the end, when what they left is finished, the tree must
// be whole and hold what was acknowledged.
//
// A client is a thread, of which one runs at a time: deterministic by seed.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <semaphore>
#include <set>
#include <thread>

#include "meta/ops/names.h"
#include "meta/ops/rename.h"
#include "meta/transaction_runner.h"
#include "meta/transaction_support_test.h"

namespace curvefs::meta {
namespace {

// What is broken on purpose, so that we know that it would be seen.
enum class Canary { kNone, kResolveForgets, kOperationsPassLocks, kNoRenameLock };
// kMoves: directories that move into one another, hardly anything else.
enum class Load { kAll, kMoves };

class Sim;

// A client's calls: each waits for its turn.
class Client final : public PartitionCalls {
 public:
  Client(Sim& sim, int number, uint64_t seed) : sim_(sim), number_(number), random_(seed) {}

  Status Get(const TransactionId& id, std::string_view key, std::string* value, LockedBy* by) override;
  Result<std::optional<KeyValue>> First(const TransactionId& id, std::string_view begin, std::string_view end,
                                        LockedBy* by) override;
  Status Prepare(PartitionId partition, const TransactionId& id, PartitionId coordinator,
                 const TransactionPart& part, LockedBy* by) override;
  Status Commit(PartitionId coordinator, const TransactionId& id, const TransactionPart& part,
                const std::vector<PartitionId>& participants, LockedBy* by) override;
  Status Finish(PartitionId partition, const TransactionId& id, bool committed) override;
  Result<Decision> Resolve(PartitionId coordinator, const TransactionId& id) override;
  Status Forget(PartitionId coordinator, const TransactionId& id) override;
  TransactionId NewId() override { return {static_cast<uint64_t>(number_) + 1, ++last_id_}; }
  Timestamp Now() override;
  void Pause(int) override { (void)Turn(); }

  void Live(int operations);
  bool finished = false;
  std::binary_semaphore go{0};

 private:
  bool Turn();  // false: dead
  uint64_t Random(uint64_t n) { return random_() % n; }
  InodeId AnyDirectory();
  void Operate();
  void Create();
  void MakeDirectory();
  void Remove(bool directory);
  void AddLink();
  void Move();
  // In one copyset if it has all, else as a transaction; as a mount does.
  Status Do(PartitionId at, const std::function<Result<bool>(Txn&)>& f);
  Status Local(PartitionId at, const std::function<Result<bool>(Txn&)>& f, LockedBy* by);
  template <typename F>
  Status Change(PartitionId at, F&& f);
  // What an operation did to link counts, once its outcome is known.
  void Account(const Status& s);

  Sim& sim_;
  const int number_;
  std::mt19937_64 random_;
  uint64_t last_id_ = 0, names_ = 0;
  bool dead_ = false;
  std::map<uint64_t, int> effect_;  // of the last evaluation: changes of link counts of files
};

// A partition that the store does not have: as a metaserver says it.
class LocalView final : public kv::View {
 public:
  LocalView(const kv::View& view, StoreInMemory& store, Partitions& all)
      : view_(view), store_(store), all_(all) {}
  Status Get(std::string_view key, std::string* value) const override {
    if (&all_.OfKey(key) != &store_) return Code::kElsewhere;
    return view_.Get(key, value);
  }
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    if (&all_.OfKey(begin) != &store_) return Code::kElsewhere;
    return view_.Scan(begin, end, visit);
  }

 private:
  const kv::View& view_;
  StoreInMemory& store_;
  Partitions& all_;
};

class Sim {
 public:
  Sim(uint64_t seed, Load l, Canary c) : load(l), canary(c), partitions(fs), random(seed) {
    directories.push_back(kRootInode);
    for (int i = 0; i < 3; ++i) clients_.push_back(std::make_unique<Client>(*this, i, seed * 10 + i));
  }

  void Run(int operations) {
    std::vector<std::jthread> threads;
    for (auto& c : clients_) {
      threads.emplace_back([&c, operations] {
        c->go.acquire();
        c->Live(operations);
      });
    }
    for (;;) {
      std::vector<Client*> alive;
      for (auto& c : clients_) {
        if (!c->finished) alive.push_back(c.get());
      }
      if (alive.empty()) break;
      partitions.now += static_cast<int64_t>(random() % 200'000'000);
      if (!late.empty() && random() % 8 == 0) {
        const size_t i = random() % late.size();
        auto call = std::move(late[i]);
        late.erase(late.begin() + static_cast<std::ptrdiff_t>(i));
        call();
      }
      alive[random() % alive.size()]->go.release();
      back.acquire();
    }
    for (auto& call : late) call();
    CleanUp();
  }

  // As the upkeep of a mount.
  void CleanUp() {
    for (uint32_t p = 0; p < Partitions::kCount; ++p) {
      std::vector<std::pair<TransactionId, PartitionId>> intents;
      Reader reader(partitions.Of(PartitionId(p)), fs);
      ASSERT_TRUE(ForEachIntent(reader, PartitionId(p), [&](const TransactionId& id, const Intent& intent) {
                    intents.emplace_back(id, intent.coordinator);
                    return true;
                  }).ok());
      left_behind += intents.size();
      for (const auto& [id, coordinator] : intents) {
        auto decision = partitions.Change(coordinator, [&](Txn& t) { return Resolve(t, coordinator, id); });
        ASSERT_TRUE(decision);
        ASSERT_TRUE(partitions.Change(
            PartitionId(p), [&](Txn& t) { return Finish(t, PartitionId(p), id, decision->committed); }));
      }
    }
    partitions.now += kAbortedIsKept.count();
    for (uint32_t p = 0; p < Partitions::kCount; ++p) {
      std::vector<TransactionId> decisions;
      Reader reader(partitions.Of(PartitionId(p)), fs);
      ASSERT_TRUE(ForEachDecision(reader, PartitionId(p), [&](const TransactionId& id, const Decision&) {
                    decisions.push_back(id);
                    return true;
                  }).ok());
      for (const TransactionId& id : decisions)
        ASSERT_TRUE(partitions.Change(PartitionId(p), [&](Txn& t) { return Forget(t, PartitionId(p), id); }));
    }
  }

  // Empty: all is well.
  std::string Check();

  const Load load;
  const Canary canary;
  FsContext fs;
  Partitions partitions;
  std::mt19937_64 random;
  std::binary_semaphore back{0};
  std::deque<std::function<void()>> late;
  std::vector<InodeId> directories;  // ever made
  std::map<uint64_t, int> links;     // of files, as acknowledged
  std::set<uint64_t> uncertain;      // a call that changed their links had no answer
  uint64_t transactions = 0, moved_directories = 0, left_behind = 0, acknowledged = 0, settled = 0;

 private:
  std::vector<std::unique_ptr<Client>> clients_;
};

// ---- Calls

bool Client::Turn() {
  if (!dead_) {
    sim_.back.release();
    go.acquire();
    dead_ = Random(400) == 0;
  }
  return !dead_;
}

Timestamp Client::Now() {
  return Timestamp{sim_.partitions.now};
}

Status Client::Get(const TransactionId& id, std::string_view key, std::string* value, LockedBy* by) {
  if (!Turn()) return Code::kUnavailable;
  LockGuard guard(sim_.partitions.OfKey(key), sim_.fs, Now(), id);
  Status s = guard.Get(key, value);
  *by = guard.by();
  return s;
}

Result<std::optional<Client::KeyValue>> Client::First(const TransactionId& id, std::string_view begin,
                                                      std::string_view end, LockedBy* by) {
  if (!Turn()) return Fail(Code::kUnavailable);
  LockGuard guard(sim_.partitions.OfKey(begin), sim_.fs, Now(), id);
  std::optional<KeyValue> found;
  Status s = guard.Scan(begin, end, [&](std::string_view key, std::string_view value) {
    found.emplace(key, value);
    return false;
  });
  *by = guard.by();
  if (!s.ok()) return Fail(s);
  return found;
}

// The call may get lost, and its answer too.
template <typename F>
Status Client::Change(PartitionId at, F&& f) {
  if (!Turn()) return Code::kUnavailable;
  if (Random(100) == 0) return Code::kTimedOut;
  Status s = sim_.partitions.Change(at, f);
  if (Random(100) == 0) return Code::kTimedOut;
  return s;
}

Status Client::Prepare(PartitionId partition, const TransactionId& id, PartitionId coordinator,
                       const TransactionPart& part, LockedBy* by) {
  return Change(partition, [&](Txn& t) { return meta::Prepare(t, partition, id, coordinator, part, by); });
}

Status Client::Commit(PartitionId coordinator, const TransactionId& id, const TransactionPart& part,
                      const std::vector<PartitionId>& participants, LockedBy* by) {
  ++sim_.transactions;
  return Change(coordinator,
                [&](Txn& t) { return meta::Commit(t, coordinator, id, part, participants, by); });
}

Status Client::Finish(PartitionId partition, const TransactionId& id, bool committed) {
  auto call = [partition, id, committed](Txn& t) { return meta::Finish(t, partition, id, committed); };
  if (Random(10) == 0)
    sim_.late.push_back([sim = &sim_, partition, call] { (void)sim->partitions.Change(partition, call); });
  return Change(partition, call);
}

Result<Decision> Client::Resolve(PartitionId coordinator, const TransactionId& id) {
  Result<Decision> decision = Fail(Code::kTimedOut);
  ++sim_.settled;
  Status s = Change(coordinator, [&](Txn& t) -> Status {
    decision = meta::Resolve(t, coordinator, id);
    return decision ? Status() : decision.error();
  });
  if (sim_.canary == Canary::kResolveForgets && decision && !decision->committed)
    sim_.partitions.Of(coordinator).map.erase(DecisionKey(sim_.fs.fs, coordinator, id));
  if (!s.ok()) return Fail(s);
  return decision;
}

Status Client::Forget(PartitionId coordinator, const TransactionId& id) {
  auto call = [coordinator, id](Txn& t) { return meta::Forget(t, coordinator, id); };
  if (Random(10) == 0)
    sim_.late.push_back(
        [sim = &sim_, coordinator, call] { (void)sim->partitions.Change(coordinator, call); });
  return Change(coordinator, call);
}

// ---- Operations

void Client::Live(int operations) {
  if (!dead_) {
    for (int i = 0; i < operations && !dead_; ++i) Operate();
  }
  finished = true;
  sim_.back.release();
}

InodeId Client::AnyDirectory() {
  return sim_.directories[Random(sim_.directories.size())];
}

Status Client::Local(PartitionId at, const std::function<Result<bool>(Txn&)>& f, LockedBy* by) {
  if (!Turn()) return Code::kUnavailable;
  StoreInMemory& store = sim_.partitions.Of(at);
  LockGuard guard(store, sim_.fs, Now());
  const bool pass = sim_.canary == Canary::kOperationsPassLocks;
  LocalView view(pass ? static_cast<const kv::View&>(store) : guard, store, sim_.partitions);
  Txn txn(view, sim_.fs, Now());
  auto moves = f(txn);
  Status s = moves ? Status() : moves.error();
  if (s.ok() && *moves && !pass) s = guard.CheckDirectoryRename();
  const kv::WriteBatch batch = txn.ToBatch();
  if (s.ok() && !pass) s = guard.CheckWrites(batch);
  kv::WriteBatch::ForEachTrusted(batch.encoded(), [&](kv::RecordType, std::string_view key, auto) {
    if (s.ok() && &sim_.partitions.OfKey(key) != &store) s = Code::kElsewhere;
  });
  *by = guard.by();
  if (s.ok()) store.Apply(batch);
  return s;
}

Status Client::Do(PartitionId at, const std::function<Result<bool>(Txn&)>& f) {
  for (int round = 0; round < 200; ++round) {
    LockedBy by;
    Status s = Local(at, f, &by);
    if (s.code() == Code::kElsewhere) {
      return RunTransaction(*this, sim_.fs, at, [&](Txn& t) -> Result<bool> {
        effect_.clear();
        CURVEFS_TRY(const bool moves, f(t));
        return moves && sim_.canary != Canary::kNoRenameLock;
      });
    }
    if (s.code() != Code::kLocked) return s;
    (void)WaitForLock(*this, by, round);
  }
  return Code::kBusy;
}

void Client::Account(const Status& s) {
  const bool unknown = s.code() == Code::kTimedOut || s.code() == Code::kUnavailable;
  if (s.ok()) ++sim_.acknowledged;
  for (const auto& [inode, change] : effect_) {
    if (s.ok()) sim_.links[inode] += change;
    if (unknown) sim_.uncertain.insert(inode);
  }
  effect_.clear();
}

void Client::Operate() {
  if (sim_.load == Load::kMoves) return Random(3) == 0 ? MakeDirectory() : Move();
  switch (Random(8)) {
    case 0:
      return Create();
    case 1:
      return MakeDirectory();
    case 2:
      return Remove(false);
    case 3:
      return Remove(true);
    case 4:
      return AddLink();
    default:
      return Move();
  }
}

std::string NameOf(uint64_t n) {
  return "n" + std::to_string(n);
}

void Client::Create() {
  const InodeId parent = AnyDirectory();
  const std::string name = NameOf(Random(4));
  Account(Do(PartitionOf(parent), [&](Txn& t) -> Result<bool> {
    effect_.clear();
    CURVEFS_TRY(const Inode made, meta::Create(t, {.parent = parent, .name = name, .mode = S_IFREG | 0644}));
    effect_[made.id.value] = 1;
    return false;
  }));
}

void Client::MakeDirectory() {
  const InodeId parent = AnyDirectory();
  const std::string name = NameOf(Random(4));
  const PartitionId partition(static_cast<uint32_t>(Random(Partitions::kCount)));
  InodeId made;
  LockedBy by;
  Status s = Local(
      partition,
      [&](Txn& t) -> Result<bool> {
        CURVEFS_TRY(const Inode inode, ReserveInode(t, partition, S_IFDIR));
        made = inode.id;
        return false;
      },
      &by);
  if (!s.ok()) return;
  s = Do(PartitionOf(parent), [&](Txn& t) -> Result<bool> {
    CURVEFS_TRY(const Inode inode,
                meta::Create(t, {.parent = parent, .name = name, .mode = S_IFDIR | 0755, .reserved = made}));
    return false;
  });
  if (s.ok()) sim_.directories.push_back(made);
}

void Client::Remove(bool directory) {
  const InodeId parent = AnyDirectory();
  const std::string name = NameOf(Random(4));
  Account(Do(PartitionOf(parent), [&](Txn& t) -> Result<bool> {
    effect_.clear();
    CURVEFS_TRY(const Inode inode, directory ? RemoveDirectory(t, parent, name) : Unlink(t, parent, name));
    if (!directory) effect_[inode.id.value] = -1;
    return false;
  }));
}

void Client::AddLink() {
  const InodeId parent = AnyDirectory();
  const std::string name = NameOf(Random(4));
  if (sim_.links.empty()) return;
  auto file = std::next(sim_.links.begin(), static_cast<std::ptrdiff_t>(Random(sim_.links.size())));
  const InodeId inode(file->first);
  Account(Do(PartitionOf(parent), [&](Txn& t) -> Result<bool> {
    effect_.clear();
    CURVEFS_TRY(const Inode linked, Link(t, inode, parent, name));
    effect_[linked.id.value] = 1;
    return false;
  }));
}

void Client::Move() {
  InodeId from = AnyDirectory();
  const InodeId to = AnyDirectory();
  std::string name = NameOf(Random(4)), new_name = NameOf(Random(4));
  if (sim_.load == Load::kMoves) {
    // One that is there, so that most moves succeed.
    const InodeId moved = AnyDirectory();
    from = sim_.partitions.ParentOf(moved);
    if (!from) return;
    (void)ListDirectory(Reader(sim_.partitions.Of(PartitionOf(from)), sim_.fs), from, 0,
                        [&](const ListedEntry& e) {
                          if (e.dentry.inode == moved) name = e.name;
                          return true;
                        });
    new_name = "m" + std::to_string(number_) + "." + std::to_string(++names_);
  }
  const RenameKind kind = Random(4) == 0 ? RenameKind::kExchange : RenameKind::kReplace;
  bool directory = false;
  Status s = Do(PartitionOf(from), [&](Txn& t) -> Result<bool> {
    effect_.clear();
    CURVEFS_TRY(
        const RenameReply reply,
        Rename(t, {.parent = from, .name = name, .new_parent = to, .new_name = new_name, .kind = kind}));
    if (reply.replaced && !reply.replaced->is_dir()) effect_[reply.replaced->id.value] = -1;
    // Of an exchange either may be one.
    directory = from != to && (reply.moved.is_dir() || kind == RenameKind::kExchange);
    return directory;
  });
  if (s.ok() && directory) ++sim_.moved_directories;
  Account(s);
}

// ---- The tree

std::string Sim::Check() {
  std::string wrong;
  auto say = [&](const std::string& what) { wrong += what + "\n"; };
  std::map<uint64_t, Inode> inodes;
  struct Entry {
    InodeId parent;
    Dentry dentry;
  };
  std::vector<Entry> entries;
  std::set<uint64_t> orphans;
  std::map<uint64_t, std::multiset<uint64_t>> homes, names;
  for (uint32_t store : {0u, 1u, 2u}) {
    for (const auto& [key, value] : partitions.Of(PartitionId(store)).map) {
      ParsedKey k;
      if (!ParseKey(key, &k)) return "malformed key";
      if (k.kind == KeyKind::kInode) inodes[k.inode.value] = *DecodeInode(k.inode, value);
      if (k.kind == KeyKind::kDentry) entries.push_back({k.inode, *DecodeDentry(value)});
      if (k.kind == KeyKind::kOrphan) orphans.insert(k.inode.value);
      if (k.kind == KeyKind::kLink) homes[k.inode.value].insert(k.parent.value);
      if (k.kind == KeyKind::kLock || k.kind == KeyKind::kIntent || k.kind == KeyKind::kDecision)
        say("a record of a transaction is left");
    }
  }
  std::map<uint64_t, uint32_t> subdirectories;
  std::map<uint64_t, uint64_t> lengths;
  for (const Entry& e : entries) {
    names[e.dentry.inode.value].insert(e.parent.value);
    ++lengths[e.parent.value];
    if (!inodes.contains(e.dentry.inode.value)) say("an entry without inode");
    if (!inodes.contains(e.parent.value)) say("an entry without directory");
    if (e.dentry.type == S_IFDIR >> 12) ++subdirectories[e.parent.value];
  }
  for (const auto& [id, inode] : inodes) {
    const std::string who = "inode " + std::to_string(id);
    const auto& of = names[id];
    if ((inode.nlink == 0) != orphans.contains(id)) say(who + ": links and orphan differ");
    if (inode.nlink == 0 && !of.empty()) say(who + ": removed, with a name");
    if (inode.is_dir()) {
      if (inode.nlink == 0) {
        if (lengths[id] != 0) say(who + ": removed, with entries");
        continue;
      }
      if (inode.nlink != 2 + subdirectories[id]) say(who + ": link count of a directory");
      if (inode.length != lengths[id]) say(who + ": number of entries");
      if (id != kRootInode.value && of != std::multiset<uint64_t>{inode.parent.value}) say(who + ": parent");
      size_t depth = 0;
      InodeId at(id);
      while (at != kRootInode && inodes.contains(at.value) && ++depth < 1000) at = inodes[at.value].parent;
      if (at != kRootInode) say(who + ": not below the root");
      continue;
    }
    if (inode.nlink != of.size()) say(who + ": link count");
    auto recorded = homes[id];
    if (inode.nlink > 0) recorded.insert(inode.parent.value);
    if (recorded != of) say(who + ": link records");
    if (!uncertain.contains(id) && links[id] != static_cast<int>(inode.nlink))
      say(who + ": " + std::to_string(links[id]) + " links acknowledged, has " + std::to_string(inode.nlink));
  }
  for (const auto& [id, n] : links) {
    if (n > 0 && !inodes.contains(id)) say("a file is lost");
  }
  return wrong;
}

struct Work {
  uint64_t transactions = 0, moved_directories = 0, left_behind = 0, acknowledged = 0, settled = 0;
};

// Runs seeds, until one fails; whether one did.
bool Fails(Load load, Canary canary, uint64_t seeds, Work* work = nullptr) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    Sim sim(seed, load, canary);
    sim.Run(40);
    const std::string wrong = sim.Check();
    if (canary == Canary::kNone) {
      EXPECT_EQ(wrong, "") << "seed " << seed;
    }
    if (!wrong.empty()) return true;
    if (work == nullptr) continue;
    work->transactions += sim.transactions;
    work->moved_directories += sim.moved_directories;
    work->left_behind += sim.left_behind;
    work->acknowledged += sim.acknowledged;
    work->settled += sim.settled;
  }
  return false;
}

TEST(TransactionSim, TheTreeIsWholeWhateverHappens) {
  Work work;
  EXPECT_FALSE(Fails(Load::kAll, Canary::kNone, 700, &work));
  // It did what it is for.
  EXPECT_GT(work.transactions, 1000u);
  EXPECT_GT(work.left_behind, 20u);
  EXPECT_GT(work.acknowledged, 1000u);
  EXPECT_GT(work.settled, 100u);
}

TEST(TransactionSim, DirectoriesMakeNoLoop) {
  Work work;
  EXPECT_FALSE(Fails(Load::kMoves, Canary::kNone, 300, &work));
  EXPECT_GT(work.moved_directories, 300u);
}

TEST(TransactionSim, SeesACommitOfWhatWasGivenUp) {
  EXPECT_TRUE(Fails(Load::kAll, Canary::kResolveForgets, 3000));
}
TEST(TransactionSim, SeesOperationsThatPassLocks) {
  EXPECT_TRUE(Fails(Load::kAll, Canary::kOperationsPassLocks, 3000));
}
TEST(TransactionSim, SeesLoopsWithoutTheRenameLock) {
  EXPECT_TRUE(Fails(Load::kMoves, Canary::kNoRenameLock, 3000));
}

}  // namespace
}  // namespace curvefs::meta
