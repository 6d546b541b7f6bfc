#include "fuse/channel.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "fuse/abi.h"

namespace curvefs::fuse {
namespace {

constexpr char kDevice[] = "/dev/fuse";
constexpr char kFusermount[] = "fusermount3";

struct FlagName {
  std::string_view name;
  unsigned long set, clear;
};
constexpr FlagName kFlagNames[] = {
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
    {"noatime", MS_NOATIME, 0},
    {"atime", 0, MS_NOATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"relatime", MS_RELATIME, MS_STRICTATIME},
    {"strictatime", MS_STRICTATIME, MS_RELATIME},
};

// What fusermount3 is told with -o.
std::string FusermountOptions(const MountOptions& options) {
  std::string fsname;
  for (char c : options.fsname) {
    if (c == ',' || c == '\\') fsname += '\\';
    fsname += c;
  }
  std::string out = "fsname=" + fsname + ",subtype=curvefs,default_permissions";
  if (options.allow_other) out += ",allow_other";
  for (const FlagName& flag : kFlagNames)
    if (flag.set != 0 && (options.flags & flag.set)) out += "," + std::string(flag.name);
  return out;
}

// Runs fusermount3 with `args`; `inherit` (-1: none) stays open in it, as _FUSE_COMMFD.
Status RunFusermount(const std::vector<std::string>& args, int inherit) {
  std::vector<char*> argv = {const_cast<char*>(kFusermount)};
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  std::string comm = "_FUSE_COMMFD=" + std::to_string(inherit);
  std::vector<char*> envp = {comm.data()};
  for (char** e = environ; *e != nullptr; ++e) envp.push_back(*e);
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (inherit >= 0) posix_spawn_file_actions_adddup2(&actions, inherit, inherit);  // takes close-on-exec away
  pid_t pid;
  int error = posix_spawnp(&pid, kFusermount, &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    return {Code::kNotSupported, "cannot run fusermount3 (package fuse3); it is needed unless root mounts"};
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return FromErrno(errno, kFusermount);
  }
  if (status != 0) return {Code::kNotPermitted, "fusermount3 failed; it has said why"};
  return {};
}

// The device that fusermount3 opened and sent over the socket.
Result<int> ReceiveDevice(int socket) {
  char byte;
  iovec iov{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  while ((n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  cmsghdr* header = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
    return Fail(Code::kIo, "fusermount3 did not send the device");
  int fd;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

Result<int> MountAsUser(const std::string& mountpoint, const MountOptions& options) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
    return Fail(FromErrno(errno, "socketpair"));
  Status status = RunFusermount({"-o", FusermountOptions(options), "--", mountpoint}, pair[1]);
  ::close(pair[1]);
  Result<int> fd = status.ok() ? ReceiveDevice(pair[0]) : Result<int>(Fail(status));
  ::close(pair[0]);
  return fd;
}

Result<int> MountAsRoot(const std::string& mountpoint, uint32_t rootmode, const MountOptions& options) {
  int fd = ::open(kDevice, O_RDWR | O_CLOEXEC);
  if (fd < 0) return Fail(FromErrno(errno, std::string(kDevice) + " (is the kernel module fuse there?)"));
  char data[160];
  std::snprintf(data, sizeof data, "fd=%d,rootmode=%o,user_id=%u,group_id=%u,default_permissions,allow_other",
                fd, rootmode & S_IFMT, ::getuid(), ::getgid());
  if (::mount(options.fsname.c_str(), mountpoint.c_str(), "fuse.curvefs", options.flags, data) < 0) {
    Status status = FromErrno(errno, "mount on " + mountpoint);
    ::close(fd);
    return Fail(status);
  }
  return fd;
}

// The st_dev of a mount, without a request to the process that serves it: that may be us, not serving yet. 0
// if it cannot be told.
uint64_t DeviceOf(const std::string& mountpoint) {
  struct statx stx;
  if (::statx(AT_FDCWD, mountpoint.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &stx) < 0) return 0;
  return makedev(stx.stx_dev_major, stx.stx_dev_minor);
}

// Takes away what a process that died has left: requests to it fail with ENOTCONN. stat would be answered
// from the kernel's cache; statfs never is.
void RemoveDeadMount(const std::string& mountpoint) {
  struct statfs st;
  if (::statfs(mountpoint.c_str(), &st) == 0 || errno != ENOTCONN) return;
  if (::geteuid() == 0)
    ::umount2(mountpoint.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  else
    (void)RunFusermount({"-u", "-z", "--", mountpoint}, -1).ok();
}

}  // namespace

bool ApplyMountOption(std::string_view option, MountOptions* options) {
  if (option == "default_permissions") return true;
  if (option == "allow_other") return options->allow_other = true;
  if (option.starts_with("fsname=")) {
    options->fsname = option.substr(7);
    return true;
  }
  for (const FlagName& flag : kFlagNames) {
    if (option != flag.name) continue;
    options->flags = (options->flags & ~flag.clear) | flag.set;
    return true;
  }
  return false;
}

Result<std::unique_ptr<Channel>> Channel::Mount(const std::string& mountpoint, const MountOptions& options) {
  RemoveDeadMount(mountpoint);
  char resolved[PATH_MAX];
  if (::realpath(mountpoint.c_str(), resolved) == nullptr) return Fail(FromErrno(errno, mountpoint));
  struct stat st;
  if (::stat(resolved, &st) < 0) return Fail(FromErrno(errno, mountpoint));
  if (!S_ISDIR(st.st_mode)) return Fail(Code::kNotDirectory, mountpoint + " is not a directory");
  CURVEFS_TRY(int fd,
              ::geteuid() == 0 ? MountAsRoot(resolved, st.st_mode, options) : MountAsUser(resolved, options));
  return std::unique_ptr<Channel>(new Channel(fd, resolved));
}

Channel::Channel(int fd, std::string mountpoint)
    : fd_(fd), mountpoint_(std::move(mountpoint)), device_(mountpoint_.empty() ? 0 : DeviceOf(mountpoint_)) {}

std::unique_ptr<Channel> Channel::Over(int fd) {
  return std::unique_ptr<Channel>(new Channel(fd, ""));
}

Channel::~Channel() {
  CloseDevice();
}

void Channel::CloseDevice() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

int Channel::Clone() const {
  if (mountpoint_.empty()) return -1;
  int fd = ::open(kDevice, O_RDWR | O_CLOEXEC);
  if (fd < 0) return -1;
  uint32_t original = static_cast<uint32_t>(fd_);
  if (::ioctl(fd, FUSE_DEV_IOC_CLONE, &original) == 0) return fd;
  ::close(fd);
  return -1;
}

Status Channel::Unmount(bool lazy) {
  if (mountpoint_.empty()) return {};
  if (uint64_t device = DeviceOf(mountpoint_); device != 0 && device != device_)
    return {};  // not ours any more
  if (::geteuid() == 0) {
    if (::umount2(mountpoint_.c_str(), UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0) return {};
    if (errno == EINVAL || errno == ENOENT) return {};  // not mounted any more
    return FromErrno(errno, "unmount " + mountpoint_);
  }
  std::vector<std::string> args = {"-u"};
  if (lazy) args.push_back("-z");
  args.insert(args.end(), {"-q", "--", mountpoint_});
  Status status = RunFusermount(args, -1);
  if (status.code() == Code::kNotPermitted) return {Code::kBusy, mountpoint_ + " is in use"};
  return status;
}

bool Channel::RaiseReadAhead(uint32_t kib) const {
  if (device_ == 0) return false;
  char path[80];
  std::snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major(device_), minor(device_));
  int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::string value = std::to_string(kib);
  bool ok = ::write(fd, value.data(), value.size()) == static_cast<ssize_t>(value.size());
  ::close(fd);
  return ok;
}

}  // namespace curvefs::fuse
