// File systems, their mounts, and the ids of chunks.
#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "mds/operations.h"

namespace curvefs::mds {
namespace {

Status CheckName(const std::string& name) {
  if (name.empty() || name.size() > kMaxFsName)
    return {Code::kInvalid, "the name of a file system has 1 to 255 bytes"};
  if (name == "." || name == "..") return {Code::kInvalid, "'" + name + "' is no name for a file system"};
  for (char c : name) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_' || c == '.';
    if (!ok) return {Code::kInvalid, "the name of a file system is of letters, digits, '-', '_' and '.'"};
  }
  return {};
}

// With what answers show besides the record.
void Fill(const State& state, const proto::FsInfo& fs, proto::FsInfo* out) {
  *out = fs;
  state.ForEach<proto::Mountpoint>(MountPrefix(fs.fs_id()),
                                   [&](const auto& mount) { *out->add_mountpoints() = mount; });
  out->set_mount_num(static_cast<uint32_t>(out->mountpoints_size()));
}

Result<const proto::FsInfo*> Named(const State& state, const std::string& name) {
  const proto::FsInfo* fs = FindFs(state, name);
  if (fs == nullptr) return Fail(Code::kNotFound, "there is no file system '" + name + "'");
  return fs;
}

}  // namespace

std::string NewUuid(Volatile& v) {
  char text[37];
  const uint64_t a = v.random(), b = v.random();
  // Version 4, variant 1 (RFC 4122).
  std::snprintf(text, sizeof text, "%08x-%04x-4%03x-%04x-%012llx", static_cast<uint32_t>(a >> 32),
                static_cast<uint32_t>(a >> 16 & 0xffff), static_cast<uint32_t>(a & 0xfff),
                static_cast<uint32_t>(0x8000 | (b >> 48 & 0x3fff)),
                static_cast<unsigned long long>(b & 0xffffffffffff));
  return text;
}

const proto::FsInfo* FindFs(const State& state, const std::string& name) {
  for (const auto& [key, fs] : state.All<proto::FsInfo>()) {
    if (fs.fs_name() == name && fs.state() != proto::FS_DELETING) return &fs;
  }
  return nullptr;
}

Status CreateFs(Draft& draft, Volatile& v, const proto::CreateFsRequest& request,
                proto::CreateFsResponse* response) {
  CURVEFS_CHECK_OK(CheckName(request.fs_name()));
  if (request.storage_case() == proto::CreateFsRequest::STORAGE_NOT_SET)
    return {Code::kInvalid, "where its data lie must be said: in S3, in a directory, or on a volume"};
  if (request.has_volume())
    return {Code::kNotSupported, "volumes are not served yet; S3 and directories are"};
  if ((request.block_size() != 0 && request.block_size() != kBlockSize) ||
      (request.chunk_size() != 0 && request.chunk_size() != kChunkSize))
    return {Code::kNotSupported, "blocks are 4 MiB and chunks 64 MiB"};
  if (const proto::FsInfo* fs = FindFs(draft.state(), request.fs_name())) {
    if (request.uuid().empty() || fs->uuid() != request.uuid())
      return {Code::kExists, "there is a file system '" + request.fs_name() + "'"};
    Fill(draft.state(), *fs, response->mutable_fs());
    return {};
  }
  proto::FsInfo fs;
  fs.set_fs_id(static_cast<uint32_t>(draft.NextIds(kFsIds)));
  fs.set_fs_name(request.fs_name());
  fs.set_root_inode_id(kRootInode.value);
  fs.set_capacity(request.capacity());
  fs.set_inodes(request.inodes());
  fs.set_block_size(kBlockSize);
  fs.set_chunk_size(kChunkSize);
  if (request.has_s3()) *fs.mutable_s3() = request.s3();
  if (request.storage_case() == proto::CreateFsRequest::kDirectory) fs.set_directory(request.directory());
  fs.set_uuid(request.uuid().empty() ? NewUuid(v) : request.uuid());
  fs.set_state(proto::FS_NEW);
  fs.set_require_token(request.require_token());
  draft.Put(fs);
  CURVEFS_CHECK_OK(EnsurePartitions(draft, v, fs.fs_id(),
                                    request.partitions() != 0 ? request.partitions() : kFirstPartitions,
                                    [](const proto::Partition&) {}));
  *response->mutable_fs() = std::move(fs);
  return {};
}

Status FsIsReady(Draft& draft, uint32_t id) {
  const proto::FsInfo* fs = draft.state().Find<proto::FsInfo>(FsKey(id));
  if (fs == nullptr) return Code::kNotFound;
  if (fs->state() != proto::FS_NEW) return Code::kInvalid;
  proto::FsInfo ready = *fs;
  ready.set_state(proto::FS_INITED);
  draft.Put(std::move(ready));
  return {};
}

Status PartitionsAreKnown(Draft& draft, uint32_t id, const std::vector<uint32_t>& partitions) {
  std::vector<proto::Partition> known;
  size_t missing = 0;
  draft.state().ForEach<proto::Partition>(PartitionPrefix(id), [&](const proto::Partition& partition) {
    if (partition.formatted()) return;
    if (std::ranges::find(partitions, partition.partition_id()) == partitions.end()) {
      ++missing;
      return;
    }
    known.push_back(partition);
    known.back().set_formatted(true);
  });
  for (proto::Partition& partition : known) draft.Put(std::move(partition));
  const proto::FsInfo* fs = draft.state().Find<proto::FsInfo>(FsKey(id));
  if (fs == nullptr) return Code::kNotFound;
  return missing == 0 && fs->state() == proto::FS_NEW ? FsIsReady(draft, id) : Status();
}

Status MountFs(Draft& draft, Volatile& v, const proto::MountFsRequest& request,
               proto::MountFsResponse* response) {
  CURVEFS_TRY(const proto::FsInfo* fs, Named(draft.state(), request.fs_name()));
  if (request.host().empty() || request.mount_dir().empty() || request.client_uuid().empty() ||
      request.host().size() + request.mount_dir().size() + request.client_uuid().size() > kMaxText)
    return {Code::kInvalid, "a mount has a host, a directory, and a uuid of its client"};
  if (fs->state() != proto::FS_INITED)
    return {Code::kBusy, "the file system '" + request.fs_name() + "' is still being made; try again"};
  CURVEFS_TRY(const proto::FsToken* token, CheckToken(draft.state(), *fs, request.token(), v.now_s()));
  response->set_read_only(token != nullptr && token->read_only());
  if (token != nullptr) response->set_subdir(token->subdir());
  const uint32_t token_id = token == nullptr ? 0 : token->token_id();
  const proto::Mountpoint* there = nullptr;
  draft.state().ForEach<proto::Mountpoint>(MountPrefix(fs->fs_id()), [&](const proto::Mountpoint& m) {
    if (m.host() == request.host() && m.mount_dir() == request.mount_dir()) there = &m;
  });
  response->set_session_time_ms(v.session_time_ms);
  if (there != nullptr) {
    if (there->client_uuid() != request.client_uuid()) {
      return {Code::kExists, "'" + request.fs_name() + "' is mounted at " + request.host() + ":" +
                                 request.mount_dir() +
                                 " already; if that one died, its session ends by itself"};
    }
    response->set_session_id(there->session_id());
    Fill(draft.state(), *fs, response->mutable_fs());
    return {};
  }
  proto::Mountpoint mount;
  mount.set_fs_id(fs->fs_id());
  mount.set_session_id(draft.NextIds(kSessionIds));
  mount.set_host(request.host());
  mount.set_mount_dir(request.mount_dir());
  mount.set_client_uuid(request.client_uuid());
  mount.set_token_id(token_id);
  response->set_session_id(mount.session_id());
  draft.Put(std::move(mount));
  Fill(draft.state(), *fs, response->mutable_fs());
  return {};
}

Status UmountFs(Draft& draft, const proto::UmountFsRequest& request) {
  CURVEFS_TRY(const proto::FsInfo* fs, Named(draft.state(), request.fs_name()));
  return EndMount(draft, fs->fs_id(), request.session_id());
}

Status EndMount(Draft& draft, uint32_t fs, uint64_t session) {
  const proto::Mountpoint* found = draft.state().Find<proto::Mountpoint>(MountKey(fs, session));
  if (found == nullptr) return {Code::kNotFound, "there is no such mount, or no more"};
  const proto::Mountpoint mount = *found;
  draft.Remove(mount);
  return {};
}

Status GetFsInfo(const State& state, const proto::GetFsInfoRequest& request,
                 proto::GetFsInfoResponse* response) {
  const proto::FsInfo* fs = request.fs_id() != 0 ? state.Find<proto::FsInfo>(FsKey(request.fs_id()))
                                                 : FindFs(state, request.fs_name());
  if (fs == nullptr) return {Code::kNotFound, "there is no such file system"};
  Fill(state, *fs, response->mutable_fs());
  return {};
}

Status ListFsInfo(const State& state, proto::ListFsInfoResponse* response) {
  for (const auto& [key, fs] : state.All<proto::FsInfo>()) Fill(state, fs, response->add_fs());
  return {};
}

Status UpdateFsInfo(Draft& draft, const proto::UpdateFsInfoRequest& request,
                    proto::UpdateFsInfoResponse* response) {
  CURVEFS_TRY(const proto::FsInfo* found, Named(draft.state(), request.fs_name()));
  proto::FsInfo fs = *found;
  if (request.has_capacity()) fs.set_capacity(request.capacity());
  if (request.has_inodes()) fs.set_inodes(request.inodes());
  Fill(draft.state(), fs, response->mutable_fs());
  draft.Put(std::move(fs));
  return {};
}

Status DeleteFsInfo(Draft& draft, const proto::DeleteFsInfoRequest& request) {
  CURVEFS_TRY(const proto::FsInfo* found, Named(draft.state(), request.fs_name()));
  if (!request.uuid().empty() && found->uuid() != request.uuid())
    return {Code::kNotFound, "the file system of that name is another one"};
  size_t mounts = 0;
  draft.state().ForEach<proto::Mountpoint>(MountPrefix(found->fs_id()), [&](const auto&) { ++mounts; });
  if (mounts > 0)
    return {Code::kBusy, "'" + request.fs_name() + "' is mounted " + std::to_string(mounts) + " times"};
  proto::FsInfo fs = *found;
  fs.set_state(proto::FS_DELETING);
  draft.Put(std::move(fs));
  return {};
}

Status AllocateS3Chunk(Draft& draft, Volatile& v, const proto::AllocateS3ChunkRequest& request,
                       proto::AllocateS3ChunkResponse* response) {
  const uint32_t count = request.count();
  if (count == 0 || count > kMostChunkIdsAtOnce)
    return {Code::kInvalid, "1 to 65536 chunk ids are given out at once"};
  if (draft.state().Find<proto::FsInfo>(FsKey(request.fs_id())) == nullptr)
    return {Code::kNotFound, "there is no such file system"};
  const auto* counter = draft.state().Find<proto::Counter>(CounterKey(kChunkIds));
  const uint64_t ours_end = counter == nullptr ? 0 : counter->value();  // the last one
  if (v.next_chunk == 0) v.next_chunk = ours_end + 1;                   // those before were another's
  if (v.next_chunk + count - 1 > ours_end) draft.NextIds(kChunkIds, std::max<uint64_t>(v.chunk_batch, count));
  response->set_first_chunk_id(v.next_chunk);
  response->set_count(count);
  v.next_chunk += count;
  return {};
}

}  // namespace curvefs::mds
