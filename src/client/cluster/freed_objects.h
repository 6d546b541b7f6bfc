// FreedObjects: deletes objects of a cluster's file system that nothing names any more. The metaservers know
// them, but have neither the store nor its keys; so one of the mounts does it (metaserver.proto, ListFreed).
// On the way it finishes what other mounts have left of transactions between partitions.
#pragma once

#include <cstdint>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "client/cluster/cluster_meta.h"
#include "object/object_store.h"

namespace curvefs::client {

class FreedObjects {
 public:
  // Looks for them on a thread of its own, every `interval`. `meta` and `objects` outlive it.
  FreedObjects(ClusterMeta& meta, object::ObjectStore& objects, FsId fs, Duration interval);
  // Waits for a deletion under way.
  ~FreedObjects();

  // Deletes some, of each copyset; how many. The first error of the store, or of a call.
  Result<size_t> DeleteSome();

 private:
  Result<size_t> DeleteSome(CopysetClient& copyset);
  void Run();

  ClusterMeta& meta_;
  object::ObjectStore& objects_;
  const FsId fs_;
  const Duration interval_;
  Mutex mu_;
  CondVar wake_;
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace curvefs::client
