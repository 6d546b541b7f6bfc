#include "object/cache/cache_disk.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "object/object_format.h"

namespace curvefs::object {
namespace {

constexpr size_t kMaxOrderBytes = 128 << 20;
constexpr size_t kOpenFiles = 256;  // of each of the two directories

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// What says nothing about the disk's health.
bool IsOrdinary(Code code) {
  switch (code) {
    case Code::kOk:
    case Code::kNotFound:
    case Code::kExists:
    case Code::kCorrupt:
    case Code::kUnsupportedVersion:
    case Code::kNoSpace:
    case Code::kTooBig:
      return true;
    default:
      return false;
  }
}

// Calls visit(fan-out directory, file name) for everything two levels below `dir`, and one level for what is
// no directory.
Status Walk(Disk& disk, const std::string& dir,
            const std::function<Status(const std::string& fan_out, const std::string& file)>& visit) {
  CURVEFS_TRY(const auto fan_outs, disk.List(dir));
  for (const auto& fan_out : fan_outs) {
    auto files = disk.List(dir + "/" + fan_out);
    if (!files) {
      if (files.error().code() != Code::kNotDirectory) return files.error();
      CURVEFS_CHECK_OK(visit("", fan_out));
      continue;
    }
    for (const auto& file : *files) CURVEFS_CHECK_OK(visit(fan_out, file));
  }
  return {};
}

// The object that a file is, if it lies where a directory store would look for it.
Result<ObjectName> NameAt(const std::string& fan_out, const std::string& file) {
  CURVEFS_TRY(const ObjectName name, ObjectName::Parse(file));
  if (DirectoryStorePath(name) != fan_out + "/" + file) return Fail(Code::kInvalid);
  return name;
}

}  // namespace

Status CacheDisk::MakeDirs(const std::string& dir) {
  for (const std::string& path : {dir, path_, path_ + "/read", path_ + "/write", DamagedDir()}) {
    CURVEFS_TRY(const bool there, disk_.Exists(path));
    if (there) continue;
    CURVEFS_CHECK_OK(disk_.MakeDir(path));
    CURVEFS_CHECK_OK(disk_.SyncDir(ParentOf(path)));
  }
  return {};
}

Result<std::unique_ptr<CacheDisk>> CacheDisk::Open(Disk& disk, const std::string& dir,
                                                   const std::string& uuid, bool read_only, Found* found) {
  std::unique_ptr<CacheDisk> d(new CacheDisk(disk, dir + "/" + uuid));
  d->read_ = MakeDirectoryStore(disk, d->path_ + "/read", kOpenFiles);
  d->write_ = MakeDirectoryStore(disk, d->path_ + "/write", kOpenFiles);
  if (read_only) {
    CURVEFS_TRY(const bool there, disk.Exists(d->path_ + "/write"));
    if (!there) return d;
  } else {
    CURVEFS_CHECK_OK(d->MakeDirs(dir));
    auto lock = disk.Lock(d->path_ + "/LOCK");
    if (!lock && lock.error().code() == Code::kBusy) {
      return Fail(Code::kBusy, "the cache directory " + d->path_ +
                                   " is in use by another process; a cache directory serves one mount of a "
                                   "file system: give another --cache-dir, or unmount the other one");
    }
    if (!lock) return Fail(lock.error());
    d->lock_ = *std::move(lock);
  }
  CURVEFS_CHECK_OK(d->ScanWrite(read_only, found));
  CURVEFS_CHECK_OK(d->ScanRead(read_only, found));
  return d;
}

Status CacheDisk::ScanWrite(bool read_only, Found* found) {
  const std::string dir = path_ + "/write";
  if (!read_only) {
    // What a process before us removed shall not come back either: nobody remembers it.
    CURVEFS_TRY(const auto fan_outs, disk_.List(dir));
    for (const std::string& fan_out : fan_outs) {
      Status s = disk_.SyncDir(dir + "/" + fan_out);
      if (!s.ok() && s.code() != Code::kNotDirectory) return s;
    }
    CURVEFS_CHECK_OK(disk_.SyncDir(dir));
    CURVEFS_CHECK_OK(disk_.SyncDir(DamagedDir()));  // what was set aside
  }
  CURVEFS_CHECK_OK(Walk(disk_, dir, [&](const std::string& fan_out, const std::string& file) -> Status {
    auto name = NameAt(fan_out, file);
    if (!name) {
      ++found->foreign;  // could be somebody's; the disk is ours, the last copy of something may not be
      return {};
    }
    auto stat = write_->Stat(*name);
    if (stat) {
      found->waiting.push_back({{*name, stat->size + TrailerBytes(stat->size)}, stat->digest});
      return {};
    }
    if (stat.error().code() != Code::kCorrupt) return stat.error();
    ++found->torn;
    if (read_only) return {};
    CURVEFS_CHECK_OK(RemoveWritten(*name));
    return read_->Delete(*name);
  }));
  if (read_only) return {};
  for (const Waiting& w : found->waiting) {
    // Best effort: without it the object is not kept once it is uploaded.
    if (Status s = LinkForReading(w.object.name); !s.ok() && s.code() != Code::kExists) Note(s);
  }
  return SyncAllRemoved();
}

std::vector<CachedObject> CacheDisk::LoadOrder() {
  auto bytes = disk_.ReadWholeFile(path_ + "/order", kMaxOrderBytes);
  if (!bytes) return {};
  auto order = DecodeCacheOrder(*bytes);
  if (!order) return {};  // a hint only: then the objects count as used in the order in which they are listed
  return *std::move(order);
}

Status CacheDisk::ScanRead(bool read_only, Found* found) {
  const std::string dir = path_ + "/read";
  std::set<ObjectName> waiting;
  for (const Waiting& w : found->waiting) waiting.insert(w.object.name);
  const std::vector<CachedObject> order = LoadOrder();
  std::map<ObjectName, size_t> known;
  for (size_t i = 0; i < order.size(); ++i) known[order[i].name] = i;

  std::vector<std::pair<size_t, CachedObject>> there;  // with its place in the order
  CURVEFS_CHECK_OK(Walk(disk_, dir, [&](const std::string& fan_out, const std::string& file) -> Status {
    const std::string path = dir + "/" + (fan_out.empty() ? "" : fan_out + "/") + file;
    auto name = NameAt(fan_out, file);
    if (name && waiting.contains(*name)) return {};
    uint64_t bytes = 0;
    auto place = order.size();
    if (name && known.contains(*name)) {
      place = known[*name];
      bytes = order[place].bytes;
    } else if (name) {
      CURVEFS_TRY(auto opened, disk_.Open(path, Disk::Mode::kRead));
      CURVEFS_TRY(bytes, opened->Size());
    }
    if (!name || bytes > kMaxObjectFile || there.size() >= kMaxCachedObjects) {
      ++found->foreign;
      if (!read_only) (void)disk_.Remove(path);  // best effort: a directory stays, and so may a file
      return {};
    }
    there.emplace_back(place, CachedObject{*name, bytes});
    return {};
  }));
  std::ranges::stable_sort(there, {}, [](const auto& entry) { return entry.first; });
  for (auto& [place, object] : there) found->cached.push_back(object);
  return {};
}

Status CacheDisk::LinkForReading(const ObjectName& name) {
  const std::string path = DirectoryStorePath(name);
  const std::string from = path_ + "/write/" + path, to = path_ + "/read/" + path;
  Status s = disk_.Link(from, to);
  if (s.code() != Code::kNotFound) return s;
  CURVEFS_CHECK_OK(disk_.MakeDir(ParentOf(to)));
  return disk_.Link(from, to);
}

Status CacheDisk::RemoveWritten(const ObjectName& name) {
  Status s = write_->Delete(name);
  // After the removal: a sync of the directory before it says nothing about it.
  MutexLock lock(removals_mu_);
  if (!s.ok()) {
    unremoved_.insert(name);
    return s;
  }
  unremoved_.erase(name);
  removals_.emplace(ParentOf(path_ + "/write/" + DirectoryStorePath(name)), name);
  if (removals_.size() <= kMaxUnsyncedRemovals) return {};
  std::set<std::string> dirs;
  for (const auto& removal : removals_) dirs.insert(removal.first);
  return SyncRemovedDirs(dirs);
}

Status CacheDisk::SyncRemovedDirs(const std::set<std::string>& dirs) {
  for (const std::string& dir : dirs) {
    Status s = disk_.SyncDir(dir);
    if (!s.ok() && s.code() != Code::kNotFound) return s;
    std::erase_if(removals_, [&](const auto& removal) { return removal.first == dir; });
  }
  return {};
}

Status CacheDisk::SyncRemoved(std::span<const ObjectName> names) {
  std::vector<ObjectName> again;
  {
    MutexLock lock(removals_mu_);
    if (!unremoved_.empty()) {
      for (const ObjectName& name : names) {
        if (unremoved_.contains(name)) again.push_back(name);
      }
    }
  }
  for (const ObjectName& name : again) CURVEFS_CHECK_OK(RemoveWritten(name));
  MutexLock lock(removals_mu_);
  if (removals_.empty()) return {};
  std::set<std::string> dirs;
  for (const ObjectName& name : names) {
    for (std::string dir : {ParentOf(path_ + "/write/" + DirectoryStorePath(name)), DamagedDir()}) {
      if (removals_.contains({dir, name})) dirs.insert(std::move(dir));
    }
  }
  return SyncRemovedDirs(dirs);
}

Status CacheDisk::SyncAllRemoved() {
  MutexLock lock(removals_mu_);
  std::set<std::string> dirs;
  for (const auto& [dir, name] : removals_) dirs.insert(dir);
  return SyncRemovedDirs(dirs);
}

Status CacheDisk::SetAside(const ObjectName& name) {
  Status s = disk_.Rename(path_ + "/write/" + DirectoryStorePath(name), DamagedDir() + "/" + name.ToString());
  (void)read_->Delete(name);  // best effort: it is noticed when it is read
  if (!s.ok() && s.code() != Code::kNotFound) return s;
  {
    // A rename is durable only with both of its directories; RemoveWritten notes the other.
    MutexLock lock(removals_mu_);
    removals_.emplace(DamagedDir(), name);
  }
  return RemoveWritten(name);
}

Status CacheDisk::SaveOrder(std::span<const CachedObject> objects) {
  return disk_.WriteFileAtomically(path_ + "/order", EncodeCacheOrder(objects));
}

void CacheDisk::Note(const Status& status) {
  if (IsOrdinary(status.code())) return;
  if (errors_.fetch_add(1) + 1 < kMaxErrors || out_.exchange(true)) return;
  Log(LogLevel::kError, "the cache disk " + path_ + " fails and is taken out of use until the next mount (" +
                            status.ToString() + "); data are read from the store meanwhile");
}

}  // namespace curvefs::object
