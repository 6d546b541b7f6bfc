#include "meta/ops/trash.h"

#include "meta/ops/create.h"

namespace curvefs::meta {

std::string TrashName(InodeId parent, InodeId inode, std::string_view name) {
  std::string out = std::to_string(parent.value) + "-" + std::to_string(inode.value) + "-";
  return out.append(name.substr(0, kMaxName - out.size()));
}

Result<bool> IsBelow(Txn& txn, InodeId dir, InodeId ancestor) {
  // In a damaged tree a directory may be below itself: one seen before, marked at ever longer intervals,
  // comes again.
  InodeId mark;
  uint64_t steps = 0, next_mark = 1;
  for (InodeId at = dir;;) {
    if (at == ancestor) return true;
    if (at == kRootInode || !at) return false;
    if (at == mark)
      return Fail(Code::kCorrupt, "directory " + std::to_string(at.value) + " is below itself; run fsck");
    if (++steps == next_mark) {
      mark = at;
      next_mark *= 2;
    }
    CURVEFS_TRY(Inode inode, txn.GetInode(at));
    at = inode.parent;
  }
}

Result<bool> MoveToTrash(Txn& txn, Inode* parent, std::string_view name, Inode* child, InodeId trash) {
  if (!trash || (!child->is_dir() && child->nlink > 1)) return false;
  auto hour = txn.GetDirectory(trash);
  if (!hour || hour->nlink == 0) return Fail(Code::kUnavailable, "the directory of the trash is gone");
  CURVEFS_TRY(bool there_already, IsBelow(txn, parent->id, hour->parent));
  if (there_already || hour->nlink >= kMaxLinks) return false;
  const std::string kept = TrashName(parent->id, child->id, name);
  CURVEFS_CHECK_OK(CheckFree(txn, trash, kept));
  txn.PassQuotas();
  CURVEFS_CHECK_OK(txn.RemoveDentry(parent, name, child));
  txn.AddDentry(&*hour, kept, child);
  child->ctime = txn.now();
  txn.PutInode(*child);
  txn.PutInode(*parent);
  txn.PutInode(*hour);
  return true;
}

}  // namespace curvefs::meta
