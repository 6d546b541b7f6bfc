// Operators: their steps, and when they end.
#include "mds/schedule.h"

#include <algorithm>

#include "mds/schedule_round.h"

namespace curvefs::mds {
namespace {

const Member* Find(const CopysetView& copyset, uint64_t replica) {
  auto found = std::ranges::find(copyset.members, replica, &Member::replica);
  return found == copyset.members.end() ? nullptr : &*found;
}

bool IsOnline(const ClusterView& view, uint32_t metaserver) {
  auto found = view.metaservers.find(metaserver);
  return found != view.metaservers.end() && found->second.health == Health::kOnline;
}

// It has no purpose any more: nothing is begun, and what it was for has gone away.
bool IsMoot(const Operator& op, const CopysetView& copyset, const ClusterView& view) {
  if (op.by != Scheduler::kRecover || op.remove == 0 || Find(copyset, op.add) != nullptr) return false;
  auto old = view.metaservers.find(MetaserverOfReplica(op.remove));
  return old != view.metaservers.end() && old->second.health == Health::kOnline && !old->second.retired;
}

// The metaserver that it needs will not come back soon.
bool IsHopeless(const Operator& op, const CopysetView& copyset, const ClusterView& view) {
  const Member* added = op.add == 0 ? nullptr : Find(copyset, op.add);
  if (op.add == 0 || (added != nullptr && !added->learner)) return false;
  auto target = view.metaservers.find(MetaserverOfReplica(op.add));
  return target == view.metaservers.end() || target->second.health == Health::kOffline;
}

std::string Describe(const Operator& op) {
  std::string text = "copyset " + std::to_string(op.copyset) + ":";
  if (op.add != 0)
    text += " a replica to metaserver " + std::to_string(MetaserverOfReplica(op.add)) +
            (op.remove != 0 ? "," : "");
  if (op.remove != 0) text += " away from metaserver " + std::to_string(MetaserverOfReplica(op.remove));
  if (op.lead != 0) text += " metaserver " + std::to_string(op.lead) + " to lead";
  return text + " (" + ToString(op.by) + ": " + op.reason + ")";
}

}  // namespace

const char* ToString(Health health) {
  static constexpr const char* kNames[] = {"unknown", "online", "unstable", "offline"};
  return kNames[static_cast<size_t>(health)];
}
const char* ToString(Scheduler scheduler) {
  static constexpr const char* kNames[] = {"recover", "replica", "copyset", "leader"};
  return kNames[static_cast<size_t>(scheduler)];
}
const char* ToString(Step step) {
  static constexpr const char* kNames[] = {"create", "add learner", "promote", "transfer", "remove", "done"};
  return kNames[static_cast<size_t>(step)];
}

NextStep NextStepOf(const Operator& op, const CopysetView& copyset, const ClusterView& view) {
  if (op.add != 0) {
    const Member* member = Find(copyset, op.add);
    if (member == nullptr) {
      if (std::ranges::find(copyset.present, op.add) == copyset.present.end())
        return {Step::kCreate, MetaserverOfReplica(op.add), op.add};
      return {Step::kAddLearner, copyset.leader, op.add};
    }
    if (member->learner) return {Step::kPromote, copyset.leader, op.add};
  }
  if (op.remove != 0 && Find(copyset, op.remove) != nullptr) {
    if (copyset.leader != MetaserverOfReplica(op.remove)) return {Step::kRemove, copyset.leader, op.remove};
    // A leader does not remove itself.
    for (const Member& member : copyset.members) {
      if (!member.learner && member.replica != op.remove &&
          IsOnline(view, MetaserverOfReplica(member.replica)))
        return {Step::kTransfer, copyset.leader, member.replica};
    }
    return {Step::kTransfer, 0, 0};
  }
  if (op.lead != 0 && op.lead != copyset.leader) {
    for (const Member& member : copyset.members) {
      if (!member.learner && MetaserverOfReplica(member.replica) == op.lead)
        return {Step::kTransfer, copyset.leader, member.replica};
    }
  }
  return {};
}

void Schedule::EndThose(const ClusterView& view, SteadyTime now, std::vector<Notice>* events) {
  for (auto* until : {&left_alone_, &rest_})
    std::erase_if(*until, [&](const auto& entry) { return entry.second <= now; });
  for (auto it = operators_.begin(); it != operators_.end();) {
    const Operator& op = it->second;
    auto copyset = view.copysets.find(op.copyset);
    std::string why;
    bool failed = false;
    if (copyset == view.copysets.end()) {
      why = "given up: the copyset is gone";
    } else if (const Step step = NextStepOf(op, copyset->second, view).step; step == Step::kDone) {
      why = "done";
    } else if (IsMoot(op, copyset->second, view)) {
      why = "not needed any more: the metaserver is back";
    } else if (failed = IsHopeless(op, copyset->second, view); failed) {
      why = "given up: the metaserver that was to get it is offline";
    } else if (failed = now >= op.deadline; failed) {
      why = std::string("given up: it took too long, the next step would be '") + ToString(step) + "'";
    }
    if (why.empty()) {
      ++it;
      continue;
    }
    if (op.by == Scheduler::kCopyset) rest_[op.copyset] = now + options_.rest;
    if (failed) left_alone_[op.copyset] = now + options_.retry_after;
    ++(why == "done" ? done_ : given_up_)[static_cast<size_t>(op.by)];
    events->push_back({Describe(op) + ": " + why, failed});
    it = operators_.erase(it);
  }
}

std::vector<Notice> Schedule::Tick(const ClusterView& view, SteadyTime now,
                                   const std::function<uint32_t()>& generation) {
  std::vector<Notice> events;
  EndThose(view, now, &events);
  Round round(*this, view, now, generation);
  round.Recover();
  round.Replicas();
  if (!round.recovers()) round.BalanceCopysets();
  round.BalanceLeaders();
  for (Operator& op : round.begun()) {
    events.push_back({Describe(op) + ": begun", false});
  }
  return events;
}

}  // namespace curvefs::mds
