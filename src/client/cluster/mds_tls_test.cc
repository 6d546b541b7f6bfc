// The MDS over TLS: who shows a certificate of the cluster's authority is served; all others are told what to
// do.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "client/cluster/mds_client.h"
#include "client/cluster/mds_fixture_test.h"
#include "client/cluster/mds_session.h"
#include "test/support/certificates.h"

namespace curvefs::client {
namespace {

using namespace std::chrono_literals;

class MdsTlsTest : public testing::Test {
 protected:
  MdsTlsTest() {
    std::string name = testing::TempDir() + "/mds-tls-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    ours_ = std::make_unique<test::Authority>(dir_, "ours");
    strangers_ = std::make_unique<test::Authority>(dir_, "strangers");
  }
  ~MdsTlsTest() override { std::filesystem::remove_all(dir_); }

  static Status Ask(const std::vector<net::Address>& servers, const net::TlsFiles& tls,
                    Duration patience = 3s) {
    auto mds = MdsClient::To({.servers = servers, .tls = tls, .timeout = 4 * patience, .silence = patience});
    if (!mds) return mds.error();
    auto all = (*mds)->Call<proto::ListFsInfoResponse>("MdsService/ListFsInfo", proto::ListFsInfoRequest());
    return all ? Status() : all.error();
  }
  static void ExpectSays(const Status& status, const std::string& text) {
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(text), std::string::npos) << status.ToString();
  }

  std::string dir_;
  std::unique_ptr<test::Authority> ours_, strangers_;
};

TEST_F(MdsTlsTest, ServesThoseOfItsOwnAuthority) {
  InMemoryMds mds(2, 60s, ours_->Issue("127.0.0.1"));
  const Status served = Ask(mds.addresses(), ours_->Issue("client"), 60s);
  EXPECT_TRUE(served.ok()) << served.ToString();
}

TEST_F(MdsTlsTest, TellsAllOthersWhatToDo) {
  InMemoryMds mds(1, 60s, ours_->Issue("127.0.0.1"));
  const net::TlsFiles client = ours_->Issue("client");
  ExpectSays(Ask(mds.addresses(), {}), "give --tls-ca, --tls-cert and --tls-key");
  ExpectSays(Ask(mds.addresses(), strangers_->Issue("client")), "not by the authority of our --tls-ca");
  net::TlsFiles unknown = strangers_->Issue("client");
  unknown.ca = client.ca;
  ExpectSays(Ask(mds.addresses(), unknown), "may not accept our certificate");
  ExpectSays(Ask(mds.addresses(), {.ca = client.ca}), "go together");
  ExpectSays(Ask(mds.addresses(), ours_->Issue("client", /*expired=*/true)), "has expired");
}

TEST_F(MdsTlsTest, AServerOfAnotherNameOrWithoutTls) {
  const net::TlsFiles client = ours_->Issue("client");
  InMemoryMds other(1, 60s, ours_->Issue("elsewhere.example"));
  ExpectSays(Ask(other.addresses(), client), "another name");
  InMemoryMds plain(1);
  ExpectSays(Ask(plain.addresses(), client), "it speaks no TLS");
}

}  // namespace
}  // namespace curvefs::client
