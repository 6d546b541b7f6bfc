// Names and directories.
#include <algorithm>

#include "client/vfs/vfs_core.h"

namespace curvefs::client {
namespace {

constexpr uint32_t kFirstPage = 64;  // entries asked for at once when listing, doubling
constexpr uint32_t kLastPage = 1024;

meta::RenameKind KindOf(RenameMode mode) {
  switch (mode) {
    case RenameMode::kReplace:
      return meta::RenameKind::kReplace;
    case RenameMode::kNoReplace:
      return meta::RenameKind::kNoReplace;
    case RenameMode::kExchange:
      return meta::RenameKind::kExchange;
    case RenameMode::kWhiteoutNoReplace:
      return meta::RenameKind::kWhiteoutNoReplace;
    case RenameMode::kWhiteout:
      return meta::RenameKind::kWhiteout;
  }
  return meta::RenameKind::kReplace;
}

meta::CreateRequest NewInode(const Caller& caller, InodeId parent, std::string_view name, uint32_t mode) {
  return {.parent = parent,
          .name = name,
          .mode = mode,
          .uid = caller.uid,
          .gid = caller.gid,
          .umask = caller.umask};
}

}  // namespace

Result<Entry> Vfs::Lookup(const Caller&, InodeId parent, std::string_view name) {
  Core& c = *core_;
  c.Count(Call::kLookup);
  if (VirtualFiles::IsName(parent, c.meta.root(), name)) {
    const Timestamp now = c.clock.Wall();
    if (name == VirtualFiles::kControl && !c.control.enabled()) return Fail(Code::kNotFound);
    meta::Inode inode = name == VirtualFiles::kControl
                            ? c.virtuals.Make({}, now, 0600, c.options.control_uid)
                            : c.virtuals.Make(name == ".stats" ? StatsText() : c.options.config_text, now);
    c.refs.AddLookup(inode.id);
    return Entry{std::move(inode), false};
  }
  if (name == "." || name == "..") {  // asked by file handle (NFS export)
    CURVEFS_TRY(meta::Inode dir, c.meta.GetInode(parent));
    if (!dir.is_dir()) return Fail(Code::kNotDirectory);
    if (name == "..") {
      CURVEFS_TRY(dir, c.meta.GetInode(dir.parent));
    }
    return c.MakeEntry(std::move(dir), false);
  }
  const bool dirty = c.AnyDirty();
  CURVEFS_TRY(meta::Inode inode, c.meta.Lookup(parent, name));
  Entry entry = c.MakeEntry(std::move(inode), dirty);
  entry.cacheable = !c.trash.ChangesByItself(parent) && !c.trash.IsName(parent, name);
  return entry;
}

void Vfs::Forget(InodeId inode, uint64_t count) {
  Core& c = *core_;
  bool reclaim = c.refs.DropLookups(inode, count);
  if (VirtualFiles::IsVirtual(inode)) {
    c.virtuals.Forget(inode);
  } else if (reclaim) {
    c.Reclaim(inode);
  }
}

Result<Entry> Vfs::MkNod(const Caller& caller, InodeId parent, std::string_view name, uint32_t mode,
                         uint32_t rdev) {
  Core& c = *core_;
  c.Count(Call::kMkNod);
  CURVEFS_CHECK_OK(c.CheckNotVirtualName(parent, name));
  auto request = NewInode(caller, parent, name, mode);
  if ((request.mode & S_IFMT) == 0) request.mode |= S_IFREG;
  request.rdev = rdev;
  CURVEFS_TRY(meta::Inode inode, c.meta.Create(request));
  return c.MakeEntry(std::move(inode), false);
}

Result<Entry> Vfs::MkDir(const Caller& caller, InodeId parent, std::string_view name, uint32_t mode) {
  Core& c = *core_;
  c.Count(Call::kMkDir);
  CURVEFS_CHECK_OK(c.CheckNotVirtualName(parent, name));
  CURVEFS_TRY(meta::Inode inode, c.meta.Create(NewInode(caller, parent, name, S_IFDIR | (mode & 07777))));
  return c.MakeEntry(std::move(inode), false);
}

Result<Entry> Vfs::Symlink(const Caller& caller, InodeId parent, std::string_view name,
                           std::string_view target) {
  Core& c = *core_;
  c.Count(Call::kSymlink);
  CURVEFS_CHECK_OK(c.CheckNotVirtualName(parent, name));
  auto request = NewInode(caller, parent, name, S_IFLNK | 0777);
  request.symlink = target;
  CURVEFS_TRY(meta::Inode inode, c.meta.Create(request));
  return c.MakeEntry(std::move(inode), false);
}

Result<Entry> Vfs::Link(const Caller&, InodeId inode, InodeId parent, std::string_view name) {
  Core& c = *core_;
  c.Count(Call::kLink);
  CURVEFS_CHECK_OK(c.CheckWritable(inode));
  CURVEFS_CHECK_OK(c.CheckNotVirtualName(parent, name));
  const bool dirty = c.AnyDirty();
  CURVEFS_TRY(meta::Inode linked, c.meta.Link(inode, parent, name));
  if (linked.nlink == 1) {
    c.refs.ClearOrphan(inode);
    // What was written while it had no name counts from now on.
    if (c.meta.tracks_usage()) (void)c.meta.AnnounceLength(inode, c.data.DirtyEnd(inode), /*exactly=*/false);
  }
  return c.MakeEntry(std::move(linked), dirty);
}

Status Vfs::Unlink(const Caller&, InodeId parent, std::string_view name) {
  Core& c = *core_;
  c.Count(Call::kUnlink);
  CURVEFS_CHECK_OK(c.CheckNotVirtualName(parent, name));
  CURVEFS_TRY(meta::Inode inode,
              c.trash.Remove([&](InodeId trash) { return c.meta.Unlink(parent, name, trash); }));
  c.AfterUnlink(inode);
  return Status();
}

Status Vfs::RmDir(const Caller&, InodeId parent, std::string_view name) {
  Core& c = *core_;
  c.Count(Call::kRmDir);
  CURVEFS_CHECK_OK(c.CheckNotVirtualName(parent, name));
  CURVEFS_TRY(meta::Inode inode,
              c.trash.Remove([&](InodeId trash) { return c.meta.RemoveDirectory(parent, name, trash); }));
  c.AfterUnlink(inode);
  return Status();
}

Status Vfs::Rename(const Caller& caller, InodeId parent, std::string_view name, InodeId new_parent,
                   std::string_view new_name, RenameMode mode) {
  Core& c = *core_;
  c.Count(Call::kRename);
  CURVEFS_CHECK_OK(c.CheckNotVirtualName(parent, name));
  CURVEFS_CHECK_OK(c.CheckNotVirtualName(new_parent, new_name));
  // Programs replace a file by writing a new one and renaming it, often without fsync. The new content goes
  // into the log before the new name, so that a crash shows the old file or the new one, not an empty one.
  if (c.AnyDirty()) {
    auto source = c.meta.Lookup(parent, name);
    if (source && source->is_file() && c.data.IsDirty(source->id))
      CURVEFS_CHECK_OK(c.data.Flush(source->id, false));
  }
  meta::RenameRequest request{.parent = parent,
                              .name = name,
                              .new_parent = new_parent,
                              .new_name = new_name,
                              .kind = KindOf(mode),
                              .uid = caller.uid,
                              .gid = caller.gid};
  CURVEFS_TRY(auto reply, c.trash.Remove([&](InodeId trash) {
    request.trash = trash;
    return c.meta.Rename(request);
  }));
  if (reply.replaced) c.AfterUnlink(*reply.replaced);
  return Status();
}

Result<std::string> Vfs::ReadLink(InodeId id) {
  Core& c = *core_;
  c.Count(Call::kReadLink);
  CURVEFS_TRY(meta::Inode inode, c.Attributes(id));
  if (!inode.is_symlink()) return Fail(Code::kInvalid);
  c.Accessed(inode);
  return std::move(inode.symlink);
}

Result<Opened> Vfs::OpenDir(InodeId id) {
  Core& c = *core_;
  c.Count(Call::kOpenDir);
  CURVEFS_TRY(const meta::Inode inode, c.meta.OpenInode(id));
  if (inode.is_dir()) return c.MakeOpened(id, 0);
  c.meta.NoteClosed(id);
  return Fail(Code::kNotDirectory);
}

void Vfs::ReleaseDir(InodeId inode, HandleId handle) {
  Release(inode, handle);
}

Status Vfs::ReadDir(InodeId id, uint64_t cookie, bool attributes,
                    const std::function<bool(const DirEntry&)>& visit) {
  Core& c = *core_;
  c.Count(Call::kReadDir);
  if (cookie < meta::kMaxReservedCookie) {
    CURVEFS_TRY(meta::Inode dir, c.meta.GetInode(id));
    if (!dir.is_dir()) return Code::kNotDirectory;
    if (cookie == 0) {
      c.Accessed(dir);
      if (!visit({".", id, S_IFDIR >> 12, 1, nullptr})) return Status();
    }
    if (!visit({"..", dir.parent ? dir.parent : id, S_IFDIR >> 12, 2, nullptr})) return Status();
    cookie = meta::kMaxReservedCookie;
  }
  const bool in_trash = c.trash.ChangesByItself(id);
  for (uint32_t page = kFirstPage;; page = std::min(page * 2, kLastPage)) {
    const bool dirty = c.AnyDirty();
    CURVEFS_TRY(auto listed, c.meta.List(id, cookie, page, attributes));
    for (auto& l : listed) {
      DirEntry e{l.name, l.dentry.inode, l.dentry.type, l.cookie, nullptr};
      Entry entry;
      if (attributes) {
        entry = c.MakeEntry(std::move(l.inode), dirty);
        entry.cacheable = !in_trash && !c.trash.IsName(id, l.name);
        e.entry = &entry;
      }
      if (!visit(e)) {
        if (attributes) Forget(l.dentry.inode, 1);
        return Status();
      }
      cookie = l.cookie;
    }
    if (listed.size() < page) return Status();
  }
}

Status Vfs::FsyncDir(InodeId inode) {
  Core& c = *core_;
  c.Count(Call::kFsyncDir);
  if (c.options.read_only) return Status();
  // The kernel keeps sync(2) and syncfs(2) to itself on FUSE mounts: an fsync of the root stands in for them.
  return inode == c.meta.root() ? SyncFs() : c.meta.Sync();
}

}  // namespace curvefs::client
