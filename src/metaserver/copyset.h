// Copyset: one group of partitions with its state (KVStore), its log and its strand (DESIGN §4).
//
// The standalone form: the log is a Journal in the same directory. A change is evaluated on the strand
// against the store, appended to the journal and applied; it is acknowledged then, and durable at the next
// commit interval or Sync. The objects that a batch names are synced before the journal writes it ("data
// before metadata"); the objects that it frees are deleted once it is durable.
//
// In the background: the commit timer, snapshots that bound the journal, deletion of freed objects,
// reclaiming of orphans.
//
// On disk, below `dir`: LOCK, journal/, store/ (snapshot or rocksdb).
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/disk.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "base/status.h"
#include "kv/journal.h"
#include "kv/store.h"
#include "meta/txn.h"
#include "metaserver/engine.h"
#include "metaserver/usage.h"
#include "object/object_store.h"

namespace curvefs::metaserver {

struct CopysetOptions {
  MetaEngine engine = MetaEngine::kMemory;
  kv::RocksOptions rocks;
  kv::JournalOptions journal;
  Duration commit_interval = std::chrono::seconds(1);
  uint64_t snapshot_journal_bytes =
      256 << 20;                        // journal size that starts a snapshot, if also larger than the state
  uint32_t root_uid = 0, root_gid = 0;  // owner of the root directory of a new file system
  bool read_only = false;               // nothing on disk is changed
  // Whether the objects can be asked for by now; null: from the start. Until they can, what a crash has left
  // among them stays.
  std::function<bool()> objects_reached;
  bool background = true;  // false: no timers; tests and offline tools call CommitNow, SnapshotNow
};

struct CopysetStats {
  kv::JournalStats journal;
  kv::StoreStats store;
  uint64_t changes = 0, reads = 0, snapshots = 0, snapshot_failures = 0;
  uint64_t freed_objects_waiting = 0, freed_objects_deleted = 0, orphans_waiting = 0;
};

class Copyset {
 public:
  // Loads state and journal, and makes a new file system in an empty directory if `format` is given. `disk`,
  // `objects` and `loop` outlive it. kBusy: in use by another process.
  static Result<std::unique_ptr<Copyset>> Open(Disk& disk, std::string dir, object::ObjectStore& objects,
                                               const meta::SuperBlock* format, CopysetOptions options,
                                               const Clock& clock);
  // Stops background work. What is not durable is lost, as in a crash: call Shutdown before.
  ~Copyset();

  const meta::SuperBlock& super() const { return super_; }
  const meta::FsContext& fs() const { return fs_; }
  const kv::JournalRecovery& recovery() const { return recovery_; }

  // Evaluates f(Txn&) -> Result<T> or Status as the only change under way, and commits what it left in the
  // transaction if it succeeded.
  template <typename F>
  auto Change(F&& f) -> decltype(f(std::declval<meta::Txn&>())) {
    return strand_.Run([&]() CURVEFS_REQUIRES(strand_) -> decltype(f(std::declval<meta::Txn&>())) {
      meta::Txn txn(*store_, fs_, clock_.Wall());
      auto result = f(txn);
      if (result && !txn.empty()) CURVEFS_CHECK_OK(Commit(txn));
      return result;
    });
  }
  // Evaluates f(const Reader&) against the committed state, with no change under way.
  template <typename F>
  auto Read(F&& f) const -> decltype(f(std::declval<const meta::Reader&>())) {
    return strand_.Read([&] { return f(meta::Reader(*store_, fs_)); });
  }

  // Everything committed so far is durable when it returns ok.
  Status Sync();
  // The orphan is no longer open: reclaim it in the background (small ones at once).
  void ReleaseOrphan(InodeId inode);

  // Usage of directories (usage.h); copyset_usage.cc. Begins to keep it, if it is not kept yet: reads every
  // inode once, in slices between which others get their turn. kNotSupported: read-only, and never mounted
  // for writing by a version that keeps homes.
  Status TrackUsage();
  // Whether changes of lengths that are not stored yet should be announced. Cheap.
  bool tracks_usage() const { return tracks_usage_.load(std::memory_order_acquire); }
  Result<Usage> UsageBelow(InodeId dir) const;  // kUnavailable: not tracked yet
  std::vector<QuotaUsage> QuotasAbove(InodeId inode) const;
  // See UsageTree::Announce; always ok without limits. kNotFound.
  Status AnnounceLength(InodeId file, uint64_t end, bool exactly);
  // Sets or takes away (a zero quota) the limits of a directory; of the root: of the file system.
  Status SetQuota(InodeId dir, const meta::Quota& quota);
  std::vector<QuotaUsage> ListQuotas() const;
  // Counts everything anew, while changes go on, and returns the directories whose figures were wrong; with
  // `repair` they are right then.
  Result<std::vector<InodeId>> CheckUsage(bool repair);
  // Objects shared by files of which less than half is still used, and who used them; each is given once,
  // until it has lost more.
  std::vector<meta::SharedObject> TakeSparse(uint32_t max);

  Status SnapshotNow();
  // Deletes freed objects and reclaims released orphans until there is none left; for shutdown and tests.
  Status DrainDeletions();
  // Sync, drain, snapshot if worth it. What cannot be deleted is left to the next mount; that is no error.
  Status Shutdown();

  CopysetStats stats() const;
  kv::KVStore& store() { return *store_; }

 private:
  static constexpr size_t kMaxSparse = 10'000;

  Copyset(Disk& disk, std::string dir, object::ObjectStore& objects, CopysetOptions options,
          const Clock& clock);
  Status Recover(const meta::SuperBlock* format);
  Status Format(const meta::SuperBlock& super);
  // copyset_sweep.cc
  Status SweepOrDefer();
  Status Sweep(uint64_t from, uint64_t below, uint64_t unused_from);
  Status SweepDeferred();
  Result<std::vector<object::ObjectName>> Unreferenced(const std::vector<object::ObjectName>& names,
                                                       ChunkId from) const;
  Result<std::set<ChunkId>> ReferencedFrom(const meta::Reader& reader, ChunkId from) const;
  Status Commit(meta::Txn& txn) CURVEFS_REQUIRES(strand_);
  Status MakeHomes();
  Status BuildUsage() CURVEFS_REQUIRES(usage_mu_);
  void FindSparse();
  Status SyncObjects(Seq upto);
  void CommitTick();
  void Housekeep();
  Status DeleteFreed();
  Status ReclaimReleased();

  Disk& disk_;
  const std::string dir_;
  object::ObjectStore& objects_;
  const CopysetOptions options_;
  const Clock& clock_;
  meta::SuperBlock super_;  // fixed once open, but for the capacity: that on the strand
  meta::FsContext fs_;      // fixed once open, but for track_usage: that on the strand
  kv::JournalRecovery recovery_;
  std::unique_ptr<File> lock_;
  std::unique_ptr<kv::KVStore> store_;
  std::unique_ptr<kv::Journal> journal_;

  Strand strand_;  // owns store_ (changes) and the order of journal_
  std::atomic<uint64_t> changes_{0};
  std::atomic<bool> commit_failing_{false};
  std::atomic<bool> failed_{false};  // the store no longer follows the journal: nothing more is changed

  // Objects by the batch that names them.
  struct Pending {
    Seq seq;
    object::ObjectName name;
  };
  mutable Mutex mu_ CURVEFS_ACQUIRED_AFTER(strand_);      // a leaf: never held during I/O
  std::deque<Pending> unsynced_ CURVEFS_GUARDED_BY(mu_);  // named by batches that are not durable yet
  std::deque<Pending> freed_ CURVEFS_GUARDED_BY(mu_);     // to be deleted once their batch is durable
  std::vector<InodeId> released_ CURVEFS_GUARDED_BY(mu_);
  std::set<ChunkId> sparse_
      CURVEFS_GUARDED_BY(mu_);  // at most kMaxSparse: the others are found at the next start
  uint64_t deleted_ CURVEFS_GUARDED_BY(mu_) = 0, snapshots_ CURVEFS_GUARDED_BY(mu_) = 0,
                    snapshot_failures_ CURVEFS_GUARDED_BY(mu_) = 0;

  // One deleter, one snapshot, one builder of usage at a time, each with the I/O that it does.
  Mutex deleting_mu_ CURVEFS_ACQUIRED_BEFORE(strand_);
  Mutex snapshot_mu_ CURVEFS_ACQUIRED_BEFORE(strand_);
  Mutex usage_mu_ CURVEFS_ACQUIRED_BEFORE(strand_);

  // What is built follows changes beside what is used.
  std::unique_ptr<UsageTree> usage_ CURVEFS_GUARDED_BY(strand_) CURVEFS_PT_GUARDED_BY(strand_);
  std::unique_ptr<UsageTree> building_usage_ CURVEFS_GUARDED_BY(strand_) CURVEFS_PT_GUARDED_BY(strand_);
  std::atomic<bool> tracks_usage_{false};

  Mutex sparse_search_mu_ CURVEFS_ACQUIRED_BEFORE(strand_);
  // Where the search for those of before the start goes on; empty: done.
  std::string sparse_next_ CURVEFS_GUARDED_BY(sparse_search_mu_);
  std::atomic<uint64_t> sweep_below_{0};  // of a sweep that had to be put off: chunk ids of before the start
  std::atomic<bool> deleting_fails_{false};
  bool housekeeping_failing_ = false;  // and the log says so; of the housekeeping loop

  std::unique_ptr<ThreadLoop> commit_loop_, housekeeping_loop_;
};

}  // namespace curvefs::metaserver
