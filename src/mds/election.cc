#include "mds/election.h"

#include <utility>

#include "base/log.h"

namespace curvefs::mds {
namespace {

constexpr Duration kObserveAgain = std::chrono::seconds(1);

}  // namespace

Election::Election(Loop& loop, Coordinator& coordinator, ElectionOptions options, Events events)
    : loop_(loop),
      coordinator_(coordinator),
      options_(std::move(options)),
      events_(std::move(events)),
      rules_(options_) {
  CURVEFS_CHECK(options_.Check().ok());
}

Election::~Election() = default;

void Election::Start() {
  if (!observing_) Observe();
  Run(rules_.Start(now()));
}

void Election::Resign(Duration limit, std::function<void()> done) {
  const LeaseId lease = rules_.lease();
  Effects effects = rules_.Resign(now());
  std::erase_if(effects, [](const Effect& e) { return e.kind == Effect::Kind::kRevoke; });
  Run(std::move(effects));
  if (!lease) return loop_.Post(std::move(done));
  coordinator_.Revoke(lease, limit, [done = std::move(done)](const auto&) { done(); });
}

std::string Election::leader() const {
  if (leads()) return options_.name;
  const Entry* oldest = nullptr;
  for (const auto& [key, entry] : candidates_) {
    if (oldest == nullptr || entry.created < oldest->created) oldest = &entry;
  }
  return oldest == nullptr ? "" : oldest->value;
}

void Election::Run(Effects effects) {
  for (const Effect& effect : effects) RunOne(effect);
  AwaitTick();
}

void Election::RunOne(const Effect& e) {
  using Kind = Effect::Kind;
  const uint64_t round = e.round;
  switch (e.kind) {
    case Kind::kGrant:
      coordinator_.Grant(options_.lease_time, e.limit, IfAlive([=, this](const Result<LeaseId>& r) {
                           Run(rules_.Granted(now(), round, r));
                         }));
      break;
    case Kind::kEnter:
      Enter(e);
      break;
    case Kind::kList:
      coordinator_.List(
          KeyRange::Prefix(options_.prefix), 0, 0, e.limit,
          IfAlive([=, this](const Result<Listing>& r) { Run(rules_.Listed(now(), round, r)); }));
      break;
    case Kind::kAwaitEnd:
      before_ = coordinator_.Watching(KeyRange::Key(e.key), e.revision,
                                      IfAlive([=, this](const Result<std::vector<Event>>& events) {
                                        bool ended = !events;  // not known any more: look again
                                        for (size_t i = 0; events && i < events->size(); ++i)
                                          ended |= (*events)[i].deleted;
                                        if (!ended) return;
                                        before_.reset();
                                        Run(rules_.Ended(now(), round));
                                      }));
      break;
    case Kind::kGetOwn:
      coordinator_.Get(rules_.own_key(), e.limit, IfAlive([=, this](const Result<std::optional<Entry>>& r) {
                         Run(rules_.Got(now(), round, r));
                       }));
      break;
    case Kind::kKeepAlive:
      coordinator_.KeepAlive(e.lease, e.limit, IfAlive([=, this, asked = now()](const Result<Duration>& r) {
                               Run(rules_.KeptAlive(now(), round, asked, r));
                             }));
      break;
    case Kind::kRevoke:
      before_.reset();
      coordinator_.Revoke(e.lease, e.limit, [](const auto&) {});
      break;
    case Kind::kLead:
      Log(LogLevel::kInfo, options_.name + " leads, term of office " + std::to_string(rules_.term()));
      events_.lead(rules_.term());
      break;
    case Kind::kStop:
      Log(LogLevel::kWarning, options_.name + " leads no more: " + e.why);
      events_.stop(e.why);
      break;
  }
}

void Election::Enter(const Effect& e) {
  Transaction put{{{rules_.own_key(), Condition::Of::kCreated, 0}},
                  {{rules_.own_key(), options_.name, e.lease}}};
  coordinator_.Commit(std::move(put), e.limit, IfAlive([=, this](const Result<Outcome>& outcome) {
                        Result<Revision> created = 0;
                        if (!outcome) {
                          created = Fail(outcome.error());
                        } else if (!outcome->made) {
                          created = Fail(Code::kExists, "a key with the own lease is there already");
                        } else {
                          created = outcome->revision;
                        }
                        Run(rules_.Entered(now(), e.round, created));
                      }));
}

void Election::AwaitTick() {
  const auto wake = rules_.wake();
  if (!wake || (ticks_at_ && *ticks_at_ <= *wake && *ticks_at_ > now())) return;
  ticks_at_ = *wake;
  loop_.After(std::max(*wake - now(), Duration::zero()), IfAlive([this, at = *wake] {
                if (ticks_at_ == at) ticks_at_.reset();
                Run(rules_.Tick(now()));
              }));
}

// Lists the candidates, then follows what becomes of them.
void Election::Observe() {
  observing_ = true;
  observer_.reset();
  coordinator_.List(KeyRange::Prefix(options_.prefix), 0, 0, options_.get_timeout,
                    IfAlive([this](const Result<Listing>& listing) {
                      if (!listing) return loop_.After(kObserveAgain, IfAlive([this] { Observe(); }));
                      candidates_.clear();
                      for (const Entry& entry : listing->entries) candidates_[entry.key] = entry;
                      observer_ =
                          coordinator_.Watching(KeyRange::Prefix(options_.prefix), listing->revision + 1,
                                                IfAlive([this](const Result<std::vector<Event>>& events) {
                                                  if (!events)
                                                    return loop_.Post(IfAlive([this] { Observe(); }));
                                                  for (const Event& event : *events) {
                                                    if (!event.deleted) {
                                                      candidates_[event.entry.key] = event.entry;
                                                      continue;
                                                    }
                                                    candidates_.erase(event.entry.key);
                                                    if (event.entry.key == rules_.own_key())
                                                      Run(rules_.OwnKeyDeleted(now(), event.entry.changed));
                                                  }
                                                }));
                    }));
}

}  // namespace curvefs::mds
