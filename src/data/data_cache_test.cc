#include "data/data_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "data/extents.h"
#include "test/support/fake_chunk_index.h"
#include "test/support/fault_object_store.h"

namespace curvefs::data {
namespace {

constexpr InodeId kFile{7};
constexpr Duration kNever = std::chrono::hours(1);

class DataCacheTest : public testing::Test {
 protected:
  DataCacheTest() : memory_(object::MakeMemoryObjectStore()), objects_(*memory_, 1), index_(objects_) {
    index_.Create(kFile);
    options_.flush_age = kNever;
  }
  void Start() { cache_ = std::make_unique<DataCache>(index_, objects_, options_); }

  Status Write(uint64_t offset, std::string_view bytes) {
    return cache_->Write(kFile, offset, BufferSlice::CopyOf(bytes));
  }
  uint64_t Length() {
    const uint64_t dirty = cache_->DirtyEnd(kFile);
    return std::max(dirty, index_.Length(kFile));
  }
  std::string Read(uint64_t offset, size_t n, ReadStream* stream = nullptr) {
    auto list = cache_->Read(kFile, offset, n, Length(), stream);
    if (!list) return list.error().ToString();
    std::string out(TotalSize(*list), '\0');
    CopyOut(*list, out.data());
    return out;
  }
  Status Truncate(uint64_t length) {
    return cache_->Change(kFile, length, ~uint64_t{0}, [&] { return index_.Truncate(kFile, length); });
  }
  static std::string Pattern(size_t n, int seed = 0) {
    std::string s(n, '\0');
    for (size_t i = 0; i < n; ++i)
      s[i] = static_cast<char>((i * 131 + i / 4096 * 7 + static_cast<size_t>(seed)) % 251);
    return s;
  }

  std::unique_ptr<object::ObjectStore> memory_;
  test::FaultObjectStore objects_;
  test::FakeChunkIndex index_;
  DataOptions options_;
  std::unique_ptr<DataCache> cache_;
};

TEST_F(DataCacheTest, WhatIsWrittenIsReadBeforeAndAfterFlush) {
  Start();
  const std::string bytes = Pattern(300'000);
  ASSERT_TRUE(Write(5, bytes).ok());
  EXPECT_EQ(cache_->DirtyEnd(kFile), 300'005u);
  EXPECT_TRUE(Read(0, 1 << 20) == std::string(5, '\0') + bytes);
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  EXPECT_FALSE(cache_->IsDirty(kFile));
  EXPECT_EQ(index_.Length(kFile), 300'005u);
  EXPECT_TRUE(Read(0, 1 << 20) == std::string(5, '\0') + bytes);
  cache_->DropClean();
  EXPECT_TRUE(Read(1000, 5000) == bytes.substr(995, 5000));
  EXPECT_EQ(cache_->stats().dirty_bytes, 0u);
}

TEST_F(DataCacheTest, SmallFilesLiveInTheMetadata) {
  Start();
  ASSERT_TRUE(Write(0, "hello").ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  ASSERT_TRUE(Write(10, "world").ok());
  ASSERT_TRUE(cache_->Flush(kFile, true).ok());
  auto records = index_.All(kFile);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].inline_data, std::string("hello\0\0\0\0\0world", 15));
  EXPECT_EQ(objects_.puts(), 0u);
  // It grows out of it.
  ASSERT_TRUE(Write(15, Pattern(5000)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  EXPECT_EQ(objects_.puts(), 1u);
  EXPECT_TRUE(Read(0, 10'000) == std::string("hello\0\0\0\0\0world", 15) + Pattern(5000));
}

TEST_F(DataCacheTest, SmallSyncedChangesGoThroughTheJournal) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(1 << 20)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, true).ok());
  EXPECT_EQ(objects_.puts(), 1u) << "too large for the journal";
  for (uint64_t at : {100, 5000, 70'000}) ASSERT_TRUE(Write(at, "change").ok());
  ASSERT_TRUE(cache_->Flush(kFile, true).ok());
  EXPECT_EQ(objects_.puts(), 1u);
  EXPECT_EQ(index_.All(kFile).size(), 4u);
  EXPECT_EQ(Read(70'000, 6), "change");
}

// The machine that has the objects loses power: what records name that are durable must be there.
TEST_F(DataCacheTest, ObjectsAreDurableBeforeRecordsThatAreDurableAtOnce) {
  for (bool at_once : {true, false}) {
    index_.SetDurableAtOnce(at_once);
    Start();
    ASSERT_TRUE(Write(0, Pattern(1 << 20)).ok());
    ASSERT_TRUE(cache_->Flush(kFile, false).ok());
    for (uint64_t i = 0; i < 20; ++i) {
      ASSERT_TRUE(Write(i * 20'000, Pattern(9000, static_cast<int>(i))).ok());
      ASSERT_TRUE(cache_->Flush(kFile, false).ok());
    }
    ASSERT_TRUE(cache_->Compact(kFile, 0).ok());
    const std::string content = Read(0, 1 << 20);
    cache_->DropClean();
    objects_.LoseUnsynced();
    EXPECT_EQ(Read(0, 1 << 20) == content, at_once);
    cache_.reset();
    index_.Remove(kFile);
    index_.Create(kFile);
  }
}

TEST_F(DataCacheTest, ScatteredSmallWritesShareOneObject) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(1 << 20)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  for (uint64_t i = 0; i < 15; ++i) ASSERT_TRUE(Write(i * 20'000, Pattern(100, static_cast<int>(i))).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  EXPECT_EQ(objects_.puts(), 2u);
  for (uint64_t i = 0; i < 15; ++i) EXPECT_EQ(Read(i * 20'000, 100), Pattern(100, static_cast<int>(i)));
}

TEST_F(DataCacheTest, FullBlocksAreStoredInTheBackground) {
  Start();
  objects_.HoldPuts(true);
  ASSERT_TRUE(Write(0, Pattern(kBlockSize)).ok());
  ASSERT_TRUE(Write(kBlockSize, "rest").ok());
  objects_.AwaitBlockedPuts(1);
  EXPECT_TRUE(Read(0, kBlockSize + 4) == Pattern(kBlockSize) + "rest") << "readable while it is stored";
  EXPECT_EQ(cache_->DirtyEnd(kFile), kBlockSize + 4);
  objects_.HoldPuts(false);
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  EXPECT_EQ(objects_.puts(), 2u);
  EXPECT_EQ(index_.Objects().size(), 2u);
}

TEST_F(DataCacheTest, OldDataIsFlushedInTheBackground) {
  options_.flush_age = Duration(1);
  Start();
  objects_.HoldPuts(true);
  ASSERT_TRUE(Write(0, Pattern(100'000)).ok());
  objects_.AwaitBlockedPuts(1);  // nobody called Flush
  objects_.HoldPuts(false);
}

TEST_F(DataCacheTest, AFailedFlushKeepsTheDataAndNewerWins) {
  Start();
  objects_.SetFaults({.put_fails = 1});
  ASSERT_TRUE(Write(0, Pattern(100'000)).ok());
  EXPECT_EQ(cache_->Flush(kFile, false).code(), Code::kIo);
  EXPECT_TRUE(Read(0, 100'000) == Pattern(100'000));
  ASSERT_TRUE(Write(50, "newer").ok());
  EXPECT_EQ(cache_->Flush(kFile, false).code(), Code::kIo);
  std::string expected = Pattern(100'000);
  expected.replace(50, 5, "newer");
  EXPECT_TRUE(Read(0, 100'000) == expected);
  objects_.SetFaults({});
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  EXPECT_TRUE(Read(0, 100'000) == expected);
  EXPECT_GE(cache_->stats().flush_failures, 2u);
}

TEST_F(DataCacheTest, AFailedCommitDeletesItsObjects) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(100'000)).ok());
  index_.FailAppends(1, Code::kNoSpace);
  EXPECT_EQ(cache_->Flush(kFile, false).code(), Code::kNoSpace);
  uint64_t left = 0;
  ASSERT_TRUE(objects_.List(ChunkId(0), [&](const auto&) { return ++left > 0; }, nullptr).ok());
  EXPECT_EQ(left, 0u);
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  EXPECT_TRUE(Read(0, 100'000) == Pattern(100'000));
}

TEST_F(DataCacheTest, ADeletedFileIsDroppedQuietly) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(100'000)).ok());
  index_.Remove(kFile);
  EXPECT_TRUE(cache_->Flush(kFile, false).ok());
  EXPECT_FALSE(cache_->IsDirty(kFile));
  uint64_t left = 0;
  ASSERT_TRUE(objects_.List(ChunkId(0), [&](const auto&) { return ++left > 0; }, nullptr).ok());
  EXPECT_EQ(left, 0u);
}

TEST_F(DataCacheTest, ForgetDropsEverything) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(100'000)).ok());
  cache_->Forget(kFile);
  EXPECT_EQ(cache_->stats().dirty_bytes, 0u);
  EXPECT_EQ(cache_->DirtyEnd(kFile), 0u);
}

TEST_F(DataCacheTest, ChangeDropsWhatItCuts) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(10'000)).ok());
  ASSERT_TRUE(Truncate(6000).ok());
  EXPECT_EQ(cache_->DirtyEnd(kFile), 6000u);
  EXPECT_EQ(Length(), 6000u);
  ASSERT_TRUE(Truncate(8000).ok());
  EXPECT_TRUE(Read(0, 10'000) == Pattern(6000) + std::string(2000, '\0'));
}

TEST_F(DataCacheTest, AFailedChangePutsBackWhatItCut) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(10'000)).ok());
  Status s = cache_->Change(kFile, 2000, 3000, [&]() -> Status {
    EXPECT_TRUE(Read(0, 10'000) == Pattern(10'000)) << "until it is committed the old content is read";
    EXPECT_TRUE(Write(2500, "meanwhile").ok());
    return Code::kNoSpace;
  });
  EXPECT_EQ(s.code(), Code::kNoSpace);
  std::string expected = Pattern(10'000);
  expected.replace(2500, 9, "meanwhile");
  EXPECT_TRUE(Read(0, 10'000) == expected);
}

TEST_F(DataCacheTest, ZeroSlicesBecomeHoles) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(200'000)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  ASSERT_TRUE(cache_->Write(kFile, 50'000, BufferSlice::Zeros(100'000)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  EXPECT_EQ(objects_.puts(), 1u);
  EXPECT_TRUE(Read(50'000, 100'000) == std::string(100'000, '\0'));
  EXPECT_EQ(cache_->SeekHole(kFile, 0, 200'000), 50'000u);
  EXPECT_EQ(cache_->SeekData(kFile, 60'000, 200'000), 150'000u);
}

TEST_F(DataCacheTest, SeekFindsDataAndHoles) {
  Start();
  constexpr uint64_t kFar = uint64_t{3} << 40;
  ASSERT_TRUE(Write(100'000, Pattern(100'000)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  ASSERT_TRUE(Write(kFar, "x").ok());
  EXPECT_EQ(cache_->SeekData(kFile, 0, kFar + 10), 100'000u);
  EXPECT_EQ(cache_->SeekHole(kFile, 150'000, kFar + 10), 200'000u);
  EXPECT_EQ(cache_->SeekData(kFile, 200'000, kFar + 10), kFar);
  EXPECT_EQ(cache_->SeekHole(kFile, kFar, kFar + 10), kFar + 1);
  EXPECT_EQ(cache_->SeekHole(kFile, kFar, kFar + 1), kFar + 1) << "the end is a hole";
  EXPECT_EQ(cache_->SeekData(kFile, kFar + 1, kFar + 10).error().code(), Code::kNoSuchExtent);
  EXPECT_EQ(cache_->SeekData(kFile, 10, 10).error().code(), Code::kNoSuchExtent);
}

TEST_F(DataCacheTest, ReadsStopAtTheLength) {
  Start();
  ASSERT_TRUE(Write(0, "0123456789").ok());
  auto list = cache_->Read(kFile, 8, 100, 9, nullptr);
  ASSERT_TRUE(list);
  EXPECT_EQ(TotalSize(*list), 1u);
  EXPECT_TRUE(cache_->Read(kFile, 9, 100, 9, nullptr)->empty());
  EXPECT_EQ(Write(0, "").code(), Code::kInvalid);
}

TEST_F(DataCacheTest, RandomReadsReadOnlyWhatTheyNeed) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(kBlockSize)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  ReadStream stream;
  for (uint64_t at : {3'000'000, 1'000'000, 2'500'000}) {
    EXPECT_TRUE(Read(at, 4096, &stream) == Pattern(kBlockSize).substr(at, 4096));
  }
  EXPECT_EQ(objects_.read_bytes(), 3u * 4096);
}

TEST_F(DataCacheTest, SequentialReadsFetchEachObjectOnce) {
  Start();
  const std::string bytes = Pattern(5 * kBlockSize);
  ASSERT_TRUE(Write(0, bytes).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  ReadStream stream;
  std::string got;
  while (got.size() < bytes.size()) got += Read(got.size(), 128 << 10, &stream);
  EXPECT_TRUE(got == bytes);
  EXPECT_LE(objects_.reads(), 6u) << "the first read, then each object whole";
  EXPECT_GE(stream.prefetched_to, bytes.size());
}

TEST_F(DataCacheTest, StridedReadersAreReadAheadOf) {
  Start();
  constexpr uint64_t kBlocks = 40, kStride = 2 * kBlockSize, kRun = 512 << 10;
  for (uint64_t i = 0; i < kBlocks; ++i) ASSERT_TRUE(Write(i * kBlockSize, Pattern(kBlockSize)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  ReadStream forth;
  for (uint64_t at = 0; at + kRun <= kBlocks * kBlockSize; at += kStride) {
    for (uint64_t part = 0; part < kRun; part += 128 << 10)
      EXPECT_TRUE(Read(at + part, 128 << 10, &forth) == Pattern(kBlockSize).substr(part, 128 << 10));
  }
  EXPECT_GE(cache_->stats().read_hits, 14u * 4) << "of 20 runs, all but the first few";
  cache_->DropClean();
  ReadStream random;
  uint64_t bytes = objects_.read_bytes();
  for (uint64_t block : {3, 17, 5, 30, 22, 9, 13, 36, 1}) Read(block * kBlockSize, 256 << 10, &random);
  EXPECT_EQ(objects_.read_bytes() - bytes, 9u * (256 << 10)) << "there is no pattern";
  bytes = objects_.read_bytes();
  ReadStream back;
  for (uint64_t i = kBlocks - 1; i < kBlocks; i -= 2) Read(i * kBlockSize, kRun, &back);
  EXPECT_GE(objects_.read_bytes() - bytes, 10 * kBlockSize) << "whole objects";
}

TEST_F(DataCacheTest, WhatASequentialReaderHasPassedMakesRoomFirst) {
  options_.readahead_bytes = 2 * kBlockSize;
  Start();
  constexpr uint64_t kBlocks = 24;
  for (uint64_t i = 0; i < kBlocks; ++i) ASSERT_TRUE(Write(i * kBlockSize, Pattern(kBlockSize)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  ReadStream stream;
  for (uint64_t at = 0; at < kBlocks * kBlockSize; at += kBlockSize / 2) Read(at, kBlockSize / 2, &stream);
  EXPECT_EQ(stream.prefetched_to, kBlocks * kBlockSize);
  EXPECT_LE(cache_->stats().read_cache_bytes, 10 * kBlockSize) << "of a limit of 64 blocks";
  EXPECT_LE(objects_.reads(), kBlocks + 1);
}

// The kernel has several requests of 1 MiB under way for one reader, and threads take them in any order.
TEST_F(DataCacheTest, RequestsThatOvertakeOneAnotherAreSequential) {
  options_.readahead_bytes = 2 * kBlockSize;
  Start();
  constexpr uint64_t kBlocks = 24, kRequest = 1 << 20;
  for (uint64_t i = 0; i < kBlocks; ++i) ASSERT_TRUE(Write(i * kBlockSize, Pattern(kBlockSize)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  ReadStream stream;
  for (uint64_t at = 0; at < kBlocks * kBlockSize; at += 4 * kRequest) {
    for (uint64_t request : {0, 3, 1, 2}) Read(at + request * kRequest, kRequest, &stream);
  }
  EXPECT_LE(cache_->stats().read_cache_bytes, 10 * kBlockSize);
  EXPECT_LE(objects_.reads(), kBlocks + 1);
}

TEST_F(DataCacheTest, SmallReadsThatAreCloseTogetherAreNotSequential) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(kBlockSize)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  ReadStream stream;
  for (uint64_t at : {3'000'000, 2'500'000, 3'100'000, 2'900'000}) Read(at, 4096, &stream);
  EXPECT_EQ(objects_.read_bytes(), 4u * 4096);
}

TEST_F(DataCacheTest, AMissingObjectIsAnErrorWithItsName) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(200'000)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  const auto name = *index_.Objects().begin();
  ASSERT_TRUE(memory_->Delete(name).ok());
  auto list = cache_->Read(kFile, 0, 100, Length(), nullptr);
  EXPECT_EQ(list.error().code(), Code::kIo);
  EXPECT_NE(list.error().message().find(name.ToString()), std::string::npos) << list.error().message();
}

TEST_F(DataCacheTest, AForeignObjectIsCorrupt) {
  Start();
  ASSERT_TRUE(Write(0, Pattern(200'000)).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  const auto name = *index_.Objects().begin();
  ASSERT_TRUE(memory_->Put(name, {BufferSlice::CopyOf(Pattern(200'000, 1))}));
  auto list = cache_->Read(kFile, 0, 100, Length(), nullptr);
  EXPECT_EQ(list.error().code(), Code::kCorrupt);
  EXPECT_NE(list.error().message().find(name.ToString()), std::string::npos);
}

TEST_F(DataCacheTest, WritesFailWhenTheStoreIsFull) {
  objects_.SetSpace({.total_bytes = 1 << 30, .free_bytes = (32 << 20) + 100'000});
  Start();
  ASSERT_TRUE(Write(0, Pattern(60'000)).ok());
  EXPECT_EQ(Write(60'000, Pattern(60'000)).code(), Code::kNoSpace);
}

TEST_F(DataCacheTest, AFullCacheThatCannotBeFlushedFailsTheWriter) {
  options_.write_cache_bytes = 8 << 20;
  Start();
  objects_.SetFaults({.put_fails = 1});
  Status s;
  for (uint64_t i = 0; i < 64 && s.ok(); ++i) s = Write(i << 20, Pattern(1 << 20));
  EXPECT_EQ(s.code(), Code::kIo);
  EXPECT_NE(s.message().find("injected"), std::string::npos);
  objects_.SetFaults({});
  EXPECT_TRUE(cache_->FlushAll().ok());
  EXPECT_TRUE(Write(0, Pattern(1 << 20)).ok());
}

TEST_F(DataCacheTest, MemoryStaysWithinItsLimit) {
  options_.write_cache_bytes = 8 << 20;
  Start();
  const std::string bytes = Pattern(1 << 20);
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(Write((i * 37 % 100) << 20, bytes).ok());
    const DataStats s = cache_->stats();
    ASSERT_LE(s.dirty_bytes + s.flushing_bytes, 8u << 20);
  }
  ASSERT_TRUE(cache_->FlushAll().ok());
  EXPECT_EQ(Length(), 100u << 20);
  EXPECT_GT(cache_->stats().waits, 0u);
}

TEST_F(DataCacheTest, CompactionLeavesFewRecordsAndTheSameBytes) {
  Start();
  std::string expected = Pattern(3 << 20);
  ASSERT_TRUE(Write(0, expected).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  for (int i = 0; i < 18; ++i) {
    const size_t at = static_cast<size_t>(i) * 150'001;
    const std::string change = Pattern(1000, i + 1);
    ASSERT_TRUE(Write(at, change).ok());
    expected.replace(at, change.size(), change);
    ASSERT_TRUE(cache_->Flush(kFile, i % 2 == 0).ok());
  }
  ASSERT_EQ(index_.All(kFile).size(), 19u);
  ASSERT_TRUE(cache_->Compact(kFile, 0).ok());
  EXPECT_EQ(index_.All(kFile).size(), 1u);
  EXPECT_EQ(index_.All(kFile)[0].compaction, 1u);
  EXPECT_EQ(index_.Objects().size(), 1u);
  EXPECT_TRUE(Read(0, 3 << 20) == expected);
  EXPECT_EQ(cache_->stats().compactions, 1u);
}

TEST_F(DataCacheTest, ManyRecordsAreCompactedInTheBackground) {
  Start();
  std::string expected = Pattern(64'000, 99);
  ASSERT_TRUE(Write(0, expected).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  for (size_t i = 0; i < 64; ++i) {
    const std::string change = Pattern(500, static_cast<int>(i));
    ASSERT_TRUE(Write(i * 1000, change).ok());
    expected.replace(i * 1000, change.size(), change);
    ASSERT_TRUE(cache_->Flush(kFile, true).ok());
  }
  // No more writes are needed: the last flush has asked for it.
  while (index_.All(kFile).size() > 21) std::this_thread::yield();
  EXPECT_TRUE(Read(0, Length()) == expected.substr(0, Length()));
}

TEST_F(DataCacheTest, InlineDataMovesOutWithoutRewritingItsNeighbours) {
  Start();
  std::string expected = Pattern(kBlockSize);
  ASSERT_TRUE(Write(0, expected).ok());
  ASSERT_TRUE(cache_->Flush(kFile, false).ok());
  const auto big = *index_.Objects().begin();
  for (int i = 0; i < 4; ++i) {  // alternating, so that a rewrite would not pay
    const std::string change = Pattern(100'000, i);
    ASSERT_TRUE(Write(static_cast<uint64_t>(i) * 400'000, change).ok());
    expected.replace(static_cast<size_t>(i) * 400'000, change.size(), change);
    ASSERT_TRUE(cache_->Flush(kFile, true).ok());
  }
  for (int i = 0; i < 8; ++i) {
    const std::string change = Pattern(100'000, i + 9);
    ASSERT_TRUE(Write(static_cast<uint64_t>(i) * 200'000 + 2'000'000, change).ok());
    expected.replace(static_cast<size_t>(i) * 200'000 + 2'000'000, change.size(), change);
    ASSERT_TRUE(cache_->Flush(kFile, true).ok());
  }
  auto inline_bytes = [&] {
    uint64_t n = 0;
    for (const auto& r : index_.All(kFile)) n += r.inline_data.size();
    return n;
  };
  while (inline_bytes() >= kInlineLimitPerChunk) std::this_thread::yield();  // over a megabyte: moved at once
  EXPECT_TRUE(index_.Objects().contains(big));
  EXPECT_TRUE(Read(0, kBlockSize) == expected);
}

}  // namespace
}  // namespace curvefs::data
