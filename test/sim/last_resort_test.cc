// The majority is lost for good: the survivor goes on alone, and others join it.
#include "metaserver/process/last_resort.h"

#include <gtest/gtest.h>

#include "metaserver/process/server_dir.h"
#include "test/sim/copyset_machine.h"
#include "test/sim/world.h"

namespace curvefs::sim {
namespace {

using enum raft::MemberChange::Kind;

class LastResort : public testing::Test {
 protected:
  void SetUp() override {
    world = std::make_unique<World>(
        WorldOptions{.machines = 5,
                     .raft = {.snapshot_entries = 30, .keep_entries = 5, .promote_lag = 5},
                     .make = MakePlainCopysetMachine});
    group = world->group(0);
    ASSERT_TRUE(world->RunUntil([&] { return world->leader(group) >= 0; }));
  }
  void TearDown() override { EXPECT_EQ(world->failure(), ""); }
  size_t Leader() { return static_cast<size_t>(world->leader(group)); }
  void Write(uint64_t key) {
    bool done = false;
    world->Write(group, Leader(), key, [&](const Status& s) { done = s.ok(); });
    ASSERT_TRUE(world->RunUntil([&] { return done; }, 5 * kSecond));
  }
  uint64_t Read(uint64_t key) {
    const size_t before = world->history(group).size();
    world->Read(group, Leader(), key);
    EXPECT_TRUE(world->RunUntil([&] { return world->history(group).size() > before; }, 5 * kSecond));
    return world->history(group).back().value;
  }
  void Change(raft::MemberChange::Kind kind, ReplicaId replica) {
    bool done = false, waiting = false;
    ASSERT_TRUE(world->RunUntil([&] {
      if (done || waiting || world->leader(group) < 0) return done;
      waiting = true;
      world->replica(group, Leader())
          ->ChangeMembers({.kind = kind, .replica = replica}, [&](Result<Index> r) {
            done = r.has_value();
            waiting = false;
          });
      world->Pump(Leader());
      return done;
    }));
  }
  Result<metaserver::LastResort> Survive(size_t machine, ReplicaId id, ReplicaId state) {
    Disk& disk = world->disk(machine);
    CURVEFS_TRY(auto log,
                raft::LogStore::Open(
                    disk, "/log", {.journal = {.segment_bytes = 32 << 10, .prepare_ahead = false}}, nullptr));
    return metaserver::SurviveAlone(disk, *log, "/state/1-" + std::to_string(state.value), group, id);
  }

  std::unique_ptr<World> world;
  GroupId group;
};

TEST_F(LastResort, TheSurvivorServesAndOthersJoin) {
  for (uint64_t i = 0; i < 50; ++i) Write(i % 5);
  const size_t survivor = (Leader() + 1) % 3;
  const ReplicaId id = world->replica_on(group, survivor);
  const uint64_t wanted = Read(3);
  world->Run(kSecond);  // so that the survivor has everything
  for (size_t i = 0; i < 3; ++i) world->Crash(i);
  auto done = Survive(survivor, id, id);
  ASSERT_TRUE(done.has_value()) << done.error().ToString();
  EXPECT_EQ(done->before.voters.size(), 3u);
  EXPECT_EQ(Survive(survivor, id, id).error().code(), Code::kInvalid) << "once is enough";
  EXPECT_EQ(Survive(survivor, ReplicaId(77), id).error().code(), Code::kInvalid);

  world->Start(survivor);
  ASSERT_TRUE(
      world->RunUntil([&] { return world->leader(group) == static_cast<int>(survivor); }, 10 * kSecond));
  EXPECT_EQ(Read(3), wanted);
  Write(3);
  EXPECT_EQ(world->replica(group, survivor)->status().members.voters, std::vector{id});

  for (size_t machine : {3, 4}) {
    const ReplicaId fresh = world->Join(group, machine);
    Change(kAddLearner, fresh);
    Change(kPromote, fresh);
  }
  EXPECT_EQ(world->replica(group, survivor)->status().members.voters.size(), 3u);
  // They count: the survivor may fail now.
  const uint64_t newest = Read(3);
  world->Run(kSecond);
  world->Crash(survivor);
  ASSERT_TRUE(world->RunUntil([&] { return world->leader(group) >= 3; }, 10 * kSecond));
  EXPECT_EQ(Read(3), newest);
}

// The directory of a metaserver: locked while the process runs, and the operator has to mean it.
TEST(RecoverCopyset, Refuses) {
  test::SimDisk disk;
  ASSERT_TRUE(disk.MakeDir("/server").ok());
  auto recover = [&](uint64_t group, uint64_t replica, bool yes) {
    auto r = metaserver::RecoverCopyset(disk, "/server", GroupId(group), ReplicaId(replica), yes);
    EXPECT_FALSE(r.has_value());
    return r ? Status() : r.error();
  };
  EXPECT_EQ(recover(5, 7, true).code(), Code::kNotFound) << "not the directory of a metaserver";
  auto running = metaserver::ServerDir::Open(disk, "/server", 7);
  ASSERT_TRUE(running.has_value()) << running.error().ToString();
  ASSERT_TRUE((*running)->Describe({.id = GroupId(5), .self = ReplicaId(7), .fs = FsId(1)}).ok());
  EXPECT_EQ(recover(5, 7, true).code(), Code::kBusy);
  running->reset();
  EXPECT_EQ(recover(5, 7, false).code(), Code::kInvalid);
  EXPECT_NE(recover(5, 7, false).message().find("WARNING"), std::string::npos);
  EXPECT_EQ(recover(6, 7, true).code(), Code::kNotFound);
  EXPECT_EQ(recover(5, 8, true).code(), Code::kInvalid);
}

// The power fails between the two steps.
TEST_F(LastResort, InterruptedItIsDoneOrNotDone) {
  for (uint64_t i = 0; i < 20; ++i) Write(i % 5);
  const size_t survivor = (Leader() + 1) % 3;
  const ReplicaId id = world->replica_on(group, survivor);
  world->Run(kSecond);
  for (size_t i = 0; i < 3; ++i) world->Crash(i);
  // The state is saved; the log's own sync fails, and what it wrote is gone.
  test::SimDisk& disk = world->disk(survivor);
  bool interrupted = false;
  for (uint64_t nth = 1; nth < 20 && !interrupted; ++nth) {
    disk.FailNth(test::SimDisk::Op::kSync, nth, Code::kIo, 100);
    auto done = Survive(survivor, id, id);
    disk.ClearFaults();
    interrupted |= !done.has_value() && done.error().code() != Code::kInvalid;
    disk.Crash(nth);
    if (done.has_value() || done.error().code() == Code::kInvalid) break;
  }
  EXPECT_TRUE(interrupted);
  (void)Survive(survivor, id, id);
  world->Start(survivor);
  ASSERT_TRUE(
      world->RunUntil([&] { return world->leader(group) == static_cast<int>(survivor); }, 10 * kSecond));
  Write(1);
}

}  // namespace
}  // namespace curvefs::sim
