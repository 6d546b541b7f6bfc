#include "cli/standalone.h"

#include <unistd.h>

#include <random>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "cli/control_commands.h"

namespace curvefs::cli {
namespace {

constexpr size_t kExpireSlice = 1'000;  // names removed before the loop looks at other work
constexpr Duration kExpireInterval = std::chrono::minutes(1);

uint64_t SplitMix(uint64_t* state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

uint64_t RandomSeed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// Version 4, variant 1 of RFC 4122.
std::string NewUuid(uint64_t* state) {
  std::string bytes;
  for (int i = 0; i < 2; ++i) PutLe<uint64_t>(&bytes, SplitMix(state));
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  return UuidText(bytes);
}

std::string LastPart(const std::string& path) {
  size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return "curvefs";
  size_t slash = path.find_last_of('/', end);
  return path.substr(slash == std::string::npos ? 0 : slash + 1,
                     end - (slash == std::string::npos ? 0 : slash + 1) + 1);
}

std::string Facts(const FsDir& dir) {
  const FsDescription& d = dir.description();
  std::string text = "fs.dir = \"" + dir.path() + "\"\nfs.uuid = \"" + d.uuid + "\"\nfs.name = \"" + d.name +
                     "\"\nfs.engine = \"" + std::string(EngineName(d.engine)) +
                     "\"\nfs.format = " + std::to_string(d.format) +
                     "\nfs.chunk_size = " + std::to_string(d.chunk_size) +
                     "\nfs.block_size = " + std::to_string(d.block_size) + "\n";
  text += "fs.data = \"" + (d.place.data.empty() ? dir.objects_dir() : d.place.data) + "\"\n";
  if (!d.place.data.empty()) {
    text += "fs.s3_endpoint = \"" + d.place.s3_endpoint + "\"\nfs.s3_region = \"" + d.place.s3_region +
            "\"\nfs.s3_style = \"" + d.place.s3_style + "\"\nfs.s3_ca = \"" + d.place.s3_ca + "\"\n";
  }
  text += "fs.compress = \"" + std::string(object::CompressionName(d.compress)) +
          "\"\nfs.encrypted = " + (d.wrapped_key.empty() ? "false" : "true") + "\n";
  return text;
}

}  // namespace

Result<std::unique_ptr<Standalone>> Standalone::Open(std::string dir, StandaloneOptions options) {
  return Open(Disk::Posix(), Clock::System(), std::move(dir), std::move(options));
}

Result<std::unique_ptr<Standalone>> Standalone::Open(Disk& disk, const Clock& clock, std::string dir,
                                                     StandaloneOptions options,
                                                     std::unique_ptr<object::ObjectStore> objects) {
  uint64_t random = options.seed != 0 ? options.seed : RandomSeed();
  FsDescription fresh;
  fresh.uuid = NewUuid(&random);
  fresh.name = options.name.empty() ? LastPart(dir) : options.name;
  fresh.engine = options.engine.value_or(metaserver::MetaEngine::kMemory);

  if (options.objects.data) {
    CURVEFS_TRY(fresh.place, ChoosePlace({}, /*fresh=*/true, options.objects, dir));
  }
  std::optional<object::DataKey> data_key;
  CURVEFS_TRY(const bool described, disk.Exists(dir + "/curvefs.toml"));
  if (!described) CURVEFS_CHECK_OK(ChooseCodes(options.stack, &fresh, &data_key));

  std::unique_ptr<Standalone> fs(new Standalone);
  fs->disk_ = &disk;
  fs->draining_ = std::move(options.draining);
  const bool read_only = options.vfs.read_only;
  CURVEFS_TRY(fs->dir_,
              FsDir::Open(disk, std::move(dir), FsDir::Create::kIfEmpty, fresh, options.user, read_only));
  const FsDescription& description = fs->dir_->description();
  if (options.engine && *options.engine != description.engine) {
    return Fail(Code::kInvalid,
                fs->dir_->path() + " was made with the " + std::string(EngineName(description.engine)) +
                    " engine, and keeps it; leave --meta-engine out, or move the metadata with "
                    "'curvefs dump' and 'curvefs load --meta-engine'");
  }

  meta::SuperBlock format;
  format.fs = FsId(1);
  format.name = description.name;
  CURVEFS_TRY(format.uuid, UuidBytes(description.uuid));
  format.chunk_size = description.chunk_size;
  format.block_size = description.block_size;
  format.created = clock.Wall();
  format.hash_seed = SplitMix(&random);
  if (options.limits) {
    format.capacity_bytes = options.limits->bytes;
    format.capacity_inodes = options.limits->inodes;
  }

  if (objects) {
    fs->opened_.store = std::move(objects);
  } else {
    CURVEFS_TRY(fs->opened_, fs->OpenObjectStore(disk, options));
  }
  CURVEFS_TRY(DataStack stack,
              MakeDataStack(disk, *fs->dir_, std::move(fs->opened_.store), options.stack,
                            read_only ? StackUse::kMountReadOnly : StackUse::kMount, data_key));
  fs->objects_ = std::move(stack.objects);
  fs->cache_ = stack.cache;
  options.copyset.engine = description.engine;
  options.copyset.root_uid = ::geteuid();  // who makes a file system can write to it
  options.copyset.root_gid = ::getegid();
  options.copyset.read_only = read_only;
  options.copyset.objects_reached = fs->opened_.reached;
  CURVEFS_TRY(fs->copyset_,
              metaserver::Copyset::Open(disk, fs->dir_->meta_dir(), *fs->objects_,
                                        description.ready() ? nullptr : &format, options.copyset, clock));
  if (fs->copyset_->super().uuid != format.uuid) {
    return Fail(Code::kCorrupt, fs->dir_->path() +
                                    ": curvefs.toml and meta belong to two different file systems; put back "
                                    "the parts that belong together");
  }
  const meta::SuperBlock& super = fs->copyset_->super();
  if (options.limits && *options.limits != meta::Quota{super.capacity_bytes, super.capacity_inodes}) {
    return Fail(
        Code::kInvalid,
        fs->dir_->path() + " has a capacity of " + std::to_string(super.capacity_bytes) + " bytes and " +
            std::to_string(super.capacity_inodes) +
            " inodes (0: no limit); leave --capacity and --inodes out, mount it, and change them with "
            "'curvefs quota set MNT'");
  }
  if (!description.ready()) {
    CURVEFS_CHECK_OK(fs->copyset_->Sync());
    CURVEFS_CHECK_OK(fs->dir_->MarkReady());
  }
  fs->meta_ =
      std::make_unique<LocalMeta>(*fs->copyset_, [cache = fs->cache_, of_store = fs->opened_.stats_text] {
        return of_store() + (cache != nullptr ? CacheStatsText(cache->stats()) : std::string());
      });
  options.vfs.config_text = Facts(*fs->dir_) + options.vfs.config_text;
  AddControlCommands(fs->control_, *fs);
  options.vfs.control = [server = &fs->control_](const std::string& request, client::ControlReply& reply) {
    server->Serve(request, reply);
  };
  options.vfs.control_uid = ::geteuid();
  if (!fs->dir_->description().place.data.empty()) {
    TuneForS3(&options.data);
  }
  fs->vfs_ = std::make_unique<client::Vfs>(*fs->meta_, *fs->objects_, options.data, options.vfs, clock);
  if (options.vfs.trash.count() > 0 && options.copyset.background && !read_only) {
    fs->trash_loop_ = std::make_unique<ThreadLoop>("trash");
    fs->trash_loop_->Post([p = fs.get()] { p->ExpireTrash(); });
  }
  return fs;
}

Result<OpenedObjects> Standalone::OpenObjectStore(Disk& disk, const StandaloneOptions& options) {
  const FsDescription& description = dir_->description();
  const bool read_only = options.vfs.read_only;
  CURVEFS_TRY(const DataPlace place,
              ChoosePlace(description.place, !description.ready(), options.objects, dir_->path()));
  const ObjectsUse use = read_only             ? ObjectsUse::kRead
                         : description.ready() ? ObjectsUse::kUse
                                               : ObjectsUse::kMake;
  // A way to the store that has worked before may be interrupted; then a cache is worth having. A new way has
  // to be tried out.
  const bool may_be_away =
      use != ObjectsUse::kMake && place == description.place && !options.stack.cache_dirs.empty();
  CURVEFS_TRY(OpenedObjects opened, OpenObjects(disk, *dir_, place, options.objects, use, may_be_away));
  // Only now: it is the same store.
  if (!read_only && place != description.place) CURVEFS_CHECK_OK(dir_->SetPlace(place));
  return opened;
}

Standalone::~Standalone() {
  if (trash_loop_) trash_loop_->Stop();
}

void Standalone::ExpireTrash() {
  auto removed = vfs_->ExpireTrash(kExpireSlice);
  if (!removed) Log(LogLevel::kWarning, "emptying the trash: " + removed.error().ToString());
  trash_loop_->After(removed && *removed == kExpireSlice ? Duration() : kExpireInterval,
                     [this] { ExpireTrash(); });
}

Status Standalone::Shutdown() {
  if (trash_loop_) trash_loop_->Stop();
  Status stored = vfs_->Shutdown();
  if (!stored.ok()) {
    // What could be stored shall at least be found again.
    (void)copyset_->Sync();
    return stored;
  }
  CURVEFS_CHECK_OK(copyset_->Shutdown());
  if (cache_ != nullptr) {
    CURVEFS_CHECK_OK(FinishUploads(*disk_, *dir_, *cache_, [this](uint64_t count, uint64_t bytes) {
      dir_->SetWaiting(count, bytes);
      return !draining_ || draining_(count, bytes);
    }));
  }
  opened_.give_up();  // whoever still asks the store does so for nothing
  return dir_->Clean();
}

}  // namespace curvefs::cli
