// Three metaservers in this process, on real sockets and directories: what the tests of a cluster's parts
// begin with. Servers are numbered from 0; replica i + 1 of every copyset is on server i.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/log.h"
#include "metaserver/process/admin_calls.h"
#include "metaserver/process/server.h"
#include "proto/copyset.pb.h"
#include "proto/meta_wire.h"
#include "raft/etcd/etcd_engine.h"

namespace curvefs::metaserver {

class ThreeServers : public testing::Test {
 protected:
  static constexpr size_t kServers = 3;
  static constexpr Duration kLimit = std::chrono::seconds(30);

  ThreeServers() {
    SetLogSink([](LogLevel, const std::string&) {});
    std::filesystem::remove_all(root);
    std::filesystem::create_directories(root);
  }
  ~ThreeServers() override {
    for (size_t i = 0; i < kServers; ++i) Stop(i);
    std::filesystem::remove_all(root);
  }

  // What a test wants different, before Start.
  virtual void Adjust(size_t, ServerOptions*) {}
  std::string DirOf(size_t i) const { return root + "/" + std::to_string(i + 1); }

  Status TryStart(size_t i) {
    ServerOptions options{.dir = DirOf(i),
                          .id = i + 1,
                          .listen = {"127.0.0.1", 0},
                          .tick = std::chrono::milliseconds(20),
                          .log = {.journal = {.segment_bytes = 1 << 20}},
                          .make_engine = raft::MakeEtcdEngine,
                          .start_thread = raft::StartEngineThread};
    // Once known, an address stays.
    for (size_t j = 0; j < kServers; ++j)
      if (addresses[j].port != 0) options.peers[j + 1] = addresses[j];
    if (addresses[i].port != 0) options.listen = addresses[i];
    Adjust(i, &options);
    auto started = MetaServer::Start(std::move(options));
    if (!started) return started.error();
    servers[i] = *std::move(started);
    addresses[i] = servers[i]->address();
    return {};
  }
  void Start(size_t i) {
    const Status s = TryStart(i);
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  void StartAll() {
    for (size_t i = 0; i < kServers; ++i) ASSERT_NO_FATAL_FAILURE(Start(i));
  }
  void Stop(size_t i) {
    if (servers[i]) servers[i]->Shutdown();
    servers[i].reset();
  }
  void Kill(size_t i) { servers[i].reset(); }

  template <typename Response, typename Request>
  Response Call(size_t i, uint16_t number, const Request& request) {
    std::mutex mu;
    std::condition_variable changed;
    std::optional<std::string> answer;
    servers[i]->Handle(number, request.SerializeAsString(), [&](std::string bytes) {
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
  static uint16_t Meta(std::string_view name) { return FindMetaMethod(name)->number; }

  // Until `holds`, asked again and again.
  static bool Eventually(const std::function<bool()>& holds, Duration limit = kLimit) {
    const SteadyTime end = Clock::System().Steady() + limit;
    while (!holds()) {
      if (Clock::System().Steady() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }

  // At a leader of the copyset, whoever that comes to be.
  template <typename Response, typename Request>
  Response CallLeader(uint64_t copyset, uint16_t number, Request request) {
    request.mutable_header()->set_copyset_id(copyset);
    if constexpr (requires { request.mutable_header()->set_fs_id(1); })
      request.mutable_header()->set_fs_id(1);
    Response response;
    EXPECT_TRUE(Eventually([&] {
      for (size_t i = 0; i < kServers; ++i) {
        if (!servers[i]) continue;
        response = Call<Response>(i, number, request);
        const Code code = CodeOf(response);
        if (code != Code::kNotLeader && code != Code::kTimedOut && code != Code::kUnavailable) return true;
      }
      return false;
    }));
    return response;
  }

  void MakeCopyset(uint64_t id) {
    proto::CreateCopysetRequest create;
    create.mutable_header()->set_copyset_id(id);
    create.set_fs_id(1);
    for (size_t i = 0; i < kServers; ++i) {
      auto* peer = create.add_peer();
      peer->set_replica_id(i + 1);
      peer->set_address(addresses[i].ToString());
    }
    for (size_t i = 0; i < kServers; ++i) {
      create.set_replica_id(i + 1);
      ASSERT_EQ(CodeOf(Call<proto::CreateCopysetResponse>(i, Admin("CreateCopyset"), create)), Code::kOk);
    }
    proto::FormatCopysetRequest format;
    format.set_fs_id(1);
    const Code made = CodeOf(CallLeader<proto::FormatCopysetResponse>(id, Admin("FormatCopyset"), format));
    ASSERT_TRUE(made == Code::kOk || made == Code::kExists);
  }
  raft::GroupStatus GroupOf(size_t i, uint64_t copyset) {
    raft::GroupStatus status;
    servers[i]->OnEveryLoop([&](CopysetLoop& loop) {
      if (HeldCopyset* held = loop.Find(raft::GroupId(copyset))) status = held->group->status();
    });
    return status;
  }
  size_t Leader(uint64_t copyset) {
    size_t leader = kServers;
    EXPECT_TRUE(Eventually([&] {
      for (size_t i = 0; i < kServers; ++i)
        if (servers[i] && GroupOf(i, copyset).leads) leader = i;
      return leader < kServers;
    }));
    return leader;
  }
  // Another server leads when it returns.
  size_t MoveLeader(uint64_t copyset) {
    const size_t old = Leader(copyset);
    EXPECT_TRUE(Eventually([&] {
      proto::TransferLeaderRequest request;
      request.mutable_header()->set_copyset_id(copyset);
      request.set_replica_id((old + 1) % kServers + 1);
      (void)Call<proto::TransferLeaderResponse>(old, Admin("TransferLeader"), request);
      return Eventually([&] { return Leader(copyset) != old; }, std::chrono::seconds(1));
    }));
    return Leader(copyset);
  }

  const std::string root = std::filesystem::temp_directory_path() /
                           ("curvefs-servers-" + std::to_string(::getpid()) + "-" +
                            testing::UnitTest::GetInstance()->current_test_info()->name());
  std::array<std::unique_ptr<MetaServer>, kServers> servers;
  std::array<net::Address, kServers> addresses;
};

}  // namespace curvefs::metaserver
