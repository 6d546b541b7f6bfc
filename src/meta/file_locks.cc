#include "meta/file_locks.h"

#include <algorithm>

namespace curvefs::meta {
namespace {

bool SameOwner(const FileLock& a, const FileLock& b) {
  return a.kind == b.kind && a.session == b.session && a.owner == b.owner;
}

bool Joinable(const FileLock& a, const FileLock& b) {
  const bool touch = a.Overlaps(b) || (a.last < b.begin && a.last + 1 == b.begin) ||
                     (b.last < a.begin && b.last + 1 == a.begin);
  return touch && SameOwner(a, b) && a.type == b.type && a.handle == b.handle && a.pid == b.pid;
}

}  // namespace

const FileLock* FileLocks::Conflict(const FileLock& wanted) const {
  if (wanted.type == LockType::kUnlock) return nullptr;
  for (const FileLock& held : locks_) {
    if (held.kind != wanted.kind || SameOwner(held, wanted) || !held.Overlaps(wanted)) continue;
    if (held.type == LockType::kWrite || wanted.type == LockType::kWrite) return &held;
  }
  return nullptr;
}

void FileLocks::Apply(const FileLock& lock) {
  std::vector<FileLock> pieces;  // what is left of those that are cut
  std::erase_if(locks_, [&](const FileLock& held) {
    if (!SameOwner(held, lock) || !held.Overlaps(lock)) return false;
    if (held.begin < lock.begin) {
      pieces.push_back(held);
      pieces.back().last = lock.begin - 1;
    }
    if (held.last > lock.last) {
      pieces.push_back(held);
      pieces.back().begin = lock.last + 1;
    }
    return true;
  });
  locks_.insert(locks_.end(), pieces.begin(), pieces.end());
  if (lock.type == LockType::kUnlock) return;
  FileLock joined = lock;
  std::erase_if(locks_, [&](const FileLock& held) {
    if (!Joinable(held, joined)) return false;
    joined.begin = std::min(joined.begin, held.begin);
    joined.last = std::max(joined.last, held.last);
    return true;
  });
  locks_.push_back(joined);
}

bool FileLocks::Drop(const std::function<bool(const FileLock&)>& which) {
  return std::erase_if(locks_, which) > 0;
}

}  // namespace curvefs::meta
