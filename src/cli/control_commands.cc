#include "cli/control_commands.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cli/standalone.h"

namespace curvefs::cli {
namespace {

constexpr uint32_t kPage = 256;  // entries of a directory asked for at once

// Calls visit(path below the starting point, inode) for everything in the tree at `top`, itself included,
// each directory before what is in it. Holds one page of each directory on the way down.
Status WalkTree(client::MetaClient& meta, const meta::Inode& top,
                const std::function<Status(const std::string&, const meta::Inode&)>& visit) {
  CURVEFS_CHECK_OK(visit("", top));
  if (!top.is_dir()) return {};
  struct Level {
    InodeId dir;
    std::string path;
    uint64_t cookie = 0;
    size_t next = 0;
    std::vector<client::MetaClient::Listed> page;
  };
  std::vector<Level> levels;
  levels.push_back({.dir = top.id});
  while (!levels.empty()) {
    Level& level = levels.back();
    if (level.next == level.page.size()) {
      auto page = meta.List(level.dir, level.cookie, kPage, true);
      if (!page && page.error().code() != Code::kNotFound) return page.error();  // removed meanwhile
      if (!page || page->empty()) {
        levels.pop_back();
        continue;
      }
      level.page = *std::move(page);
      level.cookie = level.page.back().cookie;
      level.next = 0;
    }
    const auto& entry = level.page[level.next++];
    const std::string path = level.path.empty() ? entry.name : level.path + "/" + entry.name;
    CURVEFS_CHECK_OK(visit(path, entry.inode));
    if (entry.inode.is_dir()) levels.push_back({.dir = entry.inode.id, .path = path});
  }
  return {};
}

// compact: "inode", a file or the top of a tree. Tells "path" (below it) and the costs of reading each file
// that changed; the result is the sums.
Result<ControlFields> Compact(Standalone& fs, const ControlFields& arguments, ControlProgress& progress) {
  const InodeId top(FieldOr<uint64_t>(arguments, "inode", 0));
  if (!top) return Fail(Code::kInvalid, "compact needs 'inode'");
  CURVEFS_TRY(meta::Inode inode, fs.meta().GetInode(top));
  uint64_t files = 0, changed = 0;
  client::ReadCost sum_before, sum_after;
  CURVEFS_CHECK_OK(WalkTree(fs.meta(), inode, [&](const std::string& path, const meta::Inode& at) -> Status {
    if (progress.cancelled()) return Code::kInterrupted;
    if (!at.is_file()) return {};
    auto before = fs.vfs().CostOfReading(at.id);
    Status s = before ? fs.vfs().Compact(at.id, [&] { return progress.cancelled(); }) : before.error();
    auto after = s.ok() ? fs.vfs().CostOfReading(at.id) : before;
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

}  // namespace

void AddControlCommands(ControlServer& server, Standalone& fs) {
  server.Add("compact", [&fs](const ControlFields& arguments, ControlProgress& progress) {
    return Compact(fs, arguments, progress);
  });
}

}  // namespace curvefs::cli
