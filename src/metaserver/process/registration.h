// Registration: who this metaserver is to the MDS, for ever: DIR/registration.toml, made before it registers
// for the first time. It is who shows this file that is the metaserver; a copy of it is not
// (docs/FORMATS.md).
#pragma once

#include <cstdint>
#include <string>

#include "base/disk.h"
#include "base/status.h"

namespace curvefs::metaserver {

struct Registration {
  std::string uuid, token;     // of its own choice; the token is a secret
  std::string cluster;         // of which it is a part; empty: not registered yet
  uint32_t metaserver_id = 0;  // 0: not registered yet

  // What DIR has, or a new one, which is durable when this returns; DIR is made if it is not there. kCorrupt.
  static Result<Registration> ReadOrMake(Disk& disk, const std::string& dir);
  Status Write(Disk& disk, const std::string& dir) const;  // durable when it returns
};

}  // namespace curvefs::metaserver
