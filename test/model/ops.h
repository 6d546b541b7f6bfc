// The operations of the random test: plain values, so that a program of them can be printed, cut down and run
// again.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace curvefs::test {

enum class Kind : uint8_t {
  kLookup,
  kCreate,
  kMkDir,
  kMkNod,
  kSymlink,
  kLink,
  kUnlink,
  kRmDir,
  kRename,
  kReadLink,
  kSetAttr,
  kTruncate,
  kSetXattr,
  kGetXattr,
  kListXattr,
  kRemoveXattr,
  kOpen,
  kTmpFile,
  kLinkSlot,
  kClose,
  kRead,
  kWrite,
  kSlotTruncate,
  kFallocate,
  kCopy,
  kSeek,
  kFsync,
  kSyncFs,
  kFsyncDir,
  kOpenDir,
  kReadDir,
  kSnapshot,
  kCheckAll,
  kRemount,
  kCrash,
  kCount_
};

inline constexpr uint32_t kSlots = 6;     // open files at once
inline constexpr uint32_t kDirSlots = 3;  // open listings at once

// What each field means depends on the kind; see Describe.
struct Op {
  Kind kind = Kind::kLookup;
  std::string a, b;  // paths below the root; b also a symlink's target or an attribute's name
  uint32_t slot = 0, slot2 = 0;
  uint32_t mode = 0;  // permissions; type for kMkNod; RenameMode; fallocate's mode; bits for kSetAttr
  int flags = 0;      // of open(2)
  uint64_t at = 0, at2 = 0, n = 0;
  uint32_t uid = 0, gid = 0;
  uint64_t seed = 0;  // of data; of what a crash keeps
};

std::string Describe(const Op& op);

struct Mix {
  bool remounts = true;
  bool crashes = false;
};
Op RandomOp(std::mt19937_64* random, const Mix& mix);

// n bytes, none of them zero, that depend on the seed.
std::string Fill(uint64_t seed, uint64_t n);

}  // namespace curvefs::test
