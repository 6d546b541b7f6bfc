// Both ends of read leases (LeaseTable, LeaseCache) in a small world of their own: one clock, links that
// deliver in order and late, clients whose clocks drift and whose threads are slow, connections that break,
// leaders that follow one another. Whenever a client answers from what it keeps, the answer is what the
// leader's state says at that moment. Each rule that is left out on purpose is found out.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "client/cluster/lease_cache.h"
#include "metaserver/lease_table.h"

namespace curvefs::client {
namespace {

using metaserver::LeaseTable;

enum class Broken {
  kNothing,
  kNoRecall,        // a change waits for nobody
  kNoWait,          // … tells them, and does not wait
  kGivenMeanwhile,  // what is being changed is given out
  kLongLease,       // clients rely on it for longer than the leader believes
  kLateAnswers,     // an answer is kept whatever came since its request
  kSilentBreak,     // a client does not notice that its connection was lost
  kOwnNotMarked,    // a client answers from what it is just changing
};

constexpr FsId kFs{1};
constexpr int kInodes = 6, kDirs = 2, kNames = 3, kClients = 3;
constexpr double kDrift = 0.05;
constexpr Duration kLease = std::chrono::milliseconds(500);

class World {
 public:
  World(uint64_t seed, Broken broken) : random_(seed), broken_(broken) {
    for (int i = 1; i <= kClients; ++i) clients_.push_back(std::make_unique<Client>(*this, i));
    Lead();
  }

  // What a client answered and was not so. Empty: nothing.
  std::string Run(int steps) {
    for (int i = 0; i < steps && wrong_.empty(); ++i) Step();
    return wrong_;
  }
  uint64_t hits() const { return hits_; }
  uint64_t recalls() const { return recalls_; }

 private:
  using Time = int64_t;  // ns, true
  // An attribute (name 0), or a name in a directory.
  struct Thing {
    uint64_t inode = 0, name = 0;
    friend auto operator<=>(const Thing&, const Thing&) = default;
    uint8_t part() const { return name != 0 ? LeaseTable::kNames : LeaseTable::kAttributes; }
  };

  class DriftingClock final : public Clock {
   public:
    DriftingClock(const World& world, double rate) : world_(world), rate_(rate) {}
    Timestamp Wall() const override { return {}; }
    SteadyTime Steady() const override {
      return SteadyTime(Duration(static_cast<int64_t>(static_cast<double>(world_.now_) * rate_)));
    }

   private:
    const World& world_;
    const double rate_;
  };

  struct Client {
    Client(World& world, int n)
        : session(static_cast<uint64_t>(n)),
          clock(world, 1 + kDrift * (n - 2)),
          cache(std::make_unique<LeaseCache>(clock)) {}
    const uint64_t session;
    const DriftingClock clock;
    std::unique_ptr<LeaseCache> cache;
    uint64_t connection = 1;
    Time last_up = 0, last_down = 0;  // deliveries, in order
  };

  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  void At(Time time, std::function<void()> f) { events_.emplace(time, std::move(f)); }
  SteadyTime LeaderClock() const { return SteadyTime(Duration(now_)); }

  void Lead() {
    ++term_;
    changing_ = 0;
    table_ = std::make_unique<LeaseTable>(
        [this](uint64_t session, uint64_t number, const LeaseTable::Parts& gone, bool all) {
          if (broken_ == Broken::kNoRecall) return;
          proto::LeaseNews news = NewsFor(session);
          news.set_number(number);
          news.set_all(all);
          for (const auto& [item, parts] : gone) {
            if ((parts & LeaseTable::kAttributes) != 0) news.add_inode_id(item.inode.value);
            if ((parts & LeaseTable::kNames) != 0) news.add_dir_inode_id(item.inode.value);
          }
          Tell(session, news);
        },
        LeaseTable::Bounds{.of_session = 10, .of_all = 100});
    table_->Start((term_ << 24) + 1);
  }

  proto::LeaseNews NewsFor(uint64_t session) {
    proto::LeaseNews news;
    news.set_session_id(session);
    news.set_lease_epoch(table_->EpochOf(session));
    return news;
  }

  // By the connection that there is, in order, late; what is under way when it breaks does not arrive.
  void Deliver(Client& client, Time* last, std::function<void()> f) {
    *last = std::max(*last, now_ + 20'000 + Pick(Pick(20) == 0 ? 40'000'000 : 300'000));
    At(*last, [&client, connection = client.connection, f = std::move(f)] {
      if (client.connection == connection) f();
    });
  }

  void Tell(uint64_t session, const proto::LeaseNews& news) {
    Client& client = *clients_[session - 1];
    Deliver(client, &client.last_down, [this, &client, news, term = term_] {
      client.cache->News(news);
      if (news.number() == 0) return;
      Deliver(client, &client.last_up, [this, &client, number = news.number(), term] {
        if (term == term_) table_->Dropped(client.session, number);
      });
    });
  }

  uint64_t& Value(const Thing& thing) { return state_[thing]; }

  void Check(Client& client, const Thing& thing, uint64_t answered) {
    ++hits_;
    if (answered == Value(thing) || !wrong_.empty()) return;
    wrong_ = "client " + std::to_string(client.session) + " answers " + std::to_string(answered) + " for " +
             std::to_string(thing.inode) + "/" + std::to_string(thing.name) + ", it is " +
             std::to_string(Value(thing)) + ", at " + std::to_string(now_);
  }

  void Read(Client& client, const Thing& thing) {
    const std::string name = std::to_string(thing.name);
    if (thing.name == 0) {
      if (auto kept = client.cache->Inode(InodeId(thing.inode))) return Check(client, thing, kept->length);
    } else if (auto kept = client.cache->Lookup(InodeId(thing.inode), name)) {
      return Check(client, thing, kept->inode.value);
    }
    LeaseCache::Ticket ticket = client.cache->Begin();
    if (broken_ == Broken::kLateAnswers) ticket.sequence = ~uint64_t{0};
    const LeaseCache::Attempt attempt = client.cache->Sending(term_ % 2);
    Deliver(client, &client.last_up, [this, &client, thing, name, ticket, attempt, term = term_] {
      if (term != term_) return;
      LeaseCache::Answer answer;
      if (thing.name == 0) {
        answer.inodes.push_back({.id = InodeId(thing.inode), .length = Value(thing)});
      } else {
        answer.names.push_back({InodeId(thing.inode), name, InodeId(Value(thing))});
      }
      proto::ResponseHeader header;
      const uint64_t epoch = table_->Hear(client.session, client.connection);
      if (epoch != 0) {
        const Duration left = kLease / 2 + Duration(Pick(static_cast<int>(kLease.count() / 2)));
        if (!table_->Hold(client.session, {kFs, InodeId(thing.inode)}, thing.part()) &&
            broken_ != Broken::kGivenMeanwhile)
          header.add_busy_inode_id(thing.inode);
        table_->Extend(client.session, LeaderClock() + left);
        promised_ = std::max(promised_, now_ + left.count());
        const double share = broken_ == Broken::kLongLease ? 3 : (1 - kDrift) / (1 + kDrift);
        header.set_lease_epoch(epoch);
        header.set_lease_us(static_cast<uint32_t>(static_cast<double>(left.count()) * share / 1'000));
      }
      Deliver(client, &client.last_down, [this, &client, ticket, attempt, header, answer] {
        // The thread that asked wakes up some time.
        At(now_ + Pick(Pick(10) == 0 ? 50'000'000 : 50'000), [&client, ticket, attempt, header, answer] {
          client.cache->Keep(ticket, attempt, header, answer);
        });
      });
    });
  }

  void Change(Client& client, const Thing& thing) {
    auto changing = std::make_shared<std::optional<LeaseCache::Changing>>();
    if (broken_ != Broken::kOwnNotMarked)
      changing->emplace(*client.cache, std::initializer_list<InodeId>{InodeId(thing.inode)});
    Deliver(client, &client.last_up, [this, &client, thing, changing, term = term_] {
      if (term == term_) Evaluate(client, thing, changing);
    });
  }

  void Evaluate(Client& client, const Thing& thing,
                std::shared_ptr<std::optional<LeaseCache::Changing>> changing) {
    const LeaseTable::Parts parts{{{kFs, InodeId(thing.inode)}, thing.part()}};
    const uint64_t recall = table_->Recall(client.session, parts, LeaderClock());
    const bool wait = broken_ != Broken::kNoRecall && broken_ != Broken::kNoWait;
    if (recall != 0 && !wait) {
      table_->Await(recall, [] {});
    } else if (recall != 0) {
      ++recalls_;
      return table_->Await(recall, [this, &client, thing, changing, term = term_] {
        if (term == term_) Evaluate(client, thing, changing);
      });
    }
    if (broken_ != Broken::kGivenMeanwhile) table_->Begin(parts);
    ++changing_;
    applied_ = std::max(applied_ + 1, now_ + 100'000 + Pick(2'000'000));
    At(applied_, [this, &client, thing, parts, changing, term = term_] {
      if (term != term_) return;
      --changing_;
      Value(thing) = thing.name != 0 && Pick(3) == 0 ? 0 : ++last_value_;
      if (broken_ != Broken::kGivenMeanwhile) table_->End(parts);
      const LeaseTable::Item item{kFs, InodeId(thing.inode)};
      if (table_->Keeps(client.session)) {
        proto::LeaseNews news = NewsFor(client.session);
        if (thing.name == 0) {
          if (table_->Hold(client.session, item, LeaseTable::kAttributes)) {
            news.add_inode()->set_inode_id(thing.inode);
            news.mutable_inode(0)->set_length(Value(thing));
          } else {
            news.add_inode_id(thing.inode);
          }
        } else if ((table_->Held(client.session, item) & LeaseTable::kNames) != 0) {
          proto::LeaseName* name = news.add_name();
          name->set_dir_inode_id(thing.inode);
          name->set_name(std::to_string(thing.name));
          name->set_inode_id(Value(thing));
        }
        Tell(client.session, news);
      }
      Deliver(client, &client.last_down,
              [this, changing] { At(now_ + Pick(1'000'000), [changing] { changing->reset(); }); });
    });
  }

  void Break(Client& client) {
    ++client.connection;
    client.last_up = client.last_down = now_;
    if (broken_ != Broken::kSilentBreak) client.cache->Lost(term_ % 2);
  }

  Thing Anything() {
    if (Pick(2) == 0) return {.inode = static_cast<uint64_t>(1 + Pick(kInodes)), .name = 0};
    return {.inode = static_cast<uint64_t>(1 + Pick(kDirs)), .name = static_cast<uint64_t>(1 + Pick(kNames))};
  }

  void Step() {
    now_ += Pick(Pick(50) == 0 ? 700'000'000 : 400'000);
    while (!events_.empty() && events_.begin()->first <= now_) {
      const Time now = std::exchange(now_, events_.begin()->first);
      const auto f = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      f();
      now_ = now;
    }
    if (Pick(5) == 0) table_->Tick(LeaderClock());
    Client& client = *clients_[static_cast<size_t>(Pick(kClients))];
    const int what = Pick(1'000);
    if (what < 850) {
      Read(client, Anything());
    } else if (what < 990) {
      Change(client, Anything());
    } else if (what < 997) {
      Break(client);
    } else if (now_ > promised_ && changing_ == 0) {
      table_->Clear();
      Lead();
    }
  }

  std::mt19937_64 random_;
  const Broken broken_;
  Time now_ = 1'000'000'000, promised_ = 0, applied_ = 0;
  uint64_t term_ = 0, last_value_ = 100, hits_ = 0, recalls_ = 0;
  int changing_ = 0;
  std::vector<std::unique_ptr<Client>> clients_;  // goes last: what is under way holds on to them
  std::map<Thing, uint64_t> state_;
  std::unique_ptr<LeaseTable> table_;
  std::multimap<Time, std::function<void()>> events_;
  std::string wrong_;
};

TEST(LeaseProtocol, WhatIsKeptIsHowItIs) {
  uint64_t hits = 0, recalls = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    World world(seed, Broken::kNothing);
    ASSERT_EQ(world.Run(3'000), "") << "seed " << seed;
    hits += world.hits();
    recalls += world.recalls();
  }
  EXPECT_GT(hits, 100'000u);
  EXPECT_GT(recalls, 1'000u);
}

class LeaseProtocolCanary : public testing::TestWithParam<Broken> {};
TEST_P(LeaseProtocolCanary, IsFoundOut) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    if (World world(seed, GetParam()); !world.Run(3'000).empty()) return;
  }
  FAIL() << "a rule was left out, and nothing was wrong";
}
INSTANTIATE_TEST_SUITE_P(EachRule, LeaseProtocolCanary,
                         testing::Values(Broken::kNoRecall, Broken::kNoWait, Broken::kGivenMeanwhile,
                                         Broken::kLongLease, Broken::kLateAnswers, Broken::kSilentBreak,
                                         Broken::kOwnNotMarked));

}  // namespace
}  // namespace curvefs::client
