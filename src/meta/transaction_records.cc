// The records of transactions between partitions (src/proto/records.proto).
#include "base/bytes.h"
#include "base/protowire.h"
#include "meta/transaction.h"

namespace curvefs::meta {
namespace {

Status Malformed(const char* what) {
  return {Code::kCorrupt, std::string("malformed ") + what + " record of a transaction"};
}
PartitionId Partition(uint64_t v) {
  return PartitionId(static_cast<uint32_t>(v));
}

}  // namespace

std::string EncodeLock(const Lock& lock) {
  std::string out, id;
  PutBe(&id, lock.txn.high, 8);
  PutBe(&id, lock.txn.low, 8);
  ProtoWriter w(&out);
  w.Bytes(1, id);
  w.Varint(2, lock.coordinator.value);
  w.Fixed64(3, static_cast<uint64_t>(lock.since.ns));
  w.Varint(4, lock.writes);
  return out;
}

Result<Lock> DecodeLock(std::string_view value) {
  Lock lock;
  bool named = false;
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) {
      if (r.bytes().size() != 16) return Fail(Malformed("lock"));
      lock.txn = {GetBe(r.bytes().data(), 8), GetBe(r.bytes().data() + 8, 8)};
      named = true;
    }
    if (r.field() == 2) lock.coordinator = Partition(r.number());
    if (r.field() == 3) lock.since.ns = static_cast<int64_t>(r.number());
    if (r.field() == 4) lock.writes = r.number() != 0;
  }
  if (!r.ok() || !named) return Fail(Malformed("lock"));
  return lock;
}

std::string EncodeIntent(const Intent& intent) {
  std::string out;
  ProtoWriter w(&out);
  w.Varint(1, intent.coordinator.value);
  w.Fixed64(2, static_cast<uint64_t>(intent.since.ns));
  for (const std::string& key : intent.locked) w.Bytes(3, key);
  w.Bytes(4, intent.writes);
  return out;
}

Result<Intent> DecodeIntent(std::string_view value) {
  Intent intent;
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) intent.coordinator = Partition(r.number());
    if (r.field() == 2) intent.since.ns = static_cast<int64_t>(r.number());
    if (r.field() == 3) intent.locked.emplace_back(r.bytes());
    if (r.field() == 4) intent.writes = r.bytes();
  }
  if (!r.ok()) return Fail(Malformed("intent"));
  for (const std::string& key : intent.locked) {
    if (key.size() < kKeyHeader) return Fail(Malformed("intent"));
  }
  if (!kv::WriteBatch::Verify(intent.writes)) return Fail(Malformed("intent"));
  return intent;
}

std::string EncodeDecision(const Decision& decision) {
  std::string out, participants;
  for (PartitionId p : decision.participants) PutVarint(&participants, p.value);
  ProtoWriter w(&out);
  w.Varint(1, decision.committed);
  w.Fixed64(2, static_cast<uint64_t>(decision.made.ns));
  w.Bytes(3, participants);  // packed
  return out;
}

Result<Decision> DecodeDecision(std::string_view value) {
  Decision decision;
  bool ok = true;
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) decision.committed = r.number() != 0;
    if (r.field() == 2) decision.made.ns = static_cast<int64_t>(r.number());
    if (r.field() != 3) continue;
    const char *p = r.bytes().data(), *end = p + r.bytes().size();
    for (uint64_t v; ok && p < end;) {
      ok = GetVarint(&p, end, &v);
      decision.participants.push_back(Partition(v));
    }
  }
  if (!ok || !r.ok()) return Fail(Malformed("decision"));
  return decision;
}

}  // namespace curvefs::meta
