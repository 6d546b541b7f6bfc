// LocalMeta: the metadata service of the standalone mount: the copyset in this process, called directly.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "client/meta_client.h"
#include "metaserver/copyset.h"

namespace curvefs::cli {

class LocalMeta final : public client::MetaClient {
 public:
  // `more_stats`: lines to add to StatsText.
  explicit LocalMeta(metaserver::Copyset& copyset, std::function<std::string()> more_stats = nullptr)
      : copyset_(copyset), more_stats_(std::move(more_stats)) {}

  FsId fs() const override { return copyset_.fs().fs; }
  InodeId root() const override { return copyset_.super().root; }

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
  Result<meta::Inode> SetXattr(const meta::SetXattrRequest& request) override;
  Result<meta::Inode> RemoveXattr(InodeId inode, std::string_view name) override;
  Result<std::string> GetXattr(InodeId inode, std::string_view name) override;
  Result<std::string> ListXattrs(InodeId inode) override;

  Result<std::vector<meta::ChunkRecord>> Records(InodeId inode, uint64_t offset, uint64_t len) override;
  Result<std::vector<Result<meta::AppendReply>>> AppendChunks(
      const std::vector<meta::AppendRequest>& requests) override;
  Result<std::vector<Status>> ReplaceChunks(const std::vector<meta::ReplaceRequest>& requests) override;
  std::vector<meta::SharedObject> TakeSparse(uint32_t max) override;
  Result<meta::Inode> ZeroRange(InodeId inode, uint64_t offset, uint64_t len, bool kill_suid_gid) override;
  Result<meta::Inode> Allocate(InodeId inode, uint64_t end, bool extend, bool kill_suid_gid) override;
  Result<meta::CloneReply> CloneRange(const meta::CloneRequest& request) override;
  Result<ChunkId> NewChunks(uint32_t n) override;

  void ReleaseOrphan(InodeId inode) override { copyset_.ReleaseOrphan(inode); }
  Status Sync() override { return copyset_.Sync(); }
  Result<client::MetaUsage> Usage() override;
  Status TrackUsage() override { return copyset_.TrackUsage(); }
  bool tracks_usage() const override { return copyset_.tracks_usage(); }
  Result<client::DirUsage> UsageBelow(InodeId dir) override;
  Status AnnounceLength(InodeId file, uint64_t end, bool exactly) override {
    return copyset_.AnnounceLength(file, end, exactly);
  }
  std::vector<client::Limit> LimitsAbove(InodeId inode) override;
  std::string StatsText() override;

 private:
  metaserver::Copyset& copyset_;
  const std::function<std::string()> more_stats_;
};

}  // namespace curvefs::cli
