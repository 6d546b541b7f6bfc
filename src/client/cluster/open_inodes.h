// OpenInodes: which inodes this mount has open, said to the copyset, so that one that loses its last name,
// here or at another mount, stays until it is closed. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "base/status.h"
#include "client/cluster/copyset_client.h"
#include "client/cluster/later.h"
#include "meta/records.h"

namespace curvefs::client {

class OpenInodes {
 public:
  // How long one that was closed is kept for whoever opens it next; and closings of that time are said
  // together.
  static constexpr Duration kLinger = std::chrono::milliseconds(100);

  // `copyset` outlives it.
  explicit OpenInodes(CopysetClient& copyset, Duration linger = kLinger);
  // What it has not said goes with the session. Waits for a call under way.
  ~OpenInodes() { later_.Stop(); }

  // Counted. Asks the copyset unless the session has it open: then there are its attributes, too. kStale: it
  // is gone.
  Result<std::optional<meta::Inode>> Open(InodeId inode);
  // Never waits: the copyset hears of it later.
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
  size_t size();  // open, not counting those that linger

 private:
  struct Entry {
    uint64_t count = 0;  // 0: closed, and the copyset does not know
    bool held = false;   // the session has it
  };
  Result<meta::Inode> Say(InodeId inode);
  void SayClosed();
  std::vector<InodeId> TakeClosed(uint64_t* order) CURVEFS_REQUIRES(mu_);

  CopysetClient& copyset_;
  Mutex mu_;  // before Later's own
  uint64_t order_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t rounds_ CURVEFS_GUARDED_BY(mu_) = 0;  // of SayAgain
  std::map<InodeId, Entry> open_ CURVEFS_GUARDED_BY(mu_);
  std::vector<InodeId> closed_ CURVEFS_GUARDED_BY(mu_);  // may be open again, or be named twice
  Later later_;
};

}  // namespace curvefs::client
