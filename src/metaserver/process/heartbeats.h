// Heartbeats: a metaserver's dealings with the MDS: it registers, says again and again what it holds, and
// does what it is told. A thread of its own; nothing waits for it, and a metaserver goes on without an MDS.
//
//   auto id = Heartbeats::Identify(options);   // before the server, which needs its id
//   … MetaServer::Start with *id …
//   auto heartbeats = Heartbeats::Begin(options, server, grpc_address);
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "metaserver/process/mds_link.h"
#include "metaserver/process/registration.h"
#include "metaserver/process/server.h"

namespace curvefs::metaserver {

struct MdsOptions {
  std::vector<std::string> mds;  // HOST:PORT; none: there is no MDS
  std::string dir;
  std::string pool, zone, host_name;
  std::string version;
  net::TlsFiles tls;                                   // all three, or none
  Duration register_limit = std::chrono::seconds(60);  // of a new one, at its start
};

class Heartbeats {
 public:
  // The id of this metaserver: by its directory, or, if it is new, from the MDS. kNotPermitted: another
  // cluster's; kUnavailable: it is new, and no MDS leads; kInvalid, kExists as the MDS refuses it.
  static Result<MetaserverId> Identify(const MdsOptions& options);
  // Tells the MDS where it can be reached. If the MDS refuses it, that is the error; if there is none for a
  // moment, it goes on trying. `server` outlives it.
  static Result<std::unique_ptr<Heartbeats>> Begin(MdsOptions options, MetaServer& server,
                                                   std::string grpc_address);
  ~Heartbeats();

 private:
  Heartbeats(MdsOptions options, MetaServer& server, std::string grpc_address);
  void Run();
  Status Register(Duration limit);
  Status Beat(Duration* interval);
  void Carry(const proto::HeartbeatCommand& command);
  std::string Ask(uint16_t method, const std::string& request);

  const MdsOptions options_;
  MetaServer& server_;
  const std::string grpc_address_;
  Registration registration_;
  std::unique_ptr<MdsLink> link_;

  Mutex mu_;
  CondVar changed_;
  bool ending_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace curvefs::metaserver
