#include "data/extents.h"

#include <algorithm>
#include <numeric>
#include <queue>

#include "base/limits.h"

namespace curvefs::data {
namespace {

void Emit(std::vector<Piece>* pieces, uint64_t offset, uint64_t end, int record) {
  if (offset >= end) return;
  if (!pieces->empty() && pieces->back().record == record) {
    pieces->back().len += end - offset;
  } else {
    pieces->push_back({offset, end - offset, record});
  }
}

}  // namespace

// Sweeps from left to right over the records sorted by offset, with the ones that have begun in a heap,
// newest on top. The position in `records` is the age: within a chunk it follows the sequence, and records of
// different chunks never overlap.
std::vector<Piece> Resolve(const std::vector<meta::ChunkRecord>& records, uint64_t offset, uint64_t len) {
  std::vector<Piece> pieces;
  const uint64_t stop = len > ~uint64_t{0} - offset ? ~uint64_t{0} : offset + len;
  std::vector<int> by_offset(records.size());
  std::iota(by_offset.begin(), by_offset.end(), 0);
  std::ranges::sort(by_offset, {}, [&](int i) { return records[static_cast<size_t>(i)].offset; });

  std::priority_queue<int> begun;
  auto next = by_offset.begin();
  uint64_t at = offset;
  while (at < stop) {
    for (; next != by_offset.end() && records[static_cast<size_t>(*next)].offset <= at; ++next)
      begun.push(*next);
    while (!begun.empty() && records[static_cast<size_t>(begun.top())].end() <= at) begun.pop();
    uint64_t until = stop;
    if (next != by_offset.end()) until = std::min(until, records[static_cast<size_t>(*next)].offset);
    int record = -1;
    if (!begun.empty()) {
      record = begun.top();
      until = std::min(until, records[static_cast<size_t>(record)].end());
    }
    Emit(&pieces, at, until, record);
    at = until;
  }
  return pieces;
}

// A read of a chunk decodes all its records that overlap the range, so their number is its latency; what
// rewriting costs is the live bytes. One record in 64 KiB is good enough, and beyond a thousand it is too
// many however much they hold.
bool WorthCompacting(const ChunkLoad& load, uint64_t inline_max) {
  const uint64_t fair = std::min<uint64_t>(1000, 20 + load.live_bytes / (64 << 10));
  return load.records > fair || load.inline_bytes >= std::max(kInlineLimitPerChunk, inline_max + 1);
}

bool WorthTidying(const ChunkLoad& load, uint64_t inline_max) {
  return load.inline_bytes > inline_max;
}

}  // namespace curvefs::data
