// SessionClient: a client of a simulated copyset as it should be: one request at a time, numbered within a
// session, sent again and again, to any replica, until there is an answer; and now and then once more after
// that. It checks that each request was done once and has one answer, and records writes in the history.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "test/sim/world.h"

namespace curvefs::sim {

class SessionClient {
 public:
  SessionClient(World& world, GroupId group, size_t number, size_t keys)
      : world_(world), group_(group), number_(number), keys_(keys) {}
  void Start() { Next(); }
  // After the request that is under way.
  void Stop() { goes_on_ = false; }
  bool idle() const { return !busy_; }
  uint64_t fenced() const { return fenced_; }
  uint64_t repeated() const { return repeated_; }

 private:
  enum class Kind : uint8_t { kWrite, kCreate, kRemove };  // the last two may well fail
  struct Request {
    Kind kind = Kind::kWrite;
    uint64_t session = 0, sequence = 0, key = 0, value = 0;
    bool Is(const Request& other) const { return session == other.session && sequence == other.sequence; }
  };
  void Next();
  void Open();
  void Send();
  void Again();
  void OnAnswer(const Request& request, const Result<std::string>& answer);
  metaserver::ReplicatedCopyset* Replica(size_t* machine);
  static Result<std::string> Evaluate(meta::Txn& txn, const Request& request);

  World& world_;
  const GroupId group_;
  const size_t number_, keys_;
  bool goes_on_ = true, busy_ = false;
  uint64_t session_ = 0, attempts_ = 0, fenced_ = 0, repeated_ = 0;
  Request request_;       // the one under way, or the last
  size_t operation_ = 0;  // its place in the history, if it is a write
  std::optional<Result<std::string>> answer_;
};

}  // namespace curvefs::sim
