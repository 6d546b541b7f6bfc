// The client against the test server: every request, every retry, every error with its remedy.
#include "object/s3/client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "object/s3/encoding.h"
#include "object/s3/s3_fixture_test.h"
#include "object/s3/signer.h"

namespace curvefs::object::s3 {
namespace {

using std::chrono::milliseconds;

class ClientTest : public S3Test {};

TEST_F(ClientTest, PutGetHeadDelete) {
  const std::string bytes = RandomBytes(3'000'001);
  ASSERT_TRUE(client_->Put("a/b c+ü", One(bytes)).ok());
  EXPECT_EQ(server_.Objects().at("a/b c+ü"), bytes);
  EXPECT_EQ(*client_->Get("a/b c+ü"), bytes);
  EXPECT_EQ(*client_->Head("a/b c+ü"), bytes.size());
  ASSERT_TRUE(client_->Put("empty", {}).ok());
  EXPECT_EQ(*client_->Get("empty"), "");
  EXPECT_TRUE(client_->Delete("a/b c+ü").ok());
  EXPECT_TRUE(client_->Delete("a/b c+ü").ok()) << "deleted already";
  EXPECT_EQ(client_->Get("a/b c+ü").error().code(), Code::kNotFound);
  EXPECT_EQ(client_->Head("a/b c+ü").error().code(), Code::kNotFound);
}

TEST_F(ClientTest, PiecesAndHolesAreSentInPlace) {
  BufferList body{BufferSlice::CopyOf("begin"), BufferSlice::Zeros(700'000), BufferSlice::CopyOf("end")};
  ASSERT_TRUE(client_->Put("k", body).ok());
  EXPECT_EQ(server_.Objects().at("k"), "begin" + std::string(700'000, '\0') + "end");
}

TEST_F(ClientTest, RangesIntoPieces) {
  const std::string bytes = RandomBytes(100'000);
  ASSERT_TRUE(client_->Put("k", One(bytes)).ok());
  std::string a(10, '?'), b(90, '?'), tail(50, '?'), past(500, '?');
  std::array<RangeRead, 3> reads;
  reads[0] = {.key = "k", .offset = 1000, .bytes = 100, .into = {a, b}};
  reads[1] = {.key = "k", .from_end = true, .bytes = 50, .into = {tail}};
  reads[2] = {.key = "k", .offset = 99'800, .bytes = 500, .into = {past}};
  ASSERT_TRUE(client_->Read(reads).ok());
  EXPECT_EQ(a + b, bytes.substr(1000, 100));
  EXPECT_EQ(tail, bytes.substr(99'950));
  EXPECT_EQ(reads[1].first, 99'950u);
  EXPECT_EQ(reads[1].total, 100'000u);
  EXPECT_EQ(reads[2].received, 200u);
  EXPECT_EQ(past.substr(0, 200), bytes.substr(99'800));
  std::array<RangeRead, 2> some;
  some[0] = {.key = "k", .offset = 200'000, .bytes = 10, .into = {a}};
  some[1] = {.key = "missing", .offset = 0, .bytes = 10, .into = {b}};
  EXPECT_FALSE(client_->Read(some).ok());
  EXPECT_EQ(some[0].status.code(), Code::kInvalid);
  EXPECT_EQ(some[1].status.code(), Code::kNotFound);
}

TEST_F(ClientTest, AServerThatIgnoresRangesIsNoticed) {
  ASSERT_TRUE(client_->Put("k", One(RandomBytes(100'000))).ok());
  server_.Inject({.kind = Kind::kIgnoreRange, .count = 9});
  std::string part(10, '?');
  RangeRead read{.key = "k", .offset = 5, .bytes = 10, .into = {part}};
  Status s = client_->Read(std::span(&read, 1));
  EXPECT_EQ(s.code(), Code::kIo);
  EXPECT_TRUE(Says(s, "longer than what was asked for")) << s.ToString();
  EXPECT_EQ(part.size(), 10u);
}

TEST_F(ClientTest, ConditionalPut) {
  EXPECT_TRUE(client_->Put("k", One("first"), true).ok());
  EXPECT_EQ(client_->Put("k", One("second"), true).code(), Code::kExists);
  EXPECT_EQ(*client_->Get("k"), "first");
}

TEST_F(ClientTest, ListsPageByPage) {
  std::vector<std::string> keys, seen;
  for (int i = 0; i < 25; ++i) keys.push_back("p/" + std::string(1, static_cast<char>('a' + i)) + " &<ü>+%");
  for (const auto& key : keys) server_.SetObject(key, "x");
  server_.SetObject("o/before", "x");
  server_.SetObject("q/after", "x");
  test::S3Server small({.page = 4});
  for (const auto& key : keys) small.SetObject(key, "xx");
  for (test::S3Server* server : {&server_, &small}) {
    auto client = MakeClient(QuickOptions(*server));
    auto take = [&](const ListedObject& o) {
      seen.push_back(o.key);
      return true;
    };
    seen.clear();
    ASSERT_TRUE(client->List("p/", "", take).ok());
    EXPECT_EQ(seen, keys);
    seen.clear();
    ASSERT_TRUE(client->List("p/", keys[9], take).ok());
    EXPECT_EQ(seen, std::vector<std::string>(keys.begin() + 10, keys.end()));
    int n = 0;
    ASSERT_TRUE(client->List("p/", "", [&](const auto&) { return ++n < 6; }).ok());
    EXPECT_EQ(n, 6);
  }
}

TEST_F(ClientTest, DeletesByTheThousand) {
  std::vector<std::string> keys;
  for (int i = 0; i < 2500; ++i) {
    keys.push_back("d/" + std::to_string(i));
    if (i % 7 != 0) server_.SetObject(keys.back(), "x");
  }
  server_.SetObject("kept", "x");
  EXPECT_TRUE(client_->DeleteMany(keys).ok());
  EXPECT_EQ(server_.Objects().size(), 1u);
  EXPECT_EQ(server_.requests("POST"), 3u);
}

TEST_F(ClientTest, WhatCannotBeDeletedIsNamedAndTheRestGoes) {
  std::vector<std::string> keys{"a", "b/undeletable", "c"};
  for (const auto& key : keys) server_.SetObject(key, "x");
  Status s = client_->DeleteMany(keys);
  EXPECT_EQ(s.code(), Code::kAccessDenied);
  EXPECT_TRUE(Says(s, "b/undeletable")) << s.ToString();
  EXPECT_TRUE(Says(s, "s3:DeleteObject")) << s.ToString();
  EXPECT_EQ(server_.Objects().size(), 1u);
}

TEST_F(ClientTest, StoresWithoutDeleteMany) {
  server_.set_delete_many(false);
  for (const char* key : {"a", "b", "c"}) server_.SetObject(key, "x");
  EXPECT_TRUE(client_->DeleteMany(std::vector<std::string>{"a", "b"}).ok());
  EXPECT_TRUE(client_->DeleteMany(std::vector<std::string>{"c", "d"}).ok());
  EXPECT_TRUE(server_.Objects().empty());
  EXPECT_EQ(server_.requests("POST"), 1u) << "asked once only";
}

TEST_F(ClientTest, LargeObjectsGoInParts) {
  ClientOptions options = QuickOptions(server_);
  options.part_bytes = 100'000;
  auto client = MakeClient(options);
  const std::string bytes = RandomBytes(1'234'567);
  BufferList body;
  for (size_t at = 0; at < bytes.size(); at += 70'001)
    body.push_back(BufferSlice::CopyOf(std::string_view(bytes).substr(at, 70'001)));
  server_.Inject({.kind = Kind::kSlowDown, .method = "PUT", .after = 3});
  ASSERT_TRUE(client->Put("big", body).ok());
  EXPECT_TRUE(server_.Objects().at("big") == bytes);
  EXPECT_EQ(server_.requests("PUT"), 13u + 1);
  EXPECT_EQ(server_.unfinished_uploads(), 0u);
  EXPECT_EQ(client->Put("big", body, true).code(), Code::kExists);
  EXPECT_EQ(server_.unfinished_uploads(), 0u) << "what failed is aborted";
}

TEST_F(ClientTest, PartsOfAFailedUploadAreGivenUp) {
  ClientOptions options = Once();
  options.part_bytes = 1000;
  auto client = MakeClient(options);
  server_.Inject({.kind = Kind::kInternal, .method = "PUT", .after = 5});
  EXPECT_EQ(client->Put("big", One(RandomBytes(10'000))).code(), Code::kUnavailable);
  EXPECT_EQ(server_.unfinished_uploads(), 0u);
  EXPECT_TRUE(server_.Objects().empty());
}

TEST_F(ClientTest, VirtualHostStyle) {
  ClientOptions options = QuickOptions(server_);
  options.endpoint = *Endpoint::Parse(server_.virtual_endpoint());
  options.style = Style::kVirtual;
  auto client = MakeClient(options);
  ASSERT_TRUE(client->Put("a/b", One("hello")).ok());
  EXPECT_EQ(server_.Objects().at("a/b"), "hello");
  uint64_t seen = 0;
  ASSERT_TRUE(client->List("a", "", [&](const auto&) { return ++seen > 0; }).ok());
  EXPECT_EQ(seen, 1u);
}

TEST_F(ClientTest, SessionTokens) {
  test::S3Server server({.session_token = "token+/="});
  EXPECT_FALSE(MakeClient(QuickOptions(server))->Put("k", One("x")).ok());
  auto client = MakeClient(QuickOptions(server),
                           [] { return Credentials{"TESTACCESSKEY", "test/secret+key", "token+/="}; });
  EXPECT_TRUE(client->Put("k", One("x")).ok());
}

// ---- what passes by itself is tried again

TEST_F(ClientTest, EveryPassingFaultIsRetried) {
  const std::string bytes = RandomBytes(300'000);
  for (Kind kind : {Kind::kReset, Kind::kLostReply, Kind::kTruncate, Kind::kSlowDown, Kind::kInternal,
                    Kind::kThrottled}) {
    SCOPED_TRACE(static_cast<int>(kind));
    server_.Inject({.kind = kind, .method = "PUT", .count = 3});
    // Half of nothing is the whole answer to a PUT.
    EXPECT_TRUE(client_->Put("k", One(bytes)).ok());
    EXPECT_EQ(server_.Objects().at("k"), bytes);
    server_.ClearFaults();
    server_.Inject({.kind = kind, .method = "GET", .count = 3});
    auto got = client_->Get("k");
    ASSERT_TRUE(got) << got.error().ToString();
    EXPECT_TRUE(*got == bytes);
    std::string out(1000, '?');
    server_.ClearFaults();
    server_.Inject({.kind = kind, .method = "GET", .count = 2});
    RangeRead read{.key = "k", .offset = 500, .bytes = 1000, .into = {out}};
    ASSERT_TRUE(client_->Read(std::span(&read, 1)).ok());
    EXPECT_EQ(out, bytes.substr(500, 1000));
    EXPECT_EQ(read.received, 1000u) << "what an earlier try received does not count";
    server_.ClearFaults();
    for (const char* method : {"HEAD", "DELETE", "POST"}) {
      server_.Inject({.kind = kind == Kind::kTruncate ? Kind::kReset : kind, .method = method, .count = 2});
    }
    EXPECT_TRUE(client_->Head("k"));
    EXPECT_TRUE(client_->DeleteMany(std::vector<std::string>{"k", "l"}).ok());
    EXPECT_TRUE(client_->Delete("k").ok());
    server_.ClearFaults();
  }
  EXPECT_GT(client_->stats().retries, 30u);
  EXPECT_EQ(client_->stats().failures, 0u);
}

TEST_F(ClientTest, ManyThreadsAmongFaults) {
  for (Kind kind : {Kind::kReset, Kind::kLostReply, Kind::kTruncate, Kind::kSlowDown, Kind::kInternal})
    server_.Inject({.kind = kind, .count = 1'000'000, .share = 0.05});
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (uint32_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t i = 0; i < 40; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        const std::string bytes = RandomBytes(1 + i * 5000, t * 100 + i);
        if (!client_->Put(key, One(bytes)).ok() || client_->Get(key).value_or("") != bytes) ++wrong;
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(server_.Objects().size(), 8u * 40);
  EXPECT_GT(server_.injected(), 20u);
}

TEST_F(ClientTest, TriesEndAndTheErrorSaysHowOften) {
  ClientOptions options = QuickOptions(server_);
  options.retry_total = milliseconds(20);
  auto client = MakeClient(options);
  server_.Inject({.kind = Kind::kSlowDown, .count = 1'000'000});
  Status s = client->Put("k", One("x"));
  EXPECT_EQ(s.code(), Code::kUnavailable);
  EXPECT_TRUE(Says(s, "SlowDown") && Says(s, "times in") && Says(s, "overloaded")) << s.ToString();
  EXPECT_EQ(client->stats().failures, 1u);
  server_.ClearFaults();
  EXPECT_TRUE(client->Put("k", One("x")).ok()) << "and it works when the store is back";
}

TEST_F(ClientTest, GivingUpEndsWhatIsUnderWayAndWhatIsTriedAgain) {
  server_.Inject({.kind = Kind::kBlackHole, .part_of_path = "hole", .count = 1'000'000});
  server_.Inject({.kind = Kind::kSlowDown, .part_of_path = "slow", .count = 1'000'000});
  auto client = MakeClient(QuickOptions(server_));  // would try for a minute
  Status hole, slow;
  std::thread first([&] { hole = client->Put("hole", One("x")); });
  std::thread second([&] { slow = client->Put("slow", One("x")); });
  while (server_.injected() < 5) std::this_thread::yield();
  EXPECT_GE(client->stats().transport.in_flight, 1u);
  client->GiveUp();
  first.join();
  second.join();
  EXPECT_EQ(hole.code(), Code::kUnavailable);
  EXPECT_EQ(slow.code(), Code::kUnavailable);
  EXPECT_EQ(client->stats().transport.in_flight, 0u);
}

TEST_F(ClientTest, BlackHolesRunIntoTheDeadline) {
  ClientOptions options = QuickOptions(server_);
  options.request_timeout = milliseconds(50);
  auto client = MakeClient(options);
  server_.Inject({.kind = Kind::kBlackHole, .count = 2});
  EXPECT_TRUE(client->Put("k", One("x")).ok());
  EXPECT_EQ(client->stats().retries, 2u);
  options.retry_total = Duration(0);
  client = MakeClient(options);
  server_.ClearFaults();
  server_.Inject({.kind = Kind::kBlackHole});
  Status s = client->Put("k", One("x"));
  EXPECT_TRUE(Says(s, "no answer from http://127.0.0.1") && Says(s, "not done in time")) << s.ToString();
}

TEST_F(ClientTest, AStallIsGivenUp) {
  ClientOptions options = QuickOptions(server_);
  options.transport.stall_timeout = milliseconds(50);
  auto client = MakeClient(options);
  server_.Inject({.kind = Kind::kBlackHole});
  EXPECT_TRUE(client->Put("k", One(RandomBytes(100'000))).ok());
  EXPECT_EQ(client->stats().retries, 1u);
}

TEST_F(ClientTest, ASlowObjectHoldsUpNobody) {
  ASSERT_TRUE(client_->Put("slow", One("slow")).ok());
  ASSERT_TRUE(client_->Put("quick", One("quick")).ok());
  server_.Inject({.kind = Kind::kHold, .part_of_path = "slow", .count = 4});
  std::vector<std::thread> held;
  for (int i = 0; i < 4; ++i) held.emplace_back([&] { EXPECT_EQ(*client_->Get("slow"), "slow"); });
  server_.http().AwaitHeld(4);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(*client_->Get("quick"), "quick");
  server_.http().Release();
  for (auto& t : held) t.join();
}

TEST_F(ClientTest, NoMoreAtOnceThanAllowed) {
  ClientOptions options = QuickOptions(server_);
  options.transport.at_once = {2, 3, 1};
  auto client = MakeClient(options);
  server_.Inject({.kind = Kind::kHold, .method = "PUT", .count = 1000});
  std::vector<std::thread> threads;
  for (int i = 0; i < 9; ++i)
    threads.emplace_back([&, i] { EXPECT_TRUE(client->Put("k" + std::to_string(i), One("x")).ok()); });
  server_.http().AwaitHeld(2);
  EXPECT_EQ(server_.requests("PUT"), 2u) << "the others wait for a place";
  EXPECT_EQ(client->Get("none").error().code(), Code::kNotFound) << "another lane";
  server_.http().Release();
  for (auto& t : threads) t.join();
  EXPECT_LE(server_.http().connections(), 3u);
}

TEST_F(ClientTest, ConnectionsAreUsedAgain) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client_->Put("k", One(RandomBytes(2000))).ok());
    ASSERT_TRUE(client_->Get("k"));
  }
  EXPECT_EQ(server_.http().connections(), 1u);
}

TEST_F(ClientTest, BandwidthLimitsHoldBackAndLoseNothing) {
  ClientOptions options = QuickOptions(server_);
  options.transport.upload_bytes_per_second = 4 << 20;
  options.transport.download_bytes_per_second = 4 << 20;
  options.request_timeout = std::chrono::seconds(5);
  auto client = MakeClient(options);
  const std::string bytes = RandomBytes(500'000);
  const SteadyTime began = Clock::System().Steady();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const std::string key = std::to_string(i);
      EXPECT_TRUE(client->Put(key, One(bytes)).ok());
      EXPECT_TRUE(client->Get(key).value_or("") == bytes);
    });
  }
  for (auto& t : threads) t.join();
  // 2 MB at 4 MiB/s, less what may go at once.
  EXPECT_GT(Clock::System().Steady() - began, milliseconds(350));
  EXPECT_EQ(client->stats().retries, 0u);
}

// ---- what does not pass by itself is said at once, with the remedy

TEST_F(ClientTest, WrongKeys) {
  auto unknown = MakeClient(QuickOptions(server_), [] { return Credentials{"NOBODY", "x", ""}; });
  Status s = unknown->Put("k", One("x"));
  EXPECT_EQ(s.code(), Code::kAccessDenied);
  EXPECT_TRUE(Says(s, "InvalidAccessKeyId") && Says(s, "AWS_ACCESS_KEY_ID")) << s.ToString();
  auto wrong =
      MakeClient(QuickOptions(server_), [] { return Credentials{"TESTACCESSKEY", "the-wrong-one", ""}; });
  s = wrong->Put("k", One("x"));
  EXPECT_TRUE(Says(s, "SignatureDoesNotMatch") && Says(s, "secret key")) << s.ToString();
  EXPECT_FALSE(Says(s, "the-wrong-one"));
  EXPECT_EQ(server_.requests(""), 2u) << "no second try";
}

TEST_F(ClientTest, ChangedKeysAreReadAnew) {
  Credentials now = *TestKeys();
  auto client = MakeClient(QuickOptions(server_), [&] { return now; });
  ASSERT_TRUE(client->Put("k", One("x")).ok());
  server_.SetKeys("SECOND", "key");
  EXPECT_EQ(client->Put("k", One("x")).code(), Code::kAccessDenied);
  now = {"SECOND", "key", ""};
  EXPECT_TRUE(client->Put("k", One("y")).ok());
}

TEST_F(ClientTest, WrongRegion) {
  ClientOptions options = QuickOptions(server_);
  options.region = "elsewhere-2";
  Status s = MakeClient(options)->Put("k", One("x"));
  EXPECT_EQ(s.code(), Code::kAccessDenied);
  EXPECT_TRUE(Says(s, "not in the region 'elsewhere-2' but in 'test-region-1'") &&
              Says(s, "--s3-region test-region-1"))
      << s.ToString();
}

class SkewedClock final : public Clock {
 public:
  Timestamp Wall() const override { return {System().Wall().ns + int64_t{20} * 60 * 1'000'000'000}; }
  SteadyTime Steady() const override { return System().Steady(); }
};

TEST_F(ClientTest, WrongClock) {
  SkewedClock clock;
  Status s = MakeClient(QuickOptions(server_), TestKeys, clock)->Put("k", One("x"));
  EXPECT_TRUE(Says(s, "RequestTimeTooSkewed") && Says(s, "set the clock")) << s.ToString();
}

TEST_F(ClientTest, WrongBucketAndPermissions) {
  ClientOptions options = QuickOptions(server_);
  options.bucket = "nowhere";
  auto nowhere = MakeClient(options);
  Status s = nowhere->Put("k", One("x"));
  EXPECT_TRUE(Says(s, "NoSuchBucket") && Says(s, "make the bucket first")) << s.ToString();
  EXPECT_EQ(nowhere->Get("k").error().code(), Code::kIo) << "not the same as a missing object";
  server_.Deny({"PUT", "HEAD"});
  s = client_->Put("k", One("x"));
  EXPECT_EQ(s.code(), Code::kAccessDenied);
  EXPECT_TRUE(Says(s, "s3:PutObject")) << s.ToString();
  EXPECT_TRUE(Says(client_->Head("k").error(), "s3:GetObject"));
}

TEST_F(ClientTest, NobodyThere) {
  ClientOptions options = Once();
  options.endpoint = *Endpoint::Parse("http://127.0.0.1:1");
  Status s = MakeClient(options)->Put("k", One("x"));
  EXPECT_EQ(s.code(), Code::kUnavailable);
  EXPECT_TRUE(Says(s, "cannot connect to http://127.0.0.1:1") && Says(s, "is the S3 server running"))
      << s.ToString();
  options.endpoint = *Endpoint::Parse("http://" + std::string(70, 'a'));
  s = MakeClient(options)->Put("k", One("x"));
  EXPECT_TRUE(Says(s, "is not known") && Says(s, "--s3-endpoint")) << s.ToString();
}

TEST_F(ClientTest, TlsIsVerified) {
  const test::Certificate certificate = test::MakeCertificate();
  test::S3Server server({.certificate = &certificate});
  ClientOptions options = QuickOptions(server);
  options.transport.ca_file = "";
  Status s = MakeClient(options)->Put("k", One("x"));
  EXPECT_EQ(s.code(), Code::kAccessDenied);
  EXPECT_TRUE(Says(s, "not trusted") && Says(s, "--s3-ca")) << s.ToString();

  const std::string path = testing::TempDir() + "curvefs-s3-ca-" + std::to_string(::getpid());
  std::ofstream(path) << certificate.certificate;
  options.transport.ca_file = path;
  auto client = MakeClient(options);
  const std::string bytes = RandomBytes(1'000'000);
  EXPECT_TRUE(client->Put("k", One(bytes)).ok());
  EXPECT_TRUE(client->Get("k").value_or("") == bytes);
  options.sign_payload = false;
  EXPECT_TRUE(MakeClient(options)->Put("k", One("y")).ok());
  std::filesystem::remove(path);
  options = QuickOptions(server_);
  options.sign_payload = false;
  EXPECT_EQ(Client::Make(options, TestKeys, Clock::System()).error().code(), Code::kInvalid)
      << "only over TLS";
}

// ---- canaries of the server: it refuses what a wrong client would send

TEST_F(ClientTest, TheServerRefusesForgeries) {
  Transport transport({});
  auto status_of = [&](const std::vector<std::string>& headers, std::string_view body) {
    const BufferList list = One(body);
    Exchange e;
    e.method = "PUT";
    e.url = server_.endpoint() + "/bucket/k";
    e.headers = headers;
    e.body = &list;
    Exchange* p = &e;
    transport.Run(std::span(&p, 1));
    return e.status;
  };
  const Timestamp now = Clock::System().Wall();
  const std::string host = server_.endpoint().substr(7), hash = Sha256Hex(std::string_view("body"));
  SignableRequest r{"PUT",
                    "/bucket/k",
                    {},
                    {{"host", host}, {"x-amz-content-sha256", hash}, {"x-amz-date", AmzTime(now)}},
                    hash};
  const std::string good = Authorization(r, *TestKeys(), now, "test-region-1");
  auto with = [&](const std::string& authorization, const std::string& sha) {
    return std::vector<std::string>{"Host: " + host, "x-amz-content-sha256: " + sha,
                                    "x-amz-date: " + AmzTime(now), "Authorization: " + authorization};
  };
  EXPECT_EQ(status_of(with(good, hash), "body"), 200) << "the right one passes";
  EXPECT_EQ(status_of(with(good, hash), "bodY"), 400) << "another payload";
  EXPECT_EQ(status_of(with(good, Sha256Hex(std::string_view("bodY"))), "bodY"), 403) << "another hash";
  std::string bad = good;
  bad.back() = bad.back() == '0' ? '1' : '0';
  EXPECT_EQ(status_of(with(bad, hash), "body"), 403) << "another signature";
  EXPECT_EQ(status_of(with(Authorization(r, *TestKeys(), now, "other"), hash), "body"), 400)
      << "another region";
  EXPECT_EQ(status_of({"Host: " + host}, "body"), 403) << "none at all";
  auto extra = with(good, hash);
  extra.push_back("x-amz-acl: public-read");
  EXPECT_EQ(status_of(extra, "body"), 403) << "a header that is not signed";
}

TEST(Location, PlacesAndEndpoints) {
  auto l = Location::Parse("s3://bucket/a/b/");
  ASSERT_TRUE(l);
  EXPECT_EQ(l->ToString(), "s3://bucket/a/b");
  EXPECT_EQ(l->Key("x"), "a/b/x");
  EXPECT_EQ(Location::Parse("s3://b")->Key("x"), "x");
  for (const char* bad :
       {"", "s3://", "s3:///x", "http://b/x", "s3://b/a//c", "s3://b/../c", "s3://b/a b", "s3://b c"})
    EXPECT_FALSE(Location::Parse(bad)) << bad;
  EXPECT_EQ(Endpoint::Parse("https://h:443/")->ToString(), "https://h");
  EXPECT_EQ(Endpoint::Parse("http://[::1]:9000")->ToString(), "http://[::1]:9000");
  for (const char* bad : {"", "h", "ftp://h", "http://", "http://h/path", "http://h:", "http://h:99999",
                          "http://u:p@h", "http://[::1"})
    EXPECT_FALSE(Endpoint::Parse(bad)) << bad;
  EXPECT_EQ(AddressOf(Endpoint::OfAws("r"), Style::kVirtual, "b", "k k").host, "b.s3.r.amazonaws.com");
  EXPECT_EQ(AddressOf(Endpoint::OfAws("r"), Style::kPath, "b", "").path, "/b");
}

}  // namespace
}  // namespace curvefs::object::s3
