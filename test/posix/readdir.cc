// Listing directories: completeness while they change, positions, d_type, size.
#include <dirent.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness.h"

namespace posix {
namespace {

struct Seen {
  std::string name;
  unsigned char type;
  ino_t ino;
  long after;  // telldir after it
};

std::vector<Seen> Walk(DIR* d, size_t most = SIZE_MAX) {
  std::vector<Seen> seen;
  while (seen.size() < most) {
    const dirent* e = readdir(d);
    if (e == nullptr) break;
    seen.push_back({e->d_name, e->d_type, e->d_ino, telldir(d)});
  }
  return seen;
}

}  // namespace

POSIX_TEST(readdir, dot_entries_types_and_inodes) {
  for (Type type : Types()) Make(type, TypeName(type));
  const std::map<std::string, unsigned char> types = {
      {"file", DT_REG},  {"dir", DT_DIR},     {"fifo", DT_FIFO}, {"socket", DT_SOCK}, {"char", DT_CHR},
      {"block", DT_BLK}, {"symlink", DT_LNK}, {".", DT_DIR},     {"..", DT_DIR}};
  DIR* d = opendir(".");
  const auto seen = Walk(d);
  closedir(d);
  EXPECT_EQ(Types().size() + 2, seen.size());
  for (const Seen& s : seen) {
    const Scope scope(s.name);
    EXPECT_TRUE(types.contains(s.name));
    EXPECT_EQ(types.at(s.name), s.type);
    EXPECT_EQ(Lstat(s.name).st_ino, s.ino);
  }
}

POSIX_TEST(readdir, empty_and_dotdot_of_a_moved_directory) {
  Make(Type::kDir, "a");
  Make(Type::kDir, "b");
  Make(Type::kDir, "a/d");
  EXPECT_OK(rename("a/d", "b/d"));
  DIR* d = opendir("b/d");
  const auto seen = Walk(d);
  closedir(d);
  EXPECT_EQ(2u, seen.size());
  for (const Seen& s : seen) {
    EXPECT_EQ(Lstat(s.name == "." ? "b/d" : "b").st_ino, s.ino);
  }
}

POSIX_TEST(readdir, twenty_thousand_entries) {
  constexpr int kCount = 20000;
  for (int i = 0; i < kCount; i++) {
    if (mknod(Fmt("entry-%d", i).c_str(), S_IFREG | 0644, 0) != 0) {
      EXPECT_OK(-1);
      return;
    }
  }
  DIR* d = opendir(".");
  auto seen = Walk(d);
  EXPECT_EQ(size_t(kCount + 2), seen.size());
  std::set<std::string> names;
  std::set<long> places;
  for (const Seen& s : seen) {
    names.insert(s.name);
    places.insert(s.after);
  }
  EXPECT_EQ(seen.size(), names.size());
  EXPECT_EQ(seen.size(), places.size());
  // Any position can be returned to, in any order.
  for (size_t at : {size_t{0}, size_t{1}, size_t{2}, size_t{17}, size_t{9999}, size_t{19999}, size_t{5000},
                    size_t{20000}}) {
    seekdir(d, seen[at].after);
    const dirent* e = readdir(d);
    EXPECT_EQ(seen[at + 1].name, std::string(e != nullptr ? e->d_name : "(end)"));
  }
  rewinddir(d);
  EXPECT_EQ(seen.size(), Walk(d).size());
  closedir(d);
  // rm -rf: remove while listing.
  d = opendir(".");
  int removed = 0;
  while (const dirent* e = readdir(d)) {
    if (e->d_name[0] != '.' && unlink(e->d_name) == 0) removed++;
  }
  closedir(d);
  EXPECT_EQ(kCount, removed);
  EXPECT_EQ(0u, List(".").size());
}

// What stays is seen exactly once; what comes or goes meanwhile at most once.
POSIX_TEST(readdir, stable_while_entries_come_and_go) {
  constexpr int kCount = 3000;
  for (int i = 0; i < kCount; i++) EXPECT_OK(mknod(Fmt("stay-%d", i).c_str(), S_IFREG | 0644, 0));
  for (int i = 0; i < kCount; i++) EXPECT_OK(mknod(Fmt("go-%d", i).c_str(), S_IFREG | 0644, 0));
  DIR* d = opendir(".");
  std::map<std::string, int> times;
  int step = 0;
  while (const dirent* e = readdir(d)) {
    times[e->d_name]++;
    if (step % 2 == 0 && step / 2 < kCount) {
      unlink(Fmt("go-%d", step / 2).c_str());
      mknod(Fmt("come-%d", step / 2).c_str(), S_IFREG | 0644, 0);
    }
    step++;
  }
  closedir(d);
  int missed = 0, doubled = 0;
  for (int i = 0; i < kCount; i++) missed += !times.contains(Fmt("stay-%d", i));
  for (const auto& [name, n] : times) doubled += n > 1;
  EXPECT_EQ(0, missed);
  EXPECT_EQ(0, doubled);
}

POSIX_TEST(readdir, seekdir_to_a_removed_entry) {
  for (int i = 0; i < 1000; i++) EXPECT_OK(mknod(Fmt("e%d", i).c_str(), S_IFREG | 0644, 0));
  DIR* d = opendir(".");
  auto seen = Walk(d);
  EXPECT_EQ(1002u, seen.size());
  for (size_t at : {500u, 501u, 502u}) unlink(seen[at].name.c_str());
  seekdir(d, seen[499].after);
  // Whether the removed ones still show is open; all others follow in their order.
  auto rest = Walk(d);
  std::erase_if(rest, [](const Seen& s) { return !Exists(s.name); });
  EXPECT_EQ(seen.size() - 503, rest.size());
  for (size_t i = 0; i < rest.size() && 503 + i < seen.size(); i++)
    EXPECT_EQ(seen[503 + i].name, rest[i].name);
  closedir(d);
}

POSIX_TEST(readdir, rewind_sees_changes) {
  Make(Type::kFile, "a");
  DIR* d = opendir(".");
  EXPECT_EQ(3u, Walk(d).size());
  Make(Type::kFile, "b");
  unlink("a");
  rewinddir(d);
  const auto seen = Walk(d);
  EXPECT_EQ(3u, seen.size());
  EXPECT_TRUE(std::any_of(seen.begin(), seen.end(), [](const Seen& s) { return s.name == "b"; }));
  EXPECT_TRUE(std::none_of(seen.begin(), seen.end(), [](const Seen& s) { return s.name == "a"; }));
  closedir(d);
}

POSIX_TEST(readdir, fresh_listing_after_every_change) {
  for (int i = 0; i < 50; i++) {
    Make(Type::kFile, Fmt("f%d", i));
    EXPECT_EQ(size_t(i + 1), List(".").size());
  }
  for (int i = 0; i < 50; i++) {
    EXPECT_OK(rename(Fmt("f%d", i).c_str(), Fmt("g%d", i).c_str()));
    const auto names = List(".");
    EXPECT_EQ(50u, names.size());
    EXPECT_TRUE(std::binary_search(names.begin(), names.end(), Fmt("g%d", i)));
  }
}

POSIX_TEST(readdir, attributes_after_listing_are_current) {
  for (int i = 0; i < 100; i++) WriteFile(Fmt("f%d", i), std::string(i, 'x'));
  for (const std::string& name : List(".")) EXPECT_EQ(std::stoi(name.substr(1)), Lstat(name).st_size);
  for (int i = 0; i < 100; i++) EXPECT_OK(truncate(Fmt("f%d", i).c_str(), 1000 + i));
  for (const std::string& name : List(".")) EXPECT_EQ(1000 + std::stoi(name.substr(1)), Lstat(name).st_size);
}

POSIX_TEST(readdir, names_of_255_bytes) {
  for (int i = 0; i < 300; i++) {
    std::string name = Fmt("%d-", i);
    name.resize(255, 'n');
    EXPECT_OK(mknod(name.c_str(), S_IFREG | 0644, 0));
  }
  EXPECT_EQ(300u, List(".").size());
}

POSIX_TEST(readdir, not_a_directory_and_read) {
  Make(Type::kFile, "f");
  EXPECT_ERRNO(ENOTDIR, opendir("f") == nullptr ? -1 : 0);
  Fd dir(".", O_RDONLY);
  char b[16];
  EXPECT_ERRNO(EISDIR, read(dir, b, sizeof b));
  EXPECT_ERRNO(EBADF, write(dir, b, 1));
  EXPECT_ERRNO(EISDIR, Fd(".", O_RDWR));
  EXPECT_ERRNO(EISDIR, Fd(".", O_WRONLY));
  EXPECT_ERRNO(EINVAL, ftruncate(dir, 0));
  EXPECT_ERRNO(EISDIR, truncate(".", 0));
  EXPECT_OK(fsync(dir));
  EXPECT_OK(fdatasync(dir));
}

POSIX_TEST(readdir, two_readers_do_not_disturb_each_other) {
  for (int i = 0; i < 500; i++) Make(Type::kFile, Fmt("f%d", i));
  DIR* one = opendir(".");
  DIR* two = opendir(".");
  size_t first = 0, second = 0;
  for (int i = 0; i < 251; i++) first += readdir(one) != nullptr;
  second = Walk(two).size();
  first += Walk(one).size();
  EXPECT_EQ(502u, first);
  EXPECT_EQ(502u, second);
  closedir(one);
  closedir(two);
}

}  // namespace posix
