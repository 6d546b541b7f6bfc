// Builder: makes what the state says is planned. A copyset is made on each of its metaservers, then it is
// READY; it is told which partitions it has, the one with the root among them; when all partitions of a new
// file system are known to their copysets, it is INITED (SPEC M5). Partitions that are added later are told
// likewise. Everything may be done twice, so whoever is elected next goes on.
//
// On the loop, of one office: thrown away with it.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/loop.h"
#include "mds/metaservers.h"
#include "mds/operations.h"

namespace curvefs::mds {

// What is to be done next; pure.
struct Plans {
  std::vector<proto::Copyset> copysets;  // PLANNED
  // A READY copyset, and the partitions that it does not know of. One that would order directories otherwise
  // than the root's is left alone: it is of a time when only the root's was used.
  struct Format {
    proto::FsInfo fs;
    proto::Copyset copyset;
    std::vector<uint32_t> partitions;
  };
  std::vector<Format> formats;
};
Plans PlansOf(const State& state);

class Builder {
 public:
  static constexpr size_t kMostAtOnce = 32;                           // copysets under way
  static constexpr Duration kPause = std::chrono::milliseconds(200);  // between two looks

  using Change = std::function<void(std::function<Status(Draft&, Volatile&)>, std::function<void(Status)>)>;
  // `change`: makes a change of the state durable, as Mds::Change. `state` and `metaservers` outlive it.
  Builder(Loop& loop, const State& state, Metaservers& metaservers, uint64_t term, Change change);

 private:
  void Look();
  void Make(const proto::Copyset& copyset);
  void Format(const Plans::Format& plan, int peer);
  std::string GrpcAddress(const proto::CopysetPeer& peer) const;

  template <typename F>
  auto IfAlive(F f) {
    return [alive = std::weak_ptr<bool>(alive_), f = std::move(f)](auto&&... args) mutable {
      if (!alive.expired()) f(std::forward<decltype(args)>(args)...);
    };
  }

  Loop& loop_;
  const State& state_;
  Metaservers& metaservers_;
  const uint64_t term_;
  const Change change_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::set<uint32_t> copysets_, formats_;  // under way: copysets
  std::set<std::string> told_;             // failures that the log knows
};

}  // namespace curvefs::mds
