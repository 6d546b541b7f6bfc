#include "test/support/fault_object_store.h"

#include <thread>

namespace curvefs::test {

using object::ObjectName;

bool FaultObjectStore::Happens(double probability) {
  return probability > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < probability;
}

void FaultObjectStore::MaybeYield() {
  bool yield;
  {
    std::lock_guard lock(mu_);
    yield = Happens(faults_.yields);
  }
  if (yield) std::this_thread::yield();
}

Result<uint32_t> FaultObjectStore::Put(const ObjectName& name, const BufferList& data) {
  MaybeYield();
  bool fails_after;
  {
    std::unique_lock lock(mu_);
    ++puts_;
    if (hold_puts_) {
      ++blocked_puts_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return !hold_puts_; });
      --blocked_puts_;
    }
    if (Happens(faults_.put_fails)) return Fail(Code::kIo, "an injected failure of Put " + name.ToString());
    fails_after = Happens(faults_.put_fails_after);
  }
  auto digest = base_.Put(name, data);
  std::lock_guard lock(mu_);
  if (digest) unsynced_.insert(name);
  if (fails_after) return Fail(Code::kIo, "an injected failure after Put " + name.ToString());
  return digest;
}

Status FaultObjectStore::Sync(std::span<const ObjectName> names) {
  CURVEFS_CHECK_OK(base_.Sync(names));
  std::lock_guard lock(mu_);
  for (const auto& name : names) unsynced_.erase(name);
  return {};
}

Status FaultObjectStore::Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) {
  MaybeYield();
  {
    std::unique_lock lock(mu_);
    if (hold_reads_) {
      ++blocked_reads_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return !hold_reads_; });
      --blocked_reads_;
    }
    ++reads_;
    read_bytes_ += n;
    if (Happens(faults_.read_fails)) return {Code::kIo, "an injected failure of Read " + name.ToString()};
  }
  return base_.Read(name, digest, offset, out, n);
}

void FaultObjectStore::Prefetch(const ObjectName& name, uint64_t offset, size_t n) {
  base_.Prefetch(name, offset, n);
}

Status FaultObjectStore::Delete(const ObjectName& name) {
  MaybeYield();
  std::lock_guard lock(mu_);
  if (Happens(faults_.delete_fails)) return {Code::kIo, "an injected failure of Delete " + name.ToString()};
  unsynced_.erase(name);
  return base_.Delete(name);
}

Status FaultObjectStore::DeleteMany(std::span<const ObjectName> names) {
  MaybeYield();
  std::lock_guard lock(mu_);
  if (Happens(faults_.delete_fails)) {
    return {Code::kIo, "an injected failure to delete " + std::to_string(names.size()) + " objects"};
  }
  for (const auto& name : names) unsynced_.erase(name);
  return base_.DeleteMany(names);
}

Result<object::ObjectStat> FaultObjectStore::Stat(const ObjectName& name) {
  return base_.Stat(name);
}

Status FaultObjectStore::List(ChunkId from, const std::function<bool(const ObjectName&)>& visit,
                              uint64_t* foreign) {
  return base_.List(from, visit, foreign);
}

Result<DiskSpace> FaultObjectStore::Space() {
  {
    std::lock_guard lock(mu_);
    if (has_space_) return space_;
  }
  return base_.Space();
}

void FaultObjectStore::SetFaults(ObjectFaults faults) {
  std::lock_guard lock(mu_);
  faults_ = faults;
}

void FaultObjectStore::LoseUnsynced(double probability) {
  std::lock_guard lock(mu_);
  for (const auto& name : unsynced_) {
    if (Happens(probability)) CURVEFS_CHECK(base_.Delete(name).ok());
  }
  unsynced_.clear();
}

void FaultObjectStore::HoldPuts(bool hold) {
  std::lock_guard lock(mu_);
  hold_puts_ = hold;
  changed_.notify_all();
}

void FaultObjectStore::HoldReads(bool hold) {
  std::lock_guard lock(mu_);
  hold_reads_ = hold;
  changed_.notify_all();
}

void FaultObjectStore::AwaitBlockedReads(uint32_t n) {
  std::unique_lock lock(mu_);
  changed_.wait(lock, [&] { return blocked_reads_ >= n; });
}

void FaultObjectStore::AwaitBlockedPuts(uint32_t n) {
  std::unique_lock lock(mu_);
  changed_.wait(lock, [&] { return blocked_puts_ >= n; });
}

void FaultObjectStore::SetSpace(DiskSpace space) {
  std::lock_guard lock(mu_);
  has_space_ = true;
  space_ = space;
}

uint64_t FaultObjectStore::puts() const {
  std::lock_guard lock(mu_);
  return puts_;
}

uint64_t FaultObjectStore::reads() const {
  std::lock_guard lock(mu_);
  return reads_;
}

uint64_t FaultObjectStore::read_bytes() const {
  std::lock_guard lock(mu_);
  return read_bytes_;
}

}  // namespace curvefs::test
