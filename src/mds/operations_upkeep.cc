// What the MDS does to its state without being asked: partitions in advance of need, and the end of deleted
// file systems.
#include <utility>

#include "mds/operations.h"

namespace curvefs::mds {
namespace {

constexpr size_t kRowsAtOnce = 60;  // of a file system that ends, in one draft

}  // namespace

std::vector<std::pair<uint32_t, uint32_t>> PartitionsNeeded(const State& state) {
  std::vector<std::pair<uint32_t, uint32_t>> needed;
  for (const auto& [key, fs] : state.All<proto::FsInfo>()) {
    if (fs.state() != proto::FS_INITED) continue;
    uint32_t open = 0, all = 0;
    state.ForEach<proto::Partition>(PartitionPrefix(fs.fs_id()), [&](const proto::Partition& partition) {
      ++all;
      open += partition.state() == proto::PARTITION_READ_WRITE;
    });
    if (open < all && open < kFirstPartitions) needed.emplace_back(fs.fs_id(), kFirstPartitions);
  }
  return needed;
}

std::vector<uint32_t> FsToEnd(const State& state) {
  std::vector<uint32_t> ids;
  for (const auto& [key, fs] : state.All<proto::FsInfo>()) {
    if (fs.state() == proto::FS_DELETING) ids.push_back(fs.fs_id());
  }
  return ids;
}

Status EndFs(Draft& draft, uint32_t id) {
  const auto* found = draft.state().Find<proto::FsInfo>(FsKey(id));
  if (found == nullptr) return {Code::kNotFound, "there is no such file system"};
  if (found->state() != proto::FS_DELETING) return {Code::kInvalid, "the file system is not being deleted"};
  const proto::FsInfo fs = *found;
  std::vector<proto::Partition> partitions;
  draft.state().ForEach<proto::Partition>(PartitionPrefix(id), [&](const proto::Partition& partition) {
    if (partitions.size() < kRowsAtOnce) partitions.push_back(partition);
  });
  for (const auto& partition : partitions) draft.Remove(partition);
  if (partitions.size() == kRowsAtOnce) return {};
  // Then the copysets that were made for it, unless somebody else's partitions have come to be in them.
  std::set<uint32_t> used;
  for (const auto& [key, partition] : draft.state().All<proto::Partition>())
    used.insert(partition.copyset_id());
  std::vector<proto::Copyset> copysets;
  for (const auto& [key, copyset] : draft.state().All<proto::Copyset>()) {
    if (copyset.fs_id() != id || used.contains(copyset.copyset_id())) continue;
    if (draft.size() + 2 * copysets.size() + 1 >= kRowsAtOnce) break;
    copysets.push_back(copyset);
  }
  for (const auto& copyset : copysets) {
    // Its replicas may go; one without such a mark is of a state that this one does not know.
    proto::Counter gone;
    gone.set_name(GoneCopyset(copyset.copyset_id()));
    gone.set_value(1);
    draft.Put(gone);
    draft.Remove(copyset);
  }
  std::vector<proto::FsToken> tokens;
  draft.state().ForEach<proto::FsToken>(TokenPrefix(id), [&](const proto::FsToken& token) {
    if (draft.size() + tokens.size() + 2 < kRowsAtOnce) tokens.push_back(token);
  });
  for (const auto& token : tokens) draft.Remove(token);
  if (draft.size() + 2 >= kRowsAtOnce) return {};
  if (const auto* counter = draft.state().Find<proto::Counter>(CounterKey(PartitionIds(id)))) {
    const proto::Counter row = *counter;
    draft.Remove(row);
  }
  draft.Remove(fs);
  return {};
}

}  // namespace curvefs::mds
