#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace curvefs {
namespace {

TEST(StatusTest, CodeAndMessage) {
  Status ok;
  EXPECT_TRUE(ok.ok());
  EXPECT_EQ(ok.ToString(), "ok");
  Status s(Code::kCorrupt, "journal-1 at 4096");
  EXPECT_FALSE(s.ok());
  EXPECT_EQ(s.ToString(), "corrupt: journal-1 at 4096");
  EXPECT_EQ(s, Status(Code::kCorrupt));
  EXPECT_EQ(Status(Code::kNotFound).ToString(), "not found");
}

// The numbers are on the wire.
TEST(StatusTest, EveryCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Code::kLocked); ++code) {
    std::string_view name = CodeName(static_cast<Code>(code));
    EXPECT_NE(name, "unknown code") << code;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(CodeName(static_cast<Code>(250)), "unknown code");
  EXPECT_EQ(static_cast<int>(Code::kUnsupportedVersion), 33);
  EXPECT_EQ(static_cast<int>(Code::kFenced), 34);
  EXPECT_EQ(static_cast<int>(Code::kElsewhere), 35);
  EXPECT_EQ(static_cast<int>(Code::kLocked), 36);
  EXPECT_EQ(static_cast<int>(Code::kCorrupt), 23);
}

TEST(StatusTest, FromErrno) {
  Status s = FromErrno(ENOSPC, "write /x");
  EXPECT_EQ(s.code(), Code::kNoSpace);
  EXPECT_EQ(s.message(), "write /x: No space left on device");
  EXPECT_EQ(FromErrno(EIO, "x").code(), Code::kIo);
  EXPECT_EQ(FromErrno(ENOENT, "x").code(), Code::kNotFound);
  EXPECT_EQ(FromErrno(EDQUOT, "x").code(), Code::kQuotaExceeded);
}

Result<int> Half(int n) {
  if (n % 2 != 0) return Fail(Code::kInvalid, "odd");
  return n / 2;
}
Result<std::string> Quarter(int n) {
  CURVEFS_TRY(int half, Half(n));
  CURVEFS_TRY(half, Half(half));
  return std::to_string(half);
}
Status IsQuarter(int n) {
  CURVEFS_TRY(auto text, Quarter(n));
  CURVEFS_CHECK_OK(text.empty() ? Status(Code::kInvalid) : Status());
  return {};
}

TEST(StatusTest, PropagationBetweenStatusAndResult) {
  EXPECT_EQ(Quarter(8).value(), "2");
  EXPECT_EQ(Quarter(6).error().message(), "odd");
  EXPECT_TRUE(IsQuarter(8).ok());
  EXPECT_EQ(IsQuarter(3).message(), "odd");
}

TEST(StatusTest, CheckEndsTheProcess) {
  EXPECT_DEATH(CURVEFS_CHECK(1 + 1 == 3), "check failed: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace curvefs
