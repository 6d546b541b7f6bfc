// Open files and their content.
#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "client/vfs/vfs_core.h"

namespace curvefs::client {
namespace {

// A long range is changed in steps, so that no single change of the metadata grows with it.
constexpr uint64_t kChangeStep = kChunkSize;
constexpr uint64_t kMaxCopy = uint64_t{1} << 30;  // bytes in one CopyFileRange

bool Writes(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY;
}

}  // namespace

Result<Vfs::Created> Vfs::Create(const Caller& caller, InodeId parent, std::string_view name, uint32_t mode,
                                 int flags) {
  Core& c = *core_;
  c.Count(Call::kCreate);
  CURVEFS_CHECK_OK(c.CheckNotVirtualName(parent, name));
  CURVEFS_TRY(meta::Inode inode, c.meta.CreateOpen({.parent = parent,
                                                    .name = name,
                                                    .mode = S_IFREG | (mode & 07777),
                                                    .uid = caller.uid,
                                                    .gid = caller.gid,
                                                    .umask = caller.umask}));
  CURVEFS_TRY(Opened opened, c.MakeOpenedFile(inode, flags));
  return Created{c.MakeEntry(std::move(inode), false), opened};
}

Result<Vfs::Created> Vfs::TmpFile(const Caller& caller, InodeId parent, uint32_t mode, int flags) {
  Core& c = *core_;
  c.Count(Call::kTmpFile);
  CURVEFS_CHECK_OK(c.CheckWritable(parent));
  CURVEFS_TRY(meta::Inode inode, c.meta.CreateOpen({.parent = parent,
                                                    .mode = S_IFREG | (mode & 07777),
                                                    .uid = caller.uid,
                                                    .gid = caller.gid,
                                                    .umask = caller.umask}));
  CURVEFS_TRY(Opened opened, c.MakeOpened(inode.id, flags));
  Entry entry = c.MakeEntry(std::move(inode), false);
  CURVEFS_CHECK(!c.refs.MarkOrphan(entry.inode.id));  // it has just been opened
  return Created{std::move(entry), opened};
}

Result<Opened> Vfs::Open(const Caller& caller, InodeId id, int flags, bool kill_suid_gid) {
  Core& c = *core_;
  c.Count(Call::kOpen);
  if (c.virtuals.IsControl(id)) {
    if (caller.uid != 0 && caller.uid != c.options.control_uid) return Fail(Code::kAccessDenied);
    if ((flags & O_ACCMODE) != O_RDWR)
      return Fail(Code::kInvalid, ".control is opened for reading and writing");
    CURVEFS_TRY(Opened opened, c.MakeOpened(id, flags));
    if (Status s = c.control.Open(opened.handle); !s.ok()) {
      Release(id, opened.handle);
      return Fail(s);
    }
    opened.keep_cache = false;
    opened.direct = true;
    return opened;
  }
  if (VirtualFiles::IsVirtual(id)) {
    if (Writes(flags) || (flags & O_TRUNC) != 0) return Fail(Code::kAccessDenied);
    if (auto inode = c.virtuals.Get(id); !inode) return Fail(inode.error());
    return c.MakeOpened(id, flags);
  }
  if (c.options.read_only && (Writes(flags) || (flags & O_TRUNC) != 0)) return Fail(Code::kReadOnly);
  CURVEFS_TRY(meta::Inode inode, c.meta.OpenInode(id));
  bool changed = false;
  auto prepare = [&]() -> Result<Opened> {
    if (inode.is_dir() && Writes(flags)) return Fail(Code::kIsDirectory);
    if ((flags & O_TRUNC) != 0 && inode.is_file()) {
      Timestamp now = c.clock.Wall();
      CURVEFS_TRY(inode, c.Truncate({.inode = id, .size = 0, .mtime = now, .kill_suid_gid = kill_suid_gid}));
      if (kill_suid_gid) {
        CURVEFS_TRY(inode, c.DropForeignSetgid(caller, std::move(inode)));
      }
      changed = true;
    }
    return c.MakeOpenedFile(inode, flags);
  };
  Result<Opened> prepared = prepare();
  if (!prepared) {
    c.meta.NoteClosed(id);
    return prepared;
  }
  Opened opened = *prepared;
  // Pages that the kernel has are read without asking us, so opening only for reading counts as the access.
  // One that may also write is taken at its word when a read comes.
  if ((flags & (O_ACCMODE | O_NOATIME)) == O_RDONLY && c.Accessed(inode)) changed = true;
  opened.attributes_changed = changed;
  return opened;
}

Result<BufferList> Vfs::Read(InodeId id, HandleId handle, uint64_t offset, size_t n) {
  Core& c = *core_;
  c.Count(Call::kRead);
  if (VirtualFiles::IsVirtual(id)) {
    if (!c.virtuals.IsControl(id)) return c.virtuals.Read(id, offset, n);
    CURVEFS_TRY(std::string part, c.control.Read(handle, n));
    return part.empty() ? BufferList() : BufferList{BufferSlice::CopyOf(part)};
  }
  const Core::Dirty dirty = c.DirtyOf(id);
  CURVEFS_TRY(meta::Inode inode, c.meta.GetInode(id));
  if (inode.is_dir()) return Fail(Code::kIsDirectory);
  c.ApplyDirty(&inode, dirty);
  auto file = c.files.Find(handle);
  if (file && (file->flags & (O_ACCMODE | O_NOATIME)) == O_RDWR) c.Accessed(inode);  // see Open
  CURVEFS_TRY(BufferList data, c.data.Read(id, offset, n, inode.length, file ? &file->stream : nullptr));
  c.bytes_read.fetch_add(TotalSize(data), std::memory_order_relaxed);
  return data;
}

Result<size_t> Vfs::Write(InodeId id, HandleId handle, uint64_t offset, BufferSlice data, WriteFlags flags) {
  Core& c = *core_;
  c.Count(Call::kWrite);
  if (c.virtuals.IsControl(id)) {
    CURVEFS_CHECK_OK(c.control.Write(handle, data.view()));
    return data.size;
  }
  CURVEFS_CHECK_OK(c.CheckWritable(id));
  if (auto file = c.files.Find(handle); file && !Writes(file->flags) && !flags.from_page_cache)
    return Fail(Code::kBadHandle);
  const size_t n = data.size;
  if (n == 0) return size_t{0};
  const bool touch = !flags.from_page_cache || !c.options.kernel_times || flags.kill_suid_gid;
  const bool later = touch && c.meta.shared() && !flags.kill_suid_gid;
  auto take = [&](uint64_t at, BufferSlice bytes) -> Status {
    if (at > kMaxFileSize || n > kMaxFileSize - at) return Code::kFileTooBig;
    if (const bool tracks = c.meta.tracks_usage(); tracks && at + n > c.data.DirtyEnd(id)) {
      CURVEFS_CHECK_OK(c.meta.AnnounceLength(id, at + n, /*exactly=*/false));
    }
    const auto before = later ? c.written.Note(id, c.clock.Wall()) : std::nullopt;
    Status s = c.data.Write(id, at, std::move(bytes));
    if (!s.ok() && later) c.written.Restore(id, before);
    if (!s.ok() && c.meta.tracks_usage())
      (void)c.meta.AnnounceLength(id, c.data.DirtyEnd(id), /*exactly=*/true);
    return s;
  };
  if (flags.append) {
    MutexLock appending(c.append_mu[id.value % c.append_mu.size()]);
    if (c.meta.shared()) {
      c.pages.Forget(id);
      CURVEFS_CHECK_OK(c.AppendShared(id, [&](uint64_t end) { return take(end, std::move(data)); }));
    } else {
      CURVEFS_TRY(meta::Inode inode, c.Attributes(id));
      CURVEFS_CHECK_OK(take(inode.length, std::move(data)));
    }
  } else {
    CURVEFS_CHECK_OK(take(offset, std::move(data)));
  }
  if (touch && !later) CURVEFS_CHECK_OK(c.TouchWritten(id, flags.kill_suid_gid));
  if (flags.kill_suid_gid) {
    CURVEFS_TRY(meta::Inode inode, c.meta.GetInode(id));
    CURVEFS_TRY(inode, c.DropForeignSetgid(flags.caller, std::move(inode)));
  }
  c.bytes_written.fetch_add(n, std::memory_order_relaxed);
  if (flags.sync) CURVEFS_CHECK_OK(Fsync(id, true));
  return n;
}

Status Vfs::Flush(InodeId inode, HandleId handle) {
  Core& c = *core_;
  if (c.meta.shared()) c.pages.Seen(inode, handle);
  if (c.options.read_only || VirtualFiles::IsVirtual(inode)) return Status();
  if (c.options.sync_close) return Fsync(inode, false);
  return c.options.store_close ? c.data.Flush(inode, true) : Status();
}

Status Vfs::Fsync(InodeId inode, bool) {
  Core& c = *core_;
  c.Count(Call::kFsync);
  if (c.options.read_only || VirtualFiles::IsVirtual(inode)) return Status();
  CURVEFS_CHECK_OK(c.data.Flush(inode, true));
  return c.meta.Sync();
}

void Vfs::Release(InodeId inode, HandleId handle) {
  Core& c = *core_;
  auto file = c.files.Remove(handle);
  if (!file) return;
  if (VirtualFiles::IsVirtual(inode)) c.control.Close(handle);
  if (c.meta.shared())
    c.meta.ReleaseLocks(inode, [handle](const meta::FileLock& held) { return held.handle == handle; });
  const bool reclaim = c.refs.DropOpen(inode, Writes(file->flags));
  if (VirtualFiles::IsVirtual(inode)) return;
  c.meta.NoteClosed(inode);
  if (reclaim) c.Reclaim(inode);
}

Status Vfs::Fallocate(const Caller& caller, InodeId id, uint32_t mode, uint64_t offset, uint64_t len) {
  Core& c = *core_;
  c.Count(Call::kFallocate);
  CURVEFS_CHECK_OK(c.CheckWritable(id));
  if (len == 0) return Code::kInvalid;
  if (offset > kMaxFileSize || len > kMaxFileSize - offset) return Code::kFileTooBig;
  const bool keep_size = (mode & kFallocKeepSize) != 0;
  const bool zero = (mode & (kFallocPunchHole | kFallocZeroRange)) != 0;
  if ((mode & kFallocPunchHole) != 0 && !keep_size) return Code::kNotSupported;
  const bool kill = caller.uid != 0;
  // The length in the metadata must be the true one before dirty bytes are dropped, and before it is raised.
  CURVEFS_CHECK_OK(c.data.Flush(id, false));
  if (!zero) {
    CURVEFS_TRY(meta::Inode inode, c.Attributes(id));
    uint64_t grown = offset + len > inode.length ? offset + len - std::max(offset, inode.length) : 0;
    CURVEFS_TRY(StatFs space, c.FreeSpace());
    if (grown > space.free_bytes) return Code::kNoSpace;
    auto r = c.meta.Allocate(id, offset + len, !keep_size, kill);
    if (r && kill) r = c.DropForeignSetgid(caller, *std::move(r));
    return r ? Status() : r.error();
  }
  CURVEFS_CHECK_OK(c.data.Change(id, offset, len, [&]() -> Status {
    for (uint64_t at = offset; at < offset + len;) {
      uint64_t to = std::min(offset + len, (at / kChangeStep + 1) * kChangeStep);
      auto inode = c.meta.ZeroRange(id, at, to - at, kill);
      if (!inode) return inode.error();
      at = to;
      if (at >= inode->length) break;  // nothing beyond
    }
    return Status();
  }));
  if (keep_size) return Status();
  auto r = c.meta.Allocate(id, offset + len, true, kill);
  return r ? Status() : r.error();
}

Result<size_t> Vfs::CopyFileRange(const Caller& caller, InodeId from, uint64_t from_offset, InodeId to,
                                  uint64_t to_offset, uint64_t len) {
  Core& c = *core_;
  c.Count(Call::kCopyFileRange);
  CURVEFS_CHECK_OK(c.CheckWritable(to));
  if (VirtualFiles::IsVirtual(from)) return Fail(Code::kNotSupported);
  len = std::min(len, kMaxCopy);
  if (to_offset > kMaxFileSize || len > kMaxFileSize - to_offset) return Fail(Code::kFileTooBig);
  CURVEFS_CHECK_OK(c.data.Flush(from, false));
  CURVEFS_CHECK_OK(c.data.Flush(to, false));
  CURVEFS_TRY(meta::Inode source, c.meta.GetInode(from));
  if (source.is_dir()) return Fail(Code::kIsDirectory);
  if (from_offset >= source.length) return size_t{0};
  len = std::min(len, source.length - from_offset);
  if (from == to && from_offset < to_offset + len && to_offset < from_offset + len)
    return Fail(Code::kInvalid);
  uint64_t copied = 0;
  Status status = c.data.Change(to, to_offset, len, [&]() -> Status {
    while (copied < len) {
      meta::CloneRequest request{.from = from,
                                 .from_offset = from_offset + copied,
                                 .to = to,
                                 .to_offset = to_offset + copied,
                                 .len = len - copied,
                                 .kill_suid_gid = caller.uid != 0};
      auto reply = c.meta.CloneRange(request);
      if (!reply) return reply.error();
      copied += reply->bytes;
    }
    return Status();
  });
  // The source may have been shortened meanwhile: then what was copied counts.
  if (!status.ok() && copied == 0) return Fail(status);
  return static_cast<size_t>(copied);
}

Result<uint64_t> Vfs::Seek(InodeId id, uint64_t offset, bool data) {
  Core& c = *core_;
  c.Count(Call::kSeek);
  CURVEFS_TRY(meta::Inode inode, c.Attributes(id));
  if (!inode.is_file()) return Fail(Code::kInvalid);
  if (offset >= inode.length) return Fail(Code::kNoSuchExtent);
  if (VirtualFiles::IsVirtual(id)) return data ? offset : inode.length;
  return data ? c.data.SeekData(id, offset, inode.length) : c.data.SeekHole(id, offset, inode.length);
}

bool Vfs::HasWriters(InodeId inode) {
  return core_->refs.HasWriters(inode);
}

}  // namespace curvefs::client
