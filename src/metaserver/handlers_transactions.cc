#include "metaserver/handlers_transactions.h"

#include <algorithm>

#include "meta/lock_guard.h"
#include "meta/transaction.h"
#include "metaserver/handler_call.h"

namespace curvefs::metaserver::calls {
namespace {

constexpr int kMaxLeft = 1'000;  // of one ListTransactions

// ---- Reads

// Each partition once; requests speak of few.
class Here {
 public:
  explicit Here(const meta::Reader& reader) : reader_(reader) {}
  Status Check(PartitionId partition) {
    if (std::ranges::find(known_, partition) != known_.end()) return {};
    CURVEFS_CHECK_OK(meta::CheckHere(reader_.view(), reader_.fs().fs, partition));
    known_.push_back(partition);
    return {};
  }

 private:
  const meta::Reader& reader_;
  std::vector<PartitionId> known_;
};

Status Fetch(const meta::LockGuard& view, const meta::Reader& reader, const proto::GetRecordsRequest& in,
             proto::GetRecordsResponse* out) {
  Here here(reader);
  const FsId fs = reader.fs().fs;
  for (const std::string& key : in.key()) {
    CURVEFS_TRY(const PartitionId partition, meta::CheckReadable(fs, key));
    CURVEFS_CHECK_OK(here.Check(partition));
    auto* record = out->add_record();
    Status s = view.Get(key, record->mutable_value());
    if (!s.ok() && s.code() != Code::kNotFound) return s;
    record->set_found(s.ok());
  }
  if (in.begin().empty()) return {};
  CURVEFS_TRY(const PartitionId partition, meta::CheckReadable(fs, in.begin(), in.end()));
  CURVEFS_CHECK_OK(here.Check(partition));
  return view.Scan(in.begin(), in.end(), [&](std::string_view key, std::string_view value) {
    out->mutable_first()->set_key(key.data(), key.size());
    out->mutable_first()->set_value(value.data(), value.size());
    out->mutable_first()->set_found(true);
    return false;
  });
}

Status Fetching(const MetaTarget& target, const meta::Reader& reader, const proto::GetRecordsRequest& in,
                proto::GetRecordsResponse* out) {
  if (in.key_size() > static_cast<int>(meta::kMaxTransactionKeys))
    return {Code::kTooBig, "too many keys in one request"};
  CURVEFS_TRY(const meta::TransactionId id, TransactionIdOf(in.transaction()));
  const meta::LockGuard view(reader.view(), reader.fs(), target.copyset->now(), id);
  Status s = Fetch(view, reader, in, out);
  if (s.code() == Code::kLocked) target.copyset->NoteLockedBy(view.by());
  return s;
}

Status Listing(const MetaTarget& target, const meta::Reader& reader, const proto::ListTransactionsRequest& in,
               proto::ListTransactionsResponse* out) {
  const PartitionId partition(in.header().partition_id());
  CURVEFS_CHECK_OK(meta::CheckHere(reader.view(), reader.fs().fs, partition));
  const int64_t before = target.copyset->now().ns - int64_t{in.older_than_ms()} * 1'000'000;
  CURVEFS_CHECK_OK(
      meta::ForEachIntent(reader, partition, [&](const meta::TransactionId& id, const meta::Intent& intent) {
        if (intent.since.ns > before) return true;
        auto* left = out->add_intent();
        left->set_transaction(ToWire(id));
        left->set_coordinator(intent.coordinator.value);
        return out->intent_size() < kMaxLeft;
      }));
  return meta::ForEachDecision(
      reader, partition, [&](const meta::TransactionId& id, const meta::Decision& decision) {
        // What was given up is remembered for longer than anybody asks for it.
        if (decision.made.ns > before || (!decision.committed && target.copyset->now().ns - decision.made.ns <
                                                                     meta::kAbortedIsKept.count()))
          return true;
        auto* left = out->add_decision();
        left->set_transaction(ToWire(id));
        left->set_committed(decision.committed);
        for (const PartitionId p : decision.participants) left->add_participant(p.value);
        return out->decision_size() < kMaxLeft;
      });
}

// ---- Changes: they look after locks themselves.

template <typename Request, typename Response, typename F>
void RunOnTransaction(F f, const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto evaluate = [f, target](meta::Txn& txn, const Request& in, Response* out) -> Status {
    const PartitionId partition(in.header().partition_id());
    CURVEFS_TRY(const meta::TransactionId id, TransactionIdOf(in.transaction()));
    CURVEFS_CHECK_OK(meta::CheckHere(txn.view(), txn.fs().fs, partition));
    meta::LockedBy by;
    Status s = f(txn, partition, id, in, out, &by);
    if (s.code() == Code::kLocked) target.copyset->NoteLockedBy(by);
    return s;
  };
  RunChange<Request, Response>(evaluate, target, bytes, std::move(answer), Locks::kOwn);
}

}  // namespace

void GetRecords(const MetaTarget& target, std::string_view bytes, Answer answer) {
  AtLeader(&Fetching, target, bytes, std::move(answer), Locks::kOwn);
}
void ListTransactions(const MetaTarget& target, std::string_view bytes, Answer answer) {
  AtLeader(&Listing, target, bytes, std::move(answer), Locks::kOwn);
}

void PrepareTransaction(const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto prepare = [](meta::Txn& txn, PartitionId partition, const meta::TransactionId& id,
                    const proto::PrepareTransactionRequest& in, proto::PrepareTransactionResponse*,
                    meta::LockedBy* by) -> Status {
    CURVEFS_TRY(const meta::TransactionPart part, FromWire(in.part()));
    return meta::Prepare(txn, partition, id, PartitionId(in.coordinator()), part, by);
  };
  RunOnTransaction<proto::PrepareTransactionRequest, proto::PrepareTransactionResponse>(
      prepare, target, bytes, std::move(answer));
}

void CommitTransaction(const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto commit = [](meta::Txn& txn, PartitionId coordinator, const meta::TransactionId& id,
                   const proto::CommitTransactionRequest& in, proto::CommitTransactionResponse*,
                   meta::LockedBy* by) -> Status {
    CURVEFS_TRY(const meta::TransactionPart part, FromWire(in.part()));
    std::vector<PartitionId> participants;
    for (const uint32_t p : in.participant()) participants.emplace_back(p);
    return meta::Commit(txn, coordinator, id, part, std::move(participants), by);
  };
  RunOnTransaction<proto::CommitTransactionRequest, proto::CommitTransactionResponse>(commit, target, bytes,
                                                                                      std::move(answer));
}

void FinishTransaction(const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto finish = [](meta::Txn& txn, PartitionId partition, const meta::TransactionId& id,
                   const proto::FinishTransactionRequest& in, proto::FinishTransactionResponse*,
                   meta::LockedBy*) -> Status {
    txn.PassQuotas();  // it has happened already
    return meta::Finish(txn, partition, id, in.committed());
  };
  RunOnTransaction<proto::FinishTransactionRequest, proto::FinishTransactionResponse>(finish, target, bytes,
                                                                                      std::move(answer));
}

void ResolveTransaction(const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto resolve = [](meta::Txn& txn, PartitionId coordinator, const meta::TransactionId& id,
                    const proto::ResolveTransactionRequest&, proto::ResolveTransactionResponse* out,
                    meta::LockedBy*) -> Status {
    CURVEFS_TRY(const meta::Decision decision, meta::Resolve(txn, coordinator, id));
    out->set_committed(decision.committed);
    for (const PartitionId p : decision.participants) out->add_participant(p.value);
    return {};
  };
  RunOnTransaction<proto::ResolveTransactionRequest, proto::ResolveTransactionResponse>(
      resolve, target, bytes, std::move(answer));
}

void ForgetTransaction(const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto forget = [](meta::Txn& txn, PartitionId coordinator, const meta::TransactionId& id,
                   const proto::ForgetTransactionRequest&, proto::ForgetTransactionResponse*,
                   meta::LockedBy*) -> Status { return meta::Forget(txn, coordinator, id); };
  RunOnTransaction<proto::ForgetTransactionRequest, proto::ForgetTransactionResponse>(forget, target, bytes,
                                                                                      std::move(answer));
}

}  // namespace curvefs::metaserver::calls
