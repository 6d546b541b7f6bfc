// The process in this process: its directory, calls over gRPC and the hot wire, restarts, hundreds of
// copysets, refusals.
#include "metaserver/process/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "base/log.h"
#include "metaserver/process/admin_calls.h"
#include "metaserver/process/grpc_service.h"
#include "net/http/http_service.h"
#include "proto/copyset.pb.h"
#include "proto/meta_wire.h"
#include "raft/etcd/etcd_engine.h"

namespace curvefs::metaserver {
namespace {

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    SetLogSink([](LogLevel, const std::string&) {});
    std::filesystem::remove_all(root);
    std::filesystem::create_directories(root);
  }
  ~ServerTest() override {
    Stop();
    std::filesystem::remove_all(root);
  }
  ServerOptions Options() {
    return {.dir = root + "/1",
            .id = 1,
            .listen = {"127.0.0.1", 0},
            .loops = 2,
            .tick = std::chrono::milliseconds(10),
            .log = {.journal = {.segment_bytes = 1 << 20}},
            .make_engine = raft::MakeEtcdEngine,
            .start_thread = raft::StartEngineThread};
  }
  void Start() {
    auto started = MetaServer::Start(Options());
    ASSERT_TRUE(started.has_value()) << started.error().ToString();
    server = *std::move(started);
  }
  void Stop() {
    if (server) server->Shutdown();
    server.reset();
  }
  template <typename Response, typename Request>
  Response Call(uint16_t number, const Request& request) {
    std::mutex mu;
    std::condition_variable changed;
    std::optional<std::string> answer;
    server->Handle(number, request.SerializeAsString(), [&](std::string bytes) {
      const std::lock_guard lock(mu);
      answer = std::move(bytes);
      changed.notify_one();
    });
    std::unique_lock lock(mu);
    changed.wait(lock, [&] { return answer.has_value(); });
    Response response;
    EXPECT_TRUE(response.ParseFromString(*answer));
    return response;
  }
  template <typename Response>
  static Code CodeOf(const Response& response) {
    return StatusOf(response.header()).code();
  }
  static uint16_t Admin(std::string_view name) {
    for (const AdminMethod& m : AdminMethods())
      if (m.name == name) return m.number;
    return 0;
  }
  Code Create(uint64_t copyset, uint64_t replica = 1, uint64_t office = 0) {
    proto::CreateCopysetRequest request;
    request.mutable_header()->set_copyset_id(copyset);
    request.mutable_header()->set_office_term(office);
    request.set_replica_id(replica);
    request.set_fs_id(1);
    request.add_peer()->set_replica_id(replica);
    return CodeOf(Call<proto::CreateCopysetResponse>(Admin("CreateCopyset"), request));
  }
  void Format(uint64_t copyset) {
    proto::FormatCopysetRequest request;
    request.mutable_header()->set_copyset_id(copyset);
    request.set_fs_id(1);
    Code code = Code::kNotLeader;
    const SteadyTime end = Clock::System().Steady() + std::chrono::seconds(10);
    while (code == Code::kNotLeader && Clock::System().Steady() < end)
      code = CodeOf(Call<proto::FormatCopysetResponse>(Admin("FormatCopyset"), request));
    EXPECT_EQ(code, Code::kOk);
    EXPECT_EQ(CodeOf(Call<proto::FormatCopysetResponse>(Admin("FormatCopyset"), request)), Code::kExists);
  }
  Code Lookup(uint64_t copyset, const std::string& name) {
    proto::LookupRequest request;
    request.mutable_header()->set_copyset_id(copyset);
    request.mutable_header()->set_fs_id(1);
    request.set_parent_inode_id(1);
    request.set_name(name);
    Code code = Code::kNotLeader;
    const SteadyTime end = Clock::System().Steady() + std::chrono::seconds(10);
    while (code == Code::kNotLeader && Clock::System().Steady() < end)
      code = CodeOf(Call<proto::LookupResponse>(FindMetaMethod("Lookup")->number, request));
    return code;
  }
  Code Make(uint64_t copyset, const std::string& name) {
    proto::CreateRequest request;
    request.mutable_header()->set_copyset_id(copyset);
    request.mutable_header()->set_fs_id(1);
    request.set_parent_inode_id(1);
    request.set_name(name);
    request.set_mode(S_IFREG | 0644);
    return CodeOf(Call<proto::CreateResponse>(FindMetaMethod("Create")->number, request));
  }
  size_t Copysets() {
    return static_cast<size_t>(
        Call<proto::ListCopysetsResponse>(Admin("ListCopysets"), proto::ListCopysetsRequest()).status_size());
  }

  const std::string root =
      std::filesystem::temp_directory_path() / ("curvefs-server-" + std::to_string(::getpid()));
  std::unique_ptr<MetaServer> server;
};

TEST_F(ServerTest, EveryCallOfCopysetServiceHasOneRow) {
  const auto* service =
      proto::CreateCopysetRequest::descriptor()->file()->FindServiceByName("CopysetService");
  EXPECT_EQ(AdminMethods().size(), static_cast<size_t>(service->method_count()));
  for (const AdminMethod& m : AdminMethods()) {
    EXPECT_NE(service->FindMethodByName(std::string(m.name)), nullptr) << m.name;
    EXPECT_EQ(FindAdminMethod(m.number), &m);
    EXPECT_EQ(FindMetaMethod(m.number), nullptr) << "one wire, one number";
  }
}

TEST_F(ServerTest, WhatItHoldsIsThereAfterARestart) {
  Start();
  for (uint64_t id : {1, 2, 3}) {
    EXPECT_EQ(Create(id), Code::kOk);
    EXPECT_EQ(Create(id), Code::kOk) << "again: no harm";
    Format(id);
    EXPECT_EQ(Make(id, "f" + std::to_string(id)), Code::kOk);
  }
  EXPECT_EQ(Create(1, (uint64_t{1} << 32) + 1), Code::kBusy) << "as another replica";
  EXPECT_EQ(Create(4, 2), Code::kInvalid) << "a replica of metaserver 2";
  Stop();
  Start();
  EXPECT_EQ(Copysets(), 3u);
  for (uint64_t id : {1, 2, 3}) {
    EXPECT_EQ(Lookup(id, "f" + std::to_string(id)), Code::kOk);
    EXPECT_EQ(Lookup(id, "g"), Code::kNotFound);
  }
  // As if killed.
  server.reset();
  Start();
  EXPECT_EQ(Lookup(2, "f2"), Code::kOk);

  proto::DestroyCopysetRequest destroy;
  destroy.mutable_header()->set_copyset_id(2);
  EXPECT_EQ(CodeOf(Call<proto::DestroyCopysetResponse>(Admin("DestroyCopyset"), destroy)), Code::kBusy)
      << "a member";
  destroy.set_force(true);
  EXPECT_EQ(CodeOf(Call<proto::DestroyCopysetResponse>(Admin("DestroyCopyset"), destroy)), Code::kOk);
  EXPECT_EQ(Copysets(), 2u);
  server.reset();
  Start();
  EXPECT_EQ(Copysets(), 2u);
  EXPECT_EQ(Create(2), Code::kOk) << "anew";
  Format(2);
  EXPECT_EQ(Lookup(2, "f2"), Code::kNotFound);
}

TEST_F(ServerTest, OverGrpcWithHealthAndReflection) {
  Start();
  ASSERT_EQ(Create(1), Code::kOk);
  Format(1);
  auto grpc = GrpcService::Start(*server, "127.0.0.1:0");
  ASSERT_TRUE(grpc.has_value()) << grpc.error().ToString();
  EXPECT_FALSE(GrpcService::Start(*server, "127.0.0.1:" + std::to_string((*grpc)->port())).has_value())
      << "taken";
  auto channel =
      grpc::CreateChannel("127.0.0.1:" + std::to_string((*grpc)->port()), grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  auto call = [&](const std::string& method, const std::string& bytes, std::string* out) {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::Status status;
    auto rpc = stub.PrepareUnaryCall(&context, method, request, &queue);
    rpc->StartCall();
    rpc->Finish(&response, &status, nullptr);
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    std::vector<grpc::Slice> slices;
    (void)response.Dump(&slices);
    for (const auto& s : slices) out->append(reinterpret_cast<const char*>(s.begin()), s.size());
    return status.error_code();
  };
  proto::CreateRequest create;
  create.mutable_header()->set_copyset_id(1);
  create.mutable_header()->set_fs_id(1);
  create.set_parent_inode_id(1);
  create.set_name("over-grpc");
  create.set_mode(S_IFREG | 0644);
  std::string bytes;
  EXPECT_EQ(call("/curvefs.proto.MetaServerService/Create", create.SerializeAsString(), &bytes),
            grpc::StatusCode::OK);
  proto::CreateResponse created;
  ASSERT_TRUE(created.ParseFromString(bytes));
  EXPECT_EQ(CodeOf(created), Code::kOk);
  EXPECT_EQ(Lookup(1, "over-grpc"), Code::kOk) << "the same handlers";
  bytes.clear();
  EXPECT_EQ(call("/curvefs.proto.CopysetService/ListCopysets", "", &bytes), grpc::StatusCode::OK);
  proto::ListCopysetsResponse listed;
  ASSERT_TRUE(listed.ParseFromString(bytes));
  EXPECT_EQ(listed.status_size(), 1);
  // grpc.health.v1: field 1 is 1, SERVING, and then 2.
  bytes.clear();
  EXPECT_EQ(call("/grpc.health.v1.Health/Check", "", &bytes), grpc::StatusCode::OK);
  EXPECT_EQ(bytes, "\x08\x01");
  (*grpc)->SetServing(false);
  bytes.clear();
  EXPECT_EQ(call("/grpc.health.v1.Health/Check", "", &bytes), grpc::StatusCode::OK);
  EXPECT_EQ(bytes, "\x08\x02");

  // Reflection: ServerReflectionRequest{list_services: ""}.
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto stream =
      stub.PrepareCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  void* tag;
  bool ok;
  stream->StartCall(nullptr);
  queue.Next(&tag, &ok);
  const grpc::Slice question("\x3a\x00", 2);
  stream->Write(grpc::ByteBuffer(&question, 1), nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer answer;
  stream->Read(&answer, nullptr);
  queue.Next(&tag, &ok);
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(answer.Dump(&slices).ok());
  std::string text;
  for (const auto& s : slices) text.append(reinterpret_cast<const char*>(s.begin()), s.size());
  EXPECT_NE(text.find("curvefs.proto.MetaServerService"), text.npos) << text;
  EXPECT_NE(text.find("curvefs.proto.CopysetService"), text.npos) << text;
  context.TryCancel();
  grpc::Status status;
  stream->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
}

TEST_F(ServerTest, Metrics) {
  Start();
  ASSERT_EQ(Create(7), Code::kOk);
  Format(7);
  ASSERT_EQ(Make(7, "f"), Code::kOk);
  auto http =
      net::HttpService::Start("127.0.0.1", 0, [&] { return server->MetricsText(); }, [] { return "serving\n"; });
  ASSERT_TRUE(http.has_value());
  httplib::Client client("127.0.0.1", (*http)->port());
  auto page = client.Get("/metrics");
  ASSERT_TRUE(page);
  for (const char* line :
       {"curvefs_copyset_leads{copyset=\"7\"} 1\n", "curvefs_copyset_commit_seconds_count{copyset=\"7\"} 1\n",
        "curvefs_request_seconds_count{method=\"Create\"} 1\n",
        "curvefs_copyset_applied_index{copyset=\"7\"} ",
        "curvefs_copyset_apply_seconds_count{copyset=\"7\"} ", "curvefs_copyset_sessions{copyset=\"7\"} 0\n",
        "curvefs_copyset_open_files{copyset=\"7\"} 0\n", "curvefs_log_sync_seconds_count "})
    EXPECT_NE(page->body.find(line), std::string::npos) << line;
  EXPECT_EQ(client.Get("/health")->body, "serving\n");
  EXPECT_FALSE(net::HttpService::Start("127.0.0.1", (*http)->port(), nullptr, nullptr).has_value()) << "taken";
}

TEST_F(ServerTest, CommandsOfAnOfficeThatIsOverAreRefused) {
  Start();
  EXPECT_EQ(Create(1, 1, 5), Code::kOk);
  EXPECT_EQ(Create(2, 1, 4), Code::kNotPermitted);
  EXPECT_EQ(Create(2, 1, 6), Code::kOk);
  EXPECT_EQ(Create(3, 1, 5), Code::kNotPermitted);
  EXPECT_EQ(Create(3), Code::kOk) << "an operator";
  Stop();
  Start();
  EXPECT_EQ(Create(4, 1, 5), Code::kNotPermitted) << "remembered";
}

TEST_F(ServerTest, DirectoriesThatItDoesNotTake) {
  Start();
  auto refused = [&](ServerOptions options) {
    auto started = MetaServer::Start(std::move(options));
    return started ? Status() : started.error();
  };
  EXPECT_EQ(refused(Options()).code(), Code::kBusy);
  ServerOptions taken = Options();
  taken.dir = root + "/2";
  taken.listen = server->address();
  EXPECT_EQ(refused(taken).code(), Code::kUnavailable);
  Stop();
  ServerOptions other = Options();
  other.id = 2;
  EXPECT_EQ(refused(other).code(), Code::kInvalid) << "it belongs to 1";
  ServerOptions none = Options();
  none.dir = root + "/new";
  none.id = 0;
  EXPECT_EQ(refused(none).code(), Code::kInvalid) << "new, and nobody's";
  std::filesystem::create_directories(root + "/full");
  std::ofstream(root + "/full/something") << "else";
  none.dir = root + "/full";
  none.id = 3;
  EXPECT_EQ(refused(none).code(), Code::kExists);
  std::ofstream(root + "/1/curvefs-metaserver.toml") << "format = 99\nid = 1\n";
  EXPECT_EQ(refused(Options()).code(), Code::kUnsupportedVersion);
  std::ofstream(root + "/1/curvefs-metaserver.toml") << "format = \n";
  EXPECT_EQ(refused(Options()).code(), Code::kCorrupt);
}

// A creation that was not finished, and a deletion.
TEST_F(ServerTest, WhatACrashLeavesBehind) {
  Start();
  ASSERT_EQ(Create(1), Code::kOk);
  Stop();
  const std::string copysets = root + "/1/copysets/";
  std::filesystem::create_directories(copysets + "0000000000000002");  // no description yet
  std::filesystem::rename(copysets + "0000000000000001", copysets + "0000000000000001.gone");
  Start();
  EXPECT_EQ(Copysets(), 0u);
  EXPECT_FALSE(std::filesystem::exists(copysets + "0000000000000001.gone"));
  EXPECT_EQ(Create(1), Code::kOk);
  EXPECT_EQ(Create(2), Code::kOk);
  EXPECT_EQ(Copysets(), 2u);
}

TEST_F(ServerTest, HundredsOfCopysetsStartInSeconds) {
  Start();
  for (uint64_t id = 1; id <= 300; ++id) ASSERT_EQ(Create(id), Code::kOk);
  Stop();
  const SteadyTime begin = Clock::System().Steady();
  Start();
  EXPECT_EQ(Copysets(), 300u);
  const auto took = Clock::System().Steady() - begin;
  RecordProperty("start_ms", static_cast<int>(took / std::chrono::milliseconds(1)));
  EXPECT_LT(took, std::chrono::seconds(10));
  std::printf("300 copysets: started in %lld ms\n",
              static_cast<long long>(took / std::chrono::milliseconds(1)));
}

}  // namespace
}  // namespace curvefs::metaserver
