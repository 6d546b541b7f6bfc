#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace curvefs::cli {

// Replaces this process: the metaserver is a program of its own, because of the runtime in it
// (docs/adr/0005). Its arguments are its own business, --help included.
void AddMetaserver(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand("metaserver", "Serve metadata: run a metaserver of a cluster in the foreground");
  command->set_help_flag();
  command->prefix_command();
  command->callback([=] {
    std::error_code failed;
    const auto here = std::filesystem::read_symlink("/proc/self/exe", failed);
    std::string program =
        failed ? std::string("curvefs-metaserver") : (here.parent_path() / "curvefs-metaserver").string();
    std::vector<std::string> args = command->remaining();
    std::vector<char*> argv = {program.data()};
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    ::execv(program.c_str(), argv.data());
    *exit_code =
        Complain("metaserver", FromErrno(errno, "run " + program + ", which belongs beside this program"),
                 kExitFailed);
  });
}

}  // namespace curvefs::cli
