// Reads by the leader's lease, as a metaserver switches them on.
#include <gtest/gtest.h>

#include "metaserver/process/servers_fixture_test.h"

namespace curvefs::metaserver {
namespace {

class LeaseReads : public ThreeServers {
 protected:
  void Adjust(size_t, ServerOptions* options) override {
    options->tick = kTick;
    options->lease_drift = drift;
  }
  // Reads one after another at the leader; what they cost it.
  struct Cost {
    uint64_t by_lease = 0, rounds = 0;
    Duration took{};
  };
  Cost Read(int times) {
    proto::LookupRequest lookup;
    lookup.mutable_header()->set_copyset_id(1);
    lookup.mutable_header()->set_fs_id(1);
    lookup.set_parent_inode_id(1);
    lookup.set_name("nothing");
    const size_t leader = Leader(1);
    const raft::GroupStatus before = GroupOf(leader, 1);
    const SteadyTime begin = Clock::System().Steady();
    for (int i = 0; i < times; ++i)
      EXPECT_EQ(CodeOf(Call<proto::LookupResponse>(leader, Meta("Lookup"), lookup)), Code::kNotFound);
    const raft::GroupStatus after = GroupOf(leader, 1);
    return {.by_lease = after.lease_reads - before.lease_reads,
            .rounds = after.read_rounds - before.read_rounds,
            .took = Clock::System().Steady() - begin};
  }
  static constexpr Duration kTick = std::chrono::milliseconds(50);
  std::optional<double> drift = 0.05;
};

TEST_F(LeaseReads, CostNoRoundOfMessages) {
  StartAll();
  MakeCopyset(1);
  (void)Read(1);  // gets the lease
  const Cost cost = Read(200);
  EXPECT_GE(cost.by_lease, 190u);
  // One to have it, and it is asked for again when half of it is over.
  const Duration half = 9 * kTick * 9 / 10 / 2;
  EXPECT_LE(cost.rounds, 2u + static_cast<uint64_t>(cost.took / half));
  const std::string metrics = servers[Leader(1)]->MetricsText();
  EXPECT_NE(metrics.find("curvefs_copyset_lease_reads_total{copyset=\"1\"} "), metrics.npos);
  EXPECT_NE(metrics.find("curvefs_copyset_read_rounds_total{copyset=\"1\"} "), metrics.npos);
}

TEST_F(LeaseReads, AskAQuorumEachWithoutALease) {
  drift.reset();
  StartAll();
  MakeCopyset(1);
  const Cost cost = Read(50);
  EXPECT_EQ(cost.by_lease, 0u);
  EXPECT_GE(cost.rounds, 50u);
}

// The lease of a leader that is gone keeps nobody from the next one.
TEST_F(LeaseReads, GoOnAtTheNextLeader) {
  StartAll();
  MakeCopyset(1);
  (void)Read(10);
  const size_t old = Leader(1);
  Kill(old);
  EXPECT_NE(Leader(1), old);
  (void)Read(1);
  EXPECT_GT(Read(50).by_lease, 40u);
}

// Every replica measures how long it takes to apply.
TEST_F(LeaseReads, LeaveApplyingToBeMeasuredToo) {
  StartAll();
  MakeCopyset(1);
  for (size_t i = 0; i < kServers; ++i) {
    EXPECT_TRUE(Eventually([&] {
      return servers[i]->MetricsText().find("curvefs_copyset_apply_seconds_count{copyset=\"1\"} ") !=
             std::string::npos;
    })) << i;
  }
}

}  // namespace
}  // namespace curvefs::metaserver
