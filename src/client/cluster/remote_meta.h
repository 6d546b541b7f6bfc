// RemoteMeta: the metadata service of a file system whose metadata are in one copyset of a cluster.
// Everything is durable when it is acknowledged: a majority of replicas has it on disk.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "client/cluster/access_times.h"
#include "client/cluster/copyset_client.h"
#include "client/cluster/held_locks.h"
#include "client/cluster/open_inodes.h"
#include "client/meta_client.h"

namespace curvefs::client {

class RemoteMeta final : public MetaClient {
 public:
  // `copyset` outlives it.
  explicit RemoteMeta(CopysetClient& copyset, FsId fs, InodeId root);
  ~RemoteMeta() override { copyset_.OnNewLeader(nullptr); }

  FsId fs() const override { return fs_; }
  InodeId root() const override { return root_; }

  Result<meta::Inode> Lookup(InodeId parent, std::string_view name) override;
  Result<meta::Inode> GetInode(InodeId inode) override;
  Result<std::vector<Listed>> List(InodeId dir, uint64_t cookie, uint32_t max, bool with_inodes) override;

  Result<meta::Inode> Create(const meta::CreateRequest& request) override;
  Result<meta::Inode> CreateUnnamed(const meta::CreateRequest& request) override;
  Result<meta::Inode> Link(InodeId inode, InodeId parent, std::string_view name) override;
  Result<meta::Inode> Unlink(InodeId parent, std::string_view name, InodeId trash) override;
  Result<meta::Inode> RemoveDirectory(InodeId parent, std::string_view name, InodeId trash) override;
  Result<meta::RenameReply> Rename(const meta::RenameRequest& request) override;

  Result<meta::Inode> SetAttributes(const meta::SetAttrRequest& request) override;
  Status NoteAccess(InodeId inode, Timestamp time) override {
    access_.Note(inode, time);
    return {};
  }
  Result<meta::Inode> SetXattr(const meta::SetXattrRequest& request) override;
  Result<meta::Inode> RemoveXattr(InodeId inode, std::string_view name) override;
  Result<std::string> GetXattr(InodeId inode, std::string_view name) override;
  Result<std::string> ListXattrs(InodeId inode) override;

  Result<std::vector<meta::ChunkRecord>> Records(InodeId inode, uint64_t offset, uint64_t len) override;
  Result<std::vector<Result<meta::AppendReply>>> AppendChunks(
      const std::vector<meta::AppendRequest>& requests) override;
  Result<std::vector<Status>> ReplaceChunks(const std::vector<meta::ReplaceRequest>& requests) override;
  // Objects shared by files are rewritten by whoever owns the copyset's space: none here.
  std::vector<meta::SharedObject> TakeSparse(uint32_t) override { return {}; }
  Result<meta::Inode> ZeroRange(InodeId inode, uint64_t offset, uint64_t len, bool kill_suid_gid) override;
  Result<meta::Inode> Allocate(InodeId inode, uint64_t end, bool extend, bool kill_suid_gid) override;
  Result<meta::CloneReply> CloneRange(const meta::CloneRequest& request) override;
  Result<ChunkId> NewChunks(uint32_t n) override;

  Result<meta::Inode> OpenInode(InodeId inode) override;
  void NoteClosed(InodeId inode) override { open_.Close(inode); }
  Result<meta::Inode> CreateOpen(const meta::CreateRequest& request) override;
  bool shared() const override { return true; }
  Status SetLock(InodeId inode, const meta::FileLock& lock) override { return locks_.Set(inode, lock); }
  Result<std::optional<meta::FileLock>> LockConflict(InodeId inode, const meta::FileLock& wanted) override {
    return locks_.Conflict(inode, wanted);
  }
  bool ReleaseLocks(InodeId inode, const std::function<bool(const meta::FileLock&)>& which) override {
    return locks_.Release(inode, which);
  }
  void ReleaseOrphan(InodeId) override {}  // the copyset's leader looks for what nobody has open
  Status Sync() override { return {}; }
  Result<MetaUsage> Usage() override;

  // Usage and limits of directories are not told over the wire.
  Status TrackUsage() override {
    return {Code::kNotSupported, "usage of directories is not kept by this mount"};
  }
  bool tracks_usage() const override { return false; }
  Result<DirUsage> UsageBelow(InodeId) override { return Fail(TrackUsage()); }
  Status AnnounceLength(InodeId, uint64_t, bool) override { return {}; }
  // Those of the whole file system, with what is used of it.
  std::vector<Limit> LimitsAbove(InodeId) override;
  void SetLimits(const meta::Quota& limits);  // what they are, for LimitsAbove; the copyset knows by itself
  std::string StatsText() override;

  // Says what can be said later, if the copyset answers soon: at the end of a mount.
  void Finish() { access_.Finish(); }

 private:
  Result<meta::Inode> WithAccess(Result<meta::Inode> inode);

  CopysetClient& copyset_;
  const FsId fs_;
  const InodeId root_;
  AccessTimes access_;
  OpenInodes open_;
  HeldLocks locks_;
  std::atomic<uint64_t> limit_bytes_{0}, limit_inodes_{0};
};

}  // namespace curvefs::client
