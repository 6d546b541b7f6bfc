#include "mds/fleet.h"

#include <algorithm>

#include "mds/operations.h"

namespace curvefs::mds {
namespace {

bool SamePeers(const google::protobuf::RepeatedPtrField<proto::CopysetPeer>& a,
               const google::protobuf::RepeatedPtrField<proto::CopysetPeer>& b) {
  auto ids = [](const auto& peers) {
    std::set<std::pair<uint64_t, bool>> set;
    for (const auto& peer : peers) set.emplace(peer.replica_id(), peer.learner());
    return set;
  };
  return ids(a) == ids(b);
}

bool Has(const google::protobuf::RepeatedPtrField<proto::CopysetPeer>& peers, uint64_t replica) {
  return std::ranges::any_of(peers, [&](const auto& peer) { return peer.replica_id() == replica; });
}

std::string Seconds(Duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

Status Fleet::Heard(const State& state, const proto::HeartbeatRequest& heartbeat, SteadyTime now) {
  const auto* row = state.Find<proto::Metaserver>(MetaserverKey(heartbeat.metaserver_id()));
  const auto* cluster = state.Find<proto::ClusterInfo>(kClusterKey);
  if (cluster == nullptr || cluster->uuid() != heartbeat.cluster_uuid())
    return {Code::kNotPermitted, "the metaserver is part of another cluster"};
  if (row == nullptr)
    return {Code::kNotFound,
            "metaserver " + std::to_string(heartbeat.metaserver_id()) + " is not registered"};
  if (row->token().empty() || row->token() != heartbeat.token())
    return {Code::kNotPermitted,
            "that is not the token of metaserver " + std::to_string(row->metaserver_id())};
  Heartbeats& heard = heard_[row->metaserver_id()];
  // In the first moments of an office all are back at once, from where nobody knows: they have been there.
  const SteadyTime before = heard.last == SteadyTime{} ? begun_ : heard.last;
  if (now - before >= options_.unstable_after) {
    heard.back = now;
  } else if (heard.last == SteadyTime{}) {
    heard.back = Judges(now) ? now : begun_ - options_.settle_after;
  }
  heard.last = now;
  heard.said = heartbeat;
  for (const auto& replica : heartbeat.copyset()) {
    const auto id = static_cast<uint32_t>(replica.copyset_id());
    uint64_t& term = terms_[id];
    term = std::max(term, replica.term());
    if (!replica.leads() || replica.failure() != proto::OK) continue;
    Leader& leader = leaders_[id];
    // An older one that does not know yet, or an answer that was overtaken.
    if (std::pair{replica.term(), replica.applied()} < std::pair{leader.term, leader.applied}) continue;
    leader = {row->metaserver_id(), replica.term(), replica.applied(), now, replica.peer()};
  }
  return {};
}

Duration Fleet::Silence(uint32_t metaserver, SteadyTime now) const {
  auto heard = heard_.find(metaserver);
  return now - (heard == heard_.end() ? begun_ : heard->second.last);
}

Health Fleet::HealthOf(const proto::Metaserver& metaserver, SteadyTime now) const {
  if (metaserver.token().empty()) return Health::kUnknown;
  const Duration silence = Silence(metaserver.metaserver_id(), now);
  if (silence >= options_.offline_after) return Health::kOffline;
  if (silence >= options_.unstable_after) return Health::kUnstable;
  return heard_.contains(metaserver.metaserver_id()) ? Health::kOnline : Health::kUnknown;
}

std::vector<std::pair<uint32_t, google::protobuf::RepeatedPtrField<proto::CopysetPeer>>>
Fleet::MembersToRecord(const State& state) const {
  std::vector<std::pair<uint32_t, google::protobuf::RepeatedPtrField<proto::CopysetPeer>>> changed;
  for (const auto& [id, leader] : leaders_) {
    const auto* copyset = state.Find<proto::Copyset>(CopysetKey(id));
    if (copyset == nullptr || copyset->state() != proto::COPYSET_READY || leader.members.empty() ||
        SamePeers(copyset->peer(), leader.members))
      continue;
    changed.emplace_back(id, leader.members);
  }
  return changed;
}

ClusterView Fleet::View(const State& state, SteadyTime now) const {
  ClusterView view;
  for (const auto& [key, row] : state.All<proto::Metaserver>()) {
    MetaserverView one{.id = row.metaserver_id(), .health = HealthOf(row, now), .retired = row.retired()};
    const auto* server = state.Find<proto::Server>(ServerKey(row.server_id()));
    const auto* zone = server == nullptr ? nullptr : state.Find<proto::Zone>(ZoneKey(server->zone_id()));
    if (zone != nullptr) {
      one.zone = zone->zone_id();
      one.pool = zone->pool_id();
    }
    if (auto heard = heard_.find(one.id); heard != heard_.end()) {
      one.settled = one.health == Health::kOnline && now - heard->second.back >= options_.settle_after;
      const auto& said = heard->second.said;
      one.full = static_cast<double>(said.disk_free_bytes()) <
                 static_cast<double>(said.disk_bytes()) * (1 - options_.full_at);
    }
    view.metaservers[one.id] = one;
  }
  for (const auto& [key, row] : state.All<proto::Copyset>()) {
    const auto* fs = state.Find<proto::FsInfo>(FsKey(row.fs_id()));
    if (row.state() != proto::COPYSET_READY || fs == nullptr || fs->state() == proto::FS_DELETING) continue;
    CopysetView& copyset = view.copysets[row.copyset_id()];
    copyset.id = row.copyset_id();
    copyset.pool = row.pool_id();
    auto leader = leaders_.find(copyset.id);
    if (leader == leaders_.end()) continue;
    for (const auto& peer : leader->second.members)
      copyset.members.push_back({peer.replica_id(), peer.learner()});
    auto there = view.metaservers.find(leader->second.metaserver);
    if (now - leader->second.at < options_.unstable_after && there != view.metaservers.end() &&
        there->second.health == Health::kOnline)
      copyset.leader = leader->second.metaserver;
  }
  for (const auto& [id, heard] : heard_) {
    for (const auto& replica : heard.said.copyset()) {
      auto copyset = view.copysets.find(static_cast<uint32_t>(replica.copyset_id()));
      if (copyset != view.copysets.end()) copyset->second.present.push_back(replica.replica_id());
    }
  }
  return view;
}

std::vector<Notice> Fleet::HealthChanges(const ClusterView& view, SteadyTime now) {
  std::vector<Notice> events;
  for (const auto& [id, metaserver] : view.metaservers) {
    Health& told = told_[id];
    if (told == metaserver.health) continue;
    const bool bad = metaserver.health == Health::kUnstable || metaserver.health == Health::kOffline;
    std::string text = "metaserver " + std::to_string(id) + " is " + ToString(metaserver.health);
    if (bad) text += ": not heard of for " + Seconds(Silence(id, now));
    if (metaserver.health == Health::kOffline) text += "; its replicas are replaced";
    told = metaserver.health;
    events.push_back({std::move(text), bad});
  }
  return events;
}

std::set<uint32_t> Fleet::Unreachable(const ClusterView& view) {
  std::set<uint32_t> ids;
  for (const auto& [id, metaserver] : view.metaservers) {
    if (metaserver.health == Health::kUnstable || metaserver.health == Health::kOffline || metaserver.full)
      ids.insert(id);
  }
  return ids;
}

// Replicas' ids are never given out again, so one that a leader has no more among its members never will be.
// But the leader must be the one of the highest term that anybody has heard of, and have spoken after.
bool Fleet::IsOrphan(const State& state, const Schedule& schedule, const proto::CopysetStatus& replica,
                     SteadyTime said) const {
  const auto id = static_cast<uint32_t>(replica.copyset_id());
  const auto* copyset = state.Find<proto::Copyset>(CopysetKey(id));
  // Its file system is deleted. Of one that has left no mark this state knows nothing, having been restored
  // from an old copy perhaps: it stays.
  if (copyset == nullptr) return state.Find<proto::Counter>(CounterKey(GoneCopyset(id))) != nullptr;
  if (copyset->state() != proto::COPYSET_READY || Has(copyset->peer(), replica.replica_id())) return false;
  auto op = schedule.operators().find(id);
  if (op != schedule.operators().end() && op->second.add == replica.replica_id()) return false;
  auto leader = leaders_.find(id);
  return leader != leaders_.end() && leader->second.term >= terms_.at(id) && leader->second.at >= said &&
         !Has(leader->second.members, replica.replica_id());
}

void Fleet::Answer(const State& state, const ClusterView& view, const Schedule& schedule, uint32_t metaserver,
                   uint64_t term, bool judges, proto::HeartbeatResponse* response) const {
  response->set_interval_ms(static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.interval).count()));
  FillAccess(state, response->mutable_access());
  auto head = [&](proto::CopysetRequestHeader* header, uint64_t copyset) {
    header->set_copyset_id(copyset);
    header->set_office_term(term);
  };
  auto peer_of = [&](uint64_t replica, proto::CopysetPeer* peer) {
    peer->set_replica_id(replica);
    const auto* row = state.Find<proto::Metaserver>(MetaserverKey(MetaserverOfReplica(replica)));
    if (row != nullptr) peer->set_address(row->address());
  };
  std::set<uint32_t> neighbours;
  auto neighbour = [&](uint64_t replica) {
    const uint32_t id = MetaserverOfReplica(replica);
    if (id != metaserver && neighbours.insert(id).second) peer_of(id, response->add_peer());
  };
  auto heard = heard_.find(metaserver);
  if (heard == heard_.end()) return;
  for (const auto& replica : heard->second.said.copyset()) {
    const auto* copyset = state.Find<proto::Copyset>(CopysetKey(static_cast<uint32_t>(replica.copyset_id())));
    if (copyset != nullptr) {
      for (const auto& peer : copyset->peer()) neighbour(peer.replica_id());
    }
    for (const auto& peer : replica.peer()) neighbour(peer.replica_id());
    if (!judges || !IsOrphan(state, schedule, replica, heard->second.last - options_.interval)) continue;
    auto* destroy = response->add_command()->mutable_destroy();
    head(destroy->mutable_header(), replica.copyset_id());
    destroy->set_force(true);
  }
  for (const auto& [id, op] : schedule.operators()) {
    auto copyset = view.copysets.find(id);
    const auto* row = state.Find<proto::Copyset>(CopysetKey(id));
    if (copyset == view.copysets.end() || row == nullptr) continue;
    const NextStep next = NextStepOf(op, copyset->second, view);
    if (next.at != metaserver || next.step == Step::kDone) continue;
    if (op.add != 0) neighbour(op.add);
    auto* command = response->add_command();
    if (next.step == Step::kCreate) {
      auto* create = command->mutable_create();
      head(create->mutable_header(), id);
      create->set_replica_id(next.replica);
      create->set_fs_id(row->fs_id());
      create->set_hash_seed(row->hash_seed());
      for (const auto& peer : row->peer()) neighbour(peer.replica_id());
    } else if (next.step == Step::kTransfer) {
      auto* transfer = command->mutable_transfer();
      head(transfer->mutable_header(), id);
      transfer->set_replica_id(next.replica);
    } else {
      auto* change = command->mutable_change();
      head(change->mutable_header(), id);
      change->set_change(next.step == Step::kAddLearner ? proto::ADD_LEARNER
                         : next.step == Step::kPromote  ? proto::PROMOTE
                                                        : proto::REMOVE);
      peer_of(next.replica, change->mutable_peer());
    }
  }
}

void Fleet::List(const State& state, SteadyTime now, proto::ListMetaserversResponse* response) const {
  std::map<uint32_t, uint32_t> replicas, leaders;
  for (const auto& [key, row] : state.All<proto::Copyset>()) {
    for (const auto& peer : row.peer()) ++replicas[MetaserverOfReplica(peer.replica_id())];
  }
  for (const auto& [id, leader] : leaders_) ++leaders[leader.metaserver];
  for (const auto& [key, row] : state.All<proto::Metaserver>()) {
    auto* out = response->add_metaserver();
    *out->mutable_metaserver() = row;
    out->mutable_metaserver()->clear_token();
    const uint32_t id = row.metaserver_id();
    const auto* server = state.Find<proto::Server>(ServerKey(row.server_id()));
    const auto* zone = server == nullptr ? nullptr : state.Find<proto::Zone>(ZoneKey(server->zone_id()));
    if (zone != nullptr) out->set_zone(zone->name());
    out->set_health(static_cast<proto::MetaserverHealth>(HealthOf(row, now)));
    out->set_replicas(replicas[id]);
    out->set_leaders(leaders[id]);
    if (row.token().empty()) continue;
    out->set_silent_ms(static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(Silence(id, now)).count()));
    if (auto heard = heard_.find(id); heard != heard_.end()) {
      out->set_version(heard->second.said.version());
      out->set_disk_bytes(heard->second.said.disk_bytes());
      out->set_disk_free_bytes(heard->second.said.disk_free_bytes());
      out->set_sessions(heard->second.said.sessions());
    }
  }
}

}  // namespace curvefs::mds
