#include "raft/group.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "raft/host.h"

namespace curvefs::raft {
namespace {

constexpr uint64_t kApplyBytes = 4 << 20;  // read from the log in one go

}  // namespace

Group::Group(Host& host, GroupId id, ReplicaId self, StateMachine& machine)
    : host_(host), id_(id), self_(self), machine_(machine) {}

// ---- Start

Status Group::Start(bool create) {
  LogStore& log = host_.log_;
  const std::string name = "Raft group " + std::to_string(id_.value);
  snapshot_ = machine_.snapshot();
  if (create) {
    if (log.Info(id_)) return {Code::kExists, name + " is on this disk already"};
    CURVEFS_CHECK_OK(log.Reset(id_, snapshot_, {.term = snapshot_.term, .commit = snapshot_.index}));
    CURVEFS_CHECK_OK(log.Sync());
  }
  std::optional<LogInfo> info = log.Info(id_);
  if (!info) return {Code::kNotFound, name + " is not in the log of this disk"};
  if (snapshot_.index < info->base.index) {
    return {Code::kCorrupt,
            name + ": the state ends at entry " + std::to_string(snapshot_.index) +
                ", the log begins after entry " + std::to_string(info->base.index) +
                ": the snapshot is gone or an old one. Remove this replica and add a new one"};
  }
  auto term = log.TermOf(id_, snapshot_.index);
  if (!term || *term != snapshot_.term) {
    // A snapshot from a peer was installed, and the end came before the log began anew behind it. A vote of
    // an older term means nothing in the snapshot's.
    HardState hard = info->hard;
    if (hard.term < snapshot_.term) hard = {.term = snapshot_.term};
    hard.commit = snapshot_.index;
    CURVEFS_CHECK_OK(log.Reset(id_, snapshot_, hard));
    CURVEFS_CHECK_OK(log.Sync());
    info = log.Info(id_);
  }
  applied_ = machine_.applied();
  if (applied_ < snapshot_.index || applied_ > info->last) {
    return {Code::kCorrupt, name + ": the state has applied entry " + std::to_string(applied_) +
                                ", the log ends at " + std::to_string(info->last)};
  }

  EngineGroup start{.self = self_,
                    .election_ticks = host_.options_.election_ticks,
                    .heartbeat_ticks = host_.options_.heartbeat_ticks,
                    .max_append_bytes = host_.options_.max_append_bytes,
                    .max_inflight = host_.options_.max_inflight,
                    .hard = info->hard,
                    .applied = applied_,
                    .snapshot = snapshot_,
                    .base = info->base};
  // What the state machine has applied is committed; what a torn write took with it was not acknowledged.
  start.hard.commit = std::min(std::max(start.hard.commit, applied_), info->last);
  members_ = snapshot_.members;
  Index index = info->base.index;
  for (const LogStore::EntryHead& head : log.Heads(id_)) {
    start.log.push_back({.term = head.term, .index = ++index, .kind = head.kind, .size = head.size});
    start.hard.term = std::max(start.hard.term, head.term);
    if (head.kind != EntryKind::kChange || index <= snapshot_.index || index > applied_) continue;
    CURVEFS_TRY(auto entries, log.Read(id_, index, index + 1, 0));
    MemberChange change;
    if (!DecodeChange(BytesOf(entries[0].payload), &change) || !ApplyChange(change, &members_)) continue;
    if (change.kind != MemberChange::Kind::kRemove) start.newest_replica = index;
  }
  if (start.hard.term != info->hard.term) start.hard.vote = {};
  start.members = members_;
  commit_ = start.hard.commit;
  if (!members_.voters.empty() && !members_.Contains(self_)) {
    removed_ = true;
    return {};
  }
  host_.engine_.AddGroup(id_, start);
  return {};
}

// ---- From users

Status Group::Propose(Payload payload, Proposed done) {
  CURVEFS_CHECK(!BytesOf(payload).empty());
  if (BytesOf(payload).size() > kMaxEntryBytes) {
    return {Code::kTooBig, "a proposal of " + std::to_string(payload->size()) + " bytes, the limit is " +
                               std::to_string(kMaxEntryBytes)};
  }
  return ProposeNow(std::move(payload), nullptr, std::move(done));
}

Status Group::ProposeNow(Payload payload, const MemberChange* change, Proposed done) {
  const size_t bytes = payload->size();
  Stir();
  if (dead() || !leads_) return Code::kNotLeader;
  if (proposed_bytes_ + bytes > host_.options_.max_proposed_bytes) return Code::kUnavailable;
  const Handle handle = host_.next_handle_++;
  if (change) {
    host_.engine_.ProposeChange(id_, handle, static_cast<uint32_t>(bytes), *change);
  } else {
    host_.engine_.Propose(id_, handle, static_cast<uint32_t>(bytes));
  }
  pending_[handle] = std::move(payload);
  proposals_[handle] = {.done = std::move(done), .bytes = bytes, .change = change != nullptr};
  proposed_bytes_ += bytes;
  return {};
}

void Group::ChangeMembers(const MemberChange& change, Proposed done) {
  auto refuse = [&](Code code, std::string why) {
    host_.Defer([done = std::move(done), code, why = std::move(why)] { done(Fail(code, why)); });
  };
  if (dead() || !leads_) return refuse(Code::kNotLeader, "");
  Members after = members_;
  if (change.context.size() > kMaxName) return refuse(Code::kInvalid, "the note of the change is too long");
  // Rule 3: a change that means nothing is not proposed, and ignored if it is met in the log.
  if (!ApplyChange(change, &after))
    return refuse(Code::kInvalid, "the change means nothing to these members");
  // Rule 3: 3.4.23 has no good way for a leader that is no member.
  if (change.kind == MemberChange::Kind::kRemove && change.replica == self_)
    return refuse(Code::kInvalid, "a leader does not remove itself: transfer leadership first");
  if (promotion_) return refuse(Code::kBusy, "another change of the members is under way");
  Stir();
  if (change.kind == MemberChange::Kind::kPromote) {
    promotion_ = {.change = change, .done = std::move(done)};
    host_.engine_.AskProgress(id_);
    return;
  }
  ProposeChange(change, std::move(done));
}

void Group::ProposeChange(const MemberChange& change, Proposed done) {
  Status s = ProposeNow(MakePayload(EncodeChange(change)), &change, done);
  if (!s.ok()) host_.Defer([done = std::move(done), s] { done(curvefs::Fail(s)); });
}

// Rule 3: a learner becomes a voter only when it has caught up, so that it does not weaken the majority.
void Group::OnProgress(const std::vector<Progress>& progress) {
  if (std::exchange(asks_for_sleep_, false)) FallAsleep(progress);
  if (!promotion_) return;
  Promotion promotion = std::move(*promotion_);
  promotion_.reset();
  auto it = std::find_if(progress.begin(), progress.end(),
                         [&](const Progress& p) { return p.replica == promotion.change.replica; });
  const Index last = host_.log_.Info(id_)->last;
  if (it == progress.end() || !it->active || it->match == 0 ||
      it->match + host_.options_.promote_lag < last) {
    promotion.done(Fail(Code::kBusy, "the learner has not caught up: it has entry " +
                                         std::to_string(it == progress.end() ? 0 : it->match) + " of " +
                                         std::to_string(last) + "; try again later"));
    return;
  }
  ProposeChange(promotion.change, std::move(promotion.done));
}

Status Group::TransferLeadership(ReplicaId to) {
  if (dead() || !leads_) return Code::kNotLeader;
  if (!members_.IsVoter(to)) return {Code::kInvalid, "no voter: replica " + std::to_string(to.value)};
  if (to == self_) return {};
  Stir();
  transfer_ = {.to = to};
  GoOnWithTransfer();
  return {};
}

bool Group::Promised() const {
  const Clock* clock = host_.options_.lease.clock;
  return clock && clock->Steady() < promised_until_;
}

// It begins when nothing is promised any more, and the engine gives it up after an election timeout.
void Group::GoOnWithTransfer() {
  if (!transfer_->begun && !Promised()) {
    transfer_->begun = true;
    host_.engine_.TransferLeader(id_, transfer_->to);
  } else if (transfer_->begun && ++transfer_->ticks > host_.options_.election_ticks) {
    transfer_.reset();
  }
}

void Group::Campaign() {
  const bool leased = host_.options_.lease.clock && ticks_ - heard_at_ < host_.options_.election_ticks;
  Stir();
  if (!dead() && !leased && !installing()) host_.engine_.Campaign(id_);
}

void Group::SnapshotNow() {
  snapshot_wanted_ = true;
  MaybeSnapshot();
}

GroupStatus Group::status() const {
  GroupStatus s{.self = self_,
                .leader = engine_.leader,
                .leads = leads_,
                .term = engine_.hard.term,
                .commit = commit_,
                .applied = applied_,
                .snapshot = snapshot_.index,
                .members = members_,
                .removed = removed_,
                .failure = failure_,
                .proposals = proposals_.size() + waiting_.size(),
                .reads = reads_,
                .sending_snapshots = senders_.size(),
                .lease_reads = lease_reads_,
                .read_rounds = read_rounds_,
                .asleep = asleep_};
  if (auto info = host_.log_.Info(id_)) {
    s.first = info->base.index + 1;
    s.last = info->last;
  }
  return s;
}

// ---- From the host

void Group::Tick() {
  if (dead()) return;
  if (phase_ == Phase::kRestoring) return;
  if (phase_ == Phase::kBlocked) Append();
  if (phase_ == Phase::kPersisting && sync_failed_) {
    sync_failed_ = false;
    sync_ticket_ = host_.WantSync(id_);
  }
  for (auto it = senders_.begin(); it != senders_.end();) {
    auto state = it->second.Tick(host_.transport_);
    if (state == SnapshotSender::State::kGoesOn) {
      ++it;
      continue;
    }
    host_.engine_.ReportSnapshot(id_, it->first, false);
    it = senders_.erase(it);
  }
  // The engine forgets a round when the members change under it so that nobody is left to answer.
  if (asking_ && ++asking_->ticks >= host_.options_.election_ticks) AskReadIndex();
  if (transfer_) GoOnWithTransfer();
  if (handing_over_ > 0) HandOver();
  // Rule 2: a replica that installs a snapshot is busy, not deserted: it must not stand for election
  // before the log begins behind it.
  if (dead() || installing() || SleepsOn()) return;
  ++ticks_;
  host_.engine_.Tick(id_);
  if (leads_) AskForSleep();
}

void Group::OnOutput(Output& out, Handle watermark) {
  if (dead()) return;
  if (!out.panic.empty()) {
    // Rule 8: loudly.
    return Stop({Code::kCorrupt, "the Raft engine found its state broken: " + out.panic});
  }
  for (Handle handle : out.dropped) {
    pending_.erase(handle);
    auto it = proposals_.find(handle);
    if (it == proposals_.end()) continue;
    Proposal proposal = std::move(it->second);
    proposals_.erase(it);
    proposed_bytes_ -= proposal.bytes;
    proposal.done(Fail(Code::kNotLeader));
  }
  OnStatus(out.status);
  if (out.members && *out.members != members_) {
    return Stop({Code::kCorrupt, "engine and driver disagree about the members"});
  }
  if (out.progress) OnProgress(*out.progress);
  snapshot_wanted_ |= out.wants_snapshot;
  if (!out.ready) {
    // The engine had no use for the snapshot that came.
    if (stepped_snapshot_ && phase_ == Phase::kIdle) DropReceived();
    if (snapshot_wanted_) MaybeSnapshot();
    return;
  }
  ready_ = std::move(*out.ready);
  ready_watermark_ = watermark;
  if (stepped_snapshot_ && !ready_.snapshot) DropReceived();
  TakeHandles(ready_.entries);
  Persist();
}

void Group::DropReceived() {
  stepped_snapshot_ = false;
  receiver_.Forget();
}

void Group::OnStatus(const EngineStatus& status) {
  engine_ = status;
  commit_ = std::max(commit_, status.hard.commit);
  const bool leader = status.role == Role::kLeader;
  if (was_leader_ && (!leader || status.hard.term != leader_term_)) LoseLeadership();
  if (leader && !was_leader_) {
    was_leader_ = true;
    leader_term_ = status.hard.term;
    lease_off_ = false;
    EndLease();
  }
}

void Group::LoseLeadership() {
  was_leader_ = false;
  const bool led = std::exchange(leads_, false);
  EndLease();
  Stir();
  transfer_.reset();
  senders_.clear();
  // Neither done nor not done: a later leader may still commit what some replica has in its log.
  FailAll(Code::kTimedOut, "leadership was lost before the outcome was known");
  if (led) machine_.LeadershipChanged(false, engine_.hard.term);
}

// Proposals get `code`, reads kNotLeader.
void Group::FailAll(Code code, const std::string& message) {
  std::vector<Proposed> failed;
  for (auto& [handle, p] : proposals_) failed.push_back(std::move(p.done));
  for (auto& [index, p] : waiting_) failed.push_back(std::move(p.done));
  std::vector<std::function<void(Status)>> reads = std::move(new_reads_);
  new_reads_.clear();
  auto take = [&](Reads& r) {
    for (auto& done : r.waiting) reads.push_back(std::move(done));
  };
  if (asking_) take(*asking_);
  for (Reads& r : confirmed_) take(r);
  proposals_.clear();
  waiting_.clear();
  asking_.reset();
  confirmed_.clear();
  proposed_bytes_ = reads_ = 0;
  std::optional<Promotion> promotion = std::exchange(promotion_, std::nullopt);
  for (Proposed& done : failed) done(Fail(code, message));
  if (promotion) promotion->done(Fail(Code::kNotLeader));
  for (auto& done : reads) done(Code::kNotLeader);
}

// ---- A Ready: durable, sent, applied, advanced (rule 1)

// A Ready lists all entries that are not in the log yet, so a proposal that was given to the engine before it
// and is not in it is nowhere.
void Group::TakeHandles(const std::vector<EngineEntry>& entries) {
  for (const EngineEntry& e : entries) {
    auto it = proposals_.find(e.handle);
    if (e.handle == 0 || it == proposals_.end()) continue;
    Proposal proposal = std::move(it->second);
    proposals_.erase(it);
    proposal.term = e.term;
    if (host_.options_.canary == Canary::kAnswerBeforeCommit) {
      proposed_bytes_ -= proposal.bytes;
      proposal.done(e.index);
      continue;
    }
    waiting_.insert_or_assign(e.index, std::move(proposal));
  }
  while (!proposals_.empty() && proposals_.begin()->first < ready_watermark_) {
    Proposal proposal = std::move(proposals_.begin()->second);
    proposals_.erase(proposals_.begin());
    proposed_bytes_ -= proposal.bytes;
    if (proposal.change) {
      proposal.done(Fail(Code::kBusy, "another change of the members is under way"));
    } else {
      proposal.done(Fail(Code::kTimedOut, "the entry was replaced before it was in the log"));
    }
  }
}

void Group::Persist() {
  if (!ready_.snapshot) return Append();
  if (!receiver_.complete() || receiver_.head().meta != *ready_.snapshot) {
    return Stop({Code::kCorrupt, "the engine wants a snapshot that was not given to it"});
  }
  phase_ = Phase::kRestoring;
  stepped_snapshot_ = false;
  machine_.Restore(receiver_.Take(), *ready_.snapshot, [this, alive = host_.Watch(id_)](Status s) {
    if (!*alive) return;
    if (!s.ok()) return Stop(s);
    // The state is durable, the log is not yet: Start mends that if the end comes here.
    snapshot_ = *ready_.snapshot;
    applied_ = snapshot_.index;
    applied_bytes_ = 0;
    members_ = snapshot_.members;
    Append();
    host_.Pump();
  });
}

// Of an entry that came since the last Ready; or of one that this had. If some of its entries are replaced
// while they are made durable, the engine lists the rest of them once more.
Result<Payload> Group::PayloadOf(const EngineEntry& e) {
  if (auto it = pending_.find(e.handle); it != pending_.end()) return it->second;
  CURVEFS_TRY(auto entries, host_.log_.Read(id_, e.index, e.index + 1, 1));
  if (entries.front().term != e.term)
    return Fail(Code::kCorrupt, "the Raft engine lists an entry that is not known");
  return std::move(entries.front().payload);
}

void Group::Append() {
  LogStore& log = host_.log_;
  phase_ = Phase::kBlocked;
  std::optional<HardState> hard = ready_.hard;
  if (hard && host_.options_.canary == Canary::kForgetVote) hard->vote = {};
  const HardState durable = was_leader_ ? log.Info(id_)->hard : HardState();
  Status s;
  if (ready_.snapshot) {
    HardState with = hard ? *hard : log.Info(id_)->hard;
    with.commit = std::max(with.commit, ready_.snapshot->index);
    s = log.Reset(id_, *ready_.snapshot, with);
  }
  std::vector<Entry> entries;
  for (const EngineEntry& e : ready_.entries) {
    Payload payload;
    if (e.handle != 0) {
      auto found = PayloadOf(e);
      if (!found) return Stop(found.error());
      payload = *std::move(found);
    }
    entries.push_back({.term = e.term, .index = e.index, .kind = e.kind, .payload = std::move(payload)});
  }
  if (s.ok() && (hard || !entries.empty())) s = log.Append(id_, hard ? &*hard : nullptr, entries);
  if (!s.ok()) {
    Log(LogLevel::kWarning, "the Raft log takes nothing more: " + s.ToString());
    return;  // Tick tries again
  }
  if (!ready_.must_sync && !ready_.snapshot && !CommitsChange()) return Finish();
  phase_ = Phase::kPersisting;
  sync_ticket_ = host_.WantSync(id_);
  if (host_.options_.canary == Canary::kSendBeforePersist) {
    SendMessages(std::exchange(ready_.messages, {}));
  }
  SendEarly(durable);
  if (dead()) return;
  if (was_leader_ && host_.options_.canary == Canary::kCountUnsyncedOwn) return Finish();
  // What is committed and was in the log before need not wait for the new entries.
  if (!ready_.snapshot && !ready_.entries.empty() && !CommitsChange())
    (void)Apply(ready_.entries.front().index);
}

// Whoever lets a change of members take effect must know for good that it is committed: once it is told to
// others, a replica that was removed may be destroyed, and without its vote one that has forgotten the commit
// could never be elected again.
bool Group::CommitsChange() const {
  return std::ranges::any_of(ready_.committed,
                             [](const EngineEntry& e) { return e.kind == EntryKind::kChange; });
}

// Rule 1 holds back what depends on the entries of this Ready. A leader's own appends do not: a follower may
// store an entry that the leader loses, nobody has been told that it is committed. What must not happen is
// that anybody is told so because the leader counted itself, as the engine does at once. It cannot: answers
// to these appends reach the engine while this Ready is outstanding, so what they commit comes out with the
// next one, which is after the sync; and an append that tells of a commit beyond what was durable before
// (with a single voter, say) waits here like everything else.
void Group::SendEarly(const HardState& durable) {
  if (!was_leader_ || ready_.snapshot || ready_.entries.empty() || CommitsChange()) return;
  // Terms and votes first, always.
  if (ready_.hard && (ready_.hard->term != durable.term || ready_.hard->vote != durable.vote)) return;
  const Index first = ready_.entries.front().index;
  std::vector<EngineMessage> early, later;
  for (EngineMessage& m : ready_.messages) {
    const bool may = (m.type == MessageType::kAppend || m.type == MessageType::kHeartbeat) &&
                     m.commit < first && m.term == durable.term;
    (may ? early : later).push_back(std::move(m));
  }
  ready_.messages = std::move(later);
  SendMessages(std::move(early));
}

void Group::OnSynced(Status s, uint64_t ticket) {
  if (dead() || phase_ != Phase::kPersisting || ticket != sync_ticket_) return;
  if (s.ok()) return Finish();
  Log(LogLevel::kWarning, "the Raft log cannot be synced: " + s.ToString());
  sync_failed_ = true;  // Tick tries again; until then nothing leaves this replica, so another one will lead
}

// Everything that the messages depend on is durable (rule 1).
void Group::Finish() {
  SendMessages(std::exchange(ready_.messages, {}));
  if (dead() || !Apply(~Index{0})) return;
  OnReadStates();
  AnswerReads();
  for (auto it = pending_.begin(); it != pending_.end() && it->first < ready_watermark_;) {
    it = pending_.erase(it);
  }
  pending_bytes_ = 0;
  for (const auto& [handle, payload] : pending_) pending_bytes_ += payload->size();
  ready_ = {};
  phase_ = Phase::kIdle;
  if (!members_.voters.empty() && !members_.Contains(self_)) {
    if (was_leader_ && handing_over_ == 0) HandOver();
    if (handing_over_ == 0) return Remove();
  }
  host_.engine_.Advance(id_);
  StepReceivedSnapshot();
  MaybeSnapshot();
}

// Payloads are those of entries that came in since the last Ready, or in the log. An entry that is neither
// has been replaced since the engine wrote the message, so the message is of no use any more.
void Group::SendMessages(std::vector<EngineMessage> messages) {
  for (EngineMessage& m : messages) {
    if (m.type == MessageType::kSnapshot) {
      StartSending(m);
      continue;
    }
    // The target stands at once and gets votes though this leader may hold a lease. The message may be late,
    // so there are no more leases in this term of office.
    // Not while clients rely on it: whoever leaves its group by itself tries again.
    if (m.type == MessageType::kTimeoutNow && Promised()) continue;
    if (m.type == MessageType::kTimeoutNow && host_.options_.canary != Canary::kLeaseOverTransfer) {
      lease_off_ = true;
      EndLease();
    }
    if (asleep_ && was_leader_ && m.type == MessageType::kHeartbeat && m.context.empty())
      continue;  // of the tick in which it fell asleep, which it has told them
    if (asleep_ && m.type != MessageType::kHeartbeatReply) Stir();
    Message out;
    static_cast<MessageHead&>(out) = std::move(m);
    out.group = id_;
    if (FillEntries(m.entries, &out.entries)) host_.transport_.Send(std::move(out));
  }
}

bool Group::FillEntries(const std::vector<EngineEntry>& from, std::vector<Entry>* to) {
  to->reserve(from.size());
  while (to->size() < from.size()) {
    const EngineEntry& e = from[to->size()];
    auto it = e.handle == 0 ? pending_.end() : pending_.find(e.handle);
    if (it != pending_.end()) {
      to->push_back({.term = e.term, .index = e.index, .kind = e.kind, .payload = it->second});
      continue;
    }
    auto entries = host_.log_.Read(id_, e.index, from.back().index + 1, UINT64_MAX);
    if (!entries) {
      if (entries.error().code() != Code::kNotFound) Stop(entries.error());
      return false;
    }
    for (Entry& entry : *entries) {
      if (entry.term != from[to->size()].term) return false;
      to->push_back(std::move(entry));
    }
  }
  return true;
}

void Group::StartSending(const EngineMessage& m) {
  senders_.erase(m.to);
  auto reader = machine_.OpenSnapshot();
  if (!reader || (*reader)->meta().index < m.snapshot.index || !(*reader)->meta().members.Contains(m.to)) {
    // Busy: it is being made, and asked for again.
    if (!reader && reader.error().code() != Code::kBusy)
      Log(LogLevel::kWarning, "a snapshot cannot be opened: " + reader.error().ToString());
    snapshot_wanted_ = true;
    host_.engine_.ReportSnapshot(id_, m.to, false);
    return;
  }
  auto [it, made] = senders_.try_emplace(m.to, m, id_, *std::move(reader), host_.options_.transfer);
  if (it->second.Send(host_.transport_) != SnapshotSender::State::kGoesOn) {
    senders_.erase(it);
    host_.engine_.ReportSnapshot(id_, m.to, false);
  }
}

// What is committed before `limit` and not applied. False if the group has stopped.
bool Group::Apply(Index limit) {
  if (ready_.committed.empty()) return true;
  const Index end = std::min(ready_.committed.back().index + 1, limit);
  if (ready_.committed.front().index > applied_ + 1) {
    Stop({Code::kCorrupt, "the engine wants entry " + std::to_string(ready_.committed.front().index) +
                              " applied after " + std::to_string(applied_)});
    return false;
  }
  while (applied_ + 1 < end) {
    auto entries = host_.log_.Read(id_, applied_ + 1, end, kApplyBytes);
    if (!entries) {
      Stop(entries.error());
      return false;
    }
    std::span<const Entry> rest = *entries;
    while (!rest.empty()) {
      // Up to a change of members, which takes effect where it stands.
      size_t n = 0;
      while (n < rest.size() && rest[n++].kind != EntryKind::kChange) {
      }
      if (Status s = machine_.Apply(rest.first(n)); !s.ok()) {
        Stop(s);
        return false;
      }
      applied_ = rest[n - 1].index;
      for (const Entry& e : rest.first(n)) applied_bytes_ += BytesOf(e.payload).size();
      if (rest[n - 1].kind == EntryKind::kChange) ApplyMembers(rest[n - 1]);
      // The state is that of all before this term of office: now it may be read and changed.
      if (was_leader_ && !leads_ && handing_over_ == 0 && rest[n - 1].term == leader_term_) {
        leads_ = true;
        machine_.LeadershipChanged(true, leader_term_);
      }
      AnswerProposals(rest.first(n));
      rest = rest.subspan(n);
    }
  }
  commit_ = std::max(commit_, applied_);
  return true;
}

void Group::AnswerProposals(std::span<const Entry> entries) {
  while (!waiting_.empty() && waiting_.begin()->first <= entries.back().index) {
    auto [index, proposal] = *std::make_move_iterator(waiting_.begin());
    waiting_.erase(waiting_.begin());
    proposed_bytes_ -= proposal.bytes;
    if (entries[index - entries.front().index].term == proposal.term) {
      proposal.done(index);
    } else {
      proposal.done(Fail(Code::kNotLeader));  // another entry has its place for good
    }
  }
}

void Group::ApplyMembers(const Entry& entry) {
  MemberChange change;
  // Rule 3: what means nothing is ignored, by all replicas alike.
  if (!DecodeChange(BytesOf(entry.payload), &change) || !ApplyChange(change, &members_)) return;
  host_.engine_.ApplyChange(id_, entry.index, change);
  ++member_changes_;
  EndLease();  // a quorum of these members has not been asked
  if (change.kind == MemberChange::Kind::kRemove) senders_.erase(change.replica);
  machine_.MembersChanged(members_, change);
}

// ---- Snapshots of our own

void Group::MaybeSnapshot() {
  if (dead() || snapshotting_ || phase_ != Phase::kIdle || receiver_.complete()) return;
  if (applied_ <= snapshot_.index) {
    snapshot_wanted_ = false;
    return;
  }
  if (!snapshot_wanted_ && applied_ - snapshot_.index < host_.options_.snapshot_entries &&
      applied_bytes_ < host_.options_.snapshot_bytes) {
    return;
  }
  snapshotting_ = true;
  snapshot_wanted_ = false;
  applied_bytes_ = 0;
  machine_.TakeSnapshot([this, alive = host_.Watch(id_)](Result<SnapshotMeta> meta) {
    if (*alive) SnapshotTaken(std::move(meta));
  });
}

void Group::SnapshotTaken(Result<SnapshotMeta> taken) {
  snapshotting_ = false;
  if (dead()) return;
  if (!taken) {
    Log(LogLevel::kWarning, "a snapshot of the state could not be made: " + taken.error().ToString());
  } else {
    const SnapshotMeta& meta = *taken;
    snapshot_ = meta;
    host_.engine_.SnapshotMade(id_, meta);
    const Index keep = host_.options_.keep_entries;
    Index upto = meta.index > keep ? meta.index - keep : 0;
    // What follows a snapshot under way stays, or its receiver would need the next one at once, for ever.
    for (const auto& [replica, sender] : senders_) upto = std::min(upto, sender.index());
    LogStore& log = host_.log_;
    auto term = log.TermOf(id_, upto);
    if (upto > log.Info(id_)->base.index && term) {
      // If this fails the log only stays longer.
      if (log.Compact(id_, {.index = upto, .term = *term, .members = {}}).ok())
        host_.engine_.Compact(id_, upto);
    }
  }
  StepReceivedSnapshot();
  host_.Pump();
}

// ---- The end

// Rule 3: this leader has applied its own removal, which a leader before it proposed. Someone else must lead;
// the engine would go on for ever.
void Group::HandOver() {
  if (leads_) {
    leads_ = false;
    FailAll(Code::kTimedOut, "this replica was removed from its group");
    machine_.LeadershipChanged(false, engine_.hard.term);
  }
  const uint32_t patience = host_.options_.election_ticks;
  if (!was_leader_) {
    // The next leader may not know yet that the removal is committed, and need this replica's answers to see
    // it: with two voters there is nobody else. Afterwards it says nothing more.
    if (ticks_ - heard_at_ > 2 * patience) Remove();
    return;
  }
  heard_at_ = ticks_;
  if (handing_over_ > 2 * patience) return Remove();
  if (handing_over_ % patience == 0) {
    host_.engine_.TransferLeader(id_, members_.voters[handing_over_ / patience % members_.voters.size()]);
  }
  ++handing_over_;
}

void Group::Remove() {
  removed_ = true;
  host_.engine_.RemoveGroup(id_);
  senders_.clear();
  receiver_.Forget();
  FailAll(Code::kTimedOut, "this replica was removed from its group");
}

void Group::Stop(Status why) {
  Log(LogLevel::kError, "Raft group " + std::to_string(id_.value) + " has stopped: " + why.ToString());
  failure_ = std::move(why);
  if (was_leader_) SendBeats(false);
  host_.engine_.RemoveGroup(id_);
  senders_.clear();
  receiver_.Forget();
  const bool led = std::exchange(leads_, false);
  was_leader_ = false;
  engine_.leader = {};  // nobody is sent to it any more
  FailAll(Code::kTimedOut, "the group has stopped on this replica");
  if (led) machine_.LeadershipChanged(false, engine_.hard.term);
}

}  // namespace curvefs::raft
