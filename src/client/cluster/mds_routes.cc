#include "client/cluster/mds_routes.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace curvefs::client {

namespace {

Status Ask(MdsClient& mds, uint32_t fs, proto::ListPartitionResponse* partitions,
           proto::ListTopologyResponse* topology) {
  proto::ListPartitionRequest request;
  request.set_fs_id(fs);
  CURVEFS_TRY(*partitions, mds.Call<proto::ListPartitionResponse>("TopologyService/ListPartition", request));
  CURVEFS_TRY(*topology, mds.Call<proto::ListTopologyResponse>("TopologyService/ListTopology",
                                                               proto::ListTopologyRequest()));
  return {};
}

}  // namespace

Result<Routes> RoutesOf(const proto::ListPartitionResponse& partitions,
                        const proto::ListTopologyResponse& topology) {
  std::map<uint32_t, std::string> addresses;
  for (const auto& metaserver : topology.metaserver())
    addresses[metaserver.metaserver_id()] = metaserver.address();
  Routes routes;
  std::map<uint64_t, uint64_t> seeds;
  for (const auto& copyset : partitions.copyset()) {
    auto& servers = routes.copysets[copyset.copyset_id()];
    seeds[copyset.copyset_id()] = copyset.hash_seed();
    for (const auto& peer : copyset.peer()) {
      // A replica's id has that of its metaserver in its low half (copyset.proto).
      const auto known = addresses.find(static_cast<uint32_t>(peer.replica_id()));
      auto address = net::ParseAddress(known == addresses.end() ? peer.address() : known->second);
      if (address) servers.push_back(*std::move(address));
    }
  }
  bool root = false;
  for (const auto& p : partitions.partition()) {
    if (p.partition_id() != 0 && !p.formatted()) continue;
    const auto copyset = routes.copysets.find(p.copyset_id());
    if (copyset == routes.copysets.end())
      return Fail(Code::kNotFound, "the MDS does not know copyset " + std::to_string(p.copyset_id()));
    if (copyset->second.empty())
      return Fail(Code::kUnavailable,
                  "no address of a replica of copyset " + std::to_string(p.copyset_id()) + " is known");
    routes.partitions.push_back({.id = PartitionId(p.partition_id()),
                                 .copyset = p.copyset_id(),
                                 .grows = p.state() == proto::PARTITION_READ_WRITE});
    if (p.partition_id() == 0) routes.hash_seed = seeds[p.copyset_id()];
    root |= p.partition_id() == 0;
  }
  if (!root) return Fail(Code::kNotFound, "the file system has no partition with a root");
  return routes;
}

Result<Routes> FindRoutes(MdsClient& mds, uint32_t fs) {
  proto::ListPartitionResponse partitions;
  proto::ListTopologyResponse topology;
  CURVEFS_CHECK_OK(Ask(mds, fs, &partitions, &topology));
  return RoutesOf(partitions, topology);
}

Result<CopysetRoute> RootRoute(const proto::ListPartitionResponse& partitions,
                               const proto::ListTopologyResponse& topology) {
  CURVEFS_TRY(Routes routes, RoutesOf(partitions, topology));
  const auto root = std::ranges::find(routes.partitions, PartitionId(0), &Routes::Partition::id);
  return CopysetRoute{.copyset = root->copyset,
                      .partition = PartitionId(0),
                      .servers = std::move(routes.copysets[root->copyset])};
}

Result<CopysetRoute> FindRoot(MdsClient& mds, uint32_t fs) {
  proto::ListPartitionResponse partitions;
  proto::ListTopologyResponse topology;
  CURVEFS_CHECK_OK(Ask(mds, fs, &partitions, &topology));
  return RootRoute(partitions, topology);
}

}  // namespace curvefs::client
