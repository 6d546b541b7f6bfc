#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace curvefs {
namespace {

// One bit at a time, from the definition.
uint32_t Reference(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (unsigned char c : bytes) {
    crc ^= c;
    for (int k = 0; k < 8; ++k) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

std::string RandomBytes(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::string s(n, '\0');
  for (auto& c : s) c = static_cast<char>(random());
  return s;
}

TEST(Crc32c, KnownVectors) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);    // RFC 3720 B.4
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);  // RFC 3720 B.4
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending.push_back(static_cast<char>(i));
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eu);  // RFC 3720 B.4
}

TEST(Crc32c, EveryLengthAndAlignment) {
  const std::string bytes = RandomBytes(9000, 1);
  for (size_t n = 0; n < 1200; ++n) {
    std::string_view part(bytes.data() + n % 9, n);
    ASSERT_EQ(Crc32c(part), Reference(part)) << n;
  }
  for (size_t n : {4031, 4032, 4033, 4095, 4096, 4097, 4536, 8063, 8064, 8192, 8990}) {
    std::string_view part(bytes.data() + 1, n);
    ASSERT_EQ(Crc32c(part), Reference(part)) << n;
  }
}

TEST(Crc32c, ContinuesWhereItStopped) {
  const std::string bytes = RandomBytes(10000, 2);
  const uint32_t whole = Crc32c(bytes);
  for (size_t cut : {0, 1, 7, 8, 503, 504, 4032, 4096, 9999, 10000}) {
    uint32_t crc = Crc32c(0, bytes.data(), cut);
    EXPECT_EQ(Crc32c(crc, bytes.data() + cut, bytes.size() - cut), whole) << cut;
  }
}

TEST(Crc32c, NoticesEverySingleBit) {
  std::string bytes = RandomBytes(600, 3);
  const uint32_t right = Crc32c(bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_NE(Crc32c(bytes), right) << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  }
}

}  // namespace
}  // namespace curvefs
