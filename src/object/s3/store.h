// The ObjectStore in an S3 bucket (docs/FORMATS.md "Objects in S3").
//
//   PREFIX/curvefs.json                  which file system this is: written once, when it is made
//   PREFIX/objects/<chunk / 4096 in 13 hex digits>/<name>   an object file, as in a directory store
//
// Put is durable; Sync only looks. A read fetches the checksum units that it needs, together with the
// object's checksum table unless that is known from before; a whole object is one request.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "object/object_store.h"
#include "object/s3/client.h"
#include "object/s3/location.h"

namespace curvefs::object::s3 {

// What Space says: S3 has no end. 1 PiB.
inline constexpr uint64_t kNominalSpace = uint64_t{1} << 50;
inline constexpr size_t kTableCacheBytes = 16 << 20;  // of checksum tables, in memory

// The store in `location`. Makes no request.
std::unique_ptr<ObjectStore> MakeS3Store(std::shared_ptr<Client> client, Location location);

std::string ObjectKey(const Location& location, const ObjectName& name);

// Whether the store does what a file system needs: for a change also write, conditional write and delete,
// each read back below PREFIX/probe-…. The first thing that does not work is returned, with what to do about
// it.
Status Probe(Client& client, const Location& location, bool read_only);

// Makes the location this file system's: writes PREFIX/curvefs.json. ok if it is already. kExists: another
// one's, or objects lie there that are nobody's.
Status Claim(Client& client, const Location& location, const std::string& uuid, const std::string& name);
// Whether it is this file system's. kNotFound: nobody's; kExists: another one's.
Status CheckClaim(Client& client, const Location& location, const std::string& uuid);

}  // namespace curvefs::object::s3
