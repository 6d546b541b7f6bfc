// open flags, read and write, append, truncation, sparse files, offsets and limits.
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <algorithm>

#include "harness.h"

namespace posix {

POSIX_TEST(open, flags) {
  EXPECT_ERRNO(ENOENT, Fd("f", O_RDWR));
  EXPECT_OK(Fd("f", O_RDWR | O_CREAT));
  EXPECT_ERRNO(EEXIST, Fd("f", O_RDWR | O_CREAT | O_EXCL));
  EXPECT_ERRNO(ENOTDIR, Fd("f", O_RDONLY | O_DIRECTORY));
  Make(Type::kDir, "d");
  EXPECT_ERRNO(EISDIR, Fd("d", O_CREAT | O_RDONLY));
  EXPECT_ERRNO(EEXIST, Fd("d", O_CREAT | O_EXCL | O_RDONLY));
  EXPECT_ERRNO(EISDIR, Fd("d", O_WRONLY | O_TRUNC));
  EXPECT_OK(symlink("target", "l"));
  EXPECT_ERRNO(EEXIST, Fd("l", O_CREAT | O_EXCL | O_WRONLY));
  EXPECT_TRUE(!Exists("target"));
  EXPECT_OK(Fd("l", O_CREAT | O_WRONLY));  // creates what the link points to
  EXPECT_TRUE(Exists("target"));
  Make(Type::kSocket, "s");
  EXPECT_ERRNO(ENXIO, Fd("s", O_RDONLY));
}

POSIX_TEST(open, access_modes) {
  WriteFile("f", "content");
  char b[8];
  Fd reader("f", O_RDONLY), writer("f", O_WRONLY);
  EXPECT_ERRNO(EBADF, write(reader, "x", 1));
  EXPECT_ERRNO(EBADF, read(writer, b, 1));
  EXPECT_ERRNO(EINVAL, ftruncate(reader, 0));
  EXPECT_ERRNO(EBADF, fallocate(reader, 0, 0, 10));
  Fd path("f", O_PATH);
  EXPECT_ERRNO(EBADF, read(path, b, 1));
  EXPECT_ERRNO(EBADF, fchmod(path, 0600));
  struct stat st;
  EXPECT_OK(fstat(path, &st));
  EXPECT_EQ(7, st.st_size);
}

POSIX_TEST(open, trunc) {
  WriteFile("f", "content");
  SetTimes("f", 1, 2);
  EXPECT_TIMES([] { EXPECT_OK(Fd("f", O_WRONLY | O_TRUNC)); }, {"f", kData});
  EXPECT_EQ(0, Lstat("f").st_size);
  EXPECT_TIMES([] { EXPECT_OK(Fd("f", O_WRONLY | O_TRUNC)); }, {"f", kData});  // also when it is empty
  EXPECT_TIMES([] { EXPECT_OK(Fd("f", O_WRONLY | O_CREAT)); }, {"f", kNone});
  Fd keep("f", O_RDWR);
  EXPECT_EQ(3, write(keep, "abc", 3));
  EXPECT_OK(Fd("f", O_WRONLY | O_TRUNC));
  EXPECT_EQ(0, Fstat(keep).st_size);
  EXPECT_EQ(3, write(keep, "def", 3));  // at the old position: a hole before it
  EXPECT_EQ(std::string("\0\0\0def", 6), ReadAll("f"));
}

POSIX_TEST(open, mode_applies_to_later_opens_only) {
  Fd fd("f", O_CREAT | O_EXCL | O_RDWR, 0000);
  EXPECT_EQ(2, write(fd, "hi", 2));
  EXPECT_EQ(std::string("hi"), ReadAllFd(fd));
  EXPECT_EQ(0u, ModeOf("f"));
}

POSIX_TEST(open, running_program_is_busy) {
  const std::string program = ReadAll("/bin/sleep");
  if (program.empty()) SKIP_TEST("no /bin/sleep");
  WriteFile("prog", program);
  EXPECT_OK(chmod("prog", 0755));
  int ready[2];
  EXPECT_OK(pipe2(ready, O_CLOEXEC));
  const pid_t pid = fork();
  if (pid == 0) {
    execl("./prog", "prog", "100", nullptr);
    _exit(1);
  }
  close(ready[1]);
  char c;
  EXPECT_EQ(0, read(ready[0], &c, 1));  // closed by exec: it runs
  close(ready[0]);
  EXPECT_ERRNO(ETXTBSY, Fd("prog", O_WRONLY));
  EXPECT_ERRNO(ETXTBSY, truncate("prog", 0));
  EXPECT_OK(Fd("prog", O_RDONLY));
  EXPECT_OK(rename("prog", "prog2"));
  EXPECT_OK(unlink("prog2"));
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  WriteFile("open-for-writing", program);
  EXPECT_OK(chmod("open-for-writing", 0755));
  Fd writer("open-for-writing", O_WRONLY);
  EXPECT_ERRNO(ETXTBSY, execl("./open-for-writing", "x", nullptr));
}

POSIX_TEST(open, excl_has_one_winner) {
  for (int round = 0; round < 20; round++) {
    const std::string name = Fmt("f%d", round);
    int winners = 0;
    pid_t pids[6];
    for (pid_t& pid : pids) {
      pid = fork();
      if (pid == 0)
        _exit(open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644) >= 0 ? 1 : errno == EEXIST ? 0 : 2);
    }
    for (pid_t pid : pids) {
      int status;
      waitpid(pid, &status, 0);
      EXPECT_TRUE(WEXITSTATUS(status) != 2);
      winners += WEXITSTATUS(status) == 1;
    }
    EXPECT_EQ(1, winners);
  }
}

POSIX_TEST(write, times_and_size) {
  Make(Type::kDir, "p");
  Fd fd("p/f", O_CREAT | O_RDWR);
  SetTimes("p/f", 1, 2);
  EXPECT_TIMES([&] { EXPECT_EQ(5, write(fd, "hello", 5)); }, {"p/f", kData}, {"p", kNone});
  EXPECT_EQ(5, Lstat("p/f").st_size);
  EXPECT_TIMES([&] { EXPECT_EQ(1, pwrite(fd, "H", 1, 0)); }, {"p/f", kData});
  EXPECT_TIMES([&] { EXPECT_EQ(0, pwrite(fd, "H", 0, 0)); }, {"p/f", kNone});
  EXPECT_TIMES([&] { EXPECT_OK(fsync(fd)); }, {"p/f", kNone});
  EXPECT_TIMES([&] { fd.Close(); }, {"p/f", kNone});
  EXPECT_EQ(std::string("Hello"), ReadAll("p/f"));
}

POSIX_TEST(write, many_sizes_and_offsets) {
  Fd fd("f", O_CREAT | O_RDWR);
  std::string model;
  uint32_t x = 12345;
  for (int i = 0; i < 400; i++) {
    x = x * 1664525 + 1013904223;
    const size_t at = (x >> 8) % 300000;
    x = x * 1664525 + 1013904223;
    const size_t n = i % 3 == 0 ? (x >> 8) % 70000 + 1 : (x >> 8) % 5000 + 1;
    const std::string data = Pattern(n, i);
    if (model.size() < at + n) model.resize(at + n);
    model.replace(at, n, data);
    EXPECT_EQ(ssize_t(n), pwrite(fd, data.data(), n, at));
    if (i % 40 == 0) EXPECT_OK(fsync(fd));
    if (i % 10 == 0) EXPECT_TRUE(ReadAllFd(fd) == model);
  }
  EXPECT_TRUE(ReadAllFd(fd) == model);
  EXPECT_TRUE(ReadAll("f") == model);
}

POSIX_TEST(write, several_writers_append) {
  constexpr int kWriters = 4, kLines = 300;
  Make(Type::kFile, "log");
  for (int w = 0; w < kWriters; w++) {
    if (fork() == 0) {
      Fd fd("log", O_WRONLY | O_APPEND);
      for (int i = 0; i < kLines; i++) {
        const std::string line = Fmt("writer %d line %06d\n", w, i);
        if (write(fd, line.data(), line.size()) != ssize_t(line.size())) _exit(1);
      }
      _exit(0);
    }
  }
  for (int w = 0; w < kWriters; w++) {
    int status;
    wait(&status);
    EXPECT_EQ(0, status);
  }
  const std::string all = ReadAll("log");
  EXPECT_EQ(size_t(kWriters * kLines * 21), all.size());
  int next[kWriters] = {};
  bool ok = true;
  for (size_t at = 0; at + 21 <= all.size() && ok; at += 21) {
    int w = -1, i = -1;
    ok = sscanf(all.c_str() + at, "writer %d line %06d\n", &w, &i) == 2 && w >= 0 && w < kWriters &&
         next[w]++ == i;
  }
  EXPECT_TRUE(ok);
}

POSIX_TEST(write, append_ignores_the_position) {
  Fd fd("f", O_CREAT | O_RDWR | O_APPEND);
  EXPECT_EQ(3, write(fd, "abc", 3));
  EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
  EXPECT_EQ(3, write(fd, "def", 3));
  EXPECT_EQ(6, lseek(fd, 0, SEEK_CUR));
  EXPECT_EQ(1, pwrite(fd, "g", 1, 0));  // Linux appends here too
  EXPECT_EQ(std::string("abcdefg"), ReadAllFd(fd));
  EXPECT_OK(truncate("f", 1));
  EXPECT_EQ(1, write(fd, "z", 1));
  EXPECT_EQ(std::string("az"), ReadAll("f"));
}

POSIX_TEST(write, vectors) {
  Fd fd("f", O_CREAT | O_RDWR);
  char a[] = "one", b[] = "two", c[] = "three";
  iovec out[] = {{a, 3}, {b, 3}, {nullptr, 0}, {c, 5}};
  EXPECT_EQ(11, writev(fd, out, 4));
  EXPECT_EQ(11, pwritev(fd, out, 4, 20));
  char x[4] = {}, y[8] = {};
  iovec in[] = {{x, 4}, {y, 7}};
  EXPECT_EQ(11, preadv(fd, in, 2, 0));
  EXPECT_EQ(std::string("onet"), std::string(x, 4));
  EXPECT_EQ(std::string("wothree"), std::string(y, 7));
  EXPECT_EQ(11, preadv2(fd, in, 2, 20, RWF_HIPRI));
  EXPECT_EQ(11, pwritev2(fd, out, 4, 40, RWF_DSYNC));
  EXPECT_EQ(11, pwritev2(fd, out, 4, 60, RWF_SYNC));
  EXPECT_EQ(71, Fstat(fd).st_size);
  EXPECT_EQ(11, pwritev2(fd, out, 4, -1, RWF_APPEND));
  EXPECT_EQ(82, Fstat(fd).st_size);
  EXPECT_ERRNO(EOPNOTSUPP, preadv2(fd, in, 2, 0, 0x40000000));
}

POSIX_TEST(write, sync_flags) {
  for (int flag : {O_SYNC, O_DSYNC}) {
    Fd fd("f", O_CREAT | O_RDWR | O_TRUNC | flag);
    const std::string data = Pattern(200000, flag);
    EXPECT_EQ(ssize_t(data.size()), write(fd, data.data(), data.size()));
    EXPECT_EQ(data, ReadAllFd(fd));
    EXPECT_EQ(data, ReadAll("f"));
  }
  Fd fd("f", O_RDWR);
  EXPECT_OK(fsync(fd));
  EXPECT_OK(fdatasync(fd));
  EXPECT_OK(syncfs(fd));
  EXPECT_OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
}

POSIX_TEST(direct, read_and_write) {
  Fd fd("f", O_CREAT | O_RDWR | O_DIRECT);
  if (fd < 0 && errno == EINVAL) SKIP_TEST("no O_DIRECT here");
  REQUIRE_OK(fd);
  constexpr size_t kSize = 1 << 20;
  void* memory = nullptr;
  EXPECT_EQ(0, posix_memalign(&memory, 4096, kSize));
  char* buffer = static_cast<char*>(memory);
  const std::string data = Pattern(kSize);
  memcpy(buffer, data.data(), kSize);
  EXPECT_EQ(ssize_t(kSize), pwrite(fd, buffer, kSize, 0));
  EXPECT_EQ(data, ReadAll("f"));  // seen by buffered readers
  memset(buffer, 0, kSize);
  EXPECT_EQ(ssize_t(kSize), pread(fd, buffer, kSize, 0));
  EXPECT_TRUE(memcmp(buffer, data.data(), kSize) == 0);
  EXPECT_EQ(0, pread(fd, buffer, 4096, kSize));
  // Buffered writes are seen by direct readers, and the other way round with the page cache warm.
  Fd buffered("f", O_RDWR);
  EXPECT_EQ(5, pwrite(buffered, "HELLO", 5, 8192));
  EXPECT_EQ(4096, pread(fd, buffer, 4096, 8192));
  EXPECT_EQ(std::string("HELLO"), std::string(buffer, 5));
  memset(buffer, 'D', 4096);
  EXPECT_EQ(4096, pwrite(fd, buffer, 4096, 8192));
  char b[5];
  EXPECT_EQ(5, pread(buffered, b, 5, 8192));
  EXPECT_EQ(std::string("DDDDD"), std::string(b, 5));
  EXPECT_EQ(4096, pwrite(fd, buffer, 4096, kSize + 4096));
  EXPECT_EQ(off_t(kSize + 8192), Fstat(fd).st_size);
  EXPECT_EQ(off_t(kSize + 8192), Fstat(buffered).st_size);
  EXPECT_OK(ftruncate(fd, 5000));
  EXPECT_EQ(904, pread(fd, buffer, 4096, 4096));
  free(memory);
}

// The length that counts is the one after the buffered write, wherever its bytes are by now.
POSIX_TEST(direct, hole_below_an_unwritten_tail) {
  Fd fd("f", O_CREAT | O_RDWR | O_DIRECT);
  if (fd < 0 && errno == EINVAL) SKIP_TEST("no O_DIRECT here");
  REQUIRE_OK(fd);
  alignas(4096) static char buffer[8192];
  Fd buffered("f", O_WRONLY);
  EXPECT_EQ(3, pwrite(buffered, "end", 3, 1 << 20));
  memset(buffer, 'x', sizeof buffer);
  EXPECT_EQ(8192, pread(fd, buffer, 8192, 0));
  EXPECT_EQ(std::string(8192, '\0'), std::string(buffer, 8192));
  EXPECT_EQ(4096, pread(fd, buffer, 4096, (1 << 20) - 4096));
  EXPECT_EQ(3, pread(fd, buffer, 4096, 1 << 20));
  EXPECT_EQ(std::string("end"), std::string(buffer, 3));
}

POSIX_TEST(truncate, down_and_up_reads_zeros) {
  const std::string data = Pattern(200000);
  for (off_t cut : {0, 1, 100, 4095, 4096, 4097, 65536, 131072, 131073, 199999}) {
    const Scope scope(Fmt("to %ld", long(cut)));
    for (bool sync : {false, true}) {
      WriteFile("f", data);
      Fd fd("f", O_RDWR);
      if (sync) EXPECT_OK(fsync(fd));
      EXPECT_OK(ftruncate(fd, cut));
      EXPECT_EQ(cut, Fstat(fd).st_size);
      if (sync) EXPECT_OK(fsync(fd));
      EXPECT_OK(ftruncate(fd, 250000));
      EXPECT_TRUE(ReadAllFd(fd) == data.substr(0, cut) + std::string(250000 - cut, 0));
      EXPECT_EQ(3, pwrite(fd, "end", 3, 260000));
      EXPECT_TRUE(ReadAll("f") == data.substr(0, cut) + std::string(260000 - cut, 0) + "end");
    }
  }
}

POSIX_TEST(truncate, times) {
  WriteFile("f", "0123456789");
  SetTimes("f", 1, 2);
  EXPECT_TIMES([] { EXPECT_OK(truncate("f", 5)); }, {"f", kData});
  EXPECT_TIMES([] { EXPECT_OK(truncate("f", 50)); }, {"f", kData});
  Fd fd("f", O_RDWR);
  EXPECT_TIMES([&] { EXPECT_OK(ftruncate(fd, 0)); }, {"f", kData});
  // Not asked for: that ftruncate to the length the file has moves the times. With its write-back cache the
  // kernel's FUSE keeps the times itself, and leaves them then (docs/SEMANTICS.md).
}

POSIX_TEST(truncate, errors) {
  Make(Type::kFile, "f");
  EXPECT_ERRNO(EINVAL, truncate("f", -1));
  Fd fd("f", O_RDWR);
  EXPECT_ERRNO(EINVAL, ftruncate(fd, -1));
  EXPECT_ERRNO(EISDIR, truncate(".", 0));
  for (Type type : {Type::kFifo, Type::kSocket}) {
    Make(type, "special");
    EXPECT_ERRNO(EINVAL, truncate("special", 0));
    unlink("special");
  }
  errno = 0;
  const int rc = truncate("f", INT64_MAX);
  EXPECT_TRUE(rc == -1 && (errno == EFBIG || errno == EINVAL));
  EXPECT_EQ(0, Lstat("f").st_size);
}

POSIX_TEST(truncate, seen_by_other_descriptors) {
  WriteFile("f", Pattern(10000));
  Fd reader("f", O_RDONLY);
  char b[100];
  EXPECT_EQ(100, pread(reader, b, 100, 9000));
  EXPECT_OK(truncate("f", 9050));
  EXPECT_EQ(50, pread(reader, b, 100, 9000));
  EXPECT_EQ(0, pread(reader, b, 100, 9050));
  EXPECT_OK(truncate("f", 0));
  EXPECT_EQ(0, pread(reader, b, 100, 0));
}

POSIX_TEST(large, offsets_beyond_4_gib) {
  Fd fd("f", O_CREAT | O_RDWR);
  off_t end = 0;
  for (off_t at : {off_t{0}, (off_t{1} << 31) - 3, off_t{1} << 31, (off_t{1} << 32) - 3, off_t{1} << 32,
                   off_t{5} << 30, (off_t{1} << 40) + 12345}) {
    const std::string mark = Fmt("mark at %ld", long(at));
    EXPECT_EQ(ssize_t(mark.size()), pwrite(fd, mark.data(), mark.size(), at));
    end = at + off_t(mark.size());
    EXPECT_EQ(end, Fstat(fd).st_size);
    EXPECT_EQ(end, lseek(fd, 0, SEEK_END));
    char b[64];
    EXPECT_EQ(ssize_t(mark.size()), pread(fd, b, mark.size(), at));
    EXPECT_EQ(mark, std::string(b, mark.size()));
  }
  EXPECT_OK(fsync(fd));
  EXPECT_TRUE(Fstat(fd).st_blocks < 2048);  // holes take no space
  char b[4096];
  EXPECT_EQ(4096, pread(fd, b, 4096, off_t{3} << 30));
  EXPECT_TRUE(std::all_of(b, b + 4096, [](char c) { return c == 0; }));
  EXPECT_OK(ftruncate(fd, (off_t{1} << 32) + 1));
  EXPECT_EQ(1, pread(fd, b, 100, off_t{1} << 32));
  EXPECT_EQ('m', b[0]);
}

POSIX_TEST(large, limits) {
  Fd fd("f", O_CREAT | O_RDWR);
  EXPECT_ERRNO(EINVAL, pwrite(fd, "x", 1, -1));
  errno = 0;
  EXPECT_TRUE(pwrite(fd, "x", 1, INT64_MAX) == -1 && (errno == EFBIG || errno == EINVAL));
  errno = 0;
  EXPECT_TRUE(pwrite(fd, "xx", 2, INT64_MAX - 1) == -1 && (errno == EFBIG || errno == EINVAL));
  EXPECT_ERRNO(EINVAL, lseek(fd, -1, SEEK_SET));
  EXPECT_ERRNO(EINVAL, lseek(fd, 0, 77));
  EXPECT_EQ(0, Fstat(fd).st_size);
}

POSIX_TEST(large, process_file_size_limit) {
  InChild([] {
    struct rlimit limit = {10000, 10000};
    EXPECT_OK(setrlimit(RLIMIT_FSIZE, &limit));
    signal(SIGXFSZ, SIG_IGN);
    Fd fd("f", O_CREAT | O_RDWR);
    const std::string data(20000, 'x');
    EXPECT_EQ(10000, write(fd, data.data(), data.size()));
    EXPECT_ERRNO(EFBIG, write(fd, "x", 1));
    EXPECT_ERRNO(EFBIG, ftruncate(fd, 10001));
    EXPECT_ERRNO(EFBIG, fallocate(fd, 0, 0, 10001));
    EXPECT_EQ(10000, Fstat(fd).st_size);
  });
}

POSIX_TEST(read, ends_and_positions) {
  WriteFile("f", "0123456789");
  Fd fd("f", O_RDONLY);
  char b[20];
  EXPECT_EQ(10, read(fd, b, 20));
  EXPECT_EQ(0, read(fd, b, 20));
  EXPECT_EQ(4, lseek(fd, -6, SEEK_CUR));
  EXPECT_EQ(2, read(fd, b, 2));
  EXPECT_EQ(std::string("45"), std::string(b, 2));
  EXPECT_EQ(0, pread(fd, b, 5, 10));
  EXPECT_EQ(0, pread(fd, b, 5, 1000000));
  EXPECT_EQ(100, lseek(fd, 90, SEEK_END));
  EXPECT_EQ(0, read(fd, b, 5));
  char* volatile nowhere = reinterpret_cast<char*>(1);
  EXPECT_ERRNO(EFAULT, pread(fd, nowhere, 5, 0));
  EXPECT_EQ(0, pread(fd, b, 0, 0));
}

POSIX_TEST(splice, sendfile_and_pipes) {
  const std::string data = Pattern(300000);
  WriteFile("from", data);
  Fd from("from", O_RDONLY), to("to", O_CREAT | O_RDWR);
  off_t at = 0;
  while (at < off_t(data.size()) && sendfile(to, from, &at, data.size() - at) > 0) {
  }
  EXPECT_TRUE(ReadAll("to") == data);
  int ends[2];
  EXPECT_OK(pipe(ends));
  loff_t in = 1000, out = 500000;
  EXPECT_EQ(5000, splice(from, &in, ends[1], nullptr, 5000, 0));
  size_t moved = 0;
  while (moved < 5000) {
    const ssize_t n = splice(ends[0], nullptr, to, &out, 5000 - moved, 0);
    if (n <= 0) break;
    moved += n;
  }
  EXPECT_EQ(5000u, moved);
  EXPECT_TRUE(ReadAll("to") == data + std::string(200000, 0) + data.substr(1000, 5000));
  close(ends[0]);
  close(ends[1]);
}

POSIX_TEST(stat, blocks_and_blksize) {
  WriteFile("f", Pattern(1 << 20));
  Fd fd("f", O_RDWR);
  EXPECT_OK(fsync(fd));
  const struct stat st = Fstat(fd);
  EXPECT_TRUE(st.st_blocks >= (1 << 20) / 512 && st.st_blocks <= 2 * (1 << 20) / 512);
  EXPECT_TRUE(st.st_blksize >= 512 && st.st_blksize <= 16 << 20);
  EXPECT_OK(ftruncate(fd, 0));
  EXPECT_OK(fsync(fd));
  EXPECT_EQ(0, Fstat(fd).st_blocks);
  EXPECT_OK(ftruncate(fd, 1 << 30));
  EXPECT_OK(fsync(fd));
  EXPECT_TRUE(Fstat(fd).st_blocks <= 16);
}

POSIX_TEST(fsync, kinds) {
  for (Type type : {Type::kFile, Type::kDir}) {
    Make(type, "x");
    Fd fd("x", O_RDONLY);
    EXPECT_OK(fsync(fd));
    EXPECT_OK(fdatasync(fd));
    RemoveAny("x");
    EXPECT_OK(fsync(fd));  // also without a name
  }
  Make(Type::kFifo, "fifo");
  Fd fifo("fifo", O_RDWR);
  EXPECT_ERRNO(EINVAL, fsync(fifo));
}

}  // namespace posix
