// The frame of the conformance suite: tests register themselves, run each in a process and a directory of its
// own, and count single checks. A failed check prints one line and the test goes on.
//
//   POSIX_TEST(unlink, missing_file) { EXPECT_ERRNO(ENOENT, unlink("nothing")); }
//
// Tests run with the working directory set to their own empty directory (mode 0777) and umask 0. Those that
// act as other users (As) need root and are skipped without it.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace posix {

// ---- Registration

struct TestCase {
  const char* area;
  const char* name;
  void (*run)();
  bool needs_root;
};
std::vector<TestCase>& AllTests();
struct Registrar {
  Registrar(const char* area, const char* name, void (*run)(), bool needs_root = false);
};

#define POSIX_TEST(area, name)                                                             \
  static void Test_##area##_##name();                                                      \
  static const ::posix::Registrar reg_##area##_##name(#area, #name, Test_##area##_##name); \
  static void Test_##area##_##name()
#define POSIX_ROOT_TEST(area, name)                                                              \
  static void Test_##area##_##name();                                                            \
  static const ::posix::Registrar reg_##area##_##name(#area, #name, Test_##area##_##name, true); \
  static void Test_##area##_##name()

// ---- Checks

// Each counts as one and returns whether it held. errno is that of the expression.
bool CheckResult(long rc, int error, int expected, const char* text, const char* file, int line);
bool CheckTrue(bool ok, const std::string& detail, const char* text, const char* file, int line);

#define EXPECT_ERRNO(code, expr)                                                \
  ([&] {                                                                        \
    errno = 0;                                                                  \
    const long rc_ = static_cast<long>(expr);                                   \
    return ::posix::CheckResult(rc_, errno, (code), #expr, __FILE__, __LINE__); \
  }())
#define EXPECT_OK(expr) EXPECT_ERRNO(0, expr)
#define EXPECT_TRUE(cond) ::posix::CheckTrue(static_cast<bool>(cond), {}, #cond, __FILE__, __LINE__)
#define EXPECT_EQ(want, got)                                                                                \
  ([&] {                                                                                                    \
    const auto want_ = (want);                                                                              \
    const auto got_ = (got);                                                                                \
    return ::posix::CheckTrue(static_cast<std::decay_t<decltype(got_)>>(want_) == got_,                     \
                              ::posix::Describe(want_) + " expected, got " + ::posix::Describe(got_), #got, \
                              __FILE__, __LINE__);                                                          \
  }())
// For steps that the rest of the test stands on: leaves the test when it fails.
#define REQUIRE_OK(expr)          \
  do {                            \
    if (!EXPECT_OK(expr)) return; \
  } while (0)

std::string Describe(const std::string& s);
inline std::string Describe(std::string_view s) {
  return Describe(std::string(s));
}
inline std::string Describe(const char* s) {
  return Describe(std::string(s));
}
template <typename T>
  requires(std::is_arithmetic_v<T> || std::is_enum_v<T>)
std::string Describe(T v) {
  return std::to_string(static_cast<long long>(v));
}

// Adds what a loop is at to the lines of failed checks, while it lives.
class Scope {
 public:
  explicit Scope(const std::string& what);
  ~Scope();
  Scope(const Scope&) = delete;

 private:
  size_t length_;
};
std::string Fmt(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Leaves the test, which then counts as skipped for this reason.
#define SKIP_TEST(reason)      \
  do {                         \
    ::posix::NoteSkip(reason); \
    return;                    \
  } while (0)
void NoteSkip(const std::string& reason);

// ---- Other users

struct User {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups = {};  // supplementary
};
inline const User kAlice{65531, 65531};
inline const User kBob{65532, 65532};

// Runs `body` in a child process as that user, in the same directory; its checks count as usual.
void As(const User& user, const std::function<void()>& body);
// Runs `body` in a child process, as whoever we are.
void InChild(const std::function<void()>& body);

// ---- Files

enum class Type { kFile, kDir, kFifo, kSocket, kChar, kBlock, kSymlink };
inline constexpr Type kAllTypes[] = {Type::kFile, Type::kDir,   Type::kFifo,   Type::kSocket,
                                     Type::kChar, Type::kBlock, Type::kSymlink};
inline constexpr Type kNotDirs[] = {Type::kFile, Type::kFifo,  Type::kSocket,
                                    Type::kChar, Type::kBlock, Type::kSymlink};
const char* TypeName(Type type);
// All types; without root those that can be made without it.
std::vector<Type> Types(bool dirs = true, bool symlinks = true);
// Makes one, mode 0644 (directories 0755); symlinks point to a name that does not exist.
bool Make(Type type, const std::string& path);
bool Make(Type type, const std::string& path, mode_t mode, uid_t uid, gid_t gid);
// unlink or rmdir, whichever suits.
int RemoveAny(const std::string& path);

struct stat Lstat(const std::string& path);  // zeros, and a failed check, if it cannot
struct stat Fstat(int fd);
inline mode_t ModeOf(const std::string& path) {
  return Lstat(path).st_mode & 07777;
}
bool Exists(const std::string& path);

bool WriteFile(const std::string& path, std::string_view content);  // creates or truncates
std::string ReadAll(const std::string& path);
std::string ReadAllFd(int fd);  // from offset 0
// Bytes that differ everywhere and depend on the seed.
std::string Pattern(size_t n, uint32_t seed = 1);
std::vector<std::string> List(const std::string& dir);  // sorted, without . and ..

// A descriptor that closes itself.
class Fd {
 public:
  Fd(int fd = -1) : fd_(fd) {}  // NOLINT
  Fd(const char* path, int flags, mode_t mode = 0644) : fd_(open(path, flags | O_CLOEXEC, mode)) {}
  ~Fd() { Close(); }
  Fd(const Fd&) = delete;
  Fd& operator=(Fd&& o) noexcept {
    Close();
    fd_ = o.fd_;
    o.fd_ = -1;
    return *this;
  }
  Fd(Fd&& o) noexcept : fd_(o.fd_) { o.fd_ = -1; }
  operator int() const { return fd_; }  // NOLINT
  int Close() {
    const int rc = fd_ >= 0 ? close(fd_) : 0;
    fd_ = -1;
    return rc;
  }

 private:
  int fd_;
};

// ---- Times

enum : int { kNone = 0, kAtime = 1, kMtime = 2, kCtime = 4, kData = kMtime | kCtime };
struct Touch {
  std::string path;
  int changed;  // exactly these of kMtime and kCtime change (kAtime is looked at only if given)
};
// Waits until the clock has moved past all times of the paths, runs op, and checks which of them changed.
void ExpectTimes(std::initializer_list<Touch> paths, const std::function<void()>& op, const char* file,
                 int line);
#define EXPECT_TIMES(op, ...) ::posix::ExpectTimes({__VA_ARGS__}, op, __FILE__, __LINE__)

inline bool operator<(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}
inline bool Same(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}
void WaitClockPast(const timespec& t);
// Sets atime and mtime by seconds.
int SetTimes(const char* path, time_t atime, time_t mtime);

// ---- The mount under test

bool IsRoot();
bool AllowsDevices();  // not mounted nodev
bool AllowsSetid();    // not mounted nosuid
const std::string& TopDirectory();
// A directory on another file system, or empty if there is none.
std::string OtherFileSystem();

}  // namespace posix
