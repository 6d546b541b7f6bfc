// What is particular to the store in S3: requests, keys, damage, probe and marker. The contract that all
// stores keep is in object/object_store_test.cc.
#include "object/s3/store.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "object/object_format.h"
#include "object/s3/s3_fixture_test.h"
#include "object/s3/table_cache.h"

namespace curvefs::object::s3 {
namespace {

const Location kPlace{"bucket", "fs"};

ObjectName Name(uint64_t chunk) {
  return {ChunkId(chunk), 0, 0, FsId(1), InodeId(77)};
}

class S3StoreTest : public S3Test {
 protected:
  std::unique_ptr<ObjectStore> Fresh() {
    return MakeS3Store(std::shared_ptr<Client>(MakeClient(QuickOptions(server_))), kPlace);
  }
  std::string Read(ObjectStore& store, uint32_t digest, uint64_t offset, size_t n) {
    std::string out(n, '?');
    Status s = store.Read(Name(5), digest, offset, out.data(), n);
    return s.ok() ? out : s.ToString();
  }
  const std::string key_ = "fs/objects/0000000000000/5_0_0_1_77";
  std::unique_ptr<ObjectStore> store_ = Fresh();
};

TEST_F(S3StoreTest, KeysAreInTheOrderOfChunks) {
  EXPECT_EQ(ObjectKey(kPlace, Name(5)), key_);
  EXPECT_EQ(ObjectKey({"bucket", ""}, Name(0x123456789abcdef0)),
            "objects/123456789abcd/1311768467463790320_0_0_1_77");
  EXPECT_LT(ObjectKey(kPlace, Name(4095)), ObjectKey(kPlace, Name(65536)));
  EXPECT_LT(ObjectKey(kPlace, Name(0xfff'ffff)), ObjectKey(kPlace, Name(~uint64_t{0})));
}

TEST_F(S3StoreTest, TheBytesAreThoseOfAnObjectFile) {
  const BufferList data = One(RandomBytes(10'000));
  auto digest = store_->Put(Name(5), data);
  ASSERT_TRUE(digest);
  const Trailer trailer = MakeTrailer(data);
  EXPECT_EQ(*digest, trailer.digest);
  EXPECT_EQ(server_.Objects().at(key_), std::string(data[0].view()) + trailer.bytes);
}

TEST_F(S3StoreTest, ItKnowsWhenAnObjectWasWritten) {
  ASSERT_TRUE(store_->Put(Name(5), One("five")));
  auto at = store_->WrittenAt(Name(5));
  ASSERT_TRUE(at) << at.error().ToString();
  EXPECT_EQ(at->sec(), 1'769'881'830);
  EXPECT_EQ(store_->WrittenAt(Name(50)).error().code(), Code::kNotFound);
}

TEST_F(S3StoreTest, AWholeObjectIsOneRequest) {
  for (size_t size : {size_t{1}, size_t{4096}, size_t{10'000}, size_t{1 << 20}, size_t{kBlockSize}}) {
    const std::string bytes = RandomBytes(size);
    auto digest = store_->Put(Name(5), One(bytes));
    ASSERT_TRUE(digest);
    auto cold = Fresh();
    const auto before = server_.requests("GET");
    EXPECT_TRUE(Read(*cold, *digest, 0, size) == bytes);
    EXPECT_EQ(server_.requests("GET"), before + 1) << size;
    EXPECT_TRUE(Read(*cold, *digest, 0, size) == bytes);
    EXPECT_EQ(server_.requests("GET"), before + 2) << size;
  }
}

TEST_F(S3StoreTest, APartIsTwoRequestsOnceAndThenOne) {
  const std::string bytes = RandomBytes(kBlockSize);
  auto digest = store_->Put(Name(5), One(bytes));
  ASSERT_TRUE(digest);
  auto cold = Fresh();
  const auto before = server_.requests("GET");
  EXPECT_TRUE(Read(*cold, *digest, 1 << 20, 8192) == bytes.substr(1 << 20, 8192));
  EXPECT_EQ(server_.requests("GET"), before + 2);
  EXPECT_TRUE(Read(*cold, *digest, 2 << 20, 5000) == bytes.substr(2 << 20, 5000));
  EXPECT_EQ(server_.requests("GET"), before + 3);
  EXPECT_EQ(*cold->Size(Name(5)), kBlockSize);
  EXPECT_EQ(server_.requests("GET"), before + 3);
}

TEST_F(S3StoreTest, EveryDamageIsNoticed) {
  const std::string bytes = RandomBytes(20'000);
  auto digest = store_->Put(Name(5), One(bytes));
  ASSERT_TRUE(digest);
  const std::string whole = server_.Objects().at(key_);
  auto expect_corrupt = [&](const std::string& what) {
    for (auto [offset, n] : {std::pair{0, 20'000}, std::pair{4096, 15'904}, std::pair{16'384, 3616}}) {
      auto cold = Fresh();
      std::string out(static_cast<size_t>(n), '?');
      Status s = cold->Read(Name(5), *digest, static_cast<uint64_t>(offset), out.data(), out.size());
      EXPECT_TRUE(s.code() == Code::kCorrupt || s.code() == Code::kUnsupportedVersion)
          << what << " read at " << offset << ": " << s.ToString();
      EXPECT_TRUE(Says(s, "5_0_0_1_77")) << s.ToString();
    }
  };
  for (size_t at : {size_t{19'000}, size_t{19'999}, whole.size() - 40, whole.size() - 20, whole.size() - 1}) {
    std::string damaged = whole;
    damaged[at] ^= 4;
    server_.SetObject(key_, damaged);
    expect_corrupt("a bit at " + std::to_string(at));
  }
  for (size_t size : {size_t{0}, size_t{1}, size_t{5000}, whole.size() - 1}) {
    server_.SetObject(key_, whole.substr(0, size));
    expect_corrupt("cut to " + std::to_string(size));
  }
  server_.SetObject(key_, whole + "x");
  expect_corrupt("one byte more");
  // With its table known as well.
  std::string damaged = whole;
  damaged[50] ^= 1;
  server_.SetObject(key_, damaged);
  EXPECT_EQ(Read(*store_, *digest, 0, 100).find("corrupt: object 5_0_0_1_77: wrong checksum at 0"), 0u);
  server_.SetObject(key_, whole);
  EXPECT_EQ(Read(*store_, *digest, 0, 100), bytes.substr(0, 100)) << "repaired";
}

TEST_F(S3StoreTest, ABitFlippedOnTheWayIsNoticed) {
  const std::string bytes = RandomBytes(20'000);
  auto digest = store_->Put(Name(5), One(bytes));
  server_.Inject({.kind = Kind::kFlipBit, .method = "GET"});
  EXPECT_EQ(Read(*store_, *digest, 0, 20'000).find("corrupt"), 0u);
  EXPECT_TRUE(Read(*store_, *digest, 0, 20'000) == bytes);
}

TEST_F(S3StoreTest, RefusalsAreIoErrorsToTheApplication) {
  auto digest = store_->Put(Name(5), One("x"));
  ASSERT_TRUE(digest);
  server_.Deny({"GET", "PUT", "DELETE"});
  EXPECT_EQ(store_->Put(Name(6), One("x")).error().code(), Code::kIo);
  EXPECT_EQ(Read(*store_, *digest, 0, 1).find("input/output error"), 0u);
  EXPECT_EQ(store_->Delete(Name(5)).code(), Code::kIo);
  EXPECT_EQ(Fresh()->Size(Name(5)).error().code(), Code::kIo);
}

TEST_F(S3StoreTest, AMissingBucketIsNotAMissingObject) {
  auto store = MakeS3Store(std::shared_ptr<Client>(MakeClient([&] {
                             auto o = QuickOptions(server_);
                             o.bucket = "nowhere";
                             return o;
                           }())),
                           {"nowhere", "fs"});
  EXPECT_EQ(store->Size(Name(5)).error().code(), Code::kIo);
  char byte;
  EXPECT_EQ(store->Read(Name(5), 0, 0, &byte, 1).code(), Code::kIo);
}

TEST_F(S3StoreTest, ForeignKeysAreCounted) {
  ASSERT_TRUE(store_->Put(Name(5), One("x")));
  server_.SetObject("fs/objects/readme", "x");
  server_.SetObject("fs/objects/0000000000001/5_0_0_1_77", "in the wrong place");
  server_.SetObject("fs/objects/0000000000000/5_0_0_1_77.old", "x");
  server_.SetObject("fs/other", "not looked at");
  uint64_t foreign = 0, ours = 0;
  ASSERT_TRUE(store_->List(ChunkId(0), [&](const auto&) { return ++ours > 0; }, &foreign).ok());
  EXPECT_EQ(ours, 1u);
  EXPECT_EQ(foreign, 3u);
}

TEST_F(S3StoreTest, AThousandFreedObjectsAreOneRequest) {
  std::vector<ObjectName> names;
  for (uint64_t i = 1; i <= 1000; ++i) {
    names.push_back(Name(i));
    server_.SetObject(ObjectKey(kPlace, names.back()), "x");
  }
  EXPECT_TRUE(store_->DeleteMany(names).ok());
  EXPECT_TRUE(server_.Objects().empty());
  EXPECT_EQ(server_.requests(""), 1u);
}

TEST_F(S3StoreTest, TheTableCacheIsBounded) {
  TableCache cache(100'000);
  auto table = std::make_shared<ChecksumTable>();
  table->units.resize(1024);
  for (int i = 0; i < 1000; ++i) {
    cache.Insert(std::to_string(i), table);
    EXPECT_LE(cache.bytes(), 100'000u);
    EXPECT_NE(cache.Find("0"), nullptr) << "used all the time, so it stays";
  }
  EXPECT_EQ(cache.Find("500"), nullptr);
  EXPECT_NE(cache.Find("999"), nullptr);
  for (int i = 0; i < 1000; ++i) cache.Erase(std::to_string(i));
  EXPECT_EQ(cache.bytes(), 0u);
}

// ---- before it is used

TEST_F(S3StoreTest, TheProbePassesAndLeavesNothing) {
  Status s = Probe(*client_, kPlace, false);
  EXPECT_TRUE(s.ok()) << s.ToString();
  EXPECT_TRUE(server_.Objects().empty());
  const auto puts = server_.requests("PUT");
  EXPECT_TRUE(Probe(*client_, kPlace, true).ok());
  EXPECT_EQ(server_.requests("PUT"), puts) << "only looks";
  server_.set_conditions(false);
  EXPECT_TRUE(Probe(*client_, kPlace, false).ok()) << "a store without conditions will do";
}

TEST_F(S3StoreTest, TheProbeNamesWhatDoesNotWork) {
  struct Case {
    const char* method;
    const char* step;
    const char* permission;
  };
  for (const Case& c : {Case{"PUT", "(writing)", "s3:PutObject"}, Case{"GET", "(reading)", "s3:GetObject"},
                        Case{"DELETE", "(deleting)", "s3:DeleteObject"}}) {
    server_.Deny({c.method});
    Status s = Probe(*client_, kPlace, false);
    EXPECT_TRUE(Says(s, c.step) && Says(s, c.permission) && Says(s, "s3://bucket/fs")) << s.ToString();
  }
  server_.Deny({});
  server_.Inject({.kind = Kind::kIgnoreRange, .method = "GET", .after = 1, .count = 2});
  Status s = Probe(*client_, kPlace, false);
  EXPECT_TRUE(Says(s, "(reading ranges)")) << s.ToString();
  server_.ClearFaults();
  server_.Inject({.kind = Kind::kFlipBit, .method = "GET"});
  EXPECT_TRUE(Says(Probe(*client_, kPlace, false), "other bytes"));
}

TEST_F(S3StoreTest, APlaceBelongsToOne) {
  ASSERT_EQ(CheckClaim(*client_, kPlace, "u1").code(), Code::kNotFound);
  ASSERT_TRUE(Claim(*client_, kPlace, "u1", "first").ok());
  EXPECT_TRUE(Claim(*client_, kPlace, "u1", "first").ok()) << "again";
  EXPECT_TRUE(CheckClaim(*client_, kPlace, "u1").ok());
  Status s = Claim(*client_, kPlace, "u2", "second");
  EXPECT_EQ(s.code(), Code::kExists);
  EXPECT_TRUE(Says(s, "'first'") && Says(s, "choose another")) << s.ToString();
  EXPECT_EQ(CheckClaim(*client_, kPlace, "u2").code(), Code::kExists);
  EXPECT_TRUE(Claim(*client_, {"bucket", "other"}, "u2", "second").ok());
  server_.Inject({.kind = Kind::kLostReply, .method = "PUT"});
  EXPECT_TRUE(Claim(*client_, {"bucket", "third"}, "u3", "third").ok())
      << "the answer was lost, the marker is ours";
  server_.SetObject("torn/curvefs.json", "{\"curvefs\": 1");
  EXPECT_EQ(Claim(*client_, {"bucket", "torn"}, "u4", "x").code(), Code::kCorrupt);
  server_.SetObject("old/objects/0000000000000/5_0_0_1_77", "x");
  s = Claim(*client_, {"bucket", "old"}, "u5", "x");
  EXPECT_EQ(s.code(), Code::kExists);
  EXPECT_TRUE(Says(s, "holds objects already")) << s.ToString();
}

}  // namespace
}  // namespace curvefs::object::s3
