// The last resort through the program: of three metaservers two are lost for good.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "test/cluster/cluster.h"

namespace curvefs::cluster {
namespace {

constexpr Duration kLimit = std::chrono::seconds(30);

class RecoverTest : public testing::TestWithParam<const char*> {
 protected:
  ~RecoverTest() override {
    cluster.reset();
    if (!HasFailure()) std::filesystem::remove_all(root);
  }
  // Of a call in copyset 1 that is tried until it has an outcome.
  template <typename Response, typename Request>
  Code Call(const char* name, const Request& request, bool change) {
    auto code = std::make_shared<std::optional<Code>>();
    auto done = [code](Result<std::string> bytes) {
      Response response;
      ASSERT_TRUE(bytes && response.ParseFromString(*bytes));
      *code = StatusOf(response.header()).code();
    };
    if (change) {
      cluster->client().Change(1, MetaMethodNumber(name), request, done);
    } else {
      cluster->client().Read(1, MetaMethodNumber(name), request, done);
    }
    cluster->loop().RunUntil([&] { return code->has_value(); }, kLimit);
    return code->value_or(Code::kTimedOut);
  }
  Code Make(const std::string& name) {
    proto::CreateRequest request;
    request.set_parent_inode_id(1);
    request.set_name(name);
    request.set_mode(S_IFREG | 0644);
    return Call<proto::CreateResponse>("Create", request, true);
  }
  Code Lookup(const std::string& name) {
    proto::LookupRequest request;
    request.set_parent_inode_id(1);
    request.set_name(name);
    return Call<proto::LookupResponse>("Lookup", request, false);
  }
  std::string Curvefs(std::vector<std::string> args, int* code) {
    args.insert(args.begin(), CURVEFS_PROGRAM);
    return RunProgram(args, code);
  }
  std::string Recover(std::vector<std::string> more, int* code) {
    more.insert(more.begin(), {"copyset", "recover", "1", "2", "--dir", cluster->servers().dir(1)});
    return Curvefs(std::move(more), code);
  }

  static constexpr const char* kYes = "--yes-i-know-data-may-be-lost";
  const std::string root =
      std::filesystem::temp_directory_path() / ("curvefs-recover-" + std::to_string(::getpid()));
  std::unique_ptr<Cluster> cluster = std::make_unique<Cluster>(
      CURVEFS_METASERVER, root, std::vector<std::string>{"--meta-engine", GetParam()});
};

TEST_P(RecoverTest, OneOfThreeGoesOnAlone) {
  Servers& servers = cluster->servers();
  for (size_t i = 0; i < 3; ++i) ASSERT_TRUE(servers.Start(i).ok());
  ASSERT_TRUE(cluster->MakeCopysets(1).ok());
  for (int i = 0; i < 50; ++i) ASSERT_EQ(Make("f" + std::to_string(i)), Code::kOk);
  EXPECT_EQ(cluster->CompareReplicas(1), "") << "the survivor has all of it";

  int code = 0;
  EXPECT_NE(Recover({kYes}, &code).find("in use"), std::string::npos);
  EXPECT_EQ(code, 8) << "it runs";
  for (size_t lost : {0u, 2u}) {
    servers.Kill(lost, SIGKILL);
    std::filesystem::remove_all(servers.dir(lost));
  }
  EXPECT_EQ(servers.Stop(1), 0);
  std::string said = Recover({}, &code);
  EXPECT_EQ(code, 16) << said;
  EXPECT_NE(said.find("WARNING"), said.npos);
  EXPECT_NE(said.find(kYes), said.npos);
  said = Curvefs({"copyset", "recover", "1", "3", "--dir", servers.dir(1), kYes}, &code);
  EXPECT_EQ(code, 16) << said;  // another replica's
  said = Curvefs({"copyset", "recover", "9", "2", "--dir", servers.dir(1), kYes}, &code);
  EXPECT_EQ(code, 8) << said;  // no such copyset
  said = Recover({kYes, "--json"}, &code);
  ASSERT_EQ(code, 0) << said;
  EXPECT_NE(said.find("\"survivor\": 2"), said.npos) << said;
  EXPECT_NE(said.find("\"voters_before\""), said.npos) << said;
  said = Recover({kYes}, &code);
  EXPECT_EQ(code, 16) << "it is alone already: " << said;

  ASSERT_TRUE(servers.Start(1).ok());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Lookup("f" + std::to_string(i)), Code::kOk);
  EXPECT_EQ(Make("after"), Code::kOk);
  EXPECT_EQ(Lookup("after"), Code::kOk);

  // And grows again: a new replica on a new disk of metaserver 1.
  ASSERT_TRUE(servers.Start(0).ok());
  const std::string replica = std::to_string((uint64_t{1} << 32) + 1),
                    here = servers.addresses()[1].ToString();
  said = Curvefs({"copyset", "change-peers", "1", "add", replica, "--address",
                  servers.addresses()[0].ToString(), "--server", here},
                 &code);
  EXPECT_EQ(code, 0) << said;
  const SteadyTime end = cluster->loop().clock().Steady() + kLimit;
  do {
    said = Curvefs({"copyset", "change-peers", "1", "promote", replica, "--server", here}, &code);
  } while (code != 0 && cluster->loop().clock().Steady() < end);
  EXPECT_EQ(code, 0) << said;
  EXPECT_EQ(Make("later"), Code::kOk);
}

INSTANTIATE_TEST_SUITE_P(All, RecoverTest, testing::Values("memory", "rocksdb"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace curvefs::cluster
