#include "cli/cluster/plan.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint32_t kFormat = 1;
// From `base` on: two for each etcd, two for each MDS, three for each metaserver.
constexpr uint16_t kMdsFrom = 2 * kMostEtcd;
constexpr uint16_t kMetaserversFrom = kMdsFrom + 2 * kMostMds;
constexpr uint16_t kEtcdHealthFrom = kMetaserversFrom + 3 * kMostMetaservers;  // one for each, with TLS
static_assert(kEtcdHealthFrom + kMostEtcd <= kPorts);

std::string At(uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}
uint16_t EtcdPort(const ClusterPlan& p, uint32_t n) {
  return static_cast<uint16_t>(p.base + 2 * (n - 1));
}
uint16_t MdsPort(const ClusterPlan& p, uint32_t n) {
  return static_cast<uint16_t>(p.base + kMdsFrom + 2 * (n - 1));
}
uint16_t MetaserverPort(const ClusterPlan& p, uint32_t n) {
  return static_cast<uint16_t>(p.base + kMetaserversFrom + 3 * (n - 1));
}

// "f(1),f(2)…".
template <typename F>
std::string Joined(uint32_t count, F f) {
  std::string text;
  for (uint32_t n = 1; n <= count; ++n) text += (n > 1 ? "," : "") + f(n);
  return text;
}

net::TlsFiles TlsOf(const std::string& dir, const std::string& name) {
  const std::string at = dir + "/tls/";
  return {.ca = at + "cluster-ca.pem", .cert = at + name + ".pem", .key = at + name + ".key"};
}
void Append(std::vector<std::string>* command, std::initializer_list<std::string> more) {
  command->insert(command->end(), more);
}

// etcd says by plain HTTP, on loopback, how it is; all else is TLS, from members and from clients.
void EtcdTls(const ClusterPlan& p, uint32_t n, const std::string& dir, ProcessPlan* process) {
  const net::TlsFiles tls = TlsOf(dir, "etcd" + std::to_string(n));
  const auto health = static_cast<uint16_t>(p.base + kEtcdHealthFrom + n - 1);
  Append(&process->command,
         {"--cert-file", tls.cert, "--key-file", tls.key, "--trusted-ca-file", tls.ca, "--client-cert-auth",
          "--peer-cert-file", tls.cert, "--peer-key-file", tls.key, "--peer-trusted-ca-file", tls.ca,
          "--peer-client-cert-auth", "--listen-metrics-urls", "http://" + At(health)});
  process->health = health;
  process->ports.push_back(health);
}
void OwnTls(const net::TlsFiles& tls, ProcessPlan* process) {
  Append(&process->command, {"--tls-ca", tls.ca, "--tls-cert", tls.cert, "--tls-key", tls.key});
}

ProcessPlan Etcd(const ClusterPlan& p, uint32_t n, const std::string& dir) {
  const uint16_t port = EtcdPort(p, n), peer_port = port + 1;
  const std::string name = "etcd" + std::to_string(n), scheme = p.tls ? "https://" : "http://",
                    client = scheme + At(port), peer = scheme + At(peer_port);
  ProcessPlan process{.command = {kEtcdProgram,
                                  "--name",
                                  name,
                                  "--data-dir",
                                  dir + "/" + name,
                                  "--listen-client-urls",
                                  client,
                                  "--advertise-client-urls",
                                  client,
                                  "--listen-peer-urls",
                                  peer,
                                  "--initial-advertise-peer-urls",
                                  peer,
                                  "--initial-cluster",
                                  Joined(p.etcd,
                                         [&](uint32_t i) {
                                           return "etcd" + std::to_string(i) + "=" + scheme +
                                                  At(static_cast<uint16_t>(EtcdPort(p, i) + 1));
                                         }),
                                  "--initial-cluster-token",
                                  p.name,
                                  "--heartbeat-interval",
                                  "100",
                                  "--election-timeout",
                                  "1000",
                                  "--auto-compaction-retention",
                                  "1",
                                  "--logger",
                                  "zap",
                                  "--log-outputs",
                                  "stderr"},
                      .address = At(port),
                      .ports = {port, peer_port},
                      .health = port};
  if (p.tls) EtcdTls(p, n, dir, &process);
  return process;
}

// On one machine etcd's default time for an election is enough, and the MDS follow suit: another one leads
// soon.
ProcessPlan Mds(const ClusterPlan& p, uint32_t n, const std::string& dir, const std::string& programs) {
  const uint16_t port = MdsPort(p, n), metrics = port + 1;
  ProcessPlan process{
      .command = {programs + "/curvefs-mds", "--etcd",
                  Joined(p.etcd, [&](uint32_t i) { return At(EtcdPort(p, i)); }), "--listen", At(port),
                  "--metrics", At(metrics), "--cluster", p.name, "--election-timeout", "1s", "--lease-time",
                  "5s", "--periodic-get-time", "1s", "--get-timeout", "3s"},
      .address = At(port),
      .ports = {port, metrics}};
  if (p.tls) {
    const net::TlsFiles tls = TlsOf(dir, "mds" + std::to_string(n));
    OwnTls(tls, &process);
    Append(&process.command, {"--etcd-ca", tls.ca, "--etcd-cert", tls.cert, "--etcd-key", tls.key});
  }
  return process;
}

// It registers itself. Each is a machine of its own and, of three zones, in one.
ProcessPlan Metaserver(const ClusterPlan& p, uint32_t n, const std::string& dir,
                       const std::string& programs) {
  const uint16_t port = MetaserverPort(p, n), grpc = port + 1, http = port + 2;
  ProcessPlan process{
      .command = {programs + "/curvefs-metaserver", "--dir", dir + "/metaserver" + std::to_string(n), "--mds",
                  MdsList(p), "--pool", "cluster", "--zone", "zone" + std::to_string((n - 1) % 3 + 1),
                  "--host-name", "host" + std::to_string(n), "--listen", At(port), "--grpc-listen", At(grpc),
                  "--http-listen", At(http), "--cluster", p.name},
      .address = At(port),
      .ports = {port, grpc, http}};
  if (p.tls) OwnTls(TlsOf(dir, "metaserver" + std::to_string(n)), &process);
  return process;
}

}  // namespace

Status CheckPlan(const ClusterPlan& p) {
  if (p.etcd == 0 || p.etcd > kMostEtcd || p.etcd % 2 == 0)
    return {Code::kInvalid,
            "--etcd " + std::to_string(p.etcd) +
                ": there are 1, 3 or 5; an even number survives no more than the odd one below it"};
  if (p.mds == 0 || p.mds > kMostMds)
    return {Code::kInvalid, "--mds " + std::to_string(p.mds) + ": there are 1 to 5"};
  if (p.metaservers < 3 || p.metaservers > kMostMetaservers)
    return {Code::kInvalid, "--metaservers " + std::to_string(p.metaservers) +
                                ": there are 3 to 9; metadata have three copies, each on another metaserver"};
  if (p.base < 1024 || p.base > UINT16_MAX - kPorts)
    return {Code::kInvalid, "the ports from " + std::to_string(p.base) + " on cannot be used"};
  if (p.name.empty()) return {Code::kInvalid, "a cluster has a name"};
  return {};
}

std::string FormatPlan(const ClusterPlan& p) {
  Json j{{"curvefs_cluster", kFormat},
         {"name", p.name},
         {"base_port", p.base},
         {"etcd", p.etcd},
         {"mds", p.mds},
         {"metaservers", p.metaservers}};
  if (p.tls) j["tls"] = true;
  return j.dump(2) + "\n";
}

Result<ClusterPlan> ParsePlan(std::string_view text) {
  const Json j = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  auto number = [&](const char* key) -> uint64_t {
    return j.contains(key) && j[key].is_number_unsigned() ? j[key].get<uint64_t>() : 0;
  };
  if (!j.is_object() || number("curvefs_cluster") == 0)
    return Fail(Code::kCorrupt, "it describes no cluster");
  if (number("curvefs_cluster") > kFormat)
    return Fail(Code::kUnsupportedVersion, "a newer curvefs made it; use that version");
  for (const char* key : {"base_port", "etcd", "mds", "metaservers"}) {
    if (number(key) > UINT16_MAX) return Fail(Code::kCorrupt, std::string(key) + " makes no sense");
  }
  ClusterPlan p{.name = j.contains("name") && j["name"].is_string() ? j["name"].get<std::string>() : "",
                .base = static_cast<uint16_t>(number("base_port")),
                .etcd = static_cast<uint32_t>(number("etcd")),
                .mds = static_cast<uint32_t>(number("mds")),
                .metaservers = static_cast<uint32_t>(number("metaservers")),
                .tls = j.contains("tls") && j["tls"].is_boolean() && j["tls"].get<bool>()};
  if (Status s = CheckPlan(p); !s.ok()) return Fail(Code::kCorrupt, s.message());
  return p;
}

std::vector<ProcessPlan> ProcessesOf(const ClusterPlan& plan, const std::string& dir,
                                     const std::string& programs) {
  std::vector<ProcessPlan> all;
  auto add = [&](ProcessPlan p, ProcessKind kind, const char* name, uint32_t n) {
    p.name = name + std::to_string(n);
    p.kind = kind;
    p.number = n;
    p.log = dir + "/log/" + p.name + ".log";
    all.push_back(std::move(p));
  };
  for (uint32_t n = 1; n <= plan.etcd; ++n) add(Etcd(plan, n, dir), ProcessKind::kEtcd, "etcd", n);
  for (uint32_t n = 1; n <= plan.mds; ++n) add(Mds(plan, n, dir, programs), ProcessKind::kMds, "mds", n);
  for (uint32_t n = 1; n <= plan.metaservers; ++n)
    add(Metaserver(plan, n, dir, programs), ProcessKind::kMetaserver, "metaserver", n);
  return all;
}

net::TlsFiles TlsOfClients(const ClusterPlan& plan, const std::string& dir) {
  return plan.tls ? TlsOf(dir, "client") : net::TlsFiles();
}

std::string MdsList(const ClusterPlan& plan) {
  return Joined(plan.mds, [&](uint32_t n) { return At(MdsPort(plan, n)); });
}

}  // namespace curvefs::cli
