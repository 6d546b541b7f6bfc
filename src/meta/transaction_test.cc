// Each rule of transactions between partitions, one by one.
#include "meta/transaction.h"

#include <gtest/gtest.h>

#include "meta/ops/names.h"
#include "meta/transaction_support_test.h"
#include "records.pb.h"

namespace curvefs::meta {
namespace {

constexpr TransactionId kA{1, 2}, kB{3, 4};
const PartitionId kHome(0), kAway(1);

class Transactions : public testing::Test {
 protected:
  Transactions() {
    const auto dir = partitions.Change(kAway, [](Txn& t) { return ReserveInode(t, kAway, S_IFDIR); });
    away = *dir;
    away.nlink = 2;
    partitions.Of(kAway).map[InodeKey(fs.fs, away.id)] = EncodeInode(away);
    partitions.Of(kAway).map.erase(OrphanKey(fs.fs, away.id));
    key = InodeKey(fs.fs, away.id);
    old_value = partitions.Of(kAway).map[key];
    Inode changed = away;
    changed.uid = 77;
    new_value = EncodeInode(changed);
    part.expected.push_back({key, old_value});
    part.writes.Set(key, new_value);
  }

  Status Prepare(const TransactionId& id, const TransactionPart& p) {
    return Call(kAway, [&](Txn& t) { return meta::Prepare(t, kAway, id, kHome, p, &by); });
  }
  Status Commit(const TransactionId& id, const TransactionPart& p = {}) {
    return Call(kHome, [&](Txn& t) { return meta::Commit(t, kHome, id, p, {kAway}, &by); });
  }
  Status Finish(const TransactionId& id, bool committed) {
    return Call(kAway, [&](Txn& t) { return meta::Finish(t, kAway, id, committed); });
  }
  bool Resolve(const TransactionId& id) {
    return partitions.Change(kHome, [&](Txn& t) { return meta::Resolve(t, kHome, id); })->committed;
  }
  Status Forget(const TransactionId& id) {
    return Call(kHome, [&](Txn& t) { return meta::Forget(t, kHome, id); });
  }
  template <typename F>
  Status Call(PartitionId p, F&& f) {
    return partitions.Change(p, std::forward<F>(f));
  }
  Status Read() {
    LockGuard guard(partitions.Of(kAway), fs, Timestamp{partitions.now});
    std::string value;
    Status s = guard.Get(key, &value);
    by = guard.by();
    return s;
  }
  Status Write(const std::string& k) {
    LockGuard guard(partitions.Of(kAway), fs, Timestamp{partitions.now});
    kv::WriteBatch batch;
    batch.Set(k, "x");
    return guard.CheckWrites(batch);
  }
  size_t Left(KeyKind kind) {
    size_t n = 0;
    for (PartitionId p : {kHome, kAway}) {
      for (const auto& [k, v] : partitions.Of(p).map) n += k[kKeyHeader - 1] == static_cast<char>(kind);
    }
    return n;
  }
  std::string Value() { return partitions.Of(kAway).map[key]; }

  FsContext fs;
  Partitions partitions{fs};
  Inode away;
  std::string key, old_value, new_value;
  TransactionPart part;
  LockedBy by;
};

TEST_F(Transactions, ChangesEverywhereOrNowhere) {
  ASSERT_TRUE(Prepare(kA, part).ok());
  EXPECT_EQ(Value(), old_value);
  ASSERT_TRUE(Commit(kA).ok());
  EXPECT_EQ(Value(), old_value);
  EXPECT_EQ(Read().code(), Code::kLocked);  // not the value that is no longer true
  ASSERT_TRUE(Finish(kA, true).ok());
  EXPECT_EQ(Value(), new_value);
  EXPECT_TRUE(Read().ok());
  ASSERT_TRUE(Forget(kA).ok());
  for (KeyKind kind : {KeyKind::kLock, KeyKind::kIntent, KeyKind::kDecision}) EXPECT_EQ(Left(kind), 0u);

  part.expected = {{key, new_value}};
  part.writes.Clear();
  part.writes.Set(key, old_value);
  ASSERT_TRUE(Prepare(kB, part).ok());
  ASSERT_TRUE(Finish(kB, false).ok());
  EXPECT_EQ(Value(), new_value);
  EXPECT_EQ(Left(KeyKind::kLock) + Left(KeyKind::kIntent), 0u);
}

TEST_F(Transactions, WhatIsOtherwiseIsStaleAndLeavesNothing) {
  part.expected = {{key, new_value}};
  EXPECT_EQ(Prepare(kA, part).code(), Code::kStale);
  part.expected = {{key, std::nullopt}};
  EXPECT_EQ(Prepare(kA, part).code(), Code::kStale);
  TransactionPart own;
  own.expected.push_back({InodeKey(fs.fs, kRootInode), std::nullopt});
  EXPECT_EQ(Commit(kA, own).code(), Code::kStale);
  EXPECT_EQ(Left(KeyKind::kLock) + Left(KeyKind::kIntent) + Left(KeyKind::kDecision), 0u);
}

TEST_F(Transactions, NobodyPassesALock) {
  ASSERT_TRUE(Prepare(kA, part).ok());
  partitions.now += 500;
  EXPECT_EQ(Prepare(kB, part).code(), Code::kLocked);
  EXPECT_EQ(by.txn, kA);
  EXPECT_EQ(by.coordinator, kHome);
  EXPECT_EQ(by.partition, kAway);
  EXPECT_EQ(by.age.count(), 500);
  by = {};
  EXPECT_EQ(Read().code(), Code::kLocked);
  EXPECT_EQ(by.txn, kA);
  EXPECT_EQ(Write(key).code(), Code::kLocked);
  EXPECT_TRUE(Write(OrphanKey(fs.fs, away.id)).ok());
  EXPECT_TRUE(Prepare(kA, part).ok());  // its own
}

TEST_F(Transactions, WhatIsOnlyReadMayBeReadByOthersButNotWritten) {
  part.writes.Clear();
  ASSERT_TRUE(Prepare(kA, part).ok());
  EXPECT_TRUE(Read().ok());
  EXPECT_EQ(Write(key).code(), Code::kLocked);
}

TEST_F(Transactions, ADirectoryThatMustBeEmptyStaysEmpty) {
  const std::string prefix = InodePrefix(fs.fs, KeyKind::kDentry, away.id),
                    entry = DentryKey(fs.fs, away.id, 5, "name");
  TransactionPart empty;
  empty.empty.push_back(prefix);
  ASSERT_TRUE(Prepare(kA, empty).ok());
  EXPECT_EQ(Write(entry).code(), Code::kLocked);
  TransactionPart adds;
  adds.writes.Set(entry, EncodeDentry({InodeId(9), 8}));
  EXPECT_EQ(Prepare(kB, adds).code(), Code::kLocked);
  ASSERT_TRUE(Finish(kA, false).ok());
  ASSERT_TRUE(Prepare(kB, adds).ok());
  EXPECT_EQ(Prepare(kA, empty).code(), Code::kLocked);  // an entry that is announced
  // Nor does a listing miss it.
  LockGuard guard(partitions.Of(kAway), fs, Timestamp{partitions.now});
  EXPECT_EQ(guard.Scan(prefix, kv::PrefixEnd(prefix), [](auto, auto) { return true; }).code(), Code::kLocked);
  ASSERT_TRUE(Finish(kB, true).ok());
  EXPECT_EQ(Prepare(kA, empty).code(), Code::kStale);
}

TEST_F(Transactions, AListingThatStopsBeforeALockedEntryIsNotDisturbed) {
  partitions.Of(kAway).map[DentryKey(fs.fs, away.id, 1, "a")] = EncodeDentry({InodeId(9), 8});
  TransactionPart adds;
  adds.writes.Set(DentryKey(fs.fs, away.id, 5, "b"), EncodeDentry({InodeId(9), 8}));
  ASSERT_TRUE(Prepare(kA, adds).ok());
  LockGuard guard(partitions.Of(kAway), fs, Timestamp{partitions.now});
  const std::string prefix = InodePrefix(fs.fs, KeyKind::kDentry, away.id);
  EXPECT_TRUE(guard.Scan(prefix, kv::PrefixEnd(prefix), [](auto, auto) { return false; }).ok());
  EXPECT_EQ(guard.Scan(prefix, kv::PrefixEnd(prefix), [](auto, auto) { return true; }).code(), Code::kLocked);
}

TEST_F(Transactions, LocksFirstWritesLater) {
  TransactionPart locks;
  locks.locked.push_back(key);
  ASSERT_TRUE(Prepare(kA, locks).ok());
  EXPECT_TRUE(Read().ok());
  EXPECT_EQ(Write(key).code(), Code::kLocked);
  ASSERT_TRUE(Prepare(kA, part).ok());
  EXPECT_EQ(Read().code(), Code::kLocked);
  ASSERT_TRUE(Prepare(kA, locks).ok());  // takes no write back
  ASSERT_TRUE(Commit(kA).ok());
  ASSERT_TRUE(Finish(kA, true).ok());
  EXPECT_EQ(Value(), new_value);
}

TEST_F(Transactions, WhatIsGivenUpIsNotCommittedLater) {
  ASSERT_TRUE(Prepare(kA, part).ok());
  EXPECT_FALSE(Resolve(kA));
  EXPECT_EQ(Commit(kA).code(), Code::kStale);
  partitions.now += kAbortedIsKept.count() - 1;
  ASSERT_TRUE(Forget(kA).ok());
  EXPECT_EQ(Commit(kA).code(), Code::kStale);
  EXPECT_FALSE(Resolve(kA));
  ++partitions.now;
  ASSERT_TRUE(Forget(kA).ok());
  EXPECT_EQ(Left(KeyKind::kDecision), 0u);
}

TEST_F(Transactions, WhatIsCommittedIsNotGivenUp) {
  ASSERT_TRUE(Prepare(kA, part).ok());
  ASSERT_TRUE(Commit(kA).ok());
  EXPECT_TRUE(Resolve(kA));
  EXPECT_TRUE(Commit(kA).ok());
  std::vector<PartitionId> participants;
  ASSERT_TRUE(ForEachDecision(Reader(partitions.Of(kHome), fs), kHome,
                              [&](const TransactionId& id, const Decision& d) {
                                EXPECT_EQ(id, kA);
                                participants = d.participants;
                                return true;
                              })
                  .ok());
  EXPECT_EQ(participants, std::vector<PartitionId>{kAway});
}

TEST_F(Transactions, FinishComesTwiceAndLate) {
  ASSERT_TRUE(Prepare(kA, part).ok());
  ASSERT_TRUE(Commit(kA).ok());
  ASSERT_TRUE(Finish(kA, true).ok());
  part.expected = {{key, new_value}};
  part.writes.Clear();
  part.writes.Set(key, old_value);
  ASSERT_TRUE(Prepare(kB, part).ok());
  ASSERT_TRUE(Finish(kA, true).ok());
  EXPECT_EQ(Value(), new_value);
  EXPECT_EQ(Read().code(), Code::kLocked);  // B's
  size_t intents = 0;
  ASSERT_TRUE(
      ForEachIntent(Reader(partitions.Of(kAway), fs), kAway, [&](const TransactionId& id, const Intent& i) {
        EXPECT_EQ(id, kB);
        EXPECT_EQ(i.coordinator, kHome);
        ++intents;
        return true;
      }).ok());
  EXPECT_EQ(intents, 1u);
}

TEST_F(Transactions, TheCoordinatorFinishesItsOwnIntentWithTheCommit) {
  const std::string root = InodeKey(fs.fs, kRootInode);
  TransactionPart locks;
  locks.locked.push_back(root);
  ASSERT_TRUE(Call(kHome, [&](Txn& t) { return meta::Prepare(t, kHome, kA, kHome, locks, &by); }).ok());
  EXPECT_EQ(Left(KeyKind::kLock), 1u);
  ASSERT_TRUE(Commit(kA).ok());
  EXPECT_EQ(Left(KeyKind::kLock) + Left(KeyKind::kIntent), 0u);
}

TEST_F(Transactions, AMoveOfADirectoryAsksWhereTheRootIs) {
  LockGuard away_guard(partitions.Of(kAway), fs, Timestamp{partitions.now});
  EXPECT_EQ(away_guard.CheckDirectoryRename().code(), Code::kElsewhere);
  auto at_home = [&] {
    return LockGuard(partitions.Of(kHome), fs, Timestamp{partitions.now}).CheckDirectoryRename();
  };
  EXPECT_TRUE(at_home().ok());
  TransactionPart mutex;
  mutex.locked.push_back(DirectoryRenameKey(fs.fs));
  ASSERT_TRUE(Call(kHome, [&](Txn& t) { return meta::Prepare(t, kHome, kA, kAway, mutex, &by); }).ok());
  EXPECT_EQ(at_home().code(), Code::kLocked);
  EXPECT_EQ(Call(kHome, [&](Txn& t) { return meta::Prepare(t, kHome, kB, kAway, mutex, &by); }).code(),
            Code::kLocked);
  ASSERT_TRUE(Call(kHome, [&](Txn& t) { return meta::Finish(t, kHome, kA, false); }).ok());
  EXPECT_TRUE(at_home().ok());
}

TEST_F(Transactions, RefusesWhatNoClientOfOursSends) {
  auto refused = [&](const std::string& k, const std::string& value) {
    TransactionPart p;
    p.writes.Set(k, value);
    return Prepare(kA, p).code();
  };
  EXPECT_EQ(refused(InodeKey(fs.fs, kRootInode), new_value), Code::kInvalid);  // another partition's
  EXPECT_EQ(refused(InodeKey(FsId(9), away.id), new_value), Code::kInvalid);
  EXPECT_EQ(refused(key, "no inode"), Code::kInvalid);
  EXPECT_EQ(refused(key + "x", new_value), Code::kInvalid);
  EXPECT_EQ(refused(PartitionKey(fs.fs, kAway), ""), Code::kInvalid);
  EXPECT_EQ(refused(LockKey(key), "x"), Code::kInvalid);
  EXPECT_EQ(refused(SessionKey(1), "x"), Code::kInvalid);
  EXPECT_EQ(refused(DirectoryRenameKey(fs.fs), "x"), Code::kInvalid);
  TransactionPart many;
  for (size_t i = 0; i <= kMaxTransactionKeys; ++i)
    many.locked.push_back(InodeKey(fs.fs, InodeId(away.id.value + i)));
  EXPECT_EQ(Prepare(kA, many).code(), Code::kTooBig);
  TransactionPart odd;
  odd.empty.emplace_back("x");
  EXPECT_EQ(Prepare(kA, odd).code(), Code::kInvalid);
  EXPECT_EQ(Left(KeyKind::kLock) + Left(KeyKind::kIntent), 0u);
}

TEST_F(Transactions, AReservedDirectoryIsAnOrphanUntilItHasItsName) {
  auto made = partitions.Change(kAway, [](Txn& t) { return ReserveInode(t, kAway, S_IFDIR); });
  ASSERT_TRUE(made);
  EXPECT_TRUE(*Reader(partitions.Of(kAway), fs).IsOrphan(made->id));
  auto linked = partitions.Change(kAway, [&](Txn& t) {
    return Create(t, {.parent = away.id, .name = "d", .mode = S_IFDIR | 0750, .reserved = made->id});
  });
  ASSERT_TRUE(linked);
  EXPECT_EQ(linked->id, made->id);
  EXPECT_EQ(linked->nlink, 2u);
  EXPECT_EQ(linked->parent, away.id);
  EXPECT_FALSE(*Reader(partitions.Of(kAway), fs).IsOrphan(made->id));
  auto again = partitions.Change(kAway, [&](Txn& t) {
    return Create(t, {.parent = away.id, .name = "e", .mode = S_IFDIR | 0750, .reserved = made->id});
  });
  EXPECT_EQ(again.error().code(), Code::kInvalid);
}

// The bytes are on disks.
TEST(TransactionRecords, AreTheMessagesOfTheProto) {
  const Lock lock{kA, PartitionId(3), {99}, true};
  curvefs::TransactionLock lm;
  ASSERT_TRUE(lm.ParseFromString(EncodeLock(lock)));
  EXPECT_EQ(lm.transaction().size(), 16u);
  EXPECT_EQ(lm.coordinator(), 3u);
  EXPECT_EQ(*DecodeLock(lm.SerializeAsString()), lock);
  EXPECT_EQ(
      EncodeLock(lock),
      std::string("\x0a\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\x10\x03\x19\x63\0\0\0\0\0\0\0\x20\x01", 31));

  Intent intent{
      .coordinator = PartitionId(3), .since = {99}, .locked = {"12345678a", "12345678b"}, .writes = {}};
  kv::WriteBatch batch;
  batch.Set("key", "value");
  intent.writes = batch.encoded();
  curvefs::TransactionIntent im;
  ASSERT_TRUE(im.ParseFromString(EncodeIntent(intent)));
  EXPECT_EQ(im.locked(1), "12345678b");
  EXPECT_EQ(im.writes(), batch.encoded());
  EXPECT_EQ(EncodeIntent(*DecodeIntent(im.SerializeAsString())), EncodeIntent(intent));

  const Decision decision{true, {99}, {PartitionId(0), PartitionId(300)}};
  curvefs::TransactionDecision dm;
  ASSERT_TRUE(dm.ParseFromString(EncodeDecision(decision)));
  EXPECT_EQ(dm.participant(1), 300u);
  EXPECT_EQ(DecodeDecision(dm.SerializeAsString())->participants, decision.participants);
  EXPECT_EQ(EncodeDecision(decision), std::string("\x08\x01\x11\x63\0\0\0\0\0\0\0\x1a\x03\0\xac\x02", 16));
}

TEST(TransactionRecords, RefuseWhatIsNotOne) {
  EXPECT_EQ(DecodeLock("").error().code(), Code::kCorrupt);
  EXPECT_EQ(DecodeLock(std::string("\x0a\x01x", 3)).error().code(), Code::kCorrupt);
  EXPECT_EQ(DecodeIntent(std::string("\x1a\x01x", 3)).error().code(), Code::kCorrupt);
  EXPECT_EQ(DecodeIntent(std::string("\x22\x01x", 3)).error().code(), Code::kCorrupt);
  EXPECT_EQ(DecodeDecision(std::string("\x1a\x01\xff", 3)).error().code(), Code::kCorrupt);
}

TEST(TransactionKeys, ParseBackAndSortAsWhatTheyLock) {
  const FsId fs(7);
  const InodeId far = MakeInodeId(PartitionId(3), 42);
  ParsedKey k;
  const std::string lock = LockKey(InodeKey(fs, far));
  ASSERT_TRUE(ParseKey(lock, &k));
  EXPECT_EQ(k.kind, KeyKind::kLock);
  EXPECT_EQ(k.partition, PartitionId(3));
  EXPECT_EQ(k.name, InodeKey(fs, far).substr(kKeyHeader - 1));
  ASSERT_TRUE(ParseKey(IntentKey(fs, PartitionId(3), kB), &k));
  EXPECT_EQ(k.transaction, kB);
  ASSERT_TRUE(ParseKey(DecisionKey(fs, PartitionId(3), kB), &k));
  EXPECT_EQ(k.transaction, kB);
  ASSERT_TRUE(ParseKey(DirectoryRenameKey(fs), &k));
  EXPECT_LT(LockKey(DentryKey(fs, far, 1, "a")), LockKey(DentryKey(fs, far, 2, "a")));
  EXPECT_FALSE(ParseKey(KindPrefix(fs, PartitionId(3), KeyKind::kLock), &k));
  EXPECT_FALSE(ParseKey(KindPrefix(fs, PartitionId(3), KeyKind::kIntent) + "short", &k));
}

}  // namespace
}  // namespace curvefs::meta
