// Any text as a wrapped key is refused, or asks for something that we know. Opening it is tried where that is
// cheap.
#include <cstdint>
#include <string_view>

#include "object/coded/data_key.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curvefs;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto with = object::WrappedWith(text);
  CURVEFS_CHECK(!with || *with == "passphrase" || *with == "rsa key");
  const bool cheap = text.starts_with("rsa-oaep-sha256:") || text.starts_with("scrypt:4:");
  if (with && cheap) CURVEFS_CHECK(!object::Unwrap(text, "uuid", "a passphrase"));
  return 0;
}
