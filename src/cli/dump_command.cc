#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/dump.h"
#include "cli/mounts.h"

namespace curvefs::cli {
namespace {

struct DumpArgs {
  std::string dir, file = "-", engine;
};

int RunDump(const DumpArgs& args) {
  const auto dir = DirectoryOfFs(args.dir);
  if (!dir) return Complain("dump", dir.error(), kExitUsage);
  const bool to_stdout = args.file == "-";
  std::ofstream file;
  if (!to_stdout) {
    file.open(args.file, std::ios::binary | std::ios::trunc);
    if (!file) return Complain("dump", FromErrno(errno, "open " + args.file), kExitFailed);
  }
  std::ostream& out = to_stdout ? std::cout : file;
  auto pairs = Dump(Disk::Posix(), *dir, [&](const std::string& line) -> Status {
    if (!(out << line << '\n')) return FromErrno(errno, "write " + args.file);
    return {};
  });
  if (!pairs) return Complain("dump", pairs.error(), kExitFailed);
  if (!out.flush()) return Complain("dump", FromErrno(errno, "write " + args.file), kExitFailed);
  return kExitOk;
}

int RunLoad(const DumpArgs& args) {
  const auto dir = DirectoryOfFs(args.dir);
  if (!dir) return Complain("load", dir.error(), kExitUsage);
  const bool from_stdin = args.file == "-";
  std::ifstream file;
  if (!from_stdin) {
    file.open(args.file, std::ios::binary);
    if (!file) return Complain("load", FromErrno(errno, "open " + args.file), kExitFailed);
  }
  ::umask(077);  // as mount does
  std::istream& in = from_stdin ? std::cin : file;
  auto pairs = Load(
      Disk::Posix(), *dir, [&](std::string* line) { return bool(std::getline(in, *line)); }, args.engine);
  if (!pairs) {
    Status status(pairs.error().code(), args.file + ": " + pairs.error().message());
    return Complain("load", pairs.error().code() == Code::kInvalid ? status : pairs.error(), kExitFailed);
  }
  std::printf("%llu pairs loaded\n", static_cast<unsigned long long>(*pairs));
  return kExitOk;
}

}  // namespace

void AddDump(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<DumpArgs>();
  CLI::App* command =
      app.add_subcommand("dump", "Write the metadata of an unmounted file system as JSON lines");
  command->add_option("DIR", args->dir, "The directory of the file system")->type_name("")->required();
  command->add_option("FILE", args->file, "Where to write; - is standard output")
      ->type_name("")
      ->capture_default_str();
  command->footer(
      "A header, one line for each record, an end line; names that are not UTF-8 as base64. File data in "
      "objects are not\n"
      "part of it.\n\n"
      "Examples:\n  curvefs dump /srv/fs /backup/meta.jsonl\n  curvefs dump /srv/fs | grep "
      "'\"kind\":\"dentry\"'");
  command->callback([=] { *exit_code = RunDump(*args); });
}

void AddLoad(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<DumpArgs>();
  CLI::App* command = app.add_subcommand("load", "Make a file system from what dump wrote");
  command->add_option("FILE", args->file, "What to read; - is standard input")->type_name("")->required();
  command->add_option("DIR", args->dir, "A new or empty directory")->type_name("")->required();
  command->add_option("--meta-engine", args->engine, "memory or rocksdb, instead of the one it came from")
      ->type_name("ENGINE");
  command->footer(
      "File data in objects come separately: copy DIR/objects of the old directory into the new one.\n\n"
      "Examples:\n  curvefs load /backup/meta.jsonl /srv/new && cp -a /srv/fs/objects/. /srv/new/objects/\n"
      "  curvefs dump /srv/fs | curvefs load --meta-engine rocksdb - /srv/new");
  command->callback([=] { *exit_code = RunLoad(*args); });
}

}  // namespace curvefs::cli
