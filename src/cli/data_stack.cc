#include "cli/data_stack.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "object/coded/data_key.h"

namespace curvefs::cli {
namespace {

constexpr size_t kMaxSecretFile = 64 << 10;
constexpr size_t kMaxMark = 1 << 20;
constexpr std::string_view kMarkLine = "cache_dir ";

std::string MarkPath(const FsDir& dir) {
  return dir.path() + "/writeback";
}

std::string Joined(const std::vector<std::string>& dirs) {
  std::string out;
  for (const std::string& dir : dirs) out += (out.empty() ? "" : ":") + dir;
  return out;
}

// The cache directories that DIR/writeback names; none if it is not there.
Result<std::vector<std::string>> ReadMark(Disk& disk, const FsDir& dir) {
  CURVEFS_TRY(const bool there, disk.Exists(MarkPath(dir)));
  if (!there) return std::vector<std::string>();
  CURVEFS_TRY(const std::string text, disk.ReadWholeFile(MarkPath(dir), kMaxMark));
  auto dirs = ParseWritebackMark(text);
  if (!dirs) return Fail(Code::kCorrupt, MarkPath(dir) + ": " + dirs.error().message());
  return dirs;
}

Status WriteMark(Disk& disk, const FsDir& dir, std::vector<std::string> dirs) {
  CURVEFS_TRY(const auto before, ReadMark(disk, dir));
  for (const std::string& d : before) {
    if (std::ranges::find(dirs, d) == dirs.end()) dirs.push_back(d);
  }
  if (before == dirs) return {};
  return disk.WriteFileAtomically(MarkPath(dir), FormatWritebackMark(dirs));
}

// Every cache directory where something waits must be there.
Status CheckMark(Disk& disk, const FsDir& dir, const std::vector<std::string>& marked,
                 const std::vector<std::string>& given) {
  for (const std::string& d : marked) {
    if (std::ranges::find(given, d) == given.end()) {
      return {Code::kInvalid, "objects of " + dir.path() +
                                  " wait for their upload in the cache directories " + Joined(marked) +
                                  "; mount it with --cache-dir " + Joined(marked) +
                                  ", until they are uploaded"};
    }
    const std::string write = d + "/" + dir.description().uuid + "/write";
    CURVEFS_TRY(const bool there, disk.Exists(write));
    if (!there) {
      return {
          Code::kNotFound,
          "objects of " + dir.path() + " wait for their upload in " + write +
              ", which is not there; mount the cache disk first. If it is lost, what waited there is lost: "
              "then remove " +
              MarkPath(dir) + ", and 'curvefs fsck' names the files"};
    }
  }
  return {};
}

Result<std::optional<object::DataKey>> OpenKey(const FsDir& dir, const Secret& secret, bool needed) {
  const FsDescription& d = dir.description();
  if (d.wrapped_key.empty()) {
    if (!secret.given()) return std::nullopt;
    return Fail(Code::kInvalid,
                dir.path() +
                    " was made without encryption; leave the passphrase or key out. To encrypt "
                    "its data make a new file system, and copy the files");
  }
  auto with = object::WrappedWith(d.wrapped_key);
  if (!with) return Fail(with.error().code(), dir.path() + "/curvefs.toml: " + with.error().message());
  const bool by_passphrase = *with == "passphrase";
  const std::string& given = by_passphrase ? secret.passphrase : secret.rsa_pem;
  if (given.empty()) {
    if (!needed && !secret.given()) return std::nullopt;
    return Fail(
        Code::kAccessDenied,
        dir.path() + " is encrypted; give " +
            (by_passphrase ? "its passphrase with --encrypt-passphrase-file FILE, or in the environment as " +
                                 std::string(kPassphraseVariable)
                           : std::string("its private RSA key with --encrypt-rsa-key PEM")));
  }
  auto key = object::Unwrap(d.wrapped_key, d.uuid, given);
  if (!key) return Fail(key.error().code(), dir.path() + ": " + key.error().message());
  return std::optional(*std::move(key));
}

}  // namespace

std::string FormatWritebackMark(const std::vector<std::string>& cache_dirs) {
  std::string text = "# Objects wait for their upload in these cache directories.\n";
  for (const std::string& dir : cache_dirs) text += std::string(kMarkLine) + dir + "\n";
  return text;
}

Result<std::vector<std::string>> ParseWritebackMark(std::string_view text) {
  std::vector<std::string> dirs;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == text.npos) return Fail(Code::kCorrupt, "it is cut short");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.starts_with('#')) continue;
    if (!line.starts_with(kMarkLine) || line.size() == kMarkLine.size()) {
      return Fail(Code::kCorrupt, "a line makes no sense: " + std::string(line));
    }
    dirs.emplace_back(line.substr(kMarkLine.size()));
  }
  return dirs;
}

Result<Secret> ReadSecret(Disk& disk, const std::string& passphrase_file, const std::string& rsa_file,
                          const char* environment) {
  Secret secret;
  if (!passphrase_file.empty() && !rsa_file.empty()) {
    return Fail(Code::kInvalid, "give either --encrypt-passphrase-file or --encrypt-rsa-key, not both");
  }
  if (!rsa_file.empty()) {
    CURVEFS_TRY(secret.rsa_pem, disk.ReadWholeFile(rsa_file, kMaxSecretFile));
    if (secret.rsa_pem.empty()) return Fail(Code::kInvalid, rsa_file + " is empty");
    return secret;
  }
  if (passphrase_file.empty()) {
    if (environment != nullptr) secret.passphrase = environment;
    return secret;
  }
  CURVEFS_TRY(secret.passphrase, disk.ReadWholeFile(passphrase_file, kMaxSecretFile));
  while (secret.passphrase.ends_with('\n') || secret.passphrase.ends_with('\r')) secret.passphrase.pop_back();
  if (secret.passphrase.empty()) return Fail(Code::kInvalid, passphrase_file + " holds no passphrase");
  return secret;
}

Status ChooseCodes(const DataStackOptions& options, FsDescription* fresh,
                   std::optional<object::DataKey>* key) {
  fresh->compress = options.compress.value_or(object::Compression::kNone);
  if (!options.secret.given()) return {};
  CURVEFS_TRY(*key, object::DataKey::Random());
  auto wrapped = options.secret.passphrase.empty()
                     ? object::WrapWithRsa(**key, fresh->uuid, options.secret.rsa_pem)
                     : object::WrapWithPassphrase(**key, fresh->uuid, options.secret.passphrase);
  if (!wrapped) return wrapped.error();
  fresh->wrapped_key = *std::move(wrapped);
  return {};
}

Result<DataStack> MakeDataStack(Disk& disk, const FsDir& dir, std::unique_ptr<object::ObjectStore> store,
                                const DataStackOptions& options, StackUse use,
                                const std::optional<object::DataKey>& key) {
  const FsDescription& d = dir.description();
  const bool mounts = use == StackUse::kMount || use == StackUse::kMountReadOnly;
  if (options.compress && *options.compress != d.compress) {
    return Fail(Code::kInvalid, dir.path() + " was made with --compress " +
                                    std::string(object::CompressionName(d.compress)) +
                                    ", and keeps it; leave --compress out");
  }
  std::optional<object::DataKey> data_key = key;
  if (!data_key) {
    CURVEFS_TRY(data_key, OpenKey(dir, options.secret, mounts));
  }
  CURVEFS_TRY(const auto marked, ReadMark(disk, dir));
  const std::vector<std::string>& dirs = mounts ? options.cache_dirs : marked;
  CURVEFS_CHECK_OK(CheckMark(disk, dir, marked, dirs));

  DataStack stack;
  stack.objects = std::move(store);
  if (!dirs.empty()) {
    object::DiskCacheOptions cache;
    cache.dirs = dirs;
    cache.uuid = d.uuid;
    cache.size_bytes = options.cache_bytes;
    cache.free_space_ratio = options.free_space_ratio;
    cache.writeback = options.writeback && use == StackUse::kMount;
    cache.read_only = use == StackUse::kCheck;
    cache.upload_threads = use == StackUse::kMount ? options.upload_threads : 0;
    cache.before_writeback = [&disk, &dir, dirs] { return WriteMark(disk, dir, dirs); };
    CURVEFS_TRY(auto opened, object::DiskCacheStore::Open(disk, std::move(stack.objects), std::move(cache)));
    stack.cache = opened.get();
    stack.objects = std::move(opened);
    const object::DiskCacheStats stats = stack.cache->stats();
    if (stats.waiting_objects > 0 && mounts) {
      Log(LogLevel::kInfo, dir.path() + ": " + std::to_string(stats.waiting_objects) + " objects (" +
                               std::to_string(stats.waiting_bytes) + " bytes) wait for their upload");
    }
  }
  if (d.compress != object::Compression::kNone || !d.wrapped_key.empty()) {
    stack.objects = object::MakeCodedStore(
        std::move(stack.objects),
        {.compression = d.compress, .encrypted = !d.wrapped_key.empty(), .key = std::move(data_key)});
  }
  return stack;
}

Status FinishUploads(Disk& disk, const FsDir& dir, object::DiskCacheStore& cache,
                     const std::function<bool(uint64_t objects, uint64_t bytes)>& go_on) {
  cache.AwaitFills();
  Status drained = cache.Drain(go_on);
  cache.SaveOrder();
  if (drained.code() == Code::kInterrupted) {
    Log(LogLevel::kInfo, dir.path() + ": " + drained.message() + "; the next mount does it");
    return {};
  }
  CURVEFS_CHECK_OK(drained);
  CURVEFS_TRY(const bool marked, disk.Exists(MarkPath(dir)));
  if (!marked) return {};
  CURVEFS_CHECK_OK(disk.Remove(MarkPath(dir)));
  return disk.SyncDir(dir.path());
}

std::string CacheStatsText(const object::DiskCacheStats& s) {
  std::string text;
  for (auto [name, value] : std::initializer_list<std::pair<const char*, uint64_t>>{
           {"hits", s.hits},
           {"hit_bytes", s.hit_bytes},
           {"misses", s.misses},
           {"objects", s.objects},
           {"bytes", s.bytes},
           {"fills", s.fills},
           {"fills_skipped", s.fills_skipped},
           {"evicted", s.evicted},
           {"damaged", s.damaged},
           {"foreign", s.foreign},
           {"disk_errors", s.disk_errors},
           {"disks_out", s.disks_out},
           {"waiting_objects", s.waiting_objects},
           {"waiting_bytes", s.waiting_bytes},
           {"uploads", s.uploads},
           {"upload_failures", s.upload_failures},
           {"put_through", s.put_through},
       }) {
    text += "cache_";
    text += name;
    text += ' ';
    text += std::to_string(value);
    text += '\n';
  }
  return text;
}

}  // namespace curvefs::cli
