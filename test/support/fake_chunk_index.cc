#include "test/support/fake_chunk_index.h"

#include <algorithm>
#include <tuple>

#include "base/crc32c.h"
#include "base/limits.h"

namespace curvefs::test {
namespace {

uint32_t ChunkOf(uint64_t offset) {
  return static_cast<uint32_t>(offset / kChunkSize);
}

bool Same(const meta::ChunkRecord& a, const meta::ChunkRecord& b) {
  auto fields = [](const meta::ChunkRecord& r) {
    return std::tie(r.sequence, r.offset, r.len, r.chunk_id, r.block, r.compaction, r.object_inode,
                    r.object_offset, r.digest, r.inline_data);
  };
  return fields(a) == fields(b);
}

// The part [begin, end) of a record.
meta::ChunkRecord PartOf(const meta::ChunkRecord& r, uint64_t begin, uint64_t end) {
  meta::ChunkRecord part = r;
  part.offset = begin;
  part.len = end - begin;
  if (r.in_object()) part.object_offset = r.object_offset + (begin - r.offset);
  if (r.is_inline()) {
    part.inline_data = r.inline_data.substr(begin - r.offset, end - begin);
    part.inline_crc = Crc32c(part.inline_data);
  }
  return part;
}

}  // namespace

object::ObjectName FakeChunkIndex::NameOf(const meta::ChunkRecord& r) const {
  return {r.chunk_id, r.block, r.compaction, fs(), r.object_inode};
}

void FakeChunkIndex::Use(const meta::ChunkRecord& r) {
  if (r.in_object()) ++uses_[NameOf(r)];
}

void FakeChunkIndex::Unuse(const meta::ChunkRecord& r) {
  if (!r.in_object() || --uses_[NameOf(r)] > 0) return;
  uses_.erase(NameOf(r));
  CURVEFS_CHECK(objects_.Delete(NameOf(r)).ok());
}

Result<std::vector<meta::ChunkRecord>> FakeChunkIndex::Records(InodeId inode, uint64_t offset, uint64_t len) {
  std::lock_guard lock(mu_);
  auto file = files_.find(inode);
  if (file == files_.end()) return Fail(Code::kNotFound);
  const uint64_t end = len > ~uint64_t{0} - offset ? ~uint64_t{0} : offset + len;
  std::vector<meta::ChunkRecord> out;
  for (const auto& [index, records] : file->second.chunks) {
    for (const auto& r : records) {
      if (r.offset < end && r.end() > offset) out.push_back(r);
    }
  }
  return out;
}

Result<std::vector<data::ChunkIndex::Appended>> FakeChunkIndex::Append(std::vector<FileRecords> files) {
  std::lock_guard lock(mu_);
  ++append_calls_;
  if (fail_appends_ > 0) {
    --fail_appends_;
    return Fail(fail_code_, "an injected failure of the index");
  }
  size_t records = 0;
  for (const auto& [inode, added] : files) {
    records += added.size();
    if (!files_.contains(inode)) continue;
    for (const auto& r : added) Use(r);
  }
  CURVEFS_CHECK(records <= 1000);
  std::vector<Appended> appended;
  for (auto& [inode, added] : files) {
    auto it = files_.find(inode);
    if (it == files_.end()) {
      appended.push_back(Fail(Code::kNotFound));
    } else {
      appended.push_back(AppendTo(&it->second, std::move(added)));
    }
  }
  return appended;
}

std::vector<data::ChunkLoad> FakeChunkIndex::AppendTo(File* to, std::vector<meta::ChunkRecord> records) {
  File& file = *to;
  std::set<uint32_t> touched;
  for (auto& r : records) {
    CURVEFS_CHECK(r.len > 0 && ChunkOf(r.offset) == ChunkOf(r.end() - 1));
    CURVEFS_CHECK(!r.is_inline() || (r.inline_data.size() == r.len && Crc32c(r.inline_data) == r.inline_crc));
    CURVEFS_CHECK(r.inline_data.size() <= kMaxInlineRecord);
    r.sequence = next_sequence_++;
    auto& chunk = file.chunks[ChunkOf(r.offset)];
    std::erase_if(chunk, [&](const auto& old) {
      const bool covered = old.offset >= r.offset && old.end() <= r.end();
      if (covered) Unuse(old);
      return covered;
    });
    touched.insert(ChunkOf(r.offset));
    file.length = std::max(file.length, r.end());
    chunk.push_back(std::move(r));
  }
  std::vector<data::ChunkLoad> loads;
  for (uint32_t index : touched) {
    data::ChunkLoad load{.chunk_index = index};
    for (const auto& r : file.chunks[index]) {
      ++load.records;
      load.live_bytes += r.len;
      load.inline_bytes += r.inline_data.size();
    }
    loads.push_back(load);
  }
  return loads;
}

Result<std::vector<Status>> FakeChunkIndex::Replace(std::vector<Replacement> chunks) {
  std::lock_guard lock(mu_);
  // As one change: what they share has all its users before any of them could lose the last one.
  for (const auto& c : chunks) {
    for (const auto& r : c.after) Use(r);
  }
  std::vector<Status> statuses;
  for (auto& [inode, before, after] : chunks) {
    auto it = files_.find(inode);
    statuses.push_back(it == files_.end() ? Status(Code::kNotFound) : ReplaceIn(&it->second, before, after));
    if (statuses.back().ok()) continue;
    for (const auto& r : after) {
      if (r.in_object() && --uses_[NameOf(r)] == 0) uses_.erase(NameOf(r));  // its owner deletes it
    }
  }
  return statuses;
}

std::vector<meta::SharedObject> FakeChunkIndex::TakeSparse(uint32_t max) {
  std::lock_guard lock(mu_);
  std::map<ChunkId, std::pair<meta::SharedObject, uint64_t>> used;  // and how many bytes of it
  for (const auto& [inode, file] : files_) {
    for (const auto& [index, records] : file.chunks) {
      for (const auto& r : records) {
        if (!r.in_object()) continue;
        auto& [object, bytes] = used[r.chunk_id];
        object.chunk = r.chunk_id;
        object.size = r.object_size;
        object.users.push_back({inode, index});
        bytes += r.len;
      }
    }
  }
  std::vector<meta::SharedObject> sparse;
  for (auto& [chunk, use] : used) {
    if (use.second < use.first.size / 2 && sparse.size() < max) sparse.push_back(std::move(use.first));
  }
  return sparse;
}

Status FakeChunkIndex::ReplaceIn(File* file, const std::vector<meta::ChunkRecord>& before,
                                 std::vector<meta::ChunkRecord> after) {
  if (before.empty()) return Code::kInvalid;
  auto& chunk = file->chunks[ChunkOf(before.front().offset)];
  for (const auto& b : before) {
    if (std::ranges::none_of(chunk, [&](const auto& r) { return Same(r, b); })) return Code::kBusy;
  }
  bool in_place = before.size() == after.size();
  for (size_t i = 0; in_place && i < before.size(); ++i) {
    in_place = before[i].offset == after[i].offset && before[i].len == after[i].len;
  }
  const uint64_t newest = std::ranges::max(before, {}, &meta::ChunkRecord::sequence).sequence;
  const auto older = std::ranges::count_if(chunk, [&](const auto& r) { return r.sequence <= newest; });
  if (!in_place && static_cast<size_t>(older) != before.size()) return Code::kBusy;

  if (in_place) {
    for (size_t i = 0; i < before.size(); ++i) {
      auto old = std::ranges::find_if(chunk, [&](const auto& r) { return Same(r, before[i]); });
      Unuse(*old);
      after[i].sequence = old->sequence;
      *old = after[i];
    }
    return {};
  }
  std::erase_if(chunk, [&](const auto& r) {
    if (r.sequence > newest) return false;
    Unuse(r);
    return true;
  });
  for (auto& a : after) a.sequence = newest;
  chunk.insert(chunk.begin(), after.begin(), after.end());
  return {};
}

Result<ChunkId> FakeChunkIndex::NewChunks(uint32_t n) {
  std::lock_guard lock(mu_);
  const ChunkId first(next_chunk_);
  next_chunk_ += n;
  return first;
}

void FakeChunkIndex::Create(InodeId inode) {
  std::lock_guard lock(mu_);
  files_.try_emplace(inode);
}

void FakeChunkIndex::Remove(InodeId inode) {
  std::lock_guard lock(mu_);
  auto it = files_.find(inode);
  if (it == files_.end()) return;
  for (const auto& [index, records] : it->second.chunks) {
    for (const auto& r : records) Unuse(r);
  }
  files_.erase(it);
}

void FakeChunkIndex::Cut(File* file, uint64_t begin, uint64_t end) {
  for (auto& [index, records] : file->chunks) {
    std::vector<meta::ChunkRecord> kept;
    for (const auto& r : records) {
      if (r.end() <= begin || r.offset >= end) {
        kept.push_back(r);
        continue;
      }
      if (r.offset < begin) {
        kept.push_back(PartOf(r, r.offset, begin));
        Use(kept.back());
      }
      if (r.end() > end) {
        kept.push_back(PartOf(r, end, r.end()));
        Use(kept.back());
      }
      Unuse(r);
    }
    records = std::move(kept);
  }
}

Status FakeChunkIndex::Truncate(InodeId inode, uint64_t length) {
  std::lock_guard lock(mu_);
  auto it = files_.find(inode);
  if (it == files_.end()) return Code::kNotFound;
  Cut(&it->second, length, ~uint64_t{0});
  it->second.length = length;
  return {};
}

Status FakeChunkIndex::Punch(InodeId inode, uint64_t offset, uint64_t len) {
  std::lock_guard lock(mu_);
  auto it = files_.find(inode);
  if (it == files_.end()) return Code::kNotFound;
  Cut(&it->second, offset, offset + len);
  return {};
}

uint64_t FakeChunkIndex::Length(InodeId inode) const {
  std::lock_guard lock(mu_);
  auto it = files_.find(inode);
  return it == files_.end() ? 0 : it->second.length;
}

std::vector<meta::ChunkRecord> FakeChunkIndex::All(InodeId inode) const {
  std::lock_guard lock(mu_);
  std::vector<meta::ChunkRecord> out;
  auto it = files_.find(inode);
  if (it == files_.end()) return out;
  for (const auto& [index, records] : it->second.chunks)
    out.insert(out.end(), records.begin(), records.end());
  return out;
}

std::set<object::ObjectName> FakeChunkIndex::Objects() const {
  std::lock_guard lock(mu_);
  std::set<object::ObjectName> names;
  for (const auto& [name, count] : uses_) names.insert(name);
  return names;
}

void FakeChunkIndex::FailAppends(uint32_t n, Code code) {
  std::lock_guard lock(mu_);
  fail_appends_ = n;
  fail_code_ = code;
}

uint64_t FakeChunkIndex::append_calls() const {
  std::lock_guard lock(mu_);
  return append_calls_;
}

}  // namespace curvefs::test
