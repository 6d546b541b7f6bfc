// The driver under a magnifying glass: one replica, with disk, transport, clock and state machine in the
// test's hands. Whole groups are in test/sim.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "base/log.h"
#include "raft/etcd/etcd_engine.h"
#include "raft/host.h"
#include "test/support/sim_disk.h"

namespace curvefs::raft {

using test::SimDisk;

inline const ReplicaId k1{1}, k2{2}, k3{3};
inline const GroupId kGroup{5}, kOther{6};

struct FakeTransport final : Transport {
  void Send(Message m) override { messages.push_back(std::move(m)); }
  void Send(SnapshotChunk c) override { chunks.push_back(std::move(c)); }
  void Send(SnapshotReply r) override { replies.push_back(std::move(r)); }
  bool Hears(GroupId, ReplicaId replica) const override { return heard.contains(replica); }
  size_t Count(MessageType type) const {
    size_t n = 0;
    for (const Message& m : messages) n += m.type == type;
    return n;
  }
  std::set<ReplicaId> heard;
  std::vector<Message> messages;
  std::vector<SnapshotChunk> chunks;
  std::vector<SnapshotReply> replies;
};

struct FakeSyncer final : LogSyncer {
  explicit FakeSyncer(LogStore*& log) : log_(log) {}
  void Sync(std::function<void(Status)> done) override { waiting.push_back(std::move(done)); }
  bool Finish(bool succeed = true) {  // one of them
    if (waiting.empty()) return false;
    auto done = std::move(waiting.front());
    waiting.pop_front();
    done(succeed ? log_->Sync() : Status(Code::kIo));
    return true;
  }
  std::deque<std::function<void(Status)>> waiting;
  LogStore*& log_;
};

struct FakeMachine final : StateMachine {
  explicit FakeMachine(SnapshotMeta meta)
      : meta_(std::move(meta)), applied_(meta_.index), term_(meta_.term), members_(meta_.members) {}
  SnapshotMeta snapshot() const override { return meta_; }
  Index applied() const override { return applied_; }
  Status Apply(std::span<const Entry> entries) override {
    if (!fail.ok()) return fail;
    for (const Entry& e : entries) {
      applied_ = e.index;
      term_ = e.term;
      text += BytesOf(e.payload);
    }
    return {};
  }
  void MembersChanged(const Members& members, const MemberChange&) override { members_ = members; }
  void LeadershipChanged(bool leads, Term) override { leads_ = leads; }
  void TakeSnapshot(SnapshotDone done) override {
    SnapshotMeta meta{.index = applied_, .term = term_, .members = members_};
    pending = [this, meta, done] {
      meta_ = meta;
      done(meta);
    };
  }
  struct Reader final : SnapshotReader {
    SnapshotMeta meta_;
    std::string bytes;
    const SnapshotMeta& meta() const override { return meta_; }
    Result<std::string> Read(uint64_t offset, size_t n) override { return bytes.substr(offset, n); }
  };
  struct Sink final : SnapshotSink {
    std::string bytes;
    Status Append(std::string_view b) override {
      bytes += b;
      return {};
    }
  };
  Result<std::unique_ptr<SnapshotReader>> OpenSnapshot() override {
    auto reader = std::make_unique<Reader>();
    reader->meta_ = meta_;
    reader->bytes = "snapshot";
    return reader;
  }
  Result<std::unique_ptr<SnapshotSink>> ReceiveSnapshot(const SnapshotMeta&) override {
    return std::make_unique<Sink>();
  }
  void Restore(std::unique_ptr<SnapshotSink> sink, const SnapshotMeta& meta, Done done) override {
    pending = [this, bytes = static_cast<Sink&>(*sink).bytes, meta, done] {
      meta_ = meta;
      applied_ = meta.index;
      text = bytes;
      done({});
    };
  }
  bool FinishPending() {
    if (!pending) return false;
    std::exchange(pending, nullptr)();
    return true;
  }

  SnapshotMeta meta_;
  Index applied_;
  Term term_;
  Members members_;
  std::string text;
  bool leads_ = false;
  Status fail;
  std::function<void()> pending;
};

class HostTest : public testing::Test {
 protected:
  HostTest() : syncer(log_pointer) {
    SetLogSink([](LogLevel, const std::string&) {});
    SeedEtcdEngines(1);
    EXPECT_TRUE(disk.MakeDir("/log").ok() && disk.SyncDir("/").ok());
    OpenLog();
  }
  void OpenLog() {
    auto opened = LogStore::Open(disk, "/log",
                                 {.journal = {.segment_bytes = 64 << 10, .prepare_ahead = false}}, nullptr);
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    log = *std::move(opened);
    log_pointer = log.get();
    host = std::make_unique<Host>(options, *engine, *log, transport, syncer);
  }
  SnapshotMeta First(std::vector<ReplicaId> voters) {
    return {.index = 1, .term = 1, .members = {.voters = voters}};
  }
  Group* Create(GroupId id, FakeMachine& machine) {
    auto made = host->Create(id, k1, machine);
    EXPECT_TRUE(made.has_value()) << made.error().ToString();
    host->Pump();
    return made ? *made : nullptr;
  }
  // Pump and sync until nothing moves.
  void Settle() {
    do host->Pump();
    while (syncer.Finish());
  }
  Message From(ReplicaId from, MessageType type, Term term) {
    Message m;
    m.group = kGroup;
    m.from = from;
    m.to = k1;
    m.type = type;
    m.term = term;
    return m;
  }
  // Replica 1 of three becomes the leader of term 2.
  Group* Lead(FakeMachine& machine, int ticks_before = 0) {
    Group* group = Create(kGroup, machine);
    for (int i = 0; i < ticks_before; ++i) host->Tick();
    group->Campaign();
    Settle();
    host->Receive(From(k2, MessageType::kPreVoteReply, 2));
    Settle();
    host->Receive(From(k2, MessageType::kVoteReply, 2));
    Settle();
    Message reply = From(k2, MessageType::kAppendReply, 2);
    reply.index = 2;
    host->Receive(reply);
    Settle();
    EXPECT_TRUE(group->leads());
    transport.messages.clear();
    return group;
  }
  void Ack(ReplicaId from, Index index, Term term = 2) {
    Message reply = From(from, MessageType::kAppendReply, term);
    reply.index = index;
    host->Receive(reply);
    Settle();
  }
  SnapshotChunk Chunk(Index index, std::string data, uint64_t offset, bool last) {
    return {.group = kGroup,
            .to = k1,
            .from = k2,
            .term = 4,
            .meta = {.index = index, .term = 3, .members = {.voters = {k1, k2, k3}}},
            .offset = offset,
            .data = std::move(data),
            .last = last};
  }

  SimDisk disk;
  GroupOptions options{.max_proposed_bytes = 1000, .max_reads = 50};
  std::unique_ptr<Engine> engine = MakeEtcdEngine();
  FakeTransport transport;
  LogStore* log_pointer = nullptr;
  FakeSyncer syncer;
  std::unique_ptr<LogStore> log;
  std::unique_ptr<Host> host;
};

}  // namespace curvefs::raft
