#include "meta/ops/content.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "meta/extents.h"
#include "meta/ops/content_cut.h"
#include "meta/ops/privileges.h"

namespace curvefs::meta {
namespace {

// A sequence is the order of the change that made the record (high bits) and the record's place within it.
constexpr int kPlaceBits = 16;
constexpr uint64_t kMaxPlace = (1 << kPlaceBits) - 1;

uint64_t SequenceAfter(uint64_t newest) {
  return ((newest >> kPlaceBits) + 1) << kPlaceBits;
}
uint64_t NextSequence(const std::vector<ChunkRecord>& existing) {
  return SequenceAfter(existing.empty() ? 0 : existing.back().sequence);
}

// Sorted, disjoint, not touching.
using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;
Ranges Union(const std::vector<const ChunkRecord*>& records) {
  Ranges r;
  for (const auto* c : records) r.emplace_back(c->offset, c->end());
  std::sort(r.begin(), r.end());
  Ranges merged;
  for (const auto& [from, to] : r) {
    if (!merged.empty() && from <= merged.back().second) {
      merged.back().second = std::max(merged.back().second, to);
    } else {
      merged.emplace_back(from, to);
    }
  }
  return merged;
}

// What remains to be seen of [from, to) once `covered` lies over it, if that is one piece; otherwise all of
// it. Empty: nothing.
std::pair<uint64_t, uint64_t> Uncovered(uint64_t from, uint64_t to, const Ranges& covered) {
  auto it = std::upper_bound(covered.begin(), covered.end(), from,
                             [](uint64_t v, const auto& r) { return v < r.second; });
  if (it != covered.end() && it->first <= from) from = std::min(to, it->second);
  it = std::lower_bound(covered.begin(), covered.end(), to,
                        [](const auto& r, uint64_t v) { return r.second < v; });
  if (it != covered.end() && it->first < to) to = std::max(from, it->first);
  return {from, to};
}

Status CheckRecord(const Txn& txn, const ChunkRecord& r) {
  uint64_t chunk = txn.fs().chunk_size;
  if (r.len == 0 || r.end() < r.offset || r.end() > kMaxFileSize) return Code::kFileTooBig;
  if (r.offset / chunk != (r.end() - 1) / chunk)
    return {Code::kInvalid, "a chunk record crosses a chunk boundary"};
  if (r.is_inline() && (r.inline_data.size() != r.len || r.len > kMaxInlineRecord)) {
    return {Code::kInvalid, "an inline chunk record has the wrong size"};
  }
  return Status();
}

// Adds `added` as the newest records of one chunk. Looks at every record there, but decodes only those that
// they touch.
Result<ChunkState> AppendToChunk(Txn& txn, Inode* inode, uint32_t index,
                                 const std::vector<const ChunkRecord*>& added) {
  const Ranges covered = Union(added);
  std::vector<ChunkRecord> touched;
  ChunkState state{.chunk_index = index};
  auto count = [&state](uint64_t len, bool in_object, bool is_inline) {
    ++state.records;
    if (in_object || is_inline) state.live_bytes += len;
    if (is_inline) state.inline_bytes += len;
  };
  uint64_t newest = 0;
  Status failure;
  const std::string begin = ChunkPrefix(txn.fs().fs, inode->id, index);
  CURVEFS_CHECK_OK(
      txn.view().Scan(begin, kv::PrefixEnd(begin), [&](std::string_view key, std::string_view value) {
        newest = GetBe(key.data() + key.size() - 8, 8);
        auto extent = PeekChunk(newest, value);
        if (!extent) {
          failure = extent.error();
          return false;
        }
        auto [from, to] = Uncovered(extent->offset, extent->end(), covered);
        if (from < to) count(to - from, extent->in_object, extent->is_inline);
        if (from == extent->offset && to == extent->end()) return true;
        auto record = DecodeChunk(inode->id, newest, value);
        if (!record) {
          failure = record.error();
          return false;
        }
        touched.push_back(*std::move(record));
        return true;
      }));
  CURVEFS_CHECK_OK(failure);
  for (const auto& t : touched) {
    auto [from, to] = Uncovered(t.offset, t.end(), covered);
    if (from == to) {
      CURVEFS_CHECK_OK(txn.RemoveChunk(inode, t));
    } else {
      CURVEFS_CHECK_OK(txn.ShrinkChunk(inode, t, from, to - from));
    }
  }
  uint64_t sequence = SequenceAfter(newest);
  for (const auto* r : added) {
    ChunkRecord record = *r;
    record.sequence = sequence++;
    txn.AddChunk(inode, record);
    count(record.len, record.in_object(), record.is_inline());
  }
  return state;
}

void Touch(Txn& txn, Inode* inode, bool kill_suid_gid) {
  inode->mtime = inode->ctime = txn.now();
  ++inode->version;
  if (kill_suid_gid) DropPrivileges(txn, inode, /*group_member=*/true);
}

Result<Inode> GetFile(const Txn& txn, InodeId id) {
  CURVEFS_TRY(Inode inode, txn.GetInode(id));
  if (inode.is_dir()) return Fail(Code::kIsDirectory);
  if (!inode.is_file()) return Fail(Code::kInvalid);
  return inode;
}

uint32_t ChunkOf(const Txn& txn, uint64_t offset) {
  return static_cast<uint32_t>(offset / txn.fs().chunk_size);
}

// Counts the uses of new objects.
class NewObjects {
 public:
  void Add(const Txn& txn, InodeId inode, const std::vector<ChunkRecord>& records) {
    for (const auto& r : records) {
      if (!r.in_object()) continue;
      Use& use = objects_[r.chunk_id];
      use.record = &r;
      ++use.count;
      use.bytes += r.len;
      const SharedObject::User user{inode, ChunkOf(txn, r.offset)};
      if (use.users.empty() || use.users.back() != user) use.users.push_back(user);
    }
  }
  void Put(Txn& txn) {
    for (auto& [chunk, use] : objects_) {
      std::sort(use.users.begin(), use.users.end());
      use.users.erase(std::unique(use.users.begin(), use.users.end()), use.users.end());
      txn.AddNewObject(*use.record, use.count, use.bytes, std::move(use.users));
    }
  }

 private:
  struct Use {
    const ChunkRecord* record = nullptr;  // one of them
    uint64_t count = 0, bytes = 0;
    std::vector<SharedObject::User> users;
  };
  std::map<ChunkId, Use> objects_;
};

// One file's part of an append; its objects are counted elsewhere.
Status AppendToFile(Txn& txn, const AppendRequest& request, AppendReply* reply) {
  std::map<uint32_t, std::vector<const ChunkRecord*>> by_chunk;
  uint64_t end = reply->inode.length;
  for (const auto& r : request.records) {
    CURVEFS_CHECK_OK(CheckRecord(txn, r));
    by_chunk[ChunkOf(txn, r.offset)].push_back(&r);
    end = std::max(end, r.end());
  }
  for (const auto& [index, records] : by_chunk) {
    CURVEFS_TRY(ChunkState state, AppendToChunk(txn, &reply->inode, index, records));
    reply->chunks.push_back(state);
  }
  reply->inode.length = end;
  ++reply->inode.version;
  if (request.written) {
    // Whoever has changed the inode since may have set the time.
    const bool newest = *request.written >= reply->inode.ctime;
    reply->inode.mtime = newest ? *request.written : std::max(reply->inode.mtime, *request.written);
    reply->inode.ctime = std::max(reply->inode.ctime, *request.written);
  }
  txn.PutInode(reply->inode);
  return {};
}

}  // namespace

Result<std::vector<Result<AppendReply>>> AppendChunks(Txn& txn, const std::vector<AppendRequest>& requests) {
  std::vector<Result<AppendReply>> replies;
  replies.reserve(requests.size());
  NewObjects objects;
  for (const auto& request : requests) {
    auto inode = GetFile(txn, request.inode);
    if (inode) {
      objects.Add(txn, request.inode, request.records);
      replies.push_back(AppendReply{.inode = *std::move(inode)});
    } else if (inode.error().code() == Code::kNotFound) {
      replies.push_back(Fail(inode.error()));
    } else {
      return Fail(inode.error());
    }
  }
  // The uses first: what is dropped below may be among them, if a record covers another of the same request.
  objects.Put(txn);
  for (size_t i = 0; i < requests.size(); ++i) {
    if (replies[i]) CURVEFS_CHECK_OK(AppendToFile(txn, requests[i], &*replies[i]));
  }
  return replies;
}

Result<AppendReply> AppendChunks(Txn& txn, const AppendRequest& request) {
  CURVEFS_TRY(auto replies, AppendChunks(txn, std::vector{request}));
  return std::move(replies.front());
}

namespace {

// How the records `after` take the place of `before`.
struct Place {
  // One for one in the same ranges: each takes its predecessor's place. Otherwise they take the place of
  // everything up to the newest replaced.
  bool in_place = false;
  uint64_t newest = 0;
};

Result<Place> FindPlace(const Txn& txn, const ReplaceRequest& request) {
  const auto& [id, before, after] = request;
  if (before.empty()) return Fail(Code::kInvalid);
  if (auto file = GetFile(txn, id); !file) return Fail(file.error());
  const uint32_t index = ChunkOf(txn, before.front().offset);
  CURVEFS_TRY(auto existing, txn.ChunkRecords(id, index));
  std::map<uint64_t, const ChunkRecord*> now;
  for (const auto& e : existing) now[e.sequence] = &e;
  Place place;
  for (const auto& b : before) {
    auto it = now.find(b.sequence);
    if (it == now.end() || EncodeChunk(id, *it->second) != EncodeChunk(id, b)) return Fail(Code::kBusy);
    place.newest = std::max(place.newest, b.sequence);
  }
  place.in_place = before.size() == after.size();
  for (size_t i = 0; place.in_place && i < before.size(); ++i) {
    place.in_place = before[i].offset == after[i].offset && before[i].len == after[i].len;
  }
  if (!place.in_place) {
    size_t older = 0;
    for (const auto& e : existing) older += e.sequence <= place.newest;
    if (older != before.size()) return Fail(Code::kBusy);
    if ((place.newest & kMaxPlace) + after.size() > kMaxPlace) return Fail(Code::kBusy);
    auto next = now.upper_bound(place.newest);
    if (next != now.end() && next->first <= place.newest + after.size()) return Fail(Code::kBusy);
  }
  for (const auto& a : after) {
    CURVEFS_CHECK_OK(CheckRecord(txn, a));
    if (ChunkOf(txn, a.offset) != index) return Fail(Code::kInvalid);
  }
  return place;
}

Status Replace(Txn& txn, const ReplaceRequest& request, const Place& place) {
  const auto& [id, before, after] = request;
  CURVEFS_TRY(Inode inode, GetFile(txn, id));
  for (const auto& b : before) CURVEFS_CHECK_OK(txn.RemoveChunk(&inode, b));
  for (size_t i = 0; i < after.size(); ++i) {
    ChunkRecord record = after[i];
    record.sequence = place.in_place ? before[i].sequence : place.newest + 1 + i;
    txn.AddChunk(&inode, record);
  }
  txn.PutInode(inode);
  return {};
}

}  // namespace

Result<std::vector<Status>> ReplaceChunks(Txn& txn, const std::vector<ReplaceRequest>& requests) {
  std::vector<Status> statuses;
  std::vector<Place> places(requests.size());
  NewObjects objects;
  for (size_t i = 0; i < requests.size(); ++i) {
    auto place = FindPlace(txn, requests[i]);
    statuses.push_back(place ? Status() : place.error());
    if (place) {
      places[i] = *place;
      objects.Add(txn, requests[i].inode, requests[i].after);
    } else if (place.error().code() != Code::kBusy && place.error().code() != Code::kNotFound) {
      return Fail(place.error());
    }
  }
  objects.Put(txn);
  for (size_t i = 0; i < requests.size(); ++i) {
    if (statuses[i].ok()) CURVEFS_CHECK_OK(Replace(txn, requests[i], places[i]));
  }
  return statuses;
}

Status ClearRange(Txn& txn, Inode* inode, uint64_t offset, uint64_t len) {
  const uint64_t chunk = txn.fs().chunk_size;
  for (uint64_t at = offset; at < offset + len;) {
    uint64_t to = std::min(offset + len, (at / chunk + 1) * chunk);
    CURVEFS_TRY(auto existing, txn.ChunkRecords(inode->id, ChunkOf(txn, at)));
    bool split = false;
    for (const auto& e : existing) {
      uint64_t from = std::max(e.offset, at), end = std::min(e.end(), to);
      if (from >= end) continue;
      if (from == e.offset && end == e.end()) {
        CURVEFS_CHECK_OK(txn.RemoveChunk(inode, e));
      } else if (from == e.offset) {
        CURVEFS_CHECK_OK(txn.ShrinkChunk(inode, e, end, e.end() - end));
      } else if (end == e.end()) {
        CURVEFS_CHECK_OK(txn.ShrinkChunk(inode, e, e.offset, from - e.offset));
      } else {
        split = true;
      }
    }
    if (split) {
      ChunkRecord zeros{.sequence = NextSequence(existing), .offset = at, .len = to - at};
      txn.AddChunk(inode, zeros);
    }
    at = to;
  }
  return Status();
}

Result<Inode> ZeroRange(Txn& txn, InodeId id, uint64_t offset, uint64_t len, bool kill_suid_gid) {
  CURVEFS_TRY(Inode inode, GetFile(txn, id));
  // Past the end there are no records.
  if (offset < inode.length)
    CURVEFS_CHECK_OK(ClearRange(txn, &inode, offset, std::min(len, inode.length - offset)));
  Touch(txn, &inode, kill_suid_gid);
  txn.PutInode(inode);
  return inode;
}

Result<Inode> Allocate(Txn& txn, InodeId id, uint64_t end, bool extend, bool kill_suid_gid) {
  CURVEFS_TRY(Inode inode, GetFile(txn, id));
  if (end > kMaxFileSize) return Fail(Code::kFileTooBig);
  if (extend && end > inode.length) {
    inode.length = end;
  }
  Touch(txn, &inode, kill_suid_gid);
  txn.PutInode(inode);
  return inode;
}

Result<CloneReply> CloneRange(Txn& txn, const CloneRequest& request) {
  CURVEFS_TRY(Inode from, GetFile(txn, request.from));
  CloneReply reply;
  CURVEFS_TRY(reply.to, GetFile(txn, request.to));
  if (request.len == 0) return reply;
  if (request.from_offset + request.len > from.length ||
      request.from_offset + request.len < request.from_offset)
    return Fail(Code::kInvalid);
  if (request.to_offset + request.len > kMaxFileSize) return Fail(Code::kFileTooBig);
  CURVEFS_TRY(auto records, RecordsInRange(txn, request.from, request.from_offset, request.len));

  // The source's pieces, cut where the target's chunks end, as records of the target.
  std::vector<ChunkRecord> copies;
  uint64_t end = request.to_offset;
  for (const Piece& piece : Resolve(records, request.from_offset, request.len)) {
    for (uint64_t at = piece.offset; at < piece.end();) {
      if (copies.size() >= request.max_records) break;
      uint64_t to_offset = request.to_offset + (at - request.from_offset);
      uint64_t n = std::min(piece.end() - at, txn.fs().chunk_size - to_offset % txn.fs().chunk_size);
      if (piece.record >= 0) {
        const ChunkRecord& source = records[static_cast<size_t>(piece.record)];
        ChunkRecord copy = source;
        copy.offset = to_offset;
        copy.len = n;
        if (copy.in_object()) {
          copy.object_offset += at - source.offset;
        } else {
          copy.inline_data = source.inline_data.substr(at - source.offset, n);
          copy.inline_crc = Crc32c(copy.inline_data);
        }
        copies.push_back(std::move(copy));
      }
      at += n;
      end = to_offset + n;
    }
    if (copies.size() >= request.max_records) break;
  }

  // The source is read: now it may change, if the target is the same file. Its objects gain users before the
  // target's old ones lose theirs.
  for (const auto& c : copies) {
    if (c.in_object()) CURVEFS_CHECK_OK(txn.ChangeRefs(c, +1));
  }
  CURVEFS_CHECK_OK(ClearRange(txn, &reply.to, request.to_offset, end - request.to_offset));
  for (size_t i = 0; i < copies.size();) {
    uint32_t index = ChunkOf(txn, copies[i].offset);
    CURVEFS_TRY(auto existing, txn.ChunkRecords(request.to, index));
    uint64_t sequence = NextSequence(existing);
    for (; i < copies.size() && ChunkOf(txn, copies[i].offset) == index; ++i) {
      copies[i].sequence = sequence++;
      txn.AddChunk(&reply.to, copies[i]);
    }
  }
  reply.bytes = end - request.to_offset;
  reply.to.length = std::max(reply.to.length, end);
  Touch(txn, &reply.to, request.kill_suid_gid);
  txn.PutInode(reply.to);
  return reply;
}

Result<bool> CutTail(Txn& txn, Inode* inode, uint64_t length, uint32_t max_records) {
  std::vector<ChunkRecord> cut;  // everything past `length`
  CURVEFS_TRY(cut, RecordsInRange(txn, inode->id, length, kMaxFileSize));
  bool all = cut.size() <= max_records;
  if (!all) {
    // From the end: sorted by where they end, the last ones go, and the file is as long as what stays.
    std::sort(cut.begin(), cut.end(), [](const auto& a, const auto& b) { return a.end() < b.end(); });
    length = cut[cut.size() - max_records - 1].end();
    cut.erase(cut.begin(), cut.end() - max_records);
  }
  for (const auto& r : cut) {
    if (r.offset >= length) {
      CURVEFS_CHECK_OK(txn.RemoveChunk(inode, r));
    } else if (r.end() > length) {
      CURVEFS_CHECK_OK(txn.ShrinkChunk(inode, r, r.offset, length - r.offset));
    }
  }
  inode->length = length;
  return all;
}

Result<bool> Reclaim(Txn& txn, InodeId id, uint32_t max_records) {
  CURVEFS_TRY(bool orphan, txn.IsOrphan(id));
  if (!orphan) return true;
  auto found = txn.GetInode(id);
  if (!found) {
    if (found.error().code() != Code::kNotFound) return Fail(found.error());
    txn.DeleteOrphan(id);
    return true;
  }
  Inode inode = *std::move(found);
  std::vector<ChunkRecord> records;
  std::string begin = InodePrefix(txn.fs().fs, KeyKind::kChunk, id);
  CURVEFS_CHECK_OK(
      txn.ScanChunks(id, begin, kv::PrefixEnd(begin), 0, kMaxFileSize, [&](ChunkRecord&& record) {
        records.push_back(std::move(record));
        return records.size() <= max_records;
      }));
  bool all = records.size() <= max_records;
  if (!all) records.pop_back();
  for (const auto& r : records) CURVEFS_CHECK_OK(txn.RemoveChunk(&inode, r));
  if (!all) {
    txn.PutInode(inode);
    return false;
  }
  std::vector<std::string> xattrs;
  begin = InodePrefix(txn.fs().fs, KeyKind::kXattr, id);
  if ((inode.flags & kHasXattrs) != 0) {
    CURVEFS_CHECK_OK(
        txn.view().Scan(begin, kv::PrefixEnd(begin), [&](std::string_view key, std::string_view) {
          xattrs.emplace_back(key);
          return true;
        }));
  }
  for (const auto& key : xattrs) txn.Del(key);
  txn.DeleteInode(inode);
  txn.DeleteOrphan(id);
  return true;
}

Result<std::vector<ChunkRecord>> RecordsInRange(const Reader& reader, InodeId inode, uint64_t offset,
                                                uint64_t len) {
  std::vector<ChunkRecord> records;
  if (len == 0) return records;
  const uint64_t chunk = reader.fs().chunk_size;
  uint64_t end = len > kMaxFileSize - std::min(offset, kMaxFileSize) ? kMaxFileSize : offset + len;
  if (offset >= end) return records;
  auto first = static_cast<uint32_t>(offset / chunk);
  uint64_t last = (end - 1) / chunk;
  std::string to = last >= ~uint32_t{0} ? kv::PrefixEnd(InodePrefix(reader.fs().fs, KeyKind::kChunk, inode))
                                        : ChunkPrefix(reader.fs().fs, inode, static_cast<uint32_t>(last + 1));
  CURVEFS_CHECK_OK(reader.ScanChunks(inode, ChunkPrefix(reader.fs().fs, inode, first), to, offset, end,
                                     [&](ChunkRecord&& record) {
                                       records.push_back(std::move(record));
                                       return true;
                                     }));
  return records;
}

}  // namespace curvefs::meta
