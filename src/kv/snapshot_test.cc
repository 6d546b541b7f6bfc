#include "kv/snapshot.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"
#include "test/support/golden.h"
#include "test/support/sim_disk.h"

namespace curvefs::kv {
namespace {

using test::SimDisk;
using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr const char* kPath = "/snapshot";

Status Write(Disk& disk, const Pairs& pairs) {
  CURVEFS_TRY(auto writer, SnapshotWriter::Create(disk, kPath, pairs.size()));
  for (const auto& [key, value] : pairs) CURVEFS_CHECK_OK(writer->Add(key, value));
  return writer->Finish();
}

Status Read(Disk& disk, Pairs* pairs) {
  pairs->clear();
  return ReadSnapshot(disk, kPath,
                      [&](std::string_view key, std::string_view value) { pairs->emplace_back(key, value); });
}

Pairs SomePairs() {
  return {{std::string("\0\x01", 2), "binary"}, {"a", ""}, {"b", "2"}, {"b\xff", std::string(300, 'x')}};
}

// SPEC P2, byte by byte, written down by hand.
TEST(SnapshotTest, TheFileIsAsTheSpecificationSays) {
  SimDisk disk;
  ASSERT_TRUE(Write(disk, {{"k1", "abc"}, {"k2", ""}}).ok());
  std::string expected(
      "CURVEFS"
      "\x01\0\0\0"
      "\x02\0\0\0\0\0\0\0"
      "\x02\0\0\0"
      "k1"
      "\x03\0\0\0"
      "abc"
      "\x02\0\0\0"
      "k2"
      "\0\0\0\0"
      "\xff",
      7 + 4 + 8 + 13 + 10 + 1);
  PutLe<uint64_t>(&expected, Xxh3(expected));
  EXPECT_EQ(disk.Files().at(kPath), expected);
}

TEST(SnapshotTest, Golden) {
  SimDisk disk;
  ASSERT_TRUE(Write(disk, SomePairs()).ok());
  EXPECT_TRUE(test::MatchesGolden("snapshot-v1.bin", disk.Files().at(kPath)));
  disk.SetContent(kPath, test::ReadGolden("snapshot-v1.bin"));
  Pairs pairs;
  ASSERT_TRUE(Read(disk, &pairs).ok());
  EXPECT_EQ(pairs, SomePairs());
}

TEST(SnapshotTest, NoPairsAndNoFile) {
  SimDisk disk;
  Pairs pairs;
  EXPECT_EQ(Read(disk, &pairs).code(), Code::kNotFound);
  ASSERT_TRUE(Write(disk, {}).ok());
  EXPECT_EQ(disk.Files().at(kPath).size(), 7u + 4 + 8 + 1 + 8);
  ASSERT_TRUE(Read(disk, &pairs).ok());
  EXPECT_TRUE(pairs.empty());
}

TEST(SnapshotTest, MoreThanAWindow) {
  SimDisk disk;
  Pairs pairs, read;
  for (int i = 0; i < 20'000; ++i)
    pairs.emplace_back("key" + std::to_string(100'000 + i), std::string(i % 400, 'v'));
  pairs.emplace_back(std::string(kMaxKey, 'x'), std::string(kMaxValue, 'y'));
  pairs.emplace_back("y", std::string(kMaxValue, 'z'));
  ASSERT_TRUE(Write(disk, pairs).ok());
  ASSERT_TRUE(Read(disk, &read).ok());
  EXPECT_EQ(read, pairs);
}

TEST(SnapshotTest, EveryCutAndEveryFlippedBitIsRefused) {
  SimDisk disk;
  ASSERT_TRUE(Write(disk, SomePairs()).ok());
  const std::string good = disk.Files().at(kPath);
  Pairs pairs;
  for (size_t n = 0; n < good.size(); ++n) {
    disk.SetContent(kPath, good.substr(0, n));
    Status s = Read(disk, &pairs);
    ASSERT_EQ(s.code(), Code::kCorrupt) << n;
    ASSERT_NE(s.message().find(std::string(kPath) + " at byte "), std::string::npos) << s.message();
    ASSERT_TRUE(pairs.empty()) << "pairs of a damaged file were handed out";
  }
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      disk.SetContent(kPath, bad);
      Status s = Read(disk, &pairs);
      bool version = at >= 7 && at < 11 && s.code() == Code::kUnsupportedVersion;
      ASSERT_TRUE(version || s.code() == Code::kCorrupt) << "byte " << at << " " << s.ToString();
      ASSERT_TRUE(pairs.empty());
    }
  }
  disk.SetContent(kPath, good + "x");
  EXPECT_EQ(Read(disk, &pairs).code(), Code::kCorrupt);
  disk.SetContent(kPath, good);  // canary: the loop above could fail
  EXPECT_TRUE(Read(disk, &pairs).ok());
}

// What a checksum does not catch, because it is right.
TEST(SnapshotTest, StructureIsChecked) {
  auto file = [](uint32_t version, uint64_t count, const Pairs& pairs, std::string_view end) {
    std::string bytes(kSnapshotMagic);
    PutLe<uint32_t>(&bytes, version);
    PutLe<uint64_t>(&bytes, count);
    for (const auto& [key, value] : pairs) {
      PutLe<uint32_t>(&bytes, static_cast<uint32_t>(key.size()));
      bytes += key;
      PutLe<uint32_t>(&bytes, static_cast<uint32_t>(value.size()));
      bytes += value;
    }
    bytes += end;
    PutLe<uint64_t>(&bytes, Xxh3(bytes));
    return bytes;
  };
  SimDisk disk;
  Pairs pairs;
  auto read = [&](const std::string& bytes) {
    disk.SetContent(kPath, bytes);
    return Read(disk, &pairs).code();
  };
  EXPECT_EQ(read(file(1, 2, {{"a", "1"}, {"b", "2"}}, "\xff")), Code::kOk);
  EXPECT_EQ(read(file(2, 2, {{"a", "1"}, {"b", "2"}}, "\xff")), Code::kUnsupportedVersion);
  EXPECT_EQ(read(file(0, 2, {{"a", "1"}, {"b", "2"}}, "\xff")), Code::kCorrupt);
  EXPECT_EQ(read(file(1, 1, {{"a", "1"}, {"b", "2"}}, "\xff")), Code::kCorrupt);
  EXPECT_EQ(read(file(1, 3, {{"a", "1"}, {"b", "2"}}, "\xff")), Code::kCorrupt);
  EXPECT_EQ(read(file(1, ~uint64_t{0}, {{"a", "1"}, {"b", "2"}}, "\xff")), Code::kCorrupt);
  EXPECT_EQ(read(file(1, 2, {{"a", "1"}, {"b", "2"}}, "\xfe")), Code::kCorrupt);
  EXPECT_EQ(read(file(1, 2, {{"b", "1"}, {"a", "2"}}, "\xff")), Code::kCorrupt);
  EXPECT_EQ(read(file(1, 2, {{"a", "1"}, {"a", "2"}}, "\xff")), Code::kCorrupt);
  EXPECT_EQ(read(file(1, 1, {{"", "1"}}, "\xff")), Code::kCorrupt);
  EXPECT_EQ(read(file(1, 1, {{std::string(kMaxKey + 1, 'k'), "1"}}, "\xff")), Code::kCorrupt);
  EXPECT_EQ(read(file(1, 1, {{"k", std::string(kMaxValue + 1, 'v')}}, "\xff")), Code::kCorrupt);
}

TEST(SnapshotTest, TheOldOneStaysUntilTheNewOneIsDurable) {
  const Pairs first = {{"a", "old"}}, second = SomePairs();
  for (SimDisk::Op op : {SimDisk::Op::kOpen, SimDisk::Op::kTruncate, SimDisk::Op::kWrite, SimDisk::Op::kSync,
                         SimDisk::Op::kRename, SimDisk::Op::kSyncDir}) {
    SimDisk disk;
    ASSERT_TRUE(Write(disk, first).ok());
    disk.FailNth(op, 1, Code::kIo);
    EXPECT_EQ(Write(disk, second).code(), Code::kIo);
    if (op != SimDisk::Op::kSyncDir) {
      EXPECT_EQ(disk.Files().size(), 1u) << "a temporary file stays";
    }
    disk.Crash(1, SimDisk::Keep::kNothing);
    Pairs pairs;
    ASSERT_TRUE(Read(disk, &pairs).ok());
    EXPECT_EQ(pairs, first);
    ASSERT_TRUE(Write(disk, second).ok());
    disk.Crash(1, SimDisk::Keep::kNothing);
    ASSERT_TRUE(Read(disk, &pairs).ok());
    EXPECT_EQ(pairs, second);
  }
  // A crash at any moment leaves one or the other.
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SimDisk disk;
    ASSERT_TRUE(Write(disk, first).ok());
    disk.FailNth(static_cast<SimDisk::Op>(seed % 9), 1, Code::kIo);
    bool written = Write(disk, second).ok();
    disk.Crash(seed);
    Pairs pairs;
    ASSERT_TRUE(Read(disk, &pairs).ok()) << seed;
    EXPECT_TRUE(pairs == second || (!written && pairs == first)) << seed;
  }
}

TEST(SnapshotTest, AnAbandonedWriterLeavesNothing) {
  SimDisk disk;
  {
    auto writer = SnapshotWriter::Create(disk, kPath, 2);
    ASSERT_TRUE(writer.has_value());
    ASSERT_TRUE((*writer)->Add("a", "1").ok());
    EXPECT_DEATH((void)(*writer)->Finish(), "check failed");
  }
  EXPECT_TRUE(disk.Files().empty());
}

}  // namespace
}  // namespace curvefs::kv
