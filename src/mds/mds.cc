#include "mds/mds.h"

#include <algorithm>
#include <vector>

#include "base/log.h"

namespace curvefs::mds {
namespace {

constexpr Duration kStepDownAfter = std::chrono::seconds(2);  // when the state cannot be loaded

MdsOptions WithPrefixes(MdsOptions options) {
  options.election.prefix = options.prefix + "election/";
  options.ledger.prefix = options.prefix + "state/";
  return options;
}

}  // namespace

Mds::Mds(Loop& loop, Coordinator& coordinator, Metaservers* metaservers, MdsOptions options)
    : loop_(loop),
      coordinator_(coordinator),
      metaservers_(metaservers),
      options_(WithPrefixes(std::move(options))),
      election_(loop, coordinator, options_.election,
                {.lead = [this](Revision) { Lead(); }, .stop = [this](const std::string&) { Stop(); }}),
      state_(std::make_unique<State>()) {
  CURVEFS_CHECK(options_.random != nullptr);
}

Mds::~Mds() {
  Stop();
}

void Mds::Start() {
  election_.Start();
}

void Mds::Resign(Duration limit, std::function<void()> done) {
  CURVEFS_CHECK(!std::exchange(resigning_, true));
  const SteadyTime end = loop_.clock().Steady() + limit;
  auto resign = [this, end, done = std::move(done)]() mutable {
    election_.Resign(std::max(end - loop_.clock().Steady(), Duration(1)), std::move(done));
  };
  if (!serves_) return resign();
  // No new ones from now on; when those that came are durable, the office ends. Or when there is no more
  // time.
  auto once = std::make_shared<std::function<void()>>(std::move(resign));
  auto run = [once] {
    if (auto f = std::exchange(*once, nullptr)) f();
  };
  ledger_->Append({}, IfAlive([this, run](const Status&) { loop_.Post(IfAlive(run)); }));
  loop_.After(limit, IfAlive(run));
}

void Mds::Lead() {
  ++counters_.offices;
  elected_ = loop_.clock().Steady();
  state_ = std::make_unique<State>();
  volatile_ = {};
  volatile_.random = options_.random;
  volatile_.now_s = [this] { return loop_.clock().Wall().sec(); };
  volatile_.session_time_ms = static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.session_time).count());
  seen_.clear();
  ledger_ = std::make_unique<Ledger>(
      loop_, coordinator_, options_.ledger, election_.Fence(), IfAlive([this](const Status& status) {
        // From within the ledger: it goes when it has returned.
        SetServes(false);
        loop_.Post(IfAlive(
            [this, status] { election_.StepDown("the state cannot be written: " + status.ToString()); }));
      }));
  ledger_->Load(IfAlive([this](Result<Ledger::Pairs> pairs) { Loaded(std::move(pairs)); }));
}

void Mds::Loaded(Result<Ledger::Pairs> pairs) {
  Status status = pairs ? Status() : pairs.error();
  for (size_t i = 0; status.ok() && i < pairs->size(); ++i)
    status = state_->Load((*pairs)[i].first, (*pairs)[i].second);
  if (!status.ok()) {
    Log(LogLevel::kError, "the state of the cluster cannot be loaded: " + status.ToString());
    // Another one may be able to (a newer program); if none is, they need not take turns by the millisecond.
    return loop_.After(kStepDownAfter, IfAlive([this, status, office = counters_.offices] {
                         if (office == counters_.offices)
                           election_.StepDown("the state cannot be loaded: " + status.ToString());
                       }));
  }
  // Who has mounted has a whole session time again to say so.
  for (const auto& [key, mount] : state_->All<proto::Mountpoint>())
    seen_[{mount.fs_id(), mount.session_id()}] = loop_.clock().Steady();
  SetServes(true);
  counters_.load_time = loop_.clock().Steady() - elected_;
  ExpireSessions();
  auto change = [this](const std::function<Status(Draft&, Volatile&)>& operation, Done done) {
    Change(operation, std::move(done));
  };
  dispatcher_ = std::make_unique<Dispatcher>(loop_, *state_, volatile_, static_cast<uint64_t>(term()),
                                             options_.dispatcher, change);
  if (metaservers_ != nullptr) {
    builder_ =
        std::make_unique<Builder>(loop_, *state_, *metaservers_, static_cast<uint64_t>(term()), change);
  }
}

void Mds::SetServes(bool serves) {
  if (std::exchange(serves_, serves) != serves && options_.serves) options_.serves(serves);
}

void Mds::Stop() {
  SetServes(false);
  builder_.reset();
  dispatcher_.reset();
  // What waits is told; an answer may ask something else, which is refused.
  auto ledger = std::move(ledger_);
}

Status Mds::Refusal() {
  ++counters_.refused;
  if (election_.leads()) return {Code::kUnavailable, "this MDS is beginning or ending to serve"};
  return {Code::kNotLeader, "this MDS does not lead"};
}

void Mds::Change(const std::function<Status(Draft&, Volatile&)>& operation, Done done) {
  if (!serves_ || resigning_) return done(Refusal());
  ++counters_.changes;
  std::vector<mds::Change> changes;
  Status status;
  {
    Draft draft(*state_);
    status = operation(draft, volatile_);
    if (status.ok() && draft.size() > Ledger::kMaxAppend)
      status = {Code::kTooBig, "too much for one change of the state"};
    if (status.ok()) changes = draft.Take();
  }
  // A refusal may rest on what is not durable yet, so it waits as well.
  ledger_->Append(std::move(changes), [status = std::move(status), done = std::move(done)](
                                          const Status& durable) { done(durable.ok() ? status : durable); });
}

void Mds::Read(const std::function<Status(const State&)>& operation, Done done) {
  if (!serves_ || resigning_) return done(Refusal());
  ++counters_.reads;
  Status status = operation(*state_);
  ledger_->Append({}, [status = std::move(status), done = std::move(done)](const Status& durable) {
    // Nothing was to be changed, so nothing is unknown.
    done(durable.ok() ? status : Status(Code::kNotLeader));
  });
}

void Mds::RefreshSession(uint32_t fs, uint64_t session, Done done) {
  Read(
      [=, this](const State& state) -> Status {
        if (state.Find<proto::Mountpoint>(MountKey(fs, session)) == nullptr)
          return {Code::kFenced, "the session has ended"};
        seen_[{fs, session}] = loop_.clock().Steady();
        return {};
      },
      std::move(done));
}

void Mds::Dispatch(const std::function<Status(Dispatcher&)>& operation, Done done) {
  if (!serves_ || resigning_ || dispatcher_ == nullptr) return done(Refusal());
  ++counters_.reads;
  Status status = operation(*dispatcher_);
  // What a metaserver is told rests on what is durable, and on this MDS being the one that leads.
  ledger_->Append({}, [status = std::move(status), done = std::move(done)](const Status& durable) {
    done(durable.ok() ? status : Status(Code::kNotLeader));
  });
}

// Looks for mounts that have said nothing for a session time, every eighth of it.
void Mds::ExpireSessions() {
  if (!serves_) return;
  const SteadyTime now = loop_.clock().Steady();
  std::vector<std::pair<uint32_t, uint64_t>> ended;
  for (const auto& [key, mount] : state_->All<proto::Mountpoint>()) {
    const std::pair<uint32_t, uint64_t> id{mount.fs_id(), mount.session_id()};
    // A new one counts from when it is first seen here.
    if (now - seen_.try_emplace(id, now).first->second >= options_.session_time) ended.push_back(id);
  }
  for (const auto& id : ended) {
    if (!serves_ || resigning_) return;
    seen_.erase(id);
    ++counters_.sessions_expired;
    Change([id](Draft& draft, Volatile&) { return EndMount(draft, id.first, id.second); },
           [](const Status&) {});
  }
  std::erase_if(seen_, [&](const auto& s) {
    return state_->Find<proto::Mountpoint>(MountKey(s.first.first, s.first.second)) == nullptr;
  });
  loop_.After(options_.session_time / 8, IfAlive([this, office = counters_.offices] {
                if (office == counters_.offices) ExpireSessions();
              }));
}

MdsCounters Mds::counters() const {
  MdsCounters counters = counters_;
  if (ledger_) {
    counters.commits = ledger_->commits();
    counters.unknown_outcomes = ledger_->unknown();
  }
  return counters;
}

}  // namespace curvefs::mds
