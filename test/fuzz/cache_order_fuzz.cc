// Any bytes are refused, or are exactly what writing their objects gives. With a first byte of 1 the checksum
// is put right first.
#include <cstdint>
#include <cstring>
#include <string>

#include "base/hash.h"
#include "object/cache/cache_order.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curvefs;
  if (size == 0) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 1 && bytes.size() >= 8) {
    const uint64_t checksum = Xxh3(std::string_view(bytes).substr(0, bytes.size() - 8));
    std::memcpy(bytes.data() + bytes.size() - 8, &checksum, sizeof checksum);
  }
  auto objects = object::DecodeCacheOrder(bytes);
  if (objects) {
    CURVEFS_CHECK(object::EncodeCacheOrder(*objects) == bytes);
  } else {
    CURVEFS_CHECK(objects.error().code() == Code::kCorrupt ||
                  objects.error().code() == Code::kUnsupportedVersion);
  }
  return 0;
}
