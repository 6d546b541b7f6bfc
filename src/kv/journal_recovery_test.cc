// Recovery from damaged journals: every cut, every flipped byte, lost and foreign files.
#include "kv/journal_recovery.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "kv/journal.h"
#include "kv/journal_format.h"
#include "kv/journal_test_support.h"
#include "test/support/golden.h"

namespace curvefs::kv {
namespace {

using test::SimDisk;
using Files = std::map<std::string, std::string>;

std::string PathOf(Seq first) {
  return std::string(kDir) + "/" + SegmentName(first);
}

JournalOptions Cutting() {
  auto options = SmallSegments();
  options.truncate_at_corruption = true;
  return options;
}

// The files of a journal with batches 1 to `last`, synced in groups of `group`.
Files MakeFiles(Seq last, Seq group, JournalOptions options = SmallSegments()) {
  auto disk = NewDisk();
  auto opened = OpenJournal(*disk, 0, options);
  CURVEFS_CHECK(opened.status.ok());
  for (Seq seq = 1; seq <= last; ++seq) {
    CURVEFS_CHECK(opened.journal->Append(BatchFor(seq)).has_value());
    if (seq % group == 0) CURVEFS_CHECK(opened.journal->Sync(seq).ok());
  }
  CURVEFS_CHECK(opened.journal->Sync(last).ok());
  return disk->Files();
}

// Where each frame of a segment begins, and behind the last the end.
std::vector<uint64_t> FrameOffsets(const std::string& segment) {
  auto header = DecodeSegmentHeader(segment);
  CURVEFS_CHECK(header.has_value());
  std::vector<uint64_t> offsets{kSegmentHeader};
  while (offsets.back() < segment.size()) {
    auto frame = DecodeFrameHeader(std::string_view(segment).substr(offsets.back()), header->salt);
    if (!frame) break;
    offsets.push_back(offsets.back() + FrameSize(frame->length));
  }
  return offsets;
}

// What must hold after any recovery that succeeded: a prefix was replayed, what follows goes on from there,
// and what was behind it never comes back.
void CheckGoesOn(SimDisk& disk, Opened& opened, const std::string& what) {
  const Seq last = opened.recovery.last;
  ASSERT_TRUE(opened.Replayed(1, last)) << what;
  for (Seq seq = last + 1; seq <= last + 3; ++seq) {
    ASSERT_EQ(opened.journal->Append(BatchFor(seq)).value(), seq) << what;
  }
  ASSERT_TRUE(opened.journal->Sync(last + 3).ok()) << what;
  opened.journal.reset();
  disk.Crash(last, SimDisk::Keep::kNothing);
  auto again = OpenJournal(disk);
  ASSERT_TRUE(again.status.ok()) << what << ": " << again.status.ToString();
  ASSERT_EQ(again.recovery.last, last + 3) << what;
  ASSERT_TRUE(again.Replayed(1, last + 3)) << what;
}

TEST(JournalRecoveryTest, CutAtEveryByte) {
  const Files files = MakeFiles(12, 4);
  ASSERT_EQ(files.size(), 1u);
  const auto& [path, good] = *files.begin();
  const auto offsets = FrameOffsets(good);
  ASSERT_EQ(offsets.size(), 13u);
  for (size_t size = 0; size <= offsets.back(); ++size) {
    auto disk = DiskWith({{path, good.substr(0, size)}});
    auto opened = OpenJournal(*disk);
    std::string what = "cut to " + std::to_string(size);
    if (size > 0 &&
        size < kSegmentHeader) {  // a header is durable before it gets its name: this is no torn write
      ASSERT_EQ(opened.status.code(), Code::kCorrupt) << what;
      continue;
    }
    ASSERT_TRUE(opened.status.ok()) << what << opened.status.ToString();
    Seq whole = 0;
    while (whole < 12 && offsets[whole + 1] <= size) ++whole;
    ASSERT_EQ(opened.recovery.last, whole) << what;
    if (size % 11 == 0 || size == offsets[whole]) CheckGoesOn(*disk, opened, what);
  }
}

TEST(JournalRecoveryTest, FlipEveryByte) {
  const Files files = MakeFiles(12, 4);  // durable, as the file says: 8
  const auto& [path, good] = *files.begin();
  const auto offsets = FrameOffsets(good);
  auto disk = NewDisk();
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
    disk->SetContent(path, bad);
    auto opened = OpenJournal(*disk);
    std::string what = "flipped byte " + std::to_string(at);
    if (at < kSegmentHeader || at < offsets[8]) {
      ASSERT_EQ(opened.status.code(), Code::kCorrupt) << what;
      ASSERT_NE(opened.status.message().find(path + " at byte "), std::string::npos)
          << opened.status.message();
      auto cut = OpenJournal(*disk, 0, Cutting());
      ASSERT_TRUE(cut.status.ok()) << what << cut.status.ToString();
      ASSERT_FALSE(cut.recovery.corruption.empty());
      Seq whole = 0;
      while (at >= offsets[0] && offsets[whole + 1] <= at) ++whole;
      ASSERT_EQ(cut.recovery.last, whole) << what;
      if (at % 13 == 0) CheckGoesOn(*disk, cut, what);
    } else {
      ASSERT_TRUE(opened.status.ok()) << what << opened.status.ToString();
      Seq whole = 8;
      while (whole < 12 && offsets[whole + 1] <= at) ++whole;
      ASSERT_EQ(opened.recovery.last, whole) << what;  // 12 behind the last frame, where the byte is wiped
      ASSERT_GT(opened.recovery.torn_bytes, 0u);
      if (at % 13 == 0) CheckGoesOn(*disk, opened, what);
    }
  }
}

// The same in a segment that has a successor: nothing of it may be missing.
TEST(JournalRecoveryTest, FlipAndCutInAnOlderSegment) {
  const Files files = MakeFiles(60, 60);
  ASSERT_GE(files.size(), 3u);
  const auto& [path, good] = *files.begin();
  const auto offsets = FrameOffsets(good);
  for (size_t at = 0; at < offsets.back(); at += 3) {
    Files bad = files;
    bad[path][at] = static_cast<char>(bad[path][at] ^ 0x10);
    auto disk = DiskWith(bad);
    ASSERT_EQ(OpenJournal(*disk).status.code(), Code::kCorrupt) << at;
    bad[path] = good.substr(0, at);
    disk = DiskWith(bad);
    ASSERT_EQ(OpenJournal(*disk).status.code(), Code::kCorrupt) << at;
    auto cut = OpenJournal(*disk, 0, Cutting());
    ASSERT_TRUE(cut.status.ok());
    CheckGoesOn(*disk, cut, "cut at " + std::to_string(at));
  }
}

// A batch whose sync was never acknowledged is torn; the one behind it arrived whole. It must not come back
// when its number is used again, even though the new frame in front of it ends exactly where it begins.
TEST(JournalRecoveryTest, RemainsAreNeverResurrected) {
  const Files files = MakeFiles(6, 2);  // the frames of 5 and 6 say: durable up to 4
  const auto& [path, good] = *files.begin();
  const auto offsets = FrameOffsets(good);
  std::string torn = good;
  torn[offsets[4] + kFrameHeader] ^= 1;  // batch 5
  auto disk = DiskWith({{path, torn}});
  auto opened = OpenJournal(*disk);
  ASSERT_TRUE(opened.status.ok()) << opened.status.ToString();
  EXPECT_EQ(opened.recovery.last, 4u);
  // Where the remains end is where the zeros begin, and a checksum's last byte may be one of them.
  EXPECT_EQ(opened.recovery.torn_bytes, torn.find_last_not_of('\0') + 1 - offsets[4]);
  const std::string other = BatchFor(5, 100, 'w');
  ASSERT_EQ(opened.journal->Append(other).value(), 5u);
  ASSERT_TRUE(opened.journal->Sync(5).ok());
  opened.journal.reset();
  {
    auto again = OpenJournal(*disk);
    ASSERT_EQ(again.recovery.last, 5u);
    EXPECT_EQ(again.replayed.back().second, other);
  }
  // Canary: had the remains not been wiped, batch 6 would be back.
  std::string unwiped = disk->Files()[path];
  unwiped.replace(offsets[5], offsets[6] - offsets[5], good.substr(offsets[5], offsets[6] - offsets[5]));
  disk->SetContent(path, unwiped);
  EXPECT_EQ(OpenJournal(*disk).recovery.last, 6u);
}

// The page cache shows what a failed sync never wrote; a process that starts then reads it, hands it on, and
// must not lose it in the next crash.
TEST(JournalRecoveryTest, WhatWasReplayedIsDurable) {
  auto disk = NewDisk();
  {
    auto opened = OpenJournal(*disk);
    for (Seq seq = 1; seq <= 5; ++seq) ASSERT_TRUE(opened.journal->Append(BatchFor(seq)).has_value());
    ASSERT_TRUE(opened.journal->Sync(5).ok());
    for (Seq seq = 6; seq <= 9; ++seq) ASSERT_TRUE(opened.journal->Append(BatchFor(seq)).has_value());
    disk->FailNth(SimDisk::Op::kSync, 1, Code::kIo);
    EXPECT_FALSE(opened.journal->Sync(9).ok());
  }
  ASSERT_TRUE(OpenJournal(*disk).Replayed(1, 9));
  disk->Crash(1, SimDisk::Keep::kNothing);
  EXPECT_TRUE(OpenJournal(*disk).Replayed(1, 9));
}

// After a failed sync the frames go to a new segment; what the old one holds of them does not count.
TEST(JournalRecoveryTest, ANewSegmentSupersedesTheRemainsInTheOldOne) {
  auto disk = NewDisk();
  std::string old_path = PathOf(1);
  {
    auto opened = OpenJournal(*disk);
    for (Seq seq = 1; seq <= 9; ++seq) {
      ASSERT_TRUE(opened.journal->Append(BatchFor(seq)).has_value());
      if (seq == 5) {
        ASSERT_TRUE(opened.journal->Sync(5).ok());
      }
    }
    disk->SetFailedSyncKeeps(SimDisk::Keep::kEverything);
    disk->FailNth(SimDisk::Op::kSync, 1, Code::kIo);
    EXPECT_FALSE(opened.journal->Sync(9).ok());
    ASSERT_TRUE(opened.journal->Append(BatchFor(10)).has_value());
    ASSERT_TRUE(opened.journal->Sync(10).ok());
  }
  disk->Crash(1, SimDisk::Keep::kNothing);
  const Files files = disk->Files();
  ASSERT_EQ(FrameOffsets(files.at(old_path)).size(), 10u);  // all of 1 to 9 did reach the old segment
  ASSERT_TRUE(files.contains(PathOf(6)));
  EXPECT_TRUE(OpenJournal(*disk).Replayed(1, 10));
  // The remains may be damaged in any way.
  auto offsets = FrameOffsets(files.at(old_path));
  for (size_t at = offsets[5]; at < offsets[9]; at += 5) {
    Files bad = files;
    bad[old_path][at] ^= 0x40;
    ASSERT_TRUE(OpenJournal(*DiskWith(bad)).Replayed(1, 10)) << at;
  }
}

TEST(JournalRecoveryTest, LostAndForeignFiles) {
  const Files files = MakeFiles(200, 10);
  ASSERT_GE(files.size(), 5u);
  auto middle = std::next(files.begin(), 2);
  {
    Files lost = files;
    lost.erase(middle->first);
    auto disk = DiskWith(lost);
    auto opened = OpenJournal(*disk);
    EXPECT_EQ(opened.status.code(), Code::kCorrupt);
    // The segment before says where it ends by the name of the one behind, which is not the one that follows
    // it.
    auto cut = OpenJournal(*disk, 0, Cutting());
    ASSERT_TRUE(cut.status.ok());
    CheckGoesOn(*disk, cut, "missing segment");
  }
  {
    Files lost = files;  // the first one: harmless if the store has its batches
    lost.erase(lost.begin());
    Seq first = *ParseSegmentName(lost.begin()->first.substr(3));
    auto disk = DiskWith(lost);
    EXPECT_EQ(OpenJournal(*disk).status.code(), Code::kCorrupt);
    EXPECT_TRUE(OpenJournal(*disk, first - 1).Replayed(first, 200));
    // Cutting there would throw away all that is left, for the sake of a snapshot that may be put back.
    EXPECT_EQ(OpenJournal(*disk, 5, Cutting()).status.code(), Code::kCorrupt);
    EXPECT_TRUE(OpenJournal(*disk, first - 1).Replayed(first, 200));
  }
  {
    Files odd = files;  // not ours, not read, not touched
    odd[std::string(kDir) + "/journal-1.log"] = "x";
    odd[std::string(kDir) + "/journal-0000000000000000000a.log"] = "x";
    odd[std::string(kDir) + "/journal-99999999999999999999.log"] = "x";
    odd[std::string(kDir) + "/snapshot"] = "x";
    auto disk = DiskWith(odd);
    EXPECT_TRUE(OpenJournal(*disk).Replayed(1, 200));
    for (const auto& [path, bytes] : odd) EXPECT_TRUE(disk->Files().contains(path)) << path;
  }
  {
    Files renamed = files;
    renamed[PathOf(1'000)] = renamed.rbegin()->second;
    auto opened = OpenJournal(*DiskWith(renamed));
    EXPECT_EQ(opened.status.code(), Code::kCorrupt);
  }
}

TEST(JournalRecoveryTest, ASegmentThatWasNeverFilled) {
  const Files files = MakeFiles(50, 10);
  for (size_t size : {size_t{0}, size_t{100}, size_t{8192}}) {
    Files more = files;
    more[PathOf(51)] = std::string(size, '\0');
    auto disk = DiskWith(more);
    auto opened = OpenJournal(*disk);
    ASSERT_TRUE(opened.status.ok()) << opened.status.ToString();
    EXPECT_EQ(opened.recovery.last, 50u);
    CheckGoesOn(*disk, opened, "empty last segment");

    more = files;
    more[std::next(more.begin())->first] = std::string(size, '\0');
    EXPECT_EQ(OpenJournal(*DiskWith(more)).status.code(), Code::kCorrupt);
  }
}

// Damage in a segment that the store does not need does no harm, so that a saved store always opens.
TEST(JournalRecoveryTest, DamageBeforeTheStoreIsNotLookedAt) {
  Files files = MakeFiles(200, 10);
  Seq second = *ParseSegmentName(std::next(files.begin())->first.substr(3));
  files.begin()->second = "all gone";
  EXPECT_EQ(OpenJournal(*DiskWith(files), second - 2).status.code(), Code::kCorrupt);
  EXPECT_TRUE(OpenJournal(*DiskWith(files), second - 1).Replayed(second, 200));
}

// A user may keep a copy of a journal as a small file in the metadata. The frames inside are not ours.
TEST(JournalRecoveryTest, FramesInsideOfABatchAreNotEvidence) {
  const Files other = MakeFiles(40, 1);
  WriteBatch evil;
  evil.Set("file", other.begin()->second.substr(kSegmentHeader));
  auto disk = NewDisk();
  {
    auto opened = OpenJournal(*disk, 0, SmallSegments(64 << 10));
    ASSERT_TRUE(opened.journal->Append(BatchFor(1)).has_value());
    ASSERT_TRUE(opened.journal->Sync(1).ok());
    ASSERT_TRUE(opened.journal->Append(evil.encoded()).has_value());
    ASSERT_TRUE(opened.journal->Sync(2).ok());
  }
  auto files = disk->Files();
  auto offsets = FrameOffsets(files.begin()->second);
  ASSERT_EQ(offsets.size(), 3u);
  files.begin()->second[offsets[2] - 1] ^= 1;
  auto opened = OpenJournal(*DiskWith(files), 0, SmallSegments(64 << 10));
  ASSERT_TRUE(opened.status.ok()) << opened.status.ToString();
  EXPECT_EQ(opened.recovery.last, 1u);
}

TEST(JournalRecoveryTest, ABatchThatWasWrittenWrong) {
  Files files = MakeFiles(3, 3);
  auto& [path, bytes] = *files.begin();
  auto header = DecodeSegmentHeader(bytes);
  auto offsets = FrameOffsets(bytes);
  bytes[offsets[1] + kFrameHeader + 20] ^= 1;  // in the record, then make the frame hold again
  std::string& b = bytes;
  StampFrame(b.data() + offsets[1], 0, header->salt);
  auto opened = OpenJournal(*DiskWith(files));
  EXPECT_EQ(opened.status.code(), Code::kCorrupt);
  EXPECT_NE(opened.status.message().find("batch 2"), std::string::npos);
}

// ---- The format

TEST(JournalFormatTest, Golden) {
  auto options = SmallSegments();
  options.salt = 0x0123456789abcdef;
  const Files files = MakeFiles(6, 2, options);
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files.begin()->first, "/d/journal-00000000000000000001.log");
  EXPECT_TRUE(test::MatchesGolden("journal-v1.bin", files.begin()->second));
  auto opened = OpenJournal(*DiskWith({{PathOf(1), test::ReadGolden("journal-v1.bin")}}));
  ASSERT_TRUE(opened.status.ok()) << opened.status.ToString();
  EXPECT_TRUE(opened.Replayed(1, 6));
}

TEST(JournalFormatTest, ANewerVersionIsRefused) {
  Files files = MakeFiles(6, 2);
  std::string& bytes = files.begin()->second;
  auto set_version = [&](uint32_t version) {
    std::memcpy(bytes.data() + 8, &version, sizeof version);
    uint64_t checksum = Xxh3(std::string_view(bytes).substr(0, kSegmentHeader - 8));
    std::memcpy(bytes.data() + kSegmentHeader - 8, &checksum, sizeof checksum);
  };
  set_version(kJournalVersion + 1);
  auto disk = DiskWith(files);
  auto opened = OpenJournal(*disk);
  EXPECT_EQ(opened.status.code(), Code::kUnsupportedVersion);
  EXPECT_NE(opened.status.message().find(files.begin()->first), std::string::npos);
  EXPECT_EQ(OpenJournal(*disk, 0, Cutting()).status.code(),
            Code::kUnsupportedVersion);  // repair is no way round
  EXPECT_EQ(disk->Files(), files);
  set_version(0);
  EXPECT_EQ(OpenJournal(*DiskWith(files)).status.code(), Code::kCorrupt);
  set_version(kJournalVersion);
  EXPECT_TRUE(OpenJournal(*DiskWith(files)).Replayed(1, 6));
}

TEST(JournalFormatTest, SegmentNames) {
  EXPECT_EQ(SegmentName(42), "journal-00000000000000000042.log");
  for (Seq seq : {Seq{1}, Seq{42}, ~Seq{0}}) EXPECT_EQ(ParseSegmentName(SegmentName(seq)), seq);
  for (const char* name : {"", "journal-.log", "journal-00000000000000000000.log", kSpareName,
                           kSpareTemporary, "journal-00000000000000000042.tmp",
                           "journal--0000000000000000042.log", "journal-18446744073709551616.log"}) {
    EXPECT_EQ(ParseSegmentName(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace curvefs::kv
