// MdsServer: an MDS process, without its command line: a loop, the way to etcd, the services, and what it
// measures.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/loop.h"
#include "mds/etcd_coordinator.h"
#include "mds/mds.h"
#include "mds/process/grpc_service.h"
#include "net/http/http_service.h"

namespace curvefs::mds {

struct MdsServerOptions {
  std::string listen;  // HOST:PORT of gRPC, port 0: any
  std::string
      advertise;  // HOST:PORT at which others reach it; empty: that of listen, with the port that it got
  std::string metrics_host;
  int metrics_port = -1;  // of HTTP; 0: any, -1: not served
  EtcdOptions etcd;
  net::TlsFiles tls;  // of gRPC, from clients and to metaservers; all three, or none
  MdsOptions mds;     // election.name and random are set here
  Duration metaserver_limit = std::chrono::seconds(10);  // of one command to a metaserver
  Duration end_limit = std::chrono::seconds(5);          // for what is under way, and to tell etcd
};

class MdsServer {
 public:
  // Listens and stands for election. kUnavailable: an address is taken; kInvalid: options that make no sense.
  static Result<std::unique_ptr<MdsServer>> Start(MdsServerOptions options);
  ~MdsServer();  // without Shutdown: as if it were killed

  // Finishes what is under way, resigns, ends. Once.
  void Shutdown();

  const std::string& address() const { return address_; }  // that is told to others
  int metrics_port() const { return http_ ? http_->port() : -1; }
  std::string MetricsText();

 private:
  explicit MdsServer(MdsServerOptions options);
  Status Open();
  // Runs on the loop, and is waited for.
  void OnLoop(const std::function<void()>& f);

  MdsServerOptions options_;
  std::string address_;
  SteadyTime started_;
  ThreadLoop loop_;
  std::unique_ptr<Coordinator> coordinator_;  // this and the next two: of the loop
  std::unique_ptr<Metaservers> metaservers_;
  std::unique_ptr<Mds> mds_;
  std::unique_ptr<GrpcService> grpc_;
  std::unique_ptr<net::HttpService> http_;
};

}  // namespace curvefs::mds
