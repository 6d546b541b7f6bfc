// The schedulers on a simulated cluster of a thousand metaservers and ten thousand copysets: they come to an
// end, move no more than is needed, keep their limits and the zones at every step.
#include "mds/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <set>

namespace curvefs::mds {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTick = 5s;  // of heartbeats, all of them at once
constexpr Duration kUnstable = 20s, kOffline = 600s, kSettle = 60s;

// A cluster that does what operators say, a step or none per tick, and whose leaders are elected.
class World {
 public:
  World(uint32_t zones, uint32_t each, uint32_t copysets, ScheduleOptions options = {}, uint64_t seed = 1)
      : random_(seed), options_(options), schedule_(std::make_unique<Schedule>(options)) {
    for (uint32_t z = 1; z <= zones; ++z)
      for (uint32_t i = 0; i < each; ++i) AddMetaserver(z, true);
    for (uint32_t id = 1; id <= copysets; ++id) {
      CopysetView copyset{.id = id, .pool = 1};
      while (copyset.members.size() < 3) {
        const uint32_t at = 1 + static_cast<uint32_t>(random_() % (zones * each));
        if (std::ranges::any_of(copyset.members, [&](const Member& m) {
              return ZoneOf(MetaserverOfReplica(m.replica)) == ZoneOf(at);
            }))
          continue;
        copyset.members.push_back({ReplicaId(0, at), false});
        copyset.present.push_back(ReplicaId(0, at));
      }
      copyset.leader = MetaserverOfReplica(copyset.members[random_() % 3].replica);
      view.copysets[id] = copyset;
    }
  }

  uint32_t AddMetaserver(uint32_t zone, bool settled) {
    const auto id = static_cast<uint32_t>(view.metaservers.size() + 1);
    view.metaservers[id] = {id, zone, 1, Health::kOnline, settled, false, false};
    heard_[id] = back_[id] = now_;
    return id;
  }
  uint32_t ZoneOf(uint32_t metaserver) const { return view.metaservers.at(metaserver).zone; }
  void Kill(uint32_t id) { dead_.insert(id); }
  void Revive(uint32_t id) { dead_.erase(id); }
  // Another MDS leads: it knows of no operator.
  void NewOffice() {
    Count();
    schedule_ = std::make_unique<Schedule>(options_);
    std::ranges::fill(counted_, 0);
  }

  void Tick() {
    now_ += kTick;
    for (auto& [id, metaserver] : view.metaservers) {
      if (!dead_.contains(id)) {
        if (metaserver.health != Health::kOnline) back_[id] = now_;
        heard_[id] = now_;
      }
      const Duration silent = now_ - heard_[id];
      metaserver.health = silent >= kOffline    ? Health::kOffline
                          : silent >= kUnstable ? Health::kUnstable
                                                : Health::kOnline;
      if (metaserver.health != Health::kOnline) metaserver.settled = false;
      if (metaserver.health == Health::kOnline && now_ - back_[id] >= kSettle) metaserver.settled = true;
    }
    for (auto& [id, copyset] : view.copysets) Elect(copyset);
    for (const Notice& event : schedule_->Tick(view, now_, [this] { return ++generation_; }))
      events.push_back(event.text);
    Check();
    for (const auto& [id, op] : schedule_->operators()) Do(op);
  }
  // Until nothing is under way for a while, or `limit`; whether it came to that.
  bool Settle(Duration limit = 6h) {
    const SteadyTime end = now_ + limit;
    SteadyTime busy = now_;
    while (now_ < end) {
      Tick();
      if (!schedule_->operators().empty()) busy = now_;
      if (now_ - busy > kOffline + kSettle + 1min) return true;
    }
    return false;
  }
  // Moves since the last call.
  std::array<size_t, kSchedulers> Moves() {
    Count();
    auto moves = std::exchange(moves_, {});
    left_.clear();
    return moves;
  }
  struct Spread {
    size_t least = SIZE_MAX, most = 0;
  };
  // Of those that are online.
  Spread Replicas() const {
    std::map<uint32_t, size_t> n;
    for (const auto& [id, copyset] : view.copysets)
      for (const Member& m : copyset.members) ++n[MetaserverOfReplica(m.replica)];
    return Of(n);
  }
  Spread Leaders() const {
    std::map<uint32_t, size_t> n;
    for (const auto& [id, copyset] : view.copysets) ++n[copyset.leader];
    return Of(n);
  }
  // That can be replaced: of copysets that have a majority.
  size_t ReplicasOnDead() const {
    size_t n = 0;
    for (const auto& [id, copyset] : view.copysets)
      if (HasMajority(copyset))
        for (const Member& m : copyset.members) n += dead_.contains(MetaserverOfReplica(m.replica));
    return n;
  }
  size_t under_way() const { return schedule_->operators().size(); }
  SteadyTime now() const { return now_; }

  ClusterView view;
  std::vector<std::string> events;
  std::vector<std::string> faults;  // what must not be
  size_t most_at_once = 0;

 private:
  Spread Of(std::map<uint32_t, size_t>& n) const {
    Spread spread;
    for (const auto& [id, metaserver] : view.metaservers) {
      if (metaserver.health != Health::kOnline) continue;
      spread.least = std::min(spread.least, n[id]);
      spread.most = std::max(spread.most, n[id]);
    }
    return spread;
  }
  bool Alive(uint64_t replica) const { return !dead_.contains(MetaserverOfReplica(replica)); }
  bool HasMajority(const CopysetView& copyset) const {
    size_t voters = 0, alive = 0;
    for (const Member& m : copyset.members) {
      voters += !m.learner;
      alive += !m.learner && Alive(m.replica);
    }
    return alive * 2 > voters;
  }
  void Elect(CopysetView& copyset) {
    if (copyset.leader != 0 && !dead_.contains(copyset.leader) && HasMajority(copyset)) return;
    copyset.leader = 0;
    if (!HasMajority(copyset)) return;
    std::vector<uint32_t> can;
    for (const Member& m : copyset.members)
      if (!m.learner && Alive(m.replica)) can.push_back(MetaserverOfReplica(m.replica));
    copyset.leader = can[random_() % can.size()];
  }
  void Do(const Operator& op) {
    CopysetView& copyset = view.copysets.at(op.copyset);
    const NextStep next = NextStepOf(op, copyset, view);
    if (next.at == 0 || dead_.contains(next.at) || random_() % 4 == 0) return;  // lost, or slow
    if (next.step == Step::kCreate) return copyset.present.push_back(next.replica);
    if (next.at != copyset.leader || !HasMajority(copyset)) return;
    auto member = std::ranges::find(copyset.members, next.replica, &Member::replica);
    switch (next.step) {
      case Step::kAddLearner:
        copyset.members.push_back({next.replica, true});
        break;
      case Step::kPromote:
        if (!Alive(next.replica) || random_() % 4 != 0) return;  // not yet caught up
        member->learner = false;
        if (left_[copyset.id].contains(MetaserverOfReplica(next.replica)))
          faults.push_back("copyset " + std::to_string(copyset.id) + " goes back to where it was");
        break;
      case Step::kTransfer:
        if (Alive(next.replica)) copyset.leader = MetaserverOfReplica(next.replica);
        break;
      case Step::kRemove:
        if (copyset.leader == MetaserverOfReplica(next.replica)) faults.push_back("a leader removed itself");
        if (Alive(next.replica)) left_[copyset.id].insert(MetaserverOfReplica(next.replica));
        std::erase(copyset.present, next.replica);
        copyset.members.erase(member);
        break;
      case Step::kCreate:
      case Step::kDone:
        break;
    }
    if (!HasMajority(copyset))
      faults.push_back("a step cost copyset " + std::to_string(op.copyset) + " its majority");
  }
  void Check() {
    size_t by[kSchedulers] = {};
    std::map<uint32_t, size_t> receives;
    for (const auto& [id, op] : schedule_->operators()) {
      ++by[static_cast<size_t>(op.by)];
      if (op.add != 0) ++receives[MetaserverOfReplica(op.add)];
      if (op.reason.empty()) faults.push_back("an operator without a reason");
    }
    for (size_t i = 0; i < kSchedulers; ++i)
      if (by[i] > ScheduleOptions().most[i]) faults.push_back("more operators than there may be");
    for (const auto& [id, n] : receives)
      if (n > ScheduleOptions().most_per_metaserver) faults.push_back("a metaserver gets too many at once");
    most_at_once = std::max(most_at_once, schedule_->operators().size());
    for (const auto& [id, copyset] : view.copysets) {
      if (copyset.members.size() == 3 && !touched_.contains(id)) continue;  // as it was
      if (copyset.members.size() > 4) faults.push_back("five members");
      auto op = schedule_->operators().find(id);
      std::set<uint32_t> zones;
      size_t settled = 0;
      for (const Member& m : copyset.members) {
        // One that is on its way in or out is beside the one in whose place it comes.
        if (m.learner || copyset.members.size() > 3 ||
            (op != schedule_->operators().end() && op->second.remove == m.replica))
          continue;
        ++settled;
        zones.insert(ZoneOf(MetaserverOfReplica(m.replica)));
      }
      if (zones.size() != settled) faults.push_back("copyset " + std::to_string(id) + " has two in one zone");
    }
    touched_.clear();
    for (const auto& [id, op] : schedule_->operators()) touched_.insert(id);
  }
  void Count() {
    for (size_t i = 0; i < kSchedulers; ++i) {
      const size_t done = schedule_->done(static_cast<Scheduler>(i));
      moves_[i] += done - std::exchange(counted_[i], done);
    }
  }

  std::mt19937_64 random_;
  const ScheduleOptions options_;
  std::unique_ptr<Schedule> schedule_;
  SteadyTime now_{};
  uint32_t generation_ = 0;
  std::map<uint32_t, SteadyTime> heard_, back_;
  std::set<uint32_t> dead_, touched_;
  std::map<uint32_t, std::set<uint32_t>> left_;  // by copyset: metaservers whose replica it gave up alive
  std::array<size_t, kSchedulers> moves_{};
  size_t counted_[kSchedulers] = {};
};

size_t Of(const std::array<size_t, kSchedulers>& moves, Scheduler by) {
  return moves[static_cast<size_t>(by)];
}
std::string First(const World& w) {
  return w.faults.empty() ? "" : w.faults.front() + " (of " + std::to_string(w.faults.size()) + ")";
}
// What a phase did, for people who read the test's output.
std::array<size_t, kSchedulers> Report(World& w, const char* what, SteadyTime since) {
  const auto moves = w.Moves();
  const auto replicas = w.Replicas(), leaders = w.Leaders();
  std::printf(
      "%-34s %4lld min  moved: recover %zu, replica %zu, copyset %zu, leader %zu;  replicas %zu-%zu, leaders "
      "%zu-%zu\n",
      what, static_cast<long long>((w.now() - since) / 1min), moves[0], moves[1], moves[2], moves[3],
      replicas.least, replicas.most, leaders.least, leaders.most);
  return moves;
}

TEST(Schedule, AThousandMetaserversAndTenThousandCopysets) {
  World w(10, 100, 10'000);
  SteadyTime since = w.now();
  ASSERT_TRUE(w.Settle(48h));
  auto moves = Report(w, "from a random placement", since);
  EXPECT_EQ(First(w), "");
  EXPECT_LE(w.Replicas().most - w.Replicas().least, 3u);
  EXPECT_LE(w.Leaders().most - w.Leaders().least, 4u);
  // Random loads differ from their mean by 4.4 on average (0.8 σ), half of them above it.
  EXPECT_LE(Of(moves, Scheduler::kCopyset), 3'000u);

  // Nothing happens, and nothing is done.
  since = w.now();
  for (int i = 0; i < 100; ++i) w.Tick();
  moves = Report(w, "nothing happens", since);
  EXPECT_EQ(moves, (std::array<size_t, kSchedulers>{}));

  // Away for less than it takes to be offline: no replica moves.
  since = w.now();
  for (uint32_t id = 1; id <= 50; ++id) w.Kill(id);
  for (int i = 0; i < 60; ++i) w.Tick();
  for (uint32_t id = 1; id <= 50; ++id) w.Revive(id);
  ASSERT_TRUE(w.Settle());
  moves = Report(w, "50 away for five minutes", since);
  EXPECT_EQ(Of(moves, Scheduler::kRecover) + Of(moves, Scheduler::kReplica) + Of(moves, Scheduler::kCopyset),
            0u);

  since = w.now();
  for (uint32_t id = 1; id <= 20; ++id) w.Kill(id * 37);
  for (int i = 0; i < 5; ++i) w.Tick();
  const size_t lost = w.ReplicasOnDead();
  ASSERT_TRUE(w.Settle());
  moves = Report(w, "20 lost for good", since);
  EXPECT_EQ(w.ReplicasOnDead(), 0u);
  EXPECT_EQ(Of(moves, Scheduler::kRecover), lost);
  EXPECT_LE(Of(moves, Scheduler::kCopyset), lost / 2);

  // A whole zone, and in the middle of it another MDS leads.
  since = w.now();
  for (const auto& [id, metaserver] : w.view.metaservers)
    if (metaserver.zone == 4) w.Kill(id);
  for (int i = 0; i < 140; ++i) w.Tick();
  EXPECT_GT(w.under_way(), 0u);
  const size_t left = w.ReplicasOnDead();
  w.NewOffice();
  ASSERT_TRUE(w.Settle());
  moves = Report(w, "a zone lost, another MDS on the way", since);
  EXPECT_EQ(w.ReplicasOnDead(), 0u);
  EXPECT_GE(Of(moves, Scheduler::kRecover) + 200, left);

  // It comes back, empty.
  since = w.now();
  for (const auto& [id, metaserver] : w.view.metaservers)
    if (metaserver.zone == 4) w.Revive(id);
  ASSERT_TRUE(w.Settle());
  moves = Report(w, "the zone is back", since);
  EXPECT_LE(Of(moves, Scheduler::kCopyset), 3'500u) << "about a tenth of all replicas";
  EXPECT_LE(w.Replicas().most - w.Replicas().least, 3u);

  since = w.now();
  for (uint32_t i = 0; i < 50; ++i) w.AddMetaserver(1 + i % 10, false);
  ASSERT_TRUE(w.Settle());
  moves = Report(w, "50 new ones", since);
  EXPECT_LE(Of(moves, Scheduler::kCopyset), 1'800u) << "a twentieth of all replicas";
  EXPECT_EQ(First(w), "");
  EXPECT_GT(w.most_at_once, 32u);
}

TEST(Schedule, InThreeZonesAReplicaStaysInItsOwn) {
  World w(3, 5, 200);
  ASSERT_TRUE(w.Settle());
  w.Moves();
  // One of a zone: replaced by its neighbours. All of a zone: by nobody.
  w.Kill(1);
  ASSERT_TRUE(w.Settle());
  EXPECT_EQ(w.ReplicasOnDead(), 0u);
  w.Moves();
  for (uint32_t id = 2; id <= 5; ++id) w.Kill(id);
  ASSERT_TRUE(w.Settle());
  EXPECT_EQ(w.ReplicasOnDead(), 200u);
  EXPECT_EQ(Of(w.Moves(), Scheduler::kRecover), 0u);
  EXPECT_EQ(First(w), "");
}

// Operators end without purpose: who comes back before anything has begun keeps what it has.
TEST(Schedule, SomeoneWhoComesBackInTimeKeepsWhatItHas) {
  World w(4, 2, 1);
  const uint64_t gone = w.view.copysets[1].members[0].replica;
  const uint32_t at = MetaserverOfReplica(gone);
  w.Kill(at);
  std::set<uint32_t> all;
  for (const auto& [id, m] : w.view.metaservers) all.insert(id);
  for (int i = 0; i < 1000 && w.under_way() == 0; ++i) w.Tick();
  ASSERT_EQ(w.under_way(), 1u);
  w.Revive(at);
  w.Tick();
  EXPECT_EQ(w.under_way(), 0u) << "it is not needed any more";
  EXPECT_EQ(w.view.copysets[1].members[0].replica, gone);
  EXPECT_NE(w.events.back().find("is back"), std::string::npos) << w.events.back();
}

// What an MDS that is gone has left half-done.
TEST(Schedule, WhatWasLeftHalfDoneIsCleanedUp) {
  World w(4, 2, 3);
  auto member = [&](uint32_t copyset, bool learner) {
    auto& c = w.view.copysets[copyset];
    std::set<uint32_t> zones;
    for (const Member& m : c.members) zones.insert(w.ZoneOf(MetaserverOfReplica(m.replica)));
    for (const auto& [id, m] : w.view.metaservers) {
      if (zones.contains(m.zone)) continue;
      c.members.push_back({ReplicaId(900, id), learner});
      return c.present.push_back(ReplicaId(900, id));
    }
  };
  member(1, true);   // a learner, and enough voters
  member(2, false);  // four voters
  auto& c = w.view.copysets[3];
  std::erase_if(c.members, [&, n = 0](const Member& m) mutable {
    return MetaserverOfReplica(m.replica) != c.leader && n++ == 0;
  });
  member(3, true);  // a learner that is needed
  const uint64_t needed = c.members.back().replica;
  ASSERT_TRUE(w.Settle());
  for (const auto& [id, copyset] : w.view.copysets) {
    EXPECT_EQ(copyset.members.size(), 3u) << id;
    for (const Member& m : copyset.members) EXPECT_FALSE(m.learner) << id;
  }
  EXPECT_EQ(std::ranges::count(c.members, needed, &Member::replica), 1);
}

// An operator that gets nowhere is given up, and its copyset left alone for a while.
TEST(Schedule, WhatTakesTooLongIsGivenUp) {
  ScheduleOptions options;
  Schedule schedule(options);
  ClusterView view;
  for (uint32_t id = 1; id <= 4; ++id)
    view.metaservers[id] = {id, id, 1, Health::kOnline, true, false, false};
  view.metaservers[1].health = Health::kOffline;
  view.copysets[7] = {7, 1, {{1, false}, {2, false}, {3, false}}, 2, {2, 3}};
  SteadyTime now{};
  uint32_t generation = 0;
  auto tick = [&] { return schedule.Tick(view, now, [&] { return ++generation; }); };
  tick();
  ASSERT_EQ(schedule.operators().size(), 1u);
  const Operator op = schedule.operators().begin()->second;
  EXPECT_EQ(op.add, ReplicaId(1, 4));
  EXPECT_EQ(op.reason, "metaserver 1 is offline");
  EXPECT_EQ(NextStepOf(op, view.copysets[7], view).step, Step::kCreate);
  EXPECT_EQ(NextStepOf(op, view.copysets[7], view).at, 4u);
  now += options.operator_limit;
  const auto events = tick();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_TRUE(events[0].warning);
  EXPECT_NE(events[0].text.find("too long, the next step would be 'create'"), std::string::npos);
  EXPECT_TRUE(schedule.operators().empty());
  now += options.retry_after;
  tick();
  ASSERT_EQ(schedule.operators().size(), 1u);
  EXPECT_EQ(schedule.operators().begin()->second.add, ReplicaId(2, 4)) << "another replica than before";
}

TEST(Schedule, CanaryWithoutToleranceItNeverEnds) {
  World w(4, 5, 203, {.canary_no_tolerance = true});
  const bool ended = w.Settle(12h);
  EXPECT_TRUE(!ended || !w.faults.empty());
}

TEST(Schedule, CanaryWithoutLimitsThereAreTooMany) {
  World w(10, 20, 2'000, {.canary_unbounded = true});
  w.Settle();
  for (uint32_t id = 1; id <= 20; ++id) w.Kill(id);
  for (int i = 0; i < 130; ++i) w.Tick();
  EXPECT_NE(First(w), "");
}

}  // namespace
}  // namespace curvefs::mds
