// CopysetClient and early answers, against servers whose answers are scripted.
#include <gtest/gtest.h>

#include "client/cluster/copyset_client.h"
#include "client/cluster/fake_metaserver_test.h"

namespace curvefs::client {
namespace {

using namespace std::chrono_literals;
using proto::MetaCall;

std::unique_ptr<CopysetClient> Open(std::vector<net::Address> servers) {
  CopysetClientOptions options;
  options.servers = std::move(servers);
  options.copyset = 7;
  options.fs = FsId(1);
  options.owner = "test";
  options.attempt_limit = 300ms;
  options.early = true;
  auto client = CopysetClient::Open(std::move(options));
  EXPECT_TRUE(client) << client.error().ToString();
  return *std::move(client);
}

Result<proto::CreateResponse> Create(CopysetClient& client) {
  return client.Change<proto::CreateResponse>(MetaCall::kCreate, proto::CreateRequest());
}

std::string Answer(uint64_t term, uint64_t order, uint64_t committed = 0) {
  proto::CreateResponse response;
  response.mutable_inode()->set_inode_id(42);
  response.mutable_header()->set_term(term);
  response.mutable_header()->set_early_order(order);
  response.mutable_header()->set_evaluated_ns(static_cast<int64_t>(1000 + order));
  response.mutable_header()->set_committed_order(committed);
  return response.SerializeAsString();
}

std::string Reclaim(uint64_t term) {
  proto::CreateResponse response;
  response.mutable_header()->set_status(proto::UNAVAILABLE);
  response.mutable_header()->set_term(term);
  response.mutable_header()->set_reclaim_term(term);
  return response.SerializeAsString();
}

TEST(EarlyAnswers, WhatIsNotCommittedIsNotAcknowledged) {
  FakeServer server;
  auto client = Open({server.address()});
  server.Script({Answer(5, 1), Answer(5, 2), Answer(5, 3, 2), Answer(5, 4, 3)});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Create(*client));
  const auto seen = server.Changes();
  ASSERT_EQ(seen.size(), 5u);
  EXPECT_TRUE(seen[0].header.early());
  EXPECT_EQ(seen[1].header.acknowledged(), 1u);
  EXPECT_EQ(seen[2].header.acknowledged(), 1u);
  EXPECT_EQ(seen[3].header.acknowledged(), 3u);  // 1 and 2 are committed
  EXPECT_EQ(seen[4].header.acknowledged(), 4u);
  EXPECT_EQ(client->counters().early, 4u);
}

TEST(EarlyAnswers, AreSentAgainInTheirOrderToALeaderThatAsks) {
  FakeServer server;
  auto client = Open({server.address()});
  server.Script({Answer(5, 7, 6), Answer(5, 8, 6), Reclaim(6), Answer(6, 1), Answer(6, 2)});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Create(*client));
  const auto seen = server.Changes();
  ASSERT_EQ(seen.size(), 6u);
  for (size_t i : {3, 4}) {
    EXPECT_TRUE(seen[i].header.replay());
    EXPECT_EQ(seen[i].header.sequence(), i - 2);
    EXPECT_EQ(seen[i].header.evaluated_ns(), static_cast<int64_t>(1007 + i - 3));
  }
  EXPECT_EQ(seen[5].header.sequence(), 3u);
  EXPECT_FALSE(seen[5].header.replay());
  EXPECT_EQ(server.reclaimed(), 6u);
  EXPECT_EQ(client->counters().sent_again, 2u);
  EXPECT_EQ(client->counters().lost, 0u);
}

// A leader that has them in part is gone, too: the next gets all, and in the same order.
TEST(EarlyAnswers, AreSentAgainInTheirOrderAlsoAfterTheyWereInPart) {
  FakeServer server;
  auto client = Open({server.address()});
  server.Script({Answer(5, 7, 6), Answer(5, 8, 6), Reclaim(6), Answer(6, 1),
                 FakeServer::Failure(Code::kUnavailable), Reclaim(7), Answer(7, 1), Answer(7, 2)});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Create(*client));
  std::vector<uint64_t> again;
  for (const Seen& seen : server.Changes()) {
    if (seen.header.replay()) again.push_back(seen.header.sequence());
  }
  EXPECT_EQ(again, (std::vector<uint64_t>{1, 2, 1, 2}));
  EXPECT_EQ(server.reclaimed(), 7u);
}

// An early answer before it did not come here: this one cannot be done again as it was done.
TEST(EarlyAnswers, OneBehindAGapIsAskedForUntilItIsCommitted) {
  FakeServer server;
  auto client = Open({server.address()});
  proto::CreateResponse committed;
  committed.mutable_inode()->set_inode_id(42);
  server.Script({Answer(5, 1), Answer(5, 3), committed.SerializeAsString()});
  ASSERT_TRUE(Create(*client));
  ASSERT_TRUE(Create(*client));
  const auto seen = server.Changes();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[1].header.sequence(), 2u);
  EXPECT_EQ(seen[2].header.sequence(), 2u);
  EXPECT_EQ(client->counters().early, 1u);
}

// The answers of that leader say nothing of what another one answered.
TEST(EarlyAnswers, AnotherTermCommitsNothing) {
  FakeServer server;
  auto client = Open({server.address()});
  server.Script({Answer(5, 1), Answer(6, 0, 9), FakeServer::Failure(Code::kUnavailable)});
  ASSERT_TRUE(Create(*client));
  ASSERT_TRUE(Create(*client));  // and that it is to be sent again, at once; in vain this time
  auto seen = server.Changes();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_TRUE(seen[2].header.replay());
  ASSERT_TRUE(Create(*client));
  EXPECT_EQ(server.Changes().back().header.acknowledged(), 1u);
}

TEST(EarlyAnswers, SettleWaitsForTheCommit) {
  FakeServer server;
  auto client = Open({server.address()});
  ASSERT_TRUE(client->Settle().ok());
  EXPECT_EQ(server.settles(), 0u);
  server.Script({Answer(5, 1)});
  ASSERT_TRUE(Create(*client));
  server.SetCommitted(5, 1);
  ASSERT_TRUE(client->Settle().ok());
  EXPECT_EQ(server.settles(), 1u);
  ASSERT_TRUE(client->Settle().ok());
  EXPECT_EQ(server.settles(), 1u);
}

// Too late: it is said once, to whoever syncs.
TEST(EarlyAnswers, WhatIsLostIsSaid) {
  FakeServer server;
  auto client = Open({server.address()});
  server.Script({Answer(5, 1), Reclaim(6), FakeServer::Failure(Code::kFenced)});
  ASSERT_TRUE(Create(*client));
  ASSERT_TRUE(Create(*client));
  EXPECT_EQ(client->counters().lost, 1u);
  EXPECT_EQ(client->Settle().code(), Code::kIo);
  EXPECT_TRUE(client->Settle().ok());
}

}  // namespace
}  // namespace curvefs::client
