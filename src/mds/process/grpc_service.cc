#include "mds/process/grpc_service.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/service_type.h>

#include <atomic>
#include <list>
#include <utility>

#include "net/grpc/credentials.h"
#include "proto/heartbeat.pb.h"
#include "proto/mds.pb.h"
#include "proto/meta_wire.h"
#include "proto/topology.pb.h"

namespace curvefs::mds {
namespace {

constexpr int kMaxMessage = 4 << 20;                     // of requests
constexpr int kMaxAnswer = 256 << 20;                    // a large cluster's lists
constexpr Duration kEndLimit = std::chrono::seconds(2);  // for answers under way

using Done = std::function<void(Status)>;

class Running final : public GrpcService {
 public:
  explicit Running(Loop& loop)
      : loop_(loop),
        mds_service_(*this),
        topology_service_(*this),
        heartbeat_service_(*this),
        schedule_service_(*this) {
    mds_service_.Fill();
    topology_service_.Fill();
    heartbeat_service_.Fill();
    schedule_service_.Fill();
  }
  ~Running() override {
    if (server_)
      server_->Shutdown(
          gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_nanos(kEndLimit.count(), GPR_TIMESPAN)));
  }

  Status Listen(const std::string& address, const net::TlsFiles& tls) {
    CURVEFS_TRY(auto credentials, net::ServerCredentialsOf(tls));
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    // Another process on the same port is an error, not company.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxMessage);
    builder.SetMaxSendMessageSize(kMaxAnswer);
    builder.AddListeningPort(address, std::move(credentials), &port_);
    builder.RegisterService(&mds_service_);
    builder.RegisterService(&topology_service_);
    builder.RegisterService(&heartbeat_service_);
    builder.RegisterService(&schedule_service_);
    server_ = builder.BuildAndStart();
    if (!server_ || port_ == 0)
      return {Code::kUnavailable,
              "cannot serve gRPC on " + address + ": the address is in use, or not of this machine"};
    SetLeads(false);
    return {};
  }
  int port() const override { return port_; }
  void Attach(Mds* mds) override { mds_ = mds; }
  void SetLeads(bool leads) override {
    server_->GetHealthCheckService()->SetServingStatus("curvefs.proto.MdsService", leads);
    server_->GetHealthCheckService()->SetServingStatus("curvefs.proto.TopologyService", leads);
    server_->GetHealthCheckService()->SetServingStatus("curvefs.proto.HeartbeatService", leads);
    server_->GetHealthCheckService()->SetServingStatus("curvefs.proto.ScheduleService", leads);
  }
  void SetEnding() override { server_->GetHealthCheckService()->SetServingStatus(false); }
  uint64_t requests() const override { return requests_; }

 private:
  // A service whose calls are handed to the loop.
  class Service : public grpc::Service {
   public:
    explicit Service(Running& running, std::string name)
        : running_(running), name_("/curvefs.proto." + std::move(name) + "/") {}

   protected:
    // `work(mds, request, response, done)`, on the loop.
    template <typename Request, typename Response>
    void Add(const std::string& method,
             std::function<void(Mds&, const Request&, const std::shared_ptr<Response>&, Done)> work) {
      names_.push_back(name_ + method);
      AddMethod(new grpc::internal::RpcServiceMethod(names_.back().c_str(),
                                                     grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
      MarkMethodCallback(
          static_cast<int>(names_.size()) - 1,
          new grpc::internal::CallbackUnaryHandler<Request, Response>(
              [running = &running_, work = std::move(work)](grpc::CallbackServerContext* context,
                                                            const Request* request, Response* response) {
                auto* reactor = context->DefaultReactor();
                running->template Handle<Request, Response>(*request, response, work,
                                                            [reactor] { reactor->Finish(grpc::Status::OK); });
                return reactor;
              }));
    }
    template <typename Request, typename Response>
    void Change(const std::string& method,
                Status (*operation)(Draft&, Volatile&, const Request&, Response*)) {
      Add<Request, Response>(method, [operation](Mds& mds, const Request& request,
                                                 const std::shared_ptr<Response>& response, Done done) {
        mds.Change([&](Draft& d, Volatile& v) { return operation(d, v, request, response.get()); },
                   std::move(done));
      });
    }
    template <typename Request, typename Response>
    void Read(const std::string& method, Status (*operation)(const State&, const Request&, Response*)) {
      Add<Request, Response>(method, [operation](Mds& mds, const Request& request,
                                                 const std::shared_ptr<Response>& response, Done done) {
        mds.Read([&](const State& s) { return operation(s, request, response.get()); }, std::move(done));
      });
    }

    template <typename Request, typename Response>
    void Dispatch(const std::string& method,
                  std::function<Status(Dispatcher&, const Request&, Response*)> f) {
      Add<Request, Response>(
          method, [f = std::move(f)](Mds& mds, const Request& request,
                                     const std::shared_ptr<Response>& response, Done done) {
            mds.Dispatch([&](Dispatcher& d) { return f(d, request, response.get()); }, std::move(done));
          });
    }

   private:
    Running& running_;
    const std::string name_;
    std::list<std::string> names_;
  };

  class MdsService final : public Service {
   public:
    explicit MdsService(Running& running) : Service(running, "MdsService") {}
    void Fill();
  };
  class TopologyService final : public Service {
   public:
    explicit TopologyService(Running& running) : Service(running, "TopologyService") {}
    void Fill();
  };
  class HeartbeatService final : public Service {
   public:
    explicit HeartbeatService(Running& running) : Service(running, "HeartbeatService") {}
    void Fill();
  };
  class ScheduleService final : public Service {
   public:
    explicit ScheduleService(Running& running) : Service(running, "ScheduleService") {}
    void Fill();
  };

  template <typename Request, typename Response, typename Work>
  void Handle(const Request& request, Response* response, const Work& work, std::function<void()> finish) {
    ++requests_;
    if (++open_ > kMaxOpen) {
      --open_;
      response->mutable_header()->set_status(proto::UNAVAILABLE);
      response->mutable_header()->set_message("too many requests wait already");
      return finish();
    }
    // The request and the response are gRPC's until the call is finished.
    loop_.Post([this, &request, response, work, finish = std::move(finish)] {
      auto made = std::make_shared<Response>();
      Done done = [this, made, response, finish](const Status& status) {
        if (status.ok()) *response = std::move(*made);
        proto::ResponseHeader& header = *response->mutable_header();
        header.set_status(ToWire(status.code()));
        header.set_message(status.message());
        if (status.code() == Code::kNotLeader && mds_ != nullptr)
          header.mutable_leader()->set_address(mds_->leader());
        --open_;
        finish();
      };
      if (mds_ == nullptr) return done({Code::kUnavailable, "this MDS is beginning or ending"});
      work(*mds_, request, made, std::move(done));
    });
  }

  Loop& loop_;
  Mds* mds_ = nullptr;  // of the loop
  std::atomic<int> open_{0};
  std::atomic<uint64_t> requests_{0};
  MdsService mds_service_;
  TopologyService topology_service_;
  HeartbeatService heartbeat_service_;
  ScheduleService schedule_service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

// In the order of mds.proto.
void Running::MdsService::Fill() {
  Change<proto::CreateFsRequest, proto::CreateFsResponse>("CreateFs", &CreateFs);
  Change<proto::MountFsRequest, proto::MountFsResponse>("MountFs", &MountFs);
  Change<proto::UmountFsRequest, proto::UmountFsResponse>(
      "UmountFs", [](Draft& d, Volatile&, const proto::UmountFsRequest& q, proto::UmountFsResponse*) {
        return UmountFs(d, q);
      });
  Add<proto::RefreshSessionRequest, proto::RefreshSessionResponse>(
      "RefreshSession", [](Mds& mds, const proto::RefreshSessionRequest& q, const auto&, Done done) {
        mds.RefreshSession(q.fs_id(), q.session_id(), std::move(done));
      });
  Read<proto::GetFsInfoRequest, proto::GetFsInfoResponse>("GetFsInfo", &GetFsInfo);
  Read<proto::ListFsInfoRequest, proto::ListFsInfoResponse>(
      "ListFsInfo", [](const State& s, const proto::ListFsInfoRequest&, proto::ListFsInfoResponse* r) {
        return ListFsInfo(s, r);
      });
  Change<proto::UpdateFsInfoRequest, proto::UpdateFsInfoResponse>(
      "UpdateFsInfo", [](Draft& d, Volatile&, const proto::UpdateFsInfoRequest& q,
                         proto::UpdateFsInfoResponse* r) { return UpdateFsInfo(d, q, r); });
  Change<proto::DeleteFsInfoRequest, proto::DeleteFsInfoResponse>(
      "DeleteFsInfo", [](Draft& d, Volatile&, const proto::DeleteFsInfoRequest& q,
                         proto::DeleteFsInfoResponse*) { return DeleteFsInfo(d, q); });
  Change<proto::AllocateS3ChunkRequest, proto::AllocateS3ChunkResponse>("AllocateS3Chunk", &AllocateS3Chunk);
  Change<proto::CreateFsTokenRequest, proto::CreateFsTokenResponse>(
      "CreateFsToken", [](Draft& d, Volatile&, const proto::CreateFsTokenRequest& q,
                          proto::CreateFsTokenResponse* r) { return CreateFsToken(d, q, r); });
  Read<proto::ListFsTokensRequest, proto::ListFsTokensResponse>("ListFsTokens", &ListFsTokens);
  Change<proto::RevokeFsTokenRequest, proto::RevokeFsTokenResponse>(
      "RevokeFsToken", [](Draft& d, Volatile&, const proto::RevokeFsTokenRequest& q,
                          proto::RevokeFsTokenResponse*) { return RevokeFsToken(d, q); });
}

// In the order of topology.proto.
void Running::TopologyService::Fill() {
  using namespace proto;  // NOLINT: nothing but its messages is named here
  Change<CreatePoolRequest, CreatePoolResponse>(
      "CreatePool", [](Draft& d, Volatile&, const CreatePoolRequest& q, CreatePoolResponse* r) {
        return CreatePool(d, q, r);
      });
  Change<DeletePoolRequest, DeletePoolResponse>(
      "DeletePool",
      [](Draft& d, Volatile&, const DeletePoolRequest& q, DeletePoolResponse*) { return DeletePool(d, q); });
  Change<CreateZoneRequest, CreateZoneResponse>(
      "CreateZone", [](Draft& d, Volatile&, const CreateZoneRequest& q, CreateZoneResponse* r) {
        return CreateZone(d, q, r);
      });
  Change<DeleteZoneRequest, DeleteZoneResponse>(
      "DeleteZone",
      [](Draft& d, Volatile&, const DeleteZoneRequest& q, DeleteZoneResponse*) { return DeleteZone(d, q); });
  Change<CreateServerRequest, CreateServerResponse>(
      "CreateServer", [](Draft& d, Volatile&, const CreateServerRequest& q, CreateServerResponse* r) {
        return CreateServer(d, q, r);
      });
  Change<DeleteServerRequest, DeleteServerResponse>(
      "DeleteServer", [](Draft& d, Volatile&, const DeleteServerRequest& q, DeleteServerResponse*) {
        return DeleteServer(d, q);
      });
  Change<RegisterMetaserverRequest, RegisterMetaserverResponse>("RegisterMetaserver", &JoinCluster);
  Change<DeleteMetaserverRequest, DeleteMetaserverResponse>(
      "DeleteMetaserver", [](Draft& d, Volatile&, const DeleteMetaserverRequest& q,
                             DeleteMetaserverResponse*) { return DeleteMetaserver(d, q); });
  Read<ListTopologyRequest, ListTopologyResponse>(
      "ListTopology",
      [](const State& s, const ListTopologyRequest&, ListTopologyResponse* r) { return ListTopology(s, r); });
  Change<CreatePartitionRequest, CreatePartitionResponse>("CreatePartition", &CreatePartition);
  Read<ListPartitionRequest, ListPartitionResponse>("ListPartition", &ListPartition);
  Read<ListCopysetRequest, ListCopysetResponse>(
      "ListCopyset",
      [](const State& s, const ListCopysetRequest&, ListCopysetResponse* r) { return ListCopyset(s, r); });
}

// In the order of heartbeat.proto.
void Running::HeartbeatService::Fill() {
  Dispatch<proto::HeartbeatRequest, proto::HeartbeatResponse>(
      "Heartbeat", [](Dispatcher& d, const proto::HeartbeatRequest& q, proto::HeartbeatResponse* r) {
        return d.Heartbeat(q, r);
      });
}
void Running::ScheduleService::Fill() {
  Dispatch<proto::GetOperatorsRequest, proto::GetOperatorsResponse>(
      "GetOperators", [](Dispatcher& d, const auto&, proto::GetOperatorsResponse* r) -> Status {
        d.GetOperators(r);
        return {};
      });
  Dispatch<proto::ListMetaserversRequest, proto::ListMetaserversResponse>(
      "ListMetaservers", [](Dispatcher& d, const auto&, proto::ListMetaserversResponse* r) -> Status {
        d.ListMetaservers(r);
        return {};
      });
}

}  // namespace

Result<std::unique_ptr<GrpcService>> GrpcService::Listen(Loop& loop, const std::string& address,
                                                         const net::TlsFiles& tls) {
  auto running = std::make_unique<Running>(loop);
  CURVEFS_CHECK_OK(running->Listen(address, tls));
  return running;
}

}  // namespace curvefs::mds
