// A location or an endpoint of any bytes is refused, or comes back as it is written, and its addresses are
// clean.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "object/s3/location.h"

namespace {

void CheckAddress(const curvefs::object::s3::Address& address) {
  CURVEFS_CHECK(!address.host.empty() && address.host.find_first_of("\r\n \t/") == std::string::npos);
  CURVEFS_CHECK(address.path.starts_with('/'));
  for (const char c : address.path) CURVEFS_CHECK(c > ' ' && c < 127);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curvefs;
  using namespace curvefs::object::s3;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto location = Location::Parse(text)) {
    auto again = Location::Parse(location->ToString());
    CURVEFS_CHECK(again && again->bucket == location->bucket && again->prefix == location->prefix);
    const std::string key = location->Key("objects/x");
    CURVEFS_CHECK(!key.starts_with('/') && key.ends_with("objects/x"));
    for (Style style : {Style::kPath, Style::kVirtual})
      CheckAddress(AddressOf({.tls = true, .authority = "host:1"}, style, location->bucket, key));
  } else {
    CURVEFS_CHECK(location.error().code() == Code::kInvalid);
  }
  if (auto endpoint = Endpoint::Parse(text)) {
    auto again = Endpoint::Parse(endpoint->ToString());
    CURVEFS_CHECK(again && again->tls == endpoint->tls && again->authority == endpoint->authority);
    for (Style style : {Style::kPath, Style::kVirtual})
      CheckAddress(AddressOf(*endpoint, style, "bucket", text));
  } else {
    CURVEFS_CHECK(endpoint.error().code() == Code::kInvalid);
  }
  return 0;
}
