// Channel: a mount and the /dev/fuse file that serves it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::fuse {

struct MountOptions {
  std::string fsname = "curvefs";  // the source, as df shows it; the type is fuse.curvefs
  // Other users may use a mount that a user made; /etc/fuse.conf must permit it. A mount by root is for all.
  bool allow_other = false;
  unsigned long flags = 0;  // MS_RDONLY and the like, of mount(2)
};

// Applies one option as it stands behind mount -o: ro, rw, suid, nosuid, dev, nodev, exec, noexec, sync,
// async, dirsync, atime, noatime, nodiratime, relatime, strictatime, allow_other, default_permissions (always
// on), fsname=…. False if it is not one of these.
bool ApplyMountOption(std::string_view option, MountOptions* options);

// Not thread-safe, except Unmount.
class Channel {
 public:
  // Mounts on a directory. As root with mount(2), else with fusermount3. A mount there whose process has died
  // is taken away first.
  static Result<std::unique_ptr<Channel>> Mount(const std::string& mountpoint, const MountOptions& options);
  // For tests: a socket in place of the device; nothing is mounted.
  static std::unique_ptr<Channel> Over(int fd);
  // Closes the device, which ends the mount for whoever uses it. Does not unmount.
  ~Channel();

  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int fd() const { return fd_; }
  const std::string& mountpoint() const { return mountpoint_; }  // absolute; empty if nothing is mounted

  // Another file for the same mount, with a queue of its own; -1 if that cannot be had.
  int Clone() const;

  // Closes the device early. With its clones closed too, all requests under way and all later ones fail.
  void CloseDevice();

  // kBusy if it is in use. `lazy`: out of sight at once, ends when the last user is gone.
  Status Unmount(bool lazy);

  // Lets the kernel read ahead this much (INIT can only lower it). Needs root; returns false if it did not
  // work.
  bool RaiseReadAhead(uint32_t kib) const;

 private:
  Channel(int fd, std::string mountpoint);

  int fd_;
  std::string mountpoint_;
  uint64_t device_ = 0;  // its st_dev, as /sys/class/bdi spells it; 0 if unknown
};

}  // namespace curvefs::fuse
