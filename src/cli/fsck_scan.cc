// The first walk over all pairs: each must parse, and what it says is counted for the checks that follow.
#include <algorithm>
#include <string>

#include "base/crc32c.h"
#include "cli/base64.h"
#include "cli/fsck_checker.h"
#include "meta/acl.h"

namespace curvefs::cli {

using meta::KeyKind;
using Level = Finding::Level;

Status Checker::ScanAll() {
  return view_.Scan("", "", [&](std::string_view key, std::string_view value) {
    TakePair(key, value);
    return true;
  });
}

void Checker::TakePair(std::string_view raw_key, std::string_view value) {
  meta::ParsedKey key;
  if (!meta::ParseKey(raw_key, &key)) {
    Found(Level::kRepairable, "key", "a key that is none of ours (base64 " + ToBase64(raw_key) + ")");
    return Drop(raw_key);
  }
  PartitionFacts& partition = partitions_[key.partition.value];
  auto malformed = [&](const char* what) {
    Found(Level::kRepairable, "value",
          std::string("a malformed ") + what + " record of inode " + std::to_string(key.inode.value));
    Drop(raw_key);
  };
  switch (key.kind) {
    case KeyKind::kInode: {
      auto inode = meta::DecodeInode(key.inode, value);
      if (!inode) return malformed("inode");
      InodeFacts& facts = inodes_[key.inode.value];
      facts.mode = inode->mode;
      facts.nlink = inode->nlink;
      facts.flags = inode->flags;
      facts.length = inode->length;
      facts.bytes = inode->bytes;
      facts.parent = inode->parent;
      facts.symlink_size = inode->symlink.size();
      // The root is not handed out by the counter, and not counted.
      if (key.inode != kRootInode) ++partition.inodes;
      partition.highest_inode = std::max(partition.highest_inode, key.inode.value & kInodeCounterMask);
      return;
    }
    case KeyKind::kDentry:
      if (!meta::DecodeDentry(value)) malformed("dentry");
      return;  // looked at again when all inodes are known
    case KeyKind::kChunk:
      return TakeChunk(key, raw_key, value);
    case KeyKind::kXattr:
      if (value.size() > kMaxXattrValue || key.name.size() > kMaxXattrName) malformed("xattr");
      return;
    case KeyKind::kOrphan:
    case KeyKind::kLink:
      return;
    case KeyKind::kSession:  // of clients of a cluster
    case KeyKind::kOutcome:
    case KeyKind::kLock:  // of transactions between partitions
    case KeyKind::kIntent:
    case KeyKind::kDecision:
    case KeyKind::kMutex:
      Found(Level::kRepairable, "key",
            "a record of a session or a transaction of a cluster, which a file system on one machine has none of");
      return Drop(raw_key);
    case KeyKind::kQuota:
      if (!meta::DecodeQuota(value)) malformed("quota");
      return;
    case KeyKind::kFree: {
      auto object = meta::DecodeFreeObject(key.chunk, value);
      if (!object) return malformed("free object");
      ObjectFacts& facts = chunks_[key.chunk.value];
      facts.freed = true;
      facts.partition = key.partition;
      if (facts.uses == 0) facts.name = {key.chunk, object->block, object->compaction, fs_, object->inode};
      partition.highest_chunk = std::max(partition.highest_chunk, key.chunk.value);
      return;
    }
    case KeyKind::kRefs: {
      auto refs = meta::DecodeRefs(value);
      if (!refs) return malformed("reference count");
      chunks_[key.chunk.value].refs = *refs;
      chunks_[key.chunk.value].partition = key.partition;
      return;
    }
    case KeyKind::kShared: {
      if (!meta::DecodeShared(key.chunk, value)) return malformed("shared object");
      chunks_[key.chunk.value].shared = true;
      chunks_[key.chunk.value].partition = key.partition;
      return;
    }
    case KeyKind::kPartition: {
      auto record = meta::DecodePartition(value);
      if (!record) return malformed("partition");
      partition.stored = *record;
      return;
    }
    case KeyKind::kSuperBlock: {
      auto super = meta::DecodeSuperBlock(value);
      if (!super) return malformed("super block");
      super_ = *std::move(super);
      fs_ = super_->fs;
      hash_seed_ = super_->hash_seed;
      return;
    }
  }
}

void Checker::TakeChunk(const meta::ParsedKey& key, std::string_view raw_key, std::string_view value) {
  auto record = meta::DecodeChunk(key.inode, key.sequence, value);
  if (!record) {
    Found(Level::kRepairable, "value",
          "a malformed chunk record of inode " + std::to_string(key.inode.value));
    return Drop(raw_key);
  }
  if (record->in_object()) TakeObject(*record, key.inode);
  CheckRecord(key, *record, raw_key);
}

void Checker::TakeObject(const meta::ChunkRecord& record, InodeId user) {
  ObjectFacts& facts = chunks_[record.chunk_id.value];
  const object::ObjectName name{record.chunk_id, record.block, record.compaction, fs_, record.object_inode};
  if (facts.uses == 0) {
    facts.name = name;
    facts.size = record.object_size;
    facts.digest = record.digest;
    facts.user = user;
    facts.partition = PartitionOf(record.object_inode);
  } else if (facts.name != name || facts.size != record.object_size || facts.digest != record.digest) {
    Found(Level::kLost, "object-name",
          "inodes " + std::to_string(facts.user.value) + " and " + std::to_string(user.value) +
              " say different things of object " + name.ToString());
  }
  ++facts.uses;
  facts.live += record.len;
  PartitionFacts& partition = partitions_[PartitionOf(record.object_inode).value];
  partition.highest_chunk = std::max(partition.highest_chunk, record.chunk_id.value);
}

void Checker::CheckRecord(const meta::ParsedKey& key, const meta::ChunkRecord& record,
                          std::string_view raw_key) {
  auto bad = [&](Level level, const char* what) {
    Found(level, "chunk-record",
          "inode " + std::to_string(key.inode.value) + ", offset " + std::to_string(record.offset) + ": " +
              what);
    if (level == Level::kRepairable) Drop(raw_key);
  };
  if (record.end() > kMaxFileSize) return bad(Level::kRepairable, "a chunk record past the largest file");
  if (record.offset / kChunkSize != key.chunk_index || (record.end() - 1) / kChunkSize != key.chunk_index) {
    return bad(Level::kRepairable, "a chunk record that is not within its chunk");
  }
  if (record.in_object() && record.object_size > kBlockSize)
    bad(Level::kLost, "an object larger than a block");
  if (record.is_inline()) {
    if (record.len > kMaxInlineRecord) bad(Level::kLost, "an inline record over its limit");
    if (Crc32c(record.inline_data) != record.inline_crc)
      bad(Level::kLost, "inline data that fail their checksum");
  }
}

}  // namespace curvefs::cli
