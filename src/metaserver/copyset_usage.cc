// Homes, usage of directories, quotas.
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/log.h"
#include "metaserver/copyset.h"
#include "metaserver/space.h"

namespace curvefs::metaserver {
namespace {

constexpr size_t kHomesPerBatch = 5'000;  // names looked at in one change
constexpr size_t kMaxDifferences = 1'000;

}  // namespace

// A file system made by an older version: files do not know the directory that they count in. Runs before
// anything is served. A file of several names is done in one batch, so it may be interrupted anywhere.
Status Copyset::MakeHomes() {
  struct Name {
    InodeId parent;
    std::string name;
  };
  std::map<InodeId, std::vector<Name>> linked;  // the names of files that have several
  const std::string begin = meta::KindPrefix(fs_.fs, PartitionId(0), meta::KeyKind::kDentry);
  const std::string end = kv::PrefixEnd(begin);
  uint64_t made = 0;
  for (std::string from = begin; !from.empty();) {
    CURVEFS_CHECK_OK(Change([&](meta::Txn& txn) -> Status {
      size_t seen = 0;
      std::string next;
      CURVEFS_CHECK_OK(store_->Scan(from, end, [&](std::string_view key, std::string_view value) {
        if (++seen > kHomesPerBatch) {
          next = key;
          return false;
        }
        meta::ParsedKey parsed;
        auto dentry = meta::DecodeDentry(value);
        if (!dentry || !meta::ParseKey(key, &parsed) || dentry->type == S_IFDIR >> 12) return true;
        auto inode = txn.GetInode(dentry->inode);
        if (!inode || inode->parent) return true;  // an entry without an inode is fsck's business
        if (inode->nlink > 1) {
          linked[inode->id].push_back({parsed.inode, std::string(parsed.name)});
          return true;
        }
        inode->parent = parsed.inode;
        txn.PutInode(*inode);
        ++made;
        return true;
      }));
      from = next;
      return {};
    }));
  }
  for (const auto& [id, names] : linked) {
    CURVEFS_CHECK_OK(Change([&](meta::Txn& txn) -> Status {
      CURVEFS_TRY(meta::Inode inode, txn.GetInode(id));
      inode.parent = names[0].parent;
      for (size_t i = 1; i < names.size(); ++i) {
        txn.Set(meta::LinkKey(fs_.fs, id, names[i].parent, names[i].name), {});
        inode.flags |= meta::kHasLinks;
      }
      txn.PutInode(inode);
      ++made;
      return {};
    }));
  }
  super_.homes = true;
  CURVEFS_CHECK_OK(Change([&](meta::Txn& txn) -> Status {
    txn.Set(meta::SuperBlockKey(fs_.fs), meta::EncodeSuperBlock(super_));
    return {};
  }));
  if (made > 0)
    Log(LogLevel::kInfo,
        dir_ + ": noted for " + std::to_string(made) + " files which directory they count in");
  return {};
}

// Leaves building_usage_ to the caller, who holds usage_mu_, to be used or dropped.
Status Copyset::BuildUsage() {
  if (!super_.homes)
    return {Code::kNotSupported, dir_ + ": written by an older version; mount it once for writing"};
  Status s = strand_.Run([&]() CURVEFS_REQUIRES(strand_) {
    building_usage_ = std::make_unique<UsageTree>(meta::Quota{super_.capacity_bytes, super_.capacity_inodes});
    if (usage_) building_usage_->CopyAnnounced(*usage_);
    fs_.track_usage = true;
    tracks_usage_.store(true, std::memory_order_release);
    return LoadQuotas(*store_, fs_.fs, building_usage_.get());
  });
  for (bool complete = false; s.ok() && !complete;) {
    s = strand_.Run([&]() CURVEFS_REQUIRES(strand_) {
      Status added = AddToUsage(*store_, fs_.fs, kUsageSlice, building_usage_.get());
      complete = building_usage_->counted_to().value == ~uint64_t{0};
      return added;
    });
    strand_.LetOthersIn();
  }
  if (!s.ok()) strand_.Run([&]() CURVEFS_REQUIRES(strand_) { building_usage_.reset(); });
  return s;
}

Status Copyset::TrackUsage() {
  if (strand_.Read([&]() CURVEFS_REQUIRES_SHARED(strand_) { return usage_ != nullptr; })) return {};
  MutexLock building(usage_mu_);
  if (strand_.Read([&]() CURVEFS_REQUIRES_SHARED(strand_) { return usage_ != nullptr; })) return {};
  CURVEFS_CHECK_OK(BuildUsage());
  strand_.Run([&]() CURVEFS_REQUIRES(strand_) { usage_ = std::move(building_usage_); });
  return {};
}

Result<Usage> Copyset::UsageBelow(InodeId dir) const {
  return strand_.Read([&]() CURVEFS_REQUIRES_SHARED(strand_) -> Result<Usage> {
    if (!usage_) return Fail(Code::kUnavailable);
    return usage_->Below(dir);
  });
}

std::vector<QuotaUsage> Copyset::QuotasAbove(InodeId inode) const {
  return strand_.Read([&]() CURVEFS_REQUIRES_SHARED(strand_) -> std::vector<QuotaUsage> {
    if (!usage_ || !usage_->has_quotas()) return {};
    auto found = meta::Reader(*store_, fs_).GetInode(inode);
    if (!found) return {};
    return usage_->QuotasAbove(found->is_dir() ? inode : found->parent);
  });
}

Status Copyset::AnnounceLength(InodeId file, uint64_t end, bool exactly) {
  return strand_.Run([&]() CURVEFS_REQUIRES(strand_) -> Status {
    if (!usage_ && !building_usage_) return {};
    CURVEFS_TRY(meta::Inode inode, meta::Reader(*store_, fs_).GetInode(file));
    if (!inode.is_file()) return {};
    const meta::UsageShare share = meta::ShareOf(inode);
    if (usage_) CURVEFS_CHECK_OK(usage_->Announce(file, share, end, exactly, /*checked=*/true));
    if (building_usage_) (void)building_usage_->Announce(file, share, end, exactly, /*checked=*/false);
    return {};
  });
}

Status Copyset::SetQuota(InodeId dir, const meta::Quota& quota) {
  CURVEFS_CHECK_OK(TrackUsage());
  meta::SuperBlock super;  // if it is the root's
  CURVEFS_CHECK_OK(Change([&](meta::Txn& txn) -> Status {
    super = super_;
    return ChangeQuota(txn, dir, quota, &super);
  }));
  strand_.Run([&]() CURVEFS_REQUIRES(strand_) {
    // The directory may be gone meanwhile, and its quota with it.
    auto inode = meta::Reader(*store_, fs_).GetInode(dir);
    if (!inode || inode->nlink == 0) return;
    if (dir == kRootInode) super_ = super;
    for (auto* tree : {usage_.get(), building_usage_.get()}) {
      if (tree != nullptr) tree->SetQuota(dir, quota);
    }
  });
  return {};
}

std::vector<QuotaUsage> Copyset::ListQuotas() const {
  return strand_.Read([&]() CURVEFS_REQUIRES_SHARED(strand_) {
    return usage_ ? usage_->AllQuotas() : std::vector<QuotaUsage>();
  });
}

Result<std::vector<InodeId>> Copyset::CheckUsage(bool repair) {
  CURVEFS_CHECK_OK(TrackUsage());
  MutexLock building(usage_mu_);
  CURVEFS_CHECK_OK(BuildUsage());
  return strand_.Run([&]() CURVEFS_REQUIRES(strand_) {
    auto differ = usage_->Differences(*building_usage_, kMaxDifferences);
    if (repair) usage_ = std::move(building_usage_);
    building_usage_.reset();
    return differ;
  });
}

}  // namespace curvefs::metaserver
