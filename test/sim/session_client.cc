#include "test/sim/session_client.h"

#include <sys/stat.h>

#include <algorithm>

#include "meta/ops/create.h"
#include "meta/ops/names.h"
#include "test/sim/copyset_machine.h"

namespace curvefs::sim {
namespace {

// The client does not know what became of it.
bool IsPassing(Code code) {
  return code == Code::kNotLeader || code == Code::kUnavailable || code == Code::kTimedOut;
}

std::string Text(const Result<std::string>& answer) {
  return answer ? "ok " + *answer : std::string(CodeName(answer.error().code()));
}

}  // namespace

metaserver::ReplicatedCopyset* SessionClient::StateAt(size_t machine) {
  if (!world_.replica(group_, machine)) return nullptr;
  Machine* state = world_.state(group_, machine);
  return state ? state->copyset() : nullptr;
}

metaserver::ReplicatedCopyset* SessionClient::Replica(size_t* machine) {
  const int leader = world_.leader(group_);
  *machine = leader >= 0 && world_.random().Percent(80) ? static_cast<size_t>(leader)
                                                        : world_.random().Below(world_.options().machines);
  return StateAt(*machine);
}

// Of one that leads: what is committed need not be kept; what another leader has answered is sent again.
void SessionClient::Learn(metaserver::ReplicatedCopyset& copyset, size_t machine) {
  const uint64_t committed = copyset.CommittedOrder(session_);
  std::erase_if(kept_, [&](const Kept& kept) {
    return kept.order == 0 || (kept.term == copyset.office() && kept.order <= committed);
  });
  const bool other =
      std::ranges::any_of(kept_, [&](const Kept& kept) { return kept.term != copyset.office(); });
  if (!other || reclaiming_) return;
  reclaiming_ = true;
  world_.At(1, [this, machine, round = ++rounds_] { Reclaim(machine, round, 0); });
}

void SessionClient::Fenced() {
  // What was answered early has perhaps been done, perhaps not; not after this.
  for (const Kept& kept : kept_) {
    if (kept.request.kind == Kind::kWrite) world_.history(group_)[kept.operation].end = Operation::kNever;
  }
  kept_.clear();
  ++fenced_;
  ++rounds_;
  reclaiming_ = false;
  session_ = 0;
  ++attempts_;
  world_.At(kMillisecond, [this] { Next(); });
}

// One after the other, to the leader that asked for it; any trouble ends it, until somebody asks again.
void SessionClient::Reclaim(size_t machine, uint64_t round, size_t next) {
  auto* copyset = StateAt(machine);
  if (round != rounds_ || session_ == 0) return;
  if (!copyset) {
    reclaiming_ = false;
    return;
  }
  world_.At(400 * kMillisecond, [this, round, next, before = replayed_] {
    if (round == rounds_ && reclaiming_ && before == replayed_) {
      ++rounds_;
      reclaiming_ = false;
    }
  });
  world_.Trace("client " + std::to_string(number_) + " sends again " + std::to_string(next) + " of " +
               std::to_string(kept_.size()) + " to " + std::to_string(machine));
  if (next == kept_.size()) {
    copyset->Read(
        FsId(1),
        [this, copyset, round](const meta::Reader&) -> Status {
          if (round != rounds_ || session_ == 0) return {};
          if (!copyset->KeepAlive(session_, 0)) return Code::kFenced;
          copyset->Reclaimed(session_);
          std::erase_if(kept_, [](const Kept& kept) { return kept.order == 0; });
          return {};
        },
        [this, round](const Status& s) {
          world_.Trace("client " + std::to_string(number_) + " has sent again: " + s.ToString());
          if (round == rounds_) reclaiming_ = false;
        },
        metaserver::Locks::kKept, {.session = session_, .first = true});
    world_.Pump(machine);
    return;
  }
  const Request request = kept_[next].request;
  auto at_leader = copyset;
  copyset->ChangeOnce(
      {.session = request.session,
       .sequence = request.sequence,
       .acknowledged = kept_.front().request.sequence,
       .early = true,
       .replay = true,
       .at = kept_[next].at},
      [this, request](meta::Txn& txn) {
        ++redone_;
        return Evaluate(txn, request);
      },
      [this, request, machine, round, next, at_leader](const Result<std::string>& answer) {
        if (round != rounds_ || session_ == 0) return;
        const Code code = answer ? Code::kOk : answer.error().code();
        if (IsPassing(code)) {
          reclaiming_ = false;
          return;
        }
        if (code == Code::kFenced) return Fenced();
        ++replayed_;
        Kept& kept = kept_[next];
        if (Text(kept.answer) != Text(answer))
          world_.Fail("request " + std::to_string(request.sequence) + " of session " +
                      std::to_string(request.session) + ", sent again, is answered " + Text(answer) +
                      " after " + Text(kept.answer));
        const auto* early = at_leader->answering();
        kept.term = at_leader->office();
        kept.order = early ? early->order : 0;  // 0: it is committed
        world_.At(1, [this, machine, round, next] { Reclaim(machine, round, next + 1); });
      });
  world_.Pump(machine);
}

// All that was answered becomes certain.
void SessionClient::Finish() {
  if (kept_.empty() || session_ == 0) {
    kept_.clear();
    busy_ = false;
    return;
  }
  size_t machine;
  if (auto* copyset = Replica(&machine); copyset && !reclaiming_) {
    copyset->Read(
        FsId(1),
        [this, copyset, machine](const meta::Reader&) -> Status {
          Learn(*copyset, machine);
          return {};
        },
        [this, copyset, machine](const Status& s) {
          if (s.code() != Code::kUnavailable || reclaiming_ || session_ == 0) return;
          if (!copyset->OwesAgain(session_)) return;
          reclaiming_ = true;
          world_.At(1, [this, machine, round = ++rounds_] { Reclaim(machine, round, 0); });
        },
        metaserver::Locks::kKept, {.session = session_});
    world_.Pump(machine);
  }
  world_.At(50 * kMillisecond, [this] { Finish(); });
}

void SessionClient::Next() {
  if (!goes_on_) return Finish();
  busy_ = false;
  if (world_.lull()) return world_.At(100 * kMillisecond, [this] { Next(); });
  busy_ = true;
  if (session_ == 0) return Open();
  Random& random = world_.random();
  request_ = {.kind = random.Percent(80)   ? Kind::kWrite
                      : random.Percent(50) ? Kind::kCreate
                                           : Kind::kRemove,
              .session = session_,
              .sequence = request_.sequence + 1,
              .key = random.Below(keys_),
              .value = world_.NewValue()};
  answer_.reset();
  if (request_.kind == Kind::kWrite) {
    auto& history = world_.history(group_);
    operation_ = history.size();
    history.push_back({.key = request_.key,
                       .write = true,
                       .value = request_.value,
                       .begin = world_.now(),
                       .id = operation_ + 1});
  }
  Again();
}

void SessionClient::Open() {
  size_t machine;
  const uint64_t attempt = ++attempts_;
  if (auto* copyset = Replica(&machine)) {
    copyset->OpenSession("client " + std::to_string(number_), [this, attempt](Result<uint64_t> session) {
      if (!session || attempt != attempts_ || session_ != 0) return;
      session_ = *session;
      request_ = {};
      world_.At(1, [this] { Next(); });
    });
    world_.Pump(machine);
  }
  world_.At(500 * kMillisecond, [this, attempt] {
    if (attempt != attempts_ || session_ != 0) return;
    if (goes_on_) return Open();
    busy_ = false;
  });
}

// The names that only this request makes show whether it was done before.
Result<std::string> SessionClient::Evaluate(meta::Txn& txn, const Request& request) {
  if (!txn.GetInode(kRootInode)) meta::MakeRoot(txn, 0755, 0, 0);
  const std::string mine = "once-" + std::to_string(request.session) + "-";
  meta::Inode made;
  switch (request.kind) {
    case Kind::kCreate: {
      CURVEFS_TRY(made,
                  meta::Create(txn, {.parent = kRootInode, .name = "contended", .mode = S_IFREG | 0644}));
      break;
    }
    case Kind::kRemove: {
      CURVEFS_TRY(made, meta::Unlink(txn, kRootInode, "contended"));
      break;
    }
    case Kind::kWrite: {
      CURVEFS_TRY(made, meta::Create(txn, {.parent = kRootInode,
                                           .name = mine + std::to_string(request.sequence),
                                           .mode = S_IFREG | 0644}));
      // They do not pile up: no copy of a request so old is on its way to any good.
      if (request.sequence > 3)
        (void)meta::Unlink(txn, kRootInode, mine + std::to_string(request.sequence - 3));
      CURVEFS_CHECK_OK(WriteRegister(txn, request.key, request.value, 20));
      break;
    }
  }
  CURVEFS_TRY(meta::PartitionRecord counters, txn.GetPartition(PartitionId(0)));
  // Another time it would be another reply.
  return std::to_string(made.id.value) + " " + std::to_string(counters.next_inode) + " " +
         std::to_string(txn.now().ns);
}

// Sends the request, and again if there is no answer in time.
void SessionClient::Again() {
  const uint64_t attempt = ++attempts_;
  Send();
  world_.At(world_.random().Between(20 * kMillisecond, 400 * kMillisecond), [this, attempt] {
    if (attempt != attempts_ || answer_) return;
    ++repeated_;
    Again();
  });
}

void SessionClient::Send() {
  size_t machine;
  auto* copyset = Replica(&machine);
  if (!copyset || reclaiming_) return;
  copyset->ChangeOnce(
      {.session = request_.session,
       .sequence = request_.sequence,
       .acknowledged = kept_.empty() ? request_.sequence : kept_.front().request.sequence,
       .early = takes_early_},
      [request = request_](meta::Txn& txn) { return Evaluate(txn, request); },
      [this, request = request_, copyset, machine](const Result<std::string>& answer) {
        OnAnswer(request, answer, *copyset, machine);
      });
  world_.Pump(machine);
}

void SessionClient::OnAnswer(const Request& request, const Result<std::string>& answer,
                             metaserver::ReplicatedCopyset& copyset, size_t machine) {
  if (!request.Is(request_) || session_ == 0) return;  // of one that is settled
  const Code code = answer ? Code::kOk : answer.error().code();
  if (code == Code::kUnavailable && copyset.OwesAgain(session_) && !reclaiming_) {
    reclaiming_ = true;
    world_.At(1, [this, machine, round = ++rounds_] { Reclaim(machine, round, 0); });
  }
  if (IsPassing(code)) return;
  const std::string which =
      "request " + std::to_string(request.sequence) + " of session " + std::to_string(request.session);
  if (code == Code::kFenced) return Fenced();
  Learn(copyset, machine);
  if (answer_) {
    if (Text(*answer_) != Text(answer))
      world_.Fail(which + " has two answers: " + Text(*answer_) + " and " + Text(answer));
    return;
  }
  world_.Trace(which + ": " + Text(answer));
  answer_ = answer;
  if (const auto* early = copyset.answering()) {
    ++early_;
    kept_.push_back({.request = request,
                     .answer = answer,
                     .operation = operation_,
                     .at = early->at,
                     .term = copyset.office(),
                     .order = early->order});
  }
  if (request.kind == Kind::kWrite) {
    if (!answer) return world_.Fail(which + " was done before: " + Text(answer));
    world_.history(group_)[operation_].end = world_.now();
    world_.Acknowledged();
  }
  // A copy that comes late, or an answer that the client did not get.
  if (world_.random().Percent(20)) {
    world_.At(world_.random().Below(20 * kMillisecond), [this, request] {
      if (request.Is(request_) && session_ != 0) Send();
    });
  }
  ++attempts_;
  // Now and then it sleeps so long that its session may be over.
  const Time pause = world_.random().Percent(1)                    ? 3 * kSecond
                     : takes_early_ && world_.random().Percent(80) ? kMillisecond
                                                                   : 30 * kMillisecond;
  world_.At(world_.random().Between(100, pause), [this, request] {
    if (request.Is(request_) && session_ != 0) Next();
  });
}

}  // namespace curvefs::sim
