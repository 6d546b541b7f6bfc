#include "cli/cluster_fs.h"

#include <unistd.h>

#include <utility>

#include "base/limits.h"
#include "cli/admin_client.h"
#include "cli/cluster_data.h"
#include "cli/control_commands.h"
#include "cli/mount_identity.h"

namespace curvefs::cli {
namespace {

constexpr Duration kLookForFreed = std::chrono::seconds(5);
constexpr Duration kLook = std::chrono::seconds(2);
constexpr Duration kTokenSpreads = std::chrono::seconds(20);
constexpr Duration kFind = std::chrono::seconds(4);  // to ask the MDS again, while a call waits

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

Result<ClusterFs::Found> ClusterFs::FindCopyset(Disk& disk, const ClusterFsOptions& options) {
  const std::string data = options.objects.data.value_or("");
  if (!data.starts_with(kDirectoryData) || data.size() == kDirectoryData.size()) {
    return Fail(Code::kInvalid, "--data dir:PATH is needed: a directory that every mount of " +
                                    options.place.ToString() + " reaches, and that holds its data");
  }
  const std::string path = data.substr(kDirectoryData.size());
  CURVEFS_TRY(const bool there, disk.Exists(path));
  if (!there)
    return Fail(Code::kNotFound, "--data: " + path + " does not exist; make it first: mkdir " + path);
  CURVEFS_TRY(const proto::CopysetStatus status, Look(options));
  if (status.fs_id() == 0) {
    return Fail(Code::kInvalid, "copyset " + std::to_string(options.place.copyset) +
                                    " holds no file system; 'curvefs copyset create --format' makes one");
  }
  // Object names have the file system's id and chunk ids in them that are handed out once.
  objects_ = object::MakeDirectoryStore(disk, path);
  client::Routes routes;
  routes.partitions.push_back({.id = PartitionId(0), .copyset = options.place.copyset, .grows = true});
  routes.copysets[options.place.copyset] = options.place.servers;
  return Found{
      .fs = FsId(status.fs_id()), .routes = std::move(routes), .find = nullptr, .data = data, .far = false};
}

Result<ClusterFs::Found> ClusterFs::FindByName(Disk& disk, const ClusterFsOptions& options) {
  CURVEFS_TRY(mds_, client::MdsClient::To({.servers = options.place.servers, .tls = options.tls}));
  char host[256] = "";
  (void)::gethostname(host, sizeof host - 1);
  CURVEFS_TRY(session_,
              client::MdsSession::Begin({.mds = options.place.servers,
                                         .tls = options.tls,
                                         .fs = options.place.fs,
                                         .token = options.token,
                                         .host = host,
                                         .mount_dir = options.mount_point,
                                         .client = MountIdentity(),
                                         .is_gone = IsGone,
                                         .news = [this](const proto::FsInfo& fs) { SetLimits(fs); }}));
  const proto::FsInfo& fs = session_->fs();
  if (fs.block_size() != kBlockSize || fs.chunk_size() != kChunkSize) {
    return Fail(Code::kNotSupported, "'" + fs.fs_name() + "' has blocks of " +
                                         std::to_string(fs.block_size()) + " and chunks of " +
                                         std::to_string(fs.chunk_size()) +
                                         " bytes, which this version does not know");
  }
  CURVEFS_TRY(opened_, OpenData(disk, fs, options.objects, options.vfs.read_only || session_->read_only()));
  objects_ = std::move(opened_.store);
  if (!options.stack.cache_dirs.empty()) CURVEFS_CHECK_OK(OpenCache(disk, options, fs.uuid()));
  Found found{.fs = FsId(fs.fs_id()), .data = DataText(fs), .far = fs.has_s3()};
  CURVEFS_TRY(found.routes, client::FindRoutes(*mds_, fs.fs_id()));
  // Calls that wait for the copyset ask with a short patience of their own.
  CURVEFS_TRY(
      mds_, client::MdsClient::To(
                {.servers = options.place.servers, .tls = options.tls, .timeout = kFind, .silence = kFind}));
  found.find = [this, id = fs.fs_id()] { return client::FindRoutes(*mds_, id); };
  return found;
}

Status ClusterFs::OpenCache(Disk& disk, const ClusterFsOptions& options, const std::string& uuid) {
  object::DiskCacheOptions cache;
  cache.dirs = options.stack.cache_dirs;
  cache.uuid = uuid;
  cache.size_bytes = options.stack.cache_bytes;
  cache.free_space_ratio = options.stack.free_space_ratio;
  cache.upload_threads = 0;  // what one mount has closed another reads, so nothing waits here
  CURVEFS_TRY(auto opened, object::DiskCacheStore::Open(disk, std::move(objects_), std::move(cache)));
  cache_ = opened.get();
  objects_ = std::move(opened);
  return {};
}

void ClusterFs::SetLimits(const proto::FsInfo& fs) {
  const MutexLock lock(limits_mu_);
  if (limits_to_ != nullptr) limits_to_->SetLimits({fs.capacity(), fs.inodes()});
}

// The directory that a token is for.
Result<InodeId> ClusterFs::FindRootOf(const std::string& subdir) {
  InodeId at = kRootInode;
  for (size_t begin = 1; begin < subdir.size();) {
    const std::string name = subdir.substr(begin, subdir.find('/', begin) - begin);
    begin += name.size() + 1;
    auto inode = meta_->Lookup(at, name);
    if (inode && !inode->is_dir()) inode = Fail(Code::kNotDirectory);
    if (!inode)
      return Fail(inode.error().code(), "the token is for the directory " + subdir + ", and '" + name +
                                            "' of it: " + inode.error().ToString());
    at = inode->id;
  }
  return at;
}

Result<std::unique_ptr<ClusterFs>> ClusterFs::Open(Disk& disk, ClusterFsOptions options) {
  std::unique_ptr<ClusterFs> fs(new ClusterFs);
  const bool by_name = options.place.by_name();
  CURVEFS_TRY(Found found, by_name ? fs->FindByName(disk, options) : fs->FindCopyset(disk, options));
  options.vfs.read_only |= fs->session_ && fs->session_->read_only();
  fs->read_only_ = options.vfs.read_only;
  client::ClusterMetaOptions to;
  to.client.cluster = options.cluster;
  CURVEFS_TRY(to.client.connection.tls, net::LoadTls(options.tls));
  to.client.fs = found.fs;
  to.client.owner = options.owner;
  to.client.token = options.token;
  to.client.timeout = options.timeout;
  to.client.early = options.early_answers;
  to.routes = std::move(found.routes);
  to.find = std::move(found.find);
  if (by_name) to.token_spreads = kTokenSpreads;
  CURVEFS_TRY(fs->meta_, client::ClusterMeta::Open(std::move(to)));
  InodeId root = kRootInode;
  if (fs->session_) {
    CURVEFS_TRY(root, fs->FindRootOf(fs->session_->subdir()));
  }
  fs->meta_->SetRoot(root);
  if (auto found = fs->meta_->GetInode(root); !found) {
    return Fail(found.error().code(), "the root directory of " + options.place.ToString() +
                                          " cannot be read: " + found.error().ToString());
  }
  if (fs->session_) {
    {
      const MutexLock lock(fs->limits_mu_);
      fs->limits_to_ = fs->meta_.get();
    }
    fs->SetLimits(fs->session_->fs());
  }
  if (found.far) TuneForS3(&options.cache);
  options.vfs.store_close = true;  // what one mount has closed another reads
  options.vfs.config_text = "fs.place = \"" + options.place.ToString() + "\"\nfs.data = \"" + found.data +
                            "\"\n" + options.vfs.config_text;
  AddControlCommands(fs->control_, *fs);
  options.vfs.control = [server = &fs->control_](const std::string& request, client::ControlReply& reply) {
    server->Serve(request, reply);
  };
  options.vfs.control_uid = ::geteuid();
  fs->vfs_ =
      std::make_unique<client::Vfs>(*fs->meta_, *fs->objects_, options.cache, options.vfs, Clock::System());
  if (!options.vfs.read_only)
    fs->freed_ = std::make_unique<client::FreedObjects>(*fs->meta_, *fs->objects_, found.fs, kLookForFreed);
  return fs;
}

Status ClusterFs::Shutdown() {
  CURVEFS_CHECK_OK(vfs_->Shutdown());
  meta_->Finish();
  GiveUp();  // nothing that is left to do is worth waiting for metaservers that are away
  freed_.reset();
  if (cache_ != nullptr) {
    cache_->AwaitFills();
    cache_->SaveOrder();
  }
  opened_.give_up();  // whoever still asks the store does so for nothing
  return {};
}

ClusterFs::~ClusterFs() {
  if (mds_) mds_->Stop();
}

}  // namespace curvefs::cli
