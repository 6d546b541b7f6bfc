// OpenInodes: which inodes this mount has open, said to the copyset, so that one that loses its last name,
// here or at another mount, stays until it is closed. Thread-safe.
#pragma once

#include <cstdint>
#include <map>

#include "base/ids.h"
#include "base/mutex.h"
#include "base/status.h"
#include "client/cluster/copyset_client.h"

namespace curvefs::client {

class OpenInodes {
 public:
  // `copyset` outlives it.
  explicit OpenInodes(CopysetClient& copyset) : copyset_(copyset) {}

  // Counted. kStale: it is gone.
  Status Open(InodeId inode);
  void Close(InodeId inode);

  // A request that makes an inode and opens it carries an order (metaserver.proto); once it is answered the
  // inode counts as opened once.
  struct Creating {
    uint64_t order = 0;
    uint64_t round = 0;
  };
  Creating BeginCreate();
  Status Created(const Creating& creating, InodeId inode);

  // For a leader, or a session, that knows nothing of them.
  void SayAgain();
  size_t size();

 private:
  struct Entry {
    uint64_t count = 0;
    bool held = false;  // the session has it
  };
  Status Say(InodeId inode);

  CopysetClient& copyset_;
  Mutex mu_;  // a leaf
  uint64_t order_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t rounds_ CURVEFS_GUARDED_BY(mu_) = 0;  // of SayAgain
  std::map<InodeId, Entry> open_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::client
