// View: read access to ordered key/value pairs. The rules of the file system (src/meta) read nothing else.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::kv {

class View {
 public:
  virtual ~View() = default;

  // Fills *value and returns ok, or kNotFound (without a message), or kIo / kCorrupt from a disk engine.
  virtual Status Get(std::string_view key, std::string* value) const = 0;

  // Calls visit(key, value) for the pairs with begin <= key < end, in byte order of the keys, until it
  // returns false. An empty `end` means "to the last key". The arguments are valid during the call only;
  // `visit` must not change the store; it may read it.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;
  virtual Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const = 0;
};

// The smallest key that is greater than every key starting with `prefix`; empty if there is none.
std::string PrefixEnd(std::string_view prefix);

}  // namespace curvefs::kv
