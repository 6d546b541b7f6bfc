#include "cli/mount.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace curvefs::cli {
namespace {

TEST(Mount, RelativePathsAreThoseOfTheWorkingDirectoryWhereverTheMountRuns) {
  const std::string here = std::filesystem::current_path().string();
  MountRequest r{.dir = "fs", .cluster = {}, .mount_point = "mnt", .config = {}};
  MountConfig& c = r.config;
  c.encrypt_passphrase_file = "pass";
  c.encrypt_rsa_key = "sub/key.pem";
  c.s3_ca = "ca";
  c.tls_ca = "a";
  c.tls_cert = "b";
  c.tls_key = "/c";
  c.log_file = "log";
  c.data = "dir:objects";
  c.cache_dir = "one:/two::three";
  MakePathsAbsolute(&r);
  EXPECT_EQ(r.dir, here + "/fs");
  EXPECT_EQ(r.mount_point, here + "/mnt");
  EXPECT_EQ(c.encrypt_passphrase_file, here + "/pass");
  EXPECT_EQ(c.encrypt_rsa_key, here + "/sub/key.pem");
  EXPECT_EQ(c.s3_ca, here + "/ca");
  EXPECT_EQ(c.tls_ca, here + "/a");
  EXPECT_EQ(c.tls_cert, here + "/b");
  EXPECT_EQ(c.tls_key, "/c");
  EXPECT_EQ(c.log_file, here + "/log");
  EXPECT_EQ(c.data, "dir:" + here + "/objects");
  EXPECT_EQ(c.cache_dir, here + "/one:/two:" + here + "/three");
}

TEST(Mount, WhatIsNoPathStaysAsItIs) {
  MountRequest r;
  for (const char* log : {"-", "syslog", ""}) {
    r.config.log_file = log;
    r.config.data = "s3://bucket/prefix";
    MakePathsAbsolute(&r);
    EXPECT_EQ(r.config.log_file, log);
    EXPECT_EQ(r.config.data, "s3://bucket/prefix");
    EXPECT_EQ(r.config.s3_ca + r.config.cache_dir + r.dir + r.mount_point, "");
  }
}

}  // namespace
}  // namespace curvefs::cli
