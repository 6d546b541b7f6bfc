// Where a file system keeps its objects, and the way there: in DIR/objects, or in an S3 bucket. The one place
// that opens the store, for mount, fsck and all others.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/disk.h"
#include "base/status.h"
#include "cli/fs_dir.h"
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

// kMake: the place becomes this file system's. kUse, kRead: it must be. In each case a store in S3 is probed
// first; with kRead nothing is written to it.
enum class ObjectsUse { kMake, kUse, kRead };
Result<std::unique_ptr<object::ObjectStore>> OpenObjects(Disk& disk, const FsDir& dir, const DataPlace& place,
                                                         const ObjectsOptions& options, ObjectsUse use);

}  // namespace curvefs::cli
