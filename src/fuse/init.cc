#include "fuse/init.h"

#include <algorithm>

namespace curvefs::fuse {
namespace {

constexpr uint32_t kOldestMinor = 28;  // Linux 4.20: MAX_PAGES
constexpr uint32_t kPage = 4096;

// Requests that the kernel may have under way without a process waiting for each: read-ahead and write-back.
// Its default of 12 keeps eight workers from being busy.
constexpr uint16_t kMaxBackground = 64;
constexpr uint16_t kCongestion = 48;

// Not among these, though offered:
//  - POSIX_LOCKS, FLOCK_LOCKS: where this mount is the only one the kernel's own locks (fcntl, OFD and flock)
//    are complete; without the flags it keeps them to itself.
//  - AUTO_INVAL_DATA: pages are dropped when we say so, not when a time stamp looks new.
//  - HANDLE_KILLPRIV: the older form of _V2, which does not tell who may keep set-id bits.
//  - SPLICE_*: one copy of data that is in cache already costs less than two more system calls.
//  - NO_OPEN_SUPPORT: we count the open handles of a file.
constexpr uint64_t kWanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_EXPORT_SUPPORT | FUSE_BIG_WRITES |
                             FUSE_DONT_MASK | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |
                             FUSE_PARALLEL_DIROPS | FUSE_POSIX_ACL | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS |
                             FUSE_EXPLICIT_INVAL_DATA | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT |
                             FUSE_INIT_EXT | kDirectIoAllowMmap;

}  // namespace

Result<Agreement> Negotiate(const Init& offer, const InitPolicy& policy) {
  if (offer.major < FUSE_KERNEL_VERSION || (offer.major == FUSE_KERNEL_VERSION && offer.minor < kOldestMinor))
    return Fail(Code::kUnsupportedVersion, "the kernel speaks FUSE " + std::to_string(offer.major) + "." +
                                               std::to_string(offer.minor) + ", needed is 7.28 (Linux 4.20)");
  Agreement agreed;
  fuse_init_out& reply = agreed.reply;
  reply.major = FUSE_KERNEL_VERSION;
  reply.minor = std::min<uint32_t>(offer.minor, FUSE_KERNEL_MINOR_VERSION);
  // A kernel of another major version asks again with ours, and ignores the rest.
  if (offer.major > FUSE_KERNEL_VERSION) {
    reply.minor = FUSE_KERNEL_MINOR_VERSION;
    return agreed;
  }

  uint64_t wanted = kWanted;
  if (policy.writeback_cache) wanted |= FUSE_WRITEBACK_CACHE;
  // Pages go when a file's times or length are not those of before, which only others can have changed.
  if (policy.shared) wanted = (wanted & ~uint64_t{FUSE_EXPLICIT_INVAL_DATA}) | FUSE_AUTO_INVAL_DATA;
  // Locks of one mount mean something to the others.
  if (policy.shared) wanted |= FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;
  if (policy.cache_directories) wanted |= FUSE_NO_OPENDIR_SUPPORT;
  agreed.flags = offer.flags & wanted;
  agreed.dialect.setxattr_ext = agreed.flags & FUSE_SETXATTR_EXT;

  reply.flags = static_cast<uint32_t>(agreed.flags);
  reply.flags2 = static_cast<uint32_t>(agreed.flags >> 32);
  reply.max_readahead = offer.max_readahead;  // may only be lowered here; raised by RaiseReadAhead
  reply.max_background = kMaxBackground;
  reply.congestion_threshold = kCongestion;
  reply.max_write = std::min(policy.max_write, kMaxTransfer);
  reply.max_pages = static_cast<uint16_t>((reply.max_write + kPage - 1) / kPage);
  reply.time_gran = 1;
  return agreed;
}

}  // namespace curvefs::fuse
