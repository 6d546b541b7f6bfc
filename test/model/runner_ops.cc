// The operations one by one, on both sides.
#include <fcntl.h>
#include <string.h>

#include <algorithm>

#include "base/limits.h"
#include "test/model/runner.h"

namespace curvefs::test {
namespace {

std::string Text(const Status& s) {
  return s.ok() ? "ok" : s.ToString();
}

std::string CompareStatus(const Status& want, const Status& got) {
  if (want.code() == got.code()) return {};
  return "result:\n    model: " + (want.ok() ? "ok" : std::string(CodeName(want.code()))) +
         "\n    real:  " + Text(got);
}

template <typename T>
Status StatusOf(const Result<T>& r) {
  return r ? Status() : r.error();
}

bool Reads(int flags) {
  return (flags & O_ACCMODE) != O_WRONLY;
}
PosixModel::Kill KillBy(const Op& op) {
  return op.uid == 0 ? PosixModel::Kill() : PosixModel::Kill(op.gid);
}
bool Writes(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY;
}

}  // namespace

std::string Runner::Names(const Op& op) {
  client::Vfs& vfs = fs_->vfs();
  const client::Caller caller{.uid = op.uid, .gid = op.gid, .umask = 022};
  Ino ino;
  InodeId id;
  Status status;
  if (op.kind == Kind::kLookup || op.kind == Kind::kReadLink) {
    if (std::string wrong = Get(op.a, &ino, &id, &status); !wrong.empty() || ino == 0) return wrong;
    std::string wrong;
    if (op.kind == Kind::kReadLink) {
      auto got = vfs.ReadLink(id);
      const ModelInode& inode = *model_.Find(ino);
      const bool link = S_ISLNK(inode.mode);
      wrong = CompareStatus(link ? Status() : Status(Code::kInvalid), StatusOf(got));
      if (wrong.empty() && link && *got != inode.symlink) wrong = "another target";
      if (link) model_.Access(ino);
    }
    Drop(id);
    return wrong;
  }
  if (op.kind == Kind::kLink) {
    if (std::string wrong = Get(op.a, &ino, &id, &status); !wrong.empty() || ino == 0) return wrong;
    const Place to = Find(op.b);
    std::string wrong;
    if (to.status.ok()) {
      const Status want = model_.Link(ino, to.dir, to.name);
      auto got = vfs.Link(caller, id, to.dir_id, to.name);
      wrong = CompareStatus(want, StatusOf(got));
      if (got) {
        if (wrong.empty()) wrong = Compare(ino, got->inode);
        Drop(got->inode.id);
      }
    }
    Drop(id);
    return wrong;
  }
  const Place at = Find(op.a);
  if (!fault_.empty()) return fault_;
  if (!at.status.ok()) return {};
  // The kernel has looked the name up before, and does not ask for what cannot be a name.
  if (at.name.size() > kMaxName &&
      (op.kind == Kind::kUnlink || op.kind == Kind::kRmDir || op.kind == Kind::kRename))
    return {};
  switch (op.kind) {
    case Kind::kUnlink: {
      const Status want = model_.Unlink(at.dir, at.name);
      return CompareStatus(want, vfs.Unlink(caller, at.dir_id, at.name));
    }
    case Kind::kRmDir: {
      const Status want = model_.RmDir(at.dir, at.name);
      return CompareStatus(want, vfs.RmDir(caller, at.dir_id, at.name));
    }
    case Kind::kRename: {
      const Place to = Find(op.b);
      if (!to.status.ok()) return fault_;
      const Status want = model_.Rename(at.dir, at.name, to.dir, to.name,
                                        static_cast<PosixModel::RenameHow>(op.mode), op.uid, op.gid);
      return CompareStatus(want, vfs.Rename(caller, at.dir_id, at.name, to.dir_id, to.name,
                                            static_cast<client::RenameMode>(op.mode)));
    }
    default:
      break;
  }
  PosixModel::NewInode what{.mode = op.mode, .uid = op.uid, .gid = op.gid, .umask = 022};
  Result<client::Entry> got = Fail(Code::kInvalid);
  if (op.kind == Kind::kMkDir) {
    what.mode = S_IFDIR | op.mode;
    got = vfs.MkDir(caller, at.dir_id, at.name, op.mode);
  } else if (op.kind == Kind::kMkNod) {
    what.rdev = op.n;
    got = vfs.MkNod(caller, at.dir_id, at.name, op.mode, op.n);
  } else {
    what.mode = S_IFLNK | 0777;
    what.symlink = op.b;
    got = vfs.Symlink(caller, at.dir_id, at.name, op.b);
  }
  auto want = model_.Create(at.dir, at.name, what);
  std::string wrong = CompareStatus(StatusOf(want), StatusOf(got));
  if (got) {
    if (wrong.empty()) wrong = Compare(*want, got->inode);
    Drop(got->inode.id);
  }
  return wrong;
}

std::string Runner::Attributes(const Op& op) {
  Ino ino;
  InodeId id;
  Status status;
  if (std::string wrong = Get(op.a, &ino, &id, &status); !wrong.empty() || ino == 0) return wrong;
  using client::SetAttr;
  PosixModel::Change want;
  SetAttr real;
  if (op.kind == Kind::kTruncate) {
    real.what = op.uid != 0 ? SetAttr::kSize | SetAttr::kKillSuidGid : uint32_t{SetAttr::kSize};
    real.size = op.n;
    want.size = op.n;
    want.kill = KillBy(op);
    if (S_ISREG(model_.Find(ino)->mode)) Touch(ino, op.n, ~uint64_t{0} - op.n, true);
  } else {
    if ((op.at & 1) != 0) want.mode = real.mode = op.mode, real.what |= SetAttr::kMode;
    if ((op.at & 2) != 0) want.uid = real.uid = op.uid, real.what |= SetAttr::kUid;
    if ((op.at & 4) != 0) want.gid = real.gid = op.gid, real.what |= SetAttr::kGid;
    if ((op.at & 8) != 0) want.atime = real.atime = Timestamp{int64_t(op.n)}, real.what |= SetAttr::kAtime;
    if ((op.at & 16) != 0)
      want.mtime = real.mtime = Timestamp{int64_t(op.n) - 5}, real.what |= SetAttr::kMtime;
    if ((op.at & 32) != 0) want.atime = clock_.Wall(), real.what |= SetAttr::kAtimeNow;
  }
  const Status expected = model_.SetAttributes(ino, want);
  auto got =
      fs_->vfs().SetAttributes({.uid = op.kind == Kind::kTruncate ? op.uid : 0, .gid = op.gid}, id, real);
  std::string wrong = CompareStatus(expected, StatusOf(got));
  if (wrong.empty() && got) wrong = Compare(ino, *got);
  Drop(id);
  return wrong;
}

std::string Runner::Xattrs(const Op& op) {
  Ino ino;
  InodeId id;
  Status status;
  if (std::string wrong = Get(op.a, &ino, &id, &status); !wrong.empty() || ino == 0) return wrong;
  client::Vfs& vfs = fs_->vfs();
  std::string wrong;
  if (op.kind == Kind::kSetXattr) {
    const std::string value = Fill(op.seed, op.n);
    const Status want = model_.SetXattr(ino, op.b, value, op.mode == 1, op.mode == 2);
    wrong = CompareStatus(want, vfs.SetXattr({}, id, op.b, value, op.mode == 1, op.mode == 2, false));
  } else if (op.kind == Kind::kGetXattr) {
    auto want = model_.GetXattr(ino, op.b);
    auto got = vfs.GetXattr(id, op.b);
    wrong = CompareStatus(StatusOf(want), StatusOf(got));
    if (wrong.empty() && want && *want != *got) wrong = "another value";
  } else if (op.kind == Kind::kRemoveXattr) {
    const Status want = model_.RemoveXattr(ino, op.b);
    wrong = CompareStatus(want, vfs.RemoveXattr({}, id, op.b));
  } else {
    auto got = vfs.ListXattr({}, id);
    wrong = CompareStatus({}, StatusOf(got));
    std::set<std::string> listed, want;
    if (got) {
      for (size_t at = 0; at < got->size(); at += strlen(&(*got)[at]) + 1) listed.insert(&(*got)[at]);
    }
    for (const auto& [name, value] : model_.Find(ino)->xattrs) want.insert(name);
    if (wrong.empty() && listed != want) wrong = "other attributes are listed";
  }
  Drop(id);
  return wrong;
}

std::string Runner::OpenClose(const Op& op) {
  client::Vfs& vfs = fs_->vfs();
  Slot& slot = slots_[op.slot];
  const client::Caller caller{.uid = op.uid, .gid = op.gid, .umask = 022};
  if (op.kind == Kind::kClose) {
    Close(&slot);
    return {};
  }
  if (op.kind == Kind::kLinkSlot) {
    // As linkat of /proc/self/fd does: the kernel refuses what was unlinked, so only O_TMPFILE files come
    // without a name.
    if (slot.handle == 0 || (model_.Find(slot.ino)->nlink == 0 && (slot.flags & O_TMPFILE) != O_TMPFILE))
      return {};
    const Place to = Find(op.a);
    if (!to.status.ok()) return fault_;
    const Status want = model_.Link(slot.ino, to.dir, to.name);
    auto got = vfs.Link(caller, slot.id, to.dir_id, to.name);
    if (got) Drop(got->inode.id);
    if (want.ok()) slot.flags &= ~(O_TMPFILE & ~O_DIRECTORY);
    return CompareStatus(want, StatusOf(got));
  }
  if (slot.handle != 0) return {};
  if (op.kind == Kind::kOpen) {
    Ino ino;
    InodeId id;
    Status status;
    if (std::string wrong = Get(op.a, &ino, &id, &status); !wrong.empty() || ino == 0) return wrong;
    if (!S_ISREG(model_.Find(ino)->mode)) {
      Drop(id);
      return {};
    }
    const int flags = op.flags & ~O_APPEND;
    if ((flags & O_TRUNC) != 0) Touch(ino, 0, ~uint64_t{0}, true);
    auto got = vfs.Open(caller, id, flags, op.uid != 0);
    if (!got) {
      Drop(id);
      return CompareStatus({}, got.error());
    }
    if ((flags & O_TRUNC) != 0) {
      (void)model_.SetAttributes(ino, {.size = 0, .kill = KillBy(op)});
    }
    if (flags == O_RDONLY) model_.Access(ino);  // what is also open for writing counts with the first read
    model_.Open(ino);
    slot = {ino, id, got->handle, op.flags};
    return {};
  }
  const Place at = Find(op.a);
  if (!at.status.ok()) return fault_;
  const PosixModel::NewInode what{.mode = S_IFREG | op.mode, .uid = op.uid, .gid = op.gid, .umask = 022};
  const bool named = op.kind == Kind::kCreate;
  auto want = named ? model_.Create(at.dir, at.name, what) : model_.CreateUnnamed(at.dir, what);
  auto got = named ? vfs.Create(caller, at.dir_id, at.name, op.mode, O_RDWR)
                   : vfs.TmpFile(caller, at.dir_id, op.mode, O_RDWR);
  std::string wrong = CompareStatus(StatusOf(want), StatusOf(got));
  if (wrong.empty() && got) wrong = Compare(*want, got->entry.inode);
  if (!got) return wrong;
  if (!want) {
    vfs.Release(got->entry.inode.id, got->opened.handle);
    Drop(got->entry.inode.id);
    return wrong;
  }
  model_.Open(*want);
  slot = {*want, got->entry.inode.id, got->opened.handle, O_RDWR | (named ? 0 : O_TMPFILE)};
  return wrong;
}

void Runner::Touch(Ino ino, uint64_t at, uint64_t n, bool shortened) {
  if (!setup_.crashes) return;
  auto [it, fresh] = touched_.try_emplace(ino);
  if (fresh) it->second.synced = model_.Find(ino)->content;
  it->second.ranges.emplace_back(at, n > ~uint64_t{0} - at ? ~uint64_t{0} : at + n);
  it->second.shortened |= shortened;
}

std::string Runner::ReadWrite(const Op& op, Slot& slot) {
  client::Vfs& vfs = fs_->vfs();
  if (op.kind == Kind::kFsync) {
    const Status s = setup_.lie == Lie::kForgottenSync ? Status() : vfs.Fsync(slot.id, op.seed % 2 == 0);
    touched_.erase(slot.ino);
    Synced();
    return CompareStatus({}, s);
  }
  if (op.kind == Kind::kRead) {
    if (!Reads(slot.flags)) return {};
    if ((slot.flags & O_ACCMODE) == O_RDWR) model_.Access(slot.ino);
    auto got = vfs.Read(slot.id, slot.handle, op.at, op.n);
    if (!got) return "reading fails: " + got.error().ToString();
    std::string bytes(TotalSize(*got), 0);
    CopyOut(*got, bytes.data());
    const std::string want = model_.Find(slot.ino)->content.Read(op.at, op.n);
    if (bytes == want) return {};
    if (bytes.size() != want.size())
      return std::to_string(bytes.size()) + " bytes read, " + std::to_string(want.size()) + " expected";
    const size_t first = std::mismatch(bytes.begin(), bytes.end(), want.begin()).first - bytes.begin();
    return "wrong bytes read, first at " + std::to_string(op.at + first);
  }
  if (op.kind == Kind::kSlotTruncate) {
    if (!Writes(slot.flags)) return {};
    Touch(slot.ino, op.n, ~uint64_t{0} - op.n, true);
    auto got = vfs.SetAttributes({}, slot.id, {.what = client::SetAttr::kSize, .size = op.n});
    const Status want = model_.SetAttributes(slot.ino, {.size = op.n});
    if (std::string wrong = CompareStatus(want, StatusOf(got)); !wrong.empty()) return wrong;
    return Compare(slot.ino, *got);
  }
  const std::string data = Fill(op.seed, op.n);
  const bool append = (slot.flags & O_APPEND) != 0, sync = op.mode == 1;
  const client::Vfs::WriteFlags flags{
      .append = append, .sync = sync, .kill_suid_gid = op.uid != 0, .caller = {.uid = op.uid, .gid = op.gid}};
  auto got = vfs.Write(slot.id, slot.handle, op.at, BufferSlice::CopyOf(data), flags);
  if (!Writes(slot.flags)) return CompareStatus(Code::kBadHandle, StatusOf(got));
  if (!got) return "writing fails: " + got.error().ToString();
  if (*got != data.size()) return "a short write";
  const uint64_t at = append ? model_.Find(slot.ino)->content.length() : op.at;
  Touch(slot.ino, at, data.size());
  const Status done = model_.Write(slot.ino, at, data, KillBy(op));
  if (sync) {
    touched_.erase(slot.ino);
    Synced();
  }
  return CompareStatus(done, {});
}

std::string Runner::Fallocate(const Op& op, Slot& slot) {
  if (!Writes(slot.flags)) return {};
  const bool keep = (op.mode & client::kFallocKeepSize) != 0;
  const bool punch = (op.mode & client::kFallocPunchHole) != 0,
             zero = punch || (op.mode & client::kFallocZeroRange) != 0;
  Touch(slot.ino, op.at, op.n);
  Status want;
  if (punch && !keep) {
    want = Code::kNotSupported;
  } else if (zero) {
    want = model_.Zero(slot.ino, op.at, op.n, keep, KillBy(op));
  } else {
    want = model_.Allocate(slot.ino, op.at + op.n, keep, KillBy(op));
  }
  return CompareStatus(want,
                       fs_->vfs().Fallocate({.uid = op.uid, .gid = op.gid}, slot.id, op.mode, op.at, op.n));
}

std::string Runner::Copy(const Op& op, Slot& from, Slot& to) {
  if (!Reads(from.flags) || !Writes(to.flags)) return {};
  Touch(to.ino, op.at2, op.n);
  auto want = model_.Copy(from.ino, op.at, to.ino, op.at2, op.n, KillBy(op));
  auto got = fs_->vfs().CopyFileRange({.uid = op.uid, .gid = op.gid}, from.id, op.at, to.id, op.at2, op.n);
  if (std::string wrong = CompareStatus(StatusOf(want), StatusOf(got)); !wrong.empty()) return wrong;
  if (want && *want != *got)
    return std::to_string(*got) + " bytes copied, " + std::to_string(*want) + " expected";
  return {};
}

// Answers may be coarse, but no data may lie in what is called a hole.
std::string Runner::Seek(const Op& op, Slot& slot) {
  const Content& content = model_.Find(slot.ino)->content;
  auto got = fs_->vfs().Seek(slot.id, op.at, op.mode == 1);
  if (op.at >= content.length()) return CompareStatus(Code::kNoSuchExtent, StatusOf(got));
  if (op.mode == 1) {
    if (!got && got.error().code() != Code::kNoSuchExtent) return "seek fails: " + got.error().ToString();
    const uint64_t end = got ? *got : content.length();
    if (end < op.at || end > content.length()) return "data found at " + std::to_string(end);
    return content.IsZero(op.at, end - op.at) ? "" : "data passed over before " + std::to_string(end);
  }
  if (!got) return "seek fails: " + got.error().ToString();
  if (*got < op.at || *got > content.length()) return "a hole found at " + std::to_string(*got);
  return *got == content.length() || content.IsZero(*got, 1)
             ? ""
             : "a hole at " + std::to_string(*got) + ", where there is data";
}

std::string Runner::Listing(const Op& op) {
  client::Vfs& vfs = fs_->vfs();
  DirSlot& slot = dirs_[op.slot];
  if (op.kind == Kind::kOpenDir) {
    CloseDir(&slot);
    Ino ino;
    InodeId id;
    Status status;
    if (std::string wrong = Get(op.a, &ino, &id, &status); !wrong.empty() || ino == 0) return wrong;
    const bool is_dir = S_ISDIR(model_.Find(ino)->mode);
    auto got = vfs.OpenDir(id);
    const std::string wrong = CompareStatus(is_dir ? Status() : Status(Code::kNotDirectory), StatusOf(got));
    if (!got) {
      Drop(id);
      return wrong;
    }
    model_.Open(ino);
    slot = {.ino = ino, .id = id, .handle = got->handle};
    return wrong;
  }
  if (slot.handle == 0 || slot.ended) return {};
  const ModelInode& dir = *model_.Find(slot.ino);
  if (slot.cookie == 0) {
    for (const auto& [name, entry] : dir.names) slot.from_start.insert(entry.birth);
    model_.Access(slot.ino);
  }
  uint64_t left = op.n;
  std::string wrong;
  Status s = vfs.ReadDir(slot.id, slot.cookie, op.mode == 1, [&](const client::DirEntry& e) {
    if (left == 0) return false;
    left--;
    slot.cookie = e.cookie;
    if (e.entry != nullptr) vfs.Forget(e.inode, 1);
    if (e.name == "." || e.name == "..") return true;
    auto it = dir.names.find(std::string(e.name));
    if (it == dir.names.end()) {
      wrong = "lists " + std::string(e.name) + ", which is not there";
    } else if (!slot.seen.insert(it->second.birth).second) {
      wrong = "lists " + std::string(e.name) + " twice";
    } else if (e.type != model_.Find(it->second.ino)->mode >> 12) {
      wrong = "wrong type of " + std::string(e.name);
    } else if (e.entry != nullptr) {
      wrong = Compare(it->second.ino, e.entry->inode);
    }
    return wrong.empty();
  });
  if (!s.ok()) return "listing fails: " + s.ToString();
  if (!wrong.empty() || left == 0) return wrong;
  slot.ended = true;
  for (const auto& [name, entry] : dir.names) {
    if (slot.from_start.contains(entry.birth) && !slot.seen.contains(entry.birth))
      return "the listing has missed " + name;
  }
  return {};
}

}  // namespace curvefs::test
