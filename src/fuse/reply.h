// Replies and notifications: our values in the kernel's layouts, and the writev that sends them.
#pragma once

#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/status.h"
#include "client/vfs/vfs.h"
#include "fuse/abi.h"

namespace curvefs::fuse {

// How long the kernel may rely on what nobody but this mount can change: "for ever". A year, because the
// kernel counts in jiffies from now and larger numbers help nobody.
inline constexpr std::chrono::nanoseconds kForever = std::chrono::hours(365 * 24);

// How long the kernel relies on names and on attributes before it asks again. In a file system that is shared
// with other mounts as long as its user wants: not at all, if nothing may be stale.
struct CacheTimes {
  std::chrono::nanoseconds entry = kForever, attr = kForever;
};

fuse_attr EncodeAttr(const meta::Inode& inode);
fuse_attr_out EncodeAttrOut(const meta::Inode& inode, const CacheTimes& times);
fuse_entry_out EncodeEntry(const client::Entry& entry, const CacheTimes& times);
// "No such name".
fuse_entry_out EncodeNegativeEntry(const CacheTimes& times);
fuse_open_out EncodeOpen(const client::Opened& opened);
fuse_statfs_out EncodeStatFs(const client::StatFs& stat);

// Collects directory entries for READDIR or READDIRPLUS in at most `limit` bytes.
class DirectoryWriter {
 public:
  // `out` is cleared, and holds the reply afterwards.
  DirectoryWriter(std::string* out, size_t limit, bool plus, CacheTimes times = {})
      : out_(*out), limit_(limit), plus_(plus), times_(times) {
    out_.clear();
  }

  // False if the entry does not fit any more.
  bool Add(const client::DirEntry& entry);

 private:
  std::string& out_;
  size_t limit_;
  bool plus_;
  CacheTimes times_;
};

// Calls visit(InodeId) for each entry of a READDIRPLUS reply that gives the kernel a reference.
template <typename F>
void ForEachReference(std::string_view direntplus, F&& visit) {
  while (direntplus.size() >= FUSE_NAME_OFFSET_DIRENTPLUS) {
    fuse_direntplus entry;
    std::memcpy(&entry, direntplus.data(), FUSE_NAME_OFFSET_DIRENTPLUS);
    if (entry.entry_out.nodeid != 0) visit(InodeId(entry.entry_out.nodeid));
    direntplus.remove_prefix(FUSE_DIRENTPLUS_SIZE(&entry));
  }
}

// Sends the reply to one request, to the file that the request was read from: each clone of /dev/fuse knows
// only its own.
//
// Sending returns false if the kernel no longer wants the reply (the request was aborted). A handler that was
// giving the kernel something, a reference or a handle, then takes it back.
class Responder {
 public:
  Responder(int fd, uint64_t unique) : fd_(fd), unique_(unique) {}

  bool Ok() const { return Send(0, {}); }
  bool Error(int error) const { return Send(error, {}); }
  bool Bytes(std::string_view bytes) const;
  bool Pieces(const BufferList& list) const;
  template <typename... T>
  bool Structs(const T&... parts) const {
    iovec iov[] = {{const_cast<T*>(&parts), sizeof parts}...};
    return Send(0, iov);
  }

  int fd() const { return fd_; }
  uint64_t unique() const { return unique_; }

 private:
  bool Send(int error, std::span<const iovec> body) const;

  int fd_;
  uint64_t unique_;
};

// Tells the kernel to forget the attributes of an inode.
void InvalidateAttributes(int fd, InodeId inode);
// Attributes, and what the kernel keeps of its entries.
void InvalidateDirectory(int fd, InodeId inode);

// A name, which the kernel has to look up again. Waits for the lock of the directory `parent`.
void InvalidateName(int fd, InodeId parent, std::string_view name);

// Tells the kernel to write back the dirty pages of an inode, and to drop them. Returns when that is done, so
// other threads must be there to serve the WRITEs.
void WriteBackPages(int fd, InodeId inode);

}  // namespace curvefs::fuse
