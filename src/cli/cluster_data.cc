#include "cli/cluster_data.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "object/s3/location.h"

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kMarker = "/curvefs.json";
constexpr const char* kObjects = "/objects";
constexpr size_t kMaxMarker = 64 << 10;

std::string DirectoryOf(std::string_view data) {
  return std::string(data.substr(kDirectoryData.size()));
}

// The place in S3, with what this mount says of the way there.
Result<DataPlace> S3Place(const proto::FsInfo& fs, ObjectsOptions options) {
  DataPlace place;
  place.data = DataText(fs);
  place.s3_endpoint = fs.s3().endpoint();
  place.s3_region = fs.s3().region();
  place.s3_style = fs.s3().style();
  options.data.reset();
  return ChoosePlace(place, /*fresh=*/false, options, "the file system '" + fs.fs_name() + "'");
}

FsDescription DescriptionOf(const proto::FsInfo& fs) {
  return {.uuid = fs.uuid(), .name = fs.fs_name()};
}

// kNotFound: there is no marker.
Status CheckMarker(Disk& disk, const std::string& directory, const proto::FsInfo& fs) {
  auto text = disk.ReadWholeFile(directory + kMarker, kMaxMarker);
  if (!text) return text.error();
  const Json j = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!j.is_object() || !j.contains("uuid") || !j["uuid"].is_string())
    return {Code::kCorrupt, directory + kMarker +
                                " does not say whose data lie there; restore it, or, if nothing is in " +
                                directory + kObjects + ", delete it"};
  if (j["uuid"] == fs.uuid()) return {};
  return {Code::kExists, directory + " holds the data of another file system (" +
                             j.value("name", std::string("?")) + ", " + j["uuid"].get<std::string>() +
                             "); give each a directory of its own"};
}

Status ClaimDirectory(Disk& disk, const std::string& directory, const proto::FsInfo& fs) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return FromErrno(error.value(), "make " + directory);
  Status status = CheckMarker(disk, directory, fs);
  if (status.code() != Code::kNotFound) return status;
  CURVEFS_TRY(auto there, disk.List(directory));
  std::erase(there, "lost+found");  // of a disk that is all theirs
  if (!there.empty())
    return {Code::kExists,
            directory + " is not empty (" + there.front() + "); data need a directory of their own"};
  const Json j{{"curvefs", 1}, {"uuid", fs.uuid()}, {"name", fs.fs_name()}};
  CURVEFS_CHECK_OK(disk.MakeDir(directory + kObjects));
  // One of two that come at a time has it: a link is made once.
  const std::string mine = directory + kMarker + "." + fs.uuid();
  CURVEFS_CHECK_OK(
      disk.WriteFileAtomically(mine, j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"));
  status = disk.Link(mine, directory + kMarker);
  (void)disk.Remove(mine);
  CURVEFS_CHECK_OK(disk.SyncDir(directory));
  if (!status.ok() && status.code() != Code::kExists) return status;
  return CheckMarker(disk, directory, fs);
}

}  // namespace

std::string DataText(const proto::FsInfo& fs) {
  if (fs.storage_case() == proto::FsInfo::kDirectory) return std::string(kDirectoryData) + fs.directory();
  if (!fs.has_s3()) return "a volume";
  return "s3://" + fs.s3().bucket() + (fs.s3().prefix().empty() ? "" : "/" + fs.s3().prefix());
}

Status DescribeData(const ObjectsOptions& options, proto::CreateFsRequest* request) {
  if (!options.data) {
    return {Code::kInvalid,
            "--data is needed, the place of the file system's data: dir:PATH, a directory that every machine "
            "that mounts it "
            "reaches under this path, or s3://BUCKET/PREFIX"};
  }
  if (options.data->starts_with(kDirectoryData)) {
    const std::string directory = DirectoryOf(*options.data);
    if (!directory.starts_with('/'))
      return {Code::kInvalid, "--data dir:PATH: '" + directory + "' is no absolute path"};
    if (options.s3_endpoint || options.s3_region || options.s3_style || options.s3_ca)
      return {Code::kInvalid, "--s3-… say how to reach a bucket, but the data are to lie in " + directory};
    request->set_directory(directory);
    return {};
  }
  if (!options.data->starts_with("s3://"))
    return {Code::kInvalid, "--data '" + *options.data + "' is neither dir:PATH nor s3://BUCKET/PREFIX"};
  CURVEFS_TRY(const DataPlace place, ChoosePlace({}, /*fresh=*/true, options, "the file system"));
  CURVEFS_TRY(const auto location, object::s3::Location::Parse(place.data));
  proto::S3Info& s3 = *request->mutable_s3();
  s3.set_endpoint(place.s3_endpoint);
  s3.set_region(place.s3_region);
  s3.set_style(place.s3_style);
  s3.set_bucket(location.bucket);
  s3.set_prefix(location.prefix);
  return {};
}

Status ClaimData(Disk& disk, const proto::FsInfo& fs, const ObjectsOptions& options) {
  if (fs.storage_case() == proto::FsInfo::kDirectory) return ClaimDirectory(disk, fs.directory(), fs);
  CURVEFS_TRY(const DataPlace place, S3Place(fs, options));
  CURVEFS_TRY(const OpenedObjects claimed,
              OpenS3Objects(disk, DescriptionOf(fs), place, options, ObjectsUse::kMake));
  return {};
}

Result<OpenedObjects> OpenData(Disk& disk, const proto::FsInfo& fs, const ObjectsOptions& options,
                               bool read_only) {
  if (fs.storage_case() == proto::FsInfo::kDirectory) {
    std::string directory = fs.directory();
    if (options.data) {
      if (!options.data->starts_with(kDirectoryData))
        return Fail(Code::kInvalid, "the data of '" + fs.fs_name() + "' lie in the directory " + directory +
                                        "; --data can say where that is on this machine: dir:PATH");
      directory = DirectoryOf(*options.data);
    }
    Status status = CheckMarker(disk, directory, fs);
    if (status.code() == Code::kNotFound) {
      return Fail(Code::kNotFound, directory + kMarker + " is missing, so the data of '" + fs.fs_name() +
                                       "' are not there: is the disk that holds them mounted on this "
                                       "machine? If they are at another path here, "
                                       "say so with --data dir:PATH");
    }
    CURVEFS_CHECK_OK(status);
    OpenedObjects opened;
    opened.store = object::MakeDirectoryStore(disk, directory + kObjects);
    return opened;
  }
  if (!fs.has_s3())
    return Fail(Code::kNotSupported,
                "the data of '" + fs.fs_name() + "' lie on a volume, which this version cannot read");
  if (options.data)
    return Fail(Code::kInvalid, "the data of '" + fs.fs_name() + "' lie in " + DataText(fs) +
                                    ", as the MDS knows; leave --data out");
  CURVEFS_TRY(const DataPlace place, S3Place(fs, options));
  return OpenS3Objects(disk, DescriptionOf(fs), place, options,
                       read_only ? ObjectsUse::kRead : ObjectsUse::kUse);
}

Result<uint64_t> DeleteData(Disk& disk, const proto::FsInfo& fs, object::ObjectStore& objects,
                            const std::function<void(uint64_t)>& progress, uint64_t* foreign) {
  constexpr size_t kAtOnce = 1'000;
  uint64_t deleted = 0;
  *foreign = 0;
  for (ChunkId from(0);;) {
    std::vector<object::ObjectName> batch;
    uint64_t strange = 0;
    CURVEFS_CHECK_OK(objects.List(
        from,
        [&](const object::ObjectName& name) {
          if (name.fs.value == fs.fs_id())
            batch.push_back(name);
          else
            ++strange;
          return batch.size() < kAtOnce;
        },
        &strange));
    *foreign = std::max(*foreign, strange);
    if (batch.empty()) break;
    CURVEFS_CHECK_OK(objects.DeleteMany(batch));
    deleted += batch.size();
    progress(deleted);
    if (batch.size() < kAtOnce) break;
    from = batch.back().chunk;
  }
  if (fs.storage_case() != proto::FsInfo::kDirectory || *foreign > 0) return deleted;
  // Directories that are not empty stay: RemoveDir refuses them.
  const std::string root = fs.directory() + kObjects;
  CURVEFS_TRY(const auto parts, disk.List(root));
  for (const std::string& part : parts) (void)disk.RemoveDir(root + "/" + part);
  if (disk.RemoveDir(root).ok()) (void)disk.Remove(fs.directory() + kMarker);
  return deleted;
}

}  // namespace curvefs::cli
