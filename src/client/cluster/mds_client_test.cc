// MdsClient and MdsSession against MDS in this process.
#include "client/cluster/mds_client.h"

#include <gtest/gtest.h>

#include <atomic>

#include "client/cluster/mds_fixture_test.h"
#include "client/cluster/mds_routes.h"
#include "client/cluster/mds_session.h"
#include "client/cluster/pause.h"

namespace curvefs::client {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<MdsClient> To(std::vector<net::Address> servers, Duration timeout = 60s,
                              Duration silence = 60s) {
  auto client = MdsClient::To({.servers = std::move(servers), .timeout = timeout, .silence = silence});
  EXPECT_TRUE(client);
  return *std::move(client);
}

Result<proto::ListFsInfoResponse> ListAll(MdsClient& mds) {
  return mds.Call<proto::ListFsInfoResponse>("MdsService/ListFsInfo", proto::ListFsInfoRequest());
}

template <typename F>
bool Becomes(F f) {
  for (int i = 0; i < 6000; ++i) {
    if (f()) return true;
    PauseFor(10ms);
  }
  return false;
}

TEST(MdsListTest, Addresses) {
  auto two = ParseMdsList("a:1,[::1]:2");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->size(), 2u);
  EXPECT_EQ((*two)[1].ToString(), "[::1]:2");
  for (const char* bad : {"", "a", "a:1,,b:2", "a:99999", ",a:1"}) EXPECT_FALSE(ParseMdsList(bad)) << bad;
}

TEST(MdsClientTest, FindsTheLeaderOfThreeAndTheNextOne) {
  InMemoryMds mds(3);
  auto client = To(mds.addresses());
  ASSERT_TRUE(ListAll(*client));
  const std::string first = client->leader();
  size_t leads = 0, knows = 0, at = 0;
  for (size_t i = 0; i < 3; ++i) {
    if (mds.address(i) == first) at = i;
  }
  ASSERT_TRUE(Becomes([&] {
    leads = knows = 0;
    for (const MdsSeen& seen : client->Look()) {
      leads += seen.leads;
      knows += seen.leader == first;
    }
    return leads == 1 && knows == 3;
  }));
  mds.Kill(at);
  auto list = ListAll(*client);
  ASSERT_TRUE(list) << list.error().ToString();
  EXPECT_NE(client->leader(), first);
  size_t dead = 0;
  for (const MdsSeen& seen : client->Look()) dead += !seen.answers.ok();
  EXPECT_EQ(dead, 1u);
}

TEST(MdsClientTest, FollowsAHintToOneThatWasNotNamed) {
  InMemoryMds mds(2);
  auto all = To(mds.addresses());
  ASSERT_TRUE(ListAll(*all));
  const std::string leader = all->leader();
  const std::string other = mds.address(0) == leader ? mds.address(1) : mds.address(0);
  auto client = To({*net::ParseAddress(other)});
  auto list = ListAll(*client);
  ASSERT_TRUE(list) << list.error().ToString();
  EXPECT_EQ(client->leader(), leader);
}

TEST(MdsClientTest, SaysThatNobodyAnswersOrNobodyLeads) {
  // A port that nobody has: one that was ours a moment ago.
  net::Address nobody;
  {
    InMemoryMds mds(1);
    nobody = mds.addresses()[0];
    auto client = To({nobody}, 60s, 1s);
    ASSERT_TRUE(ListAll(*client));
    mds.SetDown(true);
    // It steps down when it cannot read its key.
    Status status;
    auto quick = To({nobody}, 2s, 1s);
    EXPECT_TRUE(Becomes([&] {
      auto list = ListAll(*quick);
      status = list ? Status() : list.error();
      return status.message().starts_with("no MDS leads");
    })) << status.ToString();
    EXPECT_EQ(status.code(), Code::kUnavailable);
    mds.SetDown(false);
  }
  auto client = To({nobody}, 60s, 300ms);
  auto list = ListAll(*client);
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().code(), Code::kUnavailable);
  EXPECT_TRUE(list.error().message().starts_with("no MDS answers (" + nobody.ToString()))
      << list.error().message();
  client->Stop();
  EXPECT_EQ(ListAll(*client).error().code(), Code::kInterrupted);
}

TEST(MdsClientTest, AnOperationsErrorIsTheAnswer) {
  InMemoryMds mds;
  auto client = To(mds.addresses(), 60s, 200ms);
  proto::GetFsInfoRequest get;
  get.set_fs_name("nothing");
  auto got = client->Call<proto::GetFsInfoResponse>("MdsService/GetFsInfo", get);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code(), Code::kNotFound);
  // Without metaservers there is no place for a file system.
  proto::CreateFsRequest create;
  create.set_fs_name("fs");
  create.set_directory("/objects");
  auto made = client->Call<proto::CreateFsResponse>("MdsService/CreateFs", create);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Code::kUnavailable);
  EXPECT_NE(made.error().message().find("zones"), std::string::npos) << made.error().message();
}

MdsSessionOptions At(const InMemoryMds& mds, const std::string& client) {
  return {.mds = mds.addresses(), .fs = "fs", .host = "here", .mount_dir = "/mnt", .client = client};
}

size_t MountsOf(MdsClient& client) {
  proto::GetFsInfoRequest get;
  get.set_fs_name("fs");
  auto got = client.Call<proto::GetFsInfoResponse>("MdsService/GetFsInfo", get);
  EXPECT_TRUE(got);
  return got ? got->fs().mount_num() : 0;
}

TEST(MdsSessionTest, ALife) {
  InMemoryMds mds(1, 3s);
  auto client = To(mds.addresses());
  EXPECT_EQ(MdsSession::Begin(At(mds, "one")).error().code(), Code::kNotFound);
  auto fs = MakeFs(*client, "fs");
  ASSERT_TRUE(fs) << fs.error().ToString();
  EXPECT_EQ(MdsSession::Begin(At(mds, "one")).error().code(), Code::kBusy) << "it is NEW";
  mds.MakeReady(*fs);
  {
    std::atomic<int> news = 0;
    auto options = At(mds, "one");
    options.news = [&](const proto::FsInfo& info) { news += info.fs_name() == "fs"; };
    auto session = MdsSession::Begin(options);
    ASSERT_TRUE(session) << session.error().ToString();
    EXPECT_EQ((*session)->fs().directory(), "/objects");
    EXPECT_EQ(MountsOf(*client), 1u);
    EXPECT_EQ(MdsSession::Begin(At(mds, "two")).error().code(), Code::kExists) << "the place is taken";
    proto::DeleteFsInfoRequest remove;
    remove.set_fs_name("fs");
    EXPECT_EQ(client->Call<proto::DeleteFsInfoResponse>("MdsService/DeleteFsInfo", remove).error().code(),
              Code::kBusy);
    // It lives much longer than its time, and another is begun when it has ended all the same.
    const uint64_t first = (*session)->id();
    EXPECT_TRUE(Becomes([&] { return news >= 4; }));
    mds.EndMount(*fs, first);
    EXPECT_TRUE(Becomes([&] { return (*session)->begun() >= 2 && (*session)->id() != 0; }));
    EXPECT_NE((*session)->id(), first);
    EXPECT_EQ(MountsOf(*client), 1u);
  }
  EXPECT_EQ(MountsOf(*client), 0u);
  proto::DeleteFsInfoRequest remove;
  remove.set_fs_name("fs");
  ASSERT_TRUE(client->Call<proto::DeleteFsInfoResponse>("MdsService/DeleteFsInfo", remove));
  auto gone = MdsSession::Begin(At(mds, "one"));
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().message().find("was deleted"), std::string::npos) << gone.error().message();
}

TEST(MdsSessionTest, WhoIsGoneMakesRoom) {
  InMemoryMds mds;
  auto client = To(mds.addresses());
  auto fs = MakeFs(*client, "fs");
  ASSERT_TRUE(fs);
  mds.MakeReady(*fs);
  proto::MountFsRequest died;
  died.set_fs_name("fs");
  died.set_host("here");
  died.set_mount_dir("/mnt");
  died.set_client_uuid("died");
  ASSERT_TRUE(client->Call<proto::MountFsResponse>("MdsService/MountFs", died));
  auto options = At(mds, "one");
  options.is_gone = [](const std::string& who) { return who == "another"; };
  EXPECT_EQ(MdsSession::Begin(options).error().code(), Code::kExists);
  options.is_gone = [](const std::string& who) { return who == "died"; };
  auto session = MdsSession::Begin(options);
  ASSERT_TRUE(session) << session.error().ToString();
  EXPECT_EQ(MountsOf(*client), 1u);
}

TEST(MdsRoutesTest, TheRootAndWhereItIsNow) {
  InMemoryMds mds;
  auto client = To(mds.addresses());
  auto fs = MakeFs(*client, "fs");
  ASSERT_TRUE(fs);
  auto route = FindRoot(*client, *fs);
  ASSERT_TRUE(route) << route.error().ToString();
  EXPECT_EQ(route->partition.value, 0u);
  EXPECT_EQ(route->servers.size(), 3u);
  proto::RegisterMetaserverRequest moved;
  moved.set_uuid("uuid2");
  moved.set_server_id(2);
  moved.set_address("127.0.0.1:22");
  ASSERT_TRUE(client->Call<proto::RegisterMetaserverResponse>("TopologyService/RegisterMetaserver", moved));
  route = FindRoot(*client, *fs);
  ASSERT_TRUE(route);
  EXPECT_NE(std::ranges::find(route->servers, (net::Address{"127.0.0.1", 22})), route->servers.end());
  EXPECT_FALSE(RootRoute({}, {}));
}

TEST(Routes, PartitionsWhoseCopysetKnowsThem) {
  proto::ListPartitionResponse partitions;
  proto::ListTopologyResponse topology;
  for (uint32_t id : {0u, 1u, 2u, 3u}) {
    auto* p = partitions.add_partition();
    p->set_partition_id(id);
    p->set_copyset_id(10 + id % 2);
    p->set_formatted(id == 1 || id == 3);
    if (id == 3) p->set_state(proto::PARTITION_READ_ONLY);
  }
  for (uint32_t id : {10u, 11u}) {
    auto* c = partitions.add_copyset();
    c->set_copyset_id(id);
    c->set_hash_seed(77);
    auto* peer = c->add_peer();
    peer->set_replica_id(id);
    peer->set_address("10.0.0.1:" + std::to_string(id));
  }
  auto routes = RoutesOf(partitions, topology);
  ASSERT_TRUE(routes.has_value()) << routes.error().ToString();
  ASSERT_EQ(routes->partitions.size(), 3u) << "of an older program partition 0, and those that are known";
  EXPECT_EQ(routes->partitions[0].copyset, 10u);
  EXPECT_EQ(routes->partitions[1].copyset, 11u);
  EXPECT_TRUE(routes->partitions[1].grows);
  EXPECT_EQ(routes->partitions[2].id, PartitionId(3));
  EXPECT_FALSE(routes->partitions[2].grows);
  EXPECT_EQ(routes->copysets[11], (std::vector<net::Address>{{"10.0.0.1", 11}}));
  EXPECT_EQ(routes->hash_seed, 77u);
  partitions.mutable_copyset()->RemoveLast();
  EXPECT_EQ(RoutesOf(partitions, topology).error().code(), Code::kNotFound);
}

}  // namespace
}  // namespace curvefs::client
