// A closed loop of creates or reads: `outstanding` at any time, over some copysets.
#pragma once

#include <cstdint>
#include <vector>

#include "test/cluster/cluster.h"

namespace curvefs::cluster {

struct LoadResult {
  uint64_t done = 0;
  double seconds = 0;
  std::vector<uint32_t> micros;  // of each, sorted
  double longest_gap = 0;        // seconds in which nothing was answered
  double rate() const { return static_cast<double>(done) / seconds; }
  uint32_t At(double part) const;  // percentile
};

enum class LoadKind { kCreate, kRead };

// For `duration`, over copysets 1 … copysets. Files go below the root.
LoadResult RunLoad(Cluster& cluster, LoadKind kind, size_t copysets, size_t outstanding, Duration duration);

}  // namespace curvefs::cluster
