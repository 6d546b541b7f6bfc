// Connections: what they carry, and what becomes of those who do not behave.
#include "net/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "net/dialer.h"
#include "net/listener.h"
#include "test/support/certificates.h"

namespace curvefs::net {
namespace {

using namespace std::chrono_literals;
constexpr Duration kLong = 20s;
constexpr FrameType kData = 256;

// One end: what came, and how it ended.
struct End {
  ConnectionPtr connection;
  std::vector<std::string> frames;
  int drained = 0;
  std::optional<Status> closed;

  void Take(ConnectionPtr c) {
    connection = std::move(c);
    connection->Start({.frame = [this](Connection&, const Frame& f) { frames.emplace_back(f.payload); },
                       .drained = [this](Connection&) { ++drained; },
                       .closed =
                           [this](Connection&, const Status& why) {
                             EXPECT_FALSE(closed.has_value());
                             closed = why;
                           }});
  }
};

ConnectionOptions Options(std::shared_ptr<TlsContext> tls = nullptr) {
  ConnectionOptions options;
  options.tls = std::move(tls);
  return options;
}

// A listener and whom it has let in.
struct Server {
  explicit Server(AsioLoop& loop, ConnectionOptions options = Options(), size_t max_connections = 100) {
    ListenerOptions listen{.address = {"127.0.0.1", 0}, .connection = std::move(options)};
    listen.max_connections = max_connections;
    listener = *Listener::Open(loop, std::move(listen), {.connected = [this](ConnectionPtr c) {
                                 ends.push_back(std::make_unique<End>());
                                 ends.back()->Take(std::move(c));
                               }});
  }
  ~Server() {
    for (auto& end : ends) end->connection->Abandon();
  }
  std::unique_ptr<Listener> listener;
  std::vector<std::unique_ptr<End>> ends;
};

struct Client {
  Client(AsioLoop& loop, const Address& address, ConnectionOptions options = Options(), Hello hello = Hello(),
         std::string name = "") {
    DialerOptions dial{.address = address, .connection = std::move(options), .hello = std::move(hello)};
    dial.tls_name = std::move(name);
    dial.min_pause = 1ms;
    dial.max_pause = 5ms;
    dialer.emplace(loop, std::move(dial),
                   Dialer::Events{.connected = [this](ConnectionPtr c) { end.Take(std::move(c)); },
                                  .failed = [this](const Status& why) { failures.push_back(why); }});
  }
  ~Client() {
    if (end.connection) end.connection->Abandon();
  }
  End end;
  std::vector<Status> failures;
  std::optional<Dialer> dialer;
};

// A socket that does what no connection of ours would do.
class Raw {
 public:
  explicit Raw(const Address& to) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(to.port);
    inet_pton(AF_INET, to.host.c_str(), &a.sin_addr);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
    fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  ~Raw() { close(fd_); }
  void Write(std::string_view bytes) { (void)!send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  void SmallBuffer() {
    int n = 4096;
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &n, sizeof n);
  }
  void EndWriting() { shutdown(fd_, SHUT_WR); }
  void Hands(Hello hello = Hello()) {
    if (hello.max_payload == 0) hello.max_payload = 1 << 20;
    std::string bytes(kPreface);
    const std::string payload = EncodeHello(hello);
    AppendFrame({.type = kHello, .payload = payload}, &bytes);
    Write(bytes);
  }
  // True once the other end has closed; what it sent before is in read().
  bool Ended() {
    char buffer[4096];
    for (;;) {
      const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
      if (n > 0) read_.append(buffer, static_cast<size_t>(n));
      if (n == 0 || (n < 0 && errno != EAGAIN)) return true;
      if (n < 0) return false;
    }
  }
  const std::string& read() const { return read_; }
  // What the other end said when it ended.
  Status Goodbye() const {
    std::string_view rest = read_;
    if (!rest.starts_with(kPreface)) return Code::kOk;
    rest.remove_prefix(kPreface.size());
    Frame frame;
    size_t size;
    while (auto r = ParseFrame(rest, kMaxPayload, &frame, &size)) {
      if (*r == 0) break;
      if (frame.type == kGoodbye) return DecodeStatus(frame.payload);
      rest.remove_prefix(*r);
    }
    return Code::kOk;
  }

 private:
  int fd_;
  std::string read_;
};

bool Ends(AsioLoop& loop, Raw& raw, Duration limit = kLong) {
  const SteadyTime end = Clock::System().Steady() + limit;
  while (!raw.Ended()) {
    if (Clock::System().Steady() > end) return false;
    loop.RunUntil([] { return false; }, 1ms);
  }
  return true;
}

TEST(Connection, CarriesFramesBothWays) {
  AsioLoop loop;
  Server server(loop);
  Client client(loop, server.listener->address(), Options(), {.sender = 5, .info = "hi"});
  ASSERT_TRUE(loop.RunUntil([&] { return client.end.connection && server.ends.size() == 1; }, kLong));
  End& end = *server.ends[0];
  EXPECT_EQ(end.connection->theirs().sender, 5u);
  EXPECT_EQ(end.connection->theirs().info, "hi");
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(client.end.connection->Send(kData, 0, 0, std::string(i * 501, 'a')).ok());
    EXPECT_TRUE(end.connection->Send(kData, 0, 0, std::string(i * 502, 'b')).ok());
  }
  ASSERT_TRUE(
      loop.RunUntil([&] { return client.end.frames.size() == 100 && end.frames.size() == 100; }, kLong));
  for (size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(end.frames[i], std::string(i * 501, 'a'));
    EXPECT_EQ(client.end.frames[i], std::string(i * 502, 'b'));
  }
  client.end.connection->Close({Code::kBusy, "enough"});
  ASSERT_TRUE(loop.RunUntil([&] { return end.closed && client.end.closed; }, kLong));
  EXPECT_EQ(end.closed->code(), Code::kBusy);
  EXPECT_EQ(end.closed->message(), "enough");
  EXPECT_EQ(end.connection->Send(kData, 0, 0, "x").code(), Code::kUnavailable);
}

TEST(Connection, AFullQueueRefusesAndTellsWhenItHasDrained) {
  AsioLoop loop;
  Server server(loop);
  ConnectionOptions options = Options();
  options.max_queue = 1 << 20;
  Client client(loop, server.listener->address(), options);
  ASSERT_TRUE(loop.RunUntil([&] { return client.end.connection != nullptr; }, kLong));
  size_t sent = 0;
  Status s;
  while ((s = client.end.connection->Send(kData, 0, 0, std::string(100'000, 'x'))).ok()) ++sent;
  EXPECT_EQ(s.code(), Code::kWouldBlock);
  EXPECT_EQ(sent, 10u);
  EXPECT_LE(client.end.connection->queued_bytes(), options.max_queue);
  ASSERT_TRUE(loop.RunUntil([&] { return client.end.drained == 1; }, kLong));
  EXPECT_TRUE(client.end.connection->Send(kData, 0, 0, std::string(2 << 20, 'x')).ok());  // alone it fits
  ASSERT_TRUE(loop.RunUntil([&] { return server.ends[0]->frames.size() == sent + 1; }, kLong));
}

TEST(Connection, APausedReaderHoldsTheSenderBack) {
  AsioLoop loop;
  Server server(loop);
  Client client(loop, server.listener->address());
  ASSERT_TRUE(loop.RunUntil([&] { return client.end.connection && !server.ends.empty(); }, kLong));
  End& end = *server.ends[0];
  end.connection->PauseReading();
  size_t sent = 0;
  loop.RunUntil(
      [&] {
        while (client.end.connection->Send(kData, 0, 0, std::string(100'000, 'x')).ok()) ++sent;
        return false;
      },
      50ms);
  EXPECT_LE(end.frames.size(), 1u);
  EXPECT_LT(sent, 1000u);
  end.connection->ResumeReading();
  EXPECT_TRUE(loop.RunUntil([&] { return end.frames.size() == sent; }, kLong));
}

TEST(Connection, AReaderThatTakesNothingIsCutOff) {
  AsioLoop loop;
  ConnectionOptions options = Options();
  options.stall_limit = 100ms;
  options.max_queue = 1 << 20;
  Server server(loop, options);
  Raw raw(server.listener->address());
  raw.SmallBuffer();
  raw.Hands();
  ASSERT_TRUE(loop.RunUntil([&] { return server.ends.size() == 1; }, kLong));
  End& end = *server.ends[0];
  size_t most = 0;
  auto push = [&] {
    while (end.connection->Send(kData, 0, 0, std::string(10'000, 'x')).ok()) {
    }
    most = std::max(most, end.connection->queued_bytes());
    return end.closed.has_value();
  };
  ASSERT_TRUE(loop.RunUntil(push, kLong));
  EXPECT_EQ(end.closed->code(), Code::kTimedOut);
  EXPECT_LE(most, options.max_queue);
}

TEST(Connection, RepliesToAReaderThatTakesNothingAreBoundedToo) {
  AsioLoop loop;
  ConnectionOptions options = Options();
  options.max_queue = 1 << 20;
  options.hard_max_queue = 2 << 20;
  Server server(loop, options);
  Raw raw(server.listener->address());
  raw.Hands();
  ASSERT_TRUE(loop.RunUntil([&] { return server.ends.size() == 1; }, kLong));
  End& end = *server.ends[0];
  Status s;
  size_t sent = 0;
  while ((s = end.connection->SendAnyway(kData, 0, 0, std::string(100'000, 'x'))).ok()) ++sent;
  EXPECT_LE(sent, 21u);
  ASSERT_TRUE(loop.RunUntil([&] { return end.closed.has_value(); }, kLong));
  EXPECT_FALSE(end.connection->open());
}

TEST(Connection, WhoIsSilentIsAskedAndThenGivenUp) {
  AsioLoop loop;
  ConnectionOptions options = Options();
  options.ping_after = 20ms;
  options.dead_after = 60ms;
  Server server(loop, options);
  Client alive(loop, server.listener->address());
  Raw dead(server.listener->address());
  dead.Hands();
  ASSERT_TRUE(loop.RunUntil([&] { return server.ends.size() == 2; }, kLong));
  ASSERT_TRUE(Ends(loop, dead));
  loop.RunUntil([] { return false; }, 150ms);
  EXPECT_FALSE(alive.end.closed.has_value());
  const bool first = server.ends[0]->closed.has_value();
  EXPECT_NE(first, server.ends[1]->closed.has_value());
  EXPECT_EQ((first ? server.ends[0] : server.ends[1])->closed->code(), Code::kTimedOut);
}

TEST(Connection, WhoDoesNotShakeHandsIsCutOff) {
  AsioLoop loop;
  ConnectionOptions options = Options();
  options.handshake_limit = 30ms;
  Server server(loop, options);
  Raw raw(server.listener->address());
  raw.Write(kPreface.substr(0, 3));
  EXPECT_TRUE(Ends(loop, raw));
  EXPECT_TRUE(server.ends.empty());
}

TEST(Connection, GarbageEndsTheConnectionAndNothingElse) {
  AsioLoop loop;
  Server server(loop);
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    Raw raw(server.listener->address());
    std::string bytes(1 + random() % 3000, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    if (round % 3 == 1) raw.Hands();
    if (round % 3 == 2) bytes.insert(0, kPreface);
    raw.Write(bytes);
    raw.EndWriting();
    EXPECT_TRUE(Ends(loop, raw)) << round;
  }
  for (auto& end : server.ends) EXPECT_TRUE(end->closed.has_value() && end->frames.empty());
  Client client(loop, server.listener->address());
  EXPECT_TRUE(loop.RunUntil([&] { return client.end.connection != nullptr; }, kLong));
}

TEST(Connection, FramesThatMeanNothingEndIt) {
  AsioLoop loop;
  Server server(loop);
  for (Frame bad : {Frame{.type = 77}, Frame{.type = kHello}, Frame{.type = kData, .flags = 8}}) {
    Raw raw(server.listener->address());
    raw.Hands();
    std::string bytes;
    AppendFrame(bad, &bytes);
    raw.Write(bytes);
    EXPECT_TRUE(Ends(loop, raw));
    EXPECT_EQ(raw.Goodbye().code(), Code::kCorrupt);
  }
}

TEST(Connection, ACutFrameIsNotDelivered) {
  AsioLoop loop;
  Server server(loop);
  Raw raw(server.listener->address());
  raw.Hands();
  std::string bytes;
  AppendFrame({.type = kData, .payload = "whole"}, &bytes);
  AppendFrame({.type = kData, .payload = "cut"}, &bytes);
  raw.Write(bytes.substr(0, bytes.size() - 1));
  raw.EndWriting();
  ASSERT_TRUE(Ends(loop, raw));
  loop.RunUntil([&] { return server.ends[0]->closed.has_value(); }, kLong);
  EXPECT_EQ(server.ends[0]->frames, std::vector<std::string>{"whole"});
}

TEST(Connection, AHeadThatPromisesMuchCostsNothing) {
  AsioLoop loop;
  ConnectionOptions options = Options();
  options.max_payload = 1 << 20;
  Server server(loop, options);
  Raw raw(server.listener->address());
  raw.Hands();
  std::string bytes;
  AppendFrame({.type = kData, .payload = std::string((1 << 20) + 1, 'x')}, &bytes);
  raw.Write(bytes.substr(0, kFrameHead));
  EXPECT_TRUE(Ends(loop, raw));
  EXPECT_EQ(raw.Goodbye().code(), Code::kTooBig);
}

TEST(Connection, AnotherVersionIsToldSo) {
  AsioLoop loop;
  Server server(loop);
  Raw raw(server.listener->address());
  raw.Hands({.version = 9, .oldest = 9});
  EXPECT_TRUE(Ends(loop, raw));
  EXPECT_EQ(raw.Goodbye().code(), Code::kUnsupportedVersion);
  Client client(loop, server.listener->address(), Options(), {.version = 9, .oldest = 9});
  ASSERT_TRUE(loop.RunUntil([&] { return client.failures.size() >= 2; }, kLong));  // and it tries again
  EXPECT_EQ(client.failures[0].code(), Code::kUnsupportedVersion);
  EXPECT_TRUE(server.ends.empty());
}

TEST(Connection, ADialThatHasComeAboutIsOver) {
  AsioLoop loop;
  Server server(loop);
  DialerOptions options{.address = server.listener->address()};
  options.connect_limit = 20ms;
  int connected = 0, failed = 0;
  End end;
  Dialer dialer(loop, std::move(options),
                {.connected =
                     [&](ConnectionPtr c) {
                       ++connected;
                       end.Take(std::move(c));
                     },
                 .failed = [&](const Status&) { ++failed; }});
  loop.RunUntil([] { return false; }, 100ms);
  EXPECT_EQ(connected, 1);
  EXPECT_EQ(failed, 0);
  EXPECT_FALSE(dialer.dialing());
  end.connection->Abandon();
}

TEST(Connection, BeyondTheLimitNobodyIsLetIn) {
  AsioLoop loop;
  Server server(loop, Options(), 2);
  Client a(loop, server.listener->address()), b(loop, server.listener->address());
  ASSERT_TRUE(loop.RunUntil([&] { return server.ends.size() == 2; }, kLong));
  {
    Client c(loop, server.listener->address());
    ASSERT_TRUE(loop.RunUntil([&] { return c.failures.size() >= 2; }, kLong));
    a.dialer.reset();
    server.ends[0]->connection->Abandon();
    server.ends[1]->connection->Abandon();
    server.ends.clear();
    EXPECT_TRUE(loop.RunUntil([&] { return c.end.connection != nullptr; }, kLong));
  }
}

TEST(Connection, ALoopThatGoesClosesWhatIsLeft) {
  End end;
  {
    AsioLoop loop;
    Server server(loop);
    Dialer dialer(loop, {.address = server.listener->address()},
                  {.connected = [&](ConnectionPtr c) { end.Take(std::move(c)); }});
    ASSERT_TRUE(loop.RunUntil([&] { return end.connection != nullptr; }, kLong));
    EXPECT_TRUE(end.connection->open());
  }
  EXPECT_FALSE(end.connection->open());
}

// ---- TLS

class Tls : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/net-tls-XXXXXX";
    directory_ = mkdtemp(name);
    authority_ = std::make_unique<test::Authority>(directory_, "cluster");
    stranger_ = std::make_unique<test::Authority>(directory_, "stranger");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  static std::shared_ptr<TlsContext> Load(const TlsFiles& files) {
    auto tls = TlsContext::Load(files);
    EXPECT_TRUE(tls.has_value()) << tls.error().ToString();
    return *tls;
  }

  std::string directory_;
  std::unique_ptr<test::Authority> authority_, stranger_;
};

TEST_F(Tls, CarriesFramesBothWays) {
  AsioLoop loop;
  Server server(loop, Options(Load(authority_->Issue("127.0.0.1"))));
  Client client(loop, server.listener->address(), Options(Load(authority_->Issue("client"))));
  ASSERT_TRUE(loop.RunUntil([&] { return client.end.connection && server.ends.size() == 1; }, kLong));
  End& end = *server.ends[0];
  size_t bytes = 0;
  for (size_t size : {1, 100, 16'384, 100'000, 5'000'000, 3}) {
    EXPECT_TRUE(client.end.connection->Send(kData, 0, 0, std::string(size, 'a')).ok());
    EXPECT_TRUE(end.connection->Send(kData, 0, 0, std::string(size, 'b')).ok());
    bytes += size;
  }
  ASSERT_TRUE(loop.RunUntil([&] { return client.end.frames.size() == 6 && end.frames.size() == 6; }, kLong));
  EXPECT_EQ(end.frames[4], std::string(5'000'000, 'a'));
  EXPECT_EQ(client.end.frames[4], std::string(5'000'000, 'b'));
  EXPECT_GT(client.end.connection->counters().bytes_out, bytes);
  end.connection->Close({Code::kBusy, "bye"});
  ASSERT_TRUE(loop.RunUntil([&] { return client.end.closed.has_value(); }, kLong));
  EXPECT_EQ(client.end.closed->code(), Code::kBusy);
}

TEST_F(Tls, WhatNobodyWouldAcceptIsNotLoaded) {
  const auto expired = TlsContext::Load(authority_->Issue("127.0.0.1", /*expired=*/true));
  ASSERT_FALSE(expired.has_value());
  EXPECT_EQ(expired.error().code(), Code::kInvalid);
  EXPECT_NE(expired.error().message().find("has expired"), std::string::npos) << expired.error().ToString();
  EXPECT_EQ(*LoadTls({}), nullptr) << "no files: no TLS";
  EXPECT_EQ(LoadTls({.ca = authority_->Issue("x").ca}).error().code(), Code::kInvalid);
}

TEST_F(Tls, ANameIsChecked) {
  AsioLoop loop;
  Server server(loop, Options(Load(authority_->Issue("server.example"))));
  auto ours = Options(Load(authority_->Issue("client")));
  Client wrong(loop, server.listener->address(), ours);
  Client right(loop, server.listener->address(), ours, Hello(), "server.example");
  ASSERT_TRUE(loop.RunUntil([&] { return right.end.connection && !wrong.failures.empty(); }, kLong));
  EXPECT_EQ(wrong.failures[0].code(), Code::kAccessDenied);
}

TEST_F(Tls, AStrangerIsRefusedByEitherSide) {
  AsioLoop loop;
  Server server(loop, Options(Load(authority_->Issue("127.0.0.1"))));
  // It trusts nobody but its own authority.
  Client doubts(loop, server.listener->address(), Options(Load(stranger_->Issue("client"))));
  // It trusts us, but we do not know who signed for it.
  TlsFiles mixed = stranger_->Issue("client");
  mixed.ca = authority_->Issue("x").ca;
  Client unknown(loop, server.listener->address(), Options(Load(mixed)));
  ASSERT_TRUE(loop.RunUntil([&] { return !doubts.failures.empty() && !unknown.failures.empty(); }, kLong));
  EXPECT_EQ(doubts.failures[0].code(), Code::kAccessDenied);
  EXPECT_TRUE(server.ends.empty());
}

TEST_F(Tls, PlainAndTlsDoNotMeet) {
  AsioLoop loop;
  ConnectionOptions secure = Options(Load(authority_->Issue("127.0.0.1")));
  secure.handshake_limit = 100ms;
  ConnectionOptions plain = Options();
  plain.handshake_limit = 100ms;
  Server tls_server(loop, secure), plain_server(loop, plain);
  Client plain_client(loop, tls_server.listener->address(), plain);
  Client tls_client(loop, plain_server.listener->address(), secure);
  ASSERT_TRUE(
      loop.RunUntil([&] { return !plain_client.failures.empty() && !tls_client.failures.empty(); }, kLong));
  EXPECT_TRUE(tls_server.ends.empty());
  EXPECT_TRUE(plain_server.ends.empty());
}

TEST_F(Tls, FilesThatAreNoGoodAreRefused) {
  TlsFiles good = authority_->Issue("a"), other = authority_->Issue("b");
  EXPECT_TRUE(TlsContext::Load(good).has_value());
  for (auto break_it : {+[](TlsFiles& f) { f.ca = "/nowhere"; }, +[](TlsFiles& f) { f.cert = f.key; },
                        +[](TlsFiles& f) { f.key = f.cert; }}) {
    TlsFiles bad = good;
    break_it(bad);
    auto r = TlsContext::Load(bad);
    ASSERT_FALSE(r.has_value());
    EXPECT_EQ(r.error().code(), Code::kInvalid);
  }
  good.key = other.key;
  EXPECT_FALSE(TlsContext::Load(good).has_value());
}

}  // namespace
}  // namespace curvefs::net
