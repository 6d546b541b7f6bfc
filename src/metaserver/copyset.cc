#include "metaserver/copyset.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "meta/ops/content.h"
#include "meta/ops/create.h"
#include "metaserver/space.h"

namespace curvefs::metaserver {
namespace {

constexpr FsId kFs{1};                                   // one file system in a standalone copyset
constexpr uint32_t kReclaimAtOnce = 64;                  // chunk records that ReleaseOrphan removes itself
constexpr Duration kPatience = std::chrono::seconds(1);  // with deletions that fail
constexpr uint64_t kSnapshotAtShutdownBytes = 16 << 20;

}  // namespace

Copyset::Copyset(Disk& disk, std::string dir, object::ObjectStore& objects, CopysetOptions options,
                 const Clock& clock)
    : disk_(disk), dir_(std::move(dir)), objects_(objects), options_(options), clock_(clock) {}

Result<std::unique_ptr<Copyset>> Copyset::Open(Disk& disk, std::string dir, object::ObjectStore& objects,
                                               const meta::SuperBlock* format, CopysetOptions options,
                                               const Clock& clock) {
  std::unique_ptr<Copyset> c(new Copyset(disk, std::move(dir), objects, options, clock));
  CURVEFS_CHECK_OK(c->Recover(format));
  if (!options.read_only && !c->super_.homes) CURVEFS_CHECK_OK(c->MakeHomes());
  // Limits hold from the first operation on.
  if (!options.read_only) {
    CURVEFS_TRY(bool limited, HasQuotas(*c->store_, c->super_));
    if (limited) CURVEFS_CHECK_OK(c->TrackUsage());
  }
  if (options.background && !options.read_only) {
    c->commit_loop_ = std::make_unique<ThreadLoop>("commit");
    c->housekeeping_loop_ = std::make_unique<ThreadLoop>("housekeeping");
    c->commit_loop_->After(options.commit_interval, [p = c.get()] { p->CommitTick(); });
    c->housekeeping_loop_->After(options.commit_interval, [p = c.get()] { p->Housekeep(); });
  }
  return c;
}

Copyset::~Copyset() {
  if (commit_loop_) commit_loop_->Stop();
  if (housekeeping_loop_) housekeeping_loop_->Stop();
  store_.reset();  // its barrier uses the journal
}

Status Copyset::Recover(const meta::SuperBlock* format) {
  if (!options_.read_only) {
    CURVEFS_CHECK_OK(disk_.MakeDir(dir_));
    CURVEFS_CHECK_OK(disk_.MakeDir(dir_ + "/journal"));
    CURVEFS_CHECK_OK(disk_.MakeDir(dir_ + "/store"));
    CURVEFS_CHECK_OK(disk_.SyncDir(dir_));
    const size_t slash = dir_.rfind('/');
    CURVEFS_CHECK_OK(disk_.SyncDir(slash == 0 ? "/" : slash == dir_.npos ? "." : dir_.substr(0, slash)));
  }
  auto lock = disk_.Lock(dir_ + "/LOCK");
  if (lock) {
    lock_ = *std::move(lock);
  } else if (!options_.read_only || lock.error().code() == Code::kBusy) {
    return lock.error();  // on a read-only disk there can be no lock, and no writer
  }
  kv::RocksOptions rocks = options_.rocks;
  rocks.read_only = options_.read_only;
  store_ = options_.engine == MetaEngine::kRocksdb ? kv::MakeRocksStore(dir_ + "/store", rocks)
                                                   : kv::MakeMemoryStore(disk_, dir_ + "/store");
  // A disk engine may make state durable on its own; then the journal and the objects that the state names go
  // first.
  store_->SetBarrier([this](Seq upto) { return journal_ ? journal_->Sync(upto) : Status(); });
  CURVEFS_CHECK_OK(store_->Load());
  kv::JournalOptions journal_options = options_.journal;
  journal_options.read_only = options_.read_only;
  CURVEFS_TRY(journal_, kv::Journal::Open(
                            disk_, dir_ + "/journal", store_->applied(),
                            [this](Seq seq, std::string_view batch) { return store_->Apply(batch, seq); },
                            journal_options, &recovery_));
  journal_->SetBarrier([this](Seq upto) { return SyncObjects(upto); });

  std::string value;
  Status found = store_->Get(meta::SuperBlockKey(kFs), &value);
  if (found.code() == Code::kNotFound) {
    if (format == nullptr) return {Code::kNotFound, dir_ + ": holds no file system"};
    CURVEFS_CHECK_OK(Format(*format));
  } else {
    CURVEFS_CHECK_OK(found);
    CURVEFS_TRY(super_, meta::DecodeSuperBlock(value));
  }
  fs_ = {.fs = super_.fs, .hash_seed = super_.hash_seed, .chunk_size = super_.chunk_size};
  if (options_.read_only) return Status();

  // What the last mount did not come to: objects to delete, orphans to reclaim, objects that nothing refers
  // to.
  std::vector<object::ObjectName> freed;
  std::vector<InodeId> released;
  CURVEFS_CHECK_OK(FindFreed(*store_, fs_.fs, PartitionId(0), &freed));
  CURVEFS_CHECK_OK(FindOrphans(*store_, fs_.fs, PartitionId(0), [&](InodeId inode) {
    released.push_back(inode);
    return true;
  }));
  {
    MutexLock pending(mu_);
    for (const auto& name : freed) freed_.push_back({0, name});
    released_ = std::move(released);
  }
  {
    MutexLock search(sparse_search_mu_);
    sparse_next_ = meta::KindPrefix(fs_.fs, PartitionId(0), meta::KeyKind::kRefs);
  }
  return SweepOrDefer();
}

Status Copyset::Format(const meta::SuperBlock& super) {
  super_ = super;
  super_.fs = kFs;
  super_.root = kRootInode;
  super_.homes = true;
  fs_ = {.fs = super_.fs, .hash_seed = super_.hash_seed, .chunk_size = super_.chunk_size};
  CURVEFS_CHECK_OK(Change([&](meta::Txn& txn) {
    txn.Set(meta::SuperBlockKey(kFs), meta::EncodeSuperBlock(super_));
    meta::MakeRoot(txn, 0755, options_.root_uid, options_.root_gid);
    return Status();
  }));
  return Sync();
}

Status Copyset::Commit(meta::Txn& txn) {
  if (options_.read_only) return {Code::kReadOnly, "the file system is mounted read-only"};
  if (failed_) return {Code::kIo, dir_ + ": the metadata store has failed; unmount, see the log, run fsck"};
  std::vector<meta::UsageChange> usage_changes;
  if (fs_.track_usage) {
    usage_changes = txn.usage_changes();
    if (usage_ && !txn.passes_quotas()) CURVEFS_CHECK_OK(usage_->Check(usage_changes));
  }
  kv::WriteBatch batch = txn.ToBatch();
  const bool has_objects = !txn.new_objects().empty() || !txn.freed_objects().empty();
  // Known to the barrier before the batch is in the journal, where a concurrent Sync may already take it
  // along.
  const Seq next = journal_->last() + 1;
  if (has_objects) {
    MutexLock lock(mu_);
    for (const auto& o : txn.new_objects()) unsynced_.push_back({next, NameOf(fs_.fs, o)});
    for (const auto& o : txn.freed_objects()) freed_.push_back({next, NameOf(fs_.fs, o)});
  }
  auto seq = journal_->Append(batch.encoded());
  if (!seq) {
    if (has_objects) {
      MutexLock lock(mu_);
      std::erase_if(unsynced_, [next](const Pending& p) { return p.seq == next; });
      std::erase_if(freed_, [next](const Pending& p) { return p.seq == next; });
    }
    return seq.error();
  }
  CURVEFS_CHECK(*seq == next);
  if (Status s = store_->Apply(batch.encoded(), *seq); !s.ok()) {
    failed_ = true;
    Log(LogLevel::kError,
        dir_ + ": the metadata store refused a change that is in the journal: " + s.ToString());
    return s;
  }
  if (usage_) usage_->Apply(usage_changes);
  if (building_usage_) building_usage_->Apply(usage_changes);
  changes_.fetch_add(1, std::memory_order_relaxed);
  if (!txn.sparse_objects().empty()) {
    MutexLock lock(mu_);
    for (ChunkId chunk : txn.sparse_objects()) {
      if (sparse_.size() < kMaxSparse) sparse_.insert(chunk);
    }
  }
  return Status();
}

Status Copyset::SyncObjects(Seq upto) {
  std::vector<object::ObjectName> names;
  std::vector<Pending> taken;
  {
    MutexLock lock(mu_);
    while (!unsynced_.empty() && unsynced_.front().seq <= upto) {
      taken.push_back(unsynced_.front());
      unsynced_.pop_front();
    }
  }
  if (taken.empty()) return Status();
  names.reserve(taken.size());
  for (const auto& p : taken) names.push_back(p.name);
  Status s = objects_.Sync(names);
  if (!s.ok()) {
    MutexLock lock(mu_);
    unsynced_.insert(unsynced_.begin(), taken.begin(), taken.end());
  }
  return s;
}

Status Copyset::Sync() {
  if (options_.read_only) return Status();
  return journal_->Sync(journal_->last());
}

void Copyset::CommitTick() {
  if (Status s = Sync(); !s.ok()) {
    if (!commit_failing_.exchange(true)) {
      Log(LogLevel::kError,
          dir_ + ": cannot make changes durable, they stay in memory and are tried again: " + s.ToString());
    }
  } else if (commit_failing_.exchange(false)) {
    Log(LogLevel::kInfo, dir_ + ": changes are durable again");
  }
  kv::JournalStats j = journal_->stats();
  if (j.disk_bytes >= options_.snapshot_journal_bytes && j.disk_bytes >= store_->stats().key_value_bytes) {
    housekeeping_loop_->Post([this] {
      if (journal_->stats().disk_bytes < options_.snapshot_journal_bytes) return;  // done meanwhile
      if (Status s = SnapshotNow(); !s.ok()) Log(LogLevel::kError, dir_ + ": no snapshot: " + s.ToString());
    });
  }
  commit_loop_->After(options_.commit_interval, [this] { CommitTick(); });
}

void Copyset::Housekeep() {
  // Failures are not lost: what could not be deleted or reclaimed stays queued, here and on disk.
  Status reclaimed = ReclaimReleased(), deleted = DeleteFreed(), swept = SweepDeferred();
  const Status& failed = !reclaimed.ok() ? reclaimed : !deleted.ok() ? deleted : swept;
  if (!failed.ok()) {
    if (!commit_failing_ && !std::exchange(housekeeping_failing_, true)) {
      Log(LogLevel::kWarning,
          dir_ + ": deleting in the background fails, and is tried again: " + failed.ToString());
    }
  } else if (housekeeping_failing_ && !deleting_fails_) {
    housekeeping_failing_ = false;
    Log(LogLevel::kInfo, dir_ + ": deleting in the background works again");
  }
  housekeeping_loop_->After(options_.commit_interval, [this] { Housekeep(); });
}

// Goes on past a batch that fails, as long as failing is quick: one object that cannot be deleted now does
// not hold up the others. What failed waits behind them.
Status Copyset::DeleteFreed() {
  MutexLock deleting(deleting_mu_);
  const SteadyTime began = Clock::System().Steady();
  size_t left;
  {
    MutexLock lock(mu_);
    left = freed_.size();
  }
  Status first;
  bool tried = false;
  while (left > 0 && (first.ok() || Clock::System().Steady() - began < kPatience)) {
    std::vector<Pending> batch;
    {
      Seq durable = journal_->durable();
      MutexLock lock(mu_);
      while (batch.size() < std::min(kDeleteSlice, left) && !freed_.empty() &&
             freed_.front().seq <= durable) {
        batch.push_back(freed_.front());
        freed_.pop_front();
      }
    }
    if (batch.empty()) break;
    left -= batch.size();
    std::vector<object::ObjectName> names;
    names.reserve(batch.size());
    for (const auto& p : batch) names.push_back(p.name);
    tried = true;
    Status s = objects_.DeleteMany(names);
    if (s.ok()) {
      s = Change([&](meta::Txn& txn) {
        for (const auto& name : names) txn.Del(meta::FreeKey(fs_.fs, PartitionOf(name.inode), name.chunk));
        return Status();
      });
    }
    MutexLock lock(mu_);
    if (s.ok()) {
      deleted_ += batch.size();
      continue;
    }
    // All of them again: deleting twice does no harm. Their batches are durable, so the place does not
    // matter.
    freed_.insert(freed_.end(), batch.begin(), batch.end());
    if (first.ok()) first = std::move(s);
  }
  // Those that failed may wait behind some that are not durable yet, and then nothing is known anew.
  if (tried || left == 0) deleting_fails_ = !first.ok();
  return first;
}

Status Copyset::ReclaimReleased() {
  for (;;) {
    InodeId inode;
    {
      MutexLock lock(mu_);
      if (released_.empty()) return Status();
      inode = released_.back();
      released_.pop_back();
    }
    for (bool gone = false; !gone;) {
      auto r = Change([&](meta::Txn& txn) { return meta::Reclaim(txn, inode, kReclaimSlice); });
      if (!r) {
        MutexLock lock(mu_);
        released_.push_back(inode);
        return r.error();
      }
      gone = *r;
      strand_.LetOthersIn();
    }
  }
}

void Copyset::ReleaseOrphan(InodeId inode) {
  if (options_.read_only) return;
  auto gone = Change([&](meta::Txn& txn) { return meta::Reclaim(txn, inode, kReclaimAtOnce); });
  if (gone && *gone) return;
  {
    MutexLock lock(mu_);
    released_.push_back(inode);
  }
  if (housekeeping_loop_ && gone) {
    housekeeping_loop_->Post([this] {
      if (Status s = ReclaimReleased(); !s.ok())
        Log(LogLevel::kWarning, dir_ + ": reclaiming: " + s.ToString());
    });
  }
}

Status Copyset::SnapshotNow() {
  MutexLock lock(snapshot_mu_);
  auto saved = store_->Save();
  if (!saved) {
    MutexLock stats(mu_);
    ++snapshot_failures_;
    return saved.error();
  }
  {
    MutexLock stats(mu_);
    ++snapshots_;
  }
  return journal_->TrimTo(*saved);
}

Status Copyset::DrainDeletions() {
  CURVEFS_CHECK_OK(ReclaimReleased());
  CURVEFS_CHECK_OK(Sync());
  CURVEFS_CHECK_OK(SweepDeferred());
  // What is freed while this deletes is deleted as well.
  for (;;) {
    CURVEFS_CHECK_OK(DeleteFreed());
    MutexLock lock(mu_);
    if (freed_.empty() || freed_.front().seq > journal_->durable()) return {};
  }
}

Status Copyset::Shutdown() {
  if (commit_loop_) commit_loop_->Stop();
  if (housekeeping_loop_) housekeeping_loop_->Stop();
  if (options_.read_only) return Status();
  CURVEFS_CHECK_OK(Sync());
  // What failed a moment ago would hold up the end for as long as the store is tried.
  Status drained = deleting_fails_ ? Status() : DrainDeletions();
  if (!drained.ok() || deleting_fails_) {
    Log(LogLevel::kWarning, dir_ + ": some objects could not be deleted, the next mount does it" +
                                (drained.ok() ? "" : ": " + drained.ToString()));
  }
  CURVEFS_CHECK_OK(Sync());
  if (journal_->stats().disk_bytes >= kSnapshotAtShutdownBytes || options_.engine == MetaEngine::kRocksdb) {
    CURVEFS_CHECK_OK(SnapshotNow());
  }
  return {};
}

CopysetStats Copyset::stats() const {
  CopysetStats s;
  s.journal = journal_->stats();
  s.store = store_->stats();
  s.changes = changes_.load(std::memory_order_relaxed);
  MutexLock lock(mu_);
  s.snapshots = snapshots_;
  s.snapshot_failures = snapshot_failures_;
  s.freed_objects_waiting = freed_.size();
  s.freed_objects_deleted = deleted_;
  s.orphans_waiting = released_.size();
  return s;
}

}  // namespace curvefs::metaserver
