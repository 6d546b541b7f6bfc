// ClusterMeta: the metadata service of a file system in a cluster: its partitions, in one copyset or several.
//
// A call goes to the copyset that has the partition of its inode, or of the directory of its name. What needs
// records of several copysets is a transaction between partitions, carried through from here
// (docs/adr/0011-transactions.md). Directories right below the root are spread over the partitions;
// everything else is made in its directory's. Everything is durable when it is acknowledged.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "client/cluster/cluster_calls.h"
#include "client/cluster/mds_routes.h"
#include "client/cluster/remote_meta.h"
#include "client/meta_client.h"

namespace curvefs::client {

struct ClusterMetaOptions {
  CopysetClientOptions client;  // of each copyset, but for which one it is, and who has it
  Routes routes;                // as they are now
  // As they are by now; may block for some seconds. Null: they do not change.
  std::function<Result<Routes>()> find;
  Duration token_spreads{};  // so long a copyset that has not heard of the token is asked again
};

class ClusterMeta final : public MetaClient {
 public:
  // Opens a session with the copyset of the root. Errors: as CopysetClient::Open.
  static Result<std::unique_ptr<ClusterMeta>> Open(ClusterMetaOptions options);
  ~ClusterMeta() override;

  // Calls that wait fail, and those that come do so after one attempt: for the end of a process.
  void Stop();
  // Says what can be said later, if copysets answer soon: at the end of a mount.
  void Finish();
  // The directory that is mounted; before anybody else calls.
  void SetRoot(InodeId root) { root_ = root; }
  // Of the whole file system. With one partition its copyset keeps to them; with several each mount does, by
  // what was used a second ago.
  void SetLimits(const meta::Quota& limits);
  // All copysets of the file system that answer.
  std::vector<std::shared_ptr<CopysetClient>> Copysets();
  // Learns of new partitions, and finishes what clients that are gone have left of their transactions. Call
  // it every few seconds, from one thread; most of the time it does nothing.
  void Upkeep();

  FsId fs() const override { return options_.client.fs; }
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
  Status NoteAccess(InodeId inode, Timestamp time) override;
  Result<meta::Inode> SetXattr(const meta::SetXattrRequest& request) override;
  Result<meta::Inode> RemoveXattr(InodeId inode, std::string_view name) override;
  Result<std::string> GetXattr(InodeId inode, std::string_view name) override;
  Result<std::string> ListXattrs(InodeId inode) override;

  Result<std::vector<meta::ChunkRecord>> Records(InodeId inode, uint64_t offset, uint64_t len) override;
  // The files are of one partition (kCrossDevice).
  Result<std::vector<Result<meta::AppendReply>>> AppendChunks(
      const std::vector<meta::AppendRequest>& requests) override;
  Result<std::vector<Status>> ReplaceChunks(const std::vector<meta::ReplaceRequest>& requests) override;
  std::vector<meta::SharedObject> TakeSparse(uint32_t) override { return {}; }
  Result<meta::Inode> ZeroRange(InodeId inode, uint64_t offset, uint64_t len, bool kill_suid_gid) override;
  Result<meta::Inode> Allocate(InodeId inode, uint64_t end, bool extend, bool kill_suid_gid) override;
  // kCrossDevice: files of different partitions share no objects; the content is to be copied.
  Result<meta::CloneReply> CloneRange(const meta::CloneRequest& request) override;
  // All of partition 0, so that none is given out twice in the file system.
  Result<ChunkId> NewChunks(uint32_t n) override;

  Result<meta::Inode> OpenInode(InodeId inode) override;
  void NoteClosed(InodeId inode) override;
  Result<meta::Inode> CreateOpen(const meta::CreateRequest& request) override;
  bool shared() const override { return true; }
  Status SetLock(InodeId inode, const meta::FileLock& lock) override;
  Result<std::optional<meta::FileLock>> LockConflict(InodeId inode, const meta::FileLock& wanted) override;
  bool ReleaseLocks(InodeId inode, const std::function<bool(const meta::FileLock&)>& which) override;
  void ReleaseOrphan(InodeId) override {}
  // Waits for what was answered early.
  Status Sync() override;
  Result<MetaUsage> Usage() override;  // of all partitions

  Status TrackUsage() override {
    return {Code::kNotSupported, "usage of directories is not kept by this mount"};
  }
  bool tracks_usage() const override { return false; }
  Result<DirUsage> UsageBelow(InodeId) override { return Fail(TrackUsage()); }
  Status AnnounceLength(InodeId, uint64_t, bool) override { return {}; }
  std::vector<Limit> LimitsAbove(InodeId) override;
  std::string StatsText() override;

 private:
  // A copyset, as this mount knows it.
  struct Member {
    std::shared_ptr<CopysetClient> client;
    std::unique_ptr<RemoteMeta> meta;
  };
  using MemberPtr = std::shared_ptr<Member>;

  class Paused;

  explicit ClusterMeta(ClusterMetaOptions options);
  std::map<uint64_t, MemberPtr> Members();
  Result<MemberPtr> Of(PartitionId partition);
  Result<MemberPtr> Of(InodeId inode) { return Of(PartitionOf(inode)); }
  Result<MemberPtr> OpenMember(uint64_t copyset);
  Result<uint64_t> CopysetOf(PartitionId partition);
  bool Refresh();
  std::vector<Routes::Partition> Partitions();
  PartitionId PartitionForDirectory();
  template <typename T>
  Result<T> Transact(PartitionId coordinator, const std::function<Result<T>(meta::Txn&)>& evaluate);
  Result<meta::Inode> MakeElsewhere(const meta::CreateRequest& request, PartitionId partition);
  Status FillInodes(std::vector<Listed>* page);
  // kNoSpace: so much more would be over the limits.
  Status CheckLimits(uint64_t inodes, uint64_t bytes);

  const ClusterMetaOptions options_;
  meta::FsContext context_;
  InodeId root_ = kRootInode;
  std::atomic<bool> stopped_{false};
  std::atomic<uint64_t> limit_bytes_{0}, limit_inodes_{0}, next_spread_{0};
  const SteadyTime opened_ = Clock::System().Steady();
  SteadyTime upkept_{}, learned_ = opened_;  // of Upkeep's thread

  Mutex used_mu_;  // held while usage is asked for; before mu_
  MetaUsage used_ CURVEFS_GUARDED_BY(used_mu_);
  SteadyTime used_at_ CURVEFS_GUARDED_BY(used_mu_){};
  Mutex finding_;  // held while the MDS is asked; before mu_
  Mutex opening_;  // held while a session is opened; before mu_
  Mutex mu_;       // a leaf
  Routes routes_ CURVEFS_GUARDED_BY(mu_);
  SteadyTime found_ CURVEFS_GUARDED_BY(mu_){};
  std::map<uint64_t, MemberPtr> members_ CURVEFS_GUARDED_BY(mu_);
  ClusterCalls calls_;
};

}  // namespace curvefs::client
