// ControlClient: a tool's way to the process of a mount (client/vfs/control.h, control_server.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/control_server.h"

namespace curvefs::cli {

class ControlClient {
 public:
  // Finds the mount that `path` lies in. kNotSupported: it lies in none; kNotFound: there is no such path.
  static Result<ControlClient> For(const std::string& path);
  // The mount whose root is `mount_point`.
  explicit ControlClient(std::string mount_point) : mount_point_(std::move(mount_point)) {}

  const std::string& mount_point() const { return mount_point_; }

  // Has a command carried out; `progress` (may be null) is called for each line before the result. Blocks
  // until the end; a signal whose handler ends the process cancels the command. kAccessDenied: not the owner
  // of the mount, nor root.
  Result<ControlFields> Call(const ControlRequest& request,
                             const std::function<void(const ControlFields&)>& progress = nullptr) const;

 private:
  std::string mount_point_;
};

// The inode number of a path, links not followed, and the mount it is in.
struct PathInMount {
  std::string path;
  std::string mount_point;
  uint64_t inode = 0;
  bool is_dir = false;
};
Result<PathInMount> FindPathInMount(const std::string& path);

}  // namespace curvefs::cli
