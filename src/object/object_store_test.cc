// The contract of ObjectStore, for every store; then what is particular to the directory.
#include "object/object_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/limits.h"
#include "object/cache/disk_cache_store.h"
#include "object/coded/coded_store.h"
#include "object/object_format.h"
#include "object/s3/store.h"
#include "test/support/fault_object_store.h"
#include "test/support/s3_server.h"
#include "test/support/sim_disk.h"

namespace curvefs::object {
namespace {

ObjectName Name(uint64_t chunk, uint32_t block = 0) {
  return {ChunkId(chunk), block, 0, FsId(1), InodeId(77)};
}

std::string RandomBytes(size_t n, uint32_t seed = 1) {
  std::mt19937_64 random(seed);
  std::string s(n, '\0');
  for (auto& c : s) c = static_cast<char>(random());
  return s;
}
BufferList One(std::string_view bytes) {
  return {BufferSlice::CopyOf(bytes)};
}

Result<std::string> ReadBack(ObjectStore& store, const ObjectName& name, uint32_t digest, uint64_t offset,
                             size_t n) {
  std::string out(n, '?');
  CURVEFS_CHECK_OK(store.Read(name, digest, offset, out.data(), n));
  return out;
}

enum class Kind {
  kPosix,
  kSim,
  kMemory,
  kFaultless,
  kCache,
  kCacheOfDirectory,
  kWriteback,
  kS3,
  kS3Cold,
  kCompressed,
  kEncrypted
};

std::unique_ptr<ObjectStore> S3StoreOn(test::S3Server& server) {
  s3::ClientOptions options;
  options.bucket = "bucket";
  options.endpoint = *s3::Endpoint::Parse(server.endpoint());
  options.region = "test-region-1";
  auto client = s3::Client::Make(
      options, [] { return s3::Credentials{"TESTACCESSKEY", "test/secret+key", ""}; }, Clock::System());
  return s3::MakeS3Store(*std::move(client), {"bucket", "some/prefix"});
}

// What is written by one store is read by another that has never seen it, so that nothing is known from
// before.
class TwoStores final : public ObjectStore {
 public:
  TwoStores(ObjectStore& writer, std::unique_ptr<ObjectStore> reader)
      : writer_(writer), reader_(std::move(reader)) {}
  Result<uint32_t> Put(const ObjectName& name, const BufferList& data) override {
    return writer_.Put(name, data);
  }
  Status Sync(std::span<const ObjectName> names) override { return reader_->Sync(names); }
  Status Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) override {
    return reader_->Read(name, digest, offset, out, n);
  }
  void Prefetch(const ObjectName& name, uint64_t offset, size_t n) override {
    reader_->Prefetch(name, offset, n);
  }
  Status Delete(const ObjectName& name) override {
    CURVEFS_CHECK_OK(writer_.Delete(name));
    return reader_->Delete(name);
  }
  Result<ObjectStat> Stat(const ObjectName& name) override { return writer_.Stat(name); }
  Status List(ChunkId from, const std::function<bool(const ObjectName&)>& visit, uint64_t* foreign) override {
    return reader_->List(from, visit, foreign);
  }
  Result<DiskSpace> Space() override { return reader_->Space(); }

 private:
  ObjectStore& writer_;
  std::unique_ptr<ObjectStore> reader_;
};

class Contract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    switch (GetParam()) {
      case Kind::kPosix: {
        std::string pattern = testing::TempDir() + "curvefs-objects-XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        dir_ = pattern;
        store_ = MakeDirectoryStore(Disk::Posix(), dir_);
        break;
      }
      case Kind::kSim:
        ASSERT_TRUE(disk_.MakeDir("/o").ok() && disk_.SyncDir("/").ok());
        store_ = MakeDirectoryStore(disk_, "/o");
        break;
      case Kind::kMemory:
        store_ = MakeMemoryObjectStore();
        break;
      case Kind::kFaultless:
        base_ = MakeMemoryObjectStore();
        store_ = std::make_unique<test::FaultObjectStore>(*base_, 1);
        break;
      case Kind::kCache:
        store_ = Cached(MakeMemoryObjectStore(), false);
        break;
      case Kind::kCacheOfDirectory:
        ASSERT_TRUE(disk_.MakeDir("/o").ok() && disk_.SyncDir("/").ok());
        store_ = Cached(MakeDirectoryStore(disk_, "/o"), false);
        break;
      case Kind::kWriteback:
        store_ = Cached(MakeMemoryObjectStore(), true);
        break;
      case Kind::kS3:
      case Kind::kS3Cold:
        server_ = std::make_unique<test::S3Server>(test::S3ServerOptions{.page = 3});
        store_ = S3StoreOn(*server_);
        if (GetParam() == Kind::kS3Cold) {
          base_ = S3StoreOn(*server_);
          store_ = std::make_unique<TwoStores>(*base_, std::move(store_));
        }
        break;
      case Kind::kCompressed:
        store_ = MakeCodedStore(MakeMemoryObjectStore(), {.compression = Compression::kZstd});
        break;
      case Kind::kEncrypted: {  // over the whole stack
        auto key = DataKey::Random();
        ASSERT_TRUE(key);
        ASSERT_TRUE(disk_.MakeDir("/o").ok() && disk_.SyncDir("/").ok());
        store_ = MakeCodedStore(Cached(MakeDirectoryStore(disk_, "/o"), true),
                                {.compression = Compression::kLz4, .encrypted = true, .key = *key});
        break;
      }
    }
  }
  void TearDown() override {
    store_.reset();
    if (!dir_.empty()) std::filesystem::remove_all(dir_);
  }
  std::unique_ptr<ObjectStore> Cached(std::unique_ptr<ObjectStore> inner, bool writeback) {
    DiskCacheOptions options{.dirs = {"/cache-a", "/cache-b"}, .uuid = "u", .writeback = writeback};
    auto store = DiskCacheStore::Open(disk_, std::move(inner), std::move(options));
    EXPECT_TRUE(store) << store.error().ToString();
    return *std::move(store);
  }
  size_t MaxData() const {
    return GetParam() == Kind::kCompressed || GetParam() == Kind::kEncrypted ? kBlockSize : kMaxObjectData;
  }
  test::SimDisk disk_;
  std::string dir_;
  std::unique_ptr<test::S3Server> server_;
  std::unique_ptr<ObjectStore> base_, store_;
};

TEST_P(Contract, EverySizeAndRange) {
  std::mt19937 random(3);
  uint64_t chunk = 1;
  for (size_t size : {size_t{1}, size_t{4095}, size_t{4096}, size_t{4097}, size_t{100'000}, size_t{300'001},
                      size_t{kBlockSize}, MaxData()}) {
    const std::string bytes = RandomBytes(size, static_cast<uint32_t>(size));
    const auto name = Name(chunk++);
    auto digest = store_->Put(name, One(bytes));
    ASSERT_TRUE(digest) << digest.error().ToString();
    EXPECT_EQ(*store_->Size(name), size);
    EXPECT_EQ(store_->Stat(name)->digest, *digest);
    auto whole = store_->ReadWhole(name, *digest);
    ASSERT_TRUE(whole) << whole.error().ToString();
    ASSERT_TRUE(std::string_view((*whole)->data(), size) == bytes);
    ASSERT_TRUE(*ReadBack(*store_, name, *digest, 0, size) == bytes);
    for (int i = 0; i < 50; ++i) {
      const size_t at = random() % size;
      const size_t n = 1 + random() % std::min<size_t>(size - at, i % 2 ? 10'000 : size);
      auto got = ReadBack(*store_, name, *digest, at, n);
      ASSERT_TRUE(got) << got.error().ToString();
      ASSERT_TRUE(*got == bytes.substr(at, n)) << size << " at " << at << " + " << n;
    }
  }
}

TEST_P(Contract, PiecesAndHolesAreJoined) {
  std::string expected;
  BufferList list;
  for (size_t i = 0; i < 40; ++i) {
    const size_t n = 1 + i * 997 % 9000;
    if (i % 5 == 4) {
      list.push_back(BufferSlice::Zeros(n * 10));
      expected += std::string(n * 10, '\0');
    } else {
      list.push_back(BufferSlice::CopyOf(RandomBytes(n, static_cast<uint32_t>(i))));
      expected += list.back().view();
    }
  }
  auto digest = store_->Put(Name(1), list);
  ASSERT_TRUE(digest);
  EXPECT_TRUE(*ReadBack(*store_, Name(1), *digest, 0, expected.size()) == expected);
  if (GetParam() == Kind::kEncrypted) return;  // each Put has a salt of its own
  EXPECT_EQ(*digest, *store_->Put(Name(2), One(expected)))
      << "the digest is of the bytes, however they are cut";
}

TEST_P(Contract, DigestsDifferAndAreChecked) {
  auto a = store_->Put(Name(1), One(RandomBytes(5000, 1)));
  auto b = store_->Put(Name(2), One(RandomBytes(5000, 2)));
  ASSERT_TRUE(a && b);
  EXPECT_NE(*a, *b);
  auto got = ReadBack(*store_, Name(1), *b, 0, 10);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kCorrupt);
  EXPECT_NE(got.error().message().find("1_0_0_1_77"), std::string::npos) << got.error().message();
  EXPECT_EQ(store_->ReadWhole(Name(1), *b).error().code(), Code::kCorrupt);
  EXPECT_TRUE(ReadBack(*store_, Name(1), *a, 0, 10));
}

TEST_P(Contract, PutAgainReplaces) {
  ASSERT_TRUE(store_->Put(Name(1), One(RandomBytes(50'000, 1))));
  auto digest = store_->Put(Name(1), One("short"));
  ASSERT_TRUE(digest);
  EXPECT_EQ(*ReadBack(*store_, Name(1), *digest, 0, 5), "short");
  EXPECT_EQ(*store_->Size(Name(1)), 5u);
}

TEST_P(Contract, MissingObjects) {
  EXPECT_EQ(ReadBack(*store_, Name(9), 0, 0, 1).error().code(), Code::kNotFound);
  EXPECT_EQ(store_->Size(Name(9)).error().code(), Code::kNotFound);
  EXPECT_TRUE(store_->Delete(Name(9)).ok());
  auto digest = store_->Put(Name(9), One("x"));
  ASSERT_TRUE(digest);
  EXPECT_TRUE(store_->Delete(Name(9)).ok());
  EXPECT_EQ(ReadBack(*store_, Name(9), *digest, 0, 1).error().code(), Code::kNotFound);
  EXPECT_FALSE(store_->Sync(std::vector{Name(9)}).ok());
}

TEST_P(Contract, DeletesMany) {
  std::vector<ObjectName> names;
  for (uint64_t i = 1; i <= 30; ++i) {
    names.push_back(Name(i * 700));
    if (i % 3 != 0) {
      ASSERT_TRUE(store_->Put(names.back(), One("x")));
    }
  }
  const ObjectName kept = Name(5);
  ASSERT_TRUE(store_->Put(kept, One("x")));
  EXPECT_TRUE(store_->DeleteMany(names).ok()) << "those that are not there are deleted already";
  EXPECT_TRUE(store_->DeleteMany({}).ok());
  std::vector<ObjectName> left;
  ASSERT_TRUE(store_->List(ChunkId(0), [&](const auto& n) { return left.push_back(n), true; }).ok());
  EXPECT_EQ(left, std::vector{kept});
}

TEST_P(Contract, Limits) {
  auto digest = store_->Put(Name(1), One("12345"));
  ASSERT_TRUE(digest);
  EXPECT_EQ(ReadBack(*store_, Name(1), *digest, 3, 3).error().code(), Code::kCorrupt) << "past its end";
  EXPECT_EQ(store_->Put(Name(2), {BufferSlice::Zeros(MaxData() + 1)}).error().code(), Code::kTooBig);
  EXPECT_GT(store_->Space()->free_bytes, 0u);
  store_->Prefetch(Name(1), 0, 5);
  store_->Prefetch(Name(8), 0, 5);
}

TEST_P(Contract, ListInOrderOfChunks) {
  std::vector<ObjectName> names;
  for (uint64_t chunk : {5, 4095, 4096, 70'000, 12})
    names.push_back(Name(chunk, static_cast<uint32_t>(chunk % 3)));
  for (const auto& name : names) ASSERT_TRUE(store_->Put(name, One("x")));
  std::ranges::sort(names);
  std::vector<ObjectName> seen;
  uint64_t foreign = 9;
  auto take = [&](const ObjectName& n) {
    seen.push_back(n);
    return true;
  };
  ASSERT_TRUE(store_->List(ChunkId(0), take, &foreign).ok());
  EXPECT_EQ(seen, names);
  EXPECT_EQ(foreign, 0u);
  seen.clear();
  ASSERT_TRUE(store_->List(ChunkId(13), take, nullptr).ok());
  EXPECT_EQ(seen, (std::vector<ObjectName>(names.begin() + 2, names.end())));
  int count = 0;
  ASSERT_TRUE(store_->List(ChunkId(0), [&](const auto&) { return ++count < 2; }, nullptr).ok());
  EXPECT_EQ(count, 2);
}

TEST_P(Contract, SyncOfFewAndOfMany) {
  std::vector<ObjectName> names;
  std::vector<uint32_t> digests;
  for (uint64_t i = 1; i <= 40; ++i) {
    names.push_back(Name(i * 1000));
    auto digest = store_->Put(names.back(), One(RandomBytes(2000, static_cast<uint32_t>(i))));
    ASSERT_TRUE(digest);
    digests.push_back(*digest);
  }
  EXPECT_TRUE(store_->Sync(std::span(names).first(3)).ok());
  EXPECT_TRUE(store_->Sync(names).ok());
  EXPECT_TRUE(store_->Sync({}).ok());
  if (GetParam() == Kind::kSim) {
    disk_.Crash(1, test::SimDisk::Keep::kNothing);
    store_ = MakeDirectoryStore(disk_, "/o");
  }
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(*ReadBack(*store_, names[i], digests[i], 0, 2000),
              RandomBytes(2000, static_cast<uint32_t>(i + 1)));
  }
}

std::string NameOfKind(const testing::TestParamInfo<Kind>& info) {
  constexpr const char* kNames[] = {
      "Posix",     "Sim", "Memory", "Faultless",  "Cache",    "CacheOfDirectory",
      "Writeback", "S3",  "S3Cold", "Compressed", "Encrypted"};
  return kNames[static_cast<size_t>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Stores, Contract,
                         testing::Values(Kind::kPosix, Kind::kSim, Kind::kMemory, Kind::kFaultless,
                                         Kind::kCache, Kind::kCacheOfDirectory, Kind::kWriteback, Kind::kS3,
                                         Kind::kS3Cold, Kind::kCompressed, Kind::kEncrypted),
                         NameOfKind);

TEST(ObjectNames, RoundTrip) {
  const ObjectName name{ChunkId(~uint64_t{0}), ~0u, 3, FsId(1), InodeId(1)};
  EXPECT_EQ(name.ToString(), "18446744073709551615_4294967295_3_1_1");
  EXPECT_EQ(*ObjectName::Parse(name.ToString()), name);
  for (const char* bad :
       {"", "1", "1_2_3_4", "1_2_3_4_5_6", "01_2_3_4_5", "1_2_3_4_", "_2_3_4_5", "0_0_0_1_1", "1_2_3_4_5x",
        "1_2_3_4294967296_5", "-1_2_3_4_5", "1_2_3_4_5.new", "1__3_4_5"}) {
    EXPECT_FALSE(ObjectName::Parse(bad)) << bad;
  }
}

// ---- the directory

class DirectoryTest : public testing::Test {
 protected:
  DirectoryTest() {
    EXPECT_TRUE(disk_.MakeDir("/o").ok() && disk_.SyncDir("/").ok());
    Restart();
  }
  void Restart() { store_ = MakeDirectoryStore(disk_, "/o"); }
  const std::string path_ = "/o/0/5_0_0_1_77";
  test::SimDisk disk_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_F(DirectoryTest, UnsyncedObjectsOfACrashAreNeverWrongBytes) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    test::SimDisk disk;
    ASSERT_TRUE(disk.MakeDir("/o").ok() && disk.SyncDir("/").ok());
    auto store = MakeDirectoryStore(disk, "/o");
    const std::string bytes = RandomBytes(20'000, static_cast<uint32_t>(seed));
    auto digest = store->Put(Name(5), One(bytes));
    auto synced = store->Put(Name(4097), One(bytes));
    ASSERT_TRUE(digest && synced);
    ASSERT_TRUE(store->Sync(std::vector{Name(4097)}).ok());
    disk.Crash(seed);
    store = MakeDirectoryStore(disk, "/o");
    auto got = ReadBack(*store, Name(5), *digest, 0, bytes.size());
    if (got) {
      EXPECT_TRUE(*got == bytes);
    } else {
      EXPECT_TRUE(got.error().code() == Code::kNotFound || got.error().code() == Code::kCorrupt);
    }
    auto kept = ReadBack(*store, Name(4097), *synced, 0, bytes.size());
    ASSERT_TRUE(kept) << "seed " << seed << ": " << kept.error().ToString();
    EXPECT_TRUE(*kept == bytes);
  }
}

TEST_F(DirectoryTest, AFailedSyncIsNotForgottenByTheNext) {
  const std::string bytes = RandomBytes(20'000);
  auto digest = store_->Put(Name(5), One(bytes));
  ASSERT_TRUE(digest);
  disk_.FailNth(test::SimDisk::Op::kSync, 1, Code::kIo);
  EXPECT_EQ(store_->Sync(std::vector{Name(5)}).code(), Code::kIo);
  ASSERT_TRUE(store_->Sync(std::vector{Name(5)}).ok());  // a mere fdatasync would say ok as well, and lie
  disk_.Crash(1, test::SimDisk::Keep::kNothing);
  Restart();
  EXPECT_TRUE(*ReadBack(*store_, Name(5), *digest, 0, bytes.size()) == bytes);
}

// Canary for the test above: the simulated disk does lose what a failed sync was asked for.
TEST_F(DirectoryTest, CanaryASecondFdatasyncSavesNothing) {
  auto digest = store_->Put(Name(5), One("bytes"));
  ASSERT_TRUE(digest);
  auto file = disk_.Open(path_, Disk::Mode::kReadWrite);
  ASSERT_TRUE(file);
  disk_.FailNth(test::SimDisk::Op::kSync, 1, Code::kIo);
  EXPECT_FALSE((*file)->Sync().ok());
  EXPECT_TRUE((*file)->Sync().ok());
  ASSERT_TRUE(disk_.SyncDir("/o/0").ok() && disk_.SyncDir("/o").ok());
  disk_.Crash(1, test::SimDisk::Keep::kNothing);
  Restart();
  EXPECT_FALSE(ReadBack(*store_, Name(5), *digest, 0, 5));
}

TEST_F(DirectoryTest, EveryDamagedByteIsNoticed) {
  const std::string bytes = RandomBytes(9000);
  auto digest = store_->Put(Name(5), One(bytes));
  ASSERT_TRUE(digest);
  const std::string whole = disk_.Files().at(path_);
  ASSERT_EQ(whole.size(), 9000 + TrailerBytes(9000));
  for (size_t at = 0; at < whole.size(); at += at >= 8990 ? 1 : 61) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    disk_.SetContent(path_, damaged);
    Restart();
    auto got = ReadBack(*store_, Name(5), *digest, 0, bytes.size());
    ASSERT_FALSE(got) << at;
    EXPECT_TRUE(got.error().code() == Code::kCorrupt || got.error().code() == Code::kUnsupportedVersion)
        << at;
    EXPECT_NE(got.error().message().find("5_0_0_1_77"), std::string::npos);
  }
}

TEST_F(DirectoryTest, EveryLengthThatIsWrongIsNoticed) {
  const std::string bytes = RandomBytes(5000);
  auto digest = store_->Put(Name(5), One(bytes));
  ASSERT_TRUE(digest);
  const std::string whole = disk_.Files().at(path_);
  for (size_t n = 0; n < whole.size(); n += n < 4900 ? 137 : 1) {
    disk_.SetContent(path_, whole.substr(0, n));
    Restart();
    auto got = ReadBack(*store_, Name(5), *digest, 0, bytes.size());
    ASSERT_FALSE(got) << n;
    EXPECT_EQ(got.error().code(), Code::kCorrupt) << n;
  }
  disk_.SetContent(path_, whole + "x");
  Restart();
  EXPECT_EQ(store_->Size(Name(5)).error().code(), Code::kCorrupt);
}

TEST_F(DirectoryTest, DamageElsewhereDoesNotMatter) {
  const std::string bytes = RandomBytes(100'000);
  auto digest = store_->Put(Name(5), One(bytes));
  ASSERT_TRUE(digest);
  std::string damaged = disk_.Files().at(path_);
  damaged[50'000] ^= 1;
  disk_.SetContent(path_, damaged);
  Restart();
  EXPECT_TRUE(*ReadBack(*store_, Name(5), *digest, 0, 4096) == bytes.substr(0, 4096));
  auto got = ReadBack(*store_, Name(5), *digest, 49'000, 2000);
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().message().find("at 49152"), std::string::npos) << got.error().message();
}

TEST_F(DirectoryTest, ErrorsOfTheDiskAreIoErrors) {
  auto digest = store_->Put(Name(5), One(RandomBytes(5000)));
  ASSERT_TRUE(digest);
  disk_.FailNth(test::SimDisk::Op::kRead, 1, Code::kIo);
  EXPECT_EQ(ReadBack(*store_, Name(5), *digest, 0, 10).error().code(), Code::kIo);
  disk_.FailNth(test::SimDisk::Op::kWrite, 1, Code::kNoSpace);
  EXPECT_EQ(store_->Put(Name(6), One("x")).error().code(), Code::kNoSpace);
  EXPECT_EQ(store_->Size(Name(6)).error().code(), Code::kNotFound) << "nothing is left of it";
}

TEST_F(DirectoryTest, AnAlignedReadIsOneReadOfTheDisk) {
  auto digest = store_->Put(Name(5), One(RandomBytes(1 << 20)));
  ASSERT_TRUE(digest);
  const auto before = disk_.count(test::SimDisk::Op::kRead);
  ASSERT_TRUE(ReadBack(*store_, Name(5), *digest, 40'960, 4096));
  EXPECT_EQ(disk_.count(test::SimDisk::Op::kRead), before + 1);
}

TEST_F(DirectoryTest, ForeignFilesAreCounted) {
  ASSERT_TRUE(store_->Put(Name(5), One("x")));
  disk_.SetContent("/o/0/readme.txt", "hello");
  disk_.SetContent("/o/0/9999_0_0_1_1", "in the wrong directory");
  disk_.SetContent("/o/lost+found", "");
  uint64_t foreign = 0, ours = 0;
  ASSERT_TRUE(store_->List(ChunkId(0), [&](const auto&) { return ++ours > 0; }, &foreign).ok());
  EXPECT_EQ(ours, 1u);
  EXPECT_EQ(foreign, 3u);
}

TEST(FaultStore, LosesWhatWasNotSynced) {
  auto base = MakeMemoryObjectStore();
  test::FaultObjectStore store(*base, 1);
  ASSERT_TRUE(store.Put(Name(1), One("x")) && store.Put(Name(2), One("y")));
  ASSERT_TRUE(store.Sync(std::vector{Name(1)}).ok());
  store.LoseUnsynced();
  EXPECT_TRUE(store.Size(Name(1)));
  EXPECT_FALSE(store.Size(Name(2)));
}

TEST(ObjectFormat, TheSizeOfTheFileTellsThatOfTheData) {
  uint64_t sizes = 0;
  for (uint64_t file = 0, data = 0; file < 100'000; ++file) {
    while (data + TrailerBytes(data) < file) ++data;
    const auto found = DataBytesOf(file);
    if (data + TrailerBytes(data) == file) {
      ASSERT_TRUE(found) << file;
      EXPECT_EQ(*found, data);
      ++sizes;
    } else {
      EXPECT_FALSE(found) << file;
    }
  }
  EXPECT_GT(sizes, 99'000u);
  EXPECT_EQ(DataBytesOf(kMaxObjectFile), kMaxObjectData);
  EXPECT_FALSE(DataBytesOf(kMaxObjectFile + 1));
  EXPECT_FALSE(DataBytesOf(~uint64_t{0}));
}

}  // namespace
}  // namespace curvefs::object
