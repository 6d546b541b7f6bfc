// Where the metadata of a file system are, by what the MDS says.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "client/cluster/mds_client.h"
#include "net/hello.h"
#include "proto/topology.pb.h"

namespace curvefs::client {

// The copyset that holds one partition, and where its replicas are.
struct CopysetRoute {
  uint64_t copyset = 0;
  PartitionId partition;
  std::vector<net::Address> servers;
  friend bool operator==(const CopysetRoute&, const CopysetRoute&) = default;
};

// All that a mount uses of a file system.
struct Routes {
  struct Partition {
    PartitionId id;
    uint64_t copyset = 0;
    bool grows = false;  // it makes new inodes
  };
  std::vector<Partition> partitions;  // partition 0 is among them
  std::map<uint64_t, std::vector<net::Address>> copysets;
  uint64_t hash_seed = 0;  // of the order of directories, in all of them
};
// As RootRoute. Partitions whose copyset does not know of them yet are left out.
Result<Routes> RoutesOf(const proto::ListPartitionResponse& partitions,
                        const proto::ListTopologyResponse& topology);
Result<Routes> FindRoutes(MdsClient& mds, uint32_t fs);

// That of the partition with the root (0). Addresses are those at which the metaservers are now, or, of one
// that the topology does not know, at which its replica was made. kNotFound: it has no such partition;
// kUnavailable: no address of a replica is known.
Result<CopysetRoute> RootRoute(const proto::ListPartitionResponse& partitions,
                               const proto::ListTopologyResponse& topology);
// The same, asked of the MDS.
Result<CopysetRoute> FindRoot(MdsClient& mds, uint32_t fs);

}  // namespace curvefs::client
