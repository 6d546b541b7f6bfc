// What every call that takes a path does with bad paths: one table of calls, one test for each kind of
// badness.
#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "harness.h"

namespace posix {
namespace {

enum : int {
  kCreates = 1,  // makes the name: a missing one is no error, a present one is
  kFollows = 2,  // follows a symbolic link in the last component
  kChanges = 4,  // modifies the file system
  kDirOnly = 8,  // wants a directory
};

struct PathCall {
  const char* name;
  int flags;
  int (*call)(const char* path);
};

int Closed(int fd) {
  return fd < 0 ? -1 : close(fd);
}

const PathCall kCalls[] = {
    {"stat", kFollows,
     [](const char* p) {
       struct stat st;
       return stat(p, &st);
     }},
    {"lstat", 0,
     [](const char* p) {
       struct stat st;
       return lstat(p, &st);
     }},
    {"statx", 0,
     [](const char* p) {
       struct statx st;
       return statx(AT_FDCWD, p, AT_SYMLINK_NOFOLLOW, STATX_ALL, &st);
     }},
    {"access", kFollows, [](const char* p) { return access(p, F_OK); }},
    {"faccessat_nofollow", 0,
     [](const char* p) { return faccessat(AT_FDCWD, p, F_OK, AT_SYMLINK_NOFOLLOW); }},
    {"open_path", 0, [](const char* p) { return Closed(open(p, O_PATH | O_NOFOLLOW)); }},
    {"open_read", kFollows, [](const char* p) { return Closed(open(p, O_RDONLY | O_NONBLOCK)); }},
    {"open_directory", kFollows | kDirOnly,
     [](const char* p) { return Closed(open(p, O_RDONLY | O_DIRECTORY)); }},
    {"open_trunc", kFollows | kChanges,
     [](const char* p) { return Closed(open(p, O_WRONLY | O_TRUNC | O_NONBLOCK)); }},
    {"open_create_excl", kCreates | kChanges,
     [](const char* p) { return Closed(open(p, O_CREAT | O_EXCL | O_WRONLY, 0644)); }},
    {"chmod", kFollows | kChanges, [](const char* p) { return chmod(p, 0644); }},
    {"chown", kFollows | kChanges, [](const char* p) { return chown(p, geteuid(), getegid()); }},
    {"lchown", kChanges, [](const char* p) { return lchown(p, geteuid(), getegid()); }},
    {"truncate", kFollows | kChanges, [](const char* p) { return truncate(p, 0); }},
    {"utimensat", kFollows | kChanges, [](const char* p) { return utimensat(AT_FDCWD, p, nullptr, 0); }},
    {"utimensat_nofollow", kChanges,
     [](const char* p) { return utimensat(AT_FDCWD, p, nullptr, AT_SYMLINK_NOFOLLOW); }},
    {"readlink", 0,
     [](const char* p) {
       char b[16];
       return readlink(p, b, sizeof b) < 0 ? -1 : 0;
     }},
    {"unlink", kChanges, [](const char* p) { return unlink(p); }},
    {"rmdir", kChanges | kDirOnly, [](const char* p) { return rmdir(p); }},
    {"mkdir", kCreates | kChanges, [](const char* p) { return mkdir(p, 0755); }},
    {"mkfifo", kCreates | kChanges, [](const char* p) { return mkfifo(p, 0644); }},
    {"mknod_file", kCreates | kChanges, [](const char* p) { return mknod(p, S_IFREG | 0644, 0); }},
    {"mknod_socket", kCreates | kChanges, [](const char* p) { return mknod(p, S_IFSOCK | 0644, 0); }},
    {"symlink", kCreates | kChanges, [](const char* p) { return symlink("target", p); }},
    {"link_from", kChanges, [](const char* p) { return link(p, "made-by-link"); }},
    {"link_from_follow", kFollows | kChanges,
     [](const char* p) { return linkat(AT_FDCWD, p, AT_FDCWD, "made-by-link", AT_SYMLINK_FOLLOW); }},
    {"link_to", kCreates | kChanges, [](const char* p) { return link("source", p); }},
    {"rename_from", kChanges, [](const char* p) { return rename(p, "made-by-rename"); }},
    {"rename_noreplace_to", kCreates | kChanges,
     [](const char* p) { return renameat2(AT_FDCWD, "source", AT_FDCWD, p, RENAME_NOREPLACE); }},
    {"chdir", kFollows | kDirOnly, [](const char* p) { return chdir(p); }},
    {"statfs", kFollows,
     [](const char* p) {
       struct statfs st;
       return statfs(p, &st);
     }},
    {"getxattr", kFollows,
     [](const char* p) { return getxattr(p, "user.x", nullptr, 0) < 0 && errno != ENODATA ? -1 : 0; }},
    {"lgetxattr", 0,
     [](const char* p) { return lgetxattr(p, "trusted.x", nullptr, 0) < 0 && errno != ENODATA ? -1 : 0; }},
    {"setxattr", kFollows | kChanges, [](const char* p) { return setxattr(p, "user.x", "v", 1, 0); }},
    {"listxattr", kFollows, [](const char* p) { return listxattr(p, nullptr, 0) < 0 ? -1 : 0; }},
    {"llistxattr", 0, [](const char* p) { return llistxattr(p, nullptr, 0) < 0 ? -1 : 0; }},
    {"removexattr", kFollows | kChanges, [](const char* p) { return removexattr(p, "user.x"); }},
};

void CleanUp() {
  unlink("made-by-link");
  unlink("made-by-rename");
}

// For each call: a check with the path, in a child because chdir is among them.
void All(const std::string& path, int error, const std::function<bool(const PathCall&)>& which = nullptr) {
  for (const PathCall& c : kCalls) {
    if (which && !which(c)) continue;
    const Scope scope(c.name);
    EXPECT_ERRNO(error, c.call(path.c_str()));
    CleanUp();
  }
}

bool Missing(const PathCall& c) {
  return (c.flags & kCreates) == 0;
}

}  // namespace

POSIX_TEST(path, missing_last_component) {
  Make(Type::kFile, "source");
  All("missing", ENOENT, Missing);
}

POSIX_TEST(path, missing_prefix) {
  Make(Type::kFile, "source");
  All("missing/name", ENOENT);
  All("missing/../name", ENOENT);
}

POSIX_TEST(path, empty) {
  Make(Type::kFile, "source");
  All("", ENOENT);
}

POSIX_TEST(path, prefix_not_a_directory) {
  Make(Type::kFile, "source");
  for (Type type : Types(false, false)) {
    const Scope scope(TypeName(type));
    Make(type, "prefix");
    All("prefix/name", ENOTDIR);
    All("prefix/.", ENOTDIR);
    All("prefix/..", ENOTDIR);
    unlink("prefix");
  }
}

POSIX_TEST(path, prefix_is_dangling_symlink) {
  Make(Type::kFile, "source");
  Make(Type::kSymlink, "prefix");
  All("prefix/name", ENOENT);
}

POSIX_TEST(path, loop_in_prefix) {
  Make(Type::kFile, "source");
  EXPECT_OK(symlink("two", "one"));
  EXPECT_OK(symlink("one", "two"));
  EXPECT_OK(symlink("self", "self"));
  All("one/name", ELOOP);
  All("self/name", ELOOP);
}

POSIX_TEST(path, loop_in_last_component) {
  EXPECT_OK(symlink("two", "one"));
  EXPECT_OK(symlink("one", "two"));
  All("one", ELOOP, [](const PathCall& c) { return (c.flags & kFollows) != 0; });
}

POSIX_TEST(path, dangling_last_component) {
  EXPECT_OK(symlink("nowhere", "link"));
  All("link", ENOENT, [](const PathCall& c) { return (c.flags & kFollows) != 0; });
}

POSIX_TEST(path, chain_of_40_symlinks_resolves_41_does_not) {
  WriteFile("link0", "x");
  for (int i = 1; i <= 41; i++) EXPECT_OK(symlink(Fmt("link%d", i - 1).c_str(), Fmt("link%d", i).c_str()));
  struct stat st;
  EXPECT_OK(stat("link40", &st));
  EXPECT_ERRNO(ELOOP, stat("link41", &st));
}

POSIX_TEST(path, component_of_256_bytes) {
  Make(Type::kFile, "source");
  Make(Type::kDir, "d");
  const std::string name(256, 'n');
  All(name, ENAMETOOLONG);
  All("d/" + name, ENAMETOOLONG);
  All(name + "/x", ENAMETOOLONG);
}

POSIX_TEST(path, component_of_255_bytes) {
  const std::string name(255, 'n');
  for (const PathCall& c : kCalls) {
    if ((c.flags & kCreates) == 0) continue;
    const Scope scope(c.name);
    Make(Type::kFile, "source");
    EXPECT_OK(c.call(name.c_str()));
    EXPECT_TRUE(Exists(name));
    EXPECT_TRUE(List(".").size() <= 2);
    EXPECT_OK(RemoveAny(name));
    unlink("source");
  }
  All(name, ENOENT, Missing);
}

POSIX_TEST(path, path_of_4096_bytes) {
  Make(Type::kFile, "source");
  std::string path;
  while (path.size() < 4094) path += "./";
  path += "xy";  // 4096 bytes and the terminating zero
  All(path, ENAMETOOLONG);
}

POSIX_TEST(path, path_of_4095_bytes) {
  std::string path;
  while (path.size() < 4094) path += "./";
  path += "x";
  for (const PathCall& c : kCalls) {
    if ((c.flags & kCreates) == 0) continue;
    const Scope scope(c.name);
    Make(Type::kFile, "source");
    EXPECT_OK(c.call(path.c_str()));
    EXPECT_OK(RemoveAny("x"));
    unlink("source");
  }
}

POSIX_TEST(path, bad_pointer) {
  Make(Type::kFile, "source");
  for (const PathCall& c : kCalls) {
    const Scope scope(c.name);
    EXPECT_ERRNO(EFAULT, c.call(reinterpret_cast<const char*>(1)));
  }
}

POSIX_TEST(path, name_exists) {
  for (Type type : Types()) {
    const Scope scope(TypeName(type));
    Make(type, "taken");
    Make(Type::kFile, "source");
    All("taken", EEXIST, [](const PathCall& c) { return (c.flags & kCreates) != 0; });
    RemoveAny("taken");
    unlink("source");
  }
}

POSIX_TEST(path, wants_a_directory) {
  for (Type type : Types(false, false)) {
    const Scope scope(TypeName(type));
    Make(type, "file");
    All("file", ENOTDIR, [](const PathCall& c) { return (c.flags & kDirOnly) != 0; });
    unlink("file");
  }
}

POSIX_TEST(path, trailing_slash_on_a_file) {
  Make(Type::kFile, "source");
  Make(Type::kFile, "file");
  All("file/", ENOTDIR, [](const PathCall& c) { return (c.flags & kCreates) == 0; });
}

POSIX_ROOT_TEST(path, search_permission_of_the_prefix) {
  Make(Type::kFile, "source");
  EXPECT_OK(chmod("source", 0666));
  EXPECT_OK(mkdir("closed", 0777));
  Make(Type::kFile, "closed/file", 0666, kAlice.uid, kAlice.gid);
  Make(Type::kDir, "closed/dir", 0777, kAlice.uid, kAlice.gid);
  EXPECT_OK(chown("closed", kAlice.uid, kAlice.gid));
  EXPECT_OK(chmod("closed", 0666));
  for (const User& user : {kAlice, kBob}) {
    As(user, [] {
      All("closed/file", EACCES);
      All("closed/dir", EACCES);
      All("closed/missing", EACCES);
      All("closed/dir/missing", EACCES);
    });
  }
  EXPECT_OK(chmod("closed", 0700));
  As(kBob, [] { All("closed/file", EACCES); });
  As(kAlice, [] {
    struct stat st;
    EXPECT_OK(stat("closed/file", &st));
  });
}

POSIX_ROOT_TEST(path, write_permission_of_the_parent) {
  EXPECT_OK(mkdir("closed", 0555));
  Make(Type::kFile, "source", 0666, kAlice.uid, kAlice.gid);
  Make(Type::kFile, "closed/file", 0666, kAlice.uid, kAlice.gid);
  Make(Type::kDir, "closed/dir", 0777, kAlice.uid, kAlice.gid);
  As(kAlice, [] {
    All("closed/new", EACCES, [](const PathCall& c) { return (c.flags & kCreates) != 0; });
    EXPECT_ERRNO(EACCES, unlink("closed/file"));
    EXPECT_ERRNO(EACCES, rmdir("closed/dir"));
    EXPECT_ERRNO(EACCES, rename("closed/file", "out"));
    EXPECT_ERRNO(EACCES, rename("closed/dir", "out"));
    EXPECT_ERRNO(EACCES, rename("source", "closed/in"));
    EXPECT_ERRNO(EACCES, rename("source", "closed/file"));
    All("closed/file", EEXIST, [](const PathCall& c) { return (c.flags & kCreates) != 0; });
  });
}

// A read-only bind mount of the directory itself, in a mount namespace of our own.
POSIX_ROOT_TEST(path, read_only) {
  Make(Type::kFile, "source");
  Make(Type::kFile, "file");
  Make(Type::kDir, "dir");
  EXPECT_OK(setxattr("file", "user.x", "v", 1, 0));
  if (unshare(CLONE_NEWNS) != 0) SKIP_TEST("no mount namespaces here");
  EXPECT_OK(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
  char here[PATH_MAX];
  EXPECT_TRUE(getcwd(here, sizeof here) != nullptr);
  REQUIRE_OK(mount(here, here, nullptr, MS_BIND, nullptr));
  REQUIRE_OK(mount("none", here, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr));
  EXPECT_OK(chdir(here));
  All("file", EROFS,
      [](const PathCall& c) { return (c.flags & (kChanges | kCreates | kDirOnly)) == kChanges; });
  All("new", EROFS, [](const PathCall& c) { return (c.flags & kCreates) != 0; });
  EXPECT_ERRNO(EROFS, rmdir("dir"));
  EXPECT_ERRNO(EROFS, access("file", W_OK));
  EXPECT_OK(access("file", R_OK));
  EXPECT_OK(Fd("file", O_RDONLY));
  EXPECT_OK(Fd("file", O_RDONLY | O_CREAT));
  for (int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC}) EXPECT_ERRNO(EROFS, Fd("file", flags));
  EXPECT_OK(chdir("/"));
  EXPECT_OK(umount2(here, MNT_DETACH));
}

POSIX_TEST(path, across_file_systems) {
  const std::string other = OtherFileSystem();
  if (other.empty()) SKIP_TEST("there is no other file system");
  const std::string there = other + Fmt("/posix-conformance.%d", getpid());
  for (Type type : Types(false, true)) {
    const Scope scope(TypeName(type));
    Make(type, "here");
    EXPECT_ERRNO(EXDEV, link("here", there.c_str()));
    EXPECT_ERRNO(EXDEV, rename("here", there.c_str()));
    EXPECT_ERRNO(EXDEV, renameat2(AT_FDCWD, "here", AT_FDCWD, there.c_str(), RENAME_NOREPLACE));
    unlink("here");
  }
  Make(Type::kDir, "dir");
  EXPECT_ERRNO(EXDEV, rename("dir", there.c_str()));
}

// A directory descriptor takes the place of the working directory.
POSIX_TEST(path, relative_to_descriptors) {
  Make(Type::kDir, "d");
  WriteFile("d/file", "x");
  WriteFile("plain", "x");
  Fd dir("d", O_RDONLY | O_DIRECTORY), file("plain", O_RDONLY);
  struct stat st;
  EXPECT_OK(fstatat(dir, "file", &st, 0));
  EXPECT_ERRNO(ENOTDIR, fstatat(file, "file", &st, 0));
  EXPECT_ERRNO(EBADF, fstatat(1000, "file", &st, 0));
  EXPECT_OK(fstatat(file, "", &st, AT_EMPTY_PATH));
  EXPECT_ERRNO(ENOTDIR, mkdirat(file, "x", 0755));
  EXPECT_ERRNO(EBADF, mkdirat(1000, "x", 0755));
  EXPECT_OK(mkdirat(dir, "sub", 0755));
  EXPECT_OK(renameat(dir, "sub", dir, "sub2"));
  EXPECT_OK(symlinkat("t", dir, "s"));
  EXPECT_OK(linkat(dir, "file", dir, "hard", 0));
  EXPECT_OK(fchmodat(dir, "file", 0600, 0));
  EXPECT_OK(fchownat(dir, "file", geteuid(), getegid(), 0));
  EXPECT_OK(unlinkat(dir, "s", 0));
  EXPECT_ERRNO(EISDIR, unlinkat(dir, "sub2", 0));
  EXPECT_ERRNO(ENOTDIR, unlinkat(dir, "file", AT_REMOVEDIR));
  EXPECT_OK(unlinkat(dir, "sub2", AT_REMOVEDIR));
  EXPECT_ERRNO(EINVAL, unlinkat(dir, "file", 0x40000000));
  EXPECT_OK(rename("d", "moved"));
  EXPECT_OK(fstatat(dir, "file", &st, 0));
}

}  // namespace posix
