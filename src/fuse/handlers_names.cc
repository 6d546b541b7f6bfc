// Names and directories.
#include <algorithm>
#include <cerrno>

#include "fuse/errno.h"
#include "fuse/handlers.h"

namespace curvefs::fuse {

// Replies with an entry, whose reference then belongs to the kernel.
void Handlers::Give(const Exchange& x, const Result<client::Entry>& entry) {
  if (!entry) return Fail(x, entry.error());
  if (!x.reply.Structs(EncodeEntry(*entry, options_.times))) vfs_.Forget(entry->inode.id, 1);
}

// Before the kernel is told that `inode` is in the directory of the request.
void Handlers::NotePlace(const Exchange& x, const meta::Inode& inode, std::string_view name) {
  if (options_.shared && inode.is_dir() && name != "." && name != "..")
    aliases_.Found(x.reply.fd(), inode.id, KernelsName(x.request.inode), name);
}

void Handlers::On(Exchange& x, const Lookup& op) {
  aliases_.AwaitOverdue();
  Result<client::Entry> entry = vfs_.Lookup(x.request.caller, x.request.inode, op.name);
  // A missing name is worth remembering, but "." (of an inode that a file handle from outside names) is not a
  // name.
  if (!entry && entry.error().code() == Code::kNotFound && op.name != ".") {
    x.reply.Structs(EncodeNegativeEntry(options_.times));
    return;
  }
  if (entry) NotePlace(x, entry->inode, op.name);
  Give(x, entry);
}

void Handlers::On(Exchange& x, const Forget& op) {
  vfs_.Forget(x.request.inode, op.count);
  if (options_.shared) aliases_.Forget(x.request.inode, op.count);
}

void Handlers::On(Exchange&, const BatchForget& op) {
  for (auto [inode, count] : op.items) {
    vfs_.Forget(inode, count);
    if (options_.shared) aliases_.Forget(inode, count);
  }
}

void Handlers::On(Exchange& x, const Symlink& op) {
  Give(x, vfs_.Symlink(x.request.caller, x.request.inode, op.name, op.target));
}

void Handlers::On(Exchange& x, const MkNod& op) {
  Give(x, vfs_.MkNod(x.request.caller, x.request.inode, op.name, op.mode, op.rdev));
}

void Handlers::On(Exchange& x, const MkDir& op) {
  Result<client::Entry> made = vfs_.MkDir(x.request.caller, x.request.inode, op.name, op.mode);
  if (made) NotePlace(x, made->inode, op.name);
  Give(x, made);
}

void Handlers::On(Exchange& x, const Unlink& op) {
  Done(x, vfs_.Unlink(x.request.caller, x.request.inode, op.name));
}

void Handlers::On(Exchange& x, const RmDir& op) {
  Done(x, vfs_.RmDir(x.request.caller, x.request.inode, op.name));
}

void Handlers::On(Exchange& x, const Rename& op) {
  const Status done =
      vfs_.Rename(x.request.caller, x.request.inode, op.name, op.new_parent, op.new_name, op.mode);
  if (done.ok() && options_.shared)
    aliases_.Renamed(KernelsName(x.request.inode), op.name, KernelsName(op.new_parent), op.new_name,
                     op.mode == client::RenameMode::kExchange);
  Done(x, done);
}

void Handlers::On(Exchange& x, const Link& op) {
  Give(x, vfs_.Link(x.request.caller, op.inode, x.request.inode, op.name));
}

void Handlers::On(Exchange& x, const ReadLink&) {
  Result<std::string> target = vfs_.ReadLink(x.request.inode);
  if (!target) return Fail(x, target.error());
  x.reply.Bytes(*target);
}

void Handlers::On(Exchange& x, const Create& op) {
  const client::Caller& caller = x.request.caller;
  auto created = op.unnamed ? vfs_.TmpFile(caller, x.request.inode, op.mode, op.flags)
                            : vfs_.Create(caller, x.request.inode, op.name, op.mode, op.flags);
  if (!created) {
    // Another mount has created it since the kernel looked. The kernel takes ESTALE as: look again, and open
    // what is there by the rules for opening. An answer with that file would pass by its permissions.
    const bool lost = created.error().code() == Code::kExists && !op.exclusive;
    return Fail(x, lost ? Status(Code::kStale) : created.error());
  }
  if (x.reply.Structs(EncodeEntry(created->entry, options_.times), EncodeOpen(created->opened))) return;
  InodeId inode = created->entry.inode.id;
  vfs_.Release(inode, created->opened.handle);
  vfs_.Forget(inode, 1);
}

void Handlers::On(Exchange& x, const OpenDir&) {
  // The kernel takes this as: never ask again, all directories may be opened, their listings cached.
  if (options_.cache_directories) {
    x.reply.Error(ENOSYS);
    return;
  }
  Result<client::Opened> opened = vfs_.OpenDir(x.request.inode);
  if (!opened) return Fail(x, opened.error());
  if (opened->attributes_changed) InvalidateAttributes(x.reply.fd(), x.request.inode);
  if (!x.reply.Structs(fuse_open_out{.fh = opened->handle})) vfs_.ReleaseDir(x.request.inode, opened->handle);
}

void Handlers::On(Exchange& x, const ReadDir& op) {
  DirectoryWriter writer(&x.workspace.scratch, std::min(op.size, kMaxTransfer), op.plus, options_.times);
  Status status = vfs_.ReadDir(x.request.inode, op.cookie, op.plus, [&](const client::DirEntry& entry) {
    if (!writer.Add(entry)) return false;
    if (entry.entry != nullptr) NotePlace(x, entry.entry->inode, entry.name);
    return true;
  });
  // What was listed before a failure is delivered; the next request meets the failure again.
  if (!status.ok() && x.workspace.scratch.empty()) return Fail(x, status);
  if (!x.reply.Bytes(x.workspace.scratch) && op.plus)
    ForEachReference(x.workspace.scratch, [&](InodeId inode) { vfs_.Forget(inode, 1); });
}

void Handlers::On(Exchange& x, const ReleaseDir& op) {
  vfs_.ReleaseDir(x.request.inode, op.handle);
  x.reply.Ok();
}

void Handlers::On(Exchange& x, const FsyncDir&) {
  Done(x, vfs_.FsyncDir(x.request.inode));
}

}  // namespace curvefs::fuse
