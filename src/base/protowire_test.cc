#include "base/protowire.h"

#include <gtest/gtest.h>

namespace curvefs {
namespace {

TEST(ProtoWireTest, BytesAreProtobufs) {
  std::string s;
  ProtoWriter out(&s);
  out.Varint(1, 150);
  out.Fixed32(2, 0x04030201);
  out.Bytes(3, "abc");
  out.Fixed64(16, 1);
  EXPECT_EQ(s, std::string("\x08\x96\x01"
                           "\x15\x01\x02\x03\x04"
                           "\x1a\x03"
                           "abc"
                           "\x81\x01\x01\0\0\0\0\0\0\0",
                           23));
}

TEST(ProtoWireTest, DefaultsAreLeftOut) {
  std::string s;
  ProtoWriter out(&s);
  out.Varint(1, 0);
  out.Fixed32(2, 0);
  out.Fixed64(3, 0);
  out.Bytes(4, "");
  EXPECT_EQ(s, "");
}

TEST(ProtoWireTest, RoundTrip) {
  std::string s;
  ProtoWriter out(&s);
  for (int bit = 0; bit < 64; ++bit) out.Varint(bit + 1, uint64_t{1} << bit);
  out.Bytes(100, std::string(300, 'x'));
  ProtoReader in(s);
  for (int bit = 0; bit < 64; ++bit) {
    ASSERT_TRUE(in.Next());
    EXPECT_EQ(in.field(), bit + 1);
    EXPECT_EQ(in.number(), uint64_t{1} << bit);
  }
  ASSERT_TRUE(in.Next());
  EXPECT_EQ(in.field(), 100);
  EXPECT_EQ(in.bytes(), std::string(300, 'x'));
  EXPECT_FALSE(in.Next());
  EXPECT_TRUE(in.ok());
}

TEST(ProtoWireTest, MalformedInputEndsTheWalk) {
  for (std::string_view bad :
       {std::string_view("\x08", 1),                                               // no value
        std::string_view("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12),  // too long
        std::string_view("\x0d\x01\x02\x03", 4),                                   // short fixed32
        std::string_view("\x09\x01", 2),                                           // short fixed64
        std::string_view("\x1a\x05"
                         "abc",
                         5),  // short bytes
        std::string_view("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11),
        std::string_view("\x0b", 1),         // group
        std::string_view("\x00\x00", 2)}) {  // field 0
    ProtoReader in(bad);
    while (in.Next()) {
    }
    EXPECT_FALSE(in.ok());
    EXPECT_FALSE(in.Next());
  }
}

TEST(ProtoWireTest, EveryCutOfAMessageIsSafe) {
  std::string s;
  ProtoWriter out(&s);
  out.Varint(1, 1u << 20);
  out.Bytes(2, "hello");
  out.Fixed64(3, 7);
  for (size_t n = 0; n <= s.size(); ++n) {
    ProtoReader in(std::string_view(s).substr(0, n));
    int fields = 0;
    while (in.Next()) ++fields;
    EXPECT_LE(fields, 3);
  }
}

}  // namespace
}  // namespace curvefs
