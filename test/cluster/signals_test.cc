// How a metaserver is told to end.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "test/cluster/servers.h"

namespace curvefs::cluster {
namespace {

std::vector<pid_t> ThreadsOf(pid_t pid) {
  std::vector<pid_t> threads;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task"))
    threads.push_back(static_cast<pid_t>(std::atoi(entry.path().filename().c_str())));
  return threads;
}

// The kernel may give a process's signal to any thread that does not block it, and some of those are Go's.
TEST(SignalsTest, WhicheverThreadGetsItTheServerEndsInOrder) {
  const std::string root =
      std::filesystem::temp_directory_path() / ("curvefs-signals-" + std::to_string(::getpid()));
  Servers servers(CURVEFS_METASERVER, root, 1);
  ASSERT_TRUE(servers.Start(0).ok());
  const pid_t pid = servers.pid(0);
  size_t others = 0;
  for (pid_t thread : ThreadsOf(pid)) {
    if (thread == pid) continue;
    ++others;
    ::syscall(SYS_tgkill, pid, thread, SIGTERM);  // it may be gone: the server ends already
  }
  EXPECT_GT(others, 3u) << "Go's runtime has some of its own";
  EXPECT_EQ(servers.Stop(0), 0);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace curvefs::cluster
