// Three metaservers that trust only their own authority, as an operator would set them up.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "test/cluster/servers.h"
#include "test/support/certificates.h"

namespace curvefs::cluster {
namespace {

class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    std::filesystem::remove_all(root);
    std::filesystem::create_directories(root);
    own = std::make_unique<test::Authority>(root, "own");
    other = std::make_unique<test::Authority>(root, "other");
    mine = own->Issue("127.0.0.1");
    foreign = other->Issue("127.0.0.1");
    servers = std::make_unique<Servers>(CURVEFS_METASERVER, root, 3);
  }
  ~TlsTest() override {
    servers.reset();
    if (!HasFailure()) std::filesystem::remove_all(root);
  }
  static std::vector<std::string> Flags(const net::TlsFiles& f) {
    return {"--tls-ca", f.ca, "--tls-cert", f.cert, "--tls-key", f.key};
  }
  std::string Address(size_t i) const { return servers->addresses()[i].ToString(); }
  std::string Copyset(std::vector<std::string> args, const std::vector<std::string>& tls, int* code) {
    args.insert(args.begin(), {CURVEFS_PROGRAM, "copyset"});
    args.insert(args.end(), tls.begin(), tls.end());
    return RunProgram(args, code);
  }
  // Until the program succeeds and says `text`.
  bool Comes(const std::vector<std::string>& args, const std::string& text) {
    const SteadyTime end = Clock::System().Steady() + std::chrono::seconds(20);
    int code = 0;
    do {
      const std::string said = Copyset(args, Flags(mine), &code);
      if (code == 0 && said.find(text) != said.npos) return true;
    } while (Clock::System().Steady() < end);
    return false;
  }
  bool LogSays(size_t i, const std::string& text) {
    const SteadyTime end = Clock::System().Steady() + std::chrono::seconds(20);
    do {
      std::ifstream file(servers->log(i));
      const std::string log((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      if (log.find(text) != log.npos) return true;
      std::this_thread::yield();
    } while (Clock::System().Steady() < end);
    return false;
  }
  std::string Digest(size_t i) {
    int code = 0;
    return Copyset({"digest", "1", "--server", Address(i)}, Flags(mine), &code);
  }

  const std::string root = std::filesystem::temp_directory_path() /
                           ("curvefs-tls-" + std::to_string(::getpid()) + "-" +
                            testing::UnitTest::GetInstance()->current_test_info()->name());
  std::unique_ptr<test::Authority> own, other;
  net::TlsFiles mine, foreign;
  std::unique_ptr<Servers> servers;
};

TEST_F(TlsTest, ReplicatesAmongThoseWhoTrustOneAnother) {
  for (size_t i = 0; i < 3; ++i) {
    const Status s = servers->Start(i, Flags(mine));
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  const std::string peers = "1=" + Address(0) + ",2=" + Address(1) + ",3=" + Address(2);
  int code = 0;
  const std::string made = Copyset({"create", "1", "--peers", peers, "--format"}, Flags(mine), &code);
  ASSERT_EQ(code, 0) << made;
  const SteadyTime end = Clock::System().Steady() + std::chrono::seconds(20);
  while (!(Digest(0) == Digest(1) && Digest(1) == Digest(2))) ASSERT_LT(Clock::System().Steady(), end);
  EXPECT_EQ(Digest(0).find("applied 1,"), std::string::npos) << "more than the beginning: " << Digest(0);

  // Clients without a certificate, with a stranger's, and with half of what is needed.
  std::string said = Copyset({"list", "--server", Address(0), "--timeout", "2s"}, {}, &code);
  EXPECT_EQ(code, 8) << said;
  EXPECT_NE(said.find("TLS"), said.npos) << said;
  said = Copyset({"list", "--server", Address(0), "--timeout", "2s"}, Flags(foreign), &code);
  EXPECT_EQ(code, 8) << said;
  EXPECT_NE(said.find("certificate"), said.npos) << said;
  said = Copyset({"list", "--server", Address(0)}, {"--tls-ca", mine.ca}, &code);
  EXPECT_EQ(code, 16) << said;
  EXPECT_NE(said.find("go together"), said.npos) << said;
}

TEST_F(TlsTest, RefusesAMetaserverOfAnotherAuthority) {
  for (size_t i = 0; i < 3; ++i) {
    const Status s = servers->Start(i, Flags(i == 2 ? foreign : mine));
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  // Without the stranger the other two are a majority of the members.
  const std::string peers = "1=" + Address(0) + ",2=" + Address(1) + ",3=" + Address(2);
  for (size_t i = 0; i < 2; ++i) {
    int code = 0;
    const std::string said = Copyset({"create", "1", "--peers", peers}, Flags(mine), &code);
    EXPECT_EQ(code, 8) << said;
    EXPECT_NE(said.find("certificate"), said.npos) << said;
  }
  EXPECT_TRUE(Comes({"status", "1", "--server", Address(0), "--json"}, "\"leader_address\": \"127.0.0.1:"));
  EXPECT_TRUE(LogSays(0, "metaserver 3") || LogSays(0, "process 3"));
  EXPECT_TRUE(LogSays(0, "certificate"));
  EXPECT_TRUE(LogSays(2, "certificate"));
}

TEST_F(TlsTest, SaysWhichFileIsWrong) {
  net::TlsFiles wrong = mine;
  wrong.key = foreign.key;
  Status s = servers->Start(0, Flags(wrong));
  EXPECT_FALSE(s.ok());
  EXPECT_NE(s.message().find(wrong.key), std::string::npos) << s.ToString();
  wrong = mine;
  wrong.ca = root + "/nothing";
  s = servers->Start(0, Flags(wrong));
  EXPECT_NE(s.message().find("authority"), std::string::npos) << s.ToString();
  s = servers->Start(0, {"--tls-cert", mine.cert});
  EXPECT_NE(s.message().find("go together"), std::string::npos) << s.ToString();
}

}  // namespace
}  // namespace curvefs::cluster
