#include <array>
#include <charconv>

#include "object/object_store.h"

namespace curvefs::object {

std::string ObjectName::ToString() const {
  // Five decimal numbers: at most 20 + 10 + 10 + 10 + 20 digits and four separators.
  std::array<char, 80> text;
  char* p = text.data();
  char* const end = p + text.size();
  p = std::to_chars(p, end, chunk.value).ptr;
  for (uint64_t v : {uint64_t{block}, uint64_t{compaction}, uint64_t{fs.value}, inode.value}) {
    *p++ = '_';
    p = std::to_chars(p, end, v).ptr;
  }
  return std::string(text.data(), p);
}

Result<ObjectName> ObjectName::Parse(std::string_view text) {
  ObjectName name;
  const char* p = text.data();
  const char* const end = p + text.size();
  bool ok = true;
  // Only the form that ToString writes: digits without leading zeros, so that a name has one spelling.
  auto number = [&](auto* out, bool last) {
    if (!ok || p == end || *p < '0' || *p > '9' || (*p == '0' && p + 1 != end && p[1] != '_')) {
      ok = false;
      return;
    }
    auto [next, error] = std::from_chars(p, end, *out);
    ok = error == std::errc() && (last ? next == end : next != end && *next == '_');
    p = last ? next : next + (ok ? 1 : 0);
  };
  number(&name.chunk.value, false);
  number(&name.block, false);
  number(&name.compaction, false);
  number(&name.fs.value, false);
  number(&name.inode.value, true);
  if (!ok || !name.chunk)
    return Fail(Code::kInvalid, "not an object name: " + std::string(text.substr(0, 100)));
  return name;
}

}  // namespace curvefs::object
