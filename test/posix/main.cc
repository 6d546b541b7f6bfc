// posix_conformance DIR: runs all tests below DIR and says which checks fail.
#include <ftw.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <csignal>
#include <optional>

#include "harness.h"
#include "runner.h"

namespace posix {
namespace {

std::string top;

constexpr unsigned kTestSeconds = 120;

int RemoveOne(const char* path, const struct stat*, int, FTW*) {
  remove(path);
  return 0;
}
void RemoveTree(const std::string& path) {
  nftw(path.c_str(), RemoveOne, 64, FTW_DEPTH | FTW_PHYS);
}

void RunTest(const TestCase& test, bool verbose) {
  const std::string name = std::string(test.area) + "." + test.name;
  SetCurrentTest(name.c_str());
  if (test.needs_root && !IsRoot()) {
    NoteSkip("needs root");
    return;
  }
  const std::string dir = top + "/" + name;
  if (mkdir(dir.c_str(), 0777) != 0 || chmod(dir.c_str(), 0777) != 0) {
    Failure(__FILE__, __LINE__, "cannot make " + dir + ": " + strerror(errno));
    return;
  }
  timespec began, ended;
  clock_gettime(CLOCK_MONOTONIC, &began);
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(kTestSeconds);
    if (chdir(dir.c_str()) != 0) _exit(9);
    test.run();
    _exit(0);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  kill(-pid, SIGKILL);  // what the test may have left
  if (status != 0) {
    const bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    Failure(__FILE__, __LINE__,
            late ? Fmt("did not end within %u s", kTestSeconds) : Fmt("ended with status 0x%x", status));
  }
  RemoveTree(dir);
  clock_gettime(CLOCK_MONOTONIC, &ended);
  if (verbose) {
    printf("ran %s in %.3f s\n", name.c_str(),
           double(ended.tv_sec - began.tv_sec) + double(ended.tv_nsec - began.tv_nsec) * 1e-9);
    fflush(stdout);
  }
}

}  // namespace

const std::string& TopDirectory() {
  return top;
}

}  // namespace posix

int main(int argc, char** argv) {
  using namespace posix;
  std::string dir, filter;
  bool list = false, verbose = false, canary = false, here = false;
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    if (arg == "--list") {
      list = true;
    } else if (arg == "--verbose") {
      verbose = true;
    } else if (arg == "--canary") {
      canary = true;
    } else if (arg == "--here") {
      here = true;
    } else if (arg == "--filter" && i + 1 < argc) {
      filter = argv[++i];
    } else if (arg[0] != '-' && dir.empty()) {
      dir = arg;
    } else {
      dir.clear();
      break;
    }
  }
  if (dir.empty() && !list) {
    fprintf(stderr,
            "usage: posix_conformance DIR [--here] [--filter TEXT] [--list] [--verbose] [--canary]\n"
            "  DIR       a directory on the file system to test\n"
            "  --here    works in DIR itself, not in a directory of its own in it\n"
            "  --filter  only tests whose area.name contains TEXT\n"
            "  --canary  adds one check that must fail: the exit code must be 1\n");
    return 2;
  }
  if (list) {
    for (const TestCase& test : AllTests()) printf("%s.%s\n", test.area, test.name);
    return 0;
  }
  if (char* real = realpath(dir.c_str(), nullptr)) {
    dir = real;
    free(real);
  }
  umask(0);
  struct rlimit files = {4096, 4096};
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  top = here ? dir : dir + Fmt("/posix.%d", getpid());
  if (!here && mkdir(top.c_str(), 0755) != 0) {
    fprintf(stderr, "posix_conformance: cannot make %s: %s\n", top.c_str(), strerror(errno));
    return 2;
  }
  SharedCounters();
  for (const TestCase& test : AllTests()) {
    if ((std::string(test.area) + "." + test.name).find(filter) != std::string::npos) RunTest(test, verbose);
  }
  if (canary) {
    SetCurrentTest("canary");
    EXPECT_ERRNO(ENOENT, 0);
  }
  if (!here) rmdir(top.c_str());
  const Counters& c = SharedCounters();
  printf("%ld tests skipped\n%ld passed, %ld failed\n", c.skipped.load(), c.passed.load(), c.failed.load());
  return c.failed.load() == 0 ? 0 : 1;
}
