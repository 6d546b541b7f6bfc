// Keys of the metadata in the KVStore (docs/FORMATS.md "Keys").
//
// Every key begins with fs (4 bytes), partition (3), kind (1), all big-endian, so byte order is the order we
// list in, and what belongs together is adjacent: a directory's entries, an inode's chunk records, its
// extended attributes.
//
//   kind 'I' inode      + inode counter (5)
//   kind 'D' dentry     + parent's inode counter (5) + hash of the name (7) + name
//   kind 'C' chunk      + inode counter (5) + chunk index (4) + sequence (8)
//   kind 'X' xattr      + inode counter (5) + name
//   kind 'O' orphan     + inode counter (5)          unlinked (or not yet linked) but perhaps open; reclaimed
//                                                    when closed
//   kind 'F' free       + chunk id (8)               an object to be deleted
//   kind 'R' refs       + chunk id (8)               how many chunk records use an object, if not one
//   kind 'U' shared     + chunk id (8)               the files that were packed into an object
//   kind 'L' link       + inode counter (5) + parent's inode id (8) + name    a further name of a file
//   kind 'Q' quota      + inode counter (5)          of a directory
//   kind 'P' partition                               counters
//   kind 'S' super block                             partition 0 only
//
// of transactions between partitions (meta/transaction.h), in the partition that they speak of:
//
//   kind 'K' lock       + the locked key from its kind on
//   kind 'T' intent     + transaction (16)
//   kind 'V' decision   + transaction (16)           in the coordinator's partition
//   kind 'M' mutex                                   partition 0 only: never stored, only locked
//
// and of the copyset itself (meta/session.h), with fs and partition 0:
//
//   kind 'E' session    + session (8)                session 0: the last id handed out
//   kind 'Y' outcome    + session (8) + sequence (8) of a request that is not acknowledged
//
// The inode counter is the low 40 bits of an inode id; its high bits are the partition. An inode's chunk,
// xattr and orphan records lie in the inode's partition; a dentry in its parent's (SPEC M2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace curvefs::meta {

enum class KeyKind : char {
  kInode = 'I',
  kDentry = 'D',
  kChunk = 'C',
  kXattr = 'X',
  kOrphan = 'O',
  kFree = 'F',
  kRefs = 'R',
  kLink = 'L',
  kQuota = 'Q',
  kShared = 'U',
  kPartition = 'P',
  kSuperBlock = 'S',
  kSession = 'E',
  kOutcome = 'Y',
  kLock = 'K',
  kIntent = 'T',
  kDecision = 'V',
  kMutex = 'M',
};

// Names a transaction between partitions: random, so no two are the same.
struct TransactionId {
  uint64_t high = 0, low = 0;
  friend auto operator<=>(const TransactionId&, const TransactionId&) = default;
};

inline constexpr size_t kKeyHeader = 8;                 // fs, partition, kind
inline constexpr size_t kInodePrefix = kKeyHeader + 5;  // + inode counter
inline constexpr int kNameHashBytes = 7;
inline constexpr uint64_t kNameHashMask = (uint64_t{1} << (8 * kNameHashBytes)) - 1;

std::string KindPrefix(FsId fs, PartitionId partition, KeyKind kind);
std::string InodePrefix(FsId fs, KeyKind kind, InodeId inode);

inline std::string InodeKey(FsId fs, InodeId inode) {
  return InodePrefix(fs, KeyKind::kInode, inode);
}
inline std::string OrphanKey(FsId fs, InodeId inode) {
  return InodePrefix(fs, KeyKind::kOrphan, inode);
}
std::string XattrKey(FsId fs, InodeId inode, std::string_view name);
std::string DentryKey(FsId fs, InodeId parent, uint64_t name_hash, std::string_view name);
// All entries of `parent` whose hash is >= name_hash begin here.
std::string DentryHashPrefix(FsId fs, InodeId parent, uint64_t name_hash);
std::string ChunkPrefix(FsId fs, InodeId inode, uint32_t chunk_index);
std::string ChunkKey(FsId fs, InodeId inode, uint32_t chunk_index, uint64_t sequence);
std::string FreeKey(FsId fs, PartitionId partition, ChunkId chunk);
std::string RefsKey(FsId fs, PartitionId partition, ChunkId chunk);
std::string LinkKey(FsId fs, InodeId inode, InodeId parent, std::string_view name);
inline std::string QuotaKey(FsId fs, InodeId dir) {
  return InodePrefix(fs, KeyKind::kQuota, dir);
}
std::string SharedKey(FsId fs, PartitionId partition, ChunkId chunk);
std::string PartitionKey(FsId fs, PartitionId partition);
std::string SuperBlockKey(FsId fs);
std::string SessionKey(uint64_t session);
std::string OutcomePrefix(uint64_t session);
std::string OutcomeKey(uint64_t session, uint64_t sequence);

// The lock of a key, or of all keys that begin with a prefix; both are longer than fs and partition.
std::string LockKey(std::string_view key);
std::string IntentKey(FsId fs, PartitionId partition, const TransactionId& id);
std::string DecisionKey(FsId fs, PartitionId coordinator, const TransactionId& id);
// Whose lock is held by whoever moves a directory into another one across partitions.
inline std::string DirectoryRenameKey(FsId fs) {
  return KindPrefix(fs, PartitionId(0), KeyKind::kMutex);
}

// Takes a key apart. Fields that the kind does not have stay zero.
struct ParsedKey {
  FsId fs;
  PartitionId partition;
  KeyKind kind{};
  InodeId inode;              // I D C X O L Q (of a dentry: the parent)
  uint64_t name_hash = 0;     // D
  std::string_view name;      // D X L; K: the locked key from its kind on; points into the key
  InodeId parent;             // L
  uint32_t chunk_index = 0;   // C
  uint64_t sequence = 0;      // C Y
  ChunkId chunk;              // F R U
  uint64_t session = 0;       // E Y
  TransactionId transaction;  // T V
};
bool ParseKey(std::string_view key, ParsedKey* out);  // false if it is not one of ours

// The place of a name in its directory's order: 56 bits of XXH3-64 of the name with the file system's seed.
uint64_t NameHash(uint64_t seed, std::string_view name);

}  // namespace curvefs::meta
