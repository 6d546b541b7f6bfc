// MdsSession: this mount, as the MDS has it recorded: begun, kept alive by a thread of its own, and ended
// (SPEC M6). When it has ended by itself, because nobody could be reached for longer than a session lasts,
// another is begun.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "base/status.h"
#include "client/cluster/mds_client.h"
#include "proto/mds.pb.h"

namespace curvefs::client {

struct MdsSessionOptions {
  std::vector<net::Address> mds;
  net::TlsFiles tls;      // all three, or none
  std::string fs;         // name
  std::string token;      // if the file system needs one
  std::string host;       // the mount point, for people and …
  std::string mount_dir;  // … against a second one at the same place
  std::string client;     // who mounts; another one each time, never empty
  // Whether that one, whose mount is recorded at this host and place, is known to be gone: then its record is
  // taken away. Null: nobody is.
  std::function<bool(const std::string& client)> is_gone;
  // On the session's thread: what the MDS says of the file system now, at each sign of life.
  std::function<void(const proto::FsInfo&)> news;
};

class MdsSession {
 public:
  // kNotPermitted: it needs a token, and this is none. kNotFound: no such file system, or it is being
  // deleted; kBusy: it is still being made; kExists: somebody mounts it at this place; kUnavailable: as
  // MdsClient.
  static Result<std::unique_ptr<MdsSession>> Begin(MdsSessionOptions options);
  // Takes the record away, if the MDS answers soon.
  ~MdsSession();

  const proto::FsInfo& fs() const { return fs_; }        // as of the begin
  bool read_only() const { return read_only_; }          // all that the token allows
  const std::string& subdir() const { return subdir_; }  // what the token is for; empty: all
  uint64_t id() const;
  uint64_t begun() const;  // how many sessions there were

 private:
  MdsSession(MdsSessionOptions options, std::unique_ptr<MdsClient> mds)
      : options_(std::move(options)), mds_(std::move(mds)) {}
  Result<proto::MountFsResponse> MountOnce();
  Status Mount();
  Status Refresh();
  void Run();

  const MdsSessionOptions options_;
  const std::unique_ptr<MdsClient> mds_;
  proto::FsInfo fs_;
  bool read_only_ = false;
  std::string subdir_;
  mutable Mutex mu_;
  CondVar changed_;
  bool stopped_ CURVEFS_GUARDED_BY(mu_) = false;
  uint64_t id_ CURVEFS_GUARDED_BY(mu_) = 0;  // 0: none
  uint64_t begun_ CURVEFS_GUARDED_BY(mu_) = 0;
  Duration time_ CURVEFS_GUARDED_BY(mu_){};  // that a session lasts without a sign of life
  std::thread thread_;
};

}  // namespace curvefs::client
