#include "cli/mount.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>
#include <vector>

#include "base/log.h"
#include "cli/cluster_data.h"
#include "cli/cluster_fs.h"
#include "cli/cluster_place.h"
#include "cli/daemon.h"
#include "cli/log.h"
#include "cli/mounts.h"
#include "cli/values.h"
#include "fuse/session.h"
#include "net/token.h"

namespace curvefs::cli {
namespace {

bool IsBelow(const std::string& path, const std::string& top) {
  return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/' || top == "/");
}

// What can be said before anything is done.
// The file system that `dir` would lie inside the files of; empty if none.
std::string EnclosingFileSystem(const std::string& dir) {
  std::error_code ignored;
  std::filesystem::path at = std::filesystem::absolute(dir, ignored).lexically_normal();
  while (at.has_relative_path()) {
    at = at.parent_path();
    if (std::filesystem::exists(at / "curvefs.toml", ignored)) return at.string();
  }
  return {};
}

std::vector<std::string> CacheDirs(const MountConfig& c);

Status CheckCacheDirs(const MountRequest& r) {
  const std::vector<std::string> dirs = CacheDirs(r.config);
  if (dirs.empty() && r.config.writeback)
    return {Code::kInvalid, "--writeback needs a disk to write to: give --cache-dir as well"};
  for (size_t i = 0; i < dirs.size(); ++i) {
    if (std::find(dirs.begin(), dirs.begin() + static_cast<ptrdiff_t>(i), dirs[i]) !=
        dirs.begin() + static_cast<ptrdiff_t>(i))
      return {Code::kInvalid, "--cache-dir names " + dirs[i] + " twice"};
    if (IsBelow(dirs[i], r.mount_point) || (!r.dir.empty() && IsBelow(dirs[i], r.dir))) {
      return {Code::kInvalid,
              "the cache directory " + dirs[i] + " lies in the mount point or in DIR; choose another place"};
    }
  }
  return {};
}

Status CheckMountPoint(const MountRequest& r) {
  if (r.mount_point.empty())
    return {Code::kInvalid, "the mount point is empty; name a directory to mount on"};
  struct stat st{};
  // A mount whose process died answers ENOTCONN; the session takes it away.
  if (::stat(r.mount_point.c_str(), &st) != 0 && errno != ENOTCONN) {
    Status status = FromErrno(errno, "mount point " + r.mount_point);
    if (errno == ENOENT)
      return {status.code(), r.mount_point + " does not exist; make it first: mkdir " + r.mount_point};
    return status;
  }
  if (st.st_mode != 0 && !S_ISDIR(st.st_mode))
    return {Code::kNotDirectory, r.mount_point + " is not a directory"};
  return {};
}

Status CheckDir(const MountRequest& r) {
  if (r.dir.empty())
    return {Code::kInvalid, "DIR is empty; name the directory that holds, or will hold, the file system"};
  if (std::string outer = EnclosingFileSystem(r.dir); !outer.empty()) {
    return {Code::kInvalid, "DIR (" + r.dir + ") lies in " + outer +
                                ", which is itself a CurveFS file system; choose a place outside"};
  }
  if (IsBelow(r.dir, r.mount_point) || IsBelow(r.mount_point, r.dir)) {
    return {Code::kInvalid,
            "DIR (" + r.dir + ") and the mount point (" + r.mount_point +
                ") lie one in the other; the mount would hide its own files. Choose another place"};
  }
  return CheckCacheDirs(r);
}

// Knobs of what lies in DIR, or is chosen when a file system is made; and what a mount that shares its file
// system with others cannot have.
Status CheckClusterKnobs(const MountRequest& r) {
  for (const char* knob : {"meta-engine", "meta-memory", "snapshot-journal", "trash", "compress",
                           "encrypt-passphrase-file", "encrypt-rsa-key"}) {
    if (r.config.is_given(knob))
      return {Code::kInvalid,
              std::string("--") + knob + " is for --standalone; " + r.cluster + " is a cluster's"};
  }
  for (const char* knob : {"capacity", "inodes"}) {
    if (r.config.is_given(knob))
      return {Code::kInvalid, std::string("--") + knob +
                                  " is for --standalone; of a cluster's file system it is set by 'curvefs fs "
                                  "create' and 'curvefs fs update'"};
  }
  for (const char* knob : {"writeback", "upload-threads"}) {
    if (r.config.is_given(knob))
      return {Code::kInvalid,
              std::string("--") + knob +
                  " is for --standalone: what waits on one machine's cache disk the other mounts of " +
                  r.cluster + " could not read"};
  }
  CURVEFS_TRY(const ClusterPlace place, ParseClusterPlace(r.cluster));
  if (place.by_name()) return CheckCacheDirs(r);
  for (const char* knob : {"cache-dir", "s3-endpoint", "s3-region", "s3-style", "s3-ca"}) {
    if (r.config.is_given(knob))
      return {Code::kInvalid, std::string("--") + knob + " is not for " + r.cluster +
                                  ", which names a copyset alone; mount by name: mds://HOST:PORT/NAME"};
  }
  return {};
}

// And those that say how to reach a cluster.
Status CheckStandaloneKnobs(const MountRequest& r) {
  for (const char* knob : {"cluster", "timeout", "tls-ca", "tls-cert", "tls-key", "token-file", "attr-cache",
                           "entry-cache", "early-answers"}) {
    if (r.config.is_given(knob))
      return {Code::kInvalid,
              std::string("--") + knob +
                  " is for a cluster's file system, mds://...; a standalone one has no server"};
  }
  return {};
}

Status CheckPlaces(const MountRequest& r) {
  CURVEFS_CHECK_OK(CheckMountPoint(r));
  if (r.cluster.empty()) {
    CURVEFS_CHECK_OK(CheckStandaloneKnobs(r));
    CURVEFS_CHECK_OK(CheckDir(r));
  } else {
    CURVEFS_CHECK_OK(CheckClusterKnobs(r));
  }
  if (::access("/dev/fuse", R_OK | W_OK) == 0) return {};
  if (errno == ENOENT) {
    return {Code::kNotFound,
            "/dev/fuse is missing; load the kernel module (modprobe fuse), in a container give it --device "
            "/dev/fuse and "
            "--cap-add SYS_ADMIN"};
  }
  return FromErrno(errno, "/dev/fuse may not be used; run as root, or let your user open it");
}

// Until the log can be opened (DIR may have to be made first), messages wait here.
class EarlyMessages {
 public:
  EarlyMessages() {
    SetLogSink(
        [this](LogLevel level, const std::string& message) { messages_.emplace_back(level, message); });
  }
  ~EarlyMessages() { SetLogSink(nullptr); }
  void Replay() {
    for (const auto& [level, message] : messages_) Log(level, message);
    messages_.clear();
  }

 private:
  std::vector<std::pair<LogLevel, std::string>> messages_;
};

std::string LogTarget(const MountRequest& r) {
  if (!r.config.log_file.empty()) return r.config.log_file;
  if (r.foreground) return "-";
  return r.config.read_only || r.dir.empty() ? "syslog" : r.dir + "/curvefs.log";
}

sigset_t EndSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, s);
  return set;
}

// 'curvefs umount --no-wait' sends it to a process that may have to wait for uploads at its end.
sigset_t NoWaitSignal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  return set;
}

// Whether one of the signals, all of them blocked, has come that say not to wait for uploads.
bool AskedToEnd() {
  static std::atomic<bool> asked{false};
  sigset_t set = EndSignals();
  sigaddset(&set, SIGUSR1);
  const timespec now{};
  if (::sigtimedwait(&set, nullptr, &now) > 0) asked = true;
  return asked;
}

std::vector<std::string> CacheDirs(const MountConfig& c) {
  std::vector<std::string> dirs;
  std::string_view list = c.cache_dir;
  while (!list.empty()) {
    const size_t end = std::min(list.find(':'), list.size());
    if (end > 0) dirs.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return dirs;
}

// Turns SIGINT, SIGTERM and SIGHUP into the end of a session. They are blocked in every other thread. The
// second one also calls `give_up`, if there is any.
class SignalWatch {
 public:
  SignalWatch(fuse::Session& session, std::function<void()> give_up)
      : give_up_(std::move(give_up)), thread_([this, &session] { Watch(session); }) {}
  ~SignalWatch() {
    done_ = true;
    ::pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
  }

 private:
  void Watch(fuse::Session& session) {
    const sigset_t set = EndSignals();
    for (bool again = false;; again = true) {
      int signal = 0;
      if (::sigwait(&set, &signal) != 0) continue;
      if (done_) return;
      Log(LogLevel::kInfo,
          std::string(::strsignal(signal)) + (again ? ", again: closing what is open" : ": unmounting"));
      if (again && give_up_) give_up_();  // first: the session waits for what is being served
      Status status = session.Stop(again ? fuse::Session::StopMode::kAbort : fuse::Session::StopMode::kWait);
      if (!status.ok()) Log(LogLevel::kError, "unmounting: " + status.ToString());
    }
  }

  const std::function<void()> give_up_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

fuse::SessionOptions ToSessionOptions(const MountRequest& r) {
  fuse::SessionOptions o;
  o.mountpoint = r.mount_point;
  o.mount.fsname = r.cluster.empty() ? r.dir : r.cluster;
  o.shared = !r.cluster.empty();
  o.root = r.root;
  o.shared_times = {.entry = r.config.entry_cache, .attr = r.config.attr_cache};
  o.mount.allow_other = r.config.allow_other || ::geteuid() == 0;
  o.mount.flags = r.config.kernel_flags;
  o.workers = static_cast<int>(r.config.threads);
  if (o.workers == 0)
    o.workers = std::clamp(2 * static_cast<int>(std::thread::hardware_concurrency()), 8, 32);
  o.writeback_cache = !r.config.no_writeback_cache;
  o.flush_on_close = r.config.sync_close || o.shared;
  o.log = [](std::string_view line) { Log(LogLevel::kWarning, std::string(line)); };
  return o;
}

// Standard error of a process in the background: what the C++ runtime or a broken invariant has to say
// belongs to the log.
void SendStderrTo(const std::string& target) {
  if (target == "-" || target == "syslog") return;
  int fd = ::open(target.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) return;
  ::dup2(fd, STDERR_FILENO);
  ::close(fd);
}

// Serves until it is unmounted, and stores what is dirty with `shutdown`. With `give_up` it may wait for
// servers without end, and `give_up` ends that.
Status ServeSession(const MountRequest& r, client::Vfs& vfs, const std::string& what, Readiness& readiness,
                    const std::function<Status()>& shutdown, const std::function<void()>& give_up = nullptr) {
  auto session = fuse::Session::Mount(vfs, ToSessionOptions(r));
  if (!session) {
    (void)shutdown();
    return session.error();
  }
  Log(LogLevel::kInfo, what + " is mounted at " + r.mount_point + " (curvefs " CURVEFS_VERSION ")");
  readiness.Ready();
  if (!r.foreground) SendStderrTo(LogTarget(r));
  std::optional<SignalWatch> watch(std::in_place, **session, give_up);
  const Status served = (*session)->Run();
  if (!give_up) watch.reset();  // `shutdown` looks at the signals itself
  const Status stored = shutdown();
  watch.reset();
  session->reset();
  if (!served.ok()) Log(LogLevel::kError, "serving the mount: " + served.ToString());
  if (stored.ok()) {
    Log(LogLevel::kInfo, r.mount_point + " is unmounted, all is stored");
  } else {
    Log(LogLevel::kError, "not all could be stored: " + stored.ToString());
  }
  return stored.ok() ? served : stored;
}

Status ServeStandalone(const MountRequest& r, EarlyMessages& early, Readiness& readiness) {
  StandaloneOptions options = ToStandaloneOptions(r);
  const MountConfig& c = r.config;
  CURVEFS_TRY(options.stack.secret, ReadSecret(Disk::Posix(), c.encrypt_passphrase_file, c.encrypt_rsa_key,
                                               std::getenv(kPassphraseVariable)));
  CURVEFS_TRY(auto fs, Standalone::Open(r.dir, std::move(options)));
  const std::string engine(EngineName(fs->dir().description().engine));
  if (r.config.is_given("meta-memory") && fs->dir().description().engine == metaserver::MetaEngine::kMemory) {
    (void)fs->Shutdown();
    return {Code::kInvalid, "--meta-memory bounds the rocksdb engine, and " + r.dir +
                                " has the memory engine, which needs what it needs"};
  }
  // DIR is there now.
  if (LogTarget(r) != "-") CURVEFS_CHECK_OK(StartLog(LogTarget(r), r.config.log_level));
  early.Replay();
  if (fs->dir().crashed_user().pid != 0) {
    Log(LogLevel::kWarning, r.dir + " was not closed cleanly by process " +
                                std::to_string(fs->dir().crashed_user().pid) + "; recovered, " +
                                std::to_string(fs->copyset().recovery().batches) +
                                " changes replayed from the journal");
  }
  return ServeSession(r, fs->vfs(), r.dir + " (" + engine + " engine)", readiness,
                      [&fs] { return fs->Shutdown(); });
}

// From the file, or the environment, which is not for children; empty: neither is given.
Result<std::string> ReadToken(const std::string& file) {
  constexpr size_t kMaxFile = 4096;
  const char* variable = std::getenv("CURVEFS_TOKEN");
  std::string text = variable == nullptr ? "" : variable;
  ::unsetenv("CURVEFS_TOKEN");
  if (file.empty() && text.empty()) return std::string();
  if (!file.empty()) {
    auto read = Disk::Posix().ReadWholeFile(file, kMaxFile);
    if (!read)
      return Fail(read.error().code() == Code::kNotFound ? Code::kInvalid : read.error().code(),
                  "--token-file: " + read.error().ToString());
    text = *std::move(read);
    struct stat st{};
    if (::stat(file.c_str(), &st) == 0 && (st.st_mode & 077) != 0)
      Log(LogLevel::kWarning, "others may read the token in " + file + ": chmod 600 it");
  }
  auto token = net::ParseToken(text);
  if (token) return token;
  return Fail(token.error().code(), (file.empty() ? "CURVEFS_TOKEN" : "--token-file " + file) +
                                        std::string(": ") + token.error().message());
}

Status ServeCluster(const MountRequest& r, EarlyMessages& early, Readiness& readiness) {
  const StandaloneOptions common = ToStandaloneOptions(r);
  ClusterFsOptions options{.objects = common.objects,
                           .stack = common.stack,
                           .mount_point = r.mount_point,
                           .cache = common.data,
                           .vfs = common.vfs};
  CURVEFS_TRY(options.place, ParseClusterPlace(r.cluster));
  char host[256] = "";
  (void)::gethostname(host, sizeof host - 1);
  options.cluster = r.config.cluster;
  options.timeout = r.config.timeout;
  options.early_answers = r.config.early_answers;
  options.tls = {.ca = r.config.tls_ca, .cert = r.config.tls_cert, .key = r.config.tls_key};
  options.owner = std::string(host) + " " + std::to_string(::getpid()) + " " + r.mount_point;
  CURVEFS_TRY(options.token, ReadToken(r.config.token_file));
  if (LogTarget(r) != "-") CURVEFS_CHECK_OK(StartLog(LogTarget(r), r.config.log_level));
  early.Replay();
  CURVEFS_TRY(auto fs, ClusterFs::Open(Disk::Posix(), std::move(options)));
  MountRequest as_allowed = r;
  as_allowed.root = fs->root();
  if (fs->read_only() && !r.config.read_only) {
    Log(LogLevel::kInfo, "the token allows to read only: so is the mount");
    as_allowed.config.read_only = true;
    as_allowed.config.kernel_flags |= MS_RDONLY;
  }
  return ServeSession(
      as_allowed, fs->vfs(), r.cluster, readiness, [&fs] { return fs->Shutdown(); }, [&fs] { fs->GiveUp(); });
}

Status Serve(const MountRequest& r, Readiness& readiness) {
  const sigset_t set = EndSignals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const sigset_t no_wait = NoWaitSignal();
  ::pthread_sigmask(SIG_BLOCK, &no_wait, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(077);  // below DIR lies what files in the mount keep from other users
  EarlyMessages early;
  if (LogTarget(r) == "-") CURVEFS_CHECK_OK(StartLog("-", r.config.log_level));
  return r.cluster.empty() ? ServeStandalone(r, early, readiness) : ServeCluster(r, early, readiness);
}

// The parent's last step: the mount answers as one asks it.
Status AskMount(const MountRequest& r) {
  struct statfs fs{};
  struct stat st{};
  if (::statfs(r.mount_point.c_str(), &fs) != 0 || ::stat(r.mount_point.c_str(), &st) != 0) {
    return FromErrno(errno, r.mount_point + " was mounted but does not answer; see " + LogTarget(r));
  }
  return {};
}

// Symbolic links stay as they are: what they lead to may be exchanged while the file system lives.
std::string Absolute(const std::string& path) {
  std::error_code error;
  std::string absolute = std::filesystem::absolute(path, error).string();
  return error ? path : absolute;
}

}  // namespace

void MakePathsAbsolute(MountRequest* request) {
  MountConfig& c = request->config;
  for (std::string* file : {&c.encrypt_passphrase_file, &c.encrypt_rsa_key, &c.s3_ca, &c.tls_ca, &c.tls_cert,
                            &c.token_file, &c.tls_key, &c.log_file}) {
    const bool special = file == &c.log_file && (c.log_file == "-" || c.log_file == "syslog");
    if (!file->empty() && !special) *file = Absolute(*file);
  }
  if (c.data.starts_with(kDirectoryData) && c.data.size() > kDirectoryData.size())
    c.data = std::string(kDirectoryData) + Absolute(c.data.substr(kDirectoryData.size()));
  std::string cache_dirs;
  for (const std::string& dir : CacheDirs(c))
    cache_dirs += (cache_dirs.empty() ? "" : ":") + AbsolutePath(dir);
  c.cache_dir = std::move(cache_dirs);
  if (!request->dir.empty()) request->dir = AbsolutePath(request->dir);
  if (!request->mount_point.empty()) request->mount_point = AbsolutePath(request->mount_point);
}

StandaloneOptions ToStandaloneOptions(const MountRequest& r) {
  const MountConfig& c = r.config;
  StandaloneOptions o;
  // Without --meta-engine an existing file system says itself which it has.
  if (c.is_given("meta-engine")) o.engine = *ParseEngine(c.meta_engine);
  if (c.is_given("capacity") || c.is_given("inodes")) o.limits = meta::Quota{c.capacity, c.inodes};
  o.user = {.pid = ::getpid(), .command = "mount", .mount_point = r.mount_point};
  auto given = [&c](const char* name, const std::string& value) {
    return c.is_given(name) ? std::optional(value) : std::nullopt;
  };
  o.objects = {.data = given("data", c.data),
               .s3_endpoint = given("s3-endpoint", c.s3_endpoint),
               .s3_region = given("s3-region", c.s3_region),
               .s3_style = given("s3-style", c.s3_style),
               .s3_ca = given("s3-ca", c.s3_ca),
               .s3_sign_payload = c.s3_payload == "signed",
               .s3_uploads = c.s3_uploads,
               .s3_downloads = c.s3_downloads,
               .s3_upload_limit = c.s3_upload_limit,
               .s3_download_limit = c.s3_download_limit,
               .s3_timeout = c.s3_timeout};
  o.copyset.rocks.memory_bytes = c.meta_memory;
  o.copyset.commit_interval = c.commit_interval;
  o.copyset.snapshot_journal_bytes = c.snapshot_journal;
  const bool as_before = c.cache_dir.empty() && !c.is_given("memory-cache-size");
  const uint64_t memory = as_before ? c.cache_size : c.memory_cache_size;
  o.data.write_cache_bytes = memory / 2;
  o.data.read_cache_bytes = memory - memory / 2;
  o.stack.cache_dirs = CacheDirs(c);
  if (c.is_given("cache-size")) o.stack.cache_bytes = c.cache_size;
  o.stack.free_space_ratio = static_cast<double>(c.free_space_ratio) / 1000;
  o.stack.writeback = c.writeback;
  o.stack.upload_threads = static_cast<uint32_t>(c.upload_threads);
  if (c.is_given("compress")) o.stack.compress = *object::ParseCompression(c.compress);
  o.draining = [](uint64_t, uint64_t) { return !AskedToEnd(); };
  o.data.inline_max = c.inline_max;
  o.data.flush_age = c.commit_interval;
  o.vfs.read_only = c.read_only;
  o.vfs.trash = c.trash;
  o.vfs.sync_close = c.sync_close;
  o.vfs.kernel_times = !c.no_writeback_cache && r.cluster.empty();
  o.vfs.atime = c.atime == "noatime"  ? client::VfsOptions::Atime::kNoatime
                : c.atime == "strict" ? client::VfsOptions::Atime::kStrict
                                      : client::VfsOptions::Atime::kRelatime;
  o.vfs.config_text = ConfigText(c) + "mount.point = \"" + r.mount_point +
                      "\"\nmount.pid = " + std::to_string(::getpid()) + "\n";
  return o;
}

Status Mount(const MountRequest& request) {
  CURVEFS_CHECK_OK(CheckPlaces(request));
  if (request.foreground) {
    Readiness nobody(-1);
    return Serve(request, nobody);
  }
  CURVEFS_CHECK_OK(RunInBackground([&](Readiness& readiness) {
    Status status = Serve(request, readiness);
    readiness.Failed(status);
    return status.ok() ? 0 : 1;
  }));
  return AskMount(request);
}

}  // namespace curvefs::cli
