#include "meta/extents.h"

#include <algorithm>
#include <numeric>
#include <queue>

namespace curvefs::meta {
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
std::vector<Piece> Resolve(const std::vector<ChunkRecord>& records, uint64_t offset, uint64_t len) {
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
      const ChunkRecord& r = records[static_cast<size_t>(record)];
      until = std::min(until, r.end());
      if (r.is_zeros()) record = -1;
    }
    Emit(&pieces, at, until, record);
    at = until;
  }
  return pieces;
}

}  // namespace curvefs::meta
