// The words of Raft: entries, hard state, members, messages. Plain values; nothing here knows the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/limits.h"

namespace curvefs::raft {

using GroupId = StrongId<struct RaftGroupTag, uint64_t>;
// One replica of one group, for ever: a replica that lost its disk comes back under another id.
using ReplicaId = StrongId<struct ReplicaTag, uint64_t>;
using Term = uint64_t;
using Index = uint64_t;  // of an entry: 1, 2, 3 … without gaps
// Of what peers send: the engine counts on from there.
inline constexpr uint64_t kMaxTerm = uint64_t{1} << 62, kMaxIndex = uint64_t{1} << 62;

// What an entry carries: shared, never changed, null when empty.
using Payload = std::shared_ptr<const std::string>;
inline constexpr size_t kMaxEntryBytes = kMaxBatchBytes - 4096;  // a record of the log holds it with its head
inline std::string_view BytesOf(const Payload& p) {
  return p ? std::string_view(*p) : std::string_view();
}
inline Payload MakePayload(std::string_view bytes) {
  return bytes.empty() ? nullptr : std::make_shared<const std::string>(bytes);
}

enum class EntryKind : uint8_t {
  kData = 0,    // for the state machine; empty ones are the engine's own, at the begin of a term
  kChange = 1,  // of the members: an encoded MemberChange
};

struct Entry {
  Term term = 0;
  Index index = 0;
  EntryKind kind = EntryKind::kData;
  Payload payload;
};

// What a replica must not forget (Raft's persistent state, and how far it knows the log committed).
struct HardState {
  Term term = 0;
  ReplicaId vote;
  Index commit = 0;
  friend bool operator==(const HardState&, const HardState&) = default;
};

// Sorted, without repetition; no replica is in both.
struct Members {
  std::vector<ReplicaId> voters;
  std::vector<ReplicaId> learners;  // receive the log, neither vote nor count
  bool Contains(ReplicaId id) const;
  bool IsVoter(ReplicaId id) const;
  bool IsLearner(ReplicaId id) const;
  friend bool operator==(const Members&, const Members&) = default;
};

// A state of the group: everything up to `index` applied, and who the members were then.
struct SnapshotMeta {
  Index index = 0;
  Term term = 0;  // of the entry at `index`
  Members members;
  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};

// Rule 3 of DESIGN §6: one replica at a time, and a new one begins as a learner.
struct MemberChange {
  enum class Kind : uint8_t { kAddLearner = 1, kPromote = 2, kRemove = 3 };
  Kind kind = Kind::kAddLearner;
  ReplicaId replica;
  std::string context;  // for whoever routes messages: where the replica is; at most kMaxName bytes
};

// Changes `members`. False, and nothing done, if the change has no meaning for them: adding what is there,
// promoting what is no learner, removing what is not there or the last voter. Every replica decides alike, so
// such a change is ignored by all of them.
bool ApplyChange(const MemberChange& change, Members* members);

std::string EncodeChange(const MemberChange& change);
bool DecodeChange(std::string_view bytes, MemberChange* change);

enum class MessageType : uint8_t {  // the engine's numbers, which go over the wire
  kAppend = 3,
  kAppendReply = 4,
  kVote = 5,
  kVoteReply = 6,
  kSnapshot = 7,  // never sent as a message: the state is streamed, see group.h
  kHeartbeat = 8,
  kHeartbeatReply = 9,
  kTimeoutNow = 14,
  kPreVote = 17,
  kPreVoteReply = 18,
};
bool IsMessageType(uint8_t type);

// What one replica tells another; what each field means depends on the type, and is the engine's business.
struct MessageHead {
  MessageType type = MessageType::kHeartbeat;
  ReplicaId to, from;
  Term term = 0, log_term = 0;
  Index index = 0, commit = 0;
  bool reject = false;
  Index reject_hint = 0;
  std::string context;    // at most kMaxContext bytes
  SnapshotMeta snapshot;  // of kSnapshot
};
inline constexpr size_t kMaxContext = 64;
inline constexpr size_t kMaxMessageEntries = 100'000;
inline constexpr size_t kMaxMembers = 64;  // of one group, learners included

struct Message : MessageHead {
  GroupId group;
  bool sleep = false;          // of kHeartbeat: it is the last one for now (group_sleep.cc)
  std::vector<Entry> entries;  // consecutive, from index + 1 on
};

}  // namespace curvefs::raft
