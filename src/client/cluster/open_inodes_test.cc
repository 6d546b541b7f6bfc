#include "client/cluster/open_inodes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "client/cluster/fake_metaserver_test.h"

namespace curvefs::client {
namespace {

using namespace std::chrono_literals;
using proto::MetaCall;

constexpr InodeId kFile{5}, kOther{6};

struct Fixture : FakeCopyset {
  explicit Fixture(Duration linger) : inodes(std::make_unique<OpenInodes>(*copyset, linger)) {}
  ~Fixture() {
    copyset->Stop();
    inodes.reset();
  }
  std::unique_ptr<OpenInodes> inodes;
};

TEST(OpenInodes, TheCopysetHearsOfTheFirstOpenAndOfTheLastClose) {
  Fixture f(0ms);
  ASSERT_TRUE(f.inodes->Open(kFile));
  ASSERT_TRUE(f.inodes->Open(kFile));
  f.inodes->Close(kFile);
  EXPECT_EQ(f.inodes->size(), 1u);
  ASSERT_TRUE(f.inodes->Open(kOther));
  f.inodes->Close(kOther);
  f.Await(MetaCall::kCloseInode, 1);
  f.inodes->Close(kFile);
  f.Await(MetaCall::kCloseInode, 2);
  EXPECT_EQ(f.Named(MetaCall::kOpenInode), (std::vector<uint64_t>{5, 6}));
  EXPECT_EQ(f.Named(MetaCall::kCloseInode), (std::vector<uint64_t>{6, 5}));
  EXPECT_EQ(f.inodes->size(), 0u);
}

TEST(OpenInodes, OneThatLingersIsOpenedWithoutACall) {
  Fixture f(1h);
  for (int i = 0; i < 3; ++i) {
    const auto opened = f.inodes->Open(kFile);
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->has_value(), i == 0) << "the call brings the attributes";
    f.inodes->Close(kFile);
  }
  EXPECT_EQ(f.Calls(MetaCall::kOpenInode), 1u);
  EXPECT_EQ(f.Calls(MetaCall::kCloseInode), 0u);
}

TEST(OpenInodes, OneThatWasOpenedAgainIsNotClosed) {
  Fixture f(50ms);
  ASSERT_TRUE(f.inodes->Open(kFile));
  f.inodes->Close(kFile);
  ASSERT_TRUE(f.inodes->Open(kFile));
  ASSERT_TRUE(f.inodes->Open(kOther));
  f.inodes->Close(kOther);
  f.Await(MetaCall::kCloseInode, 1);
  EXPECT_EQ(f.Named(MetaCall::kCloseInode), (std::vector<uint64_t>{6}));
  // Closed and opened anew after that, the later order wins.
  f.inodes->Close(kFile);
  f.Await(MetaCall::kCloseInode, 2);
  ASSERT_TRUE(f.inodes->Open(kFile));
  EXPECT_EQ(f.Named(MetaCall::kOpenInode), (std::vector<uint64_t>{5, 6, 5}));
}

TEST(OpenInodes, ManyAreClosedTogether) {
  Fixture f(100ms);
  for (uint64_t i = 0; i < 200; ++i) ASSERT_TRUE(f.inodes->Open(InodeId(i + 10)));
  for (uint64_t i = 0; i < 200; ++i) f.inodes->Close(InodeId(i + 10));
  f.Await(MetaCall::kCloseInode, 200);
  EXPECT_EQ(f.Named(MetaCall::kCloseInode).size(), 200u);
  EXPECT_LT(f.Calls(MetaCall::kCloseInode), 20u);
}

TEST(OpenInodes, ALaterLeaderIsToldOfThoseThatLinger) {
  Fixture f(1h);
  ASSERT_TRUE(f.inodes->Open(kFile));
  ASSERT_TRUE(f.inodes->Open(kOther));
  f.inodes->Close(kOther);  // or Open would count on what the leader does not know
  f.inodes->SayAgain();
  EXPECT_EQ(f.Named(MetaCall::kOpenInode), (std::vector<uint64_t>{5, 6, 5, 6}));
}

TEST(OpenInodes, NobodyWaitsForAClose) {
  Fixture f(0ms);
  ASSERT_TRUE(f.inodes->Open(kFile));
  f.server.Hang();
  f.inodes->Close(kFile);  // returns
  EXPECT_EQ(f.inodes->size(), 0u);
}

}  // namespace
}  // namespace curvefs::client
