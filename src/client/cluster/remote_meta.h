// RemoteMeta: the metadata of a file system that are in one copyset of a cluster; what needs others fails by
// kElsewhere (ClusterMeta puts them together).
// Everything is durable when it is acknowledged: a majority of replicas has it on disk.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/cluster/access_times.h"
#include "client/cluster/copyset_client.h"
#include "client/cluster/held_locks.h"
#include "client/cluster/open_inodes.h"
#include "client/meta_client.h"

namespace curvefs::client {

class RemoteMeta final {
 public:
  // `copyset` outlives it.
  explicit RemoteMeta(CopysetClient& copyset);
  ~RemoteMeta() { copyset_.OnNewLeader(nullptr); }

  Result<meta::Inode> GetInode(InodeId inode);
  using Listed = MetaClient::Listed;
  Result<std::vector<Listed>> List(InodeId dir, uint64_t cookie, uint32_t max, bool with_inodes);

  Result<meta::Inode> Create(const meta::CreateRequest& request);
  Result<meta::Inode> CreateUnnamed(const meta::CreateRequest& request);
  Result<meta::Inode> Link(InodeId inode, InodeId parent, std::string_view name);
  Result<meta::Inode> Unlink(InodeId parent, std::string_view name, InodeId trash);
  Result<meta::Inode> RemoveDirectory(InodeId parent, std::string_view name, InodeId trash);
  Result<meta::RenameReply> Rename(const meta::RenameRequest& request);

  Result<meta::Inode> SetAttributes(const meta::SetAttrRequest& request);
  Status NoteAccess(InodeId inode, Timestamp time) {
    access_.Note(inode, time);
    return {};
  }
  Result<meta::Inode> SetXattr(const meta::SetXattrRequest& request);
  Result<meta::Inode> RemoveXattr(InodeId inode, std::string_view name);
  Result<std::string> GetXattr(InodeId inode, std::string_view name);
  Result<std::string> ListXattrs(InodeId inode);

  Result<std::vector<meta::ChunkRecord>> Records(InodeId inode, uint64_t offset, uint64_t len);
  Result<std::vector<Result<meta::AppendReply>>> AppendChunks(
      const std::vector<meta::AppendRequest>& requests);
  Result<std::vector<Status>> ReplaceChunks(const std::vector<meta::ReplaceRequest>& requests);
  Result<meta::Inode> ZeroRange(InodeId inode, uint64_t offset, uint64_t len, bool kill_suid_gid);
  Result<meta::Inode> Allocate(InodeId inode, uint64_t end, bool extend, bool kill_suid_gid);
  Result<meta::CloneReply> CloneRange(const meta::CloneRequest& request);
  Result<ChunkId> NewChunks(uint32_t n);

  Result<meta::Inode> OpenInode(InodeId inode);
  void NoteClosed(InodeId inode) { open_.Close(inode); }
  Result<meta::Inode> CreateOpen(const meta::CreateRequest& request);
  Status SetLock(InodeId inode, const meta::FileLock& lock) { return locks_.Set(inode, lock); }
  Result<std::optional<meta::FileLock>> LockConflict(InodeId inode, const meta::FileLock& wanted) {
    return locks_.Conflict(inode, wanted);
  }
  bool ReleaseLocks(InodeId inode, const std::function<bool(const meta::FileLock&)>& which) {
    return locks_.Release(inode, which);
  }

  // `*elsewhere` is not 0 if another copyset has the inode: then nothing else is said.
  Result<meta::Inode> LookupHere(InodeId parent, std::string_view name, InodeId* elsewhere);
  // At most 1,000; in the place of one that is not here one with id 0. (List has such, too.)
  Result<std::vector<meta::Inode>> GetInodes(const std::vector<InodeId>& inodes);
  Result<MetaUsage> UsageOf(PartitionId partition);
  // meta::ReserveInode; it is open until NoteClosed.
  Result<InodeId> Reserve(PartitionId partition, uint32_t mode);

  LeaseCache& leases() { return copyset_.leases(); }
  size_t open_inodes() { return open_.size(); }

  // Says what can be said later, if the copyset answers soon: at the end of a mount.
  void Finish() { access_.Finish(); }

 private:
  bool HasNoXattrs(InodeId inode);
  Result<std::shared_ptr<const LeaseCache::Page>> FetchPage(InodeId dir, uint64_t cookie, uint32_t max,
                                                            bool with_inodes);
  Status RefreshInodes(std::vector<Listed>* page);
  Result<meta::Inode> WithAccess(Result<meta::Inode> inode);

  CopysetClient& copyset_;
  AccessTimes access_;
  OpenInodes open_;
  HeldLocks locks_;
};

}  // namespace curvefs::client
