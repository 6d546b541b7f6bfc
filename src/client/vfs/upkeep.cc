// What the commands of a mount ask of it, beyond POSIX.
#include <algorithm>
#include <set>

#include "client/vfs/vfs_core.h"
#include "meta/extents.h"

namespace curvefs::client {

Result<ReadCost> Vfs::CostOfReading(InodeId id) {
  Core& c = *core_;
  CURVEFS_TRY(meta::Inode inode, c.meta.GetInode(id));
  ReadCost cost;
  if (!inode.is_file()) return cost;
  std::set<ChunkId> objects;
  for (uint64_t at = 0; at < inode.length;) {
    // Holes are passed over: a file may have more chunks than can be visited.
    auto data = c.data.SeekData(id, at, inode.length);
    if (!data) {
      if (data.error().code() == Code::kNoSuchExtent) break;
      return Fail(data.error());
    }
    const uint64_t begin = *data / kChunkSize * kChunkSize;
    const uint64_t n = std::min(kChunkSize, inode.length - begin);
    CURVEFS_TRY(auto records, c.meta.Records(id, begin, n));
    cost.records += records.size();
    const meta::ChunkRecord* last = nullptr;
    uint64_t last_end = 0;  // in the last object
    for (const meta::Piece& piece : meta::Resolve(records, begin, n)) {
      const meta::ChunkRecord* r = piece.record < 0 ? nullptr : &records[static_cast<size_t>(piece.record)];
      if (r == nullptr || !r->in_object()) {
        last = nullptr;
        continue;
      }
      const uint64_t from = r->object_offset + (piece.offset - r->offset);
      cost.requests += last == nullptr || last->chunk_id != r->chunk_id || last_end != from;
      objects.insert(r->chunk_id);
      last = r;
      last_end = from + piece.len;
    }
    at = begin + kChunkSize;
  }
  cost.objects = objects.size();
  return cost;
}

Result<size_t> Vfs::ExpireTrash(size_t max) {
  Core& c = *core_;
  return c.trash.Expire(max, [&c](const meta::Inode& inode) { c.AfterUnlink(inode); });
}

void Vfs::Watch(std::function<void(InodeId)> watcher) {
  MutexLock lock(core_->watcher_mu);
  core_->watcher = std::move(watcher);
}

Result<DirUsage> Vfs::DirectoryUsage(InodeId dir) {
  return core_->UsageOf(dir);
}

Status Vfs::Compact(InodeId id, const std::function<bool()>& cancelled) {
  Core& c = *core_;
  CURVEFS_CHECK_OK(c.CheckWritable(id));
  CURVEFS_TRY(meta::Inode inode, c.meta.GetInode(id));
  if (!inode.is_file()) return {};
  CURVEFS_CHECK_OK(c.data.Flush(id, false));
  CURVEFS_TRY(inode, c.meta.GetInode(id));
  for (uint64_t at = 0; at < inode.length;) {
    if (cancelled && cancelled()) return Code::kInterrupted;
    auto data = c.data.SeekData(id, at, inode.length);
    if (!data) return data.error().code() == Code::kNoSuchExtent ? Status() : data.error();
    const uint64_t chunk = *data / kChunkSize;
    CURVEFS_CHECK_OK(c.data.Compact(id, static_cast<uint32_t>(chunk)));
    at = (chunk + 1) * kChunkSize;
  }
  return {};
}

}  // namespace curvefs::client
