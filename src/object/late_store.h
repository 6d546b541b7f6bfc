// LateStore: a store that cannot be reached yet. It is looked for in the background until it answers; until
// then every operation waits, for as long as `patience`, and then fails with kIo.
//
// So a mount can begin while its store is away: what a disk cache around this one holds is served, and what
// is written waits there.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "object/object_store.h"

namespace curvefs::object {

struct LateStoreOptions {
  // Whether the store may be used: that it is the right one, and works. Takes its time; called by one thread.
  std::function<Status()> look;
  Duration patience = std::chrono::seconds(60);
  Duration first_pause = std::chrono::milliseconds(500);  // between looks; doubled up to
  Duration longest_pause = std::chrono::seconds(5);
};

// Threads: as ObjectStore.
class LateStore final : public ObjectStore {
 public:
  // `why`: what the look that failed already said.
  LateStore(std::unique_ptr<ObjectStore> inner, LateStoreOptions options, Status why);
  ~LateStore() override;  // waits for a look that is under way

  bool reached() const { return reached_.load(std::memory_order_acquire); }
  // From now on nothing waits. For the end of a process.
  void GiveUp();

  Result<uint32_t> Put(const ObjectName& name, const BufferList& data) override;
  Status Sync(std::span<const ObjectName> names) override;
  Status Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) override;
  Result<std::shared_ptr<Buffer>> ReadWhole(const ObjectName& name, uint32_t digest) override;
  void Prefetch(const ObjectName& name, uint64_t offset, size_t n) override;
  Status Delete(const ObjectName& name) override;
  Status DeleteMany(std::span<const ObjectName> names) override;
  Result<ObjectStat> Stat(const ObjectName& name) override;
  Result<Timestamp> WrittenAt(const ObjectName& name) override;
  Status List(ChunkId from, const std::function<bool(const ObjectName&)>& visit, uint64_t* foreign) override;
  Status ListDetails(ChunkId from, const std::function<bool(const ObjectDetails&)>& visit,
                     uint64_t* foreign) override;
  Result<DiskSpace> Space() override { return inner_->Space(); }

 private:
  void LookMain();
  bool Sleep(Duration pause);  // false: it is the end
  Status Reach();  // ok once the store may be used

  const std::unique_ptr<ObjectStore> inner_;
  const LateStoreOptions options_;
  std::atomic<bool> reached_{false};

  Mutex mu_;  // a leaf
  CondVar changed_;
  Status why_ CURVEFS_GUARDED_BY(mu_);  // of the last look
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread looker_;
};

}  // namespace curvefs::object
