#include "metaserver/process/copyset_loop.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace curvefs::metaserver {
namespace {

constexpr Duration kHousekeeping = std::chrono::seconds(1);
constexpr Duration kLookForRoom = std::chrono::seconds(5);
constexpr uint64_t kRoom = 64 << 20;  // bytes: a database that opens writes what it has in its log

}  // namespace

CopysetLoop::CopysetLoop(size_t number, const Parts& parts, std::unique_ptr<raft::Engine> engine,
                         const raft::GroupOptions& options, Duration tick)
    : number_(number),
      parts_(parts),
      options_(options),
      tick_(tick),
      syncer_(parts.sync->For(loop_)),
      background_(parts.background->For(loop_)),
      engine_(std::move(engine)) {}

CopysetLoop::~CopysetLoop() = default;

void CopysetLoop::SetTransport(raft::Transport& transport) {
  host_ = std::make_unique<raft::Host>(options_, *engine_, *parts_.log, transport, *syncer_);
  loop_.AddHook(this, [this] { host_->Pump(); });
}

void CopysetLoop::Clear() {
  loop_.RemoveHook(this);
  for (auto& [id, held] : copysets_) host_->Close(id);
  copysets_.clear();
  host_.reset();
}

std::unique_ptr<HeldCopyset> CopysetLoop::Hold(const CopysetDescription& d) {
  auto held = std::make_unique<HeldCopyset>();
  held->description = d;
  held->fs = {.fs = d.fs, .hash_seed = d.hash_seed, .chunk_size = d.chunk_size};
  return held;
}

Status CopysetLoop::Add(std::unique_ptr<HeldCopyset> held, bool create) {
  const CopysetDescription& d = held->description;
  CURVEFS_TRY(held->group, create ? host_->Create(d.id, d.self, *held->copyset)
                                  : host_->Open(d.id, d.self, *held->copyset));
  held->copyset->Attach(held->group);
  held->target = {
      .copyset = held->copyset.get(), .group = held->group, .fs = d.fs, .address_of = parts_.address_of};
  copysets_[d.id] = std::move(held);
  return {};
}

Status CopysetLoop::Load(const std::vector<CopysetDescription>& descriptions) {
  for (const CopysetDescription& d : descriptions) {
    auto held = Hold(d);
    CURVEFS_TRY(held->copyset,
                ReplicatedCopyset::Open(*parts_.disk, parts_.dir->CopysetDir(d.id), d.first, held->fs,
                                        Clock::System(), *background_, parts_.copyset));
    // Without a log: its creation was not finished, and nobody has heard of it.
    const bool create = !parts_.log->Info(d.id).has_value();
    if (Status s = Add(std::move(held), create); !s.ok())
      return {s.code(), "copyset " + std::to_string(d.id.value) + ": " + s.ToString()};
  }
  return {};
}

void CopysetLoop::Run() {
  loop_.After(tick_, [this] { Tick(); });
  loop_.After(kHousekeeping, [this] { Housekeep(); });
  loop_.Run();
}

void CopysetLoop::Stop() {
  loop_.Stop();
}

void CopysetLoop::Tick() {
  host_->Tick();
  for (auto& [id, held] : copysets_) {
    held->copyset->TickLeases();
    const raft::Members& members = held->group->members();
    if (members == held->routed) continue;
    for (const auto* list : {&members.voters, &members.learners}) {
      for (raft::ReplicaId replica : *list) {
        if (replica != held->description.self) parts_.route(id, replica);
      }
    }
    held->routed = members;
  }
  loop_.After(tick_, [this] { Tick(); });
}

void CopysetLoop::Housekeep() {
  for (auto& [id, held] : copysets_) held->copyset->Housekeep();
  if (loop_.clock().Steady() >= look_for_room_) ReopenTheFull();
  loop_.After(kHousekeeping, [this] { Housekeep(); });
}

void CopysetLoop::ReopenTheFull() {
  look_for_room_ = loop_.clock().Steady() + kLookForRoom;
  std::vector<CopysetDescription> full;
  for (auto& [id, held] : copysets_) {
    if (held->group->status().failure.code() == Code::kNoSpace) full.push_back(held->description);
  }
  if (full.empty()) return;
  auto space = parts_.disk->Space(parts_.dir->CopysetDir(full.front().id));
  if (!space || space->free_bytes < kRoom) return;
  for (const CopysetDescription& d : full) Reopen(d);
}

void CopysetLoop::Reopen(const CopysetDescription& d) {
  if (!creating_.insert(d.id).second) return;
  Log(LogLevel::kInfo,
      "the disk has room again: copyset " + std::to_string(d.id.value) + " is opened from its log");
  struct Work {
    Status status;
    std::unique_ptr<HeldCopyset> closed, opened;
  };
  auto work = std::make_shared<Work>();
  work->opened = Hold(d);
  auto open = [this, work] {
    const CopysetDescription& description = work->opened->description;
    auto copyset =
        ReplicatedCopyset::Open(*parts_.disk, parts_.dir->CopysetDir(description.id), description.first,
                                work->opened->fs, Clock::System(), *background_, parts_.copyset);
    if (copyset) work->opened->copyset = *std::move(copyset);
    work->status = copyset ? Status() : copyset.error();
  };
  auto add = [this, work, d] {
    creating_.erase(d.id);
    if (work->status.ok()) work->status = Add(std::move(work->opened), false);
    if (work->status.ok()) return;
    Log(LogLevel::kWarning, "copyset " + std::to_string(d.id.value) +
                                " cannot be opened again, which is tried on: " + work->status.ToString());
    loop_.After(kLookForRoom, [this, d] { Reopen(d); });
  };
  auto it = copysets_.find(d.id);
  if (it == copysets_.end()) return background_->Run(open, add);
  host_->Close(d.id);
  work->closed = std::move(it->second);
  copysets_.erase(it);
  // Its background work may still be under way; the thread does one piece after another.
  background_->Run([] {},
                   [this, work, open, add] {
                     work->closed.reset();
                     background_->Run(open, add);
                   });
}

HeldCopyset* CopysetLoop::Find(raft::GroupId id) {
  auto it = copysets_.find(id);
  return it == copysets_.end() ? nullptr : it->second.get();
}

void CopysetLoop::Create(const CopysetDescription& d, std::function<void(Status)> done) {
  if (const HeldCopyset* there = Find(d.id)) {
    return done(there->description.self == d.self
                    ? Status()
                    : Status(Code::kBusy, "copyset " + std::to_string(d.id.value) + " is here as replica " +
                                              std::to_string(there->description.self.value)));
  }
  if (!creating_.insert(d.id).second)
    return done({Code::kBusy, "copyset " + std::to_string(d.id.value) + " is being made"});
  struct Work {
    Status status;
    std::unique_ptr<HeldCopyset> held;
  };
  auto work = std::make_shared<Work>();
  work->held = Hold(d);
  background_->Run(
      [this, work] {
        HeldCopyset& held = *work->held;
        const CopysetDescription& description = held.description;
        work->status = [&]() -> Status {
          CURVEFS_CHECK_OK(parts_.dir->Describe(description));
          CURVEFS_TRY(
              held.copyset,
              ReplicatedCopyset::Open(*parts_.disk, parts_.dir->CopysetDir(description.id), description.first,
                                      held.fs, Clock::System(), *background_, parts_.copyset));
          return {};
        }();
      },
      [this, work, id = d.id, done = std::move(done)] {
        creating_.erase(id);
        if (work->status.ok()) work->status = Add(std::move(work->held), true);
        if (!work->status.ok()) {
          work->held.reset();
          if (Status s = parts_.dir->Withdraw(id); !s.ok())
            Log(LogLevel::kWarning,
                "what is left of copyset " + std::to_string(id.value) + ": " + s.ToString());
        }
        done(work->status);
      });
}

Status CopysetLoop::Destroy(raft::GroupId id) {
  auto it = copysets_.find(id);
  if (it == copysets_.end()) return {Code::kNotFound, "copyset " + std::to_string(id.value) + " is not here"};
  // From here on it is gone for whoever starts next, whatever comes in between.
  CURVEFS_CHECK_OK(parts_.dir->Withdraw(id));
  CURVEFS_CHECK_OK(host_->Destroy(id));
  // Its background work may still be under way; the thread does one piece after another.
  std::shared_ptr<HeldCopyset> held = std::move(it->second);
  copysets_.erase(it);
  parts_.forget_routes(id);
  background_->Run(
      [this, id] {
        Status s = parts_.log->Sync();
        if (s.ok()) s = parts_.dir->Erase(id);
        if (!s.ok())
          Log(LogLevel::kWarning, "deleting copyset " + std::to_string(id.value) + ": " + s.ToString());
      },
      [held] {});
  return {};
}

bool CopysetLoop::HandOver(uint64_t attempt) {
  bool led = false;
  for (auto& [id, held] : copysets_) {
    const raft::GroupStatus status = held->group->status();
    if (!status.leads || status.members.voters.size() < 2) continue;
    led = true;
    // A different one for each group, so that the load is spread.
    std::vector<raft::ReplicaId> others;
    std::ranges::copy_if(status.members.voters, std::back_inserter(others),
                         [&](raft::ReplicaId replica) { return replica != status.self; });
    (void)held->group->TransferLeadership(others[(id.value / 2 + attempt) % others.size()]);
  }
  return !led;
}

}  // namespace curvefs::metaserver
