// KeptPages: whose pages in the kernel are still right, where other mounts change files too. Pages that the
// kernel has of a file live on when it is opened again, if nobody else has changed its content since.
//
// The kernel drops a file's pages as it opens it, unless it is told to keep them. So from an open that was
// told nothing on, all pages it has were read at the version of that open or at a later one; if the file has
// that version still, they are of that version, and have what this mount has written and not yet stored.
// Thread-safe.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/ids.h"
#include "base/mutex.h"
#include "client/vfs/vfs.h"

namespace curvefs::client {

class KeptPages {
 public:
  explicit KeptPages(size_t most = 100'000) : most_(most) {}  // files; of more, some are forgotten

  // It is being opened, and has this version (meta::Inode) now. Whether the kernel may keep what it has.
  bool Open(InodeId inode, uint64_t version, HandleId handle);
  // The kernel has asked for something with the handle: so it has seen the answer to that open.
  void Seen(InodeId inode, HandleId handle);
  // Something is written past the kernel's pages.
  void Forget(InodeId inode);

 private:
  struct Kept {
    uint64_t version = 0;
    HandleId opener = 0;   // whose open dropped the pages
    bool dropped = false;  // that is over
  };
  const size_t most_;
  Mutex mu_;  // a leaf
  std::unordered_map<InodeId, Kept> kept_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::client
