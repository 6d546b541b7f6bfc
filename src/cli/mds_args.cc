#include "cli/mds_args.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <tuple>

#include "cli/commands.h"
#include "cli/values.h"
#include "proto/mds.pb.h"

namespace curvefs::cli {

CLI::Option* OrEnvironment(CLI::Option* option, std::string* value, const char* variable) {
  option->description(option->get_description() + " [$" + variable + "]");
  if (const char* set = std::getenv(variable); set != nullptr && *set != '\0') *value = set;
  return option;
}

void AddMdsOptions(CLI::App& command, MdsArgs* args) {
  OrEnvironment(command.add_option("--mds", args->mds, "The MDS of the cluster, or some of them"), &args->mds,
                "CURVEFS_MDS")
      ->type_name("HOST:PORT,…");
  command.add_option("--timeout", args->timeout, "How long to wait for one that leads")
      ->type_name("TIME")
      ->capture_default_str();
  command.add_flag("--json", args->json, "Print JSON");
  for (const auto& [flag, member, variable, text] :
       {std::tuple{"--tls-ca", &args->tls.ca, "CURVEFS_TLS_CA",
                   "In a cluster with TLS: the authority's certificate (PEM)"},
        std::tuple{"--tls-cert", &args->tls.cert, "CURVEFS_TLS_CERT", "The certificate to show"},
        std::tuple{"--tls-key", &args->tls.key, "CURVEFS_TLS_KEY", "The key to it"}})
    OrEnvironment(command.add_option(flag, *member, text), member, variable)->type_name("FILE");
}

void AddMetaserverOptions(CLI::App& command, MdsArgs* args) {
  OrEnvironment(command.add_option("--cluster", args->cluster,
                                   "The name that the metaservers were given, if they were"),
                &args->cluster, "CURVEFS_CLUSTER")
      ->type_name("NAME");
}

Result<std::unique_ptr<client::MdsClient>> ConnectMds(const MdsArgs& args) {
  if (args.mds.empty())
    return Fail(Code::kInvalid,
                "say where the MDS are: --mds HOST:PORT,HOST:PORT, or in the environment as CURVEFS_MDS");
  client::MdsClientOptions options{.tls = args.tls};
  auto servers = client::ParseMdsList(args.mds);
  if (!servers) return Fail(Code::kInvalid, "--mds '" + args.mds + "': " + servers.error().message());
  options.servers = *std::move(servers);
  CURVEFS_TRY(options.timeout, ParseDuration(args.timeout));
  options.silence = std::min(options.silence, options.timeout);
  return client::MdsClient::To(std::move(options));
}

int ExitCodeOf(std::string_view command, const Status& status) {
  if (status.ok()) return kExitOk;
  return Complain(command, status, status.code() == Code::kInvalid ? kExitUsage : kExitFailed);
}

void PrintJson(const Json& document) {
  std::printf("%s\n", document.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

Result<proto::FsInfo> FindFs(client::MdsClient& mds, const std::string& name) {
  proto::GetFsInfoRequest request;
  request.set_fs_name(name);
  auto got = mds.Call<proto::GetFsInfoResponse>("MdsService/GetFsInfo", request);
  if (got) return got->fs();
  if (got.error().code() != Code::kNotFound) return Fail(got.error());
  return Fail(Code::kNotFound,
              "there is no file system '" + name + "'; 'curvefs fs list' shows those that there are");
}

}  // namespace curvefs::cli
