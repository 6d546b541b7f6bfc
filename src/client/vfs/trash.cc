#include "client/vfs/trash.h"

#include <sys/stat.h>
#include <time.h>

#include <cstdio>
#include <utility>
#include <vector>

namespace curvefs::client {
namespace {

constexpr uint32_t kPage = 256;
constexpr int64_t kHour = 3'600'000'000'000;

}  // namespace

std::string HourName(Timestamp time) {
  const time_t seconds = time.sec();
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02d-%02d", parts.tm_year + 1900, parts.tm_mon + 1,
                parts.tm_mday, parts.tm_hour);
  return text;
}

std::optional<Timestamp> ParseHourName(std::string_view name) {
  tm parts{};
  if (name.size() != 13 || std::sscanf(std::string(name).c_str(), "%4d-%2d-%2d-%2d", &parts.tm_year,
                                       &parts.tm_mon, &parts.tm_mday, &parts.tm_hour) != 4)
    return std::nullopt;
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  const Timestamp begin = Timestamp::From(::timegm(&parts), 0);
  if (HourName(begin) != name) return std::nullopt;
  return begin;
}

Result<InodeId> Trash::Directory(InodeId parent, std::string_view name) {
  auto found = meta_.Lookup(parent, name);
  if (!found && found.error().code() == Code::kNotFound) {
    found = meta_.Create({.parent = parent, .name = name, .mode = S_IFDIR | 0700, .uid = uid_, .gid = 0});
    if (!found && found.error().code() == Code::kExists) found = meta_.Lookup(parent, name);
    if (found) changed_(parent);
  }
  if (!found) return Fail(found.error());
  if (!found->is_dir()) {
    return Fail(Code::kNotDirectory,
                "/" + std::string(kTrashName) + " is not a directory; rename it, or mount without --trash");
  }
  MutexLock lock(mu_);
  known_.insert(found->id);
  return found->id;
}

Result<InodeId> Trash::Hour(bool anew) {
  const std::string name = HourName(clock_.Wall());
  {
    MutexLock lock(mu_);
    if (!anew && name == hour_) return hour_dir_;
  }
  CURVEFS_TRY(InodeId top, Directory(meta_.root(), kTrashName));
  CURVEFS_TRY(InodeId dir, Directory(top, name));
  MutexLock lock(mu_);
  top_ = top;
  hour_ = name;
  hour_dir_ = dir;
  return dir;
}

bool Trash::ChangesByItself(InodeId dir) {
  if (!enabled()) return false;
  MutexLock lock(mu_);
  return known_.contains(dir);
}

// Removes names below `dir`, what is in directories first. Each is a change of its own, so that others get
// their turn in between.
Result<size_t> Trash::Empty(InodeId dir, size_t max, const std::function<void(const meta::Inode&)>& gone) {
  size_t removed = 0;
  std::vector<std::pair<InodeId, std::string>>
      way;  // directories on the way down, by the name in the one above
  InodeId at = dir;
  while (removed < max) {
    CURVEFS_TRY(auto page, meta_.List(at, 0, kPage, false));
    bool descended = false;
    for (const auto& entry : page) {
      if (removed >= max) break;
      const bool is_dir = entry.dentry.type == S_IFDIR >> 12;
      auto inode =
          is_dir ? meta_.RemoveDirectory(at, entry.name, InodeId()) : meta_.Unlink(at, entry.name, InodeId());
      if (!inode && is_dir && inode.error().code() == Code::kNotEmpty) {
        way.emplace_back(at, entry.name);
        at = entry.dentry.inode;
        descended = true;
        break;
      }
      if (!inode && inode.error().code() != Code::kNotFound) return Fail(inode.error());
      if (!inode) continue;
      ++removed;
      gone(*inode);
    }
    changed_(at);
    if (descended || !page.empty()) continue;
    if (way.empty()) break;
    at = way.back().first;  // it is removed when its entries are listed again
    way.pop_back();
  }
  return removed;
}

Result<size_t> Trash::Expire(size_t max, const std::function<void(const meta::Inode&)>& gone) {
  if (!enabled()) return size_t{0};
  auto top = meta_.Lookup(meta_.root(), kTrashName);
  if (!top) return top.error().code() == Code::kNotFound ? Result<size_t>(0) : Fail(top.error());
  const Timestamp now = clock_.Wall();
  size_t removed = 0;
  for (uint64_t cookie = 0; removed < max;) {
    CURVEFS_TRY(auto page, meta_.List(top->id, cookie, kPage, false));
    if (page.empty()) break;
    for (const auto& entry : page) {
      cookie = entry.cookie;
      const auto begin = ParseHourName(entry.name);
      if (!begin || entry.dentry.type != S_IFDIR >> 12 || now.ns - begin->ns < kHour + keep_.count())
        continue;
      CURVEFS_TRY(size_t n, Empty(entry.dentry.inode, max - removed, gone));
      removed += n;
      if (removed >= max) break;
      auto dir = meta_.RemoveDirectory(top->id, entry.name, InodeId());
      if (dir) gone(*dir);
      changed_(top->id);
    }
  }
  return removed;
}

}  // namespace curvefs::client
