// chmod, chown and what they do to set-id bits and times.
#include <sys/syscall.h>

#include "harness.h"

namespace posix {

POSIX_TEST(chmod, every_mode_of_every_type) {
  for (Type type : Types(true, false)) {
    const Scope scope(TypeName(type));
    Make(type, "f");
    const mode_t kind = Lstat("f").st_mode & S_IFMT;
    for (mode_t mode : {0000, 0111, 0222, 0333, 0444, 0555, 0666, 0777, 0640, 0755, 01777, 02755, 04755,
                        06711, 07777, 0070, 0007, 0700}) {
      EXPECT_OK(chmod("f", mode));
      EXPECT_EQ(kind | mode, Lstat("f").st_mode);
    }
    RemoveAny("f");
  }
}

POSIX_TEST(chmod, every_bit_by_descriptor) {
  Make(Type::kFile, "f");
  Make(Type::kDir, "d");
  for (const char* path : {"f", "d"}) {
    Fd fd(path, O_RDONLY);
    for (int bit = 0; bit < 12; bit++) {
      EXPECT_OK(fchmod(fd, 1u << bit));
      EXPECT_EQ(1u << bit, Fstat(fd).st_mode & 07777);
      EXPECT_EQ(1u << bit, ModeOf(path));
    }
    fchmod(fd, 0755);
  }
}

POSIX_TEST(chmod, follows_symlinks) {
  Make(Type::kFile, "f");
  EXPECT_OK(symlink("f", "l"));
  EXPECT_OK(chmod("l", 0321));
  EXPECT_EQ(0321u, ModeOf("f"));
  EXPECT_EQ(0777u, ModeOf("l"));
  EXPECT_ERRNO(EOPNOTSUPP, fchmodat(AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW));
}

POSIX_TEST(chmod, times) {
  for (Type type : Types(true, false)) {
    const Scope scope(TypeName(type));
    Make(Type::kDir, "p");
    Make(type, "p/f");
    SetTimes("p/f", 1000, 2000);
    EXPECT_TIMES([] { EXPECT_OK(chmod("p/f", 0700)); }, {"p/f", kCtime}, {"p", kNone});
    RemoveAny("p/f");
    rmdir("p");
  }
}

POSIX_ROOT_TEST(chmod, only_the_owner) {
  for (Type type : Types(true, false)) {
    const Scope scope(TypeName(type));
    Make(type, "f", 0644, kAlice.uid, kAlice.gid);
    As(kAlice, [] { EXPECT_OK(chmod("f", 0600)); });
    EXPECT_EQ(0600u, ModeOf("f"));
    EXPECT_TIMES([] { As(kBob, [] { EXPECT_ERRNO(EPERM, chmod("f", 0666)); }); }, {"f", kNone});
    As({kBob.uid, kAlice.gid}, [] { EXPECT_ERRNO(EPERM, chmod("f", 0666)); });
    EXPECT_EQ(0600u, ModeOf("f"));
    RemoveAny("f");
  }
}

POSIX_ROOT_TEST(chmod, setgid_needs_the_group) {
  Make(Type::kFile, "f", 0755, kAlice.uid, kBob.gid);
  As(kAlice, [] { EXPECT_OK(chmod("f", 02755)); });
  EXPECT_EQ(0755u, ModeOf("f"));
  As({kAlice.uid, kAlice.gid, {kBob.gid}}, [] { EXPECT_OK(chmod("f", 02755)); });
  EXPECT_EQ(02755u, ModeOf("f"));
  As(kAlice, [] { EXPECT_OK(chmod("f", 06755)); });
  EXPECT_EQ(04755u, ModeOf("f"));
  EXPECT_OK(chmod("f", 02755));  // root always may
  EXPECT_EQ(02755u, ModeOf("f"));
  Make(Type::kDir, "d", 0755, kAlice.uid, kBob.gid);
  As(kAlice, [] { EXPECT_OK(chmod("d", 02755)); });
  EXPECT_EQ(0755u, ModeOf("d"));
}

POSIX_ROOT_TEST(chmod, sticky_by_anyone) {
  Make(Type::kDir, "d", 0755, kAlice.uid, kAlice.gid);
  Make(Type::kFile, "f", 0644, kAlice.uid, kAlice.gid);
  As(kAlice, [] {
    EXPECT_OK(chmod("d", 01755));
    EXPECT_OK(chmod("f", 01644));
  });
  EXPECT_EQ(01755u, ModeOf("d"));
  EXPECT_EQ(01644u, ModeOf("f"));
}

POSIX_ROOT_TEST(chown, every_type) {
  for (Type type : Types()) {
    const Scope scope(TypeName(type));
    Make(type, "f");
    for (auto [uid, gid] :
         {std::pair{1u, 2u}, {0u, 0u}, {65534u, 65533u}, {100000u, 4294967294u}, {4294967294u, 7u}}) {
      EXPECT_OK(lchown("f", uid, gid));
      EXPECT_EQ(uid, Lstat("f").st_uid);
      EXPECT_EQ(gid, Lstat("f").st_gid);
    }
    EXPECT_OK(lchown("f", 5, -1));
    EXPECT_OK(lchown("f", -1, 6));
    EXPECT_OK(lchown("f", -1, -1));
    EXPECT_EQ(5u, Lstat("f").st_uid);
    EXPECT_EQ(6u, Lstat("f").st_gid);
    RemoveAny("f");
  }
}

POSIX_ROOT_TEST(chown, follows_symlinks_lchown_does_not) {
  Make(Type::kFile, "f");
  EXPECT_OK(symlink("f", "l"));
  EXPECT_OK(chown("l", 11, 12));
  EXPECT_EQ(11u, Lstat("f").st_uid);
  EXPECT_EQ(0u, Lstat("l").st_uid);
  EXPECT_OK(lchown("l", 13, 14));
  EXPECT_EQ(11u, Lstat("f").st_uid);
  EXPECT_EQ(13u, Lstat("l").st_uid);
  Fd fd("f", O_RDONLY);
  EXPECT_OK(fchown(fd, 21, 22));
  EXPECT_EQ(21u, Fstat(fd).st_uid);
  EXPECT_EQ(22u, Lstat("f").st_gid);
}

POSIX_ROOT_TEST(chown, times) {
  for (Type type : Types()) {
    const Scope scope(TypeName(type));
    Make(Type::kDir, "p");
    Make(type, "p/f");
    SetTimes("p/f", 1000, 2000);
    EXPECT_TIMES([] { EXPECT_OK(lchown("p/f", 3, 4)); }, {"p/f", kCtime}, {"p", kNone});
    RemoveAny("p/f");
    rmdir("p");
  }
}

POSIX_ROOT_TEST(chown, who_may) {
  for (Type type : Types()) {
    const Scope scope(TypeName(type));
    Make(type, "f", 0644, kAlice.uid, kAlice.gid);
    As({kAlice.uid, kAlice.gid, {kBob.gid}}, [] {
      EXPECT_OK(lchown("f", kAlice.uid, kBob.gid));  // to a group of one's own
      EXPECT_EQ(kBob.gid, Lstat("f").st_gid);
      EXPECT_OK(lchown("f", -1, kAlice.gid));
      EXPECT_ERRNO(EPERM, lchown("f", -1, 12345));
      EXPECT_ERRNO(EPERM, lchown("f", kBob.uid, -1));
      EXPECT_ERRNO(EPERM, lchown("f", kBob.uid, kBob.gid));
      EXPECT_ERRNO(EPERM, lchown("f", 0, 0));
      EXPECT_OK(lchown("f", kAlice.uid, kAlice.gid));
      EXPECT_OK(lchown("f", -1, -1));
    });
    EXPECT_TIMES(
        [] {
          As({kBob.uid, kBob.gid, {kAlice.gid}}, [] {
            EXPECT_ERRNO(EPERM, lchown("f", kBob.uid, kBob.gid));
            EXPECT_ERRNO(EPERM, lchown("f", -1, kBob.gid));
            EXPECT_ERRNO(EPERM, lchown("f", -1, kAlice.gid));
            EXPECT_ERRNO(EPERM, lchown("f", kAlice.uid, -1));
          });
        },
        {"f", kNone});
    EXPECT_EQ(kAlice.uid, Lstat("f").st_uid);
    EXPECT_EQ(kAlice.gid, Lstat("f").st_gid);
    RemoveAny("f");
  }
}

// Change of owner or group takes set-id bits off what can be executed, whoever does it; a directory keeps
// them.
POSIX_ROOT_TEST(chown, clears_setid) {
  struct Case {
    mode_t before, after;
  };
  for (Case c :
       {Case{06755, 0755}, {04711, 0711}, {02755, 0755}, {02710, 0710}, {06555, 0555}, {07777, 01777}}) {
    const Scope scope(Fmt("mode %o", c.before));
    Make(Type::kFile, "f", c.before, kAlice.uid, kAlice.gid);
    EXPECT_EQ(c.before, ModeOf("f"));
    EXPECT_OK(chown("f", kBob.uid, kBob.gid));
    EXPECT_EQ(c.after, ModeOf("f"));
    EXPECT_OK(chown("f", kAlice.uid, kAlice.gid));
    EXPECT_OK(chmod("f", c.before));
    As({kAlice.uid, kAlice.gid, {kBob.gid}}, [] { EXPECT_OK(chown("f", -1, kBob.gid)); });
    EXPECT_EQ(c.after, ModeOf("f"));
    EXPECT_OK(chmod("f", c.before));
    Fd fd("f", O_RDONLY);
    EXPECT_OK(fchown(fd, 77, -1));
    EXPECT_EQ(c.after, ModeOf("f"));
    unlink("f");
  }
  Make(Type::kFile, "f", 02644, kAlice.uid, kAlice.gid);  // not executable by the group: no set-id meaning
  EXPECT_OK(chown("f", kBob.uid, kBob.gid));
  EXPECT_EQ(02644u, ModeOf("f"));
  Make(Type::kDir, "d", 07755, kAlice.uid, kAlice.gid);
  EXPECT_OK(chown("d", kBob.uid, kBob.gid));
  EXPECT_EQ(07755u, ModeOf("d"));
}

// Writing, truncating and allocating by someone without CAP_FSETID clears them too; by root it does not.
POSIX_ROOT_TEST(setid, cleared_by_content_changes) {
  struct Change {
    const char* name;
    std::function<void()> run;
  };
  const Change changes[] = {
      {"write",
       [] {
         Fd fd("f", O_WRONLY);
         EXPECT_EQ(1, write(fd, "x", 1));
       }},
      {"pwrite past the end",
       [] {
         Fd fd("f", O_WRONLY);
         EXPECT_EQ(1, pwrite(fd, "x", 1, 100));
       }},
      {"append",
       [] {
         Fd fd("f", O_WRONLY | O_APPEND);
         EXPECT_EQ(1, write(fd, "x", 1));
       }},
      {"direct write",
       [] {
         Fd fd("f", O_WRONLY | O_SYNC);
         EXPECT_EQ(1, write(fd, "x", 1));
       }},
      {"truncate", [] { EXPECT_OK(truncate("f", 3)); }},
      {"ftruncate",
       [] {
         Fd fd("f", O_WRONLY);
         EXPECT_OK(ftruncate(fd, 3));
       }},
      {"open with O_TRUNC", [] { EXPECT_OK(Fd("f", O_WRONLY | O_TRUNC)); }},
      {"fallocate",
       [] {
         Fd fd("f", O_WRONLY);
         EXPECT_OK(fallocate(fd, 0, 0, 4096));
       }},
  };
  for (const Change& change : changes) {
    const Scope scope(change.name);
    for (mode_t mode : {06777, 04777, 02777, 02767}) {
      const Scope scope2(Fmt("mode %o", mode));
      WriteFile("f", "0123456789");
      EXPECT_OK(chown("f", kAlice.uid, kAlice.gid));
      EXPECT_OK(chmod("f", mode));
      As(kBob, change.run);
      // A setgid bit without group execute goes as well when the writer is not in the group.
      EXPECT_EQ(mode & 01777u, ModeOf("f"));
      EXPECT_OK(chmod("f", mode));
      As(kAlice, change.run);
      EXPECT_EQ(mode == 02767 ? 02767u : (mode & 01777u), ModeOf("f"));
      EXPECT_OK(chmod("f", mode));
      change.run();
      EXPECT_EQ(mode, ModeOf("f"));
      unlink("f");
    }
  }
}

POSIX_ROOT_TEST(setid, runs_with_the_owners_id) {
  if (!AllowsSetid()) SKIP_TEST("mounted nosuid");
  const std::string id = ReadAll("/usr/bin/id");
  if (id.empty()) SKIP_TEST("no /usr/bin/id");
  WriteFile("id", id);
  EXPECT_OK(chown("id", kAlice.uid, kAlice.gid));
  EXPECT_OK(chmod("id", 06755));
  As(kBob, [] {
    EXPECT_EQ(0, system(Fmt("test \"$(./id -u):$(./id -g)\" = %u:%u", kAlice.uid, kAlice.gid).c_str()));
  });
}

// A new set-id combination matrix: what a non-owner process sees through access(2).
POSIX_ROOT_TEST(access, matrix) {
  struct Who {
    const char* name;
    User user;
    int shift;
  };
  const Who whos[] = {{"owner", kAlice, 6},
                      {"group", {kBob.uid, kAlice.gid}, 3},
                      {"supplementary group", {kBob.uid, kBob.gid, {5, 6, kAlice.gid}}, 3},
                      {"other", kBob, 0}};
  for (Type type : {Type::kFile, Type::kDir, Type::kFifo}) {
    for (const Who& who : whos) {
      for (mode_t bits = 0; bits < 8; bits++) {
        // All others may everything: only this class decides.
        const mode_t mode = (0777 & ~(7u << who.shift)) | (bits << who.shift);
        const Scope scope(Fmt("%s, %s, mode %o", TypeName(type), who.name, mode));
        Make(type, "f", mode, kAlice.uid, kAlice.gid);
        As(who.user, [&] {
          for (int want = 1; want < 8; want++)
            EXPECT_ERRNO((bits & want) == unsigned(want) ? 0 : EACCES, access("f", want));
          EXPECT_OK(access("f", F_OK));
          for (auto [flags, need] : {std::pair{O_RDONLY, 4u}, {O_WRONLY, 2u}, {O_RDWR, 6u}}) {
            if (type == Type::kDir && flags != O_RDONLY) continue;
            if (type == Type::kFifo && flags == O_WRONLY) {
              EXPECT_ERRNO((bits & need) == need ? ENXIO : EACCES, Fd("f", flags | O_NONBLOCK));
            } else {
              EXPECT_ERRNO((bits & need) == need ? 0 : EACCES, Fd("f", flags | O_NONBLOCK));
            }
          }
          if (type == Type::kFile) {
            EXPECT_ERRNO((bits & 2) != 0 ? 0 : EACCES, truncate("f", 0));
            EXPECT_ERRNO((bits & 6) == 6 ? 0 : EACCES, Fd("f", O_RDONLY | O_TRUNC));
          }
        });
        RemoveAny("f");
      }
    }
  }
  Make(Type::kFile, "f", 0000, kAlice.uid, kAlice.gid);
  EXPECT_OK(access("f", R_OK | W_OK));
  EXPECT_ERRNO(EACCES, access("f", X_OK));  // even root: no execute bit at all
}

// What may be done to a directory by its permission bits.
POSIX_ROOT_TEST(access, directory_matrix) {
  struct Who {
    User user;
    int shift;
  };
  for (const Who& who : {Who{kAlice, 6}, Who{{kBob.uid, kAlice.gid}, 3},
                         Who{{kBob.uid, kBob.gid, {kAlice.gid}}, 3}, Who{kBob, 0}}) {
    for (mode_t bits = 0; bits < 8; bits++) {
      const mode_t mode = (0777 & ~(7u << who.shift)) | (bits << who.shift);
      const Scope scope(Fmt("mode %o", mode));
      EXPECT_OK(mkdir("d", 0777));
      WriteFile("d/file", "x");
      WriteFile("loose", "x");
      chown("loose", who.user.uid, who.user.gid);
      EXPECT_OK(mkdir("d/sub", 0777));
      EXPECT_OK(chown("d", kAlice.uid, kAlice.gid));
      EXPECT_OK(chmod("d", mode));
      As(who.user, [&] {
        const int search = (bits & 1) != 0 ? 0 : EACCES;
        const int change = (bits & 3) == 3 ? 0 : EACCES;
        struct stat st;
        EXPECT_ERRNO((bits & 4) != 0 ? 0 : EACCES, Fd("d", O_RDONLY | O_DIRECTORY));
        EXPECT_ERRNO(search, stat("d/file", &st));
        EXPECT_ERRNO(search, chdir("d") == 0 ? chdir("..") : -1);
        EXPECT_ERRNO((bits & 1) != 0 ? ENOENT : EACCES, stat("d/none", &st));
        EXPECT_ERRNO(change, Fd("d/new", O_CREAT | O_WRONLY));
        EXPECT_ERRNO(change, mkdir("d/newdir", 0755));
        EXPECT_ERRNO(change, mkfifo("d/newfifo", 0644));
        EXPECT_ERRNO(change, symlink("x", "d/newlink"));
        EXPECT_ERRNO(change, link("loose", "d/newhard"));
        EXPECT_ERRNO(change, rename("d/file", "d/renamed"));
        EXPECT_ERRNO(change, unlink(change == 0 ? "d/renamed" : "d/file"));
        EXPECT_ERRNO(change, rmdir("d/sub"));
      });
      chmod("d", 0777);
      for (const std::string& name : List("d")) RemoveAny("d/" + name);
      rmdir("d");
      unlink("loose");
    }
  }
}

POSIX_ROOT_TEST(access, real_ids_decide_not_effective) {
  Make(Type::kFile, "f", 0600, kAlice.uid, kAlice.gid);
  InChild([] {
    if (setresgid(kBob.gid, kAlice.gid, 0) != 0 || setresuid(kBob.uid, kAlice.uid, 0) != 0) _exit(9);
    EXPECT_ERRNO(EACCES, access("f", R_OK));
    EXPECT_OK(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
    EXPECT_OK(Fd("f", O_RDWR));
  });
}

}  // namespace posix
