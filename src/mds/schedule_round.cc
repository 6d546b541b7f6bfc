// The four schedulers.
#include "mds/schedule_round.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace curvefs::mds {
namespace {

std::string Name(uint32_t metaserver) {
  return "metaserver " + std::to_string(metaserver);
}

}  // namespace

Round::Round(Schedule& schedule, const ClusterView& view, SteadyTime now,
             const std::function<uint32_t()>& generation)
    : schedule_(schedule), options_(schedule.options_), view_(view), now_(now), generation_(generation) {
  for (const auto& [id, metaserver] : view.metaservers) loads_[id].view = &metaserver;
  for (const auto& [id, copyset] : view.copysets) {
    for (const Member& member : copyset.members) {
      Load& load = loads_[MetaserverOfReplica(member.replica)];
      ++load.replicas;
      load.holds.push_back(&copyset);
    }
    if (copyset.leader != 0) ++loads_[copyset.leader].leaders;
  }
  for (const auto& [id, op] : schedule.operators_) {
    ++under_way_[static_cast<size_t>(op.by)];
    const CopysetView& copyset = view.copysets.at(id);
    auto is_member = [&](uint64_t replica) {
      return std::ranges::find(copyset.members, replica, &Member::replica) != copyset.members.end();
    };
    if (op.add != 0) {
      Load& load = loads_[MetaserverOfReplica(op.add)];
      ++load.receives;
      ++loads_[op.source].sends;
      if (!is_member(op.add)) ++load.replicas;
    }
    if (op.remove != 0 && is_member(op.remove)) --loads_[MetaserverOfReplica(op.remove)].replicas;
    if (op.lead != 0 && copyset.leader != op.lead) {
      ++loads_[op.lead].leaders;
      if (copyset.leader != 0) --loads_[copyset.leader].leaders;
    }
  }
  for (const auto& [id, load] : loads_) Enlist(load);
}

void Round::Enlist(const Load& load) {
  if (MayReceive(load)) targets_[load.view->pool][load.view->zone].emplace(load.replicas, load.view->id);
}
void Round::Delist(const Load& load) {
  if (MayReceive(load)) targets_[load.view->pool][load.view->zone].erase({load.replicas, load.view->id});
}
void Round::Reload(uint32_t metaserver, int replicas, int receives) {
  Load& load = loads_[metaserver];
  Delist(load);
  load.replicas += static_cast<size_t>(replicas);
  load.receives += static_cast<size_t>(receives);
  Enlist(load);
}

bool Round::MayReceive(const Load& load) const {
  return load.view != nullptr && load.view->health == Health::kOnline && load.view->settled &&
         !load.view->retired && !load.view->full &&
         (options_.canary_unbounded || load.receives < options_.most_per_metaserver);
}
bool Round::MaySend(uint32_t metaserver) const {
  auto found = loads_.find(metaserver);
  return found != loads_.end() && found->second.view != nullptr &&
         found->second.view->health == Health::kOnline &&
         (options_.canary_unbounded || found->second.sends < options_.most_per_metaserver);
}
bool Round::MayBegin(Scheduler by) const {
  return options_.canary_unbounded ||
         under_way_[static_cast<size_t>(by)] < options_.most[static_cast<size_t>(by)];
}
bool Round::MayTouch(const CopysetView& copyset) const {
  return copyset.leader != 0 && !copyset.members.empty() && !schedule_.operators_.contains(copyset.id) &&
         !schedule_.left_alone_.contains(copyset.id);
}

std::optional<uint32_t> Round::TargetFor(const CopysetView& copyset, uint64_t without) const {
  auto pool = targets_.find(copyset.pool);
  if (pool == targets_.end()) return std::nullopt;
  std::set<uint32_t> zones;
  for (const Member& member : copyset.members) {
    auto there = view_.metaservers.find(MetaserverOfReplica(member.replica));
    if (member.replica != without && there != view_.metaservers.end()) zones.insert(there->second.zone);
  }
  std::optional<std::pair<size_t, uint32_t>> best;
  for (const auto& [zone, metaservers] : pool->second) {
    if (zones.contains(zone)) continue;
    for (const auto& candidate : metaservers) {
      if (best && candidate >= *best) break;
      // It may have one of it that is on its way out.
      if (without != 0 && candidate.second == MetaserverOfReplica(without)) continue;
      best = candidate;
      break;
    }
  }
  return best ? std::optional(best->second) : std::nullopt;
}

bool Round::Begin(Scheduler by, const CopysetView& copyset, uint32_t target, uint64_t remove, uint32_t lead,
                  std::string reason) {
  Operator op{.copyset = copyset.id,
              .by = by,
              .remove = remove,
              .lead = lead,
              .source = copyset.leader,
              .reason = std::move(reason),
              .begun = now_,
              .deadline = now_ + options_.operator_limit};
  if (target != 0) {
    const uint32_t generation = generation_();
    if (generation == 0) return false;
    op.add = ReplicaId(generation, target);
  }
  BeginAdding(std::move(op), copyset);
  return true;
}

void Round::BeginAdding(Operator op, const CopysetView& copyset) {
  if (op.add != 0) {
    const bool there = std::ranges::find(copyset.members, op.add, &Member::replica) != copyset.members.end();
    Reload(MetaserverOfReplica(op.add), there ? 0 : 1, 1);
    ++loads_[op.source].sends;
  }
  if (op.remove != 0) Reload(MetaserverOfReplica(op.remove), -1, 0);
  if (op.lead != 0) {
    ++loads_[op.lead].leaders;
    --loads_[copyset.leader].leaders;
  }
  ++under_way_[static_cast<size_t>(op.by)];
  begun_.push_back(op);
  schedule_.operators_.emplace(copyset.id, std::move(op));
}

void Round::Recover() {
  // Those that have lost most come first.
  std::vector<std::pair<size_t, std::pair<const CopysetView*, const Member*>>> lost;
  for (const auto& [id, copyset] : view_.copysets) {
    size_t count = 0;
    const Member* which = nullptr;
    bool offline = false;
    for (const Member& member : copyset.members) {
      auto there = view_.metaservers.find(MetaserverOfReplica(member.replica));
      const bool gone = there == view_.metaservers.end() || there->second.health == Health::kOffline;
      if (member.learner || (!gone && !there->second.retired)) continue;
      ++count;
      if (which == nullptr || (gone && !offline)) which = &member;
      offline |= gone;
    }
    if (which != nullptr && MayTouch(copyset)) lost.push_back({2 * count + offline, {&copyset, which}});
  }
  std::ranges::stable_sort(lost, std::greater(), [](const auto& entry) { return entry.first; });
  for (const auto& [rank, what] : lost) {
    if (!MayBegin(Scheduler::kRecover)) return;
    const auto& [copyset, member] = what;
    // With more than enough the replica scheduler takes it away.
    const auto voters = std::ranges::count(copyset->members, false, &Member::learner);
    if (static_cast<size_t>(voters) > options_.replicas || !MaySend(copyset->leader)) continue;
    const uint32_t old = MetaserverOfReplica(member->replica);
    auto there = view_.metaservers.find(old);
    const char* why = there == view_.metaservers.end()           ? " is not known"
                      : there->second.health == Health::kOffline ? " is offline"
                                                                 : " is retired";
    // A learner that an MDS before this one has sent there takes the place, if it may; else the replica
    // scheduler removes it first.
    const auto learner = std::ranges::find(copyset->members, true, &Member::learner);
    if (learner != copyset->members.end()) {
      if (MayStay(*copyset, *learner, member->replica)) {
        BeginAdding({.copyset = copyset->id,
                     .by = Scheduler::kRecover,
                     .add = learner->replica,
                     .remove = member->replica,
                     .source = copyset->leader,
                     .reason = Name(old) + why + ", and a learner is there",
                     .begun = now_,
                     .deadline = now_ + options_.operator_limit},
                    *copyset);
      }
      continue;
    }
    const auto target = TargetFor(*copyset, member->replica);
    if (target && !Begin(Scheduler::kRecover, *copyset, *target, member->replica, 0, Name(old) + why)) return;
  }
}

bool Round::MayStay(const CopysetView& copyset, const Member& learner, uint64_t without) const {
  auto load = loads_.find(MetaserverOfReplica(learner.replica));
  if (load == loads_.end() || load->second.view == nullptr || load->second.view->retired ||
      load->second.view->health != Health::kOnline || load->second.receives >= options_.most_per_metaserver)
    return false;
  return std::ranges::none_of(copyset.members, [&](const Member& other) {
    auto there = loads_.find(MetaserverOfReplica(other.replica));
    return other.replica != learner.replica && other.replica != without && there != loads_.end() &&
           there->second.view != nullptr && there->second.view->zone == load->second.view->zone;
  });
}

uint32_t Round::ZoneOf(const Member& member) const {
  auto there = view_.metaservers.find(MetaserverOfReplica(member.replica));
  return there == view_.metaservers.end() ? 0 : there->second.zone;
}

const Member* Round::OneOfTwoInAZone(const CopysetView& copyset) const {
  // A handful, so in pairs.
  std::array<uint32_t, 8> zones{};
  const size_t n = std::min(copyset.members.size(), zones.size());
  for (size_t i = 0; i < n; ++i) {
    zones[i] = ZoneOf(copyset.members[i]);
    if (zones[i] != 0 && std::find(zones.begin(), zones.begin() + i, zones[i]) != zones.begin() + i)
      return &copyset.members[i];
  }
  return nullptr;
}

void Round::Replicas() {
  for (const auto& [id, copyset] : view_.copysets) {
    if (!MayBegin(Scheduler::kReplica)) return;
    if (!MayTouch(copyset)) continue;
    const auto voters = static_cast<size_t>(std::ranges::count(copyset.members, false, &Member::learner));
    auto health = [&](const Member& member) {
      auto there = view_.metaservers.find(MetaserverOfReplica(member.replica));
      return there == view_.metaservers.end() ? Health::kOffline : there->second.health;
    };
    auto learner = std::ranges::find(copyset.members, true, &Member::learner);
    if (learner != copyset.members.end()) {
      // Nobody waits for it: that MDS has gone, or it took too long. What has come so far is used if it is
      // needed.
      if (voters < options_.replicas && MayStay(copyset, *learner, 0) && MaySend(copyset.leader)) {
        BeginAdding({.copyset = id,
                     .by = Scheduler::kReplica,
                     .add = learner->replica,
                     .source = copyset.leader,
                     .reason = "a learner was left over, and there are " + std::to_string(voters) + " voters",
                     .begun = now_,
                     .deadline = now_ + options_.operator_limit},
                    copyset);
      } else {
        Begin(Scheduler::kReplica, copyset, 0, learner->replica, 0, "a learner was left over");
      }
      continue;
    }
    if (voters > options_.replicas) {
      // Away with one that is gone, or shares a zone, or is where the most are; not with who leads, if it can
      // be.
      const Member* doubled = OneOfTwoInAZone(copyset);
      const uint32_t crowded = doubled == nullptr ? 0 : ZoneOf(*doubled);
      const Member& worst = *std::ranges::max_element(copyset.members, {}, [&](const Member& member) {
        const uint32_t at = MetaserverOfReplica(member.replica);
        auto there = view_.metaservers.find(at);
        return std::tuple{
            health(member) == Health::kOffline, there != view_.metaservers.end() && there->second.retired,
            crowded != 0 && ZoneOf(member) == crowded, loads_[at].replicas, at != copyset.leader};
      });
      Begin(Scheduler::kReplica, copyset, 0, worst.replica, 0,
            "there are " + std::to_string(voters) + " voters");
    } else if (voters < options_.replicas) {
      const auto target = MaySend(copyset.leader) ? TargetFor(copyset, 0) : std::nullopt;
      if (target && !Begin(Scheduler::kReplica, copyset, *target, 0, 0,
                           "there are only " + std::to_string(voters) + " voters"))
        return;
    } else {
      const Member* doubled = OneOfTwoInAZone(copyset);
      if (doubled == nullptr || !MaySend(copyset.leader)) continue;
      const auto target = TargetFor(copyset, doubled->replica);
      if (target &&
          !Begin(Scheduler::kReplica, copyset, *target, doubled->replica, 0, "two replicas are in one zone"))
        return;
    }
  }
}

size_t Round::Tolerance(size_t total, size_t metaservers) const {
  if (options_.canary_no_tolerance) return 0;
  const auto relative = static_cast<size_t>(options_.relative_tolerance * static_cast<double>(total) /
                                            static_cast<double>(std::max<size_t>(metaservers, 1)));
  return std::max({options_.tolerance, relative, size_t{2}});
}

void Round::BalanceCopysets() {
  std::map<uint32_t, std::vector<uint32_t>> pools;
  std::map<uint32_t, size_t> totals;
  for (const auto& [id, load] : loads_) {
    if (load.view == nullptr || load.view->health != Health::kOnline) continue;
    pools[load.view->pool].push_back(id);
    totals[load.view->pool] += load.replicas;
  }
  for (auto& [pool, metaservers] : pools) {
    const size_t tolerance = Tolerance(totals[pool], metaservers.size());
    std::ranges::sort(metaservers, std::greater(),
                      [&](uint32_t id) { return std::pair{loads_[id].replicas, id}; });
    size_t least = SIZE_MAX;
    for (const auto& [zone, candidates] : targets_[pool]) {
      if (!candidates.empty()) least = std::min(least, candidates.begin()->first);
    }
    for (uint32_t source : metaservers) {
      if (least == SIZE_MAX || loads_[source].replicas <= least + tolerance) break;
      // To where the fewest are; elsewhere only if the zones of all its copysets rule that out, for what goes
      // elsewhere goes on from there.
      bool near = false;
      for (const bool anywhere : {false, true}) {
        if (anywhere && near) break;
        for (const CopysetView* copyset : loads_[source].holds) {
          if (!MayBegin(Scheduler::kCopyset)) return;
          if (loads_[source].replicas <= least + tolerance) break;
          if (!MayTouch(*copyset) || schedule_.rest_.contains(copyset->id) ||
              copyset->members.size() != options_.replicas)
            continue;
          auto from = std::ranges::find_if(copyset->members, [&](const Member& member) {
            return MetaserverOfReplica(member.replica) == source;
          });
          const auto target = TargetFor(*copyset, from->replica);
          if (!target) continue;
          const size_t there = loads_[*target].replicas;
          near |= there <= least + 1;
          if ((!anywhere && there > least + 1) || loads_[source].replicas <= there + tolerance ||
              !MaySend(copyset->leader))
            continue;
          if (!Begin(Scheduler::kCopyset, *copyset, *target, from->replica, 0,
                     Name(source) + " has " + std::to_string(loads_[source].replicas) + " replicas, " +
                         Name(*target) + " " + std::to_string(there)))
            return;
        }
      }
    }
  }
}

void Round::BalanceLeaders() {
  size_t total = 0;
  size_t least = SIZE_MAX;
  std::vector<uint32_t> metaservers;
  for (const auto& [id, load] : loads_) {
    if (load.view == nullptr || load.view->health != Health::kOnline) continue;
    metaservers.push_back(id);
    total += load.leaders;
    if (load.view->settled && load.replicas > 0) least = std::min(least, load.leaders);
  }
  const size_t tolerance = Tolerance(total, metaservers.size());
  std::ranges::sort(metaservers, std::greater(),
                    [&](uint32_t id) { return std::pair{loads_[id].leaders, id}; });
  for (uint32_t source : metaservers) {
    if (least == SIZE_MAX || loads_[source].leaders <= least + tolerance) return;
    for (const CopysetView* copyset : loads_[source].holds) {
      if (!MayBegin(Scheduler::kLeader)) return;
      if (copyset->leader != source || !MayTouch(*copyset)) continue;
      uint32_t target = 0;
      for (const Member& member : copyset->members) {
        const uint32_t id = MetaserverOfReplica(member.replica);
        const Load& load = loads_[id];
        if (member.learner || id == source || load.view == nullptr || !load.view->settled ||
            load.view->health != Health::kOnline)
          continue;
        if (target == 0 || load.leaders < loads_[target].leaders) target = id;
      }
      if (target == 0 || loads_[source].leaders <= loads_[target].leaders + tolerance) continue;
      Begin(Scheduler::kLeader, *copyset, 0, 0, target,
            Name(source) + " leads " + std::to_string(loads_[source].leaders) + ", " + Name(target) + " " +
                std::to_string(loads_[target].leaders));
    }
  }
}

}  // namespace curvefs::mds
