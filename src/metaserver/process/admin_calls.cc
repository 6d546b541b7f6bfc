#include "metaserver/process/admin_calls.h"

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "meta/ops/create.h"
#include "metaserver/process/server.h"
#include "proto/copyset.pb.h"
#include "proto/meta_wire.h"

namespace curvefs::metaserver {
namespace {

// What a call works on, once it is on the loop of its copyset.
struct Site {
  MetaServer& server;
  CopysetLoop& loop;
};

std::string Good() {
  return {};  // a response whose header says OK, and nothing else
}

std::string Outcome(MetaServer& server, const HeldCopyset* held, const Status& status) {
  if (status.ok()) return Good();
  if (status.code() != Code::kNotLeader || held == nullptr) return EncodeFailure(status, 0, "");
  const raft::ReplicaId leader = held->group->status().leader;
  return EncodeFailure(status, leader.value, leader ? server.AddressOf(leader) : std::string());
}

// Decodes, checks the term of office, and goes on on the loop of the copyset.
template <typename Request, void (*F)(Site, const Request&, Answer)>
void Run(MetaServer& server, std::string_view bytes, Answer answer) {
  auto request = std::make_shared<Request>();
  if (!request->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return answer(EncodeFailure({Code::kInvalid, "a request that is no message of its kind"}, 0, ""));
  if (Status s = server.CheckOffice(request->header().office_term()); !s.ok())
    return answer(EncodeFailure(s, 0, ""));
  CopysetLoop& loop = server.LoopFor(raft::GroupId(request->header().copyset_id()));
  loop.loop().Post([&server, &loop, request, answer = std::move(answer)]() mutable {
    F({server, loop}, *request, std::move(answer));
  });
}

// The same for a copyset that must be there.
template <typename Request, void (*F)(Site, HeldCopyset&, const Request&, Answer)>
void OnCopyset(Site site, const Request& request, Answer answer) {
  const raft::GroupId id(request.header().copyset_id());
  HeldCopyset* held = site.loop.Find(id);
  if (held == nullptr) {
    return answer(EncodeFailure(
        {Code::kNotFound, "copyset " + std::to_string(id.value) + " is not on this metaserver"}, 0, ""));
  }
  F(site, *held, request, std::move(answer));
}

void Create(Site site, const proto::CreateCopysetRequest& in, Answer answer) {
  CopysetDescription d{.id = raft::GroupId(in.header().copyset_id()),
                       .self = raft::ReplicaId(in.replica_id()),
                       .fs = FsId(in.fs_id()),
                       .hash_seed = in.hash_seed()};
  auto refuse = [&](std::string why) { answer(EncodeFailure({Code::kInvalid, std::move(why)}, 0, "")); };
  if (!d.id || !d.self || !d.fs) return refuse("a copyset, a replica and a file system have ids from 1 on");
  if (MetaserverOf(d.self) != site.server.id()) {
    return refuse("replica " + std::to_string(d.self.value) + " belongs to metaserver " +
                  std::to_string(MetaserverOf(d.self)) + ", and this is " + std::to_string(site.server.id()));
  }
  if (static_cast<size_t>(in.peer_size()) > raft::kMaxMembers) return refuse("too many replicas");
  for (const proto::CopysetPeer& peer : in.peer()) {
    if (peer.replica_id() == 0 || peer.learner())
      return refuse("a copyset begins with voters, whose ids are not 0");
    d.first.voters.emplace_back(peer.replica_id());
  }
  std::ranges::sort(d.first.voters);
  if (std::ranges::adjacent_find(d.first.voters) != d.first.voters.end())
    return refuse("a replica is named twice");
  if (!d.first.voters.empty() && !d.first.Contains(d.self))
    return refuse("this replica is not among the first");
  for (const proto::CopysetPeer& peer : in.peer())
    site.server.LearnAddress(raft::ReplicaId(peer.replica_id()), peer.address());
  site.loop.Create(d, [answer = std::move(answer)](const Status& s) {
    answer(s.ok() ? Good() : EncodeFailure(s, 0, ""));
  });
}

void Fill(MetaServer& server, const CopysetLoop& loop, const HeldCopyset& held, proto::CopysetStatus* out) {
  const raft::GroupStatus status = held.group->status();
  out->set_copyset_id(held.description.id.value);
  out->set_replica_id(status.self.value);
  if (status.leader) {
    out->mutable_leader()->set_replica_id(status.leader.value);
    out->mutable_leader()->set_address(server.AddressOf(status.leader));
  }
  out->set_leads(status.leads);
  out->set_term(status.term);
  out->set_commit(status.commit);
  out->set_applied(status.applied);
  out->set_first(status.first);
  out->set_last(status.last);
  out->set_snapshot(status.snapshot);
  for (const auto* list : {&status.members.voters, &status.members.learners}) {
    for (raft::ReplicaId replica : *list) {
      proto::CopysetPeer* peer = out->add_peer();
      peer->set_replica_id(replica.value);
      peer->set_address(server.AddressOf(replica));
      peer->set_learner(list == &status.members.learners);
    }
  }
  out->set_removed(status.removed);
  out->set_failure(ToWire(status.failure.code()));
  out->set_failure_message(status.failure.message());
  out->set_fs_id(held.description.fs.value);
  out->set_pairs(held.copyset->store().stats().pairs);
  out->set_log_bytes(server.LogBytes(held.description.id));
  out->set_loop(static_cast<uint32_t>(loop.number()));
}

void GetStatus(Site site, HeldCopyset& held, const proto::GetCopysetStatusRequest&, Answer answer) {
  proto::GetCopysetStatusResponse response;
  Fill(site.server, site.loop, held, response.mutable_status());
  answer(response.SerializeAsString());
}

// From loop to loop, and the last one answers.
void List(MetaServer& server, std::string_view, Answer answer) {
  struct Walk {
    MetaServer& server;
    proto::ListCopysetsResponse response;
    Answer answer;
    void Visit(size_t number, std::shared_ptr<Walk> self) {
      CopysetLoop& loop = server.LoopAt(number);
      loop.loop().Post([this, number, &loop, self = std::move(self)]() mutable {
        for (const auto& [id, held] : loop.copysets()) Fill(server, loop, *held, response.add_status());
        if (number + 1 < server.loops()) return Visit(number + 1, std::move(self));
        answer(response.SerializeAsString());
      });
    }
  };
  auto walk = std::make_shared<Walk>(Walk{server, {}, std::move(answer)});
  walk->response.set_metaserver_id(static_cast<uint32_t>(server.id()));
  walk->response.set_loops(static_cast<uint32_t>(server.loops()));
  walk->Visit(0, walk);
}

void ChangePeers(Site site, HeldCopyset& held, const proto::ChangePeersRequest& in, Answer answer) {
  static constexpr raft::MemberChange::Kind kKinds[] = {raft::MemberChange::Kind::kAddLearner,
                                                        raft::MemberChange::Kind::kPromote,
                                                        raft::MemberChange::Kind::kRemove};
  const raft::ReplicaId replica(in.peer().replica_id());
  const auto kind = static_cast<size_t>(in.change());
  if (kind >= std::size(kKinds) || !replica)
    return answer(EncodeFailure({Code::kInvalid, "a change is of a kind, and of a replica"}, 0, ""));
  site.server.LearnAddress(replica, in.peer().address());
  if (kKinds[kind] == raft::MemberChange::Kind::kAddLearner && site.server.AddressOf(replica).empty()) {
    return answer(
        EncodeFailure({Code::kInvalid, "it is not known where metaserver " +
                                           std::to_string(MetaserverOf(replica)) + " is: give its address"},
                      0, ""));
  }
  raft::MemberChange change{
      .kind = kKinds[kind], .replica = replica, .context = site.server.AddressOf(replica)};
  held.group->ChangeMembers(
      change, [site, id = held.description.id, answer = std::move(answer)](Result<raft::Index> index) {
        answer(Outcome(site.server, site.loop.Find(id), index ? Status() : index.error()));
      });
}

void Transfer(Site site, HeldCopyset& held, const proto::TransferLeaderRequest& in, Answer answer) {
  answer(Outcome(site.server, &held, held.group->TransferLeadership(raft::ReplicaId(in.replica_id()))));
}

void Snapshot(Site site, HeldCopyset& held, const proto::SnapshotCopysetRequest&, Answer answer) {
  held.group->SnapshotNow();
  answer(Outcome(site.server, &held, held.group->status().failure));
}

void Destroy(Site site, HeldCopyset& held, const proto::DestroyCopysetRequest& in, Answer answer) {
  const raft::GroupStatus status = held.group->status();
  if (!in.force() && !status.removed && status.failure.ok() && status.members.Contains(status.self)) {
    return answer(
        EncodeFailure({Code::kBusy, "replica " + std::to_string(status.self.value) +
                                        " is a member of the copyset; remove it first, or use force"},
                      0, ""));
  }
  answer(Outcome(site.server, nullptr, site.loop.Destroy(held.description.id)));
}

void Digest(Site, HeldCopyset& held, const proto::GetStateDigestRequest&, Answer answer) {
  const kv::KVStore& store = held.copyset->store();
  proto::GetStateDigestResponse response;
  Xxh3Stream digest;
  uint64_t pairs = 0;
  std::string lengths;
  // The upper end is above any key.
  const Status s =
      store.Scan("", std::string(kMaxKey, '\xff'), [&](std::string_view key, std::string_view value) {
        lengths.clear();
        PutLe<uint64_t>(&lengths, key.size());
        PutLe<uint64_t>(&lengths, value.size());
        for (std::string_view part : {std::string_view(lengths), key, value}) digest.Update(part);
        ++pairs;
        return true;
      });
  if (!s.ok()) return answer(EncodeFailure(s, 0, ""));
  response.set_applied(store.applied());
  response.set_pairs(pairs);
  response.set_digest(digest.Digest());
  answer(response.SerializeAsString());
}

// Another one for whoever asks again: that finds the first, and EXISTS.
std::string NewUuid() {
  std::random_device random;
  std::string uuid;
  while (uuid.size() < 16) PutLe<uint32_t>(&uuid, random());
  return uuid;
}

void Format(Site site, HeldCopyset& held, const proto::FormatCopysetRequest& in, Answer answer) {
  const CopysetDescription& d = held.description;
  if (in.fs_id() == 0) return answer(EncodeFailure({Code::kInvalid, "a file system without an id"}, 0, ""));
  meta::SuperBlock super{.fs = FsId(in.fs_id()),
                         .name = in.fs_name(),
                         .uuid = NewUuid(),
                         .root = kRootInode,
                         .chunk_size = d.chunk_size,
                         .block_size = kBlockSize,
                         .created = Clock::System().Wall(),
                         .hash_seed = d.hash_seed,
                         .homes = true};
  const uint32_t mode = in.root_mode() != 0 ? in.root_mode() : 0755;
  std::vector<PartitionId> partitions;
  for (const uint32_t id : in.partition_id()) partitions.emplace_back(id);
  if (partitions.empty()) partitions.emplace_back(0);
  held.copyset->Format(super, partitions, mode, in.root_uid(), in.root_gid(),
                       [site, id = d.id, answer = std::move(answer)](const Status& s) {
                         answer(Outcome(site.server, site.loop.Find(id), s));
                       });
}

void SetLimits(Site site, HeldCopyset& held, const proto::SetLimitsRequest& in, Answer answer) {
  held.copyset->SetQuota(held.description.fs, kRootInode, {in.bytes(), in.inodes()},
                         [site, id = held.description.id, answer = std::move(answer)](const Status& s) {
                           answer(Outcome(site.server, site.loop.Find(id), s));
                         });
}

template <typename Request, void (*F)(Site, HeldCopyset&, const Request&, Answer)>
constexpr auto kOnCopyset = &Run<Request, &OnCopyset<Request, F>>;

constexpr auto kMethods = std::to_array<AdminMethod>({
    {1024, "CreateCopyset", &Run<proto::CreateCopysetRequest, &Create>},
    {1025, "GetCopysetStatus", kOnCopyset<proto::GetCopysetStatusRequest, &GetStatus>},
    {1026, "ListCopysets", &List},
    {1027, "ChangePeers", kOnCopyset<proto::ChangePeersRequest, &ChangePeers>},
    {1028, "TransferLeader", kOnCopyset<proto::TransferLeaderRequest, &Transfer>},
    {1029, "SnapshotCopyset", kOnCopyset<proto::SnapshotCopysetRequest, &Snapshot>},
    {1030, "DestroyCopyset", kOnCopyset<proto::DestroyCopysetRequest, &Destroy>},
    {1031, "GetStateDigest", kOnCopyset<proto::GetStateDigestRequest, &Digest>},
    {1032, "FormatCopyset", kOnCopyset<proto::FormatCopysetRequest, &Format>},
    {1040, "SetLimits", kOnCopyset<proto::SetLimitsRequest, &SetLimits>},
});

}  // namespace

std::span<const AdminMethod> AdminMethods() {
  return kMethods;
}

const AdminMethod* FindAdminMethod(uint16_t number) {
  static_assert(std::ranges::is_sorted(kMethods, {}, &AdminMethod::number));
  auto it = std::ranges::lower_bound(kMethods, number, {}, &AdminMethod::number);
  return it == kMethods.end() || it->number != number ? nullptr : &*it;
}

}  // namespace curvefs::metaserver
