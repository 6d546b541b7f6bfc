#include "meta/keys.h"

#include <xxhash.h>

#include "base/bytes.h"

namespace curvefs::meta {

std::string KindPrefix(FsId fs, PartitionId partition, KeyKind kind) {
  std::string k;
  k.reserve(48);
  PutBe(&k, fs.value, 4);
  PutBe(&k, partition.value, 3);
  k.push_back(static_cast<char>(kind));
  return k;
}

std::string InodePrefix(FsId fs, KeyKind kind, InodeId inode) {
  std::string k = KindPrefix(fs, PartitionOf(inode), kind);
  PutBe(&k, inode.value & kInodeCounterMask, 5);
  return k;
}

std::string XattrKey(FsId fs, InodeId inode, std::string_view name) {
  std::string k = InodePrefix(fs, KeyKind::kXattr, inode);
  k.append(name);
  return k;
}

std::string DentryHashPrefix(FsId fs, InodeId parent, uint64_t name_hash) {
  std::string k = InodePrefix(fs, KeyKind::kDentry, parent);
  PutBe(&k, name_hash, kNameHashBytes);
  return k;
}

std::string DentryKey(FsId fs, InodeId parent, uint64_t name_hash, std::string_view name) {
  std::string k = DentryHashPrefix(fs, parent, name_hash);
  k.append(name);
  return k;
}

std::string ChunkPrefix(FsId fs, InodeId inode, uint32_t chunk_index) {
  std::string k = InodePrefix(fs, KeyKind::kChunk, inode);
  PutBe(&k, chunk_index, 4);
  return k;
}

std::string ChunkKey(FsId fs, InodeId inode, uint32_t chunk_index, uint64_t sequence) {
  std::string k = ChunkPrefix(fs, inode, chunk_index);
  PutBe(&k, sequence, 8);
  return k;
}

std::string FreeKey(FsId fs, PartitionId partition, ChunkId chunk) {
  std::string k = KindPrefix(fs, partition, KeyKind::kFree);
  PutBe(&k, chunk.value, 8);
  return k;
}

std::string RefsKey(FsId fs, PartitionId partition, ChunkId chunk) {
  std::string k = KindPrefix(fs, partition, KeyKind::kRefs);
  PutBe(&k, chunk.value, 8);
  return k;
}

std::string LinkKey(FsId fs, InodeId inode, InodeId parent, std::string_view name) {
  std::string k = InodePrefix(fs, KeyKind::kLink, inode);
  PutBe(&k, parent.value, 8);
  k.append(name);
  return k;
}

std::string SharedKey(FsId fs, PartitionId partition, ChunkId chunk) {
  std::string k = KindPrefix(fs, partition, KeyKind::kShared);
  PutBe(&k, chunk.value, 8);
  return k;
}

std::string PartitionKey(FsId fs, PartitionId partition) {
  return KindPrefix(fs, partition, KeyKind::kPartition);
}
std::string SuperBlockKey(FsId fs) {
  return KindPrefix(fs, PartitionId(0), KeyKind::kSuperBlock);
}

std::string SessionKey(uint64_t session) {
  std::string k = KindPrefix(FsId(0), PartitionId(0), KeyKind::kSession);
  PutBe(&k, session, 8);
  return k;
}
std::string OutcomePrefix(uint64_t session) {
  std::string k = KindPrefix(FsId(0), PartitionId(0), KeyKind::kOutcome);
  PutBe(&k, session, 8);
  return k;
}
std::string OutcomeKey(uint64_t session, uint64_t sequence) {
  std::string k = OutcomePrefix(session);
  PutBe(&k, sequence, 8);
  return k;
}

std::string LockKey(std::string_view key) {
  std::string k(key.substr(0, kKeyHeader - 1));
  k.push_back(static_cast<char>(KeyKind::kLock));
  k.append(key.substr(kKeyHeader - 1));
  return k;
}

namespace {
std::string TransactionKey(FsId fs, PartitionId partition, KeyKind kind, const TransactionId& id) {
  std::string k = KindPrefix(fs, partition, kind);
  PutBe(&k, id.high, 8);
  PutBe(&k, id.low, 8);
  return k;
}
}  // namespace

std::string IntentKey(FsId fs, PartitionId partition, const TransactionId& id) {
  return TransactionKey(fs, partition, KeyKind::kIntent, id);
}
std::string DecisionKey(FsId fs, PartitionId coordinator, const TransactionId& id) {
  return TransactionKey(fs, coordinator, KeyKind::kDecision, id);
}

bool ParseKey(std::string_view key, ParsedKey* out) {
  *out = {};
  ByteReader r(key);
  out->fs = FsId(static_cast<uint32_t>(r.Be(4)));
  out->partition = PartitionId(static_cast<uint32_t>(r.Be(3)));
  std::string_view kind = r.Bytes(1);
  if (!r.ok()) return false;
  out->kind = static_cast<KeyKind>(kind[0]);
  switch (out->kind) {
    case KeyKind::kInode:
    case KeyKind::kOrphan:
    case KeyKind::kDentry:
    case KeyKind::kChunk:
    case KeyKind::kXattr:
    case KeyKind::kLink:
    case KeyKind::kQuota:
      out->inode = MakeInodeId(out->partition, r.Be(5));
      break;
    case KeyKind::kFree:
    case KeyKind::kRefs:
    case KeyKind::kShared:
      out->chunk = ChunkId(r.Be(8));
      break;
    case KeyKind::kSession:
    case KeyKind::kOutcome:
      out->session = r.Be(8);
      if (out->kind == KeyKind::kOutcome) out->sequence = r.Be(8);
      break;
    case KeyKind::kPartition:
    case KeyKind::kSuperBlock:
    case KeyKind::kMutex:
      break;
    case KeyKind::kIntent:
    case KeyKind::kDecision:
      out->transaction.high = r.Be(8);
      out->transaction.low = r.Be(8);
      break;
    case KeyKind::kLock:
      out->name = r.Bytes(r.remaining());
      return !out->name.empty();
    default:
      return false;
  }
  if (out->kind == KeyKind::kDentry) {
    out->name_hash = r.Be(kNameHashBytes);
    out->name = r.Bytes(r.remaining());
    return r.ok() && !out->name.empty();
  }
  if (out->kind == KeyKind::kLink) out->parent = InodeId(r.Be(8));
  if (out->kind == KeyKind::kXattr || out->kind == KeyKind::kLink) {
    out->name = r.Bytes(r.remaining());
    return r.ok() && !out->name.empty();
  }
  if (out->kind == KeyKind::kChunk) {
    out->chunk_index = static_cast<uint32_t>(r.Be(4));
    out->sequence = r.Be(8);
  }
  return r.ok() && r.remaining() == 0;
}

uint64_t NameHash(uint64_t seed, std::string_view name) {
  return XXH3_64bits_withSeed(name.data(), name.size(), seed) & kNameHashMask;
}

}  // namespace curvefs::meta
