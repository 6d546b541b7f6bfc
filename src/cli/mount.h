// What `curvefs mount` and mount.curvefs do, once their arguments are understood.
#pragma once

#include <string>

#include "base/status.h"
#include "cli/config.h"
#include "cli/standalone.h"

namespace curvefs::cli {

// Paths are absolute, those of the knobs too: the process in the background leaves the working directory.
struct MountRequest {
  std::string dir;          // DIR of --standalone; empty: it is
  std::string cluster;      // the place of a cluster's file system, see cluster_fs.h
  std::string mount_point;  // an existing directory
  MountConfig config;
  bool foreground = false;
  InodeId root = kRootInode;  // the directory of the file system that is mounted
};

// Takes relative paths as from the working directory. To be called once, before Mount.
void MakePathsAbsolute(MountRequest* request);

// Mounts. In the background: returns once the mount has answered. In the foreground: returns when it has been
// unmounted.
Status Mount(const MountRequest& request);

// The values of the components, from the knobs.
StandaloneOptions ToStandaloneOptions(const MountRequest& request);

}  // namespace curvefs::cli
