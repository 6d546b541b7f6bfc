#include "client/cluster/access_times.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "client/cluster/fake_metaserver_test.h"

namespace curvefs::client {
namespace {

using namespace std::chrono_literals;
using proto::MetaCall;

constexpr InodeId kFile{5};

struct Fixture : FakeCopyset {
  explicit Fixture(Duration delay) : times(std::make_unique<AccessTimes>(*copyset, delay)) {}
  ~Fixture() {
    copyset->Stop();
    times.reset();
  }
  int64_t Shown(InodeId id, int64_t answered) {
    meta::Inode inode{.id = id, .atime = Timestamp{answered}};
    times->Apply(&inode);
    return inode.atime.ns;
  }
  std::unique_ptr<AccessTimes> times;
};

TEST(AccessTimes, AreShownBeforeTheyAreSaid) {
  Fixture f(1h);
  EXPECT_EQ(f.Shown(kFile, 7), 7);
  f.times->Note(kFile, Timestamp{100});
  EXPECT_EQ(f.Shown(kFile, 7), 100);
  EXPECT_EQ(f.Shown(kFile, 200), 200) << "another mount read it later";
  EXPECT_EQ(f.Shown(InodeId(6), 7), 7);
  EXPECT_EQ(f.Calls(MetaCall::kTouchInodes), 0u);
}

TEST(AccessTimes, OfManyAreSaidTogether) {
  Fixture f(50ms);
  for (uint64_t i = 1; i <= 500; ++i) f.times->Note(InodeId(i), Timestamp{1});
  f.Await(MetaCall::kTouchInodes, 500);
  EXPECT_EQ(f.Named(MetaCall::kTouchInodes).size(), 500u);
  EXPECT_LT(f.Calls(MetaCall::kTouchInodes), 10u);
}

TEST(AccessTimes, AreSaidInPartsThatAServerTakes) {
  Fixture f(1h);
  for (uint64_t i = 1; i <= 5'000; ++i) f.times->Note(InodeId(i), Timestamp{1});
  f.times->Finish();
  EXPECT_EQ(f.Named(MetaCall::kTouchInodes).size(), 5'000u);
  for (const Seen& seen : f.server.Changes()) EXPECT_LE(seen.inodes.size(), 2'000u);
}

TEST(AccessTimes, AreSaidAtTheEnd) {
  Fixture f(1h);
  f.times->Note(kFile, Timestamp{100});
  f.times->Finish();
  EXPECT_EQ(f.Named(MetaCall::kTouchInodes), (std::vector<uint64_t>{5}));
  EXPECT_EQ(f.Shown(kFile, 7), 7) << "the answers have it now";
}

TEST(AccessTimes, GiveWayToThoseThatSomebodySets) {
  Fixture f(1h);
  f.times->Note(kFile, Timestamp{100});
  f.times->Forget(kFile);
  EXPECT_EQ(f.Shown(kFile, 7), 7);
  f.times->Finish();
  EXPECT_EQ(f.Calls(MetaCall::kTouchInodes), 0u);
}

}  // namespace
}  // namespace curvefs::client
