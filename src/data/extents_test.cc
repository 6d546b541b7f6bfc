#include "data/extents.h"

#include <gtest/gtest.h>

#include <random>

#include "base/limits.h"
#include "data/plan.h"

namespace curvefs::data {
namespace {

meta::ChunkRecord Record(uint64_t offset, uint64_t len) {
  meta::ChunkRecord r;
  r.offset = offset;
  r.len = len;
  r.chunk_id = ChunkId(1);
  return r;
}

TEST(Resolve, HolesAroundAndBetween) {
  auto pieces = Resolve({Record(10, 10), Record(30, 10)}, 5, 40);
  ASSERT_EQ(pieces.size(), 5u);
  EXPECT_EQ(pieces[0].record, -1);
  EXPECT_EQ(pieces[1].record, 0);
  EXPECT_EQ(pieces[2].record, -1);
  EXPECT_EQ(pieces[3].record, 1);
  EXPECT_EQ(pieces[4].end(), 45u);
}

TEST(Resolve, NewestWinsAndTheOldShowsAgainBehindIt) {
  auto pieces = Resolve({Record(0, 100), Record(20, 10), Record(25, 50)}, 0, 100);
  ASSERT_EQ(pieces.size(), 4u);
  EXPECT_EQ(pieces[1].record, 1);
  EXPECT_EQ(pieces[1].len, 5u);
  EXPECT_EQ(pieces[2].record, 2);
  EXPECT_EQ(pieces[3].record, 0);
}

TEST(Resolve, NothingAndEmpty) {
  EXPECT_TRUE(Resolve({}, 5, 0).empty());
  EXPECT_EQ(Resolve({}, 5, 7).size(), 1u);
  EXPECT_EQ(Resolve({Record(0, 5)}, 5, 7).front().record, -1);
}

class ResolveModel : public testing::TestWithParam<uint32_t> {};

TEST_P(ResolveModel, AsPaintingBytes) {
  std::mt19937 random(GetParam());
  for (int round = 0; round < 300; ++round) {
    const uint64_t size = 1 + random() % 300;
    std::vector<meta::ChunkRecord> records;
    std::vector<int> bytes(size + 50, -1);
    for (int i = 0, n = static_cast<int>(random() % 30); i < n; ++i) {
      const uint64_t offset = random() % size;
      const uint64_t len = 1 + random() % (random() % 2 ? 10 : size);
      records.push_back(Record(offset, len));
      for (uint64_t b = offset; b < std::min(offset + len, bytes.size()); ++b) bytes[b] = i;
    }
    const uint64_t from = random() % size, len = random() % (size + 50 - from);
    uint64_t at = from;
    int last = -2;
    for (const Piece& p : Resolve(records, from, len)) {
      ASSERT_EQ(p.offset, at);
      ASSERT_GT(p.len, 0u);
      ASSERT_NE(p.record, last) << "neighbours of one record are one piece";
      for (uint64_t b = p.offset; b < p.end(); ++b) ASSERT_EQ(bytes[b], p.record);
      at = p.end();
      last = p.record;
    }
    ASSERT_EQ(at, from + len);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ResolveModel, testing::Range(1u, 5u));

TEST(Compacting, WhatIsWorthIt) {
  EXPECT_FALSE(WorthTidying({.records = 20}, 4096));
  EXPECT_TRUE(WorthTidying({.records = 21}, 4096));
  EXPECT_FALSE(WorthTidying({.records = 200, .live_bytes = 64 << 20}, 4096));
  EXPECT_TRUE(WorthTidying({.records = 1001, .live_bytes = uint64_t{1} << 40}, 4096));
  EXPECT_FALSE(WorthCompacting({.records = kRecordLimitPerChunk}, 4096));
  EXPECT_TRUE(WorthCompacting({.records = kRecordLimitPerChunk + 1}, 4096));
  EXPECT_TRUE(WorthCompacting({.records = 8, .live_bytes = 1 << 20, .inline_bytes = 1 << 20}, 4096));
  EXPECT_FALSE(WorthTidying({.records = 1, .inline_bytes = 4096}, 4096));
  EXPECT_TRUE(WorthTidying({.records = 1, .inline_bytes = 4097}, 4096));
}

TEST(Plan, LargeRunsAreCutAtBlocks) {
  auto plan = PlanObjects({{kBlockSize / 2, 3 * kBlockSize}});
  ASSERT_EQ(plan.size(), 3u);
  EXPECT_EQ(plan[0].bytes, kBlockSize / 2);
  EXPECT_EQ(plan[1].parts, (std::vector<Range>{{kBlockSize, 2 * kBlockSize}}));
}

TEST(Plan, SmallRunsOfAChunkShareAnObject) {
  std::vector<Range> runs;
  for (uint64_t i = 0; i < 100; ++i) runs.push_back({i * 100'000, i * 100'000 + 5000});
  auto plan = PlanObjects(runs);
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_GE(plan[0].parts.size(), 100u);
  EXPECT_EQ(plan[0].bytes, 500'000u);

  plan = PlanObjects({{kChunkSize - 10, kChunkSize}, {kChunkSize, kChunkSize + 10}});
  EXPECT_EQ(plan.size(), 2u) << "a record must not be of two chunks' objects";
}

TEST(Plan, AnObjectIsAtMostABlock) {
  std::vector<Range> runs;
  for (uint64_t i = 0; i < 60; ++i) runs.push_back({i << 20, (i << 20) + 900'000});
  uint64_t bytes = 0;
  for (const auto& object : PlanObjects(runs)) {
    uint64_t sum = 0;
    for (const auto& part : object.parts) sum += part.size();
    EXPECT_EQ(sum, object.bytes);
    EXPECT_LE(sum, kBlockSize);
    bytes += sum;
  }
  EXPECT_EQ(bytes, 60u * 900'000);
}

}  // namespace
}  // namespace curvefs::data
