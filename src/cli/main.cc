#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "cli/commands.h"

namespace curvefs::cli {

int Complain(std::string_view command, const Status& status, int exit_code) {
  std::fprintf(stderr, "curvefs %.*s: %s\n", static_cast<int>(command.size()), command.data(),
               status.message().empty() ? status.ToString().c_str() : status.message().c_str());
  return exit_code;
}

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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;  // --help and --version arrive here too
  }
  return exit_code;
}

}  // namespace curvefs::cli
