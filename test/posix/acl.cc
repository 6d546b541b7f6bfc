// POSIX ACLs, as acl(5) has them, through the attributes that carry them.
#include <endian.h>
#include <sys/xattr.h>

#include <algorithm>

#include "harness.h"

namespace posix {
namespace {

constexpr const char* kAccess = "system.posix_acl_access";
constexpr const char* kDefault = "system.posix_acl_default";

enum : uint16_t { kUserObj = 1, kUser = 2, kGroupObj = 4, kGroup = 8, kMask = 16, kOther = 32 };
struct Item {
  uint16_t tag;
  uint16_t perm;
  uint32_t id = 0xffffffff;
};
using Acl = std::vector<Item>;

std::string Encode(const Acl& acl, uint32_t version = 2) {
  std::string s;
  const auto put32 = [&](uint32_t v) { v = htole32(v), s.append(reinterpret_cast<char*>(&v), 4); };
  const auto put16 = [&](uint16_t v) { v = htole16(v), s.append(reinterpret_cast<char*>(&v), 2); };
  put32(version);
  for (const Item& e : acl) put16(e.tag), put16(e.perm), put32(e.id);
  return s;
}

int SetAcl(const char* path, const char* kind, const Acl& acl) {
  const std::string s = Encode(acl);
  return setxattr(path, kind, s.data(), s.size(), 0);
}

// Empty if there is none.
Acl GetAcl(const std::string& path, const char* kind) {
  std::string s(4096, 0);
  const ssize_t n = getxattr(path.c_str(), kind, s.data(), s.size());
  Acl acl;
  for (ssize_t at = 4; at + 8 <= n; at += 8) {
    Item e;
    memcpy(&e.tag, &s[at], 2);
    memcpy(&e.perm, &s[at + 2], 2);
    memcpy(&e.id, &s[at + 4], 4);
    acl.push_back({le16toh(e.tag), le16toh(e.perm), le32toh(e.id)});
  }
  return acl;
}

std::string Text(const Acl& acl) {
  std::string s;
  for (const Item& e : acl) s += Fmt("%u:%d:%o ", e.tag, int(e.id), e.perm);
  return s;
}
#define EXPECT_ACL(path, kind, ...) EXPECT_EQ(Text(Acl __VA_ARGS__), Text(GetAcl(path, kind)))

bool Supported() {
  Make(Type::kFile, "probe");
  const bool yes =
      SetAcl("probe", kAccess, {{kUserObj, 6}, {kUser, 4, 1}, {kGroupObj, 4}, {kMask, 4}, {kOther, 4}}) == 0;
  unlink("probe");
  return yes;
}
#define NEED_ACL() \
  if (!Supported()) SKIP_TEST("no POSIX ACLs here")

}  // namespace

POSIX_TEST(acl, supported) {
  Make(Type::kFile, "f");
  EXPECT_OK(SetAcl("f", kAccess, {{kUserObj, 6}, {kUser, 4, 1}, {kGroupObj, 4}, {kMask, 4}, {kOther, 4}}));
}

POSIX_TEST(acl, set_get_and_mode) {
  NEED_ACL();
  Make(Type::kFile, "f");
  EXPECT_ERRNO(ENODATA, getxattr("f", kAccess, nullptr, 0));
  EXPECT_OK(SetAcl("f", kAccess, {{kUserObj, 7}, {kUser, 6, 11}, {kGroupObj, 4}, {kMask, 6}, {kOther, 1}}));
  EXPECT_EQ(0761u, ModeOf("f"));  // the group bits show the mask
  EXPECT_ACL("f", kAccess, {{kUserObj, 7}, {kUser, 6, 11}, {kGroupObj, 4}, {kMask, 6}, {kOther, 1}});
  EXPECT_OK(SetAcl("f", kAccess, {{kUserObj, 6}, {kGroupObj, 4}, {kOther, 0}}));  // no more than a mode
  EXPECT_EQ(0640u, ModeOf("f"));
  EXPECT_ERRNO(ENODATA, getxattr("f", kAccess, nullptr, 0));
  EXPECT_OK(SetAcl("f", kAccess, {{kUserObj, 6}, {kGroupObj, 4}, {kMask, 7}, {kOther, 0}}));
  EXPECT_EQ(0670u, ModeOf("f"));
  EXPECT_OK(removexattr("f", kAccess));
  EXPECT_ERRNO(ENODATA, getxattr("f", kAccess, nullptr, 0));
}

POSIX_TEST(acl, chmod_changes_the_mask) {
  NEED_ACL();
  for (Type type : {Type::kFile, Type::kDir, Type::kFifo}) {
    Make(type, "f");
    EXPECT_OK(
        SetAcl("f", kAccess,
               {{kUserObj, 7}, {kUser, 7, 11}, {kGroupObj, 5}, {kGroup, 7, 12}, {kMask, 7}, {kOther, 5}}));
    EXPECT_OK(chmod("f", 0640));
    EXPECT_EQ(0640u, ModeOf("f"));
    EXPECT_ACL("f", kAccess,
               {{kUserObj, 6}, {kUser, 7, 11}, {kGroupObj, 5}, {kGroup, 7, 12}, {kMask, 4}, {kOther, 0}});
    EXPECT_OK(chmod("f", 0751));
    EXPECT_ACL("f", kAccess,
               {{kUserObj, 7}, {kUser, 7, 11}, {kGroupObj, 5}, {kGroup, 7, 12}, {kMask, 5}, {kOther, 1}});
    RemoveAny("f");
  }
}

POSIX_TEST(acl, times_and_listing) {
  NEED_ACL();
  Make(Type::kDir, "d");
  EXPECT_TIMES(
      [] {
        EXPECT_OK(
            SetAcl("d", kAccess, {{kUserObj, 7}, {kUser, 7, 11}, {kGroupObj, 5}, {kMask, 7}, {kOther, 5}}));
      },
      {"d", kCtime});
  EXPECT_TIMES([] { EXPECT_OK(SetAcl("d", kDefault, {{kUserObj, 7}, {kGroupObj, 5}, {kOther, 5}})); },
               {"d", kCtime});
  std::string list(1000, 0);
  list.resize(std::max<ssize_t>(0, listxattr("d", list.data(), list.size())));
  EXPECT_TRUE(list.find(std::string(kAccess) + '\0') != std::string::npos);
  EXPECT_TRUE(list.find(std::string(kDefault) + '\0') != std::string::npos);
  EXPECT_OK(removexattr("d", kDefault));
  EXPECT_ERRNO(ENODATA, getxattr("d", kDefault, nullptr, 0));
}

POSIX_TEST(acl, inherited_by_files_and_directories) {
  NEED_ACL();
  Make(Type::kDir, "d");
  const Acl inherit = {{kUserObj, 7},   {kUser, 6, 11}, {kGroupObj, 5},
                       {kGroup, 7, 12}, {kMask, 7},     {kOther, 5}};
  EXPECT_OK(SetAcl("d", kDefault, inherit));
  EXPECT_EQ(0755u, ModeOf("d"));
  for (mode_t mask : {0, 022, 077, 0777}) {  // does not matter where a default ACL is
    const Scope scope(Fmt("umask %o", mask));
    umask(mask);
    EXPECT_OK(Fd("d/f", O_CREAT | O_WRONLY, 0666));
    EXPECT_OK(mkdir("d/sub", 0777));
    EXPECT_OK(mkdir("d/sub2", 0750));
    EXPECT_OK(mkfifo("d/fifo", 0600));
    EXPECT_OK(symlink("x", "d/link"));
    umask(0);
    EXPECT_EQ(0664u, ModeOf("d/f"));
    EXPECT_ACL("d/f", kAccess,
               {{kUserObj, 6}, {kUser, 6, 11}, {kGroupObj, 5}, {kGroup, 7, 12}, {kMask, 6}, {kOther, 4}});
    EXPECT_ERRNO(ENODATA, getxattr("d/f", kDefault, nullptr, 0));
    EXPECT_EQ(0775u, ModeOf("d/sub"));
    EXPECT_EQ(Text(inherit), Text(GetAcl("d/sub", kAccess)));
    EXPECT_EQ(Text(inherit), Text(GetAcl("d/sub", kDefault)));
    EXPECT_EQ(0750u, ModeOf("d/sub2"));
    EXPECT_ACL("d/sub2", kAccess,
               {{kUserObj, 7}, {kUser, 6, 11}, {kGroupObj, 5}, {kGroup, 7, 12}, {kMask, 5}, {kOther, 0}});
    EXPECT_EQ(Text(inherit), Text(GetAcl("d/sub2", kDefault)));
    EXPECT_EQ(0600u, ModeOf("d/fifo"));
    EXPECT_OK(Fd("d/sub/deep", O_CREAT | O_WRONLY, 0640));
    EXPECT_ACL("d/sub/deep", kAccess,
               {{kUserObj, 6}, {kUser, 6, 11}, {kGroupObj, 5}, {kGroup, 7, 12}, {kMask, 4}, {kOther, 0}});
    unlink("d/sub/deep");
    for (const std::string& name : List("d")) RemoveAny("d/" + name);
  }
}

POSIX_TEST(acl, minimal_default) {
  NEED_ACL();
  Make(Type::kDir, "d");
  EXPECT_OK(SetAcl("d", kDefault, {{kUserObj, 7}, {kGroupObj, 5}, {kOther, 1}}));
  umask(0777);
  EXPECT_OK(Fd("d/f", O_CREAT | O_WRONLY, 0666));
  EXPECT_OK(mkdir("d/sub", 0777));
  umask(0);
  EXPECT_EQ(0640u, ModeOf("d/f"));
  EXPECT_ERRNO(ENODATA, getxattr("d/f", kAccess, nullptr, 0));
  EXPECT_EQ(0751u, ModeOf("d/sub"));
  EXPECT_ACL("d/sub", kDefault, {{kUserObj, 7}, {kGroupObj, 5}, {kOther, 1}});
}

POSIX_TEST(acl, tmpfile_inherits) {
  NEED_ACL();
  Make(Type::kDir, "d");
  EXPECT_OK(SetAcl("d", kDefault, {{kUserObj, 7}, {kUser, 6, 11}, {kGroupObj, 5}, {kMask, 7}, {kOther, 5}}));
  umask(077);
  Fd fd(open("d", O_TMPFILE | O_RDWR, 0660));
  umask(0);
  if (fd < 0) SKIP_TEST("no O_TMPFILE here");
  EXPECT_EQ(0660u, Fstat(fd).st_mode & 07777);
}

POSIX_TEST(acl, bad_ones) {
  NEED_ACL();
  Make(Type::kFile, "f");
  Make(Type::kDir, "d");
  const Acl bad[] = {
      {{kUserObj, 7}},                                              // entries missing
      {{kUserObj, 7}, {kUser, 7, 1}, {kGroupObj, 7}, {kOther, 7}},  // no mask
      {{kUserObj, 7}, {kGroupObj, 7}, {kOther, 7}, {kOther, 7}},    // twice
      {{kGroupObj, 7}, {kUserObj, 7}, {kOther, 7}},                 // order
      {{kUserObj, 8}, {kGroupObj, 7}, {kOther, 7}},                 // permission bits
      {{kUserObj, 7}, {kGroupObj, 7}, {kOther, 7}, {64, 7}},        // tag
  };
  for (const Acl& acl : bad) {
    const Scope scope(Text(acl));
    EXPECT_ERRNO(EINVAL, SetAcl("f", kAccess, acl));
    EXPECT_ERRNO(EINVAL, SetAcl("d", kDefault, acl));
  }
  const std::string old = Encode({{kUserObj, 7}, {kGroupObj, 7}, {kOther, 7}}, 1);
  EXPECT_ERRNO(EOPNOTSUPP, setxattr("f", kAccess, old.data(), old.size(), 0));
  EXPECT_ERRNO(EINVAL, setxattr("f", kAccess, "abc", 3, 0));
  EXPECT_ERRNO(EACCES, SetAcl("f", kDefault, {{kUserObj, 7}, {kGroupObj, 7}, {kOther, 7}}));
  EXPECT_EQ(0644u, ModeOf("f"));
}

POSIX_ROOT_TEST(acl, decides_access) {
  NEED_ACL();
  const gid_t team = 65400;
  Make(Type::kFile, "f", 0600, kAlice.uid, kAlice.gid);
  const auto can = [](const User& user, int error_read, int error_write) {
    As(user, [&] {
      EXPECT_ERRNO(error_read, Fd("f", O_RDONLY));
      EXPECT_ERRNO(error_write, Fd("f", O_WRONLY));
      EXPECT_ERRNO(error_read, access("f", R_OK));
      EXPECT_ERRNO(error_write, access("f", W_OK));
    });
  };
  can(kBob, EACCES, EACCES);
  EXPECT_OK(SetAcl(
      "f", kAccess,
      {{kUserObj, 6}, {kUser, 4, kBob.uid}, {kGroupObj, 0}, {kGroup, 6, team}, {kMask, 6}, {kOther, 0}}));
  can(kAlice, 0, 0);
  can(kBob, 0, EACCES);
  can({65533, 65533}, EACCES, EACCES);
  can({65533, 65533, {team}}, 0, 0);
  can({65533, team}, 0, 0);
  can({kBob.uid, kBob.gid, {team}}, 0, EACCES);  // the entry of the user comes first
  EXPECT_OK(chmod("f", 0640));                   // the mask now allows reading only
  can({65533, team}, 0, EACCES);
  EXPECT_OK(chmod("f", 0600));
  can(kBob, EACCES, EACCES);
  can({65533, team}, EACCES, EACCES);
  can(kAlice, 0, 0);
  EXPECT_OK(
      SetAcl("f", kAccess, {{kUserObj, 0}, {kUser, 6, kBob.uid}, {kGroupObj, 0}, {kMask, 6}, {kOther, 6}}));
  can(kAlice, EACCES, EACCES);
  can(kBob, 0, 0);
  can({65533, kAlice.gid}, EACCES, EACCES);
  can({65533, 65533}, 0, 0);
}

POSIX_ROOT_TEST(acl, decides_access_to_directories) {
  NEED_ACL();
  Make(Type::kDir, "d", 0700, kAlice.uid, kAlice.gid);
  EXPECT_OK(SetAcl(
      "d", kAccess,
      {{kUserObj, 7}, {kUser, 7, kBob.uid}, {kUser, 1, 65530}, {kGroupObj, 0}, {kMask, 7}, {kOther, 0}}));
  As(kBob, [] { WriteFile("d/f", "x"); });
  As({65530, 65530}, [] {
    struct stat st;
    EXPECT_OK(stat("d/f", &st));
    EXPECT_ERRNO(EACCES, Fd("d", O_RDONLY));
    EXPECT_ERRNO(EACCES, unlink("d/f"));
  });
  As({65529, 65529}, [] {
    struct stat st;
    EXPECT_ERRNO(EACCES, stat("d/f", &st));
  });
}

POSIX_ROOT_TEST(acl, only_the_owner_sets) {
  NEED_ACL();
  Make(Type::kFile, "f", 0666, kAlice.uid, kAlice.gid);
  const Acl acl = {{kUserObj, 6}, {kUser, 4, 5}, {kGroupObj, 4}, {kMask, 4}, {kOther, 4}};
  As(kBob, [&] {
    EXPECT_ERRNO(EPERM, SetAcl("f", kAccess, acl));
    EXPECT_ERRNO(EPERM, removexattr("f", kAccess));
  });
  As(kAlice, [&] { EXPECT_OK(SetAcl("f", kAccess, acl)); });
  EXPECT_EQ(0644u, ModeOf("f"));
}

// Who sets an ACL from outside the file's group loses its setgid bit.
POSIX_ROOT_TEST(acl, clears_setgid) {
  NEED_ACL();
  const Acl acl = {{kUserObj, 7}, {kUser, 5, 5}, {kGroupObj, 5}, {kMask, 5}, {kOther, 5}};
  Make(Type::kFile, "f", 02755, kAlice.uid, kBob.gid);
  As({kAlice.uid, kAlice.gid, {kBob.gid}}, [&] { EXPECT_OK(SetAcl("f", kAccess, acl)); });
  EXPECT_EQ(02755u, ModeOf("f"));
  EXPECT_OK(SetAcl("f", kAccess, acl));  // root keeps it
  EXPECT_EQ(02755u, ModeOf("f"));
  As(kAlice, [&] { EXPECT_OK(SetAcl("f", kAccess, acl)); });
  EXPECT_EQ(0755u, ModeOf("f"));
}

}  // namespace posix
