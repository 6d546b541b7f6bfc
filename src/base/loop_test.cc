#include "base/loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace curvefs {
namespace {

using std::chrono::milliseconds;

TEST(ManualLoopTest, TasksRunAtTheirTimeInOrder) {
  ManualLoop loop;
  SteadyTime start = loop.Steady();
  Timestamp wall = loop.Wall();
  std::vector<int> order;
  loop.After(milliseconds(20), [&] { order.push_back(3); });
  loop.After(milliseconds(10), [&] {
    order.push_back(1);
    EXPECT_EQ(loop.Steady() - start, milliseconds(10));
    loop.After(milliseconds(5), [&] { order.push_back(2); });
    loop.After(milliseconds(100), [&] { order.push_back(9); });
  });
  loop.After(milliseconds(20), [&] { order.push_back(4); });
  loop.Post([&] { order.push_back(0); });
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(loop.Advance(milliseconds(50)), 5u);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(loop.Steady() - start, milliseconds(50));
  EXPECT_EQ(loop.Wall().ns - wall.ns, 50'000'000);
  EXPECT_EQ(loop.Advance(milliseconds(60)), 1u);
}

TEST(ThreadLoopTest, RunsInOrderAndByTime) {
  ThreadLoop loop("test");
  std::vector<int> order;
  std::promise<void> done;
  std::promise<void> ready;
  loop.Post([&] { ready.get_future().wait(); });  // until all are there
  loop.After(milliseconds(2), [&] {
    order.push_back(2);
    done.set_value();
  });
  loop.After(milliseconds(1), [&] { order.push_back(1); });
  loop.Post([&] { order.push_back(0); });
  ready.set_value();
  done.get_future().wait();
  loop.Stop();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(ThreadLoopTest, StopDropsWhatIsNotDueAndIsIdempotent) {
  auto token = std::make_shared<int>();
  {
    ThreadLoop loop("test");
    loop.After(std::chrono::hours(1), [token] { FAIL(); });
    loop.Stop();
    loop.Stop();
    loop.Post([token] { FAIL(); });
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(ThreadLoopTest, ATaskMayPostAndItsStateGoesBeforeTheNext) {
  ThreadLoop loop("test");
  std::promise<long> count;
  auto token = std::make_shared<int>();
  std::weak_ptr<int> weak = token;
  loop.Post([&loop, &count, weak, token = std::move(token)] {
    loop.Post([&count, weak] { count.set_value(weak.use_count()); });
  });
  EXPECT_EQ(count.get_future().get(), 0);
}

TEST(StrandTest, OneWriterOrManyReaders) {
  Strand strand;
  int value = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        strand.Run([&] { ++value; });
        EXPECT_GT(strand.Read([&] { return value; }), 0);
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(strand.Run([&] { return value; }), 4000);

  std::promise<void> inside;
  strand.Read([&] {  // two readers at once
    std::thread other([&] { strand.Read([&] { inside.set_value(); }); });
    inside.get_future().wait();
    other.join();
  });
}

TEST(TimestampTest, SecondsAndNanoseconds) {
  EXPECT_EQ(Timestamp::From(1, 5).ns, 1'000'000'005);
  Timestamp before = Timestamp::From(-1, 5);
  EXPECT_EQ(before.sec(), -1);
  EXPECT_EQ(before.nsec(), 5);
  EXPECT_GT(Timestamp::From(INT64_MAX, 0), Timestamp::From(0, 0));
  EXPECT_LT(Timestamp::From(INT64_MIN, 0), Timestamp::From(0, 0));
}

// One with much to do lets in who waits: counted in its turns, not in time.
TEST(Strand, WhoHasManyTurnsLetsOthersIn) {
  Strand strand;
  std::atomic<int> turns{0};
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) {
      strand.Run([&] {
        ++turns;
        std::atomic<int> work{0};
        while (++work < 20'000) {
        }
      });
      strand.LetOthersIn();
    }
  });
  while (turns == 0) std::this_thread::yield();
  int worst = 0;
  for (int i = 0; i < 200; ++i) {
    const int asked = turns;
    const int served = strand.Run([&] { return turns.load(); });
    worst = std::max(worst, served - asked);
  }
  stop = true;
  busy.join();
  // The turn under way, and one that may begin before the waiter is counted. Preemption there may add a few.
  EXPECT_LE(worst, 20);
}

}  // namespace
}  // namespace curvefs
