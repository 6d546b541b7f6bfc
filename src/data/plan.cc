#include "data/plan.h"

#include <algorithm>

#include "base/limits.h"

namespace curvefs::data {

std::vector<Range> CutAt(const std::vector<Range>& runs, uint64_t unit, uint64_t most) {
  std::vector<Range> parts;
  for (Range run : runs) {
    while (run.begin < run.end) {
      const uint64_t unit_end = (run.begin / unit + 1) * unit;
      const uint64_t end = std::min({run.end, unit_end, run.begin + most});
      parts.push_back({run.begin, end});
      run.begin = end;
    }
  }
  return parts;
}

std::vector<PlannedObject> PlanObjects(const std::vector<Range>& runs) {
  std::vector<PlannedObject> objects;
  PlannedObject pack;
  auto close = [&] {
    if (!pack.parts.empty()) objects.push_back(std::exchange(pack, {}));
  };
  for (const Range& part : CutAt(runs, kBlockSize, kBlockSize)) {
    if (part.size() >= kPackBelow) {
      objects.push_back({{part}, part.size()});
      continue;
    }
    const bool same_chunk =
        !pack.parts.empty() && pack.parts.back().begin / kChunkSize == part.begin / kChunkSize;
    if (!same_chunk || pack.bytes + part.size() > kBlockSize) close();
    pack.parts.push_back(part);
    pack.bytes += part.size();
  }
  close();
  return objects;
}

}  // namespace curvefs::data
