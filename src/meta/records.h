// The values of the metadata: plain structs and their protobuf encoding (src/proto/records.proto, SPEC M1 and
// P5).
//
// Decode refuses malformed bytes with kCorrupt; unknown fields, of a newer program, are dropped.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/status.h"

namespace curvefs::meta {

struct Inode {
  InodeId id;         // from the key
  uint32_t mode = 0;  // type and permissions, as in st_mode
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;   // of a directory: 2 + its subdirectories
  uint64_t length = 0;  // bytes; of a directory: number of entries
  Timestamp atime, mtime, ctime;
  uint32_t rdev = 0;  // device nodes, as in st_rdev (32-bit kernel encoding)
  // Of a directory: where it is; the root is its own parent; a removed one has none. Of anything else: its
  // home, the directory where it counts; see Txn::AddDentry.
  InodeId parent;
  std::string symlink;   // the target
  uint64_t version = 0;  // counts changes of the data
  uint32_t flags = 0;    // InodeFlag
  uint64_t bytes = 0;    // held by chunk records

  bool is_dir() const { return S_ISDIR(mode); }
  bool is_file() const { return S_ISREG(mode); }
  bool is_symlink() const { return S_ISLNK(mode); }
};

enum InodeFlag : uint32_t {
  kHasXattrs = 1,      // at least one xattr record may exist
  kHasDefaultAcl = 2,  // directories: a default ACL to be inherited
  kHasAccessAcl = 4,   // an access ACL beyond the mode bits
  kHasQuota = 8,       // directories: a quota record may exist
  kHasLinks = 16,      // files: at least one link record may exist
};

std::string EncodeInode(const Inode& inode);
Result<Inode> DecodeInode(InodeId id, std::string_view value);

struct Dentry {
  InodeId inode;
  uint32_t type = 0;  // mode >> 12, as d_type
};
std::string EncodeDentry(const Dentry& dentry);
Result<Dentry> DecodeDentry(std::string_view value);

// A part of a file's content, [offset, offset + len), within one chunk. Exactly one of: in an object
// (chunk_id set), inline (inline_data, len bytes), or zeros (neither).
struct ChunkRecord {
  uint64_t sequence = 0;  // from the key: commit order; where records overlap, the highest wins
  uint64_t offset = 0;
  uint64_t len = 0;
  ChunkId chunk_id;
  uint32_t block = 0;
  uint32_t compaction = 0;
  InodeId object_inode;        // in the object's name
  uint64_t object_offset = 0;  // where in the object `offset` lies
  uint64_t object_size = 0;
  uint32_t digest = 0;  // as ObjectStore::Put returned it
  std::string inline_data;
  uint32_t inline_crc = 0;  // CRC32C of inline_data

  uint64_t end() const { return offset + len; }
  bool in_object() const { return static_cast<bool>(chunk_id); }
  bool is_inline() const { return !inline_data.empty(); }
  bool is_zeros() const { return !in_object() && !is_inline(); }
};
// `inode` is the file's, for records whose object is named after the file itself.
std::string EncodeChunk(InodeId inode, const ChunkRecord& record);
// Only where the record lies and of what kind it is, without copying its content: a chunk may have thousands
// of records, of which few matter.
struct ChunkExtent {
  uint64_t sequence = 0;
  uint64_t offset = 0;
  uint64_t len = 0;
  bool in_object = false;
  bool is_inline = false;
  uint64_t end() const { return offset + len; }
};
Result<ChunkExtent> PeekChunk(uint64_t sequence, std::string_view value);
Result<ChunkRecord> DecodeChunk(InodeId inode, uint64_t sequence, std::string_view value);

struct PartitionRecord {
  uint64_t next_inode = 0;
  uint64_t next_chunk = 0;
  uint64_t inodes = 0;
  uint64_t bytes = 0;
  uint64_t sweep_from = 0;
};
std::string EncodePartition(const PartitionRecord& record);
Result<PartitionRecord> DecodePartition(std::string_view value);

struct SuperBlock {
  FsId fs;
  std::string name;
  std::string uuid;  // 16 bytes
  InodeId root = kRootInode;
  uint64_t chunk_size = 0;
  uint64_t block_size = 0;
  Timestamp created;
  uint64_t hash_seed = 0;
  uint64_t capacity_bytes = 0;   // 0: no limit
  uint64_t capacity_inodes = 0;  // 0: no limit
  bool homes = false;            // every file with a name has a home, every further name a link record
};
std::string EncodeSuperBlock(const SuperBlock& super);
Result<SuperBlock> DecodeSuperBlock(std::string_view value);

struct FreeObject {
  ChunkId chunk;  // from the key
  uint32_t block = 0;
  uint32_t compaction = 0;
  InodeId inode;
};
std::string EncodeFreeObject(const FreeObject& object);
Result<FreeObject> DecodeFreeObject(ChunkId chunk, std::string_view value);

// Limits of a directory: of the lengths of all files below it, and of the number of inodes below it.
struct Quota {
  uint64_t bytes = 0;   // 0: no limit
  uint64_t inodes = 0;  // 0: no limit
  bool any() const { return bytes > 0 || inodes > 0; }
  friend bool operator==(const Quota&, const Quota&) = default;
};
std::string EncodeQuota(const Quota& quota);
Result<Quota> DecodeQuota(std::string_view value);

// How an object is used by chunk records.
struct ObjectRefs {
  uint64_t count = 0;
  uint64_t live = 0;  // bytes that they hold; 0: not kept, the object is not shared by files
  friend bool operator==(const ObjectRefs&, const ObjectRefs&) = default;
};
std::string EncodeRefs(const ObjectRefs& refs);
Result<ObjectRefs> DecodeRefs(std::string_view value);

// An object that several files were packed into, and the chunks of files that were.
struct SharedObject {
  struct User {
    InodeId inode;
    uint32_t chunk_index = 0;
    friend auto operator<=>(const User&, const User&) = default;
  };
  ChunkId chunk;  // from the key
  uint64_t size = 0;
  std::vector<User> users;
};
std::string EncodeShared(const SharedObject& object);
Result<SharedObject> DecodeShared(ChunkId chunk, std::string_view value);

}  // namespace curvefs::meta
