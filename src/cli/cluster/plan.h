// What `curvefs cluster up DIR` runs: etcd, MDS and metaservers on one machine, on loopback, and where each
// has its port, its data and its log. Remembered in DIR/cluster.json, so that the same cluster comes up
// again. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "net/tls.h"

namespace curvefs::cli {

struct ClusterPlan {
  std::string name;   // tells it from other clusters
  uint16_t base = 0;  // the first of kPorts ports
  uint32_t etcd = 3, mds = 3, metaservers = 3;
  bool tls = false;  // on every wire, with certificates in DIR/tls
  friend bool operator==(const ClusterPlan&, const ClusterPlan&) = default;
};
inline constexpr uint16_t kPorts = 55;
inline constexpr uint32_t kMostEtcd = 5, kMostMds = 5, kMostMetaservers = 9;

// kInvalid: numbers that make no cluster, and why.
Status CheckPlan(const ClusterPlan& plan);
std::string FormatPlan(const ClusterPlan& plan);
Result<ClusterPlan> ParsePlan(std::string_view text);  // kCorrupt, kUnsupportedVersion

enum class ProcessKind { kEtcd, kMds, kMetaserver };
struct ProcessPlan {
  std::string name;  // etcd1, mds2, metaserver3
  ProcessKind kind = ProcessKind::kEtcd;
  uint32_t number = 1;               // of its kind
  std::vector<std::string> command;  // program and arguments
  std::string address;               // HOST:PORT for clients
  std::string log;                   // file of what it prints
  std::vector<uint16_t> ports;
  uint16_t health = 0;  // of etcd: where it says by HTTP how it is
};
// In the order in which they are started. `programs`: the directory of curvefs-mds and curvefs-metaserver.
std::vector<ProcessPlan> ProcessesOf(const ClusterPlan& plan, const std::string& dir,
                                     const std::string& programs);
// "HOST:PORT,HOST:PORT…" of all MDS.
std::string MdsList(const ClusterPlan& plan);

// What people and tools show to a cluster with TLS; none of one without. Each process has its own.
net::TlsFiles TlsOfClients(const ClusterPlan& plan, const std::string& dir);

inline constexpr const char* kEtcdProgram = "/usr/bin/etcd";

}  // namespace curvefs::cli
