#include "data/extents.h"

#include <algorithm>

namespace curvefs::data {

// A read of a chunk looks at all its records, so their number is its latency; what rewriting costs is the
// live bytes. One record in 64 KiB is good enough, and beyond a thousand it is too many however much they
// hold.
bool TooManyRecords(const ChunkLoad& load) {
  return load.records > std::min<uint64_t>(1000, 20 + load.live_bytes / (64 << 10));
}

bool WorthCompacting(const ChunkLoad& load, uint64_t inline_max) {
  return load.records > kRecordLimitPerChunk ||
         load.inline_bytes >= std::max(kInlineLimitPerChunk, inline_max + 1);
}

bool WorthTidying(const ChunkLoad& load, uint64_t inline_max) {
  return TooManyRecords(load) || load.inline_bytes > inline_max;
}

}  // namespace curvefs::data
