// rename(2) and renameat2(2).
#pragma once

#include <optional>
#include <string_view>

#include "meta/txn.h"

namespace curvefs::meta {

enum class RenameKind { kReplace, kNoReplace, kExchange, kWhiteout, kWhiteoutNoReplace };

struct RenameRequest {
  InodeId parent;
  std::string_view name;
  InodeId new_parent;
  std::string_view new_name;
  RenameKind kind = RenameKind::kReplace;
  uint32_t uid = 0, gid = 0;  // owner of the whiteout
  InodeId trash;              // where what is replaced goes; 0: it is removed
  InodeId whiteout;           // reserved for it by ReserveInode; 0: a new one
};

struct RenameReply {
  Inode moved;
  std::optional<Inode>
      replaced;  // as it is afterwards; nlink 0 (or a removed directory): an orphan to be reclaimed
};

// Atomic: the new name shows the old or the new inode at any moment. Two names of one inode: nothing happens.
// kInvalid: a directory into itself. kNotEmpty, kIsDirectory, kNotDirectory: what is replaced does not suit.
// kExists: kNoReplace. kNotFound.
Result<RenameReply> Rename(Txn& txn, const RenameRequest& request);

}  // namespace curvefs::meta
