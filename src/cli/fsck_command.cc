#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/fsck.h"
#include "cli/mounts.h"
#include "cli/progress_line.h"
#include "cli/values.h"

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;

struct FsckArgs {
  std::string dir;
  FsckOptions options;
  bool json = false;
  std::string passphrase_file, rsa_file;
};

const char* LevelName(Finding::Level level) {
  switch (level) {
    case Finding::Level::kNote:
      return "note";
    case Finding::Level::kRepairable:
      return "error";
    case Finding::Level::kLost:
      return "lost";
  }
  return "";
}

void PrintJson(const FsckReport& r, int exit_code) {
  Json j;
  j["exit_code"] = exit_code;
  j["errors"] = r.errors;
  j["errors_left"] = r.errors_left;
  j["repaired"] = r.repaired;
  j["counts"] = r.counts;
  j["directories"] = r.directories;
  j["files"] = r.files;
  j["others"] = r.others;
  j["orphans"] = r.orphans;
  j["bytes"] = r.bytes;
  j["objects"] = r.objects;
  j["verified_objects"] = r.verified;
  j["leaked_objects"] = r.leaked;
  j["leaked_bytes"] = r.leaked_bytes;
  j["journal_batches"] = r.journal_batches;
  j["findings"] = Json::array();
  for (const Finding& f : r.findings) {
    j["findings"].push_back({{"level", LevelName(f.level)}, {"kind", f.kind}, {"what", f.what}});
  }
  std::printf("%s\n", j.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

void Print(const FsckReport& r, const FsckArgs& args) {
  auto u = [](uint64_t v) { return static_cast<unsigned long long>(v); };
  constexpr size_t kShown = 100;
  uint64_t lost = 0;
  for (const Finding& f : r.findings) lost += f.level == Finding::Level::kLost;
  for (size_t i = 0; i < std::min(kShown, r.findings.size()); ++i) {
    const Finding& f = r.findings[i];
    std::printf("%s: %s: %s\n", LevelName(f.level), f.kind.c_str(), f.what.c_str());
  }
  uint64_t found = 0;
  for (const auto& [kind, count] : r.counts) found += count;
  if (found > kShown)
    std::printf("and %llu more; --json lists up to %zu\n", u(found - kShown), FsckReport::kMaxFindings);
  std::printf("%llu directories, %llu files, %llu others, %s in %llu objects", u(r.directories), u(r.files),
              u(r.others), RoundedSize(r.bytes).c_str(), u(r.objects));
  if (args.options.deep) std::printf(" (%llu read and verified)", u(r.verified));
  std::printf("\n");
  if (r.orphans > 0) std::printf("%llu files without a name, reclaimed at the next mount\n", u(r.orphans));
  if (r.leaked > 0 && !args.options.repair) {
    std::printf("%llu objects (%s) can be reclaimed: curvefs fsck --repair\n", u(r.leaked),
                RoundedSize(r.leaked_bytes).c_str());
  }
  if (args.options.repair && r.repaired > 0) std::printf("%llu repairs made\n", u(r.repaired));
  if (r.errors_left > 0) {
    const char* advice = "; curvefs fsck --repair mends what can be mended";
    if (args.options.repair || lost >= r.errors_left)
      advice = " that nothing here can mend: restore what is named above from a backup";
    std::printf("%llu errors%s\n", u(r.errors_left), advice);
  } else {
    std::printf("clean\n");
  }
}

int RunFsck(FsckArgs args) {
  auto secret =
      ReadSecret(Disk::Posix(), args.passphrase_file, args.rsa_file, std::getenv(kPassphraseVariable));
  if (!secret) return Complain("fsck", secret.error(), kExitUsage);
  args.options.secret = *std::move(secret);
  const auto dir = DirectoryOfFs(args.dir);
  if (!dir) return Complain("fsck", dir.error(), kExitUsage);
  ProgressLine progress("objects looked at");
  args.options.progress = [&](uint64_t done, uint64_t total) { progress.Show(done, total); };
  auto report = Fsck(Disk::Posix(), *dir, args.options);
  progress.End();
  if (!report) {
    // Damage that cannot be passed over leaves errors; the message says what --repair would do.
    return Complain("fsck", report.error(),
                    report.error().code() == Code::kCorrupt ? kExitErrorsLeft : kExitFailed);
  }
  int code = report->errors_left > 0 ? kExitErrorsLeft : report->repaired > 0 ? kExitRepaired : kExitOk;
  if (args.json) {
    PrintJson(*report, code);
  } else {
    Print(*report, args);
  }
  return code;
}

}  // namespace

void AddFsck(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<FsckArgs>();
  CLI::App* command = app.add_subcommand("fsck", "Check an unmounted file system, and repair it");
  command->add_option("DIR", args->dir, "The directory of the file system")->type_name("")->required();
  command->add_flag("--repair", args->options.repair,
                    "Repair what can be repaired; files without a name go to /lost+found");
  command->add_flag("--deep", args->options.deep,
                    "Read every object, several at a time, and verify its checksums");
  command
      ->add_option("--encrypt-passphrase-file", args->passphrase_file,
                   "The passphrase of an encrypted file system, to read its objects (--deep); or in the "
                   "environment as CURVEFS_PASSPHRASE")
      ->type_name("FILE");
  command->add_option("--encrypt-rsa-key", args->rsa_file, "Its private RSA key, if it is encrypted with one")
      ->type_name("PEM");
  command->add_flag("--json", args->json, "Print one JSON object");
  command->footer(
      "Exit codes: 0 clean, 1 repaired, 4 errors are left, 8 could not check, 16 usage.\n\n"
      "Examples:\n  curvefs fsck /srv/fs\n  curvefs fsck --deep --json /srv/fs\n  curvefs fsck --repair "
      "/srv/fs");
  command->callback([=] { *exit_code = RunFsck(*args); });
}

}  // namespace curvefs::cli
