// Tokens of file systems: who may mount, what metaservers are told, and what is left when one is revoked.
#include "net/token.h"

#include <gtest/gtest.h>

#include "mds/operations.h"

namespace curvefs::mds {
namespace {

class TokenTest : public testing::Test {
 protected:
  TokenTest() {
    volatile_.now_s = [this] { return now_; };
    proto::FsInfo fs;
    fs.set_fs_id(7);
    fs.set_fs_name("home");
    fs.set_state(proto::FS_INITED);
    Draft draft(state_);
    draft.Put(fs);
    (void)draft.Take();
  }
  template <typename F>
  Status Change(F f) {
    Draft draft(state_);
    Status s = f(draft);
    if (s.ok()) (void)draft.Take();
    return s;
  }
  Result<proto::FsToken> Make(const std::string& token, bool read_only = false, int64_t expires = 0) {
    proto::CreateFsTokenRequest request;
    request.set_fs_name("home");
    request.set_hash(net::TokenHash(token));
    request.set_read_only(read_only);
    request.set_expires_s(expires);
    proto::CreateFsTokenResponse response;
    CURVEFS_CHECK_OK(Change([&](Draft& d) { return CreateFsToken(d, request, &response); }));
    return response.token();
  }
  Result<proto::MountFsResponse> Mount(const std::string& dir, const std::string& token) {
    proto::MountFsRequest request;
    request.set_fs_name("home");
    request.set_host("host");
    request.set_mount_dir(dir);
    request.set_client_uuid("client");
    request.set_token(token);
    proto::MountFsResponse response;
    CURVEFS_CHECK_OK(Change([&](Draft& d) { return MountFs(d, volatile_, request, &response); }));
    return response;
  }
  Status Revoke(uint32_t id) {
    proto::RevokeFsTokenRequest request;
    request.set_fs_name("home");
    request.set_token_id(id);
    return Change([&](Draft& d) { return RevokeFsToken(d, request); });
  }
  proto::AccessRules Rules() {
    proto::AccessRules rules;
    FillAccess(state_, &rules);
    return rules;
  }

  State state_;
  Volatile volatile_;
  int64_t now_ = 1'000;
};

TEST_F(TokenTest, TheFirstTokenClosesTheFileSystem) {
  const auto open = Mount("/a", "");
  ASSERT_TRUE(open.has_value());
  EXPECT_EQ(Rules().fs_size(), 0);
  EXPECT_EQ(Make("one").error().code(), Code::kBusy) << "a mount without a token would be cut off";
  ASSERT_TRUE(Change([&](Draft& d) { return EndMount(d, 7, open->session_id()); }).ok());
  const auto one = Make("one");
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ(one->hash(), "") << "an answer does not show it";
  EXPECT_EQ(Make("one")->token_id(), one->token_id()) << "asked again";
  EXPECT_EQ(Mount("/a", "").error().code(), Code::kNotPermitted);
  EXPECT_EQ(Mount("/a", "other").error().code(), Code::kNotPermitted);
  ASSERT_TRUE(Mount("/a", "one").has_value());
  EXPECT_TRUE(Make("two").has_value()) << "mounts with a token do not stand in the way";
}

TEST_F(TokenTest, OfADirectory) {
  auto make = [&](const std::string& subdir) {
    proto::CreateFsTokenRequest request;
    request.set_fs_name("home");
    request.set_hash(net::TokenHash("of " + subdir));
    request.set_subdir(subdir);
    proto::CreateFsTokenResponse response;
    return Change([&](Draft& d) { return CreateFsToken(d, request, &response); }).code();
  };
  for (const char* bad : {"a", "/", "/a/", "//a", "/a/../b", "/.", "a/b"})
    EXPECT_EQ(make(bad), Code::kInvalid) << bad;
  EXPECT_EQ(make("/a/b.c"), Code::kOk);
  EXPECT_EQ(Mount("/m", "of /a/b.c")->subdir(), "/a/b.c");
}

TEST_F(TokenTest, ReadOnlyExpiredAndRevoked) {
  const auto reader = Make("reader", true), brief = Make("brief", false, 1'060), writer = Make("writer");
  EXPECT_TRUE(Mount("/r", "reader")->read_only());
  EXPECT_FALSE(Mount("/w", "writer")->read_only());
  ASSERT_TRUE(Mount("/b", "brief").has_value());
  now_ = 1'060;
  EXPECT_NE(Mount("/c", "brief").error().message().find("has expired"), std::string::npos);
  const auto rules = Rules();
  ASSERT_EQ(rules.fs_size(), 1);
  EXPECT_EQ(rules.fs(0).fs_id(), 7u);
  ASSERT_EQ(rules.fs(0).token_size(), 3);
  EXPECT_TRUE(rules.fs(0).token(0).read_only());
  EXPECT_EQ(rules.fs(0).token(1).expires_s(), 1'060);
  EXPECT_EQ(rules.fs(0).token(2).hash(), net::TokenHash("writer"));
  EXPECT_EQ(state_.All<proto::Mountpoint>().size(), 3u);
  ASSERT_TRUE(Revoke(writer->token_id()).ok());
  EXPECT_EQ(state_.All<proto::Mountpoint>().size(), 2u) << "its mount is not known any more";
  EXPECT_EQ(Revoke(writer->token_id()).code(), Code::kNotFound);
  EXPECT_EQ(Mount("/w", "writer").error().code(), Code::kNotPermitted);
  ASSERT_TRUE(Revoke(reader->token_id()).ok());
  ASSERT_TRUE(Revoke(brief->token_id()).ok());
  EXPECT_EQ(Mount("/w", "").error().code(), Code::kNotPermitted) << "without any token it stays closed";
  EXPECT_EQ(Rules().fs_size(), 1) << "and metaservers let nobody in";
  for (const auto& [key, value] : state_.Dump())
    EXPECT_EQ(value.find("writer"), std::string::npos) << key << " has the token itself";
}

}  // namespace
}  // namespace curvefs::mds
