// LockGuard: the view of a copyset for an operation, which must not pass the locks of transactions between
// partitions (meta/transaction.h).
//
// A read of what a transaction will write, and a write of what one has read, fail with kLocked; by() then
// says whose lock it is. So nobody sees half of a transaction, and nothing that one relies on changes.
//
//   LockGuard guard(view, fs, now);
//   Txn txn(guard, fs, now);
//   ... the operation ...
//   CURVEFS_CHECK_OK(guard.CheckWrites(batch));
//
// With Partitions::kSome it also refuses, by kElsewhere, keys of partitions that are not in the view at all.
//
// Where there is no lock it costs one look per partition, or two. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kv/view.h"
#include "kv/write_batch.h"
#include "meta/transaction.h"

namespace curvefs::meta {

// Whether the view has the partition: its record, or, of partition 0, the root directory, which may be there
// without; a view without any file system has it, too. kElsewhere: it has not.
Status CheckHere(const kv::View& view, FsId fs, PartitionId partition);

class LockGuard final : public kv::View {
 public:
  enum class Partitions { kAll, kSome };
  // `self`: whose own locks are no obstacle.
  LockGuard(const kv::View& view, const FsContext& fs, Timestamp now,
            std::optional<TransactionId> self = std::nullopt, Partitions partitions = Partitions::kAll)
      : view_(view), fs_(fs), now_(now), self_(self), partitions_(partitions) {}

  Status Get(std::string_view key, std::string* value) const override;
  // kLocked comes after the visits: what they saw is worthless then.
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override;

  Status CheckWrites(const kv::WriteBatch& batch) const;
  // For a move of a directory into another directory of this copyset. kLocked: somebody moves one across
  // partitions. kElsewhere: this copyset has not the root, beside which that would be seen.
  Status CheckDirectoryRename() const;
  // Whether the key itself is locked. `writing`: what was only read is an obstacle, too.
  Status CheckKey(std::string_view key, bool writing) const;

  // Of the last kLocked.
  const LockedBy& by() const { return by_; }

 private:
  bool OfFs(std::string_view key) const;
  bool Guarded(std::string_view key) const;
  bool AnyLocks(std::string_view key) const;
  Status Here(std::string_view key) const;
  Status Judge(std::string_view key, const std::string& lock, bool writing) const;

  const kv::View& view_;
  const FsContext& fs_;
  const Timestamp now_;
  const std::optional<TransactionId> self_;
  const Partitions partitions_;
  struct Known {
    PartitionId partition;
    bool locks = false;
  };
  mutable std::vector<Known> known_;
  mutable std::vector<PartitionId> here_;
  mutable LockedBy by_;
};

}  // namespace curvefs::meta
