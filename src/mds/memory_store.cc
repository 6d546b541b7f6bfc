#include "mds/memory_store.h"

#include <algorithm>
#include <utility>

namespace curvefs::mds {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(50);  // before a call is tried again

}  // namespace

// One watch of one client.
class MemoryWatch final : public Watch {
 public:
  MemoryWatch(MemoryStore& store, std::string client, KeyRange range, Revision from,
              Coordinator::Events events)
      : store_(store),
        store_alive_(store.alive_),
        client_(std::move(client)),
        range_(std::move(range)),
        next_(from),
        events_(std::move(events)) {
    store_.watches_.insert(this);
    Poke();
  }
  ~MemoryWatch() override {
    *alive_ = false;
    if (*store_alive_) store_.watches_.erase(this);
  }

  // Something may be there to tell; it is told a delay later.
  void Poke() {
    if (poked_ || ended_) return;
    poked_ = true;
    store_.loop_.After(store_.options_.delay, [this, alive = alive_, store = store_alive_] {
      if (!*alive || !*store) return;
      poked_ = false;
      Tell();
    });
  }

 private:
  void Tell() {
    if (!store_.reachable(client_) || store_.deaf_.contains(client_)) return;
    const Coordinator::Events tell = events_;  // which may end this watch
    if (next_ <= store_.forgotten_) {
      ended_ = true;
      return tell(Fail(Code::kStale, "revision " + std::to_string(next_) + " is forgotten"));
    }
    std::vector<Event> events;
    for (const Event& event : store_.history_) {
      if (event.entry.changed >= next_ && range_.Holds(event.entry.key)) events.push_back(event);
    }
    next_ = std::max(next_, store_.revision_ + 1);
    if (!events.empty()) tell(std::move(events));
  }

  MemoryStore& store_;
  const std::shared_ptr<bool> store_alive_;
  const std::string client_;
  const KeyRange range_;
  Revision next_;
  const Coordinator::Events events_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool poked_ = false, ended_ = false;
};

class MemoryCoordinator final : public Coordinator {
 public:
  MemoryCoordinator(MemoryStore& store, std::string client)
      : store_(store), loop_(store.loop_), store_alive_(store.alive_), client_(std::move(client)) {}
  ~MemoryCoordinator() override { *alive_ = false; }

  void List(const KeyRange& range, size_t count, Revision at, Duration limit, Done<Listing> done) override {
    Ask<Listing>(limit, std::move(done), Code::kUnavailable, {},
                 [=, this] { return Look(range, count, at); });
  }
  void Commit(Transaction transaction, Duration limit, Done<Outcome> done) override {
    MemoryStore::Fault fault;
    if (*store_alive_ && store_.fault_ && store_.reachable(client_))
      fault = store_.fault_(client_, transaction);
    Ask<Outcome>(
        limit, std::move(done), Code::kTimedOut, fault,
        [&store = store_, client = client_, t = std::move(transaction)] { return store.Apply(client, t); });
  }
  void Grant(Duration time, Duration limit, Done<LeaseId> done) override {
    Ask<LeaseId>(limit, std::move(done), Code::kTimedOut, {}, [this, time]() -> Result<LeaseId> {
      const LeaseId id(++store_.last_lease_);
      const Duration least = std::max(time, store_.options_.least_lease);
      store_.leases_[id] = {least, loop_.clock().Steady() + least, {}};
      store_.AwaitLapse(id);
      return id;
    });
  }
  void KeepAlive(LeaseId lease, Duration limit, Done<Duration> done) override {
    Ask<Duration>(limit, std::move(done), Code::kUnavailable, {}, [this, lease]() -> Result<Duration> {
      auto found = store_.leases_.find(lease);
      if (found == store_.leases_.end()) return Fail(Code::kNotFound);
      found->second.end = loop_.clock().Steady() + found->second.time;
      return found->second.time;
    });
  }
  void Revoke(LeaseId lease, Duration limit, Done<std::monostate> done) override {
    Ask<std::monostate>(limit, std::move(done), Code::kTimedOut, {},
                        [this, lease]() -> Result<std::monostate> {
                          if (!store_.leases_.contains(lease)) return Fail(Code::kNotFound);
                          store_.EndLease(lease);
                          return std::monostate();
                        });
  }
  std::unique_ptr<Watch> Watching(const KeyRange& range, Revision from, Events events) override {
    return std::make_unique<MemoryWatch>(store_, client_, range, from, std::move(events));
  }

 private:
  Result<Listing> Look(const KeyRange& range, size_t count, Revision at) {
    if (at > store_.revision_) return Fail(Code::kInvalid, "a revision that is not yet");
    if (at != 0 && at <= store_.forgotten_) return Fail(Code::kStale);
    std::map<std::string, Entry> entries;
    if (at == 0) {
      entries = store_.entries_;
    } else {
      for (const Event& event : store_.history_) {
        if (event.entry.changed > at) break;
        if (event.deleted) {
          entries.erase(event.entry.key);
        } else {
          entries[event.entry.key] = event.entry;
        }
      }
    }
    Listing listing{.revision = store_.revision_};
    for (auto e = entries.lower_bound(range.begin); e != entries.end() && e->first < range.end; ++e) {
      listing.more = count != 0 && listing.entries.size() == count;
      if (listing.more) break;
      listing.entries.push_back(e->second);
    }
    return listing;
  }

  // A call under way: `work` is done in the store a delay from now, its answer comes another one later. What
  // of that does not come about ends with `lost` when the limit has passed.
  template <typename T>
  struct Call {
    Done<T> done;
    Code lost = Code::kUnavailable;
    MemoryStore::Fault fault;
    std::function<Result<T>()> work;
    bool ended = false;

    void End(Result<T> result) {
      if (std::exchange(ended, true)) return;
      std::exchange(done, {})(std::move(result));
    }
  };

  template <typename T, typename Work>
  void Ask(Duration limit, Done<T> done, Code lost, MemoryStore::Fault fault, Work work) {
    auto call = std::make_shared<Call<T>>(Call<T>{std::move(done), lost, fault, std::move(work)});
    loop_.After(limit, [call, alive = alive_] {
      if (*alive) call->End(Fail(call->lost, "the store did not answer in time"));
    });
    if (!fault.lose_request) Attempt(call);
  }

  template <typename T>
  void Attempt(const std::shared_ptr<Call<T>>& call) {
    if (!*store_alive_ || !store_.reachable(client_)) return Again(call);
    const Duration delay = store_.options_.delay;
    loop_.After(delay + call->fault.late,
                [=, this, alive = alive_, store = store_alive_, &memory = store_, client = client_] {
                  // A commit on its way arrives, whatever has become of its sender.
                  if (!*store || (!*alive && !std::is_same_v<T, Outcome>)) return;
                  if (!memory.reachable(client)) return *alive ? Again(call) : void();
                  Result<T> result = call->work();
                  if (call->fault.lose_reply || call->fault.late > Duration()) return;
                  memory.loop_.After(delay, [=, this, &memory] {
                    if (!*alive || !*store) return;
                    if (!memory.reachable(client)) return Again(call);
                    call->End(result);
                  });
                });
  }

  // What does no harm if it arrives twice is tried until the limit, as etcd's client does with one endpoint
  // after another.
  template <typename T>
  void Again(const std::shared_ptr<Call<T>>& call) {
    if (call->ended || call->lost == Code::kTimedOut) return;
    loop_.After(kPause, [this, call, alive = alive_] {
      if (*alive) Attempt(call);
    });
  }

  MemoryStore& store_;
  Loop& loop_;
  const std::shared_ptr<bool> store_alive_;
  const std::string client_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

MemoryStore::MemoryStore(Loop& loop) : MemoryStore(loop, Options()) {}
MemoryStore::MemoryStore(Loop& loop, Options options) : loop_(loop), options_(options) {}
MemoryStore::~MemoryStore() {
  *alive_ = false;
}

std::unique_ptr<Coordinator> MemoryStore::Connect(const std::string& client) {
  return std::make_unique<MemoryCoordinator>(*this, client);
}

Result<Outcome> MemoryStore::Apply(const std::string& client, const Transaction& transaction) {
  for (const auto& condition : transaction.conditions) {
    const auto found = entries_.find(condition.key);
    Revision is = 0;
    if (found != entries_.end())
      is = condition.of == Condition::Of::kCreated ? found->second.created : found->second.changed;
    if (is != condition.revision) return Outcome{false, revision_};
  }
  std::set<std::string> keys;
  size_t bytes = 0;
  for (const mds::Change& change : transaction.changes) {
    if (!keys.insert(change.key).second) return Fail(Code::kInvalid, "a key twice");
    if (change.value && change.lease && !leases_.contains(change.lease))
      return Fail(Code::kNotFound, "no such lease");
    bytes += change.key.size() + change.value.value_or("").size();
  }
  if (transaction.changes.size() > kMaxTransactionChanges || bytes > kMaxTransactionBytes)
    return Fail(Code::kTooBig);
  const Revision revision = revision_ + 1;
  const size_t before = history_.size();
  for (const mds::Change& change : transaction.changes) Change(change, revision);
  if (history_.size() > before) revision_ = revision;
  if (watcher_) watcher_(client, transaction, revision_);
  Poke();
  return Outcome{true, revision_};
}

void MemoryStore::Change(const mds::Change& change, Revision revision) {
  auto found = entries_.find(change.key);
  if (found != entries_.end() && found->second.lease) leases_[found->second.lease].keys.erase(change.key);
  if (!change.value) {
    if (found == entries_.end()) return;
    entries_.erase(found);
    history_.push_back({.deleted = true, .entry = {.key = change.key, .changed = revision}});
    return;
  }
  Entry& entry = entries_[change.key];
  entry = {change.key, *change.value, entry.created != 0 ? entry.created : revision, revision, change.lease};
  if (change.lease) leases_[change.lease].keys.insert(change.key);
  history_.push_back({.deleted = false, .entry = entry});
}

void MemoryStore::EndLease(LeaseId id) {
  const std::set<std::string> keys = leases_.at(id).keys;
  for (const std::string& key : keys) Change({key, std::nullopt, {}}, revision_ + 1);
  if (!keys.empty()) ++revision_;
  leases_.erase(id);
  Poke();
}

void MemoryStore::AwaitLapse(LeaseId id) {
  auto found = leases_.find(id);
  if (found == leases_.end()) return;
  const SteadyTime now = loop_.clock().Steady();
  if (!down_ && found->second.end <= now) return EndLease(id);
  const Duration wait = down_ ? found->second.time : found->second.end - now;
  loop_.After(wait, [this, id, alive = alive_] {
    if (*alive) AwaitLapse(id);
  });
}

void MemoryStore::Poke() {
  for (MemoryWatch* watch : watches_) watch->Poke();
}

void MemoryStore::Cut(const std::string& client, bool cut) {
  if (cut) {
    cut_.insert(client);
  } else {
    cut_.erase(client);
  }
  Poke();
}

void MemoryStore::Deafen(const std::string& client, bool deaf) {
  if (deaf) {
    deaf_.insert(client);
  } else {
    deaf_.erase(client);
  }
  Poke();
}

void MemoryStore::SetDown(bool down) {
  if (down_ && !down) {
    for (auto& [id, lease] : leases_) lease.end = loop_.clock().Steady() + lease.time;
  }
  down_ = down;
  Poke();
}

void MemoryStore::Lapse(const std::vector<LeaseId>& leases) {
  for (LeaseId id : leases) {
    if (leases_.contains(id)) EndLease(id);
  }
}

void MemoryStore::LapseAll() {
  Lapse(leases());
}

void MemoryStore::Compact(Revision revision) {
  forgotten_ = std::max(forgotten_, revision - 1);
}

std::vector<LeaseId> MemoryStore::leases() const {
  std::vector<LeaseId> ids;
  for (const auto& [id, lease] : leases_) ids.push_back(id);
  return ids;
}

}  // namespace curvefs::mds
