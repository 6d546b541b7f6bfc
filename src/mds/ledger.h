// Ledger: the state in the store, written by one MDS at a time. Changes are appended in order and committed
// in groups: what comes while one transaction is under way shares the next.
//
// Every transaction is conditioned on the fence (the election key of the office in which it was opened) and
// on the *serial*: a key that each transaction writes, with its number in this office. So a transaction whose
// outcome is not known can be sent again: it takes effect once, and the serial tells whether it has. A
// transaction of a deposed MDS, however late it arrives, does nothing.
//
// On the loop. It is opened for one office, and thrown away with it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "mds/coordinator.h"

namespace curvefs::mds {

struct LedgerOptions {
  std::string prefix;                               // of all keys of the state, with a '/' at its end
  Duration commit_limit = std::chrono::seconds(1);  // of one attempt; what became of it is looked up then
  Duration read_limit = std::chrono::seconds(10);
  size_t page = 500;             // entries that are read at a time
  bool canary_unfenced = false;  // for tests that show that they would notice
};

class Ledger {
 public:
  using Done = std::function<void(Status)>;
  // Key without the prefix, and value.
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  // `failed`: called once, when a transaction was refused: somebody else writes, the office has ended. The
  // coordinator outlives it.
  Ledger(Loop& loop, Coordinator& coordinator, LedgerOptions options, Condition fence,
         std::function<void(const Status&)> failed);
  // Who waits is told: what is under way is unknown (kTimedOut), what was not begun has not happened
  // (kNotLeader).
  ~Ledger();

  // Reads the whole state, as it was at one moment. Once, before anything else.
  void Load(std::function<void(Result<Pairs>)> done);

  // Makes the changes in one transaction, after all that was appended before. `changes`: keys without the
  // prefix, none twice, at most kMaxAppend of them. `done`: with OK once they are durable. With none: once
  // all before are.
  void Append(std::vector<Change> changes, Done done);
  static constexpr size_t kMaxAppend = kMaxTransactionChanges - 1;

  uint64_t commits() const { return commits_; }
  uint64_t unknown() const { return unknown_; }  // how often an outcome was not known at first

 private:
  struct Waiting {
    std::vector<Change> changes;
    Done done;
  };
  void LoadPage(std::shared_ptr<Pairs> pairs, std::string from, Revision at,
                std::function<void(Result<Pairs>)> done);
  void Send();
  void Attempt();
  void Ended(const Result<Outcome>& outcome);
  void LookAtSerial(bool refused);
  void Committed(Revision revision);
  void Fail(const Status& status);
  std::string SerialValue() const;

  template <typename F>
  auto IfAlive(F f) {
    return [alive = std::weak_ptr<bool>(alive_), f = std::move(f)](auto&&... args) mutable {
      if (!alive.expired()) f(std::forward<decltype(args)>(args)...);
    };
  }

  Loop& loop_;
  Coordinator& coordinator_;
  const LedgerOptions options_;
  const Condition fence_;
  const std::function<void(const Status&)> failed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::deque<Waiting> queue_;
  std::vector<Done> sent_;  // who waits for the one under way
  Transaction transaction_;
  bool under_way_ = false, unsure_ = false, over_ = false;
  Revision serial_changed_ = 0;  // the revision at which the serial was written last, by whomever
  uint64_t number_ = 0;          // of the transaction under way, in this office
  uint64_t commits_ = 0, unknown_ = 0;
};

}  // namespace curvefs::mds
