#include "meta/lock_guard.h"

#include "base/bytes.h"

namespace curvefs::meta {
namespace {

PartitionId PartitionOfKey(std::string_view key) {
  return PartitionId(static_cast<uint32_t>(GetBe(key.data() + 4, 3)));
}

}  // namespace

Status CheckHere(const kv::View& view, FsId fs, PartitionId partition) {
  std::string value;
  Status s = view.Get(PartitionKey(fs, partition), &value);
  if (s.code() != Code::kNotFound) return s;
  if (partition != PartitionId(0)) return Code::kElsewhere;
  s = view.Get(InodeKey(fs, kRootInode), &value);
  if (s.code() != Code::kNotFound) return s;
  s = view.Get(SuperBlockKey(fs), &value);
  if (s.ok()) return Code::kElsewhere;
  return s.code() == Code::kNotFound ? Status() : s;
}

bool LockGuard::OfFs(std::string_view key) const {
  return key.size() >= kKeyHeader && GetBe(key.data(), 4) == fs_.fs.value;
}

Status LockGuard::Here(std::string_view key) const {
  if (partitions_ == Partitions::kAll || !OfFs(key) ||
      static_cast<KeyKind>(key[kKeyHeader - 1]) == KeyKind::kSuperBlock)
    return {};
  const PartitionId partition = PartitionOfKey(key);
  for (const PartitionId known : here_) {
    if (known == partition) return {};
  }
  CURVEFS_CHECK_OK(CheckHere(view_, fs_.fs, partition));
  here_.push_back(partition);
  return {};
}

// Sessions, and the records of transactions themselves, are nobody's to lock.
bool LockGuard::Guarded(std::string_view key) const {
  if (!OfFs(key)) return false;
  switch (static_cast<KeyKind>(key[kKeyHeader - 1])) {
    case KeyKind::kLock:
    case KeyKind::kIntent:
    case KeyKind::kDecision:
    case KeyKind::kPartition:
    case KeyKind::kSuperBlock:
      return false;
    default:
      return true;
  }
}

bool LockGuard::AnyLocks(std::string_view key) const {
  const PartitionId partition = PartitionOfKey(key);
  for (const Known& known : known_) {
    if (known.partition == partition) return known.locks;
  }
  bool any = false;
  const std::string begin = KindPrefix(fs_.fs, partition, KeyKind::kLock);
  // What cannot be read may be locked: the look at the lock itself then fails as this one did.
  Status s = view_.Scan(begin, kv::PrefixEnd(begin), [&](std::string_view, std::string_view) {
    any = true;
    return false;
  });
  any = any || !s.ok();
  known_.push_back({partition, any});
  return any;
}

Status LockGuard::Judge(std::string_view key, const std::string& value, bool writing) const {
  auto lock = DecodeLock(value);
  if (!lock) return lock.error();
  if (self_ == lock->txn || (!writing && !lock->writes)) return {};
  by_ = {lock->txn, lock->coordinator, PartitionOfKey(key), Duration(now_.ns - lock->since.ns)};
  return Code::kLocked;
}

Status LockGuard::CheckKey(std::string_view key, bool writing) const {
  if (!Guarded(key) || !AnyLocks(key)) return {};
  std::string value;
  Status s = view_.Get(LockKey(key), &value);
  if (s.ok()) CURVEFS_CHECK_OK(Judge(key, value, writing));
  if (!s.ok() && s.code() != Code::kNotFound) return s;
  // An entry of a directory that a transaction needs empty.
  if (!writing || static_cast<KeyKind>(key[kKeyHeader - 1]) != KeyKind::kDentry || key.size() <= kInodePrefix)
    return {};
  s = view_.Get(LockKey(key.substr(0, kInodePrefix)), &value);
  if (s.ok()) return Judge(key, value, writing);
  return s.code() == Code::kNotFound ? Status() : s;
}

Status LockGuard::Get(std::string_view key, std::string* value) const {
  CURVEFS_CHECK_OK(Here(key));
  CURVEFS_CHECK_OK(CheckKey(key, false));
  return view_.Get(key, value);
}

Status LockGuard::Scan(std::string_view begin, std::string_view end, const Visitor& visit) const {
  CURVEFS_CHECK_OK(Here(begin));
  if (!Guarded(begin) || !AnyLocks(begin)) return view_.Scan(begin, end, visit);
  // Up to where the caller has looked; an entry that a lock announces may not be there yet.
  std::string last;
  bool stopped = false;
  CURVEFS_CHECK_OK(view_.Scan(begin, end, [&](std::string_view key, std::string_view value) {
    stopped = !visit(key, value);
    if (stopped) last = key;
    return !stopped;
  }));
  if (stopped) last.push_back('\0');
  Status conflict;
  const std::string locks_end =
      stopped ? LockKey(last) : kv::PrefixEnd(KindPrefix(fs_.fs, PartitionOfKey(begin), KeyKind::kLock));
  const std::string bounded = !stopped && !end.empty() && end.size() >= kKeyHeader &&
                                      PartitionOfKey(end) == PartitionOfKey(begin) &&
                                      end.substr(0, 4) == begin.substr(0, 4)
                                  ? LockKey(end)
                                  : locks_end;
  CURVEFS_CHECK_OK(view_.Scan(LockKey(begin), bounded, [&](std::string_view, std::string_view lock) {
    conflict = Judge(begin, std::string(lock), false);
    return conflict.ok();
  }));
  return conflict;
}

Status LockGuard::CheckDirectoryRename() const {
  std::string root;
  Status s = view_.Get(InodeKey(fs_.fs, kRootInode), &root);
  if (s.code() == Code::kNotFound) return Code::kElsewhere;
  return s.ok() ? CheckKey(DirectoryRenameKey(fs_.fs), true) : s;
}

Status LockGuard::CheckWrites(const kv::WriteBatch& batch) const {
  Status conflict;
  kv::WriteBatch::ForEachTrusted(batch.encoded(),
                                 [&](kv::RecordType, std::string_view key, std::string_view) {
                                   if (conflict.ok()) conflict = Here(key);
                                   if (conflict.ok()) conflict = CheckKey(key, true);
                                 });
  return conflict;
}

}  // namespace curvefs::meta
