#include "cli/values.h"

#include <gtest/gtest.h>

namespace curvefs::cli {
namespace {

using namespace std::chrono_literals;

TEST(Values, SizesAreRead) {
  EXPECT_EQ(*ParseSize("0"), 0u);
  EXPECT_EQ(*ParseSize("65536"), 65536u);
  EXPECT_EQ(*ParseSize("64KiB"), 65536u);
  EXPECT_EQ(*ParseSize("64k"), 65536u);
  EXPECT_EQ(*ParseSize("64 KB"), 65536u);
  EXPECT_EQ(*ParseSize("1.5M"), 1572864u);
  EXPECT_EQ(*ParseSize("1G"), uint64_t{1} << 30);
  EXPECT_EQ(*ParseSize("2TiB"), uint64_t{2} << 40);
}

TEST(Values, WhatIsNoSizeIsRefused) {
  for (const char* text :
       {"", "x", "-1", "1X", "64KiBs", "1e3", "0.3", "1..5M", "nan", "inf", "99999999P", "0x10"}) {
    EXPECT_FALSE(ParseSize(text)) << text;
  }
}

TEST(Values, SizesAreWrittenExactly) {
  for (uint64_t bytes :
       {uint64_t{0}, uint64_t{1}, uint64_t{1023}, uint64_t{65536}, uint64_t{65537}, uint64_t{3} << 29}) {
    EXPECT_EQ(*ParseSize(FormatSize(bytes)), bytes);
  }
  EXPECT_EQ(FormatSize(65536), "64KiB");
  EXPECT_EQ(RoundedSize(1536), "1.5 KiB");
  EXPECT_EQ(RoundedSize(12), "12 B");
}

TEST(Values, DurationsAreReadAndWritten) {
  EXPECT_EQ(*ParseDuration("1s"), 1s);
  EXPECT_EQ(*ParseDuration("200ms"), 200ms);
  EXPECT_EQ(*ParseDuration("1.5"), 1500ms);
  EXPECT_EQ(*ParseDuration("2m"), 120s);
  EXPECT_EQ(*ParseDuration("0s"), 0s);
  for (const char* text : {"", "s", "1w", "-1s", "1s2"}) EXPECT_FALSE(ParseDuration(text)) << text;
  for (Duration d : {Duration(0s), Duration(200ms), Duration(90s), Duration(1h), Duration(7ns)}) {
    EXPECT_EQ(*ParseDuration(FormatDuration(d)), d);
  }
}

TEST(Values, Booleans) {
  EXPECT_TRUE(*ParseBool("yes"));
  EXPECT_FALSE(*ParseBool("0"));
  EXPECT_FALSE(ParseBool("maybe"));
}

}  // namespace
}  // namespace curvefs::cli
