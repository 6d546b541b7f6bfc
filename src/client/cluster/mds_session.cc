#include "client/cluster/mds_session.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace curvefs::client {
namespace {

constexpr Duration kGoodbye = std::chrono::seconds(3);
constexpr Duration kLeastTime = std::chrono::milliseconds(300);

proto::UmountFsRequest Goodbye(const std::string& fs, uint64_t session) {
  proto::UmountFsRequest request;
  request.set_fs_name(fs);
  request.set_session_id(session);
  return request;
}

// That there is none of this name is not the whole truth if one is being deleted.
Status Missing(MdsClient& mds, const std::string& name, Status status) {
  auto all = mds.Call<proto::ListFsInfoResponse>("MdsService/ListFsInfo", proto::ListFsInfoRequest());
  if (!all) return status;
  for (const auto& fs : all->fs()) {
    if (fs.fs_name() == name && fs.state() == proto::FS_DELETING)
      return {Code::kNotFound,
              "the file system '" + name +
                  "' was deleted, and what it has is being removed; it cannot be mounted any more"};
  }
  return {Code::kNotFound,
          "there is no file system '" + name +
              "'; 'curvefs fs list' shows those that there are, 'curvefs fs create' makes one"};
}

}  // namespace

Result<std::unique_ptr<MdsSession>> MdsSession::Begin(MdsSessionOptions options) {
  CURVEFS_TRY(auto mds, MdsClient::To({.servers = options.mds, .tls = options.tls}));
  std::unique_ptr<MdsSession> session(new MdsSession(std::move(options), std::move(mds)));
  CURVEFS_CHECK_OK(session->Mount());
  session->thread_ = std::thread([p = session.get()] { p->Run(); });
  return session;
}

MdsSession::~MdsSession() {
  {
    const MutexLock lock(mu_);
    stopped_ = true;
    changed_.NotifyAll();
  }
  mds_->Stop();
  if (thread_.joinable()) thread_.join();
  const uint64_t last = id();
  if (last == 0) return;
  auto mds = MdsClient::To({.servers = options_.mds, .tls = options_.tls, .timeout = kGoodbye});
  if (!mds) return;
  auto ended = (*mds)->Call<proto::UmountFsResponse>("MdsService/UmountFs", Goodbye(options_.fs, last));
  if (!ended && ended.error().code() != Code::kNotFound)
    Log(LogLevel::kWarning,
        "the MDS could not be told of the end of the mount, which it finds out by itself: " +
            ended.error().ToString());
}

uint64_t MdsSession::id() const {
  const MutexLock lock(mu_);
  return id_;
}

uint64_t MdsSession::begun() const {
  const MutexLock lock(mu_);
  return begun_;
}

Result<proto::MountFsResponse> MdsSession::MountOnce() {
  proto::MountFsRequest request;
  request.set_fs_name(options_.fs);
  request.set_host(options_.host);
  request.set_mount_dir(options_.mount_dir);
  request.set_client_uuid(options_.client);
  request.set_token(options_.token);
  auto mounted = mds_->Call<proto::MountFsResponse>("MdsService/MountFs", request);
  if (mounted || mounted.error().code() != Code::kExists || !options_.is_gone) return mounted;
  // Whose is the record?
  proto::GetFsInfoRequest get;
  get.set_fs_name(options_.fs);
  CURVEFS_TRY(const auto info, mds_->Call<proto::GetFsInfoResponse>("MdsService/GetFsInfo", get));
  for (const auto& mount : info.fs().mountpoints()) {
    if (mount.host() != options_.host || mount.mount_dir() != options_.mount_dir ||
        !options_.is_gone(mount.client_uuid()))
      continue;
    Log(LogLevel::kInfo, "a mount that died at this place has left its record; it is taken away");
    auto ended =
        mds_->Call<proto::UmountFsResponse>("MdsService/UmountFs", Goodbye(options_.fs, mount.session_id()));
    if (!ended && ended.error().code() != Code::kNotFound) return Fail(ended.error());
    return mds_->Call<proto::MountFsResponse>("MdsService/MountFs", request);
  }
  return mounted;
}

Status MdsSession::Mount() {
  auto mounted = MountOnce();
  if (!mounted && mounted.error().code() == Code::kNotFound)
    return Missing(*mds_, options_.fs, mounted.error());
  if (!mounted) return mounted.error();
  const bool first = fs_.fs_id() == 0;
  if (first) {
    fs_ = mounted->fs();
    read_only_ = mounted->read_only();
    subdir_ = mounted->subdir();
  }
  if (mounted->fs().fs_id() != fs_.fs_id()) {
    (void)mds_->Call<proto::UmountFsResponse>("MdsService/UmountFs",
                                              Goodbye(options_.fs, mounted->session_id()));
    return {Code::kNotFound, "the file system '" + options_.fs + "' was deleted, and another has its name"};
  }
  const MutexLock lock(mu_);
  id_ = mounted->session_id();
  ++begun_;
  time_ = std::max<Duration>(std::chrono::milliseconds(mounted->session_time_ms()), kLeastTime);
  return {};
}

Status MdsSession::Refresh() {
  proto::RefreshSessionRequest request;
  request.set_fs_id(fs_.fs_id());
  request.set_session_id(id());
  if (request.session_id() != 0) {
    auto refreshed = mds_->Call<proto::RefreshSessionResponse>("MdsService/RefreshSession", request);
    if (!refreshed && refreshed.error().code() != Code::kFenced) return refreshed.error();
    if (refreshed) {
      if (!options_.news) return {};
      proto::GetFsInfoRequest get;
      get.set_fs_id(fs_.fs_id());
      CURVEFS_TRY(const auto info, mds_->Call<proto::GetFsInfoResponse>("MdsService/GetFsInfo", get));
      options_.news(info.fs());
      return {};
    }
    const MutexLock lock(mu_);
    id_ = 0;
  }
  CURVEFS_CHECK_OK(Mount());
  Log(LogLevel::kWarning, "session " + std::to_string(request.session_id()) +
                              " of this mount with the MDS had ended; session " + std::to_string(id()) +
                              " has begun");
  return {};
}

void MdsSession::Run() {
  bool well = true;
  for (;;) {
    {
      const MutexLock lock(mu_);
      const SteadyTime until = Clock::System().Steady() + time_ / (well ? 3 : 12);
      while (!stopped_ && Clock::System().Steady() < until) changed_.WaitUntil(mu_, until);
      if (stopped_) return;
    }
    const Status status = Refresh();
    if (status.code() == Code::kInterrupted) return;
    if (!status.ok() && well)
      Log(LogLevel::kWarning, "the session of this mount with the MDS: " + status.ToString());
    if (status.ok() && !well) Log(LogLevel::kInfo, "the MDS knows of this mount again");
    well = status.ok();
  }
}

}  // namespace curvefs::client
