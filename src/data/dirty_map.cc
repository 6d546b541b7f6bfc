#include "data/dirty_map.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/limits.h"

namespace curvefs::data {

// The extent that ends exactly at `offset` and may be continued in place.
DirtyMap::Map::const_iterator DirtyMap::GathererEndingAt(uint64_t offset) const {
  auto it = extents_.lower_bound(offset);
  if (it == extents_.begin()) return extents_.end();
  --it;
  const Extent& e = it->second;
  const bool continues = e.held->gathers && it->first + e.len == offset && e.at + e.len == e.held->filled;
  return continues ? it : extents_.end();
}

DirtyMap::Decision DirtyMap::Decide(uint64_t offset, const BufferSlice& data) const {
  if (data.is_zero()) return {Way::kZeros};
  // A small part of a large buffer would pin all of it.
  if (data.size >= kReferenceFrom && data.size * 2 >= data.buffer->size()) return {Way::kReference};
  auto tail = GathererEndingAt(offset);
  if (tail != extents_.end()) {
    const Extent& e = tail->second;
    if (e.held->buffer->size() - e.held->filled >= data.size) return {Way::kAppend};
    const size_t together = e.len + data.size;
    if (together <= kGatherBytes) return {Way::kGrow, std::clamp<size_t>(2 * e.len, together, kGatherBytes)};
    return {Way::kCopy, std::max(data.size, kGatherBytes)};  // one buffer is full: the next starts large
  }
  return {Way::kCopy, data.size};
}

uint64_t DirtyMap::Cost(uint64_t offset, const BufferSlice& data) const {
  const Decision d = Decide(offset, data);
  switch (d.way) {
    case Way::kZeros:
      return kOverhead;
    case Way::kReference:
      return kOverhead + data.buffer->size();
    case Way::kAppend:
      return 0;
    case Way::kGrow:
    case Way::kCopy:
      break;
  }
  return kOverhead + d.capacity;
}

DirtyMap::Map::iterator DirtyMap::Add(uint64_t offset, Extent extent) {
  bytes_ += extent.len;
  extent.held->live += extent.len;
  return extents_.insert_or_assign(offset, std::move(extent)).first;
}

DirtyMap::Map::iterator DirtyMap::CutAt(uint64_t at) {
  auto next = extents_.lower_bound(at);
  if (next == extents_.begin()) return next;
  auto it = std::prev(next);
  Extent& e = it->second;
  if (it->first + e.len <= at) return next;
  const uint64_t head = at - it->first;
  Extent tail{e.len - head, e.at + static_cast<size_t>(head), e.held};
  e.len = head;
  return extents_.emplace_hint(next, at, std::move(tail));
}

bool DirtyMap::Cut(uint64_t begin, uint64_t end, DirtyMap* to) {
  CutAt(begin);
  auto stop = CutAt(end);
  auto it = extents_.lower_bound(begin);
  const bool any = it != stop;
  while (it != stop) {
    Extent& e = it->second;
    bytes_ -= e.len;
    e.held->live -= e.len;
    if (to != nullptr) {
      if (e.held->live > 0) e.held->split = true;
      to->Add(it->first, std::move(e));
    }
    it = extents_.erase(it);
  }
  return any;
}

void DirtyMap::TidyAround(uint64_t begin, uint64_t end) {
  auto it = extents_.lower_bound(begin);
  if (it != extents_.begin()) Tidy(std::prev(it));
  it = extents_.lower_bound(end);
  if (it != extents_.end()) Tidy(it);
}

void DirtyMap::Remove(uint64_t begin, uint64_t end, DirtyMap* to) {
  if (Cut(begin, end, to)) TidyAround(begin, end);
}

void DirtyMap::CopyOut(Map::iterator it, uint64_t charge) {
  Extent& e = it->second;
  auto fresh = std::make_shared<Held>(budget_, charge);
  fresh->buffer = Buffer::Make(e.len);
  std::memcpy(fresh->buffer->data(), e.held->buffer->data() + e.at, e.len);
  fresh->filled = e.len;
  fresh->live = e.len;
  fresh->gathers = true;
  e.held->live -= e.len;
  e.held = std::move(fresh);
  e.at = 0;
}

void DirtyMap::Tidy(Map::iterator extent) {
  const std::shared_ptr<Held> held = extent->second.held;
  if (held->buffer == nullptr) return;
  const size_t size = held->filled;
  if (size < 4 * kOverhead) return;
  if (held->split) {  // the rest is being flushed: only this extent can be helped, at a price
    const uint64_t len = extent->second.len;
    if (len * 4 < size && held->live > len && budget_->TryTake(len + kOverhead))
      CopyOut(extent, len + kOverhead);
    return;
  }
  if (held->live * 4 >= size) return;
  // All extents of the buffer lie around this one, at the place in the file that they were written to.
  const uint64_t origin = extent->first - extent->second.at;
  const uint64_t end = origin + held->filled;
  for (auto it = extents_.lower_bound(origin); it != extents_.end() && it->first < end; ++it) {
    if (it->second.held != held) continue;
    const uint64_t charge = it->second.len + kOverhead;
    if (charge > held->charge) return;  // many tiny remains: not worth it
    held->charge -= charge;             // passes to the copy
    CopyOut(it, charge);
  }
}

void DirtyMap::Insert(uint64_t offset, BufferSlice data) {
  const Decision d = Decide(offset, data);
  const uint64_t charge = Cost(offset, data);
  const size_t size = data.size;
  const bool overwrote = Cut(offset, offset + size, nullptr);
  if (d.way == Way::kAppend || d.way == Way::kGrow) {
    const uint64_t start = GathererEndingAt(offset)->first;
    if (d.way == Way::kGrow) {
      Extent& e = extents_.at(start);
      auto larger = std::make_shared<Held>(budget_, charge);
      larger->buffer = Buffer::Make(d.capacity);
      std::memcpy(larger->buffer->data(), e.held->buffer->data() + e.at, e.len);
      larger->filled = e.len;
      larger->live = e.len;
      larger->gathers = true;
      e.held->live -= e.len;
      e.held = std::move(larger);
      e.at = 0;
    }
    const std::shared_ptr<Held> held = extents_.at(start).held;
    std::memcpy(held->buffer->data() + held->filled, data.data(), size);
    held->filled += size;
    held->live += size;
    extents_.at(start).len += size;
    bytes_ += size;
    if (overwrote) TidyAround(offset, offset + size);
    return;
  }

  auto held = std::make_shared<Held>(budget_, charge);
  if (d.way == Way::kReference) {
    held->buffer = std::move(data.buffer);
    held->filled = data.offset + size;
  } else if (d.way == Way::kCopy) {
    held->buffer = Buffer::Make(d.capacity);
    std::memcpy(held->buffer->data(), data.data(), size);
    held->filled = size;
    held->gathers = true;
  }
  Add(offset, {size, d.way == Way::kReference ? data.offset : 0, std::move(held)});
  if (overwrote) TidyAround(offset, offset + size);
}

void DirtyMap::InsertUnder(DirtyMap* older) {
  for (auto& [offset, extent] : older->extents_) {
    older->bytes_ -= extent.len;
    extent.held->live -= extent.len;
    uint64_t at = offset;
    const uint64_t end = offset + extent.len;
    while (at < end) {
      auto over = FirstOverlapping(at);
      const uint64_t gap_end = over == extents_.end() ? end : std::min(end, std::max(at, over->first));
      if (gap_end > at) {
        Add(at, {gap_end - at, extent.at + static_cast<size_t>(at - offset), extent.held});
        at = gap_end;
      } else {
        at = over->first + over->second.len;
      }
    }
  }
  older->extents_.clear();
}

uint64_t DirtyMap::end() const {
  if (extents_.empty()) return 0;
  auto last = std::prev(extents_.end());
  return last->first + last->second.len;
}

// The first extent that ends after `offset`.
DirtyMap::Map::const_iterator DirtyMap::FirstOverlapping(uint64_t offset) const {
  auto it = extents_.upper_bound(offset);
  if (it != extents_.begin()) {
    auto before = std::prev(it);
    if (before->first + before->second.len > offset) return before;
  }
  return it;
}

bool DirtyMap::Covers(uint64_t begin, uint64_t end) const {
  for (auto it = FirstOverlapping(begin); it != extents_.end() && it->first <= begin; ++it) {
    begin = it->first + it->second.len;
    if (begin >= end) return true;
  }
  return begin >= end;
}

std::vector<Segment> DirtyMap::Collect(uint64_t begin, uint64_t end) const {
  std::vector<Segment> segments;
  for (auto it = FirstOverlapping(begin); it != extents_.end() && it->first < end; ++it) {
    const Extent& e = it->second;
    const uint64_t from = std::max(begin, it->first);
    const uint64_t to = std::min(end, it->first + e.len);
    BufferSlice bytes{e.held->buffer, e.at + static_cast<size_t>(from - it->first),
                      static_cast<size_t>(to - from)};
    if (bytes.is_zero()) bytes.offset = 0;
    segments.push_back({from, std::move(bytes)});
  }
  return segments;
}

std::vector<Range> DirtyMap::Runs(uint64_t begin, uint64_t end, bool zeros) const {
  std::vector<Range> runs;
  for (auto it = FirstOverlapping(begin); it != extents_.end() && it->first < end; ++it) {
    if ((it->second.held->buffer == nullptr) != zeros) continue;
    const uint64_t from = std::max(begin, it->first);
    const uint64_t to = std::min(end, it->first + it->second.len);
    if (!runs.empty() && runs.back().end == from) {
      runs.back().end = to;
    } else {
      runs.push_back({from, to});
    }
  }
  return runs;
}

std::vector<Range> DirtyMap::FullBlocks() const {
  std::vector<Range> blocks;
  uint64_t begin = 0, end = 0;  // of the run so far
  auto close = [&] {
    const uint64_t first = (begin + kBlockSize - 1) / kBlockSize * kBlockSize;
    for (uint64_t at = first; at + kBlockSize <= end; at += kBlockSize)
      blocks.push_back({at, at + kBlockSize});
  };
  for (const auto& [offset, extent] : extents_) {
    if (offset != end) {
      close();
      begin = offset;
    }
    end = offset + extent.len;
  }
  close();
  return blocks;
}

}  // namespace curvefs::data
