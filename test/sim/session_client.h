// SessionClient: a client of a simulated copyset as it should be: one request at a time, numbered within a
// session, sent again and again, to any replica, until there is an answer; and now and then once more after
// that. It checks that each request was done once and has one answer, and records writes in the history.
// With `early` it goes on when it has an early answer, keeps what was answered so until it is committed, and
// sends it again to a leader that asks (metaserver/early_answers.h).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "test/sim/world.h"

namespace curvefs::sim {

class SessionClient {
 public:
  SessionClient(World& world, GroupId group, size_t number, size_t keys, bool early)
      : world_(world), group_(group), number_(number), keys_(keys), takes_early_(early) {}
  void Start() { Next(); }
  // After the request that is under way.
  void Stop() { goes_on_ = false; }
  bool idle() const { return !busy_; }
  uint64_t fenced() const { return fenced_; }
  uint64_t repeated() const { return repeated_; }
  uint64_t early() const { return early_; }
  uint64_t replayed() const { return replayed_; }
  uint64_t redone() const { return redone_; }

 private:
  enum class Kind : uint8_t { kWrite, kCreate, kRemove };  // the last two may well fail
  struct Request {
    Kind kind = Kind::kWrite;
    uint64_t session = 0, sequence = 0, key = 0, value = 0;
    bool Is(const Request& other) const { return session == other.session && sequence == other.sequence; }
  };
  // Answered early, not known to be committed; in the order of the answers.
  struct Kept {
    Request request;
    Result<std::string> answer;
    size_t operation = 0;
    Timestamp at{};
    uint64_t term = 0, order = 0;
  };
  void Next();
  void Finish();
  void Learn(metaserver::ReplicatedCopyset& copyset, size_t machine);
  void Fenced();
  void Reclaim(size_t machine, uint64_t round, size_t next);
  metaserver::ReplicatedCopyset* StateAt(size_t machine);
  void Open();
  void Send();
  void Again();
  void OnAnswer(const Request& request, const Result<std::string>& answer,
                metaserver::ReplicatedCopyset& copyset, size_t machine);
  metaserver::ReplicatedCopyset* Replica(size_t* machine);
  static Result<std::string> Evaluate(meta::Txn& txn, const Request& request);

  World& world_;
  const GroupId group_;
  const size_t number_, keys_;
  const bool takes_early_;
  bool goes_on_ = true, busy_ = false;
  uint64_t session_ = 0, attempts_ = 0, fenced_ = 0, repeated_ = 0;
  Request request_;       // the one under way, or the last
  size_t operation_ = 0;  // its place in the history, if it is a write
  std::optional<Result<std::string>> answer_;
  std::deque<Kept> kept_;
  uint64_t early_ = 0, replayed_ = 0, redone_ = 0;
  uint64_t rounds_ = 0;  // of sending again
  bool reclaiming_ = false;
};

}  // namespace curvefs::sim
