// What is mounted where, from /proc/self/mountinfo.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace curvefs::cli {

inline constexpr std::string_view kFsType = "fuse.curvefs";

struct MountEntry {
  std::string mount_point;
  std::string type;    // "fuse.curvefs"
  std::string source;  // of ours: DIR
  std::string device;  // "0:50"
  std::string root;    // the part of the file system that is mounted there: "/" is all of it
};

// The lines of a mountinfo file, in order; lines that make no sense are passed over.
std::vector<MountEntry> ParseMountInfo(std::string_view text);
std::vector<MountEntry> CurrentMounts();

// `path` made absolute, without symbolic links as far as its parts exist. The last part is not looked at, so
// that a mount whose process is gone does not stand in the way.
std::string AbsolutePath(const std::string& path);
// The same, of the directory of a file system that a tool is to work on: kInvalid for a place where one is
// mounted, which is not that directory.
Result<std::string> DirectoryOfFs(const std::string& path);

// The topmost CurveFS mount at `mount_point` (absolute). kNotFound.
Result<MountEntry> FindMount(const std::string& mount_point);

// "pid (command)" of processes that have something open below `mount_point`, or their directory there; at
// most `max`.
std::vector<std::string> UsersOf(const std::string& mount_point, size_t max);

}  // namespace curvefs::cli
