// When a chunk is worth compacting; which record holds which bytes (meta/extents.h).
#pragma once

#include <cstdint>

#include "data/chunk_index.h"
#include "meta/extents.h"

namespace curvefs::data {

using meta::Piece;
using meta::Resolve;

// Inline data of one chunk that is moved out to an object at once.
inline constexpr uint64_t kInlineLimitPerChunk = 1 << 20;

// Whether rewriting the chunk pays at once: many records for what it holds, or much inline data.
bool WorthCompacting(const ChunkLoad& load, uint64_t inline_max);
// Whether it pays when nobody has written to the chunk for a while: inline data of a file that is not small.
bool WorthTidying(const ChunkLoad& load, uint64_t inline_max);

}  // namespace curvefs::data
