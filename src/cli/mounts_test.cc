#include "cli/mounts.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace curvefs::cli {
namespace {

TEST(Mounts, ParsesMountInfo) {
  auto mounts = ParseMountInfo(
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
      "nonsense\n"
      "80 22 0:50 / /mnt/with\\040space rw,nosuid - fuse.curvefs /srv/a\\134b rw,user_id=0\n"
      "81 22 0:51 / /mnt/x rw shared:2 master:3 - tmpfs tmpfs rw\n");
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_EQ(mounts[1].mount_point, "/mnt/with space");
  EXPECT_EQ(mounts[1].type, kFsType);
  EXPECT_EQ(mounts[1].source, "/srv/a\\b");
  EXPECT_EQ(mounts[1].device, "0:50");
  EXPECT_EQ(mounts[1].root, "/");
  EXPECT_EQ(mounts[2].type, "tmpfs");
}

TEST(Mounts, PathsBecomeAbsolute) {
  const std::string top =
      (std::filesystem::temp_directory_path() / ("curvefs-mounts-test-" + std::to_string(::getpid())))
          .string();
  std::filesystem::create_directories(top + "/real/sub");
  std::filesystem::create_directory_symlink(top + "/real", top + "/link");
  const std::string real = std::filesystem::canonical(top).string() + "/real";
  EXPECT_EQ(AbsolutePath(top + "/link"), real);
  EXPECT_EQ(AbsolutePath(top + "/link/sub/"), real + "/sub");
  EXPECT_EQ(AbsolutePath(top + "/link/./x/../sub"), real + "/sub");
  EXPECT_EQ(AbsolutePath(top + "/real/not/there"), real + "/not/there");
  EXPECT_EQ(AbsolutePath("/"), "/");
  std::filesystem::remove_all(top);
}

TEST(Mounts, WhatIsNotMountedIsNotFound) {
  auto found = FindMount("/no/such/place");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), Code::kNotFound);
}

}  // namespace
}  // namespace curvefs::cli
