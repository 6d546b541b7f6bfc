// Which record of a file holds which bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "meta/records.h"

namespace curvefs::meta {

// A run of bytes of a file and where they come from.
struct Piece {
  uint64_t offset = 0;
  uint64_t len = 0;
  int record = -1;  // index into the records; -1: a hole
  uint64_t end() const { return offset + len; }
  friend bool operator==(const Piece&, const Piece&) = default;
};

// What [offset, offset + len) of a file reads as: consecutive pieces, holes included, where records overlap
// the one with the highest sequence. Records of several chunks may be given, those of one chunk in the order
// of their sequences. Zero records come out as holes. Neighbouring holes are one piece.
std::vector<Piece> Resolve(const std::vector<ChunkRecord>& records, uint64_t offset, uint64_t len);

}  // namespace curvefs::meta
