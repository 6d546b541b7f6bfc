// How dirty bytes become objects: pure arithmetic.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dirty_map.h"

namespace curvefs::data {

// An object to be made of these parts of the file, one after another. All lie in one chunk, none crosses a
// block; at most kBlockSize together.
struct PlannedObject {
  std::vector<Range> parts;
  uint64_t bytes = 0;
};

// Runs longer than this get an object of their own; shorter ones of a chunk share one.
inline constexpr uint64_t kPackBelow = 1 << 20;

// `runs` are in order and do not overlap.
std::vector<PlannedObject> PlanObjects(const std::vector<Range>& runs);

// The runs cut at multiples of `unit` and into parts of at most `most` bytes.
std::vector<Range> CutAt(const std::vector<Range>& runs, uint64_t unit, uint64_t most);

}  // namespace curvefs::data
