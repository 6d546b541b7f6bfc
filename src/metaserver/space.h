// What the state of a copyset says about space: objects that wait for deletion, orphans, limits. Shared by
// the standalone copyset and the replicated one; reads a view, changes nothing but the transaction it is
// given.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "kv/view.h"
#include "meta/records.h"
#include "meta/txn.h"
#include "metaserver/usage.h"
#include "object/object_store.h"

namespace curvefs::metaserver {

inline constexpr size_t kUsageSlice = 2'000;  // inodes counted in one turn of a strand
inline constexpr uint32_t kReclaimSlice =
    2'000;  // chunk records per transaction in the background, so that others get their turn
inline constexpr size_t kDeleteSlice = 1'000;  // objects deleted in one go

inline object::ObjectName NameOf(FsId fs, const meta::ObjectRef& o) {
  return {o.chunk, o.block, o.compaction, fs, o.inode};
}

// Every partition that has a record, in order, until `visit` returns false. Skips from one to the next.
Status ForEachPartition(const kv::View& state, const std::function<bool(FsId, PartitionId)>& visit);

Status FindFreed(const kv::View& state, FsId fs, PartitionId partition,
                 std::vector<object::ObjectName>* found);
// In their order, until `visit` returns false.
Status FindOrphans(const kv::View& state, FsId fs, PartitionId partition,
                   const std::function<bool(InodeId)>& visit);

// ---- Limits; of partition 0
Result<bool> HasQuotas(const kv::View& state, const meta::SuperBlock& super);
Status LoadQuotas(const kv::View& state, FsId fs, UsageTree* tree);
// The next `max` inodes; UsageTree::Complete when there is none.
Status AddToUsage(const kv::View& state, FsId fs, size_t max, UsageTree* tree);
// Sets or takes away (a zero quota) the limits of a directory; of the root: those of the file system, in
// *super too. kNotFound, kNotDirectory.
Status ChangeQuota(meta::Txn& txn, InodeId dir, const meta::Quota& quota, meta::SuperBlock* super);

}  // namespace curvefs::metaserver
