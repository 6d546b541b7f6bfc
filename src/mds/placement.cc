#include "mds/placement.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace curvefs::mds {
namespace {

// A number for each choice that looks random, and is the same for the same.
uint64_t Mix(uint64_t seed, uint64_t id) {
  uint64_t x = seed ^ (id * 0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

struct ZoneLoad {
  uint32_t id = 0;
  std::vector<uint32_t> metaservers;
  size_t replicas = 0;
};

}  // namespace

Result<Place> ChoosePlace(const State& state, size_t replicas, const std::set<uint32_t>& unreachable,
                          uint64_t random) {
  std::map<uint32_t, size_t> load;  // replicas by metaserver
  for (const auto& [key, copyset] : state.All<proto::Copyset>()) {
    for (const auto& peer : copyset.peer()) ++load[static_cast<uint32_t>(peer.replica_id())];
  }
  std::map<uint32_t, std::map<uint32_t, ZoneLoad>> pools;
  for (const auto& [key, metaserver] : state.All<proto::Metaserver>()) {
    const uint32_t id = metaserver.metaserver_id();
    if (metaserver.retired() || (metaserver.address().empty() && !metaserver.token().empty()) ||
        unreachable.contains(id))
      continue;
    const auto* server = state.Find<proto::Server>(ServerKey(metaserver.server_id()));
    const auto* zone = server == nullptr ? nullptr : state.Find<proto::Zone>(ZoneKey(server->zone_id()));
    if (zone == nullptr) continue;
    ZoneLoad& z = pools[zone->pool_id()][zone->zone_id()];
    z.id = zone->zone_id();
    z.metaservers.push_back(id);
    z.replicas += load[id];
  }

  // Replicas for each metaserver, as thousandths.
  auto density = [](size_t n, size_t servers) { return n * 1000 / servers; };
  std::tuple<size_t, uint64_t> best{};
  const std::map<uint32_t, ZoneLoad>* zones_of_best = nullptr;
  Place place;
  for (const auto& [pool, zones] : pools) {
    if (zones.size() < replicas) continue;
    size_t n = 0, servers = 0;
    for (const auto& [id, zone] : zones) {
      n += zone.replicas;
      servers += zone.metaservers.size();
    }
    const std::tuple<size_t, uint64_t> rank{density(n, servers), Mix(random, pool)};
    if (zones_of_best != nullptr && rank >= best) continue;
    best = rank;
    zones_of_best = &zones;
    place.pool = pool;
  }
  if (zones_of_best == nullptr) {
    return Fail(Code::kUnavailable, "no pool has metaservers in " + std::to_string(replicas) +
                                        " zones that can be reached; a copyset's replicas lie in as many");
  }
  std::vector<ZoneLoad> zones;
  for (const auto& [id, zone] : *zones_of_best) zones.push_back(zone);
  std::ranges::sort(zones, {}, [&](const ZoneLoad& z) {
    return std::tuple{density(z.replicas, z.metaservers.size()), Mix(random, z.id)};
  });
  zones.resize(replicas);
  for (const ZoneLoad& zone : zones) {
    place.metaservers.push_back(*std::ranges::min_element(
        zone.metaservers, {}, [&](uint32_t id) { return std::tuple{load[id], Mix(random, id)}; }));
  }
  return place;
}

}  // namespace curvefs::mds
