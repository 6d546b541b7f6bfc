#include "raft/snapshot_transfer.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace curvefs::raft {

SnapshotSender::SnapshotSender(const MessageHead& head, GroupId group, std::unique_ptr<SnapshotReader> reader,
                               TransferOptions options)
    : reader_(std::move(reader)), options_(options) {
  chunk_.group = group;
  chunk_.to = head.to;
  chunk_.from = head.from;
  chunk_.term = head.term;
  chunk_.meta = reader_->meta();
}

SnapshotSender::State SnapshotSender::Send(Transport& transport) {
  // One byte more than fits tells whether this is the last piece.
  auto bytes = reader_->Read(offset_, options_.chunk_bytes + 1);
  if (!bytes) {
    Log(LogLevel::kWarning, "a snapshot for a replica cannot be read: " + bytes.error().ToString());
    return State::kFailed;
  }
  SnapshotChunk chunk = chunk_;
  chunk.offset = offset_;
  chunk.last = bytes->size() <= options_.chunk_bytes;
  bytes->resize(std::min(bytes->size(), options_.chunk_bytes));
  chunk.data = *std::move(bytes);
  transport.Send(std::move(chunk));
  ticks_ = 0;
  return State::kGoesOn;
}

SnapshotSender::State SnapshotSender::Tick(Transport& transport) {
  if (++ticks_without_progress_ >= options_.give_up_ticks) return State::kFailed;
  return ++ticks_ >= options_.retry_ticks ? Send(transport) : State::kGoesOn;
}

SnapshotSender::State SnapshotSender::OnReply(const SnapshotReply& reply, Transport& transport) {
  if (reply.index != index()) return State::kGoesOn;  // of an earlier one
  if (reply.done) return State::kArrived;
  if (reply.failed) return State::kFailed;
  if (reply.offset == offset_) return State::kGoesOn;  // of a piece that was sent twice
  if (reply.offset > offset_) ticks_without_progress_ = 0;
  offset_ = reply.offset;
  return Send(transport);
}

bool SnapshotReceiver::OnChunk(const SnapshotChunk& chunk, Index applied, StateMachine& machine,
                               Transport& transport) {
  SnapshotReply reply{.group = chunk.group, .to = chunk.from, .from = chunk.to, .index = chunk.meta.index};
  const bool same = sink_ && head_.meta == chunk.meta;
  if (chunk.meta.index <= applied || (complete_ && same)) {
    reply.done = true;
    transport.Send(reply);
    return false;
  }
  if (complete_) return false;  // another one waits to be installed; the sender tries again
  if (!same) {
    // That of a leader of the past; or an older one of the same leader, late. A later leader's may be older than
    // what came from the one before it.
    if (sink_ &&
        (chunk.term < head_.term || (chunk.term == head_.term && chunk.meta.index < head_.meta.index)))
      return false;
    Forget();
    auto sink = machine.ReceiveSnapshot(chunk.meta);
    if (!sink) {
      Log(LogLevel::kWarning, "a snapshot cannot be received: " + sink.error().ToString());
      reply.failed = true;
      transport.Send(reply);
      return false;
    }
    sink_ = *std::move(sink);
  }
  // Whoever sends it now: it is the same state, but perhaps not the same bytes, so another sender begins
  // anew.
  if (same && head_.from != chunk.from) {
    Forget();
    auto sink = machine.ReceiveSnapshot(chunk.meta);
    if (!sink) return false;
    sink_ = *std::move(sink);
  }
  head_ = chunk;
  head_.data.clear();
  if (chunk.offset == received_) {
    if (Status s = sink_->Append(chunk.data); !s.ok()) {
      Log(LogLevel::kWarning, "a snapshot cannot be stored: " + s.ToString());
      Forget();
      reply.failed = true;
      transport.Send(reply);
      return false;
    }
    received_ += chunk.data.size();
    complete_ = chunk.last;
  }
  reply.offset = received_;
  reply.done = complete_;
  transport.Send(reply);
  return complete_;
}

std::unique_ptr<SnapshotSink> SnapshotReceiver::Take() {
  std::unique_ptr<SnapshotSink> sink = std::move(sink_);
  Forget();
  return sink;
}

void SnapshotReceiver::Forget() {
  sink_.reset();
  head_ = {};
  received_ = 0;
  complete_ = false;
}

}  // namespace curvefs::raft
