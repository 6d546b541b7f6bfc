// Extended attributes.
#include <linux/limits.h>
#include <sys/xattr.h>

#include <algorithm>

#include "harness.h"

namespace posix {
namespace {

std::string Get(const char* path, const char* name) {
  std::string value(70000, 0);
  const ssize_t n = lgetxattr(path, name, value.data(), value.size());
  if (n < 0) return "(" + std::string(strerrorname_np(errno)) + ")";
  value.resize(n);
  return value;
}

std::vector<std::string> Names(const char* path) {
  std::string list(70000, 0);
  const ssize_t n = llistxattr(path, list.data(), list.size());
  std::vector<std::string> names;
  for (ssize_t at = 0; at < n; at += strlen(&list[at]) + 1) {
    const std::string name = &list[at];
    if (name != "security.selinux") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

int Set(const char* path, const char* name, const std::string& value, int flags = 0) {
  return lsetxattr(path, name, value.data(), value.size(), flags);
}

}  // namespace

POSIX_TEST(xattr, set_get_list_remove) {
  for (Type type : {Type::kFile, Type::kDir}) {
    const Scope scope(TypeName(type));
    Make(type, "f");
    EXPECT_EQ(0u, Names("f").size());
    EXPECT_EQ(0, llistxattr("f", nullptr, 0));
    EXPECT_ERRNO(ENODATA, lgetxattr("f", "user.none", nullptr, 0));
    EXPECT_ERRNO(ENODATA, lremovexattr("f", "user.none"));
    EXPECT_OK(Set("f", "user.one", "first"));
    EXPECT_OK(Set("f", "user.two", std::string("zero\0inside", 11)));
    EXPECT_OK(Set("f", "user.empty", ""));
    EXPECT_EQ(std::string("first"), Get("f", "user.one"));
    EXPECT_EQ(std::string("zero\0inside", 11), Get("f", "user.two"));
    EXPECT_EQ(0, lgetxattr("f", "user.empty", nullptr, 0));
    EXPECT_EQ(std::string(), Get("f", "user.empty"));
    const std::vector<std::string> want = {"user.empty", "user.one", "user.two"};
    EXPECT_TRUE(Names("f") == want);
    EXPECT_EQ(ssize_t(11 + 9 + 9), llistxattr("f", nullptr, 0));
    EXPECT_OK(Set("f", "user.one", "changed to something longer"));
    EXPECT_EQ(std::string("changed to something longer"), Get("f", "user.one"));
    EXPECT_OK(lremovexattr("f", "user.two"));
    EXPECT_EQ(std::string("(ENODATA)"), Get("f", "user.two"));
    EXPECT_EQ(2u, Names("f").size());
    RemoveAny("f");
    Make(type, "f");  // a new file of the same name has none
    EXPECT_EQ(0u, Names("f").size());
    RemoveAny("f");
  }
}

POSIX_TEST(xattr, create_and_replace) {
  Make(Type::kFile, "f");
  EXPECT_ERRNO(ENODATA, Set("f", "user.a", "x", XATTR_REPLACE));
  EXPECT_OK(Set("f", "user.a", "x", XATTR_CREATE));
  EXPECT_ERRNO(EEXIST, Set("f", "user.a", "y", XATTR_CREATE));
  EXPECT_EQ(std::string("x"), Get("f", "user.a"));
  EXPECT_OK(Set("f", "user.a", "y", XATTR_REPLACE));
  EXPECT_EQ(std::string("y"), Get("f", "user.a"));
  EXPECT_ERRNO(EINVAL, Set("f", "user.a", "y", 0x100));
}

POSIX_TEST(xattr, sizes) {
  Make(Type::kFile, "f");
  for (size_t n : {0, 1, 2, 100, 255, 256, 1000, 3000, 4095, 4096, 4097, 10000, 32768, 60000, 65535, 65536}) {
    const Scope scope(Fmt("%zu bytes", n));
    const std::string value = Pattern(n, n);
    EXPECT_OK(Set("f", "user.big", value));
    EXPECT_EQ(ssize_t(n), lgetxattr("f", "user.big", nullptr, 0));
    EXPECT_EQ(value, Get("f", "user.big"));
    if (n > 0) {
      std::string small(n - 1, 0);
      if (n > 1) EXPECT_ERRNO(ERANGE, lgetxattr("f", "user.big", small.data(), small.size()));
      std::string exact(n, 0);
      EXPECT_EQ(ssize_t(n), lgetxattr("f", "user.big", exact.data(), n));
    }
  }
  EXPECT_ERRNO(E2BIG, Set("f", "user.big", std::string(65537, 'x')));
  EXPECT_EQ(size_t(65536), Get("f", "user.big").size());
}

POSIX_TEST(xattr, names) {
  Make(Type::kFile, "f");
  const std::string longest = "user." + std::string(250, 'n');
  EXPECT_OK(Set("f", longest.c_str(), "v"));
  EXPECT_EQ(std::string("v"), Get("f", longest.c_str()));
  EXPECT_ERRNO(ERANGE, Set("f", (longest + "n").c_str(), "v"));
  EXPECT_ERRNO(ERANGE, lgetxattr("f", (longest + "n").c_str(), nullptr, 0));
  EXPECT_ERRNO(ERANGE, lremovexattr("f", (longest + "n").c_str()));
  EXPECT_ERRNO(ERANGE, Set("f", "", "v"));
  EXPECT_ERRNO(EOPNOTSUPP, Set("f", "nonsense.name", "v"));
  EXPECT_ERRNO(EOPNOTSUPP, Set("f", "user", "v"));
  EXPECT_ERRNO(EINVAL, Set("f", "user.", "v"));
  EXPECT_OK(Set("f", "user.\xff\x01 any\n", "v"));
  EXPECT_OK(Set("f", "user.A", "upper"));
  EXPECT_OK(Set("f", "user.a", "lower"));
  EXPECT_EQ(std::string("upper"), Get("f", "user.A"));
  EXPECT_EQ(4u, Names("f").size());
}

POSIX_TEST(xattr, list_too_long_for_the_buffer) {
  Make(Type::kFile, "f");
  for (int i = 0; i < 50; i++) EXPECT_OK(Set("f", Fmt("user.attribute-%02d", i).c_str(), Fmt("%d", i)));
  EXPECT_EQ(50u, Names("f").size());
  const ssize_t need = llistxattr("f", nullptr, 0);
  EXPECT_EQ(50 * 18, need);
  std::string list(need, 0);
  EXPECT_ERRNO(ERANGE, llistxattr("f", list.data(), need - 1));
  EXPECT_EQ(need, llistxattr("f", list.data(), need));
  for (int i = 0; i < 50; i += 2) EXPECT_OK(lremovexattr("f", Fmt("user.attribute-%02d", i).c_str()));
  EXPECT_EQ(25u, Names("f").size());
  for (int i = 1; i < 50; i += 2) EXPECT_EQ(Fmt("%d", i), Get("f", Fmt("user.attribute-%02d", i).c_str()));
}

POSIX_TEST(xattr, times) {
  Make(Type::kFile, "f");
  SetTimes("f", 1, 2);
  EXPECT_TIMES([] { EXPECT_OK(Set("f", "user.a", "1")); }, {"f", kCtime});
  EXPECT_TIMES([] { EXPECT_OK(Set("f", "user.a", "2")); }, {"f", kCtime});
  EXPECT_TIMES([] { Get("f", "user.a"); }, {"f", kNone});
  EXPECT_TIMES([] { EXPECT_ERRNO(EEXIST, Set("f", "user.a", "2", XATTR_CREATE)); }, {"f", kNone});
  EXPECT_TIMES([] { EXPECT_OK(lremovexattr("f", "user.a")); }, {"f", kCtime});
}

POSIX_TEST(xattr, by_descriptor_path_and_link) {
  Make(Type::kFile, "f");
  EXPECT_OK(symlink("f", "l"));
  EXPECT_OK(link("f", "hard"));
  Fd fd("f", O_RDONLY);
  EXPECT_OK(fsetxattr(fd, "user.a", "v", 1, 0));  // a descriptor for reading is enough
  char b[8];
  EXPECT_EQ(1, fgetxattr(fd, "user.a", b, 8));
  EXPECT_EQ(1, getxattr("l", "user.a", b, 8));
  EXPECT_EQ(std::string("v"), Get("hard", "user.a"));
  EXPECT_OK(rename("f", "g"));
  EXPECT_EQ(std::string("v"), Get("g", "user.a"));
  EXPECT_EQ(7, flistxattr(fd, b, 8));
  EXPECT_OK(fremovexattr(fd, "user.a"));
  EXPECT_OK(unlink("g"));
  EXPECT_OK(unlink("hard"));
  EXPECT_OK(fsetxattr(fd, "user.b", "v", 1, 0));  // without a name
  EXPECT_EQ(1, fgetxattr(fd, "user.b", b, 8));
}

// user. attributes belong to files and directories; trusted. and security. to anything.
POSIX_ROOT_TEST(xattr, namespaces_by_type) {
  for (Type type : Types()) {
    const Scope scope(TypeName(type));
    Make(type, "f");
    const bool plain = type == Type::kFile || type == Type::kDir;
    EXPECT_ERRNO(plain ? 0 : EPERM, Set("f", "user.a", "v"));
    EXPECT_EQ(std::string(plain ? "v" : "(ENODATA)"),
              Get("f", "user.a") == "(EPERM)" ? "(ENODATA)" : Get("f", "user.a"));
    EXPECT_OK(Set("f", "trusted.a", "trusted value"));
    EXPECT_EQ(std::string("trusted value"), Get("f", "trusted.a"));
    EXPECT_OK(Set("f", "security.a", "security value"));
    EXPECT_EQ(std::string("security value"), Get("f", "security.a"));
    EXPECT_EQ(plain ? 3u : 2u, Names("f").size());
    EXPECT_OK(lremovexattr("f", "trusted.a"));
    EXPECT_OK(lremovexattr("f", "security.a"));
    RemoveAny("f");
  }
}

POSIX_ROOT_TEST(xattr, permissions) {
  Make(Type::kFile, "f", 0644, kAlice.uid, kAlice.gid);
  EXPECT_OK(Set("f", "user.a", "v"));
  EXPECT_OK(Set("f", "trusted.a", "t"));
  EXPECT_OK(Set("f", "security.a", "s"));
  As(kAlice, [] {
    EXPECT_OK(Set("f", "user.a", "w"));
    EXPECT_ERRNO(EPERM, Set("f", "trusted.a", "w"));
    EXPECT_ERRNO(ENODATA, lgetxattr("f", "trusted.a", nullptr, 0));
    EXPECT_ERRNO(EPERM, lremovexattr("f", "trusted.a"));
    EXPECT_ERRNO(EPERM, Set("f", "security.a", "w"));
    EXPECT_EQ(std::string("s"), Get("f", "security.a"));
    const auto names = Names("f");  // trusted ones are not even listed
    EXPECT_TRUE(std::find(names.begin(), names.end(), "trusted.a") == names.end());
  });
  As(kBob, [] {
    EXPECT_EQ(std::string("w"), Get("f", "user.a"));
    EXPECT_ERRNO(EACCES, Set("f", "user.a", "x"));
    EXPECT_ERRNO(EACCES, lremovexattr("f", "user.a"));
  });
  EXPECT_OK(chmod("f", 0600));
  As(kBob, [] { EXPECT_ERRNO(EACCES, lgetxattr("f", "user.a", nullptr, 0)); });
  EXPECT_OK(mkdir("sticky", 0777));
  EXPECT_OK(chmod("sticky", 01777));
  As(kAlice, [] { EXPECT_ERRNO(EPERM, Set("sticky", "user.a", "v")); });
}

POSIX_ROOT_TEST(xattr, file_capabilities_go_with_a_write) {
  WriteFile("f", "program");
  // VFS_CAP_REVISION_2 with CAP_NET_RAW permitted.
  const uint32_t caps[5] = {0x02000001, 1 << 13, 0, 0, 0};
  REQUIRE_OK(lsetxattr("f", "security.capability", caps, sizeof caps, 0));
  EXPECT_EQ(ssize_t(sizeof caps), lgetxattr("f", "security.capability", nullptr, 0));
  EXPECT_OK(chmod("f", 0777));
  EXPECT_EQ(ssize_t(sizeof caps), lgetxattr("f", "security.capability", nullptr, 0));
  Fd fd("f", O_WRONLY);
  EXPECT_EQ(1, write(fd, "x", 1));
  EXPECT_ERRNO(ENODATA, lgetxattr("f", "security.capability", nullptr, 0));
  REQUIRE_OK(lsetxattr("f", "security.capability", caps, sizeof caps, 0));
  EXPECT_OK(chown("f", kAlice.uid, kAlice.gid));
  EXPECT_ERRNO(ENODATA, lgetxattr("f", "security.capability", nullptr, 0));
}

}  // namespace posix
