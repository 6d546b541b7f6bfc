// Where a file system keeps its objects, and the way there: in DIR/objects, or in an S3 bucket. The one place
// that opens the store, for mount, fsck and all others.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/disk.h"
#include "base/status.h"
#include "cli/fs_dir.h"
#include "data/data_cache.h"
#include "object/object_store.h"

namespace curvefs::cli {

// What the knobs of one mount say. What is not given is as remembered, or else by default.
struct ObjectsOptions {
  std::optional<std::string> data;  // "s3://BUCKET/PREFIX"
  std::optional<std::string> s3_endpoint, s3_region, s3_style, s3_ca;
  bool s3_sign_payload = true;
  uint64_t s3_uploads = 16, s3_downloads = 32;          // at once
  uint64_t s3_upload_limit = 0, s3_download_limit = 0;  // bytes per second; 0: none
  Duration s3_timeout = std::chrono::seconds(60);       // of tries, until an operation fails
};

// The place of a file system's objects, from what curvefs.toml says and what is given now. `fresh`: none is
// kept there yet, so the given one counts. Otherwise the way to the store may change (endpoint, region,
// style, CA), the store may not: kInvalid.
Result<DataPlace> ChoosePlace(const DataPlace& remembered, bool fresh, const ObjectsOptions& options,
                              const std::string& dir);

// The store of a file system's objects, opened.
struct OpenedObjects {
  std::unique_ptr<object::ObjectStore> store;
  // False: a store in S3 could not be reached. It is looked for in the background, and used when it is there.
  std::function<bool()> reached = [] { return true; };
  std::function<std::string()> stats_text = [] { return std::string(); };  // lines for .stats
  // Nothing more is waited for, and what the store is asked fails: for the end of a process.
  std::function<void()> give_up = [] {};
};

// kMake: the place becomes this file system's. kUse, kRead: it must be. In each case a store in S3 is probed
// first; with kRead nothing is written to it. kUnavailable: it cannot be reached; with `may_be_away` that is
// no error.
enum class ObjectsUse { kMake, kUse, kRead };
Result<OpenedObjects> OpenObjects(Disk& disk, const FsDir& dir, const DataPlace& place,
                                  const ObjectsOptions& options, ObjectsUse use, bool may_be_away = false);
// Those in S3 (`place.data` is not empty) of the file system that is described: its uuid and name.
Result<OpenedObjects> OpenS3Objects(Disk& disk, const FsDescription& description, const DataPlace& place,
                                    const ObjectsOptions& options, ObjectsUse use, bool may_be_away = false);
// What suits a store that takes its time for each request, and many at once.
void TuneForS3(data::DataOptions* options);

}  // namespace curvefs::cli
