// Objects: how often each is used, which are missing, damaged or used by nobody; the counters of partitions.
#include <algorithm>
#include <string>

#include "cli/fsck_checker.h"

namespace curvefs::cli {

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

Status Checker::VerifyObject(const ObjectFacts& object) {
  auto size = objects_.Size(object.name);
  const std::string what = "object " + object.name.ToString() + " of " + Named(object.user);
  if (!size) {
    if (size.error().code() == Code::kNotFound) {
      Found(Level::kLost, "missing-object", what + " is missing");
    } else if (size.error().code() == Code::kCorrupt) {
      Found(Level::kLost, "damaged-object", what + ": " + size.error().message());
    } else {
      return size.error();
    }
    return {};
  }
  if (*size != object.size) {
    Found(Level::kLost, "damaged-object",
          what + " has " + std::to_string(*size) + " bytes instead of " + std::to_string(object.size));
    return {};
  }
  if (!deep_) return {};
  std::string content(object.size, '\0');
  Status read = objects_.Read(object.name, object.digest, 0, content.data(), content.size());
  if (read.code() == Code::kCorrupt || read.code() == Code::kNotFound) {
    ++deep_errors_;
    Found(Level::kLost, "damaged-object", what + ": " + read.ToString());
    return {};
  }
  ++verified_;
  return read;
}

Status Checker::CheckObjects() {
  CURVEFS_CHECK_OK(objects_.List(ChunkId(0), [&](const object::ObjectName& name) {
    auto found = chunks_.find(name.chunk.value);
    if (found != chunks_.end() && (found->second.uses > 0 || found->second.freed) &&
        found->second.name == name) {
      found->second.there = true;
    } else {
      leaked_.push_back(name);
    }
    return true;
  }));
  for (const object::ObjectName& name : leaked_) {
    auto size = objects_.Size(name);
    leaked_bytes_ += size.value_or(0);
  }
  if (!leaked_.empty()) {
    Found(Level::kNote, "leaked-object",
          std::to_string(leaked_.size()) + " objects that nothing refers to, the first " +
              leaked_[0].ToString() + "; --repair deletes them");
  }
  for (auto& [chunk, object] : chunks_) {
    object.name.chunk = ChunkId(chunk);
    CheckRefs(object);
    if (object.uses > 0) CURVEFS_CHECK_OK(VerifyObject(object));
  }
  return {};
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
