#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/values.h"

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;

struct QuotaArgs {
  std::string path, bytes;
  std::optional<uint64_t> inodes;
  bool json = false, repair = false;
};

Json ToJson(const ControlFields& fields) {
  Json j = Json::object();
  for (const char* name : {"path", "inode", "bytes", "used_bytes", "inodes", "used_inodes"}) {
    if (auto found = fields.find(name); found != fields.end())
      std::visit([&](const auto& value) { j[name] = value; }, found->second);
  }
  return j;
}

void Print(const Json& j) {
  std::printf("%s\n", j.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

std::string LimitText(uint64_t limit, bool size) {
  if (limit == 0) return "-";
  return size ? FormatSize(limit) : std::to_string(limit);
}

void PrintHeader() {
  std::printf("%15s %15s %12s %12s  %s\n", "bytes", "used", "inodes", "used", "directory, in the mount");
}
void PrintRow(const ControlFields& f) {
  auto number = [&](const char* name) { return FieldOr<uint64_t>(f, name, 0); };
  std::printf(
      "%15s %15llu %12s %12llu  %s\n", LimitText(number("bytes"), true).c_str(),
      static_cast<unsigned long long>(number("used_bytes")), LimitText(number("inodes"), false).c_str(),
      static_cast<unsigned long long>(number("used_inodes")), FieldOr<std::string>(f, "path", "?").c_str());
}

Result<ControlFields> Ask(const QuotaArgs& args, const std::string& command, ControlFields arguments,
                          const std::function<void(const ControlFields&)>& progress = nullptr) {
  CURVEFS_TRY(PathInMount place, FindPathInMount(args.path));
  arguments["inode"] = place.inode;
  return ControlClient(place.mount_point).Call({command, std::move(arguments)}, progress);
}

Status ShowOne(const QuotaArgs& args, const std::string& command, ControlFields arguments) {
  CURVEFS_TRY(ControlFields f, Ask(args, command, std::move(arguments)));
  if (args.json) {
    Print(ToJson(f));
  } else {
    PrintHeader();
    PrintRow(f);
  }
  return {};
}

Status Set(const QuotaArgs& args) {
  ControlFields arguments;
  if (!args.bytes.empty()) {
    CURVEFS_TRY(arguments["bytes"], ParseSize(args.bytes));
  }
  if (args.inodes) arguments["inodes"] = *args.inodes;
  if (arguments.empty()) return {Code::kInvalid, "quota set needs --bytes or --inodes; 0 takes a limit away"};
  return ShowOne(args, "quota_set", std::move(arguments));
}

// Says nothing, but for --json.
Status Remove(const QuotaArgs& args) {
  ControlFields none = {{"bytes", uint64_t{0}}, {"inodes", uint64_t{0}}};
  if (args.json) return ShowOne(args, "quota_set", std::move(none));
  auto gone = Ask(args, "quota_set", std::move(none));
  return gone ? Status() : gone.error();
}

Status List(const QuotaArgs& args) {
  Json all = Json::array();
  if (!args.json) PrintHeader();
  CURVEFS_TRY(ControlFields end, Ask(args, "quota_list", {}, [&](const ControlFields& f) {
                if (args.json) {
                  all.push_back(ToJson(f));
                } else {
                  PrintRow(f);
                }
              }));
  if (args.json) Print(all);
  return {};
}

// Exit codes as those of fsck.
Result<int> Check(const QuotaArgs& args) {
  Json paths = Json::array();
  CURVEFS_TRY(ControlFields end,
              Ask(args, "quota_check", {{"repair", args.repair}}, [&](const ControlFields& f) {
                const std::string path = FieldOr<std::string>(f, "path", "?");
                if (args.json) {
                  paths.push_back(path);
                } else {
                  std::printf("wrong: %s\n", path.c_str());
                }
              }));
  const uint64_t wrong = FieldOr<uint64_t>(end, "wrong", 0);
  const int code = wrong == 0 ? kExitOk : args.repair ? kExitRepaired : kExitErrorsLeft;
  if (args.json) {
    Print({{"exit_code", code},
           {"files", FieldOr<uint64_t>(end, "files", 0)},
           {"directories", FieldOr<uint64_t>(end, "directories", 0)},
           {"wrong", wrong},
           {"repaired", args.repair ? wrong : 0},
           {"wrong_directories", std::move(paths)}});
    return code;
  }
  std::printf("%llu files, %llu directories: %s\n",
              static_cast<unsigned long long>(FieldOr<uint64_t>(end, "files", 0)),
              static_cast<unsigned long long>(FieldOr<uint64_t>(end, "directories", 0)),
              wrong == 0    ? "the figures are right"
              : args.repair ? "the figures were wrong, and are right now"
                            : "figures are wrong; --repair sets them right");
  return code;
}

int ExitCodeOf(const Status& s) {
  return s.ok() ? kExitOk : Complain("quota", s, s.code() == Code::kInvalid ? kExitUsage : kExitFailed);
}

}  // namespace

void AddQuota(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<QuotaArgs>();
  CLI::App* quota = app.add_subcommand("quota", "Limit what a directory of a mount, or all of it, may hold");
  quota->require_subcommand(1);
  auto add = [&](const char* name, const char* help) {
    CLI::App* command = quota->add_subcommand(name, help);
    command->add_option("PATH", args->path, "A directory in a mount; its root means the whole file system")
        ->type_name("")
        ->required();
    return command;
  };
  CLI::App* set = add("set", "Set limits; what is not given stays as it is");
  set->add_option("--bytes", args->bytes,
                  "The most that files may hold together, by their lengths: 10G; 0: no limit");
  set->add_option("--inodes", args->inodes, "The most files and directories below it; 0: no limit");
  set->add_flag("--json", args->json, "Print a JSON object");
  set->footer(
      "Examples:\n  curvefs quota set /mnt/home/ann --bytes 10G --inodes 100000\n  curvefs quota set /mnt "
      "--bytes 1T");
  set->callback([=] { *exit_code = ExitCodeOf(Set(*args)); });
  CLI::App* get = add("get", "Show the limits of a directory and what is used");
  get->add_flag("--json", args->json, "Print a JSON object");
  get->callback([=] { *exit_code = ExitCodeOf(ShowOne(*args, "quota_get", {})); });
  CLI::App* list = add("list", "Show all limits of the mount that the path lies in");
  list->add_flag("--json", args->json, "Print a JSON array");
  list->callback([=] { *exit_code = ExitCodeOf(List(*args)); });
  CLI::App* remove = add("remove", "Take all limits of a directory away");
  remove->add_flag("--json", args->json, "Print a JSON object");
  remove->callback([=] { *exit_code = ExitCodeOf(Remove(*args)); });
  CLI::App* check = add("check", "Count everything anew, and compare with the figures that are kept");
  check->add_flag("--repair", args->repair, "Set wrong figures right");
  check->add_flag("--json", args->json, "Print a JSON object");
  check->callback([=] {
    auto code = Check(*args);
    *exit_code = code ? *code : ExitCodeOf(code.error());
  });
  quota->footer(
      "For the user who mounted and for root. A directory over its quota answers EDQUOT, a full file system "
      "ENOSPC.\n\n"
      "Examples:\n  curvefs quota set /mnt/home/ann --bytes 10G\n  curvefs quota list /mnt\n  curvefs quota "
      "check "
      "/mnt");
}

}  // namespace curvefs::cli
