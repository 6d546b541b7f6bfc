#include "fuse/reply.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "base/limits.h"

namespace curvefs::fuse {
namespace {

constexpr uint32_t kBlock = 4096;
constexpr size_t kMaxPieces = 1024;  // IOV_MAX of Linux

char zeros[64 << 10];  // what holes are sent from; never written

// writev that is not bothered by signals. A message goes out whole or not at all.
bool WriteMessage(int fd, std::span<const iovec> iov) {
  for (;;) {
    if (::writev(fd, iov.data(), static_cast<int>(iov.size())) >= 0) return true;
    if (errno != EINTR) return false;
  }
}

void NotifyInvalInode(int fd, InodeId inode, int64_t offset, int64_t len) {
  fuse_notify_inval_inode_out body{.ino = inode.value, .off = offset, .len = len};
  fuse_out_header header{.len = sizeof header + sizeof body, .error = FUSE_NOTIFY_INVAL_INODE, .unique = 0};
  iovec iov[] = {{&header, sizeof header}, {&body, sizeof body}};
  WriteMessage(fd, iov);  // ENOENT, the kernel does not have the inode, is as good
}

}  // namespace

fuse_attr EncodeAttr(const meta::Inode& inode) {
  fuse_attr attr{};
  attr.ino = inode.id.value;
  attr.size = inode.length;
  attr.blocks = (inode.bytes + 511) / 512;
  if (inode.is_dir()) {  // its length counts entries; to tools a directory is one block
    attr.size = kBlock;
    attr.blocks = kBlock / 512;
  } else if (inode.is_symlink() && !inode.symlink.empty()) {
    attr.size = inode.symlink.size();
  }
  attr.atime = static_cast<uint64_t>(inode.atime.sec());
  attr.mtime = static_cast<uint64_t>(inode.mtime.sec());
  attr.ctime = static_cast<uint64_t>(inode.ctime.sec());
  attr.atimensec = static_cast<uint32_t>(inode.atime.nsec());
  attr.mtimensec = static_cast<uint32_t>(inode.mtime.nsec());
  attr.ctimensec = static_cast<uint32_t>(inode.ctime.nsec());
  attr.mode = inode.mode;
  attr.nlink = inode.nlink;
  attr.uid = inode.uid;
  attr.gid = inode.gid;
  attr.rdev = inode.rdev;
  attr.blksize = kBlock;
  return attr;
}

namespace {

void SetTime(std::chrono::nanoseconds time, uint64_t* seconds, uint32_t* nanoseconds) {
  *seconds = static_cast<uint64_t>(time / std::chrono::seconds(1));
  *nanoseconds = static_cast<uint32_t>((time % std::chrono::seconds(1)).count());
}

}  // namespace

fuse_attr_out EncodeAttrOut(const meta::Inode& inode, const CacheTimes& times) {
  fuse_attr_out out{};
  SetTime(times.attr, &out.attr_valid, &out.attr_valid_nsec);
  out.attr = EncodeAttr(inode);
  return out;
}

fuse_entry_out EncodeEntry(const client::Entry& entry, const CacheTimes& times) {
  fuse_entry_out out{};
  out.nodeid = entry.inode.id.value;
  out.generation = 0;  // inode ids are never reused
  if (entry.cacheable) {
    SetTime(times.entry, &out.entry_valid, &out.entry_valid_nsec);
    SetTime(times.attr, &out.attr_valid, &out.attr_valid_nsec);
  }
  out.attr = EncodeAttr(entry.inode);
  return out;
}

fuse_entry_out EncodeNegativeEntry(const CacheTimes& times) {
  fuse_entry_out out{};
  SetTime(times.entry, &out.entry_valid, &out.entry_valid_nsec);
  return out;
}

fuse_open_out EncodeOpen(const client::Opened& opened) {
  fuse_open_out out{};
  out.fh = opened.handle;
  // Parallel direct writes have a meaning for direct files only; newer kernels drop the flag on others.
  if (opened.direct)
    out.open_flags |= FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
  else if (opened.keep_cache)
    out.open_flags |= FOPEN_KEEP_CACHE;
  return out;
}

fuse_statfs_out EncodeStatFs(const client::StatFs& stat) {
  fuse_statfs_out out{};
  out.st.bsize = out.st.frsize = kBlock;
  out.st.blocks = stat.total_bytes / kBlock;
  out.st.bfree = out.st.bavail = stat.free_bytes / kBlock;
  out.st.files = stat.total_inodes;
  out.st.ffree = stat.free_inodes;
  out.st.namelen = kMaxName;
  return out;
}

bool DirectoryWriter::Add(const client::DirEntry& entry) {
  fuse_direntplus record{};
  record.dirent.ino = entry.inode.value;
  record.dirent.off = entry.cookie;
  record.dirent.namelen = static_cast<uint32_t>(entry.name.size());
  record.dirent.type = entry.type;
  size_t at = out_.size();
  size_t fixed = plus_ ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
  size_t size = FUSE_DIRENT_ALIGN(fixed + entry.name.size());
  if (size > limit_ - at) return false;
  const char* from = reinterpret_cast<const char*>(&record.dirent);
  if (plus_) {
    if (entry.entry != nullptr) record.entry_out = EncodeEntry(*entry.entry, times_);
    from = reinterpret_cast<const char*>(&record);
  }
  out_.append(from, fixed);
  out_.append(entry.name);
  out_.resize(at + size);
  return true;
}

bool Responder::Send(int error, std::span<const iovec> body) const {
  iovec iov[kMaxPieces];
  fuse_out_header header{.len = sizeof header, .error = -error, .unique = unique_};
  iov[0] = {&header, sizeof header};
  for (size_t i = 0; i < body.size(); ++i) {
    iov[i + 1] = body[i];
    header.len += static_cast<uint32_t>(body[i].iov_len);
  }
  return WriteMessage(fd_, {iov, body.size() + 1});
}

bool Responder::Bytes(std::string_view bytes) const {
  iovec iov{const_cast<char*>(bytes.data()), bytes.size()};
  return Send(0, {&iov, 1});
}

bool Responder::Pieces(const BufferList& list) const {
  std::vector<iovec> iov;
  iov.reserve(list.size());
  for (const BufferSlice& slice : list) {
    if (!slice.is_zero()) {
      iov.push_back({const_cast<char*>(slice.data()), slice.size});
      continue;
    }
    for (size_t left = slice.size; left > 0;) {
      size_t n = std::min(left, sizeof zeros);
      iov.push_back({zeros, n});
      left -= n;
    }
  }
  if (iov.size() < kMaxPieces) return Send(0, iov);
  std::shared_ptr<Buffer> whole = Buffer::Make(TotalSize(list));
  CopyOut(list, whole->data());
  return Bytes({whole->data(), whole->size()});
}

void InvalidateAttributes(int fd, InodeId inode) {
  NotifyInvalInode(fd, inode, -1, 0);
}

void InvalidateDirectory(int fd, InodeId inode) {
  NotifyInvalInode(fd, inode, 0, 0);
}

void InvalidateName(int fd, InodeId parent, std::string_view name) {
  fuse_notify_inval_entry_out body{
      .parent = parent.value, .namelen = static_cast<uint32_t>(name.size()), .flags = 0};
  const std::string terminated(name);  // the zero byte belongs to the message, and is not counted
  fuse_out_header header{.len = static_cast<uint32_t>(sizeof header + sizeof body + terminated.size() + 1),
                         .error = FUSE_NOTIFY_INVAL_ENTRY,
                         .unique = 0};
  iovec iov[] = {{&header, sizeof header},
                 {&body, sizeof body},
                 {const_cast<char*>(terminated.c_str()), terminated.size() + 1}};
  WriteMessage(fd, iov);
}

void WriteBackPages(int fd, InodeId inode) {
  NotifyInvalInode(fd, inode, 0, 0);
}

}  // namespace curvefs::fuse
