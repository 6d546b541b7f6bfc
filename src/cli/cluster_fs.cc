#include "cli/cluster_fs.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "cli/admin_client.h"

namespace curvefs::cli {
namespace {

constexpr std::string_view kScheme = "meta://";
constexpr Duration kLook = std::chrono::seconds(2);

// What the copyset says of itself, whichever replica answers first.
Result<proto::CopysetStatus> Look(const ClusterFsOptions& options) {
  const ClusterPlace& place = options.place;
  Status last{Code::kUnavailable, "no metaserver is named"};
  for (const net::Address& address : place.servers) {
    auto client = AdminClient::To(address.ToString(), options.cluster, options.tls, kLook);
    if (!client) return Fail(std::move(client).error());
    proto::GetCopysetStatusRequest request;
    request.mutable_header()->set_copyset_id(place.copyset);
    auto response = client->Call<proto::GetCopysetStatusResponse>(AdminCall::kStatus, request);
    if (response) return response->status();
    last = {response.error().code(), address.ToString() + ": " + response.error().message()};
  }
  return Fail(last.code(), "copyset " + std::to_string(place.copyset) +
                               " cannot be asked: " + last.message() +
                               "; 'curvefs copyset list --server HOST:PORT' shows what a metaserver has");
}

}  // namespace

std::string ClusterPlace::ToString() const {
  std::string text(kScheme);
  for (const net::Address& address : servers)
    text += (text.size() == kScheme.size() ? "" : ",") + address.ToString();
  return text + "/" + std::to_string(copyset);
}

Result<ClusterPlace> ParseClusterPlace(std::string_view text) {
  const std::string whole(text);
  auto wrong = [&](const std::string& why) {
    return Fail(Code::kInvalid,
                "'" + whole + "': " + why + "; it is written meta://HOST:PORT[,HOST:PORT...]/COPYSET");
  };
  if (!IsClusterPlace(text)) return wrong("does not begin with meta://");
  text.remove_prefix(kScheme.size());
  const size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return wrong("no copyset is named");
  ClusterPlace place;
  const std::string_view number = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), place.copyset);
  if (error != std::errc() || end != number.data() + number.size() || place.copyset == 0)
    return wrong("'" + std::string(number) + "' is no number of a copyset");
  for (std::string_view list = text.substr(0, slash); !list.empty();) {
    const size_t comma = std::min(list.find(','), list.size());
    auto address = net::ParseAddress(list.substr(0, comma));
    if (!address) return wrong(address.error().message());
    place.servers.push_back(*std::move(address));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  if (place.servers.empty()) return wrong("no metaserver is named");
  return place;
}

Result<std::unique_ptr<ClusterFs>> ClusterFs::Open(Disk& disk, ClusterFsOptions options) {
  if (!options.data.starts_with(kDirectoryData) || options.data.size() == kDirectoryData.size()) {
    return Fail(Code::kInvalid, "--data dir:PATH is needed: a directory that every mount of " +
                                    options.place.ToString() + " reaches, and that holds its data");
  }
  const std::string path = options.data.substr(kDirectoryData.size());
  CURVEFS_TRY(const bool there, disk.Exists(path));
  if (!there)
    return Fail(Code::kNotFound, "--data: " + path + " does not exist; make it first: mkdir " + path);
  CURVEFS_TRY(const proto::CopysetStatus status, Look(options));
  if (status.fs_id() == 0) {
    return Fail(Code::kInvalid, "copyset " + std::to_string(options.place.copyset) +
                                    " holds no file system; 'curvefs copyset create --format' makes one");
  }

  std::unique_ptr<ClusterFs> fs(new ClusterFs);
  // Object names have the file system's id and chunk ids in them that are handed out once.
  fs->objects_ = object::MakeDirectoryStore(disk, path);
  const InodeId root = kRootInode;
  client::CopysetClientOptions to;
  to.servers = options.place.servers;
  to.copyset = options.place.copyset;
  to.cluster = options.cluster;
  if (!options.tls.ca.empty()) {
    CURVEFS_TRY(to.connection.tls, net::TlsContext::Load(options.tls));
  }
  to.fs = FsId(status.fs_id());
  to.partition = PartitionOf(root);
  to.owner = options.owner;
  to.timeout = options.timeout;
  CURVEFS_TRY(fs->copyset_, client::CopysetClient::Open(std::move(to)));
  fs->meta_ = std::make_unique<client::RemoteMeta>(*fs->copyset_, FsId(status.fs_id()), root);
  if (auto found = fs->meta_->GetInode(root); !found) {
    return Fail(found.error().code(), "the root directory of " + options.place.ToString() +
                                          " cannot be read: " + found.error().ToString());
  }
  options.vfs.sync_close = true;  // what one mount has closed another reads
  options.vfs.config_text = "fs.place = \"" + options.place.ToString() + "\"\nfs.data = \"" + options.data +
                            "\"\n" + options.vfs.config_text;
  fs->vfs_ =
      std::make_unique<client::Vfs>(*fs->meta_, *fs->objects_, options.cache, options.vfs, Clock::System());
  return fs;
}

}  // namespace curvefs::cli
