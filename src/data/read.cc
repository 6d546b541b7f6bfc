// Reading: dirty bytes first, then what the records say.
#include <algorithm>
#include <utility>

#include "base/blocking.h"
#include "base/crc32c.h"
#include "data/core.h"

namespace curvefs::data {
namespace {

constexpr uint64_t kReadWhole = 128 << 10;  // objects up to this size are read whole, and cached
// Requests of one sequential reader may overtake one another by so many of their size, and a little.
constexpr uint64_t kOvertaking = 4;
constexpr uint64_t kOutOfOrder = 64 << 10;
constexpr uint32_t kStridesFrom = 2;  // equal distances in a row that make a reader strided
constexpr int64_t kStridesAhead = 4;
constexpr uint32_t kSequentialFrom = 2;  // reads in a row that make a reader sequential
constexpr int kMaxAttempts = 5;

std::vector<Range> GapsOf(const std::vector<Segment>& segments, Range range) {
  std::vector<Range> gaps;
  uint64_t at = range.begin;
  for (const auto& s : segments) {
    if (s.offset > at) gaps.push_back({at, s.offset});
    at = s.end();
  }
  if (at < range.end) gaps.push_back({at, range.end});
  return gaps;
}

// Fills what `segments` leaves open in `range` from `map`.
void AddUnder(const DirtyMap& map, Range range, std::vector<Segment>* segments) {
  if (map.empty()) return;
  std::vector<Segment> more;
  for (const Range& gap : GapsOf(*segments, range)) {
    for (Segment& s : map.Collect(gap.begin, gap.end)) more.push_back(std::move(s));
  }
  if (more.empty()) return;
  std::ranges::move(more, std::back_inserter(*segments));
  std::ranges::sort(*segments, {}, &Segment::offset);
}

// Notes a read; whether the reader goes through the file in order.
bool IsSequential(ReadStream& stream, Range range) {
  const uint64_t next = stream.next_offset.load(std::memory_order_relaxed);
  const uint64_t tolerance = kOutOfOrder + kOvertaking * range.size();
  if (range.begin > next + tolerance || range.begin + tolerance < next) {
    const auto stride = static_cast<int64_t>(range.begin - stream.run_begin.exchange(range.begin));
    stream.strides = stream.stride.exchange(stride) == stride ? stream.strides + 1 : 0;
    stream.run = 1;
    stream.prefetched_to = 0;
    stream.next_offset = range.end;
    return false;
  }
  if (range.end > next) stream.next_offset = range.end;
  return stream.run.fetch_add(1) + 1 >= kSequentialFrom;
}

// A missing object must not be taken for a missing inode. kStale: look the records up again.
Status MissingObject(const Status& s) {
  return s.code() == Code::kNotFound ? Status(Code::kStale, s.message()) : s;
}

ObjectRef RefOf(const object::ObjectName& name, const meta::ChunkRecord& r) {
  return {name, r.digest, r.object_size};
}

}  // namespace

std::vector<Segment> DataCache::Core::NotYetStored(InodeId inode, Range range) const {
  const FilePtr file = Find(inode);
  if (file == nullptr) return {};
  MutexLock lock(file->mu);
  auto segments = file->dirty.Collect(range.begin, range.end);
  AddUnder(file->flushing, range, &segments);
  AddUnder(file->leaving, range, &segments);
  return segments;
}

// The bytes `range` of the file, which lie within the record.
Result<BufferSlice> DataCache::Core::ReadPiece(InodeId inode, const meta::ChunkRecord& r, Range range,
                                               bool whole_objects) {
  const size_t n = range.size();
  if (r.is_inline()) {
    if (r.inline_data.size() != r.len || Crc32c(r.inline_data) != r.inline_crc) {
      return Fail(Code::kCorrupt,
                  "inode " + std::to_string(inode.value) + ": the bytes kept in the metadata for offset " +
                      std::to_string(r.offset) + " have a wrong checksum; restore the file from a backup");
    }
    return BufferSlice::CopyOf(std::string_view(r.inline_data).substr(range.begin - r.offset, n));
  }
  if (!r.in_object()) return BufferSlice::Zeros(n);

  const object::ObjectName name = NameOf(r);
  const uint64_t at = r.object_offset + (range.begin - r.offset);
  if (auto bytes = read_cache.Find(name, whole_objects); bytes != nullptr && at + n <= bytes->size()) {
    counters.read_hits.fetch_add(1, std::memory_order_relaxed);
    if (whole_objects && at + n == r.object_size) read_cache.PassedBy(name);
    return BufferSlice{std::move(bytes), at, n};
  }
  counters.read_misses.fetch_add(1, std::memory_order_relaxed);
  const bool whole_object = whole_objects || r.object_size <= kReadWhole;
  if (options.far_objects || whole_objects || n > kReadWhole) AboutToBlock();
  if (whole_object) {
    auto whole = read_cache.Get(RefOf(name, r));
    // Damage elsewhere in the object, in another file's content perhaps, does no harm to this piece.
    if (!whole && whole.error().code() != Code::kCorrupt) return Fail(MissingObject(whole.error()));
    if (whole) {
      auto bytes = *std::move(whole);
      if (whole_objects && at + n == r.object_size) read_cache.PassedBy(name);
      if (at + n <= bytes->size()) return BufferSlice{std::move(bytes), at, n};
    }
  }
  BufferSlice slice{Buffer::Make(n), 0, n};
  if (Status s = objects.Read(name, r.digest, at, slice.buffer->data(), n); !s.ok()) {
    if (s.code() == Code::kCorrupt)
      return Fail(s.code(), "inode " + std::to_string(inode.value) + ": " + s.message());
    return Fail(MissingObject(s));
  }
  return slice;
}

Result<BufferList> DataCache::Core::ReadOnce(InodeId inode, Range range, bool sequential) {
  // What is not yet stored comes first: what leaves the cache meanwhile is in the records by then.
  auto segments = NotYetStored(inode, range);
  const auto gaps = GapsOf(segments, range);
  if (!gaps.empty()) {
    const Range hull{gaps.front().begin, gaps.back().end};
    CURVEFS_TRY(const auto records, index.Records(inode, hull.begin, hull.size()));
    const auto pieces = Resolve(records, hull.begin, hull.size());
    auto piece = pieces.begin();
    for (const Range& gap : gaps) {
      while (piece->end() <= gap.begin) ++piece;
      for (uint64_t at = gap.begin; at < gap.end;) {
        const uint64_t end = std::min(gap.end, piece->end());
        BufferSlice bytes = BufferSlice::Zeros(end - at);
        if (piece->record >= 0) {
          CURVEFS_TRY(bytes,
                      ReadPiece(inode, records[static_cast<size_t>(piece->record)], {at, end}, sequential));
        }
        segments.push_back({at, std::move(bytes)});
        at = end;
        if (piece->end() == at) ++piece;
      }
    }
    if (gaps.size() > 1 || gaps.front() != range) std::ranges::sort(segments, {}, &Segment::offset);
  }
  BufferList list;
  list.reserve(segments.size());
  for (auto& s : segments) list.push_back(std::move(s.bytes));
  return list;
}

// Finds out how the reader goes through the file, and asks for what it will want next. Whether there is a
// pattern, so that objects are worth reading whole.
bool DataCache::Core::Anticipate(InodeId inode, Range range, uint64_t length, ReadStream* stream) {
  if (stream == nullptr) return false;
  const uint64_t run_begin = stream->run_begin.load(std::memory_order_relaxed);
  const uint64_t run_end = stream->next_offset.load(std::memory_order_relaxed);
  if (IsSequential(*stream, range)) {
    ReadAhead(inode, range, length, *stream);
    return true;
  }
  // For less than that of each object it is not worth reading them whole.
  if (stream->strides < kStridesFrom || run_end - run_begin < kReadWhole) return false;
  ReadStridesAhead(inode, range.begin, run_end - run_begin, length, *stream);
  return true;
}

Result<BufferList> DataCache::Core::Read(InodeId inode, uint64_t offset, size_t n, uint64_t length,
                                         ReadStream* stream) {
  if (offset >= length || n == 0) return BufferList{};
  const Range range{offset, offset + std::min<uint64_t>(n, length - offset)};
  const bool ahead = Anticipate(inode, range, length, stream);

  // An object may be compacted away after its record was looked up: then there are new records, of the same
  // content.
  Result<BufferList> result;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    result = ReadOnce(inode, range, ahead);
    if (result) {
      counters.read_bytes.fetch_add(range.size(), std::memory_order_relaxed);
      return result;
    }
    if (result.error().code() != Code::kStale) return result;
  }
  return Fail(Code::kIo, "inode " + std::to_string(inode.value) + ": " + result.error().message() +
                             "; the metadata names it: restore the object from a backup, or delete the file");
}

// Asks for the objects after `range` in the background: first one block, twice as much with each read that
// follows.
void DataCache::Core::ReadAhead(InodeId inode, Range range, uint64_t length, ReadStream& stream) {
  const uint32_t run = stream.run.load(std::memory_order_relaxed);
  const uint64_t window =
      std::min(options.readahead_bytes, kBlockSize << std::min<uint32_t>(run - kSequentialFrom, 8));
  // Whole blocks, each as soon as the window reaches its end.
  const uint64_t to = std::min(length, (range.end + window) / kBlockSize * kBlockSize);
  const uint64_t from = std::max(range.end, stream.prefetched_to.load(std::memory_order_relaxed));
  if (from >= to) return;
  auto records = index.Records(inode, from, to - from);
  if (!records) return;  // the read itself will say so
  for (const Piece& p : Resolve(*records, from, to - from)) {
    if (p.record < 0) continue;
    const auto& r = (*records)[static_cast<size_t>(p.record)];
    if (r.in_object() && !read_cache.Prefetch(RefOf(NameOf(r), r))) return;
    stream.prefetched_to = p.end();
  }
  stream.prefetched_to = to;
}

// Asks for the objects under the next runs, each of `n` bytes.
void DataCache::Core::ReadStridesAhead(InodeId inode, uint64_t begin, uint64_t n, uint64_t length,
                                       const ReadStream& stream) {
  const int64_t stride = stream.stride.load(std::memory_order_relaxed);
  for (int64_t i = 1; i <= kStridesAhead; ++i) {
    const int64_t at = static_cast<int64_t>(begin) + i * stride;
    if (at < 0 || static_cast<uint64_t>(at) >= length) return;
    const auto from = static_cast<uint64_t>(at);
    auto records = index.Records(inode, from, n);
    if (!records) return;  // the read itself will say so
    for (const Piece& p : Resolve(*records, from, n)) {
      if (p.record < 0) continue;
      const auto& r = (*records)[static_cast<size_t>(p.record)];
      if (r.in_object() && !read_cache.Prefetch(RefOf(NameOf(r), r))) return;
    }
  }
}

Result<uint64_t> DataCache::Core::Seek(InodeId inode, uint64_t offset, uint64_t length, bool data) {
  if (offset >= length) return Fail(Code::kNoSuchExtent);
  // Windows that double, so that neither a small file nor a hole of a terabyte takes long.
  uint64_t window = kChunkSize;
  for (uint64_t at = offset; at < length; window *= 2) {
    const Range range{at, at + std::min(window, length - at)};
    const auto dirty = NotYetStored(inode, range);
    CURVEFS_TRY(const auto records, index.Records(inode, range.begin, range.size()));
    auto is_data = [&](const Piece& p) {
      if (p.record < 0) return false;
      const auto& r = records[static_cast<size_t>(p.record)];
      return r.in_object() || r.is_inline();
    };
    std::vector<std::pair<Range, bool>> runs;
    for (const Segment& s : dirty) runs.push_back({{s.offset, s.end()}, !s.bytes.is_zero()});
    for (const Range& gap : GapsOf(dirty, range)) {
      for (const Piece& p : Resolve(records, gap.begin, gap.size()))
        runs.push_back({{p.offset, p.end()}, is_data(p)});
    }
    std::ranges::sort(runs, {}, [](const auto& run) { return run.first.begin; });
    for (const auto& [run, holds] : runs) {
      if (holds == data) return run.begin;
    }
    at = range.end;
  }
  if (data) return Fail(Code::kNoSuchExtent);
  return length;
}

}  // namespace curvefs::data
