#include "cli/control_commands.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cli/cluster_fs.h"
#include "cli/standalone.h"
#include "cli/walk_tree.h"
#include "cli/warmup.h"

namespace curvefs::cli {
namespace {

// compact: "inode", a file or the top of a tree. Tells "path" (below it) and the costs of reading each file
// that changed; the result is the sums.
Result<ControlFields> Compact(client::MetaClient& meta, client::Vfs& vfs, const ControlFields& arguments,
                              ControlProgress& progress) {
  const InodeId top(FieldOr<uint64_t>(arguments, "inode", 0));
  if (!top) return Fail(Code::kInvalid, "compact needs 'inode'");
  CURVEFS_TRY(curvefs::meta::Inode inode, meta.GetInode(top));
  uint64_t files = 0, changed = 0;
  client::ReadCost sum_before, sum_after;
  CURVEFS_CHECK_OK(
      WalkTree(meta, inode, [&](const std::string& path, const curvefs::meta::Inode& at) -> Status {
        if (progress.cancelled()) return Code::kInterrupted;
        if (!at.is_file()) return {};
        auto before = vfs.CostOfReading(at.id);
        Status s = before ? vfs.Compact(at.id, [&] { return progress.cancelled(); }) : before.error();
        auto after = s.ok() ? vfs.CostOfReading(at.id) : before;
        if (s.code() == Code::kNotFound || !after) return {};  // deleted meanwhile
        CURVEFS_CHECK_OK(s);
        ++files;
        sum_before += *before;
        sum_after += *after;
        if (*before == *after) return {};
        ++changed;
        return progress.Tell({{"path", path},
                              {"objects_before", before->objects},
                              {"requests_before", before->requests},
                              {"objects_after", after->objects},
                              {"requests_after", after->requests}})
                   ? Status()
                   : Status(Code::kInterrupted);
      }));
  return ControlFields{{"files", files},
                       {"changed", changed},
                       {"objects_before", sum_before.objects},
                       {"requests_before", sum_before.requests},
                       {"objects_after", sum_after.objects},
                       {"requests_after", sum_after.requests}};
}

// ---- quotas ----

constexpr uint32_t kPage = 256;  // entries of a directory asked for at once

// The name of `child` in its directory; empty if it has none there any more.
std::string NameIn(client::MetaClient& meta, InodeId dir, InodeId child) {
  for (uint64_t cookie = 0;;) {
    auto page = meta.List(dir, cookie, kPage, false);
    if (!page || page->empty()) return {};
    for (const auto& entry : *page) {
      if (entry.dentry.inode == child) return entry.name;
    }
    cookie = page->back().cookie;
  }
}

// Where a directory is, from the root of the mount: "/a/b".
std::string PathOf(client::MetaClient& meta, InodeId dir) {
  std::string path;
  while (dir != kRootInode) {
    auto inode = meta.GetInode(dir);
    if (!inode || !inode->parent) return "?" + path;
    path = "/" + NameIn(meta, inode->parent, dir) + path;
    dir = inode->parent;
  }
  return path.empty() ? "/" : path;
}

ControlFields FieldsOf(Standalone& fs, const metaserver::QuotaUsage& q) {
  return {{"inode", q.dir.value},     {"path", PathOf(fs.meta(), q.dir)}, {"bytes", q.quota.bytes},
          {"inodes", q.quota.inodes}, {"used_bytes", q.used.bytes},       {"used_inodes", q.used.entries()}};
}

Result<meta::Inode> DirectoryOf(Standalone& fs, const ControlFields& arguments) {
  CURVEFS_TRY(meta::Inode dir, fs.meta().GetInode(InodeId(FieldOr<uint64_t>(arguments, "inode", 0))));
  if (!dir.is_dir()) return Fail(Code::kNotDirectory, "only directories have quotas");
  return dir;
}

Result<ControlFields> QuotaOf(Standalone& fs, InodeId dir) {
  // Tracks usage if it did not, with what is not stored yet.
  CURVEFS_TRY(client::DirUsage used, fs.vfs().DirectoryUsage(dir));
  metaserver::QuotaUsage q{.dir = dir, .used = {used.files, used.subdirs, used.bytes}};
  for (const auto& above : fs.copyset().QuotasAbove(dir)) {
    if (above.dir == dir) q.quota = above.quota;
  }
  return FieldsOf(fs, q);
}

// quota_set: "inode"; "bytes", "inodes": what is not given stays as it is, 0 takes the limit away.
Result<ControlFields> SetQuota(Standalone& fs, const ControlFields& arguments) {
  CURVEFS_TRY(meta::Inode dir, DirectoryOf(fs, arguments));
  CURVEFS_TRY(ControlFields now, QuotaOf(fs, dir.id));
  const meta::Quota quota{FieldOr<uint64_t>(arguments, "bytes", FieldOr<uint64_t>(now, "bytes", 0)),
                          FieldOr<uint64_t>(arguments, "inodes", FieldOr<uint64_t>(now, "inodes", 0))};
  CURVEFS_CHECK_OK(fs.copyset().SetQuota(dir.id, quota));
  CURVEFS_CHECK_OK(fs.copyset().Sync());
  return QuotaOf(fs, dir.id);
}

Result<ControlFields> ListQuotas(Standalone& fs, ControlProgress& progress) {
  uint64_t n = 0;
  for (const auto& q : fs.copyset().ListQuotas()) {
    if (!progress.Tell(FieldsOf(fs, q))) return Fail(Code::kInterrupted);
    ++n;
  }
  return ControlFields{{"quotas", n}};
}

// quota_check: counts everything anew and tells the directories whose figures were wrong.
Result<ControlFields> CheckQuotas(Standalone& fs, const ControlFields& arguments, ControlProgress& progress) {
  CURVEFS_TRY(client::DirUsage used, fs.vfs().DirectoryUsage(kRootInode));
  const bool repair = FieldOr<bool>(arguments, "repair", false);
  CURVEFS_TRY(std::vector<InodeId> wrong, fs.copyset().CheckUsage(repair));
  for (InodeId dir : wrong) {
    if (!progress.Tell({{"inode", dir.value}, {"path", PathOf(fs.meta(), dir)}}))
      return Fail(Code::kInterrupted);
  }
  return ControlFields{{"wrong", uint64_t{wrong.size()}},
                       {"repaired", repair ? uint64_t{wrong.size()} : uint64_t{0}},
                       {"files", used.files},
                       {"directories", used.subdirs}};
}

}  // namespace

void AddControlCommands(ControlServer& server, Standalone& fs) {
  server.Add("quota_set", [&fs](const ControlFields& a, ControlProgress&) { return SetQuota(fs, a); });
  server.Add("quota_get", [&fs](const ControlFields& a, ControlProgress&) -> Result<ControlFields> {
    CURVEFS_TRY(meta::Inode dir, DirectoryOf(fs, a));
    return QuotaOf(fs, dir.id);
  });
  server.Add("quota_list", [&fs](const ControlFields&, ControlProgress& p) { return ListQuotas(fs, p); });
  server.Add("quota_check",
             [&fs](const ControlFields& a, ControlProgress& p) { return CheckQuotas(fs, a, p); });
  server.Add("warmup", [&fs](const ControlFields& a, ControlProgress& p) {
    return Warmup(fs.meta(), fs.cache(), a, p);
  });
  server.Add("compact", [&fs](const ControlFields& arguments, ControlProgress& progress) {
    return Compact(fs.meta(), fs.vfs(), arguments, progress);
  });
}

void AddControlCommands(ControlServer& server, ClusterFs& fs) {
  server.Add("warmup", [&fs](const ControlFields& a, ControlProgress& p) {
    return Warmup(fs.meta(), fs.cache(), a, p);
  });
  server.Add("compact", [&fs](const ControlFields& a, ControlProgress& p) -> Result<ControlFields> {
    if (fs.read_only()) return Fail(Code::kReadOnly, "the mount is read-only");
    return Compact(fs.meta(), fs.vfs(), a, p);
  });
  for (const char* name : {"quota_set", "quota_get", "quota_list", "quota_check"}) {
    server.Add(name, [](const ControlFields&, ControlProgress&) -> Result<ControlFields> {
      return Fail(Code::kNotSupported,
                  "a cluster's file system has no quotas of directories yet; 'curvefs fs update NAME "
                  "--capacity SIZE --inodes N' sets limits of the whole");
    });
  }
}

}  // namespace curvefs::cli
