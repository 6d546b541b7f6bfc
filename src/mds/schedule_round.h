// One round of the schedulers (schedule.h): the loads as they will be when what is under way is done, and
// what begins now. Made for a tick and thrown away.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mds/schedule.h"

namespace curvefs::mds {

class Round {
 public:
  Round(Schedule& schedule, const ClusterView& view, SteadyTime now,
        const std::function<uint32_t()>& generation);
  void Recover();
  void Replicas();
  void BalanceCopysets();
  void BalanceLeaders();

  bool recovers() const { return under_way_[static_cast<size_t>(Scheduler::kRecover)] > 0; }
  std::vector<Operator>& begun() { return begun_; }

 private:
  struct Load {
    const MetaserverView* view = nullptr;
    size_t replicas = 0, leaders = 0;
    size_t receives = 0, sends = 0;  // operators under way
    std::vector<const CopysetView*> holds;
  };
  // Metaservers that may get a replica, by zone; those with the fewest first.
  using Targets = std::map<uint32_t, std::set<std::pair<size_t, uint32_t>>>;

  bool MayBegin(Scheduler by) const;
  bool MayTouch(
      const CopysetView& copyset) const;  // there is a leader, no operator, and it is not left alone
  bool MaySend(uint32_t metaserver) const;
  bool MayReceive(const Load& load) const;
  // The metaserver for a replica of `copyset` that is there when `without` is not.
  std::optional<uint32_t> TargetFor(const CopysetView& copyset, uint64_t without) const;
  // Whether a learner that is there already may become the voter in the place of `without`.
  bool MayStay(const CopysetView& copyset, const Member& learner, uint64_t without) const;
  uint32_t ZoneOf(const Member& member) const;  // 0: not known
  const Member* OneOfTwoInAZone(const CopysetView& copyset) const;
  // False: no number is left for a replica.
  bool Begin(Scheduler by, const CopysetView& copyset, uint32_t target, uint64_t remove, uint32_t lead,
             std::string reason);
  void BeginAdding(Operator op, const CopysetView& copyset);
  void Enlist(const Load& load), Delist(const Load& load);
  void Reload(uint32_t metaserver, int replicas, int receives);
  size_t Tolerance(size_t total, size_t metaservers) const;

  Schedule& schedule_;
  const ScheduleOptions& options_;
  const ClusterView& view_;
  const SteadyTime now_;
  const std::function<uint32_t()>& generation_;
  std::unordered_map<uint32_t, Load> loads_;
  std::map<uint32_t, Targets> targets_;  // by pool
  size_t under_way_[kSchedulers] = {};
  std::vector<Operator> begun_;
};

}  // namespace curvefs::mds
