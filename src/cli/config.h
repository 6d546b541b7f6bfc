// The knobs of a mount, of a metaserver and of an MDS. One row of a table in config.cc declares a knob: from
// it come the flag --NAME, a mount's -o key NAME, the environment variable CURVEFS_NAME, the check of its
// range, its help text and its line in docs/CONFIG.md.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/limits.h"
#include "base/status.h"

namespace curvefs::cli {

struct MountConfig {
  bool read_only = false;
  std::string meta_engine = "memory";
  uint64_t capacity = 0;
  uint64_t inodes = 0;
  uint64_t meta_memory = 128 << 20;
  Duration commit_interval = std::chrono::seconds(1);
  uint64_t snapshot_journal = 256 << 20;
  uint64_t cache_size = 512 << 20;
  uint64_t memory_cache_size = 512 << 20;
  std::string cache_dir;  // separated by colons
  uint64_t free_space_ratio = 100;
  bool writeback = false;
  uint64_t upload_threads = 8;
  std::string compress = "none";
  std::string encrypt_passphrase_file;
  std::string encrypt_rsa_key;
  uint64_t inline_max = kDefaultInlineMax;
  bool sync_close = false;
  Duration trash = Duration();
  std::string atime = "relatime";
  uint64_t threads = 0;
  bool no_writeback_cache = false;
  bool allow_other = false;
  std::string cluster;
  Duration timeout = Duration();
  bool early_answers = false;
  Duration attr_cache = Duration(), entry_cache = Duration();
  std::string tls_ca, tls_cert, tls_key, token_file;
  std::string data;
  std::string s3_endpoint;
  std::string s3_region;
  std::string s3_style = "path";
  std::string s3_ca;
  std::string s3_payload = "signed";
  uint64_t s3_uploads = 16;
  uint64_t s3_downloads = 32;
  uint64_t s3_upload_limit = 0;
  uint64_t s3_download_limit = 0;
  Duration s3_timeout = std::chrono::seconds(60);
  std::string log_file;
  std::string log_level = "info";

  // Not knobs: what else -o said.
  uint64_t kernel_flags = 0;    // MS_NODEV and so on, for mount(2)
  std::set<std::string> given;  // names of knobs that were set, by whatever means
  bool is_given(const std::string& name) const { return given.contains(name); }
};

struct ServerConfig {
  std::string dir;
  uint64_t id = 0;
  std::string listen = "127.0.0.1:8200";
  std::string join;
  std::string grpc_listen;
  std::string http_listen;
  std::string cluster;
  std::string mds, pool = "default", zone = "default", host_name;
  std::string tls_ca, tls_cert, tls_key;
  uint64_t loops = 1;
  std::string meta_engine = "memory";
  uint64_t meta_memory = 256 << 20;
  Duration heartbeat = std::chrono::milliseconds(60);
  Duration session_timeout = std::chrono::seconds(30);
  bool read_lease = true;
  uint64_t clock_drift = 50;
  uint64_t snapshot_entries = 100'000;
  uint64_t snapshot_log = 64 << 20;
  uint64_t log_segment = 64 << 20;
  uint64_t log_cache = 64 << 20;
  uint64_t snapshot_rate = 64 << 20;
  Duration handover = std::chrono::seconds(3);
  std::string log_file = "-";
  std::string log_level = "info";

  std::set<std::string> given;
};

struct MdsConfig {
  std::string etcd;
  std::string listen = "127.0.0.1:8300";
  std::string advertise;
  std::string metrics;
  std::string cluster = "curvefs";
  std::string tls_ca, tls_cert, tls_key;
  std::string etcd_ca, etcd_cert, etcd_key;
  Duration election_timeout = std::chrono::seconds(3);
  Duration lease_time = std::chrono::seconds(10);
  Duration periodic_get_time = std::chrono::seconds(2);
  Duration get_timeout = std::chrono::seconds(10);
  Duration session_time = std::chrono::seconds(60);
  Duration heartbeat_interval = std::chrono::seconds(5);
  Duration unstable_after = std::chrono::seconds(20);
  Duration offline_after = std::chrono::minutes(10);
  std::string log_file = "-";
  std::string log_level = "info";

  std::set<std::string> given;
};

enum class KnobKind { kSwitch, kSize, kCount, kRatio, kDuration, kChoice, kText };

struct Knob {
  using Member = std::variant<bool MountConfig::*, uint64_t MountConfig::*, Duration MountConfig::*,
                              std::string MountConfig::*, bool ServerConfig::*, uint64_t ServerConfig::*,
                              Duration ServerConfig::*, std::string ServerConfig::*, bool MdsConfig::*,
                              uint64_t MdsConfig::*, Duration MdsConfig::*, std::string MdsConfig::*>;

  std::string_view name;  // as in --name
  KnobKind kind;
  Member member;
  uint64_t min, max;  // kSize: bytes, kCount, kRatio: thousandths, kDuration: milliseconds; both included
  std::string_view choices;  // kChoice: separated by |
  std::string_view help;     // one or two sentences

  std::string Environment() const;  // "CURVEFS_COMMIT_INTERVAL"
  std::string Default() const;      // as it would be written; empty if there is none to write
  std::string Values() const;       // what may be written: "0 to 128KiB", "memory or rocksdb"
};
std::span<const Knob> MountKnobs();
std::span<const Knob> ServerKnobs();
std::span<const Knob> MdsKnobs();
const Knob* FindKnob(std::string_view name);  // underscores count as dashes

// Sets one knob from its text form. kInvalid, naming the knob, what is wrong and what may be written.
Status SetKnob(MountConfig* config, const Knob& knob, std::string_view text);

// Sets what an fstab-style list says: standard mount options, and name=value (a switch: name alone) for every
// knob. kInvalid: an unknown one.
Status ApplyMountOptions(MountConfig* config, std::string_view list);

// Everything at once; a later source overrides an earlier one: environment, -o lists, flags.
Result<MountConfig> MakeMountConfig(const std::function<const char*(const char*)>& getenv,
                                    const std::vector<std::string>& option_lists,
                                    const std::vector<std::pair<std::string, std::string>>& flags);

// A later source overrides an earlier one: the file that the flag "config" names, environment, flags.
Result<ServerConfig> MakeServerConfig(const std::function<const char*(const char*)>& getenv,
                                      const std::vector<std::pair<std::string, std::string>>& flags);

Result<MdsConfig> MakeMdsConfig(const std::function<const char*(const char*)>& getenv,
                                const std::vector<std::pair<std::string, std::string>>& flags);

// "mount.NAME = VALUE" lines for .config.
std::string ConfigText(const MountConfig& config);
// docs/CONFIG.md.
std::string ConfigMarkdown();

}  // namespace curvefs::cli
