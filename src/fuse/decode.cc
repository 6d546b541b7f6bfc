#include "fuse/decode.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.h"

// From <linux/fs.h>, which does not go together with <sys/mount.h>.
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#define RENAME_EXCHANGE (1 << 1)
#define RENAME_WHITEOUT (1 << 2)
#endif

namespace curvefs::fuse {
namespace {

// Takes the arguments of one request from the front of its body.
class Body {
 public:
  explicit Body(std::string_view body) : reader_(body), body_(body) {}

  // The first `size` bytes of a T, the rest of it zero.
  template <typename T>
  T Struct(size_t size = sizeof(T)) {
    T value{};
    std::string_view bytes = reader_.Bytes(size);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  // A string that ends with a zero byte. An empty one is refused: the kernel never sends an empty name or
  // target.
  std::string_view String() {
    std::string_view rest = body_.substr(reader_.position());
    size_t n = rest.find('\0');
    if (n == 0 || n == rest.npos) {
      bad_ = true;
      return {};
    }
    reader_.Bytes(n + 1);
    return rest.substr(0, n);
  }
  std::string_view Bytes(size_t n) { return reader_.Bytes(n); }
  size_t remaining() const { return reader_.remaining(); }
  void Refuse() { bad_ = true; }
  bool ok() const { return reader_.ok() && !bad_; }

 private:
  ByteReader reader_;
  std::string_view body_;
  bool bad_ = false;
};

int OpenFlags(uint32_t flags) {
  return static_cast<int>(flags) & ~(O_CREAT | O_EXCL | O_NOCTTY);
}

Operation DecodeSetAttr(Body& body) {
  auto in = body.Struct<fuse_setattr_in>();
  static constexpr std::pair<uint32_t, uint32_t> kBits[] = {
      {FATTR_MODE, client::SetAttr::kMode},
      {FATTR_UID, client::SetAttr::kUid},
      {FATTR_GID, client::SetAttr::kGid},
      {FATTR_SIZE, client::SetAttr::kSize},
      {FATTR_ATIME, client::SetAttr::kAtime},
      {FATTR_MTIME, client::SetAttr::kMtime},
      {FATTR_CTIME, client::SetAttr::kCtime},
      {FATTR_ATIME_NOW, client::SetAttr::kAtimeNow},
      {FATTR_MTIME_NOW, client::SetAttr::kMtimeNow},
      {FATTR_KILL_SUIDGID, client::SetAttr::kKillSuidGid},
  };
  client::SetAttr change;
  for (auto [kernel, ours] : kBits)
    if (in.valid & kernel) change.what |= ours;
  // FATTR_ATIME comes with FATTR_ATIME_NOW, then without a time that means anything.
  if (change.what & client::SetAttr::kAtimeNow) change.what &= ~uint32_t{client::SetAttr::kAtime};
  if (change.what & client::SetAttr::kMtimeNow) change.what &= ~uint32_t{client::SetAttr::kMtime};
  change.mode = in.mode & 07777;
  change.uid = in.uid;
  change.gid = in.gid;
  change.size = in.size;
  change.atime = Timestamp::From(static_cast<int64_t>(in.atime), in.atimensec);
  change.mtime = Timestamp::From(static_cast<int64_t>(in.mtime), in.mtimensec);
  change.ctime = Timestamp::From(static_cast<int64_t>(in.ctime), in.ctimensec);
  return SetAttributes{change};
}

Operation DecodeRename(Body& body, uint64_t new_parent, uint32_t flags) {
  Rename op;
  op.new_parent = InodeId(new_parent);
  op.name = body.String();
  op.new_name = body.String();
  switch (flags) {
    case 0:
      op.mode = client::RenameMode::kReplace;
      break;
    case RENAME_NOREPLACE:
      op.mode = client::RenameMode::kNoReplace;
      break;
    case RENAME_EXCHANGE:
      op.mode = client::RenameMode::kExchange;
      break;
    case RENAME_WHITEOUT:
      op.mode = client::RenameMode::kWhiteout;
      break;
    case RENAME_WHITEOUT | RENAME_NOREPLACE:
      op.mode = client::RenameMode::kWhiteoutNoReplace;
      break;
    default:
      return Refused{EINVAL};
  }
  return op;
}

Operation DecodeWrite(Body& body) {
  auto in = body.Struct<fuse_write_in>();
  Write op{.handle = in.fh, .offset = in.offset, .data = body.Bytes(in.size)};
  bool cached = in.write_flags & FUSE_WRITE_CACHE;
  op.flags.from_page_cache = cached;
  // O_DSYNC is a part of O_SYNC. Cached pages are followed by an FSYNC where it matters.
  op.flags.sync = !cached && (in.flags & O_DSYNC);
  op.flags.kill_suid_gid = in.write_flags & FUSE_WRITE_KILL_SUIDGID;
  // Where no other mount writes, O_APPEND needs nothing from us, and must not be acted on: the kernel knows
  // the end of the file, holds the inode's lock, and sends the parts of one large write at their offsets,
  // several at a time. Placing each at what is the end when it arrives would put them in the order of the
  // workers.
  op.flags.append = false;
  op.to_end = !cached && (in.flags & O_APPEND);
  return op;
}

Operation DecodeSetXattr(Body& body, Dialect dialect) {
  auto in =
      body.Struct<fuse_setxattr_in>(dialect.setxattr_ext ? sizeof(fuse_setxattr_in) : kSetxattrInV1Size);
  SetXattr op;
  op.name = body.String();
  op.value = body.Bytes(in.size);
  op.create = in.flags & XATTR_CREATE;
  op.replace = in.flags & XATTR_REPLACE;
  op.kill_sgid = in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID;
  return op;
}

Operation DecodeBatchForget(Body& body) {
  auto in = body.Struct<fuse_batch_forget_in>();
  BatchForget op;
  if (in.count > body.remaining() / sizeof(fuse_forget_one)) {
    body.Refuse();
    return op;
  }
  op.items.reserve(in.count);
  for (uint32_t i = 0; i < in.count; ++i) {
    auto one = body.Struct<fuse_forget_one>();
    op.items.emplace_back(InodeId(one.nodeid), one.nlookup);
  }
  return op;
}

Operation DecodeInit(Body& body) {
  auto in = body.Struct<fuse_init_in>(body.remaining() >= sizeof(fuse_init_in) ? sizeof(fuse_init_in)
                                                                               : kInitInV1Size);
  Init op{.major = in.major, .minor = in.minor, .max_readahead = in.max_readahead, .flags = in.flags};
  if (in.flags & FUSE_INIT_EXT) op.flags |= uint64_t{in.flags2} << 32;
  return op;
}

Operation DecodeSeek(Body& body) {
  auto in = body.Struct<fuse_lseek_in>();
  if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) return Refused{EINVAL};
  return Seek{in.offset, in.whence == SEEK_DATA};
}

Operation DecodeLock(Body& body, uint32_t opcode) {
  auto in = body.Struct<fuse_lk_in>();
  meta::FileLock lock{.owner = in.owner, .begin = in.lk.start, .last = in.lk.end, .pid = in.lk.pid};
  lock.kind = (in.lk_flags & FUSE_LK_FLOCK) != 0 ? meta::LockKind::kWhole : meta::LockKind::kRange;
  switch (in.lk.type) {
    case F_RDLCK:
      lock.type = meta::LockType::kRead;
      break;
    case F_WRLCK:
      lock.type = meta::LockType::kWrite;
      break;
    case F_UNLCK:
      lock.type = meta::LockType::kUnlock;
      break;
    default:
      return Refused{EINVAL};
  }
  if (lock.last < lock.begin) return Refused{EINVAL};
  if (opcode == FUSE_GETLK) return GetLock{lock};
  return SetLock{in.fh, lock, opcode == FUSE_SETLKW};
}

// Operations that make a name also bring the caller's umask.
Operation DecodeMaking(Body& body, uint32_t opcode, client::Caller* caller) {
  switch (opcode) {
    case FUSE_MKNOD: {
      auto in = body.Struct<fuse_mknod_in>();
      caller->umask = in.umask;
      return MkNod{body.String(), in.mode, in.rdev};
    }
    case FUSE_MKDIR: {
      auto in = body.Struct<fuse_mkdir_in>();
      caller->umask = in.umask;
      return MkDir{body.String(), in.mode};
    }
    default: {  // FUSE_CREATE, FUSE_TMPFILE
      auto in = body.Struct<fuse_create_in>();
      caller->umask = in.umask;
      Create op{.mode = in.mode,
                .flags = OpenFlags(in.flags),
                .exclusive = (in.flags & O_EXCL) != 0,
                .unnamed = opcode == FUSE_TMPFILE};
      if (op.unnamed)
        op.flags &= ~O_TMPFILE;  // what comes with it as a name has no meaning
      else
        op.name = body.String();
      return op;
    }
  }
}

Operation DecodeOperation(Body& body, uint32_t opcode, Dialect dialect, client::Caller* caller) {
  switch (opcode) {
    case FUSE_LOOKUP:
      return Lookup{body.String()};
    case FUSE_FORGET:
      return Forget{body.Struct<fuse_forget_in>().nlookup};
    case FUSE_BATCH_FORGET:
      return DecodeBatchForget(body);
    case FUSE_GETATTR:
      return GetAttr{(body.Struct<fuse_getattr_in>().getattr_flags & FUSE_GETATTR_FH) != 0};
    case FUSE_SETATTR:
      return DecodeSetAttr(body);
    case FUSE_READLINK:
      return ReadLink{};
    case FUSE_SYMLINK: {
      std::string_view name = body.String();
      return Symlink{name, body.String()};
    }
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_CREATE:
    case FUSE_TMPFILE:
      return DecodeMaking(body, opcode, caller);
    case FUSE_UNLINK:
      return Unlink{body.String()};
    case FUSE_RMDIR:
      return RmDir{body.String()};
    case FUSE_RENAME:
      return DecodeRename(body, body.Struct<fuse_rename_in>().newdir, 0);
    case FUSE_RENAME2: {
      auto in = body.Struct<fuse_rename2_in>();
      return DecodeRename(body, in.newdir, in.flags);
    }
    case FUSE_LINK: {
      InodeId inode(body.Struct<fuse_link_in>().oldnodeid);
      return Link{inode, body.String()};
    }
    case FUSE_OPEN: {
      auto in = body.Struct<fuse_open_in>();
      return Open{OpenFlags(in.flags), (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0};
    }
    case FUSE_READ: {
      auto in = body.Struct<fuse_read_in>();
      return Read{in.fh, in.offset, in.size};
    }
    case FUSE_WRITE:
      return DecodeWrite(body);
    case FUSE_STATFS:
      return StatFs{};
    case FUSE_RELEASE:
      return Release{body.Struct<fuse_release_in>().fh};
    case FUSE_FLUSH: {
      auto in = body.Struct<fuse_flush_in>();
      return Flush{in.fh, in.lock_owner};
    }
    case FUSE_FSYNC:
      return Fsync{(body.Struct<fuse_fsync_in>().fsync_flags & FUSE_FSYNC_FDATASYNC) != 0};
    case FUSE_SETXATTR:
      return DecodeSetXattr(body, dialect);
    case FUSE_GETXATTR: {
      uint32_t size = body.Struct<fuse_getxattr_in>().size;
      return GetXattr{body.String(), size};
    }
    case FUSE_LISTXATTR:
      return ListXattr{body.Struct<fuse_getxattr_in>().size};
    case FUSE_REMOVEXATTR:
      return RemoveXattr{body.String()};
    case FUSE_INIT:
      return DecodeInit(body);
    case FUSE_OPENDIR:
      return OpenDir{};
    case FUSE_READDIR:
    case FUSE_READDIRPLUS: {
      auto in = body.Struct<fuse_read_in>();
      return ReadDir{in.offset, in.size, opcode == FUSE_READDIRPLUS};
    }
    case FUSE_RELEASEDIR:
      return ReleaseDir{body.Struct<fuse_release_in>().fh};
    case FUSE_FSYNCDIR:
      return FsyncDir{};
    case FUSE_FALLOCATE: {
      auto in = body.Struct<fuse_fallocate_in>();
      return Fallocate{in.mode, in.offset, in.length};
    }
    case FUSE_LSEEK:
      return DecodeSeek(body);
    case FUSE_COPY_FILE_RANGE:
    case kCopyFileRange64: {
      auto in = body.Struct<fuse_copy_file_range_in>();
      if (in.flags != 0) return Refused{EINVAL};
      return CopyFileRange{in.off_in, InodeId(in.nodeid_out), in.off_out, in.len, opcode == kCopyFileRange64};
    }
    case FUSE_SYNCFS:
      return SyncFs{};
    case FUSE_GETLK:
    case FUSE_SETLK:
    case FUSE_SETLKW:
      return DecodeLock(body, opcode);
    case FUSE_INTERRUPT:
      return Interrupt{body.Struct<fuse_interrupt_in>().unique};
    case FUSE_DESTROY:
      return Destroy{};
    // Unlike ENOSYS, which the kernel would hand to the application.
    case FUSE_IOCTL:
      return Refused{ENOTTY};
    // ENOSYS makes the kernel do without, for good: it checks access itself (default_permissions), polls
    // files as always ready, refuses FIBMAP, gets birth times nowhere, and keeps locks locally.
    default:
      return Refused{ENOSYS};
  }
}

}  // namespace

Status DecodeRequest(std::string_view message, Dialect dialect, Request* request) {
  fuse_in_header header;
  if (message.size() < sizeof header) return {Code::kInvalid, "a request shorter than its header"};
  std::memcpy(&header, message.data(), sizeof header);
  request->opcode = header.opcode;
  request->unique = header.unique;
  request->inode = InodeId(header.nodeid);
  request->caller = {.uid = header.uid, .gid = header.gid, .pid = header.pid, .umask = 0};
  if (header.len != message.size())
    return {Code::kInvalid, "a request of " + std::to_string(message.size()) + " bytes that claims " +
                                std::to_string(header.len)};
  Body body(message.substr(sizeof header));
  request->operation = DecodeOperation(body, header.opcode, dialect, &request->caller);
  if (!body.ok()) {
    request->operation = Refused{EINVAL};
    return {Code::kInvalid, "malformed request with opcode " + std::to_string(header.opcode)};
  }
  return {};
}

}  // namespace curvefs::fuse
