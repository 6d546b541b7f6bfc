// Dispatcher: heartbeats in, commands out, for one office of an MDS: the fleet and the schedule, a round of
// which comes with every interval of heartbeats. On the loop, thrown away with the office.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/loop.h"
#include "mds/fleet.h"
#include "mds/operations.h"
#include "mds/schedule.h"

namespace curvefs::mds {

struct DispatcherOptions {
  FleetOptions fleet;
  ScheduleOptions schedule;
};

class Dispatcher {
 public:
  using Change = std::function<void(std::function<Status(Draft&, Volatile&)>, std::function<void(Status)>)>;
  // `change`: makes a change of the state durable, as Mds::Change. `state` and `known` outlive it.
  Dispatcher(Loop& loop, const State& state, Volatile& known, uint64_t term, DispatcherOptions options,
             Change change);

  Status Heartbeat(const proto::HeartbeatRequest& request, proto::HeartbeatResponse* response);
  void GetOperators(proto::GetOperatorsResponse* response) const;
  void ListMetaservers(proto::ListMetaserversResponse* response) const;
  const Schedule& schedule() const { return schedule_; }

 private:
  void Round();
  void RecordMembers();
  void Upkeep();
  uint32_t NextGeneration();

  template <typename F>
  auto IfAlive(F f) {
    return [alive = std::weak_ptr<bool>(alive_), f = std::move(f)](auto&&... args) mutable {
      if (!alive.expired()) f(std::forward<decltype(args)>(args)...);
    };
  }

  Loop& loop_;
  const State& state_;
  Volatile& known_;
  const uint64_t term_;
  const Change change_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Fleet fleet_;
  Schedule schedule_;
  ClusterView view_;  // of the last round
  struct Event {
    SteadyTime at{};
    Notice notice;
  };
  std::deque<Event> events_;      // the last ones, for people
  std::set<uint32_t> recording_;  // copysets
  bool reserving_ = false, ending_ = false;
  std::set<uint32_t> extending_;  // file systems
  std::set<std::string> told_;    // failures that the log knows
};

}  // namespace curvefs::mds
