// A credentials file of any bytes, asked for a profile of any name (the first line), gives keys that are not
// empty and have no space or line end in them, or says what it lacks.
#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "object/s3/credentials.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curvefs;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view profile = text.substr(0, text.find('\n'));
  text.remove_prefix(profile.size());
  auto keys = object::s3::ParseCredentials(text, profile);
  if (!keys) {
    CURVEFS_CHECK(keys.error().code() == Code::kNotFound || keys.error().code() == Code::kInvalid);
    return 0;
  }
  CURVEFS_CHECK(!keys->access_key.empty() && !keys->secret_key.empty());
  for (const std::string& key : {keys->access_key, keys->secret_key, keys->session_token}) {
    CURVEFS_CHECK(key.find_first_of("\r\n") == key.npos);
    CURVEFS_CHECK(key.empty() || (key.front() != ' ' && key.back() != ' '));
  }
  return 0;
}
