#include "cli/health.h"

#include <algorithm>

namespace curvefs::cli {
namespace {

class Findings {
 public:
  explicit Findings(Health* health) : health_(*health) {}
  ~Findings() {
    std::ranges::stable_sort(found_, [](const auto& a, const auto& b) { return a.first > b.first; });
    for (auto& [level, text] : found_) health_.problems.push_back(std::move(text));
  }
  void Add(Health::Level level, std::string text) {
    health_.level = std::max(health_.level, level);
    found_.emplace_back(level, std::move(text));
  }

 private:
  Health& health_;
  std::vector<std::pair<Health::Level, std::string>> found_;
};

// Where one of a copyset's replicas is, and how it does.
const proto::CopysetStatus* ReplicaOf(const ClusterView& view, uint32_t copyset, uint64_t replica) {
  const auto at = view.metaservers.find(static_cast<uint32_t>(replica));
  if (at == view.metaservers.end() || !at->second) return nullptr;
  for (const auto& status : at->second->status()) {
    if (status.copyset_id() == copyset && status.replica_id() == replica) return &status;
  }
  return nullptr;
}

void JudgeCopyset(const ClusterView& view, const proto::Copyset& copyset, Health* health, Findings* found) {
  const std::string name = "copyset " + std::to_string(copyset.copyset_id());
  if (copyset.state() == proto::COPYSET_PLANNED)
    return found->Add(Health::kDegraded,
                      name + " is not made yet: not all of its metaservers have answered the MDS");
  bool led = false;
  int well = 0;
  std::string missing;
  for (const auto& peer : copyset.peer()) {
    const proto::CopysetStatus* status = ReplicaOf(view, copyset.copyset_id(), peer.replica_id());
    const bool good = status != nullptr && status->failure() == proto::OK && !status->removed();
    led |= good && status->leads();
    well += good;
    if (!good) {
      missing += (missing.empty() ? "" : ", ") + std::to_string(peer.replica_id());
      if (status != nullptr && status->failure() != proto::OK)
        missing += " (" + status->failure_message() + ")";
    }
  }
  health->copysets_led += led;
  health->copysets_whole += led && missing.empty();
  if (!led) {
    found->Add(Health::kBroken, name + " has no leader: " + std::to_string(well) + " of its " +
                                    std::to_string(copyset.peer_size()) +
                                    " replicas answer, and a majority is needed");
  } else if (!missing.empty()) {
    found->Add(Health::kDegraded, name + " lacks its replica " + missing);
  }
}

}  // namespace

const char* LevelName(Health::Level level) {
  return level == Health::kHealthy ? "healthy" : level == Health::kDegraded ? "degraded" : "broken";
}

Health Judge(const ClusterView& view) {
  Health health;
  Findings found(&health);
  for (const client::MdsSeen& mds : view.mds) {
    if (mds.leads) health.leader = mds.address;
    if (!mds.answers.ok())
      found.Add(Health::kDegraded, "MDS " + mds.address + " does not answer: " + mds.answers.message());
  }
  if (health.leader.empty()) {
    found.Add(
        Health::kBroken,
        "no MDS leads: nothing can be made, mounted or changed until etcd has a majority and elects one");
    return health;
  }
  for (const auto& metaserver : view.topology.metaserver()) {
    const auto said = view.metaservers.find(metaserver.metaserver_id());
    if (said != view.metaservers.end() && said->second) {
      ++health.metaservers_up;
      continue;
    }
    found.Add(Health::kDegraded,
              "metaserver " + std::to_string(metaserver.metaserver_id()) + " at " + metaserver.address() +
                  " does not answer" +
                  (said == view.metaservers.end() ? "" : ": " + said->second.error().message()));
  }
  for (const auto& copyset : view.copysets.copyset()) JudgeCopyset(view, copyset, &health, &found);
  return health;
}

}  // namespace curvefs::cli
