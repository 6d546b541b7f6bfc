// Sleep: a group in which nothing happens costs nothing. Its replicas do not tick and send no heartbeats; for
// all groups together, the processes tell each other that they live (Transport::Hears).
//
// A leader that has had nothing to do for an election timeout, whose members all have its whole log and are
// heard, says so in a last heartbeat, and sleeps. A member that gets it, and finds itself as far as the
// leader, sleeps too. Anything wakes a replica: a call, a message, that the process of its leader (for a
// leader: of a member) is not heard or is another. So followers that sleep notice a leader's end as soon as
// others, and a leader that wakes wakes them by what it sends.
//
// Nothing of this is needed for safety: to sleep is to tick slowly, which Raft allows, and the promise behind
// leases (docs/adr/0009) is counted in ticks by those who made it, so it only lasts longer. For progress: a
// follower whose beat was lost does not sleep, stands after its timeout, and its pre-vote wakes the others;
// so does a replica that was restarted, and a leader that stops or is closed sends a beat which wakes.
// Whoever is asked for what only a leader can do wakes, in case that was lost, too.
//
// The idea is CockroachDB's quiescence and TiKV's hibernating regions; the protocol is ours.
#include <algorithm>
#include <utility>

#include "raft/host.h"

namespace curvefs::raft {

void Group::Stir() {
  asleep_ = false;
  busy_at_ = ticks_;
}

void Group::OnUnreachable(ReplicaId peer) {
  if (was_leader_ || peer == engine_.leader) Stir();
}

bool Group::SleepsOn() {
  if (!asleep_ || host_.options_.canary == Canary::kSleepOn) return asleep_;
  auto heard = [&](ReplicaId id) { return id == self_ || host_.transport_.Hears(id_, id); };
  const bool all = was_leader_ ? std::ranges::all_of(members_.voters, heard) &&
                                     std::ranges::all_of(members_.learners, heard)
                               : engine_.leader && heard(engine_.leader);
  if (!all) Stir();
  return asleep_;
}

// Nothing under way here that ticks or heartbeats bring forward.
bool Group::Quiet() const {
  return !asking_ && new_reads_.empty() && confirmed_.empty() && proposals_.empty() && waiting_.empty() &&
         !promotion_ && !transfer_ && handing_over_ == 0 && senders_.empty() && phase_ == Phase::kIdle &&
         applied_ == commit_ && host_.log_.Info(id_)->last == commit_;
}

void Group::AskForSleep() {
  const uint64_t idle = ticks_ - busy_at_;
  if (idle == 0 || idle % host_.options_.election_ticks != 0 || !Quiet()) return;
  asks_for_sleep_ = true;
  host_.engine_.AskProgress(id_);
}

void Group::FallAsleep(const std::vector<Progress>& progress) {
  if (!leads_ || ticks_ - busy_at_ < host_.options_.election_ticks || !Quiet()) return;
  size_t others = 0;
  for (const Progress& p : progress) {
    if (p.replica == self_) continue;
    if (p.match != commit_ || !host_.transport_.Hears(id_, p.replica)) return;
    ++others;
  }
  if (others + 1 != members_.voters.size() + members_.learners.size()) return;
  asleep_ = true;
  SendBeats(true);
}

// It knows this leader, and has nothing more in its log than what the leader says is committed.
bool Group::MayFollowAsleep(const Message& beat) const {
  return beat.type == MessageType::kHeartbeat && beat.sleep && !was_leader_ &&
         beat.term == engine_.hard.term && beat.from == engine_.leader &&
         host_.log_.Info(id_)->last == beat.commit && host_.transport_.Hears(id_, beat.from);
}

// To the leader's members: that it sleeps, or (nobody who gets one goes on sleeping) that something happens.
void Group::SendBeats(bool sleep) {
  for (const auto* list : {&members_.voters, &members_.learners}) {
    for (ReplicaId id : *list) {
      if (id == self_) continue;
      Message beat;
      beat.type = MessageType::kHeartbeat;
      beat.group = id_;
      beat.to = id;
      beat.from = self_;
      beat.term = engine_.hard.term;
      beat.commit = sleep ? commit_ : 0;
      beat.sleep = sleep;
      host_.transport_.Send(std::move(beat));
    }
  }
}

}  // namespace curvefs::raft
