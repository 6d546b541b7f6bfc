// An ObjectStore around another one that fails, loses and holds up by seed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <random>
#include <set>

#include "object/object_store.h"

namespace curvefs::test {

struct ObjectFaults {
  double put_fails = 0;        // the object is not stored
  double put_fails_after = 0;  // the object is stored, and yet Put fails
  double read_fails = 0;       // kIo
  double delete_fails = 0;     // kIo; the object stays, as do all of one DeleteMany
  double yields = 0;           // the thread gives others a chance first
};

// Thread-safe.
class FaultObjectStore final : public object::ObjectStore {
 public:
  FaultObjectStore(object::ObjectStore& base, uint64_t seed, ObjectFaults faults = {})
      : base_(base), random_(seed), faults_(faults) {}

  Result<uint32_t> Put(const object::ObjectName& name, const BufferList& data) override;
  Status Sync(std::span<const object::ObjectName> names) override;
  Status Read(const object::ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) override;
  void Prefetch(const object::ObjectName& name, uint64_t offset, size_t n) override;
  Status Delete(const object::ObjectName& name) override;
  Status DeleteMany(std::span<const object::ObjectName> names) override;
  Result<object::ObjectStat> Stat(const object::ObjectName& name) override;
  Result<Timestamp> WrittenAt(const object::ObjectName& name) override {
    return written_at_ ? written_at_(name) : base_.WrittenAt(name);
  }
  Status List(ChunkId from, const std::function<bool(const object::ObjectName&)>& visit,
              uint64_t* foreign) override;
  Status ListDetails(ChunkId from, const std::function<bool(const object::ObjectDetails&)>& visit,
                     uint64_t* foreign) override {
    return base_.ListDetails(from, visit, foreign);
  }
  Result<DiskSpace> Space() override;

  void SetFaults(ObjectFaults faults);
  void SetWrittenAt(std::function<Result<Timestamp>(const object::ObjectName&)> f) {
    written_at_ = std::move(f);
  }
  // Loses each object that was put and not yet synced with the given probability, as a crash of the machine
  // does.
  void LoseUnsynced(double probability = 1);
  // While held, Puts wait; blocked_puts tells how many do.
  void HoldPuts(bool hold);
  void AwaitBlockedPuts(uint32_t n);
  // The same for Reads.
  void HoldReads(bool hold);
  void AwaitBlockedReads(uint32_t n);
  void SetSpace(DiskSpace space);  // what Space answers from now on

  uint64_t puts() const;
  uint64_t reads() const;
  uint64_t read_bytes() const;

 private:
  std::function<Result<Timestamp>(const object::ObjectName&)> written_at_;
  bool Happens(double probability);  // mu_ held
  void MaybeYield();

  object::ObjectStore& base_;
  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::mt19937_64 random_;
  ObjectFaults faults_;
  std::set<object::ObjectName> unsynced_;
  bool hold_puts_ = false;
  uint32_t blocked_puts_ = 0;
  bool hold_reads_ = false;
  uint32_t blocked_reads_ = 0;
  bool has_space_ = false;
  DiskSpace space_;
  uint64_t puts_ = 0, reads_ = 0, read_bytes_ = 0;
};

}  // namespace curvefs::test
