#include "net/token.h"

#include <gtest/gtest.h>

namespace curvefs::net {
namespace {

TEST(TokenTest, IsReadAsMadeAndNoTwoAreAlike) {
  const auto one = NewToken(), two = NewToken();
  ASSERT_TRUE(one.has_value() && two.has_value());
  EXPECT_NE(*one, *two);
  EXPECT_EQ(*ParseToken(*one), *one);
  EXPECT_EQ(*ParseToken("  " + *one + "\n"), *one) << "a file ends with a newline";
  EXPECT_EQ(TokenHash(*one).size(), kTokenHashBytes);
  EXPECT_NE(TokenHash(*one), TokenHash(*two));
}

TEST(TokenTest, WhatIsNoneIsNotRepeated) {
  const std::string token = *NewToken();
  for (const std::string& bad : {std::string(), std::string(" \n"), std::string("hunter2"), token + "0",
                                 token.substr(1), "cfs_" + std::string(64, 'g'), token + " " + token}) {
    const auto parsed = ParseToken(bad);
    ASSERT_FALSE(parsed.has_value()) << bad;
    EXPECT_EQ(parsed.error().code(), Code::kInvalid);
    if (bad.size() > 2) {
      EXPECT_EQ(parsed.error().message().find(bad), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace curvefs::net
