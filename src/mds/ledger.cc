#include "mds/ledger.h"

#include <utility>

namespace curvefs::mds {
namespace {

constexpr const char* kSerial = "serial";
constexpr Duration kPause = std::chrono::milliseconds(100);  // between two looks

size_t BytesOf(const std::vector<Change>& changes) {
  size_t bytes = 0;
  for (const Change& change : changes) bytes += change.key.size() + change.value.value_or("").size();
  return bytes;
}

}  // namespace

Ledger::Ledger(Loop& loop, Coordinator& coordinator, LedgerOptions options, Condition fence,
               std::function<void(const Status&)> failed)
    : loop_(loop),
      coordinator_(coordinator),
      options_(std::move(options)),
      fence_(std::move(fence)),
      failed_(std::move(failed)) {}

Ledger::~Ledger() {
  over_ = true;
  for (Done& done : std::exchange(sent_, {})) done(Status(Code::kTimedOut, "this MDS leads no more"));
  for (Waiting& waiting : std::exchange(queue_, {})) waiting.done(Status(Code::kNotLeader));
}

void Ledger::Load(std::function<void(Result<Pairs>)> done) {
  LoadPage(std::make_shared<Pairs>(), options_.prefix, 0, std::move(done));
}

void Ledger::LoadPage(std::shared_ptr<Pairs> pairs, std::string from, Revision at,
                      std::function<void(Result<Pairs>)> done) {
  const KeyRange rest{std::move(from), KeyRange::Prefix(options_.prefix).end};
  coordinator_.List(rest, options_.page, at, options_.read_limit, IfAlive([=, this](Result<Listing> listing) {
                      if (!listing) {
                        // Forgotten while it was read: from the beginning, as it is now.
                        if (listing.error().code() == Code::kStale) return Load(done);
                        return done(curvefs::Fail(listing.error()));
                      }
                      for (Entry& entry : listing->entries) {
                        std::string key = entry.key.substr(options_.prefix.size());
                        if (key == kSerial) {
                          serial_changed_ = entry.changed;
                        } else {
                          pairs->emplace_back(std::move(key), std::move(entry.value));
                        }
                      }
                      if (!listing->more) return done(std::move(*pairs));
                      LoadPage(pairs, listing->entries.back().key + '\0', at != 0 ? at : listing->revision,
                               done);
                    }));
}

void Ledger::Append(std::vector<Change> changes, Done done) {
  CURVEFS_CHECK(changes.size() <= kMaxAppend);
  if (over_) return loop_.Post([done = std::move(done)] { done(Status(Code::kNotLeader)); });
  if (BytesOf(changes) > kMaxTransactionBytes / 2) {
    return loop_.Post([done = std::move(done)] { done(Status(Code::kTooBig, "a change of over 512 KiB")); });
  }
  queue_.push_back({std::move(changes), std::move(done)});
  if (!under_way_) Send();
}

std::string Ledger::SerialValue() const {
  return std::to_string(fence_.revision) + "/" + std::to_string(number_);
}

// The next group: as many as fit. Of changes of one key the last counts.
void Ledger::Send() {
  std::map<std::string, Change> changes;
  size_t bytes = 0;
  while (!queue_.empty() && !over_) {
    Waiting& next = queue_.front();
    bytes += BytesOf(next.changes);
    if (!sent_.empty() &&
        (changes.size() + next.changes.size() > kMaxAppend || bytes > kMaxTransactionBytes / 2))
      break;
    for (Change& change : next.changes) changes[change.key] = std::move(change);
    sent_.push_back(std::move(next.done));
    queue_.pop_front();
  }
  if (sent_.empty()) return;
  if (changes.empty()) {
    // Only those who wait for what was before, and that is done. Later, as all answers.
    under_way_ = true;
    return loop_.Post(IfAlive([this] { Committed(serial_changed_); }));
  }
  under_way_ = true;
  unsure_ = false;
  ++number_;
  const std::string serial = options_.prefix + kSerial;
  transaction_ = {};
  if (!options_.canary_unfenced) {
    transaction_.conditions = {fence_, {serial, Condition::Of::kChanged, serial_changed_}};
  }
  transaction_.changes.push_back({serial, SerialValue(), {}});
  for (auto& [key, change] : changes) {
    change.key = options_.prefix + change.key;
    transaction_.changes.push_back(std::move(change));
  }
  Attempt();
}

void Ledger::Attempt() {
  coordinator_.Commit(transaction_, options_.commit_limit,
                      IfAlive([this](const Result<Outcome>& outcome) { Ended(outcome); }));
}

void Ledger::Ended(const Result<Outcome>& outcome) {
  if (outcome && outcome->made) return Committed(outcome->revision);
  if (outcome) {
    // If it was sent before, that one may have been made.
    if (unsure_) return LookAtSerial(true);
    return Fail({Code::kFenced, "somebody else leads"});
  }
  if (outcome.error().code() != Code::kTimedOut && outcome.error().code() != Code::kUnavailable)
    return Fail(outcome.error());
  ++unknown_;
  unsure_ = true;
  LookAtSerial(false);
}

// `refused`: by conditions that did not hold.
void Ledger::LookAtSerial(bool refused) {
  coordinator_.Get(options_.prefix + kSerial, options_.read_limit,
                   IfAlive([=, this](const Result<std::optional<Entry>>& serial) {
                     // The election notices when there is no store any more; until then it is tried.
                     if (!serial) return loop_.After(kPause, IfAlive([=, this] { LookAtSerial(refused); }));
                     if (*serial && (*serial)->value == SerialValue()) return Committed((*serial)->changed);
                     // Not made, so far. It can be made no more by anybody but us, unless the serial is
                     // another's.
                     if (refused || (*serial ? (*serial)->changed : 0) != serial_changed_)
                       return Fail({Code::kFenced, "somebody else leads"});
                     loop_.After(kPause, IfAlive([this] { Attempt(); }));
                   }));
}

void Ledger::Committed(Revision revision) {
  if (!transaction_.changes.empty()) ++commits_;
  serial_changed_ = revision;
  transaction_ = {};
  under_way_ = false;
  const std::weak_ptr<bool> alive = alive_;
  for (Done& done : std::exchange(sent_, {})) done(Status());
  if (!alive.expired() && !under_way_) Send();
}

void Ledger::Fail(const Status& status) {
  over_ = true;
  const auto failed = failed_;
  for (Done& done : std::exchange(sent_, {}))
    done(unsure_ ? Status(Code::kTimedOut, status.message()) : Status(Code::kNotLeader));
  for (Waiting& waiting : std::exchange(queue_, {})) waiting.done(Status(Code::kNotLeader));
  failed(status);
}

}  // namespace curvefs::mds
