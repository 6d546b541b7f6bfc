// DirtyMap: written bytes of one file that are not yet stored: non-overlapping extents by offset, the newest
// write on top.
//
// Large writes are kept by reference to the caller's buffer. Small ones are copied; those that continue one
// another gather in a growing buffer of up to kGatherBytes, so a program that appends 100 bytes at a time
// costs no more than one that appends a megabyte. What is charged to the Budget is the memory held, not the
// bytes that are still of use: when overwriting leaves less than a quarter of a buffer, that rest is copied
// out and the buffer let go.
//
// Not thread-safe: guarded by the file's lock. Extents that lie in one buffer may be spread over several maps
// of the same file (dirty and flushing), which are guarded by the same lock. Buffers that have been handed
// out never change.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/buffer.h"
#include "data/budget.h"

namespace curvefs::data {

// Bytes of a file, with their place.
struct Segment {
  uint64_t offset = 0;
  BufferSlice bytes;
  uint64_t end() const { return offset + bytes.size; }
};

struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;  // exclusive
  uint64_t size() const { return end - begin; }
  friend bool operator==(const Range&, const Range&) = default;
};

class DirtyMap {
 public:
  static constexpr size_t kReferenceFrom = 64 << 10;  // smaller writes are copied
  static constexpr size_t kGatherBytes = 1 << 20;
  static constexpr size_t kOverhead = 256;  // bookkeeping charged for each buffer

  explicit DirtyMap(Budget& budget) : budget_(&budget) {}

  // The bytes that Insert will charge. Take them from the budget first, without letting go of the file's
  // lock.
  uint64_t Cost(uint64_t offset, const BufferSlice& data) const;
  // data.size > 0. Zero slices stand for zeros.
  void Insert(uint64_t offset, BufferSlice data);

  // Adds what `older` holds wherever this map holds nothing. Empties `older`.
  void InsertUnder(DirtyMap* older);

  // Takes [begin, end) out, into `to` if it is given (where the range must be empty).
  void Remove(uint64_t begin, uint64_t end, DirtyMap* to);
  void Clear() { Remove(0, ~uint64_t{0}, nullptr); }

  bool empty() const { return extents_.empty(); }
  uint64_t end() const;  // of the last byte; 0 if empty
  uint64_t bytes() const { return bytes_; }
  bool Covers(uint64_t begin, uint64_t end) const;

  // The parts of [begin, end) that are held, in order. Neighbours may be separate segments.
  std::vector<Segment> Collect(uint64_t begin, uint64_t end) const;
  // Maximal runs of bytes held in [begin, end), zero bytes and others apart: `zeros` chooses.
  std::vector<Range> Runs(uint64_t begin, uint64_t end, bool zeros) const;
  // The blocks of kBlockSize that are held completely.
  std::vector<Range> FullBlocks() const;

 private:
  // A buffer and what is charged for it. Its byte `i` is byte `origin + i` of the file.
  struct Held {
    Held(Budget* b, uint64_t c) : budget(b), charge(c) {}
    ~Held() { budget->GiveBack(charge); }
    Held(const Held&) = delete;

    Budget* budget;
    uint64_t charge;
    std::shared_ptr<Buffer> buffer;  // null: zeros
    uint64_t live = 0;               // bytes of all extents in it
    size_t filled = 0;               // bytes ever written; readers may still look at all of them
    bool gathers = false;            // ours, and may be appended to
    bool split = false;              // in more than one map
  };
  struct Extent {
    uint64_t len = 0;
    size_t at = 0;  // in the buffer
    std::shared_ptr<Held> held;
  };
  using Map = std::map<uint64_t, Extent>;

  // How a write is taken in.
  enum class Way { kZeros, kReference, kAppend, kGrow, kCopy };
  struct Decision {
    Way way;
    size_t capacity = 0;  // of the buffer to be made
  };
  Decision Decide(uint64_t offset, const BufferSlice& data) const;
  Map::const_iterator GathererEndingAt(uint64_t offset) const;

  Map::iterator Add(uint64_t offset, Extent extent);
  // Cuts the extent that spans `at`, if there is one, in two; returns the first extent at or after `at`.
  Map::iterator CutAt(uint64_t at);
  bool Cut(uint64_t begin, uint64_t end,
           DirtyMap* to);  // as Remove, without tidying; whether there was anything
  // Looks at the neighbours of a range that was cut out: they may be small remains of large buffers.
  void TidyAround(uint64_t begin, uint64_t end);
  // Copies what is of use in the buffer of `extent` elsewhere if it is little.
  void Tidy(Map::iterator extent);
  void CopyOut(Map::iterator extent, uint64_t charge);
  Map::const_iterator FirstOverlapping(uint64_t offset) const;

  Budget* budget_;
  Map extents_;
  uint64_t bytes_ = 0;
};

}  // namespace curvefs::data
