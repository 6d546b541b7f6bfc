#include "object/object_format.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace curvefs::object {
namespace {

// The digest covers the table and the length, so that an object cut or grown by whole units differs too.
uint32_t DigestOf(std::string_view table, uint64_t data_bytes) {
  uint32_t crc = Crc32c(table);
  return Crc32c(crc, reinterpret_cast<const char*>(&data_bytes), sizeof data_bytes);
}

// A zero page to compute checksums of holes from.
constexpr char kZeroUnit[kChecksumUnit] = {};

}  // namespace

std::optional<uint64_t> DataBytesOf(uint64_t file_bytes) {
  if (file_bytes < kFooterBytes || file_bytes > kMaxObjectFile) return std::nullopt;
  const uint64_t units =
      UnitsOf((file_bytes - kFooterBytes) * kChecksumUnit / (kChecksumUnit + sizeof(uint32_t)));
  for (uint64_t n : {units, units + 1}) {
    const uint64_t table = n * sizeof(uint32_t) + kFooterBytes;
    if (file_bytes >= table && UnitsOf(file_bytes - table) == n) return file_bytes - table;
  }
  return std::nullopt;
}

Trailer MakeTrailer(const BufferList& data) {
  Trailer t;
  const uint64_t total = TotalSize(data);
  t.bytes.reserve(TrailerBytes(total));
  uint32_t crc = 0;
  size_t in_unit = 0;
  for (const auto& slice : data) {
    for (size_t at = 0; at < slice.size;) {
      const size_t n = std::min(slice.size - at, kChecksumUnit - in_unit);
      crc = Crc32c(crc, slice.is_zero() ? kZeroUnit : slice.data() + at, n);
      at += n;
      in_unit += n;
      if (in_unit == kChecksumUnit) {
        PutLe<uint32_t>(&t.bytes, crc);
        crc = 0;
        in_unit = 0;
      }
    }
  }
  if (in_unit > 0) PutLe<uint32_t>(&t.bytes, crc);
  t.digest = DigestOf(t.bytes, total);
  t.bytes += kObjectMagic;
  PutLe<uint32_t>(&t.bytes, kObjectVersion);
  PutLe<uint32_t>(&t.bytes, static_cast<uint32_t>(kChecksumUnit));
  PutLe<uint64_t>(&t.bytes, total);
  PutLe<uint32_t>(&t.bytes, Crc32c(t.bytes));
  return t;
}

uint64_t ChecksumTable::FindDamage(uint64_t first, const char* bytes, size_t n) const {
  for (uint64_t unit = first; n > 0; ++unit) {
    const size_t len = std::min(n, kChecksumUnit);
    if (unit >= units.size() || Crc32c(0, bytes, len) != units[unit]) return unit * kChecksumUnit;
    bytes += len;
    n -= len;
  }
  return ~uint64_t{0};
}

Result<ChecksumTable> ParseTrailer(uint64_t file_bytes, std::string_view tail) {
  if (file_bytes < kFooterBytes || tail.size() < kFooterBytes || tail.size() > file_bytes) {
    return Fail(Code::kCorrupt, "the file is cut short: " + std::to_string(file_bytes) + " bytes");
  }
  ByteReader footer(tail.substr(tail.size() - kFooterBytes));
  const auto magic = footer.Bytes(kObjectMagic.size());
  const auto version = footer.Le<uint32_t>();
  const auto unit = footer.Le<uint32_t>();
  const auto data_bytes = footer.Le<uint64_t>();
  const auto crc = footer.Le<uint32_t>();
  if (magic != kObjectMagic)
    return Fail(Code::kCorrupt, "there is no footer at its end (cut short, or foreign)");
  if (version > kObjectVersion) {
    return Fail(Code::kUnsupportedVersion, "it has format version " + std::to_string(version) +
                                               "; this program knows up to " +
                                               std::to_string(kObjectVersion));
  }
  if (unit != kChecksumUnit || data_bytes > kMaxObjectData ||
      file_bytes != data_bytes + TrailerBytes(data_bytes)) {
    return Fail(Code::kCorrupt,
                "its footer does not fit its size of " + std::to_string(file_bytes) + " bytes");
  }
  const uint64_t trailer_bytes = TrailerBytes(data_bytes);
  if (tail.size() < trailer_bytes) return Fail(Code::kCorrupt, "its checksum table is cut short");
  const auto trailer = tail.substr(tail.size() - trailer_bytes);
  if (Crc32c(trailer.substr(0, trailer.size() - sizeof crc)) != crc) {
    return Fail(Code::kCorrupt, "its checksum table is damaged");
  }
  ChecksumTable table;
  table.data_bytes = data_bytes;
  table.units.resize(UnitsOf(data_bytes));
  const auto raw = trailer.substr(0, table.units.size() * sizeof(uint32_t));
  std::copy(raw.begin(), raw.end(), reinterpret_cast<char*>(table.units.data()));
  table.digest = DigestOf(raw, data_bytes);
  return table;
}

}  // namespace curvefs::object
