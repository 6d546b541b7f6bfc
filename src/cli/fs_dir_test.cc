#include "cli/fs_dir.h"

#include <gtest/gtest.h>

#include "test/support/sim_disk.h"

namespace curvefs::cli {
namespace {

using test::SimDisk;

FsDescription Fresh() {
  FsDescription d;
  d.uuid = "01234567-89ab-4def-8123-456789abcdef";
  d.name = "some \"name\"";
  return d;
}
const DirUser kMe{.pid = 42, .command = "mount", .mount_point = "/mnt/my place"};

Result<std::unique_ptr<FsDir>> Open(Disk& disk, FsDir::Create create = FsDir::Create::kIfEmpty,
                                    bool read_only = false) {
  return FsDir::Open(disk, "/d", create, Fresh(), kMe, read_only);
}

TEST(FsDir, DescriptionRoundTrips) {
  FsDescription d = Fresh();
  d.engine = metaserver::MetaEngine::kRocksdb;
  d.state = FsDescription::State::kReady;
  auto back = ParseDescription(FormatDescription(d), "f");
  ASSERT_TRUE(back) << back.error().ToString();
  EXPECT_EQ(FormatDescription(*back), FormatDescription(d));
  EXPECT_EQ(back->name, d.name);
}

TEST(FsDir, ANewerFormatIsRefusedWithAdvice) {
  std::string text = FormatDescription(Fresh());
  text.replace(text.find("format = 1"), 10, "format = 3");
  auto parsed = ParseDescription(text, "/d/curvefs.toml");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code(), Code::kUnsupportedVersion);
  EXPECT_NE(parsed.error().message().find("/d/curvefs.toml"), std::string::npos);
}

TEST(FsDir, DamagedDescriptionsAreRefused) {
  const std::string good = FormatDescription(Fresh());
  for (auto [from, to] : {std::pair{"format = 1", "format = \"x\""},
                          {"state = \"making\"", "state = \"odd\""},
                          {"engine = \"memory\"", "engine = \"punch cards\""},
                          {"uuid = \"01", "uuid = \"zz"},
                          {"chunk_size = ", "chunk_size = 1"},
                          {"block_size = ", "block_size = -"},
                          {"state = ", "data = \"s4://b\"\nstate = "},
                          {"state = ", "data = \"s3://b\"\ns3_endpoint = \"gopher://h\"\nstate = "},
                          {"state = ", "wrapped_key = \"rusty\"\nstate = "},
                          {"state = ", "data = 5\nstate = "},
                          {"state = ", "compress = \"arj\"\nstate = "},
                          {"= ", "== "}}) {
    std::string text = good;
    text.replace(text.find(from), std::string_view(from).size(), to);
    auto parsed = ParseDescription(text, "f");
    ASSERT_FALSE(parsed) << to;
    EXPECT_EQ(parsed.error().code(), Code::kCorrupt) << to;
  }
}

TEST(FsDir, AMissingDirectoryBecomesAFileSystemOnlyOnRequest) {
  SimDisk disk;
  EXPECT_EQ(Open(disk, FsDir::Create::kNo).error().code(), Code::kNotFound);
  EXPECT_EQ(Open(disk, FsDir::Create::kIfEmpty, /*read_only=*/true).error().code(), Code::kNotFound);
  EXPECT_FALSE(*disk.Exists("/d"));
  auto dir = Open(disk);
  ASSERT_TRUE(dir) << dir.error().ToString();
  EXPECT_FALSE((*dir)->description().ready());
  ASSERT_TRUE((*dir)->MarkReady().ok());
  dir->reset();
  EXPECT_TRUE((*Open(disk, FsDir::Create::kNo))->description().ready());
  EXPECT_EQ(Open(disk, FsDir::Create::kMustBeEmpty).error().code(), Code::kExists);
}

TEST(FsDir, SomebodyElsesDirectoryIsLeftAlone) {
  SimDisk disk;
  ASSERT_TRUE(disk.MakeDir("/d").ok());
  disk.SetContent("/d/thesis.tex", "years of work");
  auto dir = Open(disk);
  ASSERT_FALSE(dir);
  EXPECT_EQ(dir.error().code(), Code::kExists);
  EXPECT_NE(dir.error().message().find("thesis.tex"), std::string::npos);
  // Who does not want to make a file system is not told how.
  for (bool read_only : {false, true}) {
    dir = Open(disk, read_only ? FsDir::Create::kIfEmpty : FsDir::Create::kNo, read_only);
    ASSERT_FALSE(dir);
    EXPECT_EQ(dir.error().code(), Code::kNotFound);
    EXPECT_NE(dir.error().message().find("no CurveFS file system"), std::string::npos);
    EXPECT_EQ(dir.error().message().find("empty"), std::string::npos) << dir.error().message();
  }
  EXPECT_EQ(disk.Files().size(), 1u);
}

TEST(FsDir, TheTopOfAFreshFileSystemCountsAsEmpty) {
  SimDisk disk;
  ASSERT_TRUE(disk.MakeDir("/d").ok());
  ASSERT_TRUE(disk.MakeDir("/d/lost+found").ok());
  EXPECT_TRUE(Open(disk));
}

TEST(FsDir, OneAtATimeAndTheOtherIsToldWho) {
  SimDisk disk;
  auto first = Open(disk);
  ASSERT_TRUE(first);
  auto second = Open(disk);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kBusy);
  EXPECT_NE(second.error().message().find("process 42"), std::string::npos) << second.error().message();
  EXPECT_NE(second.error().message().find("/mnt/my place"), std::string::npos);
}

TEST(FsDir, LockSaysWhetherTheLastUserEndedCleanly) {
  SimDisk disk;
  auto dir = *Open(disk);
  EXPECT_EQ(dir->crashed_user().pid, 0);
  dir.reset();  // without Clean
  EXPECT_EQ(FsDir::LastUser(disk, "/d")->pid, 42);
  dir = *Open(disk);
  EXPECT_EQ(dir->crashed_user().pid, 42);
  ASSERT_TRUE(dir->MarkReady().ok());
  dir.reset();
  // One who only reads does not hide it.
  dir = *Open(disk, FsDir::Create::kNo, /*read_only=*/true);
  ASSERT_TRUE(dir->Clean().ok());
  dir.reset();
  EXPECT_TRUE(FsDir::LastUser(disk, "/d"));
  dir = *Open(disk);
  ASSERT_TRUE(dir->Clean().ok());
  dir.reset();
  EXPECT_EQ(FsDir::LastUser(disk, "/d").error().code(), Code::kNotFound);
}

TEST(FsDir, ADirectoryThatCannotBeWrittenCanBeRead) {
  SimDisk disk;
  ASSERT_TRUE((*Open(disk))->MarkReady().ok());
  disk.FailNth(SimDisk::Op::kLock, 1, Code::kReadOnly, 1000);
  EXPECT_FALSE(Open(disk));
  EXPECT_TRUE(Open(disk, FsDir::Create::kNo, /*read_only=*/true));
}

// Whatever a crash leaves of a file system in the making can be made again, or is one.
TEST(FsDir, MakingSurvivesACrashAtAnyPoint) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SimDisk disk;
    disk.FailNth(static_cast<SimDisk::Op>(seed % static_cast<uint64_t>(SimDisk::Op::kCount_)), 1 + seed / 16,
                 Code::kIo);
    if (auto dir = Open(disk)) (void)(*dir)->MarkReady();
    disk.Crash(seed);
    auto again = Open(disk);
    ASSERT_TRUE(again) << "seed " << seed << ": " << again.error().ToString();
    ASSERT_TRUE((*again)->MarkReady().ok());
  }
}

}  // namespace
}  // namespace curvefs::cli
