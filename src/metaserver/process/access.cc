#include "metaserver/process/access.h"

#include <utility>

#include "net/token.h"

namespace curvefs::metaserver {
namespace {

constexpr const char* kFile = "/access";
constexpr size_t kMaxFile = size_t{64} << 20;

}  // namespace

Result<std::unique_ptr<Access>> Access::Open(Disk& disk, const std::string& dir) {
  std::unique_ptr<Access> access(new Access(disk, dir + kFile));
  auto bytes = disk.ReadWholeFile(access->path_, kMaxFile);
  if (!bytes) {
    if (bytes.error().code() != Code::kNotFound) return Fail(bytes.error());
    return access;
  }
  proto::AccessRules rules;
  if (!rules.ParseFromString(*bytes))
    return Fail(Code::kCorrupt, access->path_ +
                                    " cannot be read; without it nobody knows which file systems need a "
                                    "token: take it away only if none does, the MDS sends it again");
  access->known_ = *std::move(bytes);
  access->Use(rules);
  return access;
}

void Access::Use(const proto::AccessRules& rules) {
  auto table = std::make_shared<Table>();
  for (const auto& fs : rules.fs()) {
    Rights& rights = (*table)[fs.fs_id()];
    for (const auto& token : fs.token())
      rights[token.hash()] = {.read_only = token.read_only(), .until = token.expires_s()};
  }
  any_ = !table->empty();
  const MutexLock lock(mu_);
  table_ = std::move(table);
}

Status Access::Learn(const proto::AccessRules& rules) {
  std::string bytes = rules.SerializeAsString();
  if (bytes == known_) return {};
  Use(rules);
  CURVEFS_CHECK_OK(disk_.WriteFileAtomically(path_, bytes));
  known_ = std::move(bytes);
  return {};
}

Status Access::Check(const Request& request, Timestamp now) const {
  if (!any_) return {};
  std::shared_ptr<const Table> table;
  {
    const MutexLock lock(mu_);
    table = table_;
  }
  const auto fs = table->find(request.fs);
  if (fs == table->end()) return {};
  const std::string name = "file system " + std::to_string(request.fs);
  if (request.token.empty())
    return {Code::kNotPermitted, name +
                                     " needs a token, and the request shows none: mount it with one "
                                     "(--token-file FILE, or CURVEFS_TOKEN)"};
  const auto right = fs->second.find(net::TokenHash(request.token));
  if (right == fs->second.end())
    return {Code::kNotPermitted, "that is no token of " + name + ", or none any more"};
  if (right->second.until != 0 && now.sec() >= right->second.until)
    return {Code::kNotPermitted, "the token of " + name + " has expired"};
  if (request.changes && right->second.read_only)
    return {Code::kNotPermitted, "the token of " + name + " allows to read only"};
  return {};
}

}  // namespace curvefs::metaserver
