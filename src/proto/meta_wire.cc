#include "proto/meta_wire.h"

#include <algorithm>

#include "base/bytes.h"

namespace curvefs {

proto::MetaStatusCode ToWire(Code code) {
  return static_cast<proto::MetaStatusCode>(code);
}

Code FromWire(proto::MetaStatusCode code) {
  return proto::MetaStatusCode_IsValid(code) ? static_cast<Code>(code) : Code::kIo;
}

Status StatusOf(const proto::ResponseHeader& header) {
  return {FromWire(header.status()), header.message()};
}

std::string EncodeFailure(const Status& status, uint64_t leader, const std::string& leader_address) {
  // Any response will do: the header is field 1 of all of them.
  proto::CloseSessionResponse response;
  proto::ResponseHeader& header = *response.mutable_header();
  header.set_status(ToWire(status.code()));
  header.set_message(status.message());
  if (status.code() == Code::kNotLeader) {
    header.mutable_leader()->set_replica_id(leader);
    header.mutable_leader()->set_address(leader_address);
  }
  return response.SerializeAsString();
}

std::string EncodeLocked(const Status& status, const meta::LockedBy& by) {
  proto::CloseSessionResponse response;
  proto::ResponseHeader& header = *response.mutable_header();
  header.set_status(ToWire(status.code()));
  header.set_message(status.message());
  header.mutable_locked_by()->set_transaction(ToWire(by.txn));
  header.mutable_locked_by()->set_coordinator(by.coordinator.value);
  header.mutable_locked_by()->set_partition(by.partition.value);
  header.mutable_locked_by()->set_age_ns(static_cast<uint64_t>(std::max<int64_t>(by.age.count(), 0)));
  return response.SerializeAsString();
}

std::string ToWire(const meta::TransactionId& id) {
  std::string bytes;
  PutBe(&bytes, id.high, 8);
  PutBe(&bytes, id.low, 8);
  return bytes;
}

Result<meta::TransactionId> TransactionIdOf(std::string_view bytes) {
  if (bytes.size() != 16) return Fail(Code::kInvalid, "a transaction's id has 16 bytes");
  return meta::TransactionId{GetBe(bytes.data(), 8), GetBe(bytes.data() + 8, 8)};
}

meta::LockedBy FromWire(const proto::LockedBy& by) {
  return {.txn = TransactionIdOf(by.transaction()).value_or(meta::TransactionId()),
          .coordinator = PartitionId(by.coordinator()),
          .partition = PartitionId(by.partition()),
          .age = Duration(static_cast<int64_t>(std::min<uint64_t>(by.age_ns(), INT64_MAX)))};
}

void ToWire(const meta::TransactionPart& part, proto::TransactionPart* out) {
  for (const meta::Expectation& e : part.expected) {
    auto* expected = out->add_expected();
    expected->set_key(e.key);
    expected->set_present(e.value.has_value());
    if (e.value) expected->set_value(*e.value);
  }
  for (const std::string& prefix : part.empty) out->add_empty(prefix);
  for (const std::string& key : part.locked) out->add_locked(key);
  out->set_writes(std::string(part.writes.encoded()));
}

Result<meta::TransactionPart> FromWire(const proto::TransactionPart& in) {
  meta::TransactionPart part;
  for (const auto& e : in.expected())
    part.expected.push_back({e.key(), e.present() ? std::optional(e.value()) : std::nullopt});
  part.empty.assign(in.empty().begin(), in.empty().end());
  part.locked.assign(in.locked().begin(), in.locked().end());
  if (auto verified = kv::WriteBatch::Verify(in.writes()); !verified)
    return Fail(Code::kInvalid, "writes of a transaction that are none: " + verified.error().message());
  kv::WriteBatch::ForEachTrusted(in.writes(),
                                 [&](kv::RecordType type, std::string_view key, std::string_view value) {
                                   if (type == kv::RecordType::kSet) {
                                     part.writes.Set(key, value);
                                   } else {
                                     part.writes.Del(key);
                                   }
                                 });
  return part;
}

void ToWire(FsId fs, const meta::Inode& inode, proto::Inode* out) {
  out->set_inode_id(inode.id.value);
  out->set_fs_id(fs.value);
  out->set_mode(inode.mode);
  out->set_uid(inode.uid);
  out->set_gid(inode.gid);
  out->set_nlink(inode.nlink);
  out->set_length(inode.length);
  out->set_atime_ns(inode.atime.ns);
  out->set_mtime_ns(inode.mtime.ns);
  out->set_ctime_ns(inode.ctime.ns);
  out->set_rdev(inode.rdev);
  out->set_parent(inode.parent.value);
  out->set_symlink(inode.symlink);
  out->set_version(inode.version);
  out->set_flags(inode.flags);
  out->set_bytes(inode.bytes);
}

meta::Inode FromWire(const proto::Inode& in) {
  meta::Inode inode;
  inode.id = InodeId(in.inode_id());
  inode.mode = in.mode();
  inode.uid = in.uid();
  inode.gid = in.gid();
  inode.nlink = in.nlink();
  inode.length = in.length();
  inode.atime = {in.atime_ns()};
  inode.mtime = {in.mtime_ns()};
  inode.ctime = {in.ctime_ns()};
  inode.rdev = in.rdev();
  inode.parent = InodeId(in.parent());
  inode.symlink = in.symlink();
  inode.version = in.version();
  inode.flags = in.flags();
  inode.bytes = in.bytes();
  return inode;
}

void ToWire(InodeId file, const meta::ChunkRecord& record, proto::S3ChunkInfo* out) {
  out->set_sequence(record.sequence);
  out->set_offset(record.offset);
  out->set_len(record.len);
  out->set_chunk_id(record.chunk_id.value);
  out->set_block(record.block);
  out->set_compaction(record.compaction);
  if (record.object_inode != file) out->set_object_inode(record.object_inode.value);
  out->set_object_offset(record.object_offset);
  out->set_size(record.object_size);
  out->set_digest(record.digest);
  out->set_inline_data(record.inline_data);
  out->set_inline_crc(record.inline_crc);
}

Result<meta::ChunkRecord> FromWire(InodeId file, const proto::S3ChunkInfo& in) {
  meta::ChunkRecord record;
  record.sequence = in.sequence();
  record.offset = in.offset();
  record.len = in.len();
  record.chunk_id = ChunkId(in.chunk_id());
  record.block = in.block();
  record.compaction = in.compaction();
  // As meta::DecodeChunk has it: only an object has an inode in its name.
  if (record.chunk_id) record.object_inode = in.object_inode() != 0 ? InodeId(in.object_inode()) : file;
  record.object_offset = in.object_offset();
  record.object_size = in.size();
  record.digest = in.digest();
  record.inline_data = in.inline_data();
  record.inline_crc = in.inline_crc();
  // What meta::DecodeChunk would refuse later must not get into the state.
  bool ok = record.len > 0 && record.offset + record.len > record.offset;
  if (record.in_object()) {
    ok = ok && !record.is_inline() && record.object_offset <= record.object_size &&
         record.len <= record.object_size - record.object_offset;
  } else {
    ok = ok && (!record.is_inline() || record.inline_data.size() == record.len);
  }
  if (!ok) return Fail(Code::kInvalid, "a chunk record that makes no sense");
  return record;
}

Result<std::vector<meta::ChunkRecord>> FromWire(
    InodeId file, const google::protobuf::RepeatedPtrField<proto::S3ChunkInfo>& in) {
  std::vector<meta::ChunkRecord> records;
  records.reserve(static_cast<size_t>(in.size()));
  for (const proto::S3ChunkInfo& info : in) {
    CURVEFS_TRY(records.emplace_back(), FromWire(file, info));
  }
  return records;
}

}  // namespace curvefs
