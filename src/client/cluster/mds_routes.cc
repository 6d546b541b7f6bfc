#include "client/cluster/mds_routes.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace curvefs::client {

Result<CopysetRoute> RootRoute(const proto::ListPartitionResponse& partitions,
                               const proto::ListTopologyResponse& topology) {
  const auto root =
      std::ranges::find(partitions.partition(), 0u, [](const auto& p) { return p.partition_id(); });
  if (root == partitions.partition().end())
    return Fail(Code::kNotFound, "the file system has no partition with a root");
  const auto copyset = std::ranges::find(partitions.copyset(), root->copyset_id(),
                                         [](const auto& c) { return c.copyset_id(); });
  if (copyset == partitions.copyset().end())
    return Fail(Code::kNotFound, "the MDS does not know copyset " + std::to_string(root->copyset_id()));
  std::map<uint32_t, std::string> addresses;
  for (const auto& metaserver : topology.metaserver())
    addresses[metaserver.metaserver_id()] = metaserver.address();
  CopysetRoute route{.copyset = copyset->copyset_id(), .partition = PartitionId(root->partition_id())};
  for (const auto& peer : copyset->peer()) {
    // A replica's id has that of its metaserver in its low half (copyset.proto).
    const auto known = addresses.find(static_cast<uint32_t>(peer.replica_id()));
    auto address = net::ParseAddress(known == addresses.end() ? peer.address() : known->second);
    if (address) route.servers.push_back(*std::move(address));
  }
  if (route.servers.empty())
    return Fail(Code::kUnavailable,
                "no address of a replica of copyset " + std::to_string(route.copyset) + " is known");
  return route;
}

Result<CopysetRoute> FindRoot(MdsClient& mds, uint32_t fs) {
  proto::ListPartitionRequest request;
  request.set_fs_id(fs);
  CURVEFS_TRY(const auto partitions,
              mds.Call<proto::ListPartitionResponse>("TopologyService/ListPartition", request));
  CURVEFS_TRY(const auto topology, mds.Call<proto::ListTopologyResponse>("TopologyService/ListTopology",
                                                                         proto::ListTopologyRequest()));
  return RootRoute(partitions, topology);
}

}  // namespace curvefs::client
