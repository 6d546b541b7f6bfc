#include "mds/builder.h"

#include <map>
#include <utility>

#include "base/log.h"

namespace curvefs::mds {
namespace {

constexpr size_t kMostTold = 1000;

}  // namespace

Plans PlansOf(const State& state) {
  Plans plans;
  for (const auto& [key, copyset] : state.All<proto::Copyset>()) {
    if (copyset.state() == proto::COPYSET_PLANNED) plans.copysets.push_back(copyset);
  }
  for (const auto& [key, fs] : state.All<proto::FsInfo>()) {
    if (fs.state() == proto::FS_DELETING) continue;
    const auto* root = state.Find<proto::Partition>(PartitionKey(fs.fs_id(), 0));
    const auto* first =
        root == nullptr ? nullptr : state.Find<proto::Copyset>(CopysetKey(root->copyset_id()));
    if (first == nullptr) continue;
    std::map<uint32_t, std::vector<uint32_t>> missing;
    state.ForEach<proto::Partition>(PartitionPrefix(fs.fs_id()), [&](const proto::Partition& partition) {
      if (!partition.formatted()) missing[partition.copyset_id()].push_back(partition.partition_id());
    });
    for (auto& [id, partitions] : missing) {
      const auto* copyset = state.Find<proto::Copyset>(CopysetKey(id));
      if (copyset == nullptr || copyset->state() != proto::COPYSET_READY ||
          copyset->hash_seed() != first->hash_seed())
        continue;
      plans.formats.push_back({fs, *copyset, std::move(partitions)});
    }
  }
  return plans;
}

Builder::Builder(Loop& loop, const State& state, Metaservers& metaservers, uint64_t term, Change change)
    : loop_(loop), state_(state), metaservers_(metaservers), term_(term), change_(std::move(change)) {
  Look();
}

void Builder::Look() {
  const Plans plans = PlansOf(state_);
  for (const proto::Copyset& copyset : plans.copysets) {
    if (copysets_.size() >= kMostAtOnce) break;
    if (copysets_.insert(copyset.copyset_id()).second) Make(copyset);
  }
  for (const Plans::Format& format : plans.formats) {
    if (formats_.insert(format.copyset.copyset_id()).second) Format(format, 0);
  }
  loop_.After(kPause, IfAlive([this] { Look(); }));
}

std::string Builder::GrpcAddress(const proto::CopysetPeer& peer) const {
  const auto* metaserver =
      state_.Find<proto::Metaserver>(MetaserverKey(static_cast<uint32_t>(peer.replica_id())));
  return metaserver == nullptr ? "" : metaserver->grpc_address();
}

void Builder::Make(const proto::Copyset& copyset) {
  struct Round {
    int left = 0;
    Status status;
  };
  const uint32_t id = copyset.copyset_id();
  auto round = std::make_shared<Round>(Round{copyset.peer_size(), {}});
  auto one = IfAlive([=, this](Status s) {
    if (!s.ok() && s.code() != Code::kExists) round->status = std::move(s);
    if (--round->left > 0) return;
    if (!round->status.ok()) {
      const std::string text =
          "copyset " + std::to_string(id) + " cannot be made yet: " + round->status.ToString();
      if (told_.size() > kMostTold) told_.clear();
      if (told_.insert(text).second) Log(LogLevel::kWarning, text);
      copysets_.erase(id);  // the next look tries again
      return;
    }
    change_(
        [id](Draft& draft, Volatile&) -> Status {
          const auto* found = draft.state().Find<proto::Copyset>(CopysetKey(id));
          if (found == nullptr) return Code::kNotFound;
          proto::Copyset ready = *found;
          ready.set_state(proto::COPYSET_READY);
          draft.Put(std::move(ready));
          return {};
        },
        IfAlive([this, id](const Status&) { copysets_.erase(id); }));
  });
  proto::CreateCopysetRequest request;
  request.mutable_header()->set_copyset_id(id);
  request.mutable_header()->set_office_term(term_);
  request.set_fs_id(copyset.fs_id());
  request.set_hash_seed(copyset.hash_seed());
  *request.mutable_peer() = copyset.peer();
  for (const auto& peer : copyset.peer()) {
    const std::string address = GrpcAddress(peer);
    if (address.empty()) {
      loop_.Post([one, replica = peer.replica_id()]() mutable {
        one(Status(Code::kUnavailable, "no gRPC address of metaserver " +
                                           std::to_string(static_cast<uint32_t>(replica)) + " is known"));
      });
      continue;
    }
    request.set_replica_id(peer.replica_id());
    metaservers_.Create(address, request, one);
  }
}

// At the replica that leads: one after another is asked.
void Builder::Format(const Plans::Format& plan, int peer) {
  const uint32_t id = plan.copyset.copyset_id();
  if (peer >= plan.copyset.peer_size()) {
    formats_.erase(id);  // the next look tries again
    return;
  }
  proto::FormatCopysetRequest request;
  request.mutable_header()->set_copyset_id(id);
  request.mutable_header()->set_office_term(term_);
  request.set_fs_id(plan.fs.fs_id());
  request.set_fs_name(plan.fs.fs_name());
  for (const uint32_t partition : plan.partitions) request.add_partition_id(partition);
  metaservers_.Format(GrpcAddress(plan.copyset.peer(peer)), request, IfAlive([=, this](const Status& s) {
                        // EXISTS: it was written, and the answer lost.
                        if (!s.ok() && s.code() != Code::kExists) return Format(plan, peer + 1);
                        change_(
                            [fs = plan.fs.fs_id(), partitions = plan.partitions](Draft& draft, Volatile&) {
                              return PartitionsAreKnown(draft, fs, partitions);
                            },
                            IfAlive([this, id](const Status&) { formats_.erase(id); }));
                      }));
}

}  // namespace curvefs::mds
