// What lies between a file system and the store of its objects: codes (compression, encryption) and the disk
// cache, in this order, so that the cache holds coded bytes.
//
// Codes are chosen when the file system is made and kept in curvefs.toml. The cache is chosen at each mount;
// but what waits in it for its upload belongs to the file system, so DIR/writeback names the cache
// directories from before the first object waits until none does (docs/FORMATS.md "DIR").
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/status.h"
#include "cli/fs_dir.h"
#include "object/cache/disk_cache_store.h"
#include "object/coded/coded_store.h"
#include "object/object_store.h"

namespace curvefs::cli {

// What opens an encrypted file system; both empty: nothing was given.
struct Secret {
  std::string passphrase;
  std::string rsa_pem;
  bool given() const { return !passphrase.empty() || !rsa_pem.empty(); }
};
// Reads the files, those that are named; `environment` (may be null) is the passphrase if no file is named.
// kInvalid: more than one, or an empty one.
Result<Secret> ReadSecret(Disk& disk, const std::string& passphrase_file, const std::string& rsa_file,
                          const char* environment);
inline constexpr const char* kPassphraseVariable = "CURVEFS_PASSPHRASE";

struct DataStackOptions {
  std::vector<std::string> cache_dirs;  // absolute; none: no disk cache
  uint64_t cache_bytes = uint64_t{100} << 30;
  double free_space_ratio = 0.1;
  bool writeback = false;
  uint32_t upload_threads = 8;
  std::optional<object::Compression> compress;  // of a new file system; of an existing one it must be this
  Secret secret;
};

// The codes of a new file system: a fresh data key, wrapped, if there is a secret.
Status ChooseCodes(const DataStackOptions& options, FsDescription* fresh,
                   std::optional<object::DataKey>* key);

enum class StackUse {
  kMount,
  kMountReadOnly,  // nothing is uploaded
  kCheck,          // fsck, gc without changes: the cache is only looked at, where DIR/writeback says
  kRepair,         // fsck --repair, gc --delete: as kCheck, and objects can be deleted
};

struct DataStack {
  std::unique_ptr<object::ObjectStore> objects;
  object::DiskCacheStore* cache = nullptr;  // within `objects`; null: none
};
// `key`: of ChooseCodes, for a file system that is just being made. kInvalid: the options do not suit the
// file system, or what waits in a cache would be missed; kAccessDenied: the secret is missing or wrong.
Result<DataStack> MakeDataStack(Disk& disk, const FsDir& dir, std::unique_ptr<object::ObjectStore> store,
                                const DataStackOptions& options, StackUse use,
                                const std::optional<object::DataKey>& key = std::nullopt);

// The end of a mount: waits for the uploads while `go_on` says so, and takes DIR/writeback away when all is
// done. What is left waits for the next mount; that is no error.
Status FinishUploads(Disk& disk, const FsDir& dir, object::DiskCacheStore& cache,
                     const std::function<bool(uint64_t objects, uint64_t bytes)>& go_on);

// Lines "cache_… N" for .stats.
std::string CacheStatsText(const object::DiskCacheStats& stats);

// The content of DIR/writeback.
std::string FormatWritebackMark(const std::vector<std::string>& cache_dirs);
Result<std::vector<std::string>> ParseWritebackMark(std::string_view text);  // kCorrupt

}  // namespace curvefs::cli
