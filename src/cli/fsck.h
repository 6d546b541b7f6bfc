// fsck: is what lies in a directory a sound file system, and if not, make it one (docs/OPERATIONS.md "fsck").
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/status.h"
#include "cli/data_stack.h"
#include "object/object_store.h"

namespace curvefs::cli {

struct FsckOptions {
  bool repair = false;  // repair what can be repaired; else nothing is changed
  bool deep = false;    // read and verify every object
  Secret secret;        // of an encrypted file system; needed to read its objects
  std::function<void(uint64_t done, uint64_t total)> progress;  // objects looked at; may be null
};

// One thing found. `kind` is a fixed word ("link-count"), `what` a sentence with inode and path.
struct Finding {
  enum class Level {
    kNote,        // not wrong: space that can be had back, orphans that the next mount reclaims
    kRepairable,  // wrong; --repair mends it
    kLost,        // wrong, and the bytes are gone: nothing here can bring them back
  };
  Level level = Level::kNote;
  std::string kind;
  std::string what;
};

struct FsckReport {
  static constexpr size_t kMaxFindings = 1000;  // kept word for word; the rest are counted
  std::vector<Finding> findings;                // of the first pass; with repair, also what is left after it
  std::map<std::string, uint64_t> counts;       // by kind, of the first pass
  uint64_t errors = 0;                          // in the first pass
  uint64_t errors_left = 0;                     // after repair; without, as errors
  uint64_t repaired = 0;                        // errors and removed leaks
  uint64_t directories = 0, files = 0, others = 0, orphans = 0, objects = 0, leaked = 0, verified = 0;
  uint64_t bytes = 0;  // of file content that records hold
  uint64_t leaked_bytes = 0;
  uint64_t journal_batches = 0;
};

// Checks the file system in `dir`, which nobody uses. `objects`: null for the files below it. An error: it
// could not be checked at all (kNotFound, kBusy, kIo), or its snapshot or journal is corrupt (kCorrupt; a
// corrupt journal is cut with repair).
Result<FsckReport> Fsck(Disk& disk, const std::string& dir, const FsckOptions& options,
                        object::ObjectStore* objects = nullptr);

}  // namespace curvefs::cli
