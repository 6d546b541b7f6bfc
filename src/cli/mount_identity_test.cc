#include "cli/mount_identity.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace curvefs::cli {
namespace {

TEST(MountIdentityTest, TheLivingAndTheDead) {
  const std::string mine = MountIdentity();
  EXPECT_NE(mine, MountIdentity()) << "each is another";
  EXPECT_FALSE(IsGone(mine));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    const std::string its = MountIdentity();
    (void)!::write(ends[1], its.data(), its.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string its(1000, '\0');
  const ssize_t n = ::read(ends[0], its.data(), its.size());
  ASSERT_GT(n, 0);
  its.resize(static_cast<size_t>(n));
  ::close(ends[0]);
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  EXPECT_TRUE(IsGone(its));
}

TEST(MountIdentityTest, WhatCannotBeKnownIsNotGone) {
  for (const char* other : {"", "x", "a/b/c/1/2/3", "/////", "a/b/c/1/2/3/4"})
    EXPECT_FALSE(IsGone(other)) << other;
}

}  // namespace
}  // namespace curvefs::cli
