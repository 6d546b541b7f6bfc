#include "raft/types.h"

#include <algorithm>

#include "base/bytes.h"

namespace curvefs::raft {
namespace {

bool Has(const std::vector<ReplicaId>& ids, ReplicaId id) {
  return std::binary_search(ids.begin(), ids.end(), id);
}
void Insert(std::vector<ReplicaId>* ids, ReplicaId id) {
  ids->insert(std::lower_bound(ids->begin(), ids->end(), id), id);
}

}  // namespace

bool Members::IsVoter(ReplicaId id) const {
  return Has(voters, id);
}
bool Members::IsLearner(ReplicaId id) const {
  return Has(learners, id);
}
bool Members::Contains(ReplicaId id) const {
  return IsVoter(id) || IsLearner(id);
}

bool ApplyChange(const MemberChange& change, Members* members) {
  switch (change.kind) {
    case MemberChange::Kind::kAddLearner:
      if (members->Contains(change.replica) || !change.replica) return false;
      if (members->voters.size() + members->learners.size() >= kMaxMembers) return false;
      Insert(&members->learners, change.replica);
      return true;
    case MemberChange::Kind::kPromote:
      if (!members->IsLearner(change.replica)) return false;
      std::erase(members->learners, change.replica);
      Insert(&members->voters, change.replica);
      return true;
    case MemberChange::Kind::kRemove:
      if (!members->Contains(change.replica)) return false;
      if (members->IsVoter(change.replica) && members->voters.size() == 1) return false;
      std::erase(members->voters, change.replica);
      std::erase(members->learners, change.replica);
      return true;
  }
  return false;
}

std::string EncodeChange(const MemberChange& change) {
  std::string bytes;
  bytes.push_back(static_cast<char>(change.kind));
  PutLe<uint64_t>(&bytes, change.replica.value);
  bytes.append(change.context);
  return bytes;
}

bool DecodeChange(std::string_view bytes, MemberChange* change) {
  ByteReader in(bytes);
  auto kind = in.Le<uint8_t>();
  change->kind = static_cast<MemberChange::Kind>(kind);
  change->replica = ReplicaId(in.Le<uint64_t>());
  if (!in.ok() || kind < 1 || kind > 3 || in.remaining() > kMaxName) return false;
  change->context = in.Bytes(in.remaining());
  return true;
}

bool IsMessageType(uint8_t type) {
  return (type >= static_cast<uint8_t>(MessageType::kAppend) &&
          type <= static_cast<uint8_t>(MessageType::kHeartbeatReply)) ||
         type == static_cast<uint8_t>(MessageType::kTimeoutNow) ||
         type == static_cast<uint8_t>(MessageType::kPreVote) ||
         type == static_cast<uint8_t>(MessageType::kPreVoteReply);
}

}  // namespace curvefs::raft
