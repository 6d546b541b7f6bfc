// Transactions between partitions: two-phase commit, driven by the client (docs/adr/0011-transactions.md).
//
// An operation that needs records of several partitions is evaluated by the client, over records that it
// fetched. What it read and what it writes, partition by partition, are its *parts*. Then
//
//   Prepare   in every partition but the coordinator's: what was read is still so; locks, and an intent that
//             holds the writes
//   Commit    in the coordinator's: the same for its own part, its writes at once, and the decision: from
//             here on the operation has happened
//   Finish    in the others: the writes of the intent, or none if it was given up; the locks go
//   Forget    in the coordinator's: nobody will ask any more
//
// Who meets a lock that is old asks the coordinator (Resolve), which gives the transaction up if it has not
// been committed, and finishes it. Each of these is one change of one copyset. All but Commit of the same
// transaction may come again at any time; Commit, too, until Forget.
//
// Pure, as the operations are. What keeps ordinary operations from passing a lock is meta/lock_guard.h.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kv/write_batch.h"
#include "meta/keys.h"
#include "meta/txn.h"

namespace curvefs::meta {

// ---- Records

// Held by one transaction alone. Nobody else may write what is locked; nor read it, if it will be written.
struct Lock {
  TransactionId txn;
  PartitionId coordinator;
  Timestamp since;
  bool writes = false;
  friend bool operator==(const Lock&, const Lock&) = default;
};
std::string EncodeLock(const Lock& lock);
Result<Lock> DecodeLock(std::string_view value);

struct Intent {
  PartitionId coordinator;
  Timestamp since;                  // of the first Prepare
  std::vector<std::string> locked;  // keys and prefixes, ascending
  std::string writes;               // an encoded kv::WriteBatch
};
std::string EncodeIntent(const Intent& intent);
Result<Intent> DecodeIntent(std::string_view value);

struct Decision {
  bool committed = false;
  Timestamp made;
  std::vector<PartitionId> participants;  // of what was committed, without the coordinator
};
std::string EncodeDecision(const Decision& decision);
Result<Decision> DecodeDecision(std::string_view value);

// ---- The protocol

struct Expectation {
  std::string key;
  std::optional<std::string> value;  // nullopt: absent
  friend bool operator==(const Expectation&, const Expectation&) = default;
};

// What a transaction is about in one partition. All keys are of that partition and of the kinds that names
// and attributes are made of (I, D, X, O, L, Q); the mutex may be locked.
struct TransactionPart {
  std::vector<Expectation> expected;
  std::vector<std::string> empty;   // directories (prefixes of their dentries) that have no entry
  std::vector<std::string> locked;  // keys to be locked whatever they hold
  kv::WriteBatch writes;
};

inline constexpr size_t kMaxTransactionKeys = 200;         // of a part: expected, empty, locked, written
inline constexpr size_t kMaxTransactionBytes = 512 << 10;  // of a part: keys and values
inline constexpr size_t kMaxParticipants = 64;             // partitions
// An intent is one value: the writes, and twice as many keys (two preparations may differ).
static_assert(kMaxTransactionBytes + 2 * kMaxTransactionKeys * kMaxKey < kMaxValue);
inline constexpr Duration kAbortedIsKept = Duration(3600'000'000'000);  // an hour

// Whether a client may read the key, or the range, for a transaction: of the kinds that names are made of,
// and of this file system; its partition then. kInvalid.
Result<PartitionId> CheckReadable(FsId fs, std::string_view key);
Result<PartitionId> CheckReadable(FsId fs, std::string_view begin, std::string_view end);

// The lock that is in the way, for whoever waits for it.
struct LockedBy {
  TransactionId txn;
  PartitionId coordinator;
  PartitionId partition;  // where it was met
  Duration age{};
};

// kStale: something is not as expected (evaluate again). kLocked: `by` says who. kInvalid: a part that no
// client of ours makes. Comes again with more to lock, or with the writes, as often as need be: what it wrote
// for the transaction before is replaced by `part.writes` unless those are empty.
Status Prepare(Txn& txn, PartitionId partition, const TransactionId& id, PartitionId coordinator,
               const TransactionPart& part, LockedBy* by);

// As Prepare, and kStale also if the transaction has been given up. Ok if it is committed already. An intent
// that it has at the coordinator itself is finished with it.
Status Commit(Txn& txn, PartitionId coordinator, const TransactionId& id, const TransactionPart& part,
              std::vector<PartitionId> participants, LockedBy* by);

// Ok also if there is nothing (more) of it.
Status Finish(Txn& txn, PartitionId partition, const TransactionId& id, bool committed);

// What became of it; if nothing did, it is given up, which is remembered for kAbortedIsKept.
Result<Decision> Resolve(Txn& txn, PartitionId coordinator, const TransactionId& id);

// Of a committed transaction, after Finish everywhere; of one that was given up, only once it is old enough
// (before that nothing happens).
Status Forget(Txn& txn, PartitionId coordinator, const TransactionId& id);

// What is left in a partition, for upkeep; in the order of ids, until `visit` returns false.
Status ForEachIntent(const Reader& reader, PartitionId partition,
                     const std::function<bool(const TransactionId&, const Intent&)>& visit);
Status ForEachDecision(const Reader& reader, PartitionId coordinator,
                       const std::function<bool(const TransactionId&, const Decision&)>& visit);

}  // namespace curvefs::meta
