// What `curvefs cluster up` does while the supervisor starts the processes: it watches them become ready and
// says so line by line.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/cluster/plan.h"

namespace curvefs::cli {

// Whether the process answers as it should: etcd with a leader, an MDS that knows who leads, a metaserver.
bool IsReady(const ProcessPlan& process, const ClusterPlan& plan, const std::string& dir);

// Prints a line for each process and waits until all of them, those that were killed by `cluster kill` apart,
// are ready. kUnavailable: one does not become ready, with what its log says last.
Status BringUp(const std::string& dir, const ClusterPlan& plan, const std::vector<ProcessPlan>& processes);

// The end of a log.
std::string LastLines(const std::string& path, size_t lines);

}  // namespace curvefs::cli
