#include "mds/dispatcher.h"

#include <utility>

#include "base/log.h"

namespace curvefs::mds {
namespace {

constexpr uint64_t kGenerations = 1000;  // reserved at a time
constexpr size_t kMostTold = 1000;
constexpr size_t kMostEvents = 200;
constexpr uint64_t kMostGeneration = (1u << 31) - 1;  // replicas' ids are below 2^63

uint64_t Milliseconds(Duration time) {
  return static_cast<uint64_t>(
      std::max<int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count(), 0));
}

}  // namespace

Dispatcher::Dispatcher(Loop& loop, const State& state, Volatile& known, uint64_t term,
                       DispatcherOptions options, Change change)
    : loop_(loop),
      state_(state),
      known_(known),
      term_(term),
      change_(std::move(change)),
      fleet_(options.fleet, loop.clock().Steady()),
      schedule_(options.schedule) {
  Round();
}

// 0 while some are being reserved.
uint32_t Dispatcher::NextGeneration() {
  if (known_.next_generation < known_.end_generation) return static_cast<uint32_t>(known_.next_generation++);
  if (std::exchange(reserving_, true)) return 0;
  auto first = std::make_shared<uint64_t>(0);
  change_(
      [first](Draft& draft, Volatile&) -> Status {
        *first = draft.NextIds(kReplicaGenerations, kGenerations);
        if (*first + kGenerations > kMostGeneration)
          return {Code::kNoSpace, "the cluster has had all replicas that there can be"};
        return {};
      },
      IfAlive([this, first](const Status& s) {
        reserving_ = false;
        if (!s.ok()) return Log(LogLevel::kWarning, "no ids for new replicas: " + s.ToString());
        known_.next_generation = *first;
        known_.end_generation = *first + kGenerations;
      }));
  return 0;
}

void Dispatcher::RecordMembers() {
  for (auto& [id, members] : fleet_.MembersToRecord(state_)) {
    if (!recording_.insert(id).second) continue;
    change_([id, members](Draft& draft, Volatile&) { return MembersChanged(draft, id, members); },
            IfAlive([this, id](const Status&) { recording_.erase(id); }));
  }
}

void Dispatcher::Upkeep() {
  for (const auto& [fs, wanted] : PartitionsNeeded(state_)) {
    if (!extending_.insert(fs).second) continue;
    change_(
        [fs, wanted](Draft& draft, Volatile& v) {
          return EnsurePartitions(draft, v, fs, wanted, [](const proto::Partition&) {});
        },
        IfAlive([this, fs](const Status& s) {
          extending_.erase(fs);
          const std::string text =
              "no new partition for file system " + std::to_string(fs) + ": " + s.ToString();
          if (told_.size() > kMostTold) told_.clear();
          if (!s.ok() && told_.insert(text).second) Log(LogLevel::kWarning, text);
        }));
  }
  const auto end = FsToEnd(state_);
  if (end.empty() || std::exchange(ending_, true)) return;
  change_([id = end.front()](Draft& draft, Volatile&) { return EndFs(draft, id); },
          IfAlive([this, id = end.front()](const Status& s) {
            ending_ = false;
            if (!s.ok()) return;
            if (state_.Find<proto::FsInfo>(FsKey(id)) == nullptr) {
              Log(LogLevel::kInfo, "of file system " + std::to_string(id) + " no record is left");
            } else {
              Upkeep();  // the rest of it
            }
          }));
}

void Dispatcher::Round() {
  const SteadyTime now = loop_.clock().Steady();
  RecordMembers();
  view_ = fleet_.View(state_, now);
  auto events = fleet_.HealthChanges(view_, now);
  known_.unreachable = Fleet::Unreachable(view_);
  if (fleet_.Judges(now)) {
    for (Notice& event : schedule_.Tick(view_, now, [this] { return NextGeneration(); }))
      events.push_back(std::move(event));
    Upkeep();
  }
  for (Notice& event : events) {
    Log(event.warning ? LogLevel::kWarning : LogLevel::kInfo, event.text);
    if (events_.size() == kMostEvents) events_.pop_front();
    events_.push_back({now, std::move(event)});
  }
  loop_.After(fleet_.options().interval, IfAlive([this] { Round(); }));
}

Status Dispatcher::Heartbeat(const proto::HeartbeatRequest& request, proto::HeartbeatResponse* response) {
  const SteadyTime now = loop_.clock().Steady();
  CURVEFS_CHECK_OK(fleet_.Heard(state_, request, now));
  // Of the last round, but for what this one says itself.
  for (const auto& replica : request.copyset()) {
    auto copyset = view_.copysets.find(static_cast<uint32_t>(replica.copyset_id()));
    if (copyset == view_.copysets.end()) continue;
    copyset->second.present.push_back(replica.replica_id());
    if (!replica.leads()) continue;
    copyset->second.leader = request.metaserver_id();
    copyset->second.members.clear();
    for (const auto& peer : replica.peer())
      copyset->second.members.push_back({peer.replica_id(), peer.learner()});
  }
  fleet_.Answer(state_, view_, schedule_, request.metaserver_id(), term_, fleet_.Judges(now), response);
  return {};
}

void Dispatcher::GetOperators(proto::GetOperatorsResponse* response) const {
  const SteadyTime now = loop_.clock().Steady();
  if (!fleet_.Judges(now))
    response->set_judges_in_ms(Milliseconds(fleet_.begun() + 2 * fleet_.options().interval - now));
  for (const auto& [id, op] : schedule_.operators()) {
    auto* out = response->add_operator_();
    out->set_copyset_id(id);
    out->set_scheduler(ToString(op.by));
    out->set_reason(op.reason);
    if (auto copyset = view_.copysets.find(id); copyset != view_.copysets.end()) {
      const NextStep next = NextStepOf(op, copyset->second, view_);
      out->set_step(ToString(next.step));
      out->set_step_at(next.at);
    }
    out->set_add_replica(op.add);
    out->set_remove_replica(op.remove);
    out->set_lead_metaserver(op.lead);
    out->set_age_ms(Milliseconds(now - op.begun));
    out->set_left_ms(Milliseconds(op.deadline - now));
  }
  for (const auto& [at, notice] : events_) {
    auto* out = response->add_event();
    out->set_age_ms(Milliseconds(now - at));
    out->set_text(notice.text);
    out->set_warning(notice.warning);
  }
}

void Dispatcher::ListMetaservers(proto::ListMetaserversResponse* response) const {
  fleet_.List(state_, loop_.clock().Steady(), response);
}

}  // namespace curvefs::mds
