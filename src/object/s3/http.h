// What of HTTP the client takes apart itself. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace curvefs::object::s3 {

struct Header {
  std::string name;  // in lower case
  std::string value;
};
// A line of an answer's head, with or without its end. None: it is not a header, like a status line.
std::optional<Header> ParseHeader(std::string_view line);

// "bytes 0-9/100".
struct ContentRange {
  uint64_t first = 0, last = 0;  // both within
  uint64_t total = 0;
};
// None also for a range that no object has.
std::optional<ContentRange> ParseContentRange(std::string_view text);

}  // namespace curvefs::object::s3
