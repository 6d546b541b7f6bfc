// How a cluster is: a judgement on what its processes said. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/cluster/mds_client.h"
#include "proto/copyset.pb.h"
#include "proto/mds.pb.h"
#include "proto/topology.pb.h"

namespace curvefs::cli {

struct ClusterView {
  std::vector<client::MdsSeen> mds;
  proto::ListTopologyResponse topology;  // this and the next two: of the leading MDS; empty if there is none
  proto::ListCopysetResponse copysets;
  proto::ListFsInfoResponse file_systems;
  std::map<uint32_t, Result<proto::ListCopysetsResponse>> metaservers;  // what each said of its replicas
};

struct Health {
  enum Level { kHealthy, kDegraded, kBroken };
  Level level = kHealthy;
  std::vector<std::string> problems;  // the worst first
  std::string leader;                 // of the MDS; empty: none
  uint32_t metaservers_up = 0, copysets_led = 0,
           copysets_whole = 0;  // whole: led, and all its replicas are there
};
const char* LevelName(Health::Level level);

// kBroken: something does not work: no MDS leads, or a copyset that should has no leader. kDegraded: all
// works, but something is missing, so that less may fail than should. kHealthy: neither.
Health Judge(const ClusterView& view);

}  // namespace curvefs::cli
