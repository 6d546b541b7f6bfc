#include "cli/server/state_dump.h"

#include <cstdio>
#include <cstdlib>

#include "metaserver/process/server_dir.h"
#include "metaserver/replicated_copyset.h"
#include "raft/log_store.h"

namespace curvefs::cli {
namespace {

void PutHex(std::string_view bytes) {
  for (unsigned char c : bytes) std::printf("%02x", c);
}

// Nothing takes a snapshot here.
struct NoBackground final : metaserver::Background {
  void Run(std::function<void()>, std::function<void()>) override { CURVEFS_CHECK(false); }
};

}  // namespace

Status DumpState(const std::string& dir, const std::string& copyset) {
  char* rest = nullptr;
  const raft::GroupId id(std::strtoull(copyset.c_str(), &rest, 10));
  if (!id || *rest != '\0') return {Code::kInvalid, "'" + copyset + "' is not the id of a copyset"};
  Disk& disk = Disk::Posix();
  CURVEFS_TRY(auto server, metaserver::ServerDir::OpenToRead(disk, dir));
  raft::LogOptions options;
  options.journal.read_only = true;
  kv::JournalRecovery recovery;
  CURVEFS_TRY(auto log, raft::LogStore::Open(disk, server->log_dir(), options, &recovery));
  const auto info = log->Info(id);
  if (!info) return {Code::kNotFound, "copyset " + copyset + " is not in " + dir};
  const meta::FsContext fs;
  NoBackground background;
  metaserver::ReplicatedOptions state;
  state.engine = server->engine();
  state.rocks.read_only = true;
  CURVEFS_TRY(auto replica, metaserver::ReplicatedCopyset::Open(disk, server->CopysetDir(id), {}, fs,
                                                                Clock::System(), background, state));
  const raft::Index end = std::min(info->hard.commit, info->last);
  while (replica->applied() < end) {
    CURVEFS_TRY(const auto entries, log->Read(id, replica->applied() + 1, end + 1, 1 << 20));
    CURVEFS_CHECK_OK(replica->Apply(entries));
  }
  const kv::KVStore& store = replica->store();
  std::printf("applied %llu\n", static_cast<unsigned long long>(store.applied()));
  // All keys: the upper end is above any.
  return store.Scan("", std::string(kMaxKey, '\xff'), [](std::string_view key, std::string_view value) {
    PutHex(key);
    std::printf(" ");
    PutHex(value);
    std::printf("\n");
    return true;
  });
}

}  // namespace curvefs::cli
