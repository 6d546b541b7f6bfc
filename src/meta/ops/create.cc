#include "meta/ops/create.h"

#include "meta/acl.h"

namespace curvefs::meta {
namespace {

// Permissions, owner and ACLs of a new inode below `parent`.
Status Inherit(Txn& txn, const Inode& parent, const CreateRequest& request, Inode* inode) {
  inode->mode = request.mode;
  inode->uid = request.uid;
  inode->gid = request.gid;
  if ((parent.mode & S_ISGID) != 0) {
    inode->gid = parent.gid;
    if (inode->is_dir()) inode->mode |= S_ISGID;
  }
  if (inode->is_symlink()) return Status();
  if ((parent.flags & kHasDefaultAcl) == 0) {
    inode->mode &= ~(request.umask & 0777);
    return Status();
  }
  std::string value;
  CURVEFS_CHECK_OK(txn.view().Get(XattrKey(txn.fs().fs, parent.id, kAclDefault), &value));
  CURVEFS_TRY(Acl acl, ParseAcl(value));
  if (inode->is_dir()) {
    txn.Set(XattrKey(txn.fs().fs, inode->id, kAclDefault), value);
    inode->flags |= kHasDefaultAcl | kHasXattrs;
  }
  meta::Inherit(&acl, &inode->mode);
  if (!IsMinimal(acl)) {
    txn.Set(XattrKey(txn.fs().fs, inode->id, kAclAccess), FormatAcl(acl));
    inode->flags |= kHasAccessAcl | kHasXattrs;
  }
  return Status();
}

Result<Inode> MakeInode(Txn& txn, const Inode& parent, const CreateRequest& request) {
  Inode inode;
  if (request.reserved) {
    CURVEFS_TRY(inode, txn.GetInode(request.reserved));
    if (inode.nlink != 0 || ((inode.mode ^ request.mode) & S_IFMT) != 0) return Fail(Code::kInvalid);
    txn.DeleteOrphan(inode.id);
  } else {
    CURVEFS_TRY(inode.id, txn.NewInode(PartitionOf(parent.id)));
  }
  CURVEFS_CHECK_OK(Inherit(txn, parent, request, &inode));
  inode.atime = inode.mtime = inode.ctime = txn.now();
  inode.nlink = 1;
  if (inode.is_dir()) {
    inode.nlink = 2;
  }
  if (inode.is_symlink()) {
    inode.symlink = request.symlink;
    inode.length = request.symlink.size();
  }
  if (S_ISBLK(inode.mode) || S_ISCHR(inode.mode)) inode.rdev = request.rdev;
  return inode;
}

Status CheckRequest(const CreateRequest& request) {
  switch (request.mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
      return Status();
    case S_IFLNK:
      if (request.symlink.empty()) return Code::kInvalid;
      if (request.symlink.size() > kMaxSymlink) return Code::kNameTooLong;
      return Status();
    default:
      return Code::kInvalid;
  }
}

}  // namespace

Status CheckName(std::string_view name) {
  if (name.size() > kMaxName) return Code::kNameTooLong;
  if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos ||
      name.find('\0') != name.npos) {
    return Code::kInvalid;
  }
  return Status();
}

Status CheckFree(const Reader& reader, InodeId parent, std::string_view name) {
  auto existing = reader.GetDentry(parent, name);
  if (existing) return Code::kExists;
  return existing.error().code() == Code::kNotFound ? Status() : existing.error();
}

Result<Inode> Create(Txn& txn, const CreateRequest& request) {
  CURVEFS_CHECK_OK(CheckName(request.name));
  CURVEFS_CHECK_OK(CheckRequest(request));
  CURVEFS_TRY(Inode parent, txn.GetDirectory(request.parent));
  if (parent.nlink == 0) return Fail(Code::kNotFound);  // removed, but still somebody's working directory
  CURVEFS_CHECK_OK(CheckFree(txn, parent.id, request.name));
  if (S_ISDIR(request.mode) && parent.nlink >= kMaxLinks) return Fail(Code::kTooManyLinks);
  CURVEFS_TRY(Inode inode, MakeInode(txn, parent, request));
  txn.AddDentry(&parent, request.name, &inode);
  txn.PutInode(inode);
  txn.PutInode(parent);
  return inode;
}

Result<Inode> CreateUnnamed(Txn& txn, const CreateRequest& request) {
  CURVEFS_CHECK_OK(CheckRequest(request));
  if (!S_ISREG(request.mode)) return Fail(Code::kInvalid);
  CURVEFS_TRY(Inode parent, txn.GetDirectory(request.parent));
  if (parent.nlink == 0) return Fail(Code::kNotFound);
  CURVEFS_TRY(Inode inode, MakeInode(txn, parent, request));
  inode.nlink = 0;
  txn.PutInode(inode);
  txn.PutOrphan(inode.id);
  return inode;
}

Result<Inode> ReserveInode(Txn& txn, PartitionId partition, uint32_t mode) {
  if (!S_ISDIR(mode) && !S_ISCHR(mode)) return Fail(Code::kInvalid);
  Inode inode;
  CURVEFS_TRY(inode.id, txn.NewInode(partition));
  inode.mode = mode & S_IFMT;
  inode.atime = inode.mtime = inode.ctime = txn.now();
  txn.PutInode(inode);
  txn.PutOrphan(inode.id);
  return inode;
}

Inode MakeRoot(Txn& txn, uint32_t mode, uint32_t uid, uint32_t gid) {
  Inode root;
  root.id = kRootInode;
  root.mode = S_IFDIR | (mode & 07777);
  root.uid = uid;
  root.gid = gid;
  root.nlink = 2;
  root.parent = kRootInode;
  root.atime = root.mtime = root.ctime = txn.now();
  txn.PutInode(root);
  return root;
}

}  // namespace curvefs::meta
