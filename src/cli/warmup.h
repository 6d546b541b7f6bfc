// warmup: the command of .control that brings objects of files into the disk cache, or looks, or evicts.
#pragma once

#include "base/status.h"
#include "cli/control_server.h"
#include "client/meta_client.h"
#include "object/cache/disk_cache_store.h"

namespace curvefs::cli {

inline constexpr uint64_t kMaxWarmupThreads = 64;

// "inodes": files and tops of trees; "mode": "fill", "check" or "evict"; "threads": reads from the store at
// once. Tells sums now and then; the result is the sums: "files", "objects", "bytes" (of the objects that the
// files need), "cached_objects", "cached_bytes" (of them in the cache at the end), "changed" (brought in, or
// evicted), "failed" and "failure" (the first). kNotSupported: the mount has no disk cache.
Result<ControlFields> Warmup(client::MetaClient& meta, object::DiskCacheStore* cache,
                             const ControlFields& arguments, ControlProgress& progress);

}  // namespace curvefs::cli
