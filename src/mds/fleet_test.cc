// Registration, heartbeats, and what metaservers are told; on a state without a store.
#include "mds/fleet.h"

#include <gtest/gtest.h>

#include "mds/operations.h"

namespace curvefs::mds {
namespace {

using namespace std::chrono_literals;

class FleetTest : public testing::Test {
 protected:
  FleetTest() {
    known_.random = [this] { return ++random_; };
    for (uint32_t id = 1; id <= 4; ++id) EXPECT_TRUE(Join(id, &joined_[id]).ok());
    proto::FsInfo fs;
    fs.set_fs_id(1);
    fs.set_state(proto::FS_INITED);
    proto::Copyset copyset;
    copyset.set_copyset_id(1);
    copyset.set_pool_id(1);
    copyset.set_fs_id(1);
    copyset.set_state(proto::COPYSET_READY);
    for (uint32_t id = 1; id <= 3; ++id) copyset.add_peer()->set_replica_id(id);
    Draft draft(state_);
    draft.Put(fs);
    draft.Put(copyset);
    draft.NextIds(kCopysetIds);
    draft.Take();
  }
  static proto::RegisterMetaserverRequest RequestOf(uint32_t id) {
    proto::RegisterMetaserverRequest request;
    const std::string n = std::to_string(id);
    request.set_uuid("uuid" + n);
    request.set_token("a token of sufficient length " + n);
    request.set_pool("pool");
    request.set_zone("zone" + n);
    request.set_host_name("host" + n);
    request.set_address("10.0.0." + n + ":8200");
    request.set_grpc_address("10.0.0." + n + ":8201");
    return request;
  }
  Status Join(const proto::RegisterMetaserverRequest& request, proto::RegisterMetaserverResponse* response) {
    response->Clear();
    Draft draft(state_);
    const Status s = JoinCluster(draft, known_, request, response);
    changed_ = draft.size();
    if (s.ok()) draft.Take();
    return s;
  }
  Status Join(uint32_t id, proto::RegisterMetaserverResponse* response) {
    return Join(RequestOf(id), response);
  }
  proto::HeartbeatRequest Beat(uint32_t id) {
    proto::HeartbeatRequest beat;
    beat.set_metaserver_id(id);
    beat.set_token(RequestOf(id).token());
    beat.set_cluster_uuid(joined_[1].cluster_uuid());
    beat.set_disk_bytes(100);
    beat.set_disk_free_bytes(50);
    return beat;
  }
  static proto::CopysetStatus* Replica(proto::HeartbeatRequest* beat, uint64_t replica, uint64_t term,
                                       std::vector<uint64_t> members = {}) {
    auto* status = beat->add_copyset();
    status->set_copyset_id(1);
    status->set_replica_id(replica);
    status->set_term(term);
    status->set_applied(10);
    status->set_leads(!members.empty());
    for (uint64_t member : members) status->add_peer()->set_replica_id(member);
    return status;
  }
  proto::HeartbeatResponse Answer(Fleet& fleet, const Schedule& schedule, uint32_t id, bool judges = true) {
    proto::HeartbeatResponse response;
    fleet.Answer(state_, fleet.View(state_, now_), schedule, id, 77, judges, &response);
    return response;
  }

  State state_;
  Volatile known_;
  uint64_t random_ = 0;
  size_t changed_ = 0;
  std::map<uint32_t, proto::RegisterMetaserverResponse> joined_;
  SteadyTime now_{SteadyTime{} + 1h};
};

TEST_F(FleetTest, RegistrationIsDoneOnce) {
  proto::RegisterMetaserverResponse again;
  ASSERT_TRUE(Join(2, &again).ok());
  EXPECT_EQ(changed_, 0u) << "nothing is new";
  EXPECT_EQ(again.metaserver().metaserver_id(), 2u);
  EXPECT_EQ(again.cluster_uuid(), joined_[1].cluster_uuid());
  EXPECT_TRUE(again.metaserver().token().empty()) << "a secret";
  EXPECT_EQ(state_.All<proto::Pool>().size(), 1u);
  EXPECT_EQ(state_.All<proto::Zone>().size(), 4u);

  auto request = RequestOf(2);
  request.set_cluster_uuid(again.cluster_uuid());
  request.set_address("10.0.0.2:9999");
  ASSERT_TRUE(Join(request, &again).ok());
  EXPECT_EQ(again.metaserver().address(), "10.0.0.2:9999");
  request.clear_address();
  ASSERT_TRUE(Join(request, &again).ok());
  EXPECT_EQ(again.metaserver().address(), "10.0.0.2:9999") << "it says so before it listens";
  proto::ListPartitionRequest list;
  proto::ListCopysetResponse copysets;
  ASSERT_TRUE(ListCopyset(state_, &copysets).ok());
  EXPECT_EQ(copysets.copyset(0).peer(1).address(), "10.0.0.2:9999") << "wherever it is now";

  request = RequestOf(2);
  request.set_cluster_uuid("another");
  EXPECT_EQ(Join(request, &again).code(), Code::kNotPermitted);
  request = RequestOf(2);
  request.set_token("not the token that it was");
  EXPECT_EQ(Join(request, &again).code(), Code::kNotPermitted);
  request.set_token("short");
  EXPECT_EQ(Join(request, &again).code(), Code::kInvalid);
  request = RequestOf(2);
  request.set_zone("zone3");
  EXPECT_EQ(Join(request, &again).code(), Code::kExists) << "its host is in another zone";
  request = RequestOf(2);
  request.clear_zone();
  request.set_server_id(1);
  EXPECT_EQ(Join(request, &again).code(), Code::kNotPermitted) << "by hand, and it has a token";
  request = RequestOf(5);
  request.set_address("10.0.0.3:8200");
  EXPECT_EQ(Join(request, &again).code(), Code::kExists) << "another one's address";
  EXPECT_EQ(state_.All<proto::Zone>().size(), 4u) << "a refusal leaves nothing";
}

TEST_F(FleetTest, OnlyWhoIsKnownIsHeard) {
  Fleet fleet({}, now_);
  EXPECT_TRUE(fleet.Heard(state_, Beat(1), now_).ok());
  auto beat = Beat(1);
  beat.set_token(RequestOf(2).token());
  EXPECT_EQ(fleet.Heard(state_, beat, now_).code(), Code::kNotPermitted);
  beat = Beat(1);
  beat.set_cluster_uuid("another");
  EXPECT_EQ(fleet.Heard(state_, beat, now_).code(), Code::kNotPermitted);
  EXPECT_EQ(fleet.Heard(state_, Beat(9), now_).code(), Code::kNotFound);
}

TEST_F(FleetTest, SilenceIsUnstableThenOffline) {
  const FleetOptions options;
  Fleet fleet(options, now_);
  EXPECT_FALSE(fleet.Judges(now_));
  auto health = [&](uint32_t id) { return fleet.View(state_, now_).metaservers.at(id).health; };
  ASSERT_TRUE(fleet.Heard(state_, Beat(1), now_).ok());
  EXPECT_EQ(health(1), Health::kOnline);
  EXPECT_TRUE(fleet.View(state_, now_).metaservers.at(1).settled) << "it was there before this office";
  EXPECT_EQ(health(2), Health::kUnknown);
  now_ += options.unstable_after;
  ASSERT_TRUE(fleet.Heard(state_, Beat(1), now_).ok());
  EXPECT_TRUE(fleet.Judges(now_));
  EXPECT_EQ(health(2), Health::kUnstable);
  EXPECT_EQ(Fleet::Unreachable(fleet.View(state_, now_)), (std::set<uint32_t>{2, 3, 4}));
  now_ += options.offline_after - options.unstable_after;
  EXPECT_EQ(health(2), Health::kOffline);
  bool said = false;
  for (const Notice& notice : fleet.HealthChanges(fleet.View(state_, now_), now_))
    said |= notice.warning && notice.text.starts_with("metaserver 2 is offline: not heard of for 600 s");
  EXPECT_TRUE(said);
  EXPECT_TRUE(fleet.HealthChanges(fleet.View(state_, now_), now_).empty()) << "once";
  ASSERT_TRUE(fleet.Heard(state_, Beat(2), now_).ok());
  EXPECT_EQ(health(2), Health::kOnline);
  EXPECT_FALSE(fleet.View(state_, now_).metaservers.at(2).settled) << "it is given nothing at once";
  auto full = Beat(2);
  full.set_disk_free_bytes(5);
  ASSERT_TRUE(fleet.Heard(state_, full, now_).ok());
  EXPECT_TRUE(fleet.View(state_, now_).metaservers.at(2).full);
}

TEST_F(FleetTest, TheLeaderOfTheHighestTermSaysWhoTheMembersAre) {
  Fleet fleet({}, now_);
  auto old = Beat(1), young = Beat(2);
  Replica(&old, 1, 5, {1, 2, 3});
  Replica(&young, 2, 6, {2, 3, ReplicaId(1, 4)});
  ASSERT_TRUE(fleet.Heard(state_, young, now_).ok());
  ASSERT_TRUE(fleet.Heard(state_, old, now_).ok());
  EXPECT_EQ(fleet.View(state_, now_).copysets.at(1).leader, 2u);
  const auto changed = fleet.MembersToRecord(state_);
  ASSERT_EQ(changed.size(), 1u);
  Draft draft(state_);
  ASSERT_TRUE(MembersChanged(draft, 1, changed[0].second).ok());
  draft.Take();
  EXPECT_TRUE(fleet.MembersToRecord(state_).empty());
  const auto* row = state_.Find<proto::Copyset>(CopysetKey(1));
  EXPECT_EQ(row->epoch(), 1u);
  EXPECT_EQ(row->peer(2).address(), "10.0.0.4:8200");
}

TEST_F(FleetTest, AReplicaThatNobodyWantsIsDestroyedWhenThatIsSure) {
  const Schedule none({});
  Fleet fleet({}, now_);
  auto stranger = Beat(4), leader = Beat(1);
  Replica(&stranger, ReplicaId(9, 4), 7);
  Replica(&leader, 1, 6, {1, 2, 3});
  ASSERT_TRUE(fleet.Heard(state_, stranger, now_).ok());
  EXPECT_EQ(Answer(fleet, none, 4).command_size(), 0) << "no leader has spoken";
  ASSERT_TRUE(fleet.Heard(state_, leader, now_).ok());
  EXPECT_EQ(Answer(fleet, none, 4).command_size(), 0) << "it knows of a later leader";
  leader.mutable_copyset(0)->set_term(7);
  ASSERT_TRUE(fleet.Heard(state_, leader, now_).ok());
  EXPECT_EQ(Answer(fleet, none, 4, false).command_size(), 0) << "too early to judge";
  const auto answer = Answer(fleet, none, 4);
  ASSERT_EQ(answer.command_size(), 1);
  EXPECT_TRUE(answer.command(0).destroy().force());
  EXPECT_EQ(answer.command(0).destroy().header().office_term(), 77u);
  EXPECT_EQ(answer.command(0).destroy().header().copyset_id(), 1u);
  EXPECT_EQ(Answer(fleet, none, 1).command_size(), 0) << "a member";
  EXPECT_EQ(Answer(fleet, none, 1).peer_size(), 2) << "where the others are";

  // Copysets that are in no state: those that were deleted go; others, though their ids were given out, may
  // be newer than a state that was restored.
  auto unknown = Beat(3);
  Replica(&unknown, 3, 1)->set_copyset_id(5000);
  Draft draft(state_);
  EXPECT_GT(draft.NextIds(kCopysetIds, 6000), 0u);
  draft.Take();
  ASSERT_TRUE(fleet.Heard(state_, unknown, now_).ok());
  EXPECT_EQ(Answer(fleet, none, 3).command_size(), 0);
  Draft marked(state_);
  proto::Counter gone;
  gone.set_name(GoneCopyset(5000));
  gone.set_value(1);
  marked.Put(gone);
  marked.Take();
  EXPECT_EQ(Answer(fleet, none, 3).command_size(), 1);
}

// Step by step, as heartbeats show that the one before is done.
TEST_F(FleetTest, AnOperatorsStepsAreToldToWhoIsToDoThem) {
  const FleetOptions options{.unstable_after = 1h, .offline_after = 2h};
  Fleet fleet(options, now_);
  for (uint32_t id = 2; id <= 4; ++id) ASSERT_TRUE(fleet.Heard(state_, Beat(id), now_).ok());
  now_ += 2h;
  auto leader = Beat(2), target = Beat(4);
  Replica(&leader, 2, 6, {1, 2, 3});
  for (uint32_t id = 2; id <= 4; ++id) ASSERT_TRUE(fleet.Heard(state_, Beat(id), now_).ok());
  now_ += 2min;
  for (const auto& beat : {leader, Beat(3), target}) ASSERT_TRUE(fleet.Heard(state_, beat, now_).ok());
  Schedule schedule({});
  schedule.Tick(fleet.View(state_, now_), now_, [] { return 7; });
  ASSERT_EQ(schedule.operators().size(), 1u);
  const uint64_t replica = ReplicaId(7, 4);

  EXPECT_EQ(Answer(fleet, schedule, 2).command_size(), 0);
  auto answer = Answer(fleet, schedule, 4);
  ASSERT_EQ(answer.command_size(), 1);
  EXPECT_EQ(answer.command(0).create().replica_id(), replica);
  EXPECT_EQ(answer.command(0).create().peer_size(), 0) << "it joins";
  EXPECT_EQ(answer.command(0).create().header().office_term(), 77u);

  Replica(&target, replica, 0);
  ASSERT_TRUE(fleet.Heard(state_, target, now_).ok());
  EXPECT_EQ(Answer(fleet, schedule, 4).command_size(), 0) << "neither again nor destroyed";
  answer = Answer(fleet, schedule, 2);
  ASSERT_EQ(answer.command_size(), 1);
  EXPECT_EQ(answer.command(0).change().change(), proto::ADD_LEARNER);
  EXPECT_EQ(answer.command(0).change().peer().address(), "10.0.0.4:8200");

  leader = Beat(2);
  Replica(&leader, 2, 6, {1, 2, 3, replica})->mutable_peer(3)->set_learner(true);
  ASSERT_TRUE(fleet.Heard(state_, leader, now_).ok());
  answer = Answer(fleet, schedule, 2);
  ASSERT_EQ(answer.command_size(), 1);
  EXPECT_EQ(answer.command(0).change().change(), proto::PROMOTE);

  leader = Beat(2);
  Replica(&leader, 2, 6, {1, 2, 3, replica});
  ASSERT_TRUE(fleet.Heard(state_, leader, now_).ok());
  answer = Answer(fleet, schedule, 2);
  ASSERT_EQ(answer.command_size(), 1);
  EXPECT_EQ(answer.command(0).change().change(), proto::REMOVE);
  EXPECT_EQ(answer.command(0).change().peer().replica_id(), 1u);

  leader = Beat(2);
  Replica(&leader, 2, 6, {2, 3, replica});
  ASSERT_TRUE(fleet.Heard(state_, leader, now_).ok());
  EXPECT_EQ(Answer(fleet, schedule, 2).command_size(), 0);
  schedule.Tick(fleet.View(state_, now_), now_, [] { return 8; });
  EXPECT_TRUE(schedule.operators().empty());
  EXPECT_EQ(schedule.done(Scheduler::kRecover), 1u);
}

}  // namespace
}  // namespace curvefs::mds
