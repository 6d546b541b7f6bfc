// Metaservers that register themselves, and what their copysets say of their members.
#include <utility>

#include "mds/operations.h"

namespace curvefs::mds {
namespace {

constexpr size_t kMinToken = 16;

Result<std::string> ClusterUuid(Draft& draft, Volatile& v, const std::string& theirs) {
  const auto* cluster = draft.state().Find<proto::ClusterInfo>(kClusterKey);
  std::string uuid = cluster == nullptr ? "" : cluster->uuid();
  if (!theirs.empty() && theirs != uuid) {
    return Fail(Code::kNotPermitted, "the metaserver is part of the cluster " + theirs + ", and this is " +
                                         (uuid.empty() ? std::string("a new one") : uuid));
  }
  if (uuid.empty()) {
    uuid = NewUuid(v);
    proto::ClusterInfo made;
    made.set_uuid(uuid);
    draft.Put(std::move(made));
  }
  return uuid;
}

// Its server, with the zone and the pool around it.
Result<uint32_t> ServerFor(Draft& draft, const proto::RegisterMetaserverRequest& request) {
  proto::CreatePoolRequest pool;
  pool.set_name(request.pool());
  proto::CreatePoolResponse pool_made;
  CURVEFS_CHECK_OK(CreatePool(draft, pool, &pool_made));
  proto::CreateZoneRequest zone;
  zone.set_pool_id(pool_made.pool().pool_id());
  zone.set_name(request.zone());
  proto::CreateZoneResponse zone_made;
  CURVEFS_CHECK_OK(CreateZone(draft, zone, &zone_made));
  proto::CreateServerRequest server;
  server.set_zone_id(zone_made.zone().zone_id());
  server.set_host_name(request.host_name());
  proto::CreateServerResponse server_made;
  CURVEFS_CHECK_OK(CreateServer(draft, server, &server_made));
  return server_made.server().server_id();
}

}  // namespace

Status JoinCluster(Draft& draft, Volatile& v, const proto::RegisterMetaserverRequest& request,
                   proto::RegisterMetaserverResponse* response) {
  if (request.zone().empty()) {
    for (const auto& [key, row] : draft.state().All<proto::Metaserver>()) {
      if (row.uuid() == request.uuid() && !row.token().empty())
        return {Code::kNotPermitted, "that metaserver registers itself"};
    }
    return RegisterMetaserver(draft, request, response);
  }
  if (request.server_id() != 0)
    return {Code::kInvalid, "a metaserver names its server, or its zone and host; not both"};
  if (request.token().size() < kMinToken || request.token().size() > kMaxText)
    return {Code::kInvalid, "the token of a metaserver has 16 to 4096 bytes"};
  CURVEFS_TRY(const std::string cluster, ClusterUuid(draft, v, request.cluster_uuid()));
  proto::RegisterMetaserverRequest on_server = request;
  CURVEFS_TRY(const uint32_t server, ServerFor(draft, request));
  on_server.set_server_id(server);
  CURVEFS_CHECK_OK(RegisterMetaserver(draft, on_server, response));
  proto::Metaserver& row = *response->mutable_metaserver();
  if (!row.token().empty() && row.token() != request.token()) {
    return {Code::kNotPermitted,
            "metaserver " + std::to_string(row.metaserver_id()) +
                " has registered with another token: this one is a copy, or an impostor"};
  }
  if (row.token().empty()) {
    row.set_token(request.token());
    draft.Put(row);
  }
  row.clear_token();
  response->set_cluster_uuid(cluster);
  return {};
}

Status MembersChanged(Draft& draft, uint32_t id,
                      const google::protobuf::RepeatedPtrField<proto::CopysetPeer>& peers) {
  const auto* found = draft.state().Find<proto::Copyset>(CopysetKey(id));
  if (found == nullptr) return {Code::kNotFound, "there is no copyset " + std::to_string(id)};
  proto::Copyset copyset = *found;
  *copyset.mutable_peer() = peers;
  FillAddresses(draft.state(), &copyset);
  copyset.set_epoch(copyset.epoch() + 1);
  draft.Put(std::move(copyset));
  return {};
}

void FillAddresses(const State& state, proto::Copyset* copyset) {
  for (auto& peer : *copyset->mutable_peer()) {
    const auto* at = state.Find<proto::Metaserver>(MetaserverKey(static_cast<uint32_t>(peer.replica_id())));
    if (at != nullptr && !at->address().empty()) peer.set_address(at->address());
  }
}

}  // namespace curvefs::mds
