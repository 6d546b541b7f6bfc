#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/config.h"

namespace curvefs::cli {

void AddConfig(CLI::App& app, int* exit_code) {
  struct Args {
    bool json = false, markdown = false;
  };
  auto args = std::make_shared<Args>();
  CLI::App* command =
      app.add_subcommand("config", "List the knobs of a mount: flag, environment, values, default, meaning");
  auto* json = command->add_flag("--json", args->json, "Print a JSON array");
  command->add_flag("--markdown", args->markdown, "Print docs/CONFIG.md")->excludes(json);
  command->footer(
      "Examples:\n  curvefs config\n  curvefs config --json\n  cat /mnt/.config      # what a mount uses");
  command->callback([=] {
    if (args->markdown) {
      std::printf("%s", ConfigMarkdown().c_str());
    } else if (args->json) {
      auto out = nlohmann::json::array();
      for (const Knob& knob : MountKnobs()) {
        out.push_back({{"name", knob.name},
                       {"environment", knob.Environment()},
                       {"values", knob.Values()},
                       {"default", knob.Default()},
                       {"help", knob.help}});
      }
      std::printf("%s\n", out.dump(2).c_str());
    } else {
      for (const Knob& knob : MountKnobs()) {
        std::printf("--%s, %s\n    %s\n    %s; default %s\n", std::string(knob.name).c_str(),
                    knob.Environment().c_str(), std::string(knob.help).c_str(), knob.Values().c_str(),
                    knob.Default().c_str());
      }
    }
    *exit_code = kExitOk;
  });
}

}  // namespace curvefs::cli
