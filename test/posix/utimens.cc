// utimensat and futimens; the rules of atime.
#include <sys/time.h>
#include <utime.h>

#include "harness.h"

namespace posix {
namespace {

int Set(const char* path, timespec atime, timespec mtime, int flags = 0) {
  const timespec times[2] = {atime, mtime};
  return utimensat(AT_FDCWD, path, times, flags);
}
const timespec kNow = {0, UTIME_NOW};
const timespec kOmit = {0, UTIME_OMIT};

bool IsNow(const timespec& t) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return t.tv_sec >= now.tv_sec - 5 && t.tv_sec <= now.tv_sec + 1;
}

}  // namespace

POSIX_TEST(utimens, nanoseconds_of_every_type) {
  for (Type type : Types()) {
    const Scope scope(TypeName(type));
    Make(type, "f");
    for (long nsec : {0L, 1L, 123456789L, 999999999L, 500000001L}) {
      EXPECT_OK(Set("f", {1500000000, nsec}, {1600000000, 999999999 - nsec}, AT_SYMLINK_NOFOLLOW));
      const struct stat st = Lstat("f");
      EXPECT_EQ(1500000000, st.st_atim.tv_sec);
      EXPECT_EQ(nsec, st.st_atim.tv_nsec);
      EXPECT_EQ(1600000000, st.st_mtim.tv_sec);
      EXPECT_EQ(999999999 - nsec, st.st_mtim.tv_nsec);
    }
    RemoveAny("f");
  }
}

POSIX_TEST(utimens, seconds_far_and_negative) {
  Make(Type::kFile, "f");
  for (long sec : {0L, -1L, -1000000000L, -2147483647L, 2147483647L, 2147483648L, 4294967295L, 4294967296L,
                   8589934591L}) {
    const Scope scope(Fmt("second %ld", sec));
    for (long nsec : {0L, 1L, 999999999L}) {
      EXPECT_OK(Set("f", {sec, nsec}, {sec, nsec}));
      const struct stat st = Lstat("f");
      EXPECT_EQ(sec, st.st_mtim.tv_sec);
      EXPECT_EQ(nsec, st.st_mtim.tv_nsec);
      EXPECT_EQ(sec, st.st_atim.tv_sec);
      EXPECT_EQ(nsec, st.st_atim.tv_nsec);
    }
  }
}

POSIX_TEST(utimens, now_and_omit) {
  for (Type type : Types()) {
    const Scope scope(TypeName(type));
    const int flags = AT_SYMLINK_NOFOLLOW;
    Make(type, "f");
    EXPECT_OK(Set("f", {1000, 1}, {2000, 2}, flags));
    EXPECT_OK(Set("f", kOmit, {3000, 3}, flags));
    EXPECT_EQ(1000, Lstat("f").st_atime);
    EXPECT_EQ(3000, Lstat("f").st_mtime);
    EXPECT_OK(Set("f", {4000, 4}, kOmit, flags));
    EXPECT_EQ(4000, Lstat("f").st_atime);
    EXPECT_EQ(3000, Lstat("f").st_mtime);
    EXPECT_EQ(3, Lstat("f").st_mtim.tv_nsec);
    EXPECT_OK(Set("f", kNow, kOmit, flags));
    EXPECT_TRUE(IsNow(Lstat("f").st_atim));
    EXPECT_EQ(3000, Lstat("f").st_mtime);
    EXPECT_OK(Set("f", {1000, 1}, kNow, flags));
    EXPECT_EQ(1000, Lstat("f").st_atime);
    EXPECT_TRUE(IsNow(Lstat("f").st_mtim));
    EXPECT_OK(Set("f", {1000, 1}, {2000, 2}, flags));
    EXPECT_OK(utimensat(AT_FDCWD, "f", nullptr, flags));
    EXPECT_TRUE(IsNow(Lstat("f").st_atim));
    EXPECT_TRUE(IsNow(Lstat("f").st_mtim));
    EXPECT_TRUE(Same(Lstat("f").st_mtim, Lstat("f").st_atim));
    RemoveAny("f");
  }
}

POSIX_TEST(utimens, ctime) {
  for (Type type : Types()) {
    const Scope scope(TypeName(type));
    Make(Type::kDir, "p");
    Make(type, "p/f");
    const int flags = AT_SYMLINK_NOFOLLOW;
    EXPECT_OK(Set("p/f", {1, 0}, {2, 0}, flags));
    EXPECT_TIMES([&] { EXPECT_OK(Set("p/f", {5, 0}, {2, 0}, flags)); }, {"p/f", kCtime | kAtime},
                 {"p", kNone});
    EXPECT_TIMES([&] { EXPECT_OK(Set("p/f", {5, 0}, {7, 0}, flags)); }, {"p/f", kCtime | kMtime},
                 {"p", kNone});
    EXPECT_TIMES([&] { EXPECT_OK(Set("p/f", kOmit, kOmit, flags)); }, {"p/f", kNone}, {"p", kNone});
    EXPECT_EQ(5, Lstat("p/f").st_atime);
    RemoveAny("p/f");
    rmdir("p");
  }
}

POSIX_TEST(utimens, bad_arguments) {
  Make(Type::kFile, "f");
  EXPECT_ERRNO(EINVAL, Set("f", {1, 1000000000}, {1, 0}));
  EXPECT_ERRNO(EINVAL, Set("f", {1, 0}, {1, -1}));
  EXPECT_ERRNO(EINVAL, Set("f", {1, -5}, {1, 0}));
  EXPECT_ERRNO(EINVAL, Set("f", {1, 0}, {1, 0}, 0x40000000));
  const timespec good[2] = {{1, 0}, {2, 0}};
  EXPECT_ERRNO(EBADF, futimens(1000, good));
}

POSIX_TEST(utimens, by_descriptor_and_old_calls) {
  Make(Type::kFile, "f");
  Make(Type::kDir, "d");
  const timespec times[2] = {{111, 222}, {333, 444}};
  for (const char* path : {"f", "d"}) {
    Fd fd(path, O_RDONLY);
    EXPECT_OK(futimens(fd, times));
    EXPECT_EQ(222, Fstat(fd).st_atim.tv_nsec);
    EXPECT_EQ(333, Lstat(path).st_mtime);
    const timeval tv[2] = {{10, 20}, {30, 40}};
    EXPECT_OK(utimes(path, tv));
    EXPECT_EQ(40000, Lstat(path).st_mtim.tv_nsec);
    const utimbuf ub = {50, 60};
    EXPECT_OK(utime(path, &ub));
    EXPECT_EQ(60, Fstat(fd).st_mtime);
    EXPECT_EQ(0, Fstat(fd).st_mtim.tv_nsec);
  }
}

POSIX_TEST(utimens, symlink_itself_or_target) {
  Make(Type::kFile, "f");
  EXPECT_OK(symlink("f", "l"));
  EXPECT_OK(Set("f", {1, 0}, {2, 0}));
  EXPECT_OK(Set("l", {3, 0}, {4, 0}, AT_SYMLINK_NOFOLLOW));
  EXPECT_EQ(2, Lstat("f").st_mtime);
  EXPECT_EQ(4, Lstat("l").st_mtime);
  EXPECT_OK(Set("l", {5, 0}, {6, 0}));
  EXPECT_EQ(6, Lstat("f").st_mtime);
  EXPECT_EQ(4, Lstat("l").st_mtime);
}

POSIX_ROOT_TEST(utimens, who_may) {
  for (Type type : Types(true, false)) {
    const Scope scope(TypeName(type));
    Make(type, "f", 0644, kAlice.uid, kAlice.gid);
    EXPECT_OK(Set("f", {1, 0}, {2, 0}));
    As(kAlice, [] {
      EXPECT_OK(Set("f", {3, 0}, {4, 0}));
      EXPECT_OK(Set("f", kNow, kNow));
      EXPECT_OK(Set("f", kNow, kOmit));
      EXPECT_OK(Set("f", {3, 0}, {4, 0}));
    });
    EXPECT_TIMES(
        [] {
          As(kBob, [] {
            EXPECT_ERRNO(EPERM, Set("f", {5, 0}, {6, 0}));
            EXPECT_ERRNO(EPERM, Set("f", kOmit, {6, 0}));
            EXPECT_ERRNO(EPERM, Set("f", kNow, {6, 0}));
            EXPECT_ERRNO(EPERM, Set("f", kNow, kOmit));
            EXPECT_ERRNO(EPERM, Set("f", kOmit, kNow));
            EXPECT_ERRNO(EACCES, Set("f", kNow, kNow));
            EXPECT_ERRNO(EACCES, utimensat(AT_FDCWD, "f", nullptr, 0));
            EXPECT_OK(Set("f", kOmit, kOmit));
          });
        },
        {"f", kNone});
    EXPECT_OK(chmod("f", 0666));  // who may write may set the time to now, and only to now
    As(kBob, [] {
      EXPECT_OK(utimensat(AT_FDCWD, "f", nullptr, 0));
      EXPECT_OK(Set("f", kNow, kNow));
      EXPECT_ERRNO(EPERM, Set("f", {5, 0}, {6, 0}));
      EXPECT_ERRNO(EPERM, Set("f", kNow, kOmit));
    });
    RemoveAny("f");
  }
}

POSIX_TEST(utimens, survive_closing_after_write) {
  Fd fd("f", O_CREAT | O_RDWR);
  EXPECT_EQ(5, write(fd, "hello", 5));
  const timespec times[2] = {{1111, 11}, {2222, 22}};
  EXPECT_OK(futimens(fd, times));
  EXPECT_OK(fsync(fd));
  EXPECT_EQ(2222, Fstat(fd).st_mtime);
  EXPECT_OK(fd.Close());
  EXPECT_EQ(2222, Lstat("f").st_mtime);  // late write-back must not move it
  EXPECT_EQ(22, Lstat("f").st_mtim.tv_nsec);
  EXPECT_EQ(1111, Lstat("f").st_atime);
}

POSIX_TEST(utimens, survive_rename_link_and_reopen) {
  WriteFile("f", "hello");
  EXPECT_OK(Set("f", {1111, 11}, {2222, 22}));
  EXPECT_OK(rename("f", "g"));
  EXPECT_OK(link("g", "h"));
  EXPECT_OK(unlink("g"));
  EXPECT_OK(chmod("h", 0600));
  EXPECT_OK(Fd("h", O_RDWR));
  EXPECT_OK(Fd("h", O_WRONLY | O_APPEND));
  EXPECT_EQ(2222, Lstat("h").st_mtime);
  EXPECT_EQ(1111, Lstat("h").st_atime);
}

// relatime: a read moves atime on only if it is not newer than mtime or ctime, or is a day old.
POSIX_TEST(atime, relatime_file) {
  WriteFile("f", "hello");
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const auto read_once = [] {
    Fd fd("f", O_RDONLY);
    char b[8];
    EXPECT_EQ(5, read(fd, b, sizeof b));
  };
  EXPECT_OK(Set("f", {now.tv_sec - 100, 0}, {now.tv_sec - 50, 0}));  // read before the last change
  read_once();
  EXPECT_TRUE(IsNow(Lstat("f").st_atim));
  EXPECT_OK(Set("f", {now.tv_sec - 3 * 86400, 0}, {now.tv_sec - 4 * 86400, 0}));  // more than a day ago
  read_once();
  EXPECT_TRUE(IsNow(Lstat("f").st_atim));
  // A write makes the next read count again.
  const struct stat st = Lstat("f");
  WaitClockPast(st.st_atim);
  Fd fd("f", O_WRONLY);
  EXPECT_EQ(1, pwrite(fd, "H", 1, 0));
  fd.Close();
  read_once();
  EXPECT_TRUE(st.st_atim < Lstat("f").st_atim);
  EXPECT_TRUE(!(Lstat("f").st_atim < Lstat("f").st_mtim));
}

POSIX_TEST(atime, a_fresh_one_stays) {
  WriteFile("f", "hello");
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  // atime later than mtime and ctime, and less than a day ago: reading leaves it.
  EXPECT_OK(Set("f", {now.tv_sec + 1000, 0}, {now.tv_sec - 2000, 0}));
  EXPECT_EQ(std::string("hello"), ReadAll("f"));
  EXPECT_EQ(now.tv_sec + 1000, Lstat("f").st_atime);
}

POSIX_TEST(atime, reading_changes_nothing_else) {
  WriteFile("f", "hello");
  EXPECT_OK(Set("f", {1, 0}, {2, 0}));
  EXPECT_TIMES([] { ReadAll("f"); }, {"f", kAtime});
  EXPECT_OK(Set("f", {1, 0}, {2, 0}));
  EXPECT_TIMES(
      [] {
        Fd fd("f", O_RDONLY | O_NOATIME);
        char b[8];
        EXPECT_EQ(5, read(fd, b, sizeof b));
      },
      {"f", kNone});
  EXPECT_EQ(1, Lstat("f").st_atime);
}

POSIX_TEST(atime, directory_and_symlink) {
  Make(Type::kDir, "d");
  Make(Type::kFile, "d/x");
  EXPECT_OK(Set("d", {1, 0}, {2, 0}));
  EXPECT_TIMES([] { List("d"); }, {"d", kAtime});
  EXPECT_OK(symlink("d", "l"));
  EXPECT_OK(Set("l", {1, 0}, {2, 0}, AT_SYMLINK_NOFOLLOW));
  char b[8];
  EXPECT_TIMES([&] { EXPECT_EQ(1, readlink("l", b, sizeof b)); }, {"l", kAtime});
}

POSIX_ROOT_TEST(atime, noatime_only_for_the_owner) {
  Make(Type::kFile, "f", 0666, kAlice.uid, kAlice.gid);
  As(kAlice, [] { EXPECT_OK(Fd("f", O_RDONLY | O_NOATIME)); });
  As(kBob, [] { EXPECT_ERRNO(EPERM, Fd("f", O_RDONLY | O_NOATIME)); });
}

}  // namespace posix
