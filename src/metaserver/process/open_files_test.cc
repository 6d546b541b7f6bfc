// What sessions have open, over a change of the leader.
#include <gtest/gtest.h>

#include "metaserver/process/servers_fixture_test.h"

namespace curvefs::metaserver {
namespace {

class OpenFiles : public ThreeServers {
 protected:
  static constexpr Duration kTimeout = std::chrono::milliseconds(2500);
  void Adjust(size_t, ServerOptions* options) override { options->copyset.session_timeout = kTimeout; }
  uint64_t OpenSession() {
    return CallLeader<proto::OpenSessionResponse>(1, Meta("OpenSession"), proto::OpenSessionRequest())
        .session_id();
  }
  // The term of the leader's office; 0: fenced.
  uint64_t Renew(uint64_t session) {
    proto::RenewSessionRequest request;
    request.mutable_header()->set_session_id(session);
    return CallLeader<proto::RenewSessionResponse>(1, Meta("RenewSession"), request).term();
  }
  Code OpenInode(uint64_t session, uint64_t inode, uint64_t order, bool again) {
    proto::OpenInodeRequest request;
    request.mutable_header()->set_session_id(session);
    request.add_inode_id(inode);
    request.set_order(order);
    request.set_again(again);
    const auto response = CallLeader<proto::OpenInodeResponse>(1, Meta("OpenInode"), request);
    return CodeOf(response) == Code::kOk ? FromWire(response.status(0)) : CodeOf(response);
  }
  uint64_t Make(const std::string& name) {
    proto::CreateRequest request;
    request.set_parent_inode_id(1);
    request.set_name(name);
    request.set_mode(S_IFREG | 0644);
    return CallLeader<proto::CreateResponse>(1, Meta("Create"), request).inode().inode_id();
  }
  void Unlink(const std::string& name) {
    proto::UnlinkRequest request;
    request.set_parent_inode_id(1);
    request.set_name(name);
    EXPECT_EQ(CodeOf(CallLeader<proto::UnlinkResponse>(1, Meta("Unlink"), request)), Code::kOk);
  }
  bool Exists(uint64_t inode) {
    proto::GetInodeRequest request;
    request.set_inode_id(inode);
    return CodeOf(CallLeader<proto::GetInodeResponse>(1, Meta("GetInode"), request)) == Code::kOk;
  }
};

TEST_F(OpenFiles, StayOverAChangeOfTheLeader) {
  StartAll();
  MakeCopyset(1);
  const uint64_t kept = Make("kept"), early = Make("early"), dropped = Make("dropped");
  const uint64_t alive = OpenSession(), silent = OpenSession();
  const uint64_t term = Renew(alive);
  EXPECT_EQ(OpenInode(alive, kept, 1, false), Code::kOk);
  EXPECT_EQ(OpenInode(alive, early, 2, false), Code::kOk);
  EXPECT_EQ(OpenInode(silent, dropped, 1, false), Code::kOk);
  Unlink("early");
  MoveLeader(1);
  // Before the new leader has heard from anybody what is open.
  Unlink("kept");
  Unlink("dropped");
  EXPECT_NE(Renew(alive), term) << "that is how the client learns of it";
  EXPECT_EQ(OpenInode(alive, early, 1, false), Code::kNotFound) << "not anew: it has no name";
  EXPECT_EQ(OpenInode(alive, kept, 1, true), Code::kOk);
  EXPECT_EQ(OpenInode(alive, early, 2, true), Code::kOk);
  // The other one does not come back, and is fenced.
  EXPECT_TRUE(Eventually([&] {
    EXPECT_NE(Renew(alive), 0u);
    return !Exists(dropped);
  }));
  EXPECT_EQ(Renew(silent), 0u);
  EXPECT_TRUE(Exists(kept));
  EXPECT_TRUE(Exists(early));
  EXPECT_EQ(OpenInode(alive, dropped, 3, true), Code::kNotFound);

  proto::CloseInodeRequest close;
  close.mutable_header()->set_session_id(alive);
  close.add_inode_id(kept);
  close.set_order(3);
  EXPECT_EQ(CodeOf(CallLeader<proto::CloseInodeResponse>(1, Meta("CloseInode"), close)), Code::kOk);
  EXPECT_TRUE(Eventually([&] {
    EXPECT_NE(Renew(alive), 0u);
    return !Exists(kept);
  }));
  EXPECT_TRUE(Exists(early));
}

}  // namespace
}  // namespace curvefs::metaserver
