#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace curvefs::cli {

int BecomeMetaserver(std::string_view command, std::vector<std::string> args) {
  std::error_code failed;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", failed);
  std::string program =
      failed ? std::string("curvefs-metaserver") : (here.parent_path() / "curvefs-metaserver").string();
  std::vector<char*> argv = {program.data()};
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return Complain(command, FromErrno(errno, "run " + program + ", which belongs beside this program"),
                  kExitFailed);
}

// Its arguments are its own business, --help included.
void AddMetaserver(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand("metaserver", "Serve metadata: run a metaserver of a cluster in the foreground");
  command->set_help_flag();
  command->prefix_command();
  command->callback([=] { *exit_code = BecomeMetaserver("metaserver", command->remaining()); });
}

}  // namespace curvefs::cli
