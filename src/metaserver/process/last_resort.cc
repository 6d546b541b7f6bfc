#include "metaserver/process/last_resort.h"

#include <algorithm>

#include "base/log.h"
#include "metaserver/process/server_dir.h"
#include "metaserver/replicated_copyset.h"

namespace curvefs::metaserver {
namespace {

constexpr uint64_t kReadAtOnce = 4 << 20;

struct NoBackground final : Background {
  void Run(std::function<void()>, std::function<void()>) override { CURVEFS_CHECK(false); }
};

}  // namespace

Result<LastResort> SurviveAlone(Disk& disk, raft::LogStore& log, const std::string& state_dir,
                                raft::GroupId group, raft::ReplicaId survivor, MetaEngine engine) {
  const auto info = log.Info(group);
  if (!info) return Fail(Code::kNotFound, "the log knows no group " + std::to_string(group.value));
  NoBackground background;
  const meta::FsContext fs;
  CURVEFS_TRY(auto replica, ReplicatedCopyset::Open(disk, state_dir, {}, fs, Clock::System(), background,
                                                    ReplicatedOptions{.engine = engine}));
  if (replica->applied() < info->base.index)
    return Fail(Code::kCorrupt, state_dir + ": the state ends before the log begins");
  LastResort done{
      .before = {}, .last = info->last, .committed = std::max(info->hard.commit, replica->applied())};
  while (replica->applied() < info->last) {
    CURVEFS_TRY(const auto entries, log.Read(group, replica->applied() + 1, info->last + 1, kReadAtOnce));
    CURVEFS_CHECK_OK(replica->Apply(entries));
  }
  done.before = replica->members();
  if (!done.before.Contains(survivor)) {
    return Fail(Code::kInvalid, "replica " + std::to_string(survivor.value) + " is no member of group " +
                                    std::to_string(group.value));
  }
  if (done.before.voters == std::vector{survivor} && done.before.learners.empty())
    return Fail(Code::kInvalid, "replica " + std::to_string(survivor.value) + " is the only member already");
  Log(LogLevel::kError, "copyset " + std::to_string(group.value) + ": replica " +
                            std::to_string(survivor.value) + " goes on alone. " +
                            std::string(kLastResortWarning));
  // A term that nobody had; first the state, as when a snapshot from a peer is installed: if the end comes in
  // between, the start makes the log follow the state.
  CURVEFS_TRY(const raft::SnapshotMeta meta,
              replica->Seize(survivor, std::max(info->hard.term, replica->term()) + 1));
  CURVEFS_CHECK_OK(log.Reset(group, meta, {.term = meta.term, .commit = meta.index}));
  CURVEFS_CHECK_OK(log.Sync());
  return done;
}

Result<LastResort> RecoverCopyset(Disk& disk, const std::string& dir, raft::GroupId group,
                                  raft::ReplicaId survivor, bool yes_lose_data) {
  if (!yes_lose_data) return Fail(Code::kInvalid, std::string(kLastResortWarning));
  CURVEFS_TRY(const bool there, disk.Exists(dir + "/curvefs-metaserver.toml"));
  if (!there) return Fail(Code::kNotFound, dir + " is not the directory of a metaserver");
  CURVEFS_TRY(auto server, ServerDir::Open(disk, dir, 0));
  CURVEFS_TRY(const auto copysets, server->Copysets());
  auto found = std::find_if(copysets.begin(), copysets.end(), [&](const auto& c) { return c.id == group; });
  if (found == copysets.end())
    return Fail(Code::kNotFound, "copyset " + std::to_string(group.value) + " is not in " + dir);
  if (found->self != survivor) {
    return Fail(Code::kInvalid, dir + " has replica " + std::to_string(found->self.value) + " of copyset " +
                                    std::to_string(group.value) + ", not " + std::to_string(survivor.value));
  }
  kv::JournalRecovery recovery;
  CURVEFS_TRY(auto log, raft::LogStore::Open(disk, server->log_dir(), {}, &recovery));
  return SurviveAlone(disk, *log, server->CopysetDir(group), group, survivor, server->engine());
}

}  // namespace curvefs::metaserver
