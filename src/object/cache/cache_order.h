// The order of use of what a cache disk holds, as kept over a restart (docs/FORMATS.md "Cache directory").
// Pure.
//
// It is a hint: what it names and is not there is passed over, what is there and not named counts as used
// last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "object/object_store.h"

namespace curvefs::object {

struct CachedObject {
  ObjectName name;
  uint64_t bytes = 0;  // of its file

  friend bool operator==(const CachedObject&, const CachedObject&) = default;
};

inline constexpr size_t kMaxCachedObjects = 2'000'000;  // of one cache disk

// `objects`: the least recently used first; at most kMaxCachedObjects.
std::string EncodeCacheOrder(std::span<const CachedObject> objects);
// kCorrupt, kUnsupportedVersion.
Result<std::vector<CachedObject>> DecodeCacheOrder(std::string_view bytes);

}  // namespace curvefs::object
