// ClusterFs: a file system whose metadata are in one copyset of a cluster, and whose data are in a directory
// that all its mounts reach.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/status.h"
#include "client/cluster/copyset_client.h"
#include "client/cluster/remote_meta.h"
#include "client/vfs/vfs.h"
#include "net/hello.h"
#include "object/object_store.h"

namespace curvefs::cli {

// meta://HOST:PORT[,HOST:PORT…]/COPYSET
struct ClusterPlace {
  std::vector<net::Address> servers;  // metaservers
  uint64_t copyset = 0;
  std::string ToString() const;
};
inline bool IsClusterPlace(std::string_view text) {
  return text.starts_with("meta://");
}
Result<ClusterPlace> ParseClusterPlace(std::string_view text);  // kInvalid

constexpr std::string_view kDirectoryData = "dir:";  // what --data begins with

struct ClusterFsOptions {
  ClusterPlace place;
  std::string data;     // dir:PATH
  std::string cluster;  // its name, if it has one
  net::TlsFiles tls;    // all three, or none
  std::string owner;    // of the session, for people
  Duration timeout{};   // of a call to the cluster while nobody answers; 0: for ever
  data::DataOptions cache;
  client::VfsOptions vfs;
};

class ClusterFs {
 public:
  // kUnavailable: nobody answers. kInvalid: no such file system, or no place for data.
  static Result<std::unique_ptr<ClusterFs>> Open(Disk& disk, ClusterFsOptions options);

  // Stores what is dirty. On failure it may be called again.
  Status Shutdown() { return vfs_->Shutdown(); }
  // Calls that wait for the cluster fail from now on.
  void GiveUp() { copyset_->Stop(); }

  client::Vfs& vfs() { return *vfs_; }

 private:
  ClusterFs() = default;
  // In the order of construction; each uses those before it.
  std::unique_ptr<object::ObjectStore> objects_;
  std::unique_ptr<client::CopysetClient> copyset_;
  std::unique_ptr<client::RemoteMeta> meta_;
  std::unique_ptr<client::Vfs> vfs_;
};

}  // namespace curvefs::cli
