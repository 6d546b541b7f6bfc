#include "object/s3/http.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace curvefs::object::s3 {

std::optional<Header> ParseHeader(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == line.npos || colon == 0 || line.starts_with("HTTP/")) return std::nullopt;
  Header h{.name = std::string(line.substr(0, colon)), .value = {}};
  std::ranges::transform(h.name, h.name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  line.remove_prefix(colon + 1);
  const size_t begin = std::min(line.find_first_not_of(" \t\r\n"), line.size());
  const size_t end = line.find_last_not_of(" \t\r\n") + 1;
  if (end > begin) h.value = line.substr(begin, end - begin);
  return h;
}

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  // A number and what must follow it.
  auto number = [&text](std::string_view mark, uint64_t* out) {
    const size_t digits = mark.empty() ? text.size() : text.find(mark);
    if (digits == text.npos) return false;
    auto [end, error] = std::from_chars(text.data(), text.data() + digits, *out);
    if (error != std::errc() || end != text.data() + digits) return false;
    text.remove_prefix(digits + mark.size());
    return true;
  };
  ContentRange r;
  if (!number("-", &r.first) || !number("/", &r.last) || !number("", &r.total)) return std::nullopt;
  if (r.first > r.last || r.last >= r.total) return std::nullopt;
  return r;
}

}  // namespace curvefs::object::s3
