#include "metaserver/early_answers.h"

#include <utility>

namespace curvefs::metaserver {

void EarlyAnswers::Start(std::span<const uint64_t> marked, SteadyTime now) {
  Clear();
  since_ = now;
  for (const uint64_t session : marked) {
    marks_[session] = {.committed = true, .used = now};
    reclaiming_.insert(session);
  }
}

void EarlyAnswers::Clear() {
  marks_.clear();
  run_of_ = run_begin_ = last_ = own_ = own_begin_ = 0;
  reclaiming_.clear();
  late_.clear();
  barred_ = false;
}

// ---- Marks

bool EarlyAnswers::MayBeAhead(uint64_t session) const {
  auto it = marks_.find(session);
  return it != marks_.end() && it->second.committed;
}

bool EarlyAnswers::marking(uint64_t session) const {
  auto it = marks_.find(session);
  return it != marks_.end() && !it->second.committed;
}

void EarlyAnswers::Marking(uint64_t session) {
  marks_[session] = {};
}

void EarlyAnswers::Marked(uint64_t session, bool committed, SteadyTime now) {
  auto it = marks_.find(session);
  if (it == marks_.end()) return;
  if (!committed) {
    marks_.erase(it);
    return;
  }
  it->second = {.committed = true, .used = now};
}

std::vector<uint64_t> EarlyAnswers::Idle(SteadyTime now, Duration time) const {
  std::vector<uint64_t> idle;
  for (const auto& [session, mark] : marks_) {
    if (mark.committed && now - mark.used > time && !Owes(session)) idle.push_back(session);
  }
  return idle;
}

void EarlyAnswers::Ended(uint64_t session) {
  marks_.erase(session);
  reclaiming_.erase(session);
  late_.erase(session);
}

// ---- Proposals

bool EarlyAnswers::Proposed(uint64_t number, uint64_t session, bool wished, uint64_t oldest, SteadyTime now) {
  if (auto it = marks_.find(session); it != marks_.end()) it->second.used = now;
  if (own_ != session) {
    own_ = session;
    own_begin_ = number;
  }
  if (!wished || !MayBeAhead(session)) {
    run_of_ = 0;
    return false;
  }
  if (oldest == number) {  // nothing else is without an outcome
    run_of_ = session;
    run_begin_ = number;
  } else if (!IsRunOf(session, oldest)) {
    run_of_ = 0;
    return false;
  }
  last_ = number;
  return true;
}

void EarlyAnswers::Failed(uint64_t session, SteadyTime now) {
  if (!marks_.contains(session)) return;
  if (reclaiming_.empty()) since_ = now;
  reclaiming_.insert(session);
  run_of_ = 0;
}

// ---- After a change of leader

EarlyAnswers::Verdict EarlyAnswers::Admit(uint64_t session, bool replay) const {
  if (reclaiming_.contains(session)) return replay ? Verdict::kGoOn : Verdict::kReclaim;
  if (!settled()) return Verdict::kWait;
  if (replay) return Verdict::kTooLate;
  return late_.contains(session) ? Verdict::kReclaim : Verdict::kGoOn;
}

void EarlyAnswers::Reclaimed(uint64_t session) {
  reclaiming_.erase(session);
  late_.erase(session);
}

bool EarlyAnswers::GiveUp(SteadyTime now, Duration patience) {
  if (reclaiming_.empty() || now - since_ < patience) return false;
  for (const uint64_t session : reclaiming_) marks_.erase(session);
  late_.merge(std::exchange(reclaiming_, {}));
  barred_ = true;
  return true;
}

}  // namespace curvefs::metaserver
