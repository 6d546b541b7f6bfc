#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <string>

#include "cli/commands.h"

namespace curvefs::cli {

int Complain(std::string_view command, const Status& status, int exit_code) {
  std::fprintf(stderr, "curvefs%s%.*s: %s\n", command.empty() ? "" : " ", static_cast<int>(command.size()),
               command.data(),
               status.message().empty() ? status.ToString().c_str() : status.message().c_str());
  return exit_code;
}

namespace {

// The words that were to name a command, if there is no such command; empty otherwise.
std::string UnknownCommand(CLI::App* at, int argc, char** argv) {
  std::string words;
  for (int i = 1; i < argc && at->get_require_subcommand_min() > 0 && argv[i][0] != '-'; ++i) {
    words += (i > 1 ? " " : "") + std::string(argv[i]);
    const auto named = at->get_subcommands([&](const CLI::App* a) { return a->check_name(argv[i]); });
    if (named.empty()) return words;
    at = named.front();
  }
  return {};
}

// What a command has printed counts when it is written. For all commands, at their end.
int FlushOutput(int exit_code) {
  const bool failed = std::ferror(stdout) != 0;
  // Why a write in the middle failed was not kept: one more, of no use by now, fails for the same reason.
  if (failed) std::fputc('\n', stdout);
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && !failed) return exit_code;
  if (exit_code == kExitFailed) return exit_code;  // and has said why
  Status status = flushed ? Status(Code::kIo, "standard output: not all of it could be written")
                          : FromErrno(errno, "standard output");
  return Complain("", status, exit_code == kExitOk ? int{kExitFailed} : exit_code);
}

int Run(CLI::App& app, int argc, char** argv, const int& exit_code) {
  if (std::string words = UnknownCommand(&app, argc, argv); !words.empty()) {
    return Complain("", {Code::kInvalid, "there is no command '" + words + "'; 'curvefs --help' lists them"},
                    kExitUsage);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;  // --help and --version arrive here too
  }
  return exit_code;
}

}  // namespace

int CurvefsMain(int argc, char** argv) {
  const std::string program = argc > 0 ? argv[0] : "curvefs";
  if (program.substr(program.rfind('/') + 1) == "mount.curvefs") return MountHelperMain(argc, argv);

  int exit_code = kExitOk;
  CLI::App app("CurveFS: a POSIX file system", "curvefs");
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.set_version_flag("--version", "curvefs " CURVEFS_VERSION);
  AddMount(app, &exit_code);
  AddUmount(app, &exit_code);
  AddWarmup(app, &exit_code);
  AddInfo(app, &exit_code);
  AddFsck(app, &exit_code);
  AddDump(app, &exit_code);
  AddLoad(app, &exit_code);
  AddCompact(app, &exit_code);
  AddConfig(app, &exit_code);
  AddGc(app, &exit_code);
  AddQuota(app, &exit_code);
  AddFs(app, &exit_code);
  AddStatus(app, &exit_code);
  AddTopology(app, &exit_code);
  AddPartition(app, &exit_code);
  AddCluster(app, &exit_code);

  AddMetaserver(app, &exit_code);
  AddMds(app, &exit_code);
  AddCopyset(app, &exit_code);
  AddVersion(app, &exit_code);
  app.footer(
      "Examples:\n"
      "  curvefs mount --standalone /srv/fs /mnt    make a file system in /srv/fs, if there is none, and "
      "mount it\n"
      "  curvefs umount /mnt\n"
      "  curvefs COMMAND --help\n");
  return FlushOutput(Run(app, argc, argv, exit_code));
}

}  // namespace curvefs::cli
