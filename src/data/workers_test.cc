#include "data/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <vector>

namespace curvefs::data {
namespace {

TEST(WorkersTest, EveryPartRunsOnce) {
  for (uint32_t threads : {0, 1, 4}) {
    Workers workers(threads, "test");
    for (size_t n : {0, 1, 2, 100}) {
      std::vector<std::atomic<int>> runs(n);
      workers.Run(n, [&](size_t i) { ++runs[i]; });
      for (auto& r : runs) EXPECT_EQ(r, 1);
    }
  }
}

TEST(WorkersTest, PartsRunAtTheSameTime) {
  Workers workers(3, "test");
  std::barrier all(4);  // would never open if the parts ran one after another
  workers.Run(4, [&](size_t) { all.arrive_and_wait(); });
}

TEST(WorkersTest, JobsOfSeveralOwnersGoOnBesideOneThatIsStuck) {
  Workers workers(1, "test");
  std::atomic<bool> release{false};
  std::thread stuck([&] { workers.Run(8, [&](size_t) { release.wait(false); }); });
  std::atomic<int> done{0};
  workers.Run(100, [&](size_t) { ++done; });
  EXPECT_EQ(done, 100);
  release = true;
  release.notify_all();
  stuck.join();
}

TEST(WorkersTest, ManyOwners) {
  Workers workers(4, "test");
  std::atomic<int> done{0};
  std::vector<std::thread> owners;
  for (int t = 0; t < 6; ++t) {
    owners.emplace_back([&] {
      for (int i = 0; i < 300; ++i) workers.Run(5, [&](size_t) { ++done; });
    });
  }
  for (auto& t : owners) t.join();
  EXPECT_EQ(done, 6 * 300 * 5);
}

}  // namespace
}  // namespace curvefs::data
