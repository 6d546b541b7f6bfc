// Pools of zones of servers with metaservers.
#include <utility>

#include "mds/operations.h"

namespace curvefs::mds {
namespace {

Status CheckText(const std::string& text, const char* what) {
  if (text.empty() || text.size() > kMaxText)
    return {Code::kInvalid, std::string(what) + " has 1 to 4096 bytes"};
  return {};
}

// The row that `is` it, or none.
template <typename Row, typename F>
const Row* FindIf(const State& state, F is) {
  for (const auto& [key, row] : state.All<Row>()) {
    if (is(row)) return &row;
  }
  return nullptr;
}

template <typename Row>
Status Delete(Draft& draft, const std::string& key, const char* what) {
  const Row* found = draft.state().Find<Row>(key);
  if (found == nullptr) return {Code::kNotFound, std::string("there is no such ") + what};
  const Row row = *found;
  draft.Remove(row);
  return {};
}

}  // namespace

Status CreatePool(Draft& draft, const proto::CreatePoolRequest& request,
                  proto::CreatePoolResponse* response) {
  CURVEFS_CHECK_OK(CheckText(request.name(), "the name of a pool"));
  const auto* there =
      FindIf<proto::Pool>(draft.state(), [&](const auto& p) { return p.name() == request.name(); });
  proto::Pool& pool = *response->mutable_pool();
  if (there != nullptr) {
    pool = *there;
    return {};
  }
  pool.set_pool_id(static_cast<uint32_t>(draft.NextIds(kPoolIds)));
  pool.set_name(request.name());
  draft.Put(pool);
  return {};
}

Status DeletePool(Draft& draft, const proto::DeletePoolRequest& request) {
  if (FindIf<proto::Zone>(draft.state(), [&](const auto& z) { return z.pool_id() == request.pool_id(); }))
    return {Code::kNotEmpty, "the pool has zones"};
  return Delete<proto::Pool>(draft, PoolKey(request.pool_id()), "pool");
}

Status CreateZone(Draft& draft, const proto::CreateZoneRequest& request,
                  proto::CreateZoneResponse* response) {
  CURVEFS_CHECK_OK(CheckText(request.name(), "the name of a zone"));
  if (draft.state().Find<proto::Pool>(PoolKey(request.pool_id())) == nullptr)
    return {Code::kNotFound, "there is no such pool"};
  const auto* there = FindIf<proto::Zone>(draft.state(), [&](const auto& z) {
    return z.pool_id() == request.pool_id() && z.name() == request.name();
  });
  proto::Zone& zone = *response->mutable_zone();
  if (there != nullptr) {
    zone = *there;
    return {};
  }
  zone.set_zone_id(static_cast<uint32_t>(draft.NextIds(kZoneIds)));
  zone.set_pool_id(request.pool_id());
  zone.set_name(request.name());
  draft.Put(zone);
  return {};
}

Status DeleteZone(Draft& draft, const proto::DeleteZoneRequest& request) {
  if (FindIf<proto::Server>(draft.state(), [&](const auto& s) { return s.zone_id() == request.zone_id(); }))
    return {Code::kNotEmpty, "the zone has servers"};
  return Delete<proto::Zone>(draft, ZoneKey(request.zone_id()), "zone");
}

Status CreateServer(Draft& draft, const proto::CreateServerRequest& request,
                    proto::CreateServerResponse* response) {
  CURVEFS_CHECK_OK(CheckText(request.host_name(), "the name of a server"));
  if (draft.state().Find<proto::Zone>(ZoneKey(request.zone_id())) == nullptr)
    return {Code::kNotFound, "there is no such zone"};
  const auto* there = FindIf<proto::Server>(
      draft.state(), [&](const auto& s) { return s.host_name() == request.host_name(); });
  proto::Server& server = *response->mutable_server();
  if (there != nullptr) {
    // A machine stands in one place.
    if (there->zone_id() != request.zone_id())
      return {Code::kExists, "the server '" + request.host_name() + "' is in another zone"};
    server = *there;
    return {};
  }
  server.set_server_id(static_cast<uint32_t>(draft.NextIds(kServerIds)));
  server.set_zone_id(request.zone_id());
  server.set_host_name(request.host_name());
  draft.Put(server);
  return {};
}

Status DeleteServer(Draft& draft, const proto::DeleteServerRequest& request) {
  if (FindIf<proto::Metaserver>(draft.state(),
                                [&](const auto& m) { return m.server_id() == request.server_id(); }))
    return {Code::kNotEmpty, "the server has metaservers"};
  return Delete<proto::Server>(draft, ServerKey(request.server_id()), "server");
}

Status RegisterMetaserver(Draft& draft, const proto::RegisterMetaserverRequest& request,
                          proto::RegisterMetaserverResponse* response) {
  CURVEFS_CHECK_OK(CheckText(request.uuid(), "the uuid of a metaserver"));
  const bool listens = !request.address().empty() || request.zone().empty();
  if (listens) CURVEFS_CHECK_OK(CheckText(request.address(), "the address of a metaserver"));
  if (request.grpc_address().size() > kMaxText) return {Code::kInvalid, "the address is too long"};
  if (draft.state().Find<proto::Server>(ServerKey(request.server_id())) == nullptr)
    return {Code::kNotFound, "there is no such server"};
  const auto* there =
      FindIf<proto::Metaserver>(draft.state(), [&](const auto& m) { return m.uuid() == request.uuid(); });
  const auto* other = FindIf<proto::Metaserver>(draft.state(), [&](const auto& m) {
    return listens && m.address() == request.address() && m.uuid() != request.uuid();
  });
  if (other != nullptr) {
    return {Code::kExists, "metaserver " + std::to_string(other->metaserver_id()) + " has the address " +
                               request.address() + "; if it is gone for good, delete it"};
  }
  proto::Metaserver& metaserver = *response->mutable_metaserver();
  if (there != nullptr) {
    metaserver = *there;
    if (there->server_id() != request.server_id() && !request.uuid().empty())
      return {Code::kExists, "this metaserver is registered on another server"};
    if (!listens) return {};
    if (there->address() == request.address() && there->grpc_address() == request.grpc_address()) return {};
  } else {
    metaserver.set_metaserver_id(static_cast<uint32_t>(draft.NextIds(kMetaserverIds)));
  }
  metaserver.set_uuid(request.uuid());
  metaserver.set_server_id(request.server_id());
  metaserver.set_address(request.address());
  metaserver.set_grpc_address(request.grpc_address());
  draft.Put(metaserver);
  return {};
}

Status DeleteMetaserver(Draft& draft, const proto::DeleteMetaserverRequest& request) {
  const uint32_t id = request.metaserver_id();
  // A replica's id has that of its metaserver in its low half (copyset.proto).
  const auto* has = FindIf<proto::Copyset>(draft.state(), [&](const proto::Copyset& c) {
    for (const auto& peer : c.peer()) {
      if (static_cast<uint32_t>(peer.replica_id()) == id) return true;
    }
    return false;
  });
  if (has != nullptr)
    return {Code::kBusy, "the metaserver has replicas, of copyset " + std::to_string(has->copyset_id())};
  return Delete<proto::Metaserver>(draft, MetaserverKey(id), "metaserver");
}

Status ListTopology(const State& state, proto::ListTopologyResponse* response) {
  for (const auto& [key, row] : state.All<proto::Pool>()) *response->add_pool() = row;
  for (const auto& [key, row] : state.All<proto::Zone>()) *response->add_zone() = row;
  for (const auto& [key, row] : state.All<proto::Server>()) *response->add_server() = row;
  for (const auto& [key, row] : state.All<proto::Metaserver>()) {
    *response->add_metaserver() = row;
    response->mutable_metaserver()->rbegin()->clear_token();
  }
  return {};
}

}  // namespace curvefs::mds
