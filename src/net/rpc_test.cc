// Server, Client and BlockingClient over real sockets on the loopback device.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "net/blocking_client.h"
#include "net/listener.h"
#include "net/server.h"

namespace curvefs::net {
namespace {

using namespace std::chrono_literals;

constexpr FrameType kEcho = 256, kHold = 257, kFail = 258, kBig = 259;
constexpr Duration kLong = 20s;

// A server on a loop, which answers kEcho, keeps kHold, refuses kFail.
struct Fixture {
  explicit Fixture(AsioLoop& l, ServerOptions options = {}, ConnectionOptions connection = {},
                   std::vector<AsioLoop*> lanes = {})
      : loop(l), server(Events(), options) {
    auto opened =
        Listener::Open(loop, {.address = {"127.0.0.1", 0}, .connection = connection},
                       {.connected = [this](ConnectionPtr c) { server.Adopt(std::move(c)); }}, lanes);
    CURVEFS_CHECK(opened.has_value());
    listener = *std::move(opened);
  }

  ServerEvents Events() {
    return {.opened = [this](Session& s) { last = s.weak_from_this(); },
            .request =
                [this](Session&, const Request& r, Reply reply) {
                  ++requests;
                  if (r.type == kEcho) return reply(std::string(r.bytes));
                  if (r.type == kFail) return reply(Fail(Code::kNotFound, std::string(r.bytes)));
                  if (r.type == kBig) return reply(std::string(size_t{1} << 20, 'b'));
                  held.push_back(reply);
                  held_ids.push_back(r.id);
                },
            .cancelled = [this](Session&, uint64_t id) { cancelled.push_back(id); },
            .closed = [this](Session&, const Status&) { ++closed; }};
  }

  ClientOptions Options() const {
    return {.dialer = {.address = listener->address(), .min_pause = 1ms, .max_pause = 20ms}};
  }

  AsioLoop& loop;
  Server server;
  std::unique_ptr<Listener> listener;
  std::atomic<int> requests = 0;
  std::vector<Reply> held;
  std::vector<uint64_t> held_ids, cancelled;
  std::weak_ptr<Session> last;
  int closed = 0;
};

// The same with a thread.
struct ThreadedFixture {
  ThreadedFixture() : fixture(loop), thread([this] { loop.Run(); }) {}
  ~ThreadedFixture() {
    loop.Stop();
    thread.join();
  }
  AsioLoop loop;
  Fixture fixture;
  std::thread thread;
};

struct Outcome {
  bool done = false;
  Result<std::string> result;
  Client::Done Set() {
    return [this](Result<std::string> r) {
      EXPECT_FALSE(done);
      done = true;
      result = std::move(r);
    };
  }
};

TEST(Rpc, RepliesAndErrors) {
  AsioLoop loop;
  Fixture f(loop);
  Client client(loop, f.Options());
  Outcome echo, fail, empty;
  client.Call(kEcho, "hello", kLong, echo.Set());
  client.Call(kFail, "thing", kLong, fail.Set());
  client.Call(kEcho, "", kLong, empty.Set());
  EXPECT_FALSE(echo.done);  // never from within Call
  ASSERT_TRUE(loop.RunUntil([&] { return echo.done && fail.done && empty.done; }, kLong));
  EXPECT_EQ(echo.result.value(), "hello");
  EXPECT_EQ(empty.result.value(), "");
  EXPECT_EQ(fail.result.error().code(), Code::kNotFound);
  EXPECT_EQ(fail.result.error().message(), "thing");
}

TEST(Rpc, ManyOutstandingGoInOneWrite) {
  AsioLoop loop;
  Fixture f(loop);
  Client client(loop, f.Options());
  ASSERT_TRUE(loop.RunUntil([&] { return client.connected(); }, kLong));
  const uint64_t before = client.counters().writes;
  std::vector<Outcome> outcomes(100);
  loop.Post([&] {
    for (size_t i = 0; i < outcomes.size(); ++i)
      client.Call(kEcho, std::to_string(i), kLong, outcomes[i].Set());
  });
  auto all = [&] {
    return std::all_of(outcomes.begin(), outcomes.end(), [](const Outcome& o) { return o.done; });
  };
  ASSERT_TRUE(loop.RunUntil(all, kLong));
  for (size_t i = 0; i < outcomes.size(); ++i) EXPECT_EQ(outcomes[i].result.value(), std::to_string(i));
  EXPECT_EQ(client.counters().writes - before, 1u);
}

TEST(Rpc, LargePayloadsArriveWhole) {
  AsioLoop loop;
  Fixture f(loop);
  Client client(loop, f.Options());
  for (size_t size : {size_t{1} << 13, (size_t{1} << 13) + 1, size_t{1} << 20, kMaxPayload}) {
    std::string bytes(size, 'x');
    for (size_t i = 0; i < size; i += 997) bytes[i] = static_cast<char>(i);
    Outcome o;
    client.Call(kEcho, bytes, kLong, o.Set());
    ASSERT_TRUE(loop.RunUntil([&] { return o.done; }, kLong));
    ASSERT_TRUE(o.result.has_value()) << o.result.error().ToString();
    EXPECT_TRUE(*o.result == bytes) << size;
  }
  Outcome over;
  client.Call(kEcho, std::string(kMaxPayload + 1, 'x'), kLong, over.Set());
  ASSERT_TRUE(loop.RunUntil([&] { return over.done; }, kLong));
  EXPECT_EQ(over.result.error().code(), Code::kTooBig);
}

TEST(Rpc, DeadlinePassesAndTheServerIsTold) {
  AsioLoop loop;
  Fixture f(loop);
  Client client(loop, f.Options());
  Outcome o, later;
  client.Call(kHold, "", 10ms, o.Set());
  ASSERT_TRUE(loop.RunUntil([&] { return o.done && !f.cancelled.empty(); }, kLong));
  EXPECT_EQ(o.result.error().code(), Code::kTimedOut);
  EXPECT_EQ(f.cancelled, f.held_ids);
  f.held[0](std::string("too late"));
  client.Call(kEcho, "next", kLong, later.Set());
  ASSERT_TRUE(loop.RunUntil([&] { return later.done; }, kLong));
  EXPECT_EQ(later.result.value(), "next");
}

TEST(Rpc, RepliesFromOtherThreads) {
  ThreadedFixture t;
  AsioLoop loop;
  Client client(loop, t.fixture.Options());
  Outcome o;
  client.Call(kHold, "", kLong, o.Set());
  ASSERT_TRUE(loop.RunUntil([&] { return client.connected(); }, kLong));
  while (t.fixture.requests == 0) std::this_thread::yield();
  std::atomic<const Reply*> reply = nullptr;
  t.loop.Post([&] { reply = &t.fixture.held[0]; });
  while (!reply) std::this_thread::yield();
  (*reply.load())(std::string("from afar"));
  ASSERT_TRUE(loop.RunUntil([&] { return o.done; }, kLong));
  EXPECT_EQ(o.result.value(), "from afar");
}

TEST(Rpc, ServerSpeaksFirst) {
  AsioLoop loop;
  Fixture f(loop);
  std::string pushed;
  Client client(loop, f.Options(), {.push = [&](FrameType type, std::string_view bytes) {
                  pushed = std::to_string(type) + std::string(bytes);
                }});
  ASSERT_TRUE(loop.RunUntil([&] { return f.last.lock() != nullptr; }, kLong));
  EXPECT_TRUE(f.last.lock()->Push(300, " revoke").ok());
  ASSERT_TRUE(loop.RunUntil([&] { return !pushed.empty(); }, kLong));
  EXPECT_EQ(pushed, "300 revoke");
  client.Notify(301, "ack");
  ASSERT_TRUE(loop.RunUntil([&] { return f.requests == 1; }, kLong));
  EXPECT_FALSE(f.held[0].wanted());
}

TEST(Rpc, LostConnectionEndsCallsAsUnknownAndComesBack) {
  AsioLoop loop;
  Fixture f(loop);
  Client client(loop, f.Options());
  Outcome lost, after;
  client.Call(kHold, "", kLong, lost.Set());
  ASSERT_TRUE(loop.RunUntil([&] { return f.requests == 1; }, kLong));
  f.last.lock()->Close({Code::kUnavailable, "bye"});
  ASSERT_TRUE(loop.RunUntil([&] { return lost.done; }, kLong));
  EXPECT_EQ(lost.result.error().code(), Code::kTimedOut);
  client.Call(kEcho, "again", kLong, after.Set());
  ASSERT_TRUE(loop.RunUntil([&] { return after.done; }, kLong));
  EXPECT_EQ(after.result.value(), "again");
}

TEST(Rpc, NobodyThereIsUnavailableAndASoonerStartedServerIsFound) {
  AsioLoop loop;
  Address address;
  {
    Fixture f(loop);
    address = f.listener->address();
  }
  Client client(loop, {.dialer = {.address = address, .min_pause = 1ms, .max_pause = 20ms}});
  Outcome o;
  client.Call(kEcho, "", kLong, o.Set());
  ASSERT_TRUE(loop.RunUntil([&] { return o.done; }, kLong));
  EXPECT_EQ(o.result.error().code(), Code::kUnavailable);
  Server server({.request = [](Session&, const Request&, Reply reply) { reply(std::string("here")); }});
  auto listener =
      Listener::Open(loop, {.address = address}, {.connected = [&](ConnectionPtr c) { server.Adopt(c); }});
  ASSERT_TRUE(listener.has_value()) << listener.error().ToString();
  ASSERT_TRUE(loop.RunUntil([&] { return client.connected(); }, kLong));
}

TEST(Rpc, AServerAnswersNoFasterThanItIsRead) {
  AsioLoop loop;
  Fixture f(loop, {.max_outstanding = 8});
  Client client(loop, f.Options());
  std::vector<Outcome> outcomes(100);
  for (Outcome& o : outcomes) client.Call(kHold, "", kLong, o.Set());
  ASSERT_TRUE(loop.RunUntil([&] { return f.requests == 8; }, kLong));
  loop.RunUntil([] { return false; }, 20ms);
  EXPECT_EQ(f.requests, 8);  // the rest waits
  size_t answered = 0;
  auto answer = [&] {
    while (answered < f.held.size()) f.held[answered++](std::string());
    return answered == outcomes.size() && outcomes.back().done;
  };
  EXPECT_TRUE(loop.RunUntil(answer, kLong));
}

TEST(Rpc, LanesAreLoops) {
  AsioLoop first, second;
  AsioLoop client_loop;
  Fixture f(first, {}, {}, {&first, &second});
  std::vector<std::thread::id> ran(2);
  Server server({.request = [&](Session& s, const Request&, Reply reply) {
    ran[s.hello().lane] = std::this_thread::get_id();
    EXPECT_EQ(&s.connection().loop(), s.hello().lane == 0 ? &first : &second);
    reply(std::string("ok"));
  }});
  auto listener = Listener::Open(first, {.address = {"127.0.0.1", 0}},
                                 {.connected = [&](ConnectionPtr c) { server.Adopt(c); }}, {&first, &second});
  ASSERT_TRUE(listener.has_value());
  std::thread one([&] { first.Run(); }), two([&] { second.Run(); });
  {
    uint32_t lanes = 0;
    ClientOptions a{.dialer = {.address = (*listener)->address()}}, b = a;
    b.dialer.hello.lane = 1;
    Client to_first(client_loop, a, {.up = [&](const Hello& h) { lanes = h.lanes; }});
    Client to_second(client_loop, b);
    Outcome x, y;
    to_first.Call(kEcho, "", kLong, x.Set());
    to_second.Call(kEcho, "", kLong, y.Set());
    EXPECT_TRUE(client_loop.RunUntil([&] { return x.done && y.done; }, kLong));
    EXPECT_EQ(lanes, 2u);
    EXPECT_TRUE(x.result.has_value() && y.result.has_value());
    EXPECT_EQ(ran[0], one.get_id());
    EXPECT_EQ(ran[1], two.get_id());
  }
  first.Stop();
  second.Stop();
  one.join();
  two.join();
}

class Blocking : public testing::TestWithParam<BlockingClient::Shape> {};

TEST_P(Blocking, ManyThreads) {
  ThreadedFixture t;
  BlockingClient client(t.fixture.Options(), {}, GetParam());
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 200; ++j) {
        const std::string text = std::to_string(i) + ":" + std::to_string(j);
        auto r = client.Call(kEcho, text, kLong);
        good += r.has_value() && *r == text;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 800);
}

TEST_P(Blocking, DeadlinesAndPushesWithNobodyCalling) {
  ThreadedFixture t;
  std::atomic<bool> pushed = false;
  BlockingClient client(t.fixture.Options(), {.push = [&](FrameType, std::string_view) { pushed = true; }},
                        GetParam());
  EXPECT_EQ(client.Call(kHold, "", 20ms).error().code(), Code::kTimedOut);
  t.loop.Post([&] { EXPECT_TRUE(t.fixture.last.lock()->Push(300, "").ok()); });
  std::atomic<bool> started = false;
  client.Start(kEcho, "x", kLong, [&](Result<std::string> r) { started = r.has_value(); });
  client.Notify(kHold, "");
  while (!pushed || !started || t.fixture.requests < 3) std::this_thread::yield();
}

INSTANTIATE_TEST_SUITE_P(Shapes, Blocking,
                         testing::Values(BlockingClient::Shape::kCallerRuns,
                                         BlockingClient::Shape::kOwnThread));

}  // namespace
}  // namespace curvefs::net
