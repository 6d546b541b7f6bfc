// What the commands that ask an MDS have in common: --mds, --timeout, --json, and how they say what went
// wrong.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/status.h"
#include "client/cluster/mds_client.h"
#include "net/tls.h"
#include "proto/mds.pb.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace curvefs::cli {

using Json = nlohmann::ordered_json;

struct MdsArgs {
  std::string mds, timeout = "30s";
  bool json = false;
  net::TlsFiles tls;    // all three, or none
  std::string cluster;  // for the commands that speak to metaservers as well
};

// What the option sets is that of the environment, unless the flag is given. (CLI11's envname is read for all
// commands, those that are not run too, and so over a flag of one that shares the variable.) Returns the
// option.
CLI::Option* OrEnvironment(CLI::Option* option, std::string* value, const char* variable);

// The options of a command. `args` outlives the app's parsing.
void AddMdsOptions(CLI::App& command, MdsArgs* args);
void AddMetaserverOptions(CLI::App& command, MdsArgs* args);

Result<std::unique_ptr<client::MdsClient>> ConnectMds(const MdsArgs& args);

// The command's exit code: complains if it failed.
int ExitCodeOf(std::string_view command, const Status& status);
// The document with --json, otherwise what `text` prints.
void PrintJson(const Json& document);

// `curvefs copyset list` of a whole cluster (topology_command.cc).
Status ListCopysetsOfMds(const MdsArgs& args);

// The file system of this name, not one that is being deleted. kNotFound, with what to do.
Result<proto::FsInfo> FindFs(client::MdsClient& mds, const std::string& name);

}  // namespace curvefs::cli
