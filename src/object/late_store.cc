#include "object/late_store.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/blocking.h"
#include "base/log.h"

namespace curvefs::object {

LateStore::LateStore(std::unique_ptr<ObjectStore> inner, LateStoreOptions options, Status why)
    : inner_(std::move(inner)), options_(std::move(options)), why_(std::move(why)) {
  looker_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "store-look");
    LookMain();
  });
}

LateStore::~LateStore() {
  GiveUp();
  looker_.join();
}

void LateStore::GiveUp() {
  MutexLock lock(mu_);
  stop_ = true;
  changed_.NotifyAll();
}

bool LateStore::Sleep(Duration pause) {
  const SteadyTime until = Clock::System().Steady() + pause;
  MutexLock lock(mu_);
  while (!stop_ && changed_.WaitUntil(mu_, until)) {
  }
  return !stop_;
}

void LateStore::LookMain() {
  bool refused = false;
  for (Duration pause = options_.first_pause; Sleep(pause);
       pause = std::min(2 * pause, options_.longest_pause)) {
    Status s = options_.look();
    MutexLock lock(mu_);
    if (s.ok()) {
      Log(LogLevel::kInfo, "the object store is reached, and used from now on");
      reached_.store(true, std::memory_order_release);
      changed_.NotifyAll();
      return;
    }
    // It is there, and not as it should be: somebody has to do something.
    if (s.code() != Code::kUnavailable && !std::exchange(refused, true)) Log(LogLevel::kError, s.message());
    why_ = std::move(s);
  }
}

Status LateStore::Reach() {
  if (reached()) return {};
  AboutToBlock();
  const SteadyTime until = Clock::System().Steady() + options_.patience;
  MutexLock lock(mu_);
  while (!stop_ && !reached() && changed_.WaitUntil(mu_, until)) {
  }
  if (reached()) return {};
  return {Code::kIo, "the object store has not been reached since the mount: " + why_.message()};
}

Result<uint32_t> LateStore::Put(const ObjectName& name, const BufferList& data) {
  CURVEFS_CHECK_OK(Reach());
  return inner_->Put(name, data);
}

Status LateStore::Sync(std::span<const ObjectName> names) {
  CURVEFS_CHECK_OK(Reach());
  return inner_->Sync(names);
}

Status LateStore::Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) {
  CURVEFS_CHECK_OK(Reach());
  return inner_->Read(name, digest, offset, out, n);
}

Result<std::shared_ptr<Buffer>> LateStore::ReadWhole(const ObjectName& name, uint32_t digest) {
  CURVEFS_CHECK_OK(Reach());
  return inner_->ReadWhole(name, digest);
}

void LateStore::Prefetch(const ObjectName& name, uint64_t offset, size_t n) {
  if (reached()) inner_->Prefetch(name, offset, n);
}

Status LateStore::Delete(const ObjectName& name) {
  CURVEFS_CHECK_OK(Reach());
  return inner_->Delete(name);
}

Status LateStore::DeleteMany(std::span<const ObjectName> names) {
  CURVEFS_CHECK_OK(Reach());
  return inner_->DeleteMany(names);
}

Result<ObjectStat> LateStore::Stat(const ObjectName& name) {
  CURVEFS_CHECK_OK(Reach());
  return inner_->Stat(name);
}

Result<Timestamp> LateStore::WrittenAt(const ObjectName& name) {
  CURVEFS_CHECK_OK(Reach());
  return inner_->WrittenAt(name);
}

Status LateStore::List(ChunkId from, const std::function<bool(const ObjectName&)>& visit, uint64_t* foreign) {
  CURVEFS_CHECK_OK(Reach());
  return inner_->List(from, visit, foreign);
}

Status LateStore::ListDetails(ChunkId from, const std::function<bool(const ObjectDetails&)>& visit,
                              uint64_t* foreign) {
  CURVEFS_CHECK_OK(Reach());
  return inner_->ListDetails(from, visit, foreign);
}

}  // namespace curvefs::object
