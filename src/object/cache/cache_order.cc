#include "object/cache/cache_order.h"

#include "base/bytes.h"
#include "base/hash.h"

namespace curvefs::object {
namespace {

constexpr std::string_view kMagic{"CFSORDER", 8};
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 20;  // magic 8, version 4, count 8
constexpr size_t kEntryBytes = 36;   // chunk 8, block 4, compaction 4, fs 4, inode 8, bytes 8
constexpr size_t kChecksumBytes = 8;

}  // namespace

std::string EncodeCacheOrder(std::span<const CachedObject> objects) {
  std::string out;
  out.reserve(kHeaderBytes + objects.size() * kEntryBytes + kChecksumBytes);
  out += kMagic;
  PutLe<uint32_t>(&out, kVersion);
  PutLe<uint64_t>(&out, objects.size());
  for (const auto& [name, bytes] : objects) {
    PutLe<uint64_t>(&out, name.chunk.value);
    PutLe<uint32_t>(&out, name.block);
    PutLe<uint32_t>(&out, name.compaction);
    PutLe<uint32_t>(&out, name.fs.value);
    PutLe<uint64_t>(&out, name.inode.value);
    PutLe<uint64_t>(&out, bytes);
  }
  PutLe<uint64_t>(&out, Xxh3(out));
  return out;
}

Result<std::vector<CachedObject>> DecodeCacheOrder(std::string_view bytes) {
  ByteReader reader(bytes);
  const auto magic = reader.Bytes(kMagic.size());
  const auto version = reader.Le<uint32_t>();
  const auto count = reader.Le<uint64_t>();
  if (!reader.ok() || magic != kMagic) return Fail(Code::kCorrupt, "it does not begin as one");
  if (version > kVersion) {
    return Fail(Code::kUnsupportedVersion, "it has version " + std::to_string(version));
  }
  if (version == 0 || count > kMaxCachedObjects ||
      bytes.size() != kHeaderBytes + count * kEntryBytes + kChecksumBytes) {
    return Fail(Code::kCorrupt, "its size does not fit what it says");
  }
  const auto covered = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (GetLe<uint64_t>(bytes.data() + covered.size()) != Xxh3(covered)) {
    return Fail(Code::kCorrupt, "its checksum is wrong");
  }
  std::vector<CachedObject> objects(count);
  for (auto& [name, size] : objects) {
    name.chunk = ChunkId(reader.Le<uint64_t>());
    name.block = reader.Le<uint32_t>();
    name.compaction = reader.Le<uint32_t>();
    name.fs = FsId(reader.Le<uint32_t>());
    name.inode = InodeId(reader.Le<uint64_t>());
    size = reader.Le<uint64_t>();
  }
  return objects;
}

}  // namespace curvefs::object
