// Partitions in memory, in several stores as copysets have them, for tests of transactions between them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "meta/lock_guard.h"
#include "meta/ops/create.h"
#include "meta/transaction.h"

namespace curvefs::meta {

class StoreInMemory final : public kv::View {
 public:
  Status Get(std::string_view key, std::string* value) const override {
    auto it = map.find(key);
    if (it == map.end()) return Code::kNotFound;
    *value = it->second;
    return {};
  }
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    for (auto it = map.lower_bound(begin); it != map.end() && (end.empty() || it->first < end); ++it) {
      if (!visit(it->first, it->second)) break;
    }
    return {};
  }
  void Apply(const kv::WriteBatch& batch) {
    kv::WriteBatch::ForEachTrusted(batch.encoded(),
                                   [&](kv::RecordType type, std::string_view key, std::string_view value) {
                                     if (type == kv::RecordType::kSet) {
                                       map.insert_or_assign(std::string(key), std::string(value));
                                     } else {
                                       map.erase(std::string(key));
                                     }
                                   });
  }
  std::map<std::string, std::string, std::less<>> map;
};

class Partitions {
 public:
  // Partitions 0 and 1 have stores of their own, 2 and 3 share one.
  static constexpr uint32_t kCount = 4;

  explicit Partitions(const FsContext& context) : fs(context) {
    (void)Change(PartitionId(0), [](Txn& t) -> Status {
      MakeRoot(t, 0755, 0, 0);
      return {};
    });
  }

  StoreInMemory& Of(PartitionId partition) { return stores_[std::min(partition.value, 2u)]; }
  StoreInMemory& OfKey(std::string_view key) {
    return Of(PartitionId(static_cast<uint32_t>(GetBe(key.data() + 4, 3))));
  }

  InodeId ParentOf(InodeId dir) {
    auto inode = Reader(Of(PartitionOf(dir)), fs).GetInode(dir);
    return inode ? inode->parent : InodeId();
  }

  // One change of one copyset that passes no lock check.
  template <typename F>
  auto Change(PartitionId partition, F&& f) -> decltype(f(std::declval<Txn&>())) {
    Txn txn(Of(partition), fs, Timestamp{now});
    auto r = f(txn);
    if (r) Of(partition).Apply(txn.ToBatch());
    return r;
  }

  // An ordinary operation: does pass it.
  template <typename F>
  auto Operate(PartitionId partition, LockedBy* by, F&& f)
      -> decltype(f(std::declval<Txn&>(), std::declval<LockGuard&>())) {
    LockGuard guard(Of(partition), fs, Timestamp{now});
    Txn txn(guard, fs, Timestamp{now});
    auto r = f(txn, guard);
    if (r) {
      kv::WriteBatch batch = txn.ToBatch();
      if (Status s = guard.CheckWrites(batch); s.ok()) {
        Of(partition).Apply(batch);
      } else {
        r = Fail(s);
      }
    }
    if (!r) *by = guard.by();
    return r;
  }

  const FsContext& fs;
  int64_t now = 1'000'000'000'000;

 private:
  StoreInMemory stores_[3];
};

}  // namespace curvefs::meta
