// rename and renameat2.
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "harness.h"

namespace posix {
namespace {

int Rename2(const char* from, const char* to, unsigned flags) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

}  // namespace

POSIX_TEST(rename, every_type_keeps_everything) {
  for (Type type : Types()) {
    const Scope scope(TypeName(type));
    Make(Type::kDir, "p");
    Make(Type::kDir, "q");
    Make(type, "p/a");
    SetTimes("p/a", 111, 222);
    const struct stat before = Lstat("p/a");
    WaitClockPast(before.st_ctim);
    EXPECT_TIMES([] { EXPECT_OK(rename("p/a", "q/b")); }, {"p", kData}, {"q", kData});
    const struct stat after = Lstat("q/b");
    EXPECT_EQ(before.st_ino, after.st_ino);
    EXPECT_EQ(before.st_mode, after.st_mode);
    EXPECT_EQ(before.st_nlink, after.st_nlink);
    EXPECT_EQ(before.st_rdev, after.st_rdev);
    EXPECT_EQ(222, after.st_mtime);
    EXPECT_TRUE(before.st_ctim < after.st_ctim);
    EXPECT_TRUE(!Exists("p/a"));
    EXPECT_EQ(0u, List("p").size());
    EXPECT_EQ(1u, List("q").size());
    EXPECT_TIMES([] { EXPECT_OK(rename("q/b", "q/c")); }, {"q", kData});
    RemoveAny("q/c");
    rmdir("p");
    rmdir("q");
  }
}

// What may replace what.
POSIX_TEST(rename, over_existing) {
  for (Type from : Types()) {
    for (Type to : Types()) {
      const Scope scope(Fmt("%s over %s", TypeName(from), TypeName(to)));
      Make(from, "a");
      Make(to, "b");
      const ino_t ino = Lstat("a").st_ino;
      const int error = from == Type::kDir && to != Type::kDir   ? ENOTDIR
                        : from != Type::kDir && to == Type::kDir ? EISDIR
                                                                 : 0;
      EXPECT_ERRNO(error, rename("a", "b"));
      if (error == 0) {
        EXPECT_EQ(ino, Lstat("b").st_ino);
        EXPECT_TRUE(!Exists("a"));
      } else {
        EXPECT_EQ(ino, Lstat("a").st_ino);
        EXPECT_TRUE(Exists("b"));
      }
      RemoveAny("a");
      RemoveAny("b");
    }
  }
}

POSIX_TEST(rename, replaced_hard_link_loses_one) {
  WriteFile("a", "a");
  WriteFile("b", "b");
  EXPECT_OK(link("b", "b2"));
  EXPECT_TIMES([] { EXPECT_OK(rename("a", "b")); }, {"b2", kCtime});
  EXPECT_EQ(1u, Lstat("b2").st_nlink);
  EXPECT_EQ(std::string("b"), ReadAll("b2"));
  EXPECT_EQ(std::string("a"), ReadAll("b"));
}

POSIX_TEST(rename, two_names_of_one_file) {
  WriteFile("a", "x");
  EXPECT_OK(link("a", "b"));
  Make(Type::kDir, "d");
  EXPECT_OK(link("a", "d/c"));
  EXPECT_OK(rename("a", "b"));  // nothing happens
  EXPECT_TRUE(Exists("a") && Exists("b"));
  EXPECT_OK(rename("a", "d/c"));
  EXPECT_TRUE(Exists("a") && Exists("d/c"));
  EXPECT_OK(rename("a", "a"));
  EXPECT_EQ(3u, Lstat("a").st_nlink);
  EXPECT_OK(rename("d", "d"));
}

POSIX_TEST(rename, directory_not_empty) {
  Make(Type::kDir, "a");
  Make(Type::kDir, "b");
  for (Type type : Types()) {
    const Scope scope(TypeName(type));
    Make(type, "b/x");
    errno = 0;
    const int rc = rename("a", "b");
    EXPECT_TRUE(rc == -1 && (errno == ENOTEMPTY || errno == EEXIST));
    RemoveAny("b/x");
  }
  Make(Type::kFile, "a/y");
  EXPECT_OK(rename("a", "b"));
  EXPECT_TRUE(Exists("b/y"));
}

POSIX_TEST(rename, directory_into_itself) {
  Make(Type::kDir, "a");
  Make(Type::kDir, "a/b");
  Make(Type::kDir, "a/b/c");
  EXPECT_ERRNO(EINVAL, rename("a", "a/x"));
  EXPECT_ERRNO(EINVAL, rename("a", "a/b/x"));
  EXPECT_ERRNO(EINVAL, rename("a", "a/b/c"));
  EXPECT_ERRNO(EINVAL, rename("a", "a/b"));
  EXPECT_ERRNO(ENOTEMPTY, rename("a/b/c", "a"));
  EXPECT_ERRNO(ENOTEMPTY, rename("a/b", "a"));
  EXPECT_ERRNO(EINVAL, Rename2("a", "a/b/c", RENAME_EXCHANGE));
  EXPECT_ERRNO(EINVAL, Rename2("a/b/c", "a", RENAME_EXCHANGE));
  EXPECT_TRUE(Exists("a/b/c"));
}

POSIX_TEST(rename, dot_names) {
  Make(Type::kDir, "d");
  Make(Type::kDir, "d/e");
  for (const char* bad : {"d/.", "d/e/.."}) {
    EXPECT_ERRNO(EBUSY, rename(bad, "x"));
    EXPECT_ERRNO(EBUSY, rename("d/e", bad));
  }
}

POSIX_TEST(rename, directory_moves_with_its_content) {
  Make(Type::kDir, "a");
  Make(Type::kDir, "a/b");
  WriteFile("a/b/f", "deep");
  Make(Type::kDir, "other");
  Fd file("a/b/f", O_RDWR);
  Fd dir("a/b", O_RDONLY | O_DIRECTORY);
  EXPECT_OK(rename("a", "other/moved"));
  EXPECT_EQ(std::string("deep"), ReadAll("other/moved/b/f"));
  EXPECT_EQ(4, pwrite(file, "DEEP", 4, 0));
  EXPECT_EQ(std::string("DEEP"), ReadAll("other/moved/b/f"));
  EXPECT_OK(Fd(openat(dir, "f", O_RDONLY)));
  EXPECT_OK(mkdirat(dir, "new", 0755));
  EXPECT_TRUE(Exists("other/moved/b/new"));
  EXPECT_EQ(Lstat("other").st_ino, Lstat("other/moved/..").st_ino);
  EXPECT_EQ(3u, Lstat("other").st_nlink);
  EXPECT_ERRNO(ENOENT, Fd("a/b/f", O_RDONLY));
}

POSIX_TEST(rename, open_file_keeps_working) {
  Fd fd("a", O_CREAT | O_RDWR);
  EXPECT_EQ(3, write(fd, "one", 3));
  EXPECT_OK(rename("a", "b"));
  EXPECT_EQ(3, write(fd, "two", 3));
  EXPECT_OK(fsync(fd));
  EXPECT_EQ(std::string("onetwo"), ReadAll("b"));
  EXPECT_EQ(6, Lstat("b").st_size);
  Fd other("c", O_CREAT | O_WRONLY);
  EXPECT_EQ(1, write(other, "c", 1));
  EXPECT_OK(rename("b", "c"));
  EXPECT_EQ(2, write(other, "xx", 2));
  EXPECT_EQ(std::string("onetwo"), ReadAll("c"));
  EXPECT_EQ(3, Fstat(other).st_size);
}

POSIX_TEST(rename, names_of_255_bytes) {
  const std::string a(255, 'a'), b(255, 'b');
  WriteFile(a, "x");
  EXPECT_OK(rename(a.c_str(), b.c_str()));
  EXPECT_OK(rename(b.c_str(), a.c_str()));
  EXPECT_ERRNO(ENAMETOOLONG, rename(a.c_str(), std::string(256, 'b').c_str()));
  EXPECT_TRUE(Exists(a));
}

POSIX_TEST(rename, trailing_slashes) {
  Make(Type::kDir, "d");
  Make(Type::kFile, "f");
  EXPECT_OK(rename("d/", "e/"));
  EXPECT_ERRNO(ENOTDIR, rename("f/", "g"));
  EXPECT_ERRNO(ENOTDIR, rename("f", "g/"));
}

// A name that is being replaced is there at every moment.
POSIX_TEST(rename, replacing_is_atomic) {
  WriteFile("target", "0");
  InChild([] {
    const pid_t renamer = fork();
    if (renamer == 0) {
      for (int i = 0; i < 1000; i++) {
        WriteFile("new", "1");
        rename("new", "target");
      }
      _exit(0);
    }
    long missing = 0, empty = 0;
    int status = 0;
    while (waitpid(renamer, &status, WNOHANG) == 0) {
      Fd fd("target", O_RDONLY);
      char c;
      if (fd < 0) {
        missing++;
      } else if (read(fd, &c, 1) != 1) {
        empty++;
      }
    }
    EXPECT_EQ(0, missing);
    EXPECT_EQ(0, empty);
  });
}

POSIX_TEST(renameat2, noreplace) {
  for (Type from : Types()) {
    Make(from, "a");
    for (Type to : Types()) {
      const Scope scope(Fmt("%s to %s", TypeName(from), TypeName(to)));
      Make(to, "b");
      EXPECT_ERRNO(EEXIST, Rename2("a", "b", RENAME_NOREPLACE));
      EXPECT_TRUE(Exists("a") && Exists("b"));
      RemoveAny("b");
    }
    EXPECT_OK(Rename2("a", "b", RENAME_NOREPLACE));
    EXPECT_TRUE(!Exists("a"));
    EXPECT_ERRNO(EEXIST, Rename2("b", "b", RENAME_NOREPLACE));
    RemoveAny("b");
  }
  EXPECT_ERRNO(ENOENT, Rename2("a", "b", RENAME_NOREPLACE));
}

POSIX_TEST(renameat2, exchange) {
  Make(Type::kDir, "p");
  Make(Type::kDir, "q");
  for (Type one : Types()) {
    for (Type two : Types()) {
      const Scope scope(Fmt("%s and %s", TypeName(one), TypeName(two)));
      Make(one, "p/a");
      Make(two, "q/b");
      const struct stat a = Lstat("p/a"), b = Lstat("q/b");
      EXPECT_TIMES([] { EXPECT_OK(Rename2("p/a", "q/b", RENAME_EXCHANGE)); }, {"p", kData}, {"q", kData});
      EXPECT_EQ(a.st_ino, Lstat("q/b").st_ino);
      EXPECT_EQ(b.st_ino, Lstat("p/a").st_ino);
      EXPECT_TRUE(a.st_ctim < Lstat("q/b").st_ctim);
      EXPECT_TRUE(b.st_ctim < Lstat("p/a").st_ctim);
      EXPECT_EQ(2u + (two == Type::kDir), Lstat("p").st_nlink);
      EXPECT_EQ(2u + (one == Type::kDir), Lstat("q").st_nlink);
      if (one == Type::kDir) EXPECT_EQ(Lstat("q").st_ino, Lstat("q/b/..").st_ino);
      if (two == Type::kDir) EXPECT_EQ(Lstat("p").st_ino, Lstat("p/a/..").st_ino);
      RemoveAny("p/a");
      RemoveAny("q/b");
    }
  }
  Make(Type::kFile, "x");
  EXPECT_ERRNO(ENOENT, Rename2("x", "missing", RENAME_EXCHANGE));
  EXPECT_ERRNO(ENOENT, Rename2("missing", "x", RENAME_EXCHANGE));
  EXPECT_OK(Rename2("x", "x", RENAME_EXCHANGE));
}

POSIX_TEST(renameat2, exchange_of_full_directories) {
  Make(Type::kDir, "a");
  Make(Type::kDir, "b");
  WriteFile("a/in-a", "a");
  WriteFile("b/in-b", "b");
  Make(Type::kDir, "b/sub");
  EXPECT_OK(Rename2("a", "b", RENAME_EXCHANGE));
  EXPECT_EQ(std::string("a"), ReadAll("b/in-a"));
  EXPECT_EQ(std::string("b"), ReadAll("a/in-b"));
  EXPECT_EQ(3u, Lstat("a").st_nlink);
}

POSIX_TEST(renameat2, bad_flags) {
  Make(Type::kFile, "a");
  Make(Type::kFile, "b");
  EXPECT_ERRNO(EINVAL, Rename2("a", "b", RENAME_NOREPLACE | RENAME_EXCHANGE));
  EXPECT_ERRNO(EINVAL, Rename2("a", "b", 0x80));
  EXPECT_ERRNO(EINVAL, Rename2("a", "b", RENAME_WHITEOUT | RENAME_EXCHANGE));
}

POSIX_ROOT_TEST(renameat2, whiteout) {
  WriteFile("a", "content");
  errno = 0;
  if (Rename2("a", "b", RENAME_WHITEOUT) != 0 && errno == EINVAL) SKIP_TEST("no RENAME_WHITEOUT here");
  EXPECT_EQ(std::string("content"), ReadAll("b"));
  const struct stat st = Lstat("a");
  EXPECT_TRUE(S_ISCHR(st.st_mode));
  EXPECT_EQ(makedev(0, 0), st.st_rdev);
  WriteFile("c", "c");
  EXPECT_ERRNO(EEXIST, Rename2("b", "c", RENAME_WHITEOUT | RENAME_NOREPLACE));
  EXPECT_OK(Rename2("b", "d", RENAME_WHITEOUT | RENAME_NOREPLACE));
  EXPECT_TRUE(S_ISCHR(Lstat("b").st_mode));
  EXPECT_OK(Rename2("d", "c", RENAME_WHITEOUT));
  EXPECT_EQ(std::string("content"), ReadAll("c"));
}

// In a sticky directory a name may be taken away only by the owner of the file or of the directory.
POSIX_ROOT_TEST(sticky, matrix) {
  const User users[] = {kAlice, kBob, {65533, 65533}};
  for (Type type : Types()) {
    for (const User& dir_owner : users) {
      for (const User& file_owner : users) {
        const User& actor = kAlice;
        const bool may = dir_owner.uid == actor.uid || file_owner.uid == actor.uid;
        const Scope scope(
            Fmt("%s, directory of %u, file of %u", TypeName(type), dir_owner.uid, file_owner.uid));
        EXPECT_OK(mkdir("s", 0777));
        EXPECT_OK(mkdir("open", 0777));
        EXPECT_OK(chown("s", dir_owner.uid, dir_owner.gid));
        EXPECT_OK(chmod("s", 01777));
        Make(type, "s/x", 0777, file_owner.uid, file_owner.gid);
        Make(type, "open/mine", 0777, actor.uid, actor.gid);
        const auto reset = [&] {
          if (!Exists("s/x")) Make(type, "s/x", 0777, file_owner.uid, file_owner.gid);
          RemoveAny("open/out");
        };
        const int error = may ? 0 : EPERM;
        As(actor, [&] { EXPECT_ERRNO(error, rename("s/x", "s/y")); });
        RemoveAny("s/y");
        reset();
        As(actor, [&] { EXPECT_ERRNO(error, rename("s/x", "open/out")); });
        reset();
        As(actor, [&] { EXPECT_ERRNO(error, rename("open/mine", "s/x")); });
        if (!Exists("open/mine")) {
          RemoveAny("s/x");
          Make(type, "open/mine", 0777, actor.uid, actor.gid);
        }
        reset();
        As(actor, [&] { EXPECT_ERRNO(error, Rename2("open/mine", "s/x", RENAME_EXCHANGE)); });
        if (may) EXPECT_OK(Rename2("open/mine", "s/x", RENAME_EXCHANGE));
        As(actor, [&] { EXPECT_ERRNO(error, RemoveAny("s/x")); });
        EXPECT_EQ(!may, Exists("s/x"));
        RemoveAny("s/x");
        RemoveAny("open/mine");
        rmdir("s");
        rmdir("open");
      }
    }
  }
}

// A directory moved to another parent changes its "..": its owner's write permission is needed.
POSIX_ROOT_TEST(rename, directory_of_someone_else) {
  EXPECT_OK(mkdir("a", 0777));
  EXPECT_OK(mkdir("b", 0777));
  Make(Type::kDir, "a/d", 0755, kBob.uid, kBob.gid);
  As(kAlice, [] {
    EXPECT_ERRNO(EACCES, rename("a/d", "b/d"));
    EXPECT_OK(rename("a/d", "a/e"));
  });
  EXPECT_OK(chmod("a/e", 0757));
  As(kAlice, [] { EXPECT_OK(rename("a/e", "b/d")); });
}

}  // namespace posix
