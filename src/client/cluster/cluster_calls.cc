#include "client/cluster/cluster_calls.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/bytes.h"
#include "client/cluster/pause.h"
#include "client/served_caller.h"

namespace curvefs::client {

using proto::MetaCall;

namespace {

constexpr Duration kShortPause = std::chrono::milliseconds(2);
constexpr Duration kLongPause = std::chrono::milliseconds(100);
constexpr int kWorthALook = 8;  // rounds, until whether the caller still lives matters

PartitionId PartitionOfKey(std::string_view key) {
  return PartitionId(static_cast<uint32_t>(GetBe(key.data() + 4, 3)));
}

template <typename Request>
Request Of(PartitionId partition, const meta::TransactionId& id) {
  Request request;
  request.mutable_header()->set_partition_id(partition.value);
  request.set_transaction(ToWire(id));
  return request;
}

// A change at the partition that the request names.
template <typename Response, typename Request>
Result<Response> Change(const ClusterCalls::Find& find, MetaCall call, Request request,
                        meta::LockedBy* by = nullptr) {
  CURVEFS_TRY(const auto copyset, find(PartitionId(request.header().partition_id())));
  return copyset->Change<Response>(call, std::move(request), Duration(), by);
}

template <typename Response>
Status StatusOnly(const Result<Response>& response) {
  return response ? Status() : response.error();
}

}  // namespace

Status ClusterCalls::Get(const meta::TransactionId& id, std::string_view key, std::string* value,
                         meta::LockedBy* by) {
  CURVEFS_TRY(const auto copyset, find_(PartitionOfKey(key)));
  proto::GetRecordsRequest request;
  request.set_transaction(ToWire(id));
  request.add_key(key.data(), key.size());
  CURVEFS_TRY(auto response,
              copyset->Read<proto::GetRecordsResponse>(MetaCall::kGetRecords, std::move(request), by));
  if (response.record_size() != 1) return {Code::kIo, "an answer with other records than were asked for"};
  if (!response.record(0).found()) return Code::kNotFound;
  *value = std::move(*response.mutable_record(0)->mutable_value());
  return {};
}

Result<std::optional<ClusterCalls::KeyValue>> ClusterCalls::First(const meta::TransactionId& id,
                                                                  std::string_view begin,
                                                                  std::string_view end, meta::LockedBy* by) {
  CURVEFS_TRY(const auto copyset, find_(PartitionOfKey(begin)));
  proto::GetRecordsRequest request;
  request.set_transaction(ToWire(id));
  request.set_begin(std::string(begin));
  request.set_end(std::string(end));
  CURVEFS_TRY(auto response,
              copyset->Read<proto::GetRecordsResponse>(MetaCall::kGetRecords, std::move(request), by));
  if (!response.first().found()) return std::optional<KeyValue>();
  return KeyValue{std::move(*response.mutable_first()->mutable_key()),
                  std::move(*response.mutable_first()->mutable_value())};
}

Status ClusterCalls::Prepare(PartitionId partition, const meta::TransactionId& id, PartitionId coordinator,
                             const meta::TransactionPart& part, meta::LockedBy* by) {
  auto request = Of<proto::PrepareTransactionRequest>(partition, id);
  request.set_coordinator(coordinator.value);
  ToWire(part, request.mutable_part());
  return StatusOnly(Change<proto::PrepareTransactionResponse>(find_, MetaCall::kPrepareTransaction,
                                                              std::move(request), by));
}

Status ClusterCalls::Commit(PartitionId coordinator, const meta::TransactionId& id,
                            const meta::TransactionPart& part, const std::vector<PartitionId>& participants,
                            meta::LockedBy* by) {
  auto request = Of<proto::CommitTransactionRequest>(coordinator, id);
  ToWire(part, request.mutable_part());
  for (const PartitionId p : participants) request.add_participant(p.value);
  return StatusOnly(
      Change<proto::CommitTransactionResponse>(find_, MetaCall::kCommitTransaction, std::move(request), by));
}

Status ClusterCalls::Finish(PartitionId partition, const meta::TransactionId& id, bool committed) {
  auto request = Of<proto::FinishTransactionRequest>(partition, id);
  request.set_committed(committed);
  return StatusOnly(
      Change<proto::FinishTransactionResponse>(find_, MetaCall::kFinishTransaction, std::move(request)));
}

Result<meta::Decision> ClusterCalls::Resolve(PartitionId coordinator, const meta::TransactionId& id) {
  settled_.fetch_add(1, std::memory_order_relaxed);
  CURVEFS_TRY(const auto response, Change<proto::ResolveTransactionResponse>(
                                       find_, MetaCall::kResolveTransaction,
                                       Of<proto::ResolveTransactionRequest>(coordinator, id)));
  meta::Decision decision{.committed = response.committed(), .made = {}, .participants = {}};
  for (const uint32_t p : response.participant()) decision.participants.emplace_back(p);
  return decision;
}

Status ClusterCalls::Forget(PartitionId coordinator, const meta::TransactionId& id) {
  return StatusOnly(Change<proto::ForgetTransactionResponse>(
      find_, MetaCall::kForgetTransaction, Of<proto::ForgetTransactionRequest>(coordinator, id)));
}

meta::TransactionId ClusterCalls::NewId() {
  std::random_device random;
  auto word = [&] { return uint64_t{random()} << 32 | random(); };
  const uint64_t high = word();
  return {high, word()};
}

void ClusterCalls::Pause(int round) {
  thread_local std::minstd_rand random{std::random_device()()};
  const Duration most = std::min<Duration>(kShortPause * (1 << std::min(round, 10)), kLongPause);
  PauseFor(most / 2 + most * (random() % 512) / 1024);
}

Status ClusterCalls::WhenLocked(const meta::LockedBy& by, int round) {
  waits_.fetch_add(1, std::memory_order_relaxed);
  if (stopped_ || (round >= kWorthALook && CallerWasKilled()))
    return {Code::kInterrupted, "nobody waits for the transaction any more that is in the way"};
  Status s = meta::WaitForLock(*this, by, round);
  if (s.code() != Code::kNotPermitted) return s;
  Pause(round);  // who may only read leaves it to others
  return {};
}

Result<size_t> ClusterCalls::FinishLeft(PartitionId partition, Duration older_than) {
  CURVEFS_TRY(const auto copyset, find_(partition));
  proto::ListTransactionsRequest request;
  request.mutable_header()->set_partition_id(partition.value);
  request.set_older_than_ms(
      static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(older_than).count()));
  CURVEFS_TRY(const auto left, copyset->Read<proto::ListTransactionsResponse>(MetaCall::kListTransactions,
                                                                              std::move(request)));
  for (const auto& intent : left.intent()) {
    CURVEFS_TRY(const meta::TransactionId id, TransactionIdOf(intent.transaction()));
    CURVEFS_TRY(const meta::Decision decision, Resolve(PartitionId(intent.coordinator()), id));
    CURVEFS_CHECK_OK(Finish(partition, id, decision.committed));
  }
  for (const auto& decision : left.decision()) {
    CURVEFS_TRY(const meta::TransactionId id, TransactionIdOf(decision.transaction()));
    for (const uint32_t p : decision.participant())
      CURVEFS_CHECK_OK(Finish(PartitionId(p), id, decision.committed()));
    CURVEFS_CHECK_OK(Forget(partition, id));
  }
  return static_cast<size_t>(left.intent_size() + left.decision_size());
}

}  // namespace curvefs::client
