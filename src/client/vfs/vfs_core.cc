#include "client/vfs/vfs_core.h"

#include <fcntl.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace curvefs::client {

meta::Inode VirtualFiles::Make(std::string content, Timestamp now, uint32_t mode, uint32_t uid) {
  meta::Inode inode;
  inode.mode = S_IFREG | mode;
  inode.uid = uid;
  inode.nlink = 1;
  inode.length = content.size();
  inode.atime = inode.mtime = inode.ctime = now;
  MutexLock lock(mu_);
  inode.id = MakeInodeId(kPartition, next_++);
  files_.emplace(inode.id, File{inode, BufferSlice::CopyOf(content)});
  return inode;
}

Result<meta::Inode> VirtualFiles::Get(InodeId inode) {
  MutexLock lock(mu_);
  auto it = files_.find(inode);
  if (it == files_.end()) return Fail(Code::kStale);
  return it->second.inode;
}

// The one that can be written.
bool VirtualFiles::IsControl(InodeId inode) {
  if (!IsVirtual(inode)) return false;  // without a lock: this is asked for every write
  auto found = Get(inode);
  return found && (found->mode & 0200) != 0;
}

Result<BufferList> VirtualFiles::Read(InodeId inode, uint64_t offset, size_t n) {
  MutexLock lock(mu_);
  auto it = files_.find(inode);
  if (it == files_.end()) return Fail(Code::kStale);
  const BufferSlice& content = it->second.content;
  if (offset >= content.size) return BufferList();
  return BufferList{content.Sub(offset, std::min<size_t>(n, content.size - offset))};
}

void VirtualFiles::Forget(InodeId inode) {
  MutexLock lock(mu_);
  files_.erase(inode);
}

Result<std::vector<meta::ChunkRecord>> MetaChunkIndex::Records(InodeId inode, uint64_t offset, uint64_t len) {
  return meta_.Records(inode, offset, len);
}

Result<std::vector<MetaChunkIndex::Appended>> MetaChunkIndex::Append(std::vector<FileRecords> files) {
  std::vector<meta::AppendRequest> requests;
  requests.reserve(files.size());
  for (auto& file : files) {
    requests.push_back(
        {.inode = file.inode, .records = std::move(file.records), .written = written_.Get(file.inode)});
  }
  CURVEFS_TRY(const auto replies, meta_.AppendChunks(requests));
  std::vector<Appended> appended;
  appended.reserve(replies.size());
  for (size_t i = 0; i < replies.size(); ++i) {
    const auto& reply = replies[i];
    if (!reply) {
      appended.push_back(Fail(reply.error()));
      continue;
    }
    if (requests[i].written) written_.Stored(requests[i].inode, *requests[i].written);
    std::vector<data::ChunkLoad> loads;
    for (const auto& c : reply->chunks)
      loads.push_back({c.chunk_index, c.records, c.live_bytes, c.inline_bytes});
    appended.push_back(std::move(loads));
  }
  return appended;
}

Result<std::vector<Status>> MetaChunkIndex::Replace(std::vector<Replacement> chunks) {
  std::vector<meta::ReplaceRequest> requests;
  requests.reserve(chunks.size());
  for (auto& c : chunks) requests.push_back({c.inode, std::move(c.before), std::move(c.after)});
  return meta_.ReplaceChunks(requests);
}

Result<ChunkId> MetaChunkIndex::NewChunks(uint32_t n) {
  MutexLock lock(mu_);
  if (n > end_ - next_) {
    CURVEFS_TRY(ChunkId first, meta_.NewChunks(std::max(n, kRun)));
    next_ = first.value;
    end_ = first.value + std::max(n, kRun);
  }
  ChunkId first(next_);
  next_ += n;
  return first;
}

Result<meta::Inode> Vfs::Core::Attributes(InodeId id) {
  if (VirtualFiles::IsVirtual(id)) return virtuals.Get(id);
  const Dirty dirty = DirtyOf(id);
  CURVEFS_TRY(meta::Inode inode, meta.GetInode(id));
  ApplyDirty(&inode, dirty);
  return inode;
}

Entry Vfs::Core::MakeEntry(meta::Inode inode, bool maybe_dirty) {
  refs.AddLookup(inode.id);
  if (inode.is_file() && maybe_dirty) {
    const Dirty dirty = DirtyOf(inode.id);
    if (auto again = meta.GetInode(inode.id)) inode = *std::move(again);
    ApplyDirty(&inode, dirty);
  }
  return {std::move(inode), true};
}

void Vfs::Core::AfterUnlink(const meta::Inode& inode) {
  if (inode.nlink == 0 && refs.MarkOrphan(inode.id)) Reclaim(inode.id);
}

void Vfs::Core::Reclaim(InodeId inode) {
  data.Forget(inode);
  (void)written.Forget(inode);
  meta.ReleaseOrphan(inode);
}

bool Vfs::Core::Accessed(const meta::Inode& inode) {
  if (options.read_only || options.atime == VfsOptions::Atime::kNoatime) return false;
  Timestamp now = clock.Wall();
  if (options.atime == VfsOptions::Atime::kRelatime) {
    // As the kernel does for local file systems: once after each change, and once a day.
    constexpr int64_t kDay = 86'400'000'000'000;
    bool due = inode.atime <= inode.mtime || inode.atime <= inode.ctime || now.ns - inode.atime.ns >= kDay;
    if (!due) return false;
  }
  if (now == inode.atime) return false;
  return meta.NoteAccess(inode.id, now).ok();
}

Status Vfs::Core::CheckWritable(InodeId inode) const {
  if (options.read_only) return Code::kReadOnly;
  if (VirtualFiles::IsVirtual(inode)) return Code::kNotPermitted;
  return Status();
}

Status Vfs::Core::CheckNotVirtualName(InodeId parent, std::string_view name) const {
  if (options.read_only) return Code::kReadOnly;
  if (VirtualFiles::IsName(parent, meta.root(), name) || trash.IsName(parent, name))
    return Code::kNotPermitted;
  return Status();
}

Result<meta::Inode> Vfs::Core::Truncate(meta::SetAttrRequest request) {
  Result<meta::Inode> reply = Fail(Code::kInvalid);
  const uint64_t size = *request.size;
  CURVEFS_CHECK_OK(data.Change(request.inode, size, ~uint64_t{0}, [&]() -> Status {
    do {  // a file of very many records takes several steps
      reply = meta.SetAttributes(request);
      if (!reply) return reply.error();
    } while (reply->length > size);
    return Status();
  }));
  // What was dirty beyond is gone.
  if (meta.tracks_usage()) (void)meta.AnnounceLength(request.inode, size, /*exactly=*/true);
  return reply;
}

Status Vfs::Core::TouchWritten(InodeId inode, bool kill_suid_gid) {
  Timestamp now = clock.Wall();
  auto r = meta.SetAttributes({.inode = inode, .mtime = now, .ctime = now, .kill_suid_gid = kill_suid_gid});
  return r ? Status() : r.error();
}

bool InGroup(const Caller& caller, uint32_t gid) {
  if (caller.uid == 0 || caller.gid == gid) return true;
  // The kernel does not hand over supplementary groups; they matter rarely enough to look them up.
  std::ifstream status("/proc/" + std::to_string(caller.pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("Groups:")) continue;
    std::istringstream groups(line.substr(7));
    for (uint32_t g; groups >> g;) {
      if (g == gid) return true;
    }
    break;
  }
  return false;
}

Result<meta::Inode> Vfs::Core::DropForeignSetgid(const Caller& caller, meta::Inode inode) {
  if (!inode.is_file() || (inode.mode & (S_ISGID | S_IXGRP)) != S_ISGID || InGroup(caller, inode.gid))
    return inode;
  return meta.SetAttributes({.inode = inode.id, .mode = inode.mode & 07777 & ~uint32_t{S_ISGID}});
}

Result<Opened> Vfs::Core::MakeOpened(InodeId inode, int flags) {
  refs.AddOpen(inode, (flags & O_ACCMODE) != O_RDONLY);
  Opened opened;
  opened.handle = files.Add(inode, flags);
  // Where another mount appends too, only we know where the bytes go, not the kernel's pages.
  opened.direct = meta.shared() && (flags & O_APPEND) != 0;
  return opened;
}

Result<Opened> Vfs::Core::MakeOpenedFile(const meta::Inode& inode, int flags) {
  CURVEFS_TRY(Opened opened, MakeOpened(inode.id, flags));
  if (meta.shared()) opened.keep_cache = pages.Open(inode.id, inode.version, opened.handle);
  return opened;
}

}  // namespace curvefs::client
