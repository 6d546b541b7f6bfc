#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/mounts.h"
#include "cli/values.h"
#include "cli/warmup.h"

namespace curvefs::cli {
namespace {

constexpr size_t kInodesAtOnce = 4096;  // paths of one request
constexpr const char* kFigures[] = {"files",        "objects", "bytes", "cached_objects",
                                    "cached_bytes", "changed", "failed"};

struct WarmupArgs {
  std::vector<std::string> paths;
  bool check = false, evict = false, json = false, quiet = false;
  uint64_t threads = 8;
};

struct Sums {
  std::map<std::string, uint64_t> figures;
  std::string failure;
  void Add(const ControlFields& fields) {
    for (const char* name : kFigures) figures[name] += FieldOr<uint64_t>(fields, name, 0);
    if (failure.empty()) failure = FieldOr<std::string>(fields, "failure", "");
  }
};

unsigned long long U(uint64_t v) {
  return v;
}

// One line of a terminal, written over and over.
class ProgressLine {
 public:
  explicit ProgressLine(bool on) : on_(on && ::isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() {
    if (shown_) std::fprintf(stderr, "\r\033[K");
  }
  void Show(const ControlFields& f) {
    if (!on_) return;
    const uint64_t objects = FieldOr<uint64_t>(f, "objects", 0), done = FieldOr<uint64_t>(f, "done", 0);
    constexpr uint64_t kWidth = 30;
    const auto full = static_cast<int>(objects == 0 ? 0 : done * kWidth / objects);
    std::fprintf(stderr, "\r\033[K[%.*s%.*s] %llu of %llu objects, %llu files, %s", full,
                 "##############################", static_cast<int>(kWidth) - full,
                 "                              ", U(done), U(objects), U(FieldOr<uint64_t>(f, "files", 0)),
                 RoundedSize(FieldOr<uint64_t>(f, "bytes", 0)).c_str());
    shown_ = true;
  }

 private:
  const bool on_;
  bool shown_ = false;
};

Status Run(const WarmupArgs& args, Sums* sums, int* bad_paths) {
  std::map<std::string, std::vector<uint64_t>> by_mount;
  ProgressLine line(!args.quiet && !args.json);
  auto flush = [&](const std::string& mount) -> Status {
    std::vector<uint64_t> inodes;
    inodes.swap(by_mount[mount]);
    if (inodes.empty()) return {};
    const std::string mode = args.check ? "check" : args.evict ? "evict" : "fill";
    CURVEFS_TRY(ControlFields result,
                ControlClient(mount).Call(
                    {"warmup", {{"inodes", std::move(inodes)}, {"mode", mode}, {"threads", args.threads}}},
                    [&](const ControlFields& fields) { line.Show(fields); }));
    sums->Add(result);
    return {};
  };
  auto add = [&](const std::string& path) -> Status {
    auto place = FindPathInMount(path);
    if (!place) {
      ++*bad_paths;
      Complain("warmup", place.error(), kExitFailed);
      return {};
    }
    auto& inodes = by_mount[place->mount_point];
    inodes.push_back(place->inode);
    return inodes.size() < kInodesAtOnce ? Status() : flush(place->mount_point);
  };
  for (const std::string& path : args.paths) {
    if (path != "-") {
      CURVEFS_CHECK_OK(add(path));
      continue;
    }
    for (std::string name; std::getline(std::cin, name);) {
      if (!name.empty()) CURVEFS_CHECK_OK(add(name));
    }
  }
  for (const auto& [mount, inodes] : by_mount) CURVEFS_CHECK_OK(flush(mount));
  return {};
}

int RunWarmup(const WarmupArgs& args) {
  Sums sums;
  int bad_paths = 0;
  Status s = Run(args, &sums, &bad_paths);
  if (!s.ok()) return Complain("warmup", s, kExitFailed);
  auto& f = sums.figures;
  if (args.json) {
    nlohmann::ordered_json j;
    for (const char* name : kFigures) j[name] = f[name];
    std::printf("%s\n", j.dump(2).c_str());
  } else {
    std::printf("%llu files, %s in %llu objects; %s in %llu objects are in the cache", U(f["files"]),
                RoundedSize(f["bytes"]).c_str(), U(f["objects"]), RoundedSize(f["cached_bytes"]).c_str(),
                U(f["cached_objects"]));
    if (!args.check) std::printf(", %llu %s", U(f["changed"]), args.evict ? "evicted" : "brought in now");
    std::printf("\n");
  }
  if (f["failed"] > 0) {
    return Complain("warmup",
                    {Code::kIo, std::to_string(f["failed"]) +
                                    " objects could not be brought in; the first: " + sums.failure},
                    kExitFailed);
  }
  return bad_paths > 0 ? kExitFailed : kExitOk;
}

}  // namespace

void AddWarmup(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<WarmupArgs>();
  CLI::App* command =
      app.add_subcommand("warmup", "Bring files of a mount into its disk cache ahead of time");
  command
      ->add_option("PATH", args->paths,
                   "Files, or directories with all below them, in a mount; - reads a list, one a line, from "
                   "standard input")
      ->type_name("")
      ->required();
  CLI::Option* check = command->add_flag("--check", args->check, "Only say how much of them is in the cache");
  command->add_flag("--evict", args->evict, "Take them out of the cache, except what waits for its upload")
      ->excludes(check);
  command->add_option("--threads", args->threads, "Objects read from the store at the same time")
      ->check(CLI::Range(uint64_t{1}, kMaxWarmupThreads))
      ->capture_default_str();
  command->add_flag("-q,--quiet", args->quiet, "No progress bar");
  command->add_flag("--json", args->json, "Print a JSON object");
  command->footer(
      "The mount must have been made with --cache-dir. Counts what has been stored; written data that still "
      "wait in memory are no objects yet, and small files need none. For the user who mounted and for "
      "root.\n\n"
      "Examples:\n  curvefs warmup /mnt/dataset\n  find /mnt -name '*.idx' | curvefs warmup --threads 32 -\n"
      "  curvefs warmup --check /mnt");
  command->callback([=] { *exit_code = RunWarmup(*args); });
}

}  // namespace curvefs::cli
