// Cutting chunk records, for the operations of this folder.
#pragma once

#include "meta/txn.h"

namespace curvefs::meta {

// Makes [offset, offset + len) read as zeros. The caller puts the inode.
Status ClearRange(Txn& txn, Inode* inode, uint64_t offset, uint64_t len);

// Shortens the file to `length`, but removes at most `max_records` records: then it returns false, and the
// file is longer than asked for. Sets inode->length; the caller puts the inode.
Result<bool> CutTail(Txn& txn, Inode* inode, uint64_t length, uint32_t max_records);

}  // namespace curvefs::meta
