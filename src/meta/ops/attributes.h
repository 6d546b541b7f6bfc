// Attributes, extended attributes and POSIX ACLs (stored as the extended attributes that acl(5) names).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "meta/txn.h"

namespace curvefs::meta {

struct SetAttrRequest {
  InodeId inode;
  std::optional<uint32_t> mode;  // permission bits
  std::optional<uint32_t> uid, gid;
  std::optional<uint64_t> size;
  std::optional<Timestamp> atime, mtime, ctime;
  bool kill_suid_gid = false;  // the content changes, by one who may not keep set-id bits
  bool caller_in_group =
      true;  // with uid/gid: false clears setgid also from files that are not group-executable
  bool touch_atime = false;  // an access, not a change: atime alone, ctime stays
};

// Sets what is given; ctime becomes the transaction's time unless given. Truncation drops and cuts chunk
// records. A change of owner clears set-id bits of files; a change of mode changes the ACL's mask. kInvalid:
// size of something not a file. kFileTooBig.
Result<Inode> SetAttributes(Txn& txn, const SetAttrRequest& request);

// It was read: its atime becomes at least `time`. Of one that is gone nothing is said.
Status Touch(Txn& txn, InodeId inode, Timestamp time);

struct SetXattrRequest {
  InodeId inode;
  std::string_view name;
  std::string_view value;
  bool create = false;     // kExists if there
  bool replace = false;    // kNoAttribute if not there
  bool kill_sgid = false;  // setting an access ACL by one who is not in the group
};
Result<Inode> SetXattr(Txn& txn, const SetXattrRequest& request);
Result<Inode> RemoveXattr(Txn& txn, InodeId inode, std::string_view name);  // kNoAttribute
Result<std::string> GetXattr(const Reader& reader, InodeId inode, std::string_view name);
Result<std::string> ListXattrs(const Reader& reader, InodeId inode);  // names, each followed by a zero byte

}  // namespace curvefs::meta
