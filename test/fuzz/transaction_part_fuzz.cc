// Parts of transactions as clients send them: what is taken prepares and finishes without a trace.
#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "meta/transaction.h"
#include "proto/meta_wire.h"

using namespace curvefs;

namespace {

struct Nothing final : kv::View {
  Status Get(std::string_view, std::string*) const override { return Code::kNotFound; }
  Status Scan(std::string_view, std::string_view, const Visitor&) const override { return {}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  proto::TransactionPart wire;
  if (!wire.ParseFromArray(data, static_cast<int>(size))) return 0;
  auto part = FromWire(wire);
  if (!part) return 0;
  const meta::FsContext fs{.fs = FsId(2)};
  const Nothing nothing;
  for (const PartitionId partition : {PartitionId(0), PartitionId(3)}) {
    meta::Txn txn(nothing, fs, Timestamp{1});
    meta::LockedBy by;
    const meta::TransactionId id{1, 2};
    if (!meta::Prepare(txn, partition, id, PartitionId(0), *part, &by).ok()) continue;
    CURVEFS_CHECK(meta::Prepare(txn, partition, id, PartitionId(0), *part, &by).ok());
    CURVEFS_CHECK(meta::Finish(txn, partition, id, false).ok());
    size_t left = 0;
    kv::WriteBatch::ForEachTrusted(
        txn.ToBatch().encoded(),
        [&](kv::RecordType type, std::string_view, std::string_view) { left += type == kv::RecordType::kSet; });
    CURVEFS_CHECK(left == 0);
  }
  return 0;
}
