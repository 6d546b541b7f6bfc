#include "cli/server/recover.h"

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "metaserver/process/last_resort.h"

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;

Result<uint64_t> Id(const std::string& text, const char* what) {
  char* rest = nullptr;
  const uint64_t id = std::strtoull(text.c_str(), &rest, 10);
  if (id == 0 || *rest != '\0') return Fail(Code::kInvalid, "'" + text + "' is not the id of a " + what);
  return id;
}

Json ListOf(const std::vector<raft::ReplicaId>& ids) {
  Json list = Json::array();
  for (raft::ReplicaId id : ids) list.push_back(id.value);
  return list;
}

}  // namespace

Status Recover(const std::string& dir, const std::string& copyset, const std::string& replica,
               bool yes_lose_data, bool json) {
  CURVEFS_TRY(const uint64_t group, Id(copyset, "copyset"));
  CURVEFS_TRY(const uint64_t survivor, Id(replica, "replica"));
  // The warning is part of what is printed.
  SetLogSink([](LogLevel, const std::string&) {});
  const std::string warning(metaserver::kLastResortWarning);
  auto done = metaserver::RecoverCopyset(Disk::Posix(), dir, raft::GroupId(group), raft::ReplicaId(survivor),
                                         yes_lose_data);
  if (!done && !yes_lose_data && done.error().code() == Code::kInvalid) {
    return {Code::kInvalid,
            done.error().message() + " Nothing was changed: confirm with --yes-i-know-data-may-be-lost"};
  }
  if (!done) return done.error();
  if (json) {
    const Json report{{"copyset", group},
                      {"survivor", survivor},
                      {"voters_before", ListOf(done->before.voters)},
                      {"learners_before", ListOf(done->before.learners)},
                      {"last", done->last},
                      {"known_committed", done->committed},
                      {"warning", warning}};
    std::printf("%s\n", report.dump(2).c_str());
    return {};
  }
  std::printf(
      "copyset %llu: replica %llu is its only member now. Its log ends at entry %llu, of which %llu were "
      "known "
      "to be committed; the rest count as committed from now on.\n%s\n",
      static_cast<unsigned long long>(group), static_cast<unsigned long long>(survivor),
      static_cast<unsigned long long>(done->last), static_cast<unsigned long long>(done->committed),
      warning.c_str());
  return {};
}

}  // namespace curvefs::cli
