// FileLocks: the advisory locks of one file, as fcntl(2) and flock(2) mean them. Pure; used by the copyset's
// leader for the locks of all sessions, and by a client for its own.
//
// Locks of different kinds do not see one another. An owner never conflicts with itself: what it asks for
// replaces what it has in the same range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace curvefs::meta {

enum class LockKind : uint8_t {
  kRange = 1,   // fcntl, POSIX and OFD: of bytes
  kWhole = 2,   // flock: of the file
  kAppend = 3,  // our own: held by a mount while it appends
};
enum class LockType : uint8_t { kUnlock = 0, kRead = 1, kWrite = 2 };

struct FileLock {
  LockKind kind = LockKind::kRange;
  LockType type = LockType::kWrite;
  uint64_t session = 0;  // on the leader: whose; on a client: under which it was got
  uint64_t owner = 0;    // within the session
  uint64_t begin = 0;
  uint64_t last = ~uint64_t{0};  // the last byte, itself locked; begin <= last
  uint32_t pid = 0;              // for F_GETLK
  uint64_t handle = 0;           // on a client: the open file that it was got through

  bool Overlaps(const FileLock& o) const { return begin <= o.last && o.begin <= last; }
  friend bool operator==(const FileLock&, const FileLock&) = default;
};

class FileLocks {
 public:
  // A lock of somebody else that is in the way; null if there is none. Valid until the next change.
  const FileLock* Conflict(const FileLock& wanted) const;
  // Sets, changes or (kUnlock) takes away what `lock` says of its owner's, whatever others have.
  void Apply(const FileLock& lock);
  // Returns whether there was any.
  bool Drop(const std::function<bool(const FileLock&)>& which);

  const std::vector<FileLock>& all() const { return locks_; }
  bool empty() const { return locks_.empty(); }
  size_t size() const { return locks_.size(); }

 private:
  std::vector<FileLock> locks_;  // those of one owner and kind do not overlap
};

}  // namespace curvefs::meta
