// The journal in use: group commit, barrier, failures, trimming. Damage is in journal_recovery_test.cc,
// crashes at random in journal_crash_test.cc.
#include "kv/journal.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/limits.h"
#include "kv/journal_format.h"
#include "kv/journal_recovery.h"
#include "kv/journal_test_support.h"

namespace curvefs::kv {
namespace {

using test::SimDisk;
using Op = SimDisk::Op;

void AppendUpTo(Journal& journal, Seq last) {
  while (journal.last() < last) ASSERT_TRUE(journal.Append(BatchFor(journal.last() + 1)).has_value());
}

#define ASSERT_OK(expr)                                                     \
  do {                                                                      \
    ::curvefs::Status assert_ok_ = (expr);                                  \
    ASSERT_TRUE(assert_ok_.ok()) << #expr << ": " << assert_ok_.ToString(); \
  } while (0)

TEST(JournalTest, ReplaysWhatWasSynced) {
  auto disk = NewDisk();
  {
    auto opened = OpenJournal(*disk);
    ASSERT_OK(opened.status);
    EXPECT_EQ(opened.recovery.last, 0u);
    EXPECT_EQ(opened.journal->last(), 0u);
    AppendUpTo(*opened.journal, 10);
    EXPECT_EQ(opened.journal->durable(), 0u);
    ASSERT_OK(opened.journal->Sync(10));
    EXPECT_EQ(opened.journal->durable(), 10u);
    AppendUpTo(*opened.journal, 20);
  }
  disk->Crash(1, SimDisk::Keep::kNothing);
  auto opened = OpenJournal(*disk);
  ASSERT_OK(opened.status);
  EXPECT_TRUE(opened.Replayed(1, 10));
  EXPECT_EQ(opened.recovery.first, 1u);
  EXPECT_EQ(opened.recovery.last, 10u);
  EXPECT_EQ(opened.recovery.batches, 10u);
  EXPECT_EQ(opened.recovery.torn_bytes, 0u);
  EXPECT_EQ(opened.journal->durable(), 10u);
  EXPECT_EQ(opened.journal->Append(BatchFor(11)).value(), 11u);
}

TEST(JournalTest, ManySegments) {
  auto disk = NewDisk();
  auto opened = OpenJournal(*disk);
  for (Seq seq = 1; seq <= 500; ++seq) {
    AppendUpTo(*opened.journal, seq);
    if (seq % 7 == 0) ASSERT_OK(opened.journal->Sync(seq));
  }
  ASSERT_OK(opened.journal->Sync(500));
  EXPECT_GT(disk->Files().size(), 10u);
  EXPECT_EQ(opened.journal->stats().disk_bytes, disk->used_bytes());
  disk->Crash(1, SimDisk::Keep::kNothing);
  for (Seq applied : {0, 1, 250, 499, 500}) {
    auto again = OpenJournal(*disk, applied);
    ASSERT_OK(again.status);
    EXPECT_TRUE(again.Replayed(applied + 1, 500)) << applied;
  }
}

TEST(JournalTest, OneSyncForManySegmentsAndFramesLargerThanASegment) {
  auto disk = NewDisk();
  auto opened = OpenJournal(*disk);
  AppendUpTo(*opened.journal, 2000);
  WriteBatch big;
  big.Set("big", std::string(300'000, 'b'));
  ASSERT_TRUE(opened.journal->Append(big.encoded()).has_value());
  AppendUpTo(*opened.journal, 4000);
  EXPECT_GT(opened.journal->stats().buffered_bytes, 900'000u);
  ASSERT_OK(opened.journal->Sync(4000));
  EXPECT_EQ(opened.journal->stats().buffered_bytes, 0u);
  disk->Crash(1, SimDisk::Keep::kNothing);
  auto again = OpenJournal(*disk);
  ASSERT_OK(again.status);
  ASSERT_EQ(again.replayed.size(), 4000u);
  EXPECT_EQ(again.replayed[2000].second, big.encoded());
}

TEST(JournalTest, AFailureInTheMiddleOfALargeSync) {
  for (uint64_t nth = 5; nth < 120; nth += 9) {
    auto disk = NewDisk();
    auto opened = OpenJournal(*disk);
    Journal& journal = *opened.journal;
    AppendUpTo(journal, 4000);
    disk->FailNth(nth % 2 ? Op::kWrite : Op::kSync, nth, Code::kIo);
    EXPECT_FALSE(journal.Sync(4000).ok());
    EXPECT_GT(journal.durable(), 0u);
    EXPECT_LT(journal.durable(), 4000u);
    AppendUpTo(journal, 4100);
    ASSERT_OK(journal.Sync(4100));
    EXPECT_EQ(journal.stats().buffered_bytes, 0u);
    disk->Crash(1, SimDisk::Keep::kNothing);
    EXPECT_TRUE(OpenJournal(*disk).Replayed(1, 4100)) << nth;
  }
}

TEST(JournalTest, SyncOfWhatIsDurableDoesNothing) {
  auto disk = NewDisk();
  auto opened = OpenJournal(*disk);
  AppendUpTo(*opened.journal, 3);
  ASSERT_OK(opened.journal->Sync(1'000'000));  // up to last()
  EXPECT_EQ(opened.journal->durable(), 3u);
  uint64_t syncs = disk->count(Op::kSync);
  ASSERT_OK(opened.journal->Sync(3));
  ASSERT_OK(opened.journal->Sync(2));
  ASSERT_OK(opened.journal->Sync(4));
  EXPECT_EQ(disk->count(Op::kSync), syncs);
}

TEST(JournalTest, BatchesOverTheLimitAreRefused) {
  auto disk = NewDisk();
  auto opened = OpenJournal(*disk);
  WriteBatch batch;
  for (size_t i = 0; i <= kMaxBatchBytes / kMaxValue; ++i) batch.Set("k", std::string(kMaxValue, 'x'));
  EXPECT_EQ(opened.journal->Append(batch.encoded()).error().code(), Code::kTooBig);
  EXPECT_EQ(opened.journal->last(), 0u);
}

// While one sync runs, others queue up behind it; one more sync serves them all.
TEST(JournalTest, GroupCommit) {
  auto disk = NewDisk();
  auto opened = OpenJournal(*disk, 0, SmallSegments(1 << 20));
  Journal& journal = *opened.journal;
  AppendUpTo(journal, 1);
  ASSERT_OK(journal.Sync(1));  // makes the segment

  std::promise<void> inside, go_on;
  std::atomic<int> syncs = 0;
  disk->SetHook([&](Op op, const std::string&) {
    if (op == Op::kSync && syncs++ == 0) {
      inside.set_value();
      go_on.get_future().wait();
    }
  });
  AppendUpTo(journal, 2);
  std::vector<std::jthread> threads;
  threads.emplace_back([&] { EXPECT_TRUE(journal.Sync(2).ok()); });
  inside.get_future().wait();
  AppendUpTo(journal, 20);  // while the first is being synced
  EXPECT_EQ(journal.durable(), 1u);
  for (Seq seq = 3; seq <= 20; ++seq) {
    threads.emplace_back([&, seq] {
      EXPECT_TRUE(journal.Sync(seq).ok());
      EXPECT_GE(journal.durable(), seq);
    });
  }
  go_on.set_value();
  threads.clear();
  EXPECT_EQ(syncs, 2);
  EXPECT_EQ(journal.durable(), 20u);
}

TEST(JournalTest, ManyThreads) {
  auto disk = NewDisk();
  auto opened = OpenJournal(*disk, 0, {.segment_bytes = 64 << 10});  // with segments prepared ahead
  Journal& journal = *opened.journal;
  std::mutex order;  // the strand
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          Seq seq;
          {
            std::lock_guard lock(order);
            seq = journal.Append(BatchFor(journal.last() + 1)).value();
          }
          if (i % 5 == 0) {
            EXPECT_TRUE(journal.Sync(seq).ok());
            EXPECT_GE(journal.durable(), seq);
          }
          if (i % 100 == 0) {
            EXPECT_TRUE(journal.TrimTo(seq / 2).ok());
          }
          auto stats = journal.stats();
          EXPECT_LE(stats.durable, stats.last);
        }
      });
    }
  }
  ASSERT_OK(journal.Sync(2000));
  opened.journal.reset();
  disk->Crash(1, SimDisk::Keep::kNothing);
  auto again = OpenJournal(*disk, 1000);
  ASSERT_OK(again.status);
  EXPECT_TRUE(again.Replayed(1001, 2000));
}

TEST(JournalTest, BarrierRunsBeforeTheWriteWithoutLocks) {
  auto disk = NewDisk();
  auto opened = OpenJournal(*disk);
  Journal& journal = *opened.journal;
  std::vector<Seq> calls;
  Status answer;
  journal.SetBarrier([&](Seq upto) {
    calls.push_back(upto);
    EXPECT_LT(journal.durable(), upto);
    if (calls.size() == 1) AppendUpTo(journal, 6);  // would deadlock if a lock were held
    return answer;
  });
  AppendUpTo(journal, 5);
  ASSERT_OK(journal.Sync(5));
  EXPECT_EQ(calls, std::vector<Seq>{5});
  EXPECT_EQ(journal.durable(), 5u);  // 6 came too late for the barrier, so it is not written

  answer = Status(Code::kIo, "object store is away");
  uint64_t writes = disk->count(Op::kWrite);
  Status failed = journal.Sync(6);
  EXPECT_EQ(failed.code(), Code::kIo);
  EXPECT_EQ(failed.message(), answer.message());
  EXPECT_EQ(disk->count(Op::kWrite), writes);

  answer = {};
  ASSERT_OK(journal.Sync(6));
  disk->Crash(1, SimDisk::Keep::kNothing);
  EXPECT_TRUE(OpenJournal(*disk).Replayed(1, 6));
}

TEST(JournalTest, AFailedSyncIsEverybodysAndLosesNothing) {
  auto disk = NewDisk();
  auto opened = OpenJournal(*disk, 0, SmallSegments(1 << 20));
  Journal& journal = *opened.journal;
  AppendUpTo(journal, 5);
  ASSERT_OK(journal.Sync(5));
  AppendUpTo(journal, 10);

  std::promise<void> inside, go_on;
  std::atomic<int> syncs = 0;
  disk->SetHook([&](Op op, const std::string&) {
    if (op == Op::kSync && syncs++ == 0) {
      inside.set_value();
      go_on.get_future().wait();
    }
  });
  disk->FailNth(Op::kSync, 1, Code::kIo);
  std::atomic<int> failures = 0;
  {
    std::jthread leader([&] { failures += !journal.Sync(10).ok(); });
    inside.get_future().wait();
    AppendUpTo(journal, 15);
    std::jthread late([&] { EXPECT_TRUE(journal.Sync(15).ok()); });  // leads the next one, which succeeds
    go_on.set_value();
  }
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(journal.durable(), 15u);
  EXPECT_EQ(journal.stats().failures, 1u);
  EXPECT_TRUE(disk->Files().contains(std::string(kDir) + "/" + SegmentName(6)));  // written again elsewhere
  disk->Crash(1, SimDisk::Keep::kNothing);
  EXPECT_TRUE(OpenJournal(*disk).Replayed(1, 15));
}

// Whatever single call fails, and however often: Sync says so, and a later Sync makes everything durable.
TEST(JournalTest, EveryFailureOfTheDiskIsSurvived) {
  for (Op op : {Op::kOpen, Op::kWrite, Op::kSync, Op::kAllocate, Op::kTruncate, Op::kRename, Op::kSyncDir}) {
    for (auto keeps : {SimDisk::Keep::kNothing, SimDisk::Keep::kSome, SimDisk::Keep::kEverything}) {
      for (uint64_t nth = 1; nth <= 12; ++nth) {
        for (uint64_t times : {1, 3}) {
          auto disk = NewDisk();
          auto opened = OpenJournal(*disk);
          Journal& journal = *opened.journal;
          disk->SetFailedSyncKeeps(keeps);
          disk->FailNth(op, nth, Code::kIo, times);
          Seq synced = 0;
          for (Seq seq = 1; seq <= 100; ++seq) {
            AppendUpTo(journal, seq);
            if (seq % 3 == 0 && journal.Sync(seq).ok()) synced = seq;
            ASSERT_GE(journal.durable(), synced);
          }
          disk->ClearFaults();
          SCOPED_TRACE(testing::Message()
                       << "op " << static_cast<int>(op) << " nth " << nth << " times " << times);
          if (nth % 2 == 0) {  // a machine that stops right after the failures
            disk->Crash(nth, keeps);
            auto again = OpenJournal(*disk);
            ASSERT_OK(again.status);
            ASSERT_GE(again.recovery.last, synced);
            ASSERT_TRUE(again.Replayed(1, again.recovery.last));
            continue;
          }
          ASSERT_OK(journal.Sync(100));
          disk->Crash(nth, SimDisk::Keep::kNothing);
          auto again = OpenJournal(*disk);
          ASSERT_OK(again.status);
          ASSERT_TRUE(again.Replayed(1, 100));
        }
      }
    }
  }
}

TEST(JournalTest, DiskFullAndSpaceAgain) {
  auto disk = NewDisk();
  auto options = SmallSegments();
  options.max_buffer_bytes = 20'000;
  auto opened = OpenJournal(*disk, 0, options);
  Journal& journal = *opened.journal;
  AppendUpTo(journal, 10);
  ASSERT_OK(journal.Sync(10));
  disk->SetCapacity(disk->used_bytes() + 100);
  Status full;
  while (full.ok()) {
    auto seq = journal.Append(BatchFor(journal.last() + 1));
    if (!seq) full = seq.error();
    ASSERT_LT(journal.last(), 1000u);
  }
  EXPECT_EQ(full.code(), Code::kNoSpace);
  EXPECT_EQ(journal.Sync(journal.last()).code(), Code::kNoSpace);
  EXPECT_LE(journal.stats().buffered_bytes, options.max_buffer_bytes);
  EXPECT_GE(journal.durable(), 10u);
  Seq last = journal.last();
  disk->SetCapacity(1 << 20);
  AppendUpTo(journal, last + 1);  // makes room itself
  ASSERT_OK(journal.Sync(last + 1));
  disk->Crash(1, SimDisk::Keep::kNothing);
  EXPECT_TRUE(OpenJournal(*disk).Replayed(1, last + 1));
}

TEST(JournalTest, TrimRemovesWhatTheStoreHas) {
  auto disk = NewDisk();
  auto opened = OpenJournal(*disk);
  AppendUpTo(*opened.journal, 300);
  ASSERT_OK(opened.journal->Sync(300));
  size_t before = disk->Files().size();
  ASSERT_OK(opened.journal->TrimTo(0));
  EXPECT_EQ(disk->Files().size(), before);
  disk->FailNth(Op::kRemove, 2, Code::kIo);
  EXPECT_FALSE(opened.journal->TrimTo(150).ok());
  ASSERT_OK(opened.journal->TrimTo(150));
  EXPECT_LT(disk->Files().size(), before);
  EXPECT_EQ(opened.journal->stats().disk_bytes, disk->used_bytes());
  disk->Crash(1, SimDisk::Keep::kNothing);
  {
    auto again = OpenJournal(*disk, 150);
    ASSERT_OK(again.status);
    EXPECT_TRUE(again.Replayed(151, 300));
    EXPECT_GT(again.recovery.first, 100u);
    ASSERT_OK(again.journal->TrimTo(300));  // all but the one that is written to
    EXPECT_EQ(disk->Files().size(), 1u);
  }
  auto gap = OpenJournal(*disk, 100);
  EXPECT_EQ(gap.status.code(), Code::kCorrupt);
  EXPECT_NE(gap.status.message().find("batches 101 to"), std::string::npos) << gap.status.message();
  EXPECT_TRUE(gap.replayed.empty());
}

// The memory engine may save batches that the log had not yet made durable.
TEST(JournalTest, AStoreAheadOfTheLog) {
  for (bool crash : {false, true}) {
    auto disk = NewDisk();
    {
      auto opened = OpenJournal(*disk);
      AppendUpTo(*opened.journal, 60);
      ASSERT_OK(opened.journal->Sync(60));
    }
    {
      auto opened = OpenJournal(*disk, 80);
      ASSERT_OK(opened.status);
      EXPECT_TRUE(opened.replayed.empty());
      EXPECT_EQ(opened.recovery.last, 80u);
      EXPECT_EQ(opened.journal->durable(), 80u);
      AppendUpTo(*opened.journal, 90);
      ASSERT_OK(opened.journal->Sync(90));
    }
    if (crash) disk->Crash(1, SimDisk::Keep::kNothing);
    auto again = OpenJournal(*disk, 80);
    ASSERT_OK(again.status);
    EXPECT_TRUE(again.Replayed(81, 90));
    EXPECT_EQ(again.recovery.first, 81u);
  }
}

TEST(JournalTest, ReadOnlyChangesNothing) {
  auto disk = NewDisk();
  {
    auto opened = OpenJournal(*disk);
    AppendUpTo(*opened.journal, 100);
    ASSERT_OK(opened.journal->Sync(100));
  }
  auto files = disk->Files();
  std::string& last = files.rbegin()->second;
  last.replace(last.size() / 2, 5, "torn!");
  files[std::string(kDir) + "/" + kSegmentTemporary] = "left over";
  disk = DiskWith(files);
  auto options = SmallSegments();
  options.read_only = true;
  auto opened = OpenJournal(*disk, 0, options);
  ASSERT_OK(opened.status);
  EXPECT_GT(opened.recovery.last, 0u);
  EXPECT_EQ(opened.journal->Append(BatchFor(1)).error().code(), Code::kReadOnly);
  EXPECT_EQ(opened.journal->Sync(1000).code(), Code::kReadOnly);
  EXPECT_EQ(opened.journal->TrimTo(1000).code(), Code::kReadOnly);
  ASSERT_OK(OpenJournal(*disk, 1000, options).status);
  opened.journal.reset();
  EXPECT_EQ(disk->Files(), files);
  for (Op op : {Op::kWrite, Op::kSync, Op::kRemove, Op::kRename, Op::kTruncate, Op::kAllocate}) {
    EXPECT_EQ(disk->count(op), 0u) << static_cast<int>(op);
  }
}

TEST(JournalTest, ASegmentIsPreparedAheadAndUsed) {
  auto disk = NewDisk();
  std::promise<void> prepared;
  bool once = false;
  disk->SetHook([&](Op op, const std::string& path) {
    if (op == Op::kRename && path.ends_with(kSpareTemporary) && !std::exchange(once, true))
      prepared.set_value();
  });
  auto opened = OpenJournal(*disk, 0, {.segment_bytes = 64 << 10});
  Journal& journal = *opened.journal;
  AppendUpTo(journal, 1);
  ASSERT_OK(journal.Sync(1));
  EXPECT_EQ(disk->count(Op::kAllocate), 1u);
  AppendUpTo(journal, 250);
  ASSERT_OK(journal.Sync(250));
  prepared.get_future().wait();
  AppendUpTo(journal, 450);
  ASSERT_OK(journal.Sync(450));
  opened.journal.reset();
  EXPECT_EQ(disk->count(Op::kRename), 3u);  // the first segment, the spare, and the spare again as the second
  disk->Crash(1, SimDisk::Keep::kNothing);
  auto again = OpenJournal(*disk);
  ASSERT_OK(again.status);
  EXPECT_TRUE(again.Replayed(1, 450));
}

TEST(JournalTest, AnErrorOfReplayEndsOpen) {
  auto disk = NewDisk();
  {
    auto opened = OpenJournal(*disk);
    AppendUpTo(*opened.journal, 10);
    ASSERT_OK(opened.journal->Sync(10));
  }
  int calls = 0;
  auto journal = Journal::Open(
      *disk, kDir, 0,
      [&](Seq, std::string_view) { return ++calls == 3 ? Status(Code::kNoMemory) : Status(); },
      SmallSegments(), nullptr);
  ASSERT_FALSE(journal.has_value());
  EXPECT_EQ(journal.error().code(), Code::kNoMemory);
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace curvefs::kv
