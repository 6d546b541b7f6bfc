#include "cli/dump.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "cli/base64.h"
#include "cli/standalone.h"
#include "meta/keys.h"
#include "meta/records.h"
#include "test/support/sim_disk.h"

namespace curvefs::cli {
namespace {

using test::SimDisk;

TEST(Base64, RfcVectorsBothWays) {
  for (auto [bytes, text] : {std::pair{"", ""},
                             {"f", "Zg=="},
                             {"fo", "Zm8="},
                             {"foo", "Zm9v"},
                             {"foob", "Zm9vYg=="},
                             {"fooba", "Zm9vYmE="},
                             {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(ToBase64(bytes), text);
    EXPECT_EQ(*FromBase64(text), bytes);
  }
  for (const char* bad : {"Zg", "Zg=", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v!", "=AAA"})
    EXPECT_FALSE(FromBase64(bad)) << bad;
}

TEST(Base64, PlainUtf8) {
  for (const char* good : {"", "abc", "grüße", "日本語", "\xf0\x9f\x90\xa7"})
    EXPECT_TRUE(IsPlainUtf8(good)) << good;
  for (const char* bad : {"\xff", "\xc3", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\nb",
                          "\x7f", "\x80", "\xe0\x80\xaf"}) {
    EXPECT_FALSE(IsPlainUtf8(bad)) << bad;
  }
  std::string cut = "日本";
  cut.resize(cut.size() - 1);
  EXPECT_FALSE(IsPlainUtf8(cut));
}

void ExpectRoundTrip(std::string_view key, std::string_view value, std::string_view kind) {
  const std::string line = PairToJson(key, value);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_NE(line.find("\"kind\":\"" + std::string(kind) + "\""), std::string::npos) << line;
  auto pair = PairFromJson(line);
  ASSERT_TRUE(pair) << line << ": " << pair.error().ToString();
  EXPECT_EQ(pair->key, key);
  EXPECT_EQ(pair->value, value);
}

TEST(Dump, EveryKindRoundTripsInItsFields) {
  const FsId fs(7);
  const InodeId id = MakeInodeId(PartitionId(3), 99);
  meta::Inode inode;
  inode.id = id;
  inode.mode = S_IFLNK | 0777;
  inode.uid = 1;
  inode.nlink = 3;
  inode.length = ~uint64_t{0};
  inode.mtime.ns = -5;
  inode.symlink = "\xff\xfe/no utf8";
  inode.parent = id;
  ExpectRoundTrip(meta::InodeKey(fs, id), meta::EncodeInode(inode), "inode");
  for (std::string name : {std::string("plain"), std::string("\x80\n\""), std::string(255, '\xee')}) {
    ExpectRoundTrip(meta::DentryKey(fs, id, meta::NameHash(1, name), name), meta::EncodeDentry({id, 8}),
                    "dentry");
    ExpectRoundTrip(meta::XattrKey(fs, id, name), name, "xattr");
  }
  ExpectRoundTrip(meta::XattrKey(fs, id, "user.empty"), "", "xattr");
  meta::ChunkRecord record;
  record.offset = 12345;
  record.len = 10;
  ExpectRoundTrip(meta::ChunkKey(fs, id, 4, 17), meta::EncodeChunk(id, record), "chunk");
  record.inline_data = std::string("\0\1\2\3\4\5\6\7\xff\xfe", 10);
  record.inline_crc = 0xdeadbeef;
  ExpectRoundTrip(meta::ChunkKey(fs, id, 4, 18), meta::EncodeChunk(id, record), "chunk");
  record.inline_data.clear();
  record.inline_crc = 0;
  record.chunk_id = ChunkId(5);
  record.object_inode = InodeId(77);
  record.object_offset = 3;
  record.object_size = 4096;
  record.digest = 1;
  ExpectRoundTrip(meta::ChunkKey(fs, id, 0, 1), meta::EncodeChunk(id, record), "chunk");
  record.object_inode = id;
  ExpectRoundTrip(meta::ChunkKey(fs, id, 0, 2), meta::EncodeChunk(id, record), "chunk");
  ExpectRoundTrip(meta::OrphanKey(fs, id), "1", "orphan");
  ExpectRoundTrip(meta::FreeKey(fs, PartitionId(3), ChunkId(5)),
                  meta::EncodeFreeObject({ChunkId(5), 1, 2, id}), "free");
  ExpectRoundTrip(meta::RefsKey(fs, PartitionId(3), ChunkId(5)), meta::EncodeRefs({12, 345}), "refs");
  ExpectRoundTrip(meta::SharedKey(fs, PartitionId(3), ChunkId(5)),
                  meta::EncodeShared({ChunkId(5), 1000, {{InodeId(7), 0}, {InodeId(9), 3}}}), "shared");
  ExpectRoundTrip(meta::PartitionKey(fs, PartitionId(3)), meta::EncodePartition({1, 2, 3, 4}), "partition");
  meta::SuperBlock super;
  super.fs = fs;
  super.name = "n\xff";
  super.uuid = std::string(16, '\xab');
  super.hash_seed = ~uint64_t{0};
  super.chunk_size = super.block_size = 4096;
  ExpectRoundTrip(meta::SuperBlockKey(fs), meta::EncodeSuperBlock(super), "super");
}

TEST(Dump, WhatDoesNotDecodeExactlyIsKeptRaw) {
  const InodeId id(5);
  meta::Inode inode;
  inode.id = id;
  inode.mode = S_IFREG;
  ExpectRoundTrip("not a key of ours", "value", "raw");
  ExpectRoundTrip(meta::InodeKey(FsId(1), id), "\x01garbage\xff", "raw");
  // A field of a newer program.
  ExpectRoundTrip(meta::InodeKey(FsId(1), id), meta::EncodeInode(inode) + "\xa0\x06\x01", "raw");
}

TEST(Dump, RandomPairsRoundTrip) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    uint64_t random = Xxh3("random pairs", seed);
    auto next = [&] { return random = random * 6364136223846793005 + 1442695040888963407; };
    std::string key = meta::KindPrefix(FsId(1), PartitionId(next() >> 60),
                                       static_cast<meta::KeyKind>("IDCXOFRPS"[next() % 9 & 7]));
    for (uint64_t n = next() >> 59; n > 0; --n) key.push_back(static_cast<char>(next() >> 56));
    std::string value;
    for (uint64_t n = next() >> 59; n > 0; --n) value.push_back(static_cast<char>(next() >> 56));
    auto pair = PairFromJson(PairToJson(key, value));
    ASSERT_TRUE(pair) << "seed " << seed;
    ASSERT_EQ(pair->key, key) << "seed " << seed;
    ASSERT_EQ(pair->value, value) << "seed " << seed;
  }
}

TEST(Dump, LinesThatMakeNoSenseAreRefused) {
  for (const char* line :
       {"", "x", "[]", "{}", "{\"kind\":\"cake\"}", "{\"kind\":\"inode\",\"inode\":\"one\"}", "{\"kind\":7}",
        "{\"kind\":\"raw\",\"key_base64\":\"?\"}", "{\"kind\":\"inode\",\"inode\":1,\"mode\":4294967296}"}) {
    EXPECT_FALSE(PairFromJson(line)) << line;
  }
}

class DumpOfAFileSystem : public ::testing::Test {
 protected:
  void SetUp() override {
    StandaloneOptions options;
    options.seed = 1;
    options.copyset.background = false;
    options.copyset.journal.segment_bytes = 256 << 10;
    auto fs = Standalone::Open(disk_, Clock::System(), "/fs", options);
    ASSERT_TRUE(fs) << fs.error().ToString();
    const client::Caller root;
    auto dir = (*fs)->vfs().MkDir(root, kRootInode, "dir \xff", 0755);
    ASSERT_TRUE(dir);
    for (int i = 0; i < 50; ++i)
      ASSERT_TRUE((*fs)->vfs().Symlink(root, dir->inode.id, "link" + std::to_string(i), "target"));
    ASSERT_TRUE((*fs)->Shutdown().ok());
  }
  std::vector<std::string> DumpLines(const std::string& dir) {
    std::vector<std::string> lines;
    auto pairs = Dump(disk_, dir, [&](const std::string& line) {
      lines.push_back(line);
      return Status();
    });
    EXPECT_TRUE(pairs) << pairs.error().ToString();
    EXPECT_EQ(*pairs + 2, lines.size());
    return lines;
  }
  Result<uint64_t> LoadLines(const std::vector<std::string>& lines, const std::string& dir,
                             std::string_view engine = "") {
    size_t at = 0;
    return Load(
        disk_, dir,
        [&](std::string* line) {
          if (at == lines.size()) return false;
          *line = lines[at++];
          return true;
        },
        engine);
  }
  SimDisk disk_;
};

TEST_F(DumpOfAFileSystem, LoadedIsTheSameFileSystem) {
  auto lines = DumpLines("/fs");
  ASSERT_TRUE(LoadLines(lines, "/copy"));
  EXPECT_EQ(DumpLines("/copy"), lines);
  auto fs = Standalone::Open(disk_, Clock::System(), "/copy", {});
  ASSERT_TRUE(fs) << fs.error().ToString();
  EXPECT_TRUE((*fs)->vfs().Lookup({}, kRootInode, "dir \xff"));
  EXPECT_TRUE((*fs)->Shutdown().ok());
}

TEST_F(DumpOfAFileSystem, NothingIsLoadedOverAnything) {
  auto lines = DumpLines("/fs");
  EXPECT_EQ(LoadLines(lines, "/fs").error().code(), Code::kExists);
  disk_.SetContent("/other/file", "x");
  ASSERT_TRUE(disk_.MakeDir("/other").ok());
  EXPECT_EQ(LoadLines(lines, "/other").error().code(), Code::kExists);
}

TEST_F(DumpOfAFileSystem, ACutOrChangedDumpIsRefusedAndNotMountedAfterwards) {
  const auto lines = DumpLines("/fs");
  auto cut = lines;
  cut.pop_back();
  EXPECT_EQ(LoadLines(cut, "/cut").error().code(), Code::kInvalid);
  auto mounted = Standalone::Open(disk_, Clock::System(), "/cut", {});
  ASSERT_FALSE(mounted);
  EXPECT_NE(mounted.error().message().find("load"), std::string::npos);
  EXPECT_EQ(LoadLines(lines, "/cut").error().code(), Code::kExists);

  auto missing = lines;
  missing.erase(missing.begin() + 3);
  EXPECT_EQ(LoadLines(missing, "/missing").error().code(), Code::kInvalid);
  auto newer = lines;
  newer[0].replace(newer[0].find(":1,"), 3, ":2,");
  EXPECT_EQ(LoadLines(newer, "/newer").error().code(), Code::kUnsupportedVersion);
  EXPECT_EQ(LoadLines({}, "/empty").error().code(), Code::kInvalid);
  EXPECT_EQ(LoadLines({"{}"}, "/odd").error().code(), Code::kInvalid);
}

}  // namespace
}  // namespace curvefs::cli
