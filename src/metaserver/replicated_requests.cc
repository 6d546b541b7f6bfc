// Requests of clients, each done once, and their sessions.
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "meta/keys.h"
#include "metaserver/replicated_copyset.h"

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

constexpr size_t kUsageAtOnce = 50'000;  // inodes counted in one go, some 50 ms
constexpr size_t kMaxMessage = 1 << 10;  // of a failure that is remembered

}  // namespace

void ReplicatedCopyset::Once(FsId fs, const RequestId& id, Evaluation evaluation, Replied done) {
  if (!group_->leads()) return done(Fail(Code::kNotLeader));
  Status why;
  switch (sessions_.Admit(id, clock_.Steady(), &done, &why)) {
    case SessionTable::Verdict::kNew:
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
  auto txn = std::make_unique<meta::Txn>(kept ? static_cast<const kv::View&>(guard) : *overlay_,
                                         ContextOf(fs), clock_.Wall());
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
  for (int attempt = 0;; ++attempt) {
    if (!result) txn = std::make_unique<meta::Txn>(*overlay_, ContextOf(fs), clock_.Wall());
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
    auto shared = std::make_shared<std::pair<Result<std::string>, Replied>>(result, done);
    auto settled = [this, id, acknowledged, shared](const Status& s) {
      Result<std::string> reply = s.ok() ? std::move(shared->first) : Fail(s);
      auto joined = s.ok() ? sessions_.Committed(id, acknowledged) : sessions_.Failed(id);
      for (Replied& other : joined) other(reply);
      shared->second(std::move(reply));
    };
    Status refused = Commit(*txn, kept ? &guard : nullptr, id.session, std::move(settled));
    if (refused.ok()) return;
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
           }
           if (!s.ok()) sessions_.SetEnding(session, false);
           done(s.code() == Code::kFenced ? Status() : s);
         });
}

void ReplicatedCopyset::Housekeep() {
  if (!group_->leads()) return;
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

}  // namespace curvefs::metaserver
