#include "cli/config.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "cli/config_file.h"
#include "cli/values.h"

namespace curvefs::cli {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kTiB = uint64_t{1} << 40;

constexpr auto kKnobs = std::to_array<Knob>({
    {"read-only", KnobKind::kSwitch, &MountConfig::read_only, 0, 0, "",
     "Nothing is changed, neither through the mount nor in the directory below it."},
    {"meta-engine", KnobKind::kChoice, &MountConfig::meta_engine, 0, 0, "memory|rocksdb",
     "Where the metadata live: all in memory (fast, about 300 bytes a file), or in RocksDB (bounded memory). "
     "Chosen when the "
     "file system is made, and kept."},
    {"capacity", KnobKind::kSize, &MountConfig::capacity, 0, uint64_t{1} << 60, "",
     "The most that the files of a new file system may hold together, by their lengths; 0: no limit. Later "
     "it "
     "is changed with 'curvefs quota'."},
    {"inodes", KnobKind::kCount, &MountConfig::inodes, 0, uint64_t{1} << 40, "",
     "The most inodes that a new file system may have; 0: no limit. Later it is changed with 'curvefs "
     "quota'."},
    {"meta-memory", KnobKind::kSize, &MountConfig::meta_memory, 16 * kMiB, kTiB, "",
     "Memory for the metadata of the rocksdb engine: block cache and write buffers. Refused with the memory "
     "engine."},
    {"commit-interval", KnobKind::kDuration, &MountConfig::commit_interval, 10, 60'000, "",
     "The longest time until an acknowledged change of metadata, or written data, is on the disk without "
     "fsync."},
    {"snapshot-journal", KnobKind::kSize, &MountConfig::snapshot_journal, kMiB, kTiB, "",
     "The size of the journal at which a snapshot of the metadata is written, so that the next mount has "
     "less to replay. With "
     "metadata larger than this, their size."},
    {"cache-size", KnobKind::kSize, &MountConfig::cache_size, 16 * kMiB, 1024 * kTiB, "",
     "With --cache-dir: what the disk cache may hold, all its directories together, 100GiB if it is not "
     "given. "
     "Without: memory for file data, as --memory-cache-size."},
    {"memory-cache-size", KnobKind::kSize, &MountConfig::memory_cache_size, 16 * kMiB, kTiB, "",
     "Memory for file data: one half for written data on their way to the store, the other for data read."},
    {"cache-dir", KnobKind::kText, &MountConfig::cache_dir, 0, 0, "",
     "Directories for a disk cache, one for each disk, separated by colons. Each serves one mount at a "
     "time."},
    {"free-space-ratio", KnobKind::kRatio, &MountConfig::free_space_ratio, 0, 950, "",
     "The part of each cache disk that is left free for others."},
    {"writeback", KnobKind::kSwitch, &MountConfig::writeback, 0, 0, "",
     "fsync is content with the cache disk, and the upload to the store follows. Needs --cache-dir. What has "
     "not been uploaded is lost with the cache disk."},
    {"upload-threads", KnobKind::kCount, &MountConfig::upload_threads, 1, 256, "",
     "Uploads from the cache disk at the same time, with --writeback."},
    {"compress", KnobKind::kChoice, &MountConfig::compress, 0, 0, "none|lz4|zstd",
     "How the objects of a new file system are compressed. Chosen when it is made, and kept."},
    {"encrypt-passphrase-file", KnobKind::kText, &MountConfig::encrypt_passphrase_file, 0, 0, "",
     "A file with the passphrase that encrypts the objects of a new file system, or opens an encrypted one. "
     "It "
     "may also be in the environment, as CURVEFS_PASSPHRASE. Names and other metadata in DIR are not "
     "encrypted."},
    {"encrypt-rsa-key", KnobKind::kText, &MountConfig::encrypt_rsa_key, 0, 0, "",
     "A file with an RSA key in PEM, in place of a passphrase: to make a file system the public key is "
     "enough, to "
     "open it the private one is needed."},
    {"inline-max", KnobKind::kSize, &MountConfig::inline_max, 0, kMaxInlineRecord, "",
     "Files up to this size are kept in the metadata and need no object. 0: none are."},
    {"sync-close", KnobKind::kSwitch, &MountConfig::sync_close, 0, 0, "", "Makes close as durable as fsync."},
    {"trash", KnobKind::kDuration, &MountConfig::trash, 0, uint64_t{3650} * 86'400'000, "",
     "How long what is deleted stays in /.trash, by the hour, before its space is given back; 0s: it is not "
     "kept."},
    {"atime", KnobKind::kChoice, &MountConfig::atime, 0, 0, "relatime|noatime|strict",
     "When reading changes the access time: if it is older than the last change or than a day, never, or "
     "always."},
    {"threads", KnobKind::kCount, &MountConfig::threads, 0, 256, "",
     "Threads that serve the kernel's requests. 0: chosen by the number of processors."},
    {"no-writeback-cache", KnobKind::kSwitch, &MountConfig::no_writeback_cache, 0, 0, "",
     "The kernel passes every write on at once instead of gathering them in its page cache."},
    {"allow-other", KnobKind::kSwitch, &MountConfig::allow_other, 0, 0, "",
     "Lets users other than the one who mounts use the mount; always so when root mounts. Others need "
     "user_allow_other in "
     "/etc/fuse.conf."},
    {"cluster", KnobKind::kText, &MountConfig::cluster, 0, 0, "",
     "Of a cluster's file system: the cluster's name, if it has one."},
    {"timeout", KnobKind::kDuration, &MountConfig::timeout, 0, 86'400'000, "",
     "Of a cluster's file system: how long a call waits for a leader that answers before it fails with EIO. "
     "0s: for ever, "
     "and it goes on when the cluster is back."},
    {"early-answers", KnobKind::kSwitch, &MountConfig::early_answers, 0, 0, "",
     "Of a cluster's file system: a change is acknowledged when the leading metaserver has it, and is on the "
     "disks of a majority a moment later; fsync waits for that. Faster. If a metaserver fails this mount "
     "says "
     "it again; lost is only what was not synced when this machine fails with it in the same moment "
     "(docs/SEMANTICS.md)."},
    {"attr-cache", KnobKind::kDuration, &MountConfig::attr_cache, 0, 3'600'000, "",
     "Of a cluster's file system: how long the kernel relies on attributes (size, times, owner) before it "
     "asks "
     "again. More than 0s is faster, and may be stale for so long (docs/SEMANTICS.md)."},
    {"entry-cache", KnobKind::kDuration, &MountConfig::entry_cache, 0, 3'600'000, "",
     "The same for names, that there are and that there are not."},
    {"tls-ca", KnobKind::kText, &MountConfig::tls_ca, 0, 0, "",
     "Of a cluster with TLS: a file (PEM) with the cluster's own authority. Needs --tls-cert and --tls-key."},
    {"tls-cert", KnobKind::kText, &MountConfig::tls_cert, 0, 0, "",
     "A file (PEM) with this mount's certificate."},
    {"tls-key", KnobKind::kText, &MountConfig::tls_key, 0, 0, "", "A file (PEM) with the key to it."},
    {"token-file", KnobKind::kText, &MountConfig::token_file, 0, 0, "",
     "Of a cluster's file system that needs a token: a file with it, which others should not be able to "
     "read. "
     "The token itself may be in the environment as CURVEFS_TOKEN instead."},
    {"data", KnobKind::kText, &MountConfig::data, 0, 0, "",
     "Of a cluster's file system: dir:PATH, a directory that all its mounts reach. Otherwise: where a new "
     "file system keeps the data of its files: s3://BUCKET/PREFIX, which no other file system "
     "may "
     "use. Default: DIR/objects. Remembered; later mounts need it no more. Keys come from the environment or "
     "~/.aws/credentials."},
    {"s3-endpoint", KnobKind::kText, &MountConfig::s3_endpoint, 0, 0, "",
     "The S3 server: https://HOST or http://HOST:PORT. Remembered; given again, the new one is used from now "
     "on. Default: Amazon's in the region."},
    {"s3-region", KnobKind::kText, &MountConfig::s3_region, 0, 0, "",
     "The region of the bucket. Remembered, as the endpoint. Default: us-east-1."},
    {"s3-style", KnobKind::kChoice, &MountConfig::s3_style, 0, 0, "path|virtual",
     "How the bucket is addressed: https://HOST/BUCKET or https://BUCKET.HOST. Remembered, as the endpoint."},
    {"s3-ca", KnobKind::kText, &MountConfig::s3_ca, 0, 0, "",
     "A file with the certificates of the authorities that may vouch for the S3 server. Remembered, as the "
     "endpoint. Default: the system's."},
    {"s3-payload", KnobKind::kChoice, &MountConfig::s3_payload, 0, 0, "signed|unsigned",
     "Whether the signature of an upload covers its data. unsigned costs less, and is allowed with https "
     "only."},
    {"s3-uploads", KnobKind::kCount, &MountConfig::s3_uploads, 1, 1024, "",
     "Uploads to S3 at the same time."},
    {"s3-downloads", KnobKind::kCount, &MountConfig::s3_downloads, 1, 1024, "",
     "Downloads from S3 at the same time."},
    {"s3-upload-limit", KnobKind::kSize, &MountConfig::s3_upload_limit, 0, kTiB, "",
     "Bytes per second for all uploads together. 0: no limit."},
    {"s3-download-limit", KnobKind::kSize, &MountConfig::s3_download_limit, 0, kTiB, "",
     "Bytes per second for all downloads together. 0: no limit."},
    {"s3-timeout", KnobKind::kDuration, &MountConfig::s3_timeout, 1'000, 3'600'000, "",
     "How long a request to S3 that fails is tried again, before the application gets an error; one that "
     "stands "
     "still for so long (at most 20s) has failed. Written data stay, and are uploaded when the store is "
     "back."},
    {"log-file", KnobKind::kText, &MountConfig::log_file, 0, 0, "",
     "Where the mount's process writes its log: a file, 'syslog', or '-' for standard error. Default: "
     "DIR/curvefs.log (syslog if "
     "read-only), with -f standard error."},
    {"log-level", KnobKind::kChoice, &MountConfig::log_level, 0, 0, "info|warn|error",
     "The least important message that is logged."},
});

constexpr auto kServerKnobs = std::to_array<Knob>({
    {"dir", KnobKind::kText, &ServerConfig::dir, 0, 0, "",
     "The directory that holds the log and the copysets of this metaserver. An empty or absent one becomes a "
     "new "
     "metaserver's. One process at a time."},
    {"listen", KnobKind::kText, &ServerConfig::listen, 0, 0, "",
     "HOST:PORT for clients, other metaservers and 'curvefs copyset'. Port 0: any that is free."},
    {"join", KnobKind::kText, &ServerConfig::join, 0, 0, "",
     "Where the metaservers are: ID=HOST:PORT,ID=HOST:PORT,… The own one may be among them."},
    {"id", KnobKind::kCount, &ServerConfig::id, 0, UINT32_MAX, "",
     "Which metaserver this is, for ever. 0: what the directory says, or the ID of --join whose address is "
     "that of "
     "--listen."},
    {"grpc-listen", KnobKind::kText, &ServerConfig::grpc_listen, 0, 0, "",
     "HOST:PORT for the same calls over gRPC, with health and reflection, without TLS. 'off': not served. "
     "Default: the "
     "host of --listen, and its port + 1."},
    {"http-listen", KnobKind::kText, &ServerConfig::http_listen, 0, 0, "",
     "HOST:PORT for /metrics and /health. 'off': not served. Default: the host of --listen, and its port + "
     "2."},
    {"cluster", KnobKind::kText, &ServerConfig::cluster, 0, 0, "",
     "A name that all metaservers and clients of a cluster must give alike, so that strangers are refused."},
    {"mds", KnobKind::kText, &ServerConfig::mds, 0, 0, "",
     "Where the MDS are: HOST:PORT,HOST:PORT,… With it the metaserver registers itself, gets its id from "
     "them, "
     "and does what they tell it to; --id and --join are not needed then."},
    {"pool", KnobKind::kText, &ServerConfig::pool, 0, 0, "",
     "With --mds: the pool that this metaserver belongs to. It is made if it is not there, as are zone and "
     "host."},
    {"zone", KnobKind::kText, &ServerConfig::zone, 0, 0, "",
     "With --mds: the zone of its pool: what fails together, as a rack does. The replicas of a copyset lie "
     "in "
     "three zones."},
    {"host-name", KnobKind::kText, &ServerConfig::host_name, 0, 0, "",
     "With --mds: the name of its machine, which is in one zone. Default: what the system says."},
    {"tls-ca", KnobKind::kText, &ServerConfig::tls_ca, 0, 0, "",
     "A file (PEM) with the cluster's own authority. With it, all connections to --listen and "
     "--grpc-listen, to other metaservers and to the MDS are TLS, and both ends show a certificate. Needs "
     "--tls-cert and --tls-key."},
    {"tls-cert", KnobKind::kText, &ServerConfig::tls_cert, 0, 0, "",
     "A file (PEM) with this metaserver's certificate."},
    {"tls-key", KnobKind::kText, &ServerConfig::tls_key, 0, 0, "", "A file (PEM) with the key to it."},
    {"loops", KnobKind::kCount, &ServerConfig::loops, 1, 64, "",
     "Threads that work on copysets. A copyset lives on one of them. May differ from start to start."},
    {"meta-engine", KnobKind::kChoice, &ServerConfig::meta_engine, 0, 0, "memory|rocksdb",
     "Where the state of the copysets lives: all in memory, or in RocksDB (bounded memory, faster start). "
     "Chosen when "
     "the directory is made, and kept: another is refused. Metaservers of a copyset must have the same."},
    {"meta-memory", KnobKind::kSize, &ServerConfig::meta_memory, 8 * kMiB, kTiB, "",
     "Memory for the state of all copysets together with the rocksdb engine: block cache and write buffers. "
     "Refused "
     "with the memory engine."},
    {"heartbeat", KnobKind::kDuration, &ServerConfig::heartbeat, 5, 10'000, "",
     "How often a leader shows that it is there. After 10 to 20 times as long without it another is elected. "
     "The same "
     "on all metaservers."},
    {"session-timeout", KnobKind::kDuration, &ServerConfig::session_timeout, 1'000, 600'000, "",
     "A client that is not heard of for so long is fenced: its session ends, and what it had open is closed. "
     "A "
     "new leader keeps deleted files for so long, until clients have said again what they have open. The "
     "same "
     "on all metaservers."},
    {"read-lease", KnobKind::kSwitch, &ServerConfig::read_lease, 0, 0, "",
     "A leader answers reads by itself for about eight heartbeats after a majority has confirmed that it "
     "leads. Off: "
     "every batch of reads asks a majority. Turn it off where clocks may stand still or jump, as in virtual "
     "machines that are paused or moved while they run. The same on all metaservers."},
    {"clock-drift", KnobKind::kRatio, &ServerConfig::clock_drift, 0, 500, "",
     "With --read-lease: no metaserver's clock runs faster or slower than true time by more than this share. "
     "The same "
     "on all metaservers."},
    {"snapshot-entries", KnobKind::kCount, &ServerConfig::snapshot_entries, 100, uint64_t{1} << 40, "",
     "A copyset's state is written to a snapshot when its log has grown by so many entries …"},
    {"snapshot-log", KnobKind::kSize, &ServerConfig::snapshot_log, 64 << 10, kTiB, "",
     "… or by so many bytes."},
    {"snapshot-rate", KnobKind::kSize, &ServerConfig::snapshot_rate, 0, kTiB, "",
     "Bytes per second to one replica that gets a snapshot. 0: no limit."},
    {"log-segment", KnobKind::kSize, &ServerConfig::log_segment, kMiB, uint64_t{1} << 30, "",
     "The size of one file of the log."},
    {"log-cache", KnobKind::kSize, &ServerConfig::log_cache, kMiB, kTiB, "",
     "Memory for the newest entries of the log, so that they need not be read back."},
    {"handover", KnobKind::kDuration, &ServerConfig::handover, 0, 600'000, "",
     "At SIGTERM: how long it is tried to hand over what this metaserver leads, before it ends."},
    {"log-file", KnobKind::kText, &ServerConfig::log_file, 0, 0, "",
     "Where the process writes its messages: a file, 'syslog', or '-' for standard error."},
    {"log-level", KnobKind::kChoice, &ServerConfig::log_level, 0, 0, "info|warn|error",
     "The least important message that is written."},
});

constexpr auto kMdsKnobs = std::to_array<Knob>({
    {"etcd", KnobKind::kText, &MdsConfig::etcd, 0, 0, "",
     "Where etcd is: HOST:PORT,HOST:PORT,… of its members, as in their --listen-client-urls."},
    {"listen", KnobKind::kText, &MdsConfig::listen, 0, 0, "",
     "HOST:PORT for clients, metaservers and other MDS: gRPC with health and reflection. Port 0: any that is "
     "free."},
    {"advertise", KnobKind::kText, &MdsConfig::advertise, 0, 0, "",
     "HOST:PORT at which others reach this MDS; it is what they are told while it leads. Default: that of "
     "--listen."},
    {"metrics", KnobKind::kText, &MdsConfig::metrics, 0, 0, "",
     "HOST:PORT for /metrics and /health. 'off': not served. Default: the host of --listen, and its port + "
     "1."},
    {"cluster", KnobKind::kText, &MdsConfig::cluster, 0, 0, "",
     "The name of the cluster: what its keys in etcd begin with. The same on all its MDS."},
    {"tls-ca", KnobKind::kText, &MdsConfig::tls_ca, 0, 0, "",
     "A file (PEM) with the cluster's own authority. With it, all connections to --listen and to metaservers "
     "are TLS, and both ends show a certificate. Needs --tls-cert and --tls-key."},
    {"tls-cert", KnobKind::kText, &MdsConfig::tls_cert, 0, 0, "",
     "A file (PEM) with this MDS's certificate."},
    {"tls-key", KnobKind::kText, &MdsConfig::tls_key, 0, 0, "", "A file (PEM) with the key to it."},
    {"etcd-ca", KnobKind::kText, &MdsConfig::etcd_ca, 0, 0, "",
     "A file (PEM) with the authority that vouches for etcd. With it the connections to etcd are TLS."},
    {"etcd-cert", KnobKind::kText, &MdsConfig::etcd_cert, 0, 0, "",
     "A file (PEM) with the certificate that is shown to etcd. Needs --etcd-ca and --etcd-key."},
    {"etcd-key", KnobKind::kText, &MdsConfig::etcd_key, 0, 0, "", "A file (PEM) with the key to it."},
    {"election-timeout", KnobKind::kDuration, &MdsConfig::election_timeout, 100, 50'000, "",
     "etcd's own --election-timeout."},
    {"lease-time", KnobKind::kDuration, &MdsConfig::lease_time, 1'000, 600'000, "",
     "How long after its last sign of life the leading MDS is taken for dead. At least 1.5 times the "
     "election "
     "timeout. The same on all MDS."},
    {"periodic-get-time", KnobKind::kDuration, &MdsConfig::periodic_get_time, 50, 600'000, "",
     "How often the leading MDS looks in etcd whether it still leads."},
    {"get-timeout", KnobKind::kDuration, &MdsConfig::get_timeout, 100, 600'000, "",
     "How long it waits for that answer before it stops to lead."},
    {"session-time", KnobKind::kDuration, &MdsConfig::session_time, 1'000, 86'400'000, "",
     "After so long without a sign of life a mount is taken for dead, and its mount point is free."},
    {"heartbeat-interval", KnobKind::kDuration, &MdsConfig::heartbeat_interval, 50, 600'000, "",
     "How often metaservers say what they hold, and how often it is looked whether replicas should be "
     "elsewhere."},
    {"unstable-after", KnobKind::kDuration, &MdsConfig::unstable_after, 100, 3'600'000, "",
     "After so long without a heartbeat a metaserver gets nothing new. More than --heartbeat-interval."},
    {"offline-after", KnobKind::kDuration, &MdsConfig::offline_after, 200, 604'800'000, "",
     "After so long without a heartbeat a metaserver's replicas are replaced by others elsewhere. More than "
     "--unstable-after."},
    {"log-file", KnobKind::kText, &MdsConfig::log_file, 0, 0, "",
     "Where the process writes its messages: a file, 'syslog', or '-' for standard error."},
    {"log-level", KnobKind::kChoice, &MdsConfig::log_level, 0, 0, "info|warn|error",
     "The least important message that is written."},
});

// Options of mount(8) and fstab(5) that say how to call mount(2).
struct KernelOption {
  std::string_view name;
  uint64_t set, clear;
};
constexpr std::array<KernelOption, 14> kKernelOptions = {{
    {"rw", 0, MS_RDONLY},
    {"dev", 0, MS_NODEV},
    {"nodev", MS_NODEV, 0},
    {"suid", 0, MS_NOSUID},
    {"nosuid", MS_NOSUID, 0},
    {"exec", 0, MS_NOEXEC},
    {"noexec", MS_NOEXEC, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
    {"silent", MS_SILENT, 0},
    {"loud", 0, MS_SILENT},
}};

// Options of mount(8) that stand for a knob.
struct KnobOption {
  std::string_view name, knob, value;
};
constexpr std::array<KnobOption, 6> kKnobOptions = {{
    {"ro", "read-only", "true"},
    {"rw", "read-only", "false"},
    {"atime", "atime", "relatime"},
    {"noatime", "atime", "noatime"},
    {"relatime", "atime", "relatime"},
    {"strictatime", "atime", "strict"},
}};

// Options that other programs act on (mount(8), systemd), or that say what is always so here.
constexpr std::array<std::string_view, 15> kOthersOptions = {
    "defaults", "auto",       "noauto",    "user",    "nouser",        "users",
    "owner",    "group",      "nofail",    "_netdev", "nostrictatime", "default_permissions",
    "acl",      "user_xattr", "norelatime"};

std::string WithDashes(std::string_view name) {
  std::string out(name);
  std::ranges::replace(out, '_', '-');
  return out;
}

std::string_view OrText(std::string* buffer, std::string_view choices) {
  buffer->clear();
  size_t last = choices.rfind('|');
  for (size_t i = 0; i < choices.size(); ++i) {
    if (choices[i] != '|') {
      *buffer += choices[i];
    } else {
      *buffer += i == last ? " or " : ", ";
    }
  }
  return *buffer;
}

bool IsChoice(std::string_view choices, std::string_view text) {
  while (true) {
    size_t end = choices.find('|');
    if (choices.substr(0, end) == text) return true;
    if (end == choices.npos) return false;
    choices.remove_prefix(end + 1);
  }
}

// Thousandths as a fraction: "0.1".
std::string FormatRatio(uint64_t thousandths) {
  std::string text =
      std::to_string(thousandths / 1000) + "." + std::to_string(1000 + thousandths % 1000).substr(1);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

Result<uint64_t> ParseRatio(std::string_view text) {
  double value = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 1)) {
    return Fail(Code::kInvalid, "'" + std::string(text) + "' is not a fraction like 0.1");
  }
  return static_cast<uint64_t>(value * 1000 + 0.5);
}

template <typename Config>
std::string ValueText(const Config& config, const Knob& knob) {
  return std::visit(
      [&]<typename T, typename Of>(T Of::* member) -> std::string {
        const T* at = nullptr;
        if constexpr (std::is_same_v<Of, Config>) at = &(config.*member);
        CURVEFS_CHECK(at != nullptr);
        const T& value = *at;
        if constexpr (std::is_same_v<T, bool>) {
          return value ? "true" : "false";
        } else if constexpr (std::is_same_v<T, uint64_t>) {
          return knob.kind == KnobKind::kSize    ? FormatSize(value)
                 : knob.kind == KnobKind::kRatio ? FormatRatio(value)
                                                 : std::to_string(value);
        } else if constexpr (std::is_same_v<T, Duration>) {
          return FormatDuration(value);
        } else {
          return value;
        }
      },
      knob.member);
}

Result<uint64_t> ParseCount(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Fail(Code::kInvalid, "'" + std::string(text) + "' is not a number");
  }
  return value;
}

template <typename Config>
Status Set(Config* config, const Knob& knob, std::string_view text) {
  auto in_range = [&](uint64_t value) { return value >= knob.min && value <= knob.max; };
  const Status out_of_range(Code::kInvalid, "'" + std::string(text) + "' is out of range");
  switch (knob.kind) {
    case KnobKind::kSwitch: {
      CURVEFS_TRY(config->*std::get<bool Config::*>(knob.member), ParseBool(text));
      return {};
    }
    case KnobKind::kSize:
    case KnobKind::kRatio:
    case KnobKind::kCount: {
      CURVEFS_TRY(uint64_t value, knob.kind == KnobKind::kSize    ? ParseSize(text)
                                  : knob.kind == KnobKind::kRatio ? ParseRatio(text)
                                                                  : ParseCount(text));
      if (!in_range(value)) return out_of_range;
      config->*std::get<uint64_t Config::*>(knob.member) = value;
      return {};
    }
    case KnobKind::kDuration: {
      CURVEFS_TRY(Duration value, ParseDuration(text));
      if (value < std::chrono::milliseconds(knob.min) || value > std::chrono::milliseconds(knob.max))
        return out_of_range;
      config->*std::get<Duration Config::*>(knob.member) = value;
      return {};
    }
    case KnobKind::kChoice:
      if (!IsChoice(knob.choices, text)) return {Code::kInvalid, "there is no '" + std::string(text) + "'"};
      [[fallthrough]];
    case KnobKind::kText:
      config->*std::get<std::string Config::*>(knob.member) = text;
      return {};
  }
  return Code::kInvalid;
}

Status ApplyMountOption(MountConfig* config, std::string_view option) {
  bool known = false;
  for (const KernelOption& o : kKernelOptions) {
    if (option != o.name) continue;
    config->kernel_flags = (config->kernel_flags | o.set) & ~o.clear;
    known = true;
  }
  for (const KnobOption& o : kKnobOptions) {
    if (option != o.name) continue;
    CURVEFS_CHECK_OK(SetKnob(config, *FindKnob(o.knob), o.value));
    known = true;
  }
  if (known || std::ranges::find(kOthersOptions, option) != kOthersOptions.end() ||
      option.starts_with("x-") || option.starts_with("X-") || option.starts_with("comment=")) {
    return {};
  }
  if (option == "remount") {
    return {Code::kNotSupported, "a mount cannot be changed while it is used; unmount it and mount it again"};
  }
  size_t equals = option.find('=');
  const Knob* knob = FindKnob(option.substr(0, equals));
  if (knob == nullptr) {
    return {Code::kInvalid,
            "unknown mount option '" + std::string(option) + "'; 'curvefs mount --help' lists what there is"};
  }
  if (equals != option.npos) return SetKnob(config, *knob, option.substr(equals + 1));
  if (knob->kind == KnobKind::kSwitch) return SetKnob(config, *knob, "true");
  return {Code::kInvalid, "mount option '" + std::string(option) + "' needs a value: " + std::string(option) +
                              "=" + knob->Default() + " for example"};
}

}  // namespace

std::string Knob::Environment() const {
  std::string out = "CURVEFS_";
  for (char c : name) out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

std::string Knob::Default() const {
  return std::visit([this]<typename T, typename Of>(T Of::*) { return ValueText(Of(), *this); }, member);
}

std::string Knob::Values() const {
  std::string text;
  switch (kind) {
    case KnobKind::kSwitch:
      return "true or false";
    case KnobKind::kSize:
      return FormatSize(min) + " to " + FormatSize(max);
    case KnobKind::kRatio:
      return FormatRatio(min) + " to " + FormatRatio(max);
    case KnobKind::kCount:
      return std::to_string(min) + " to " + std::to_string(max);
    case KnobKind::kDuration:
      return FormatDuration(std::chrono::milliseconds(min)) + " to " +
             FormatDuration(std::chrono::milliseconds(max));
    case KnobKind::kChoice:
      return std::string(OrText(&text, choices));
    case KnobKind::kText:
      return "text";
  }
  return {};
}

std::span<const Knob> MountKnobs() {
  return kKnobs;
}

std::span<const Knob> ServerKnobs() {
  return kServerKnobs;
}

std::span<const Knob> MdsKnobs() {
  return kMdsKnobs;
}

const Knob* FindKnob(std::string_view name) {
  const std::string dashed = WithDashes(name);
  auto found = std::ranges::find(kKnobs, dashed, &Knob::name);
  return found == kKnobs.end() ? nullptr : &*found;
}

template <typename Config>
static Status SetAny(Config* config, const Knob& knob, std::string_view text) {
  Status status = Set(config, knob, text);
  if (!status.ok()) {
    return {Code::kInvalid,
            std::string(knob.name) + ": " + status.message() + " (may be: " + knob.Values() + ")"};
  }
  config->given.insert(std::string(knob.name));
  return {};
}

Status SetKnob(MountConfig* config, const Knob& knob, std::string_view text) {
  return SetAny(config, knob, text);
}

template <typename Config>
static Status FromEnvironment(Config* config, std::span<const Knob> knobs,
                              const std::function<const char*(const char*)>& getenv) {
  for (const Knob& knob : knobs) {
    const std::string variable = knob.Environment();
    if (const char* text = getenv(variable.c_str())) {
      if (Status s = SetAny(config, knob, text); !s.ok())
        return {s.code(), "environment " + variable + ": " + s.message()};
    }
  }
  return {};
}

// Not a knob: the file that has knobs.
constexpr std::string_view kConfigFlag = "config";

template <typename Config>
static Result<Config> MakeServersConfig(std::span<const Knob> knobs,
                                        const std::function<const char*(const char*)>& getenv,
                                        const std::vector<std::pair<std::string, std::string>>& flags) {
  Config config;
  for (const auto& [flag, path] : flags) {
    if (flag != kConfigFlag) continue;
    CURVEFS_TRY(const KnobValues values, ReadConfigFile(path));
    for (const auto& [name, text] : values) {
      auto knob = std::ranges::find(knobs, WithDashes(name), &Knob::name);
      if (knob == knobs.end())
        return Fail(Code::kInvalid, path + ": there is no knob '" + name +
                                        "'; docs/CONFIG.md and --help list those that there are");
      if (Status s = SetAny(&config, *knob, text); !s.ok()) return Fail(s.code(), path + ": " + s.message());
    }
  }
  CURVEFS_CHECK_OK(FromEnvironment(&config, knobs, getenv));
  for (const auto& [name, text] : flags) {
    if (name == kConfigFlag) continue;
    auto knob = std::ranges::find(knobs, name, &Knob::name);
    CURVEFS_CHECK(knob != knobs.end());
    if (Status s = SetAny(&config, *knob, text); !s.ok()) return Fail(s.code(), "--" + s.message());
  }
  return config;
}

Result<ServerConfig> MakeServerConfig(const std::function<const char*(const char*)>& getenv,
                                      const std::vector<std::pair<std::string, std::string>>& flags) {
  return MakeServersConfig<ServerConfig>(kServerKnobs, getenv, flags);
}

Result<MdsConfig> MakeMdsConfig(const std::function<const char*(const char*)>& getenv,
                                const std::vector<std::pair<std::string, std::string>>& flags) {
  return MakeServersConfig<MdsConfig>(kMdsKnobs, getenv, flags);
}

Status ApplyMountOptions(MountConfig* config, std::string_view list) {
  while (!list.empty()) {
    size_t end = std::min(list.find(','), list.size());
    if (end > 0) CURVEFS_CHECK_OK(ApplyMountOption(config, list.substr(0, end)));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return {};
}

Result<MountConfig> MakeMountConfig(const std::function<const char*(const char*)>& getenv,
                                    const std::vector<std::string>& option_lists,
                                    const std::vector<std::pair<std::string, std::string>>& flags) {
  MountConfig config;
  CURVEFS_CHECK_OK(FromEnvironment(&config, kKnobs, getenv));
  for (const std::string& list : option_lists) {
    if (Status s = ApplyMountOptions(&config, list); !s.ok()) return Fail(s.code(), "-o: " + s.message());
  }
  for (const auto& [name, text] : flags) {
    const Knob* knob = FindKnob(name);
    CURVEFS_CHECK(knob != nullptr);
    if (Status s = SetKnob(&config, *knob, text); !s.ok()) return Fail(s.code(), "--" + s.message());
  }
  if (config.atime == "noatime") config.kernel_flags |= MS_NOATIME;
  if (config.read_only) config.kernel_flags |= MS_RDONLY;
  return config;
}

std::string ConfigText(const MountConfig& config) {
  std::string text;
  for (const Knob& knob : kKnobs) {
    bool bare =
        knob.kind == KnobKind::kSwitch || knob.kind == KnobKind::kCount || knob.kind == KnobKind::kRatio;
    std::string value = ValueText(config, knob);
    text += "mount." + std::string(knob.name) + " = " + (bare ? value : '"' + value + '"') + "\n";
  }
  return text;
}

static std::string Row(const Knob& knob) {
  std::string fallback = knob.Default();
  return "| `--" + std::string(knob.name) + "` | `" + knob.Environment() + "` | " + knob.Values() + " | " +
         (fallback.empty() ? "see there" : fallback) + " | " + std::string(knob.help) + " |\n";
}

std::string ConfigMarkdown() {
  std::string text =
      "# Knobs of a mount\n"
      "\n"
      "Made by `curvefs config --markdown` from the table in `src/cli/config.cc`; a test holds the two "
      "together.\n"
      "\n"
      "Each can be given as a flag (`--commit-interval 200ms`), as a mount option (`-o "
      "commit-interval=200ms`, also in\n"
      "`/etc/fstab`) or in the environment (`CURVEFS_COMMIT_INTERVAL=200ms`). A flag wins over `-o`, and "
      "`-o` over the\n"
      "environment. A value that does not suit is an error, never ignored. Sizes are written as 65536, 64KiB "
      "or 1G (powers of\n"
      "1024), durations as 1s, 200ms or 2m. What a running mount uses can be read in the file `.config` at "
      "its root.\n"
      "\n"
      "| flag, and `-o` key | environment | may be | default | meaning |\n"
      "| --- | --- | --- | --- | --- |\n";
  for (const Knob& knob : kKnobs) text += Row(knob);
  auto list = [&text](const auto& rows, auto name) {
    const char* separator = "";
    for (const auto& row : rows) {
      text += separator;
      text += '`';
      text += name(row);
      text += '`';
      separator = " ";
    }
  };
  text += "\n## Mount options of mount(8) and fstab(5)\n\n- for the kernel: ";
  list(kKernelOptions, [](const auto& o) { return o.name; });
  text += "\n- for the knobs above: ";
  for (const KnobOption& o : kKnobOptions) {
    text += "`" + std::string(o.name) + "` is `" + std::string(o.knob) + "=" + std::string(o.value) + "`, ";
  }
  text.resize(text.size() - 2);
  text += "\n- for mount(8), systemd and others, or always so here: ";
  list(kOthersOptions, [](std::string_view o) { return o; });
  text +=
      " `x-…` `X-…` `comment=…`\n- `remount` is refused, anything else is an unknown option and an error\n";
  text +=
      "\n# Knobs of a metaserver\n\n"
      "Flags of `curvefs metaserver`; or in a file that `--config FILE` names, in TOML, one line `NAME = "
      "VALUE` each; or in the "
      "environment. A flag wins over the\nenvironment, and that over the file.\n\n"
      "| flag | environment | may be | default | meaning |\n"
      "| --- | --- | --- | --- | --- |\n";
  for (const Knob& knob : kServerKnobs) text += Row(knob);
  text +=
      "\n# Knobs of an MDS\n\n"
      "Flags of `curvefs mds`; or in a file that `--config FILE` names, in TOML, one line `NAME = VALUE` "
      "each; or in the "
      "environment. A flag wins over the\nenvironment, and that over the file.\n\n"
      "| flag | environment | may be | default | meaning |\n"
      "| --- | --- | --- | --- | --- |\n";
  for (const Knob& knob : kMdsKnobs) text += Row(knob);
  return text;
}

}  // namespace curvefs::cli
