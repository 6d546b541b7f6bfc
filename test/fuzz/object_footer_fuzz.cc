// The end of an object file: any bytes are an object or an error, and what is an object is the one that was
// written.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "object/object_format.h"

using namespace curvefs;
using namespace curvefs::object;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);

  // The input as a file.
  auto table = ParseTrailer(bytes.size(), bytes);
  if (table) {
    CURVEFS_CHECK(table->data_bytes + TrailerBytes(table->data_bytes) == bytes.size());
    CURVEFS_CHECK(table->units.size() == UnitsOf(table->data_bytes));
    if (table->FindDamage(0, bytes.data(), table->data_bytes) == ~uint64_t{0}) {
      // Whole: then it is what we write for that data.
      auto trailer = MakeTrailer({BufferSlice::CopyOf(bytes.substr(0, table->data_bytes))});
      CURVEFS_CHECK(trailer.bytes == bytes.substr(table->data_bytes));
      CURVEFS_CHECK(trailer.digest == table->digest);
    }
  }
  // The same bytes as the end of a longer file.
  (void)ParseTrailer(bytes.size() + 4096, bytes);

  // The input as data: what is written is read back.
  auto trailer = MakeTrailer({BufferSlice::CopyOf(bytes)});
  auto again = ParseTrailer(bytes.size() + trailer.bytes.size(), trailer.bytes);
  CURVEFS_CHECK(again && again->digest == trailer.digest && again->data_bytes == size);
  CURVEFS_CHECK(again->FindDamage(0, bytes.data(), size) == ~uint64_t{0});
  return 0;
}
