// When a chunk is worth compacting; which record holds which bytes (meta/extents.h).
#pragma once

#include <cstdint>

#include "data/chunk_index.h"
#include "meta/extents.h"

namespace curvefs::data {

using meta::Piece;
using meta::Resolve;

// What one chunk may hold of inline data, and of records, before it is compacted even while it is written to.
inline constexpr uint64_t kInlineLimitPerChunk = 1 << 20;
inline constexpr uint32_t kRecordLimitPerChunk = 4096;

// Whether a chunk has many records for what they hold.
bool TooManyRecords(const ChunkLoad& load);

// Whether rewriting the chunk pays at once: at one of the limits.
bool WorthCompacting(const ChunkLoad& load, uint64_t inline_max);
// Whether it pays when nobody has written to the chunk for a while: then also for many records, and for
// inline data of a file that is not small. A file that is written at random all the time would otherwise be
// rewritten all the time.
bool WorthTidying(const ChunkLoad& load, uint64_t inline_max);

}  // namespace curvefs::data
