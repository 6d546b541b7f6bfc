// The limits of a file system, as clients of a cluster meet them.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "metaserver/process/servers_fixture_test.h"

namespace curvefs::metaserver {
namespace {

class Limits : public ThreeServers {
 protected:
  Code Set(uint64_t bytes, uint64_t inodes) {
    proto::SetLimitsRequest request;
    request.set_bytes(bytes);
    request.set_inodes(inodes);
    return CodeOf(CallLeader<proto::SetLimitsResponse>(1, Admin("SetLimits"), request));
  }
  Code Make(const std::string& name, uint64_t* inode = nullptr) {
    proto::CreateRequest request;
    request.set_parent_inode_id(1);
    request.set_name(name);
    request.set_mode(S_IFREG | 0644);
    const auto made = CallLeader<proto::CreateResponse>(1, Meta("Create"), request);
    if (inode != nullptr) *inode = made.inode().inode_id();
    return CodeOf(made);
  }
  Code Append(uint64_t inode, uint64_t offset, uint64_t len) {
    proto::NewChunksRequest chunks;
    chunks.set_count(1);
    const uint64_t chunk = CallLeader<proto::NewChunksResponse>(1, Meta("NewChunks"), chunks).chunk_id();
    proto::AppendChunksRequest append;
    auto* file = append.add_file();
    file->set_inode_id(inode);
    auto* record = file->add_chunk();
    record->set_offset(offset);
    record->set_len(len);
    record->set_size(len);
    record->set_chunk_id(chunk);
    return CodeOf(CallLeader<proto::AppendChunksResponse>(1, Meta("AppendChunks"), append));
  }
};

TEST_F(Limits, HoldForWhatIsWrittenAndMadeAndOverAChangeOfTheLeader) {
  StartAll();
  MakeCopyset(1);
  uint64_t f = 0;
  ASSERT_EQ(Make("f", &f), Code::kOk);
  ASSERT_EQ(Append(f, 0, 1000), Code::kOk);
  ASSERT_EQ(Set(3000, 3), Code::kOk);
  EXPECT_EQ(Append(f, 1000, 1000), Code::kOk);
  EXPECT_EQ(Append(f, 2000, 2000), Code::kNoSpace);
  EXPECT_EQ(Append(f, 0, 2000), Code::kOk) << "overwriting takes nothing";
  EXPECT_EQ(Make("g"), Code::kOk);
  EXPECT_EQ(Make("h"), Code::kOk);
  EXPECT_EQ(Make("i"), Code::kNoSpace);
  MoveLeader(1);
  EXPECT_TRUE(Eventually([&] { return Append(f, 2000, 2000) == Code::kNoSpace; }));
  EXPECT_EQ(Make("i"), Code::kNoSpace);
  ASSERT_EQ(Set(0, 0), Code::kOk);
  EXPECT_EQ(Append(f, 2000, 2000), Code::kOk);
  EXPECT_EQ(Make("i"), Code::kOk);
}

TEST_F(Limits, OfNothing) {
  StartAll();
  proto::SetLimitsRequest request;
  request.mutable_header()->set_copyset_id(7);
  EXPECT_EQ(CodeOf(Call<proto::SetLimitsResponse>(0, Admin("SetLimits"), request)), Code::kNotFound);
}

}  // namespace
}  // namespace curvefs::metaserver
