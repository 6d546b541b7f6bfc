#include "cli/config.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

namespace curvefs::cli {
namespace {

using Flags = std::vector<std::pair<std::string, std::string>>;

Result<MountConfig> Make(std::map<std::string, std::string> environment, std::vector<std::string> lists,
                         Flags flags) {
  return MakeMountConfig(
      [&](const char* name) {
        auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
      },
      lists, flags);
}

// A value that is allowed and is not the default.
std::string OtherValue(const Knob& knob) {
  switch (knob.kind) {
    case KnobKind::kSwitch:
      return "true";
    case KnobKind::kSize:
      return std::to_string(knob.min + 1024);
    case KnobKind::kCount:
      return std::to_string(knob.min + 3);
    case KnobKind::kRatio:
      return "0.25";
    case KnobKind::kDuration:
      return std::to_string(knob.max) + "ms";
    case KnobKind::kChoice:
      return std::string(knob.choices.substr(knob.choices.rfind('|') + 1));
    case KnobKind::kText:
      return "some text";
  }
  return {};
}

TEST(Config, EveryKnobCanBeSetInEachOfItsThreeWays) {
  const std::string defaults = ConfigText(MountConfig());
  for (const Knob& knob : MountKnobs()) {
    const std::string name(knob.name), value = OtherValue(knob);
    auto from_environment = Make({{knob.Environment(), value}}, {}, {});
    auto from_list = Make({}, {name + "=" + value}, {});
    auto from_flag = Make({}, {}, {{name, value}});
    ASSERT_TRUE(from_environment && from_list && from_flag) << name;
    EXPECT_NE(ConfigText(*from_flag), defaults) << name;
    EXPECT_EQ(ConfigText(*from_flag), ConfigText(*from_list)) << name;
    EXPECT_EQ(ConfigText(*from_flag), ConfigText(*from_environment)) << name;
    EXPECT_TRUE(from_flag->is_given(name));
  }
}

TEST(Config, DefaultsAreWithinTheirRange) {
  for (const Knob& knob : MountKnobs()) {
    MountConfig config;
    EXPECT_TRUE(SetKnob(&config, knob, knob.Default()).ok()) << knob.name;
  }
}

TEST(Config, FlagsWinOverListsAndListsOverTheEnvironment) {
  auto config = Make({{"CURVEFS_COMMIT_INTERVAL", "3s"}, {"CURVEFS_ATIME", "strict"}},
                     {"commit-interval=2s,ro", "inline_max=0"}, {{"commit-interval", "1500ms"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->commit_interval, std::chrono::milliseconds(1500));
  EXPECT_EQ(config->atime, "strict");
  EXPECT_TRUE(config->read_only);
  EXPECT_EQ(config->inline_max, 0u);
}

TEST(Config, StandardOptionsAreUnderstood) {
  auto config =
      Make({},
           {"defaults,nosuid,nodev,noatime,_netdev,nofail,x-systemd.automount,comment=hi,rw,allow_other",
            "acl,user_xattr"},
           {});
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->kernel_flags, uint64_t{MS_NOSUID | MS_NODEV | MS_NOATIME});
  EXPECT_EQ(config->atime, "noatime");
  EXPECT_TRUE(config->allow_other);
  EXPECT_FALSE(config->read_only);

  config = Make({}, {"noexec,ro,exec"}, {});
  EXPECT_EQ(config->kernel_flags, uint64_t{MS_RDONLY});
}

TEST(Config, WhatIsNotKnownIsAnErrorThatSaysSo) {
  for (const char* list :
       {"bogus", "bogus=1", "commit-interval", "commit-interval=", "commit-interval=1h", "ro=1", "remount",
        "cache-size=1", "threads=257", "threads=x", "atime=never", "sync-close=perhaps"}) {
    auto config = Make({}, {list}, {});
    ASSERT_FALSE(config) << list;
    EXPECT_FALSE(config.error().message().empty());
  }
  auto config = Make({{"CURVEFS_THREADS", "many"}}, {}, {});
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().message().find("CURVEFS_THREADS"), std::string::npos);
}

TEST(Config, ThePageInTheDocumentationIsTheTable) {
  std::ifstream file(CURVEFS_SOURCE_DIR "/docs/CONFIG.md");
  std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(page, ConfigMarkdown()) << "docs/CONFIG.md is not current: make docs";
}

TEST(Config, NamesAreDistinctAlsoInTheEnvironment) {
  std::map<std::string, int> seen;
  for (const Knob& knob : MountKnobs()) {
    EXPECT_EQ(++seen[knob.Environment()], 1) << knob.name;
    EXPECT_FALSE(knob.help.empty());
  }
}

}  // namespace
}  // namespace curvefs::cli
