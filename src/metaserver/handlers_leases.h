// DropLeases of MetaServerService, and which parts of inodes the answers to other calls say.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "metaserver/handlers.h"
#include "proto/metaserver.pb.h"

namespace curvefs::metaserver::calls {

void DropLeases(const MetaTarget& target, std::string_view request, Answer answer);

}  // namespace curvefs::metaserver::calls

namespace curvefs::metaserver {

using KeptParts = std::vector<std::pair<InodeId, uint8_t>>;

// What a client keeps of an answer (LeaseTable::Part).
KeptParts PartsOf(const proto::LookupRequest& in, const proto::LookupResponse& out);
KeptParts PartsOf(const proto::GetInodeRequest& in, const proto::GetInodeResponse& out);
KeptParts PartsOf(const proto::GetInodesRequest& in, const proto::GetInodesResponse& out);
KeptParts PartsOf(const proto::ReadDirRequest& in, const proto::ReadDirResponse& out);
KeptParts PartsOf(const proto::OpenInodeRequest& in, const proto::OpenInodeResponse& out);

// Within the callback of the read: says it in the header, if the client keeps leases.
void GiveLeases(const MetaTarget& target, const proto::RequestHeader& in, const KeptParts& parts,
                proto::ResponseHeader* out);

}  // namespace curvefs::metaserver
