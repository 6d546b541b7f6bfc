// File systems of a replicated copyset; what they use, and what becomes free.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "meta/keys.h"
#include "meta/ops/content.h"
#include "meta/ops/create.h"
#include "metaserver/replicated_copyset.h"
#include "metaserver/space.h"

namespace curvefs::metaserver {
namespace {

constexpr size_t kOrphansAtOnce = 100;  // reclaimed of each partition, in one go
constexpr Duration kFreedTurn = std::chrono::seconds(30);
constexpr InodeId kCounted{~uint64_t{0}};  // UsageTree::Complete

meta::FsContext ContextFor(const meta::SuperBlock& super) {
  return {.fs = super.fs, .hash_seed = super.hash_seed, .chunk_size = super.chunk_size};
}

}  // namespace

// ---- File systems

const meta::FsContext& ReplicatedCopyset::ContextOf(FsId fs) const {
  auto found = file_systems_.find(fs);
  return found == file_systems_.end() ? fs_ : found->second.context;
}

// From the state, without what is proposed.
Status ReplicatedCopyset::LoadFileSystems() {
  std::map<FsId, FileSystem> found;
  Status failure;
  FsId last;
  CURVEFS_CHECK_OK(ForEachPartition(*store_, [&](FsId fs, PartitionId) {
    if (fs == std::exchange(last, fs)) return true;
    std::string value;
    Status s = store_->Get(meta::SuperBlockKey(fs), &value);
    if (s.code() == Code::kNotFound) return true;
    auto super = s.ok() ? meta::DecodeSuperBlock(value) : Result<meta::SuperBlock>(Fail(s));
    if (!super) {
      failure = super.error();
      return false;
    }
    FileSystem& entry = found[fs];
    entry.context = ContextFor(*super);
    entry.super = *std::move(super);
    // What was known stays.
    if (auto old = file_systems_.find(fs); old != file_systems_.end()) {
      entry.usage = std::move(old->second.usage);
      entry.context.track_usage = entry.usage != nullptr;
    }
    return true;
  }));
  CURVEFS_CHECK_OK(failure);
  file_systems_ = std::move(found);
  return {};
}

void ReplicatedCopyset::Format(meta::SuperBlock super, const std::vector<PartitionId>& partitions,
                               uint32_t mode, uint32_t uid, uint32_t gid, std::function<void(Status)> done) {
  if (!group_->leads()) return done(Code::kNotLeader);
  super.homes = true;
  if (!super.fs || super.chunk_size == 0 || super.block_size == 0 || super.uuid.empty() || partitions.empty())
    return done(
        {Code::kInvalid, "a super block without id, uuid, sizes of chunks and blocks, or partitions"});
  const meta::FsContext context = ContextFor(super);
  auto evaluate = [&](meta::Txn& txn) -> Status {
    std::string value;
    Status there = txn.view().Get(meta::SuperBlockKey(super.fs), &value);
    if (!there.ok() && there.code() != Code::kNotFound) return there;
    const bool known = there.ok();
    for (const PartitionId partition : partitions) {
      if (known) {
        const Status here = meta::CheckHere(txn.view(), super.fs, partition);
        if (here.ok()) continue;
        if (here.code() != Code::kElsewhere) return here;
      }
      txn.Set(meta::PartitionKey(super.fs, partition), meta::EncodePartition({}));
      if (partition == PartitionId(0)) meta::MakeRoot(txn, mode, uid, gid);
    }
    if (!known) {
      txn.Set(meta::SuperBlockKey(super.fs), meta::EncodeSuperBlock(super));
      return {};
    }
    if (!txn.empty()) return {};
    CURVEFS_TRY(meta::SuperBlock old, meta::DecodeSuperBlock(value));
    if (old.uuid == super.uuid) return {};
    return {Code::kExists, "file system " + std::to_string(super.fs.value) + " is here already"};
  };
  // Its own context, which this copyset does not know yet.
  meta::Txn txn(*overlay_, context, clock_.Wall());
  Status s = evaluate(txn);
  auto known = [this, done](const Status& settled) { done(settled.ok() ? LoadFileSystems() : settled); };
  if (!s.ok() || txn.empty()) {
    return AfterAll<Status>(std::move(s), std::move(known));
  }
  Status refused = Commit(txn, nullptr, 0, known);
  if (!refused.ok()) done(refused);
}

// ---- Every change

Status ReplicatedCopyset::Commit(meta::Txn& txn, const meta::LockGuard* guard, uint64_t self,
                                 std::function<void(const Status&)> done, bool* early) {
  const kv::WriteBatch batch = txn.ToBatch();
  if (guard != nullptr) {
    Status s = txn.moves_directory() ? guard->CheckDirectoryRename() : Status();
    if (s.ok()) s = guard->CheckWrites(batch);
    if (!s.ok()) {
      (void)MeetsAnother(s, Locks::kKept, *guard);
      return s;
    }
  }
  const FsId id = txn.fs().fs;
  auto found = file_systems_.find(id);
  UsageTree* usage = found == file_systems_.end() ? nullptr : found->second.usage.get();
  std::vector<meta::UsageChange> changes;
  if (usage) {
    changes = txn.usage_changes();
    if (usage->counted_to() == kCounted && !txn.passes_quotas()) CURVEFS_CHECK_OK(usage->Check(changes));
  }
  std::vector<object::ObjectName> freed;
  for (const meta::ObjectRef& o : txn.freed_objects()) freed.push_back(NameOf(id, o));
  struct Committing {
    Touched touched;
    uint64_t early = 0;  // session
  };
  auto committing = std::make_shared<Committing>();
  if (noted_since_) committing->touched = TouchedBy(batch);
  CURVEFS_CHECK_OK(Propose(batch, [this, id, changed = !changes.empty(), freed = std::move(freed), self,
                                   committing, done = std::move(done)](const Status& s) {
    leases_.End(committing->touched.parts, committing->early);
    if (s.ok() && committing->early == 0 && leases_.Keeps(self))
      TellOwn(self, committing->touched, *store_, false);
    if (s.ok()) freed_.insert(freed_.end(), freed.begin(), freed.end());
    // The figures have it already. Seldom enough to count anew.
    auto fs = file_systems_.find(id);
    if (!s.ok() && changed && fs != file_systems_.end() && fs->second.usage && group_->leads())
      (void)TrackUsage(&fs->second);
    done(s);
  }));
  if (early_.Proposed(last_proposal_, self, early != nullptr, proposals_.begin()->first, clock_.Steady())) {
    *early = true;
    committing->early = self;
    if (leases_.Keeps(self)) TellOwn(self, committing->touched, *overlay_, true);
  }
  leases_.Begin(committing->touched.parts, committing->early);
  for (const InodeId orphan : txn.new_orphans()) whole_orphans_.insert({id, orphan});
  // With what is proposed, as the next change sees it.
  if (usage) usage->Apply(changes);
  return {};
}

Status ReplicatedCopyset::StartSpace() {
  led_since_ = clock_.Steady();
  found_sessions_ = sessions_.size() > 0;
  ++times_led_;
  CURVEFS_CHECK_OK(LoadFileSystems());
  for (auto& [id, fs] : file_systems_) {
    CURVEFS_TRY(bool limited, HasQuotas(*store_, fs.super));
    if (limited) CURVEFS_CHECK_OK(TrackUsage(&fs));
  }
  CountUsage(kUsageSlice);
  std::vector<object::ObjectName> freed;
  Status failure;
  CURVEFS_CHECK_OK(ForEachPartition(*store_, [&](FsId fs, PartitionId partition) {
    failure = FindFreed(*store_, fs, partition, &freed);
    return failure.ok();
  }));
  freed_.assign(freed.begin(), freed.end());
  return failure;
}

void ReplicatedCopyset::StopSpace() {
  for (auto& [id, fs] : file_systems_) {
    fs.usage.reset();
    fs.context.track_usage = false;
  }
  freed_.clear();
  freed_turns_.clear();
  reclaiming_.clear();
  whole_orphans_.clear();
}

// ---- Usage and limits

Status ReplicatedCopyset::TrackUsage(FileSystem* fs) {
  auto tree = std::make_unique<UsageTree>(meta::Quota{fs->super.capacity_bytes, fs->super.capacity_inodes});
  if (fs->usage) tree->CopyAnnounced(*fs->usage);
  CURVEFS_CHECK_OK(LoadQuotas(*overlay_, fs->super.fs, tree.get()));
  fs->usage = std::move(tree);
  fs->context.track_usage = true;
  return {};
}

// What is proposed counts, since changes count when they are proposed.
void ReplicatedCopyset::CountUsage(size_t inodes) {
  for (auto& [id, fs] : file_systems_) {
    if (!fs.usage || fs.usage->counted_to() == kCounted) continue;
    if (Status s = AddToUsage(*overlay_, id, inodes, fs.usage.get()); !s.ok())
      Log(LogLevel::kWarning, "usage cannot be counted: " + s.ToString());
    return;
  }
}

void ReplicatedCopyset::SetQuota(FsId id, InodeId dir, const meta::Quota& quota,
                                 std::function<void(Status)> done) {
  if (!group_->leads()) return done(Code::kNotLeader);
  auto found = file_systems_.find(id);
  if (found == file_systems_.end()) {
    // Made by a change like any other since this leader was elected.
    if (Status s = LoadFileSystems(); !s.ok()) return done(s);
    found = file_systems_.find(id);
  }
  if (found == file_systems_.end()) return done(Code::kNotFound);
  if (!found->second.usage) {
    if (Status s = TrackUsage(&found->second); !s.ok()) return done(s);
    CountUsage(kUsageSlice);
  }
  auto super = std::make_shared<meta::SuperBlock>(found->second.super);
  Change(
      id, [dir, quota, super](meta::Txn& txn) { return ChangeQuota(txn, dir, quota, super.get()); },
      [this, id, dir, quota, super, done = std::move(done)](const Status& s) {
        auto fs = file_systems_.find(id);
        // The directory may be gone meanwhile, and its quota with it.
        if (s.ok() && fs != file_systems_.end() && fs->second.usage) {
          auto inode = meta::Reader(*overlay_, fs->second.context).GetInode(dir);
          if (dir == kRootInode) fs->second.super = *super;
          if (inode && inode->nlink > 0) fs->second.usage->SetQuota(dir, quota);
        }
        done(s);
      });
}

Result<Usage> ReplicatedCopyset::UsageBelow(FsId id, InodeId dir) const {
  if (!group_->leads()) return Fail(Code::kNotLeader);
  auto found = file_systems_.find(id);
  if (found == file_systems_.end()) return Fail(Code::kNotFound);
  const UsageTree* usage = found->second.usage.get();
  if (!usage || usage->counted_to() != kCounted) return Fail(Code::kUnavailable);
  return usage->Below(dir);
}

Status ReplicatedCopyset::AnnounceLength(FsId id, InodeId file, uint64_t end, bool exactly) {
  if (!group_->leads()) return Code::kNotLeader;
  auto found = file_systems_.find(id);
  if (found == file_systems_.end() || !found->second.usage) return {};
  UsageTree& usage = *found->second.usage;
  CURVEFS_TRY(meta::Inode inode, meta::Reader(*overlay_, found->second.context).GetInode(file));
  if (!inode.is_file()) return {};
  return usage.Announce(file, meta::ShareOf(inode), end, exactly, usage.counted_to() == kCounted);
}

// ---- What becomes free

void ReplicatedCopyset::ReclaimOrphans() {
  if (settling()) return;
  std::vector<OpenFile> orphans;
  Status s = ForEachPartition(*store_, [&](FsId fs, PartitionId partition) {
    size_t found = 0;
    return FindOrphans(*store_, fs, partition,
                       [&](InodeId inode) {
                         // Any number may be open, and must not hide those behind.
                         if (sessions_.IsOpen({fs, inode}) || !reclaiming_.insert({fs, inode}).second)
                           return true;
                         orphans.push_back({fs, inode});
                         return ++found < kOrphansAtOnce;
                       })
        .ok();
  });
  if (!s.ok()) Log(LogLevel::kWarning, "orphans cannot be listed: " + s.ToString());
  for (OpenFile orphan : orphans) {
    whole_orphans_.erase(orphan);
    Change(
        orphan.fs, [orphan](meta::Txn& txn) { return meta::Reclaim(txn, orphan.inode, kReclaimSlice); },
        // What is left of a large one goes next time.
        [this, orphan](const Result<bool>&) { reclaiming_.erase(orphan); });
  }
}

// An object whose record of being free is committed is dead for good: no id is used twice. So it does no harm
// if two leaders delete it, and none is forgotten: the record goes after the object.
void ReplicatedCopyset::DeleteFreed() {
  if (!objects_ || deletes_ || freed_.empty()) return;
  const size_t n = std::min(freed_.size(), kDeleteSlice);
  struct Work {
    std::vector<object::ObjectName> names;
    Status status;
  };
  auto work = std::make_shared<Work>();
  work->names.assign(freed_.begin(), freed_.begin() + static_cast<ptrdiff_t>(n));
  deletes_ = true;
  deleting_->Run([work, objects = objects_] { work->status = objects->DeleteMany(work->names); },
                 [this, work, alive = alive_, led = times_led_] {
                   if (!*alive) return;
                   deletes_ = false;
                   // Whoever leads next, this one again perhaps, has listed their records anew.
                   if (!group_->leads() || led != times_led_) return;
                   const bool failed_before = std::exchange(deleting_fails_, !work->status.ok());
                   if (work->status.ok()) {
                     if (failed_before) Log(LogLevel::kInfo, "objects can be deleted again");
                     return ForgetFreed(work->names);
                   }
                   if (!failed_before)
                     Log(LogLevel::kWarning,
                         "objects cannot be deleted, which is tried again: " + work->status.ToString());
                 });
}

std::vector<object::ObjectName> ReplicatedCopyset::FreedFor(uint64_t session, FsId fs, size_t max) {
  std::vector<object::ObjectName> names;
  if (objects_ != nullptr || freed_.empty()) return names;
  auto& [whose, until] = freed_turns_[fs];
  const SteadyTime now = clock_.Steady();
  if (whose != session && now < until) return names;
  whose = session;
  until = now + kFreedTurn;
  // Those whose record has gone are deleted.
  std::erase_if(freed_, [&](const object::ObjectName& name) {
    if (name.fs != fs || names.size() >= max) return false;
    std::string record;
    const Status s = store_->Get(meta::FreeKey(fs, PartitionOf(name.inode), name.chunk), &record);
    if (s.ok()) names.push_back(name);
    return s.code() == Code::kNotFound;
  });
  return names;
}

// The first of freed_ are gone, and their records go too.
void ReplicatedCopyset::ForgetFreed(const std::vector<object::ObjectName>& names) {
  std::map<FsId, std::vector<object::ObjectName>> gone;
  for (const auto& name : names) {
    CURVEFS_CHECK(freed_.front() == name);
    freed_.pop_front();
    gone[name.fs].push_back(name);
  }
  for (const auto& [fs, of_fs] : gone) {
    Change(
        fs,
        [&](meta::Txn& txn) -> Status {
          for (const auto& name : of_fs) txn.Del(meta::FreeKey(fs, PartitionOf(name.inode), name.chunk));
          return {};
        },
        [this, of_fs](const Status& s) {
          if (!s.ok() && group_->leads()) freed_.insert(freed_.end(), of_fs.begin(), of_fs.end());
        });
  }
  DeleteFreed();
}

}  // namespace curvefs::metaserver
