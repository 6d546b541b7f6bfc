#include "meta/ops/attributes.h"

#include "meta/acl.h"
#include "meta/ops/content_cut.h"
#include "meta/ops/privileges.h"

namespace curvefs::meta {
namespace {

// Records that one truncation may remove; a longer one takes several transactions (the reply's length tells).
constexpr uint32_t kMaxCut = 20'000;

Status SetSize(Txn& txn, Inode* inode, uint64_t size) {
  if (inode->is_dir()) return Code::kIsDirectory;
  if (!inode->is_file()) return Code::kInvalid;
  if (size > kMaxFileSize) return Code::kFileTooBig;
  if (size < inode->length) {
    CURVEFS_TRY(bool all, CutTail(txn, inode, size, kMaxCut));
    static_cast<void>(all);  // inode->length says how far it got
  } else {
    inode->length = size;
  }
  inode->mtime = txn.now();
  ++inode->version;
  return Status();
}

// chmod of a file with an access ACL changes the ACL's entries that the mode stands for.
Status SetMode(Txn& txn, Inode* inode, uint32_t mode) {
  inode->mode = (inode->mode & S_IFMT) | (mode & 07777);
  if ((inode->flags & kHasAccessAcl) == 0) return Status();
  std::string key = XattrKey(txn.fs().fs, inode->id, kAclAccess), value;
  CURVEFS_CHECK_OK(txn.view().Get(key, &value));
  CURVEFS_TRY(Acl acl, ParseAcl(value));
  ApplyMode(&acl, mode);
  txn.Set(key, FormatAcl(acl));
  return Status();
}

Status CheckXattrRequest(const SetXattrRequest& request) {
  if (request.name.empty() || request.name.size() > kMaxXattrName)
    return Code::kBufferTooSmall;  // as the kernel has it
  if (request.value.size() > kMaxXattrValue) return Code::kTooBig;
  return Status();
}

// An access ACL that the mode bits can express is not stored; `*store` is then false.
Status ApplyAcl(Inode* inode, const SetXattrRequest& request, bool* store) {
  CURVEFS_TRY(Acl acl, ParseAcl(request.value));
  if (request.name == kAclDefault) {
    if (!inode->is_dir()) return Code::kAccessDenied;
    inode->flags |= kHasDefaultAcl;
    return Status();
  }
  inode->mode = (inode->mode & ~uint32_t{0777}) | ModeOf(acl);
  if (request.kill_sgid) inode->mode &= ~uint32_t{S_ISGID};
  *store = !IsMinimal(acl);
  inode->flags = *store ? inode->flags | kHasAccessAcl : inode->flags & ~uint32_t{kHasAccessAcl};
  return Status();
}

}  // namespace

void DropPrivileges(Txn& txn, Inode* inode, bool group_member) {
  if (inode->is_dir()) return;
  inode->mode &= ~uint32_t{S_ISUID};
  if ((inode->mode & S_IXGRP) != 0 || !group_member) inode->mode &= ~uint32_t{S_ISGID};
  if ((inode->flags & kHasXattrs) != 0) {
    std::string key = XattrKey(txn.fs().fs, inode->id, "security.capability"), value;
    if (txn.view().Get(key, &value).ok()) txn.Del(key);
  }
}

Result<Inode> SetAttributes(Txn& txn, const SetAttrRequest& request) {
  CURVEFS_TRY(Inode inode, txn.GetInode(request.inode));
  if (request.touch_atime) {
    if (request.atime) inode.atime = *request.atime;
    txn.PutInode(inode);
    return inode;
  }
  if (request.uid || request.gid) {
    if (request.uid) inode.uid = *request.uid;
    if (request.gid) inode.gid = *request.gid;
    DropPrivileges(txn, &inode, request.caller_in_group);
  }
  if (request.mode) CURVEFS_CHECK_OK(SetMode(txn, &inode, *request.mode));
  if (request.size) CURVEFS_CHECK_OK(SetSize(txn, &inode, *request.size));
  if (request.kill_suid_gid) DropPrivileges(txn, &inode, /*group_member=*/true);
  if (request.atime) inode.atime = *request.atime;
  if (request.mtime) inode.mtime = *request.mtime;
  inode.ctime = request.ctime.value_or(txn.now());
  txn.PutInode(inode);
  return inode;
}

Status Touch(Txn& txn, InodeId id, Timestamp time) {
  Result<Inode> inode = txn.GetInode(id);
  if (!inode) return inode.error().code() == Code::kNotFound ? Status() : inode.error();
  if (inode->atime >= time) return {};
  inode->atime = time;
  txn.PutInode(*inode);
  return {};
}

Result<Inode> SetXattr(Txn& txn, const SetXattrRequest& request) {
  CURVEFS_CHECK_OK(CheckXattrRequest(request));
  CURVEFS_TRY(Inode inode, txn.GetInode(request.inode));
  bool store = true;
  if (request.name == kAclAccess || request.name == kAclDefault)
    CURVEFS_CHECK_OK(ApplyAcl(&inode, request, &store));
  std::string key = XattrKey(txn.fs().fs, inode.id, request.name), old;
  Status found = txn.view().Get(key, &old);
  if (!found.ok() && found.code() != Code::kNotFound) return Fail(found);
  if (request.create && found.ok()) return Fail(Code::kExists);
  if (request.replace && !found.ok()) return Fail(Code::kNoAttribute);
  if (!found.ok() && store) {
    CURVEFS_TRY(std::string names, ListXattrs(txn, inode.id));
    if (names.size() + request.name.size() + 1 > kMaxXattrList) {
      return Fail(Code::kNoSpace, "too many extended attributes on one file");
    }
  }
  if (store) {
    txn.Set(key, request.value);
    inode.flags |= kHasXattrs;
  } else if (found.ok()) {
    txn.Del(key);
  }
  inode.ctime = txn.now();
  txn.PutInode(inode);
  return inode;
}

Result<Inode> RemoveXattr(Txn& txn, InodeId id, std::string_view name) {
  CURVEFS_TRY(Inode inode, txn.GetInode(id));
  std::string key = XattrKey(txn.fs().fs, id, name), old;
  Status found = txn.view().Get(key, &old);
  if (found.code() == Code::kNotFound) return Fail(Code::kNoAttribute);
  CURVEFS_CHECK_OK(found);
  txn.Del(key);
  if (name == kAclDefault) inode.flags &= ~uint32_t{kHasDefaultAcl};
  if (name == kAclAccess)
    inode.flags &= ~uint32_t{kHasAccessAcl};  // the mode stays, as on local file systems
  inode.ctime = txn.now();
  txn.PutInode(inode);
  return inode;
}

Result<std::string> GetXattr(const Reader& reader, InodeId id, std::string_view name) {
  CURVEFS_TRY(Inode inode, reader.GetInode(id));
  if ((inode.flags & kHasXattrs) == 0) return Fail(Code::kNoAttribute);
  std::string value;
  Status s = reader.view().Get(XattrKey(reader.fs().fs, id, name), &value);
  if (s.code() == Code::kNotFound) return Fail(Code::kNoAttribute);
  CURVEFS_CHECK_OK(s);
  return value;
}

Result<std::string> ListXattrs(const Reader& reader, InodeId id) {
  CURVEFS_TRY(Inode inode, reader.GetInode(id));
  std::string names;
  if ((inode.flags & kHasXattrs) == 0) return names;
  std::string begin = InodePrefix(reader.fs().fs, KeyKind::kXattr, id);
  CURVEFS_CHECK_OK(
      reader.view().Scan(begin, kv::PrefixEnd(begin), [&](std::string_view key, std::string_view) {
        names.append(key.substr(kInodePrefix));
        names.push_back('\0');
        return true;
      }));
  return names;
}

}  // namespace curvefs::meta
