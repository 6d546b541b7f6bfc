#include "cli/health.h"

#include <gtest/gtest.h>

namespace curvefs::cli {
namespace {

// Three MDS, three metaservers, one copyset that metaserver 1 leads.
ClusterView Well() {
  ClusterView view;
  view.mds = {{.address = "a:1", .leads = true, .leader = "a:1"},
              {.address = "b:1", .leader = "a:1"},
              {.address = "c:1", .leader = "a:1"}};
  auto* copyset = view.copysets.add_copyset();
  copyset->set_copyset_id(7);
  copyset->set_state(proto::COPYSET_READY);
  for (uint32_t id = 1; id <= 3; ++id) {
    auto* metaserver = view.topology.add_metaserver();
    metaserver->set_metaserver_id(id);
    metaserver->set_address("m:" + std::to_string(id));
    copyset->add_peer()->set_replica_id(id);
    proto::ListCopysetsResponse said;
    auto* status = said.add_status();
    status->set_copyset_id(7);
    status->set_replica_id(id);
    status->set_leads(id == 1);
    view.metaservers.emplace(id, said);
  }
  return view;
}

TEST(HealthTest, Well) {
  const Health health = Judge(Well());
  EXPECT_EQ(health.level, Health::kHealthy);
  EXPECT_TRUE(health.problems.empty());
  EXPECT_EQ(health.leader, "a:1");
  EXPECT_EQ(health.metaservers_up, 3u);
  EXPECT_EQ(health.copysets_led, 1u);
  EXPECT_EQ(health.copysets_whole, 1u);
}

TEST(HealthTest, WhatIsMissingDegrades) {
  ClusterView view = Well();
  view.mds[1].answers = {Code::kUnavailable, "no answer"};
  EXPECT_EQ(Judge(view).level, Health::kDegraded);
  view = Well();
  view.metaservers.at(2) = Fail(Code::kTimedOut, "no answer");
  Health health = Judge(view);
  EXPECT_EQ(health.level, Health::kDegraded);
  ASSERT_EQ(health.problems.size(), 2u) << "the metaserver, and the replica on it";
  EXPECT_EQ(health.copysets_led, 1u);
  EXPECT_EQ(health.copysets_whole, 0u);
  view = Well();
  view.metaservers.at(3)->mutable_status(0)->set_failure(proto::IO);
  EXPECT_EQ(Judge(view).level, Health::kDegraded);
  view = Well();
  view.copysets.mutable_copyset(0)->set_state(proto::COPYSET_PLANNED);
  EXPECT_EQ(Judge(view).level, Health::kDegraded);
}

TEST(HealthTest, WithoutALeaderItIsBroken) {
  ClusterView view = Well();
  view.metaservers.at(1) = Fail(Code::kTimedOut, "no answer");
  Health health = Judge(view);
  EXPECT_EQ(health.level, Health::kBroken);
  ASSERT_FALSE(health.problems.empty());
  EXPECT_TRUE(health.problems[0].starts_with("copyset 7 has no leader")) << "the worst comes first";
  view = Well();
  view.mds[0].leads = false;
  health = Judge(view);
  EXPECT_EQ(health.level, Health::kBroken);
  EXPECT_TRUE(health.leader.empty());
}

}  // namespace
}  // namespace curvefs::cli
