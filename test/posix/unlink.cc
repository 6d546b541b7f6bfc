// link, unlink, rmdir; files and directories that are open without a name; O_TMPFILE.
#include <dirent.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "harness.h"

namespace posix {

POSIX_TEST(link, counts_and_sharing) {
  for (Type type : Types(false, true)) {
    const Scope scope(TypeName(type));
    Make(type, "a");
    EXPECT_OK(link("a", "b"));
    EXPECT_EQ(2u, Lstat("a").st_nlink);
    EXPECT_OK(link("b", "c"));
    for (const char* name : {"a", "b", "c"}) {
      EXPECT_EQ(3u, Lstat(name).st_nlink);
      EXPECT_EQ(Lstat("a").st_ino, Lstat(name).st_ino);
      EXPECT_EQ(Lstat("a").st_mode, Lstat(name).st_mode);
    }
    if (type != Type::kSymlink) {
      EXPECT_OK(chmod("b", 0611));
      EXPECT_EQ(0611u, ModeOf("c"));
    }
    if (IsRoot()) {
      EXPECT_OK(lchown("c", 31, 32));
      EXPECT_EQ(31u, Lstat("a").st_uid);
    }
    EXPECT_OK(unlink("a"));
    EXPECT_EQ(2u, Lstat("b").st_nlink);
    EXPECT_OK(unlink("b"));
    EXPECT_EQ(1u, Lstat("c").st_nlink);
    EXPECT_TRUE(!Exists("a"));
    EXPECT_OK(unlink("c"));
  }
}

POSIX_TEST(link, times) {
  for (Type type : Types(false, true)) {
    const Scope scope(TypeName(type));
    Make(Type::kDir, "p");
    Make(Type::kDir, "q");
    Make(type, "p/a");
    EXPECT_TIMES([] { EXPECT_OK(link("p/a", "q/b")); }, {"p/a", kCtime}, {"p", kNone}, {"q", kData});
    EXPECT_TIMES([] { EXPECT_ERRNO(EEXIST, link("p/a", "q/b")); }, {"p/a", kNone}, {"p", kNone},
                 {"q", kNone});
    EXPECT_TIMES([] { EXPECT_OK(unlink("q/b")); }, {"p/a", kCtime}, {"p", kNone}, {"q", kData});
    unlink("p/a");
    rmdir("p");
    rmdir("q");
  }
}

POSIX_TEST(link, errors) {
  Make(Type::kDir, "d");
  EXPECT_ERRNO(EPERM, link("d", "d2"));
  EXPECT_ERRNO(EPERM, link(".", "d2"));
  Make(Type::kFile, "f");
  EXPECT_ERRNO(EEXIST, link("f", "d"));
  EXPECT_ERRNO(EEXIST, link("f", "f"));
  EXPECT_ERRNO(ENOENT, link("f", "f2/"));
  EXPECT_ERRNO(ENOTDIR, link("f/", "f2"));
  EXPECT_ERRNO(EINVAL, linkat(AT_FDCWD, "f", AT_FDCWD, "g", 0x40000000));
  EXPECT_EQ(1u, Lstat("f").st_nlink);
}

POSIX_TEST(link, symlink_or_its_target) {
  WriteFile("f", "x");
  EXPECT_OK(symlink("f", "s"));
  EXPECT_OK(linkat(AT_FDCWD, "s", AT_FDCWD, "hard-to-symlink", 0));
  EXPECT_OK(linkat(AT_FDCWD, "s", AT_FDCWD, "hard-to-file", AT_SYMLINK_FOLLOW));
  EXPECT_TRUE(S_ISLNK(Lstat("hard-to-symlink").st_mode));
  EXPECT_EQ(Lstat("f").st_ino, Lstat("hard-to-file").st_ino);
  EXPECT_EQ(2u, Lstat("s").st_nlink);
}

POSIX_TEST(link, thousands) {
  Make(Type::kFile, "f");
  constexpr unsigned kLinks = 5000;
  for (unsigned i = 1; i < kLinks; i++) REQUIRE_OK(link("f", Fmt("link-%u", i).c_str()));
  EXPECT_EQ(kLinks, Lstat("f").st_nlink);
  EXPECT_EQ(size_t(kLinks), List(".").size());
  for (unsigned i = 1; i < kLinks; i++) REQUIRE_OK(unlink(Fmt("link-%u", i).c_str()));
  EXPECT_EQ(1u, Lstat("f").st_nlink);
}

POSIX_TEST(link, data_through_any_name) {
  WriteFile("a", "first");
  EXPECT_OK(link("a", "b"));
  EXPECT_EQ(std::string("first"), ReadAll("b"));
  WriteFile("b", "second content");
  EXPECT_EQ(std::string("second content"), ReadAll("a"));
  EXPECT_EQ(14, Lstat("a").st_size);
  Fd fd("a", O_WRONLY | O_APPEND);
  EXPECT_EQ(4, write(fd, "more", 4));
  EXPECT_EQ(18, Lstat("b").st_size);
  EXPECT_EQ(std::string("second contentmore"), ReadAll("b"));
}

POSIX_TEST(unlink, every_type_and_times) {
  for (Type type : Types(false, true)) {
    const Scope scope(TypeName(type));
    Make(Type::kDir, "p");
    Make(type, "p/a");
    EXPECT_TIMES([] { EXPECT_OK(unlink("p/a")); }, {"p", kData});
    EXPECT_TRUE(!Exists("p/a"));
    EXPECT_ERRNO(ENOENT, unlink("p/a"));
    EXPECT_TIMES([] { EXPECT_ERRNO(ENOENT, unlink("p/a")); }, {"p", kNone});
    EXPECT_OK(rmdir("p"));
  }
}

POSIX_TEST(unlink, directory) {
  Make(Type::kDir, "d");
  EXPECT_ERRNO(EISDIR, unlink("d"));
  EXPECT_ERRNO(EISDIR, unlink("d/"));
  EXPECT_TRUE(Exists("d"));
}

POSIX_TEST(rmdir, errors) {
  Make(Type::kDir, "d");
  Make(Type::kDir, "d/e");
  EXPECT_ERRNO(ENOTEMPTY, rmdir("d"));
  EXPECT_ERRNO(EINVAL, rmdir("d/e/."));
  EXPECT_ERRNO(ENOTEMPTY, rmdir("d/e/.."));
  for (Type type : Types(true, true)) {
    const Scope scope(TypeName(type));
    Make(Type::kDir, "p");
    Make(type, "p/x");
    EXPECT_TIMES([] { EXPECT_ERRNO(ENOTEMPTY, rmdir("p")); }, {"p", kNone});
    RemoveAny("p/x");
    EXPECT_OK(rmdir("p"));
  }
}

POSIX_TEST(rmdir, times_and_parent) {
  Make(Type::kDir, "p");
  Make(Type::kDir, "p/d");
  EXPECT_EQ(3u, Lstat("p").st_nlink);
  EXPECT_TIMES([] { EXPECT_OK(rmdir("p/d")); }, {"p", kData});
  EXPECT_EQ(2u, Lstat("p").st_nlink);
  EXPECT_ERRNO(ENOENT, rmdir("p/d"));
}

POSIX_TEST(rmdir, mount_point_is_busy_or_root) {
  EXPECT_ERRNO(EBUSY, rmdir("/proc"));
}

POSIX_TEST(open_unlinked, file_lives_until_closed) {
  WriteFile("f", "some content");
  Fd fd("f", O_RDWR);
  Fd second("f", O_RDONLY);
  const ino_t ino = Fstat(fd).st_ino;
  EXPECT_OK(unlink("f"));
  EXPECT_TRUE(!Exists("f"));
  EXPECT_EQ(0u, Fstat(fd).st_nlink);
  EXPECT_EQ(ino, Fstat(second).st_ino);
  EXPECT_EQ(std::string("some content"), ReadAllFd(fd));
  const std::string big = Pattern(300000);
  EXPECT_EQ(ssize_t(big.size()), pwrite(fd, big.data(), big.size(), 0));
  EXPECT_EQ(big, ReadAllFd(second));
  EXPECT_OK(fsync(fd));
  EXPECT_OK(ftruncate(fd, 1000));
  EXPECT_EQ(1000, Fstat(second).st_size);
  EXPECT_OK(fchmod(fd, 0600));
  EXPECT_OK(fsetxattr(fd, "user.a", "b", 1, 0));
  EXPECT_EQ(0600u, Fstat(fd).st_mode & 07777);
  const timespec times[2] = {{1, 2}, {3, 4}};
  EXPECT_OK(futimens(fd, times));
  EXPECT_EQ(3, Fstat(fd).st_mtime);
  WriteFile("f", "a new one");
  EXPECT_TRUE(Lstat("f").st_ino != ino);
  EXPECT_EQ(std::string("a new one"), ReadAll("f"));
  EXPECT_EQ(big.substr(0, 1000), ReadAllFd(fd));
  EXPECT_OK(fd.Close());
  EXPECT_EQ(big.substr(0, 1000), ReadAllFd(second));
}

POSIX_TEST(open_unlinked, replaced_by_rename) {
  WriteFile("old", "old content");
  WriteFile("new", "new content");
  Fd fd("old", O_RDWR);
  EXPECT_OK(rename("new", "old"));
  EXPECT_EQ(0u, Fstat(fd).st_nlink);
  EXPECT_EQ(std::string("old content"), ReadAllFd(fd));
  EXPECT_EQ(3, pwrite(fd, "OLD", 3, 0));
  EXPECT_EQ(std::string("OLD content"), ReadAllFd(fd));
  EXPECT_EQ(std::string("new content"), ReadAll("old"));
}

POSIX_TEST(open_unlinked, directory) {
  Make(Type::kDir, "d");
  Fd dir("d", O_RDONLY | O_DIRECTORY);
  EXPECT_OK(rmdir("d"));
  EXPECT_EQ(0u, Fstat(dir).st_nlink);
  EXPECT_TRUE(S_ISDIR(Fstat(dir).st_mode));
  DIR* stream = fdopendir(dup(dir));
  EXPECT_TRUE(stream != nullptr);
  while (const dirent* e = readdir(stream)) EXPECT_TRUE(e->d_name[0] == '.');
  closedir(stream);
  EXPECT_OK(fchmod(dir, 0700));
  Make(Type::kDir, "d");
  EXPECT_TRUE(Lstat("d").st_ino != Fstat(dir).st_ino);
}

POSIX_TEST(open_unlinked, working_directory_of_a_process) {
  Make(Type::kDir, "d");
  InChild([] {
    EXPECT_OK(chdir("d"));
    EXPECT_OK(rmdir("../d") == 0 ? 0 : -1);
    char here[PATH_MAX];
    EXPECT_ERRNO(ENOENT, getcwd(here, sizeof here) != nullptr ? 0 : -1);
    EXPECT_ERRNO(ENOENT, Fd("f", O_CREAT | O_WRONLY));
    struct stat st;
    EXPECT_OK(stat(".", &st));
  });
}

POSIX_TEST(open_unlinked, relink_by_proc_is_refused) {
  WriteFile("f", "x");
  Fd fd("f", O_RDWR);
  EXPECT_OK(unlink("f"));
  EXPECT_ERRNO(ENOENT, linkat(AT_FDCWD, Fmt("/proc/self/fd/%d", int(fd)).c_str(), AT_FDCWD, "again",
                              AT_SYMLINK_FOLLOW));
}

POSIX_TEST(open_unlinked, reopened_by_proc) {
  WriteFile("f", "content");
  Fd fd("f", O_RDONLY);
  EXPECT_OK(unlink("f"));
  Fd again(Fmt("/proc/self/fd/%d", int(fd)).c_str(), O_RDWR);
  REQUIRE_OK(again);
  EXPECT_EQ(7, pwrite(again, "CONTENT", 7, 0));
  EXPECT_EQ(std::string("CONTENT"), ReadAllFd(fd));
}

POSIX_TEST(open_unlinked, hundreds_at_once) {
  std::vector<Fd> fds;
  for (int i = 0; i < 500; i++) {
    fds.emplace_back("f", O_CREAT | O_EXCL | O_RDWR);
    const std::string text = Fmt("file %d", i);
    EXPECT_EQ(ssize_t(text.size()), write(fds.back(), text.data(), text.size()));
    EXPECT_OK(unlink("f"));
  }
  for (int i = 0; i < 500; i++) EXPECT_EQ(Fmt("file %d", i), ReadAllFd(fds[i]));
  EXPECT_EQ(0u, List(".").size());
}

namespace {
int TmpFile(const char* dir, int flags, mode_t mode) {
  return open(dir, O_TMPFILE | flags | O_CLOEXEC, mode);
}
bool HasTmpFile() {
  Fd fd(TmpFile(".", O_RDWR, 0600));
  return fd >= 0;
}
}  // namespace

POSIX_TEST(tmpfile, becomes_a_file) {
  if (!HasTmpFile()) SKIP_TEST("no O_TMPFILE here");
  Fd fd(TmpFile(".", O_RDWR, 0640));
  REQUIRE_OK(fd);
  EXPECT_EQ(0u, Fstat(fd).st_nlink);
  EXPECT_EQ(S_IFREG | 0640u, Fstat(fd).st_mode);
  EXPECT_EQ(0u, List(".").size());
  const std::string content = Pattern(100000);
  EXPECT_EQ(ssize_t(content.size()), write(fd, content.data(), content.size()));
  const std::string self = Fmt("/proc/self/fd/%d", int(fd));
  EXPECT_OK(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  EXPECT_EQ(1u, Fstat(fd).st_nlink);
  EXPECT_EQ(Fstat(fd).st_ino, Lstat("named").st_ino);
  EXPECT_OK(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, "second", AT_SYMLINK_FOLLOW));
  EXPECT_ERRNO(EEXIST, linkat(AT_FDCWD, self.c_str(), AT_FDCWD, "second", AT_SYMLINK_FOLLOW));
  EXPECT_OK(fd.Close());
  EXPECT_EQ(content, ReadAll("named"));
  EXPECT_EQ(2u, Lstat("second").st_nlink);
}

POSIX_TEST(tmpfile, excl_can_never_be_linked) {
  if (!HasTmpFile()) SKIP_TEST("no O_TMPFILE here");
  Fd fd(TmpFile(".", O_RDWR | O_EXCL, 0600));
  REQUIRE_OK(fd);
  EXPECT_ERRNO(ENOENT, linkat(AT_FDCWD, Fmt("/proc/self/fd/%d", int(fd)).c_str(), AT_FDCWD, "named",
                              AT_SYMLINK_FOLLOW));
  EXPECT_EQ(3, write(fd, "abc", 3));
  EXPECT_EQ(std::string("abc"), ReadAllFd(fd));
}

POSIX_TEST(tmpfile, errors_and_times) {
  if (!HasTmpFile()) SKIP_TEST("no O_TMPFILE here");
  Make(Type::kFile, "f");
  Make(Type::kDir, "d");
  EXPECT_ERRNO(EINVAL, TmpFile(".", O_RDONLY, 0600));
  EXPECT_ERRNO(ENOTDIR, TmpFile("f", O_RDWR, 0600));
  EXPECT_ERRNO(ENOENT, TmpFile("missing", O_RDWR, 0600));
  EXPECT_TIMES([] { EXPECT_OK(Fd(TmpFile("d", O_RDWR, 0600))); }, {"d", kNone});
  EXPECT_OK(rmdir("d"));
}

POSIX_ROOT_TEST(tmpfile, owner_and_permissions) {
  if (!HasTmpFile()) SKIP_TEST("no O_TMPFILE here");
  EXPECT_OK(mkdir("d", 0777));
  EXPECT_OK(mkdir("closed", 0755));
  As(kAlice, [] {
    umask(027);
    Fd fd(TmpFile("d", O_RDWR, 0666));
    REQUIRE_OK(fd);
    EXPECT_EQ(kAlice.uid, Fstat(fd).st_uid);
    EXPECT_EQ(kAlice.gid, Fstat(fd).st_gid);
    EXPECT_EQ(0640u, Fstat(fd).st_mode & 07777);
    EXPECT_OK(
        linkat(AT_FDCWD, Fmt("/proc/self/fd/%d", int(fd)).c_str(), AT_FDCWD, "d/named", AT_SYMLINK_FOLLOW));
    EXPECT_ERRNO(EACCES, TmpFile("closed", O_RDWR, 0600));
  });
  EXPECT_EQ(kAlice.uid, Lstat("d/named").st_uid);
}

}  // namespace posix
