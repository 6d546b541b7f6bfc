// Coordinator: the store that several MDS share, and by which one of them is elected. What the MDS wants of
// it and no more: ordered keys with revisions, transactions conditioned on them, leases and watches.
// EtcdCoordinator is etcd; MemoryStore is for tests, with a clock and faults of theirs. Both pass
// coordinator_test.cc. Elections are made of these calls (election.h).
//
// Every change of the store has a revision, 1 and up. A key knows the one that created it and the one that
// changed it last; deleted and put again, it is created anew.
//
// Thread: a coordinator belongs to a loop. It is called there, and calls back there, later, never from within
// the call. A callback runs once, except that nothing is called back once the coordinator is gone. `limit` is
// how long a call may take; then it ends by itself.
//
// Errors of every call: kUnavailable: no answer could be had; a change has not been made. kTimedOut: of a
// change, the outcome is not known: it may have been made, or may still be. kInvalid, kTooBig, kAccessDenied:
// the request is refused.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/status.h"

namespace curvefs::mds {

using Revision = int64_t;
using LeaseId = StrongId<struct LeaseIdTag, int64_t>;  // 0: none

struct Entry {
  std::string key, value;
  Revision created = 0, changed = 0;
  LeaseId lease;  // with which it goes
};

// Keys from `begin` to before `end`.
struct KeyRange {
  std::string begin, end;

  static KeyRange Prefix(const std::string& prefix);  // not empty, and not all 0xff
  static KeyRange Key(const std::string& key) { return {key, key + '\0'}; }
  bool Holds(const std::string& key) const { return key >= begin && key < end; }
};

struct Listing {
  std::vector<Entry> entries;  // by key
  bool more = false;           // there are others behind the last of them
  Revision revision = 0;       // of the store at that moment
};

// True if the key was created, or changed last, by exactly that revision; 0: it is not there.
struct Condition {
  enum class Of { kCreated, kChanged };
  std::string key;
  Of of = Of::kChanged;
  Revision revision = 0;
};

struct Change {
  std::string key;
  std::optional<std::string> value;  // none: the key is deleted
  LeaseId lease;                     // of a value
};

// All changes, or none if a condition does not hold. No key twice.
struct Transaction {
  std::vector<Condition> conditions;
  std::vector<Change> changes;
};
// etcd's own limits, by default 128 and 1.5 MiB, less what a request costs besides.
inline constexpr size_t kMaxTransactionChanges = 100;
inline constexpr size_t kMaxTransactionBytes = 1 << 20;

struct Outcome {
  bool made = false;      // the conditions held
  Revision revision = 0;  // of the store behind it; if made, that of all its changes
};

struct Event {
  bool deleted = false;
  Entry entry;  // deleted: key and the revision (`changed`) that deleted it
};

// Watches as long as it lives.
class Watch {
 public:
  virtual ~Watch() = default;
};

class Coordinator {
 public:
  template <typename T>
  using Done = std::function<void(Result<T>)>;

  virtual ~Coordinator() = default;

  // Linearizable. `count`: the most entries; 0: all. `at`: as of that revision; 0: now. kStale: that is
  // forgotten.
  virtual void List(const KeyRange& range, size_t count, Revision at, Duration limit, Done<Listing> done) = 0;
  // One key; nothing if it is not there.
  void Get(const std::string& key, Duration limit, Done<std::optional<Entry>> done);

  // kNotFound: a lease that it names is not there; nothing was changed.
  virtual void Commit(Transaction transaction, Duration limit, Done<Outcome> done) = 0;

  // A lease ends when it has not been kept alive for `time` (whole seconds, and at least what the store
  // allows), and its keys go with it. A store that was away gives its leases their full time again.
  virtual void Grant(Duration time, Duration limit, Done<LeaseId> done) = 0;
  virtual void KeepAlive(LeaseId lease, Duration limit, Done<Duration> done) = 0;  // kNotFound: it has ended
  virtual void Revoke(LeaseId lease, Duration limit,
                      Done<std::monostate> done) = 0;  // kNotFound: it has ended

  // All changes in `range` with revision `from` (at least 1) or later, in order, each once, however often the
  // way to the store breaks in between. Events of one transaction may come in several calls. kStale: `from`
  // is forgotten; it is the last that comes, and one lists anew. Other errors do not come. The watch is
  // destroyed before its coordinator, and may be in its own callback.
  using Events = std::function<void(Result<std::vector<Event>>)>;
  virtual std::unique_ptr<Watch> Watching(const KeyRange& range, Revision from, Events events) = 0;
};

}  // namespace curvefs::mds
