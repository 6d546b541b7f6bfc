// Some MDS in this process, over real gRPC, on a store in memory.
#pragma once

#include <future>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/loop.h"
#include "client/cluster/mds_client.h"
#include "mds/memory_store.h"
#include "mds/process/grpc_service.h"
#include "proto/mds.pb.h"
#include "proto/topology.pb.h"

namespace curvefs::client {

class InMemoryMds {
 public:
  explicit InMemoryMds(size_t count = 1, Duration session_time = std::chrono::seconds(60),
                       net::TlsFiles tls = {})
      : session_time_(session_time), tls_(std::move(tls)), loop_("mds") {
    OnLoop([this] { store_ = std::make_unique<mds::MemoryStore>(loop_); });
    servers_.resize(count);
    for (size_t i = 0; i < count; ++i) Start(i);
  }
  ~InMemoryMds() {
    for (size_t i = 0; i < servers_.size(); ++i) Kill(i);
    OnLoop([this] { store_.reset(); });
    loop_.Stop();
  }

  std::vector<net::Address> addresses() const {
    std::vector<net::Address> all;
    for (const Server& server : servers_) all.push_back(*net::ParseAddress(server.address));
    return all;
  }
  const std::string& address(size_t i) const { return servers_[i].address; }
  // Its lease lapses as that of one that died.
  void Kill(size_t i) {
    OnLoop([&] {
      if (servers_[i].grpc) servers_[i].grpc->Attach(nullptr);
      servers_[i].mds.reset();
    });
    servers_[i].grpc.reset();
    OnLoop([&] {
      servers_[i].coordinator.reset();
      if (store_) store_->Cut(servers_[i].address, true);
    });
  }
  void SetDown(bool down) {
    OnLoop([&] { store_->SetDown(down); });
  }
  // A file system's copysets and root are there, for the MDS's part.
  void MakeReady(uint32_t fs) {
    std::promise<void> done;
    OnLoop([&] {
      for (Server& server : servers_) {
        if (server.mds && server.mds->serves())
          server.mds->Change([fs](mds::Draft& draft, mds::Volatile&) { return mds::FsIsReady(draft, fs); },
                             [&done](const Status&) { done.set_value(); });
      }
    });
    done.get_future().get();
  }
  // The mount's record goes, as if its session had lapsed.
  void EndMount(uint32_t fs, uint64_t session) {
    std::promise<void> done;
    OnLoop([&] {
      for (Server& server : servers_) {
        if (server.mds && server.mds->serves())
          server.mds->Change(
              [=](mds::Draft& draft, mds::Volatile&) { return mds::EndMount(draft, fs, session); },
              [&done](const Status&) { done.set_value(); });
      }
    });
    done.get_future().get();
  }

 private:
  struct Server {
    std::string address;
    std::unique_ptr<mds::Coordinator> coordinator;
    std::unique_ptr<mds::Mds> mds;
    std::unique_ptr<mds::GrpcService> grpc;
  };
  void OnLoop(const std::function<void()>& f) {
    std::promise<void> done;
    loop_.Post([&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }
  void Start(size_t i) {
    Server& server = servers_[i];
    auto grpc = mds::GrpcService::Listen(loop_, "127.0.0.1:0", tls_);
    CURVEFS_CHECK(grpc.has_value());
    server.grpc = *std::move(grpc);
    server.address = "127.0.0.1:" + std::to_string(server.grpc->port());
    OnLoop([&] {
      server.coordinator = store_->Connect(server.address);
      mds::MdsOptions options{
          .session_time = session_time_,
          .random = [random = std::make_shared<std::mt19937_64>(i)] { return (*random)(); }};
      options.election = {.name = server.address,
                          .election_timeout = std::chrono::milliseconds(500),
                          .lease_time = std::chrono::seconds(2),
                          .periodic_get_time = std::chrono::milliseconds(200),
                          .get_timeout = std::chrono::seconds(1)};
      server.mds = std::make_unique<mds::Mds>(loop_, *server.coordinator, nullptr, std::move(options));
      server.grpc->Attach(server.mds.get());
      server.mds->Start();
    });
  }

  const Duration session_time_;
  const net::TlsFiles tls_;
  ThreadLoop loop_;
  std::unique_ptr<mds::MemoryStore> store_;
  std::vector<Server> servers_;
};

// Three zones with a metaserver each (which nobody ever asks), and the file system `name`, not ready. Its id.
inline Result<uint32_t> MakeFs(MdsClient& mds, const std::string& name) {
  proto::CreatePoolRequest pool;
  pool.set_name("pool");
  CURVEFS_TRY(const auto in, mds.Call<proto::CreatePoolResponse>("TopologyService/CreatePool", pool));
  for (int i = 1; i <= 3; ++i) {
    const std::string n = std::to_string(i);
    proto::CreateZoneRequest zone;
    zone.set_pool_id(in.pool().pool_id());
    zone.set_name("zone" + n);
    CURVEFS_TRY(const auto z, mds.Call<proto::CreateZoneResponse>("TopologyService/CreateZone", zone));
    proto::CreateServerRequest server;
    server.set_zone_id(z.zone().zone_id());
    server.set_host_name("host" + n);
    CURVEFS_TRY(const auto s, mds.Call<proto::CreateServerResponse>("TopologyService/CreateServer", server));
    proto::RegisterMetaserverRequest metaserver;
    metaserver.set_uuid("uuid" + n);
    metaserver.set_server_id(s.server().server_id());
    metaserver.set_address("127.0.0.1:" + n);
    CURVEFS_TRY(const auto registered, mds.Call<proto::RegisterMetaserverResponse>(
                                           "TopologyService/RegisterMetaserver", metaserver));
    (void)registered;
  }
  proto::CreateFsRequest create;
  create.set_fs_name(name);
  create.set_directory("/objects");
  CURVEFS_TRY(const auto made, mds.Call<proto::CreateFsResponse>("MdsService/CreateFs", create));
  return made.fs().fs_id();
}

}  // namespace curvefs::client
