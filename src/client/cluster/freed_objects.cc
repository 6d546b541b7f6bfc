#include "client/cluster/freed_objects.h"

#include <utility>
#include <vector>

#include "base/log.h"

namespace curvefs::client {

using proto::MetaCall;

FreedObjects::FreedObjects(ClusterMeta& meta, object::ObjectStore& objects, FsId fs, Duration interval)
    : meta_(meta), objects_(objects), fs_(fs), interval_(interval) {
  thread_ = std::thread([this] { Run(); });
}

FreedObjects::~FreedObjects() {
  {
    MutexLock lock(mu_);
    stop_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

Result<size_t> FreedObjects::DeleteSome() {
  size_t deleted = 0;
  Status failure;
  for (const auto& copyset : meta_.Copysets()) {
    auto some = DeleteSome(*copyset);
    if (some) deleted += *some;
    if (!some && failure.ok()) failure = some.error();
  }
  if (!failure.ok()) return Fail(std::move(failure));
  return deleted;
}

Result<size_t> FreedObjects::DeleteSome(CopysetClient& copyset) {
  CURVEFS_TRY(const auto listed,
              copyset.InSession<proto::ListFreedResponse>(MetaCall::kListFreed, proto::ListFreedRequest()));
  if (listed.object_size() == 0) return size_t{0};
  std::vector<object::ObjectName> names;
  for (const proto::FreedObject& object : listed.object()) {
    names.push_back(
        {ChunkId(object.chunk_id()), object.block(), object.compaction(), fs_, InodeId(object.inode_id())});
  }
  CURVEFS_CHECK_OK(objects_.DeleteMany(names));
  proto::DropFreedRequest drop;
  *drop.mutable_object() = listed.object();
  CURVEFS_TRY(const auto dropped,
              copyset.Change<proto::DropFreedResponse>(MetaCall::kDropFreed, std::move(drop)));
  (void)dropped;
  return names.size();
}

void FreedObjects::Run() {
  bool fails = false;
  for (;;) {
    const Result<size_t> deleted = DeleteSome();
    meta_.Upkeep();
    if (!deleted && !std::exchange(fails, true))
      Log(LogLevel::kWarning,
          "objects cannot be deleted, which is tried again: " + deleted.error().ToString());
    if (deleted && std::exchange(fails, false)) Log(LogLevel::kInfo, "objects can be deleted again");
    MutexLock lock(mu_);
    const SteadyTime until = Clock::System().Steady() + interval_;
    // While there are more it goes on at once.
    while (!stop_ && (!deleted || *deleted == 0) && Clock::System().Steady() < until)
      wake_.WaitUntil(mu_, until);
    if (stop_) return;
  }
}

}  // namespace curvefs::client
