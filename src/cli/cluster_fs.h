// ClusterFs: a mount of a cluster's file system, whose metadata are in copysets, and whose data are in a
// directory that all its mounts reach, or in S3.
//
// By name (mds://) the MDS says where everything is, and keeps a record of the mount while it lasts. By
// metaservers (meta://) it is a file system of one copyset.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/status.h"
#include "cli/cluster_place.h"
#include "cli/control_server.h"
#include "cli/data_stack.h"
#include "cli/objects.h"
#include "client/cluster/cluster_meta.h"
#include "client/cluster/freed_objects.h"
#include "client/cluster/mds_routes.h"
#include "client/cluster/mds_session.h"
#include "client/vfs/vfs.h"
#include "object/object_store.h"

namespace curvefs::cli {

struct ClusterFsOptions {
  ClusterPlace place;
  ObjectsOptions objects;  // of meta://: data is dir:PATH. By name: see cluster_data.h
  DataStackOptions stack;  // by name: its disk cache
  std::string mount_point;
  std::string cluster;         // its name, if it has one
  net::TlsFiles tls;           // all three, or none
  std::string token;           // of the file system, if it needs one
  std::string owner;           // of the session, for people
  Duration timeout{};          // of a call to the cluster while nobody answers; 0: for ever
  bool early_answers = false;  // CopysetClientOptions::early
  data::DataOptions cache;
  client::VfsOptions vfs;
};

class ClusterFs {
 public:
  // kUnavailable: nobody answers. kInvalid: no such copyset, or no place for data. By name also as
  // MdsSession::Begin and OpenData.
  static Result<std::unique_ptr<ClusterFs>> Open(Disk& disk, ClusterFsOptions options);

  ~ClusterFs();

  // Stores what is dirty. On failure it may be called again.
  Status Shutdown();
  // Calls that wait for the cluster fail from now on.
  void GiveUp() {
    meta_->Stop();
    if (mds_) mds_->Stop();
  }

  client::Vfs& vfs() { return *vfs_; }
  client::MetaClient& meta() { return *meta_; }
  object::DiskCacheStore* cache() { return cache_; }  // null: none
  InodeId root() const { return meta_->root(); }      // the directory that is mounted
  bool read_only() const { return read_only_; }       // as it was asked for, or all that the token allows

 private:
  ClusterFs() = default;
  struct Found {
    FsId fs;
    client::Routes routes;
    std::function<Result<client::Routes>()> find;
    std::string data;  // for people
    bool far = false;  // it is in S3
  };
  Result<Found> FindCopyset(Disk& disk, const ClusterFsOptions& options);
  Result<Found> FindByName(Disk& disk, const ClusterFsOptions& options);
  Result<InodeId> FindRootOf(const std::string& subdir);
  Status OpenCache(Disk& disk, const ClusterFsOptions& options, const std::string& uuid);
  void SetLimits(const proto::FsInfo& fs);

  Mutex limits_mu_;  // a leaf
  client::ClusterMeta* limits_to_ CURVEFS_GUARDED_BY(limits_mu_) = nullptr;
  bool read_only_ = false;
  // In the order of construction; each uses those before it.
  ControlServer control_;
  std::unique_ptr<client::MdsClient> mds_;  // to ask again where copysets are
  OpenedObjects opened_;                    // `store` has moved to objects_
  std::unique_ptr<object::ObjectStore> objects_;
  object::DiskCacheStore* cache_ = nullptr;  // within objects_
  std::unique_ptr<client::ClusterMeta> meta_;
  std::unique_ptr<client::Vfs> vfs_;
  std::unique_ptr<client::MdsSession> session_;
  std::unique_ptr<client::FreedObjects> freed_;
};

}  // namespace curvefs::cli
