// The supervisor, with processes that are easy to have.
#include "cli/cluster/supervisor.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "client/cluster/pause.h"

namespace curvefs::cli {
namespace {

using namespace std::chrono_literals;

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/curvefs-supervisor-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    // Longer than the name of a socket may be.
    dir_ = name + "/" + std::string(120, 'x');
    ASSERT_TRUE(std::filesystem::create_directories(dir_ + "/log"));
    top_ = name;
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      const Status s = Supervise(
          dir_, {Process("sleeps1", "exec sleep 1000"), Process("fails1", "echo why it fails; exit 3")},
          [] {});
      ::_exit(s.ok() ? 0 : 1);
    }
    ASSERT_TRUE(Becomes([&] { return SupervisorStatus(dir_).has_value(); }));
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove_all(top_);
  }
  ProcessPlan Process(const std::string& name, const std::string& script) {
    return {.name = name,
            .kind = ProcessKind::kMds,
            .command = {"/bin/sh", "-c", script},
            .log = dir_ + "/log/" + name};
  }
  template <typename F>
  static bool Becomes(F f) {
    for (int i = 0; i < 3000; ++i) {
      if (f()) return true;
      client::PauseFor(10ms);
    }
    return false;
  }
  ProcessState Of(const std::string& name) {
    auto all = SupervisorStatus(dir_);
    if (!all) return {};
    for (const ProcessState& p : *all) {
      if (p.name == name) return p;
    }
    return {};
  }

  std::string dir_, top_;
  pid_t pid_ = 0;
};

TEST_F(SupervisorTest, StartsAgainWhatDiesAndNotWhatIsKilled) {
  const ProcessState first = Of("sleeps1");
  EXPECT_EQ(first.state, "runs");
  ASSERT_GT(first.pid, 0);
  ::kill(static_cast<pid_t>(first.pid), SIGKILL);
  EXPECT_TRUE(Becomes([&] { return Of("sleeps1").restarts == 1 && Of("sleeps1").pid > 0; }));
  EXPECT_EQ(Of("sleeps1").last_end, "signal Killed");
  ASSERT_TRUE(SupervisorKill(dir_, "sleeps1").ok());
  EXPECT_TRUE(Becomes([&] { return Of("sleeps1").state == "killed"; }));
  // One that fails at once is tried again, ever more slowly; its log says why.
  EXPECT_TRUE(Becomes([&] { return Of("fails1").restarts >= 2; }));
  EXPECT_EQ(Of("fails1").last_end, "exit code 3");
  EXPECT_EQ(Of("sleeps1").state, "killed") << "nobody has started it";
  std::ifstream log(dir_ + "/log/fails1");
  EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(log), {}).starts_with("why it fails\n"));
  ASSERT_TRUE(SupervisorStart(dir_, "sleeps1").ok());
  EXPECT_TRUE(Becomes([&] { return Of("sleeps1").pid > 0; }));
  EXPECT_EQ(SupervisorKill(dir_, "nobody").code(), Code::kNotFound);
}

TEST_F(SupervisorTest, EndsAllOfThemAndIsAlone) {
  const auto pid = static_cast<pid_t>(Of("sleeps1").pid);
  const pid_t second = ::fork();
  if (second == 0) ::_exit(Supervise(dir_, {}, [] {}).code() == Code::kBusy ? 0 : 1);
  int status = 1;
  ASSERT_EQ(::waitpid(second, &status, 0), second);
  EXPECT_EQ(status, 0) << "a second one is refused";
  ASSERT_TRUE(SupervisorDown(dir_).ok());
  ASSERT_EQ(::waitpid(pid_, &status, 0), pid_);
  pid_ = 0;
  EXPECT_EQ(status, 0);
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_EQ(SupervisorStatus(dir_).error().code(), Code::kNotFound);
}

TEST_F(SupervisorTest, WhatItStartedEndsWithIt) {
  const auto pid = static_cast<pid_t>(Of("sleeps1").pid);
  ASSERT_GT(pid, 0);
  ::kill(pid_, SIGKILL);
  ASSERT_EQ(::waitpid(pid_, nullptr, 0), pid_);
  pid_ = 0;
  EXPECT_TRUE(Becomes([&] {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text((std::istreambuf_iterator<char>(stat)), {});
    return text.empty() || text.find(") Z") != text.npos;
  }));
}

}  // namespace
}  // namespace curvefs::cli
