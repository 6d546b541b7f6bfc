// AccessTimes: when files were read, by this mount. Whoever reads does not wait for metaservers: they hear of
// it within kDelay, of many files at once, and until then this mount shows the times itself. A mount that is
// killed loses those of that time. Thread-safe.
#pragma once

#include <atomic>
#include <unordered_map>

#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "client/cluster/copyset_client.h"
#include "client/cluster/later.h"
#include "meta/records.h"

namespace curvefs::client {

class AccessTimes {
 public:
  static constexpr Duration kDelay = std::chrono::seconds(1);

  // `copyset` outlives it.
  explicit AccessTimes(CopysetClient& copyset, Duration delay = kDelay);
  // What it has not said is lost. Waits for a call under way.
  ~AccessTimes() { later_.Stop(); }

  void Note(InodeId inode, Timestamp time);
  // What the metaservers answered, with what they have not heard of.
  void Apply(meta::Inode* inode);
  // Somebody sets the access time of that inode: what was noted before does not come after it.
  void Forget(InodeId inode);
  // Says what there is, if the copyset answers soon: at the end of a mount.
  void Finish();

 private:
  using Times = std::unordered_map<InodeId, Timestamp>;
  void Say(Duration timeout);

  CopysetClient& copyset_;
  std::atomic<bool> any_{false};  // in either of the two
  Mutex mu_;                      // a leaf
  CondVar said_;
  Times noted_ CURVEFS_GUARDED_BY(mu_);
  Times saying_ CURVEFS_GUARDED_BY(mu_);  // a call with these is under way
  Mutex one_at_a_time_;                   // before mu_
  Later later_;
};

}  // namespace curvefs::client
