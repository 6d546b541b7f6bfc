// Advisory locks between processes: flock, fcntl records, open-file-description locks.
#include <sys/file.h>
#include <sys/wait.h>

#include "harness.h"

namespace posix {
namespace {

int Record(int fd, int command, short type, off_t at, off_t n, struct flock* out = nullptr) {
  struct flock l = {};
  l.l_type = type;
  l.l_whence = SEEK_SET;
  l.l_start = at;
  l.l_len = n;
  const int rc = fcntl(fd, command, &l);
  if (out != nullptr) *out = l;
  return rc;
}

// A child that runs `body`, says so, and stays until the parent has run `then`.
void WithHolder(const std::function<void()>& body, const std::function<void(pid_t)>& then) {
  int up[2], down[2];
  EXPECT_OK(pipe(up));
  EXPECT_OK(pipe(down));
  const pid_t pid = fork();
  if (pid == 0) {
    close(up[0]);
    close(down[1]);
    body();
    char c = 'r';
    if (write(up[1], &c, 1) != 1 || read(down[0], &c, 1) < 0) _exit(1);
    _exit(0);
  }
  close(up[1]);
  close(down[0]);
  char c;
  EXPECT_EQ(1, read(up[0], &c, 1));
  then(pid);
  close(down[1]);
  int status;
  waitpid(pid, &status, 0);
  EXPECT_EQ(0, status);
  close(up[0]);
}

}  // namespace

POSIX_TEST(flock, between_processes) {
  Make(Type::kFile, "f");
  WithHolder(
      [] {
        const int fd = open("f", O_RDWR);
        EXPECT_OK(flock(fd, LOCK_EX));
      },
      [](pid_t) {
        Fd fd("f", O_RDWR);
        EXPECT_ERRNO(EWOULDBLOCK, flock(fd, LOCK_EX | LOCK_NB));
        EXPECT_ERRNO(EWOULDBLOCK, flock(fd, LOCK_SH | LOCK_NB));
      });
  Fd fd("f", O_RDWR);
  EXPECT_OK(flock(fd, LOCK_EX | LOCK_NB));  // the other process has ended
  WithHolder([] {}, [](pid_t) {});
  EXPECT_OK(flock(fd, LOCK_UN));
  WithHolder(
      [] {
        const int other = open("f", O_RDONLY);
        EXPECT_OK(flock(other, LOCK_SH));
      },
      [&](pid_t) {
        EXPECT_OK(flock(fd, LOCK_SH | LOCK_NB));
        EXPECT_ERRNO(EWOULDBLOCK, flock(fd, LOCK_EX | LOCK_NB));
      });
  EXPECT_OK(flock(fd, LOCK_EX | LOCK_NB));
}

POSIX_TEST(flock, belongs_to_the_open_file) {
  Make(Type::kFile, "f");
  Fd one("f", O_RDWR), two("f", O_RDWR);
  EXPECT_OK(flock(one, LOCK_EX));
  EXPECT_ERRNO(EWOULDBLOCK, flock(two, LOCK_EX | LOCK_NB));
  Fd copy(dup(one));
  EXPECT_OK(one.Close());
  EXPECT_ERRNO(EWOULDBLOCK, flock(two, LOCK_EX | LOCK_NB));  // the copy holds it still
  EXPECT_OK(copy.Close());
  EXPECT_OK(flock(two, LOCK_EX | LOCK_NB));
  Fd dir(".", O_RDONLY);
  EXPECT_OK(flock(dir, LOCK_EX | LOCK_NB));
  EXPECT_ERRNO(EINVAL, flock(two, 77));
}

POSIX_TEST(flock, waits_until_released) {
  Make(Type::kFile, "f");
  Fd fd("f", O_RDWR);
  EXPECT_OK(flock(fd, LOCK_EX));
  const pid_t pid = fork();
  if (pid == 0) {
    Fd own("f", O_RDWR);
    alarm(20);
    if (flock(own, LOCK_EX) != 0) _exit(1);
    _exit(Exists("released") ? 0 : 2);
  }
  Make(Type::kFile, "released");
  EXPECT_OK(flock(fd, LOCK_UN));
  int status;
  waitpid(pid, &status, 0);
  EXPECT_EQ(0, status);
}

POSIX_TEST(fcntl, records_between_processes) {
  WriteFile("f", Pattern(1000));
  WithHolder(
      [] {
        const int fd = open("f", O_RDWR);
        EXPECT_OK(Record(fd, F_SETLK, F_WRLCK, 100, 100));
        EXPECT_OK(Record(fd, F_SETLK, F_RDLCK, 300, 100));
      },
      [](pid_t holder) {
        Fd fd("f", O_RDWR);
        EXPECT_ERRNO(EAGAIN, Record(fd, F_SETLK, F_WRLCK, 150, 10));
        EXPECT_ERRNO(EAGAIN, Record(fd, F_SETLK, F_RDLCK, 199, 1));
        EXPECT_ERRNO(EAGAIN, Record(fd, F_SETLK, F_WRLCK, 0, 0));
        EXPECT_ERRNO(EAGAIN, Record(fd, F_SETLK, F_WRLCK, 399, 1));
        EXPECT_OK(Record(fd, F_SETLK, F_RDLCK, 300, 50));
        EXPECT_OK(Record(fd, F_SETLK, F_WRLCK, 200, 100));
        EXPECT_OK(Record(fd, F_SETLK, F_WRLCK, 400, 0));
        struct flock l;
        EXPECT_OK(Record(fd, F_GETLK, F_WRLCK, 150, 1000, &l));
        EXPECT_EQ(F_WRLCK, l.l_type);
        EXPECT_EQ(100, l.l_start);
        EXPECT_EQ(100, l.l_len);
        EXPECT_EQ(holder, l.l_pid);
        EXPECT_OK(Record(fd, F_GETLK, F_WRLCK, 350, 10, &l));
        EXPECT_EQ(F_RDLCK, l.l_type);
        EXPECT_OK(Record(fd, F_GETLK, F_WRLCK, 210, 10, &l));
        EXPECT_EQ(F_UNLCK, l.l_type);
      });
  Fd fd("f", O_RDWR);
  EXPECT_OK(Record(fd, F_SETLK, F_WRLCK, 0, 0));  // its locks went with the holder
}

POSIX_TEST(fcntl, records_go_with_any_close) {
  WriteFile("f", "x");
  Fd fd("f", O_RDWR);
  EXPECT_OK(Record(fd, F_SETLK, F_WRLCK, 0, 0));
  InChild([] { EXPECT_ERRNO(EAGAIN, Record(Fd("f", O_RDWR), F_SETLK, F_WRLCK, 0, 0)); });
  {
    Fd other("f", O_RDONLY);
  }
  InChild([] { EXPECT_OK(Record(Fd("f", O_RDWR), F_SETLK, F_WRLCK, 0, 0)); });
}

POSIX_TEST(fcntl, records_split_and_join) {
  WriteFile("f", "x");
  Fd fd("f", O_RDWR);
  EXPECT_OK(Record(fd, F_SETLK, F_WRLCK, 0, 300));
  EXPECT_OK(Record(fd, F_SETLK, F_UNLCK, 100, 100));
  InChild([] {
    Fd own("f", O_RDWR);
    struct flock l;
    EXPECT_OK(Record(own, F_GETLK, F_WRLCK, 0, 0, &l));
    EXPECT_EQ(0, l.l_start);
    EXPECT_EQ(100, l.l_len);
    EXPECT_OK(Record(own, F_SETLK, F_WRLCK, 100, 100));
    EXPECT_ERRNO(EAGAIN, Record(own, F_SETLK, F_WRLCK, 299, 1));
    EXPECT_OK(Record(own, F_SETLK, F_WRLCK, 300, 1));
  });
  EXPECT_OK(Record(fd, F_SETLK, F_RDLCK, 0, 50));  // downgrade a part
  InChild([] {
    Fd own("f", O_RDWR);
    EXPECT_OK(Record(own, F_SETLK, F_RDLCK, 0, 50));
    EXPECT_ERRNO(EAGAIN, Record(own, F_SETLK, F_RDLCK, 50, 50));
  });
}

POSIX_TEST(fcntl, waiting_and_deadlock) {
  WriteFile("f", "x");
  Fd fd("f", O_RDWR);
  EXPECT_OK(Record(fd, F_SETLK, F_WRLCK, 0, 1));
  const pid_t pid = fork();
  if (pid == 0) {
    Fd own("f", O_RDWR);
    alarm(20);
    if (Record(own, F_SETLK, F_WRLCK, 1, 1) != 0) _exit(1);
    _exit(Record(own, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : errno == EDEADLK ? 3 : 2);
  }
  // Waits for byte 1, which the child holds while it waits for byte 0: one of the two is told of the
  // deadlock.
  const int rc = [&] {
    struct flock l;
    do {
      Record(fd, F_GETLK, F_WRLCK, 1, 1, &l);
    } while (l.l_type == F_UNLCK);
    return Record(fd, F_SETLKW, F_WRLCK, 1, 1);
  }();
  EXPECT_TRUE(rc == 0 || errno == EDEADLK);
  EXPECT_OK(Record(fd, F_SETLK, F_UNLCK, 0, 0));
  int status;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WEXITSTATUS(status) == (rc == 0 ? 3 : 0));
}

POSIX_TEST(fcntl, bad_arguments) {
  WriteFile("f", "x");
  Fd reader("f", O_RDONLY), writer("f", O_WRONLY);
  EXPECT_ERRNO(EBADF, Record(reader, F_SETLK, F_WRLCK, 0, 1));
  EXPECT_ERRNO(EBADF, Record(writer, F_SETLK, F_RDLCK, 0, 1));
  EXPECT_ERRNO(EINVAL, Record(writer, F_SETLK, 77, 0, 1));
  EXPECT_ERRNO(EINVAL, Record(writer, F_SETLK, F_WRLCK, -5, 1));
  EXPECT_OK(Record(writer, F_SETLK, F_WRLCK, INT64_MAX, 1));
}

POSIX_TEST(ofd, belongs_to_the_open_file) {
  WriteFile("f", "x");
  Fd one("f", O_RDWR), two("f", O_RDWR);
  EXPECT_OK(Record(one, F_OFD_SETLK, F_WRLCK, 0, 10));
  EXPECT_ERRNO(EAGAIN, Record(two, F_OFD_SETLK, F_WRLCK, 5, 10));
  {
    Fd other("f", O_RDONLY);
  }  // another close does not drop it
  EXPECT_ERRNO(EAGAIN, Record(two, F_OFD_SETLK, F_WRLCK, 5, 10));
  struct flock l;
  EXPECT_OK(Record(two, F_OFD_GETLK, F_WRLCK, 5, 10, &l));
  EXPECT_EQ(F_WRLCK, l.l_type);
  EXPECT_EQ(-1, l.l_pid);
  InChild([&] {  // inherited by a child: the same open file
    EXPECT_OK(Record(one, F_OFD_SETLK, F_WRLCK, 0, 10));
    EXPECT_ERRNO(EAGAIN, Record(Fd("f", O_RDWR), F_SETLK, F_WRLCK, 0, 1));
  });
  EXPECT_OK(one.Close());
  EXPECT_OK(Record(two, F_OFD_SETLK, F_WRLCK, 5, 10));
}

POSIX_TEST(lease, read_lease) {
  WriteFile("f", "x");
  Fd fd("f", O_RDONLY);
  errno = 0;
  if (fcntl(fd, F_SETLEASE, F_RDLCK) != 0) SKIP_TEST("no leases here");
  EXPECT_EQ(F_RDLCK, fcntl(fd, F_GETLEASE));
  EXPECT_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
}

}  // namespace posix
