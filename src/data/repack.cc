// Shared objects (pack.cc) of which most is no longer used: what is left moves to new ones, packed again.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "data/core.h"

namespace curvefs::data {
namespace {

constexpr uint32_t kMaxSparse = 256;       // objects looked at in one go
constexpr size_t kMaxRecordsMoved = 1000;  // in one change of the metadata

}  // namespace

// Records to be moved to one object, and their bytes.
struct DataCache::Core::Moves {
  std::vector<ChunkIndex::Replacement> chunks;  // `after` as yet without their object
  BufferList bytes;
  uint64_t size = 0;
  size_t records = 0;
};

Status DataCache::Core::Repack() {
  std::map<ChunkOfFile, std::set<ChunkId>> wanted;
  for (const meta::SharedObject& object : index.TakeSparse(kMaxSparse)) {
    for (const auto& user : object.users) wanted[{user.inode, user.chunk_index}].insert(object.chunk);
  }
  Status first;
  Moves moves;
  for (const auto& [chunk, objects] : wanted) {
    if (stopping()) break;
    Moves of_chunk;
    Status s = Collect(chunk, objects, &of_chunk);
    if (s.ok() && of_chunk.size > 0) {
      if (moves.size + of_chunk.size > kBlockSize || moves.records + of_chunk.records > kMaxRecordsMoved)
        s = Move(std::exchange(moves, {}));
      moves.size += of_chunk.size;
      moves.records += of_chunk.records;
      std::ranges::move(of_chunk.chunks, std::back_inserter(moves.chunks));
      std::ranges::move(of_chunk.bytes, std::back_inserter(moves.bytes));
    }
    if (first.ok()) first = std::move(s);
  }
  if (Status s = Move(std::move(moves)); first.ok()) first = std::move(s);
  return first;
}

// What this chunk of a file still uses of the objects. Nothing, if it is too much to be packed.
Status DataCache::Core::Collect(const ChunkOfFile& chunk, const std::set<ChunkId>& objects, Moves* moves) {
  const auto [inode, chunk_index] = chunk;
  auto records = index.Records(inode, chunk_index * kChunkSize, kChunkSize);
  if (!records) return records.error().code() == Code::kNotFound ? Status() : records.error();
  ChunkIndex::Replacement replacement{.inode = inode};
  for (auto& r : *records) {
    if (!r.in_object() || !objects.contains(r.chunk_id)) continue;
    if (moves->size + r.len > kBlockSize || moves->records >= kMaxRecordsMoved) break;
    CURVEFS_TRY(auto slice, ReadPiece(inode, r, {r.offset, r.end()}, false));
    moves->bytes.push_back(std::move(slice));
    meta::ChunkRecord after{.offset = r.offset, .len = r.len};
    moves->size += r.len;
    ++moves->records;
    replacement.after.push_back(std::move(after));
    replacement.before.push_back(std::move(r));
  }
  if (moves->size > 0) moves->chunks.push_back(std::move(replacement));
  return {};
}

// Stores the object, and puts its records in place of the old ones. Files that are being flushed or changed
// are left alone: their old object stays until it has lost still more.
Status DataCache::Core::Move(Moves moves) {
  if (moves.chunks.empty()) return {};
  const auto& first = moves.chunks.front();
  CURVEFS_TRY(const ChunkId chunk, index.NewChunks(1));
  meta::ChunkRecord stored = NewObject(first.inode, first.after.front().offset, moves.size, chunk);
  CURVEFS_CHECK_OK(Put(&stored, moves.bytes));

  std::vector<FilePtr> files;
  std::vector<std::unique_lock<Turn>> locks;
  std::vector<ChunkIndex::Replacement> chunks;
  meta::ChunkRecord next = stored;
  for (auto& c : moves.chunks) {
    for (auto& r : c.after) r = TakePart(&next, {r.offset, r.end()});
    const bool locked_already = !files.empty() && files.back()->inode == c.inode;
    if (!locked_already) {
      FilePtr file = FindOrMake(c.inode);
      std::unique_lock lock(file->flush_mu, std::try_to_lock);
      files.push_back(std::move(file));
      locks.push_back(std::move(lock));
    }
    if (locks.back().owns_lock()) chunks.push_back(std::move(c));
  }
  auto statuses = index.Replace(std::move(chunks));
  locks.clear();
  for (FilePtr& file : files) Release(std::move(file));

  if (!statuses && statuses.error().code() == Code::kTimedOut) return statuses.error();  // it may be in use
  if (!statuses || std::ranges::none_of(*statuses, &Status::ok)) {
    (void)objects.Delete(NameOf(stored));  // best effort: fsck finds what stays
  } else {
    counters.compactions.fetch_add(1, std::memory_order_relaxed);
  }
  return statuses ? Status() : statuses.error();
}

}  // namespace curvefs::data
