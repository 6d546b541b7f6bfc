// Trash: deleted names that are kept for a while. Unlink, RemoveDirectory and Rename take the directory of
// the hour, which lies in the trash directory, and move there what they would have removed.
#pragma once

#include <string>
#include <string_view>

#include "meta/txn.h"

namespace curvefs::meta {

// "<inode of the directory>-<inode>-<name>": what a name is called in the trash; a long name is cut.
std::string TrashName(InodeId parent, InodeId inode, std::string_view name);

// Moves the only name of `child` (an empty directory, or anything else) to `trash`, puts all three inodes,
// and returns true. False, with nothing done: `trash` is none, the file has other names, or it lies in the
// trash already. kUnavailable: `trash` is no directory that can take it.
Result<bool> MoveToTrash(Txn& txn, Inode* parent, std::string_view name, Inode* child, InodeId trash);

// Whether `dir` is `ancestor` or below it.
Result<bool> IsBelow(Txn& txn, InodeId dir, InodeId ancestor);

}  // namespace curvefs::meta
