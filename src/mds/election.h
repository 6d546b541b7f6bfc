// Election: the rules of election_rules.h on a Coordinator and a loop, and who leads for whoever asks.
//
//   Election election(loop, coordinator, options, {.lead = [](Revision term) {…}, .stop = [](const
//   std::string& why) {…}}); election.Start(); … coordinator.Commit({.conditions = {election.Fence()}, …});
//   // changes something only while this office lasts
//
// On the loop, like its callbacks. The coordinator outlives it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.h"
#include "mds/coordinator.h"
#include "mds/election_rules.h"

namespace curvefs::mds {

class Election {
 public:
  struct Events {
    std::function<void(Revision term)> lead;
    // Comes before anything else can happen: nothing may be served from now on.
    std::function<void(const std::string& why)> stop;
  };

  Election(Loop& loop, Coordinator& coordinator, ElectionOptions options, Events events);
  ~Election();  // the lease is left to lapse

  void Start();
  // Gives up the office or the candidacy, and tells the store, so that the next one need not wait; `done`
  // when it knows, or after `limit`.
  void Resign(Duration limit, std::function<void()> done);
  // Gives up the office for a reason of the MDS's own, and stands again.
  void StepDown(const std::string& why) { Run(rules_.StepDown(now(), why)); }

  bool leads() const { return rules_.leads(); }
  Revision term() const { return rules_.term(); }
  // True of the store as long as this office lasts. Only of a leader.
  Condition Fence() const { return {rules_.own_key(), Condition::Of::kCreated, rules_.term()}; }
  // The name of who leads, as far as is known: whose key is the oldest. Empty: nobody.
  std::string leader() const;

 private:
  using Effects = ElectionRules::Effects;
  using Effect = ElectionRules::Effect;
  void Run(Effects effects);
  void RunOne(const Effect& effect);
  void Enter(const Effect& effect);
  void AwaitTick();
  void Observe();
  SteadyTime now() const { return loop_.clock().Steady(); }
  // What a callback of the coordinator's does, unless this is gone.
  template <typename F>
  auto IfAlive(F f) {
    return [alive = std::weak_ptr<bool>(alive_), f = std::move(f)](auto&&... args) mutable {
      if (!alive.expired()) f(std::forward<decltype(args)>(args)...);
    };
  }

  Loop& loop_;
  Coordinator& coordinator_;
  const ElectionOptions options_;
  const Events events_;
  ElectionRules rules_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<Watch> before_;  // the end of the candidate before this one
  std::optional<SteadyTime> ticks_at_;

  std::unique_ptr<Watch> observer_;
  std::map<std::string, Entry> candidates_;
  bool observing_ = false;
};

}  // namespace curvefs::mds
