#include "meta/ops/names.h"

#include "base/bytes.h"
#include "meta/ops/create.h"
#include "meta/ops/trash.h"

namespace curvefs::meta {
namespace {

// A cookie is (hash of the name) * 128 + ordinal, where the ordinal is the entry's place among those of the
// same hash, from 1. With 56 bits of hash more than one is rare, and 127 does not happen; entries past that
// would share the last ordinal and be listed again after a seek, never skipped.
constexpr int kOrdinalBits = 7;
constexpr uint64_t kMaxOrdinal = (1 << kOrdinalBits) - 1;

// The hash 0 of a name would give cookies that collide with the reserved ones.
uint64_t CookieOf(uint64_t hash, uint64_t ordinal) {
  return (hash << kOrdinalBits | std::min(ordinal, kMaxOrdinal)) + kMaxReservedCookie;
}

}  // namespace

Result<Inode> Lookup(const Reader& reader, InodeId parent, std::string_view name) {
  if (name.size() > kMaxName) return Fail(Code::kNameTooLong);
  CURVEFS_TRY(Dentry dentry, reader.GetDentry(parent, name));
  return reader.GetInode(dentry.inode);
}

Status ListDirectory(const Reader& reader, InodeId dir, uint64_t cookie,
                     const std::function<bool(const ListedEntry&)>& visit) {
  uint64_t from_hash = 0, skip = 0;
  if (cookie > kMaxReservedCookie) {
    from_hash = (cookie - kMaxReservedCookie) >> kOrdinalBits;
    skip = (cookie - kMaxReservedCookie) & kMaxOrdinal;
    if (skip == kMaxOrdinal) --skip;  // the last ordinal may be shared
  }
  FsId fs = reader.fs().fs;
  std::string end = kv::PrefixEnd(InodePrefix(fs, KeyKind::kDentry, dir));
  uint64_t last_hash = ~uint64_t{0}, ordinal = 0;
  Status failure;
  CURVEFS_CHECK_OK(reader.view().Scan(
      DentryHashPrefix(fs, dir, from_hash), end, [&](std::string_view key, std::string_view value) {
        uint64_t hash = GetBe(key.data() + kInodePrefix, kNameHashBytes);
        ordinal = hash == last_hash ? ordinal + 1 : 1;
        last_hash = hash;
        if (hash == from_hash && ordinal <= skip) return true;
        auto dentry = DecodeDentry(value);
        if (!dentry) {
          failure = dentry.error();
          return false;
        }
        return visit({key.substr(kInodePrefix + kNameHashBytes), *dentry, CookieOf(hash, ordinal)});
      }));
  return failure;
}

Status ListDirectoryAfter(const Reader& reader, InodeId dir, std::string_view last,
                          const std::function<bool(const ListedEntry&)>& visit) {
  if (last.empty()) return ListDirectory(reader, dir, 0, visit);
  const uint64_t hash = NameHash(reader.fs().hash_seed, last);
  return ListDirectory(reader, dir, CookieOf(hash, 0), [&](const ListedEntry& entry) {
    const bool same_hash = (entry.cookie - kMaxReservedCookie) >> kOrdinalBits == hash;
    return (same_hash && entry.name <= last) || visit(entry);
  });
}

Result<Inode> Link(Txn& txn, InodeId id, InodeId parent_id, std::string_view name) {
  CURVEFS_CHECK_OK(CheckName(name));
  CURVEFS_TRY(Inode parent, txn.GetDirectory(parent_id));
  if (parent.nlink == 0) return Fail(Code::kNotFound);
  CURVEFS_TRY(Inode inode, txn.GetInode(id));
  if (inode.is_dir()) return Fail(Code::kNotPermitted);
  CURVEFS_CHECK_OK(CheckFree(txn, parent_id, name));
  if (inode.nlink >= kMaxLinks) return Fail(Code::kTooManyLinks);
  if (inode.nlink == 0) txn.DeleteOrphan(id);
  ++inode.nlink;
  inode.ctime = txn.now();
  txn.AddDentry(&parent, name, &inode);
  txn.PutInode(inode);
  txn.PutInode(parent);
  return inode;
}

Result<Inode> Unlink(Txn& txn, InodeId parent_id, std::string_view name, InodeId trash) {
  CURVEFS_TRY(Inode parent, txn.GetDirectory(parent_id));
  CURVEFS_TRY(Dentry dentry, txn.GetDentry(parent_id, name));
  CURVEFS_TRY(Inode inode, txn.GetInode(dentry.inode));
  if (inode.is_dir()) return Fail(Code::kIsDirectory);
  CURVEFS_TRY(bool kept, MoveToTrash(txn, &parent, name, &inode, trash));
  if (kept) return inode;
  CURVEFS_CHECK_OK(txn.RemoveDentry(&parent, name, &inode));
  txn.PassQuotas();
  if (inode.nlink > 0) --inode.nlink;
  inode.ctime = txn.now();
  if (inode.nlink == 0) txn.PutOrphan(inode.id);
  txn.PutInode(inode);
  txn.PutInode(parent);
  return inode;
}

Result<Inode> RemoveDirectory(Txn& txn, InodeId parent_id, std::string_view name, InodeId trash) {
  CURVEFS_TRY(Inode parent, txn.GetDirectory(parent_id));
  CURVEFS_TRY(Dentry dentry, txn.GetDentry(parent_id, name));
  CURVEFS_TRY(Inode inode, txn.GetInode(dentry.inode));
  if (!inode.is_dir()) return Fail(Code::kNotDirectory);
  CURVEFS_TRY(bool has_entries, txn.HasEntries(inode.id));
  if (has_entries) return Fail(Code::kNotEmpty);
  CURVEFS_TRY(bool kept, MoveToTrash(txn, &parent, name, &inode, trash));
  if (kept) return inode;
  CURVEFS_CHECK_OK(txn.RemoveDentry(&parent, name, &inode));
  txn.DropQuota(&inode);
  txn.PassQuotas();
  inode.nlink = 0;
  inode.ctime = txn.now();
  txn.PutOrphan(inode.id);
  txn.PutInode(inode);
  txn.PutInode(parent);
  return inode;
}

}  // namespace curvefs::meta
