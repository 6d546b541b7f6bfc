#include "cli/daemon.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

namespace curvefs::cli {
namespace {

void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // the parent has gone: nobody is left to be told
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

std::string ReadAll(int fd) {
  std::string all;
  char buffer[4096];
  while (true) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return all;
    all.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace

Readiness::~Readiness() {
  if (fd_ >= 0) ::close(fd_);
}

// On the pipe: one byte, the code, and the message. Code kOk means ready.
void Readiness::Ready() {
  if (fd_ < 0) return;
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) {
    ::dup2(null, STDIN_FILENO);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(null, STDERR_FILENO);
    ::close(null);
  }
  WriteAll(fd_, std::string(1, static_cast<char>(Code::kOk)));
  ::close(fd_);
  fd_ = -1;
}

void Readiness::Failed(const Status& status) {
  if (fd_ < 0) return;
  WriteAll(fd_, static_cast<char>(status.code()) + status.message());
  ::close(fd_);
  fd_ = -1;
}

Status RunInBackground(const std::function<int(Readiness&)>& child) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FromErrno(errno, "pipe");
  pid_t pid = ::fork();
  if (pid < 0) {
    Status failed = FromErrno(errno, "fork");
    ::close(ends[0]);
    ::close(ends[1]);
    return failed;
  }
  if (pid == 0) {
    ::close(ends[0]);
    ::setsid();
    // A busy working directory would keep another file system from being unmounted.
    if (::chdir("/") != 0) std::_Exit(1);
    int code;
    {
      Readiness readiness(ends[1]);
      code = child(readiness);
    }
    std::exit(code);
  }
  ::close(ends[1]);
  std::string report = ReadAll(ends[0]);
  ::close(ends[0]);
  if (report.empty()) {
    int status = 0;
    (void)::waitpid(pid, &status, 0);
    return {Code::kIo,
            "the process in the background ended before it was ready" +
                (WIFSIGNALED(status) ? ", by signal " + std::to_string(WTERMSIG(status)) : std::string())};
  }
  if (report[0] == static_cast<char>(Code::kOk)) return {};
  (void)::waitpid(pid, nullptr, 0);
  return {static_cast<Code>(report[0]), report.substr(1)};
}

}  // namespace curvefs::cli
