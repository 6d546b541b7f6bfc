#include "cli/config_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/config.h"

namespace curvefs::cli {
namespace {

const char* Nothing(const char*) {
  return nullptr;
}

TEST(ConfigFileTest, ValuesOfAllKinds) {
  auto values =
      ParseConfigFile("# a comment\ndir = \"/srv\"\nid = 7\nread-lease = false\nclock-drift = 0.1\n", "f");
  ASSERT_TRUE(values) << values.error().ToString();
  EXPECT_EQ(values->size(), 4u);
  for (const char* bad : {"dir = ", "dir = [1]", "[server]\ndir = \"/srv\"", "a b"}) {
    auto wrong = ParseConfigFile(bad, "f");
    ASSERT_FALSE(wrong) << bad;
    EXPECT_EQ(wrong.error().code(), Code::kInvalid);
    EXPECT_TRUE(wrong.error().message().starts_with("f, line")) << wrong.error().message();
  }
}

TEST(ConfigFileTest, FlagsAndEnvironmentWinOverIt) {
  const std::string path = testing::TempDir() + "/curvefs-config-" + std::to_string(::getpid()) + ".toml";
  std::ofstream(path) << "listen = \"1.1.1.1:1\"\nloops = 2\nsession_timeout = \"9s\"\n";
  auto config = MakeServerConfig(
      [](const char* name) -> const char* {
        return std::string_view(name) == "CURVEFS_LOOPS" ? "3" : nullptr;
      },
      {{"listen", "2.2.2.2:2"}, {"config", path}});
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->listen, "2.2.2.2:2");
  EXPECT_EQ(config->loops, 3u);
  EXPECT_EQ(config->session_timeout, std::chrono::seconds(9));
  std::ofstream(path) << "listens = \"1.1.1.1:1\"\n";
  auto wrong = MakeServerConfig(Nothing, {{"config", path}});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message().find("'listens'"), std::string::npos);
  std::filesystem::remove(path);
  EXPECT_FALSE(MakeServerConfig(Nothing, {{"config", path}}));
}

TEST(ConfigFileTest, TheExamplesAreRight) {
  auto mds = MakeMdsConfig(Nothing, {{"config", CURVEFS_SOURCE_DIR "/dist/mds.toml"}});
  ASSERT_TRUE(mds) << mds.error().ToString();
  EXPECT_EQ(mds->listen, "10.0.0.1:8300");
  auto metaserver = MakeServerConfig(Nothing, {{"config", CURVEFS_SOURCE_DIR "/dist/metaserver.toml"}});
  ASSERT_TRUE(metaserver) << metaserver.error().ToString();
  EXPECT_EQ(metaserver->id, 1u);
}

}  // namespace
}  // namespace curvefs::cli
