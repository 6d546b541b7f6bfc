// Where a cluster's file system keeps its data: a directory that all its mounts reach, or S3. The MDS knows
// the place; curvefs.json there says whose it is (docs/FORMATS.md "Data of a cluster's file system").
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/status.h"
#include "cli/objects.h"
#include "proto/mds.pb.h"

namespace curvefs::cli {

inline constexpr std::string_view kDirectoryData = "dir:";  // what --data begins with

// What `--data dir:PATH` or `s3://BUCKET/PREFIX` with --s3-… says, for the MDS. kInvalid.
Status DescribeData(const ObjectsOptions& options, proto::CreateFsRequest* request);
// The place becomes this file system's, uuid and name as in `fs`: made if it is a directory that is missing;
// one in S3 is probed. kExists: another one's, or something else is there.
Status ClaimData(Disk& disk, const proto::FsInfo& fs, const ObjectsOptions& options);
// Opens the store. `options.data` may say dir:PATH, the way to the same directory on this machine;
// --s3-endpoint and the like hold for this mount. kNotFound: nobody's data are there; kExists: another one's.
Result<OpenedObjects> OpenData(Disk& disk, const proto::FsInfo& fs, const ObjectsOptions& options,
                               bool read_only);

// Deletes all objects of a file system that nobody has any more, in batches, and then what says whose the
// place is: in a directory, so that it is empty; in S3 PREFIX/curvefs.json stays. Foreign files are left
// alone and counted in *foreign. May be called again after a failure. How many objects there were.
Result<uint64_t> DeleteData(Disk& disk, const proto::FsInfo& fs, object::ObjectStore& objects,
                            const std::function<void(uint64_t deleted)>& progress, uint64_t* foreign);

// "dir:PATH" or "s3://BUCKET/PREFIX".
std::string DataText(const proto::FsInfo& fs);

}  // namespace curvefs::cli
