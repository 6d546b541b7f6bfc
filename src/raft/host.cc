#include "raft/host.h"

#include <utility>

namespace curvefs::raft {

Host::Host(GroupOptions options, Engine& engine, LogStore& log, Transport& transport, LogSyncer& syncer)
    : options_(options), engine_(engine), log_(log), transport_(transport), syncer_(syncer) {}

Host::~Host() {
  *alive_ = false;
  for (auto& [id, entry] : groups_) {
    *entry.alive = false;
    engine_.RemoveGroup(id);
  }
}

Result<Group*> Host::Create(GroupId group, ReplicaId self, StateMachine& machine) {
  return Add(group, self, machine, true);
}
Result<Group*> Host::Open(GroupId group, ReplicaId self, StateMachine& machine) {
  return Add(group, self, machine, false);
}

Result<Group*> Host::Add(GroupId id, ReplicaId self, StateMachine& machine, bool create) {
  if (groups_.contains(id))
    return Fail(Code::kExists, "Raft group " + std::to_string(id.value) + " is open already");
  auto alive = std::make_shared<bool>(true);
  Entry& entry = groups_[id];
  entry = {.group = std::unique_ptr<Group>(new Group(*this, id, self, machine)), .alive = std::move(alive)};
  if (Status s = entry.group->Start(create); !s.ok()) {
    groups_.erase(id);
    return Fail(s);
  }
  return entry.group.get();
}

Group* Host::Find(GroupId group) {
  auto it = groups_.find(group);
  return it == groups_.end() ? nullptr : it->second.group.get();
}

void Host::Close(GroupId group) {
  auto it = groups_.find(group);
  if (it == groups_.end()) return;
  *it->second.alive = false;
  if (it->second.group->was_leader_) it->second.group->SendBeats(false);
  engine_.RemoveGroup(group);
  it->second.group->FailAll(Code::kTimedOut, "the group was closed");
  groups_.erase(it);
}

Status Host::Destroy(GroupId group) {
  Close(group);
  return log_.Remove(group);
}

void Host::Tick() {
  for (auto& [id, entry] : groups_) entry.group->Tick();
}

void Host::Receive(Message message) {
  if (Group* group = Find(message.group)) group->Receive(std::move(message));
}
void Host::Receive(SnapshotChunk chunk) {
  if (Group* group = Find(chunk.group)) group->Receive(std::move(chunk));
}
void Host::Receive(SnapshotReply reply) {
  if (Group* group = Find(reply.group)) group->Receive(std::move(reply));
}
void Host::ReportUnreachable(GroupId group, ReplicaId peer) {
  Group* g = Find(group);
  if (!g || g->dead()) return;
  g->OnUnreachable(peer);
  engine_.ReportUnreachable(group, peer);
}

void Host::Pump() {
  if (pumping_) return;  // a callback; whoever pumps goes on until nothing is left
  pumping_ = true;
  for (bool more = true; more;) {
    more = false;
    std::vector<std::function<void()>> deferred = std::exchange(deferred_, {});
    for (auto& call : deferred) call();
    more |= !deferred.empty();
    for (GroupId id : std::exchange(touched_, {})) {
      if (Group* group = Find(id)) group->BeforeRun();
      more = true;
    }
    // Handles given out from here on are of inputs that this run does not see.
    const Handle watermark = next_handle_;
    more |= engine_.Run([&](GroupId id, Output& out) {
      if (Group* group = Find(id)) group->OnOutput(out, watermark);
    });
    runs_ += more;
  }
  pumping_ = false;
  StartSync();
}

// All that wants the log durable gets it by one sync; what comes while it runs waits for the next.
void Host::StartSync() {
  if (sync_running_ || unsynced_.empty()) return;
  sync_running_ = true;
  ++syncs_;
  syncer_.Sync([this, alive = alive_, groups = std::exchange(unsynced_, {})](Status s) {
    if (!*alive) return;
    sync_running_ = false;
    for (auto [id, ticket] : groups) {
      if (Group* group = Find(id)) group->OnSynced(s, ticket);
    }
    Pump();
    StartSync();
  });
}

uint64_t Host::WantSync(GroupId group) {
  unsynced_.emplace_back(group, ++sync_tickets_);
  return sync_tickets_;
}

}  // namespace curvefs::raft
