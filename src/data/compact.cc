// Compaction: rewriting chunks so that fewer records, and larger objects, hold them (SPEC §7).
//
// Two forms. A chunk with too many records is rewritten whole: what is visible goes into new objects, one
// record for each run. A chunk that only holds much inline data has those records moved to an object one by
// one, each in its place: the large objects beside them are not touched.
#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "data/core.h"

namespace curvefs::data {
namespace {

constexpr size_t kMaxQueued = 10'000;                // beyond it a chunk waits for its next flush
constexpr Duration kIdle = std::chrono::seconds(5);  // nobody wrote for so long: tidy up
constexpr Duration kNow = Duration::zero();

uint32_t NextCompaction(const std::vector<meta::ChunkRecord>& records) {
  uint32_t highest = 0;
  for (const auto& r : records) highest = std::max(highest, r.compaction);
  return highest + 1;
}

ChunkLoad LoadOf(uint32_t chunk_index, const std::vector<meta::ChunkRecord>& records) {
  ChunkLoad load{.chunk_index = chunk_index, .records = static_cast<uint32_t>(records.size())};
  for (const auto& r : records) {
    load.live_bytes += r.len;
    load.inline_bytes += r.inline_data.size();
  }
  return load;
}

// Whether this is a small file that lives in the metadata for good.
bool IsSmallFile(const std::vector<meta::ChunkRecord>& records, uint64_t inline_max) {
  return std::ranges::all_of(records, [&](const auto& r) { return !r.in_object() && r.end() <= inline_max; });
}

}  // namespace

// ---- the background thread ----

void DataCache::Core::ConsiderCompaction(InodeId inode, const std::vector<ChunkLoad>& loads) {
  for (const ChunkLoad& load : loads) {
    const bool now = WorthCompacting(load, options.inline_max);
    if (!now && !WorthTidying(load, options.inline_max)) continue;
    const SteadyTime due = clock.Steady() + (now ? kNow : kIdle);
    MutexLock lock(mu_);
    const ChunkOfFile chunk{inode, load.chunk_index};
    auto it = compactions_.find(chunk);
    if (it != compactions_.end()) {
      const bool was_due = it->second <= clock.Steady();
      if (was_due) continue;
      auto [from, to] = compactions_by_time_.equal_range(it->second);
      compactions_by_time_.erase(std::find_if(from, to, [&](const auto& e) { return e.second == chunk; }));
      it->second = due;
    } else {
      if (compactions_.size() >= kMaxQueued) continue;
      compactions_[chunk] = due;
    }
    const auto added = compactions_by_time_.emplace(due, chunk);
    if (added == compactions_by_time_.begin()) compactor_work_.NotifyOne();
  }
}

void DataCache::Core::CompactorMain() {
  RelockableMutexLock lock(mu_);
  SteadyTime next_repack = clock.Steady() + kIdle;
  while (!stop_) {
    if (clock.Steady() >= next_repack) {
      lock.Unlock();
      (void)Repack();  // best effort, as below
      lock.Lock();
      next_repack = clock.Steady() + kIdle;
      continue;
    }
    if (compactions_by_time_.empty()) {
      compactor_work_.WaitUntil(mu_, next_repack);
      continue;
    }
    auto next = compactions_by_time_.begin();
    if (next->first > clock.Steady()) {
      const SteadyTime due = std::min(next->first, next_repack);  // the entry may go while we wait
      compactor_work_.WaitUntil(mu_, due);
      continue;
    }
    const auto [inode, chunk_index] = next->second;
    compactions_.erase(next->second);
    compactions_by_time_.erase(next);
    lock.Unlock();
    // Best effort: the data is right as it is, and the next flush of the chunk asks again.
    (void)Compact(inode, chunk_index, /*asked_for=*/false);
    lock.Lock();
  }
}

// ---- one chunk ----

// First without keeping others from storing. If they change what is being rewritten, once more with flush_mu
// held: on a file that is written all the time the first form might never succeed.
Status DataCache::Core::Compact(InodeId inode, uint32_t chunk_index, bool asked_for) {
  FilePtr file = FindOrMake(inode);
  Status s = CompactOnce(*file, chunk_index, asked_for, /*exclusive=*/false);
  if (s.code() == Code::kBusy || s.code() == Code::kStale) {
    TurnLock flush_lock(file->flush_mu);
    s = CompactOnce(*file, chunk_index, asked_for, /*exclusive=*/true);
  }
  Release(std::move(file));
  if (s.code() == Code::kNotFound) return {};  // deleted meanwhile
  return s;
}

Status DataCache::Core::CompactOnce(File& file, uint32_t chunk_index, bool asked_for, bool exclusive) {
  CURVEFS_TRY(auto before, index.Records(file.inode, chunk_index * kChunkSize, kChunkSize));
  if (before.empty() || IsSmallFile(before, options.inline_max)) return {};
  const ChunkLoad load = LoadOf(chunk_index, before);

  std::vector<Range> runs;
  const auto pieces = Resolve(before, chunk_index * kChunkSize, kChunkSize);
  for (const Piece& p : pieces) {
    if (p.record < 0) continue;
    const auto& r = before[static_cast<size_t>(p.record)];
    if (!r.in_object() && !r.is_inline()) continue;
    if (!runs.empty() && runs.back().end == p.offset) {
      runs.back().end = p.end();
    } else {
      runs.push_back({p.offset, p.end()});
    }
  }
  const auto plan = PlanObjects(runs);
  size_t records_after = 0;
  for (const auto& object : plan) records_after += object.parts.size();
  // Rewriting a chunk of scattered runs may gain little; in the background half of the records have to go.
  const bool rewrite =
      asked_for ? records_after < before.size() : TooManyRecords(load) && records_after * 2 <= before.size();

  std::vector<meta::ChunkRecord> after;
  Status s;
  if (rewrite) {
    s = RewriteVisible(file.inode, before, pieces, plan, &after);
  } else if (load.inline_bytes > options.inline_max) {
    std::erase_if(before, [](const auto& r) { return !r.is_inline(); });
    s = MoveInlineOut(file.inode, before, &after);
  } else {
    return {};
  }
  if (s.ok()) {
    // Between a Change and its commit nothing is replaced.
    std::unique_lock<Turn> flush_lock(file.flush_mu, std::defer_lock);
    if (!exclusive) flush_lock.lock();
    s = ReplaceOne({file.inode, std::move(before), after});
  }
  if (s.ok()) {
    counters.compactions.fetch_add(1, std::memory_order_relaxed);
  } else if (s.code() != Code::kTimedOut) {
    DeleteObjects(after);
  }
  return s;
}

Status DataCache::Core::ReplaceOne(ChunkIndex::Replacement replacement) {
  std::vector<ChunkIndex::Replacement> one;
  one.push_back(std::move(replacement));
  CURVEFS_TRY(const auto statuses, index.Replace(std::move(one)));
  return statuses.front();
}

bool DataCache::Core::stopping() const {
  MutexLock lock(mu_);
  return stop_;
}

// Stores what the records show in new objects, block by block.
Status DataCache::Core::RewriteVisible(InodeId inode, const std::vector<meta::ChunkRecord>& before,
                                       const std::vector<Piece>& pieces,
                                       const std::vector<PlannedObject>& plan,
                                       std::vector<meta::ChunkRecord>* after) {
  if (plan.empty()) return {};
  const uint32_t compaction = NextCompaction(before);
  CURVEFS_TRY(const ChunkId chunk, index.NewChunks(static_cast<uint32_t>(plan.size())));
  auto piece = pieces.begin();
  for (size_t i = 0; i < plan.size(); ++i) {
    if (stopping()) return {Code::kInterrupted, "compaction was interrupted by the end of the mount"};
    BufferList bytes;
    for (const Range& part : plan[i].parts) {
      for (uint64_t at = part.begin; at < part.end;) {
        while (piece != pieces.end() && piece->end() <= at) ++piece;
        // Packs of small runs and large runs take turns in the plan, so a part may lie before the last one.
        if (piece == pieces.end() || piece->offset > at) {
          piece = std::ranges::upper_bound(pieces, at, {}, &Piece::offset) - 1;
        }
        const uint64_t end = std::min(part.end, piece->end());
        CURVEFS_TRY(auto slice,
                    ReadPiece(inode, before[static_cast<size_t>(piece->record)], {at, end}, false));
        bytes.push_back(std::move(slice));
        at = end;
      }
    }
    CURVEFS_TRY(auto records, PutObject(inode, plan[i], bytes, ChunkId(chunk.value + i), compaction));
    std::ranges::move(records, std::back_inserter(*after));
  }
  return {};
}

// Stores the bytes of inline records in objects, with one record in place of each.
Status DataCache::Core::MoveInlineOut(InodeId inode, const std::vector<meta::ChunkRecord>& before,
                                      std::vector<meta::ChunkRecord>* after) {
  for (size_t first = 0; first < before.size();) {
    PlannedObject plan;
    BufferList bytes;
    size_t last = first;
    for (; last < before.size() && plan.bytes + before[last].len <= kBlockSize; ++last) {
      const auto& r = before[last];
      CURVEFS_TRY(auto slice, ReadPiece(inode, r, {r.offset, r.end()}, false));  // verifies it
      bytes.push_back(std::move(slice));
      plan.parts.push_back({r.offset, r.end()});
      plan.bytes += r.len;
    }
    CURVEFS_TRY(const ChunkId chunk, index.NewChunks(1));
    CURVEFS_TRY(auto records, PutObject(inode, plan, bytes, chunk, 1));
    std::ranges::move(records, std::back_inserter(*after));
    first = last;
  }
  return {};
}

}  // namespace curvefs::data
