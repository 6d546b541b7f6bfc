#include "metaserver/handlers_leases.h"

#include <chrono>

#include "metaserver/handler_call.h"

namespace curvefs::metaserver {

KeptParts PartsOf(const proto::LookupRequest& in, const proto::LookupResponse& out) {
  KeptParts parts{{InodeId(in.parent_inode_id()), LeaseTable::kNames}};
  if (out.has_inode()) parts.emplace_back(out.inode().inode_id(), LeaseTable::kAttributes);
  return parts;
}

KeptParts PartsOf(const proto::GetInodeRequest& in, const proto::GetInodeResponse&) {
  return {{InodeId(in.inode_id()), LeaseTable::kAttributes}};
}

KeptParts PartsOf(const proto::GetInodesRequest&, const proto::GetInodesResponse& out) {
  KeptParts parts;
  for (const proto::Inode& inode : out.inode()) {
    if (inode.inode_id() != 0) parts.emplace_back(inode.inode_id(), LeaseTable::kAttributes);
  }
  return parts;
}

KeptParts PartsOf(const proto::ReadDirRequest& in, const proto::ReadDirResponse& out) {
  if (!in.with_inodes()) return {};
  KeptParts parts{{InodeId(in.dir_inode_id()), LeaseTable::kNames}};
  for (const proto::Inode& inode : out.inode()) {
    if (inode.inode_id() != 0) parts.emplace_back(inode.inode_id(), LeaseTable::kAttributes);
  }
  return parts;
}

KeptParts PartsOf(const proto::OpenInodeRequest&, const proto::OpenInodeResponse& out) {
  KeptParts parts;
  for (const proto::Inode& inode : out.inode()) parts.emplace_back(inode.inode_id(), LeaseTable::kAttributes);
  return parts;
}

void GiveLeases(const MetaTarget& target, const proto::RequestHeader& in, const KeptParts& parts,
                proto::ResponseHeader* out) {
  const auto grant = target.copyset->KeepLeases(target.fs, in.session_id(), target.link, parts);
  if (grant.epoch == 0) return;
  out->set_lease_epoch(grant.epoch);
  out->set_lease_us(
      static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(grant.time).count()));
  for (const InodeId inode : grant.busy) out->add_busy_inode_id(inode.value);
}

namespace calls {

void DropLeases(const MetaTarget& at, std::string_view bytes, Answer answer) {
  MetaTarget target = at;
  auto request = Decode<proto::DropLeasesRequest>(target, bytes, answer);
  if (!request) return;
  if (!target.group->leads()) return answer(FailureOf(target, Code::kNotLeader));
  target.copyset->LeasesDropped(request->header().session_id(), request->number());
  answer(proto::DropLeasesResponse().SerializeAsString());
}

}  // namespace calls
}  // namespace curvefs::metaserver
