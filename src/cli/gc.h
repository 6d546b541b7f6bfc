// gc: objects that no metadata name (docs/OPERATIONS.md "Space"). What a crash leaves behind the next mount
// removes by itself; gc finds what comes from elsewhere, like metadata restored from an older backup.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/disk.h"
#include "base/status.h"
#include "object/object_store.h"

namespace curvefs::cli {

struct GcOptions {
  bool remove = false;
  Duration older_than = std::chrono::hours(1);  // younger ones are kept; 0: the age is not asked for
  std::function<void(uint64_t done, uint64_t total)> progress;  // objects looked at or deleted; may be null
};

struct GcObject {
  object::ObjectName name;
  uint64_t size = 0;  // 0 if it cannot be read
  Duration age = Duration();
};

struct GcReport {
  static constexpr size_t kMaxListed = 1000;  // the rest are counted
  std::vector<GcObject> objects;              // old enough
  uint64_t found = 0, bytes = 0;              // old enough
  uint64_t kept_young = 0;
  uint64_t deleted = 0;
  uint64_t in_use = 0, waiting = 0;  // objects that files use, and that the next mount deletes
};

// The file system in `dir` is used by nobody. `objects`: null for its own. kCorrupt: the metadata have
// errors, so they cannot say which objects are used. kNotSupported: the store does not know ages, and one was
// asked for.
Result<GcReport> Gc(Disk& disk, const Clock& clock, const std::string& dir, const GcOptions& options,
                    object::ObjectStore* objects = nullptr);

}  // namespace curvefs::cli
