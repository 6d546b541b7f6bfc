// EarlyAnswers: which changes a leader may answer before they are committed, and what a new leader asks of
// the clients that have such answers (docs/adr/0015-early-answers.md).
//
// An early answer is given only while everything without an outcome was answered early, to the same session,
// and while no other replica can lead. So when a leader dies, what it had answered early and its log does not
// have is the work of one session, made in one run, on a state that the next leader has: sent again in its
// order, before anybody else is served, it gives what it gave the first time.
//
// A session that may have early answers is marked as ahead in the replicated state, before the first. A new
// leader serves nobody until all that are marked have sent theirs again; those that have not in `patience`
// are late, and lose them.
//
// Pure. Not thread-safe: the copyset's loop owns it. Leaders only.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "base/clock.h"

namespace curvefs::metaserver {

class EarlyAnswers {
 public:
  // This leads: those sessions are marked.
  void Start(std::span<const uint64_t> marked, SteadyTime now);
  void Clear();

  // ---- Marks
  // Whether the session is marked, and may be answered early. If not: mark it with a change of its own, say
  // Marking, and Marked when that has its outcome.
  bool MayBeAhead(uint64_t session) const;
  bool marking(uint64_t session) const;
  void Marking(uint64_t session);
  void Marked(uint64_t session, bool committed, SteadyTime now);
  // Marked ones that have proposed nothing for `time`: their marks may go. Unmark first.
  std::vector<uint64_t> Idle(SteadyTime now, Duration time) const;
  void Unmark(uint64_t session) { marks_.erase(session); }
  void Ended(uint64_t session);

  // ---- Proposals, numbered upwards
  // `session` (0: nobody) made one; `oldest` is the first without an outcome. With `wished` it may be
  // answered now if this says so.
  bool Proposed(uint64_t number, uint64_t session, bool wished, uint64_t oldest, SteadyTime now);
  // Everything from `oldest` on is of that session, but not all of it was answered early: if it waits for its
  // outcome, the next may be.
  bool ShouldWait(uint64_t session, uint64_t oldest) const {
    return MayBeAhead(session) && session == own_ && oldest >= own_begin_ && !IsRunOf(session, oldest);
  }
  // The last that was answered early; 0: none.
  uint64_t last() const { return last_; }
  // Everything from `oldest` on was answered early, to that session.
  bool IsRunOf(uint64_t session, uint64_t oldest) const {
    return session != 0 && session == run_of_ && oldest >= run_begin_;
  }
  // One that was answered early has failed, and this still leads: the session must send again.
  void Failed(uint64_t session, SteadyTime now);

  // ---- After a change of leader
  enum class Verdict { kGoOn, kWait, kReclaim, kTooLate };
  // May a request of that session (0: of nobody's) be served? kReclaim: it is to send again first, and to say
  // so. kWait: somebody else is. kTooLate: for a `replay`, which must not be done any more.
  Verdict Admit(uint64_t session, bool replay) const;
  bool settled() const { return reclaiming_.empty() && !barred_; }
  // Whether it is to send again.
  bool Owes(uint64_t session) const { return reclaiming_.contains(session) || late_.contains(session); }
  void Reclaimed(uint64_t session);
  // Some did not come in time: nobody is served until Unbar, which is for when their marks are gone, and no
  // id that they were given will be given out again. True once each time.
  bool GiveUp(SteadyTime now, Duration patience);
  const std::set<uint64_t>& late() const { return late_; }
  bool barred() const { return barred_; }
  void Unbar() { barred_ = false; }

 private:
  struct Mark {
    bool committed = false;
    SteadyTime used{};
  };
  std::map<uint64_t, Mark> marks_;
  uint64_t run_of_ = 0, run_begin_ = 0, last_ = 0;
  uint64_t own_ = 0, own_begin_ = 0;  // the last proposals are of that session, from that one on
  std::set<uint64_t> reclaiming_, late_;
  SteadyTime since_{};
  bool barred_ = false;
};

}  // namespace curvefs::metaserver
