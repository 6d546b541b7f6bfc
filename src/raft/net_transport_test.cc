// NetTransport over real sockets: several processes of a cluster in one test program.
#include "raft/net_transport.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "base/bytes.h"
#include "net/listener.h"
#include "raft/peer_queue.h"

namespace curvefs::raft {
namespace {

using namespace std::chrono_literals;
using net::AsioLoop;
using net::ConnectionPtr;

constexpr Duration kLong = 60s;

// One process: a listener, a transport, and all that it receives.
struct Process final : NetTransport::Receiver {
  Process(AsioLoop& l, ProcessId i, NetTransportOptions options = NetTransportOptions(),
          net::Address address = {"127.0.0.1", 0})
      : loop(l), id(i) {
    options.min_pause = 1ms;
    options.dial_grace = 50ms;
    options.max_pause = 20ms;
    transport = std::make_unique<NetTransport>(loop, id, options);
    auto opened = net::Listener::Open(
        loop, {.address = address, .connection = options.connection, .hello = {.sender = id}},
        {.admit = [this](const net::Hello& h, net::Hello* r) { return transport->Admit(h, r); },
         .connected = [this](ConnectionPtr c) { transport->Adopt(std::move(c)); }});
    CURVEFS_CHECK(opened.has_value());
    listener = *std::move(opened);
    transport->Start(*this);
  }
  void Knows(const Process& other) { transport->SetPeer(other.id, other.listener->address()); }

  Loop* LoopOf(GroupId group) override { return group.value <= 1000 ? owner : nullptr; }
  void Receive(Message m) override { messages.push_back(std::move(m)); }
  void Receive(SnapshotChunk c) override { chunks.push_back(std::move(c)); }
  void Receive(SnapshotReply r) override { replies.push_back(r); }
  void Unreachable(GroupId group, ReplicaId replica) override { lost.emplace_back(group, replica); }

  // The last message of the group, by its index: 0 if none.
  Index Last(GroupId group) const {
    Index last = 0;
    for (const Message& m : messages) {
      if (m.group == group) last = m.index;
    }
    return last;
  }

  AsioLoop& loop;
  const ProcessId id;
  Loop* owner = &loop;
  std::unique_ptr<NetTransport> transport;
  std::unique_ptr<net::Listener> listener;
  std::vector<Message> messages;
  std::vector<SnapshotChunk> chunks;
  std::vector<SnapshotReply> replies;
  std::vector<std::pair<GroupId, ReplicaId>> lost;
};

// Where group g has its replica on process p, in these tests.
ReplicaId ReplicaOf(ProcessId process, uint64_t group) {
  return ReplicaId(process * 1000 + group);
}

Message Make(ProcessId from, ProcessId to, uint64_t group, Index index, size_t payload = 0) {
  Message m;
  m.type = payload > 0 ? MessageType::kAppend : MessageType::kHeartbeat;
  m.group = GroupId(group);
  m.from = ReplicaOf(from, group);
  m.to = ReplicaOf(to, group);
  m.term = 1;
  m.index = index;
  if (payload > 0) {
    m.log_term = 1;
    m.entries.push_back({.term = 1, .index = index + 1, .payload = MakePayload(std::string(payload, 'p'))});
  }
  return m;
}

SnapshotChunk MakeChunk(ProcessId from, ProcessId to, uint64_t group, uint64_t offset, size_t size) {
  return {.group = GroupId(group),
          .to = ReplicaOf(to, group),
          .from = ReplicaOf(from, group),
          .term = 1,
          .meta = {.index = 5, .term = 1, .members = {.voters = {ReplicaOf(from, group)}, .learners = {}}},
          .offset = offset,
          .data = std::string(size, 's')};
}

struct Pair {
  explicit Pair(NetTransportOptions options = NetTransportOptions())
      : a(loop, 1, options), b(loop, 2, options) {
    a.Knows(b);
    b.Knows(a);
    for (uint64_t g = 1; g <= 300; ++g) {
      a.transport->SetRoute(GroupId(g), ReplicaOf(2, g), 2);
      b.transport->SetRoute(GroupId(g), ReplicaOf(1, g), 1);
    }
  }
  bool Run(const std::function<bool()>& done, Duration limit = kLong) { return loop.RunUntil(done, limit); }
  bool Connect() {
    return Run([&] { return a.transport->connected(2) && b.transport->connected(1); });
  }
  AsioLoop loop;
  Process a, b;
};

TEST(NetTransport, MessagesOfARoundAreOneFrame) {
  Pair p;
  ASSERT_TRUE(p.Connect());
  p.loop.Post([&] {
    for (uint64_t g = 1; g <= 300; ++g) p.a.transport->Send(Make(1, 2, g, g));
    p.a.transport->Send(
        SnapshotReply{.group = GroupId(1), .to = ReplicaOf(2, 1), .from = ReplicaOf(1, 1), .index = 9});
  });
  ASSERT_TRUE(p.Run([&] { return p.b.messages.size() == 300 && p.b.replies.size() == 1; }));
  EXPECT_EQ(p.b.messages[299].group, GroupId(300));
  EXPECT_EQ(p.b.replies[0].index, 9u);
  EXPECT_EQ(p.a.transport->counters().frames_out, 1u);
  EXPECT_EQ(p.b.transport->counters().frames_in, 1u);
}

TEST(NetTransport, HearsWhoLivesThoughNothingIsSaid) {
  NetTransportOptions options;
  options.alive_every = 10ms;
  options.heard_for = 300ms;
  auto p = std::make_unique<Pair>(options);
  const auto heard = [&] { return p->a.transport->Hears(GroupId(7), ReplicaOf(2, 7)); };
  EXPECT_FALSE(heard());
  ASSERT_TRUE(p->Connect());
  ASSERT_TRUE(p->Run(heard));
  EXPECT_FALSE(p->a.transport->Hears(GroupId(7), ReplicaOf(3, 7))) << "a replica that is nowhere";
  const SteadyTime later = p->loop.clock().Steady() + 600ms;
  p->Run([&] {
    EXPECT_TRUE(heard() || p->loop.clock().Steady() > later);
    return p->loop.clock().Steady() > later;
  });
  EXPECT_TRUE(p->a.messages.empty());
  // A process that stands still is not heard for long, and one that ends, at once.
  for (const SteadyTime begin = p->loop.clock().Steady(); p->loop.clock().Steady() - begin < 400ms;) continue;
  EXPECT_FALSE(heard());
  ASSERT_TRUE(p->Run(heard)) << "it goes on";
  p->b.transport.reset();
  ASSERT_TRUE(p->Run([&] { return !p->a.transport->connected(2); }));
  EXPECT_FALSE(heard());
}

TEST(NetTransport, HearsNobodyUnlessTold) {
  Pair p;
  ASSERT_TRUE(p.Connect());
  EXPECT_FALSE(p.a.transport->Hears(GroupId(7), ReplicaOf(2, 7)));
}

TEST(NetTransport, OneConnectionForBothDirectionsAndRoutesAreLearnt) {
  AsioLoop loop;
  Process a(loop, 1), b(loop, 2);
  a.Knows(b);  // b knows nothing
  a.transport->SetRoute(GroupId(7), ReplicaOf(2, 7), 2);
  ASSERT_TRUE(loop.RunUntil([&] { return a.transport->connected(2) && b.transport->connected(1); }, kLong));
  a.transport->Send(Make(1, 2, 7, 1));
  ASSERT_TRUE(loop.RunUntil([&] { return b.Last(GroupId(7)) == 1; }, kLong));
  b.transport->Send(Make(2, 1, 7, 2));
  EXPECT_TRUE(loop.RunUntil([&] { return a.Last(GroupId(7)) == 2; }, kLong));
}

TEST(NetTransport, TheLargerIdDialsIfNobodyComes) {
  AsioLoop loop;
  Process a(loop, 1), b(loop, 2);
  b.Knows(a);
  EXPECT_TRUE(loop.RunUntil([&] { return a.transport->connected(2) && b.transport->connected(1); }, kLong));
}

TEST(NetTransport, OrderIsKeptWhateverTheSizes) {
  Pair p;
  ASSERT_TRUE(p.Connect());
  Index sent = 0;
  auto send = [&] {
    for (; sent < std::min<Index>(2000, p.b.messages.size() + 50); ++sent)
      p.a.transport->Send(Make(1, 2, 1, sent + 1, sent % 50 == 0 ? 300'000 : sent % 100));
    return p.b.messages.size() == 2000;
  };
  ASSERT_TRUE(p.Run(send));
  for (Index i = 0; i < 2000; ++i) ASSERT_EQ(p.b.messages[i].index, i + 1);
  EXPECT_EQ(p.a.transport->counters().dropped, 0u);
}

TEST(NetTransport, AnEntryAtItsLimitFits) {
  Pair p;
  ASSERT_TRUE(p.Connect());
  p.a.transport->Send(Make(1, 2, 1, 1, kMaxEntryBytes));
  p.a.transport->Send(Make(1, 2, 1, 2));
  ASSERT_TRUE(p.Run([&] { return p.b.messages.size() == 2; }));
  EXPECT_EQ(BytesOf(p.b.messages[0].entries[0].payload).size(), kMaxEntryBytes);
}

TEST(NetTransport, ALostPeerIsReportedAndComesBack) {
  Pair p;
  ASSERT_TRUE(p.Connect());
  const net::Address address = p.b.listener->address();
  p.b.transport.reset();
  p.b.listener.reset();
  ASSERT_TRUE(p.Run([&] { return p.a.lost.size() >= 300; }));
  EXPECT_FALSE(p.a.transport->connected(2));
  p.a.transport->Send(Make(1, 2, 1, 1));  // goes nowhere
  EXPECT_EQ(p.a.transport->counters().dropped, 1u);
  Process again(p.loop, 2, NetTransportOptions(), address);
  ASSERT_TRUE(p.Run([&] { return p.a.transport->connected(2); }));
  p.a.transport->Send(Make(1, 2, 1, 2));
  EXPECT_TRUE(p.Run([&] { return again.Last(GroupId(1)) == 2; }));
}

TEST(NetTransport, AnAddressMayChange) {
  Pair p;
  ASSERT_TRUE(p.Connect());
  Process moved(p.loop, 2);
  p.b.transport.reset();
  p.a.Knows(moved);
  ASSERT_TRUE(p.Run([&] { return moved.transport->connected(1) && p.a.transport->connected(2); }));
  p.a.transport->Send(Make(1, 2, 3, 4));
  EXPECT_TRUE(p.Run([&] { return moved.Last(GroupId(3)) == 4; }));
}

TEST(NetTransport, ARemovedPeerIsNotSpokenTo) {
  Pair p;
  ASSERT_TRUE(p.Connect());
  p.a.transport->RemovePeer(2);
  ASSERT_TRUE(p.Run([&] { return !p.a.transport->connected(2) && !p.b.transport->connected(1); }));
  // It dials, and is refused.
  p.Run([] { return false; }, 150ms);
  EXPECT_FALSE(p.b.transport->connected(1));
}

TEST(NetTransport, GroupsOfOtherLoopsGetTheirsThere) {
  AsioLoop other;
  Pair p;
  p.b.owner = &other;
  ASSERT_TRUE(p.Connect());
  std::thread thread([&] { other.Run(); });
  for (Index i = 1; i <= 100; ++i) p.a.transport->Send(Make(1, 2, 1, i));
  ASSERT_TRUE(p.Run([&] { return p.b.transport->counters().messages_in == 100; }));
  other.Stop();
  thread.join();
  other.RunUntil([] { return true; }, 0s);  // what came behind the stop
  EXPECT_EQ(p.b.messages.size(), 100u);
  EXPECT_EQ(p.b.Last(GroupId(1)), 100u);
}

TEST(NetTransport, ManyThreadsSend) {
  Pair p;
  ASSERT_TRUE(p.Connect());
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 4; ++t) {
    threads.emplace_back([&, t] {
      for (Index i = 1; i <= 500; ++i) p.a.transport->Send(Make(1, 2, t, i));
    });
  }
  EXPECT_TRUE(p.Run([&] { return p.b.messages.size() == 2000; }));
  for (auto& thread : threads) thread.join();
  std::array<Index, 5> last{};
  for (const Message& m : p.b.messages) {
    EXPECT_EQ(m.index, last[m.group.value] + 1);
    last[m.group.value] = m.index;
  }
}

TEST(NetTransport, AFloodIsBoundedAndReported) {
  NetTransportOptions options;
  options.max_peer_bytes = 4 << 20;
  Pair p(options);
  ASSERT_TRUE(p.Connect());
  p.Run([&] { return !p.a.lost.empty() || !p.b.lost.empty(); }, 10ms);
  p.a.lost.clear();
  for (Index i = 1; i <= 1000; ++i) p.a.transport->Send(Make(1, 2, 1, i, 100'000));  // 100 MB, and no round
  const uint64_t dropped = p.a.transport->counters().dropped;
  EXPECT_GT(dropped, 900u);
  ASSERT_TRUE(p.Run([&] { return p.b.messages.size() == 1000 - dropped && !p.a.lost.empty(); }));
  // What came is the begin, without gaps.
  for (size_t i = 0; i < p.b.messages.size(); ++i) EXPECT_EQ(p.b.messages[i].index, i + 1);
}

TEST(NetTransport, SnapshotsGoBesideAtTheirRate) {
  NetTransportOptions options;
  options.snapshot_bytes_per_second = 20 << 20;
  Pair p(options);
  ASSERT_TRUE(p.Connect());
  const SteadyTime begin = Clock::System().Steady();
  uint64_t next = 0;
  auto more = [&] {  // four senders, one piece each at a time
    if (p.b.chunks.size() == next && next < 16) {
      for (uint64_t g = 1; g <= 4; ++g, ++next)
        p.a.transport->Send(MakeChunk(1, 2, g, next << 20, kMaxChunk));
    }
    return p.b.chunks.size() == 16;
  };
  p.a.transport->Send(Make(1, 2, 1, 1));
  ASSERT_TRUE(p.Run(more));
  const double seconds = std::chrono::duration<double>(Clock::System().Steady() - begin).count();
  EXPECT_GT(seconds, 15.0 / 20 - 0.15);  // the bucket begins with a twentieth of a second, and may be in debt
  EXPECT_EQ(p.b.Last(GroupId(1)), 1u);
  EXPECT_EQ(p.b.chunks[15].data.size(), kMaxChunk);
}

TEST(NetTransport, ARepeatedPieceTakesThePlaceOfTheFirst) {
  Pair p;
  ASSERT_TRUE(p.Connect());
  for (int i = 0; i < 100; ++i) p.a.transport->Send(MakeChunk(1, 2, 1, 4096, kMaxChunk));
  ASSERT_TRUE(p.Run([&] { return !p.b.chunks.empty(); }));
  p.Run([] { return false; }, 20ms);
  EXPECT_EQ(p.b.chunks.size(), 1u);
}

TEST(NetTransport, AnotherClusterIsRefused) {
  AsioLoop loop;
  NetTransportOptions one, two;
  one.cluster = "one";
  two.cluster = "two";
  Process a(loop, 1, one), b(loop, 2, one), c(loop, 3, two);
  // The listener of `a` must know its cluster to refuse.
  a.listener = *net::Listener::Open(
      loop, {.address = {"127.0.0.1", 0}, .hello = {.sender = 1, .cluster = "one"}},
      {.admit = [&](const net::Hello& h, net::Hello* r) { return a.transport->Admit(h, r); },
       .connected = [&](ConnectionPtr x) { a.transport->Adopt(std::move(x)); }});
  b.Knows(a);
  c.Knows(a);
  ASSERT_TRUE(loop.RunUntil([&] { return b.transport->connected(1); }, kLong));
  EXPECT_FALSE(c.transport->connected(1));
  EXPECT_FALSE(a.transport->connected(3));
}

// In the name of a replica that lives elsewhere, so that what is for it would go astray.
TEST(NetTransport, NobodySpeaksForTheReplicaOfAnother) {
  NetTransportOptions options;
  options.process_of = [](ReplicaId replica) { return replica.value / 1000; };
  Pair p(options);
  ASSERT_TRUE(p.Connect());
  p.a.transport->Send(Make(1, 2, 7, 1));
  ASSERT_TRUE(p.Run([&] { return p.b.Last(GroupId(7)) == 1; }));
  Message forged = Make(1, 2, 7, 2);
  forged.from = ReplicaOf(3, 7);
  p.a.transport->Send(forged);
  ASSERT_TRUE(p.Run([&] { return p.b.transport->counters().malformed == 1; }));
  SnapshotChunk piece = MakeChunk(1, 2, 7, 0, 10);
  piece.from = ReplicaOf(3, 7);
  p.a.transport->Send(piece);
  ASSERT_TRUE(p.Run([&] { return p.b.transport->counters().malformed == 2; }));
  // The connection is made anew, and what is right comes through.
  ASSERT_TRUE(p.Run([&] {
    p.a.transport->Send(Make(1, 2, 7, 3));
    return p.b.Last(GroupId(7)) == 3;
  }));
  EXPECT_TRUE(p.b.chunks.empty());
  EXPECT_EQ(p.b.messages[0].index, 1u);
  for (const Message& m : p.b.messages) EXPECT_EQ(m.from, ReplicaOf(1, 7));
}

TEST(PeerQueue, PacksAndLimits) {
  PeerQueue queue({.bytes = 3000, .pack = 1000, .snapshot_bytes = 2500});
  bool first = true;
  EXPECT_EQ(queue.Add(Make(1, 2, 1, 1), &first).code(), Code::kUnavailable);
  queue.Open();
  EXPECT_TRUE(queue.Add(Make(1, 2, 1, 1), &first).ok());
  EXPECT_TRUE(first);
  EXPECT_TRUE(queue.Add(Make(1, 2, 1, 2), &first).ok());
  EXPECT_FALSE(first);
  EXPECT_TRUE(queue.Add(Make(1, 2, 1, 3, 900), &first).ok());  // a pack of its own
  size_t taken = 0;
  std::vector<Index> seen;
  while (auto pack = queue.TakePack()) {
    ++taken;
    Status s = Unpack(*pack, [&](PackItem kind, std::string_view bytes) -> Status {
      EXPECT_EQ(kind, PackItem::kMessage);
      seen.push_back(DecodeMessage(bytes)->index);
      return {};
    });
    EXPECT_TRUE(s.ok());
  }
  EXPECT_EQ(taken, 2u);
  EXPECT_EQ(seen, (std::vector<Index>{1, 2, 3}));
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_TRUE(queue.Add(Make(1, 2, 1, 1, 5000), &first).ok());  // alone it fits
  EXPECT_TRUE(first);
  EXPECT_EQ(queue.Add(Make(1, 2, 1, 2), &first).code(), Code::kWouldBlock);
  EXPECT_TRUE(queue.Add(MakeChunk(1, 2, 1, 0, 2000), &first).ok());
  EXPECT_TRUE(queue.Add(MakeChunk(1, 2, 1, 9, 2400), &first).ok());
  EXPECT_EQ(queue.Add(MakeChunk(1, 2, 2, 0, 2000), &first).code(), Code::kWouldBlock);
  EXPECT_EQ(queue.TakeChunk()->offset, 9u);
  queue.Close();
  EXPECT_FALSE(queue.TakePack().has_value());
}

TEST(PeerQueue, MalformedPacks) {
  auto take = [](PackItem, std::string_view) { return Status(); };
  EXPECT_TRUE(Unpack("", take).ok());
  for (std::string_view bad : {std::string_view("\x01\0\0", 3), std::string_view("\0\0\0\0", 4),
                               std::string_view("\x02\0\0\0\x01", 5), std::string_view("\x01\0\0\0\x09", 5),
                               std::string_view("\xff\xff\xff\xff\x01zz", 7)})
    EXPECT_EQ(Unpack(bad, take).code(), Code::kCorrupt);
}

}  // namespace
}  // namespace curvefs::raft
