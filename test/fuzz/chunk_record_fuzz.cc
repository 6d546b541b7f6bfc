// Chunk records: what decodes is within its bounds, survives encoding, and resolves.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/extents.h"
#include "meta/records.h"

using namespace curvefs;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr InodeId kInode{5};
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto record = meta::DecodeChunk(kInode, 7, bytes);
  if (!record) return 0;
  CURVEFS_CHECK(record->len > 0 && record->end() > record->offset);
  CURVEFS_CHECK(!record->is_inline() || record->inline_data.size() == record->len);
  if (record->in_object()) CURVEFS_CHECK(record->object_offset + record->len <= record->object_size);

  const std::string encoded = meta::EncodeChunk(kInode, *record);
  auto again = meta::DecodeChunk(kInode, 7, encoded);
  CURVEFS_CHECK(again && meta::EncodeChunk(kInode, *again) == encoded);

  uint64_t at = record->offset / 2;
  for (const auto& piece : data::Resolve({*record}, at, ~uint64_t{0} - at)) {
    CURVEFS_CHECK(piece.offset == at && piece.len > 0);
    at = piece.end();
  }
  CURVEFS_CHECK(at == ~uint64_t{0});
  return 0;
}
