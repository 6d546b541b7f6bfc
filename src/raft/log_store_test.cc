#include "raft/log_store.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "kv/journal_format.h"
#include "kv/write_batch.h"
#include "raft/log_record.h"
#include "test/support/golden.h"
#include "test/support/sim_disk.h"

namespace curvefs::raft {
namespace {

using test::SimDisk;

const GroupId kA{1}, kB{2};

LogOptions Small(uint64_t segment_bytes = 16 << 10) {
  return {.journal = {.segment_bytes = segment_bytes, .prepare_ahead = false, .salt = 7}};
}

std::unique_ptr<SimDisk> NewDisk() {
  auto disk = std::make_unique<SimDisk>();
  EXPECT_TRUE(disk->MakeDir("/log").ok() && disk->SyncDir("/").ok());
  return disk;
}

std::unique_ptr<LogStore> Open(Disk& disk, LogOptions options = Small()) {
  auto store = LogStore::Open(disk, "/log", options, nullptr);
  EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().ToString());
  return store ? *std::move(store) : nullptr;
}

Entry At(Index index, Term term, std::string_view payload) {
  return {.term = term, .index = index, .payload = MakePayload(payload)};
}
std::vector<Entry> Range(Index first, Index last, Term term, size_t bytes = 10) {
  std::vector<Entry> entries;
  for (Index i = first; i <= last; ++i) {
    entries.push_back(At(i, term, std::to_string(i) + "@" + std::to_string(term) + std::string(bytes, '.')));
  }
  return entries;
}
SnapshotMeta Base(Index index, Term term) {
  return {.index = index, .term = term, .members = {.voters = {ReplicaId(1), ReplicaId(2), ReplicaId(3)}}};
}
HardState Hard(Term term, uint64_t vote = 0, Index commit = 0) {
  return {.term = term, .vote = ReplicaId(vote), .commit = commit};
}

// The whole log of a group in words.
std::string Show(const LogStore& store, GroupId group) {
  auto info = store.Info(group);
  if (!info) return "none";
  std::string text = "t" + std::to_string(info->hard.term) + " v" + std::to_string(info->hard.vote.value) +
                     " c" + std::to_string(info->hard.commit) + " base " + std::to_string(info->base.index) +
                     "/" + std::to_string(info->base.term) + ":";
  for (Index i = info->base.index + 1; i <= info->last; ++i) {
    auto entry = store.Read(group, i, i + 1, 1);
    if (!entry) return text + " " + entry.error().ToString();
    EXPECT_EQ(store.TermOf(group, i), entry->at(0).term);
    text += " " + std::to_string(entry->at(0).term) + std::string(BytesOf(entry->at(0).payload));
  }
  return text;
}

TEST(LogStore, KeepsWhatWasSyncedAndInMemoryWhatWasNot) {
  auto disk = NewDisk();
  auto store = Open(*disk);
  EXPECT_TRUE(store->Groups().empty());
  ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok());
  HardState hard = Hard(2, 3, 1);
  ASSERT_TRUE(store->Append(kA, &hard, std::vector{At(2, 2, "two"), At(3, 2, "")}).ok());
  ASSERT_TRUE(store->Sync().ok());
  ASSERT_TRUE(store->Append(kA, nullptr, std::vector{At(4, 2, "four")}).ok());
  EXPECT_EQ(Show(*store, kA), "t2 v3 c1 base 1/1: 2two 2 2four");
  disk->Crash(1, SimDisk::Keep::kNothing);
  store = Open(*disk);
  EXPECT_EQ(Show(*store, kA), "t2 v3 c1 base 1/1: 2two 2");
  EXPECT_EQ(store->Info(kA)->base, Base(1, 1));
}

TEST(LogStore, LaterEntriesReplaceAndGroupsDoNotMix) {
  auto disk = NewDisk();
  auto store = Open(*disk);
  ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok());
  ASSERT_TRUE(store->Reset(kB, Base(5, 2), Hard(2)).ok());
  ASSERT_TRUE(store->Append(kA, nullptr, std::vector{At(2, 1, "a"), At(3, 1, "b"), At(4, 1, "c")}).ok());
  ASSERT_TRUE(store->Append(kB, nullptr, std::vector{At(6, 2, "x")}).ok());
  ASSERT_TRUE(store->Append(kA, nullptr, std::vector{At(3, 2, "B")}).ok());
  const std::string a = "t1 v0 c0 base 1/1: 1a 2B", b = "t2 v0 c0 base 5/2: 2x";
  EXPECT_EQ(Show(*store, kA), a);
  ASSERT_TRUE(store->Sync().ok());
  disk->Crash(1);
  store = Open(*disk);
  EXPECT_EQ(Show(*store, kA), a);
  EXPECT_EQ(Show(*store, kB), b);
  EXPECT_EQ(store->Groups(), (std::vector{kA, kB}));
  EXPECT_FALSE(store->TermOf(kA, 4).has_value());
  EXPECT_EQ(store->Read(kA, 4, 5, 1).error().code(), Code::kNotFound);
  EXPECT_EQ(store->Read(kA, 1, 5, 1).error().code(), Code::kNotFound);
}

TEST(LogStore, CompactResetRemove) {
  auto disk = NewDisk();
  auto store = Open(*disk);
  ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok());
  ASSERT_TRUE(store->Reset(kB, Base(1, 1), Hard(1)).ok());
  ASSERT_TRUE(store->Append(kA, nullptr, Range(2, 9, 1, 0)).ok());
  ASSERT_TRUE(store->Compact(kA, Base(7, 1)).ok());
  ASSERT_TRUE(store->Append(kB, nullptr, Range(2, 3, 1, 0)).ok());
  ASSERT_TRUE(store->Reset(kB, Base(20, 4), Hard(4)).ok());
  EXPECT_EQ(Show(*store, kA), "t1 v0 c0 base 7/1: 18@1 19@1");
  EXPECT_EQ(Show(*store, kB), "t4 v0 c0 base 20/4:");
  ASSERT_TRUE(store->Sync().ok());
  store = Open(*disk);
  EXPECT_EQ(Show(*store, kA), "t1 v0 c0 base 7/1: 18@1 19@1");
  EXPECT_EQ(Show(*store, kB), "t4 v0 c0 base 20/4:");
  ASSERT_TRUE(store->Remove(kA).ok() && store->Sync().ok());
  store = Open(*disk);
  EXPECT_EQ(store->Groups(), std::vector{kB});
}

TEST(LogStore, ReadsBackFromDiskWhatTheCacheHasForgotten) {
  auto disk = NewDisk();
  LogOptions options = Small(1 << 20);
  options.cache_bytes = 1000;
  auto store = Open(*disk, options);
  ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok());
  std::vector<Entry> all = Range(2, 101, 1, 300);
  for (size_t i = 0; i < all.size(); i += 10) {
    ASSERT_TRUE(store->Append(kA, nullptr, std::span(all).subspan(i, 10)).ok());
    ASSERT_TRUE(store->Sync().ok());
  }
  uint64_t reads = disk->count(SimDisk::Op::kRead);
  auto entries = store->Read(kA, 2, 102, 1 << 20);
  ASSERT_TRUE(entries.has_value());
  EXPECT_GT(disk->count(SimDisk::Op::kRead), reads);
  ASSERT_EQ(entries->size(), 100u);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(*entries->at(i).payload, *all[i].payload);
  // Limited in bytes, and never less than one.
  EXPECT_EQ(store->Read(kA, 2, 102, 1000)->size(), 3u);
  EXPECT_EQ(store->Read(kA, 2, 102, 0)->size(), 1u);
  // Damage in what is read back is named.
  auto files = disk->Files();
  std::string bytes = files.begin()->second;
  bytes[4096 + 4000] ^= 1;
  disk->SetContent(files.begin()->first, bytes);
  auto damaged = store->Read(kA, 2, 102, 1 << 20);
  ASSERT_FALSE(damaged.has_value());
  EXPECT_EQ(damaged.error().code(), Code::kCorrupt);
  EXPECT_NE(damaged.error().message().find(".log at byte "), std::string::npos);
}

TEST(LogStore, OneSyncForAllWhoWait) {
  auto disk = NewDisk();
  auto store = Open(*disk, Small(1 << 20));
  for (uint64_t g = 1; g <= 50; ++g) ASSERT_TRUE(store->Reset(GroupId(g), Base(1, 1), Hard(1)).ok());
  ASSERT_TRUE(store->Sync().ok());
  uint64_t syncs = disk->count(SimDisk::Op::kSync);
  for (uint64_t g = 1; g <= 50; ++g) ASSERT_TRUE(store->Append(GroupId(g), nullptr, Range(2, 3, 1)).ok());
  ASSERT_TRUE(store->Sync().ok());
  EXPECT_EQ(disk->count(SimDisk::Op::kSync), syncs + 1);
}

TEST(LogStore, SegmentsGoWhenNoGroupNeedsThem) {
  auto disk = NewDisk();
  LogOptions options = Small();
  options.max_segments = 1000;
  auto store = Open(*disk, options);
  ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok());
  for (Index i = 2; i < 500; ++i) {
    HardState hard = Hard(1, 1, i - 1);
    ASSERT_TRUE(store->Append(kA, &hard, Range(i, i, 1, 200)).ok() && store->Sync().ok());
    if (i % 50 == 0) {
      ASSERT_TRUE(store->Compact(kA, Base(i - 5, 1)).ok());
      ASSERT_TRUE(store->Trim().ok());
    }
  }
  EXPECT_LE(disk->Files().size(), 3u);
  EXPECT_EQ(store->rewritten_bytes(), 0u);
  std::string before = Show(*store, kA);
  store = Open(*disk, options);
  EXPECT_EQ(Show(*store, kA), before);
}

TEST(LogStore, AQuietGroupDoesNotHoldBackABusyOne) {
  auto disk = NewDisk();
  LogOptions options = Small();
  options.cache_bytes = 0;
  options.max_segments = 3;
  auto store = Open(*disk, options);
  ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok());
  ASSERT_TRUE(store->Reset(kB, Base(1, 1), Hard(1, 2)).ok());
  ASSERT_TRUE(store->Append(kB, nullptr, Range(2, 5, 1, 100)).ok());
  for (Index i = 2; i < 600; ++i) {
    ASSERT_TRUE(store->Append(kA, nullptr, Range(i, i, 1, 200)).ok() && store->Sync().ok());
    if (i == 300) ASSERT_TRUE(store->Append(kB, nullptr, Range(6, 9, 1, 100)).ok());
    if (i % 20 == 0) ASSERT_TRUE(store->Compact(kA, Base(i - 5, 1)).ok() && store->Trim().ok());
  }
  EXPECT_LE(disk->Files().size(), 5u);
  EXPECT_GT(store->rewritten_bytes(), 0u);
  EXPECT_LT(store->rewritten_bytes(), 100'000u);
  std::string a = Show(*store, kA), b = Show(*store, kB);
  EXPECT_NE(b.find("19@1"), std::string::npos);
  ASSERT_TRUE(store->Sync().ok());
  disk->Crash(3);
  store = Open(*disk, options);
  EXPECT_EQ(Show(*store, kA), a);
  EXPECT_EQ(Show(*store, kB), b);
}

TEST(LogStore, MissingOldSegmentsAreRefused) {
  auto disk = NewDisk();
  auto store = Open(*disk);
  ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok());
  for (Index i = 2; i < 300; ++i)
    ASSERT_TRUE(store->Append(kA, nullptr, Range(i, i, 1, 200)).ok() && store->Sync().ok());
  store.reset();
  disk->RemoveDurably(disk->Files().begin()->first);
  auto refused = LogStore::Open(*disk, "/log", Small(), nullptr);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), Code::kCorrupt);
  EXPECT_NE(refused.error().message().find("oldest segments"), std::string::npos);
}

TEST(LogStore, AJournalOfBatchesIsNotARaftLog) {
  auto disk = NewDisk();
  {
    auto journal = kv::Journal::Open(
        *disk, "/log", 0, [](Seq, std::string_view) { return Status(); },
        {.segment_bytes = 8192, .prepare_ahead = false}, nullptr);
    kv::WriteBatch batch;
    batch.Set("k", "v");
    ASSERT_TRUE((*journal)->Append(batch.encoded()).has_value() && (*journal)->Sync(1).ok());
  }
  EXPECT_EQ(LogStore::Open(*disk, "/log", Small(), nullptr).error().code(), Code::kInvalid);
}

TEST(LogStore, AFailedSyncLosesNothing) {
  auto disk = NewDisk();
  auto store = Open(*disk);
  ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok() && store->Sync().ok());
  ASSERT_TRUE(store->Append(kA, nullptr, Range(2, 4, 1, 0)).ok());
  disk->FailNth(SimDisk::Op::kSync, 1, Code::kIo);
  EXPECT_EQ(store->Sync().code(), Code::kIo);
  EXPECT_TRUE(store->Sync().ok());
  disk->Crash(1, SimDisk::Keep::kNothing);
  EXPECT_EQ(Show(*Open(*disk), kA), "t1 v0 c0 base 1/1: 12@1 13@1 14@1");
}

// ---- Crashes

// A run of changes by seed. `durable[i]` is what the store shows after change i, for those followed by a
// sync.
struct Script {
  explicit Script(uint64_t seed) : random(seed) {}
  std::mt19937_64 random;
  uint64_t Pick(uint64_t n) { return random() % n; }

  Status Step(LogStore& store) {
    GroupId group(1 + Pick(3));
    auto info = store.Info(group);
    if (!info) return store.Reset(group, Base(1, 1), Hard(1));
    const Term term = info->hard.term;
    switch (Pick(12)) {
      case 0:
        return store.Reset(group, Base(info->last + 3, term), Hard(term));
      case 1: {
        Index at = info->base.index + Pick(info->last - info->base.index + 1);
        return store.Compact(group, Base(at, *store.TermOf(group, at)));
      }
      case 2:
        return store.Trim();
      case 3:
        return Pick(10) == 0 ? store.Remove(group) : Status();
      case 4: {  // a new term cuts the log
        HardState hard = Hard(term + 1, Pick(4), info->base.index);
        Index from = info->base.index + 1 + Pick(info->last - info->base.index + 1);
        return store.Append(group, &hard, Range(from, from + Pick(3), term + 1, Pick(300)));
      }
      default:
        return store.Append(group, nullptr, Range(info->last + 1, info->last + 1 + Pick(4), term, Pick(300)));
    }
  }
};

std::string ShowAll(const LogStore& store) {
  std::string text;
  for (GroupId g : store.Groups()) text += std::to_string(g.value) + " " + Show(store, g) + "\n";
  return text;
}

// Every prefix of changes is a state; a crash must leave one that is not before the last sync that returned.
TEST(LogStoreCrash, LeavesAStateNotBeforeTheLastSync) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    auto disk = NewDisk();
    LogOptions options = Small();
    options.cache_bytes = seed % 2 ? 500 : 1 << 20;
    options.max_segments = 2;
    Script script(seed);
    for (int round = 0; round < 5; ++round) {
      auto store = Open(*disk, options);
      ASSERT_TRUE(store) << "seed " << seed;
      std::vector<std::string> states{ShowAll(*store)};
      size_t synced = 0;
      for (int i = 0; i < 60; ++i) {
        // What a change does in more than one record is seen in parts: entries one by one.
        ASSERT_TRUE(script.Step(*store).ok()) << "seed " << seed;
        states.push_back(ShowAll(*store));
        if (script.Pick(3) == 0) {
          ASSERT_TRUE(store->Sync().ok());
          synced = states.size() - 1;
        }
      }
      if (script.Pick(2) == 0) {  // die inside a sync: some of it is on the disk
        disk->FailNth(SimDisk::Op::kSync, 1, Code::kIo);
        disk->SetFailedSyncKeeps(SimDisk::Keep::kSome);
        (void)store->Sync();
      }
      store.reset();
      disk->Crash(seed * 100 + static_cast<uint64_t>(round));
      store = Open(*disk, options);
      ASSERT_TRUE(store) << "seed " << seed;
      std::string now = ShowAll(*store);
      auto found = std::find(states.begin() + static_cast<ptrdiff_t>(synced), states.end(), now);
      ASSERT_NE(found, states.end()) << "seed " << seed << " round " << round << "\nafter the crash:\n"
                                     << now << "at the last sync:\n"
                                     << states[synced];
    }
  }
}

TEST(LogStoreCrash, CutAtEveryByteLeavesAPrefix) {
  auto disk = NewDisk();
  std::vector<std::string> states;
  {
    auto store = Open(*disk);
    ASSERT_TRUE(store->Sync().ok());
    states.push_back(ShowAll(*store));
    Script script(5);
    for (int i = 0; i < 12; ++i) {
      if (!script.Step(*store).ok() || !store->Sync().ok()) FAIL();
      states.push_back(ShowAll(*store));
    }
  }
  auto files = disk->Files();
  ASSERT_EQ(files.size(), 1u);
  const auto& [path, bytes] = *files.begin();
  size_t end = bytes.find_last_not_of('\0') + 9;
  size_t seen = 0;
  for (size_t cut = kv::kSegmentHeader; cut <= end; ++cut) {
    auto other = NewDisk();
    std::string torn = bytes.substr(0, cut);
    torn.resize(bytes.size());
    other->SetContent(path, torn);
    auto store = Open(*other);
    ASSERT_TRUE(store) << "cut at " << cut;
    std::string now = ShowAll(*store);
    auto found = std::find(states.begin(), states.end(), now);
    ASSERT_NE(found, states.end()) << "cut at " << cut << ":\n" << now;
    ASSERT_GE(static_cast<size_t>(found - states.begin()) + 1, seen);
    seen = std::max(seen, static_cast<size_t>(found - states.begin()));
  }
  EXPECT_EQ(states[seen], states.back());
}

TEST(LogStoreCrash, CanaryADiskThatLiesIsFoundOut) {
  auto disk = NewDisk();
  auto store = Open(*disk);
  ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok() && store->Sync().ok());
  disk->SetSyncsAreLies(true);
  ASSERT_TRUE(store->Append(kA, nullptr, Range(2, 4, 1)).ok() && store->Sync().ok());
  std::string promised = ShowAll(*store);
  disk->Crash(1, SimDisk::Keep::kNothing);
  EXPECT_NE(ShowAll(*Open(*disk)), promised);
}

TEST(LogStoreCrash, DamageInWhatWasDurableIsRefusedWithFileAndOffset) {
  auto disk = NewDisk();
  {
    auto store = Open(*disk);
    ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok() && store->Sync().ok());
    for (Index i = 2; i < 10; ++i)
      ASSERT_TRUE(store->Append(kA, nullptr, Range(i, i, 1)).ok() && store->Sync().ok());
  }
  auto files = disk->Files();
  std::string bytes = files.begin()->second;
  bytes[4096 + 200] ^= 4;
  disk->SetContent(files.begin()->first, bytes);
  auto refused = LogStore::Open(*disk, "/log", Small(), nullptr);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), Code::kCorrupt);
  EXPECT_NE(refused.error().message().find("journal-00000000000000000001.log at byte 4"), std::string::npos)
      << refused.error().ToString();
}

TEST(LogStore, GoldenFile) {
  auto disk = NewDisk();
  {
    auto store = Open(*disk, Small(8192));
    ASSERT_TRUE(store->Reset(kA, Base(1, 1), Hard(1)).ok());
    HardState hard = Hard(2, 3, 1);
    MemberChange change{
        .kind = MemberChange::Kind::kAddLearner, .replica = ReplicaId(9), .context = "host:1"};
    std::vector<Entry> entries{
        At(2, 2, ""),
        At(3, 2, "payload"),
        {.term = 2, .index = 4, .kind = EntryKind::kChange, .payload = MakePayload(EncodeChange(change))}};
    ASSERT_TRUE(store->Append(kA, &hard, entries).ok() && store->Sync().ok());
    ASSERT_TRUE(store->Compact(kA, Base(3, 2)).ok());
    ASSERT_TRUE(store->Reset(kB, Base(7, 3), Hard(3, 1, 7)).ok() && store->Remove(kB).ok() &&
                store->Sync().ok());
  }
  EXPECT_TRUE(test::MatchesGolden("raft-log-v1.bin", disk->Files().begin()->second));
  auto other = NewDisk();
  other->SetContent(disk->Files().begin()->first, test::ReadGolden("raft-log-v1.bin"));
  auto store = Open(*other);
  EXPECT_EQ(store->Groups(), std::vector{kA});
  auto info = store->Info(kA);
  EXPECT_EQ(info->hard, Hard(2, 3, 1));
  EXPECT_EQ(info->base, Base(3, 2));
  MemberChange change;
  auto entries = store->Read(kA, 4, 5, 1);
  ASSERT_TRUE(entries && DecodeChange(BytesOf(entries->at(0).payload), &change));
  EXPECT_EQ(change.context, "host:1");
}

// For the thread sanitizer: groups of several threads, a syncing one, a trimming one.
TEST(LogStore, ManyThreads) {
  auto disk = NewDisk();
  LogOptions options = Small(64 << 10);
  options.cache_bytes = 4000;
  auto store = Open(*disk, options);
  std::vector<std::thread> threads;
  for (uint64_t g = 1; g <= 4; ++g) {
    threads.emplace_back([&, g] {
      GroupId group(g);
      ASSERT_TRUE(store->Reset(group, Base(1, 1), Hard(1)).ok());
      for (Index i = 2; i < 300; ++i) {
        ASSERT_TRUE(store->Append(group, nullptr, Range(i, i, 1, 100)).ok());
        if (i % 7 == 0) ASSERT_TRUE(store->Sync().ok());
        if (i % 40 == 0) ASSERT_TRUE(store->Compact(group, Base(i - 20, 1)).ok() && store->Trim().ok());
        Index old = store->Info(group)->base.index + 1;
        auto entry = store->Read(group, old, old + 1, 1);
        ASSERT_TRUE(entry.has_value()) << entry.error().ToString();
        ASSERT_TRUE(BytesOf(entry->at(0).payload).starts_with(std::to_string(old) + "@"));
      }
    });
  }
  for (auto& t : threads) t.join();
  std::string all = ShowAll(*store);
  ASSERT_TRUE(store->Sync().ok());
  store.reset();
  EXPECT_EQ(ShowAll(*Open(*disk, options)), all);
}

}  // namespace
}  // namespace curvefs::raft
