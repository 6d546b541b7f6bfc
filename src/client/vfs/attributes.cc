// Attributes, extended attributes, the whole file system's figures, and the life of a Vfs.
#include <algorithm>

#include "client/vfs/vfs_core.h"
#include "meta/acl.h"

namespace curvefs::client {
namespace {

// A virtual extended attribute: how the file is stored, as JSON.
constexpr std::string_view kInodeXattr = "curvefs.inode";
// Of directories: curvefs.dir.rfiles and so on, in decimal.
constexpr std::string_view kUsagePrefix = "curvefs.dir.";

// The namespaces of xattr(7); of system, only the ACLs.
Status CheckXattrName(std::string_view name) {
  if (name == meta::kAclAccess || name == meta::kAclDefault) return Status();
  for (std::string_view prefix : {"user.", "trusted.", "security."}) {
    if (name.starts_with(prefix)) return name.size() > prefix.size() ? Status() : Status(Code::kInvalid);
  }
  return Code::kNotSupported;
}

// Only the superuser sees the names of the trusted namespace (xattr(7)).
std::string WithoutTrusted(std::string_view names) {
  std::string out;
  for (size_t at = 0; at < names.size();) {
    std::string_view name = names.substr(at, names.find('\0', at) - at);
    if (!name.starts_with("trusted.")) out.append(name).push_back('\0');
    at += name.size() + 1;
  }
  return out;
}

std::string DescribeInode(FsId fs, const meta::Inode& inode, const std::vector<meta::ChunkRecord>& records) {
  std::string out = "{\"inode\":" + std::to_string(inode.id.value) +
                    ",\"partition\":" + std::to_string(PartitionOf(inode.id).value) +
                    ",\"length\":" + std::to_string(inode.length) +
                    ",\"bytes\":" + std::to_string(inode.bytes) + ",\"records\":[";
  bool first = true;
  for (const auto& r : records) {
    if (!first) out += ',';
    first = false;
    out += "{\"offset\":" + std::to_string(r.offset) + ",\"len\":" + std::to_string(r.len);
    if (r.in_object()) {
      object::ObjectName name{r.chunk_id, r.block, r.compaction, fs, r.object_inode};
      out += ",\"kind\":\"object\",\"object\":\"" + name.ToString() +
             "\",\"object_offset\":" + std::to_string(r.object_offset);
    } else {
      out += r.is_inline() ? ",\"kind\":\"inline\"" : ",\"kind\":\"zeros\"";
    }
    out += '}';
  }
  return out + "]}";
}

}  // namespace

Vfs::Vfs(MetaClient& meta, object::ObjectStore& objects, data::DataOptions data_options, VfsOptions options,
         const Clock& clock)
    : core_(std::make_unique<Core>(meta, objects, data_options, std::move(options), clock)) {}

Vfs::~Vfs() = default;

Result<meta::Inode> Vfs::GetAttr(InodeId inode) {
  core_->Count(Call::kGetAttr);
  return core_->Attributes(inode);
}

Result<meta::Inode> Vfs::SetAttributes(const Caller& caller, InodeId id, const SetAttr& change) {
  Core& c = *core_;
  c.Count(Call::kSetAttributes);
  CURVEFS_CHECK_OK(c.CheckWritable(id));
  Timestamp now = c.clock.Wall();
  meta::SetAttrRequest request{.inode = id};
  if (change.what & SetAttr::kMode) request.mode = change.mode;
  if (change.what & SetAttr::kUid) request.uid = change.uid;
  if (change.what & SetAttr::kGid) request.gid = change.gid;
  if (change.what & SetAttr::kAtime) request.atime = change.atime;
  if (change.what & SetAttr::kAtimeNow) request.atime = now;
  if (change.what & SetAttr::kMtime) request.mtime = change.mtime;
  if (change.what & SetAttr::kMtimeNow) request.mtime = now;
  if (change.what & SetAttr::kCtime) request.ctime = change.ctime;
  request.kill_suid_gid = (change.what & SetAttr::kKillSuidGid) != 0;
  if (request.uid || request.gid) {
    CURVEFS_TRY(meta::Inode current, c.meta.GetInode(id));
    request.caller_in_group = InGroup(caller, current.gid);
  }
  const bool resized = (change.what & SetAttr::kSize) != 0;
  // What was written comes first, with its time. If it cannot be stored now it goes without.
  if (c.written.Get(id)) {
    if (!resized) (void)c.data.Flush(id, true);
    if (resized || request.mtime) (void)c.written.Forget(id);
  }
  Core::Dirty dirty = c.DirtyOf(id);
  Result<meta::Inode> inode = Fail(Code::kInvalid);
  if (resized) {
    request.size = change.size;
    inode = c.Truncate(request);
    dirty.end = 0;  // what remains dirty lies below the new length
    if (inode && request.kill_suid_gid) inode = c.DropForeignSetgid(caller, *std::move(inode));
  } else {
    inode = c.meta.SetAttributes(request);
  }
  if (inode) c.ApplyDirty(&*inode, dirty);
  return inode;
}

Status Vfs::SetXattr(const Caller&, InodeId inode, std::string_view name, std::string_view value, bool create,
                     bool replace, bool kill_sgid) {
  Core& c = *core_;
  c.Count(Call::kSetXattr);
  CURVEFS_CHECK_OK(c.CheckWritable(inode));
  if (name.starts_with("curvefs.")) return Code::kNotPermitted;
  CURVEFS_CHECK_OK(CheckXattrName(name));
  auto r = c.meta.SetXattr({.inode = inode,
                            .name = name,
                            .value = value,
                            .create = create,
                            .replace = replace,
                            .kill_sgid = kill_sgid});
  return r ? Status() : r.error();
}

Result<DirUsage> Vfs::Core::UsageOf(InodeId dir) {
  const bool first = !meta.tracks_usage();
  CURVEFS_CHECK_OK(meta.TrackUsage());
  // What was written before lengths were announced counts once it is stored.
  if (first && !options.read_only) CURVEFS_CHECK_OK(data.FlushAll());
  return meta.UsageBelow(dir);
}

Result<std::string> Vfs::Core::UsageText(InodeId id, std::string_view what) {
  CURVEFS_TRY(meta::Inode inode, meta.GetInode(id));
  if (!inode.is_dir()) return Fail(Code::kNoAttribute);
  if (what != "rfiles" && what != "rsubdirs" && what != "rbytes" && what != "rentries")
    return Fail(Code::kNoAttribute);
  CURVEFS_TRY(DirUsage u, UsageOf(id));
  return std::to_string(what == "rfiles"     ? u.files
                        : what == "rsubdirs" ? u.subdirs
                        : what == "rbytes"   ? u.bytes
                                             : u.entries());
}

Result<std::string> Vfs::GetXattr(InodeId id, std::string_view name) {
  Core& c = *core_;
  c.Count(Call::kGetXattr);
  if (VirtualFiles::IsVirtual(id)) return Fail(Code::kNoAttribute);
  if (name == kInodeXattr) {
    CURVEFS_TRY(meta::Inode inode, c.Attributes(id));
    std::vector<meta::ChunkRecord> records;
    if (inode.is_file()) {
      CURVEFS_TRY(records, c.meta.Records(id, 0, inode.length));
    }
    return DescribeInode(c.meta.fs(), inode, records);
  }
  if (name.starts_with(kUsagePrefix)) return c.UsageText(id, name.substr(kUsagePrefix.size()));
  CURVEFS_CHECK_OK(CheckXattrName(name));
  return c.meta.GetXattr(id, name);
}

Result<std::string> Vfs::ListXattr(const Caller& caller, InodeId inode) {
  core_->Count(Call::kListXattr);
  if (VirtualFiles::IsVirtual(inode)) return std::string();
  CURVEFS_TRY(std::string names, core_->meta.ListXattrs(inode));
  return caller.uid == 0 ? names : WithoutTrusted(names);
}

Status Vfs::RemoveXattr(const Caller&, InodeId inode, std::string_view name) {
  Core& c = *core_;
  c.Count(Call::kRemoveXattr);
  CURVEFS_CHECK_OK(c.CheckWritable(inode));
  CURVEFS_CHECK_OK(CheckXattrName(name));
  auto r = c.meta.RemoveXattr(inode, name);
  return r ? Status() : r.error();
}

Result<StatFs> Vfs::Core::FreeSpace() {
  CURVEFS_TRY(DiskSpace space, objects.Space());
  const data::DataStats stats = data.stats();
  const uint64_t waiting = stats.dirty_bytes + stats.flushing_bytes;
  StatFs s;
  s.free_bytes = space.free_bytes > waiting ? space.free_bytes - waiting : 0;
  s.total_bytes = space.total_bytes;
  // An inode takes room only in the metadata: so many more would fit.
  constexpr uint64_t kInodeBytes = 512;
  s.free_inodes = space.free_bytes / kInodeBytes;
  return s;
}

Result<StatFs> Vfs::GetStatFs(InodeId inode) {
  Core& c = *core_;
  c.Count(Call::kGetStatFs);
  CURVEFS_TRY(StatFs s, c.FreeSpace());
  CURVEFS_TRY(MetaUsage usage, c.meta.Usage());
  s.total_inodes = usage.inodes + s.free_inodes;
  auto left = [](uint64_t limit, uint64_t used) { return limit > used ? limit - used : 0; };
  std::vector<Limit> limits;
  if (!VirtualFiles::IsVirtual(inode)) limits = c.meta.LimitsAbove(inode);
  // Every limit bounds what is free; what there is in total the nearest one says.
  for (const Limit& l : limits) {
    if (l.quota.bytes > 0) s.free_bytes = std::min(s.free_bytes, left(l.quota.bytes, l.used.bytes));
    if (l.quota.inodes > 0) s.free_inodes = std::min(s.free_inodes, left(l.quota.inodes, l.used.entries()));
  }
  auto bytes = std::ranges::find_if(limits, [](const Limit& l) { return l.quota.bytes > 0; });
  if (bytes != limits.end()) s.total_bytes = bytes->quota.bytes;
  auto inodes = std::ranges::find_if(limits, [](const Limit& l) { return l.quota.inodes > 0; });
  if (inodes != limits.end()) s.total_inodes = inodes->used.entries() + s.free_inodes;
  return s;
}

Status Vfs::SyncFs() {
  Core& c = *core_;
  if (c.options.read_only) return Status();
  Status flushed = c.data.FlushAll();
  Status synced = c.meta.Sync();
  return flushed.ok() ? synced : flushed;
}

Status Vfs::Shutdown() {
  core_->control.Stop();
  return SyncFs();
}

std::string Vfs::StatsText() {
  Core& c = *core_;
  std::string out;
  auto line = [&out](std::string_view name, uint64_t value) {
    out.append(name);
    out += ' ' + std::to_string(value) + '\n';
  };
  for (size_t i = 0; i < kCallNames.size(); ++i) {
    line("vfs_calls_" + std::string(kCallNames[i]), c.calls[i].load(std::memory_order_relaxed));
  }
  line("vfs_bytes_read", c.bytes_read.load(std::memory_order_relaxed));
  line("vfs_bytes_written", c.bytes_written.load(std::memory_order_relaxed));
  line("vfs_inodes_referenced", c.refs.size());
  data::DataStats d = c.data.stats();
  line("data_dirty_bytes", d.dirty_bytes);
  line("data_flushing_bytes", d.flushing_bytes);
  line("data_read_cache_bytes", d.read_cache_bytes);
  line("data_read_bytes", d.read_bytes);
  line("data_read_hits", d.read_hits);
  line("data_read_misses", d.read_misses);
  line("data_written_bytes", d.written_bytes);
  line("data_flushes", d.flushes);
  line("data_flush_failures", d.flush_failures);
  line("data_objects_put", d.objects_put);
  line("data_inline_records", d.inline_records);
  line("data_compactions", d.compactions);
  line("data_writer_waits", d.waits);
  return out + c.meta.StatsText();
}

}  // namespace curvefs::client
