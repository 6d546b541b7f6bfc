// Strong ids: integers that cannot be mistaken for one another.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace curvefs {

template <typename Tag, typename Rep>
struct StrongId {
  using rep = Rep;
  Rep value = 0;

  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep v) : value(v) {}
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
  constexpr explicit operator bool() const { return value != 0; }

  template <typename H>
  friend H AbslHashValue(H h, StrongId id) {
    return H::combine(std::move(h), id.value);
  }
};

using FsId = StrongId<struct FsIdTag, uint32_t>;                // 1 and up
using PartitionId = StrongId<struct PartitionIdTag, uint32_t>;  // 24 bits
using InodeId = StrongId<struct InodeIdTag, uint64_t>;          // never reused; 0 is none
using ChunkId = StrongId<struct ChunkIdTag, uint64_t>;  // one per stored object; increases; never reused

// Position of a batch in the log of one copyset: 1, 2, 3 … without gaps; 0 is "before the first".
using Seq = uint64_t;

// An inode id is the id of the partition that made it (24 bits) and a counter (40 bits).
inline constexpr int kInodeCounterBits = 40;
inline constexpr uint64_t kInodeCounterMask = (uint64_t{1} << kInodeCounterBits) - 1;
inline constexpr InodeId kRootInode{1};

constexpr PartitionId PartitionOf(InodeId id) {
  return PartitionId(static_cast<uint32_t>(id.value >> kInodeCounterBits));
}
constexpr InodeId MakeInodeId(PartitionId partition, uint64_t counter) {
  return InodeId((uint64_t{partition.value} << kInodeCounterBits) | (counter & kInodeCounterMask));
}

}  // namespace curvefs

template <typename Tag, typename Rep>
struct std::hash<curvefs::StrongId<Tag, Rep>> {
  size_t operator()(curvefs::StrongId<Tag, Rep> id) const noexcept { return std::hash<Rep>()(id.value); }
};
