#include "cli/walk_tree.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace curvefs::cli {
namespace {

constexpr uint32_t kPage = 256;  // entries of a directory asked for at once

}  // namespace

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

}  // namespace curvefs::cli
