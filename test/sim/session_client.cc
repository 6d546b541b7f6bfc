#include "test/sim/session_client.h"

#include <sys/stat.h>

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

metaserver::ReplicatedCopyset* SessionClient::Replica(size_t* machine) {
  const int leader = world_.leader(group_);
  *machine = leader >= 0 && world_.random().Percent(80) ? static_cast<size_t>(leader)
                                                        : world_.random().Below(world_.options().machines);
  if (!world_.replica(group_, *machine)) return nullptr;
  Machine* state = world_.state(group_, *machine);
  return state ? state->copyset() : nullptr;
}

void SessionClient::Next() {
  busy_ = false;
  if (!goes_on_) return;
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
  if (!copyset) return;
  copyset->ChangeOnce(
      {.session = request_.session, .sequence = request_.sequence, .acknowledged = request_.sequence},
      [request = request_](meta::Txn& txn) { return Evaluate(txn, request); },
      [this, request = request_](const Result<std::string>& answer) { OnAnswer(request, answer); });
  world_.Pump(machine);
}

void SessionClient::OnAnswer(const Request& request, const Result<std::string>& answer) {
  if (!request.Is(request_) || session_ == 0) return;  // of one that is settled
  const Code code = answer ? Code::kOk : answer.error().code();
  if (IsPassing(code)) return;
  const std::string which =
      "request " + std::to_string(request.sequence) + " of session " + std::to_string(request.session);
  if (code == Code::kFenced) {
    // Perhaps done, perhaps not; not after this.
    ++fenced_;
    session_ = 0;
    ++attempts_;
    world_.At(kMillisecond, [this] { Next(); });
    return;
  }
  if (answer_) {
    if (Text(*answer_) != Text(answer))
      world_.Fail(which + " has two answers: " + Text(*answer_) + " and " + Text(answer));
    return;
  }
  world_.Trace(which + ": " + Text(answer));
  answer_ = answer;
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
  const Time pause = world_.random().Percent(1) ? 3 * kSecond : 30 * kMillisecond;
  world_.At(world_.random().Between(100, pause), [this, request] {
    if (request.Is(request_) && session_ != 0) Next();
  });
}

}  // namespace curvefs::sim
