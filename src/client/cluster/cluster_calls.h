// ClusterCalls: the calls of transactions between partitions (meta/transaction_runner.h), on the copysets of
// a cluster. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "client/cluster/copyset_client.h"
#include "meta/transaction_runner.h"

namespace curvefs::client {

class ClusterCalls final : public meta::PartitionCalls {
 public:
  // `find`: the copyset that has a partition.
  using Find = std::function<Result<std::shared_ptr<CopysetClient>>(PartitionId)>;
  explicit ClusterCalls(Find find) : find_(std::move(find)) {}

  Status Get(const meta::TransactionId& id, std::string_view key, std::string* value,
             meta::LockedBy* by) override;
  Result<std::optional<KeyValue>> First(const meta::TransactionId& id, std::string_view begin,
                                        std::string_view end, meta::LockedBy* by) override;
  Status Prepare(PartitionId partition, const meta::TransactionId& id, PartitionId coordinator,
                 const meta::TransactionPart& part, meta::LockedBy* by) override;
  Status Commit(PartitionId coordinator, const meta::TransactionId& id, const meta::TransactionPart& part,
                const std::vector<PartitionId>& participants, meta::LockedBy* by) override;
  Status Finish(PartitionId partition, const meta::TransactionId& id, bool committed) override;
  Result<meta::Decision> Resolve(PartitionId coordinator, const meta::TransactionId& id) override;
  Status Forget(PartitionId coordinator, const meta::TransactionId& id) override;
  meta::TransactionId NewId() override;
  Timestamp Now() override { return Clock::System().Wall(); }
  void Pause(int round) override;

  // For CopysetClientOptions::when_locked. kInterrupted: nobody waits any more.
  Status WhenLocked(const meta::LockedBy& by, int round);
  // What clients that are gone have left in the partition is finished. How much there was.
  Result<size_t> FinishLeft(PartitionId partition, Duration older_than);
  void Stop() { stopped_ = true; }

  struct Counters {
    uint64_t transactions = 0, waits = 0, settled = 0;
  };
  Counters counters() const { return {transactions_, waits_, settled_}; }
  void Count() { transactions_.fetch_add(1, std::memory_order_relaxed); }

 private:
  const Find find_;
  std::atomic<bool> stopped_{false};
  std::atomic<uint64_t> transactions_{0}, waits_{0}, settled_{0};
};

}  // namespace curvefs::client
