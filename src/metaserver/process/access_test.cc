// What a metaserver lets in of file systems that need a token, and that it still knows after a restart.
#include "metaserver/process/access.h"

#include <gtest/gtest.h>

#include "net/token.h"
#include "test/support/sim_disk.h"

namespace curvefs::metaserver {
namespace {

constexpr Timestamp kNow{1'000'000'000'000};  // 1000 s

proto::AccessRules Rules() {
  proto::AccessRules rules;
  auto* fs = rules.add_fs();
  fs->set_fs_id(7);
  auto add = [&](const char* token, bool read_only, int64_t expires) {
    auto* t = fs->add_token();
    t->set_hash(net::TokenHash(token));
    t->set_read_only(read_only);
    t->set_expires_s(expires);
  };
  add("writer", false, 0);
  add("reader", true, 1'001);
  add("old", false, 1'000);
  return rules;
}

Code Ask(const Access& access, uint32_t fs, std::string_view token, bool changes) {
  return access.Check({.fs = fs, .token = token, .changes = changes}, kNow).code();
}

void ExpectRules(const Access& access) {
  EXPECT_EQ(Ask(access, 7, "writer", true), Code::kOk);
  EXPECT_EQ(Ask(access, 7, "reader", false), Code::kOk);
  EXPECT_EQ(Ask(access, 7, "reader", true), Code::kNotPermitted);
  EXPECT_EQ(Ask(access, 7, "old", false), Code::kNotPermitted);
  EXPECT_EQ(Ask(access, 7, "other", false), Code::kNotPermitted);
  EXPECT_EQ(Ask(access, 7, "", false), Code::kNotPermitted);
  EXPECT_EQ(Ask(access, 8, "", true), Code::kOk) << "another file system needs none";
}

TEST(AccessTest, LetsInWhatTheTokenAllows) {
  test::SimDisk disk;
  ASSERT_TRUE(disk.MakeDir("/ms").ok());
  auto access = Access::Open(disk, "/ms");
  ASSERT_TRUE(access.has_value());
  EXPECT_EQ(Ask(**access, 7, "", true), Code::kOk) << "nothing is said yet";
  ASSERT_TRUE((*access)->Learn(Rules()).ok());
  ExpectRules(**access);
  auto again = Access::Open(disk, "/ms");
  ASSERT_TRUE(again.has_value());
  ExpectRules(**again);
  // A token that is revoked, and a file system that is gone.
  proto::AccessRules less = Rules();
  less.mutable_fs(0)->mutable_token()->DeleteSubrange(0, 1);
  ASSERT_TRUE((*again)->Learn(less).ok());
  EXPECT_EQ(Ask(**again, 7, "writer", false), Code::kNotPermitted);
  ASSERT_TRUE((*again)->Learn({}).ok());
  EXPECT_EQ(Ask(**again, 7, "", true), Code::kOk);
}

TEST(AccessTest, ADamagedFileIsNoLicence) {
  test::SimDisk disk;
  ASSERT_TRUE(disk.MakeDir("/ms").ok());
  ASSERT_TRUE(disk.WriteFileAtomically("/ms/access", "\xff\xff\xff").ok());
  EXPECT_EQ(Access::Open(disk, "/ms").error().code(), Code::kCorrupt);
}

}  // namespace
}  // namespace curvefs::metaserver
