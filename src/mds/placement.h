// Where the replicas of a new copyset go. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "mds/state.h"

namespace curvefs::mds {

struct Place {
  uint32_t pool = 0;
  std::vector<uint32_t> metaservers;  // of different zones
};

// In the pool, and of its zones those, where the fewest replicas are for each metaserver; in a zone the
// metaserver with the fewest, of equals by chance. Not to retired ones, nor to those of `unreachable`.
// kUnavailable: no pool has metaservers in `replicas` zones.
Result<Place> ChoosePlace(const State& state, size_t replicas, const std::set<uint32_t>& unreachable,
                          uint64_t random);

}  // namespace curvefs::mds
