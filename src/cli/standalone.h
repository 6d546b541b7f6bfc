// Standalone: a whole CurveFS in one process: metadata and data below one directory, and the vfs on top
// (DESIGN §2).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/disk.h"
#include "base/loop.h"
#include "base/status.h"
#include "cli/control_server.h"
#include "cli/data_stack.h"
#include "cli/fs_dir.h"
#include "cli/local_meta.h"
#include "cli/objects.h"
#include "client/vfs/vfs.h"
#include "data/data_cache.h"
#include "metaserver/copyset.h"
#include "object/object_store.h"

namespace curvefs::cli {

struct StandaloneOptions {
  std::optional<metaserver::MetaEngine>
      engine;                         // default memory; chosen for good when the file system is made
  std::optional<meta::Quota> limits;  // of a new file system; of an existing one they must be these
  std::string name;                   // of a new file system; default: the last part of the directory's path
  uint64_t seed = 0;                  // of a new file system's uuid and directory order; 0: random
  DirUser user;                       // who to name to others that want the directory
  ObjectsOptions objects;             // where the data are
  DataStackOptions stack;             // what lies above it: codes, disk cache
  // At the end, while uploads are waited for: called now and then; false leaves the rest for the next mount.
  std::function<bool(uint64_t objects, uint64_t bytes)> draining;
  metaserver::CopysetOptions copyset;  // engine and read_only are taken from here above and vfs
  data::DataOptions data;
  client::VfsOptions vfs;  // facts about the file system are added to config_text
};

class Standalone {
 public:
  // Opens the file system in `dir`, or makes one if it is missing or empty. kBusy: another process has it.
  // kExists: the directory holds something else. kUnsupportedVersion, kCorrupt: as the message says. Recovers
  // from a crash by itself.
  static Result<std::unique_ptr<Standalone>> Open(std::string dir, StandaloneOptions options);
  // For tests: on another disk and clock, which outlive it. With `objects` null, objects are files on `disk`.
  static Result<std::unique_ptr<Standalone>> Open(Disk& disk, const Clock& clock, std::string dir,
                                                  StandaloneOptions options,
                                                  std::unique_ptr<object::ObjectStore> objects = nullptr);
  // Without Shutdown before it: as a crash, what was not synced is lost.
  ~Standalone();

  // Makes everything durable and ends background work; then only destruction is allowed. On failure what
  // could not be stored is lost when the process ends; it may be called again.
  Status Shutdown();

  client::Vfs& vfs() { return *vfs_; }
  client::MetaClient& meta() { return *meta_; }
  metaserver::Copyset& copyset() { return *copyset_; }
  object::ObjectStore& objects() { return *objects_; }
  const FsDir& dir() const { return *dir_; }
  object::DiskCacheStore* cache() { return cache_; }  // null: none
  const ControlServer& control() const { return control_; }

 private:
  Standalone() = default;
  Result<OpenedObjects> OpenObjectStore(Disk& disk, const StandaloneOptions& options);
  void ExpireTrash();

  Disk* disk_ = nullptr;
  std::function<bool(uint64_t objects, uint64_t bytes)> draining_;
  // In the order of construction; each uses those before it.
  ControlServer control_;
  std::unique_ptr<FsDir> dir_;
  OpenedObjects opened_;  // `store` has moved to objects_
  std::unique_ptr<object::ObjectStore> objects_;
  object::DiskCacheStore* cache_ = nullptr;  // within objects_
  std::unique_ptr<metaserver::Copyset> copyset_;
  std::unique_ptr<LocalMeta> meta_;
  std::unique_ptr<client::Vfs> vfs_;
  std::unique_ptr<ThreadLoop> trash_loop_;
};

}  // namespace curvefs::cli
