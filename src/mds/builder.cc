#include "mds/builder.h"

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
    if (fs.state() != proto::FS_NEW) continue;
    bool ready = true;
    state.ForEach<proto::Partition>(PartitionPrefix(fs.fs_id()), [&](const proto::Partition& partition) {
      const auto* copyset = state.Find<proto::Copyset>(CopysetKey(partition.copyset_id()));
      ready &= copyset != nullptr && copyset->state() == proto::COPYSET_READY;
    });
    if (ready) plans.file_systems.push_back(fs);
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
  for (const proto::FsInfo& fs : plans.file_systems) {
    if (file_systems_.insert(fs.fs_id()).second) Format(fs, 0);
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
void Builder::Format(const proto::FsInfo& fs, size_t peer) {
  const auto* root = state_.Find<proto::Partition>(PartitionKey(fs.fs_id(), 0));
  const auto* copyset =
      root == nullptr ? nullptr : state_.Find<proto::Copyset>(CopysetKey(root->copyset_id()));
  if (copyset == nullptr || peer >= static_cast<size_t>(copyset->peer_size())) {
    file_systems_.erase(fs.fs_id());
    return;
  }
  proto::FormatCopysetRequest request;
  request.mutable_header()->set_copyset_id(copyset->copyset_id());
  request.mutable_header()->set_office_term(term_);
  request.set_fs_id(fs.fs_id());
  request.set_fs_name(fs.fs_name());
  metaservers_.Format(GrpcAddress(copyset->peer(static_cast<int>(peer))), request,
                      IfAlive([=, this](const Status& s) {
                        // EXISTS: it was written, and the answer lost.
                        if (!s.ok() && s.code() != Code::kExists) return Format(fs, peer + 1);
                        change_([id = fs.fs_id()](Draft& draft, Volatile&) { return FsIsReady(draft, id); },
                                IfAlive([this, id = fs.fs_id()](const Status&) { file_systems_.erase(id); }));
                      }));
}

}  // namespace curvefs::mds
