// Partitions in advance of need, and the end of deleted file systems.
#include <gtest/gtest.h>

#include "mds/operations.h"

namespace curvefs::mds {
namespace {

class UpkeepTest : public testing::Test {
 protected:
  UpkeepTest() {
    known_.random = [this] { return ++random_; };
    for (int i = 1; i <= 3; ++i) {
      proto::RegisterMetaserverRequest request;
      const std::string n = std::to_string(i);
      request.set_uuid("uuid" + n);
      request.set_token("a token of sufficient length");
      request.set_pool("pool");
      request.set_zone("zone" + n);
      request.set_host_name("host" + n);
      request.set_address("address" + n);
      proto::RegisterMetaserverResponse response;
      EXPECT_TRUE(Do([&](Draft& d) { return JoinCluster(d, known_, request, &response); }).ok());
    }
  }
  Status Do(const std::function<Status(Draft&)>& operation) {
    Draft draft(state_);
    Status s = operation(draft);
    changes_ = draft.size();
    if (s.ok()) draft.Take();
    return s;
  }
  uint32_t MakeFs(const std::string& name, uint32_t partitions) {
    proto::CreateFsRequest request;
    request.set_fs_name(name);
    request.set_directory("/objects");
    request.set_partitions(partitions);
    proto::CreateFsResponse response;
    EXPECT_TRUE(Do([&](Draft& d) { return CreateFs(d, known_, request, &response); }).ok());
    EXPECT_TRUE(Do([&](Draft& d) { return FsIsReady(d, response.fs().fs_id()); }).ok());
    return response.fs().fs_id();
  }
  void SetFull(uint32_t fs, uint32_t id) {
    proto::CreatePartitionRequest request;
    request.set_fs_id(fs);
    request.add_full(id);
    proto::CreatePartitionResponse response;
    EXPECT_TRUE(Do([&](Draft& d) { return CreatePartition(d, known_, request, &response); }).ok());
  }

  State state_;
  Volatile known_;
  uint64_t random_ = 0;
  size_t changes_ = 0;
};

TEST_F(UpkeepTest, AFullPartitionIsFollowedByANewOne) {
  const uint32_t three = MakeFs("three", 3), one = MakeFs("one", 1);
  EXPECT_TRUE(PartitionsNeeded(state_).empty());
  SetFull(three, 1);
  SetFull(one, 0);
  const auto needed = PartitionsNeeded(state_);
  EXPECT_EQ(needed, (std::vector<std::pair<uint32_t, uint32_t>>{{three, 3}, {one, 3}}));
  for (const auto& [fs, wanted] : needed) {
    EXPECT_TRUE(Do([&, fs = fs, wanted = wanted](Draft& d) {
                  return EnsurePartitions(d, known_, fs, wanted, [](const proto::Partition&) {});
                }).ok());
  }
  EXPECT_TRUE(PartitionsNeeded(state_).empty());
  EXPECT_EQ(state_.All<proto::Partition>().size(), 8u);
}

TEST_F(UpkeepTest, NothingIsLeftOfADeletedFileSystem) {
  MakeFs("other", 3);
  const auto before = state_.Dump();
  const uint32_t fs = MakeFs("big", 3);
  for (int i = 0; i < 12; ++i) {
    for (uint32_t p = 0; p < 16; ++p)
      SetFull(fs, static_cast<uint32_t>(state_.Find<proto::Counter>(CounterKey(PartitionIds(fs)))->value()) -
                      1 - p % 3);
    ASSERT_TRUE(Do([&](Draft& d) {
                  return EnsurePartitions(d, known_, fs, 16, [](const proto::Partition&) {});
                }).ok());
  }
  EXPECT_EQ(Do([&](Draft& d) { return EndFs(d, fs); }).code(), Code::kInvalid) << "it is in use";
  EXPECT_TRUE(FsToEnd(state_).empty());
  proto::DeleteFsInfoRequest request;
  request.set_fs_name("big");
  ASSERT_TRUE(Do([&](Draft& d) { return DeleteFsInfo(d, request); }).ok());
  ASSERT_EQ(FsToEnd(state_), std::vector<uint32_t>{fs});
  for (int i = 0; i < 100 && !FsToEnd(state_).empty(); ++i) {
    ASSERT_TRUE(Do([&](Draft& d) { return EndFs(d, fs); }).ok());
    EXPECT_LE(changes_, 64u);
  }
  auto after = state_.Dump();
  // But for the counters of what is never given out twice.
  for (auto& [key, value] : before) {
    const bool counter = key.starts_with("counter/");
    EXPECT_TRUE(counter || after[key] == value) << key;
    after.erase(key);
  }
  // And the marks of the copysets that may be destroyed.
  EXPECT_GT(std::erase_if(after, [](const auto& row) { return row.first.starts_with("counter/gone/"); }), 0u);
  EXPECT_TRUE(after.empty()) << after.begin()->first;
}

}  // namespace
}  // namespace curvefs::mds
