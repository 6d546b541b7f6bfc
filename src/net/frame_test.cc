#include "net/frame.h"

#include <gtest/gtest.h>

#include "net/hello.h"
#include "test/support/golden.h"

namespace curvefs::net {
namespace {

Hello Sample() {
  return {.version = 1,
          .oldest = 1,
          .features = 5,
          .needs = 1,
          .role = Role::kPeer,
          .sender = 7,
          .receiver = 8,
          .incarnation = 0x0123456789abcdef,
          .cluster = "prod",
          .max_payload = 1 << 20,
          .lane = 2,
          .lanes = 3,
          .info = "more"};
}

TEST(Frame, GoldenBytes) {
  std::string bytes(kPreface);
  const std::string hello = EncodeHello(Sample());
  AppendFrame({.type = kHello, .payload = hello}, &bytes);
  AppendFrame({.type = 300, .id = 42, .payload = "question"}, &bytes);
  AppendFrame({.type = 300, .flags = kReply, .id = 42, .payload = "answer"}, &bytes);
  const std::string error = EncodeStatus({Code::kNotLeader, "ask 3"});
  AppendFrame({.type = 300, .flags = kReply | kError, .id = 43, .payload = error}, &bytes);
  AppendFrame({.type = kPing, .id = 1}, &bytes);
  EXPECT_TRUE(test::MatchesGolden("wire-v1.bin", bytes));
}

TEST(Frame, ComesInAnyPieces) {
  std::string bytes;
  AppendFrame({.type = 256, .id = 9, .payload = "abc"}, &bytes);
  Frame frame;
  size_t size = 0;
  for (size_t n = 0; n < bytes.size(); ++n) {
    auto r = ParseFrame(bytes.substr(0, n), 100, &frame, &size);
    ASSERT_TRUE(r.has_value());
    EXPECT_EQ(*r, 0u);
    EXPECT_EQ(size, n < kFrameHead ? kFrameHead : bytes.size());
  }
  auto r = ParseFrame(bytes, 100, &frame, &size);
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(*r, bytes.size());
  EXPECT_EQ(frame.type, 256);
  EXPECT_EQ(frame.id, 9u);
  EXPECT_EQ(frame.payload, "abc");
}

TEST(Frame, EveryFlippedBitIsSeen) {
  std::string bytes;
  AppendFrame({.type = 256, .flags = kReply, .id = 9, .payload = "some payload"}, &bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string bad = bytes;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    Frame frame;
    size_t size;
    auto r = ParseFrame(bad, kMaxPayload, &frame, &size);
    ASSERT_FALSE(r.has_value()) << "bit " << bit;
    EXPECT_EQ(r.error().code(), Code::kCorrupt);
  }
}

TEST(Frame, OverTheLimitIsRefusedByItsHead) {
  std::string bytes;
  AppendFrame({.type = 256, .payload = std::string(101, 'x')}, &bytes);
  Frame frame;
  size_t size;
  auto r = ParseFrame(std::string_view(bytes).substr(0, kFrameHead), 100, &frame, &size);
  ASSERT_FALSE(r.has_value());
  EXPECT_EQ(r.error().code(), Code::kTooBig);
}

TEST(Hello, RoundTrip) {
  auto hello = DecodeHello(EncodeHello(Sample()));
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(EncodeHello(*hello), EncodeHello(Sample()));
  EXPECT_EQ(hello->info, "more");
}

TEST(Hello, MalformedOnesAreRefused) {
  Hello hello = Sample();
  EXPECT_FALSE(DecodeHello(""));
  EXPECT_FALSE(DecodeHello(EncodeHello(hello).substr(0, 30)));
  hello.cluster.assign(kMaxCluster + 1, 'c');
  EXPECT_FALSE(DecodeHello(EncodeHello(hello)));
  hello = Sample();
  hello.info.assign(kMaxInfo + 1, 'i');
  EXPECT_FALSE(DecodeHello(EncodeHello(hello)));
  hello = Sample();
  hello.oldest = 2;
  EXPECT_FALSE(DecodeHello(EncodeHello(hello)));
}

TEST(Hello, WhoMaySpeakWithWhom) {
  Hello a{.sender = 1}, b{.sender = 2};
  EXPECT_TRUE(CheckHello(a, b).ok());
  b.version = b.oldest = 2;
  EXPECT_EQ(CheckHello(a, b).code(), Code::kUnsupportedVersion);
  b.oldest = 1;  // newer, and understands the old
  EXPECT_TRUE(CheckHello(a, b).ok());
  b.needs = 4;
  EXPECT_EQ(CheckHello(a, b).code(), Code::kUnsupportedVersion);
  a.features = 6;
  EXPECT_TRUE(CheckHello(a, b).ok());
  a.cluster = "one";
  EXPECT_TRUE(CheckHello(a, b).ok());
  b.cluster = "two";
  EXPECT_EQ(CheckHello(a, b).code(), Code::kInvalid);
  b.cluster = "one";
  b.receiver = 3;
  EXPECT_EQ(CheckHello(a, b).code(), Code::kInvalid);
  EXPECT_EQ(CheckHello(b, a).code(), Code::kInvalid);
  b.receiver = 1;
  EXPECT_TRUE(CheckHello(a, b).ok());
}

TEST(Status, GoesOverTheWire) {
  Status s = DecodeStatus(EncodeStatus({Code::kNotFound, "no such thing"}));
  EXPECT_EQ(s.code(), Code::kNotFound);
  EXPECT_EQ(s.message(), "no such thing");
  EXPECT_EQ(DecodeStatus("").code(), Code::kCorrupt);  // ok is no error
}

TEST(Address, Texts) {
  auto check = [](std::string_view text, const char* host, uint16_t port) {
    auto a = ParseAddress(text);
    ASSERT_TRUE(a.has_value()) << text;
    EXPECT_EQ(a->host, host);
    EXPECT_EQ(a->port, port);
    EXPECT_EQ(a->ToString(), text);
  };
  check("host:80", "host", 80);
  check("1.2.3.4:65535", "1.2.3.4", 65535);
  check("[::1]:7", "::1", 7);
  check(":0", "", 0);
  for (const char* bad : {"", "host", "host:", "host:x", "host:65536", "::1:7", "host:1x", "host:-1"})
    EXPECT_FALSE(ParseAddress(bad).has_value()) << bad;
}

}  // namespace
}  // namespace curvefs::net
