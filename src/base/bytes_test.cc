#include "base/bytes.h"

#include <gtest/gtest.h>

#include "base/hash.h"

namespace curvefs {
namespace {

TEST(BytesTest, LittleEndian) {
  std::string s;
  PutLe<uint8_t>(&s, 0x01);
  PutLe<uint32_t>(&s, 0x05040302);
  PutLe<uint64_t>(&s, 0x0d0c0b0a09080706);
  EXPECT_EQ(s, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d");
  EXPECT_EQ(GetLe<uint32_t>(s.data() + 1), 0x05040302u);
}

TEST(BytesTest, BigEndianKeepsOrder) {
  std::string s;
  PutBe(&s, 0x010203, 3);
  EXPECT_EQ(s, std::string("\x01\x02\x03"));
  EXPECT_EQ(GetBe(s.data(), 3), 0x010203u);
  std::string last;
  for (uint64_t v : {uint64_t{0}, uint64_t{1}, uint64_t{255}, uint64_t{256}, uint64_t{1} << 31,
                     uint64_t{1} << 63, ~uint64_t{0}}) {
    std::string now;
    PutBe(&now, v, 8);
    EXPECT_EQ(GetBe(now.data(), 8), v);
    EXPECT_TRUE(last.empty() || last < now);
    last = now;
  }
}

TEST(BytesTest, ReaderStaysFailed) {
  ByteReader in("\x01\x02\x03\x04\x05");
  EXPECT_EQ(in.Le<uint16_t>(), 0x0201);
  EXPECT_EQ(in.Be(2), 0x0304u);
  EXPECT_EQ(in.position(), 4u);
  EXPECT_EQ(in.remaining(), 1u);
  EXPECT_EQ(in.Le<uint32_t>(), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.Bytes(1), "");  // would fit, but one before did not
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.Be(1), 0u);

  ByteReader huge("abc");
  EXPECT_EQ(huge.Bytes(~size_t{0}), "");
  EXPECT_FALSE(huge.ok());
}

// Values from the reference implementation: the checksums of every stored format depend on them.
TEST(HashTest, Xxh3IsTheStandardOne) {
  EXPECT_EQ(Xxh3(""), 0x2d06800538d394c2u);
  EXPECT_EQ(Xxh3("", 0x9e3779b185ebca8d), 0xa8a6b918b2f0364au);
}

TEST(HashTest, PiecesHashAsTheWhole) {
  std::string all;
  Xxh3Stream stream;
  for (int i = 0; i < 500; ++i) {
    EXPECT_EQ(stream.Digest(), Xxh3(all));
    std::string piece(static_cast<size_t>(i % 50), static_cast<char>(i));
    stream.Update(piece);
    all += piece;
  }
  EXPECT_NE(Xxh3(all), Xxh3(all, 1));
}

}  // namespace
}  // namespace curvefs
