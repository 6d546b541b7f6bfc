#include "mds/process/server.h"

#include <algorithm>
#include <future>
#include <random>
#include <utility>

#include "base/metrics.h"
#include "net/hello.h"

namespace curvefs::mds {

MdsServer::MdsServer(MdsServerOptions options)
    : options_(std::move(options)), started_(Clock::System().Steady()), loop_("mds") {}

Result<std::unique_ptr<MdsServer>> MdsServer::Start(MdsServerOptions options) {
  std::unique_ptr<MdsServer> server(new MdsServer(std::move(options)));
  CURVEFS_CHECK_OK(server->Open());
  return server;
}

Status MdsServer::Open() {
  CURVEFS_TRY(const net::Address listen, net::ParseAddress(options_.listen));
  CURVEFS_TRY(grpc_, GrpcService::Listen(loop_, listen.ToString(), options_.tls));
  address_ = options_.advertise;
  if (address_.empty()) address_ = net::Address{listen.host, static_cast<uint16_t>(grpc_->port())}.ToString();
  if (options_.metrics_port >= 0) {
    CURVEFS_TRY(http_, net::HttpService::Start(
                           options_.metrics_host, options_.metrics_port, [this] { return MetricsText(); },
                           [] { return std::string("serving\n"); }));
  }
  MdsOptions mds = options_.mds;
  mds.election.name = address_;
  // On the loop alone.
  mds.random = [random = std::make_shared<std::mt19937_64>(std::random_device()())] { return (*random)(); };
  mds.serves = [this](bool serves) { grpc_->SetLeads(serves); };
  CURVEFS_CHECK_OK(mds.election.Check());
  // All members of etcd can be asked while the lease lasts: it is kept alive every third of it.
  EtcdOptions etcd = options_.etcd;
  etcd.attempt = std::min(etcd.attempt, mds.election.lease_time / 6);
  CURVEFS_TRY(coordinator_, ConnectEtcd(loop_, std::move(etcd)));
  CURVEFS_TRY(metaservers_, ConnectMetaservers(loop_, options_.metaserver_limit, options_.tls));
  OnLoop([&] {
    mds_ = std::make_unique<Mds>(loop_, *coordinator_, metaservers_.get(), std::move(mds));
    grpc_->Attach(mds_.get());
    mds_->Start();
  });
  return {};
}

void MdsServer::OnLoop(const std::function<void()>& f) {
  std::promise<void> done;
  loop_.Post([&] {
    f();
    done.set_value();
  });
  done.get_future().wait();
}

void MdsServer::Shutdown() {
  grpc_->SetEnding();
  auto resigned = std::make_shared<std::promise<void>>();
  auto future = resigned->get_future();
  OnLoop([&] { mds_->Resign(options_.end_limit, [resigned] { resigned->set_value(); }); });
  // Resign has the same limit; what it waits for then may take a moment longer.
  future.wait_for(2 * options_.end_limit);
}

MdsServer::~MdsServer() {
  http_.reset();
  // Who waits is answered by the end of the office; the loop runs until gRPC has given the answers back.
  OnLoop([&] {
    if (grpc_) grpc_->Attach(nullptr);
    mds_.reset();
  });
  grpc_.reset();
  OnLoop([&] {
    metaservers_.reset();
    coordinator_.reset();
  });
  loop_.Stop();
}

std::string MdsServer::MetricsText() {
  MdsCounters counters;
  bool serves = false;
  Revision term = 0;
  uint64_t file_systems = 0, mounts = 0, metaservers = 0, copysets = 0, partitions = 0;
  OnLoop([&] {
    if (!mds_) return;
    counters = mds_->counters();
    serves = mds_->serves();
    term = mds_->term();
    if (!serves) return;
    const State& state = mds_->state();
    file_systems = state.All<proto::FsInfo>().size();
    mounts = state.All<proto::Mountpoint>().size();
    metaservers = state.All<proto::Metaserver>().size();
    copysets = state.All<proto::Copyset>().size();
    partitions = state.All<proto::Partition>().size();
  });
  curvefs::MetricsText out;
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(Clock::System().Steady() - started_);
  out.Add("curvefs_uptime_seconds", "gauge", "Since the process began.",
          static_cast<uint64_t>(uptime.count()));
  out.Add("curvefs_mds_leads", "gauge", "1 where the MDS leads and serves.", serves);
  out.Add("curvefs_mds_term", "gauge", "Its term of office; 0: it leads not.", static_cast<uint64_t>(term));
  out.Add("curvefs_mds_offices_total", "counter", "How often it was elected.", counters.offices);
  out.Begin("curvefs_mds_load_seconds", "gauge", "Time to read the state, when it was elected last.");
  out.Sample({}, std::chrono::duration<double>(counters.load_time).count());
  out.Add("curvefs_mds_requests_total", "counter", "Requests over gRPC.", grpc_->requests());
  out.Add("curvefs_mds_changes_total", "counter", "Requests to change something.", counters.changes);
  out.Add("curvefs_mds_reads_total", "counter", "Requests to see something.", counters.reads);
  out.Add("curvefs_mds_refused_total", "counter", "Requests to one that does not lead.", counters.refused);
  out.Add("curvefs_mds_commits", "gauge", "Transactions in etcd in this office.", counters.commits);
  out.Add("curvefs_mds_unknown_outcomes", "gauge",
          "Of those, how often it was asked again what had become of one.", counters.unknown_outcomes);
  out.Add("curvefs_mds_sessions_expired_total", "counter", "Mounts that said nothing for too long.",
          counters.sessions_expired);
  out.Add("curvefs_mds_file_systems", "gauge", "File systems, where it leads.", file_systems);
  out.Add("curvefs_mds_mounts", "gauge", "Mounts, where it leads.", mounts);
  out.Add("curvefs_mds_metaservers", "gauge", "Metaservers, where it leads.", metaservers);
  out.Add("curvefs_mds_copysets", "gauge", "Copysets, where it leads.", copysets);
  out.Add("curvefs_mds_partitions", "gauge", "Partitions, where it leads.", partitions);
  return out.text();
}

}  // namespace curvefs::mds
