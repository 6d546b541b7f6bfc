#include "cli/fs_dir.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "object/coded/data_key.h"
#include "object/s3/location.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace curvefs::cli {
namespace {

constexpr std::string_view kDescriptionFile = "/curvefs.toml";
constexpr std::string_view kLockFile = "/LOCK";
constexpr std::array<std::string_view, 3> kStates = {"making", "loading", "ready"};  // in the order of State

// What may lie in a directory that counts as empty: the top of a fresh ext4, and what a crash leaves of a
// file system that was being made.
bool IsNothing(const std::string& name) {
  return name == "lost+found" || name == "LOCK" || name == "curvefs.toml.tmp";
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      c = '_';
    } else if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
  }
  return out + '"';
}

std::string FormatUser(const DirUser& user) {
  std::string text = "pid " + std::to_string(user.pid) + "\ncommand " + user.command + "\nmount_point " +
                     user.mount_point + "\n";
  if (user.waiting_objects > 0) {
    text += "waiting_objects " + std::to_string(user.waiting_objects) + "\nwaiting_bytes " +
            std::to_string(user.waiting_bytes) + "\n";
  }
  return text;
}

DirUser ParseUser(std::string_view text) {
  DirUser user;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    size_t space = line.find(' ');
    if (space == line.npos) continue;
    std::string_view key = line.substr(0, space);
    std::string value(line.substr(space + 1));
    if (key == "pid") user.pid = std::strtoll(value.c_str(), nullptr, 10);
    if (key == "command") user.command = value;
    if (key == "mount_point") user.mount_point = value;
    if (key == "waiting_objects") user.waiting_objects = std::strtoull(value.c_str(), nullptr, 10);
    if (key == "waiting_bytes") user.waiting_bytes = std::strtoull(value.c_str(), nullptr, 10);
  }
  return user;
}

std::string UserText(const DirUser& user) {
  std::string text = user.pid == 0 ? "another process" : "process " + std::to_string(user.pid);
  if (!user.command.empty()) text += " (curvefs " + user.command + ")";
  if (!user.mount_point.empty()) text += ", mounted at " + user.mount_point;
  return text;
}

// The oldest format that says all of this: a program that knows only format 1 would look for the objects in
// DIR/objects, and take coded ones for data.
uint32_t FormatOf(const FsDescription& d) {
  const bool coded = d.compress != object::Compression::kNone || !d.wrapped_key.empty();
  return d.place.data.empty() && !coded ? 1 : 2;
}

Status CheckPlace(const DataPlace& place) {
  if (place.data.empty()) return {};
  CURVEFS_TRY(auto location, object::s3::Location::Parse(place.data));
  CURVEFS_TRY(auto endpoint, object::s3::Endpoint::Parse(place.s3_endpoint));
  return {};
}

std::string ParentOf(const std::string& path) {
  size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::string UuidText(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kHex[static_cast<unsigned char>(bytes[i]) >> 4];
    text += kHex[static_cast<unsigned char>(bytes[i]) & 15];
  }
  return text;
}

Result<std::string> UuidBytes(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (char c : text) {
    if (c == '-') continue;
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return Fail(Code::kInvalid, "'" + std::string(text) + "' is not a uuid");
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<char>(high << 4 | digit));
      high = -1;
    }
  }
  if (bytes.size() != 16 || high >= 0)
    return Fail(Code::kInvalid, "'" + std::string(text) + "' is not a uuid");
  return bytes;
}

std::string FormatDescription(const FsDescription& d) {
  std::string text =
      "# This directory is a CurveFS file system. Mount it: curvefs mount --standalone DIR MNT\n";
  text += "# Its files are no one else's business; nothing here is meant to be edited.\n";
  text += "format = " + std::to_string(d.format) + "\n";
  text += "uuid = " + Quoted(d.uuid) + "\n";
  text += "name = " + Quoted(d.name) + "\n";
  text += "engine = " + Quoted(EngineName(d.engine)) + "\n";
  text += "chunk_size = " + std::to_string(d.chunk_size) + "\n";
  text += "block_size = " + std::to_string(d.block_size) + "\n";
  const DataPlace& p = d.place;
  if (!p.data.empty()) {
    for (const auto& [key, value] : {std::pair<const char*, const std::string&>{"data", p.data},
                                     {"s3_endpoint", p.s3_endpoint},
                                     {"s3_region", p.s3_region},
                                     {"s3_style", p.s3_style},
                                     {"s3_ca", p.s3_ca}})
      text += std::string(key) + " = " + Quoted(value) + "\n";
  }
  if (d.compress != object::Compression::kNone) {
    text += "compress = " + Quoted(object::CompressionName(d.compress)) + "\n";
  }
  if (!d.wrapped_key.empty()) text += "wrapped_key = " + Quoted(d.wrapped_key) + "\n";
  text += "state = " + Quoted(kStates[static_cast<size_t>(d.state)]) + "\n";
  return text;
}

Result<FsDescription> ParseDescription(std::string_view text, const std::string& path) {
  toml::parse_result parsed = toml::parse(text);
  auto damaged = [&](const std::string& what) {
    return Fail(Code::kCorrupt, path + ": " + what +
                                    "; it was changed or damaged: restore it from a backup of the directory");
  };
  if (!parsed) return damaged(std::string(parsed.error().description()));
  const toml::table& table = parsed.table();
  auto format = table["format"].value<int64_t>();
  if (!format || *format < 1) return damaged("no format version");
  if (*format > kDirFormat) {
    return Fail(Code::kUnsupportedVersion, path + ": the file system has format " + std::to_string(*format) +
                                               ", this program knows formats up to " +
                                               std::to_string(kDirFormat) +
                                               "; use the version of curvefs that made it, or a newer one");
  }
  for (const char* key : {"uuid", "name", "engine", "data", "s3_endpoint", "s3_region", "s3_style", "s3_ca",
                          "compress", "wrapped_key", "state"}) {
    // Else it would count as absent: objects would be looked for where they are not.
    if (table.contains(key) && !table[key].is_string()) return damaged(std::string(key) + " is no text");
  }
  FsDescription d;
  d.format = static_cast<uint32_t>(*format);
  d.uuid = table["uuid"].value_or(std::string());
  d.name = table["name"].value_or(std::string());
  d.chunk_size = table["chunk_size"].value_or(uint64_t{0});
  d.block_size = table["block_size"].value_or(uint64_t{0});
  d.place.data = table["data"].value_or(std::string());
  d.place.s3_endpoint = table["s3_endpoint"].value_or(std::string());
  d.place.s3_region = table["s3_region"].value_or(std::string());
  d.place.s3_style = table["s3_style"].value_or(std::string());
  d.place.s3_ca = table["s3_ca"].value_or(std::string());
  auto compress = object::ParseCompression(table["compress"].value_or(std::string("none")));
  if (!compress) return damaged(compress.error().message());
  d.compress = *compress;
  if (Status place = CheckPlace(d.place); !place.ok()) return damaged(place.message());
  d.wrapped_key = table["wrapped_key"].value_or(std::string());
  if (auto with = object::WrappedWith(d.wrapped_key); !d.wrapped_key.empty() && !with)
    return damaged(with.error().message());
  auto state = std::ranges::find(kStates, table["state"].value_or(std::string()));
  if (state == kStates.end()) return damaged("no valid state");
  d.state = static_cast<FsDescription::State>(state - kStates.begin());
  auto engine = ParseEngine(table["engine"].value_or(std::string()));
  if (!engine) return damaged(engine.error().message());
  d.engine = *engine;
  if (!UuidBytes(d.uuid)) return damaged("no valid uuid");
  if (d.chunk_size != kChunkSize || d.block_size != kBlockSize) {
    return damaged("chunks of " + std::to_string(d.chunk_size) + " and blocks of " +
                   std::to_string(d.block_size) + " bytes, which this format does not have");
  }
  return d;
}

Result<std::unique_ptr<FsDir>> FsDir::Open(Disk& disk, std::string path, Create create,
                                           const FsDescription& fresh, const DirUser& user, bool read_only) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::unique_ptr<FsDir> dir(new FsDir(disk, std::move(path)));
  const std::string& name = dir->dir_;
  CURVEFS_TRY(bool exists, disk.Exists(name));
  bool described = false;
  if (exists) {
    // Looked at before the lock is made, so that no LOCK is left in somebody else's directory.
    CURVEFS_TRY(std::vector<std::string> names, disk.List(name));
    described = std::ranges::find(names, kDescriptionFile.substr(1)) != names.end();
    auto other = std::ranges::find_if_not(names, IsNothing);
    if (!described && other != names.end()) {
      if (create == Create::kNo || read_only)
        return Fail(Code::kNotFound, name + " is no CurveFS file system (it holds '" + *other + "')");
      return Fail(Code::kExists, name + " is not a CurveFS file system and not empty (it holds '" + *other +
                                     "'); give an empty or a new directory");
    }
  }
  if (!described && (create == Create::kNo || read_only)) {
    return Fail(Code::kNotFound, name + " holds no CurveFS file system; 'curvefs mount --standalone " + name +
                                     " MNT' makes one");
  }
  if (!exists) {
    CURVEFS_CHECK_OK(disk.MakeDir(name));
    CURVEFS_CHECK_OK(disk.SyncDir(ParentOf(name)));
  }
  CURVEFS_CHECK_OK(dir->TakeLock(user, read_only));
  CURVEFS_CHECK_OK(dir->ReadOrMake(create, fresh, read_only));
  return dir;
}

Status FsDir::TakeLock(const DirUser& user, bool read_only) {
  read_only_ = read_only;
  const std::string path = dir_ + std::string(kLockFile);
  auto lock = disk_.Lock(path);
  if (!lock) {
    Code code = lock.error().code();
    if (read_only && (code == Code::kReadOnly || code == Code::kAccessDenied || code == Code::kNotPermitted))
      return {};
    if (code != Code::kBusy) return lock.error();
    auto holder = LastUser(disk_, dir_);
    return {Code::kBusy, dir_ + " is in use by " + UserText(holder ? *holder : DirUser{}) +
                             "; unmount it there first ('curvefs umount MNT')"};
  }
  lock_ = *std::move(lock);
  if (auto crashed = LastUser(disk_, dir_)) crashed_user_ = *std::move(crashed);
  user_ = user;
  const std::string text = FormatUser(user);
  Status written = lock_->Write(0, text);
  if (written.ok()) written = lock_->Truncate(text.size());
  // On a full disk mounting must still be possible: that is how space is made.
  return read_only || written.code() == Code::kNoSpace ? Status() : written;
}

Status FsDir::ReadOrMake(Create create, const FsDescription& fresh, bool read_only) {
  const std::string path = dir_ + std::string(kDescriptionFile);
  CURVEFS_TRY(bool exists, disk_.Exists(path));
  if (exists) {
    CURVEFS_TRY(std::string text, disk_.ReadWholeFile(path, 1 << 20));
    CURVEFS_TRY(description_, ParseDescription(text, path));
    if (create == Create::kMustBeEmpty && description_.ready()) {
      return {Code::kExists, dir_ + " holds a CurveFS file system already; give an empty or a new directory"};
    }
    if (description_.state == FsDescription::State::kLoading) {
      return {Code::kExists,
              dir_ + ": a 'curvefs load' into it did not end; remove the directory and load again"};
    }
    if (!description_.ready() && (read_only || create == Create::kNo)) {
      return {Code::kNotFound,
              dir_ + ": making this file system was interrupted; mount it once for writing to finish it"};
    }
  } else {
    description_ = fresh;
    description_.format = FormatOf(description_);
    CURVEFS_CHECK_OK(disk_.WriteFileAtomically(path, FormatDescription(description_)));
  }
  if (!description_.ready()) {
    CURVEFS_CHECK_OK(disk_.MakeDir(meta_dir()));
    if (description_.place.data.empty()) CURVEFS_CHECK_OK(disk_.MakeDir(objects_dir()));
    CURVEFS_CHECK_OK(disk_.SyncDir(dir_));
  }
  return {};
}

Status FsDir::SetPlace(const DataPlace& place) {
  description_.place = place;
  description_.format = std::max(description_.format, FormatOf(description_));
  return disk_.WriteFileAtomically(dir_ + std::string(kDescriptionFile), FormatDescription(description_));
}

void FsDir::SetWaiting(uint64_t objects, uint64_t bytes) const {
  if (lock_ == nullptr || read_only_) return;
  DirUser user = user_;
  user.waiting_objects = objects;
  user.waiting_bytes = bytes;
  const std::string text = FormatUser(user);
  if (lock_->Write(0, text).ok()) (void)lock_->Truncate(text.size());
}

Status FsDir::MarkReady() {
  description_.state = FsDescription::State::kReady;
  return disk_.WriteFileAtomically(dir_ + std::string(kDescriptionFile), FormatDescription(description_));
}

Status FsDir::Clean() {
  if (lock_ == nullptr) return {};
  if (!read_only_ || crashed_user_.pid == 0) return lock_->Truncate(0);
  const std::string text = FormatUser(crashed_user_);
  CURVEFS_CHECK_OK(lock_->Write(0, text));
  return lock_->Truncate(text.size());
}

Result<DirUser> FsDir::LastUser(Disk& disk, const std::string& dir) {
  CURVEFS_TRY(std::string text, disk.ReadWholeFile(dir + std::string(kLockFile), 64 << 10));
  if (text.empty()) return Fail(Code::kNotFound);
  return ParseUser(text);
}

}  // namespace curvefs::cli
