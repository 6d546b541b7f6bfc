// Objects that a crash has left behind, and objects of which little is still used: what a start looks for.
#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "base/log.h"
#include "meta/ops/content.h"
#include "metaserver/copyset.h"

namespace curvefs::metaserver {
namespace {

// Chunk ids are reserved in runs (client): a crash can leave unreferenced objects up to this far below the
// counter.
constexpr uint64_t kChunkWindow = 8'192;
// Ids that batches lost in a crash had handed out lie above the recovered counter, where a list of the
// objects would show the highest. Without one the counter goes past any that they can have reached.
constexpr uint32_t kChunkLeap = 1 << 24;
constexpr uint64_t kEverything = std::numeric_limits<uint64_t>::max();
constexpr size_t kLookSlice = 256;     // objects looked up between two turns of others
constexpr size_t kSparseSlice = 4096;  // records of use

}  // namespace

// Objects without a record: stored, but the batch that would have named them was lost. Their chunk ids are at
// or above the recovered counter, or within the last reserved runs below it.
Status Copyset::SweepOrDefer() {
  CURVEFS_TRY(meta::PartitionRecord counters, meta::Reader(*store_, fs_).GetPartition(PartitionId(0)));
  uint64_t from = counters.next_chunk > kChunkWindow ? counters.next_chunk - kChunkWindow : 0;
  if (counters.sweep_from != 0) from = std::min(from, counters.sweep_from);
  from = std::max<uint64_t>(from, 1);
  if (!options_.objects_reached || options_.objects_reached()) {
    CURVEFS_CHECK_OK(Sweep(from, kEverything, counters.next_chunk));
    if (counters.sweep_from == 0) return {};
    return Change([](meta::Txn& txn) { return txn.SetSweepFrom(PartitionId(0), 0); });
  }
  // The store remembers how far back to look, so that it is not forgotten if we end before the objects can be
  // asked for.
  auto first = Change([&](meta::Txn& txn) -> Result<ChunkId> {
    CURVEFS_CHECK_OK(txn.SetSweepFrom(PartitionId(0), from));
    return txn.NewChunks(PartitionId(0), kChunkLeap);
  });
  if (!first) return first.error();
  sweep_below_ = first->value + kChunkLeap;
  return {};
}

Status Copyset::SweepDeferred() {
  if (sweep_below_ == 0 || !options_.objects_reached()) return {};
  auto counters = Read([](const meta::Reader& r) { return r.GetPartition(PartitionId(0)); });
  if (!counters) return counters.error();
  CURVEFS_CHECK_OK(Sweep(counters->sweep_from, sweep_below_, kEverything));
  CURVEFS_CHECK_OK(Change([](meta::Txn& txn) { return txn.SetSweepFrom(PartitionId(0), 0); }));
  sweep_below_ = 0;
  return {};
}

// Deletes the unreferenced objects of chunk ids [from, below), all of which were handed out before the start.
// No record can name an id from `unused_from` on.
Status Copyset::Sweep(uint64_t from, uint64_t below, uint64_t unused_from) {
  std::vector<object::ObjectName> lost, perhaps;
  uint64_t highest = 0;
  CURVEFS_CHECK_OK(objects_.List(ChunkId(from), [&](const object::ObjectName& name) {
    if (name.chunk.value >= below) return false;
    if (name.fs != fs_.fs) return true;
    highest = std::max(highest, name.chunk.value);
    (name.chunk.value >= unused_from ? lost : perhaps).push_back(name);
    return true;
  }));
  CURVEFS_TRY(auto unreferenced, Unreferenced(perhaps, ChunkId(from)));
  std::ranges::copy(unreferenced, std::back_inserter(lost));
  if (!lost.empty()) {
    CURVEFS_CHECK_OK(objects_.DeleteMany(lost));
    Log(LogLevel::kInfo,
        dir_ + ": deleted " + std::to_string(lost.size()) + " objects that a crash had left unreferenced");
  }
  if (highest < unused_from) return {};
  // Ids that the lost batches had handed out are not handed out again.
  return Change([&](meta::Txn& txn) -> Status {
    auto first = txn.NewChunks(PartitionId(0), static_cast<uint32_t>(highest - unused_from + 1));
    return first ? Status() : first.error();
  });
}

// Those of the objects that no record names and that do not wait for deletion.
Result<std::vector<object::ObjectName>> Copyset::Unreferenced(const std::vector<object::ObjectName>& names,
                                                              ChunkId from) const {
  std::vector<object::ObjectName> doubtful;  // not named by the inode in their name; perhaps by a clone
  std::map<InodeId, std::set<ChunkId>> used_by;
  for (size_t at = 0; at < names.size(); at += kLookSlice) {
    CURVEFS_CHECK_OK(Read([&](const meta::Reader& reader) -> Status {
      for (size_t i = at; i < std::min(at + kLookSlice, names.size()); ++i) {
        const object::ObjectName& name = names[i];
        auto [it, fresh] = used_by.try_emplace(name.inode);
        if (fresh) {
          CURVEFS_TRY(const auto records, meta::RecordsInRange(reader, name.inode, 0, kMaxFileSize));
          for (const auto& r : records) it->second.insert(r.chunk_id);
        }
        if (it->second.contains(name.chunk)) continue;
        std::string shared;  // by other files, though the one in its name may be gone
        if (!store_->Get(meta::SharedKey(fs_.fs, PartitionId(0), name.chunk), &shared).ok())
          doubtful.push_back(name);
      }
      return {};
    }));
  }
  if (doubtful.empty()) return doubtful;
  // In one turn, so that no record moves from where we have not looked to where we have.
  auto used = Read([&](const meta::Reader& reader) { return ReferencedFrom(reader, from); });
  if (!used) return Fail(used.error());
  std::erase_if(doubtful, [&](const auto& name) { return used->contains(name.chunk); });
  return doubtful;
}

// The chunk ids >= from that any record names, or that wait for deletion.
Result<std::set<ChunkId>> Copyset::ReferencedFrom(const meta::Reader& reader, ChunkId from) const {
  std::set<ChunkId> used;
  std::string begin = meta::KindPrefix(fs_.fs, PartitionId(0), meta::KeyKind::kChunk);
  CURVEFS_CHECK_OK(
      reader.view().Scan(begin, kv::PrefixEnd(begin), [&](std::string_view key, std::string_view value) {
        meta::ParsedKey parsed;
        if (!meta::ParseKey(key, &parsed)) return true;
        auto record = meta::DecodeChunk(parsed.inode, parsed.sequence, value);
        if (record && record->chunk_id >= from) used.insert(record->chunk_id);
        return true;
      }));
  MutexLock lock(mu_);
  for (const auto& p : freed_) used.insert(p.name.chunk);
  return used;
}

// What TakeSparse knew when the last process ended: the next slice of the records that say it.
void Copyset::FindSparse() {
  const std::string all = meta::KindPrefix(fs_.fs, PartitionId(0), meta::KeyKind::kRefs);
  MutexLock one_at_a_time(sparse_search_mu_);
  if (sparse_next_.empty()) return;
  std::vector<ChunkId> found;
  size_t looked_at = 0;
  std::string next;
  Status s = Read([&, from = sparse_next_](const meta::Reader& reader) {
    return reader.view().Scan(from, kv::PrefixEnd(all), [&](std::string_view key, std::string_view value) {
      if (looked_at++ == kSparseSlice) {
        next = key;
        return false;
      }
      meta::ParsedKey parsed;
      auto refs = meta::DecodeRefs(value);
      std::string shared;
      // What is malformed is for fsck to say.
      if (!refs || refs->live == 0 || !meta::ParseKey(key, &parsed)) return true;
      if (!reader.view().Get(meta::SharedKey(fs_.fs, parsed.partition, parsed.chunk), &shared).ok())
        return true;
      auto object = meta::DecodeShared(parsed.chunk, shared);
      if (object && refs->live < object->size / 2) found.push_back(parsed.chunk);
      return true;
    });
  });
  if (!s.ok()) return;  // again with the next call
  sparse_next_ = std::move(next);
  MutexLock lock(mu_);
  for (ChunkId chunk : found) {
    if (sparse_.size() < kMaxSparse) sparse_.insert(chunk);
  }
}

std::vector<meta::SharedObject> Copyset::TakeSparse(uint32_t max) {
  FindSparse();
  std::vector<ChunkId> chunks;
  {
    MutexLock lock(mu_);
    for (; !sparse_.empty() && chunks.size() < max; sparse_.erase(sparse_.begin()))
      chunks.push_back(*sparse_.begin());
  }
  std::vector<meta::SharedObject> objects;
  if (chunks.empty()) return objects;
  return Read([&](const meta::Reader& reader) {
    for (ChunkId chunk : chunks) {
      std::string value;
      if (!reader.view().Get(meta::SharedKey(fs_.fs, PartitionId(0), chunk), &value).ok()) continue;
      if (auto object = meta::DecodeShared(chunk, value)) objects.push_back(*std::move(object));
    }
    return objects;
  });
}

}  // namespace curvefs::metaserver
