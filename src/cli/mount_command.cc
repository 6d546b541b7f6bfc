#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "cli/cluster_place.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/mount.h"

namespace curvefs::cli {
namespace {

struct MountArgs {
  std::string standalone;
  std::string cluster;
  std::string mount_point;
  bool foreground = false;
  std::vector<std::string> options;
  std::vector<std::pair<std::string, std::string>> flags;
};

int RunMount(const MountArgs& args, int usage_code) {
  auto config = MakeMountConfig([](const char* name) { return std::getenv(name); }, args.options, args.flags);
  if (!config) return Complain("mount", config.error(), usage_code);
  MountRequest request{
      .dir = args.cluster.empty() ? args.standalone : "",
      .cluster = args.cluster,
      .mount_point = args.mount_point,
      .config = *std::move(config),
      .foreground = args.foreground,
  };
  MakePathsAbsolute(&request);
  Status status = Mount(request);
  return status.ok() ? kExitOk : Complain("mount", status, kExitMountFailed);
}

}  // namespace

void AddMount(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<MountArgs>();
  CLI::App* command =
      app.add_subcommand("mount", "Mount a file system; a new one is made if DIR is missing or empty");
  command->add_option("--standalone", args->standalone, "The directory that holds metadata and data")
      ->type_name("DIR");
  auto words = std::make_shared<std::vector<std::string>>();
  command
      ->add_option("[PLACE] MNT", *words,
                   "PLACE: of a cluster's file system, mds://HOST:PORT[,HOST:PORT...]/NAME, in the place of "
                   "--standalone "
                   "(or, without any MDS, meta://HOST:PORT[,HOST:PORT...]/COPYSET of metaservers). MNT: "
                   "where to mount it, an existing directory")
      ->type_name("")
      ->required()
      ->expected(1, 2);
  command->add_flag("-f,--foreground", args->foreground, "Stay in front, until unmounted or interrupted");
  command->add_option("-o", args->options, "Mount options, as in fstab: ro,noatime,commit-interval=200ms")
      ->type_name("LIST")
      ->allow_extra_args(false);
  for (const Knob& knob : MountKnobs()) {
    const std::string name(knob.name);
    std::string help(knob.help);
    if (knob.kind == KnobKind::kSwitch) {
      command->add_flag_callback(
                 "--" + name, [=] { args->flags.emplace_back(name, "true"); }, help)
          ->group("Knobs");
      continue;
    }
    if (knob.kind != KnobKind::kText)
      help += " May be " + knob.Values() + ", default " + knob.Default() + ".";
    command
        ->add_option_function<std::string>(
            "--" + name, [=](const std::string& text) { args->flags.emplace_back(name, text); }, help)
        ->type_name("VALUE")
        ->group("Knobs");
  }
  command->footer(
      "Every knob can also be given as -o NAME=VALUE or in the environment (curvefs config lists them). "
      "SIGTERM and SIGINT "
      "to the mount's process unmount it. The log is DIR/curvefs.log.\n\n"
      "Examples:\n"
      "  curvefs mount --standalone /srv/fs /mnt\n"
      "  curvefs mount --standalone /srv/fs /mnt -f --cache-size 1GiB\n"
      "  curvefs mount mds://10.0.0.1:8300,10.0.0.2:8300,10.0.0.3:8300/home /mnt\n"
      "  mount -t curvefs /srv/fs /mnt -o noatime,commit-interval=200ms\n"
      "  /etc/fstab:  /srv/fs  /mnt  curvefs  defaults,nofail  0  0\n"
      "  /etc/fstab:  mds://10.0.0.1:8300,10.0.0.2:8300/home  /mnt  curvefs  defaults,nofail,_netdev  0  0");
  command->callback([=] {
    args->mount_point = words->back();
    if (words->size() == 2) args->cluster = words->front();
    if ((words->size() == 2) != args->standalone.empty() ||
        (words->size() == 2 && !IsClusterPlace(args->cluster))) {
      *exit_code = Complain(
          "mount",
          {Code::kInvalid, "say what to mount: either --standalone DIR MNT or mds://HOST:PORT/NAME MNT"},
          kExitUsage);
      return;
    }
    *exit_code = RunMount(*args, kExitUsage);
  });
}

int MountHelperMain(int argc, char** argv) {
  auto usage = [](const std::string& what) {
    std::fprintf(stderr, "mount.curvefs: %s\nusage: mount.curvefs DIR MNT [-fnsv] [-o LIST]\n", what.c_str());
    return kExitMountUsage;
  };
  MountArgs args;
  std::vector<std::string> words;
  bool fake = false;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg.size() < 2 || arg[0] != '-') {
      words.push_back(arg);
      continue;
    }
    for (size_t c = 1; c < arg.size(); ++c) {
      if (std::strchr("nsv", arg[c]) != nullptr) continue;  // mtab, sloppy, verbose: mount(8)'s own business
      if (arg[c] == 'f') {
        fake = true;
        continue;
      }
      if (std::strchr("otN", arg[c]) == nullptr) return usage("unknown flag '" + arg + "'");
      std::string value = arg.substr(c + 1);
      if (value.empty() && ++i < argc) value = argv[i];
      if (value.empty()) return usage("flag '" + arg + "' needs a value");
      if (arg[c] == 'N') return usage("-N (mount in another namespace) is not supported; use nsenter(1)");
      if (arg[c] == 'o') args.options.push_back(value);
      break;
    }
  }
  if (words.size() != 2) return usage("a directory and a mount point are needed");
  (IsClusterPlace(words[0]) ? args.cluster : args.standalone) = words[0];
  args.mount_point = words[1];
  return fake ? int{kExitOk} : RunMount(args, kExitMountUsage);
}

}  // namespace curvefs::cli
