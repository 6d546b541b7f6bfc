#include "cli/objects.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "object/late_store.h"
#include "object/s3/client.h"
#include "object/s3/credentials.h"
#include "object/s3/location.h"
#include "object/s3/store.h"

namespace curvefs::cli {
namespace {

namespace s3 = object::s3;

constexpr Duration kProbeTries = std::chrono::seconds(5);  // somebody waits for the mount
constexpr const char* kDefaultRegion = "us-east-1";
constexpr uint32_t kRemotePutThreads = 14;
constexpr uint32_t kRemoteAheadThreads = 8;
constexpr uint64_t kRemoteReadAhead = 64 << 20;

s3::Client::CredentialSource Keys(Disk& disk) {
  return [&disk] { return s3::FindCredentials([](const char* name) { return std::getenv(name); }, disk); };
}

Result<s3::ClientOptions> ToClientOptions(const DataPlace& place, const s3::Location& location,
                                          const ObjectsOptions& options) {
  s3::ClientOptions o;
  o.bucket = location.bucket;
  CURVEFS_TRY(o.endpoint, s3::Endpoint::Parse(place.s3_endpoint));
  o.region = place.s3_region;
  o.style = place.s3_style == "virtual" ? s3::Style::kVirtual : s3::Style::kPath;
  o.sign_payload = options.s3_sign_payload;
  o.retry_total = options.s3_timeout;
  o.request_timeout = std::max<Duration>(o.request_timeout, options.s3_timeout);
  // One that stands still is given up early enough for the whole to end in time.
  o.transport.stall_timeout = std::min<Duration>(o.transport.stall_timeout, options.s3_timeout);
  o.transport.ca_file = place.s3_ca;
  o.transport.at_once[static_cast<size_t>(s3::Lane::kUpload)] = options.s3_uploads;
  o.transport.at_once[static_cast<size_t>(s3::Lane::kDownload)] = options.s3_downloads;
  o.transport.upload_bytes_per_second = options.s3_upload_limit;
  o.transport.download_bytes_per_second = options.s3_download_limit;
  return o;
}

Status Look(s3::Client& client, const s3::Location& location, const FsDescription& description,
            ObjectsUse use) {
  CURVEFS_CHECK_OK(s3::Probe(client, location, use == ObjectsUse::kRead));
  if (use == ObjectsUse::kMake) return s3::Claim(client, location, description.uuid, description.name);
  return s3::CheckClaim(client, location, description.uuid);
}

}  // namespace

Result<DataPlace> ChoosePlace(const DataPlace& remembered, bool fresh, const ObjectsOptions& options,
                              const std::string& dir) {
  DataPlace place = remembered;
  if (options.data) {
    CURVEFS_TRY(const s3::Location location, s3::Location::Parse(*options.data));
    if (fresh) {
      place.data = location.ToString();
    } else if (place.data != location.ToString()) {
      return Fail(
          Code::kInvalid,
          dir + " keeps its data in " + (place.data.empty() ? dir + "/objects" : place.data) + ", not in " +
              location.ToString() +
              "; leave --data out. To move the data make a new file system there, and copy the files");
    }
  }
  const bool any = options.s3_endpoint || options.s3_region || options.s3_style || options.s3_ca;
  if (place.data.empty()) {
    if (!any) return place;
    return Fail(Code::kInvalid,
                "--s3-… say how to reach a bucket, but the data of " + dir + " are in " + dir +
                    "/objects; a new file system keeps them in S3 with --data s3://BUCKET/PREFIX");
  }
  if (options.s3_region) place.s3_region = *options.s3_region;
  if (place.s3_region.empty()) place.s3_region = kDefaultRegion;
  if (options.s3_style) place.s3_style = *options.s3_style;
  if (place.s3_style.empty()) place.s3_style = "path";
  if (options.s3_ca) place.s3_ca = *options.s3_ca;
  if (options.s3_endpoint) {
    CURVEFS_TRY(const s3::Endpoint endpoint, s3::Endpoint::Parse(*options.s3_endpoint));
    place.s3_endpoint = endpoint.ToString();
  }
  if (place.s3_endpoint.empty()) place.s3_endpoint = s3::Endpoint::OfAws(place.s3_region).ToString();
  return place;
}

Result<OpenedObjects> OpenObjects(Disk& disk, const FsDir& dir, const DataPlace& place,
                                  const ObjectsOptions& options, ObjectsUse use, bool may_be_away) {
  if (!place.data.empty()) return OpenS3Objects(disk, dir.description(), place, options, use, may_be_away);
  OpenedObjects opened;
  opened.store = object::MakeDirectoryStore(disk, dir.objects_dir());
  return opened;
}

void TuneForS3(data::DataOptions* options) {
  options->put_threads = kRemotePutThreads;
  options->ahead_threads = kRemoteAheadThreads;
  options->readahead_bytes = kRemoteReadAhead;
  options->far_objects = true;
}

Result<OpenedObjects> OpenS3Objects(Disk& disk, const FsDescription& description, const DataPlace& place,
                                    const ObjectsOptions& options, ObjectsUse use, bool may_be_away) {
  OpenedObjects opened;
  CURVEFS_TRY(const s3::Location location, s3::Location::Parse(place.data));
  CURVEFS_TRY(const s3::ClientOptions client_options, ToClientOptions(place, location, options));
  s3::ClientOptions quick = client_options;
  quick.retry_total = std::min(quick.retry_total, kProbeTries);
  quick.request_timeout = std::min(quick.request_timeout, 2 * kProbeTries);
  CURVEFS_TRY(std::shared_ptr<s3::Client> prober, s3::Client::Make(quick, Keys(disk), Clock::System()));
  Status looked = Look(*prober, location, description, use);
  if (!looked.ok() && !(may_be_away && looked.code() == Code::kUnavailable)) return Fail(std::move(looked));

  CURVEFS_TRY(std::shared_ptr<s3::Client> client,
              s3::Client::Make(client_options, Keys(disk), Clock::System()));
  opened.stats_text = [client] { return s3::StatsText(client->stats()); };
  opened.give_up = [client] { client->GiveUp(); };
  opened.store = s3::MakeS3Store(client, location);
  if (looked.ok()) return opened;

  Log(LogLevel::kWarning, looked.message() +
                              "; the file system is mounted all the same: what the cache directories hold "
                              "is served, reads of other data fail until the store is back");
  auto late = std::make_unique<object::LateStore>(
      std::move(opened.store),
      object::LateStoreOptions{
          .look = [prober, location, d = description, use] { return Look(*prober, location, d, use); },
          .patience = options.s3_timeout},
      std::move(looked));
  opened.reached = [store = late.get()] { return store->reached(); };
  opened.give_up = [client, prober, store = late.get()] {
    prober->GiveUp();
    store->GiveUp();
    client->GiveUp();
  };
  opened.store = std::move(late);
  return opened;
}

}  // namespace curvefs::cli
