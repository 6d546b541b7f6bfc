#include "meta/ops/rename.h"

#include <utility>

#include "meta/ops/create.h"
#include "meta/ops/trash.h"

namespace curvefs::meta {
namespace {

// A rename works on two directories that may be one. Both names of it must then be the same copy.
struct Parents {
  Inode from_copy, to_copy;
  bool same = false;
  Inode& from() { return from_copy; }
  Inode& to() { return same ? from_copy : to_copy; }
};

// Counts the target's name as gone, as unlink or rmdir would. The caller removes the entry and puts the
// inode.
void RemoveTarget(Txn& txn, Inode* target) {
  if (target->is_dir()) {
    target->nlink = 0;
    txn.DropQuota(target);
  } else if (target->nlink > 0) {
    --target->nlink;
  }
  target->ctime = txn.now();
  if (target->nlink == 0) txn.PutOrphan(target->id);
}

Status AddWhiteout(Txn& txn, const RenameRequest& request, Inode* parent) {
  CreateRequest whiteout{.parent = parent->id,
                         .name = request.name,
                         .mode = S_IFCHR,
                         .uid = request.uid,
                         .gid = request.gid,
                         .reserved = request.whiteout};
  txn.PutInode(*parent);
  CURVEFS_TRY(Inode made, Create(txn, whiteout));
  CURVEFS_TRY(*parent, txn.GetInode(parent->id));
  return Status();
}

}  // namespace

Result<RenameReply> Rename(Txn& txn, const RenameRequest& request) {
  CURVEFS_CHECK_OK(CheckName(request.name));
  CURVEFS_CHECK_OK(CheckName(request.new_name));
  Parents parents;
  parents.same = request.parent == request.new_parent;
  CURVEFS_TRY(parents.from_copy, txn.GetDirectory(request.parent));
  if (!parents.same) {
    CURVEFS_TRY(parents.to_copy, txn.GetDirectory(request.new_parent));
  }
  if (parents.to().nlink == 0) return Fail(Code::kNotFound);
  const bool exchange = request.kind == RenameKind::kExchange;

  CURVEFS_TRY(Dentry dentry, txn.GetDentry(request.parent, request.name));
  CURVEFS_TRY(Inode moved, txn.GetInode(dentry.inode));
  std::optional<Inode> target;
  auto target_dentry = txn.GetDentry(request.new_parent, request.new_name);
  if (target_dentry) {
    if (request.kind == RenameKind::kNoReplace || request.kind == RenameKind::kWhiteoutNoReplace)
      return Fail(Code::kExists);
    CURVEFS_TRY(target, txn.GetInode(target_dentry->inode));
  } else if (target_dentry.error().code() != Code::kNotFound) {
    return Fail(target_dentry.error());
  } else if (exchange) {
    return Fail(Code::kNotFound);
  }
  if (target && target->id == moved.id) return RenameReply{moved, std::nullopt};

  std::optional<Inode> replaced;  // to the trash
  // No loops: neither may end up below itself.
  if (!parents.same) {
    if (moved.is_dir() || (exchange && target->is_dir())) txn.NoteDirectoryMove();
    if (moved.is_dir()) {
      CURVEFS_TRY(bool below, IsBelow(txn, request.new_parent, moved.id));
      if (below) return Fail(Code::kInvalid);
    }
    if (exchange && target->is_dir()) {
      CURVEFS_TRY(bool below, IsBelow(txn, request.parent, target->id));
      if (below) return Fail(Code::kInvalid);
    }
  }
  if (target && !exchange) {
    if (target->is_dir() && !moved.is_dir()) return Fail(Code::kIsDirectory);
    if (!target->is_dir() && moved.is_dir()) return Fail(Code::kNotDirectory);
    if (target->is_dir()) {
      CURVEFS_TRY(bool has_entries, txn.HasEntries(target->id));
      if (has_entries) return Fail(Code::kNotEmpty);
    }
    CURVEFS_TRY(bool kept, MoveToTrash(txn, &parents.to(), request.new_name, &*target, request.trash));
    if (kept) {
      // The trash may be one of the parents.
      CURVEFS_TRY(parents.from_copy, txn.GetDirectory(request.parent));
      if (!parents.same) {
        CURVEFS_TRY(parents.to_copy, txn.GetDirectory(request.new_parent));
      }
      replaced = std::exchange(target, std::nullopt);
    } else {
      RemoveTarget(txn, &*target);
    }
  }
  if (!parents.same && moved.is_dir() && !(target && target->is_dir()) && parents.to().nlink >= kMaxLinks) {
    return Fail(Code::kTooManyLinks);
  }

  // A directory's "..", and the link that this is in its parent, follow its entry.
  CURVEFS_CHECK_OK(txn.RemoveDentry(&parents.from(), request.name, &moved));
  if (target) CURVEFS_CHECK_OK(txn.RemoveDentry(&parents.to(), request.new_name, &*target));
  txn.AddDentry(&parents.to(), request.new_name, &moved);
  moved.ctime = txn.now();
  if (exchange) {
    txn.AddDentry(&parents.from(), request.name, &*target);
    target->ctime = txn.now();
  }
  if (target) txn.PutInode(*target);
  if (request.kind == RenameKind::kWhiteout || request.kind == RenameKind::kWhiteoutNoReplace)
    CURVEFS_CHECK_OK(AddWhiteout(txn, request, &parents.from()));
  txn.PutInode(moved);
  txn.PutInode(parents.from());
  if (!parents.same) txn.PutInode(parents.to());
  if (!replaced && !exchange) replaced = std::move(target);
  return RenameReply{std::move(moved), std::move(replaced)};
}

}  // namespace curvefs::meta
