// The snapshot file, SPEC P2 (docs/FORMATS.md "Snapshot file"): magic CURVEFS, version, number of pairs, the
// pairs in key order, an end mark, a checksum over all before it.
//
// The sequence number that the state stands at is itself a pair, under a key that is no key of a file system
// (kAppliedKey), at its place in the order, so the format needs no field of its own for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/status.h"

namespace curvefs::kv {

inline constexpr std::string_view kSnapshotMagic = "CURVEFS";
inline constexpr uint32_t kSnapshotVersion = 1;
inline constexpr std::string_view kAppliedKey{"\0applied", 8};  // value: 8 bytes little-endian

// Writes a snapshot to `path` as a stream; nothing is visible there before Finish, which syncs and renames.
class SnapshotWriter {
 public:
  // `pairs` is the exact number of Add calls to come.
  static Result<std::unique_ptr<SnapshotWriter>> Create(Disk& disk, const std::string& path, uint64_t pairs);
  virtual ~SnapshotWriter() = default;  // without Finish: removes the temporary file
  virtual Status Add(std::string_view key, std::string_view value) = 0;
  virtual Status Finish() = 0;  // once; CHECKs that the announced number of pairs has been added
};

// Calls visit for every pair. Verifies structure, strictly ascending keys and checksum of the whole file
// *before* the first call, in bounded memory. kNotFound if there is no file; kCorrupt naming path and offset;
// kUnsupportedVersion.
Status ReadSnapshot(Disk& disk, const std::string& path,
                    const std::function<void(std::string_view key, std::string_view value)>& visit);

}  // namespace curvefs::kv
