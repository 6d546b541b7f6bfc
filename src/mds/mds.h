// Mds: one MDS of several, without its transports: stands for election, and while it leads holds the state
// and makes changes to it.
//
//   mds.Change([&](Draft& d, Volatile& v) { return CreateFs(d, v, request, &response); }, [&](Status s) { …
//   }); mds.Read([&](const State& s) { return GetFsInfo(s, request, &response); }, [&](Status s) { … });
//
// A change is answered when it is durable; so is a read of what a change that is not yet durable has left.
// Operations run one after another, on the loop, in the order in which they came.
//
// Answers besides the operation's own: kNotLeader: nothing happened; leader() may know where to go.
// kUnavailable: it has just been elected and is loading; nothing happened. kTimedOut: the office ended while
// the change was under way; it may have been made.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/loop.h"
#include "mds/builder.h"
#include "mds/dispatcher.h"
#include "mds/election.h"
#include "mds/ledger.h"
#include "mds/operations.h"
#include "mds/state.h"

namespace curvefs::mds {

struct MdsOptions {
  ElectionOptions election;         // name: where this MDS serves; prefix is set from the one below
  std::string prefix = "curvefs/";  // of everything in the store that is this cluster's
  Duration session_time = std::chrono::seconds(60);  // of a mount that says nothing
  std::function<uint64_t()> random;
  std::function<void(bool serves)> serves;  // told when it begins and when it ends; may be none
  LedgerOptions ledger;                     // prefix is set from the one above
  DispatcherOptions dispatcher;
};

struct MdsCounters {
  uint64_t changes = 0, reads = 0, refused = 0;  // refused: as not leading
  uint64_t commits = 0, unknown_outcomes = 0;    // of this office
  uint64_t offices = 0, sessions_expired = 0;
  Duration load_time{};  // of the last load of the state
};

// On its loop, all of it. The coordinator outlives it.
class Mds {
 public:
  // `metaservers`: to whom what is planned is told; none: nothing is made. They outlive it.
  Mds(Loop& loop, Coordinator& coordinator, Metaservers* metaservers, MdsOptions options);
  ~Mds();

  void Start();
  // Waits for what is under way, gives up the office, and tells the store; `done` then, or after `limit`.
  // Only once.
  void Resign(Duration limit, std::function<void()> done);

  using Done = std::function<void(Status)>;
  void Change(const std::function<Status(Draft&, Volatile&)>& operation, Done done);
  void Read(const std::function<Status(const State&)>& operation, Done done);
  // kFenced: the session has ended.
  void RefreshSession(uint32_t fs, uint64_t session, Done done);
  // `operation` on what watches over metaservers. It sees what is not durable yet, and changes no state.
  void Dispatch(const std::function<Status(Dispatcher&)>& operation, Done done);

  bool serves() const { return serves_; }
  Revision term() const { return election_.term(); }
  std::string leader() const { return election_.leader(); }  // the name of who leads, as far as is known
  const State& state() const { return *state_; }             // of one that serves
  MdsCounters counters() const;

 private:
  void Lead();
  void Stop();
  void Loaded(Result<Ledger::Pairs> pairs);
  void SetServes(bool serves);
  void ExpireSessions();
  Status Refusal();

  template <typename F>
  auto IfAlive(F f) {
    return [alive = std::weak_ptr<bool>(alive_), f = std::move(f)](auto&&... args) mutable {
      if (!alive.expired()) f(std::forward<decltype(args)>(args)...);
    };
  }

  Loop& loop_;
  Coordinator& coordinator_;
  Metaservers* const metaservers_;
  const MdsOptions options_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Election election_;
  bool serves_ = false, resigning_ = false;
  SteadyTime elected_{};

  // Of this office.
  std::unique_ptr<State> state_;
  Volatile volatile_;
  std::map<std::pair<uint32_t, uint64_t>, SteadyTime> seen_;  // sessions, by file system and id
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Builder> builder_;
  std::unique_ptr<Dispatcher> dispatcher_;
  MdsCounters counters_;
};

}  // namespace curvefs::mds
