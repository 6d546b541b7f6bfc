// fallocate, SEEK_DATA and SEEK_HOLE, copy_file_range.
#include <linux/falloc.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "harness.h"

namespace posix {
namespace {

constexpr off_t kPage = 4096;
const std::string kBytes = Pattern(256 << 10);

bool Unsupported(int rc) {
  return rc == -1 && errno == EOPNOTSUPP;
}

std::string Zeroed(std::string s, size_t at, size_t n) {
  if (s.size() < at + n) s.resize(at + n);
  std::fill_n(s.begin() + at, n, 0);
  return s;
}

}  // namespace

POSIX_TEST(fallocate, plain) {
  Fd fd("f", O_CREAT | O_RDWR);
  SetTimes("f", 1, 2);
  EXPECT_TIMES([&] { EXPECT_OK(fallocate(fd, 0, 0, 10000)); }, {"f", kMtime | kCtime});
  EXPECT_EQ(10000, Fstat(fd).st_size);
  EXPECT_EQ(std::string(10000, 0), ReadAllFd(fd));
  EXPECT_EQ(3, pwrite(fd, "abc", 3, 100));
  EXPECT_OK(fallocate(fd, 0, 0, 5000));  // within the file: nothing is lost
  EXPECT_EQ(10000, Fstat(fd).st_size);
  EXPECT_TRUE(ReadAllFd(fd).substr(100, 3) == "abc");
  EXPECT_OK(fallocate(fd, 0, 20000, 1));
  EXPECT_EQ(20001, Fstat(fd).st_size);
}

POSIX_TEST(fallocate, posix_fallocate) {
  Fd fd("f", O_CREAT | O_RDWR);
  EXPECT_EQ(0, posix_fallocate(fd, 100, 1000));
  EXPECT_EQ(1100, Fstat(fd).st_size);
  EXPECT_EQ(EINVAL, posix_fallocate(fd, 0, 0));
  EXPECT_EQ(EINVAL, posix_fallocate(fd, -1, 10));
  EXPECT_EQ(EBADF, posix_fallocate(1000, 0, 10));
  Fd reader("f", O_RDONLY);
  EXPECT_EQ(EBADF, posix_fallocate(reader, 0, 10));
  Make(Type::kFifo, "fifo");
  Fd fifo("fifo", O_RDWR);
  EXPECT_EQ(ESPIPE, posix_fallocate(fifo, 0, 10));
  const int rc = posix_fallocate(fd, INT64_MAX - 10, 20);
  EXPECT_TRUE(rc == EFBIG || rc == EINVAL);
  EXPECT_EQ(1100, Fstat(fd).st_size);
}

POSIX_TEST(fallocate, keep_size) {
  Fd fd("f", O_CREAT | O_RDWR);
  EXPECT_EQ(5, write(fd, "hello", 5));
  EXPECT_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
  EXPECT_EQ(5, Fstat(fd).st_size);
  EXPECT_EQ(std::string("hello"), ReadAllFd(fd));
  EXPECT_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 4096));
  EXPECT_EQ(5, Fstat(fd).st_size);
}

POSIX_TEST(fallocate, punch_hole) {
  struct Range {
    off_t at, n;
  };
  for (Range r : {Range{0, kPage},
                  {kPage, 2 * kPage},
                  {100, 50},
                  {1000, 10000},
                  {4095, 2},
                  {200000, 100000},
                  {0, 256 << 10},
                  {131072, 131072}}) {
    for (bool synced : {false, true}) {
      const Scope scope(Fmt("[%ld, +%ld)%s", long(r.at), long(r.n), synced ? " synced" : ""));
      WriteFile("f", kBytes);
      Fd fd("f", O_RDWR);
      if (synced) EXPECT_OK(fsync(fd));
      SetTimes("f", 1, 2);
      EXPECT_TIMES([&] { EXPECT_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, r.at, r.n)); },
                   {"f", kMtime | kCtime});
      const size_t n = std::min<size_t>(r.n, kBytes.size() - r.at);
      EXPECT_EQ(off_t(kBytes.size()), Fstat(fd).st_size);
      EXPECT_TRUE(ReadAllFd(fd) == Zeroed(kBytes, r.at, n));
      EXPECT_EQ(2, pwrite(fd, "ab", 2, r.at));  // and can be written again
      EXPECT_OK(fsync(fd));
      std::string want = Zeroed(kBytes, r.at, n);
      want.replace(r.at, 2, "ab");
      EXPECT_TRUE(ReadAll("f") == want);
    }
  }
  Fd fd("f", O_RDWR);
  EXPECT_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 30, 4096));  // past the end
  EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));               // must keep the size
}

POSIX_TEST(fallocate, zero_range) {
  WriteFile("f", kBytes);
  Fd fd("f", O_RDWR);
  const int rc = fallocate(fd, FALLOC_FL_ZERO_RANGE, 1000, 10000);
  if (Unsupported(rc)) SKIP_TEST("no FALLOC_FL_ZERO_RANGE here");
  EXPECT_TRUE(ReadAllFd(fd) == Zeroed(kBytes, 1000, 10000));
  EXPECT_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, kBytes.size() - 100, 1000));
  EXPECT_EQ(off_t(kBytes.size()), Fstat(fd).st_size);
  EXPECT_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, kBytes.size() - 100, 1000));
  EXPECT_EQ(off_t(kBytes.size() + 900), Fstat(fd).st_size);
  EXPECT_TRUE(ReadAll("f") == Zeroed(Zeroed(kBytes, 1000, 10000), kBytes.size() - 100, 1000));
}

POSIX_TEST(fallocate, collapse_and_insert) {
  WriteFile("f", kBytes);
  Fd fd("f", O_RDWR);
  EXPECT_OK(fsync(fd));
  const int rc = fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, kPage, 2 * kPage);
  if (Unsupported(rc)) SKIP_TEST("no FALLOC_FL_COLLAPSE_RANGE here");
  EXPECT_OK(rc);
  const std::string collapsed = kBytes.substr(0, kPage) + kBytes.substr(3 * kPage);
  EXPECT_TRUE(ReadAllFd(fd) == collapsed);
  EXPECT_OK(fallocate(fd, FALLOC_FL_INSERT_RANGE, kPage, 2 * kPage));
  EXPECT_TRUE(ReadAllFd(fd) == Zeroed(kBytes, kPage, 2 * kPage));
  EXPECT_ERRNO(EINVAL, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, kBytes.size()));
}

POSIX_TEST(fallocate, errors) {
  Fd fd("f", O_CREAT | O_RDWR);
  EXPECT_ERRNO(EINVAL, fallocate(fd, 0, 0, 0));
  EXPECT_ERRNO(EINVAL, fallocate(fd, 0, -1, 10));
  EXPECT_ERRNO(EINVAL, fallocate(fd, 0, 0, -10));
  EXPECT_ERRNO(EFBIG, fallocate(fd, 0, INT64_MAX, 1));
  EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, 0x4000, 0, 10));
  EXPECT_ERRNO(EOPNOTSUPP, fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE, 0, 10));
  Fd dir(".", O_RDONLY);
  EXPECT_ERRNO(EBADF, fallocate(dir, 0, 0, 10));
  EXPECT_EQ(0, Fstat(fd).st_size);
}

POSIX_TEST(seek, dense_file) {
  for (bool synced : {false, true}) {
    WriteFile("f", kBytes);
    Fd fd("f", O_RDWR);
    if (synced) EXPECT_OK(fsync(fd));
    const off_t size = off_t(kBytes.size());
    for (off_t at : {off_t{0}, off_t{1}, off_t{5000}, size - 1}) {
      EXPECT_EQ(at, lseek(fd, at, SEEK_DATA));
      EXPECT_EQ(size, lseek(fd, at, SEEK_HOLE));  // the hole that every file has at its end
    }
    EXPECT_ERRNO(ENXIO, lseek(fd, size, SEEK_DATA));
    EXPECT_ERRNO(ENXIO, lseek(fd, size, SEEK_HOLE));
    EXPECT_ERRNO(ENXIO, lseek(fd, size + 100, SEEK_DATA));
    EXPECT_ERRNO(ENXIO, lseek(fd, -1, SEEK_DATA));
  }
}

POSIX_TEST(seek, empty_file) {
  Fd fd("f", O_CREAT | O_RDWR);
  EXPECT_ERRNO(ENXIO, lseek(fd, 0, SEEK_DATA));
  EXPECT_ERRNO(ENXIO, lseek(fd, 0, SEEK_HOLE));
}

POSIX_TEST(seek, sparse_file) {
  constexpr off_t kMiB = 1 << 20;
  for (bool synced : {false, true}) {  // dirty data in the page cache counts as data at once
    const Scope scope(synced ? "synced" : "dirty");
    unlink("f");
    Fd fd("f", O_CREAT | O_RDWR);
    EXPECT_EQ(kPage, pwrite(fd, kBytes.data(), kPage, 4 * kMiB));
    EXPECT_EQ(2 * kPage, pwrite(fd, kBytes.data(), 2 * kPage, 9 * kMiB));
    EXPECT_OK(ftruncate(fd, 20 * kMiB));
    if (synced) EXPECT_OK(fsync(fd));
    const off_t first = lseek(fd, 0, SEEK_DATA);
    EXPECT_TRUE(first <= 4 * kMiB);
    // Coarse answers are allowed, wrong ones are not: no data may lie in a reported hole.
    for (off_t at = 0; at < 20 * kMiB && at >= 0;) {
      const off_t data = lseek(fd, at, SEEK_DATA);
      const off_t hole_end = data < 0 ? 20 * kMiB : data;
      EXPECT_TRUE(!(at <= 4 * kMiB && 4 * kMiB + kPage <= hole_end));
      EXPECT_TRUE(!(at <= 9 * kMiB && 9 * kMiB + 2 * kPage <= hole_end));
      if (data < 0) {
        EXPECT_EQ(ENXIO, errno);
        break;
      }
      at = lseek(fd, data, SEEK_HOLE);
      EXPECT_TRUE(at > data);
    }
    // What we promise, and ext4 does: exact to the page.
    EXPECT_EQ(4 * kMiB, lseek(fd, 0, SEEK_DATA));
    EXPECT_EQ(0, lseek(fd, 0, SEEK_HOLE));
    EXPECT_EQ(4 * kMiB + kPage, lseek(fd, 4 * kMiB, SEEK_HOLE));
    EXPECT_EQ(9 * kMiB, lseek(fd, 4 * kMiB + kPage, SEEK_DATA));
    EXPECT_EQ(9 * kMiB + 2 * kPage, lseek(fd, 9 * kMiB + 5, SEEK_HOLE));
    EXPECT_ERRNO(ENXIO, lseek(fd, 10 * kMiB, SEEK_DATA));
    EXPECT_EQ(10 * kMiB, lseek(fd, 10 * kMiB, SEEK_HOLE));
    EXPECT_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 9 * kMiB, kPage));
    EXPECT_EQ(9 * kMiB + kPage, lseek(fd, 9 * kMiB, SEEK_DATA));
  }
}

POSIX_TEST(copy_file_range, ranges) {
  WriteFile("a", kBytes);
  Fd from("a", O_RDONLY);
  struct Case {
    off_t from, to;
    size_t n;
  };
  for (Case c : {Case{0, 0, kBytes.size()},
                 {0, 0, 1},
                 {100, 5000, 3000},
                 {4096, 8192, 65536},
                 {1, 0, 200000},
                 {0, 1 << 20, 4096},
                 {250000, 10, 100000}}) {
    const Scope scope(Fmt("%ld to %ld, %zu", long(c.from), long(c.to), c.n));
    const std::string old = Pattern(10000, 99);
    WriteFile("b", old);
    Fd to("b", O_RDWR);
    loff_t in = c.from, out = c.to;
    const size_t want = std::min(c.n, kBytes.size() - c.from);
    size_t done = 0;
    while (done < want) {
      const ssize_t n = copy_file_range(from, &in, to, &out, c.n - done, 0);
      if (n <= 0) break;
      done += n;
    }
    EXPECT_EQ(want, done);
    EXPECT_EQ(c.from + loff_t(want), in);
    EXPECT_EQ(c.to + loff_t(want), out);
    std::string model = old;
    if (model.size() < c.to + want) model.resize(c.to + want);
    model.replace(c.to, want, kBytes.substr(c.from, want));
    EXPECT_TRUE(ReadAllFd(to) == model);
    // The copy is a copy: changing one does not change the other.
    EXPECT_EQ(4, pwrite(to, "COPY", 4, c.to));
    EXPECT_TRUE(ReadAll("a") == kBytes);
  }
  EXPECT_EQ(0, copy_file_range(from, nullptr, Fd("b", O_RDWR), nullptr, 0, 0));
}

POSIX_TEST(copy_file_range, dirty_source_and_overwritten_source) {
  Fd a("a", O_CREAT | O_RDWR), b("b", O_CREAT | O_RDWR);
  EXPECT_EQ(ssize_t(kBytes.size()), pwrite(a, kBytes.data(), kBytes.size(), 0));
  loff_t in = 0, out = 0;
  EXPECT_EQ(ssize_t(kBytes.size()), copy_file_range(a, &in, b, &out, kBytes.size(), 0));
  EXPECT_EQ(6, pwrite(a, "source", 6, 0));
  EXPECT_TRUE(ReadAllFd(b) == kBytes);
  EXPECT_OK(unlink("a"));
  EXPECT_OK(a.Close());
  EXPECT_OK(fsync(b));
  EXPECT_TRUE(ReadAll("b") == kBytes);
}

POSIX_TEST(copy_file_range, within_one_file) {
  WriteFile("f", kBytes);
  Fd fd("f", O_RDWR);
  loff_t in = 0, out = 100000;
  EXPECT_EQ(50000, copy_file_range(fd, &in, fd, &out, 50000, 0));
  std::string model = kBytes;
  model.replace(100000, 50000, kBytes.substr(0, 50000));
  EXPECT_TRUE(ReadAllFd(fd) == model);
  in = 0, out = 100;
  EXPECT_ERRNO(EINVAL, copy_file_range(fd, &in, fd, &out, 1000, 0));  // overlapping
}

POSIX_TEST(copy_file_range, times_holes_and_positions) {
  WriteFile("a", kBytes);
  WriteFile("b", "");
  SetTimes("a", 1, 2);
  SetTimes("b", 1, 2);
  Fd a("a", O_RDWR), b("b", O_RDWR);
  EXPECT_TIMES([&] { EXPECT_EQ(1000, copy_file_range(a, nullptr, b, nullptr, 1000, 0)); }, {"a", kNone},
               {"b", kMtime | kCtime});
  EXPECT_EQ(1000, lseek(a, 0, SEEK_CUR));
  EXPECT_EQ(1000, lseek(b, 0, SEEK_CUR));
  EXPECT_OK(ftruncate(a, 1 << 20));
  loff_t in = kBytes.size(), out = 2000;
  EXPECT_EQ(5000, copy_file_range(a, &in, b, &out, 5000, 0));  // a hole
  EXPECT_TRUE(ReadAllFd(b) == kBytes.substr(0, 1000) + std::string(6000, 0));
  in = 1 << 20;
  EXPECT_EQ(0, copy_file_range(a, &in, b, &out, 5000, 0));  // at the end
}

POSIX_TEST(copy_file_range, errors) {
  WriteFile("a", "content");
  Fd reader("a", O_RDONLY), writer("b", O_CREAT | O_WRONLY), appender("c", O_CREAT | O_WRONLY | O_APPEND),
      dir(".", O_RDONLY);
  EXPECT_ERRNO(EBADF, copy_file_range(writer, nullptr, writer, nullptr, 1, 0));
  EXPECT_ERRNO(EBADF, copy_file_range(reader, nullptr, reader, nullptr, 1, 0));
  EXPECT_ERRNO(EBADF, copy_file_range(reader, nullptr, appender, nullptr, 1, 0));
  EXPECT_ERRNO(EISDIR, copy_file_range(dir, nullptr, writer, nullptr, 1, 0));
  EXPECT_ERRNO(EINVAL, copy_file_range(reader, nullptr, writer, nullptr, 1, 1));
}

POSIX_TEST(sparse, written_backwards_and_scattered) {
  Fd fd("f", O_CREAT | O_RDWR);
  std::string model(1 << 20, 0);
  for (int i = 100; i >= 0; i--) {
    const std::string piece = Pattern(37, i);
    EXPECT_EQ(37, pwrite(fd, piece.data(), 37, i * 9973));
    model.replace(i * 9973, 37, piece);
  }
  model.resize(100 * 9973 + 37);
  EXPECT_TRUE(ReadAllFd(fd) == model);
  EXPECT_OK(fsync(fd));
  EXPECT_TRUE(ReadAll("f") == model);
}

POSIX_TEST(statfs, means_something) {
  struct statvfs st;
  EXPECT_OK(statvfs(".", &st));
  EXPECT_TRUE(st.f_blocks > 0 && st.f_bfree > 0 && st.f_bfree <= st.f_blocks && st.f_bavail <= st.f_bfree);
  EXPECT_TRUE(st.f_files == 0 || st.f_ffree <= st.f_files);
  EXPECT_EQ(255u, st.f_namemax);
  EXPECT_TRUE(st.f_bsize >= 512 && st.f_frsize >= 512);
  EXPECT_EQ(0u, st.f_flag & ST_RDONLY);
  struct statvfs by_fd;
  Fd fd("f", O_CREAT | O_RDWR);
  EXPECT_OK(fstatvfs(fd, &by_fd));
  EXPECT_EQ(st.f_blocks, by_fd.f_blocks);
  EXPECT_EQ(255, fpathconf(fd, _PC_NAME_MAX));
}

}  // namespace posix
