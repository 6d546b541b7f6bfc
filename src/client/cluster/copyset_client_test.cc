// CopysetClient against servers whose answers are scripted.
#include "client/cluster/copyset_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <thread>

#include "base/blocking.h"
#include "client/cluster/fake_metaserver_test.h"

namespace curvefs::client {
namespace {

using namespace std::chrono_literals;
using proto::MetaCall;

std::unique_ptr<CopysetClient> Open(std::vector<net::Address> servers, Duration timeout = {}) {
  CopysetClientOptions options;
  options.servers = std::move(servers);
  options.copyset = 7;
  options.fs = FsId(1);
  options.owner = "test";
  options.attempt_limit = 300ms;
  options.timeout = timeout;
  auto client = CopysetClient::Open(std::move(options));
  EXPECT_TRUE(client) << client.error().ToString();
  return *std::move(client);
}

Result<proto::CreateResponse> Create(CopysetClient& client) {
  return client.Change<proto::CreateResponse>(MetaCall::kCreate, proto::CreateRequest());
}

TEST(CopysetClient, NumbersItsChangesAndSaysWhatItHas) {
  FakeServer server;
  auto client = Open({server.address()});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Create(*client));
  const auto seen = server.Changes();
  ASSERT_EQ(seen.size(), 3u);
  for (uint64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(seen[i].header.copyset_id(), 7u);
    EXPECT_EQ(seen[i].header.session_id(), 1u);
    EXPECT_EQ(seen[i].header.sequence(), i + 1);
    EXPECT_EQ(seen[i].header.acknowledged(), i + 1);  // everything below
  }
}

// Or whoever reads the kernel's requests would read no other meanwhile.
TEST(CopysetClient, SaysThatItWillWait) {
  FakeServer server;
  auto client = Open({server.address()});
  int told = 0;
  BlockingHook hook([&] { ++told; });
  ASSERT_TRUE(Create(*client));
  EXPECT_EQ(told, 1);
}

TEST(CopysetClient, SendsTheSameNumberAgain) {
  FakeServer server;
  auto client = Open({server.address()});
  // No answer, a lost leadership, an overloaded server: then the answer.
  server.Script({"", FakeServer::Failure(Code::kTimedOut), FakeServer::Failure(Code::kUnavailable)});
  ASSERT_TRUE(Create(*client));
  const auto seen = server.Changes();
  ASSERT_EQ(seen.size(), 4u);
  for (const Seen& s : seen) EXPECT_EQ(s.header.sequence(), 1u);
}

TEST(CopysetClient, FollowsTheHintToAServerThatWasNotNamed) {
  FakeServer leader, follower;
  auto client = Open({follower.address()});
  follower.Script({FakeServer::Failure(Code::kNotLeader, leader.address().ToString())});
  ASSERT_TRUE(Create(*client));
  EXPECT_EQ(follower.Changes().size(), 1u);
  ASSERT_EQ(leader.Changes().size(), 1u);
  ASSERT_TRUE(Create(*client));  // it is remembered
  EXPECT_EQ(leader.Changes().size(), 2u);
}

TEST(CopysetClient, AnErrorOfTheCallIsTheCallers) {
  FakeServer server;
  auto client = Open({server.address()});
  server.Script({FakeServer::Failure(Code::kExists)});
  auto made = Create(*client);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Code::kExists);
  EXPECT_EQ(server.Changes().size(), 1u);
}

TEST(CopysetClient, AnEndedSessionIsReplaced) {
  FakeServer server;
  auto client = Open({server.address()});
  server.Script({FakeServer::Failure(Code::kFenced)});
  ASSERT_TRUE(Create(*client));
  const auto seen = server.Changes();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].header.session_id(), 2u);
  EXPECT_EQ(seen[1].header.sequence(), 1u);
}

// An attempt without an answer may have been carried out before the session ended: doing it again could do it
// twice.
TEST(CopysetClient, WhatMayHaveBeenDoneIsNotDoneAgainInAnotherSession) {
  FakeServer server;
  auto client = Open({server.address()});
  server.Script({FakeServer::Failure(Code::kTimedOut), FakeServer::Failure(Code::kFenced)});
  auto made = Create(*client);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Code::kIo);
  EXPECT_EQ(server.Changes().size(), 2u);
  ASSERT_TRUE(Create(*client));  // the client goes on
  EXPECT_EQ(server.sessions(), 2u);
}

TEST(CopysetClient, GivesUpInTime) {
  FakeServer server;
  auto client = Open({server.address()}, 200ms);
  server.Script(std::deque<std::string>(1000, FakeServer::Failure(Code::kNotLeader)));
  auto made = Create(*client);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Code::kUnavailable);  // nothing was done
}

TEST(CopysetClient, StopWakesWhoWaits) {
  FakeServer server;
  auto client = Open({server.address()});
  server.Script(std::deque<std::string>(100'000, FakeServer::Failure(Code::kNotLeader)));
  Result<proto::CreateResponse> made = Fail(Code::kOk);
  std::thread waiting([&] { made = Create(*client); });
  while (server.Changes().size() < 3) std::this_thread::yield();
  client->Stop();
  waiting.join();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Code::kUnavailable);
}

TEST(CopysetClient, NobodyIsThere) {
  CopysetClientOptions options;
  options.servers = {{"127.0.0.1", 1}};
  options.copyset = 7;
  options.first_answer = 200ms;
  auto client = CopysetClient::Open(options);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), Code::kUnavailable);
}

// All replicas have moved: whoever knows where is asked, and a call that waits goes on there.
TEST(CopysetClient, AsksWhereTheReplicasAreNowWhenNobodyAnswers) {
  auto old = std::make_unique<FakeServer>();
  FakeServer now;
  std::atomic<int> asked = 0;
  CopysetClientOptions options;
  options.servers = {old->address()};
  options.copyset = 7;
  options.fs = FsId(1);
  options.attempt_limit = 300ms;
  options.find_servers = [&] {
    ++asked;
    return std::vector{now.address()};
  };
  auto client = CopysetClient::Open(std::move(options));
  ASSERT_TRUE(client) << client.error().ToString();
  EXPECT_EQ(asked, 0) << "while somebody answers nobody is asked";
  old.reset();
  auto made = (*client)->Change<proto::CreateResponse>(MetaCall::kCreate, proto::CreateRequest());
  ASSERT_TRUE(made) << made.error().ToString();
  EXPECT_GE(asked, 1);
  EXPECT_EQ(now.Changes().size(), 1u);
}

// They answer, but the copyset is on none of them any more; or one goes on naming itself.
TEST(CopysetClient, AsksElsewhereWhereTheCopysetIsNotAnyMore) {
  FakeServer left, now;
  for (const std::string& hint : {std::string(), left.address().ToString()}) {
    left.Script(std::deque<std::string>(100, FakeServer::Failure(Code::kNotLeader, hint)));
    CopysetClientOptions options;
    options.servers = {left.address()};
    options.copyset = 7;
    options.fs = FsId(1);
    options.attempt_limit = 300ms;
    options.find_servers = [&] { return std::vector{now.address()}; };
    auto client = CopysetClient::Open(std::move(options));
    ASSERT_TRUE(client) << client.error().ToString();
    auto made = (*client)->Change<proto::CreateResponse>(MetaCall::kCreate, proto::CreateRequest());
    ASSERT_TRUE(made) << made.error().ToString();
  }
  EXPECT_EQ(now.Changes().size(), 2u);
}

}  // namespace
}  // namespace curvefs::client
