#include "raft/etcd/etcd_engine.h"

#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "base/status.h"
#include "libcurvefs_raft_shim.h"  // made by the Go compiler from src/raft/shim

namespace curvefs::raft {
namespace {

// Commands, as in shim.go: number (1 byte), group (8), length of the arguments (4), arguments.
enum class Op : uint8_t {
  kCreate = 1,
  kRemove,
  kTick,
  kStep,
  kPropose,
  kProposeChange,
  kReadIndex,
  kCampaign,
  kTransfer,
  kUnreachable,
  kSnapshotStatus,
  kApplyChange,
  kSnapshotMade,
  kCompact,
  kAdvance,
  kProgress,
  kPanic,
};

// Results: group (8 bytes), flags (1), then a text if it panicked, else what Decoder::Result reads.
constexpr uint8_t kPanicFlag = 1, kReadyFlag = 2, kWantsSnapshotFlag = 4, kMembersFlag = 8,
                  kProgressFlag = 16;

constexpr size_t kOutputRoom = 64 << 10;

// The engine's numbers of a V1 ConfChange.
uint8_t ChangeNumber(MemberChange::Kind kind) {
  switch (kind) {
    case MemberChange::Kind::kPromote:
      return 0;  // ConfChangeAddNode
    case MemberChange::Kind::kRemove:
      return 1;  // ConfChangeRemoveNode
    case MemberChange::Kind::kAddLearner:
      return 3;  // ConfChangeAddLearnerNode
  }
  return 2;  // ConfChangeUpdateNode: nothing
}

class Encoder {
 public:
  explicit Encoder(std::string* out) : out_(out) {}
  void U8(uint8_t v) { out_->push_back(static_cast<char>(v)); }
  void U32(uint32_t v) { PutLe(out_, v); }
  void U64(uint64_t v) { PutLe(out_, v); }
  void Bytes(std::string_view bytes) {
    U32(static_cast<uint32_t>(bytes.size()));
    out_->append(bytes);
  }
  void Ids(const std::vector<ReplicaId>& ids) {
    U32(static_cast<uint32_t>(ids.size()));
    for (ReplicaId id : ids) U64(id.value);
  }
  void Meta(const SnapshotMeta& meta) {
    U64(meta.index);
    U64(meta.term);
    Ids(meta.members.voters);
    Ids(meta.members.learners);
  }
  void Hard(const HardState& hard) {
    U64(hard.term);
    U64(hard.vote.value);
    U64(hard.commit);
  }

 private:
  std::string* out_;
};

// Reads what the shim wrote: trusted, so what does not fit is a broken program.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : in_(bytes) {}
  bool done() const { return in_.remaining() == 0; }

  GroupId Result(Output* out) {
    GroupId group(in_.Le<uint64_t>());
    auto flags = in_.Le<uint8_t>();
    if (flags & kPanicFlag) {
      out->panic = Bytes();
      if (out->panic.empty()) out->panic = "unknown";
      CURVEFS_CHECK(in_.ok());
      return group;
    }
    out->wants_snapshot = flags & kWantsSnapshotFlag;
    out->status.hard = Hard();
    out->status.leader = Id();
    out->status.role = static_cast<Role>(in_.Le<uint8_t>());
    out->status.transfer_to = Id();
    for (auto n = in_.Le<uint32_t>(); n > 0; --n) out->dropped.push_back(in_.Le<uint64_t>());
    if (flags & kMembersFlag) out->members = TheMembers();
    if (flags & kProgressFlag) {
      out->progress.emplace();
      for (auto n = in_.Le<uint32_t>(); n > 0; --n) {
        Progress& p = out->progress->emplace_back();
        p.replica = Id();
        p.match = in_.Le<uint64_t>();
        p.active = in_.Le<uint8_t>() != 0;
      }
    }
    if (flags & kReadyFlag) TheReady(&out->ready.emplace());
    CURVEFS_CHECK(in_.ok());
    return group;
  }

 private:
  ReplicaId Id() { return ReplicaId(in_.Le<uint64_t>()); }
  std::string Bytes() { return std::string(in_.Bytes(in_.Le<uint32_t>())); }
  std::vector<ReplicaId> Ids() {
    std::vector<ReplicaId> ids(in_.Le<uint32_t>());
    for (ReplicaId& id : ids) id = Id();
    return ids;
  }
  Members TheMembers() {
    Members members;
    members.voters = Ids();
    members.learners = Ids();
    return members;
  }
  SnapshotMeta Meta() {
    SnapshotMeta meta;
    meta.index = in_.Le<uint64_t>();
    meta.term = in_.Le<uint64_t>();
    meta.members = TheMembers();
    return meta;
  }
  HardState Hard() {
    HardState hard;
    hard.term = in_.Le<uint64_t>();
    hard.vote = Id();
    hard.commit = in_.Le<uint64_t>();
    return hard;
  }
  std::vector<EngineEntry> Entries() {
    std::vector<EngineEntry> entries(in_.Le<uint32_t>());
    if (entries.empty()) return entries;
    Index index = in_.Le<uint64_t>();
    for (EngineEntry& e : entries) {
      e.index = index++;
      e.term = in_.Le<uint64_t>();
      e.kind = static_cast<EntryKind>(in_.Le<uint8_t>());
      e.handle = in_.Le<uint64_t>();
      e.size = in_.Le<uint32_t>();
    }
    return entries;
  }
  void TheReady(Ready* ready) {
    ready->must_sync = in_.Le<uint8_t>() != 0;
    bool has_hard = in_.Le<uint8_t>() != 0;
    HardState hard = Hard();
    if (has_hard) ready->hard = hard;
    SnapshotMeta snapshot = Meta();
    if (snapshot.index != 0) ready->snapshot = std::move(snapshot);
    ready->entries = Entries();
    ready->committed = Entries();
    ready->messages.resize(in_.Le<uint32_t>());
    for (EngineMessage& m : ready->messages) TheMessage(&m);
    ready->reads.resize(in_.Le<uint32_t>());
    for (ReadState& read : ready->reads) {
      read.context = Bytes();
      read.index = in_.Le<uint64_t>();
    }
  }
  void TheMessage(EngineMessage* m) {
    auto type = in_.Le<uint8_t>();
    CURVEFS_CHECK(IsMessageType(type));
    m->type = static_cast<MessageType>(type);
    m->to = Id();
    m->from = Id();
    m->term = in_.Le<uint64_t>();
    m->log_term = in_.Le<uint64_t>();
    m->index = in_.Le<uint64_t>();
    m->commit = in_.Le<uint64_t>();
    m->reject = in_.Le<uint8_t>() != 0;
    m->reject_hint = in_.Le<uint64_t>();
    m->context = Bytes();
    m->snapshot = Meta();
    m->entries = Entries();
  }

  ByteReader in_;
};

class EtcdEngine final : public Engine {
 public:
  EtcdEngine() : number_(CurvefsRaftOpen()) { output_.resize(kOutputRoom); }
  ~EtcdEngine() override { CurvefsRaftClose(number_); }

  void AddGroup(GroupId group, const EngineGroup& state) override {
    Command(Op::kCreate, group, [&](Encoder& e) {
      e.U64(state.self.value);
      e.U32(state.election_ticks);
      e.U32(state.heartbeat_ticks);
      e.U64(state.max_append_bytes);
      e.U32(state.max_inflight);
      e.U64(state.applied);
      e.Hard(state.hard);
      e.Ids(state.members.voters);
      e.Ids(state.members.learners);
      e.Meta(state.snapshot);
      e.U64(state.newest_replica);
      e.U64(state.base.index);
      e.U64(state.base.term);
      e.U32(static_cast<uint32_t>(state.log.size()));
      for (const EngineEntry& entry : state.log) {
        e.U64(entry.term);
        e.U32(entry.size);
        e.U8(static_cast<uint8_t>(entry.kind));
      }
    });
  }
  void RemoveGroup(GroupId group) override { Command(Op::kRemove, group); }
  void Tick(GroupId group) override { Command(Op::kTick, group); }
  void Step(GroupId group, const Message& m, std::span<const Handle> handles) override {
    Command(Op::kStep, group, [&](Encoder& e) {
      e.U8(static_cast<uint8_t>(m.type));
      e.U64(m.to.value);
      e.U64(m.from.value);
      e.U64(m.term);
      e.U64(m.log_term);
      e.U64(m.index);
      e.U64(m.commit);
      e.U8(m.reject);
      e.U64(m.reject_hint);
      e.Bytes(m.context);
      e.Meta(m.snapshot);
      e.U32(static_cast<uint32_t>(m.entries.size()));
      if (m.entries.empty()) return;
      e.U64(m.entries[0].index);
      for (size_t i = 0; i < m.entries.size(); ++i) {
        e.U64(m.entries[i].term);
        e.U8(static_cast<uint8_t>(m.entries[i].kind));
        e.U64(handles[i]);
        e.U32(static_cast<uint32_t>(BytesOf(m.entries[i].payload).size()));
      }
    });
  }
  void Propose(GroupId group, Handle handle, uint32_t size) override {
    Command(Op::kPropose, group, [&](Encoder& e) {
      e.U64(handle);
      e.U32(size);
    });
  }
  void ProposeChange(GroupId group, Handle handle, uint32_t size, const MemberChange& change) override {
    Command(Op::kProposeChange, group, [&](Encoder& e) {
      e.U64(handle);
      e.U32(size);
      e.U8(ChangeNumber(change.kind));
      e.U64(change.replica.value);
    });
  }
  void ReadIndex(GroupId group, const std::string& context) override {
    Command(Op::kReadIndex, group, [&](Encoder& e) { e.Bytes(context); });
  }
  void Campaign(GroupId group) override { Command(Op::kCampaign, group); }
  void TransferLeader(GroupId group, ReplicaId to) override {
    Command(Op::kTransfer, group, [&](Encoder& e) { e.U64(to.value); });
  }
  void ReportUnreachable(GroupId group, ReplicaId peer) override {
    Command(Op::kUnreachable, group, [&](Encoder& e) { e.U64(peer.value); });
  }
  void ReportSnapshot(GroupId group, ReplicaId peer, bool arrived) override {
    Command(Op::kSnapshotStatus, group, [&](Encoder& e) {
      e.U64(peer.value);
      e.U8(arrived);
    });
  }
  void ApplyChange(GroupId group, Index index, const MemberChange& change) override {
    Command(Op::kApplyChange, group, [&](Encoder& e) {
      e.U64(index);
      e.U8(ChangeNumber(change.kind));
      e.U64(change.replica.value);
    });
  }
  void SnapshotMade(GroupId group, const SnapshotMeta& meta) override {
    Command(Op::kSnapshotMade, group, [&](Encoder& e) { e.Meta(meta); });
  }
  void Compact(GroupId group, Index upto) override {
    Command(Op::kCompact, group, [&](Encoder& e) { e.U64(upto); });
  }
  void Advance(GroupId group) override { Command(Op::kAdvance, group); }
  void AskProgress(GroupId group) override { Command(Op::kProgress, group); }
  void Panic(GroupId group) { Command(Op::kPanic, group); }

  bool Run(const Sink& sink) override {
    if (input_.empty()) return false;
    std::string input;
    input.swap(input_);
    int64_t size = CurvefsRaftRun(number_, input.data(), static_cast<int64_t>(input.size()), output_.data(),
                                  static_cast<int64_t>(output_.size()));
    const auto length = static_cast<size_t>(size);
    if (length > output_.size()) {
      output_.resize(length);
      CurvefsRaftFetch(number_, output_.data(), size);
    }
    input.clear();
    input_.swap(input);  // keeps its memory
    std::vector<std::pair<GroupId, Output>> results;
    for (Decoder decoder({output_.data(), length}); !decoder.done();) {
      auto& [group, out] = results.emplace_back();
      group = decoder.Result(&out);
    }
    for (auto& [group, out] : results) sink(group, out);
    return true;
  }

 private:
  template <typename F>
  void Command(Op op, GroupId group, F&& arguments) {
    Encoder e(&input_);
    e.U8(static_cast<uint8_t>(op));
    e.U64(group.value);
    const size_t at = input_.size();
    e.U32(0);
    arguments(e);
    auto length = static_cast<uint32_t>(input_.size() - at - sizeof(uint32_t));
    std::memcpy(input_.data() + at, &length, sizeof length);
  }
  void Command(Op op, GroupId group) {
    Command(op, group, [](Encoder&) {});
  }

  const uint64_t number_;
  std::string input_;   // commands
  std::string output_;  // room for results
};

void CallMain(void* arg) {
  std::unique_ptr<std::function<void()>> main(static_cast<std::function<void()>*>(arg));
  (*main)();
}

}  // namespace

std::unique_ptr<Engine> MakeEtcdEngine() {
  return std::make_unique<EtcdEngine>();
}

void SeedEtcdEngines(int64_t seed) {
  CurvefsRaftSeed(seed);
}

void StartEngineThread(std::function<void()> main) {
#ifdef __SANITIZE_THREAD__
  // It does not see what happens before what across the runtime.
  return std::thread(std::move(main)).detach();
#endif
  CurvefsRaftStartThread(&CallMain, new std::function<void()>(std::move(main)));
}

void PanicForTest(Engine& engine, GroupId group) {
  static_cast<EtcdEngine&>(engine).Panic(group);
}

}  // namespace curvefs::raft
