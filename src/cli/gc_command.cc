#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/gc.h"
#include "cli/mounts.h"
#include "cli/progress_line.h"
#include "cli/values.h"

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;

struct GcArgs {
  std::string dir, older_than = "1h";
  bool remove = false, json = false;
};

void PrintJson(const GcReport& r) {
  Json j = {{"found", r.found},           {"bytes", r.bytes},   {"deleted", r.deleted},
            {"kept_young", r.kept_young}, {"in_use", r.in_use}, {"waiting", r.waiting},
            {"objects", Json::array()}};
  for (const GcObject& o : r.objects) {
    j["objects"].push_back(
        {{"name", o.name.ToString()},
         {"bytes", o.size},
         {"age_seconds", std::chrono::duration_cast<std::chrono::seconds>(o.age).count()}});
  }
  std::printf("%s\n", j.dump(2).c_str());
}

void Print(const GcReport& r, const GcArgs& args) {
  auto u = [](uint64_t v) { return static_cast<unsigned long long>(v); };
  constexpr size_t kShown = 100;
  for (size_t i = 0; i < std::min(kShown, r.objects.size()); ++i) {
    const GcObject& o = r.objects[i];
    std::printf("%s  %s\n", o.name.ToString().c_str(), RoundedSize(o.size).c_str());
  }
  if (r.found > kShown) std::printf("and %llu more\n", u(r.found - kShown));
  std::printf("%llu objects that nothing names, %s%s\n", u(r.found), RoundedSize(r.bytes).c_str(),
              r.found == 0  ? ""
              : args.remove ? "; deleted"
                            : "; --delete deletes them");
  if (r.kept_young > 0)
    std::printf("%llu more are younger than %s and kept\n", u(r.kept_young), args.older_than.c_str());
  std::printf("%llu objects are in use\n", u(r.in_use));
  if (r.waiting > 0) std::printf("%llu objects wait for deletion by the next mount\n", u(r.waiting));
}

int RunGc(const GcArgs& args) {
  auto older_than = ParseDuration(args.older_than);
  if (!older_than) return Complain("gc", older_than.error(), kExitUsage);
  const auto dir = DirectoryOfFs(args.dir);
  if (!dir) return Complain("gc", dir.error(), kExitUsage);
  ProgressLine progress("objects");
  GcOptions options{.remove = args.remove, .older_than = *older_than, .progress = nullptr};
  options.progress = [&](uint64_t done, uint64_t total) { progress.Show(done, total); };
  auto report = Gc(Disk::Posix(), Clock::System(), *dir, options);
  progress.End();
  if (!report) {
    return Complain("gc", report.error(),
                    report.error().code() == Code::kCorrupt ? kExitErrorsLeft : kExitFailed);
  }
  if (args.json) {
    PrintJson(*report);
  } else {
    Print(*report, args);
  }
  return kExitOk;
}

}  // namespace

void AddGc(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<GcArgs>();
  CLI::App* command = app.add_subcommand(
      "gc", "List the objects of an unmounted file system that nothing names; delete them");
  command->add_option("DIR", args->dir, "The directory of the file system")->type_name("")->required();
  command
      ->add_option("--older-than", args->older_than,
                   "Leave younger objects alone; 0s: do not ask the store for their age")
      ->capture_default_str();
  command->add_flag("--delete", args->remove, "Delete them; without it nothing is changed");
  command->add_flag("--json", args->json, "Print one JSON object");
  command->footer(
      "A mount removes by itself what a crash has left. gc is for what comes from elsewhere, as when the "
      "metadata "
      "were restored from a backup.\n\n"
      "Exit codes: 0 done, 4 the metadata have errors (fsck first), 8 could not, 16 usage.\n\n"
      "Examples:\n  curvefs gc /srv/fs\n  curvefs gc /srv/fs --older-than 1d --delete");
  command->callback([=] { *exit_code = RunGc(*args); });
}

}  // namespace curvefs::cli
