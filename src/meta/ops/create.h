// Making new inodes: files, directories, symbolic links, device nodes, fifos, sockets.
#pragma once

#include <string_view>

#include "meta/txn.h"

namespace curvefs::meta {

struct CreateRequest {
  InodeId parent;
  std::string_view name;
  uint32_t mode = 0;  // type and permissions as asked for, the umask not applied
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t umask = 0;  // applied unless the parent has a default ACL, which then decides (acl(5))
  uint32_t rdev = 0;
  std::string_view symlink;  // the target, for a symbolic link
  InodeId reserved;          // by ReserveInode, to be used instead of a new one; 0: none
};

// The group of a setgid directory is inherited, and the bit itself by directories. kExists, kNotFound (the
// parent is gone), kNotDirectory, kNameTooLong, kNoSpace, kTooManyLinks.
Result<Inode> Create(Txn& txn, const CreateRequest& request);

// O_TMPFILE: a file without a name, an orphan until it is linked. `parent` gives group and default ACL.
Result<Inode> CreateUnnamed(Txn& txn, const CreateRequest& request);

// An inode of type `mode` that is to get its name in a transaction between partitions: an orphan until then.
// kInvalid: neither a directory nor a character device (a whiteout).
Result<Inode> ReserveInode(Txn& txn, PartitionId partition, uint32_t mode);

// The root directory of a new file system.
Inode MakeRoot(Txn& txn, uint32_t mode, uint32_t uid, uint32_t gid);

// A name is 1 to 255 bytes, not "." or "..", without '/' and zero bytes.
Status CheckName(std::string_view name);

// kExists if the directory has the name.
Status CheckFree(const Reader& reader, InodeId parent, std::string_view name);

}  // namespace curvefs::meta
