#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "cli/commands.h"
#include "cli/fs_dir.h"
#include "cli/mounts.h"
#include "cli/values.h"

namespace curvefs::cli {
namespace {

constexpr std::string_view kName = "umount";

struct UmountArgs {
  std::string mount_point;
  bool lazy = false;
  bool no_wait = false;
  std::string timeout = "0s";
};

// A descriptor that becomes readable when the process ends; -1 if there is no such process.
int OpenProcess(int64_t pid) {
  return pid <= 0 ? -1 : static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

// The way for those who are not root.
Status UmountByHelper(const std::string& mount_point, bool lazy) {
  pid_t pid = ::fork();
  if (pid < 0) return FromErrno(errno, "fork");
  if (pid == 0) {
    const char* flag = lazy ? "-uz" : "-u";
    ::execlp("fusermount3", "fusermount3", flag, "--", mount_point.c_str(), nullptr);
    std::_Exit(127);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return {Code::kNotPermitted,
            "only root may unmount without fusermount3, which is not installed (Debian package fuse3)"};
  }
  return {Code::kBusy, "fusermount3 could not unmount " + mount_point};
}

Status Detach(const std::string& mount_point, bool lazy) {
  if (::umount2(mount_point.c_str(), UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0) return {};
  if (errno == EPERM) return UmountByHelper(mount_point, lazy);
  if (errno != EBUSY) return FromErrno(errno, "unmount " + mount_point);
  std::string users;
  for (const std::string& user : UsersOf(mount_point, 5)) users += (users.empty() ? "" : ", ") + user;
  return {Code::kBusy, mount_point + " is in use" + (users.empty() ? "" : " by " + users) +
                           "; end that first, or use --lazy to take the mount away and let it end by itself"};
}

// Says on standard error, now and then, what the process is still waiting for.
class Waiting {
 public:
  Waiting(int64_t pid, std::string dir) : pid_(pid), dir_(std::move(dir)), began_(Clock::System().Steady()) {}
  ~Waiting() {
    if (on_terminal_ && told_) std::fprintf(stderr, "\n");
  }
  void Tell() {
    constexpr auto kPatience = std::chrono::seconds(5);  // after this long a person wants to know
    constexpr auto kEvery = std::chrono::seconds(30);    // in a log
    const SteadyTime now = Clock::System().Steady();
    if (now - began_ < kPatience || (told_ && !on_terminal_ && now - last_ < kEvery)) return;
    auto user = FsDir::LastUser(Disk::Posix(), dir_);
    std::string what = "waiting for process " + std::to_string(pid_) + " to store its data";
    if (user && user->pid == pid_ && user->waiting_objects > 0) {
      what = "waiting for uploads: " + std::to_string(user->waiting_objects) + " objects, " +
             RoundedSize(user->waiting_bytes) + " (to leave them for the next mount: kill -USR1 " +
             std::to_string(pid_) + ")";
    }
    if (what == last_text_ && (told_ || on_terminal_)) return;
    std::fprintf(stderr, on_terminal_ ? "\r\033[Kcurvefs umount: %s" : "curvefs umount: %s\n", what.c_str());
    told_ = true;
    last_ = now;
    last_text_ = what;
  }

 private:
  const int64_t pid_;
  const std::string dir_;
  const SteadyTime began_;
  const bool on_terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool told_ = false;
  SteadyTime last_{};
  std::string last_text_;
};

// Returns when the process has ended, or kTimedOut. A zero timeout means for ever.
Status AwaitEnd(int process, int64_t pid, const std::string& dir, Duration timeout) {
  constexpr int64_t kLookMs = 1000;
  const Clock& clock = Clock::System();
  const SteadyTime deadline = clock.Steady() + timeout;
  Waiting waiting(pid, dir);
  while (true) {
    int64_t wait_ms = kLookMs;
    if (timeout.count() > 0) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.Steady()).count();
      if (left <= 0) {
        return {Code::kTimedOut, "process " + std::to_string(pid) +
                                     " is still storing its data; it goes on in the background"};
      }
      wait_ms = std::min<int64_t>(wait_ms, left);
    }
    pollfd p{process, POLLIN, 0};
    int n = ::poll(&p, 1, static_cast<int>(wait_ms));
    if (n > 0) return {};
    if (n < 0 && errno != EINTR) return FromErrno(errno, "poll");
    waiting.Tell();
  }
}

// The process that serves the mount of a cluster's file system, as the mount itself says; 0: it does not say,
// or cannot soon, since its servers are away.
int64_t ServingProcess(const std::string& mount_point) {
  constexpr int kPatienceMs = 2000;
  constexpr std::string_view kKey = "\nmount.pid = ";
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return 0;
  const pid_t reader = ::fork();
  if (reader == 0) {
    char bytes[1 << 14];
    const int config = ::open((mount_point + "/.config").c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t n = config < 0 ? 0 : ::read(config, bytes, sizeof bytes);
    std::_Exit(n > 0 && ::write(ends[1], bytes, static_cast<size_t>(n)) == n ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  pollfd p{ends[0], POLLIN, 0};
  while (reader > 0 && ::poll(&p, 1, kPatienceMs) > 0) {
    char bytes[1 << 12];
    const ssize_t n = ::read(ends[0], bytes, sizeof bytes);
    if (n <= 0) break;
    text.append(bytes, static_cast<size_t>(n));
  }
  ::close(ends[0]);
  if (reader > 0) {
    ::kill(reader, SIGKILL);
    while (::waitpid(reader, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  const size_t at = text.find(kKey);
  return at == text.npos ? 0 : std::strtoll(text.c_str() + at + kKey.size(), nullptr, 10);
}

// Its metadata are durable already; but it tells the cluster that it is gone, and its last data may be on
// their way.
Status UmountOfCluster(const UmountArgs& args, const std::string& mount_point, Duration timeout) {
  const int64_t pid = args.lazy || args.no_wait ? 0 : ServingProcess(mount_point);
  const int process = pid > 0 ? OpenProcess(pid) : -1;
  Status status = Detach(mount_point, args.lazy);
  if (status.ok() && process >= 0) status = AwaitEnd(process, pid, "", timeout);
  if (process >= 0) ::close(process);
  return status;
}

Status Umount(const UmountArgs& args) {
  CURVEFS_TRY(Duration timeout, ParseDuration(args.timeout));
  const std::string mount_point = AbsolutePath(args.mount_point);
  CURVEFS_TRY(MountEntry mount, FindMount(mount_point));
  if (mount.source.find("://") != mount.source.npos) return UmountOfCluster(args, mount_point, timeout);
  auto user = FsDir::LastUser(Disk::Posix(), mount.source);
  // A read-only directory cannot say who uses it; then there is also nothing to be stored.
  const bool known = user && user->mount_point == mount_point;
  const int process = known ? OpenProcess(user->pid) : -1;
  Status status = Detach(mount_point, args.lazy);
  // Only now: while it is mounted the signal means nothing.
  if (status.ok() && process >= 0 && args.no_wait) {
    (void)::syscall(SYS_pidfd_send_signal, process, SIGUSR1, nullptr, 0);  // else it waits, which is no harm
  }
  if (status.ok() && process >= 0 && !args.lazy) status = AwaitEnd(process, user->pid, mount.source, timeout);
  if (process >= 0) ::close(process);
  if (!status.ok() || !known || args.lazy) return status;
  // One that ended cleanly has taken its name out of LOCK.
  auto left = FsDir::LastUser(Disk::Posix(), mount.source);
  if (left && left->pid == user->pid) {
    return {
        Code::kIo,
        mount_point + " is unmounted, but process " + std::to_string(user->pid) +
            " ended before all was stored; its log (by default " + mount.source +
            "/curvefs.log) may say why. What had been fsynced is safe; the next mount recovers by itself"};
  }
  return {};
}

}  // namespace

void AddUmount(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<UmountArgs>();
  CLI::App* command = app.add_subcommand("umount", "Unmount, and wait until everything is stored");
  command->add_option("MNT", args->mount_point, "The mount point")->required();
  command->add_flag(
      "--lazy", args->lazy,
      "Take the mount away at once; its process ends when the last open file is closed. Does not wait");
  command->add_flag(
      "--no-wait", args->no_wait,
      "With --writeback: do not wait for uploads; what waits on the cache disk is uploaded by the "
      "next mount. Data are made durable as ever");
  command
      ->add_option("--timeout", args->timeout,
                   "Wait no longer than this for the data to be stored; 0s: as long as it takes")
      ->capture_default_str();
  command->footer(
      "Without root it needs fusermount3 (Debian package fuse3).\n\n"
      "Examples:\n  curvefs umount /mnt\n  curvefs umount --lazy /mnt\n  curvefs umount --timeout 30s /mnt");
  command->callback([=] {
    Status status = Umount(*args);
    *exit_code = status.ok()
                     ? kExitOk
                     : Complain(kName, status, status.code() == Code::kInvalid ? kExitUsage : kExitFailed);
  });
}

}  // namespace curvefs::cli
