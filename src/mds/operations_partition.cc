// Partitions, and the copysets that hold them.
#include <utility>

#include "base/ids.h"
#include "mds/operations.h"
#include "mds/placement.h"

namespace curvefs::mds {
namespace {

// Of the copysets that have room the one with the fewest partitions, another one than `not_this` if there is.
// A file system's partitions are spread, so a copyset that has none of them comes first.
const proto::Copyset* RoomIn(const State& state, uint32_t fs) {
  std::map<uint32_t, size_t> partitions, own;
  for (const auto& [key, partition] : state.All<proto::Partition>()) {
    ++partitions[partition.copyset_id()];
    if (partition.fs_id() == fs) ++own[partition.copyset_id()];
  }
  const proto::Copyset* best = nullptr;
  std::pair<size_t, size_t> least;
  for (const auto& [key, copyset] : state.All<proto::Copyset>()) {
    // A replica group is told of its file system when it is made (copyset.proto), so it holds partitions of
    // one.
    if (copyset.fs_id() != fs) continue;
    const uint32_t id = copyset.copyset_id();
    const std::pair<size_t, size_t> rank{own[id], partitions[id]};
    if (rank.second >= kMostPartitionsOfCopyset || (best != nullptr && rank >= least)) continue;
    best = &copyset;
    least = rank;
  }
  return best;
}

// It makes no new inodes from now on: its ids, or its copyset, are used up.
Status PartitionIsFull(Draft& draft, uint32_t fs, uint32_t id) {
  const proto::Partition* found = draft.state().Find<proto::Partition>(PartitionKey(fs, id));
  if (found == nullptr) return {Code::kNotFound, "there is no partition " + std::to_string(id)};
  if (found->state() != proto::PARTITION_READ_WRITE) return {};
  proto::Partition partition = *found;
  partition.set_state(proto::PARTITION_READ_ONLY);
  draft.Put(std::move(partition));
  return {};
}

Result<uint32_t> NewCopyset(Draft& draft, Volatile& v, uint32_t fs) {
  CURVEFS_TRY(const Place place, ChoosePlace(draft.state(), kReplicas, v.unreachable, v.random()));
  proto::Copyset copyset;
  copyset.set_copyset_id(static_cast<uint32_t>(draft.NextIds(kCopysetIds)));
  copyset.set_pool_id(place.pool);
  copyset.set_state(proto::COPYSET_PLANNED);
  copyset.set_fs_id(fs);
  // Directories are in one order in all partitions: clients write entries of several in one transaction.
  const auto* root = draft.state().Find<proto::Partition>(PartitionKey(fs, 0));
  const auto* first =
      root == nullptr ? nullptr : draft.state().Find<proto::Copyset>(CopysetKey(root->copyset_id()));
  copyset.set_hash_seed(first != nullptr ? first->hash_seed() : v.random());
  for (uint32_t id : place.metaservers) {
    auto* peer = copyset.add_peer();
    // The first replica of this copyset there; a later one would get another id (copyset.proto).
    peer->set_replica_id(id);
    peer->set_address(draft.state().Find<proto::Metaserver>(MetaserverKey(id))->address());
  }
  const uint32_t id = copyset.copyset_id();
  draft.Put(std::move(copyset));
  return id;
}

}  // namespace

Status EnsurePartitions(Draft& draft, Volatile& v, uint32_t fs, uint32_t wanted,
                        const std::function<void(const proto::Partition&)>& made) {
  if (wanted > kMostPartitionsAtOnce)
    return {Code::kInvalid,
            "at most " + std::to_string(kMostPartitionsAtOnce) + " partitions are made at once"};
  uint32_t have = 0;
  size_t copysets = 0;
  draft.state().ForEach<proto::Partition>(PartitionPrefix(fs), [&](const proto::Partition& p) {
    have += p.state() == proto::PARTITION_READ_WRITE;
  });
  for (const auto& [key, copyset] : draft.state().All<proto::Copyset>()) copysets += copyset.fs_id() == fs;
  for (; have < wanted; ++have) {
    const auto id = static_cast<uint32_t>(draft.NextIds(PartitionIds(fs)) - 1);  // from 0 on: it has the root
    if (id >= kEndOfPartitionIds)
      return {Code::kNoSpace, "the file system has had all partitions that there can be"};
    proto::Partition partition;
    partition.set_fs_id(fs);
    partition.set_partition_id(id);
    // Few copysets at first: as many as partitions to begin with, then more only when those are full.
    const proto::Copyset* room = copysets < kFirstPartitions ? nullptr : RoomIn(draft.state(), fs);
    if (room != nullptr) {
      partition.set_copyset_id(room->copyset_id());
    } else {
      CURVEFS_TRY(const uint32_t copyset, NewCopyset(draft, v, fs));
      partition.set_copyset_id(copyset);
      ++copysets;
    }
    partition.set_start(id == 0 ? kRootInode.value : MakeInodeId(PartitionId(id), 0).value);
    partition.set_end(MakeInodeId(PartitionId(id), kInodeCounterMask).value);
    made(partition);
    draft.Put(std::move(partition));
  }
  return {};
}

Status CreatePartition(Draft& draft, Volatile& v, const proto::CreatePartitionRequest& request,
                       proto::CreatePartitionResponse* response) {
  const proto::FsInfo* fs = draft.state().Find<proto::FsInfo>(FsKey(request.fs_id()));
  if (fs == nullptr || fs->state() == proto::FS_DELETING)
    return {Code::kNotFound, "there is no such file system"};
  if (static_cast<size_t>(request.full_size()) > kMostPartitionsAtOnce)
    return {Code::kInvalid, "too many partitions at once"};
  for (uint32_t full : request.full()) CURVEFS_CHECK_OK(PartitionIsFull(draft, request.fs_id(), full));
  return EnsurePartitions(draft, v, request.fs_id(), request.count(),
                          [&](const proto::Partition& partition) { *response->add_partition() = partition; });
}

Status ListPartition(const State& state, const proto::ListPartitionRequest& request,
                     proto::ListPartitionResponse* response) {
  if (state.Find<proto::FsInfo>(FsKey(request.fs_id())) == nullptr)
    return {Code::kNotFound, "there is no such file system"};
  std::set<uint32_t> copysets;
  state.ForEach<proto::Partition>(PartitionPrefix(request.fs_id()), [&](const proto::Partition& partition) {
    *response->add_partition() = partition;
    copysets.insert(partition.copyset_id());
  });
  for (uint32_t id : copysets) {
    if (const auto* copyset = state.Find<proto::Copyset>(CopysetKey(id))) {
      *response->add_copyset() = *copyset;
      FillAddresses(state, &*response->mutable_copyset()->rbegin());
    }
  }
  return {};
}

Status ListCopyset(const State& state, proto::ListCopysetResponse* response) {
  for (const auto& [key, copyset] : state.All<proto::Copyset>()) {
    *response->add_copyset() = copyset;
    FillAddresses(state, &*response->mutable_copyset()->rbegin());
  }
  return {};
}

}  // namespace curvefs::mds
