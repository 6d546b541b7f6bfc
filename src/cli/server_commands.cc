#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace curvefs::cli {
// Servers are programs of their own, because of what is in them (docs/adr/0005); they lie beside this one.
int BecomeServer(const std::string& server, std::string_view command, std::vector<std::string> args) {
  std::error_code failed;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", failed);
  std::string program = "curvefs-" + server;
  if (!failed) program = (here.parent_path() / program).string();
  std::vector<char*> argv = {program.data()};
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return Complain(command, FromErrno(errno, "run " + program + ", which belongs beside this program"),
                  kExitFailed);
}

namespace {

// A command that replaces this process by `curvefs-NAME`. Its arguments are its own business, --help
// included.
void AddServer(CLI::App& app, const std::string& name, const std::string& help, int* exit_code) {
  CLI::App* command = app.add_subcommand(name, help);
  command->set_help_flag();
  command->prefix_command();
  command->callback([=] { *exit_code = BecomeServer(name, name, command->remaining()); });
}

}  // namespace

void AddMetaserver(CLI::App& app, int* exit_code) {
  AddServer(app, "metaserver", "Serve metadata: run a metaserver of a cluster in the foreground", exit_code);
}

void AddMds(CLI::App& app, int* exit_code) {
  AddServer(app, "mds", "Manage a cluster: run an MDS in the foreground", exit_code);
}

}  // namespace curvefs::cli
