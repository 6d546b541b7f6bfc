#include "kv/write_batch.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"

namespace curvefs::kv {
namespace {

using Op = std::tuple<RecordType, std::string, std::string>;

std::vector<Op> Read(std::string_view encoded) {
  std::vector<Op> ops;
  Status s = WriteBatch::ForEach(encoded, [&](RecordType type, std::string_view key, std::string_view value) {
    ops.emplace_back(type, key, value);
  });
  EXPECT_TRUE(s.ok()) << s.ToString();
  return ops;
}

// SPEC P1, byte by byte, written down by hand.
TEST(WriteBatchTest, RecordsAreAsTheSpecificationSays) {
  WriteBatch batch;
  batch.Set("ab", "xyz");
  std::string set(
      "\x01"
      "\x02\0\0\0"
      "ab"
      "\x03\0\0\0"
      "xyz",
      14);
  PutLe<uint64_t>(&set, Xxh3(set));
  EXPECT_EQ(batch.encoded(), set);
  EXPECT_EQ(batch.count(), 1u);

  batch.Clear();
  EXPECT_TRUE(batch.empty());
  batch.Del("k");
  std::string del(
      "\x02"
      "\x01\0\0\0"
      "k",
      6);
  PutLe<uint64_t>(&del, Xxh3(del));
  EXPECT_EQ(batch.encoded(), del);
}

TEST(WriteBatchTest, RoundTrip) {
  WriteBatch batch;
  const std::string binary("\0\xff\0", 3), big(kMaxValue, 'v'), long_key(kMaxKey, 'k');
  batch.Set(binary, "");
  batch.Del("gone");
  batch.Set(long_key, big);
  batch.Set("from nothing", std::string_view());  // whose data() is null
  EXPECT_EQ(batch.count(), 4u);
  EXPECT_EQ(Read(batch.encoded()), (std::vector<Op>{{RecordType::kSet, binary, ""},
                                                    {RecordType::kDel, "gone", ""},
                                                    {RecordType::kSet, long_key, big},
                                                    {RecordType::kSet, "from nothing", ""}}));
  EXPECT_EQ(WriteBatch::Verify(batch.encoded()).value(), 4u);
  EXPECT_EQ(WriteBatch::Verify("").value(), 0u);
}

TEST(WriteBatchTest, EveryFlippedBitAndEveryCutIsSeen) {
  WriteBatch batch;
  batch.Set("key1", "value1");
  batch.Del("key2");
  batch.Set("key3", "");
  const std::string good(batch.encoded());
  ASSERT_TRUE(WriteBatch::Verify(good).has_value());
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      auto verified = WriteBatch::Verify(bad);
      ASSERT_FALSE(verified.has_value()) << "byte " << i;
      EXPECT_EQ(verified.error().code(), Code::kCorrupt);
      EXPECT_NE(verified.error().message().find("at byte"), std::string::npos);
    }
  }
  size_t first = 1 + 4 + 4 + 4 + 6 + 8, second = first + 1 + 4 + 4 + 8;
  for (size_t n = 1; n < good.size(); ++n) {
    EXPECT_EQ(WriteBatch::Verify(good.substr(0, n)).has_value(), n == first || n == second) << n;
  }
}

TEST(WriteBatchTest, LimitsAreChecked) {
  auto record = [](uint32_t key_length, uint32_t value_length) {
    std::string bytes("\x01", 1);
    PutLe<uint32_t>(&bytes, key_length);
    bytes.append(key_length, 'k');
    PutLe<uint32_t>(&bytes, value_length);
    bytes.append(value_length, 'v');
    PutLe<uint64_t>(&bytes, Xxh3(bytes));
    return bytes;
  };
  EXPECT_TRUE(WriteBatch::Verify(record(kMaxKey, kMaxValue)).has_value());
  EXPECT_FALSE(WriteBatch::Verify(record(0, 1)).has_value());
  EXPECT_FALSE(WriteBatch::Verify(record(kMaxKey + 1, 1)).has_value());
  EXPECT_FALSE(WriteBatch::Verify(record(1, kMaxValue + 1)).has_value());
  WriteBatch batch;
  EXPECT_DEATH(batch.Set("", "v"), "check failed");
  EXPECT_DEATH(batch.Set(std::string(kMaxKey + 1, 'k'), "v"), "check failed");
  EXPECT_DEATH(WriteBatch::ForEachTrusted("garbage", [](auto, auto, auto) {}), "check failed");
}

}  // namespace
}  // namespace curvefs::kv
