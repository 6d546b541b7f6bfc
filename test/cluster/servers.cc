#include "test/cluster/servers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

extern char** environ;

namespace curvefs::cluster {
namespace {

constexpr int kStartLimitMs = 30'000;

pid_t Spawn(const std::vector<std::string>& args, int out, int err) {
  std::vector<char*> argv;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return failed ? 0 : pid;
}

}  // namespace

uint16_t FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CURVEFS_CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  CURVEFS_CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

Servers::Servers(std::string program, std::string root, size_t count, std::vector<std::string> flags)
    : program_(std::move(program)), root_(std::move(root)), flags_(std::move(flags)), pids_(count) {
  for (size_t i = 0; i < count; ++i) addresses_.push_back({"127.0.0.1", FreePort()});
}

Servers::~Servers() {
  for (size_t i = 0; i < pids_.size(); ++i) {
    if (pids_[i] == 0) continue;
    ::kill(pids_[i], SIGCONT);
    Kill(i, SIGKILL);
  }
}

Status Servers::Start(size_t i, const std::vector<std::string>& more) {
  std::string join;
  for (size_t j = 0; j < addresses_.size(); ++j)
    join += (j ? "," : "") + std::to_string(j + 1) + "=" + addresses_[j].ToString();
  std::vector<std::string> args = {program_, "--dir", dir(i),          "--listen", addresses_[i].ToString(),
                                   "--join", join,    "--grpc-listen", "off",      "--http-listen",
                                   "off"};
  args.insert(args.end(), flags_.begin(), flags_.end());
  args.insert(args.end(), more.begin(), more.end());
  std::filesystem::create_directories(dir(i));
  int out[2];
  CURVEFS_CHECK(::pipe2(out, O_CLOEXEC) == 0);
  const int err = ::open(log(i).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  pids_[i] = Spawn(args, out[1], err);
  ::close(out[1]);
  ::close(err);
  // It says one line when it serves, and nothing if it cannot.
  pollfd wait{.fd = out[0], .events = POLLIN, .revents = 0};
  char line[256];
  const bool said =
      pids_[i] != 0 && ::poll(&wait, 1, kStartLimitMs) == 1 && ::read(out[0], line, sizeof line) > 0;
  ::close(out[0]);
  if (said) return {};
  if (pids_[i] != 0) Kill(i, SIGKILL);
  std::ifstream messages(log(i));
  std::string text((std::istreambuf_iterator<char>(messages)), std::istreambuf_iterator<char>());
  return {Code::kUnavailable, "metaserver " + std::to_string(i + 1) + " did not start:\n" +
                                  text.substr(text.size() > 2000 ? text.size() - 2000 : 0)};
}

void Servers::Kill(size_t i, int signal) {
  ::kill(pids_[i], signal);
  if (signal != SIGKILL) return;
  ::waitpid(pids_[i], nullptr, 0);
  pids_[i] = 0;
}

int Servers::Stop(size_t i) {
  ::kill(pids_[i], SIGTERM);
  int status = 0;
  ::waitpid(pids_[i], &status, 0);
  pids_[i] = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

double Servers::CpuSeconds() const {
  rusage ended{};
  ::getrusage(RUSAGE_CHILDREN, &ended);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  double total = seconds(ended.ru_utime) + seconds(ended.ru_stime);
  for (pid_t pid : pids_) {
    if (pid == 0) continue;
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(stat, text);
    // Fields 14 and 15, counted from behind the name.
    const size_t name_end = text.rfind(')');
    if (name_end == text.npos) continue;
    unsigned long user = 0, system = 0;
    if (std::sscanf(text.c_str() + name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                    &user, &system) == 2)
      total += static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  return total;
}

uint64_t Servers::MostResident() const {
  uint64_t most = 0;
  for (pid_t pid : pids_) {
    if (pid == 0) continue;
    std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
    uint64_t size = 0, resident = 0;
    statm >> size >> resident;
    most = std::max(most, resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  }
  return most;
}

std::string RunProgram(const std::vector<std::string>& args, int* code) {
  int out[2];
  CURVEFS_CHECK(::pipe2(out, O_CLOEXEC) == 0);
  const pid_t pid = Spawn(args, out[1], out[1]);
  ::close(out[1]);
  std::string text;
  char buffer[65536];
  for (ssize_t n; (n = ::read(out[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  ::close(out[0]);
  int status = 0;
  if (pid == 0 || ::waitpid(pid, &status, 0) != pid) status = -1;
  *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return text;
}

}  // namespace curvefs::cluster
