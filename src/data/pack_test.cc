// Small files that share an object.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>

#include "data/data_cache.h"
#include "test/support/fake_chunk_index.h"
#include "test/support/fault_object_store.h"

namespace curvefs::data {
namespace {

class PackTest : public testing::Test {
 protected:
  PackTest() : memory_(object::MakeMemoryObjectStore()), objects_(*memory_, 1), index_(objects_) {
    options_.flush_age = std::chrono::hours(1);
  }
  void Start() { cache_ = std::make_unique<DataCache>(index_, objects_, options_); }

  void Write(uint64_t file, size_t n) {
    index_.Create(InodeId(file));
    std::string bytes(n, '\0');
    for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<char>(file * 31 + i * 7 + i / 1000);
    ASSERT_TRUE(cache_->Write(InodeId(file), 0, BufferSlice::CopyOf(bytes)).ok());
    expected_[file] = std::move(bytes);
  }
  void ExpectAllRight() {
    cache_->DropClean();
    for (const auto& [file, bytes] : expected_) {
      auto list = cache_->Read(InodeId(file), 0, bytes.size(), bytes.size(), nullptr);
      ASSERT_TRUE(list.has_value()) << list.error().ToString();
      std::string got(TotalSize(*list), '\0');
      CopyOut(*list, got.data());
      EXPECT_TRUE(got == bytes) << "file " << file;
    }
  }
  uint64_t StoredObjects() {
    uint64_t n = 0;
    EXPECT_TRUE(memory_->List(ChunkId(0), [&](const auto&) { return ++n, true; }).ok());
    return n;
  }

  std::unique_ptr<object::ObjectStore> memory_;
  test::FaultObjectStore objects_;
  test::FakeChunkIndex index_;
  DataOptions options_;
  std::unique_ptr<DataCache> cache_;
  std::map<uint64_t, std::string> expected_;
};

TEST_F(PackTest, ManySmallFilesNeedFewObjectsAndFewChanges) {
  options_.inline_max = 0;
  Start();
  for (uint64_t file = 1; file <= 3000; ++file) Write(file, 4096);
  ASSERT_TRUE(cache_->FlushAll().ok());
  EXPECT_EQ(cache_->stats().dirty_bytes, 0u);
  EXPECT_LE(StoredObjects(), 4u) << "12 MB";
  EXPECT_LE(index_.append_calls(), 4u);
  ExpectAllRight();
  for (uint64_t file = 1; file <= 3000; ++file) index_.Remove(InodeId(file));
  EXPECT_EQ(StoredObjects(), 0u) << "freed with the last that uses them";
}

TEST_F(PackTest, TheBackgroundPacksToo) {
  options_.flush_age = std::chrono::milliseconds(400);
  Start();
  for (uint64_t file = 1; file <= 60; ++file) Write(file, 100'000);
  while (cache_->stats().dirty_bytes > 0) std::this_thread::yield();
  EXPECT_LE(StoredObjects(), 30u);
  ExpectAllRight();
}

TEST_F(PackTest, InlineAndLargeFilesGoTheirOwnWays) {
  Start();
  Write(1, 100);
  Write(2, 100'000);
  Write(3, 3 << 20);
  Write(4, 50'000);
  Write(5, 4096);
  ASSERT_TRUE(cache_->FlushAll().ok());
  EXPECT_EQ(StoredObjects(), 2u) << "files 2 and 4 in one, file 3 in the other";
  EXPECT_TRUE(index_.All(InodeId(1)).at(0).is_inline());
  EXPECT_TRUE(index_.All(InodeId(5)).at(0).is_inline());
  EXPECT_EQ(index_.All(InodeId(2)).at(0).chunk_id, index_.All(InodeId(4)).at(0).chunk_id);
  ExpectAllRight();
}

TEST_F(PackTest, AFailedPutLeavesAllOfThemToBeStoredLater) {
  Start();
  for (uint64_t file = 1; file <= 10; ++file) Write(file, 20'000);
  objects_.SetFaults({.put_fails = 1});
  EXPECT_EQ(cache_->FlushAll().code(), Code::kIo);
  ExpectAllRight();
  EXPECT_GT(cache_->stats().dirty_bytes, 0u);
  objects_.SetFaults({});
  EXPECT_TRUE(cache_->FlushAll().ok());
  EXPECT_EQ(cache_->stats().dirty_bytes, 0u);
  ExpectAllRight();
}

TEST_F(PackTest, AFailedCommitDeletesTheObject) {
  Start();
  for (uint64_t file = 1; file <= 10; ++file) Write(file, 20'000);
  index_.FailAppends(1000, Code::kIo);
  EXPECT_EQ(cache_->FlushAll().code(), Code::kIo);
  EXPECT_EQ(StoredObjects(), 0u);
  index_.FailAppends(0, Code::kIo);
  EXPECT_TRUE(cache_->FlushAll().ok());
  EXPECT_LE(StoredObjects(), 2u);
  ExpectAllRight();
}

TEST_F(PackTest, DeletedFilesTakeNothingFromTheOthers) {
  Start();
  for (uint64_t file = 1; file <= 4; ++file) Write(file, 20'000);
  index_.Remove(InodeId(1));  // the one after which the object is named
  index_.Remove(InodeId(3));
  ASSERT_TRUE(cache_->FlushAll().ok());
  expected_.erase(1);
  expected_.erase(3);
  EXPECT_EQ(StoredObjects(), 1u);
  ExpectAllRight();
  for (uint64_t file : {5, 6}) Write(file, 20'000);
  for (uint64_t file : {5, 6}) index_.Remove(InodeId(file));
  ASSERT_TRUE(cache_->FlushAll().ok());
  EXPECT_EQ(StoredObjects(), 1u) << "nobody names the second object: it is gone";
  EXPECT_EQ(cache_->stats().dirty_bytes, 0u);
}

TEST_F(PackTest, MostlyUnusedObjectsAreRepacked) {
  options_.inline_max = 0;
  Start();
  for (uint64_t file = 1; file <= 2000; ++file) Write(file, 4096);
  ASSERT_TRUE(cache_->FlushAll().ok());
  auto bytes_stored = [&] {
    uint64_t n = 0;
    EXPECT_TRUE(
        memory_->List(ChunkId(0), [&](const auto& name) { return n += memory_->Size(name).value(), true; })
            .ok());
    return n;
  };
  EXPECT_GE(bytes_stored(), 2000u * 4096);
  for (uint64_t file = 1; file <= 2000; ++file) {
    if (file % 10 == 0) continue;
    index_.Remove(InodeId(file));
    expected_.erase(file);
  }
  EXPECT_GE(bytes_stored(), 2000u * 4096) << "each object still has users";
  ASSERT_TRUE(cache_->Repack().ok());
  EXPECT_EQ(bytes_stored(), 200u * 4096);
  EXPECT_EQ(StoredObjects(), 1u);
  ExpectAllRight();
  ASSERT_TRUE(cache_->Repack().ok());
  EXPECT_EQ(StoredObjects(), 1u) << "nothing left to do";
}

// Whatever happens between the reading of the old records and the replacing of them is seen by the index.
TEST_F(PackTest, WhatChangesDuringRepackingIsKept) {
  Start();
  for (uint64_t file = 1; file <= 20; ++file) Write(file, 20'000);
  ASSERT_TRUE(cache_->FlushAll().ok());
  for (uint64_t file = 5; file <= 20; ++file) {
    index_.Remove(InodeId(file));
    expected_.erase(file);
  }
  objects_.HoldPuts(true);
  std::thread repacker([&] { EXPECT_TRUE(cache_->Repack().ok()); });
  objects_.AwaitBlockedPuts(1);  // the old records have been read
  index_.Remove(InodeId(1));
  expected_.erase(1);
  ASSERT_TRUE(index_.Truncate(InodeId(2), 100).ok());
  expected_[2].resize(100);
  ASSERT_TRUE(index_.Punch(InodeId(3), 10, 1000).ok());
  expected_[3].replace(10, 1000, 1000, '\0');
  objects_.HoldPuts(false);
  repacker.join();
  ExpectAllRight();
  EXPECT_EQ(StoredObjects(), 2u) << "the old one, for the files that were changed, and the new one";
}

}  // namespace
}  // namespace curvefs::data
