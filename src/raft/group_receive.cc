// What comes from the peers.
#include <utility>

#include "raft/host.h"

namespace curvefs::raft {

// Raft trusts its peers; a message that this replica can see to be wrong is dropped all the same, as if it
// were lost. It may be of another incarnation of the group, of a copy of somebody's directory, or of a
// program with a bug. What cannot be seen here (a commit beyond our log by a leader of a new term) the engine
// finds: then two histories have met, or this replica has lost what it had, and the group stops.
bool Group::Believable(const Message& m) const {
  if (m.from == self_) return false;
  const bool this_term = m.term == engine_.hard.term;
  switch (m.type) {
    case MessageType::kTimeoutNow:
      if (installing()) return false;  // rule 2; whoever sent it tries again
      [[fallthrough]];
    case MessageType::kAppend:
    case MessageType::kHeartbeat:
      // A term has one leader.
      return !this_term || !engine_.leader || m.from == engine_.leader;
    case MessageType::kAppendReply:
      // Nobody has from us what we do not have.
      return !was_leader_ || !this_term || m.reject || m.index <= host_.log_.Info(id_)->last;
    default:
      return true;
  }
}

void Group::Receive(Message message) {
  if (dead() || message.to != self_ || message.type == MessageType::kSnapshot || !Believable(message)) return;
  if (message.type == MessageType::kAppend || message.type == MessageType::kHeartbeat) heard_at_ = ticks_;
  if (MayFollowAsleep(message)) {
    asleep_ = true;
  } else if (message.type != MessageType::kHeartbeatReply) {
    Stir();
  }
  // A replica that was restarted does not remember that it promised to support a leader: it waits that
  // promise out before it votes (docs/adr/0009).
  const bool vote = message.type == MessageType::kVote || message.type == MessageType::kPreVote;
  if (vote && host_.options_.lease.clock && ticks_ < host_.options_.election_ticks &&
      host_.options_.canary != Canary::kVoteAfterRestart) {
    return;
  }
  size_t bytes = 0;
  for (const Entry& e : message.entries) bytes += BytesOf(e.payload).size();
  // As if lost: a disk that does not keep up must not fill the memory.
  if (bytes > 0 && pending_bytes_ > host_.options_.max_pending_bytes) return;
  std::vector<Handle> handles;
  for (Entry& e : message.entries) {
    handles.push_back(e.payload ? host_.next_handle_++ : 0);
    if (!e.payload) continue;
    pending_bytes_ += e.payload->size();
    pending_[handles.back()] = e.payload;
  }
  host_.engine_.Step(id_, message, handles);
}

void Group::Receive(SnapshotChunk chunk) {
  if (dead() || chunk.to != self_ || chunk.term < engine_.hard.term || phase_ == Phase::kRestoring) return;
  if (!chunk.meta.members.Contains(self_)) return;  // the engine would refuse it when all of it has come
  Stir();
  if (receiver_.OnChunk(chunk, applied_, machine_, host_.transport_)) StepReceivedSnapshot();
}

void Group::Receive(SnapshotReply reply) {
  if (dead() || reply.to != self_) return;
  auto it = senders_.find(reply.from);
  if (it == senders_.end()) return;
  auto state = it->second.OnReply(reply, host_.transport_);
  if (state == SnapshotSender::State::kGoesOn) return;
  host_.engine_.ReportSnapshot(id_, reply.from, state == SnapshotSender::State::kArrived);
  senders_.erase(it);
}

// Rule 2: not while a Ready is outstanding; then Finish calls this. And not while the state machine is busy
// with a snapshot of its own; then SnapshotTaken does.
void Group::StepReceivedSnapshot() {
  if (!receiver_.complete() || phase_ != Phase::kIdle || snapshotting_ || stepped_snapshot_) return;
  Message m;
  m.type = MessageType::kSnapshot;
  m.group = id_;
  m.to = self_;
  m.from = receiver_.head().from;
  m.term = receiver_.head().term;
  m.snapshot = receiver_.head().meta;
  host_.engine_.Step(id_, m, {});
  stepped_snapshot_ = true;
}

}  // namespace curvefs::raft
