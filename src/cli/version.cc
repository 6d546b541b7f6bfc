#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/fs_dir.h"
#include "kv/snapshot.h"

namespace curvefs::cli {

void AddVersion(CLI::App& app, int* exit_code) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command =
      app.add_subcommand("version", "Print the version of this program and of the formats it writes");
  command->add_flag("--json", *json, "Print one JSON object");
  command->footer("Examples:\n  curvefs version\n  curvefs version --json");
  command->callback([=] {
    if (*json) {
      nlohmann::json out = {{"version", CURVEFS_VERSION},
                            {"build", CURVEFS_BUILD_TYPE},
                            {"compiler", __VERSION__},
                            {"dir_format", kDirFormat},
                            {"snapshot_format", kv::kSnapshotVersion}};
      std::printf("%s\n", out.dump().c_str());
    } else {
      std::printf("curvefs %s (%s, gcc %s), directory format %u, snapshot format %u\n", CURVEFS_VERSION,
                  CURVEFS_BUILD_TYPE, __VERSION__, kDirFormat, kv::kSnapshotVersion);
    }
    *exit_code = kExitOk;
  });
}

}  // namespace curvefs::cli
