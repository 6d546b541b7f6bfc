#include "client/cluster/remote_meta.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/log.h"

namespace curvefs::client {

using proto::MetaCall;

namespace {

constexpr size_t kFullAnswer = 512 << 10;  // bytes
constexpr uint32_t kMostListed = 10'000;   // in one answer
constexpr uint32_t kFirstPage = 1'000;     // of whoever only looks whether there is anything
constexpr uint32_t kNextPage = 4'000;
constexpr size_t kInodesAtOnce = 1'000;

// The inode of a response that has one.
template <typename Response>
Result<meta::Inode> InodeOf(Result<Response> response) {
  if (!response) return Fail(std::move(response).error());
  return FromWire(response->inode());
}

template <typename Request>
void Fill(const meta::CreateRequest& in, Request* out) {
  out->set_parent_inode_id(in.parent.value);
  out->set_mode(in.mode);
  out->set_uid(in.uid);
  out->set_gid(in.gid);
  out->set_umask(in.umask);
  out->set_rdev(in.rdev);
  out->set_symlink(std::string(in.symlink));
}

template <typename Request>
Request Named(InodeId parent, std::string_view name) {
  Request request;
  request.set_parent_inode_id(parent.value);
  request.set_name(std::string(name));
  return request;
}

template <typename Request>
Request OfInode(InodeId inode) {
  Request request;
  request.set_inode_id(inode.value);
  return request;
}

}  // namespace

RemoteMeta::RemoteMeta(CopysetClient& copyset)
    : copyset_(copyset), access_(copyset), open_(copyset), locks_(copyset) {
  copyset_.OnNewLeader([this] {
    open_.SayAgain();
    if (Status s = locks_.SayAgain(); !s.ok() && s.code() != Code::kFenced)
      Log(LogLevel::kWarning, "telling the new leader what is locked: " + s.ToString());
  });
}

Result<meta::Inode> RemoteMeta::WithAccess(Result<meta::Inode> inode) {
  if (inode) access_.Apply(&*inode);
  return inode;
}

Result<meta::Inode> RemoteMeta::LookupHere(InodeId parent, std::string_view name, InodeId* elsewhere) {
  if (name.size() > kMaxName) return Fail(Code::kNameTooLong);
  if (const auto kept = leases().Lookup(parent, name)) {
    if (!kept->inode) return Fail(Code::kNotFound);
    if (kept->elsewhere) {
      *elsewhere = kept->inode;
      return meta::Inode();
    }
    if (auto inode = leases().Inode(kept->inode)) return WithAccess(*std::move(inode));
  }
  auto says = [&](const proto::LookupResponse& r, LeaseCache::Answer* answer) {
    const InodeId there(r.elsewhere_inode_id());
    const InodeId inode = there ? there : InodeId(r.inode().inode_id());
    answer->names.push_back({parent, std::string(name), inode, static_cast<bool>(there)});
    if (r.has_inode()) answer->inodes.push_back(FromWire(r.inode()));
  };
  CURVEFS_TRY(const auto response, copyset_.ReadKept<proto::LookupResponse>(
                                       MetaCall::kLookup, Named<proto::LookupRequest>(parent, name), says));
  *elsewhere = InodeId(response.elsewhere_inode_id());
  return WithAccess(FromWire(response.inode()));
}

Result<std::vector<meta::Inode>> RemoteMeta::GetInodes(const std::vector<InodeId>& inodes) {
  proto::GetInodesRequest request;
  for (const InodeId inode : inodes) request.add_inode_id(inode.value);
  auto says = [](const proto::GetInodesResponse& r, LeaseCache::Answer* answer) {
    for (const proto::Inode& inode : r.inode()) {
      if (inode.inode_id() != 0) answer->inodes.push_back(FromWire(inode));
    }
  };
  CURVEFS_TRY(const auto response,
              copyset_.ReadKept<proto::GetInodesResponse>(MetaCall::kGetInodes, request, says));
  if (static_cast<size_t>(response.inode_size()) != inodes.size())
    return Fail(Code::kIo, "an answer for other inodes than were asked about");
  std::vector<meta::Inode> found;
  found.reserve(inodes.size());
  for (const proto::Inode& inode : response.inode()) {
    found.push_back(FromWire(inode));
    access_.Apply(&found.back());
  }
  return found;
}

Result<InodeId> RemoteMeta::Reserve(PartitionId partition, uint32_t mode) {
  const OpenInodes::Creating creating = open_.BeginCreate();
  proto::CreateInodeRequest request;
  request.mutable_header()->set_partition_id(partition.value);
  request.set_mode(mode & S_IFMT);
  request.set_reserve(true);
  request.set_open_order(creating.order);
  CURVEFS_TRY(const meta::Inode made, InodeOf(copyset_.Change<proto::CreateInodeResponse>(
                                          MetaCall::kCreateInode, std::move(request))));
  CURVEFS_CHECK_OK(open_.Created(creating, made.id));
  return made.id;
}

Result<meta::Inode> RemoteMeta::GetInode(InodeId inode) {
  if (auto kept = leases().Inode(inode)) return WithAccess(*std::move(kept));
  auto says = [](const proto::GetInodeResponse& r, LeaseCache::Answer* answer) {
    answer->inodes.push_back(FromWire(r.inode()));
  };
  return WithAccess(InodeOf(copyset_.ReadKept<proto::GetInodeResponse>(
      MetaCall::kGetInode, OfInode<proto::GetInodeRequest>(inode), says)));
}

// What comes after `cookie`: at most `max`, and what an answer holds. Whoever lists looks at what is
// listed, mostly: where leases are kept it comes with attributes.
Result<std::shared_ptr<const LeaseCache::Page>> RemoteMeta::FetchPage(InodeId dir, uint64_t cookie,
                                                                      uint32_t max, bool with_inodes) {
  proto::ReadDirRequest request;
  request.set_dir_inode_id(dir.value);
  request.set_cookie(cookie);
  request.set_count(max);
  request.set_with_inodes(with_inodes);
  auto page = std::make_shared<LeaseCache::Page>();
  auto take = [&](const proto::ReadDirResponse& r) {
    page->after = cookie;
    page->entries.clear();
    page->entries.reserve(static_cast<size_t>(r.dentry_size()));
    for (int i = 0; i < r.dentry_size(); ++i) {
      const proto::Dentry& d = r.dentry(i);
      Listed& entry = page->entries.emplace_back();
      entry.name = d.name();
      entry.dentry.inode = InodeId(d.inode_id());
      entry.dentry.type = static_cast<decltype(entry.dentry.type)>(d.type());
      entry.cookie = d.cookie();
      if (i < r.inode_size()) entry.inode = FromWire(r.inode(i));
    }
    // A server cuts an answer short only for its size (metaserver.proto).
    const auto listed = static_cast<uint32_t>(r.dentry_size());
    page->last = listed < std::min(max, kMostListed) && r.ByteSizeLong() < kFullAnswer;
  };
  auto says = [&](const proto::ReadDirResponse& r, LeaseCache::Answer* answer) {
    if (r.inode_size() != r.dentry_size()) return;
    take(r);
    for (const Listed& entry : page->entries) {
      answer->names.push_back({dir, entry.name, entry.dentry.inode, !entry.inode.id});
      if (entry.inode.id) answer->inodes.push_back(entry.inode);
    }
    answer->page = page;
    answer->page_of = dir;
  };
  CURVEFS_TRY(const auto response,
              copyset_.ReadKept<proto::ReadDirResponse>(MetaCall::kReadDir, request, says));
  if (with_inodes && response.inode_size() != response.dentry_size())
    return Fail(Code::kIo, "a listing without the attributes that were asked for");
  if (response.header().lease_epoch() == 0) take(response);
  return std::shared_ptr<const LeaseCache::Page>(std::move(page));
}

// A page may be as of some time ago.
Status RemoteMeta::RefreshInodes(std::vector<Listed>* page) {
  std::vector<Listed*> unknown;
  for (Listed& entry : *page) {
    if (!entry.inode.id) continue;  // elsewhere
    if (auto kept = leases().Inode(entry.dentry.inode)) {
      entry.inode = *std::move(kept);
      access_.Apply(&entry.inode);
    } else {
      unknown.push_back(&entry);
    }
  }
  for (size_t at = 0; at < unknown.size(); at += kInodesAtOnce) {
    const size_t n = std::min(kInodesAtOnce, unknown.size() - at);
    std::vector<InodeId> ids;
    for (size_t i = 0; i < n; ++i) ids.push_back(unknown[at + i]->dentry.inode);
    CURVEFS_TRY(auto inodes, GetInodes(ids));
    for (size_t i = 0; i < n; ++i) unknown[at + i]->inode = std::move(inodes[i]);
  }
  return {};
}

Result<std::vector<MetaClient::Listed>> RemoteMeta::List(InodeId dir, uint64_t cookie, uint32_t max,
                                                         bool with_inodes) {
  const bool keeps = copyset_.keeps_leases();
  std::vector<Listed> listed;
  bool old = false;
  while (listed.size() < max) {
    auto page = leases().PageAfter(dir, cookie);
    if (page) {
      old = true;
    } else {
      const auto left = max - static_cast<uint32_t>(listed.size());
      const uint32_t ahead = cookie <= meta::kMaxReservedCookie ? kFirstPage : kNextPage;
      const uint32_t count = leases().active() ? std::max(left, ahead) : left;
      CURVEFS_TRY(page, FetchPage(dir, cookie, count, with_inodes || keeps));
    }
    auto from = std::ranges::upper_bound(page->entries, cookie, {}, &Listed::cookie);
    const auto n =
        std::min<ptrdiff_t>(page->entries.end() - from, static_cast<ptrdiff_t>(max - listed.size()));
    listed.insert(listed.end(), from, from + n);
    if (!listed.empty()) cookie = listed.back().cookie;
    if (page->last && from + n == page->entries.end()) break;
  }
  if (with_inodes && old) CURVEFS_CHECK_OK(RefreshInodes(&listed));
  if (with_inodes && !old) {
    for (Listed& entry : listed) access_.Apply(&entry.inode);
  }
  return listed;
}

Result<meta::Inode> RemoteMeta::Create(const meta::CreateRequest& in) {
  const LeaseCache::Changing changing(leases(), {in.parent});
  proto::CreateRequest request;
  Fill(in, &request);
  request.set_name(std::string(in.name));
  return InodeOf(copyset_.Change<proto::CreateResponse>(MetaCall::kCreate, std::move(request)));
}

Result<meta::Inode> RemoteMeta::CreateUnnamed(const meta::CreateRequest& in) {
  proto::CreateInodeRequest request;
  Fill(in, &request);
  return InodeOf(copyset_.Change<proto::CreateInodeResponse>(MetaCall::kCreateInode, std::move(request)));
}

Result<meta::Inode> RemoteMeta::Link(InodeId inode, InodeId parent, std::string_view name) {
  const LeaseCache::Changing changing(leases(), {inode, parent});
  auto request = Named<proto::LinkRequest>(parent, name);
  request.set_inode_id(inode.value);
  return InodeOf(copyset_.Change<proto::LinkResponse>(MetaCall::kLink, std::move(request)));
}

Result<meta::Inode> RemoteMeta::Unlink(InodeId parent, std::string_view name, InodeId trash) {
  const LeaseCache::Changing changing(leases(), {parent, trash}, {{parent, name}});
  auto request = Named<proto::UnlinkRequest>(parent, name);
  request.set_trash_inode_id(trash.value);
  return InodeOf(copyset_.Change<proto::UnlinkResponse>(MetaCall::kUnlink, std::move(request)));
}

Result<meta::Inode> RemoteMeta::RemoveDirectory(InodeId parent, std::string_view name, InodeId trash) {
  const LeaseCache::Changing changing(leases(), {parent, trash}, {{parent, name}});
  auto request = Named<proto::RemoveDirectoryRequest>(parent, name);
  request.set_trash_inode_id(trash.value);
  return InodeOf(
      copyset_.Change<proto::RemoveDirectoryResponse>(MetaCall::kRemoveDirectory, std::move(request)));
}

Result<meta::RenameReply> RemoteMeta::Rename(const meta::RenameRequest& in) {
  const LeaseCache::Changing changing(leases(), {in.parent, in.new_parent, in.trash},
                                      {{in.parent, in.name}, {in.new_parent, in.new_name}});
  auto request = Named<proto::RenameRequest>(in.parent, in.name);
  request.set_new_parent_inode_id(in.new_parent.value);
  request.set_new_name(std::string(in.new_name));
  request.set_kind(static_cast<proto::RenameKind>(in.kind));
  request.set_uid(in.uid);
  request.set_gid(in.gid);
  request.set_trash_inode_id(in.trash.value);
  CURVEFS_TRY(const proto::RenameResponse response,
              copyset_.Change<proto::RenameResponse>(MetaCall::kRename, std::move(request)));
  meta::RenameReply reply;
  reply.moved = FromWire(response.moved());
  if (response.has_replaced()) reply.replaced = FromWire(response.replaced());
  return reply;
}

Result<meta::Inode> RemoteMeta::SetAttributes(const meta::SetAttrRequest& in) {
  const LeaseCache::Changing changing(leases(), {in.inode});
  if (in.atime) access_.Forget(in.inode);
  auto request = OfInode<proto::UpdateInodeRequest>(in.inode);
  if (in.mode) request.set_mode(*in.mode);
  if (in.uid) request.set_uid(*in.uid);
  if (in.gid) request.set_gid(*in.gid);
  if (in.size) request.set_length(*in.size);
  if (in.atime) request.set_atime_ns(in.atime->ns);
  if (in.mtime) request.set_mtime_ns(in.mtime->ns);
  if (in.ctime) request.set_ctime_ns(in.ctime->ns);
  request.set_kill_suid_gid(in.kill_suid_gid);
  request.set_caller_not_in_group(!in.caller_in_group);
  request.set_touch_atime(in.touch_atime);
  return WithAccess(
      InodeOf(copyset_.Change<proto::UpdateInodeResponse>(MetaCall::kUpdateInode, std::move(request))));
}

Result<meta::Inode> RemoteMeta::SetXattr(const meta::SetXattrRequest& in) {
  const LeaseCache::Changing changing(leases(), {in.inode});
  auto request = OfInode<proto::SetXattrRequest>(in.inode);
  request.set_name(std::string(in.name));
  request.set_value(std::string(in.value));
  request.set_create(in.create);
  request.set_replace(in.replace);
  request.set_kill_sgid(in.kill_sgid);
  return InodeOf(copyset_.Change<proto::SetXattrResponse>(MetaCall::kSetXattr, std::move(request)));
}

Result<meta::Inode> RemoteMeta::RemoveXattr(InodeId inode, std::string_view name) {
  const LeaseCache::Changing changing(leases(), {inode});
  auto request = OfInode<proto::RemoveXattrRequest>(inode);
  request.set_name(std::string(name));
  return InodeOf(copyset_.Change<proto::RemoveXattrResponse>(MetaCall::kRemoveXattr, std::move(request)));
}

// Whether it is known to have no extended attribute at all.
bool RemoteMeta::HasNoXattrs(InodeId inode) {
  constexpr uint32_t kAny = meta::kHasXattrs | meta::kHasDefaultAcl | meta::kHasAccessAcl;
  const auto kept = leases().Inode(inode);
  return kept && (kept->flags & kAny) == 0;
}

Result<std::string> RemoteMeta::GetXattr(InodeId inode, std::string_view name) {
  if (HasNoXattrs(inode)) return Fail(Code::kNoAttribute);
  auto request = OfInode<proto::GetXattrRequest>(inode);
  request.set_name(std::string(name));
  CURVEFS_TRY(proto::GetXattrResponse response,
              copyset_.Read<proto::GetXattrResponse>(MetaCall::kGetXattr, std::move(request)));
  return std::move(*response.mutable_value());
}

Result<std::string> RemoteMeta::ListXattrs(InodeId inode) {
  if (HasNoXattrs(inode)) return std::string();
  CURVEFS_TRY(
      proto::ListXattrResponse response,
      copyset_.Read<proto::ListXattrResponse>(MetaCall::kListXattr, OfInode<proto::ListXattrRequest>(inode)));
  return std::move(*response.mutable_names());
}

Result<std::vector<meta::ChunkRecord>> RemoteMeta::Records(InodeId inode, uint64_t offset, uint64_t len) {
  // Its content has never changed.
  if (const auto kept = leases().Inode(inode); kept && kept->version == 0)
    return std::vector<meta::ChunkRecord>();
  auto request = OfInode<proto::ListChunksRequest>(inode);
  request.set_offset(offset);
  request.set_len(len);
  CURVEFS_TRY(const proto::ListChunksResponse response,
              copyset_.Read<proto::ListChunksResponse>(MetaCall::kListChunks, std::move(request)));
  return FromWire(inode, response.chunk());
}

Result<std::vector<Result<meta::AppendReply>>> RemoteMeta::AppendChunks(
    const std::vector<meta::AppendRequest>& requests) {
  std::vector<InodeId> files;
  for (const meta::AppendRequest& r : requests) files.push_back(r.inode);
  const LeaseCache::Changing changing(leases(), std::move(files));
  proto::AppendChunksRequest request;
  for (const meta::AppendRequest& r : requests) {
    auto* file = request.add_file();
    file->set_inode_id(r.inode.value);
    if (r.written) file->set_written_ns(r.written->ns);
    for (const meta::ChunkRecord& record : r.records) ToWire(r.inode, record, file->add_chunk());
  }
  CURVEFS_TRY(const proto::AppendChunksResponse response,
              copyset_.Change<proto::AppendChunksResponse>(MetaCall::kAppendChunks, std::move(request)));
  if (static_cast<size_t>(response.file_size()) != requests.size())
    return Fail(Code::kIo, "an answer for other files than were asked about");
  std::vector<Result<meta::AppendReply>> replies;
  for (const auto& file : response.file()) {
    if (file.status() != proto::OK) {
      replies.emplace_back(Fail(FromWire(file.status())));
      continue;
    }
    meta::AppendReply reply{.inode = FromWire(file.inode()), .chunks = {}};
    for (const auto& chunk : file.chunk()) {
      reply.chunks.push_back({.chunk_index = chunk.chunk_index(),
                              .records = chunk.records(),
                              .live_bytes = chunk.live_bytes(),
                              .inline_bytes = chunk.inline_bytes()});
    }
    replies.emplace_back(std::move(reply));
  }
  return replies;
}

Result<std::vector<Status>> RemoteMeta::ReplaceChunks(const std::vector<meta::ReplaceRequest>& requests) {
  std::vector<InodeId> files;
  for (const meta::ReplaceRequest& r : requests) files.push_back(r.inode);
  const LeaseCache::Changing changing(leases(), std::move(files));
  proto::ReplaceChunksRequest request;
  for (const meta::ReplaceRequest& r : requests) {
    auto* file = request.add_file();
    file->set_inode_id(r.inode.value);
    for (const meta::ChunkRecord& record : r.before) ToWire(r.inode, record, file->add_before());
    for (const meta::ChunkRecord& record : r.after) ToWire(r.inode, record, file->add_after());
  }
  CURVEFS_TRY(const proto::ReplaceChunksResponse response,
              copyset_.Change<proto::ReplaceChunksResponse>(MetaCall::kReplaceChunks, std::move(request)));
  if (static_cast<size_t>(response.status_size()) != requests.size())
    return Fail(Code::kIo, "an answer for other files than were asked about");
  std::vector<Status> statuses;
  for (int status : response.status())
    statuses.emplace_back(FromWire(static_cast<proto::MetaStatusCode>(status)));
  return statuses;
}

Result<meta::Inode> RemoteMeta::ZeroRange(InodeId inode, uint64_t offset, uint64_t len, bool kill_suid_gid) {
  const LeaseCache::Changing changing(leases(), {inode});
  auto request = OfInode<proto::ZeroRangeRequest>(inode);
  request.set_offset(offset);
  request.set_len(len);
  request.set_kill_suid_gid(kill_suid_gid);
  return InodeOf(copyset_.Change<proto::ZeroRangeResponse>(MetaCall::kZeroRange, std::move(request)));
}

Result<meta::Inode> RemoteMeta::Allocate(InodeId inode, uint64_t end, bool extend, bool kill_suid_gid) {
  const LeaseCache::Changing changing(leases(), {inode});
  auto request = OfInode<proto::AllocateRequest>(inode);
  request.set_end(end);
  request.set_extend(extend);
  request.set_kill_suid_gid(kill_suid_gid);
  return InodeOf(copyset_.Change<proto::AllocateResponse>(MetaCall::kAllocate, std::move(request)));
}

Result<meta::CloneReply> RemoteMeta::CloneRange(const meta::CloneRequest& in) {
  const LeaseCache::Changing changing(leases(), {in.from, in.to});
  proto::CloneRangeRequest request;
  request.set_from_inode_id(in.from.value);
  request.set_from_offset(in.from_offset);
  request.set_to_inode_id(in.to.value);
  request.set_to_offset(in.to_offset);
  request.set_len(in.len);
  request.set_max_records(in.max_records);
  request.set_kill_suid_gid(in.kill_suid_gid);
  CURVEFS_TRY(const proto::CloneRangeResponse response,
              copyset_.Change<proto::CloneRangeResponse>(MetaCall::kCloneRange, std::move(request)));
  return meta::CloneReply{.bytes = response.bytes(), .to = FromWire(response.to())};
}

Result<ChunkId> RemoteMeta::NewChunks(uint32_t n) {
  proto::NewChunksRequest request;
  request.set_count(n);
  CURVEFS_TRY(const proto::NewChunksResponse response,
              copyset_.Change<proto::NewChunksResponse>(MetaCall::kNewChunks, std::move(request)));
  return ChunkId(response.chunk_id());
}

Result<meta::Inode> RemoteMeta::OpenInode(InodeId inode) {
  CURVEFS_TRY(std::optional<meta::Inode> opened, open_.Open(inode));
  if (opened) return WithAccess(*std::move(opened));
  Result<meta::Inode> found = GetInode(inode);
  if (!found) open_.Close(inode);
  return found;
}

Result<meta::Inode> RemoteMeta::CreateOpen(const meta::CreateRequest& in) {
  const LeaseCache::Changing changing(leases(), {in.parent});
  const OpenInodes::Creating creating = open_.BeginCreate();
  Result<meta::Inode> made = Fail(Code::kInvalid);
  if (in.name.empty()) {
    proto::CreateInodeRequest request;
    Fill(in, &request);
    request.set_open_order(creating.order);
    made = InodeOf(copyset_.Change<proto::CreateInodeResponse>(MetaCall::kCreateInode, std::move(request)));
  } else {
    proto::CreateRequest request;
    Fill(in, &request);
    request.set_name(std::string(in.name));
    request.set_open_order(creating.order);
    made = InodeOf(copyset_.Change<proto::CreateResponse>(MetaCall::kCreate, std::move(request)));
  }
  if (made) CURVEFS_CHECK_OK(open_.Created(creating, made->id));
  return made;
}

Result<MetaUsage> RemoteMeta::UsageOf(PartitionId partition) {
  proto::GetUsageRequest request;
  request.mutable_header()->set_partition_id(partition.value);
  CURVEFS_TRY(const proto::GetUsageResponse response,
              copyset_.Read<proto::GetUsageResponse>(MetaCall::kGetUsage, request));
  return MetaUsage{.inodes = response.inodes(), .bytes = response.bytes()};
}

}  // namespace curvefs::client
