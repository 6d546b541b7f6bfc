#include <sys/stat.h>
#include <sys/xattr.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/disk.h"
#include "base/ids.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/fs_dir.h"
#include "cli/values.h"
#include "object/coded/data_key.h"

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;

// Served by the vfs for every inode, listed for none.
constexpr const char* kAttribute = "curvefs.inode";

// Of what lies below a directory.
constexpr const char* kDirectoryFigures[] = {"rentries", "rfiles", "rsubdirs", "rbytes"};

std::optional<uint64_t> NumberAttribute(const std::string& path, const std::string& name) {
  char text[32] = {};
  if (::lgetxattr(path.c_str(), name.c_str(), text, sizeof text - 1) <= 0) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

uint64_t Number(const Json& j, const char* field) {
  auto found = j.find(field);
  return found != j.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

Result<Json> Ask(const std::string& path) {
  std::string text(kMaxXattrValue, '\0');
  ssize_t n = ::lgetxattr(path.c_str(), kAttribute, text.data(), text.size());
  if (n < 0) {
    if (errno == ENODATA || errno == EOPNOTSUPP) {
      return Fail(Code::kNotSupported,
                  path + " is not in a mounted CurveFS; mount it, and give a path below the mount point");
    }
    return Fail(FromErrno(errno, path));
  }
  text.resize(static_cast<size_t>(n));
  Json j = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  struct stat st{};
  if (j.is_object() && ::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
    j["entries"] = Number(j, "length");
    for (const char* figure : kDirectoryFigures) {
      if (auto value = NumberAttribute(path, std::string("curvefs.dir.") + figure)) j[figure] = *value;
    }
  }
  if (!j.is_object())
    return Fail(Code::kCorrupt,
                path + ": the mount's answer is not JSON; is its curvefs of another version?");
  return j;
}

std::string Text(const Json& j, const char* field) {
  auto found = j.find(field);
  return found != j.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void Print(const std::string& path, const Json& j) {
  auto u = [](uint64_t v) { return static_cast<unsigned long long>(v); };
  std::printf("%s\n  inode      %llu\n  partition  %llu\n", path.c_str(), u(Number(j, "inode")),
              u(Number(j, "partition")));
  if (j.contains("entries")) {
    std::printf("  entries    %llu\n", u(Number(j, "entries")));
  } else {
    std::printf("  length     %llu (%s)\n", u(Number(j, "length")), RoundedSize(Number(j, "length")).c_str());
  }
  if (j.contains("rfiles")) {
    std::printf("  below it   %llu files, %llu directories, %llu bytes (%s)\n", u(Number(j, "rfiles")),
                u(Number(j, "rsubdirs")), u(Number(j, "rbytes")), RoundedSize(Number(j, "rbytes")).c_str());
  }
  auto records = j.find("records");
  if (records == j.end() || !records->is_array() || records->empty()) return;
  std::printf("  %-6s %14s %12s  %-7s %s\n", "chunk", "offset", "length", "kind", "object, and offset in it");
  for (const Json& r : *records) {
    std::printf("  %-6llu %14llu %12llu  %-7s %s", u(Number(r, "offset") / kChunkSize),
                u(Number(r, "offset")), u(Number(r, "len")), Text(r, "kind").c_str(),
                Text(r, "object").c_str());
    if (!Text(r, "object").empty()) std::printf(" + %llu", u(Number(r, "object_offset")));
    std::printf("\n");
  }
  if (j.contains("truncated")) std::printf("  … and more, than this answer has room for\n");
}

// What the directory of a file system says of it; kNotFound if it is none.
Result<Json> AskDir(const std::string& path) {
  const std::string file = path + "/curvefs.toml";
  CURVEFS_TRY(const std::string text, Disk::Posix().ReadWholeFile(file, 1 << 20));
  CURVEFS_TRY(const FsDescription d, ParseDescription(text, file));
  Json j = {{"uuid", d.uuid}, {"name", d.name}, {"engine", EngineName(d.engine)}, {"format", d.format}};
  j["compress"] = object::CompressionName(d.compress);
  j["encrypted"] = !d.wrapped_key.empty();
  if (!d.wrapped_key.empty()) {
    CURVEFS_TRY(j["encrypted_with"], object::WrappedWith(d.wrapped_key));
  }
  CURVEFS_TRY(j["uploads_waiting"], Disk::Posix().Exists(path + "/writeback"));
  return j;
}

// What .config says of the file system, if `path` is the root of a mount.
Result<Json> AskRoot(const std::string& path) {
  CURVEFS_TRY(const PathInMount place, FindPathInMount(path));
  if (place.inode != kRootInode.value) return Fail(Code::kNotFound);
  CURVEFS_TRY(const std::string text, Disk::Posix().ReadWholeFile(place.mount_point + "/.config", 1 << 20));
  Json j = Json::object();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    constexpr std::string_view kFs = "fs.";
    const size_t equals = line.find(" = ");
    if (!line.starts_with(kFs) || equals == line.npos) continue;
    std::string value = line.substr(equals + 3);
    if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
    j[line.substr(kFs.size(), equals - kFs.size())] = value;
  }
  return j;
}

void PrintFileSystem(const Json& j) {
  for (const auto& [name, value] : j.items()) {
    std::printf("  %-16s %s\n", name.c_str(),
                value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
  }
}

int RunInfo(const std::vector<std::string>& paths, bool json) {
  int code = kExitOk;
  Json all = Json::array();
  for (const std::string& path : paths) {
    if (auto dir = AskDir(path); dir || dir.error().code() != Code::kNotFound) {
      if (!dir && dir.error().code() != Code::kNotDirectory) {
        code = Complain("info", dir.error(), kExitFailed);
        continue;
      }
      if (dir && json) {
        Json j = {{"path", path}};
        j.update(*dir);
        all.push_back(std::move(j));
      } else if (dir) {
        std::printf("%s\n", path.c_str());
        PrintFileSystem(*dir);
      }
      if (dir) continue;
    }
    auto answer = Ask(path);
    auto root = answer ? AskRoot(path) : Fail(Code::kNotFound);
    if (!answer) {
      code = Complain("info", answer.error(), kExitFailed);
      continue;
    }
    if (json) {
      Json j = {{"path", path}};
      j.update(*answer);
      if (root) j["file_system"] = *root;
      all.push_back(std::move(j));
    } else {
      Print(path, *answer);
      if (root) PrintFileSystem(*root);
    }
  }
  if (json) std::printf("%s\n", all.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  return code;
}

}  // namespace

void AddInfo(CLI::App& app, int* exit_code) {
  struct Args {
    std::vector<std::string> paths;
    bool json = false;
  };
  auto args = std::make_shared<Args>();
  CLI::App* command =
      app.add_subcommand("info", "Show how a file is stored: inode, partition, chunks, objects");
  command
      ->add_option("PATH", args->paths, "Files or directories in a mount, or the directory of a file system")
      ->type_name("")
      ->required();
  command->add_flag("--json", args->json, "Print a JSON array");
  command->footer(
      "Records are in the order in which they were written; where they overlap, the later one holds.\n\n"
      "Examples:\n  curvefs info /mnt/file\n  curvefs info --json /mnt/a /mnt/b");
  command->callback([=] { *exit_code = RunInfo(args->paths, args->json); });
}

}  // namespace curvefs::cli
