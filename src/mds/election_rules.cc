#include "mds/election_rules.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace curvefs::mds {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(200);  // between two rounds

using Kind = ElectionRules::Effect::Kind;

std::string Hex(LeaseId lease) {
  char text[17];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(lease.value));
  return text;
}

}  // namespace

Status ElectionOptions::Check() const {
  if (prefix.empty() || name.empty())
    return {Code::kInvalid, "an election needs a prefix and the name of the candidate"};
  if (lease_time * 2 < election_timeout * 3)
    return {Code::kInvalid, "the lease time must be at least 1.5 times the election timeout of etcd"};
  if (lease_time < std::chrono::seconds(1) || periodic_get_time <= Duration() || get_timeout <= Duration())
    return {Code::kInvalid,
            "the lease time must be at least 1 s, the other times of an election more than nothing"};
  return {};
}

ElectionRules::ElectionRules(ElectionOptions options) : options_(std::move(options)) {}

void ElectionRules::Do(Effect effect, Effects* effects) {
  effect.round = round_;
  effects->push_back(std::move(effect));
}

ElectionRules::Effects ElectionRules::Start(SteadyTime now) {
  Effects effects;
  if (phase_ != Phase::kIdle) return effects;
  phase_ = Phase::kPause;
  begin_round_ = now;
  return Tick(now);
}

// The office ends in this moment, whatever the store may still think; then the lease is given back, which
// lets the next one in.
void ElectionRules::EndRound(SteadyTime now, const std::string& why, Effects* effects) {
  if (leads()) Do({.kind = Kind::kStop, .why = why}, effects);
  if (lease_) Do({.kind = Kind::kRevoke, .lease = lease_, .limit = options_.lease_time}, effects);
  ++round_;
  phase_ = Phase::kPause;
  begin_round_ = now + kPause;
  lease_ = {};
  key_.clear();
  created_ = 0;
  keeping_alive_ = getting_ = false;
}

ElectionRules::Effects ElectionRules::Granted(SteadyTime now, uint64_t round, const Result<LeaseId>& lease) {
  Effects effects;
  if (Stale(round) || phase_ != Phase::kGrant) {
    // One that nobody waits for any more; it would lapse, but why wait.
    if (lease) effects.push_back({.kind = Kind::kRevoke, .lease = *lease, .limit = options_.lease_time});
    return effects;
  }
  if (!lease) {
    EndRound(now, lease.error().ToString(), &effects);
    return effects;
  }
  lease_ = *lease;
  key_ = options_.prefix + Hex(lease_);
  phase_ = Phase::kEnter;
  // The time of the lease counts from before it was asked for (begin_round_).
  lease_until_ = begin_round_ + options_.lease_time;
  keep_alive_at_ = begin_round_ + options_.lease_time / 3;
  Do({.kind = Kind::kEnter, .lease = lease_, .limit = options_.lease_time}, &effects);
  return effects;
}

ElectionRules::Effects ElectionRules::Entered(SteadyTime now, uint64_t round,
                                              const Result<Revision>& created) {
  Effects effects;
  if (Stale(round) || phase_ != Phase::kEnter) return effects;
  if (!created) {
    // Unknown, perhaps. The key may yet appear, but never again once its lease has been given back.
    EndRound(now, created.error().ToString(), &effects);
    return effects;
  }
  created_ = *created;
  phase_ = Phase::kLook;
  Do({.kind = Kind::kList, .limit = options_.get_timeout}, &effects);
  return effects;
}

ElectionRules::Effects ElectionRules::Listed(SteadyTime now, uint64_t round, const Result<Listing>& listing) {
  Effects effects;
  if (Stale(round) || phase_ != Phase::kLook) return effects;
  if (!listing) {
    EndRound(now, listing.error().ToString(), &effects);
    return effects;
  }
  const Entry* before = nullptr;  // the largest smaller one
  for (const Entry& entry : listing->entries) {
    if (entry.created < created_ && (before == nullptr || entry.created > before->created)) before = &entry;
  }
  if (before != nullptr) {
    phase_ = Phase::kWait;
    Do({.kind = Kind::kAwaitEnd, .key = before->key, .revision = listing->revision + 1}, &effects);
  } else if (options_.canary_no_check) {
    phase_ = Phase::kLead;
    get_at_ = now + options_.periodic_get_time;
    Do({.kind = Kind::kLead}, &effects);
  } else {
    phase_ = Phase::kCheck;
    Do({.kind = Kind::kGetOwn, .limit = options_.get_timeout}, &effects);
  }
  return effects;
}

ElectionRules::Effects ElectionRules::Ended(SteadyTime now, uint64_t round) {
  Effects effects;
  if (Stale(round) || phase_ != Phase::kWait) return effects;
  static_cast<void>(now);
  phase_ = Phase::kLook;
  Do({.kind = Kind::kList, .limit = options_.get_timeout}, &effects);
  return effects;
}

ElectionRules::Effects ElectionRules::Got(SteadyTime now, uint64_t round,
                                          const Result<std::optional<Entry>>& entry) {
  Effects effects;
  if (Stale(round) || (phase_ != Phase::kCheck && phase_ != Phase::kLead)) return effects;
  getting_ = false;
  if (!entry) {
    EndRound(now, "the own key could not be read: " + entry.error().ToString(), &effects);
  } else if (!*entry || (*entry)->created != created_) {
    EndRound(now, "the own key is gone", &effects);
  } else if ((*entry)->value != options_.name || (*entry)->lease != lease_) {
    EndRound(now, "somebody has changed the own key", &effects);
  } else {
    if (phase_ == Phase::kCheck) {
      phase_ = Phase::kLead;
      Do({.kind = Kind::kLead}, &effects);
    }
    get_at_ = now + options_.periodic_get_time;
  }
  return effects;
}

ElectionRules::Effects ElectionRules::KeptAlive(SteadyTime now, uint64_t round, SteadyTime asked,
                                                const Result<Duration>& time) {
  Effects effects;
  if (Stale(round)) return effects;
  keeping_alive_ = false;
  if (time) {
    // The store counts from when it heard of it, which was later.
    lease_until_ = std::max(lease_until_, asked + options_.lease_time);
    keep_alive_at_ = std::max(now, asked + options_.lease_time / 3);
  } else if (time.error().code() == Code::kNotFound) {
    EndRound(now, "the lease has ended", &effects);
  } else {
    keep_alive_at_ = now + options_.lease_time / 10;  // until lease_until_
  }
  return effects;
}

ElectionRules::Effects ElectionRules::OwnKeyDeleted(SteadyTime now, Revision revision) {
  Effects effects;
  if (options_.canary_no_check && !leads()) return effects;
  if (created_ != 0 && revision > created_) EndRound(now, "the own key was deleted", &effects);
  return effects;
}

ElectionRules::Effects ElectionRules::Tick(SteadyTime now) {
  Effects effects;
  if (phase_ == Phase::kIdle) return effects;
  if (phase_ == Phase::kPause) {
    if (now < begin_round_) return effects;
    ++round_;
    phase_ = Phase::kGrant;
    begin_round_ = now;
    Do({.kind = Kind::kGrant, .limit = options_.lease_time}, &effects);
    return effects;
  }
  if (phase_ == Phase::kGrant) return effects;
  if (now >= lease_until_) {
    EndRound(now, "the lease could not be kept alive in time", &effects);
    return effects;
  }
  if (leads() && getting_ && now >= got_until_) {
    EndRound(now, "the own key could not be read in time", &effects);
    return effects;
  }
  if (!keeping_alive_ && now >= keep_alive_at_) {
    keeping_alive_ = true;
    Do({.kind = Kind::kKeepAlive, .lease = lease_, .limit = options_.lease_time / 3}, &effects);
  }
  if (leads() && !getting_ && now >= get_at_) {
    getting_ = true;
    got_until_ = now + options_.get_timeout;
    Do({.kind = Kind::kGetOwn, .limit = options_.get_timeout}, &effects);
  }
  return effects;
}

ElectionRules::Effects ElectionRules::StepDown(SteadyTime now, const std::string& why) {
  Effects effects;
  if (leads()) EndRound(now, why, &effects);
  return effects;
}

ElectionRules::Effects ElectionRules::Resign(SteadyTime now) {
  Effects effects;
  if (phase_ == Phase::kIdle) return effects;
  EndRound(now, "it resigns", &effects);
  phase_ = Phase::kIdle;
  return effects;
}

std::optional<SteadyTime> ElectionRules::wake() const {
  switch (phase_) {
    case Phase::kIdle:
    case Phase::kGrant:
      return std::nullopt;
    case Phase::kPause:
      return begin_round_;
    default:
      break;
  }
  SteadyTime next = lease_until_;
  if (!keeping_alive_) next = std::min(next, keep_alive_at_);
  if (leads()) next = std::min(next, getting_ ? got_until_ : get_at_);
  return next;
}

}  // namespace curvefs::mds
