// The election of one MDS among several (SPEC §2), as a pure state machine: it is told what has happened and
// what time it is, and answers with what is to be done. No I/O, no clock. election.h drives it.
//
// The algorithm is that of etcd's concurrency.Election: a candidate puts a key of its own under a common
// prefix, bound to a lease of its own, and leads when no key under the prefix was created before its own. It
// waits for the one right before it only, so that the end of one candidate wakes one other. The revision that
// created the key is the *term of office*: later leaders have higher ones.
//
//   grant a lease ─► enter (put the key) ─► look who is before us ─► wait for its end ─► look again ─►
//   nobody: check the own key ─► lead
//
// The check is needed: when the store loses all leases at once, everybody's wait ends, and nobody's key is
// there any more. Whatever goes wrong ends the round: the lease is given up, and after a pause another round
// begins with another lease.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "mds/coordinator.h"

namespace curvefs::mds {

// Names and defaults of SPEC §2.
struct ElectionOptions {
  std::string prefix = "election/";
  std::string name;  // the value of the key: where this MDS serves, for who looks for the leader
  Duration election_timeout = std::chrono::seconds(3);  // etcd's own, of its leader
  Duration lease_time =
      std::chrono::seconds(10);  // at least 1.5 times that, or an election of etcd's ends it
  Duration periodic_get_time =
      std::chrono::seconds(2);  // how often a leader looks whether its key is still there
  Duration get_timeout =
      std::chrono::seconds(10);  // how long it waits for the answer before it gives up its office
  // For tests that show that they would notice: nobody looks at the own key before it leads.
  bool canary_no_check = false;

  Status Check() const;  // kInvalid: what does not fit together
};

class ElectionRules {
 public:
  // What is to be done. Answers carry the round back; those of an earlier round are ignored.
  struct Effect {
    enum class Kind {
      kGrant,      // a lease                                       → Granted
      kEnter,      // put own_key() with `lease`, if it is not there → Entered
      kList,       // all keys of the prefix                        → Listed
      kAwaitEnd,   // wait until `key` is deleted, from `revision`; the wait before this one ends → Ended
      kGetOwn,     // get own_key()                                 → Got
      kKeepAlive,  // `lease`                                       → KeptAlive
      kRevoke,     // `lease`; no answer is wanted
      kLead,       // this MDS leads, with term()
      kStop,       // it does not any more, from this moment; `why`
    };
    Kind kind;
    uint64_t round = 0;
    LeaseId lease;
    std::string key;
    Revision revision = 0;
    Duration limit{};
    std::string why;
  };
  using Effects = std::vector<Effect>;

  explicit ElectionRules(ElectionOptions options);

  Effects Start(SteadyTime now);
  Effects Granted(SteadyTime now, uint64_t round, const Result<LeaseId>& lease);
  // The revision that created the own key; kTimedOut where it is not known whether it is there.
  Effects Entered(SteadyTime now, uint64_t round, const Result<Revision>& created);
  Effects Listed(SteadyTime now, uint64_t round, const Result<Listing>& listing);
  Effects Ended(SteadyTime now, uint64_t round);
  Effects Got(SteadyTime now, uint64_t round, const Result<std::optional<Entry>>& entry);
  // `asked`: when the request began.
  Effects KeptAlive(SteadyTime now, uint64_t round, SteadyTime asked, const Result<Duration>& time);
  // A watch of the prefix saw the own key deleted at `revision`.
  Effects OwnKeyDeleted(SteadyTime now, Revision revision);
  // The time of wake() has come, or not yet.
  Effects Tick(SteadyTime now);
  // Gives up the office, for a reason of the MDS's own, and stands again after a pause.
  Effects StepDown(SteadyTime now, const std::string& why);
  // Gives up, for good; Start begins anew.
  Effects Resign(SteadyTime now);

  bool leads() const { return phase_ == Phase::kLead; }
  Revision term() const { return leads() ? created_ : 0; }
  const std::string& own_key() const { return key_; }
  LeaseId lease() const { return lease_; }
  // When Tick is wanted next.
  std::optional<SteadyTime> wake() const;

 private:
  enum class Phase { kIdle, kGrant, kEnter, kLook, kWait, kCheck, kLead, kPause };

  void EndRound(SteadyTime now, const std::string& why, Effects* effects);
  void Do(Effect effect, Effects* effects);
  bool Stale(uint64_t round) const {
    return round != round_ || phase_ == Phase::kIdle || phase_ == Phase::kPause;
  }

  const ElectionOptions options_;
  Phase phase_ = Phase::kIdle;
  uint64_t round_ = 0;
  LeaseId lease_;
  std::string key_;
  Revision created_ = 0;
  SteadyTime begin_round_{};                      // kPause: when it ends
  SteadyTime lease_until_{}, keep_alive_at_{};    // from kEnter on
  bool keeping_alive_ = false, getting_ = false;  // under way
  SteadyTime get_at_{}, got_until_{};  // kLead: when to get, and until when the answer must be there
};

}  // namespace curvefs::mds
