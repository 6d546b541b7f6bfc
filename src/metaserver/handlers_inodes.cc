#include "metaserver/handlers_inodes.h"

#include <algorithm>

#include "meta/ops/attributes.h"
#include "meta/ops/content.h"
#include "meta/ops/create.h"
#include "proto/meta_wire.h"

namespace curvefs::metaserver::calls {
namespace {

constexpr uint32_t kMaxCloneRecords = 4096;
constexpr int kMaxInodes = 1'000;  // of one GetInodes
constexpr uint32_t kMaxNewChunks = 1'000'000;
constexpr int kMaxTouched = 2'000;  // of one TouchInodes
constexpr int kMaxFiles = 10'000;   // of one AppendChunks or ReplaceChunks
constexpr int kMaxChunks = 10'000;  // of one file in it

uint32_t AtMost(uint32_t asked, uint32_t limit) {
  return asked == 0 ? limit : std::min(asked, limit);
}

Result<std::vector<meta::ChunkRecord>> Chunks(
    InodeId file, const google::protobuf::RepeatedPtrField<proto::S3ChunkInfo>& in) {
  if (in.size() > kMaxChunks) return Fail(Code::kTooBig, "too many chunk records in one request");
  return FromWire(file, in);
}

}  // namespace

Status GetInode(const Reader& reader, const proto::GetInodeRequest& in, proto::GetInodeResponse* out) {
  CURVEFS_TRY(const meta::Inode inode, reader.GetInode(InodeId(in.inode_id())));
  ToWire(reader.fs().fs, inode, out->mutable_inode());
  return {};
}

Status GetInodes(const Reader& reader, const proto::GetInodesRequest& in, proto::GetInodesResponse* out) {
  if (in.inode_id_size() > kMaxInodes) return {Code::kTooBig, "too many inodes in one request"};
  for (const uint64_t id : in.inode_id()) {
    proto::Inode* answer = out->add_inode();
    auto inode = reader.GetInode(InodeId(id));
    if (inode) ToWire(reader.fs().fs, *inode, answer);
    if (!inode && inode.error().code() != Code::kNotFound && inode.error().code() != Code::kElsewhere)
      return inode.error();
  }
  return {};
}

Status CreateInode(Txn& txn, const proto::CreateInodeRequest& in, proto::CreateInodeResponse* out) {
  if (in.reserve()) {
    CURVEFS_TRY(const meta::Inode inode,
                meta::ReserveInode(txn, PartitionId(in.header().partition_id()), in.mode()));
    ToWire(txn.fs().fs, inode, out->mutable_inode());
    return {};
  }
  if (S_ISDIR(in.mode())) {
    // Its parent's link count, and its own way up, would not hold without a name.
    return {Code::kNotSupported, "a directory is made together with its name: Create"};
  }
  CURVEFS_TRY(const meta::Inode inode, meta::CreateUnnamed(txn, {.parent = InodeId(in.parent_inode_id()),
                                                                 .mode = in.mode(),
                                                                 .uid = in.uid(),
                                                                 .gid = in.gid(),
                                                                 .umask = in.umask(),
                                                                 .rdev = in.rdev(),
                                                                 .symlink = in.symlink()}));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status UpdateInode(Txn& txn, const proto::UpdateInodeRequest& in, proto::UpdateInodeResponse* out) {
  meta::SetAttrRequest request{.inode = InodeId(in.inode_id()),
                               .kill_suid_gid = in.kill_suid_gid(),
                               .caller_in_group = !in.caller_not_in_group(),
                               .touch_atime = in.touch_atime()};
  if (in.has_mode()) request.mode = in.mode();
  if (in.has_uid()) request.uid = in.uid();
  if (in.has_gid()) request.gid = in.gid();
  if (in.has_length()) request.size = in.length();
  if (in.has_atime_ns()) request.atime = Timestamp{in.atime_ns()};
  if (in.has_mtime_ns()) request.mtime = Timestamp{in.mtime_ns()};
  if (in.has_ctime_ns()) request.ctime = Timestamp{in.ctime_ns()};
  CURVEFS_TRY(const meta::Inode inode, meta::SetAttributes(txn, request));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status TouchInodes(Txn& txn, const proto::TouchInodesRequest& in, proto::TouchInodesResponse*) {
  if (in.touched_size() > kMaxTouched) return {Code::kTooBig, "too many inodes in one request"};
  for (const auto& touched : in.touched())
    CURVEFS_CHECK_OK(meta::Touch(txn, InodeId(touched.inode_id()), Timestamp{touched.atime_ns()}));
  return {};
}

Status SetXattr(Txn& txn, const proto::SetXattrRequest& in, proto::SetXattrResponse* out) {
  CURVEFS_TRY(const meta::Inode inode, meta::SetXattr(txn, {.inode = InodeId(in.inode_id()),
                                                            .name = in.name(),
                                                            .value = in.value(),
                                                            .create = in.create(),
                                                            .replace = in.replace(),
                                                            .kill_sgid = in.kill_sgid()}));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status RemoveXattr(Txn& txn, const proto::RemoveXattrRequest& in, proto::RemoveXattrResponse* out) {
  CURVEFS_TRY(const meta::Inode inode, meta::RemoveXattr(txn, InodeId(in.inode_id()), in.name()));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status GetXattr(const Reader& reader, const proto::GetXattrRequest& in, proto::GetXattrResponse* out) {
  CURVEFS_TRY(*out->mutable_value(), meta::GetXattr(reader, InodeId(in.inode_id()), in.name()));
  return {};
}

Status ListXattr(const Reader& reader, const proto::ListXattrRequest& in, proto::ListXattrResponse* out) {
  CURVEFS_TRY(*out->mutable_names(), meta::ListXattrs(reader, InodeId(in.inode_id())));
  return {};
}

Status ListChunks(const Reader& reader, const proto::ListChunksRequest& in, proto::ListChunksResponse* out) {
  const InodeId file(in.inode_id());
  CURVEFS_TRY(const auto records, meta::RecordsInRange(reader, file, in.offset(), in.len()));
  for (const meta::ChunkRecord& record : records) ToWire(file, record, out->add_chunk());
  return {};
}

Status AppendChunks(Txn& txn, const proto::AppendChunksRequest& in, proto::AppendChunksResponse* out) {
  if (in.file_size() > kMaxFiles) return {Code::kTooBig, "too many files in one request"};
  std::vector<meta::AppendRequest> requests;
  for (const auto& file : in.file()) {
    const InodeId inode(file.inode_id());
    CURVEFS_TRY(auto records, Chunks(inode, file.chunk()));
    std::optional<Timestamp> written;
    if (file.has_written_ns()) written = Timestamp{file.written_ns()};
    requests.push_back({.inode = inode, .records = std::move(records), .written = written});
  }
  CURVEFS_TRY(const auto replies, meta::AppendChunks(txn, requests));
  for (const auto& reply : replies) {
    auto* file = out->add_file();
    if (!reply) {
      file->set_status(ToWire(reply.error().code()));
      continue;
    }
    ToWire(txn.fs().fs, reply->inode, file->mutable_inode());
    for (const meta::ChunkState& state : reply->chunks) {
      auto* chunk = file->add_chunk();
      chunk->set_chunk_index(state.chunk_index);
      chunk->set_records(state.records);
      chunk->set_live_bytes(state.live_bytes);
      chunk->set_inline_bytes(state.inline_bytes);
    }
  }
  return {};
}

Status ReplaceChunks(Txn& txn, const proto::ReplaceChunksRequest& in, proto::ReplaceChunksResponse* out) {
  if (in.file_size() > kMaxFiles) return {Code::kTooBig, "too many files in one request"};
  std::vector<meta::ReplaceRequest> requests;
  for (const auto& file : in.file()) {
    const InodeId inode(file.inode_id());
    CURVEFS_TRY(auto before, Chunks(inode, file.before()));
    CURVEFS_TRY(auto after, Chunks(inode, file.after()));
    requests.push_back({.inode = inode, .before = std::move(before), .after = std::move(after)});
  }
  CURVEFS_TRY(const auto statuses, meta::ReplaceChunks(txn, requests));
  for (const Status& status : statuses) out->add_status(ToWire(status.code()));
  return {};
}

Status ZeroRange(Txn& txn, const proto::ZeroRangeRequest& in, proto::ZeroRangeResponse* out) {
  CURVEFS_TRY(const meta::Inode inode,
              meta::ZeroRange(txn, InodeId(in.inode_id()), in.offset(), in.len(), in.kill_suid_gid()));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status Allocate(Txn& txn, const proto::AllocateRequest& in, proto::AllocateResponse* out) {
  CURVEFS_TRY(const meta::Inode inode,
              meta::Allocate(txn, InodeId(in.inode_id()), in.end(), in.extend(), in.kill_suid_gid()));
  ToWire(txn.fs().fs, inode, out->mutable_inode());
  return {};
}

Status CloneRange(Txn& txn, const proto::CloneRangeRequest& in, proto::CloneRangeResponse* out) {
  CURVEFS_TRY(const meta::CloneReply reply,
              meta::CloneRange(txn, {.from = InodeId(in.from_inode_id()),
                                     .from_offset = in.from_offset(),
                                     .to = InodeId(in.to_inode_id()),
                                     .to_offset = in.to_offset(),
                                     .len = in.len(),
                                     .max_records = AtMost(in.max_records(), kMaxCloneRecords),
                                     .kill_suid_gid = in.kill_suid_gid()}));
  out->set_bytes(reply.bytes);
  ToWire(txn.fs().fs, reply.to, out->mutable_to());
  return {};
}

Status NewChunks(Txn& txn, const proto::NewChunksRequest& in, proto::NewChunksResponse* out) {
  if (in.count() == 0 || in.count() > kMaxNewChunks)
    return {Code::kInvalid, "NewChunks hands out 1 to " + std::to_string(kMaxNewChunks) + " ids"};
  CURVEFS_TRY(const ChunkId first, txn.NewChunks(PartitionId(in.header().partition_id()), in.count()));
  out->set_chunk_id(first.value);
  return {};
}

Status GetUsage(const Reader& reader, const proto::GetUsageRequest& in, proto::GetUsageResponse* out) {
  CURVEFS_TRY(const meta::PartitionRecord counters,
              reader.GetPartition(PartitionId(in.header().partition_id())));
  out->set_inodes(counters.inodes);
  out->set_bytes(counters.bytes);
  return {};
}

}  // namespace curvefs::metaserver::calls
