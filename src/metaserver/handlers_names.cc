#include "metaserver/handlers_names.h"

#include <algorithm>

#include "meta/ops/create.h"
#include "meta/ops/names.h"
#include "meta/ops/rename.h"
#include "metaserver/handlers.h"
#include "proto/meta_wire.h"

namespace curvefs::metaserver::calls {
namespace {

void PutDentry(const Reader& reader, InodeId parent, std::string_view name, const meta::Dentry& dentry,
               proto::Dentry* out) {
  out->set_fs_id(reader.fs().fs.value);
  out->set_parent_inode_id(parent.value);
  out->set_name(name.data(), name.size());
  out->set_inode_id(dentry.inode.value);
  out->set_type(dentry.type);
}

size_t CountOf(uint32_t asked) {
  return asked == 0 ? kMaxListed : std::min<size_t>(asked, kMaxListed);
}

// Removes the name, whatever it stands for.
Result<meta::Inode> Remove(Txn& txn, InodeId parent, std::string_view name) {
  CURVEFS_TRY(const meta::Inode inode, meta::Lookup(txn, parent, name));
  return inode.is_dir() ? meta::RemoveDirectory(txn, parent, name) : meta::Unlink(txn, parent, name);
}

}  // namespace

Status GetDentry(const Reader& reader, const proto::GetDentryRequest& in, proto::GetDentryResponse* out) {
  const InodeId parent(in.parent_inode_id());
  if (in.name().size() > kMaxName) return Code::kNameTooLong;
  CURVEFS_TRY(const meta::Dentry dentry, reader.GetDentry(parent, in.name()));
  PutDentry(reader, parent, in.name(), dentry, out->mutable_dentry());
  return {};
}

Status ListDentry(const Reader& reader, const proto::ListDentryRequest& in, proto::ListDentryResponse* out) {
  const InodeId dir(in.dir_inode_id());
  if (in.last().size() > kMaxName) return Code::kNameTooLong;
  if (auto found = reader.GetDirectory(dir); !found) return found.error();
  const size_t count = CountOf(in.count());
  size_t bytes = 0;
  return meta::ListDirectoryAfter(reader, dir, in.last(), [&](const meta::ListedEntry& entry) {
    proto::Dentry* dentry = out->add_dentry();
    PutDentry(reader, dir, entry.name, entry.dentry, dentry);
    dentry->set_cookie(entry.cookie);
    bytes += dentry->ByteSizeLong();
    return static_cast<size_t>(out->dentry_size()) < count && bytes < kMaxListedBytes;
  });
}

Status CreateDentry(Txn& txn, const proto::CreateDentryRequest& in, proto::CreateDentryResponse* out) {
  const proto::Dentry& d = in.dentry();
  CURVEFS_TRY(const meta::Inode inode,
              meta::Link(txn, InodeId(d.inode_id()), InodeId(d.parent_inode_id()), d.name()));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status UpdateDentry(Txn& txn, const proto::UpdateDentryRequest& in, proto::UpdateDentryResponse* out) {
  const proto::Dentry& d = in.dentry();
  const InodeId parent(d.parent_inode_id());
  CURVEFS_TRY(const meta::Dentry before, txn.GetDentry(parent, d.name()));
  if (before.inode == InodeId(d.inode_id())) {
    CURVEFS_TRY(const meta::Inode same, txn.GetInode(before.inode));
    ToWire(txn.fs().fs, same, out->mutable_inode());
    ToWire(txn.fs().fs, same, out->mutable_replaced());
    return {};
  }
  CURVEFS_TRY(const meta::Inode replaced, Remove(txn, parent, d.name()));
  CURVEFS_TRY(const meta::Inode inode, meta::Link(txn, InodeId(d.inode_id()), parent, d.name()));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  ToWire(txn.fs().fs, replaced, out->mutable_replaced());
  return {};
}

Status DeleteDentry(Txn& txn, const proto::DeleteDentryRequest& in, proto::DeleteDentryResponse* out) {
  CURVEFS_TRY(const meta::Inode inode, Remove(txn, InodeId(in.parent_inode_id()), in.name()));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status Lookup(const Reader& reader, const proto::LookupRequest& in, proto::LookupResponse* out) {
  if (in.name().size() > kMaxName) return Code::kNameTooLong;
  CURVEFS_TRY(const meta::Dentry dentry, reader.GetDentry(InodeId(in.parent_inode_id()), in.name()));
  auto inode = reader.GetInode(dentry.inode);
  if (inode) {
    ToWire(reader.fs().fs, *inode, out->mutable_inode());
  } else if (inode.error().code() == Code::kElsewhere) {
    out->set_elsewhere_inode_id(dentry.inode.value);
  } else {
    return inode.error();
  }
  return {};
}

Status ReadDir(const Reader& reader, const proto::ReadDirRequest& in, proto::ReadDirResponse* out) {
  const InodeId dir(in.dir_inode_id());
  if (auto found = reader.GetDirectory(dir); !found) return found.error();
  const size_t count = CountOf(in.count());
  size_t bytes = 0;
  CURVEFS_CHECK_OK(meta::ListDirectory(reader, dir, in.cookie(), [&](const meta::ListedEntry& entry) {
    proto::Dentry* dentry = out->add_dentry();
    PutDentry(reader, dir, entry.name, entry.dentry, dentry);
    dentry->set_cookie(entry.cookie);
    bytes += dentry->ByteSizeLong();
    return static_cast<size_t>(out->dentry_size()) < count && bytes < kMaxListedBytes;
  }));
  if (!in.with_inodes()) return {};
  for (int i = 0; i < out->dentry_size() && bytes < kMaxListedBytes; ++i) {
    proto::Inode* answer = out->add_inode();
    auto inode = reader.GetInode(InodeId(out->dentry(i).inode_id()));
    if (!inode && inode.error().code() != Code::kElsewhere) return inode.error();
    if (inode) ToWire(reader.fs().fs, *inode, answer);
    bytes += answer->ByteSizeLong();
  }
  // What is cut short is so for its size, and has it (metaserver.proto).
  out->mutable_dentry()->DeleteSubrange(out->inode_size(), out->dentry_size() - out->inode_size());
  return {};
}

Status Create(Txn& txn, const proto::CreateRequest& in, proto::CreateResponse* out) {
  const InodeId parent(in.parent_inode_id());
  auto made = meta::Create(txn, {.parent = parent,
                                 .name = in.name(),
                                 .mode = in.mode(),
                                 .uid = in.uid(),
                                 .gid = in.gid(),
                                 .umask = in.umask(),
                                 .rdev = in.rdev(),
                                 .symlink = in.symlink()});
  if (!made && made.error().code() == Code::kExists && in.open_existing()) {
    made = meta::Lookup(txn, parent, in.name());
    out->set_existed(true);
  }
  CURVEFS_TRY(const meta::Inode inode, std::move(made));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status Link(Txn& txn, const proto::LinkRequest& in, proto::LinkResponse* out) {
  CURVEFS_TRY(const meta::Inode inode,
              meta::Link(txn, InodeId(in.inode_id()), InodeId(in.parent_inode_id()), in.name()));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status Unlink(Txn& txn, const proto::UnlinkRequest& in, proto::UnlinkResponse* out) {
  CURVEFS_TRY(const meta::Inode inode,
              meta::Unlink(txn, InodeId(in.parent_inode_id()), in.name(), InodeId(in.trash_inode_id())));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status RemoveDirectory(Txn& txn, const proto::RemoveDirectoryRequest& in,
                       proto::RemoveDirectoryResponse* out) {
  CURVEFS_TRY(const meta::Inode inode, meta::RemoveDirectory(txn, InodeId(in.parent_inode_id()), in.name(),
                                                             InodeId(in.trash_inode_id())));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status Rename(Txn& txn, const proto::RenameRequest& in, proto::RenameResponse* out) {
  if (!proto::RenameKind_IsValid(in.kind()))
    return {Code::kNotSupported, "a kind of rename of a newer program"};
  static_assert(proto::WHITEOUT_NO_REPLACE == static_cast<int>(meta::RenameKind::kWhiteoutNoReplace));
  CURVEFS_TRY(const meta::RenameReply reply,
              meta::Rename(txn, {.parent = InodeId(in.parent_inode_id()),
                                 .name = in.name(),
                                 .new_parent = InodeId(in.new_parent_inode_id()),
                                 .new_name = in.new_name(),
                                 .kind = static_cast<meta::RenameKind>(in.kind()),
                                 .uid = in.uid(),
                                 .gid = in.gid(),
                                 .trash = InodeId(in.trash_inode_id())}));
  ToWire(txn.fs().fs, reply.moved, out->mutable_moved());
  if (reply.replaced) ToWire(txn.fs().fs, *reply.replaced, out->mutable_replaced());
  return {};
}

}  // namespace curvefs::metaserver::calls
