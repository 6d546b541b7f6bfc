// Set-id bits and file capabilities, which a file loses when its content or owner changes.
#pragma once

#include "meta/txn.h"

namespace curvefs::meta {

// As Linux does for chown, and for write and truncate by those without CAP_FSETID: the set-user-id bit goes;
// the set-group-id bit goes if the group may execute the file, or if the caller is not in its group;
// security.capability goes. Directories keep all. The caller puts the inode.
void DropPrivileges(Txn& txn, Inode* inode, bool group_member);

}  // namespace curvefs::meta
