// FsDir: the directory of a standalone file system, and who uses it (docs/FORMATS.md "DIR").
//
//   DIR/curvefs.toml   what this is: format version, uuid, name, engine, sizes; written once, when the file
//   system is made DIR/LOCK           held by the one process that uses DIR; names it; empty when the last
//   one ended cleanly DIR/meta           metadata (metaserver/copyset.h) DIR/objects        data
//   (object/object_store.h), unless they are in S3
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/limits.h"
#include "base/status.h"
#include "metaserver/copyset.h"
#include "metaserver/engine.h"
#include "object/coded/coded_format.h"

namespace curvefs::cli {

inline constexpr uint32_t kDirFormat = 2;  // the newest; what older programs can use is written as 1

using metaserver::EngineName;
using metaserver::ParseEngine;

// Where the objects are (cli/objects.h). Empty: in DIR/objects. Keys are never kept.
struct DataPlace {
  std::string data;                                     // "s3://BUCKET/PREFIX"
  std::string s3_endpoint, s3_region, s3_style, s3_ca;  // the way there
  friend bool operator==(const DataPlace&, const DataPlace&) = default;
};

// The content of curvefs.toml.
struct FsDescription {
  uint32_t format = 1;
  std::string uuid;  // as text, 8-4-4-4-12 hex digits
  std::string name;
  metaserver::MetaEngine engine = metaserver::MetaEngine::kMemory;
  uint64_t chunk_size = kChunkSize;
  uint64_t block_size = kBlockSize;
  DataPlace place;
  object::Compression compress = object::Compression::kNone;
  std::string wrapped_key;  // empty: not encrypted (object/coded/data_key.h)
  // kMaking: the first metadata are not written yet; the next mount begins again. kLoading: `curvefs load`
  // has not ended.
  enum class State { kMaking, kLoading, kReady } state = State::kMaking;
  bool ready() const { return state == State::kReady; }
};
std::string FormatDescription(const FsDescription& description);
// kUnsupportedVersion: made by a newer program. kCorrupt: not a description. `path` is for the message.
Result<FsDescription> ParseDescription(std::string_view text, const std::string& path);

// Who holds DIR/LOCK.
struct DirUser {
  int64_t pid = 0;  // 0: unknown
  std::string command;
  std::string mount_point;                          // empty: not a mount
  uint64_t waiting_objects = 0, waiting_bytes = 0;  // for their upload, while it waits for that at its end
};

class FsDir {
 public:
  enum class Create { kNo, kIfEmpty, kMustBeEmpty };

  // Takes the lock of `dir` for `user` and reads the description. An absent or empty directory becomes a new
  // file system as `fresh` says, if `create` allows; else kNotFound. kExists: not empty, and not a file
  // system (or, kMustBeEmpty, one). kBusy: in use, by whom. `read_only`: nothing is written, and a directory
  // that cannot be written needs no lock.
  static Result<std::unique_ptr<FsDir>> Open(Disk& disk, std::string dir, Create create,
                                             const FsDescription& fresh, const DirUser& user, bool read_only);
  // Lets go of the lock. Unless Clean was called it is left saying that its holder did not end cleanly.
  ~FsDir() = default;

  const std::string& path() const { return dir_; }
  std::string meta_dir() const { return dir_ + "/meta"; }
  std::string objects_dir() const { return dir_ + "/objects"; }
  const FsDescription& description() const { return description_; }
  // Who used it last, if that one did not end cleanly; pid 0 otherwise.
  const DirUser& crashed_user() const { return crashed_user_; }

  // Remembers where the objects are from now on, or another way there.
  Status SetPlace(const DataPlace& place);
  // Says in LOCK how much is still to be uploaded, for whoever waits for the end. Best effort.
  void SetWaiting(uint64_t objects, uint64_t bytes) const;
  // The first metadata are durable: from now on DIR is a file system.
  Status MarkReady();
  // Everything is durable and nothing more will be written. One who only read leaves LOCK as it was.
  Status Clean();

  // The process that the lock names, whether or not it still runs. kNotFound: nobody, the last one ended
  // cleanly.
  static Result<DirUser> LastUser(Disk& disk, const std::string& dir);

 private:
  FsDir(Disk& disk, std::string dir) : disk_(disk), dir_(std::move(dir)) {}
  Status TakeLock(const DirUser& user, bool read_only);
  Status ReadOrMake(Create create, const FsDescription& fresh, bool read_only);

  Disk& disk_;
  const std::string dir_;
  FsDescription description_;
  DirUser crashed_user_, user_;
  bool read_only_ = false;
  std::unique_ptr<File> lock_;  // null: read-only, and the directory cannot be written
};

// The offline tools' view of the layout of a copyset below meta_dir().
inline std::string JournalDir(const FsDir& dir) {
  return dir.meta_dir() + "/journal";
}
inline std::string StoreDir(const FsDir& dir) {
  return dir.meta_dir() + "/store";
}

std::string UuidText(std::string_view bytes16);
Result<std::string> UuidBytes(std::string_view text);

}  // namespace curvefs::cli
