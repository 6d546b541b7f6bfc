// What is particular to the disk cache: what is kept and dropped, disks that fail and fill up, write-back
// over crashes. The contract of stores is held in object_store_test.cc.
#include "object/cache/disk_cache_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "base/log.h"
#include "object/object_format.h"
#include "test/support/fault_object_store.h"
#include "test/support/sim_disk.h"

namespace curvefs::object {
namespace {

using test::SimDisk;

ObjectName Name(uint64_t chunk) {
  return {ChunkId(chunk), 0, 0, FsId(1), InodeId(77)};
}
std::string Bytes(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string s(n, '\0');
  for (auto& c : s) c = static_cast<char>(random());
  return s;
}
BufferList One(std::string_view bytes) {
  return {BufferSlice::CopyOf(bytes)};
}

class DiskCacheTest : public testing::Test {
 protected:
  DiskCacheTest() : base_(MakeMemoryObjectStore()) {
    options_.dirs = {"/cache"};
    options_.uuid = "uuid";
    options_.free_space_ratio = 0;
    options_.min_backoff = std::chrono::milliseconds(1);
    options_.max_backoff = std::chrono::milliseconds(4);
  }
  ~DiskCacheTest() override { store_.reset(); }

  Status TryOpen() {
    store_.reset();
    auto inner = std::make_unique<test::FaultObjectStore>(*base_, 1);
    inner_ = inner.get();
    CURVEFS_TRY(store_, DiskCacheStore::Open(disk_, std::move(inner), options_));
    return {};
  }
  void Open() {
    Status s = TryOpen();
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  uint32_t Put(uint64_t chunk, const std::string& bytes) {
    auto digest = store_->Put(Name(chunk), One(bytes));
    EXPECT_TRUE(digest) << digest.error().ToString();
    return digest.value_or(0);
  }
  Result<std::string> Read(uint64_t chunk, uint32_t digest, uint64_t offset, size_t n) {
    std::string out(n, '?');
    CURVEFS_CHECK_OK(store_->Read(Name(chunk), digest, offset, out.data(), n));
    return out;
  }
  std::set<uint64_t> Inside() {  // what the store itself has
    std::set<uint64_t> chunks;
    EXPECT_TRUE(
        base_->List(ChunkId(0), [&](const ObjectName& n) { return chunks.insert(n.chunk.value).second; })
            .ok());
    return chunks;
  }
  std::string PathOf(uint64_t chunk, const char* where = "read") {
    return std::string("/cache/uuid/") + where + "/" + DirectoryStorePath(Name(chunk));
  }
  void Away(bool away) {
    inner_->SetFaults(away ? test::ObjectFaults{.put_fails = 1, .read_fails = 1, .delete_fails = 1}
                           : test::ObjectFaults{});
  }

  SimDisk disk_;
  std::unique_ptr<ObjectStore> base_;
  test::FaultObjectStore* inner_ = nullptr;
  DiskCacheOptions options_;
  std::unique_ptr<DiskCacheStore> store_;
};

// ---- deleting

TEST_F(DiskCacheTest, AnUploadThatTakesLongHoldsUpNoDeletion) {
  options_.writeback = true;
  options_.upload_threads = 1;
  Open();
  inner_->HoldPuts(true);
  for (uint64_t chunk = 1; chunk <= 3; ++chunk) Put(chunk, Bytes(1000, 1));
  inner_->AwaitBlockedPuts(1);  // the first
  const std::vector<ObjectName> all = {Name(1), Name(2), Name(3)};
  Status s = store_->DeleteMany(all);
  EXPECT_EQ(s.code(), Code::kBusy) << s.ToString();
  EXPECT_EQ(store_->stats().waiting_objects, 1u) << "the others are gone";
  EXPECT_FALSE(disk_.Files().contains(PathOf(2, "write")));
  inner_->HoldPuts(false);
  ASSERT_TRUE(store_->Drain(nullptr).ok());
  EXPECT_EQ(Inside(), std::set<uint64_t>{1});
  EXPECT_TRUE(store_->DeleteMany(all).ok());
  EXPECT_EQ(Inside(), std::set<uint64_t>{});
}

TEST_F(DiskCacheTest, AStoreThatIsKnownToBeAwayIsNotAskedToDelete) {
  options_.writeback = true;
  Open();
  const uint32_t digest = Put(1, "uploaded");
  ASSERT_TRUE(store_->Drain(nullptr).ok());
  Away(true);
  Put(2, "waits");
  while (store_->stats().upload_failures < 5) std::this_thread::yield();
  EXPECT_EQ(store_->Delete(Name(1)).code(), Code::kUnavailable);
  EXPECT_FALSE(store_->Cached(Name(1)));
  EXPECT_EQ(Inside(), std::set<uint64_t>{1});
  Away(false);
  ASSERT_TRUE(store_->Drain(nullptr).ok());
  EXPECT_TRUE(store_->Delete(Name(1)).ok());
  EXPECT_EQ(Inside(), std::set<uint64_t>{2});
  EXPECT_EQ(Read(1, digest, 0, 1).error().code(), Code::kNotFound);
}

// ---- reading

TEST_F(DiskCacheTest, WhatWasPutOrReadWholeIsReadFromTheDisk) {
  Open();
  const std::string a = Bytes(300'000, 1), b = Bytes(50'000, 2);
  const uint32_t da = Put(1, a);
  auto db = base_->Put(Name(2), One(b));
  EXPECT_EQ(*Read(2, *db, 0, b.size()), b);  // the whole object, as its digest tells
  store_->AwaitFills();
  const auto reads = inner_->reads();
  EXPECT_EQ(*Read(1, da, 12'345, 70'000), a.substr(12'345, 70'000));
  EXPECT_EQ(*Read(2, *db, 1, 100), b.substr(1, 100));
  EXPECT_EQ(inner_->reads(), reads);
  EXPECT_EQ(store_->stats().hits, 2u);
  EXPECT_EQ(store_->stats().misses, 1u);
}

TEST_F(DiskCacheTest, ASmallReadFillsAtItsSecondTouchOnly) {
  Open();
  const std::string bytes = Bytes(2 << 20, 1);
  auto digest = base_->Put(Name(1), One(bytes));
  EXPECT_EQ(*Read(1, *digest, 500'000, 4096), bytes.substr(500'000, 4096));
  store_->AwaitFills();
  EXPECT_FALSE(store_->Cached(Name(1)));
  EXPECT_EQ(inner_->read_bytes(), 4096u);
  EXPECT_EQ(*Read(1, *digest, 900'000, 4096), bytes.substr(900'000, 4096));
  store_->AwaitFills();
  EXPECT_TRUE(store_->Cached(Name(1)));
  auto other = base_->Put(Name(2), One(bytes));
  EXPECT_EQ(*Read(2, *other, 4096, 1 << 20), bytes.substr(4096, 1 << 20));  // a large part at once
  store_->AwaitFills();
  EXPECT_TRUE(store_->Cached(Name(2)));
}

TEST_F(DiskCacheTest, ReadersOfOneObjectShareTheRead) {
  Open();
  const std::string bytes = Bytes(1 << 20, 1);
  auto digest = base_->Put(Name(1), One(bytes));
  inner_->HoldReads(true);
  std::vector<std::thread> readers;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] { right += *Read(1, *digest, 0, bytes.size()) == bytes; });
  }
  inner_->AwaitBlockedReads(1);
  while (store_->stats().misses < 4) std::this_thread::yield();
  inner_->HoldReads(false);
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(right, 4);
  EXPECT_LE(inner_->reads(), 2u) << "one reader may come when the read is just over";
}

TEST_F(DiskCacheTest, EvictsTheLeastRecentlyUsedAlsoAfterARestart) {
  options_.size_bytes = 500'000;
  Open();
  std::vector<uint32_t> digests{0};
  for (uint64_t i = 1; i <= 4; ++i) {
    digests.push_back(Put(i, Bytes(100'000, i)));
    store_->AwaitFills();
  }
  ASSERT_TRUE(Read(1, digests[1], 0, 10));  // now the second is the oldest
  store_->SaveOrder();
  Open();
  EXPECT_TRUE(store_->Cached(Name(1)) && store_->Cached(Name(2)));
  for (uint64_t i = 5; i <= 6; ++i) {
    Put(i, Bytes(100'000, i));
    store_->AwaitFills();
  }
  EXPECT_TRUE(store_->Cached(Name(1)));
  EXPECT_FALSE(store_->Cached(Name(2)));
  EXPECT_TRUE(store_->Cached(Name(6)));
  EXPECT_LE(store_->stats().bytes, options_.size_bytes);
  EXPECT_LE(disk_.used_bytes(), options_.size_bytes + 10'000);
}

TEST_F(DiskCacheTest, DamagedAndForeignFilesAreDropped) {
  Open();
  const std::string a = Bytes(100'000, 1), b = Bytes(100'000, 2);
  const uint32_t da = Put(1, a), db = Put(2, b);
  store_->AwaitFills();
  store_.reset();
  auto content = disk_.Files().at(PathOf(1));
  content[50'000] ^= 1;
  disk_.SetContent(PathOf(1), content);
  disk_.SetContent(PathOf(2), "short");
  disk_.SetContent("/cache/uuid/read/0/readme", "foreign");
  disk_.SetContent("/cache/uuid/order", "nonsense");
  Open();
  EXPECT_EQ(*Read(1, da, 0, a.size()), a);
  EXPECT_EQ(*Read(2, db, 0, b.size()), b);
  EXPECT_EQ(store_->stats().damaged, 2u);
  EXPECT_EQ(store_->stats().foreign, 1u);
  EXPECT_FALSE(disk_.Files().contains("/cache/uuid/read/0/readme"));
  store_->AwaitFills();
  inner_->SetFaults({.read_fails = 1});
  EXPECT_EQ(*Read(1, da, 0, a.size()), a) << "fetched and kept again";
}

TEST_F(DiskCacheTest, ADiskThatFailsIsTakenOutOfUse) {
  options_.dirs = {"/cache", "/other"};
  Open();
  std::map<uint64_t, uint32_t> digests;
  for (uint64_t i = 1; i <= 20; ++i) digests[i] = Put(i, Bytes(10'000, i));
  store_->AwaitFills();
  ASSERT_EQ(store_->stats().objects, 20u);
  disk_.FailNth(SimDisk::Op::kRead, 1, Code::kIo, 1'000'000);
  for (auto [i, digest] : digests) EXPECT_EQ(*Read(i, digest, 0, 10'000), Bytes(10'000, i)) << i;
  EXPECT_EQ(store_->stats().disks_out, 2u);
  const auto tried = disk_.count(SimDisk::Op::kRead);
  for (auto [i, digest] : digests) EXPECT_EQ(*Read(i, digest, 5, 100), Bytes(10'000, i).substr(5, 100));
  EXPECT_EQ(disk_.count(SimDisk::Op::kRead), tried) << "asked again";
  EXPECT_EQ(Put(21, "x"), *base_->Put(Name(99), One("x")));
}

TEST_F(DiskCacheTest, AFullDiskCostsNothingButSpeed) {
  disk_.SetCapacity(150'000);
  Open();
  std::map<uint64_t, uint32_t> digests;
  for (uint64_t i = 1; i <= 10; ++i) {
    digests[i] = Put(i, Bytes(60'000, i));
    store_->AwaitFills();
  }
  for (auto [i, digest] : digests) EXPECT_EQ(*Read(i, digest, 0, 60'000), Bytes(60'000, i));
  EXPECT_EQ(store_->stats().disks_out, 0u);
  EXPECT_GT(store_->stats().fills, 2u) << "room is made by evicting";
}

TEST_F(DiskCacheTest, LeavesOthersTheirShareOfTheDisk) {
  disk_.SetCapacity(1'000'000);
  options_.free_space_ratio = 0.5;
  Open();
  for (uint64_t i = 1; i <= 20; ++i) {
    Put(i, Bytes(60'000, i));
    store_->AwaitFills();
    EXPECT_GE(disk_.Space("/")->free_bytes, 490'000u);
  }
  EXPECT_GE(store_->stats().objects, 4u);
}

TEST_F(DiskCacheTest, OneProcessAtATimeAndOneFileSystemPerSubdirectory) {
  Open();
  auto second = DiskCacheStore::Open(disk_, MakeMemoryObjectStore(), options_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kBusy);
  DiskCacheOptions other = options_;
  other.uuid = "another";
  EXPECT_TRUE(DiskCacheStore::Open(disk_, MakeMemoryObjectStore(), other));
}

TEST_F(DiskCacheTest, WarmsUpAndEvictsOnRequest) {
  Open();
  const std::string bytes = Bytes(100'000, 1);
  auto digest = base_->Put(Name(1), One(bytes));
  EXPECT_FALSE(store_->Cached(Name(1)));
  ASSERT_TRUE(store_->Warm(Name(1), *digest).ok());
  EXPECT_TRUE(store_->Cached(Name(1)));
  const auto reads = inner_->reads();
  ASSERT_TRUE(store_->Warm(Name(1), *digest).ok());
  EXPECT_EQ(*Read(1, *digest, 7, 70'000), bytes.substr(7, 70'000));
  EXPECT_EQ(inner_->reads(), reads);
  EXPECT_TRUE(store_->Evict(Name(1)));
  EXPECT_FALSE(store_->Cached(Name(1)));
  EXPECT_FALSE(disk_.Files().contains(PathOf(1)));
  EXPECT_EQ(store_->Warm(Name(2), 0).code(), Code::kNotFound);
}

// ---- write-back

class WritebackTest : public DiskCacheTest {
 protected:
  WritebackTest() { options_.writeback = true; }
  // Without a clean end; what was not synced is lost.
  void Crash(uint64_t seed = 1, SimDisk::Keep keep = SimDisk::Keep::kNothing) {
    store_.reset();
    disk_.Crash(seed, keep);
  }
};

TEST_F(WritebackTest, PutsWaitOnTheDiskAndAreUploaded) {
  Open();
  inner_->HoldPuts(true);
  const std::string bytes = Bytes(100'000, 1);
  const uint32_t digest = Put(1, bytes);
  ASSERT_TRUE(store_->Sync(std::vector{Name(1)}).ok());
  EXPECT_EQ(store_->stats().waiting_objects, 1u);
  EXPECT_GT(store_->stats().waiting_bytes, 100'000u);
  EXPECT_EQ(*Read(1, digest, 0, bytes.size()), bytes);
  EXPECT_EQ(*store_->Size(Name(1)), bytes.size());
  EXPECT_TRUE(Inside().empty());
  std::vector<ObjectName> listed;
  ASSERT_TRUE(
      store_->List(ChunkId(0), [&](const auto& n) { return listed.push_back(n), true; }, nullptr).ok());
  EXPECT_EQ(listed, std::vector{Name(1)});
  EXPECT_TRUE(disk_.Files().contains(PathOf(1, "write")) && disk_.Files().contains(PathOf(1)));
  inner_->HoldPuts(false);
  ASSERT_TRUE(store_->Drain({}).ok());
  EXPECT_EQ(store_->stats().waiting_objects, 0u);
  EXPECT_EQ(Inside(), std::set<uint64_t>{1});
  EXPECT_FALSE(disk_.Files().contains(PathOf(1, "write")));
  inner_->SetFaults({.read_fails = 1});
  EXPECT_EQ(*Read(1, digest, 0, bytes.size()), bytes) << "it stays as read cache";
}

TEST_F(WritebackTest, TheStoreMayBeAwayForLong) {
  Open();
  Away(true);
  std::map<uint64_t, uint32_t> digests;
  for (uint64_t i = 1; i <= 30; ++i) digests[i] = Put(i, Bytes(5000, i));
  std::vector<ObjectName> names;
  for (auto [i, digest] : digests) names.push_back(Name(i));
  ASSERT_TRUE(store_->Sync(names).ok());
  while (store_->stats().upload_failures < 10) std::this_thread::yield();
  int asked = 0;
  EXPECT_EQ(store_->Drain([&](uint64_t objects, uint64_t) { return objects == 30 && ++asked < 2; }).code(),
            Code::kInterrupted);
  for (auto [i, digest] : digests) EXPECT_EQ(*Read(i, digest, 0, 5000), Bytes(5000, i));
  Away(false);
  ASSERT_TRUE(store_->Drain({}).ok());
  EXPECT_EQ(Inside().size(), 30u);
}

TEST_F(WritebackTest, WhatWaitsAfterACrashIsUploadedByTheNext) {
  for (auto keep : {SimDisk::Keep::kNothing, SimDisk::Keep::kEverything, SimDisk::Keep::kSome}) {
    base_ = MakeMemoryObjectStore();
    Open();
    Away(true);
    const std::string bytes = Bytes(100'000, 1);
    const uint32_t digest = Put(1, bytes);
    Put(5000, bytes);  // never synced
    ASSERT_TRUE(store_->Sync(std::vector{Name(1)}).ok());
    Crash(3, keep);
    Open();
    EXPECT_EQ(*Read(1, digest, 0, bytes.size()), bytes) << "before it is uploaded";
    ASSERT_TRUE(store_->Drain({}).ok());
    EXPECT_TRUE(Inside().contains(1));
    Inside().contains(5000) ? (void)store_->Delete(Name(5000)) : void();
    ASSERT_TRUE(store_->Delete(Name(1)).ok());
    EXPECT_FALSE(Inside().contains(1));
  }
}

TEST_F(WritebackTest, DeletingCancelsTheUpload) {
  Open();
  Away(true);
  Put(1, "one");
  ASSERT_TRUE(store_->Sync(std::vector{Name(1)}).ok());
  while (store_->stats().upload_failures == 0) std::this_thread::yield();
  EXPECT_FALSE(store_->Delete(Name(1)).ok())
      << "an attempt may have stored it, and the store does not answer";
  EXPECT_EQ(store_->stats().waiting_objects, 0u);
  Crash();
  Open();
  EXPECT_EQ(store_->stats().waiting_objects, 0u) << "it does not come back";
  EXPECT_TRUE(store_->Delete(Name(1)).ok());
  EXPECT_TRUE(Inside().empty());
}

TEST_F(WritebackTest, DeletingWaitsForTheUploadUnderWay) {
  Open();
  inner_->HoldPuts(true);
  Put(1, "one");
  inner_->AwaitBlockedPuts(1);
  std::thread deleter([&] { EXPECT_TRUE(store_->Delete(Name(1)).ok()); });
  inner_->HoldPuts(false);
  deleter.join();
  EXPECT_TRUE(Inside().empty());
  EXPECT_EQ(store_->stats().objects, 0u);
  EXPECT_EQ(store_->stats().bytes, 0u);
}

TEST_F(WritebackTest, AnUploadedAndDeletedObjectDoesNotComeBackWithACrash) {
  Open();
  inner_->HoldPuts(true);  // its name in write/ shall be durable before it goes
  Put(1, "one");
  ASSERT_TRUE(store_->Sync(std::vector{Name(1)}).ok());
  inner_->HoldPuts(false);
  while (store_->stats().waiting_objects > 0) std::this_thread::yield();  // not Drain: it syncs
  ASSERT_TRUE(store_->Delete(Name(1)).ok());
  Crash();
  Open();
  ASSERT_TRUE(store_->Drain({}).ok());
  EXPECT_TRUE(Inside().empty());
}

// Canary for the test above: without the sync of the directory it would.
TEST_F(WritebackTest, CanaryARemovalIsUndoneByACrash) {
  Open();
  inner_->HoldPuts(true);  // its name in write/ shall be durable before it goes
  Put(1, "one");
  ASSERT_TRUE(store_->Sync(std::vector{Name(1)}).ok());
  inner_->HoldPuts(false);
  while (store_->stats().waiting_objects > 0) std::this_thread::yield();
  disk_.SetSyncsAreLies(true);
  ASSERT_TRUE(store_->Delete(Name(1)).ok());
  Crash();
  disk_.SetSyncsAreLies(false);
  Open();
  ASSERT_TRUE(store_->Drain({}).ok());
  EXPECT_EQ(Inside(), std::set<uint64_t>{1});
}

TEST_F(WritebackTest, WhatDoesNotFitGoesToTheStore) {
  options_.size_bytes = 250'000;
  Open();
  inner_->HoldPuts(true);
  Put(1, Bytes(100'000, 1));
  Put(2, Bytes(100'000, 2));
  std::thread third([&] { Put(3, Bytes(100'000, 3)); });
  inner_->AwaitBlockedPuts(3);  // two uploads, and the third Put itself
  inner_->HoldPuts(false);
  third.join();
  EXPECT_EQ(store_->stats().put_through, 1u);
  ASSERT_TRUE(store_->Sync(std::vector{Name(3), Name(1)}).ok());
  ASSERT_TRUE(store_->Drain({}).ok());
  EXPECT_EQ(Inside().size(), 3u);
}

TEST_F(WritebackTest, AFullDiskGoesToTheStore) {
  disk_.SetCapacity(150'000);
  Open();
  inner_->HoldPuts(true);
  const uint32_t one = Put(1, Bytes(100'000, 1));
  inner_->AwaitBlockedPuts(1);
  inner_->HoldPuts(false);
  Away(false);
  const uint32_t two = Put(2, Bytes(100'000, 2));
  ASSERT_TRUE(store_->Drain({}).ok());
  EXPECT_EQ(*Read(1, one, 0, 100'000), Bytes(100'000, 1));
  EXPECT_EQ(*Read(2, two, 0, 100'000), Bytes(100'000, 2));
}

TEST_F(WritebackTest, NothingWaitsUntilThatIsNoted) {
  int noted = 0;
  bool fails = true;
  options_.before_writeback = [&]() -> Status { return ++noted, fails ? Status(Code::kIo, "no") : Status(); };
  Open();
  EXPECT_EQ(noted, 0);
  Put(1, "one");
  EXPECT_EQ(Inside(), std::set<uint64_t>{1}) << "it went to the store";
  fails = false;
  Away(true);
  Put(2, "two");
  Put(3, "three");
  EXPECT_EQ(noted, 2);
  EXPECT_EQ(store_->stats().waiting_objects, 2u);
}

TEST_F(WritebackTest, TornAndDamagedFiles) {
  Open();
  Away(true);
  const std::string bytes = Bytes(50'000, 1);
  const uint32_t digest = Put(1, bytes);
  Put(2, bytes);
  store_.reset();
  auto content = disk_.Files().at(PathOf(1, "write"));
  content[20'000] ^= 1;
  disk_.SetContent(PathOf(1, "write"), content);
  disk_.SetContent(PathOf(2, "write"), content.substr(0, 30'000));
  options_.upload_threads = 0;
  Open();
  EXPECT_EQ(store_->stats().waiting_objects, 1u) << "a half-written one was promised to nobody";
  EXPECT_EQ(*Read(1, digest, 0, 4096), bytes.substr(0, 4096));
  EXPECT_EQ(Read(1, digest, 20'000, 100).error().code(), Code::kCorrupt);
  options_.upload_threads = 1;
  Open();
  ASSERT_TRUE(store_->Drain({}).ok());
  EXPECT_TRUE(Inside().empty()) << "wrong bytes are not uploaded";
  EXPECT_TRUE(disk_.Files().contains("/cache/uuid/damaged/1_0_0_1_77"));
}

// Its file leaves write/ by a rename to damaged/, which a sync of write/ alone does not make durable.
TEST_F(WritebackTest, AnObjectSetAsideAndDeletedDoesNotComeBackWithACrash) {
  for (const uint64_t chunk : {1, 2}) {
    SCOPED_TRACE(chunk);
    Open();
    Away(true);
    Put(chunk, Bytes(50'000, 1));
    ASSERT_TRUE(store_->Sync(std::vector{Name(chunk)}).ok());
    store_.reset();
    auto content = disk_.Files().at(PathOf(chunk, "write"));
    content[20'000] ^= 1;
    disk_.SetContent(PathOf(chunk, "write"), content);
    Open();
    while (store_->stats().waiting_objects > 0) std::this_thread::yield();  // not Drain: it syncs
    const std::string aside = "/cache/uuid/damaged/" + Name(chunk).ToString();
    ASSERT_TRUE(disk_.Files().contains(aside));
    if (chunk == 2) Open();  // a process that ended, and the next knows nothing of it
    ASSERT_TRUE(store_->Delete(Name(chunk)).ok());
    Crash();
    EXPECT_FALSE(disk_.Files().contains(PathOf(chunk, "write")));
    EXPECT_TRUE(disk_.Files().contains(aside)) << "for people to look at";
    Open();
    EXPECT_EQ(store_->stats().waiting_objects, 0u);
  }
}

TEST_F(WritebackTest, ReadOnlyShowsWhatWaitsAndChangesNothing) {
  Open();
  Away(true);
  const uint32_t digest = Put(1, "one");
  store_.reset();
  const auto before = disk_.Files();
  options_.read_only = true;
  Open();
  EXPECT_EQ(*Read(1, digest, 0, 3), "one");
  EXPECT_EQ(store_->Stat(Name(1))->size, 3u);
  int listed = 0;
  ASSERT_TRUE(store_->List(ChunkId(0), [&](const auto&) { return ++listed > 0; }, nullptr).ok());
  EXPECT_EQ(listed, 1);
  EXPECT_EQ(store_->Delete(Name(1)).code(), Code::kReadOnly);
  EXPECT_EQ(store_->Drain({}).code(), Code::kInterrupted);
  store_.reset();
  EXPECT_EQ(disk_.Files(), before);
}

// ---- everything at once

// Random operations, a store that goes away and comes back, files that are damaged, and a power cut at a
// random operation of the disk, again and again. Returns what was not as promised.
std::vector<std::string> RunModel(uint64_t seed, bool lies, bool writeback) {
  SetLogSink([](LogLevel, const std::string&) {});  // thousands of failures are no news here
  std::vector<std::string> wrong;
  std::mt19937_64 random(seed);
  auto chance = [&](uint32_t percent) { return random() % 100 < percent; };
  SimDisk disk;
  auto base = MakeMemoryObjectStore();
  DiskCacheOptions options;
  options.dirs = {"/a", "/b"};
  options.uuid = "u";
  options.size_bytes = 300'000;
  options.free_space_ratio = 0;
  options.writeback = writeback;
  options.upload_threads = 2;
  options.min_backoff = std::chrono::microseconds(100);
  options.max_backoff = std::chrono::milliseconds(2);
  struct Known {
    std::string bytes;
    uint32_t digest = 0;
    bool synced = false, maybe_gone = false;
  };
  std::map<uint64_t, Known> live;
  std::set<uint64_t> deleted;
  uint64_t next = 1;

  for (int round = 0; round < 6 && wrong.empty(); ++round) {
    std::atomic<uint64_t> left{10 + random() % 400};
    disk.SetHook([&](SimDisk::Op, const std::string&) {
      if (left.fetch_sub(1) != 1) return;
      for (int op = 0; op < static_cast<int>(SimDisk::Op::kCount_); ++op) {
        disk.FailNth(static_cast<SimDisk::Op>(op), 1, Code::kIo, uint64_t{1} << 40);
      }
    });
    auto faults = std::make_unique<test::FaultObjectStore>(*base, seed + static_cast<uint64_t>(round));
    test::FaultObjectStore* inner = faults.get();
    auto opened = DiskCacheStore::Open(disk, std::move(faults), options);
    for (int step = 0; opened && step < 120 && wrong.empty(); ++step) {
      DiskCacheStore& store = **opened;
      if (chance(5)) inner->SetFaults({});
      if (chance(5)) inner->SetFaults({.put_fails = 1, .read_fails = 1, .delete_fails = 1});
      if (chance(5))
        inner->SetFaults({.put_fails = 0.2, .put_fails_after = 0.2, .delete_fails = 0.2, .yields = 0.5});
      auto pick =
          live.empty() ? live.end() : std::next(live.begin(), static_cast<ptrdiff_t>(random() % live.size()));
      if (chance(35)) {
        Known k{.bytes = Bytes(1 + random() % 20'000, random())};
        const uint64_t chunk = next += random() % 3000 + 1;
        auto digest = store.Put(Name(chunk), One(k.bytes));
        if (digest) {
          k.digest = *digest;
          live[chunk] = k;
        } else if (store.Delete(Name(chunk)).ok()) {  // as the data layer does
          deleted.insert(chunk);
        }
      } else if (pick == live.end()) {
        continue;
      } else if (chance(25)) {
        std::vector<ObjectName> names;
        for (auto& [chunk, k] : live) {
          if (chance(50) && !k.maybe_gone) names.push_back(Name(chunk));
        }
        if (store.Sync(names).ok()) {
          for (const auto& name : names) live[name.chunk.value].synced = true;
        }
      } else if (chance(25)) {
        if (store.Delete(Name(pick->first)).ok()) {
          deleted.insert(pick->first);
          live.erase(pick);
        } else {
          pick->second.maybe_gone = true;
        }
      } else if (chance(10)) {
        store.Evict(Name(pick->first));
      } else {
        const Known& k = pick->second;
        const size_t at = random() % k.bytes.size();
        std::string out(k.bytes.size() - at, '?');
        Status s = store.Read(Name(pick->first), k.digest, chance(50) ? 0 : at, out.data(), out.size());
        if (s.ok() && out != k.bytes.substr(at) && out != k.bytes.substr(0, out.size()))
          wrong.push_back("wrong bytes");
        if (s.code() == Code::kNotFound && !k.maybe_gone) wrong.push_back("not found while running");
      }
    }
    if (opened) opened->reset();
    disk.SetHook({});
    disk.ClearFaults();
    if (lies) disk.SetSyncsAreLies(true);
    disk.Crash(random());
    if (chance(50)) {  // damage of the read cache, where that is no link to what waits
      for (const auto& [path, content] : disk.Files()) {
        if (path.find("/read/") == path.npos || content.empty() || !chance(10)) continue;
        std::string other = path;
        other.replace(other.find("/read/"), 6, "/write/");
        if (disk.Files().contains(other)) continue;
        std::string damaged = content;
        damaged[random() % damaged.size()] ^= 4;
        disk.SetContent(path, damaged);
      }
    }
    // Everything promised is there; what nobody knows is deleted, as a mount does.
    auto again = DiskCacheStore::Open(disk, std::make_unique<test::FaultObjectStore>(*base, 1), options);
    if (!again) return {"cannot be opened: " + again.error().ToString()};
    for (auto it = live.begin(); it != live.end();) {
      const auto& [chunk, k] = *it;
      std::string out(k.bytes.size(), '?');
      Status s = (*again)->Read(Name(chunk), k.digest, 0, out.data(), out.size());
      if (s.ok() && out != k.bytes) wrong.push_back("wrong bytes of " + std::to_string(chunk));
      if (!s.ok() && k.synced && !k.maybe_gone)
        wrong.push_back("lost " + std::to_string(chunk) + ": " + s.ToString());
      it = s.ok() && k.synced && !k.maybe_gone ? std::next(it) : live.erase(it);
    }
    std::vector<ObjectName> unknown;
    (void)(*again)->List(
        ChunkId(0),
        [&](const ObjectName& n) {
          if (!live.contains(n.chunk.value)) unknown.push_back(n);
          if (deleted.contains(n.chunk.value)) wrong.push_back("came back: " + n.ToString());
          return true;
        },
        nullptr);
    if (!(*again)->DeleteMany(unknown).ok()) wrong.push_back("cannot delete");
    for (const auto& n : unknown) deleted.insert(n.chunk.value);
    if (chance(50) && !(*again)->Drain({}).ok()) wrong.push_back("does not drain");
    if ((*again)->stats().waiting_objects == 0) {
      std::set<uint64_t> inside;
      (void)base->List(ChunkId(0), [&](const ObjectName& n) { return inside.insert(n.chunk.value).second; });
      for (const auto& [chunk, k] : live) {
        if (!inside.contains(chunk)) wrong.push_back("not uploaded: " + std::to_string(chunk));
      }
      if (inside.size() > live.size()) wrong.push_back("leaked objects");
    }
    for (auto& [chunk, k] : live) {
      k.synced = (*again)->Sync(std::vector{Name(chunk)}).ok();
    }
  }
  return wrong;
}

TEST(DiskCacheModel, WritebackWithCrashes) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    auto wrong = RunModel(seed, false, true);
    ASSERT_TRUE(wrong.empty()) << "seed " << seed << ": " << wrong[0];
  }
}

TEST(DiskCacheModel, ReadCacheWithCrashes) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    auto wrong = RunModel(seed, false, false);
    ASSERT_TRUE(wrong.empty()) << "seed " << seed << ": " << wrong[0];
  }
}

TEST(DiskCacheModel, CanaryDisksThatLieAreNoticed) {
  size_t noticed = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) noticed += !RunModel(seed, true, true).empty();
  EXPECT_GT(noticed, 0u);
}

// ---- the order of use

TEST(CacheOrder, RoundTripAndDamage) {
  std::vector<CachedObject> objects;
  for (uint64_t i = 1; i <= 50; ++i)
    objects.push_back({{ChunkId(i), 1, 2, FsId(3), InodeId(i * 7)}, i * 1000});
  const std::string bytes = EncodeCacheOrder(objects);
  EXPECT_EQ(*DecodeCacheOrder(bytes), objects);
  EXPECT_TRUE(DecodeCacheOrder(EncodeCacheOrder({}))->empty());
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] ^= 0x10;
    EXPECT_FALSE(DecodeCacheOrder(damaged)) << at;
    EXPECT_FALSE(DecodeCacheOrder(bytes.substr(0, at))) << at;
  }
}

}  // namespace
}  // namespace curvefs::object
