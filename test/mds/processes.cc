#include "test/mds/processes.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

extern char** environ;

namespace curvefs::test {
namespace {

constexpr int kStartLimitMs = 30'000;

}  // namespace

Processes::~Processes() {
  for (size_t i = 0; i < pids_.size(); ++i) Kill(i);
}

Result<std::string> Processes::Start(size_t number, std::vector<std::string> args) {
  if (pids_.size() <= number) pids_.resize(number + 1);
  CURVEFS_CHECK(pids_[number] == 0);
  args.insert(args.begin(), {"/usr/bin/setpriv", "--pdeathsig", "KILL"});
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  int out[2];
  CURVEFS_CHECK(::pipe2(out, O_CLOEXEC) == 0);
  const std::string log = dir_ + "/" + std::to_string(number) + ".log";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  const int failed = ::posix_spawn(&pids_[number], argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  if (failed != 0) pids_[number] = 0;
  std::string line;
  pollfd wait{.fd = out[0], .events = POLLIN, .revents = 0};
  char c = 0;
  while (failed == 0 && c != '\n' && ::poll(&wait, 1, kStartLimitMs) == 1 && ::read(out[0], &c, 1) == 1)
    line += c;
  ::close(out[0]);
  if (c == '\n') return line;
  Kill(number);
  std::ifstream in(log);
  return Fail(Code::kUnavailable,
              args[3] + " did not start: " + std::string(std::istreambuf_iterator<char>(in), {}));
}

int Processes::Wait(size_t number) {
  int status = 0;
  ::waitpid(pids_[number], &status, 0);
  pids_[number] = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void Processes::Kill(size_t number) {
  if (!running(number)) return;
  ::kill(pids_[number], SIGKILL);
  Wait(number);
}

int Processes::Stop(size_t number) {
  ::kill(pids_[number], SIGTERM);
  return Wait(number);
}

}  // namespace curvefs::test
