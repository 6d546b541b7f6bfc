// Snapshots on their way, in pieces, beside the messages: a sender per replica that needs one, a receiver per
// group.
//
// One piece is under way at a time; the receiver's answer says where it has got to, and the next piece goes
// out. Lost pieces and answers are repeated by ticks; a receiver that was restarted asks for the beginning
// again; one that had a part of the same snapshot goes on there.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "raft/message.h"
#include "raft/seams.h"

namespace curvefs::raft {

struct TransferOptions {
  size_t chunk_bytes = 256 << 10;  // at most kMaxChunk
  uint32_t retry_ticks = 5;        // without an answer: the piece goes out again
  uint32_t give_up_ticks = 100;    // without progress: failed
};
static_assert((256 << 10) <= kMaxChunk);

class SnapshotSender {
 public:
  enum class State { kGoesOn, kArrived, kFailed };

  // `to`, `from`, `group` and `term` are those of the message that the engine wanted to send.
  SnapshotSender(const MessageHead& head, GroupId group, std::unique_ptr<SnapshotReader> reader,
                 TransferOptions options);

  State Send(Transport& transport);  // the first piece
  State Tick(Transport& transport);
  State OnReply(const SnapshotReply& reply, Transport& transport);
  Index index() const { return reader_->meta().index; }

 private:
  SnapshotChunk chunk_;  // without data: what all have in common
  std::unique_ptr<SnapshotReader> reader_;
  TransferOptions options_;
  uint64_t offset_ = 0;
  uint32_t ticks_ = 0, ticks_without_progress_ = 0;
};

class SnapshotReceiver {
 public:
  // A piece has come for a group that has applied up to `applied`. Sends the answer. True when the snapshot
  // is whole: Take it.
  bool OnChunk(const SnapshotChunk& chunk, Index applied, StateMachine& machine, Transport& transport);

  bool complete() const { return complete_; }
  const SnapshotChunk& head() const { return head_; }  // of a complete one: who sent it, which it is
  std::unique_ptr<SnapshotSink> Take();                // and is ready for another
  void Forget();

 private:
  SnapshotChunk head_;  // of the snapshot that is coming, without data
  std::unique_ptr<SnapshotSink> sink_;
  uint64_t received_ = 0;
  bool complete_ = false;
};

}  // namespace curvefs::raft
