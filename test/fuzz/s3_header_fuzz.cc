// A line of any bytes is no header, or one with a name in lower case and a value without space around it; a
// Content-Range of any bytes is none, or one that an object can have.
#include <cctype>
#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "object/s3/http.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curvefs::object::s3;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto header = ParseHeader(text)) {
    CURVEFS_CHECK(!header->name.empty() && header->name.size() + header->value.size() < size);
    for (const unsigned char c : header->name) CURVEFS_CHECK(std::tolower(c) == c && c != ':');
    const std::string& v = header->value;
    CURVEFS_CHECK(v.empty() || (!std::isspace(static_cast<unsigned char>(v.front())) || v.front() == '\v' ||
                                v.front() == '\f'));
    CURVEFS_CHECK(v.empty() || (v.back() != '\n' && v.back() != '\r' && v.back() != ' ' && v.back() != '\t'));
  }
  if (auto range = ParseContentRange(text)) {
    CURVEFS_CHECK(range->first <= range->last && range->last < range->total);
  }
  return 0;
}
