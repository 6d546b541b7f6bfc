#include "meta/extents.h"

#include <algorithm>
#include <iterator>
#include <map>

namespace curvefs::meta {

std::vector<Piece> Resolve(const std::vector<ChunkRecord>& records, uint64_t offset, uint64_t len) {
  // Painted over one another, oldest first: each entry reaches from its key to the next one's.
  std::map<uint64_t, int> colour{{offset, -1}, {offset + len, -1}};
  auto cut = [&](uint64_t at) {
    auto it = colour.lower_bound(at);
    if (it == colour.end() || it->first != at) it = colour.emplace_hint(it, at, std::prev(it)->second);
    return it;
  };
  const uint64_t end = offset + len;
  for (size_t i = 0; i < records.size(); ++i) {
    uint64_t from = std::max(records[i].offset, offset), to = std::min(records[i].end(), end);
    if (from >= to) continue;
    auto last = cut(to);
    auto first = cut(from);
    colour.erase(std::next(first), last);
    first->second = records[i].is_zeros() ? -1 : static_cast<int>(i);
  }
  std::vector<Piece> pieces;
  for (auto it = colour.begin(); it != colour.end() && it->first < end; ++it) {
    uint64_t to = std::min(std::next(it)->first, end);
    if (it->second < 0 && !pieces.empty() && pieces.back().record < 0) {
      pieces.back().len += to - it->first;
    } else {
      pieces.push_back({it->first, to - it->first, it->second});
    }
  }
  return pieces;
}

}  // namespace curvefs::meta
