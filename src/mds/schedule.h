// Schedule: which replicas of copysets should be elsewhere, and which leaders. Pure: what heartbeats say and
// the time go in, operators come out; no I/O, no clock of its own. One thread.
//
//   Schedule schedule(options);
//   for (const Notice& event : schedule.Tick(view, now, generations)) Log(event.text);
//   for (const auto& [copyset, op] : schedule.operators()) … NextStep(op, view) …
//
// An operator changes one copyset, one step after another. Which step is next follows from what heartbeats
// say alone, so a step may be done twice, and an operator that is forgotten half-way (another MDS leads) is
// found again as what it is: too many replicas, or a learner that nobody waits for.
//
// Schedulers, in the order of their urgency, each with a limit of its own:
//   recover   a replica on a metaserver that is offline or retired is replaced
//   replica   too few voters, too many, learners left over, two replicas in one zone
//   copyset   replicas from metaservers with many to those with few
//   leader    leadership from metaservers that lead many to those that lead few
// Balance moves only where it brings down the sum of squares of the loads, and stops short of the last step
// (tolerance), so nothing goes back and forth.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace curvefs::mds {

enum class Health { kUnknown, kOnline, kUnstable, kOffline };  // kUnknown: not judged
const char* ToString(Health health);

struct MetaserverView {
  uint32_t id = 0, zone = 0, pool = 0;
  Health health = Health::kUnknown;
  bool settled = false;  // online for long enough to be given something
  bool retired = false;  // is to have no replicas
  bool full = false;     // its disk has no room for more
};

struct Member {
  uint64_t replica = 0;
  bool learner = false;
  bool operator==(const Member&) const = default;
};
constexpr uint32_t MetaserverOfReplica(uint64_t replica) {
  return static_cast<uint32_t>(replica);
}
constexpr uint64_t ReplicaId(uint32_t generation, uint32_t metaserver) {
  return uint64_t{generation} << 32 | metaserver;
}

struct CopysetView {
  uint32_t id = 0, pool = 0;
  std::vector<Member> members;    // by the word of its leader; none: not heard of, it is left alone
  uint32_t leader = 0;            // its metaserver; 0: none is heard of
  std::vector<uint64_t> present;  // replicas that are on their metaservers, members or not
};

struct ClusterView {
  std::unordered_map<uint32_t, MetaserverView> metaservers;
  std::map<uint32_t, CopysetView> copysets;
};

enum class Scheduler { kRecover, kReplica, kCopyset, kLeader };
inline constexpr size_t kSchedulers = 4;
const char* ToString(Scheduler scheduler);

// Adds a replica, removes one, or both, in this order; or moves the leadership.
struct Operator {
  uint32_t copyset = 0;
  Scheduler by = Scheduler::kRecover;
  uint64_t add = 0, remove = 0;  // replicas; 0: none
  uint32_t lead = 0;             // metaserver; 0: as it comes
  uint32_t source = 0;           // the metaserver that led when it began: it sends the state
  std::string reason;
  SteadyTime begun{}, deadline{};
};

enum class Step { kCreate, kAddLearner, kPromote, kTransfer, kRemove, kDone };
const char* ToString(Step step);
struct NextStep {
  Step step = Step::kDone;
  uint32_t at = 0;       // the metaserver that is to do it; 0: nobody can for now
  uint64_t replica = 0;  // that it is about
};
// `copyset`: the operator's.
NextStep NextStepOf(const Operator& op, const CopysetView& copyset, const ClusterView& view);

struct ScheduleOptions {
  size_t replicas = 3;
  // Operators under way.
  size_t most[kSchedulers] = {64, 64, 32, 64};
  size_t most_per_metaserver = 4;                      // that it receives, and as many that it sends
  Duration operator_limit = std::chrono::minutes(15);  // then it is given up
  Duration retry_after = std::chrono::minutes(1);      // a copyset whose operator was given up is left alone
  Duration rest = std::chrono::hours(2);  // of a copyset that was moved for balance, until it may be again
  size_t tolerance = 2;                   // replicas, leaders; at least 2
  double relative_tolerance = 0.05;       // of what a metaserver has on average
  bool canary_no_tolerance = false, canary_unbounded = false;  // for tests that show that they would notice
};

// What has happened, for the log.
struct Notice {
  std::string text;
  bool warning = false;
};

class Schedule {
 public:
  explicit Schedule(ScheduleOptions options) : options_(options) {}

  // Ends what is done, has no purpose any more or takes too long, and begins what is needed. `generation`:
  // the upper half of a new replica's id, never given out before for any; 0: none is to be had for now.
  std::vector<Notice> Tick(const ClusterView& view, SteadyTime now,
                          const std::function<uint32_t()>& generation);

  const std::map<uint32_t, Operator>& operators() const { return operators_; }  // by copyset
  uint64_t done(Scheduler by) const { return done_[static_cast<size_t>(by)]; }
  uint64_t given_up(Scheduler by) const { return given_up_[static_cast<size_t>(by)]; }

 private:
  friend class Round;
  void EndThose(const ClusterView& view, SteadyTime now, std::vector<Notice>* events);

  const ScheduleOptions options_;
  std::map<uint32_t, Operator> operators_;
  std::map<uint32_t, SteadyTime> left_alone_;  // copysets, until then
  std::map<uint32_t, SteadyTime> rest_;        // from balance alone
  uint64_t done_[kSchedulers] = {}, given_up_[kSchedulers] = {};
};

}  // namespace curvefs::mds
