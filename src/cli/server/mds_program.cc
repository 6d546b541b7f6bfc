#include "cli/server/mds_program.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/log.h"
#include "cli/server/end_signals.h"
#include "mds/process/server.h"
#include "net/hello.h"

namespace curvefs::cli {
namespace {

using Flags = std::vector<std::pair<std::string, std::string>>;

Result<std::vector<std::string>> ParseEndpoints(const std::string& text) {
  std::vector<std::string> endpoints;
  for (size_t at = 0; at < text.size();) {
    const std::string item = text.substr(at, text.find(',', at) - at);
    at += item.size() + 1;
    CURVEFS_TRY(const net::Address address, net::ParseAddress(item));
    endpoints.push_back(address.ToString());
  }
  if (endpoints.empty()) return Fail(Code::kInvalid, "--etcd is needed: HOST:PORT of the members of etcd");
  return endpoints;
}

Result<mds::MdsServerOptions> MakeOptions(const MdsConfig& config) {
  mds::MdsServerOptions options;
  CURVEFS_TRY(options.etcd.endpoints, ParseEndpoints(config.etcd));
  options.etcd.tls = {config.etcd_ca, config.etcd_cert, config.etcd_key};
  options.tls = {.ca = config.tls_ca, .cert = config.tls_cert, .key = config.tls_key};
  CURVEFS_TRY(const net::Address listen, net::ParseAddress(config.listen));
  options.listen = listen.ToString();
  if (!config.advertise.empty()) {
    CURVEFS_TRY(const net::Address advertise, net::ParseAddress(config.advertise));
    options.advertise = advertise.ToString();
  }
  if (config.metrics != "off") {
    net::Address metrics = listen;
    if (!config.metrics.empty()) {
      CURVEFS_TRY(metrics, net::ParseAddress(config.metrics));
    } else if (metrics.port != 0) {
      ++metrics.port;
    }
    options.metrics_host = metrics.host;
    options.metrics_port = metrics.port;
  }
  if (config.cluster.empty()) return Fail(Code::kInvalid, "--cluster is empty");
  options.mds.prefix = config.cluster + "/";
  options.mds.session_time = config.session_time;
  auto& fleet = options.mds.dispatcher.fleet;
  fleet.interval = config.heartbeat_interval;
  fleet.unstable_after = config.unstable_after;
  fleet.offline_after = config.offline_after;
  fleet.settle_after = 3 * config.unstable_after;
  if (fleet.interval >= fleet.unstable_after || fleet.unstable_after >= fleet.offline_after)
    return Fail(Code::kInvalid,
                "--heartbeat-interval, --unstable-after, --offline-after: each is more than "
                "the one before");
  options.mds.election.election_timeout = config.election_timeout;
  options.mds.election.lease_time = config.lease_time;
  options.mds.election.periodic_get_time = config.periodic_get_time;
  options.mds.election.get_timeout = config.get_timeout;
  return options;
}

Result<std::unique_ptr<mds::MdsServer>> Begin(const MdsConfig& config) {
  CURVEFS_TRY(auto options, MakeOptions(config));
  return mds::MdsServer::Start(std::move(options));
}

int Serve(const Flags& flags) {
  auto config = MakeMdsConfig([](const char* name) { return std::getenv(name); }, flags);
  if (!config) return Complain("mds", config.error(), kExitUsage);
  if (Status s = StartLog(config->log_file, config->log_level); !s.ok())
    return Complain("mds", s, kExitFailed);
  CatchEndSignals();

  auto begun = Begin(*config);
  if (!begun)
    return Complain("mds", begun.error(), begun.error().code() == Code::kInvalid ? kExitUsage : kExitFailed);
  mds::MdsServer& server = **begun;
  Log(LogLevel::kInfo, "mds listens on " + server.address());
  std::printf("mds listens on %s", server.address().c_str());
  if (server.metrics_port() > 0) std::printf(", metrics on port %d", server.metrics_port());
  std::printf("\n");
  std::fflush(stdout);

  AwaitEndSignal();
  Log(LogLevel::kInfo, "mds ends");
  server.Shutdown();
  begun->reset();
  StopLog();
  return kExitOk;
}

}  // namespace

int MdsMain(int argc, char** argv) {
  Flags flags;
  CLI::App app("An MDS of CurveFS: file systems, topology and placement of a cluster", "curvefs mds");
  app.get_formatter()->column_width(34);
  app.set_version_flag("--version", "curvefs " CURVEFS_VERSION);
  for (const Knob& knob : MdsKnobs()) {
    std::string help(knob.help);
    if (knob.kind != KnobKind::kText)
      help += " May be " + knob.Values() + ", default " + knob.Default() + ".";
    app.add_option_function<std::string>(
           "--" + std::string(knob.name),
           [&flags, name = std::string(knob.name)](const std::string& text) {
             flags.emplace_back(name, text);
           },
           help)
        ->type_name("VALUE");
  }
  app.add_option_function<std::string>(
         "--config", [&flags](const std::string& path) { flags.emplace_back("config", path); },
         "A file (TOML) with knobs, one line NAME = VALUE each; the environment and flags win over it")
      ->type_name("FILE");
  app.footer(
      "Several run, on different machines; etcd elects the one that serves, and the others say where it is.\n"
      "Every knob can also be given in the environment, as CURVEFS_ETCD for example.\n\n"
      "Examples:\n"
      "  curvefs mds --etcd 10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379 --listen 10.0.0.1:8300\n"
      "  curl 10.0.0.1:8301/metrics");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;
  }
  return Serve(flags);
}

}  // namespace curvefs::cli
