// Pure arithmetic on file ranges: which record holds which bytes, when a chunk is worth compacting.
#pragma once

#include <cstdint>
#include <vector>

#include "data/chunk_index.h"
#include "meta/records.h"

namespace curvefs::data {

// A run of bytes of a file and where they come from.
struct Piece {
  uint64_t offset = 0;
  uint64_t len = 0;
  int record = -1;  // index into the records; -1: a hole
  uint64_t end() const { return offset + len; }
};

// What [offset, offset + len) of a file reads as: consecutive pieces, holes included, the highest sequence
// winning. Records of several chunks may be given; within a chunk they are ordered by sequence.
std::vector<Piece> Resolve(const std::vector<meta::ChunkRecord>& records, uint64_t offset, uint64_t len);

// Inline data of one chunk that is moved out to an object at once.
inline constexpr uint64_t kInlineLimitPerChunk = 1 << 20;

// Whether rewriting the chunk pays at once: many records for what it holds, or much inline data.
bool WorthCompacting(const ChunkLoad& load, uint64_t inline_max);
// Whether it pays when nobody has written to the chunk for a while: inline data of a file that is not small.
bool WorthTidying(const ChunkLoad& load, uint64_t inline_max);

}  // namespace curvefs::data
