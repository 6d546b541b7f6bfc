#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/control_client.h"

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;

struct CompactArgs {
  std::vector<std::string> paths;
  bool json = false, quiet = false;
};

// The figures of a line or a result, in the order in which they are shown.
constexpr const char* kFigures[] = {"objects_before", "objects_after", "requests_before", "requests_after"};

Json FiguresOf(const ControlFields& fields) {
  Json j;
  for (const char* name : kFigures) j[name] = FieldOr<uint64_t>(fields, name, 0);
  return j;
}

void PrintFigures(const ControlFields& fields) {
  unsigned long long n[4];
  for (size_t i = 0; i < 4; ++i) n[i] = FieldOr<uint64_t>(fields, kFigures[i], 0);
  std::printf("objects %llu -> %llu, requests to read %llu -> %llu\n", n[0], n[1], n[2], n[3]);
}

Status CompactOne(const std::string& path, const CompactArgs& args, Json* all) {
  CURVEFS_TRY(PathInMount place, FindPathInMount(path));
  Json files = Json::array();
  CURVEFS_TRY(ControlFields total,
              ControlClient(place.mount_point)
                  .Call({"compact", {{"inode", place.inode}}}, [&](const ControlFields& line) {
                    const std::string below = FieldOr<std::string>(line, "path", "");
                    const std::string name = below.empty() ? path : path + "/" + below;
                    if (args.json) {
                      Json file = {{"path", name}};
                      file.update(FiguresOf(line));
                      files.push_back(std::move(file));
                    } else if (!args.quiet) {
                      std::printf("%s: ", name.c_str());
                      PrintFigures(line);
                    }
                  }));
  const uint64_t looked_at = FieldOr<uint64_t>(total, "files", 0),
                 changed = FieldOr<uint64_t>(total, "changed", 0);
  if (args.json) {
    Json j = {{"path", path}, {"files", looked_at}, {"changed", changed}};
    j.update(FiguresOf(total));
    j["changed_files"] = std::move(files);
    all->push_back(std::move(j));
    return {};
  }
  std::printf("%s: %llu files, %llu compacted; ", path.c_str(), static_cast<unsigned long long>(looked_at),
              static_cast<unsigned long long>(changed));
  PrintFigures(total);
  return {};
}

int RunCompact(const CompactArgs& args) {
  int code = kExitOk;
  Json all = Json::array();
  for (const std::string& path : args.paths) {
    if (Status s = CompactOne(path, args, &all); !s.ok()) code = Complain("compact", s, kExitFailed);
  }
  if (args.json) std::printf("%s\n", all.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  return code;
}

}  // namespace

void AddCompact(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<CompactArgs>();
  CLI::App* command =
      app.add_subcommand("compact", "Rewrite files of a mount so that fewer and larger objects hold them");
  command->add_option("PATH", args->paths, "Files, or directories with all below them, in a mount")
      ->type_name("")
      ->required();
  command->add_flag("-q,--quiet", args->quiet, "Print the sums only, not each file that changed");
  command->add_flag("--json", args->json, "Print a JSON array");
  command->footer(
      "For the user who mounted and for root. Files may be in use meanwhile; the mount also compacts by "
      "itself "
      "what is worth it.\n\n"
      "Examples:\n  curvefs compact /mnt/database\n  curvefs compact --json /mnt");
  command->callback([=] { *exit_code = RunCompact(*args); });
}

}  // namespace curvefs::cli
