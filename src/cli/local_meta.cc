#include "cli/local_meta.h"

#include <initializer_list>
#include <utility>

namespace curvefs::cli {

using meta::Reader;
using meta::Txn;

Result<meta::Inode> LocalMeta::Lookup(InodeId parent, std::string_view name) {
  return copyset_.Read([&](const Reader& r) { return meta::Lookup(r, parent, name); });
}

Result<meta::Inode> LocalMeta::GetInode(InodeId inode) {
  return copyset_.Read([&](const Reader& r) { return r.GetInode(inode); });
}

Result<std::vector<client::MetaClient::Listed>> LocalMeta::List(InodeId dir, uint64_t cookie, uint32_t max,
                                                                bool with_inodes) {
  return copyset_.Read([&](const Reader& r) -> Result<std::vector<Listed>> {
    std::vector<Listed> page;
    if (max == 0) return page;
    CURVEFS_CHECK_OK(meta::ListDirectory(r, dir, cookie, [&](const meta::ListedEntry& entry) {
      page.push_back({std::string(entry.name), entry.dentry, entry.cookie, {}});
      return page.size() < max;
    }));
    if (with_inodes) {
      for (Listed& entry : page) {
        CURVEFS_TRY(entry.inode, r.GetInode(entry.dentry.inode));
      }
    }
    return page;
  });
}

Result<meta::Inode> LocalMeta::Create(const meta::CreateRequest& request) {
  return copyset_.Change([&](Txn& t) { return meta::Create(t, request); });
}

Result<meta::Inode> LocalMeta::CreateUnnamed(const meta::CreateRequest& request) {
  return copyset_.Change([&](Txn& t) { return meta::CreateUnnamed(t, request); });
}

Result<meta::Inode> LocalMeta::Link(InodeId inode, InodeId parent, std::string_view name) {
  return copyset_.Change([&](Txn& t) { return meta::Link(t, inode, parent, name); });
}

Result<meta::Inode> LocalMeta::Unlink(InodeId parent, std::string_view name, InodeId trash) {
  return copyset_.Change([&](Txn& t) { return meta::Unlink(t, parent, name, trash); });
}

Result<meta::Inode> LocalMeta::RemoveDirectory(InodeId parent, std::string_view name, InodeId trash) {
  return copyset_.Change([&](Txn& t) { return meta::RemoveDirectory(t, parent, name, trash); });
}

Result<meta::RenameReply> LocalMeta::Rename(const meta::RenameRequest& request) {
  return copyset_.Change([&](Txn& t) { return meta::Rename(t, request); });
}

Result<meta::Inode> LocalMeta::SetAttributes(const meta::SetAttrRequest& request) {
  return copyset_.Change([&](Txn& t) { return meta::SetAttributes(t, request); });
}

Result<meta::Inode> LocalMeta::SetXattr(const meta::SetXattrRequest& request) {
  return copyset_.Change([&](Txn& t) { return meta::SetXattr(t, request); });
}

Result<meta::Inode> LocalMeta::RemoveXattr(InodeId inode, std::string_view name) {
  return copyset_.Change([&](Txn& t) { return meta::RemoveXattr(t, inode, name); });
}

Result<std::string> LocalMeta::GetXattr(InodeId inode, std::string_view name) {
  return copyset_.Read([&](const Reader& r) { return meta::GetXattr(r, inode, name); });
}

Result<std::string> LocalMeta::ListXattrs(InodeId inode) {
  return copyset_.Read([&](const Reader& r) { return meta::ListXattrs(r, inode); });
}

Result<std::vector<meta::ChunkRecord>> LocalMeta::Records(InodeId inode, uint64_t offset, uint64_t len) {
  return copyset_.Read([&](const Reader& r) { return meta::RecordsInRange(r, inode, offset, len); });
}

Result<std::vector<Result<meta::AppendReply>>> LocalMeta::AppendChunks(
    const std::vector<meta::AppendRequest>& requests) {
  return copyset_.Change([&](Txn& t) {
    t.PassQuotas();  // the writer was told already: AnnounceLength
    return meta::AppendChunks(t, requests);
  });
}

Result<std::vector<Status>> LocalMeta::ReplaceChunks(const std::vector<meta::ReplaceRequest>& requests) {
  return copyset_.Change([&](Txn& t) { return meta::ReplaceChunks(t, requests); });
}

std::vector<meta::SharedObject> LocalMeta::TakeSparse(uint32_t max) {
  return copyset_.TakeSparse(max);
}

Result<meta::Inode> LocalMeta::ZeroRange(InodeId inode, uint64_t offset, uint64_t len, bool kill_suid_gid) {
  return copyset_.Change([&](Txn& t) { return meta::ZeroRange(t, inode, offset, len, kill_suid_gid); });
}

Result<meta::Inode> LocalMeta::Allocate(InodeId inode, uint64_t end, bool extend, bool kill_suid_gid) {
  return copyset_.Change([&](Txn& t) { return meta::Allocate(t, inode, end, extend, kill_suid_gid); });
}

Result<meta::CloneReply> LocalMeta::CloneRange(const meta::CloneRequest& request) {
  return copyset_.Change([&](Txn& t) { return meta::CloneRange(t, request); });
}

Result<ChunkId> LocalMeta::NewChunks(uint32_t n) {
  return copyset_.Change([&](Txn& t) { return t.NewChunks(PartitionOf(root()), n); });
}

Result<client::MetaUsage> LocalMeta::Usage() {
  return copyset_.Read([&](const Reader& r) -> Result<client::MetaUsage> {
    CURVEFS_TRY(meta::PartitionRecord counters, r.GetPartition(PartitionOf(root())));
    return client::MetaUsage{.inodes = counters.inodes, .bytes = counters.bytes};
  });
}

Result<client::DirUsage> LocalMeta::UsageBelow(InodeId dir) {
  CURVEFS_TRY(metaserver::Usage u, copyset_.UsageBelow(dir));
  return client::DirUsage{u.files, u.subdirs, u.bytes};
}

std::vector<client::Limit> LocalMeta::LimitsAbove(InodeId inode) {
  std::vector<client::Limit> limits;
  for (const auto& q : copyset_.QuotasAbove(inode))
    limits.push_back({q.dir, q.quota, {q.used.files, q.used.subdirs, q.used.bytes}});
  return limits;
}

std::string LocalMeta::StatsText() {
  metaserver::CopysetStats s = copyset_.stats();
  std::string text;
  for (auto [name, value] : std::initializer_list<std::pair<const char*, uint64_t>>{
           {"meta_changes", s.changes},
           {"meta_reads", s.reads},
           {"meta_pairs", s.store.pairs},
           {"meta_key_value_bytes", s.store.key_value_bytes},
           {"meta_memory_bytes", s.store.memory_bytes},
           {"meta_orphans_waiting", s.orphans_waiting},
           {"journal_last", s.journal.last},
           {"journal_durable", s.journal.durable},
           {"journal_buffered_bytes", s.journal.buffered_bytes},
           {"journal_disk_bytes", s.journal.disk_bytes},
           {"journal_syncs", s.journal.syncs},
           {"journal_appended_bytes", s.journal.appended_bytes},
           {"journal_failures", s.journal.failures},
           {"snapshots_written", s.snapshots},
           {"snapshots_failed", s.snapshot_failures},
           {"objects_freed_waiting", s.freed_objects_waiting},
           {"objects_freed_deleted", s.freed_objects_deleted},
       }) {
    text += name;
    text += ' ';
    text += std::to_string(value);
    text += '\n';
  }
  if (more_stats_) text += more_stats_();
  return text;
}

}  // namespace curvefs::cli
