// The subcommands of curvefs, one file each. Every Add… hangs its command below `app`; when the command is
// the one that was asked for, its callback runs it and leaves the exit code.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace CLI {
class App;
}

namespace curvefs::cli {

// The table of docs/OPERATIONS.md. fsck's are those of fsck(8), mount.curvefs's those of mount(8).
enum ExitCode : int {
  kExitOk = 0,
  kExitRepaired = 1,      // fsck: there were errors, all are repaired
  kExitDegraded = 1,      // status: all works, but something is missing
  kExitErrorsLeft = 4,    // fsck: there are errors; status: something does not work
  kExitFailed = 8,        // the command could not do what it was asked for
  kExitUsage = 16,        // the command line makes no sense
  kExitMountFailed = 32,  // mount
  kExitMountUsage = 1,    // mount.curvefs, as mount(8) wants it
};

void AddMount(CLI::App& app, int* exit_code);
void AddWarmup(CLI::App& app, int* exit_code);
void AddUmount(CLI::App& app, int* exit_code);
void AddInfo(CLI::App& app, int* exit_code);
void AddFsck(CLI::App& app, int* exit_code);
void AddDump(CLI::App& app, int* exit_code);
void AddLoad(CLI::App& app, int* exit_code);
void AddCompact(CLI::App& app, int* exit_code);
void AddConfig(CLI::App& app, int* exit_code);
void AddGc(CLI::App& app, int* exit_code);
void AddQuota(CLI::App& app, int* exit_code);
void AddMetaserver(CLI::App& app, int* exit_code);
void AddFs(CLI::App& app, int* exit_code);
void AddFsToken(CLI::App& fs, int* exit_code);  // below fs
void AddTopology(CLI::App& app, int* exit_code);
void AddPartition(CLI::App& app, int* exit_code);
void AddStatus(CLI::App& app, int* exit_code);
void AddCluster(CLI::App& app, int* exit_code);
void AddMds(CLI::App& app, int* exit_code);
void AddCopyset(CLI::App& app, int* exit_code);
void AddVersion(CLI::App& app, int* exit_code);

// `curvefs` and `mount.curvefs`, from arguments to exit code. Catches what the option parser throws.
int CurvefsMain(int argc, char** argv);
// Called as mount.curvefs SOURCE MNT [-sfnv] [-o LIST] by mount(8).
int MountHelperMain(int argc, char** argv);

// Replaces this process by curvefs-metaserver, a program of its own because of the runtime in it
// (docs/adr/0005). Returns only if that fails.
int BecomeServer(const std::string& server, std::string_view command, std::vector<std::string> args);

// Prints "curvefs COMMAND: message" ("curvefs: message" if it is empty) to standard error; returns
// `exit_code`.
int Complain(std::string_view command, const Status& status, int exit_code);

}  // namespace curvefs::cli
