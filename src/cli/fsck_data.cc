// Objects: how often each is used, which are missing, damaged or used by nobody; the counters of partitions.
#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "cli/fsck_checker.h"

namespace curvefs::cli {

namespace {

constexpr uint64_t kPiece = 1 << 20;  // bytes read in one go
constexpr size_t kVerifiers = 16;     // objects looked at, or read, at a time

}  // namespace

using Level = Finding::Level;

void Checker::CheckRefs(const ObjectFacts& object) {
  const ChunkId chunk = object.name.chunk;
  if (object.uses > 0 && object.freed) {
    Found(Level::kRepairable, "freed-in-use",
          "object " + object.name.ToString() + " waits for deletion, but " + Named(object.user) + " uses it");
    Drop(meta::FreeKey(fs_, object.partition, chunk));
  }
  if (object.uses == 0 && object.shared) {
    Found(Level::kRepairable, "reference-count",
          "chunk " + std::to_string(chunk.value) + " is said to be shared by files, but none uses it");
    Drop(meta::SharedKey(fs_, object.partition, chunk));
  }
  // One use needs no record, unless the object is shared.
  meta::ObjectRefs expected;
  if (object.uses > 0 && object.shared) expected = {object.uses, object.live};
  if (object.uses > 1 && !object.shared) expected = {object.uses, 0};
  if (object.refs == expected) return;
  Found(Level::kRepairable, "reference-count",
        "chunk " + std::to_string(chunk.value) + " is used " + std::to_string(object.uses) + " times (" +
            std::to_string(expected.live) + " bytes shared), its record says " +
            std::to_string(object.refs.count) + " (" + std::to_string(object.refs.live) + ")");
  std::string key = meta::RefsKey(fs_, object.partition, chunk);
  if (expected.count > 0) {
    Set(std::move(key), meta::EncodeRefs(expected));
  } else {
    Drop(key);
  }
}

// What was found out about one object. Neither ok nor lost: it could not be looked at.
struct Checker::Verdict {
  const ObjectFacts* object = nullptr;
  Status status;
  const char* kind = nullptr;  // of the finding; null: none
  bool deep = false;           // found by reading
};

// Called by several threads at once.
Checker::Verdict Checker::VerifyObject(const ObjectFacts& object) const {
  const auto lost = [](const Status& s) { return s.code() == Code::kNotFound || s.code() == Code::kCorrupt; };
  if (depth_ == Depth::kNames) {
    if (object.there) return {.object = &object};
    return {&object, Status(Code::kNotFound, "is missing"), "missing-object"};
  }
  // What the list has said need not be asked for one by one.
  auto size = object.listed_size ? *object.listed_size : objects_.Size(object.name);
  if (!size) {
    const bool missing = size.error().code() == Code::kNotFound;
    return {&object, missing ? Status(Code::kNotFound, "is missing") : size.error(),
            missing              ? "missing-object"
            : lost(size.error()) ? "damaged-object"
                                 : nullptr};
  }
  if (*size != object.size) {
    return {&object,
            Status(Code::kCorrupt,
                   "has " + std::to_string(*size) + " bytes instead of " + std::to_string(object.size)),
            "damaged-object"};
  }
  if (depth_ != Depth::kBytes) return {.object = &object};
  auto content = objects_.ReadWhole(object.name, object.digest);
  if (content) return {.object = &object, .deep = true};
  return {&object, content.error(), lost(content.error()) ? "damaged-object" : nullptr, true};
}

// Several at a time: a store far away answers many requests as fast as one. What they find is told in the
// order of the objects, whoever found it first.
Status Checker::VerifyObjects() {
  std::vector<const ObjectFacts*> used;
  for (const auto& [chunk, object] : chunks_) {
    if (object.uses > 0) used.push_back(&object);
  }
  std::ranges::sort(used, {}, [](const ObjectFacts* o) { return o->name; });
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  Mutex mu;
  std::vector<Verdict> bad;  // guarded by mu, as what is counted
  uint64_t done = 0;
  auto work = [&] {
    for (size_t i; !stop && (i = next++) < used.size();) {
      Verdict verdict = VerifyObject(*used[i]);
      MutexLock lock(mu);
      verified_ += verdict.status.ok() && verdict.deep;
      if (!verdict.status.ok() && verdict.kind == nullptr) stop = true;
      if (!verdict.status.ok()) bad.push_back(std::move(verdict));
      ++done;
      if (progress_) progress_(done, used.size());
    }
  };
  std::vector<std::thread> threads;
  const size_t n = depth_ == Depth::kNames ? 0 : std::min(kVerifiers, used.size());
  for (size_t i = 1; i < n; ++i) threads.emplace_back(work);
  work();
  for (std::thread& t : threads) t.join();
  std::ranges::sort(bad, {}, [](const Verdict& v) { return v.object->name; });
  for (const Verdict& v : bad) {
    if (v.kind == nullptr) return v.status;
  }
  CURVEFS_TRY(const Users affected, FindAffected(bad));
  for (const Verdict& v : bad) {
    const std::string what = v.status.message().empty() ? v.status.ToString() : v.status.message();
    const auto found = affected.find(v.object->name.chunk.value);
    if (found == affected.end()) {
      Found(Level::kNote, "damaged-unused",
            "object " + v.object->name.ToString() + ": " + what +
                "; no file has content in the damaged part, and the object goes when it is packed again");
      continue;
    }
    deep_errors_ += v.deep;
    Found(
        Level::kLost, v.kind,
        "object " + v.object->name.ToString() + " of " + Named(found->second) + (v.deep ? ": " : " ") + what);
  }
  return {};
}

// Whose content is in what is missing or damaged: of an object that files share, those that cannot be read.
Result<Checker::Users> Checker::FindAffected(const std::vector<Verdict>& bad) const {
  Users affected;
  if (bad.empty()) return affected;
  std::unordered_map<uint64_t, const Verdict*> by_chunk;
  for (const Verdict& v : bad) by_chunk[v.object->name.chunk.value] = &v;
  std::vector<char> bytes;
  Status failure;
  CURVEFS_CHECK_OK(view_.Scan("", "", [&](std::string_view raw_key, std::string_view value) {
    meta::ParsedKey key;
    if (!meta::ParseKey(raw_key, &key) || key.kind != meta::KeyKind::kChunk) return true;
    auto record = meta::DecodeChunk(key.inode, key.sequence, value);
    if (!record || !record->in_object()) return true;
    const auto found = by_chunk.find(record->chunk_id.value);
    if (found == by_chunk.end()) return true;
    std::vector<InodeId>& users = affected[record->chunk_id.value];
    if (std::ranges::find(users, key.inode) != users.end()) return true;
    const Verdict& v = *found->second;
    bool readable = v.deep;  // what is missing, or has another size, nobody can rely on
    for (uint64_t at = 0; readable && at < record->len; at += kPiece) {
      const auto n = static_cast<size_t>(std::min<uint64_t>(kPiece, record->len - at));
      bytes.resize(n);
      const Status read =
          objects_.Read(v.object->name, v.object->digest, record->object_offset + at, bytes.data(), n);
      readable = read.ok();
      if (!readable && read.code() != Code::kCorrupt && read.code() != Code::kNotFound) {
        failure = read;
        return false;
      }
    }
    if (!readable) users.push_back(key.inode);
    return true;
  }));
  CURVEFS_CHECK_OK(failure);
  std::erase_if(affected, [](const auto& users) { return users.second.empty(); });
  return affected;
}

std::string Checker::Named(const std::vector<InodeId>& ids) const {
  constexpr size_t kMost = 20;
  std::string text;
  for (size_t i = 0; i < std::min(ids.size(), kMost); ++i) text += (i > 0 ? ", " : "") + Named(ids[i]);
  if (ids.size() > kMost) text += " and " + std::to_string(ids.size() - kMost) + " more";
  return text;
}

Status Checker::CheckObjects() {
  CURVEFS_CHECK_OK(objects_.ListDetails(ChunkId(0), [&](const object::ObjectDetails& object) {
    auto found = chunks_.find(object.name.chunk.value);
    if (found != chunks_.end() && (found->second.uses > 0 || found->second.freed) &&
        found->second.name == object.name) {
      found->second.there = true;
      found->second.listed_size = object.size;
    } else {
      leaked_.push_back(object);
    }
    return true;
  }));
  for (object::ObjectDetails& object : leaked_) {
    if (!object.size) object.size = objects_.Size(object.name).value_or(0);
    leaked_bytes_ += *object.size;
  }
  if (!leaked_.empty()) {
    Found(Level::kNote, "leaked-object",
          std::to_string(leaked_.size()) + " objects that nothing refers to, the first " +
              leaked_[0].name.ToString() + "; --repair deletes them");
  }
  for (auto& [chunk, object] : chunks_) {
    object.name.chunk = ChunkId(chunk);
    CheckRefs(object);
  }
  return VerifyObjects();
}

void Checker::CheckPartitions() {
  for (const auto& [id, inode] : inodes_)
    partitions_[PartitionOf(InodeId(id)).value].bytes += inode.chunk_bytes;
  for (auto& [number, facts] : partitions_) {
    const meta::PartitionRecord stored = facts.stored.value_or(meta::PartitionRecord());
    meta::PartitionRecord right = stored;
    right.inodes = facts.inodes;
    right.bytes = facts.bytes;
    // A partition that has never handed out an id has no counter.
    if (facts.highest_inode > kRootInode.value)
      right.next_inode = std::max(stored.next_inode, facts.highest_inode + 1);
    if (facts.highest_chunk > 0) right.next_chunk = std::max(stored.next_chunk, facts.highest_chunk + 1);
    auto check = [&](const char* what, uint64_t is, uint64_t should) {
      if (is == should) return;
      Found(Level::kRepairable, "partition",
            "partition " + std::to_string(number) + ": " + what + " is " + std::to_string(is) +
                ", should be " + std::to_string(should));
      Set(meta::PartitionKey(fs_, PartitionId(number)), meta::EncodePartition(right));
    };
    check("number of inodes", stored.inodes, right.inodes);
    check("number of bytes", stored.bytes, right.bytes);
    check("next inode", stored.next_inode, right.next_inode);
    check("next chunk", stored.next_chunk, right.next_chunk);
  }
}

}  // namespace curvefs::cli
