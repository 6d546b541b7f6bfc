// The hand-written codec against the generated classes, both ways.
#include "meta/records.h"

#include <gtest/gtest.h>

#include <random>

#include "meta/keys.h"
#include "records.pb.h"

namespace curvefs::meta {
namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : rng_(seed) {}
  // Small, large and zero numbers alike.
  uint64_t Number() { return rng_() >> (rng_() % 65 == 64 ? 63 : rng_() % 64); }
  uint32_t Number32() { return static_cast<uint32_t>(Number()); }
  std::string Bytes(size_t max) {
    std::string s(rng_() % (max + 1), '\0');
    for (auto& c : s) c = static_cast<char>(rng_());
    return s;
  }

 private:
  std::mt19937_64 rng_;
};

TEST(Records, InodesAreTheProtobufMessage) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Random r(seed);
    Inode i;
    i.id = InodeId(r.Number());
    i.mode = S_IFREG | (r.Number32() & 07777);
    i.uid = r.Number32();
    i.gid = r.Number32();
    i.nlink = r.Number32();
    i.length = r.Number();
    i.atime.ns = static_cast<int64_t>(r.Number());
    i.mtime.ns = -static_cast<int64_t>(r.Number() >> 1);
    i.ctime.ns = static_cast<int64_t>(r.Number());
    i.rdev = r.Number32();
    i.parent = InodeId(r.Number());
    i.symlink = r.Bytes(40);
    i.version = r.Number();
    i.flags = r.Number32();
    i.bytes = r.Number();
    std::string ours = EncodeInode(i);
    InodeRecord message;
    ASSERT_TRUE(message.ParseFromString(ours)) << seed;
    EXPECT_EQ(message.mode(), i.mode);
    EXPECT_EQ(message.length(), i.length);
    EXPECT_EQ(static_cast<int64_t>(message.mtime_ns()), i.mtime.ns);
    EXPECT_EQ(message.parent(), i.parent.value);
    EXPECT_EQ(message.symlink(), i.symlink);
    EXPECT_EQ(message.bytes(), i.bytes);
    auto back = DecodeInode(i.id, message.SerializeAsString());
    ASSERT_TRUE(back) << seed;
    EXPECT_EQ(EncodeInode(*back), ours) << seed;
  }
}

TEST(Records, ChunksAreTheProtobufMessage) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Random r(seed);
    ChunkRecord c;
    c.offset = r.Number() >> 8;
    c.len = 1 + r.Number() % (1 << 20);
    InodeId inode(1 + (r.Number() >> 1));
    if (seed % 2 == 0) {
      c.chunk_id = ChunkId(1 + (r.Number() >> 1));
      c.block = r.Number32();
      c.compaction = r.Number32();
      c.object_inode = seed % 4 == 0 ? inode : InodeId(inode.value + 1);
      c.object_offset = r.Number() % 1000;
      c.object_size = c.object_offset + c.len + r.Number() % 1000;
      c.digest = r.Number32();
    } else {
      c.inline_data = r.Bytes(100);
      c.len = c.inline_data.empty() ? 7 : c.inline_data.size();
      c.inline_crc = r.Number32();
    }
    std::string ours = EncodeChunk(inode, c);
    curvefs::ChunkRecord message;
    ASSERT_TRUE(message.ParseFromString(ours));
    EXPECT_EQ(message.offset(), c.offset);
    EXPECT_EQ(message.digest(), c.digest);
    EXPECT_EQ(message.inline_data(), c.inline_data);
    auto back = DecodeChunk(inode, 5, message.SerializeAsString());
    ASSERT_TRUE(back) << seed << back.error().ToString();
    EXPECT_EQ(back->object_inode, c.object_inode) << seed;
    EXPECT_EQ(EncodeChunk(inode, *back), ours) << seed;
  }
}

TEST(Records, SmallOnesAreTheProtobufMessages) {
  PartitionRecord p{7, 1ull << 40, 3, 0, 9};
  curvefs::PartitionRecord pm;
  ASSERT_TRUE(pm.ParseFromString(EncodePartition(p)));
  EXPECT_EQ(pm.next_chunk(), 1ull << 40);
  EXPECT_EQ(pm.inodes(), 3u);
  EXPECT_EQ(pm.sweep_from(), 9u);
  EXPECT_EQ(DecodePartition(EncodePartition(p))->sweep_from, 9u);
  SuperBlock s{FsId(1), "name", std::string(16, 'u'), kRootInode, 64 << 20, 4 << 20, {99}, 12345, 1, 2};
  curvefs::SuperBlock sm;
  ASSERT_TRUE(sm.ParseFromString(EncodeSuperBlock(s)));
  EXPECT_EQ(sm.fs_name(), "name");
  EXPECT_EQ(sm.hash_seed(), 12345u);
  EXPECT_EQ(EncodeSuperBlock(*DecodeSuperBlock(sm.SerializeAsString())), EncodeSuperBlock(s));
  curvefs::DentryRecord dm;
  ASSERT_TRUE(dm.ParseFromString(EncodeDentry({InodeId(77), 8})));
  EXPECT_EQ(dm.inode(), 77u);
  curvefs::FreeObject fm;
  ASSERT_TRUE(fm.ParseFromString(EncodeFreeObject({ChunkId(1), 2, 3, InodeId(4)})));
  EXPECT_EQ(fm.inode(), 4u);
  curvefs::ObjectRefs rm;
  ASSERT_TRUE(rm.ParseFromString(EncodeRefs({1000, 77})));
  EXPECT_EQ(rm.count(), 1000u);
  EXPECT_EQ(*DecodeRefs(rm.SerializeAsString()), (ObjectRefs{1000, 77}));
  SharedObject shared{ChunkId(5), 4096, {{InodeId(3), 0}, {InodeId(3), 9}, {InodeId(1ull << 45), 70'000}}};
  curvefs::SharedObject hm;
  ASSERT_TRUE(hm.ParseFromString(EncodeShared(shared)));
  ASSERT_EQ(hm.inode_size(), 3);
  EXPECT_EQ(hm.inode(2), 1ull << 45);
  EXPECT_EQ(hm.chunk(1), 9u);
  auto back = DecodeShared(ChunkId(5), hm.SerializeAsString());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->users, shared.users);
  EXPECT_EQ(back->size, 4096u);
}

TEST(Records, RefusesWhatIsNotOne) {
  EXPECT_EQ(DecodeInode(InodeId(1), "").error().code(), Code::kCorrupt);  // no type
  EXPECT_EQ(DecodeInode(InodeId(1), "\xff").error().code(), Code::kCorrupt);
  EXPECT_EQ(DecodeDentry("").error().code(), Code::kCorrupt);
  EXPECT_EQ(DecodeShared(ChunkId(1), "\x08\x05\x12\x01\x07").error().code(), Code::kCorrupt);  // no chunk
  EXPECT_EQ(DecodeShared(ChunkId(1), "\x08\x05\x12\x01\xff").error().code(), Code::kCorrupt);
  ChunkRecord beyond{.offset = 0,
                     .len = 10,
                     .chunk_id = ChunkId(1),
                     .object_inode = InodeId(1),
                     .object_offset = 5,
                     .object_size = 10};
  EXPECT_EQ(DecodeChunk(InodeId(1), 1, EncodeChunk(InodeId(1), beyond)).error().code(), Code::kCorrupt);
}

TEST(Keys, SortAsTheyAreListedAndParseBack) {
  FsId fs(1);
  InodeId a(5), b(6);
  EXPECT_LT(DentryKey(fs, a, kNameHashMask, "zzz"), DentryKey(fs, b, 0, "a"));
  EXPECT_LT(ChunkKey(fs, a, 1, 9), ChunkKey(fs, a, 2, 1));
  EXPECT_LT(ChunkKey(fs, a, 1, 9), ChunkKey(fs, a, 1, 10));
  ParsedKey k;
  InodeId far = MakeInodeId(PartitionId(3), 42);
  const std::string dentry = DentryKey(fs, far, 99, "name");  // k.name points into it
  ASSERT_TRUE(ParseKey(dentry, &k));
  EXPECT_EQ(k.inode, far);
  EXPECT_EQ(k.name_hash, 99u);
  EXPECT_EQ(k.name, "name");
  ASSERT_TRUE(ParseKey(ChunkKey(fs, far, 7, 8), &k));
  EXPECT_EQ(k.chunk_index, 7u);
  EXPECT_EQ(k.sequence, 8u);
  ASSERT_TRUE(ParseKey(FreeKey(fs, PartitionId(0), ChunkId(11)), &k));
  EXPECT_EQ(k.chunk, ChunkId(11));
  for (std::string bad :
       {std::string(), std::string(8, 'I'), InodeKey(fs, a) + "x", DentryHashPrefix(fs, a, 1)}) {
    EXPECT_FALSE(ParseKey(bad, &k));
  }
}

}  // namespace
}  // namespace curvefs::meta
