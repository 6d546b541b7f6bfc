// A copyset with one replica, and its calls, for tests of handlers.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/loop.h"
#include "meta/ops/create.h"
#include "metaserver/handlers.h"
#include "proto/meta_wire.h"
#include "raft/etcd/etcd_engine.h"
#include "raft/host.h"
#include "test/support/sim_disk.h"

namespace curvefs::metaserver {

using test::SimDisk;

struct NoTransport final : raft::Transport {
  void Send(raft::Message) override {}
  void Send(raft::SnapshotChunk) override {}
  void Send(raft::SnapshotReply) override {}
  bool Hears(raft::GroupId, raft::ReplicaId) const override { return false; }
};
struct Syncer final : raft::LogSyncer {
  explicit Syncer(ManualLoop& on, raft::LogStore& of) : loop(on), log(of) {}
  void Sync(std::function<void(Status)> done) override {
    loop.Post([this, done = std::move(done)] { done(log.Sync()); });
  }
  ManualLoop& loop;
  raft::LogStore& log;
};
struct Inline final : Background {
  explicit Inline(ManualLoop& on) : loop(on) {}
  void Run(std::function<void()> work, std::function<void()> then) override {
    loop.Post([work = std::move(work), then = std::move(then)] { work(), then(); });
  }
  ManualLoop& loop;
};

// A server of one copyset, whose replica is one of `voters`.
class HandlersTest : public testing::Test {
 protected:
  HandlersTest() {
    SetLogSink([](LogLevel, const std::string&) {});
    EXPECT_TRUE(disk.MakeDir("/log").ok() && disk.SyncDir("/").ok());
    log = *raft::LogStore::Open(disk, "/log",
                                {.journal = {.segment_bytes = 64 << 10, .prepare_ahead = false}}, nullptr);
    syncer = std::make_unique<Syncer>(loop, *log);
    engine = raft::MakeEtcdEngine();
    host = std::make_unique<raft::Host>(raft::GroupOptions(), *engine, *log, transport, *syncer);
  }
  void Open(std::vector<raft::ReplicaId> voters) {
    auto opened =
        ReplicatedCopyset::Open(disk, "/copyset", {.voters = std::move(voters)}, fs, loop, background);
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    copyset = *std::move(opened);
    auto group = host->Create(raft::GroupId(5), raft::ReplicaId(1), *copyset);
    ASSERT_TRUE(group.has_value());
    copyset->Attach(*group);
    target = {.copyset = copyset.get(), .group = *group, .fs = fs.fs, .address_of = [](raft::ReplicaId id) {
                return "host" + std::to_string(id.value);
              }};
    if ((*group)->status().members.voters.size() > 1) return;
    (*group)->Campaign();
    for (int i = 0; i < 100 && !(*group)->leads(); ++i) Turn();
    ASSERT_TRUE((*group)->leads());
    std::optional<Status> formatted;
    copyset->Change(
        [](meta::Txn& txn) -> Status {
          meta::MakeRoot(txn, 0755, 0, 0);
          return {};
        },
        [&](Status s) { formatted = s; });
    for (int i = 0; i < 100 && !formatted; ++i) Turn();
    ASSERT_TRUE(formatted && formatted->ok());
  }
  void Turn() {
    host->Pump();
    loop.Advance(std::chrono::milliseconds(1));
  }
  std::string Raw(std::string_view name, std::string_view request) {
    const MetaMethod* method = FindMetaMethod(name);
    if (method == nullptr) {
      ADD_FAILURE() << name;
      return {};
    }
    std::optional<std::string> answer;
    method->run(target, request, [&](std::string bytes) {
      EXPECT_FALSE(answer.has_value()) << "answered twice";
      answer = std::move(bytes);
    });
    for (int i = 0; i < 1000 && !answer; ++i) Turn();
    EXPECT_TRUE(answer.has_value()) << name;
    return answer.value_or("");
  }
  template <typename Response, typename Request>
  Response Call(std::string_view name, Request request) {
    request.mutable_header()->set_fs_id(now);
    Response response;
    EXPECT_TRUE(response.ParseFromString(Raw(name, request.SerializeAsString())));
    return response;
  }
  proto::CreateResponse Make(uint64_t parent, const std::string& name, uint32_t mode = S_IFREG | 0644) {
    proto::CreateRequest request;
    request.set_parent_inode_id(parent);
    request.set_name(name);
    request.set_mode(mode);
    request.set_uid(10);
    return Call<proto::CreateResponse>("Create", request);
  }
  template <typename Response>
  static Code CodeOf(const Response& response) {
    return StatusOf(response.header()).code();
  }

  // Another file system in the copyset.
  Status Format(uint32_t id, const std::string& uuid,
                std::vector<PartitionId> partitions = {PartitionId(0)}) {
    std::optional<Status> formatted;
    copyset->Format({.fs = FsId(id),
                     .uuid = uuid + std::string(16 - uuid.size(), '.'),
                     .root = kRootInode,
                     .chunk_size = kChunkSize,
                     .block_size = kBlockSize,
                     .hash_seed = id},
                    partitions, 0755, 0, 0, [&](Status s) { formatted = s; });
    for (int i = 0; i < 100 && !formatted; ++i) Turn();
    return formatted.value_or(Status(Code::kTimedOut));
  }

  uint32_t now = 1;  // the file system that calls are for
  ManualLoop loop;
  SimDisk disk;
  NoTransport transport;
  Inline background{loop};
  std::unique_ptr<raft::LogStore> log;
  std::unique_ptr<Syncer> syncer;
  std::unique_ptr<raft::Engine> engine;
  std::unique_ptr<raft::Host> host;
  meta::FsContext fs{.fs = FsId(1), .hash_seed = 7};
  std::unique_ptr<ReplicatedCopyset> copyset;
  MetaTarget target;
};

}  // namespace curvefs::metaserver
