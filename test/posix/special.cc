// Fifos, sockets and devices in use; several processes at once; watches.
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>

#include "harness.h"

namespace posix {
namespace {

sockaddr_un Address(const char* path) {
  sockaddr_un a = {};
  a.sun_family = AF_UNIX;
  snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
  return a;
}
int Bind(int fd, const char* path) {
  const sockaddr_un a = Address(path);
  return bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a);
}
int Connect(int fd, const char* path) {
  const sockaddr_un a = Address(path);
  return connect(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a);
}

// Runs `body` in n processes at once; each says by its exit code whether all was well.
void InParallel(int n, const std::function<bool(int)>& body) {
  std::vector<pid_t> pids;
  for (int i = 0; i < n; i++) {
    const pid_t pid = fork();
    if (pid == 0) _exit(body(i) ? 0 : 1);
    pids.push_back(pid);
  }
  for (pid_t pid : pids) {
    int status;
    waitpid(pid, &status, 0);
    EXPECT_EQ(0, status);
  }
}

}  // namespace

POSIX_TEST(fifo, carries_bytes) {
  EXPECT_OK(mkfifo("p", 0600));
  EXPECT_ERRNO(ENXIO, Fd("p", O_WRONLY | O_NONBLOCK));
  const pid_t pid = fork();
  if (pid == 0) {
    Fd out("p", O_WRONLY);
    _exit(write(out, "through the fifo", 16) == 16 ? 0 : 1);
  }
  Fd in("p", O_RDONLY);
  char b[32];
  EXPECT_EQ(16, read(in, b, sizeof b));
  EXPECT_EQ(std::string("through the fifo"), std::string(b, 16));
  EXPECT_EQ(0, read(in, b, sizeof b));
  int status;
  waitpid(pid, &status, 0);
  EXPECT_EQ(0, status);
  EXPECT_EQ(0, Lstat("p").st_size);
  EXPECT_ERRNO(ESPIPE, lseek(in, 0, SEEK_SET));
  EXPECT_OK(unlink("p"));
}

POSIX_TEST(fifo, by_another_name) {
  EXPECT_OK(mkfifo("p", 0600));
  EXPECT_OK(link("p", "q"));
  Fd in("p", O_RDONLY | O_NONBLOCK), out("q", O_WRONLY | O_NONBLOCK);
  EXPECT_EQ(2, write(out, "hi", 2));
  EXPECT_OK(rename("p", "r"));
  char b[8];
  EXPECT_EQ(2, read(in, b, 8));
}

POSIX_TEST(socket, serves_and_is_busy) {
  Fd server(socket(AF_UNIX, SOCK_STREAM, 0)), client(socket(AF_UNIX, SOCK_STREAM, 0)),
      other(socket(AF_UNIX, SOCK_STREAM, 0));
  EXPECT_OK(Bind(server, "s"));
  EXPECT_TRUE(S_ISSOCK(Lstat("s").st_mode));
  EXPECT_ERRNO(EADDRINUSE, Bind(other, "s"));
  EXPECT_ERRNO(ECONNREFUSED, Connect(client, "s"));
  EXPECT_OK(listen(server, 5));
  EXPECT_OK(Connect(client, "s"));
  Fd accepted(accept(server, nullptr, nullptr));
  EXPECT_EQ(4, write(client, "ping", 4));
  char b[8];
  EXPECT_EQ(4, read(accepted, b, 8));
  EXPECT_OK(rename("s", "t"));
  Fd late(socket(AF_UNIX, SOCK_STREAM, 0));
  EXPECT_ERRNO(ENOENT, Connect(late, "s"));
  EXPECT_OK(Connect(late, "t"));
  EXPECT_OK(unlink("t"));
  Make(Type::kFile, "f");
  EXPECT_ERRNO(ECONNREFUSED, Connect(other, "f"));
}

POSIX_ROOT_TEST(device, nodes_work) {
  if (!AllowsDevices()) SKIP_TEST("mounted nodev");
  EXPECT_OK(mknod("zero", S_IFCHR | 0666, makedev(1, 5)));
  EXPECT_OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
  Fd zero("zero", O_RDWR), null("null", O_RDWR);
  char b[100];
  memset(b, 1, sizeof b);
  EXPECT_EQ(100, read(zero, b, 100));
  EXPECT_EQ(0, b[57]);
  EXPECT_EQ(100, write(null, b, 100));
  EXPECT_EQ(0, read(null, b, 100));
  EXPECT_OK(mknod("none", S_IFBLK | 0666, makedev(4095, 1)));
  EXPECT_ERRNO(ENXIO, Fd("none", O_RDONLY));
}

POSIX_TEST(inotify, events) {
  Fd watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  EXPECT_OK(inotify_add_watch(watch, ".", IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE));
  WriteFile("f", "x");
  EXPECT_OK(rename("f", "g"));
  EXPECT_OK(unlink("g"));
  alignas(inotify_event) char buffer[4096];
  const ssize_t n = read(watch, buffer, sizeof buffer);
  uint32_t seen = 0;
  for (ssize_t at = 0; at < n;) {
    const auto* e = reinterpret_cast<const inotify_event*>(buffer + at);
    seen |= e->mask;
    at += sizeof(inotify_event) + e->len;
  }
  EXPECT_EQ(uint32_t(IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE),
            seen & (IN_ALL_EVENTS & ~IN_MOVED_FROM));
}

POSIX_TEST(poll, file_is_always_ready) {
  Fd fd("f", O_CREAT | O_RDWR);
  pollfd p = {fd, POLLIN | POLLOUT, 0};
  EXPECT_EQ(1, poll(&p, 1, 0));
  EXPECT_EQ(POLLIN | POLLOUT, p.revents);
}

POSIX_TEST(parallel, creating_and_removing_in_one_directory) {
  Make(Type::kDir, "d");
  InParallel(4, [](int who) {
    for (int i = 0; i < 300; i++) {
      const std::string name = Fmt("d/%d-%d", who, i);
      Fd fd(name.c_str(), O_CREAT | O_EXCL | O_WRONLY);
      if (fd < 0 || write(fd, name.data(), name.size()) != ssize_t(name.size())) return false;
      if (i % 3 == 0 && unlink(name.c_str()) != 0) return false;
      if (i % 3 == 1 && rename(name.c_str(), (name + "-moved").c_str()) != 0) return false;
    }
    return true;
  });
  const auto names = List("d");
  EXPECT_EQ(800u, names.size());
  for (const std::string& name : names) {
    std::string content = "d/" + name;
    if (const size_t at = content.find("-moved"); at != std::string::npos) content.resize(at);
    EXPECT_EQ(content, ReadAll("d/" + name));
  }
}

POSIX_TEST(parallel, one_winner_for_each_name) {
  InParallel(4, [](int) {
    for (int i = 0; i < 300; i++) {
      const std::string name = Fmt("dir-%d", i);
      if (mkdir(name.c_str(), 0755) == 0) {
        Fd mark((name + "/made").c_str(), O_CREAT | O_EXCL | O_WRONLY);
        if (mark < 0) return false;
      } else if (errno != EEXIST) {
        return false;
      }
    }
    return true;
  });
  EXPECT_EQ(300u, List(".").size());
  EXPECT_EQ(302u, Lstat(".").st_nlink);
}

POSIX_TEST(parallel, renames_across_directories) {
  for (const char* d : {"a", "b", "c"}) Make(Type::kDir, d);
  for (int i = 0; i < 20; i++) {
    Make(Type::kDir, Fmt("a/dir%d", i));
    WriteFile(Fmt("a/file%d", i), Fmt("file %d", i));
  }
  InParallel(4, [](int who) {
    uint32_t x = who + 1;
    for (int i = 0; i < 1500; i++) {
      x = x * 1664525 + 1013904223;
      const char from = 'a' + (x >> 10) % 3, to = 'a' + (x >> 14) % 3;
      const int n = (x >> 18) % 20;
      const char* kind = (x >> 25) % 2 != 0 ? "dir" : "file";
      const unsigned flags = (x >> 27) % 4 == 0 ? RENAME_EXCHANGE : RENAME_NOREPLACE;
      if (renameat2(AT_FDCWD, Fmt("%c/%s%d", from, kind, n).c_str(), AT_FDCWD,
                    Fmt("%c/%s%d", to, kind, n).c_str(), flags) != 0 &&
          errno != ENOENT && errno != EEXIST) {
        return false;
      }
    }
    return true;
  });
  size_t total = 0, dirs = 0;
  for (const char* d : {"a", "b", "c"}) {
    total += List(d).size();
    dirs += Lstat(d).st_nlink - 2;
    for (const std::string& name : List(d)) {
      if (name[0] == 'f') EXPECT_EQ("file " + name.substr(4), ReadAll(std::string(d) + "/" + name));
    }
  }
  EXPECT_EQ(40u, total);
  EXPECT_EQ(20u, dirs);
}

POSIX_TEST(parallel, writers_to_their_parts_of_one_file) {
  constexpr int kWriters = 4;
  constexpr size_t kPart = 1000003;
  Make(Type::kFile, "f");
  InParallel(kWriters, [](int who) {
    const std::string data = Pattern(kPart, who + 7);
    Fd fd("f", O_WRONLY);
    for (size_t at = 0; at < kPart; at += 10007) {
      const size_t n = std::min<size_t>(10007, kPart - at);
      if (pwrite(fd, data.data() + at, n, who * kPart + at) != ssize_t(n)) return false;
    }
    return fsync(fd) == 0;
  });
  std::string want;
  for (int who = 0; who < kWriters; who++) want += Pattern(kPart, who + 7);
  EXPECT_TRUE(ReadAll("f") == want);
}

POSIX_TEST(parallel, truncating_reading_and_writing) {
  WriteFile("f", std::string(100000, 'a'));
  InParallel(3, [](int who) {
    Fd fd("f", O_RDWR);
    std::string b(100000, 0);
    for (int i = 0; i < 400; i++) {
      if (who == 0 && ftruncate(fd, (i * 7919) % 100000) != 0) return false;
      if (who == 1 && pwrite(fd, b.assign(5000, 'a').data(), 5000, (i * 104729) % 95000) != 5000)
        return false;
      if (who == 2) {
        const ssize_t n = pread(fd, b.data(), 100000, 0);
        if (n < 0) return false;
        for (ssize_t k = 0; k < n; k++) {
          if (b[k] != 'a' && b[k] != 0) return false;
        }
        b.resize(100000);
      }
    }
    return true;
  });
  const std::string all = ReadAll("f");
  EXPECT_EQ(size_t(Lstat("f").st_size), all.size());
}

}  // namespace posix
