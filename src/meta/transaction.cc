#include "meta/transaction.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/protowire.h"
#include "meta/lock_guard.h"

namespace curvefs::meta {
namespace {

Status Invalid(const char* what) {
  return {Code::kInvalid, std::string("a transaction between partitions with ") + what};
}

Result<std::optional<std::string>> Find(const kv::View& view, std::string_view key) {
  std::string value;
  Status s = view.Get(key, &value);
  if (s.ok()) return value;
  if (s.code() == Code::kNotFound) return std::nullopt;
  return Fail(std::move(s));
}

Result<std::optional<Intent>> FindIntent(const Txn& txn, PartitionId partition, const TransactionId& id) {
  CURVEFS_TRY(const auto value, Find(txn.view(), IntentKey(txn.fs().fs, partition, id)));
  if (!value) return std::nullopt;
  return DecodeIntent(*value);
}

Result<std::optional<Decision>> FindDecision(const Txn& txn, PartitionId partition, const TransactionId& id) {
  CURVEFS_TRY(const auto value, Find(txn.view(), DecisionKey(txn.fs().fs, partition, id)));
  if (!value) return std::nullopt;
  return DecodeDecision(*value);
}

// ---- What comes from clients

bool IsValue(const ParsedKey& key, std::string_view value) {
  switch (key.kind) {
    case KeyKind::kInode:
      return DecodeInode(key.inode, value).has_value();
    case KeyKind::kDentry:
      return DecodeDentry(value).has_value();
    case KeyKind::kQuota:
      return DecodeQuota(value).has_value();
    case KeyKind::kXattr:
      return key.name.size() <= kMaxXattrName && value.size() <= kMaxXattrValue;
    case KeyKind::kOrphan:
      return value == "1";
    case KeyKind::kLink:
      return value.empty();
    default:
      return false;
  }
}

bool IsOfNames(KeyKind kind) {
  switch (kind) {
    case KeyKind::kInode:
    case KeyKind::kDentry:
    case KeyKind::kXattr:
    case KeyKind::kOrphan:
    case KeyKind::kLink:
    case KeyKind::kQuota:
      return true;
    default:
      return false;
  }
}

struct Checker {
  FsId fs;
  PartitionId partition;
  size_t keys = 0, bytes = 0;

  Status Key(std::string_view key, size_t value_bytes, ParsedKey* parsed) {
    ++keys;
    bytes += key.size() + value_bytes;
    if (!ParseKey(key, parsed)) return Invalid("a malformed key");
    if (parsed->fs != fs || parsed->partition != partition) return Invalid("a key of another partition");
    if (IsOfNames(parsed->kind)) return {};
    if (parsed->kind != KeyKind::kMutex) return Invalid("a key of a kind that names are not made of");
    return partition == PartitionId(0) ? Status() : Invalid("a mutex outside partition 0");
  }
};

bool IsDirectoryPrefix(std::string_view prefix, FsId fs, PartitionId partition) {
  return prefix.size() == kInodePrefix && prefix.starts_with(KindPrefix(fs, partition, KeyKind::kDentry));
}

Status CheckPart(FsId fs, PartitionId partition, const TransactionPart& part) {
  Checker check{.fs = fs, .partition = partition};
  ParsedKey parsed;
  for (const Expectation& e : part.expected)
    CURVEFS_CHECK_OK(check.Key(e.key, e.value ? e.value->size() : 0, &parsed));
  for (const std::string& key : part.locked) CURVEFS_CHECK_OK(check.Key(key, 0, &parsed));
  for (const std::string& prefix : part.empty) {
    if (!IsDirectoryPrefix(prefix, fs, partition)) return Invalid("a malformed directory");
  }
  Status failure;
  CURVEFS_CHECK_OK(kv::WriteBatch::ForEach(
      part.writes.encoded(), [&](kv::RecordType type, std::string_view key, std::string_view value) {
        if (!failure.ok()) return;
        failure = check.Key(key, value.size(), &parsed);
        if (!failure.ok()) return;
        if (parsed.kind == KeyKind::kMutex) failure = Invalid("a write of the mutex");
        if (type == kv::RecordType::kSet && failure.ok() && !IsValue(parsed, value))
          failure = Invalid("a malformed record");
      }));
  CURVEFS_CHECK_OK(failure);
  if (check.keys + part.empty.size() > kMaxTransactionKeys || check.bytes > kMaxTransactionBytes)
    return {Code::kTooBig, "a transaction between partitions is over its limits"};
  return {};
}

// ---- Steps

struct Keys {
  std::set<std::string> locked, written;
};

Keys KeysOf(const TransactionPart& part) {
  Keys keys;
  for (const Expectation& e : part.expected) keys.locked.insert(e.key);
  keys.locked.insert(part.empty.begin(), part.empty.end());
  keys.locked.insert(part.locked.begin(), part.locked.end());
  kv::WriteBatch::ForEachTrusted(part.writes.encoded(),
                                 [&](kv::RecordType, std::string_view key, std::string_view) {
                                   keys.locked.emplace(key);
                                   keys.written.emplace(key);
                                 });
  return keys;
}

// Everything is as the transaction found it, and nobody else's.
Status CheckState(const Txn& txn, PartitionId partition, const TransactionId& id, const TransactionPart& part,
                  const Keys& keys, LockedBy* by) {
  const LockGuard guard(txn.view(), txn.fs(), txn.now(), id);
  auto refused = [&](Status s) {
    if (s.code() == Code::kLocked) {
      *by = guard.by();
      by->partition = partition;
    }
    return s;
  };
  for (const std::string& key : keys.locked) {
    if (Status s = guard.CheckKey(key, true); !s.ok()) return refused(std::move(s));
  }
  for (const Expectation& e : part.expected) {
    CURVEFS_TRY(const auto value, Find(txn.view(), e.key));
    if (value != e.value) return Code::kStale;
  }
  for (const std::string& prefix : part.empty) {
    bool any = false;
    // The guard: an entry that another transaction announces is one.
    Status s = guard.Scan(prefix, kv::PrefixEnd(prefix), [&](std::string_view, std::string_view) {
      any = true;
      return false;
    });
    if (!s.ok()) return refused(std::move(s));
    if (any) return Code::kStale;
  }
  return {};
}

// So that the change of what an inode counts for is noted, as if an operation had put it.
bool ApplyInode(Txn& txn, std::string_view key, std::string_view value) {
  ParsedKey parsed;
  if (!txn.fs().track_usage || !ParseKey(key, &parsed) || parsed.kind != KeyKind::kInode) return false;
  auto inode = DecodeInode(parsed.inode, value);
  if (!inode) return false;
  (void)txn.GetInode(parsed.inode);
  txn.PutInode(*inode);
  return true;
}

void Apply(Txn& txn, std::string_view encoded) {
  kv::WriteBatch::ForEachTrusted(encoded,
                                 [&](kv::RecordType type, std::string_view key, std::string_view value) {
                                   if (type == kv::RecordType::kDel) {
                                     txn.Del(key);
                                   } else if (!ApplyInode(txn, key, value)) {
                                     txn.Set(key, value);
                                   }
                                 });
}

// Takes the intent and its locks away; a lock that is another's by now stays.
Status Release(Txn& txn, PartitionId partition, const TransactionId& id, const Intent& intent) {
  for (const std::string& key : intent.locked) {
    CURVEFS_TRY(const auto value, Find(txn.view(), LockKey(key)));
    if (!value) continue;
    CURVEFS_TRY(const Lock lock, DecodeLock(*value));
    if (lock.txn == id) txn.Del(LockKey(key));
  }
  txn.Del(IntentKey(txn.fs().fs, partition, id));
  return {};
}

}  // namespace

Result<PartitionId> CheckReadable(FsId fs, std::string_view key) {
  ParsedKey parsed;
  if (!ParseKey(key, &parsed) || parsed.fs != fs || !IsOfNames(parsed.kind))
    return Fail(Invalid("a read of what names are not made of"));
  return parsed.partition;
}

Result<PartitionId> CheckReadable(FsId fs, std::string_view begin, std::string_view end) {
  const std::string_view prefix = begin.substr(0, std::min(begin.size(), kInodePrefix));
  if (prefix.size() < kInodePrefix || GetBe(begin.data(), 4) != fs.value || begin.size() > kMaxKey ||
      !IsOfNames(static_cast<KeyKind>(begin[kKeyHeader - 1])) || end <= begin || end > kv::PrefixEnd(prefix))
    return Fail(Invalid("a read of a range that is not of one inode"));
  return PartitionId(static_cast<uint32_t>(GetBe(begin.data() + 4, 3)));
}

Status Prepare(Txn& txn, PartitionId partition, const TransactionId& id, PartitionId coordinator,
               const TransactionPart& part, LockedBy* by) {
  CURVEFS_CHECK_OK(CheckPart(txn.fs().fs, partition, part));
  Keys keys = KeysOf(part);
  CURVEFS_CHECK_OK(CheckState(txn, partition, id, part, keys, by));
  CURVEFS_TRY(auto before, FindIntent(txn, partition, id));
  Intent intent = before ? *std::move(before) : Intent{.coordinator = coordinator, .since = txn.now()};
  if (intent.coordinator != coordinator) return Invalid("two coordinators");
  if (!part.writes.empty()) intent.writes = part.writes.encoded();
  kv::WriteBatch::ForEachTrusted(intent.writes, [&](kv::RecordType, std::string_view key, std::string_view) {
    keys.written.emplace(key);
  });
  keys.locked.insert(intent.locked.begin(), intent.locked.end());
  if (keys.locked.size() > 2 * kMaxTransactionKeys)
    return {Code::kTooBig, "a transaction between partitions is over its limits"};
  intent.locked.assign(keys.locked.begin(), keys.locked.end());
  for (const std::string& key : intent.locked) {
    txn.Set(LockKey(key), EncodeLock({id, coordinator, intent.since, keys.written.contains(key)}));
  }
  txn.Set(IntentKey(txn.fs().fs, partition, id), EncodeIntent(intent));
  return {};
}

Status Commit(Txn& txn, PartitionId coordinator, const TransactionId& id, const TransactionPart& part,
              std::vector<PartitionId> participants, LockedBy* by) {
  CURVEFS_CHECK_OK(CheckPart(txn.fs().fs, coordinator, part));
  if (participants.size() > kMaxParticipants) return Invalid("too many participants");
  CURVEFS_TRY(const auto decision, FindDecision(txn, coordinator, id));
  if (decision && decision->committed) return {};
  if (decision) return {Code::kStale, "the transaction has been given up"};
  CURVEFS_CHECK_OK(CheckState(txn, coordinator, id, part, KeysOf(part), by));
  CURVEFS_TRY(const auto intent, FindIntent(txn, coordinator, id));
  if (intent) {
    Apply(txn, intent->writes);
    CURVEFS_CHECK_OK(Release(txn, coordinator, id, *intent));
  }
  Apply(txn, part.writes.encoded());
  txn.Set(DecisionKey(txn.fs().fs, coordinator, id),
          EncodeDecision({true, txn.now(), std::move(participants)}));
  return {};
}

Status Finish(Txn& txn, PartitionId partition, const TransactionId& id, bool committed) {
  CURVEFS_TRY(const auto intent, FindIntent(txn, partition, id));
  if (!intent) return {};
  if (committed) Apply(txn, intent->writes);
  return Release(txn, partition, id, *intent);
}

Result<Decision> Resolve(Txn& txn, PartitionId coordinator, const TransactionId& id) {
  CURVEFS_TRY(auto decision, FindDecision(txn, coordinator, id));
  if (decision) return *std::move(decision);
  const Decision aborted{.committed = false, .made = txn.now(), .participants = {}};
  txn.Set(DecisionKey(txn.fs().fs, coordinator, id), EncodeDecision(aborted));
  // Its intent at the coordinator itself has nothing to wait for.
  CURVEFS_CHECK_OK(Finish(txn, coordinator, id, false));
  return aborted;
}

Status Forget(Txn& txn, PartitionId coordinator, const TransactionId& id) {
  CURVEFS_TRY(const auto decision, FindDecision(txn, coordinator, id));
  if (!decision) return {};
  if (decision->committed || txn.now().ns - decision->made.ns >= kAbortedIsKept.count())
    txn.Del(DecisionKey(txn.fs().fs, coordinator, id));
  return {};
}

// ---- Upkeep

namespace {

template <typename Record>
Status ForEachOf(const Reader& reader, PartitionId partition, KeyKind kind,
                 Result<Record> (*decode)(std::string_view),
                 const std::function<bool(const TransactionId&, const Record&)>& visit) {
  const std::string begin = KindPrefix(reader.fs().fs, partition, kind);
  Status failure;
  CURVEFS_CHECK_OK(
      reader.view().Scan(begin, kv::PrefixEnd(begin), [&](std::string_view key, std::string_view value) {
        ParsedKey parsed;
        auto record = decode(value);
        if (!record || !ParseKey(key, &parsed)) {
          failure = record ? Status(Code::kCorrupt, "malformed key of a transaction") : record.error();
          return false;
        }
        return visit(parsed.transaction, *record);
      }));
  return failure;
}

}  // namespace

Status ForEachIntent(const Reader& reader, PartitionId partition,
                     const std::function<bool(const TransactionId&, const Intent&)>& visit) {
  return ForEachOf<Intent>(reader, partition, KeyKind::kIntent, &DecodeIntent, visit);
}

Status ForEachDecision(const Reader& reader, PartitionId coordinator,
                       const std::function<bool(const TransactionId&, const Decision&)>& visit) {
  return ForEachOf<Decision>(reader, coordinator, KeyKind::kDecision, &DecodeDecision, visit);
}

}  // namespace curvefs::meta
