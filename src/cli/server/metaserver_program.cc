#include "cli/server/metaserver_program.h"

#include <unistd.h>

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
#include "cli/server/recover.h"
#include "cli/server/state_dump.h"
#include "metaserver/process/grpc_service.h"
#include "metaserver/process/heartbeats.h"
#include "metaserver/process/server.h"
#include "net/http/http_service.h"

namespace curvefs::cli {
namespace {

using metaserver::MetaServer;

struct Args {
  std::vector<std::pair<std::string, std::string>> flags;
  std::vector<std::string> dump;     // DIR COPYSET
  std::vector<std::string> recover;  // DIR COPYSET REPLICA
  bool yes_lose_data = false, json = false;
};

// "1=HOST:PORT,2=HOST:PORT".
Result<std::map<metaserver::MetaserverId, net::Address>> ParseJoin(const std::string& text) {
  std::map<metaserver::MetaserverId, net::Address> peers;
  size_t at = 0;
  while (at < text.size()) {
    const std::string item = text.substr(at, text.find(',', at) - at);
    at += item.size() + 1;
    const size_t equals = item.find('=');
    char* end = nullptr;
    const unsigned long long id = std::strtoull(item.c_str(), &end, 10);
    if (equals == item.npos || end != item.c_str() + equals || id == 0 || id > UINT32_MAX)
      return Fail(Code::kInvalid, "--join: '" + item + "' is not ID=HOST:PORT");
    CURVEFS_TRY(const net::Address address, net::ParseAddress(item.substr(equals + 1)));
    if (!peers.emplace(id, address).second)
      return Fail(Code::kInvalid, "--join names " + std::to_string(id) + " twice");
  }
  return peers;
}

// `text` if it is given, else `step` above `listen`; nothing if it is off.
Result<std::optional<net::Address>> Beside(const std::string& text, const net::Address& listen,
                                           uint16_t step) {
  if (text == "off") return std::nullopt;
  if (!text.empty()) return net::ParseAddress(text);
  net::Address address = listen;
  if (address.port != 0) address.port = static_cast<uint16_t>(address.port + step);
  return address;
}

net::TlsFiles TlsOf(const ServerConfig& config) {
  return {.ca = config.tls_ca, .cert = config.tls_cert, .key = config.tls_key};
}

Result<metaserver::ServerOptions> MakeOptions(const ServerConfig& config, const EngineParts& engine) {
  metaserver::ServerOptions options;
  if (config.dir.empty()) return Fail(Code::kInvalid, "--dir is needed: the directory of this metaserver");
  options.dir = config.dir;
  options.id = config.id;
  CURVEFS_TRY(options.listen, net::ParseAddress(config.listen));
  CURVEFS_TRY(options.peers, ParseJoin(config.join));
  for (const auto& [id, address] : options.peers) {
    if (options.id == 0 && options.listen.port != 0 && address == options.listen) options.id = id;
  }
  options.cluster = config.cluster;
  CURVEFS_TRY(options.tls, net::LoadTls(TlsOf(config)));
  options.loops = config.loops;
  options.tick = config.heartbeat;
  options.copyset.session_timeout = config.session_timeout;
  CURVEFS_TRY(options.copyset.engine, metaserver::ParseEngine(config.meta_engine));
  if (config.given.contains("meta-memory") && options.copyset.engine != metaserver::MetaEngine::kRocksdb)
    return Fail(Code::kInvalid, "--meta-memory is for --meta-engine rocksdb");
  options.meta_memory = config.meta_memory;
  options.lease_drift.reset();
  if (config.read_lease) options.lease_drift = static_cast<double>(config.clock_drift) / 1000;
  options.group.snapshot_entries = config.snapshot_entries;
  options.group.snapshot_bytes = config.snapshot_log;
  options.snapshot_bytes_per_second = config.snapshot_rate;
  options.log.journal.segment_bytes = config.log_segment;
  options.log.cache_bytes = config.log_cache;
  options.handover_limit = config.handover;
  options.make_engine = engine.make_engine;
  options.start_thread = engine.start_thread;
  return options;
}

// Without --mds: none.
Result<metaserver::MdsOptions> MakeMdsOptions(const ServerConfig& config) {
  metaserver::MdsOptions options;
  if (config.mds.empty()) return options;
  for (size_t at = 0; at < config.mds.size();) {
    const std::string item = config.mds.substr(at, config.mds.find(',', at) - at);
    at += item.size() + 1;
    auto address = net::ParseAddress(item);
    if (!address) return Fail(Code::kInvalid, "--mds: " + address.error().message());
    options.mds.push_back(address->ToString());
  }
  if (config.dir.empty()) return Fail(Code::kInvalid, "--dir is needed: the directory of this metaserver");
  if (config.grpc_listen == "off")
    return Fail(Code::kInvalid, "--grpc-listen off: with --mds it is how the MDS reaches this metaserver");
  options.dir = config.dir;
  options.tls = TlsOf(config);
  options.pool = config.pool;
  options.zone = config.zone;
  options.host_name = config.host_name;
  options.version = CURVEFS_VERSION;
  if (options.host_name.empty()) {
    char name[256] = {};
    if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
      return Fail(Code::kInvalid, "the system has no host name: say one with --host-name");
    options.host_name = name;
  }
  return options;
}

struct Services {
  std::unique_ptr<MetaServer> server;
  std::unique_ptr<metaserver::GrpcService> grpc;
  std::unique_ptr<net::HttpService> http;
  std::unique_ptr<metaserver::Heartbeats> heartbeats;
};

Result<Services> StartAll(const ServerConfig& config, const EngineParts& engine) {
  Services s;
  CURVEFS_TRY(auto options, MakeOptions(config, engine));
  CURVEFS_TRY(auto mds, MakeMdsOptions(config));
  if (!mds.mds.empty()) {
    CURVEFS_TRY(const metaserver::MetaserverId id, metaserver::Heartbeats::Identify(mds));
    if (options.id != 0 && options.id != id)
      return Fail(Code::kInvalid, "the MDS knows this metaserver as " + std::to_string(id) + ", not " +
                                      std::to_string(options.id));
    options.id = id;
  }
  CURVEFS_TRY(s.server, MetaServer::Start(std::move(options)));
  const net::Address& at = s.server->address();
  std::string where = "listen " + at.ToString() + "\n";
  CURVEFS_TRY(auto grpc, Beside(config.grpc_listen, at, 1));
  if (grpc) {
    CURVEFS_TRY(s.grpc, metaserver::GrpcService::Start(*s.server, grpc->ToString(), TlsOf(config)));
    where += "grpc " + net::Address{grpc->host, static_cast<uint16_t>(s.grpc->port())}.ToString() + "\n";
  }
  CURVEFS_TRY(auto http, Beside(config.http_listen, at, 2));
  if (http) {
    MetaServer& server = *s.server;
    CURVEFS_TRY(s.http, net::HttpService::Start(
                            http->host, http->port, [&server] { return server.MetricsText(); },
                            [] { return std::string("serving\n"); }));
    where += "http " + net::Address{http->host, static_cast<uint16_t>(s.http->port())}.ToString() + "\n";
  }
  CURVEFS_CHECK_OK(s.server->Announce(where));
  if (!mds.mds.empty()) {
    const std::string at_grpc = net::Address{grpc->host, static_cast<uint16_t>(s.grpc->port())}.ToString();
    CURVEFS_TRY(s.heartbeats, metaserver::Heartbeats::Begin(std::move(mds), *s.server, at_grpc));
  }
  return s;
}

int Serve(const Args& args, const EngineParts& engine) {
  auto config = MakeServerConfig([](const char* name) { return std::getenv(name); }, args.flags);
  if (!config) return Complain("metaserver", config.error(), kExitUsage);
  if (Status s = StartLog(config->log_file, config->log_level); !s.ok())
    return Complain("metaserver", s, kExitFailed);
  CatchEndSignals();

  auto services = StartAll(*config, engine);
  if (!services) {
    return Complain("metaserver", services.error(),
                    services.error().code() == Code::kInvalid ? kExitUsage : kExitFailed);
  }
  Services& s = *services;
  Log(LogLevel::kInfo, "metaserver " + std::to_string(s.server->id()) + " serves " + s.server->dir() +
                           " on " + s.server->address().ToString());
  std::printf("metaserver %llu listens on %s\n", static_cast<unsigned long long>(s.server->id()),
              s.server->address().ToString().c_str());
  std::fflush(stdout);

  AwaitEndSignal();
  Log(LogLevel::kInfo, "metaserver " + std::to_string(s.server->id()) + " ends");
  s.heartbeats.reset();
  if (s.grpc) s.grpc->SetServing(false);
  s.server->HandOver();
  s.grpc.reset();
  s.http.reset();
  s.server->Shutdown();
  s.server.reset();
  StopLog();
  return kExitOk;
}

}  // namespace

int MetaserverMain(int argc, char** argv, const EngineParts& engine) {
  Args args;
  CLI::App app("A metaserver of CurveFS: holds replicas of the metadata", "curvefs metaserver");
  app.get_formatter()->column_width(34);
  app.set_version_flag("--version", "curvefs " CURVEFS_VERSION);
  for (const Knob& knob : ServerKnobs()) {
    std::string help(knob.help);
    if (knob.kind != KnobKind::kText)
      help += " May be " + knob.Values() + ", default " + knob.Default() + ".";
    app.add_option_function<std::string>(
           "--" + std::string(knob.name),
           [&args, name = std::string(knob.name)](const std::string& text) {
             args.flags.emplace_back(name, text);
           },
           help)
        ->type_name("VALUE");
  }
  app.add_option_function<std::string>(
         "--config", [&args](const std::string& path) { args.flags.emplace_back("config", path); },
         "A file (TOML) with knobs, one line NAME = VALUE each; the environment and flags win over it")
      ->type_name("FILE");
  app.add_option("--dump-state", args.dump,
                 "Do not serve: print what a copyset in DIR holds, key by key, with its log applied as far "
                 "as it is known to be "
                 "committed")
      ->type_name("DIR COPYSET")
      ->expected(2);
  CLI::Option* recover = app.add_option("--recover-copyset", args.recover,
                                        "Do not serve: what 'curvefs copyset recover' does; see there")
                             ->type_name("DIR COPYSET REPLICA")
                             ->expected(3);
  app.add_flag("--yes-i-know-data-may-be-lost", args.yes_lose_data, "With --recover-copyset: do it")
      ->needs(recover);
  app.add_flag("--json", args.json, "With --recover-copyset: print JSON")->needs(recover);
  app.footer(
      "Every knob can also be given in the environment, as CURVEFS_LISTEN for example.\n\n"
      "Examples:\n"
      "  curvefs metaserver --dir /srv/ms --listen 10.0.0.1:8200 --join "
      "1=10.0.0.1:8200,2=10.0.0.2:8200,3=10.0.0.3:8200\n"
      "  curvefs metaserver --dir /srv/ms --listen 10.0.0.1:8200 --zone rack1 --mds "
      "10.0.0.1:8300,10.0.0.2:8300,10.0.0.3:8300\n"
      "  curl 10.0.0.1:8202/metrics\n"
      "  curvefs copyset --help");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;
  }
  if (!args.dump.empty()) {
    Status s = DumpState(args.dump[0], args.dump[1]);
    return s.ok() ? kExitOk : Complain("metaserver", s, kExitFailed);
  }
  if (!args.recover.empty()) {
    Status s = Recover(args.recover[0], args.recover[1], args.recover[2], args.yes_lose_data, args.json);
    return s.ok() ? kExitOk
                  : Complain("copyset recover", s, s.code() == Code::kInvalid ? kExitUsage : kExitFailed);
  }
  return Serve(args, engine);
}

}  // namespace curvefs::cli
