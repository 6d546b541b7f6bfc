// Names of existing inodes: lookup, listing, link, unlink, rmdir.
#pragma once

#include <functional>
#include <string_view>

#include "meta/txn.h"

namespace curvefs::meta {

Result<Inode> Lookup(const Reader& reader, InodeId parent, std::string_view name);

// Lists a directory in the order of (hash of name, name). A cookie is the place after an entry: 56 bits of
// hash and the entry's number among those of the same hash, so it belongs to the entry and survives other
// changes of the directory. 0 is the start; cookies up to kMaxReservedCookie are the caller's ("." and "..").
// `visit` returning false ends the listing. Inodes are not read.
inline constexpr uint64_t kMaxReservedCookie = 2;
struct ListedEntry {
  std::string_view name;
  Dentry dentry;
  uint64_t cookie = 0;
};
Status ListDirectory(const Reader& reader, InodeId dir, uint64_t cookie,
                     const std::function<bool(const ListedEntry&)>& visit);
// The same, but it goes on behind a name, which need not be there (any more). An empty one is the begin.
Status ListDirectoryAfter(const Reader& reader, InodeId dir, std::string_view last,
                          const std::function<bool(const ListedEntry&)>& visit);

// A further name for an inode that is not a directory. An orphan made by CreateUnnamed becomes an ordinary
// file. kExists, kNotPermitted (a directory), kTooManyLinks, kNotFound (also: unlinked meanwhile).
Result<Inode> Link(Txn& txn, InodeId inode, InodeId parent, std::string_view name);

// Removes a name; returns the inode as it is afterwards. With nlink 0 it has become an orphan, to be
// reclaimed by Reclaim once nobody has it open.
// With `trash` the last name goes there instead (trash.h).
Result<Inode> Unlink(Txn& txn, InodeId parent, std::string_view name, InodeId trash = InodeId());
Result<Inode> RemoveDirectory(Txn& txn, InodeId parent, std::string_view name, InodeId trash = InodeId());

}  // namespace curvefs::meta
