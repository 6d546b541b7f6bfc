// INIT: what this mount and the kernel agree on.
#pragma once

#include "base/status.h"
#include "fuse/abi.h"
#include "fuse/decode.h"

namespace curvefs::fuse {

struct InitPolicy {
  bool writeback_cache = true;        // the kernel keeps written pages and writes them back later
  bool cache_directories = true;      // see HandlerOptions
  bool shared = false;                // see HandlerOptions
  uint32_t max_write = kMaxTransfer;  // at most kMaxTransfer
};

struct Agreement {
  fuse_init_out reply{};
  uint64_t flags = 0;  // in force
  Dialect dialect;
};

// Picks from what the kernel offers what we want; never anything it does not offer. kUnsupportedVersion for
// kernels before 4.20 (7.28).
Result<Agreement> Negotiate(const Init& offer, const InitPolicy& policy);

}  // namespace curvefs::fuse
