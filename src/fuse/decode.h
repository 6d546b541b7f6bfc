// Requests of the kernel, decoded: bytes in, plain values out. Pure and bounds-checked; nothing here trusts
// the sender.
//
// Views (names, targets, payloads) point into the message and live as long as it does.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "client/vfs/vfs.h"
#include "fuse/abi.h"

namespace curvefs::fuse {

struct Lookup {
  std::string_view name;
};
struct Forget {
  uint64_t count = 0;
};
struct BatchForget {
  std::vector<std::pair<InodeId, uint64_t>> items;
};
struct GetAttr {
  bool by_handle = false;  // by one who has the file open, or of what is about to be written to it
};
struct SetAttributes {
  client::SetAttr change;
};
struct ReadLink {};
struct Symlink {
  std::string_view name, target;
};
struct MkNod {
  std::string_view name;
  uint32_t mode = 0, rdev = 0;
};
struct MkDir {
  std::string_view name;
  uint32_t mode = 0;
};
struct Unlink {
  std::string_view name;
};
struct RmDir {
  std::string_view name;
};
struct Rename {
  std::string_view name;
  InodeId new_parent;
  std::string_view new_name;
  client::RenameMode mode = client::RenameMode::kReplace;
};
struct Link {
  InodeId inode;
  std::string_view name;
};
struct Open {
  int flags = 0;
  bool kill_suid_gid = false;
};
struct Create {
  std::string_view name;
  uint32_t mode = 0;
  int flags = 0;
  bool exclusive = false; /* O_EXCL */
  bool unnamed = false;   /* O_TMPFILE */
};
struct Read {
  client::HandleId handle = 0;
  uint64_t offset = 0;
  uint32_t size = 0;
};
struct Write {
  client::HandleId handle = 0;
  uint64_t offset = 0;
  std::string_view data;
  client::Vfs::WriteFlags flags;
  bool to_end = false; /* O_APPEND: for a file system that others share */
};
struct StatFs {};
struct Release {
  client::HandleId handle = 0;
};
struct Flush {
  client::HandleId handle = 0;
  uint64_t lock_owner = 0;
};
struct GetLock {
  meta::FileLock lock;
};
struct SetLock {
  client::HandleId handle = 0;
  meta::FileLock lock;
  bool wait = false;
};
struct Fsync {
  bool data_only = false;
};
struct SetXattr {
  std::string_view name, value;
  bool create = false, replace = false, kill_sgid = false;
};
struct GetXattr {
  std::string_view name;
  uint32_t size = 0; /* 0: how long is it? */
};
struct ListXattr {
  uint32_t size = 0;
};
struct RemoveXattr {
  std::string_view name;
};
struct Init {
  uint32_t major = 0, minor = 0, max_readahead = 0;
  uint64_t flags = 0;
};
struct OpenDir {};
struct ReadDir {
  uint64_t cookie = 0;
  uint32_t size = 0;
  bool plus = false;
};
struct ReleaseDir {
  client::HandleId handle = 0;
};
struct FsyncDir {};
struct Fallocate {
  uint32_t mode = 0; /* of fallocate(2) */
  uint64_t offset = 0, len = 0;
};
struct Seek {
  uint64_t offset = 0;
  bool data = false;
};
struct CopyFileRange {
  uint64_t offset = 0;
  InodeId to;
  uint64_t to_offset = 0, len = 0;
  bool wide = false;
};
struct SyncFs {};
struct Interrupt {
  uint64_t unique = 0;
};
struct Destroy {};
struct Refused {
  int error = 0;
};  // an operation we do not serve, and what to answer

using Operation =
    std::variant<Refused, Lookup, Forget, BatchForget, GetAttr, SetAttributes, ReadLink, Symlink, MkNod,
                 MkDir, Unlink, RmDir, Rename, Link, Open, Create, Read, Write, StatFs, Release, Flush, Fsync,
                 SetXattr, GetXattr, ListXattr, RemoveXattr, Init, OpenDir, ReadDir, ReleaseDir, FsyncDir,
                 Fallocate, Seek, CopyFileRange, SyncFs, Interrupt, Destroy, GetLock, SetLock>;

struct Request {
  uint32_t opcode = 0;
  uint64_t unique = 0;  // of this request; the reply carries it. 0: there is nobody to reply to
  InodeId inode;        // the operand; of operations on names the directory
  client::Caller caller;
  Operation operation;
};

// What INIT settled about the form of later requests.
struct Dialect {
  bool setxattr_ext = false;  // FUSE_SETXATTR_EXT
};

// Decodes one message. Fails with kInvalid if it is malformed (then `unique` and `opcode` are still set when
// the header was whole).
Status DecodeRequest(std::string_view message, Dialect dialect, Request* request);

}  // namespace curvefs::fuse
