// Memory-mapped files: sharing, coherence with read and write, ends of files.
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "harness.h"

namespace posix {
namespace {

class Map {
 public:
  Map(int fd, size_t n, int prot = PROT_READ | PROT_WRITE, int flags = MAP_SHARED, off_t at = 0)
      : n_(n), at_(static_cast<char*>(mmap(nullptr, n, prot, flags, fd, at))) {}
  ~Map() {
    if (ok()) munmap(at_, n_);
  }
  bool ok() const { return at_ != MAP_FAILED; }
  char* get() const { return at_; }

 private:
  size_t n_;
  char* at_;
};

sigjmp_buf jump;
void OnBus(int) {
  siglongjmp(jump, 1);
}

// Whether touching the byte raises SIGBUS.
bool Bus(volatile char* p, bool write) {
  struct sigaction action = {}, old;
  action.sa_handler = OnBus;
  sigaction(SIGBUS, &action, &old);
  bool bus = true;
  if (sigsetjmp(jump, 1) == 0) {
    if (write) {
      *p = 1;
    } else {
      (void)*p;
    }
    bus = false;
  }
  sigaction(SIGBUS, &old, nullptr);
  return bus;
}

}  // namespace

POSIX_TEST(mmap, shared_writes_reach_the_file) {
  const std::string data = Pattern(50000);
  WriteFile("f", data);
  Fd fd("f", O_RDWR);
  Map map(fd, 50000);
  REQUIRE_OK(map.ok() ? 0 : -1);
  EXPECT_TRUE(memcmp(map.get(), data.data(), 50000) == 0);
  memcpy(map.get() + 10000, "mapped", 6);
  char b[6];
  EXPECT_EQ(6, pread(fd, b, 6, 10000));
  EXPECT_EQ(std::string("mapped"), std::string(b, 6));
  EXPECT_EQ(std::string("mapped"), ReadAll("f").substr(10000, 6));
  EXPECT_EQ(7, pwrite(fd, "written", 7, 20000));
  EXPECT_EQ(std::string("written"), std::string(map.get() + 20000, 7));
  EXPECT_OK(msync(map.get(), 50000, MS_SYNC));
  EXPECT_OK(msync(map.get(), 50000, MS_ASYNC));
  EXPECT_EQ(50000, Fstat(fd).st_size);
}

POSIX_TEST(mmap, outlives_descriptor_and_name) {
  WriteFile("f", Pattern(10000));
  char* p;
  Fd keep("f", O_RDONLY);
  {
    Fd fd("f", O_RDWR);
    p = static_cast<char*>(mmap(nullptr, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    REQUIRE_OK(p == MAP_FAILED ? -1 : 0);
  }
  EXPECT_OK(unlink("f"));
  memcpy(p, "after close", 11);
  EXPECT_OK(munmap(p, 10000));
  EXPECT_EQ(std::string("after close"), ReadAllFd(keep).substr(0, 11));
}

POSIX_TEST(mmap, written_back_after_unmap) {
  {
    Fd fd("f", O_CREAT | O_RDWR);
    EXPECT_OK(ftruncate(fd, 1 << 20));
    Map map(fd, 1 << 20);
    REQUIRE_OK(map.ok() ? 0 : -1);
    const std::string data = Pattern(1 << 20);
    memcpy(map.get(), data.data(), data.size());
  }
  EXPECT_OK(Fd("f", O_RDONLY));
  EXPECT_TRUE(ReadAll("f") == Pattern(1 << 20));
}

POSIX_TEST(mmap, private_writes_do_not) {
  WriteFile("f", "original");
  Fd fd("f", O_RDONLY);
  Map map(fd, 8, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  REQUIRE_OK(map.ok() ? 0 : -1);
  memcpy(map.get(), "CHANGED!", 8);
  EXPECT_EQ(std::string("original"), ReadAll("f"));
}

POSIX_TEST(mmap, between_processes) {
  WriteFile("f", std::string(8192, 0));
  Fd fd("f", O_RDWR);
  Map map(fd, 8192);
  REQUIRE_OK(map.ok() ? 0 : -1);
  InChild([&] {
    Fd own("f", O_RDWR);
    Map other(own, 8192);
    memcpy(other.get() + 5000, "child", 5);
    EXPECT_EQ(3, pwrite(own, "kid", 3, 0));
  });
  EXPECT_EQ(std::string("child"), std::string(map.get() + 5000, 5));
  EXPECT_EQ(std::string("kid"), std::string(map.get(), 3));
}

POSIX_TEST(mmap, past_the_end) {
  WriteFile("f", Pattern(5000));
  Fd fd("f", O_RDWR);
  Map map(fd, 3 * 4096);
  REQUIRE_OK(map.ok() ? 0 : -1);
  EXPECT_EQ(0, map.get()[5000]);  // the rest of the last page is zero
  EXPECT_TRUE(!Bus(map.get() + 8191, false));
  EXPECT_TRUE(Bus(map.get() + 8192, false));
  EXPECT_TRUE(Bus(map.get() + 8192, true));
  map.get()[6000] = 'x';  // goes nowhere
  EXPECT_EQ(5000, Fstat(fd).st_size);
  EXPECT_OK(ftruncate(fd, 3 * 4096));
  EXPECT_TRUE(!Bus(map.get() + 8192, true));
  EXPECT_EQ(1, ReadAllFd(fd)[8192]);
  EXPECT_OK(ftruncate(fd, 4096));
  EXPECT_TRUE(Bus(map.get() + 4096, false));
  EXPECT_TRUE(!Bus(map.get() + 4095, false));
  EXPECT_OK(ftruncate(fd, 8192));
  EXPECT_EQ(0, map.get()[4096]);
  EXPECT_EQ(0, map.get()[6000]);
}

POSIX_TEST(mmap, growth_by_write) {
  Fd fd("f", O_CREAT | O_RDWR);
  EXPECT_EQ(3, write(fd, "abc", 3));
  Map map(fd, 64 << 10);
  REQUIRE_OK(map.ok() ? 0 : -1);
  const std::string data = Pattern(60000);
  EXPECT_EQ(60000, pwrite(fd, data.data(), 60000, 3));
  EXPECT_TRUE(memcmp(map.get() + 3, data.data(), 60000) == 0);
  EXPECT_EQ(std::string("abc"), std::string(map.get(), 3));
}

POSIX_TEST(mmap, times) {
  WriteFile("f", Pattern(8192));
  Fd fd("f", O_RDWR);
  Map map(fd, 8192);
  REQUIRE_OK(map.ok() ? 0 : -1);
  SetTimes("f", 1, 2);
  EXPECT_TIMES(
      [&] {
        map.get()[100] = 'x';
        EXPECT_OK(msync(map.get(), 8192, MS_SYNC));
      },
      {"f", kData});
}

POSIX_TEST(mmap, errors) {
  WriteFile("f", "x");
  Make(Type::kDir, "d");
  Fd reader("f", O_RDONLY), writer("f", O_WRONLY), dir("d", O_RDONLY);
  EXPECT_ERRNO(EACCES,
               mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED ? -1 : 0);
  EXPECT_ERRNO(EACCES, mmap(nullptr, 1, PROT_READ, MAP_SHARED, writer, 0) == MAP_FAILED ? -1 : 0);
  EXPECT_ERRNO(ENODEV, mmap(nullptr, 1, PROT_READ, MAP_SHARED, dir, 0) == MAP_FAILED ? -1 : 0);
  EXPECT_ERRNO(EINVAL, mmap(nullptr, 1, PROT_READ, MAP_SHARED, reader, 100) == MAP_FAILED ? -1 : 0);
}

POSIX_TEST(mmap, truncated_then_written) {
  // A page that was mapped, cut off and grown again must not show its old bytes.
  WriteFile("f", Pattern(3 * 4096));
  Fd fd("f", O_RDWR);
  Map map(fd, 3 * 4096);
  REQUIRE_OK(map.ok() ? 0 : -1);
  memset(map.get() + 4096, 'o', 4096);
  EXPECT_OK(ftruncate(fd, 4196));
  EXPECT_OK(ftruncate(fd, 3 * 4096));
  EXPECT_EQ('o', map.get()[4195]);
  EXPECT_EQ(0, map.get()[4196]);
  EXPECT_TRUE(ReadAll("f") ==
              Pattern(3 * 4096).substr(0, 4096) + std::string(100, 'o') + std::string(2 * 4096 - 100, 0));
}

POSIX_TEST(mmap, program_runs_from_here) {
  const std::string program = ReadAll("/bin/true");
  if (program.empty()) SKIP_TEST("no /bin/true");
  WriteFile("prog", program);
  EXPECT_OK(chmod("prog", 0755));
  EXPECT_EQ(0, system("./prog"));
  EXPECT_OK(chmod("prog", 0644));
  EXPECT_ERRNO(EACCES, execl("./prog", "prog", nullptr));
}

}  // namespace posix
