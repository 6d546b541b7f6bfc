// ReplicatedCopyset: a copyset whose log is a Raft group (DESIGN §4); the standalone form is copyset.h.
//
// The leader evaluates a change against the committed state with an overlay of what it has proposed and not
// yet committed, proposes the batch, and answers when the batch is committed and applied. Every replica
// applies batches of SET and DEL, in the order of the log; it evaluates nothing. On loss of leadership the
// overlay is dropped, and what waited gets "outcome unknown" or "not leader" (raft/group.h).
//
// The state is a KVStore. Beside the file system's pairs it holds one of its own,
// kMembersKey: the members, and the term of the last entry; so the state alone says everything about where it
// stands. On disk: state_files.h.
//
// Requests of clients come through ChangeOnce: each takes effect once, however often it is sent, to whatever
// leader (meta/session.h). Definite failures are remembered as successes are: a copy of a request that was
// answered "exists" must not find the name gone and create it, after the client was told and went on. Not
// remembered, because nothing has happened and the client goes on with the same request: kNotLeader,
// kUnavailable, kTimedOut (unknown), kIo, kCorrupt, kNoMemory, kInterrupted, kElsewhere, kLocked.
//
// All functions on the loop of the group. Blocking work (saving, verifying) goes through Background.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/disk.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "kv/overlay.h"
#include "kv/store.h"
#include "meta/lock_guard.h"
#include "meta/session.h"
#include "meta/txn.h"
#include "metaserver/early_answers.h"
#include "metaserver/engine.h"
#include "metaserver/lease_table.h"
#include "metaserver/lock_table.h"
#include "metaserver/session_table.h"
#include "metaserver/state_files.h"
#include "metaserver/usage.h"
#include "object/object_store.h"
#include "raft/group.h"
#include "raft/seams.h"

namespace curvefs::proto {
class LeaseNews;
}

namespace curvefs::metaserver {

// A thread beside the loop, for work that waits for the disk. One piece at a time for each copyset.
class Background {
 public:
  virtual ~Background() = default;
  // Runs `work` elsewhere, then `then` on the loop.
  virtual void Run(std::function<void()> work, std::function<void()> then) = 0;
};

struct ReplicatedOptions {
  MetaEngine engine = MetaEngine::kMemory;
  kv::RocksOptions rocks;                               // of that engine
  Duration session_timeout = std::chrono::seconds(30);  // a client not heard of for so long is fenced
  // Rules that tests break on purpose (early_answers.h): a new leader does not wait for what clients send
  // again; reads do not wait for what was answered early.
  enum class Canary { kNone, kNoReclaim, kReadCommitted };
  Canary canary = Canary::kNone;
};

// A way to a client that asked something: what is sent goes by the connection of its request, behind what was
// answered before. Thread-safe.
class ClientLink {
 public:
  virtual ~ClientLink() = default;
  virtual uint64_t number() const = 0;  // of the connection; a later one has a higher number
  // If it cannot be sent the connection is closed.
  virtual void Send(uint16_t type, std::string bytes) = 0;
};

// Whether a call keeps to the locks of transactions between partitions, and to the partitions that are here,
// or looks after both itself (meta/lock_guard.h).
enum class Locks { kKept, kOwn };

class ReplicatedCopyset final : public raft::StateMachine {
 public:
  ~ReplicatedCopyset() override;
  static constexpr std::string_view kMembersKey{"\0raft", 5};

  // Loads the state in `dir`; with none there, begins with an empty one whose members are `first` (index 1),
  // or, if there are none in it, as a replica that joins (index 0). All arguments outlive the copyset.
  static Result<std::unique_ptr<ReplicatedCopyset>> Open(Disk& disk, std::string dir,
                                                         const raft::Members& first,
                                                         const meta::FsContext& fs, const Clock& clock,
                                                         Background& background,
                                                         ReplicatedOptions options = {});
  // The group that drives it, once the host has made it.
  void Attach(raft::Group* group) { group_ = group; }

  // Evaluates f(Txn&) -> Result<T> or Status, replicates what it left in the transaction if it succeeded, and
  // calls done(result) once: its value is committed, or its failure is that of a state that was committed; or
  // kNotLeader, kUnavailable, kElsewhere, kLocked (nothing happened), kTimedOut (unknown).
  template <typename F, typename Done>
  void Change(F&& f, Done done) {
    Change(fs_.fs, std::forward<F>(f), std::move(done));
  }
  // `f` may run more than once, and later: while clients rely on what it would change, it waits.
  template <typename F, typename Done>
  void Change(FsId fs, F&& f, Done done, Locks locks = Locks::kKept) {
    using R = decltype(f(std::declval<meta::Txn&>()));
    if (!group_->leads()) return Finish<R>(std::move(done), Status(Code::kNotLeader));
    if (!Settled()) return Finish<R>(std::move(done), Unsettled());
    const meta::LockGuard guard = GuardOf(*overlay_, fs);
    meta::Txn txn(locks == Locks::kKept ? static_cast<const kv::View&>(guard) : *overlay_, ContextOf(fs),
                  clock_.Wall());
    R result = f(txn);
    if (!Good(result) && MeetsAnother(StatusOf(result), locks, guard)) return done(std::move(result));
    if (!Good(result) || txn.empty()) return AfterAll<R>(std::move(result), std::move(done));
    if (const uint64_t recall = RecallFor(0, txn)) {
      auto waiting = std::make_shared<std::pair<std::decay_t<F>, Done>>(std::forward<F>(f), std::move(done));
      return leases_.Await(recall, [this, fs, locks, waiting] {
        Change(fs, std::move(waiting->first), std::move(waiting->second), locks);
      });
    }
    auto shared = std::make_shared<std::pair<R, Done>>(std::move(result), std::move(done));
    Status refused = Commit(txn, locks == Locks::kKept ? &guard : nullptr, 0, [shared](const Status& s) {
      shared->second(s.ok() ? std::move(shared->first) : R(Convert<R>(s)));
    });
    if (!refused.ok()) shared->second(R(Convert<R>(refused)));
  }

  // Evaluates f(const Reader&) against a state that has all that was committed when Read was called.
  template <typename F, typename Done>
  void Read(F f, Done done) {
    Read(fs_.fs, std::move(f), std::move(done));
  }
  // Who asks: a session, which knows what it was answered early; with `first` also before all that was
  // answered early by the leader before is here again.
  struct Asker {
    uint64_t session = 0;
    bool first = false;
  };
  template <typename F, typename Done>
  void Read(FsId fs, F f, Done done, Locks locks = Locks::kKept, Asker asker = {}) {
    using R = decltype(f(std::declval<const meta::Reader&>()));
    group_->Read([this, fs, locks, asker, f = std::move(f), done = std::move(done)](const Status& s) {
      if (!s.ok()) return done(R(Convert<R>(s)));
      if (!asker.first && Admit(asker.session, false) != EarlyAnswers::Verdict::kGoOn)
        return done(R(Convert<R>(Unsettled())));
      auto read = [this, fs, locks, f, done](const kv::View& view) {
        const meta::LockGuard guard = GuardOf(view, fs);
        reads_own_ = &view == overlay_.get();
        R result = f(
            meta::Reader(locks == Locks::kKept ? static_cast<const kv::View&>(guard) : view, ContextOf(fs)));
        reads_own_ = false;
        if (!Good(result)) (void)MeetsAnother(StatusOf(result), locks, guard);
        done(std::move(result));
      };
      const uint64_t oldest = proposals_.empty() ? 0 : proposals_.begin()->first;
      if (oldest == 0 || early_.last() < oldest ||
          options_.canary == ReplicatedOptions::Canary::kReadCommitted)
        return read(*store_);
      if (early_.IsRunOf(asker.session, oldest)) return read(*overlay_);
      // What somebody has been told was done is not in the state yet.
      std::prev(proposals_.upper_bound(early_.last()))
          ->second.emplace_back([this, read, done](const Status& settled) {
            if (settled.ok()) return read(*store_);
            done(R(Convert<R>(group_->leads() ? Code::kUnavailable : Code::kNotLeader)));
          });
    });
  }

  // Of the last call that ended in kLocked: good within its `done`.
  const meta::LockedBy& locked_by() const { return locked_by_; }
  void NoteLockedBy(const meta::LockedBy& by) { locked_by_ = by; }
  Timestamp now() const { return clock_.Wall(); }

  // ---- Clients (replicated_requests.cc)

  // As Change, once: `f` returns the reply encoded for the client, at most kMaxReply bytes. A request that
  // comes again gets the first outcome; one that is under way, that one's. kFenced: no such session.
  // kInvalid: it was acknowledged before. `f` may run more than once, here or later.
  using Replied = SessionTable::Done;
  using Evaluate = std::function<Result<std::string>(meta::Txn&)>;
  template <typename F>
  void ChangeOnce(const RequestId& id, F f, Replied done) {
    ChangeOnce(fs_.fs, id, std::move(f), std::move(done));
  }
  template <typename F>
  void ChangeOnce(FsId fs, const RequestId& id, F f, Replied done, Locks locks = Locks::kKept) {
    Once(fs, id, {Evaluate(std::move(f)), locks}, std::move(done));
  }

  // `owner` says whose it is, for people; at most kMaxSessionOwner bytes. kUnavailable: there are
  // kMaxSessions.
  void OpenSession(const std::string& owner, std::function<void(Result<uint64_t>)> done);
  // Nothing more happens under the session, also not what is on its way. Ok if there is no such session.
  void EndSession(uint64_t session, std::function<void(Status)> done);
  // The client lives, and has all answers below `acknowledged`. False: this leader knows no such session.
  bool KeepAlive(uint64_t session, uint64_t acknowledged) {
    return sessions_.Hear(session, acknowledged, clock_.Steady());
  }
  // ---- Early answers (early_answers.h)

  // Of the answer that is being given: its place, and the time that it saw. Null: it is committed.
  struct Early {
    uint64_t order = 0;
    Timestamp at{};
  };
  const Early* answering() const { return answering_ ? &*answering_ : nullptr; }
  // All early answers of this office up to that place are committed; 0: not known.
  uint64_t CommittedOrder(uint64_t session) const {
    if (early_.Owes(session)) return 0;
    return proposals_.empty() ? last_proposal_ : proposals_.begin()->first - 1;
  }
  raft::Term office() const { return office_; }  // while this leads
  // Whether the session is to send again what it was answered early; and it has.
  bool OwesAgain(uint64_t session) const { return early_.Owes(session); }
  void Reclaimed(uint64_t session) { early_.Reclaimed(session); }
  // All that was proposed so far has its outcome.
  void AwaitAll(std::function<void(Status)> done) {
    if (!group_->leads()) return done(Code::kNotLeader);
    WhenSettled(std::move(done));
  }

  std::vector<SessionTable::Info> Sessions() const { return sessions_.List(clock_.Steady()); }
  // An open file keeps its inode alive when its last name goes. A new leader knows nothing of open files: if
  // there are sessions, it leaves orphans alone for session_timeout (settling), until they have said again
  // what they have open, or are fenced. See SessionTable.
  Status NoteOpen(uint64_t session, OpenFile file, uint64_t order) {
    return sessions_.NoteOpen(session, file, order);
  }
  Status NoteClosed(uint64_t session, OpenFile file, uint64_t order) {
    return sessions_.NoteClosed(session, file, order);
  }
  bool IsOpen(OpenFile file) const { return sessions_.IsOpen(file); }
  // An orphan that became one under this leader, and of which nothing has been reclaimed: whoever looked it
  // up before its last name went may open it yet.
  bool IsWhole(OpenFile orphan) const { return whole_orphans_.contains(orphan); }
  void Reclaims(OpenFile orphan) { whole_orphans_.erase(orphan); }
  bool settling() const {
    return found_sessions_ && clock_.Steady() - led_since_ <= options_.session_timeout;
  }
  // Advisory locks of sessions: while the first is false, not all that is held may be known.
  bool locks_known() const { return !locks_.expecting() || !settling(); }
  LockTable& locks() { return locks_; }
  const LockTable& locks() const { return locks_; }
  size_t open_files() const { return sessions_.open_files(); }
  const ReplicatedOptions& options() const { return options_; }
  // Call it about once a second: ends sessions that are silent for too long, forgets what is acknowledged,
  // reclaims orphans that nobody has open, deletes freed objects, counts usage. Only a leader does anything.
  // Sessions have their whole time again when the leader changes.
  void Housekeep();

  // ---- Read leases (replicated_leases.cc)

  struct LeaseGrant {
    uint64_t epoch = 0;  // 0: nothing may be kept
    Duration time{};     // from when the request was sent
    std::vector<InodeId> busy;
  };
  // Within the callback of a Read: the session, that asks by that link (null: nothing can be told to it
  // later), keeps these parts of inodes (LeaseTable::Part) but the busy ones.
  LeaseGrant KeepLeases(FsId fs, uint64_t session, const std::shared_ptr<ClientLink>& link,
                        std::span<const std::pair<InodeId, uint8_t>> parts);
  void LeasesDropped(uint64_t session, uint64_t number) { leases_.Dropped(session, number); }
  // Every few milliseconds: recalls that nobody answers come to their end.
  void TickLeases() {
    if (leases_.waiting()) leases_.Tick(clock_.Steady());
    if (!early_.settled()) TickEarly();
  }
  const LeaseTable& leases() const { return leases_; }

  // ---- File systems and space (replicated_space.cc)

  // A file system, or its partitions in this copyset: super.fs says which; partition 0 comes with the root
  // directory, of which `mode`, `uid`, `gid` are. Where it is already, partitions are added. Ok also if the
  // same (by uuid) is there already; kExists: another, or the same made again, and nothing was to be added.
  void Format(meta::SuperBlock super, const std::vector<PartitionId>& partitions, uint32_t mode, uint32_t uid,
              uint32_t gid, std::function<void(Status)> done);
  // Whether it is here, as the leader knows: with a change that is applied.
  bool Holds(FsId fs) const { return file_systems_.contains(fs); }
  // Freed objects are deleted there, by `deleting`, which may take its time. Without: they wait in the state.
  void UseObjects(object::ObjectStore& objects, Background& deleting) {
    objects_ = &objects;
    deleting_ = &deleting;
  }
  // See copyset.h. Figures and limits hold once a new leader has counted (2 s for a million inodes, in
  // slices); until then kUnavailable, and changes pass.
  void SetQuota(FsId fs, InodeId dir, const meta::Quota& quota, std::function<void(Status)> done);
  Result<Usage> UsageBelow(FsId fs, InodeId dir) const;
  Status AnnounceLength(FsId fs, InodeId file, uint64_t end, bool exactly);
  // The first `max` of a file system that wait, for a client that deletes them: for one session at a time,
  // until it has not asked for kFreedTurn. None if they are deleted here.
  std::vector<object::ObjectName> FreedFor(uint64_t session, FsId fs, size_t max);
  size_t freed_objects_waiting() const { return freed_.size(); }

  const kv::KVStore& store() const { return *store_; }
  const raft::Members& members() const { return position_.members; }
  raft::Term term() const { return position_.term; }  // of the last entry
  // Offline, without a group: `alone` becomes the only member, as if by an entry of `term` behind the last.
  // Durable when it returns.
  Result<raft::SnapshotMeta> Seize(raft::ReplicaId alone, raft::Term term);
  size_t proposed_changes() const { return proposals_.size(); }
  size_t session_count() const { return sessions_.size(); }  // while this leads
  // How long it took to bring what was committed into the state, each time some was. For other threads too,
  // and for longer than the copyset.
  std::shared_ptr<const TimeHistogram> apply_times() const { return apply_times_; }

  // ---- raft::StateMachine
  raft::SnapshotMeta snapshot() const override { return snapshot_; }
  raft::Index applied() const override { return store_->applied(); }
  Status Apply(std::span<const raft::Entry> entries) override;
  void MembersChanged(const raft::Members& members, const raft::MemberChange& change) override;
  void LeadershipChanged(bool leads, raft::Term term) override;
  void TakeSnapshot(SnapshotDone done) override;
  Result<std::unique_ptr<raft::SnapshotReader>> OpenSnapshot() override;
  Result<std::unique_ptr<raft::SnapshotSink>> ReceiveSnapshot(const raft::SnapshotMeta& meta) override;
  void Restore(std::unique_ptr<raft::SnapshotSink> sink, const raft::SnapshotMeta& meta, Done done) override;

 private:
  ReplicatedCopyset(Disk& disk, std::string dir, const meta::FsContext& fs, const Clock& clock,
                    Background& background, ReplicatedOptions options);
  struct Evaluation {
    Evaluate f;
    Locks locks;
  };
  void Once(FsId fs, const RequestId& id, Evaluation evaluation, Replied done);
  void EvaluateOnce(FsId fs, const RequestId& id, const Evaluation& evaluation, Replied done);
  meta::LockGuard GuardOf(const kv::View& view, FsId fs) const {
    return {view, ContextOf(fs), clock_.Wall(), std::nullopt, meta::LockGuard::Partitions::kSome};
  }
  // The failure of an evaluation that a transaction, or the lack of a partition, is in the way of. It is told
  // at once: nothing has happened, and locked_by() says whose lock it is.
  bool MeetsAnother(const Status& s, Locks locks, const meta::LockGuard& guard) {
    if (s.code() == Code::kLocked && locks == Locks::kKept) locked_by_ = guard.by();
    return s.code() == Code::kLocked || s.code() == Code::kElsewhere;
  }

  struct FileSystem {
    meta::SuperBlock super;
    meta::FsContext context;
    std::unique_ptr<UsageTree> usage;  // while this leads, and there are limits or somebody asked
  };
  const meta::FsContext& ContextOf(FsId fs) const;
  Status LoadFileSystems();
  Status StartSpace();
  void StopSpace();
  Status TrackUsage(FileSystem* fs);
  void CountUsage(size_t inodes);
  void ReclaimOrphans();
  void DeleteFreed();
  void ForgetFreed(const std::vector<object::ObjectName>& names);
  Status ApplyAll(std::span<const raft::Entry> entries);
  // Proposes what the transaction did, unless it would pass a lock that `guard` knows (null: it looks after
  // locks itself). Refused: `done` never runs.
  // `self`: the session whose change it is, or 0. With `early` it may be answered now if *early is true then.
  Status Commit(meta::Txn& txn, const meta::LockGuard* guard, uint64_t self,
                std::function<void(const Status&)> done, bool* early = nullptr);
  Status Propose(const kv::WriteBatch& batch, std::function<void(const Status&)> done);
  void WhenSettled(std::function<void(const Status&)> done);

  struct Touched {
    LeaseTable::Parts parts;
    std::vector<std::pair<LeaseTable::Item, std::string>> names;  // in directories
  };
  static Touched TouchedBy(const kv::WriteBatch& batch);
  // See LeaseTable::Recall, of what the transaction would change.
  uint64_t RecallFor(uint64_t self, meta::Txn& txn);
  proto::LeaseNews NewsFor(uint64_t session) const;
  void TellKeeper(uint64_t session, uint64_t number, const LeaseTable::Parts& gone, bool all);
  void TellOwn(uint64_t self, const Touched& touched, const kv::View& view, bool early);
  bool Settled() const {
    return early_.settled() || options_.canary == ReplicatedOptions::Canary::kNoReclaim;
  }
  EarlyAnswers::Verdict Admit(uint64_t session, bool replay) const {
    using enum EarlyAnswers::Verdict;
    const EarlyAnswers::Verdict verdict = early_.Admit(session, replay);
    const bool waits = verdict == kWait || verdict == kReclaim;
    return waits && options_.canary == ReplicatedOptions::Canary::kNoReclaim ? kGoOn : verdict;
  }
  static Status Unsettled() {
    return {Code::kUnavailable,
            "clients of the leader before have time yet to send again what they did last"};
  }
  void TickEarly();
  void Unmark();

  // Status and Result<T> alike.
  static bool Good(const Status& s) { return s.ok(); }
  template <typename T>
  static bool Good(const Result<T>& r) {
    return r.has_value();
  }
  static const Status& StatusOf(const Status& s) { return s; }
  template <typename T>
  static const Status& StatusOf(const Result<T>& r) {
    return r.error();
  }
  template <typename R>
  static auto Convert(const Status& s) {
    if constexpr (std::is_same_v<R, Status>) {
      return s;
    } else {
      return std::unexpected(s);
    }
  }
  template <typename R, typename Done>
  static void Finish(Done done, const Status& s) {
    done(R(Convert<R>(s)));
  }
  // A result without changes is true only if all that it looked at becomes true, and this is still the
  // leader.
  template <typename R, typename Done>
  void AfterAll(R result, Done done) {
    auto shared = std::make_shared<std::pair<R, Done>>(std::move(result), std::move(done));
    WhenSettled(
        [shared](const Status& s) { shared->second(s.ok() ? std::move(shared->first) : R(Convert<R>(s))); });
  }

  Disk& disk_;
  const std::string dir_;
  const meta::FsContext& fs_;
  const Clock& clock_;
  Background& background_;
  const ReplicatedOptions options_;
  raft::Group* group_ = nullptr;

  const std::unique_ptr<StateFiles> files_;
  std::unique_ptr<kv::KVStore> store_;
  raft::SnapshotMeta snapshot_;  // that is durable
  raft::SnapshotMeta position_;  // term and members as of applied(); the index is that of their last change
  std::vector<raft::SnapshotMeta> positions_;  // since the snapshot that is being saved, or the last
  int busy_ = 0;                               // pieces of work on files_, in the background

  // What is proposed and not applied, over the state. A key's change goes when the batch that made it is
  // applied.
  class StateView;
  std::unique_ptr<StateView> state_view_;
  std::unique_ptr<kv::Overlay> overlay_;
  std::map<FsId, FileSystem> file_systems_;
  SteadyTime led_since_{};
  uint64_t times_led_ = 0;
  bool found_sessions_ = false;  // of leaders before
  object::ObjectStore* objects_ = nullptr;
  Background* deleting_ = nullptr;
  std::deque<object::ObjectName> freed_;                         // by committed batches, while this leads
  bool deletes_ = false;                                         // some are being deleted
  std::map<FsId, std::pair<uint64_t, SteadyTime>> freed_turns_;  // which session deletes, and until when
  bool deleting_fails_ = false;                                  // and the log says so
  std::set<OpenFile> reclaiming_, whole_orphans_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  const std::shared_ptr<TimeHistogram> apply_times_ = std::make_shared<TimeHistogram>();

  LockTable locks_;                                        // as sessions_
  SessionTable sessions_;                                  // filled while this leads
  LeaseTable leases_;                                      // as sessions_
  std::map<uint64_t, std::shared_ptr<ClientLink>> links_;  // of those in leases_
  // Somebody keeps leases since that proposal; before, what proposals change was not noted.
  std::optional<uint64_t> noted_since_;
  size_t opening_ = 0;
  uint64_t last_proposal_ = 0;
  EarlyAnswers early_;  // as sessions_
  std::optional<Early> answering_;
  bool reads_own_ = false, raising_ = false;
  raft::Term office_ = 0;
  meta::LockedBy locked_by_;
  // Without an outcome, by number, each with what waits for the same because it saw the change in the
  // overlay.
  std::map<uint64_t, std::vector<std::function<void(const Status&)>>> proposals_;
};

}  // namespace curvefs::metaserver
