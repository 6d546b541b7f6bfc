// SessionTable: what the leader of a copyset knows of its sessions: which requests are under way, which are
// remembered, when the client was last heard of, which files it has open.
//
// The truth is in the records (meta/session.h). The table is made from them when a replica becomes leader,
// and follows what is committed; it is lost with leadership. Whoever proposes a change says so with Start,
// and what became of it with Committed or Failed. Not thread-safe: the copyset's loop owns it.
//
// Bounds (base/limits.h): a request may be kMaxOutcomes past the first that is not acknowledged; over
// kMaxSessionBytes of remembered replies only the first unacknowledged one is let in, so that the client
// always gets on.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/status.h"
#include "kv/view.h"

namespace curvefs::metaserver {

// Of a changing request: numbers 1, 2, 3 … within the session; the client has the answers to all below
// `acknowledged`, and sends none of those again.
struct RequestId {
  uint64_t session = 0;
  uint64_t sequence = 0;
  uint64_t acknowledged = 0;
  // The client takes an early answer (early_answers.h); or sends what was answered so to another leader, with
  // the time that it saw then.
  bool early = false, replay = false;
  Timestamp at{};
};

// A file that somebody has open.
struct OpenFile {
  FsId fs;
  InodeId inode;
  friend auto operator<=>(const OpenFile&, const OpenFile&) = default;
};

class SessionTable {
 public:
  // A reply as it was encoded, or a failure.
  using Done = std::function<void(Result<std::string>)>;
  enum class Verdict {
    kNew,         // evaluate it, Start it
    kJoined,      // under way: `done` was taken, and gets the same outcome
    kRemembered,  // the outcome is in the records
    kUnknown,     // no such session
    kRefused,     // see `why`
  };

  Status Load(const kv::View& state, SteadyTime now);
  void Clear();

  // What to do about a request. Hears of the session.
  Verdict Admit(const RequestId& id, SteadyTime now, Done* done, Status* why);

  // A request that is kNew is being proposed, with `bytes` to be remembered. Returns the sequences whose
  // outcomes its batch takes away; its own outcome shall carry *acknowledged.
  std::vector<uint64_t> Start(const RequestId& id, size_t bytes, uint64_t* acknowledged);
  // What became of that. Returns who joined.
  std::vector<Done> Committed(const RequestId& id, uint64_t acknowledged);
  std::vector<Done> Failed(const RequestId& id);

  void Opened(uint64_t session, std::string owner, SteadyTime now);
  // From now on no request of the session is admitted; again if `ending` is false.
  void SetEnding(uint64_t session, bool ending);
  void Ended(uint64_t session);
  // False if there is no such session.
  bool Hear(uint64_t session, uint64_t acknowledged, SteadyTime now);
  // Not heard of for so long.
  std::vector<uint64_t> Silent(SteadyTime now, Duration timeout) const;
  // Sessions that remember what is acknowledged and have nothing under way that would take it away, with up
  // to where.
  std::vector<std::pair<uint64_t, uint64_t>> Forgettable() const;
  void Forgotten(uint64_t session, uint64_t acknowledged);

  // Open files. `order` numbers the opens and closes of the session upwards: what comes after a later one of
  // the same file is ignored. kFenced: there is no such session. kUnavailable: it has kMaxOpenFiles.
  Status NoteOpen(uint64_t session, OpenFile file, uint64_t order);
  Status NoteClosed(uint64_t session, OpenFile file, uint64_t order);
  bool IsOpen(OpenFile file) const { return open_.contains(file); }
  // Those of Load that were ahead.
  std::vector<uint64_t> Ahead() const;
  bool Runs(uint64_t session) const;  // something of it is under way
  size_t open_files() const { return open_.size(); }

  size_t size() const { return sessions_.size(); }
  struct Info {
    uint64_t session = 0;
    std::string owner;
    uint64_t acknowledged = 0;
    size_t remembered = 0, bytes = 0, running = 0, open_files = 0;
    Duration silent{};
  };
  std::vector<Info> List(SteadyTime now) const;

 private:
  struct Running {
    size_t bytes = 0;
    std::vector<Done> joined;
  };
  struct Entry {
    std::string owner;
    uint64_t acknowledged = 0;  // the client said so
    uint64_t dropping = 0;      // outcomes below it go with what is proposed
    SteadyTime heard;
    std::map<uint64_t, size_t> outcomes;  // committed, with their bytes
    std::map<uint64_t, Running> running;
    size_t bytes = 0;  // of both
    bool ending = false, ahead = false;
    std::map<OpenFile, uint64_t> open;  // with the order of the last open
  };
  void Forget(Entry* entry, uint64_t below);
  void CountClosed(OpenFile file);

  std::map<uint64_t, Entry> sessions_;
  std::map<OpenFile, uint32_t> open_;  // by how many sessions
};

}  // namespace curvefs::metaserver
