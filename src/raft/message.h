// What peers send one another, as bytes: src/proto/raft.proto, by the small codec of base/protowire.h; a test
// holds it against the generated classes.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "raft/types.h"

namespace curvefs::raft {

void EncodeMessage(const Message& message, std::string* out);
// kCorrupt if malformed, over a limit, or of a type that peers do not send.
Result<Message> DecodeMessage(std::string_view bytes);

// A piece of a snapshot on its way to a replica, and the answer, which says how far the receiver has got.
struct SnapshotChunk {
  GroupId group;
  ReplicaId to, from;
  Term term = 0;      // the leader's
  SnapshotMeta meta;  // which snapshot
  uint64_t offset = 0;
  std::string data;       // at most kMaxChunk bytes
  bool last = false;      // nothing follows
  uint64_t checksum = 0;  // XXH3-64 of `data`; set by the encoder, checked by the decoder
};
inline constexpr size_t kMaxChunk = 1 << 20;

struct SnapshotReply {
  GroupId group;
  ReplicaId to, from;
  Index index = 0;      // of the snapshot
  uint64_t offset = 0;  // the receiver wants the bytes from here on
  bool done = false;    // it has all and will install it, or does not need it
  bool failed = false;  // it cannot take it now
};

void EncodeChunk(const SnapshotChunk& chunk, std::string* out);
Result<SnapshotChunk> DecodeChunk(std::string_view bytes);
void EncodeReply(const SnapshotReply& reply, std::string* out);
Result<SnapshotReply> DecodeReply(std::string_view bytes);

// Also used for the base of a log.
void EncodeMeta(const SnapshotMeta& meta, std::string* out);
Result<SnapshotMeta> DecodeMeta(std::string_view bytes);

}  // namespace curvefs::raft
