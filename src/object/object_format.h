// The object file: data, a table of CRC32Cs, a footer (docs/FORMATS.md "Object file"). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/limits.h"
#include "base/status.h"

namespace curvefs::object {

inline constexpr std::string_view kObjectMagic{"CFSOBJ1\0", 8};
inline constexpr uint32_t kObjectVersion = 1;
inline constexpr size_t kFooterBytes = 28;  // magic 8, version 4, checksum unit 4, data length 8, CRC32C 4

inline constexpr uint64_t UnitsOf(uint64_t data_bytes) {
  return (data_bytes + kChecksumUnit - 1) / kChecksumUnit;
}
inline constexpr uint64_t TrailerBytes(uint64_t data_bytes) {
  return UnitsOf(data_bytes) * sizeof(uint32_t) + kFooterBytes;
}
// The data of an object file that is so long; none: no object file is.
std::optional<uint64_t> DataBytesOf(uint64_t file_bytes);
inline constexpr uint64_t kMaxTrailerBytes = TrailerBytes(kMaxObjectData);
inline constexpr uint64_t kMaxObjectFile = kMaxObjectData + kMaxTrailerBytes;

// What follows the data in the file, and the digest that Put returns.
struct Trailer {
  std::string bytes;
  uint32_t digest = 0;
};
Trailer MakeTrailer(const BufferList& data);

// The checksums of one object.
struct ChecksumTable {
  uint64_t data_bytes = 0;
  uint32_t digest = 0;
  std::vector<uint32_t> units;

  // Checks `n` bytes that begin at unit `first` and end at a unit's end or the data's end. Returns the offset
  // in the object of the first unit that is damaged, or ~0.
  uint64_t FindDamage(uint64_t first, const char* bytes, size_t n) const;
};

// Takes apart the end of an object file that is `file_bytes` long. `tail` is its last min(file_bytes,
// kMaxTrailerBytes) bytes or more. kCorrupt with the reason (without the object's name); kUnsupportedVersion.
Result<ChecksumTable> ParseTrailer(uint64_t file_bytes, std::string_view tail);

}  // namespace curvefs::object
