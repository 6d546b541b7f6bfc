// Reads: by asking a quorum, many at a time (rule 5), or by lease.
#include <utility>

#include "raft/host.h"

namespace curvefs::raft {

void Group::Read(std::function<void(Status)> done) {
  if (!leads_) Stir();
  if (dead() || !leads_ || reads_ >= host_.options_.max_reads) {
    const Code code = !dead() && leads_ ? Code::kUnavailable : Code::kNotLeader;
    host_.Defer([done = std::move(done), code] { done(code); });
    return;
  }
  ++reads_;
  host_.Touch(id_);
  if (LeaseHolds() || host_.options_.canary == Canary::kReadWithoutQuorum) {
    lease_used_ = true;
    ++lease_reads_;
    // All that was ever acknowledged is applied here: by this leader, or before its term.
    if (confirmed_.empty() || confirmed_.back().index > applied_) confirmed_.push_back({.index = applied_});
    confirmed_.back().waiting.push_back(std::move(done));
    return;
  }
  new_reads_.push_back(std::move(done));
}

void Group::BeforeRun() {
  if (dead()) return;
  AnswerReads();
  if (new_reads_.empty()) {
    // A lease that is used is asked for again before it ends, so that nobody waits.
    if (lease_used_ && leads_ && !asking_ && lease_until_ != SteadyTime{} &&
        host_.options_.lease.clock->Steady() + lease_time() / 2 > lease_until_) {
      asking_ = Reads();
      AskReadIndex();
    }
    return;
  }
  if (!leads_) {
    for (auto& done : new_reads_) done(Code::kNotLeader);
    reads_ -= new_reads_.size();
    new_reads_.clear();
    return;
  }
  // Rule 5: one round of heartbeats for all reads that have come since the last.
  if (asking_) return;
  asking_ = Reads();
  asking_->waiting.swap(new_reads_);
  AskReadIndex();
}

void Group::AskReadIndex() {
  Stir();
  const uint64_t number = host_.next_read_++;
  ++read_rounds_;
  asking_->context.assign(reinterpret_cast<const char*>(&number), sizeof number);
  asking_->ticks = 0;
  lease_used_ = false;
  asking_->changes = member_changes_;
  if (const Clock* clock = host_.options_.lease.clock) asking_->begun = clock->Steady();
  host_.engine_.ReadIndex(id_, asking_->context);
}

// What a quorum has confirmed.
void Group::OnReadStates() {
  for (ReadState& read : ready_.reads) {
    if (!asking_ || asking_->context != read.context) continue;  // of a term of office that is over
    // The lease counts from when the question was asked, and only for the members that were asked.
    if (host_.options_.lease.clock && leads_ && !lease_off_ && asking_->changes == member_changes_) {
      lease_until_ = asking_->begun + lease_time();
    }
    asking_->index = read.index;
    confirmed_.push_back(std::move(*asking_));
    asking_.reset();
    host_.Touch(id_);
  }
}

// A follower that was heard from supports no other for election_ticks of its own: at least one less than that
// many whole intervals, by a clock that may be fast, while ours may be slow.
Duration Group::lease_time() const {
  const LeaseOptions& lease = host_.options_.lease;
  const double share = (1 - lease.max_drift) / (1 + lease.max_drift);
  const auto intervals = static_cast<double>(host_.options_.election_ticks - 1);
  return Duration(static_cast<Duration::rep>(static_cast<double>(lease.tick.count()) * intervals * share));
}

// Their clocks may be slow, and ours fast.
Group::Promise Group::Promisable() const {
  if (!LeaseHolds() || transfer_) return {};
  const LeaseOptions& lease = host_.options_.lease;
  const double share = (1 - lease.max_drift) / (1 + lease.max_drift);
  const Duration left = lease_until_ - lease.clock->Steady();
  return {.until = lease_until_,
          .time = Duration(static_cast<Duration::rep>(static_cast<double>(left.count()) * share))};
}

bool Group::HoldLease() {
  if (Promisable().until != SteadyTime{}) {
    lease_used_ = true;
    return true;
  }
  if (host_.options_.lease.clock && leads_ && !asking_ && new_reads_.empty()) Read([](const Status&) {});
  return false;
}

bool Group::LeaseHolds() const {
  const Clock* clock = host_.options_.lease.clock;
  return clock && leads_ && !lease_off_ && clock->Steady() < lease_until_;
}

void Group::AnswerReads() {
  while (!confirmed_.empty() && confirmed_.front().index <= applied_) {
    Reads reads = std::move(confirmed_.front());
    confirmed_.pop_front();
    reads_ -= reads.waiting.size();
    for (auto& done : reads.waiting) done({});
  }
}

}  // namespace curvefs::raft
