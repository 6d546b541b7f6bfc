// Requests of clients, each done once, and their sessions.
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "meta/keys.h"
#include "metaserver/replicated_copyset.h"
#include "metaserver/space.h"

namespace curvefs::metaserver {
namespace {

// Nothing has happened, and the same request may be sent again.
bool IsPassing(Code code) {
  switch (code) {
    case Code::kNotLeader:
    case Code::kUnavailable:
    case Code::kTimedOut:
    case Code::kIo:
    case Code::kCorrupt:
    case Code::kNoMemory:
    case Code::kInterrupted:
    case Code::kElsewhere:
    case Code::kLocked:
      return true;
    default:
      return false;
  }
}

constexpr size_t kUsageAtOnce = 50'000;                  // inodes counted in one go, some 50 ms
constexpr size_t kMaxMessage = 1 << 10;                  // of a failure that is remembered
constexpr Duration kAheadFor = std::chrono::seconds(3);  // a session that changes nothing is not for longer
// The part of a session's time in which its client must have found a new leader.
constexpr int kReclaimShare = 3;
// More than a client that is late can have been given.
constexpr uint64_t kIdsLeftOut = uint64_t{1} << 20;

}  // namespace

void ReplicatedCopyset::Once(FsId fs, const RequestId& id, Evaluation evaluation, Replied done) {
  if (!group_->leads()) return done(Fail(Code::kNotLeader));
  const EarlyAnswers::Verdict admitted = Admit(id.session, id.replay);
  if (admitted == EarlyAnswers::Verdict::kWait || admitted == EarlyAnswers::Verdict::kReclaim)
    return done(Fail(Unsettled()));
  Status why;
  switch (sessions_.Admit(id, clock_.Steady(), &done, &why)) {
    case SessionTable::Verdict::kNew:
      if (admitted == EarlyAnswers::Verdict::kTooLate)
        return done(Fail(Code::kFenced, "it was sent again too late to another leader"));
      if (id.early && !proposals_.empty() && early_.ShouldWait(id.session, proposals_.begin()->first)) {
        proposals_.rbegin()->second.emplace_back(
            [this, fs, id, evaluation = std::move(evaluation), done = std::move(done)](const Status&) {
              Once(fs, id, evaluation, done);
            });
        return;
      }
      return EvaluateOnce(fs, id, evaluation, std::move(done));
    case SessionTable::Verdict::kJoined:
      return;
    case SessionTable::Verdict::kRefused:
      return done(Fail(why));
    case SessionTable::Verdict::kRemembered: {
      // Committed for good, so it may be told whoever leads now.
      std::string value;
      Status s = store_->Get(meta::OutcomeKey(id.session, id.sequence), &value);
      if (!s.ok()) return done(Fail(s));
      auto outcome = meta::DecodeOutcome(value);
      if (!outcome) return done(Fail(outcome.error()));
      if (!outcome->status.ok()) return done(Fail(outcome->status));
      return done(std::move(outcome->reply));
    }
    case SessionTable::Verdict::kUnknown:
      break;
  }
  // Perhaps another replica leads, and has opened it.
  WhenSettled(
      [this, fs, id, evaluation = std::move(evaluation), done = std::move(done)](const Status& s) mutable {
        if (!s.ok()) return done(Fail(s.code() == Code::kTimedOut ? Status(Code::kNotLeader) : s));
        if (!sessions_.Hear(id.session, 0, clock_.Steady()))
          return done(Fail(Code::kFenced, "session " + std::to_string(id.session) + " is over"));
        Once(fs, id, std::move(evaluation), std::move(done));
      });
}

void ReplicatedCopyset::EvaluateOnce(FsId fs, const RequestId& id, const Evaluation& evaluation,
                                     Replied done) {
  const meta::LockGuard guard = GuardOf(*overlay_, fs);
  const bool kept = evaluation.locks == Locks::kKept;
  const Timestamp now = id.replay ? id.at : clock_.Wall();
  auto txn =
      std::make_unique<meta::Txn>(kept ? static_cast<const kv::View&>(guard) : *overlay_, ContextOf(fs), now);
  Result<std::string> result = evaluation.f(*txn);
  if (result && result->size() > kMaxReply) {
    result = Fail(Code::kTooBig, "a reply of " + std::to_string(result->size()) + " bytes");
  }
  if (!result && IsPassing(result.error().code())) {
    (void)MeetsAnother(result.error(), evaluation.locks, guard);
    return done(std::move(result));
  }
  if (result && !txn->empty()) {
    if (const uint64_t recall = RecallFor(id.session, *txn)) {
      return leases_.Await(recall, [this, fs, id, evaluation, done = std::move(done)]() mutable {
        Once(fs, id, evaluation, std::move(done));
      });
    }
  }
  const bool wanted = id.early && kept && group_->HoldLease();
  const bool may = wanted && early_.MayBeAhead(id.session);
  const bool mark = wanted && !may && !early_.marking(id.session);
  for (int attempt = 0;; ++attempt) {
    if (!result) txn = std::make_unique<meta::Txn>(*overlay_, ContextOf(fs), now);
    const bool marks = mark && meta::SetAhead(*txn, id.session, true).ok();
    meta::Outcome outcome;
    if (result) {
      outcome.reply = *result;
    } else {
      outcome.status = {result.error().code(), result.error().message().substr(0, kMaxMessage)};
    }
    uint64_t acknowledged = 0;
    const size_t bytes = outcome.reply.size() + outcome.status.message().size();
    for (uint64_t sequence : sessions_.Start(id, bytes, &acknowledged)) {
      txn->Del(meta::OutcomeKey(id.session, sequence));
    }
    outcome.acknowledged = acknowledged;
    txn->Set(meta::OutcomeKey(id.session, id.sequence), meta::EncodeOutcome(outcome));
    struct Waiting {
      Result<std::string> result;
      Replied done;
      bool early = false;
    };
    auto waiting = std::make_shared<Waiting>(result, done);
    auto settled = [this, id, acknowledged, marks, waiting](const Status& s) {
      if (marks) early_.Marked(id.session, s.ok(), clock_.Steady());
      if (waiting->early && !s.ok() && group_->leads()) early_.Failed(id.session, clock_.Steady());
      Result<std::string> reply = s.ok() ? std::move(waiting->result) : Fail(s);
      auto joined = s.ok() ? sessions_.Committed(id, acknowledged) : sessions_.Failed(id);
      for (Replied& other : joined) other(reply);
      if (!waiting->early) waiting->done(std::move(reply));
    };
    if (marks) early_.Marking(id.session);
    Status refused = Commit(*txn, kept ? &guard : nullptr, id.session, std::move(settled),
                            may && result ? &waiting->early : nullptr);
    if (refused.ok()) {
      if (!waiting->early) return;
      answering_ = Early{.order = last_proposal_, .at = now};
      done(std::move(result));
      answering_.reset();
      return;
    }
    if (marks) early_.Marked(id.session, false, clock_.Steady());
    (void)sessions_.Failed(id);  // nobody can have joined
    // What the change was refused for, a limit of space for one, is its outcome.
    if (attempt > 0 || !result || IsPassing(refused.code())) return done(Fail(refused));
    result = Fail(refused);
  }
}

// ---- Sessions

void ReplicatedCopyset::OpenSession(const std::string& owner, std::function<void(Result<uint64_t>)> done) {
  if (!group_->leads()) return done(Fail(Code::kNotLeader));
  if (sessions_.size() + opening_ >= kMaxSessions) {
    return done(Fail(Code::kUnavailable, "there are " + std::to_string(kMaxSessions) + " sessions"));
  }
  ++opening_;
  Change([&](meta::Txn& txn) { return meta::OpenSession(txn, owner); },
         [this, owner, done = std::move(done)](Result<uint64_t> session) {
           --opening_;
           if (session) sessions_.Opened(*session, owner, clock_.Steady());
           done(std::move(session));
         });
}

void ReplicatedCopyset::EndSession(uint64_t session, std::function<void(Status)> done) {
  if (!group_->leads()) return done(Code::kNotLeader);
  sessions_.SetEnding(session, true);
  Change([&](meta::Txn& txn) { return meta::EndSession(txn, session); },
         [this, session, done = std::move(done)](Status s) {
           if (s.ok()) {
             sessions_.Ended(session);
             locks_.Ended(session);
             links_.erase(session);
             leases_.Ended(session);
             early_.Ended(session);
           }
           if (!s.ok()) sessions_.SetEnding(session, false);
           done(s.code() == Code::kFenced ? Status() : s);
         });
}

void ReplicatedCopyset::Housekeep() {
  if (!group_->leads() || !early_.settled()) return;
  Unmark();
  for (uint64_t session : sessions_.Silent(clock_.Steady(), options_.session_timeout)) {
    EndSession(session, [session](const Status& s) {
      if (s.ok())
        Log(LogLevel::kInfo, "session " + std::to_string(session) + " was silent for too long: fenced");
    });
  }
  for (auto [session, acknowledged] : sessions_.Forgettable()) {
    Change([session, acknowledged](meta::Txn& txn) { return meta::Acknowledge(txn, session, acknowledged); },
           [this, session, acknowledged](const Status& s) {
             if (s.ok()) sessions_.Forgotten(session, acknowledged);
           });
  }
  CountUsage(kUsageAtOnce);
  ReclaimOrphans();
  DeleteFreed();
}

// ---- Early answers

// A session that is not marked holds up no new leader.
void ReplicatedCopyset::Unmark() {
  for (const uint64_t session :
       early_.Idle(clock_.Steady(), std::min(kAheadFor, options_.session_timeout / kReclaimShare))) {
    if (sessions_.Runs(session)) continue;
    early_.Unmark(session);
    Change([session](meta::Txn& txn) { return meta::SetAhead(txn, session, false); }, [](const Status&) {});
  }
}

// While this waits for clients that send again. For those that do not, the rest goes on: what they were given
// and nobody knows of, must not be given to others.
void ReplicatedCopyset::TickEarly() {
  if (!group_->leads()) return;
  if (early_.GiveUp(clock_.Steady(), options_.session_timeout / kReclaimShare)) {
    raising_ = false;
    Log(LogLevel::kWarning,
        dir_ + ": a client did not send again in time what the leader before had told it was done");
  }
  if (raising_ || !early_.barred()) return;
  std::map<FsId, std::vector<PartitionId>> partitions;
  CURVEFS_CHECK(ForEachPartition(*store_, [&](FsId fs, PartitionId partition) {
                  partitions[fs].push_back(partition);
                  return true;
                }).ok());
  auto left = std::make_shared<size_t>(partitions.size() + 2);
  raising_ = true;
  auto done = [this, left](const Status& s) {
    if (!s.ok()) raising_ = false;  // once more, if this leads yet
    if (--*left == 0 && raising_) {
      raising_ = false;
      early_.Unbar();
    }
  };
  {
    meta::Txn txn(*overlay_, fs_, clock_.Wall());
    for (const uint64_t session : early_.late()) (void)meta::SetAhead(txn, session, false);
    Status s = txn.empty() ? Status() : Commit(txn, nullptr, 0, done);
    if (!s.ok() || txn.empty()) done(s);
  }
  for (const auto& [fs, all] : partitions) {
    meta::Txn txn(*overlay_, ContextOf(fs), clock_.Wall());
    Status s;
    for (const PartitionId partition : all) {
      auto record = txn.GetPartition(partition);
      if (!record) s = record.error();
      if (!record) break;
      record->next_inode += kIdsLeftOut;
      record->next_chunk += kIdsLeftOut;
      txn.Set(meta::PartitionKey(fs, partition), meta::EncodePartition(*record));
    }
    if (s.ok()) s = Commit(txn, nullptr, 0, done);
    if (!s.ok()) done(s);
  }
  done({});
}

}  // namespace curvefs::metaserver
