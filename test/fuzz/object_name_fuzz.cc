// Names of objects: whatever parses is written back as it was.
#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "object/object_store.h"

using namespace curvefs;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto name = object::ObjectName::Parse(text);
  if (!name) return 0;
  CURVEFS_CHECK(name->ToString() == text);
  CURVEFS_CHECK(static_cast<bool>(name->chunk));
  return 0;
}
