#include "metaserver/process/server_dir.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace curvefs::metaserver {
namespace {

constexpr std::string_view kDescription = "/curvefs-metaserver.toml";
constexpr std::string_view kOffice = "/office";
constexpr std::string_view kCopysets = "/copysets";
constexpr std::string_view kCopysetFile = "/copyset.toml";
constexpr std::string_view kGone = ".gone";
constexpr uint64_t kMaxNumber = INT64_MAX;  // toml's

std::string Hex(uint64_t value) {
  std::string digits(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4) digits[static_cast<size_t>(i)] = "0123456789abcdef"[value & 15];
  return digits;
}

std::optional<uint64_t> FromHex(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string ListOf(const std::vector<raft::ReplicaId>& ids) {
  std::string text = "[";
  for (raft::ReplicaId id : ids) text += (text.size() > 1 ? ", " : "") + std::to_string(id.value);
  return text + "]";
}

Result<toml::table> Parse(std::string_view text, const std::string& path, uint32_t newest) {
  toml::parse_result parsed = toml::parse(text);
  if (!parsed) return Fail(Code::kCorrupt, path + ": " + std::string(parsed.error().description()));
  toml::table table = std::move(parsed).table();
  const int64_t format = table["format"].value_or(int64_t{0});
  if (format < 1) return Fail(Code::kCorrupt, path + " does not say which format it has");
  if (format > newest) {
    return Fail(Code::kUnsupportedVersion, path + " has format " + std::to_string(format) +
                                               ", of a newer curvefs-metaserver; this one knows " +
                                               std::to_string(newest));
  }
  return table;
}

// An absent one is `fallback`; anything else than a positive number is malformed.
std::optional<uint64_t> Number(const toml::table& table, const char* key,
                               std::optional<uint64_t> fallback = {}) {
  if (!table.contains(key)) return fallback;
  const auto value = table[key].value<int64_t>();
  return value && *value > 0 ? std::optional(static_cast<uint64_t>(*value)) : std::nullopt;
}

}  // namespace

std::string FormatCopyset(const CopysetDescription& d) {
  return "# A copyset of this metaserver; nothing here is meant to be edited.\n"
         "format = " +
         std::to_string(kCopysetFormat) + "\ncopyset = " + std::to_string(d.id.value) +
         "\nreplica = " + std::to_string(d.self.value) + "\nfirst_voters = " + ListOf(d.first.voters) +
         "\nfs = " + std::to_string(d.fs.value) + "\nhash_seed = \"" + Hex(d.hash_seed) +
         "\"\nchunk_size = " + std::to_string(d.chunk_size) + "\n";
}

Result<CopysetDescription> ParseCopyset(std::string_view text, const std::string& path) {
  CURVEFS_TRY(const toml::table table, Parse(text, path, kCopysetFormat));
  const auto id = Number(table, "copyset"), self = Number(table, "replica"), fs = Number(table, "fs"),
             chunk = Number(table, "chunk_size");
  const auto seed = FromHex(table["hash_seed"].value_or(std::string()));
  const toml::array* voters = table["first_voters"].as_array();
  const Status malformed(Code::kCorrupt, path + " is not the description of a copyset");
  if (!id || !self || !fs || !chunk || !seed || voters == nullptr || *fs > UINT32_MAX) return Fail(malformed);
  CopysetDescription d{.id = raft::GroupId(*id),
                       .self = raft::ReplicaId(*self),
                       .fs = FsId(static_cast<uint32_t>(*fs)),
                       .hash_seed = *seed,
                       .chunk_size = *chunk};
  for (const auto& voter : *voters) {
    const auto value = voter.value<int64_t>();
    if (!value || *value <= 0) return Fail(malformed);
    d.first.voters.emplace_back(static_cast<uint64_t>(*value));
  }
  if (!std::ranges::is_sorted(d.first.voters)) return Fail(malformed);
  return d;
}

Result<std::unique_ptr<ServerDir>> ServerDir::Open(Disk& disk, std::string dir, MetaserverId id,
                                                   std::optional<MetaEngine> engine) {
  std::unique_ptr<ServerDir> server(new ServerDir(disk, std::move(dir)));
  CURVEFS_CHECK_OK(disk.MakeDir(server->dir_));
  CURVEFS_TRY(const auto names, disk.List(server->dir_));
  for (const std::string& name : names) {
    if (name == "curvefs-metaserver.toml") break;
    if (name == "LOCK" || name == "lost+found" || name.ends_with(".tmp")) continue;
    if (name == "registration.toml") continue;            // made before its first start
    if (name == "copysets" || name == "log") continue;  // its own first start did not end
    return Fail(Code::kExists, server->dir_ + " is not empty, and not the directory of a metaserver ('" +
                                   name + "' is in it)");
  }
  CURVEFS_CHECK_OK(server->TakeLock(false));
  CURVEFS_CHECK_OK(server->ReadOrMake(id, engine, false));
  return server;
}

Result<std::unique_ptr<ServerDir>> ServerDir::OpenToRead(Disk& disk, std::string dir) {
  std::unique_ptr<ServerDir> server(new ServerDir(disk, std::move(dir)));
  CURVEFS_TRY(const bool there, disk.Exists(server->dir_ + std::string(kDescription)));
  if (!there) return Fail(Code::kNotFound, server->dir_ + " is not the directory of a metaserver");
  CURVEFS_CHECK_OK(server->TakeLock(true));
  CURVEFS_CHECK_OK(server->ReadOrMake(0, {}, true));
  return server;
}

Status ServerDir::TakeLock(bool read_only) {
  const std::string path = dir_ + "/LOCK";
  auto lock = disk_.Lock(path);
  if (!lock) {
    if (lock.error().code() != Code::kBusy) return lock.error();
    auto holder = disk_.ReadWholeFile(path, 4096);
    std::string who = holder ? holder->substr(0, holder->find('\n')) : std::string();
    if (who.empty()) who = "another process";
    return {Code::kBusy, dir_ + " is in use by " + who};
  }
  lock_ = *std::move(lock);
  return read_only ? Status() : Announce("");
}

Status ServerDir::Announce(const std::string& text) {
  const std::string content = "process " + std::to_string(::getpid()) + "\n" + text;
  Status written = lock_->Write(0, content);
  if (written.ok()) written = lock_->Truncate(content.size());
  // It is for people and tools: a full disk does not keep the server from starting.
  return written.code() == Code::kNoSpace ? Status() : written;
}

Status ServerDir::ReadOrMake(MetaserverId id, std::optional<MetaEngine> engine, bool read_only) {
  const std::string path = dir_ + std::string(kDescription);
  auto text = disk_.ReadWholeFile(path, 64 << 10);
  if (text) {
    CURVEFS_TRY(const toml::table table, Parse(*text, path, kServerDirFormat));
    const auto found = Number(table, "id");
    if (!found || *found > UINT32_MAX) return {Code::kCorrupt, path + " does not say whose it is"};
    if (id != 0 && *found != id) {
      return {Code::kInvalid,
              dir_ + " belongs to metaserver " + std::to_string(*found) + ", not to " + std::to_string(id)};
    }
    id_ = *found;
    const auto made_with =
        ParseEngine(table["engine"].value_or(std::string(EngineName(MetaEngine::kMemory))));
    if (!made_with) return {Code::kCorrupt, path + ": " + made_with.error().message()};
    engine_ = *made_with;
    if (engine && *engine != engine_) {
      const std::string made(EngineName(engine_)), wanted(EngineName(*engine));
      return {Code::kInvalid, dir_ + " was made with the " + made + " engine, and keeps it: start it with " +
                                  "--meta-engine " + made + "; a metaserver with the " + wanted +
                                  " engine needs a directory and an id of its own"};
    }
  } else if (text.error().code() != Code::kNotFound || read_only) {
    return text.error();
  } else {
    if (id == 0 || id > UINT32_MAX) {
      return {Code::kInvalid,
              dir_ + " is new: say which metaserver it is for (--id, or --listen with an address of --join)"};
    }
    id_ = id;
    engine_ = engine.value_or(MetaEngine::kMemory);
    const bool plain = engine_ == MetaEngine::kMemory;
    for (const std::string& sub : {log_dir(), dir_ + std::string(kCopysets)})
      CURVEFS_CHECK_OK(disk_.MakeDir(sub));
    CURVEFS_CHECK_OK(disk_.SyncDir(dir_));
    CURVEFS_CHECK_OK(disk_.WriteFileAtomically(
        path,
        "# This directory holds the metadata of a metaserver of CurveFS: curvefs metaserver --dir DIR\n"
        "# Its files are no one else's business; nothing here is meant to be edited.\nformat = " +
            std::to_string(plain ? 1 : kServerDirFormat) + "\nid = " + std::to_string(id) + "\n" +
            (plain ? "" : "engine = \"" + std::string(EngineName(engine_)) + "\"\n")));
  }
  auto office = disk_.ReadWholeFile(dir_ + std::string(kOffice), 64);
  if (!office) return office.error().code() == Code::kNotFound ? Status() : office.error();
  const auto term = FromHex(*office);
  if (!term) return {Code::kCorrupt, dir_ + std::string(kOffice) + " is not a term of office"};
  office_term_ = *term;
  return {};
}

std::string ServerDir::CopysetDir(raft::GroupId id) const {
  return dir_ + std::string(kCopysets) + "/" + Hex(id.value);
}

Result<std::vector<CopysetDescription>> ServerDir::Copysets() const {
  CURVEFS_TRY(const auto names, disk_.List(dir_ + std::string(kCopysets)));
  std::vector<CopysetDescription> found;
  for (const std::string& name : names) {
    const auto id = FromHex(name);
    if (!id) continue;  // on its way out, or a stranger's
    const std::string path = CopysetDir(raft::GroupId(*id)) + std::string(kCopysetFile);
    auto text = disk_.ReadWholeFile(path, 64 << 10);
    if (!text && text.error().code() == Code::kNotFound) continue;  // a creation that did not get so far
    CURVEFS_CHECK_OK(text ? Status() : text.error());
    CURVEFS_TRY(const CopysetDescription description, ParseCopyset(*text, path));
    if (description.id.value != *id) return Fail(Code::kCorrupt, path + " describes another copyset");
    found.push_back(description);
  }
  return found;
}

Status ServerDir::Describe(const CopysetDescription& d) {
  if (d.id.value > kMaxNumber || d.self.value > kMaxNumber) return {Code::kInvalid, "an id over 2^63 - 1"};
  const std::string dir = CopysetDir(d.id);
  CURVEFS_CHECK_OK(disk_.MakeDir(dir));
  CURVEFS_CHECK_OK(disk_.SyncDir(dir_ + std::string(kCopysets)));
  return disk_.WriteFileAtomically(dir + std::string(kCopysetFile), FormatCopyset(d));
}

Status ServerDir::Withdraw(raft::GroupId id) {
  const std::string dir = CopysetDir(id);
  CURVEFS_CHECK_OK(disk_.Rename(dir, dir + std::string(kGone)));
  return disk_.SyncDir(dir_ + std::string(kCopysets));
}

Result<std::vector<raft::GroupId>> ServerDir::Withdrawn() const {
  CURVEFS_TRY(const auto names, disk_.List(dir_ + std::string(kCopysets)));
  std::vector<raft::GroupId> found;
  for (std::string_view name : names) {
    if (!name.ends_with(kGone)) continue;
    if (const auto id = FromHex(name.substr(0, name.size() - kGone.size()))) found.emplace_back(*id);
  }
  return found;
}

Status ServerDir::Erase(raft::GroupId id) {
  const std::string dir = CopysetDir(id) + std::string(kGone);
  CURVEFS_TRY(const auto names, disk_.List(dir));
  for (const std::string& name : names) {
    const std::string path = dir + "/" + name;
    auto inside = disk_.List(path);
    if (!inside) {
      CURVEFS_CHECK_OK(disk_.Remove(path));
      continue;
    }
    for (const std::string& file : *inside) CURVEFS_CHECK_OK(disk_.Remove(path + "/" + file));
    CURVEFS_CHECK_OK(disk_.RemoveDir(path));
  }
  return disk_.RemoveDir(dir);
}

Status ServerDir::SetOfficeTerm(uint64_t term) {
  if (term <= office_term_) return {};
  CURVEFS_CHECK_OK(disk_.WriteFileAtomically(dir_ + std::string(kOffice), Hex(term)));
  office_term_ = term;
  return {};
}

}  // namespace curvefs::metaserver
