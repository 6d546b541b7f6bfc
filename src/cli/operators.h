// What the MDS that leads knows of its metaservers, and what its schedulers do about it, for people.
#pragma once

#include "base/status.h"
#include "cli/mds_args.h"

namespace curvefs::cli {

// `curvefs status --operators`: operators under way and what has happened lately, each with its reason.
Status ShowOperators(const MdsArgs& args);
// `curvefs topology list metaserver`: health, disk and load of each, by its heartbeats.
Status ShowMetaservers(const MdsArgs& args);

}  // namespace curvefs::cli
