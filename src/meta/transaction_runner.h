// The client's side of a transaction between partitions (meta/transaction.h): evaluates an operation over
// records that it fetches, and carries it through.
//
//   Status s = RunTransaction(calls, fs, PartitionOf(parent), [&](Txn& txn) -> Result<bool> {
//     CURVEFS_TRY(reply, Rename(txn, request));
//     return reply.moved.is_dir() && request.parent != request.new_parent;
//   });
//
// Two rounds are optimistic; then it locks what the operation touches before it reads it, so that others
// who change the same directories all the time cannot starve it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "meta/transaction.h"

namespace curvefs::meta {

// Calls of the copysets that have the partitions (of a key: the one that it names). Each takes effect once at
// most; kLocked fills *by. kTimedOut, kUnavailable, kNotLeader, kIo: no answer in spite of trying again, it
// may have taken effect.
class PartitionCalls {
 public:
  using KeyValue = std::pair<std::string, std::string>;
  virtual ~PartitionCalls() = default;

  // Reads pass the locks of the transaction `id` itself.
  virtual Status Get(const TransactionId& id, std::string_view key, std::string* value, LockedBy* by) = 0;
  // The first pair of [begin, end), if there is one.
  virtual Result<std::optional<KeyValue>> First(const TransactionId& id, std::string_view begin,
                                                std::string_view end, LockedBy* by) = 0;

  virtual Status Prepare(PartitionId partition, const TransactionId& id, PartitionId coordinator,
                         const TransactionPart& part, LockedBy* by) = 0;
  virtual Status Commit(PartitionId coordinator, const TransactionId& id, const TransactionPart& part,
                        const std::vector<PartitionId>& participants, LockedBy* by) = 0;
  virtual Status Finish(PartitionId partition, const TransactionId& id, bool committed) = 0;
  virtual Result<Decision> Resolve(PartitionId coordinator, const TransactionId& id) = 0;
  virtual Status Forget(PartitionId coordinator, const TransactionId& id) = 0;

  virtual TransactionId NewId() = 0;
  virtual Timestamp Now() = 0;
  // A short while, longer and jittered as `round` grows.
  virtual void Pause(int round) = 0;
};

// May be called several times, each on a Txn of its own. True: a directory moves into another directory, so
// no other may do so meanwhile.
using Evaluation = std::function<Result<bool>(Txn&)>;

// Ok: it has happened, and everybody sees it. kTimedOut: it may have happened or may yet be given up. kBusy:
// others were in the way all the time. kNotSupported: the operation needs new ids. Else what the evaluation
// said, at one moment, and nothing has happened.
Status RunTransaction(PartitionCalls& calls, const FsContext& fs, PartitionId coordinator,
                      const Evaluation& evaluate);

// What to do about a lock that is in the way before trying again: waits, or finishes the transaction if the
// lock is so old that its client is probably gone.
inline constexpr Duration kLockIsOld = Duration(1'000'000'000);
Status WaitForLock(PartitionCalls& calls, const LockedBy& by, int round);

}  // namespace curvefs::meta
