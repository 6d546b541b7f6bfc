// LeaseTable: what clients keep of a copyset's metadata, and answer from without asking (read leases, DESIGN
// §5; docs/adr/0013-read-leases.md). The leader has it in its memory.
//
// A session holds parts of inodes: its attributes, the names in it. Before a change of a part is proposed,
// everybody else who holds it is told to drop it, and has done so, or can no longer rely on it since its time
// is up; and nobody gets the part before the change is applied. Who makes the change keeps what it holds, and
// is told how it is now.
//
// What a client may rely on ends with its time: of all its parts at once, extended by each of its requests. A
// client that is told by the same connection by which it is answered hears of a part before it hears of more
// time; so one that has let its time run out need not be waited for. Another connection: the client has
// forgotten all it held.
//
// Pure. Not thread-safe: the copyset's loop owns it.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace curvefs::metaserver {

class LeaseTable {
 public:
  enum Part : uint8_t { kAttributes = 1, kNames = 2 };  // bits; names: the entries of a directory
  struct Item {
    FsId fs;
    InodeId inode;
    friend auto operator<=>(const Item&, const Item&) = default;
  };
  using Parts = std::map<Item, uint8_t>;

  struct Bounds {
    size_t of_session = 200'000, of_all = 1'000'000;  // items
  };
  // `number` is not 0: Dropped is to be called when the client has dropped them; `all`: everything.
  using Tell = std::function<void(uint64_t session, uint64_t number, const Parts& gone, bool all)>;

  explicit LeaseTable(Tell tell) : LeaseTable(std::move(tell), Bounds()) {}
  LeaseTable(Tell tell, Bounds bounds) : tell_(std::move(tell)), bounds_(bounds) {}

  // This leads, with nothing held; epochs are numbered on from `epoch`, which no leader has used before.
  void Start(uint64_t epoch);
  // Leads no more. Whoever waits is called.
  void Clear();

  // A request of a session that keeps leases came by that connection (numbered upwards). Returns the epoch:
  // while it stays the same the client may keep what it has. 0: the connection is not its last.
  uint64_t Hear(uint64_t session, uint64_t connection);
  // The session keeps it from now on. False: it must not, somebody is changing it; or it has too much.
  // `knows_own`: what it is told has its own changes that were answered early.
  bool Hold(uint64_t session, const Item& item, uint8_t parts, bool knows_own = false);
  // It has been told, behind all that it was answered before, that this is gone.
  void Release(uint64_t session, const Item& item);
  // It relies on what it holds until then.
  void Extend(uint64_t session, SteadyTime until);
  uint8_t Held(uint64_t session, const Item& item) const;
  bool Keeps(uint64_t session) const { return sessions_.contains(session); }
  uint64_t EpochOf(uint64_t session) const {
    auto it = sessions_.find(session);
    return it == sessions_.end() ? 0 : it->second.epoch;
  }
  bool anybody() const { return !sessions_.empty(); }
  size_t size() const { return holders_.size(); }

  // Session `self` (0: nobody) is about to propose a change of these. 0: nobody else relies on them. Not 0:
  // those who do have been told, and Await says when none relies on them any more; so long nobody gets them.
  uint64_t Recall(uint64_t self, const Parts& parts, SteadyTime now);
  // `then` runs once, never from within: when that recall is over, or in Clear.
  void Await(uint64_t recall, std::function<void()> then) { recalls_[recall].then = std::move(then); }
  // The change is proposed, and has its outcome. `early`: the session that was answered already, or 0; only
  // one session at a time.
  void Begin(const Parts& parts, uint64_t early = 0);
  void End(const Parts& parts, uint64_t early = 0);

  void Dropped(uint64_t session, uint64_t number);
  void Ended(uint64_t session);
  // Calls who waits for what nobody relies on by now; every few milliseconds or so.
  void Tick(SteadyTime now);
  bool waiting() const { return !recalls_.empty(); }

 private:
  struct ItemHash {
    size_t operator()(const Item& i) const {
      return static_cast<size_t>((i.inode.value ^ (uint64_t{i.fs.value} << 48)) * 0x9E3779B97F4A7C15U >> 7);
    }
  };
  struct Holder {
    uint64_t session = 0;
    uint8_t parts = 0;
  };
  struct Entry {
    uint64_t epoch = 0, connection = 0;
    SteadyTime until{};
    std::unordered_set<Item, ItemHash> items;
    uint64_t dropping_all = 0;  // the recall of everything it holds
  };
  struct Waiting {
    std::map<uint64_t, SteadyTime> sessions;  // each until when at most
    Parts parts;
    std::function<void()> then;
  };

  void ReleaseAll(Entry* entry, uint64_t session);
  void RunReady();

  const Tell tell_;
  const Bounds bounds_;
  uint64_t next_epoch_ = 0, next_recall_ = 0;
  std::map<uint64_t, Entry> sessions_;
  std::unordered_map<Item, std::vector<Holder>, ItemHash> holders_;
  struct Changes {
    uint32_t all = 0, early = 0;
    uint64_t early_of = 0;  // session
  };
  bool Changing(const Item& item, uint64_t session, bool knows_own) const;
  std::unordered_map<Item, Changes, ItemHash> changing_;
  std::map<uint64_t, Waiting> recalls_;
};

}  // namespace curvefs::metaserver
