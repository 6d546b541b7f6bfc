#include "harness.h"

#include <dirent.h>
#include <ftw.h>
#include <grp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <atomic>

#include "runner.h"

namespace posix {
namespace {

std::string scope_text;  // of this process
Counters* counters = nullptr;
const char* current_test = "";

void Print(const std::string& line) {
  const std::string whole = line + "\n";
  if (write(STDOUT_FILENO, whole.data(), whole.size()) < 0) _exit(3);
}

}  // namespace

Counters& SharedCounters() {
  if (counters == nullptr) {
    void* at = mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) abort();
    counters = new (at) Counters;
  }
  return *counters;
}

void SetCurrentTest(const char* name) {
  current_test = name;
}

void Failure(const char* file, int line, const std::string& what) {
  SharedCounters().failed++;
  const char* base = strrchr(file, '/');
  Print(Fmt("FAIL %s %s:%d: ", current_test, base != nullptr ? base + 1 : file, line) + what + scope_text);
}

std::vector<TestCase>& AllTests() {
  static std::vector<TestCase> tests;
  return tests;
}

Registrar::Registrar(const char* area, const char* name, void (*run)(), bool needs_root) {
  AllTests().push_back({area, name, run, needs_root});
}

static std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error);
  return error == 0 ? "success" : name != nullptr ? name : std::to_string(error);
}

bool CheckResult(long rc, int error, int expected, const char* text, const char* file, int line) {
  const int got = rc == -1 ? error : 0;
  if (got == expected) {
    SharedCounters().passed++;
    return true;
  }
  Failure(file, line, std::string(text) + ": " + ErrnoName(expected) + " expected, got " + ErrnoName(got));
  return false;
}

bool CheckTrue(bool ok, const std::string& detail, const char* text, const char* file, int line) {
  if (ok) {
    SharedCounters().passed++;
    return true;
  }
  Failure(file, line, std::string(text) + (detail.empty() ? " does not hold" : ": " + detail));
  return false;
}

std::string Describe(const std::string& s) {
  std::string out = "\"";
  for (unsigned char c : s.substr(0, 60))
    out += c >= 32 && c < 127 ? std::string(1, char(c)) : Fmt("\\x%02x", c);
  return out + (s.size() > 60 ? Fmt("…\" (%zu bytes)", s.size()) : "\"");
}

Scope::Scope(const std::string& what) : length_(scope_text.size()) {
  scope_text += " [" + what + "]";
}
Scope::~Scope() {
  scope_text.resize(length_);
}

std::string Fmt(const char* format, ...) {
  char buffer[8192];
  va_list args;
  va_start(args, format);
  vsnprintf(buffer, sizeof buffer, format, args);
  va_end(args);
  return buffer;
}

void NoteSkip(const std::string& reason) {
  SharedCounters().skipped++;
  Print(std::string("SKIP ") + current_test + ": " + reason);
}

void InChild(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    body();
    _exit(0);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) Failure(__FILE__, __LINE__, Fmt("a child process ended with status 0x%x", status));
}

void As(const User& user, const std::function<void()>& body) {
  const Scope scope(Fmt("as %u:%u", user.uid, user.gid));
  InChild([&] {
    if (setgroups(user.groups.size(), user.groups.data()) != 0 ||
        setresgid(user.gid, user.gid, user.gid) != 0 || setresuid(user.uid, user.uid, user.uid) != 0) {
      _exit(9);
    }
    body();
  });
}

const char* TypeName(Type type) {
  switch (type) {
    case Type::kFile:
      return "file";
    case Type::kDir:
      return "dir";
    case Type::kFifo:
      return "fifo";
    case Type::kSocket:
      return "socket";
    case Type::kChar:
      return "char";
    case Type::kBlock:
      return "block";
    case Type::kSymlink:
      return "symlink";
  }
  return "?";
}

std::vector<Type> Types(bool dirs, bool symlinks) {
  std::vector<Type> types;
  for (Type type : kAllTypes) {
    if ((type == Type::kChar || type == Type::kBlock) && !IsRoot()) continue;
    if (type == Type::kDir && !dirs) continue;
    if (type == Type::kSymlink && !symlinks) continue;
    types.push_back(type);
  }
  return types;
}

bool Make(Type type, const std::string& path) {
  const char* p = path.c_str();
  switch (type) {
    case Type::kFile:
      return EXPECT_OK(Fd(p, O_CREAT | O_EXCL | O_WRONLY, 0644));
    case Type::kDir:
      return EXPECT_OK(mkdir(p, 0755));
    case Type::kFifo:
      return EXPECT_OK(mkfifo(p, 0644));
    case Type::kSocket:
      return EXPECT_OK(mknod(p, S_IFSOCK | 0644, 0));
    case Type::kChar:
      return EXPECT_OK(mknod(p, S_IFCHR | 0644, makedev(1, 3)));
    case Type::kBlock:
      return EXPECT_OK(mknod(p, S_IFBLK | 0644, makedev(240, 70)));
    case Type::kSymlink:
      return EXPECT_OK(symlink("no-such-target", p));
  }
  return false;
}

bool Make(Type type, const std::string& path, mode_t mode, uid_t uid, gid_t gid) {
  bool ok = Make(type, path) && EXPECT_OK(lchown(path.c_str(), uid, gid));
  if (type != Type::kSymlink) ok = ok && EXPECT_OK(chmod(path.c_str(), mode));
  return ok;
}

int RemoveAny(const std::string& path) {
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) return -1;
  return S_ISDIR(st.st_mode) ? rmdir(path.c_str()) : unlink(path.c_str());
}

struct stat Lstat(const std::string& path) {
  struct stat st = {};
  if (lstat(path.c_str(), &st) != 0) {
    Failure(__FILE__, __LINE__, "lstat " + Describe(path) + ": " + ErrnoName(errno));
    st = {};
  }
  return st;
}

struct stat Fstat(int fd) {
  struct stat st = {};
  if (fstat(fd, &st) != 0) {
    Failure(__FILE__, __LINE__, "fstat: " + ErrnoName(errno));
    st = {};
  }
  return st;
}

bool Exists(const std::string& path) {
  struct stat st;
  return lstat(path.c_str(), &st) == 0;
}

bool WriteFile(const std::string& path, std::string_view content) {
  Fd fd(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY);
  while (fd >= 0 && !content.empty()) {
    const ssize_t n = write(fd, content.data(), content.size());
    if (n <= 0) break;
    content.remove_prefix(n);
  }
  const bool ok = fd >= 0 && content.empty() && fd.Close() == 0;
  if (!ok) Failure(__FILE__, __LINE__, "writing " + Describe(path) + ": " + ErrnoName(errno));
  return ok;
}

std::string ReadAllFd(int fd) {
  std::string content;
  std::vector<char> buffer(1 << 16);
  for (;;) {
    const ssize_t n = pread(fd, buffer.data(), buffer.size(), content.size());
    if (n < 0) {
      Failure(__FILE__, __LINE__, "reading: " + ErrnoName(errno));
      break;
    }
    if (n == 0) break;
    content.append(buffer.data(), n);
  }
  return content;
}

std::string ReadAll(const std::string& path) {
  Fd fd(path.c_str(), O_RDONLY);
  if (fd < 0) {
    Failure(__FILE__, __LINE__, "opening " + Describe(path) + ": " + ErrnoName(errno));
    return {};
  }
  return ReadAllFd(fd);
}

std::string Pattern(size_t n, uint32_t seed) {
  std::string bytes(n, 0);
  uint32_t x = seed * 2654435761u + 1;
  for (char& b : bytes) {
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    b = static_cast<char>(x | 1);  // never zero: holes show
  }
  return bytes;
}

std::vector<std::string> List(const std::string& dir) {
  std::vector<std::string> names;
  DIR* d = opendir(dir.c_str());
  if (d == nullptr) {
    Failure(__FILE__, __LINE__, "opendir " + Describe(dir) + ": " + ErrnoName(errno));
    return names;
  }
  while (const dirent* e = readdir(d)) {
    const std::string name = e->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(d);
  std::sort(names.begin(), names.end());
  return names;
}

void WaitClockPast(const timespec& t) {
  timespec now;
  do {
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
  } while (!(t < now));
}

int SetTimes(const char* path, time_t atime, time_t mtime) {
  const timespec times[2] = {{atime, 0}, {mtime, 0}};
  return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

void ExpectTimes(std::initializer_list<Touch> paths, const std::function<void()>& op, const char* file,
                 int line) {
  std::vector<struct stat> before;
  timespec latest = {};
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  for (const Touch& touch : paths) {
    before.push_back(Lstat(touch.path));
    for (const timespec& t : {before.back().st_atim, before.back().st_mtim, before.back().st_ctim}) {
      if (latest < t && t.tv_sec <= now.tv_sec + 1) latest = t;
    }
  }
  WaitClockPast(latest);
  op();
  size_t i = 0;
  for (const Touch& touch : paths) {
    const struct stat& old = before[i++];
    const struct stat st = Lstat(touch.path);
    const auto check = [&](int bit, const char* name, const timespec& was, const timespec& is) {
      const bool want = (touch.changed & bit) != 0;
      if (bit == kAtime && !want) return;
      const std::string text = std::string(name) + " of " + touch.path;
      CheckTrue(want ? was < is : Same(was, is),
                Fmt("%s, was %ld.%09ld, is %ld.%09ld", want ? "must move on" : "must stay", long(was.tv_sec),
                    was.tv_nsec, long(is.tv_sec), is.tv_nsec),
                text.c_str(), file, line);
    };
    check(kAtime, "atime", old.st_atim, st.st_atim);
    check(kMtime, "mtime", old.st_mtim, st.st_mtim);
    check(kCtime, "ctime", old.st_ctim, st.st_ctim);
  }
}

bool IsRoot() {
  return geteuid() == 0;
}

static unsigned long MountFlags() {
  struct statvfs st = {};
  statvfs(TopDirectory().c_str(), &st);
  return st.f_flag;
}
bool AllowsDevices() {
  return (MountFlags() & ST_NODEV) == 0;
}
bool AllowsSetid() {
  return (MountFlags() & ST_NOSUID) == 0;
}

std::string OtherFileSystem() {
  struct stat here, there;
  if (stat(TopDirectory().c_str(), &here) != 0) return {};
  for (const char* dir : {"/dev/shm", "/tmp", "/var/tmp"}) {
    if (stat(dir, &there) == 0 && there.st_dev != here.st_dev && access(dir, W_OK) == 0) return dir;
  }
  return {};
}

}  // namespace posix
