// Making new names: open with O_CREAT, mkdir, mkfifo, mknod, symlink. Owner, mode, times, limits.
#include <sys/sysmacros.h>

#include "harness.h"

namespace posix {
namespace {

struct Maker {
  const char* name;
  mode_t type;
  int (*make)(const char* path, mode_t mode);
};
const Maker kMakers[] = {
    {"open", S_IFREG,
     [](const char* p, mode_t m) {
       const int fd = open(p, O_CREAT | O_RDWR, m);
       return fd < 0 ? -1 : close(fd);
     }},
    {"open excl", S_IFREG,
     [](const char* p, mode_t m) {
       const int fd = open(p, O_CREAT | O_EXCL | O_RDONLY, m);
       return fd < 0 ? -1 : close(fd);
     }},
    {"creat", S_IFREG,
     [](const char* p, mode_t m) {
       const int fd = creat(p, m);
       return fd < 0 ? -1 : close(fd);
     }},
    {"mkdir", S_IFDIR, [](const char* p, mode_t m) { return mkdir(p, m); }},
    {"mkfifo", S_IFIFO, [](const char* p, mode_t m) { return mkfifo(p, m); }},
    {"mknod file", S_IFREG, [](const char* p, mode_t m) { return mknod(p, S_IFREG | m, 0); }},
    {"mknod without a type", S_IFREG, [](const char* p, mode_t m) { return mknod(p, m, 0); }},
    {"mknod fifo", S_IFIFO, [](const char* p, mode_t m) { return mknod(p, S_IFIFO | m, 0); }},
    {"mknod socket", S_IFSOCK, [](const char* p, mode_t m) { return mknod(p, S_IFSOCK | m, 0); }},
    {"mknod char", S_IFCHR, [](const char* p, mode_t m) { return mknod(p, S_IFCHR | m, makedev(1, 3)); }},
    {"mknod block", S_IFBLK, [](const char* p, mode_t m) { return mknod(p, S_IFBLK | m, makedev(7, 77)); }},
};
bool Allowed(const Maker& m) {
  return IsRoot() || (m.type != S_IFCHR && m.type != S_IFBLK);
}

}  // namespace

POSIX_TEST(create, mode_and_umask) {
  for (const Maker& m : kMakers) {
    if (!Allowed(m)) continue;
    const Scope scope(m.name);
    for (mode_t mask : {0000, 0022, 0077, 0177, 0070, 0345, 0501, 0777}) {
      for (mode_t mode : {0755, 0644, 0600, 0151, 0777, 0000}) {
        const Scope scope2(Fmt("mode %o, umask %o", mode, mask));
        umask(mask);
        EXPECT_OK(m.make("f", mode));
        umask(0);
        EXPECT_EQ(m.type | (mode & ~mask), Lstat("f").st_mode);
        RemoveAny("f");
      }
    }
  }
}

POSIX_TEST(create, special_mode_bits) {
  for (const Maker& m : kMakers) {
    if (!Allowed(m)) continue;
    const Scope scope(m.name);
    for (mode_t mode : {01755, 02755, 04755, 07777}) {
      EXPECT_OK(m.make("f", mode));
      // mkdir takes only the permissions and the sticky bit.
      EXPECT_EQ(m.type == S_IFDIR ? mode & 01777u : mode, ModeOf("f"));
      RemoveAny("f");
    }
  }
}

POSIX_TEST(create, fresh_attributes) {
  for (const Maker& m : kMakers) {
    if (!Allowed(m)) continue;
    const Scope scope(m.name);
    timespec before;
    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    EXPECT_OK(m.make("f", 0644));
    const struct stat st = Lstat("f");
    EXPECT_EQ(m.type == S_IFDIR ? 2u : 1u, st.st_nlink);
    if (m.type != S_IFDIR) EXPECT_EQ(0, st.st_size);
    if (m.type != S_IFDIR) EXPECT_EQ(0, st.st_blocks);
    EXPECT_EQ(geteuid(), st.st_uid);
    EXPECT_TRUE(st.st_ino != 0);
    EXPECT_EQ(Lstat(".").st_dev, st.st_dev);
    EXPECT_TRUE(!(st.st_mtim < before) && !(st.st_atim < before) && !(st.st_ctim < before));
    if (m.type == S_IFCHR) EXPECT_EQ(makedev(1, 3), st.st_rdev);
    if (m.type == S_IFBLK) EXPECT_EQ(makedev(7, 77), st.st_rdev);
    RemoveAny("f");
  }
}

POSIX_TEST(create, parent_times) {
  for (const Maker& m : kMakers) {
    if (!Allowed(m)) continue;
    const Scope scope(m.name);
    Make(Type::kDir, "p");
    EXPECT_TIMES([&] { EXPECT_OK(m.make("p/f", 0644)); }, {"p", kData});
    EXPECT_TIMES([&] { EXPECT_OK(RemoveAny("p/f")); }, {"p", kData});
    Make(Type::kFile, "p/f");
    if (m.type != S_IFREG) {
      EXPECT_TIMES([&] { EXPECT_ERRNO(EEXIST, m.make("p/f", 0644)); }, {"p", kNone}, {"p/f", kNone});
    }
    EXPECT_OK(RemoveAny("p/f"));
    rmdir("p");
  }
}

POSIX_ROOT_TEST(create, owner_and_group) {
  EXPECT_OK(mkdir("d", 0777));
  EXPECT_OK(chown("d", 17, 18));
  EXPECT_OK(mkdir("g", 0777));
  EXPECT_OK(chown("g", 17, 18));
  EXPECT_OK(chmod("g", 02777));
  for (const Maker& m : kMakers) {
    const Scope scope(m.name);
    if (m.type == S_IFCHR || m.type == S_IFBLK) {
      As(kAlice, [&] { EXPECT_ERRNO(EPERM, m.make("d/f", 0644)); });
      continue;
    }
    As({kAlice.uid, kAlice.gid, {kBob.gid}}, [&] {
      EXPECT_OK(m.make("d/f", 0755));
      EXPECT_OK(m.make("g/f", 0755));
    });
    EXPECT_EQ(kAlice.uid, Lstat("d/f").st_uid);
    EXPECT_EQ(kAlice.gid, Lstat("d/f").st_gid);
    EXPECT_EQ(kAlice.uid, Lstat("g/f").st_uid);
    EXPECT_EQ(18u, Lstat("g/f").st_gid);  // a setgid directory gives its group
    EXPECT_EQ(m.type == S_IFDIR ? 02755u : 0755u, ModeOf("g/f"));
    RemoveAny("d/f");
    RemoveAny("g/f");
  }
  As(kAlice, [] { EXPECT_OK(symlink("x", "g/s")); });
  EXPECT_EQ(18u, Lstat("g/s").st_gid);
  EXPECT_EQ(kAlice.uid, Lstat("g/s").st_uid);
}

// A setgid file that is group-executable, made in a setgid directory by someone outside its group, loses the
// bit.
POSIX_ROOT_TEST(create, setgid_file_in_setgid_directory) {
  EXPECT_OK(mkdir("g", 0777));
  EXPECT_OK(chown("g", 17, 18));
  EXPECT_OK(chmod("g", 02777));
  As(kAlice, [] {
    EXPECT_OK(Fd("g/x", O_CREAT | O_WRONLY, 02755));
    EXPECT_OK(Fd("g/plain", O_CREAT | O_WRONLY, 02644));
  });
  EXPECT_EQ(0755u, ModeOf("g/x"));
  EXPECT_EQ(02644u, ModeOf("g/plain"));
  As({kAlice.uid, kAlice.gid, {18}}, [] { EXPECT_OK(Fd("g/member", O_CREAT | O_WRONLY, 02755)); });
  EXPECT_EQ(02755u, ModeOf("g/member"));
  EXPECT_OK(Fd("g/root", O_CREAT | O_WRONLY, 02755));
  EXPECT_EQ(02755u, ModeOf("g/root"));
}

POSIX_ROOT_TEST(mknod, device_numbers) {
  for (auto [major_no, minor_no] :
       {std::pair{1u, 3u}, {0u, 0u}, {255u, 255u}, {256u, 256u}, {4095u, 1048575u}, {8u, 65536u}}) {
    for (mode_t type : {S_IFCHR, S_IFBLK}) {
      EXPECT_OK(mknod("n", type | 0600, makedev(major_no, minor_no)));
      const struct stat st = Lstat("n");
      EXPECT_EQ(major_no, major(st.st_rdev));
      EXPECT_EQ(minor_no, minor(st.st_rdev));
      EXPECT_OK(link("n", "m"));
      EXPECT_OK(rename("n", "k"));
      EXPECT_EQ(st.st_rdev, Lstat("k").st_rdev);
      EXPECT_EQ(st.st_ino, Lstat("m").st_ino);
      unlink("k");
      unlink("m");
    }
  }
}

POSIX_TEST(mknod, bad_type) {
  EXPECT_ERRNO(EPERM, mknod("d", S_IFDIR | 0755, 0));
  EXPECT_ERRNO(EINVAL, mknod("l", S_IFLNK | 0755, 0));
  EXPECT_ERRNO(EINVAL, mknod("x", S_IFMT | 0644, 0));
}

POSIX_TEST(mkdir, link_counts) {
  Make(Type::kDir, "p");
  EXPECT_EQ(2u, Lstat("p").st_nlink);
  for (unsigned i = 0; i < 10; i++) {
    EXPECT_OK(mkdir(Fmt("p/%u", i).c_str(), 0755));
    EXPECT_EQ(3u + i, Lstat("p").st_nlink);
  }
  Make(Type::kFile, "p/file");
  EXPECT_EQ(12u, Lstat("p").st_nlink);
  EXPECT_OK(rmdir("p/3"));
  EXPECT_EQ(11u, Lstat("p").st_nlink);
  Make(Type::kDir, "q");
  EXPECT_OK(rename("p/4", "q/4"));
  EXPECT_EQ(10u, Lstat("p").st_nlink);
  EXPECT_EQ(3u, Lstat("q").st_nlink);
  EXPECT_OK(rename("q/4", "p/5"));  // over an empty directory
  EXPECT_EQ(10u, Lstat("p").st_nlink);
  EXPECT_EQ(2u, Lstat("q").st_nlink);
}

POSIX_TEST(mkdir, dot_and_dotdot) {
  Make(Type::kDir, "p");
  Make(Type::kDir, "p/q");
  EXPECT_EQ(Lstat("p").st_ino, Lstat("p/q/..").st_ino);
  EXPECT_EQ(Lstat("p/q").st_ino, Lstat("p/q/.").st_ino);
  EXPECT_EQ(Lstat(".").st_ino, Lstat("p/..").st_ino);
  EXPECT_ERRNO(EEXIST, mkdir("p/.", 0755));
  EXPECT_ERRNO(EEXIST, mkdir("p/..", 0755));
  EXPECT_ERRNO(EEXIST, mkdir("/", 0755));
  Make(Type::kDir, "other");
  EXPECT_OK(rename("p/q", "other/q"));
  EXPECT_EQ(Lstat("other").st_ino, Lstat("other/q/..").st_ino);
  EXPECT_OK(mkdir("trailing///", 0755));
  EXPECT_TRUE(S_ISDIR(Lstat("trailing").st_mode));
}

POSIX_TEST(mkdir, in_a_removed_directory) {
  Make(Type::kDir, "p");
  Fd dir("p", O_RDONLY | O_DIRECTORY);
  EXPECT_OK(rmdir("p"));
  EXPECT_ERRNO(ENOENT, mkdirat(dir, "x", 0755));
  EXPECT_ERRNO(ENOENT, openat(dir, "x", O_CREAT | O_WRONLY, 0644));
  EXPECT_ERRNO(ENOENT, symlinkat("x", dir, "x"));
  EXPECT_ERRNO(ENOENT, mknodat(dir, "x", S_IFIFO | 0644, 0));
  Make(Type::kFile, "f");
  EXPECT_ERRNO(ENOENT, linkat(AT_FDCWD, "f", dir, "x", 0));
  EXPECT_ERRNO(ENOENT, renameat(AT_FDCWD, "f", dir, "x"));
  EXPECT_TRUE(Exists("f"));
  EXPECT_EQ(0u, Fstat(dir).st_nlink);
}

POSIX_TEST(symlink, targets_of_every_length) {
  for (size_t n : {1, 2, 59, 60, 61, 100, 255, 256, 1000, 1023, 1024, 4000, 4094, 4095}) {
    const Scope scope(Fmt("%zu bytes", n));
    std::string target;
    while (target.size() < n) target += target.size() % 200 == 199 ? '/' : char('a' + target.size() % 26);
    EXPECT_OK(symlink(target.c_str(), "l"));
    EXPECT_EQ(n, size_t(Lstat("l").st_size));
    std::string got(8192, 0);
    EXPECT_EQ(ssize_t(n), readlink("l", got.data(), got.size()));
    got.resize(n);
    EXPECT_EQ(target, got);
    char two[2];
    EXPECT_EQ(ssize_t(std::min<size_t>(2, n)), readlink("l", two, 2));
    unlink("l");
  }
  EXPECT_ERRNO(ENAMETOOLONG, symlink(std::string(4096, 'x').c_str(), "l"));
  EXPECT_ERRNO(ENOENT, symlink("", "l"));
}

POSIX_TEST(symlink, attributes_and_times) {
  Make(Type::kDir, "p");
  umask(0777);
  EXPECT_TIMES([] { EXPECT_OK(symlink("any thing \n\xff", "p/l")); }, {"p", kData});
  umask(0);
  EXPECT_EQ(S_IFLNK | 0777u, Lstat("p/l").st_mode);
  EXPECT_EQ(1u, Lstat("p/l").st_nlink);
  EXPECT_TIMES([] { EXPECT_OK(unlink("p/l")); }, {"p", kData});
  Make(Type::kFile, "f");
  char b[10];
  EXPECT_ERRNO(EINVAL, readlink("f", b, sizeof b));
  EXPECT_ERRNO(EINVAL, readlink("p", b, sizeof b));
  EXPECT_OK(symlink("f", "l"));
  EXPECT_ERRNO(EINVAL, readlink("l", b, 0));
}

POSIX_TEST(symlink, resolved_in_the_middle_of_a_path) {
  Make(Type::kDir, "d");
  Make(Type::kDir, "d/e");
  WriteFile("d/e/f", "content");
  EXPECT_OK(symlink("d", "l"));
  EXPECT_OK(symlink("../d/e", "d/m"));
  EXPECT_EQ(std::string("content"), ReadAll("l/m/f"));
  EXPECT_EQ(std::string("content"), ReadAll("l/./m/../e/f"));
  EXPECT_OK(mkdir("l/made", 0755));
  EXPECT_TRUE(Exists("d/made"));
  EXPECT_ERRNO(ENOTDIR, rmdir("l"));
  EXPECT_ERRNO(ELOOP, Fd("l", O_RDONLY | O_NOFOLLOW));
  EXPECT_ERRNO(ENOTDIR, Fd("l", O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
}

POSIX_TEST(names, any_bytes) {
  for (int c = 1; c < 256; c++) {
    if (c == '/') continue;
    const std::string name = std::string("x") + char(c) + "y";
    EXPECT_OK(Fd(name.c_str(), O_CREAT | O_EXCL | O_WRONLY));
  }
  EXPECT_EQ(254u, List(".").size());
  for (int c = 1; c < 256; c++) {
    if (c == '/') continue;
    EXPECT_OK(unlink((std::string("x") + char(c) + "y").c_str()));
  }
  for (const char* name : {"...", "..x", ".x", " ", "  ", "-", "~", "CON", "a\\b", "a:b", "\xff\xfe",
                           "\xc3\xa9", "e\xcc\x81", "*", "?"}) {
    EXPECT_OK(mkdir(name, 0755));
    EXPECT_EQ(1u, List(".").size());
    EXPECT_OK(rmdir(name));
  }
}

POSIX_TEST(names, case_and_prefixes_differ) {
  const char* names[] = {"a", "A", "aa", "aA", "a.", "a ", ".a", "a\n", "a\x01"};
  for (const char* name : names) WriteFile(name, name);
  EXPECT_EQ(std::size(names), List(".").size());
  for (const char* name : names) EXPECT_EQ(std::string(name), ReadAll(name));
}

POSIX_TEST(names, every_length) {
  for (int n = 1; n <= 255; n++) {
    const std::string name(n, 'a' + n % 26);
    EXPECT_OK(Fd(name.c_str(), O_CREAT | O_EXCL | O_WRONLY));
  }
  EXPECT_EQ(255u, List(".").size());
  for (int n = 1; n <= 255; n++) EXPECT_OK(unlink(std::string(n, 'a' + n % 26).c_str()));
}

POSIX_TEST(names, deep_tree) {
  // Deeper than PATH_MAX can name: built and taken down by descriptors.
  constexpr int kDepth = 600;
  std::vector<Fd> dirs;
  dirs.emplace_back(".", O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < kDepth; i++) {
    REQUIRE_OK(mkdirat(dirs.back(), "a-directory", 0755));
    dirs.emplace_back(openat(dirs.back(), "a-directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (dirs.back() < 0) break;
  }
  EXPECT_EQ(size_t(kDepth + 1), dirs.size());
  const int bottom = openat(dirs.back(), "file", O_CREAT | O_WRONLY, 0644);
  EXPECT_EQ(4, write(bottom, "deep", 4));
  close(bottom);
  EXPECT_OK(unlinkat(dirs.back(), "file", 0));
  while (dirs.size() > 1) {
    dirs.pop_back();
    EXPECT_OK(unlinkat(dirs.back(), "a-directory", AT_REMOVEDIR));
  }
}

}  // namespace posix
