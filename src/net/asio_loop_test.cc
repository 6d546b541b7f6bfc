#include "net/asio_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace curvefs::net {
namespace {

using namespace std::chrono_literals;

TEST(AsioLoop, TasksRunInOrderOfTheirTimes) {
  AsioLoop loop;
  std::string order;
  const SteadyTime begin = Clock::System().Steady();
  loop.After(20ms, [&] { order += 'd'; });
  loop.After(5ms, [&] { order += 'c'; });
  loop.Post([&] {
    order += 'a';
    loop.Post([&] { order += 'b'; });
  });
  EXPECT_TRUE(loop.RunUntil([&] { return order.size() == 4; }, 10s));
  EXPECT_EQ(order, "abcd");
  EXPECT_GE(Clock::System().Steady() - begin, 20ms);
}

TEST(AsioLoop, ATaskDueEarlierRunsBeforeOneThatIsPostedLater) {
  AsioLoop loop;
  std::string order;
  loop.After(1ms, [&] { order += 'a'; });
  const SteadyTime begin = Clock::System().Steady();
  while (Clock::System().Steady() - begin < 3ms) {
  }
  loop.Post([&] { order += 'b'; });
  EXPECT_TRUE(loop.RunUntil([&] { return order.size() == 2; }, 10s));
  EXPECT_EQ(order, "ab");
}

TEST(AsioLoop, HooksRunOncePerRoundAndEndsAfterThem) {
  AsioLoop loop;
  std::string order;
  int hook = 0;
  loop.AddHook(&hook, [&] {
    if (!order.empty() && order.back() != 'h') order += 'h';
  });
  for (int i = 0; i < 3; ++i) {
    loop.Post([&] {
      order += 't';
      loop.AtRoundEnd([&] { order += 'e'; });
    });
  }
  loop.RunUntil([&] { return order.size() >= 7; }, 10s);
  EXPECT_EQ(order,
            "ttthee"
            "e");
  loop.RemoveHook(&hook);
  order = "x";
  loop.RunUntil([] { return false; }, 2ms);
  EXPECT_EQ(order, "x");
}

TEST(AsioLoop, AHookMayRemoveItself) {
  AsioLoop loop;
  int a = 0, b = 0;
  loop.AddHook(&a, [&] {
    ++a;
    loop.RemoveHook(&a);
  });
  loop.AddHook(&b, [&] { ++b; });
  loop.RunUntil([&] { return b > 1; }, 5ms);
  EXPECT_EQ(a, 1);
  EXPECT_GE(b, 1);
}

TEST(AsioLoop, TasksFromOtherThreadsWakeIt) {
  AsioLoop loop;
  std::thread thread([&] { loop.Run(); });
  std::atomic<int> ran = 0;
  std::vector<std::thread> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) {
        loop.Post([&] {
          EXPECT_TRUE(loop.InLoop());
          ++ran;
        });
        if (j % 100 == 0) std::this_thread::yield();
      }
    });
  }
  for (auto& other : others) other.join();
  while (ran < 4000) std::this_thread::yield();
  EXPECT_FALSE(loop.InLoop());
  loop.Stop();
  thread.join();
}

TEST(AsioLoop, StopsAndRunsAgainOnAnotherThread) {
  AsioLoop loop;
  int ran = 0;
  for (int i = 1; i <= 3; ++i) {
    loop.Post([&] {
      ++ran;
      loop.Stop();
    });
    std::thread([&] { loop.Run(); }).join();
    EXPECT_EQ(ran, i);
  }
}

TEST(AsioLoop, TasksOfALoopThatGoesAreDropped) {
  auto held = std::make_shared<int>();
  {
    AsioLoop loop;
    loop.Post([held] { ADD_FAILURE(); });
    loop.After(1h, [held] { ADD_FAILURE(); });
    loop.AtRoundEnd([held] { ADD_FAILURE(); });
  }
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace curvefs::net
