#include "data/dirty_map.h"

#include <gtest/gtest.h>

#include <random>

#include "base/limits.h"

namespace curvefs::data {
namespace {

constexpr uint64_t kPlenty = uint64_t{1} << 32;

BufferSlice Filled(size_t n, char c) {
  return BufferSlice::CopyOf(std::string(n, c));
}

void Put(Budget& budget, DirtyMap& map, uint64_t offset, BufferSlice data) {
  ASSERT_TRUE(budget.TryTake(map.Cost(offset, data)));
  map.Insert(offset, std::move(data));
}

std::string Text(const std::vector<Segment>& segments) {
  std::string out;
  for (const auto& s : segments)
    out += s.bytes.is_zero() ? std::string(s.bytes.size, '0') : std::string(s.bytes.view());
  return out;
}

TEST(DirtyMap, NewestWins) {
  Budget budget(kPlenty);
  DirtyMap map(budget);
  Put(budget, map, 10, Filled(10, 'a'));
  Put(budget, map, 15, Filled(10, 'b'));
  Put(budget, map, 12, Filled(2, 'c'));
  EXPECT_EQ(Text(map.Collect(0, 100)), "aaccabbbbbbbbbb");
  EXPECT_EQ(map.bytes(), 15u);
  EXPECT_EQ(map.end(), 25u);
  EXPECT_TRUE(map.Covers(10, 25));
  EXPECT_FALSE(map.Covers(9, 25));
  EXPECT_FALSE(map.Covers(10, 26));
  EXPECT_EQ(map.Runs(0, 100, false), (std::vector<Range>{{10, 25}}));
  map.Clear();
  EXPECT_EQ(budget.used(), 0u);
}

TEST(DirtyMap, SmallAppendsGather) {
  Budget budget(kPlenty);
  DirtyMap map(budget);
  std::string all;
  for (int i = 0; i < 30'000; ++i) {
    std::string piece(100, static_cast<char>('a' + i % 26));
    Put(budget, map, all.size(), BufferSlice::CopyOf(piece));
    all += piece;
  }
  auto segments = map.Collect(0, all.size());
  EXPECT_LE(segments.size(), 4u);
  EXPECT_EQ(Text(segments), all);
  EXPECT_LE(budget.used(), all.size() * 3 / 2);
}

TEST(DirtyMap, LargeWritesAreNotCopied) {
  Budget budget(kPlenty);
  DirtyMap map(budget);
  auto data = Filled(1 << 20, 'x');
  const Buffer* buffer = data.buffer.get();
  Put(budget, map, 5, data);
  EXPECT_EQ(map.Collect(5, 6)[0].bytes.buffer.get(), buffer);
  EXPECT_EQ(budget.used(), (1u << 20) + DirtyMap::kOverhead);
}

TEST(DirtyMap, SmallPartOfALargeBufferIsCopied) {
  Budget budget(kPlenty);
  DirtyMap map(budget);
  auto data = Filled(1 << 20, 'x');
  Put(budget, map, 0, data.Sub(4096, 100 << 10));
  EXPECT_LE(budget.used(), (100u << 10) + DirtyMap::kOverhead);
}

TEST(DirtyMap, RemainsOfALargeBufferLetItGo) {
  Budget budget(kPlenty);
  DirtyMap map(budget);
  Put(budget, map, 0, Filled(1 << 20, 'a'));
  Put(budget, map, 4096, BufferSlice::Zeros((1 << 20) - 8192));
  EXPECT_LE(budget.used(), 2 * 4096 + 4 * DirtyMap::kOverhead);
  EXPECT_EQ(Text(map.Collect(0, 4096)), std::string(4096, 'a'));
  EXPECT_EQ(Text(map.Collect((1 << 20) - 4096, 1 << 20)), std::string(4096, 'a'));
}

TEST(DirtyMap, PutBackGoesUnderNewerData) {
  Budget budget(kPlenty);
  DirtyMap dirty(budget), flushing(budget);
  Put(budget, dirty, 0, Filled(10, 'o'));
  std::swap(dirty, flushing);
  Put(budget, dirty, 3, Filled(2, 'n'));
  Put(budget, dirty, 8, Filled(5, 'n'));
  dirty.InsertUnder(&flushing);
  EXPECT_TRUE(flushing.empty());
  EXPECT_EQ(flushing.bytes(), 0u);
  EXPECT_EQ(Text(dirty.Collect(0, 100)), "ooonnooonnnnn");
}

TEST(DirtyMap, FullBlocks) {
  Budget budget(kPlenty);
  DirtyMap map(budget);
  Put(budget, map, 100, Filled(kBlockSize, 'a'));
  EXPECT_TRUE(map.FullBlocks().empty());
  Put(budget, map, kBlockSize + 100, Filled(kBlockSize, 'b'));
  EXPECT_EQ(map.FullBlocks(), (std::vector<Range>{{kBlockSize, 2 * kBlockSize}}));
  Put(budget, map, 0, Filled(100, 'c'));
  EXPECT_EQ(map.FullBlocks().size(), 2u);
  DirtyMap out(budget);
  map.Remove(0, 2 * kBlockSize, &out);
  EXPECT_EQ(map.bytes(), 100u);
  EXPECT_EQ(out.bytes(), 2 * kBlockSize);
}

// Random operations on two maps that share buffers, against plain bytes.
class DirtyMapModel : public testing::TestWithParam<uint32_t> {};

TEST_P(DirtyMapModel, Random) {
  constexpr uint64_t kSize = 200 << 10;
  std::mt19937 random(GetParam());
  auto below = [&](uint64_t n) { return random() % n; };
  Budget budget(kPlenty);
  {
    DirtyMap dirty(budget), flushing(budget);
    std::string d(kSize, '.'), f(kSize, '.');  // '.' is "not held"
    uint64_t tail = 0;
    for (int step = 0; step < 1500; ++step) {
      const uint64_t big = below(4) == 0 ? kSize / 2 : 3000;
      const uint64_t offset = below(3) == 0 ? tail : below(kSize);
      const uint64_t n = std::min(kSize - offset, 1 + below(big));
      if (n == 0) {
        tail = 0;
        continue;
      }
      switch (below(12)) {
        default: {
          const char c = static_cast<char>('a' + below(26));
          Put(budget, dirty, offset, Filled(n, c));
          d.replace(offset, n, n, c);
          tail = offset + n;
          break;
        }
        case 0:
          Put(budget, dirty, offset, BufferSlice::Zeros(n));
          d.replace(offset, n, n, '0');
          break;
        case 1:
          dirty.Remove(offset, offset + n, nullptr);
          d.replace(offset, n, n, '.');
          break;
        case 2:  // part of it is flushed
          flushing.Clear();
          f.assign(kSize, '.');
          dirty.Remove(offset, offset + n, &flushing);
          f.replace(offset, n, d, offset, n);
          d.replace(offset, n, n, '.');
          break;
        case 3:  // a flush failed
          dirty.InsertUnder(&flushing);
          for (size_t i = 0; i < kSize; ++i) {
            if (d[i] == '.') d[i] = f[i];
          }
          f.assign(kSize, '.');
          break;
      }
      for (auto [map, model] : {std::pair{&dirty, &d}, std::pair{&flushing, &f}}) {
        std::string got(kSize, '.');
        uint64_t bytes = 0;
        for (const Segment& s : map->Collect(0, kSize)) {
          bytes += s.bytes.size;
          got.replace(s.offset, s.bytes.size, Text({s}));
        }
        ASSERT_EQ(bytes, map->bytes());
        ASSERT_TRUE(got == *model) << "step " << step;
      }
      ASSERT_EQ(dirty.Covers(offset, offset + n), d.substr(offset, n).find('.') == std::string::npos);
      ASSERT_GE(budget.used(), dirty.bytes() > 0 ? DirtyMap::kOverhead : 0);
    }
  }
  EXPECT_EQ(budget.used(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, DirtyMapModel, testing::Range(1u, 9u));

}  // namespace
}  // namespace curvefs::data
