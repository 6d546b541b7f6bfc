// Group: the driver of one replica of one Raft group: what comes out of the engine is made durable, sent and
// applied, in that order, and what comes from the peers and from the users goes in.
//
// Groups live in a Host (host.h), all on one loop; nothing here is thread-safe, and callbacks run on the
// loop.
//
// The rules of DESIGN §6 are kept here, each where a comment names it. A leader's appends go out while it
// syncs its own entries (rule 1 with the reason at SendEarly); what they commit is applied and acknowledged
// after.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "raft/engine.h"
#include "raft/log_store.h"
#include "raft/seams.h"
#include "raft/snapshot_transfer.h"

namespace curvefs::raft {

// Ways to do it wrong, for tests that prove that the simulator sees it. None in a real program.
enum class Canary : uint8_t {
  kNone,
  kSendBeforePersist,   // rule 1 broken
  kForgetVote,          // the vote is not in the log
  kAnswerBeforeCommit,  // a proposal is done when it is in the leader's own log
  kReadWithoutQuorum,   // a leader answers reads from what it has, without asking
  kCountUnsyncedOwn,    // a leader counts its own entries before they are durable
  kLeaseOverTransfer,   // reads by lease go on after another was told to stand at once
  kVoteAfterRestart,    // a replica that was restarted votes at once, lease or not
  kSleepOn,             // a replica that sleeps does not care whether its leader lives
};

// Reads by lease: the timing argument is in docs/adr/0009-leader-lease.md. All replicas of a group must have
// the same.
struct LeaseOptions {
  const Clock* clock = nullptr;  // steady time. Null: no leases, every read asks a quorum
  Duration tick{};               // Host::Tick is never called twice within less, by that clock
  double max_drift = 0.05;       // no clock is faster or slower than true time by more than this share
};

struct GroupOptions {
  uint32_t election_ticks = 10;
  uint32_t heartbeat_ticks = 1;
  uint64_t max_append_bytes = 512 << 10;
  uint32_t max_inflight = 32;
  size_t max_proposed_bytes = 16 << 20;  // of proposals without an outcome; more are refused
  size_t max_reads = 10'000;             // that wait; more are refused
  size_t max_pending_bytes = 32 << 20;   // of entries that came and are not in the log; more are dropped
  uint64_t snapshot_entries = 100'000;   // a log so much longer than the last snapshot starts the next …
  uint64_t snapshot_bytes = 64 << 20;    // … and one of so many bytes
  uint64_t keep_entries = 1'000;         // stay in the log behind a snapshot, for replicas that lag a little
  uint64_t promote_lag = 1'000;          // a learner may be so many entries behind when it becomes a voter
  TransferOptions transfer;
  LeaseOptions lease;
  Canary canary = Canary::kNone;
};

struct GroupStatus {
  ReplicaId self, leader;
  bool leads = false;  // and has applied everything that was committed before its term
  Term term = 0;
  Index commit = 0, applied = 0, first = 0, last = 0, snapshot = 0;
  Members members;
  bool removed = false;  // is no member any more, and does nothing
  Status failure;        // not ok: the group has stopped
  size_t proposals = 0, reads = 0, sending_snapshots = 0;
  // Since the start: reads answered by lease, and rounds of messages in which a quorum confirmed others.
  uint64_t lease_reads = 0, read_rounds = 0;
  bool asleep = false;  // see group_sleep.cc
};

class Host;

class Group {
 public:
  // The outcome of a proposal. Ok: committed, applied here, at this index. kNotLeader: it is nowhere, try the
  // leader. kTimedOut: leadership was lost, it may or may not be committed.
  using Proposed = std::function<void(Result<Index>)>;

  // Proposes `payload`, not empty. Ok: `done` runs exactly once, later, from Host::Pump. kNotLeader,
  // kUnavailable (too much waits already), kTooBig (over kMaxEntryBytes): it is nowhere, and `done` never
  // runs. A proposal that is refused later takes all with it that were made before `done` said so: each may
  // have been made in the belief that those before it will be.
  Status Propose(Payload payload, Proposed done);
  // `done` runs when this replica has applied everything that was committed when Read was called: reads of
  // its state are linearizable then, within the callback. kNotLeader: nothing was read.
  void Read(std::function<void(Status)> done);
  // One change at a time (kBusy), only such that mean something (kInvalid), and a learner only becomes a
  // voter when it has caught up (kBusy). A leader does not remove itself: transfer first (kInvalid).
  void ChangeMembers(const MemberChange& change, Proposed done);
  // Starts it, behind what was promised; whether it has come about shows in status(). kNotLeader, kInvalid.
  Status TransferLeadership(ReplicaId to);
  // What may be promised to clients: that no other replica leads before `until`, by this one's clock, and
  // within `time`, by theirs, from any moment before now; whatever becomes of this one, and whichever members
  // come and go. A promise keeps transfers waiting. Nothing without a lease, or while the leadership is being
  // transferred. docs/adr/0013-read-leases.md.
  struct Promise {
    SteadyTime until{};
    Duration time{};
  };
  Promise Promisable() const;
  // Whether anything may be promised; a lease that is wanted is asked for.
  bool HoldLease();
  void NotePromise(SteadyTime until) { promised_until_ = std::max(promised_until_, until); }
  // Stands for election now; with leases, not while the leader it knows may hold one.
  void Campaign();
  // Ends the replica's sleep, if it sleeps (group_sleep.cc). What it is asked to do does so by itself; this
  // is for whoever sees that somebody looks for the leader here, in case nobody leads any more.
  void Stir();
  // Takes a snapshot now unless one is being taken.
  void SnapshotNow();

  GroupStatus status() const;
  GroupId id() const { return id_; }
  const Members& members() const { return members_; }
  bool leads() const { return leads_; }

 private:
  friend class Host;
  struct Proposal {
    Proposed done;
    Term term = 0;
    size_t bytes = 0;
    bool change = false;
  };
  enum class Phase : uint8_t {
    kIdle,        // no Ready outstanding
    kRestoring,   // the state machine takes a snapshot over
    kBlocked,     // the log did not take it; tried again at the next tick
    kPersisting,  // waits for the sync that covers it
  };

  Group(Host& host, GroupId id, ReplicaId self, StateMachine& machine);

  // ---- From the host
  Status Start(bool create);
  void Tick();
  bool Believable(const Message& m) const;
  void Receive(Message message);
  void Receive(SnapshotChunk chunk);
  void Receive(SnapshotReply reply);
  void OnOutput(Output& out, Handle watermark);
  void OnUnreachable(ReplicaId peer);
  void BeforeRun();                          // queues what waits for the engine
  void OnSynced(Status s, uint64_t ticket);  // a sync is over, see Host::WantSync
  void FailAll(Code code, const std::string& message);

  // ---- The steps of a Ready
  void Persist();
  void Append();
  bool CommitsChange() const;
  Result<Payload> PayloadOf(const EngineEntry& e);
  void SendEarly(const HardState& durable);
  void Finish();
  void SendMessages(std::vector<EngineMessage> messages);
  bool FillEntries(const std::vector<EngineEntry>& from, std::vector<Entry>* to);
  void StartSending(const EngineMessage& m);
  bool Apply(Index end);
  void ApplyMembers(const Entry& entry);
  void AskReadIndex();
  void OnReadStates();
  void AnswerReads();
  Duration lease_time() const;
  bool LeaseHolds() const;
  bool Promised() const;
  void GoOnWithTransfer();
  void EndLease() { lease_until_ = {}; }
  void AnswerProposals(std::span<const Entry> entries);

  // ---- Sleep
  bool SleepsOn();  // asked at every tick
  bool Quiet() const;
  void AskForSleep();
  void FallAsleep(const std::vector<Progress>& progress);
  bool MayFollowAsleep(const Message& beat) const;
  void SendBeats(bool sleep);

  void TakeHandles(const std::vector<EngineEntry>& entries);

  void OnStatus(const EngineStatus& status);
  void LoseLeadership();
  void OnProgress(const std::vector<Progress>& progress);
  Status ProposeNow(Payload payload, const MemberChange* change, Proposed done);
  void ProposeChange(const MemberChange& change, Proposed done);
  void StepReceivedSnapshot();
  void DropReceived();
  void SnapshotTaken(Result<SnapshotMeta> meta);
  void MaybeSnapshot();
  void HandOver();
  void Remove();
  void Stop(Status why);
  // From when the engine is given a snapshot until the log begins behind it.
  bool installing() const {
    return stepped_snapshot_ || (phase_ != Phase::kIdle && ready_.snapshot.has_value());
  }
  bool dead() const { return removed_ || !failure_.ok(); }

  Host& host_;
  const GroupId id_;
  const ReplicaId self_;
  StateMachine& machine_;

  EngineStatus engine_;  // as of the last Output
  bool leads_ = false;   // and has applied an entry of its term
  bool was_leader_ = false;
  Term leader_term_ = 0;
  Members members_;  // as of applied_
  Index applied_ = 0, commit_ = 0;
  SnapshotMeta snapshot_;  // the newest of the state machine
  bool removed_ = false;
  uint32_t handing_over_ = 0;  // ticks since this leader applied its own removal
  Status failure_;

  Phase phase_ = Phase::kIdle;
  uint64_t sync_ticket_ = 0;  // of the sync that it waits for
  bool sync_failed_ = false;  // to be repeated
  Ready ready_;
  Handle ready_watermark_ = 0;

  std::map<Handle, Payload> pending_;     // payloads the engine knows by handle
  size_t pending_bytes_ = 0;              // of those that peers sent
  std::map<Handle, Proposal> proposals_;  // not in the log yet
  std::map<Index, Proposal> waiting_;     // in the log, not applied
  size_t proposed_bytes_ = 0;
  struct Promotion {
    MemberChange change;
    Proposed done;
  };
  std::optional<Promotion> promotion_;  // waits for the learner's progress

  struct Reads {
    std::string context;
    Index index = 0;  // 0: not known yet
    uint32_t ticks = 0;
    SteadyTime begun{};    // with leases: when it was asked, last
    uint64_t changes = 0;  // member_changes_ then
    std::vector<std::function<void(Status)>> waiting;
  };
  std::vector<std::function<void(Status)>> new_reads_;  // wait for the next round
  std::optional<Reads> asking_;                         // one round at a time
  std::deque<Reads> confirmed_;                         // wait for applied_ to reach index
  size_t reads_ = 0;
  SteadyTime lease_until_{};  // reads need no quorum before that
  bool lease_used_ = false;   // since it was asked for
  bool lease_off_ = false;    // for the rest of the term of office
  uint64_t lease_reads_ = 0, read_rounds_ = 0;
  struct Transfer {
    ReplicaId to;
    bool begun = false;
    uint32_t ticks = 0;  // since then
  };
  std::optional<Transfer> transfer_;
  SteadyTime promised_until_{};
  bool asleep_ = false, asks_for_sleep_ = false;
  uint64_t busy_at_ = 0;               // in ticks: when something happened last
  uint64_t member_changes_ = 0;        // applied
  uint64_t ticks_ = 0, heard_at_ = 0;  // since the start; when a leader was last heard of

  bool snapshotting_ = false;
  bool snapshot_wanted_ = false;
  uint64_t applied_bytes_ = 0;  // since the last snapshot
  std::map<ReplicaId, SnapshotSender> senders_;
  SnapshotReceiver receiver_;
  bool stepped_snapshot_ = false;  // the engine was told of what receiver_ has
};

}  // namespace curvefs::raft
