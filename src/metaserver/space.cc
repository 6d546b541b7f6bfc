#include "metaserver/space.h"

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "meta/keys.h"

namespace curvefs::metaserver {

Status ForEachPartition(const kv::View& state, const std::function<bool(FsId, PartitionId)>& visit) {
  constexpr size_t kPartitionPrefix = meta::kKeyHeader - 1;
  for (std::string from = meta::KindPrefix(FsId(1), PartitionId(0), {}); !from.empty();) {
    std::string key;
    CURVEFS_CHECK_OK(state.Scan(from, "", [&](std::string_view k, std::string_view) {
      key = k;
      return false;
    }));
    if (key.empty()) return {};
    if (key.size() < meta::kKeyHeader) {  // none of a file system
      from = key + '\0';
      continue;
    }
    const FsId fs(static_cast<uint32_t>(GetBe(key.data(), 4)));
    const PartitionId partition(static_cast<uint32_t>(GetBe(key.data() + 4, 3)));
    if (!visit(fs, partition)) return {};
    from = kv::PrefixEnd(key.substr(0, kPartitionPrefix));
  }
  return {};
}

Status FindFreed(const kv::View& state, FsId fs, PartitionId partition,
                 std::vector<object::ObjectName>* found) {
  const std::string begin = meta::KindPrefix(fs, partition, meta::KeyKind::kFree);
  return state.Scan(begin, kv::PrefixEnd(begin), [&](std::string_view key, std::string_view value) {
    meta::ParsedKey parsed;
    if (!meta::ParseKey(key, &parsed)) return true;
    if (auto f = meta::DecodeFreeObject(parsed.chunk, value))
      found->push_back(NameOf(fs, {f->chunk, f->block, f->compaction, f->inode}));
    return true;
  });
}

Status FindOrphans(const kv::View& state, FsId fs, PartitionId partition,
                   const std::function<bool(InodeId)>& visit) {
  const std::string begin = meta::KindPrefix(fs, partition, meta::KeyKind::kOrphan);
  return state.Scan(begin, kv::PrefixEnd(begin), [&](std::string_view key, std::string_view) {
    meta::ParsedKey parsed;
    return !meta::ParseKey(key, &parsed) || visit(parsed.inode);
  });
}

Result<bool> HasQuotas(const kv::View& state, const meta::SuperBlock& super) {
  if (super.capacity_bytes > 0 || super.capacity_inodes > 0) return true;
  const std::string begin = meta::KindPrefix(super.fs, PartitionId(0), meta::KeyKind::kQuota);
  bool any = false;
  CURVEFS_CHECK_OK(state.Scan(begin, kv::PrefixEnd(begin), [&](std::string_view, std::string_view) {
    any = true;
    return false;
  }));
  return any;
}

Status LoadQuotas(const kv::View& state, FsId fs, UsageTree* tree) {
  const std::string begin = meta::KindPrefix(fs, PartitionId(0), meta::KeyKind::kQuota);
  return state.Scan(begin, kv::PrefixEnd(begin), [&](std::string_view key, std::string_view value) {
    meta::ParsedKey parsed;
    auto quota = meta::DecodeQuota(value);
    if (quota && meta::ParseKey(key, &parsed)) tree->SetQuota(parsed.inode, *quota);
    return true;
  });
}

Status AddToUsage(const kv::View& state, FsId fs, size_t max, UsageTree* tree) {
  const std::string begin = meta::InodeKey(fs, InodeId(tree->counted_to().value + 1));
  const std::string end = kv::PrefixEnd(meta::KindPrefix(fs, PartitionId(0), meta::KeyKind::kInode));
  size_t seen = 0;
  Status failure;
  CURVEFS_CHECK_OK(state.Scan(begin, end, [&](std::string_view key, std::string_view value) {
    meta::ParsedKey parsed;
    if (!meta::ParseKey(key, &parsed)) return true;
    auto inode = meta::DecodeInode(parsed.inode, value);
    if (!inode) {
      failure = inode.error();
      return false;
    }
    tree->Add(parsed.inode, meta::ShareOf(*inode));
    return ++seen < max;
  }));
  CURVEFS_CHECK_OK(failure);
  if (seen < max) tree->Complete();
  return {};
}

Status ChangeQuota(meta::Txn& txn, InodeId dir, const meta::Quota& quota, meta::SuperBlock* super) {
  const FsId fs = txn.fs().fs;
  CURVEFS_TRY(meta::Inode inode, txn.GetDirectory(dir));
  if (inode.nlink == 0) return Code::kNotFound;
  txn.PassQuotas();
  if (dir == kRootInode) {
    super->capacity_bytes = quota.bytes;
    super->capacity_inodes = quota.inodes;
    txn.Set(meta::SuperBlockKey(fs), meta::EncodeSuperBlock(*super));
    return {};
  }
  if (quota.any()) {
    txn.Set(meta::QuotaKey(fs, dir), meta::EncodeQuota(quota));
    inode.flags |= meta::kHasQuota;
  } else {
    txn.DropQuota(&inode);
  }
  txn.PutInode(inode);
  return {};
}

}  // namespace curvefs::metaserver
