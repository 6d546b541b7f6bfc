// ServerDir: the directory of a metaserver, and the descriptions of the copysets in it (docs/FORMATS.md "The
// directory of a metaserver").
//
//   DIR/curvefs-metaserver.toml   what this is: format version, the metaserver's id, the engine of its state
//   DIR/registration.toml         who this is to the MDS, if there is one (registration.h)
//   DIR/LOCK                      held by the one process that uses DIR; names it
//   DIR/office                    the highest term of office that commands came with
//   DIR/log/                      the Raft logs of all groups (raft/log_store.h)
//   DIR/copysets/ID/              one copyset: copyset.toml, and its state (state_files.h); ID in hexadecimal
//   DIR/copysets/ID.gone/         one that is being deleted
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/ids.h"
#include "base/limits.h"
#include "metaserver/engine.h"
#include "raft/types.h"

namespace curvefs::metaserver {

inline constexpr uint32_t kServerDirFormat = 2;  // the newest; what older programs can use is written as 1
inline constexpr uint32_t kCopysetFormat = 1;

// A metaserver is one process of the cluster, known by this id for ever; 1 to 2^32 - 1.
using MetaserverId = uint64_t;

// Replicas are numbered so that the number says where they are.
constexpr MetaserverId MetaserverOf(raft::ReplicaId replica) {
  return replica.value & 0xffffffff;
}

struct CopysetDescription {
  raft::GroupId id;
  raft::ReplicaId self;
  raft::Members first;  // whom it begins with; none: it joined
  FsId fs;
  uint64_t hash_seed = 0;
  uint64_t chunk_size = kChunkSize;
};

class ServerDir {
 public:
  // Takes the lock and reads what DIR is; an empty or absent one becomes that of metaserver `id`. kBusy: in
  // use, by whom. kInvalid: of another id (0: whichever it is). kUnsupportedVersion: made by a newer program.
  // kExists: not empty, and not ours.
  // kInvalid also: made with another engine than `engine` (none: whichever it is, memory for a new one).
  static Result<std::unique_ptr<ServerDir>> Open(Disk& disk, std::string dir, MetaserverId id,
                                                 std::optional<MetaEngine> engine = {});
  // The same for looking into it while nobody uses it: nothing is written. kBusy, kNotFound.
  static Result<std::unique_ptr<ServerDir>> OpenToRead(Disk& disk, std::string dir);

  const std::string& path() const { return dir_; }
  MetaserverId id() const { return id_; }
  MetaEngine engine() const { return engine_; }
  std::string log_dir() const { return dir_ + "/log"; }
  std::string CopysetDir(raft::GroupId id) const;

  // Says in LOCK where the process can be reached; for tools on the same machine, and tests.
  Status Announce(const std::string& text);

  Result<std::vector<CopysetDescription>> Copysets() const;
  // Durable when it returns.
  Status Describe(const CopysetDescription& description);
  // From Withdraw on the copyset is not among Copysets; Erase, after its log has gone, deletes what is left
  // of all such.
  Status Withdraw(raft::GroupId id);
  Result<std::vector<raft::GroupId>> Withdrawn() const;
  Status Erase(raft::GroupId id);

  uint64_t office_term() const { return office_term_; }
  Status SetOfficeTerm(uint64_t term);  // durable when it returns; a lower one is ignored

 private:
  ServerDir(Disk& disk, std::string dir) : disk_(disk), dir_(std::move(dir)) {}
  Status TakeLock(bool read_only);
  Status ReadOrMake(MetaserverId id, std::optional<MetaEngine> engine, bool read_only);

  Disk& disk_;
  const std::string dir_;
  MetaserverId id_ = 0;
  MetaEngine engine_ = MetaEngine::kMemory;
  uint64_t office_term_ = 0;
  std::unique_ptr<File> lock_;
};

std::string FormatCopyset(const CopysetDescription& description);
Result<CopysetDescription> ParseCopyset(std::string_view text, const std::string& path);

}  // namespace curvefs::metaserver
