#include "object/s3/credentials.h"

#include <gtest/gtest.h>

#include <map>

#include "test/support/sim_disk.h"

namespace curvefs::object::s3 {
namespace {

constexpr const char* kFile =
    "# keys\n[default]\naws_access_key_id = AKDEFAULT\naws_secret_access_key=a/b+c=\n"
    "[ work ]\r\naws_access_key_id=AKWORK\r\naws_secret_access_key =  two  \r\naws_session_token = t=\r\n"
    "[half]\naws_access_key_id = X\n";

class CredentialsTest : public testing::Test {
 protected:
  Result<Credentials> Find() {
    return FindCredentials(
        [&](const char* name) {
          auto found = environment_.find(name);
          return found == environment_.end() ? nullptr : found->second.c_str();
        },
        disk_);
  }
  test::SimDisk disk_;
  std::map<std::string, std::string> environment_;
};

TEST_F(CredentialsTest, TheEnvironmentComesFirst) {
  environment_ = {{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "S"}, {"AWS_SESSION_TOKEN", "T"}};
  EXPECT_EQ(*Find(), (Credentials{"A", "S", "T"}));
  environment_.erase("AWS_SECRET_ACCESS_KEY");
  EXPECT_EQ(Find().error().code(), Code::kInvalid);
}

TEST_F(CredentialsTest, ThenTheFile) {
  ASSERT_TRUE(disk_.MakeDir("/home").ok() && disk_.MakeDir("/home/.aws").ok());
  disk_.SetContent("/home/.aws/credentials", kFile);
  environment_ = {{"HOME", "/home"}};
  EXPECT_EQ(*Find(), (Credentials{"AKDEFAULT", "a/b+c=", ""}));
  environment_["AWS_PROFILE"] = "work";
  EXPECT_EQ(*Find(), (Credentials{"AKWORK", "two", "t="}));
  environment_["AWS_PROFILE"] = "nobody";
  EXPECT_NE(Find().error().message().find("'nobody'"), std::string::npos);
  environment_["AWS_PROFILE"] = "half";
  EXPECT_NE(Find().error().message().find("lacks aws_secret_access_key"), std::string::npos);
  disk_.SetContent("/home/other", "[half]\naws_access_key_id=1\naws_secret_access_key=2");
  environment_["AWS_SHARED_CREDENTIALS_FILE"] = "/home/other";
  EXPECT_EQ(*Find(), (Credentials{"1", "2", ""}));
}

TEST_F(CredentialsTest, SaysWhereItLooked) {
  environment_ = {{"HOME", "/home"}};
  auto none = Find();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), Code::kNotFound);
  EXPECT_NE(none.error().message().find("/home/.aws/credentials"), std::string::npos);
  EXPECT_NE(none.error().message().find("AWS_ACCESS_KEY_ID"), std::string::npos);
  environment_.clear();
  EXPECT_NE(Find().error().message().find("AWS_ACCESS_KEY_ID"), std::string::npos);
}

TEST_F(CredentialsTest, AKeyIsOneWord) {
  for (const char* secret : {"a b", "a\rb", "a\tb"}) {
    auto keys = ParseCredentials(
        std::string("[default]\naws_access_key_id=a\naws_secret_access_key=") + secret + "\n", "default");
    ASSERT_FALSE(keys) << secret;
    EXPECT_EQ(keys.error().code(), Code::kInvalid);
    EXPECT_EQ(keys.error().message().find(secret), std::string::npos) << "it is a secret";
  }
}

}  // namespace
}  // namespace curvefs::object::s3
