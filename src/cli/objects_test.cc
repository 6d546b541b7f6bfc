// A file system whose data are in S3: made, remembered, refused, moved to another endpoint, checked, dumped.
#include "cli/objects.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "cli/dump.h"
#include "cli/fsck.h"
#include "cli/standalone.h"
#include "test/support/s3_server.h"
#include "test/support/sim_disk.h"

namespace curvefs::cli {
namespace {

const client::Caller kRoot;

class ObjectsTest : public testing::Test {
 protected:
  ObjectsTest() {
    content_.resize((5 << 20) + 3, 'x');
    SetKeys("TESTACCESSKEY", "test/secret+key");
  }
  ~ObjectsTest() override {
    ::unsetenv("AWS_ACCESS_KEY_ID");
    ::unsetenv("AWS_SECRET_ACCESS_KEY");
  }
  static void SetKeys(const char* access_key, const char* secret_key) {
    ::setenv("AWS_ACCESS_KEY_ID", access_key, 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", secret_key, 1);
  }
  ObjectsOptions InS3(const std::string& data = "s3://bucket/fs") const {
    return {.data = data, .s3_endpoint = server_.endpoint(), .s3_region = "test-region-1"};
  }
  Result<std::unique_ptr<Standalone>> Open(const ObjectsOptions& objects, const std::string& dir = "/fs",
                                           bool read_only = false) {
    StandaloneOptions options;
    options.copyset.background = false;
    options.copyset.journal.segment_bytes = 256 << 10;
    options.user = {.pid = 42, .command = "mount", .mount_point = "/mnt"};
    options.objects = objects;
    options.vfs.read_only = read_only;
    return Standalone::Open(disk_, Clock::System(), dir, std::move(options));
  }
  std::string OpenFails(const ObjectsOptions& objects, const std::string& dir = "/fs") {
    auto fs = Open(objects, dir);
    return fs ? "it opened" : fs.error().message();
  }
  void Make() {
    auto fs = Open(InS3());
    ASSERT_TRUE(fs) << fs.error().ToString();
    auto file = (*fs)->vfs().Create(kRoot, kRootInode, "large", 0644, O_RDWR);
    ASSERT_TRUE(file);
    ASSERT_TRUE(
        (*fs)->vfs().Write(file->entry.inode.id, file->opened.handle, 0, BufferSlice::CopyOf(content_), {}));
    (*fs)->vfs().Release(file->entry.inode.id, file->opened.handle);
    Status s = (*fs)->Shutdown();
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  std::string ReadLarge(Standalone& fs) {
    auto entry = fs.vfs().Lookup(kRoot, kRootInode, "large");
    if (!entry) return entry.error().ToString();
    auto opened = fs.vfs().Open(kRoot, entry->inode.id, O_RDONLY);
    if (!opened) return opened.error().ToString();
    auto bytes = fs.vfs().Read(entry->inode.id, opened->handle, 0, entry->inode.length);
    fs.vfs().Release(entry->inode.id, opened->handle);
    if (!bytes) return bytes.error().ToString();
    std::string out(TotalSize(*bytes), '\0');
    CopyOut(*bytes, out.data());
    return out;
  }
  void ExpectWorks(const ObjectsOptions& objects, const std::string& dir = "/fs") {
    auto fs = Open(objects, dir);
    ASSERT_TRUE(fs) << fs.error().ToString();
    EXPECT_TRUE(ReadLarge(**fs) == content_);
    EXPECT_TRUE((*fs)->Shutdown().ok());
  }
  std::string Toml() const { return disk_.Files().at("/fs/curvefs.toml"); }

  test::S3Server server_;
  test::SimDisk disk_;
  std::string content_ = "begin";
};

TEST_F(ObjectsTest, ThePlaceIsRememberedAndTheKeysAreNot) {
  Make();
  const auto objects = server_.Objects();
  EXPECT_EQ(objects.size(), 3u) << "two blocks and the marker";
  EXPECT_TRUE(objects.contains("fs/curvefs.json"));
  ExpectWorks({});
  ExpectWorks({.data = "s3://bucket/fs/"});
  EXPECT_NE(Toml().find("data = \"s3://bucket/fs\""), std::string::npos) << Toml();
  for (const auto& [path, content] : disk_.Files()) {
    EXPECT_EQ(content.find("TESTACCESSKEY"), std::string::npos) << path;
    EXPECT_EQ(content.find("test/secret+key"), std::string::npos) << path;
  }
  EXPECT_NE(Toml().find("format = 2"), std::string::npos) << "older programs keep away";
}

TEST_F(ObjectsTest, ContradictionsAreRefused) {
  Make();
  std::string said = OpenFails({.data = "s3://bucket/other"});
  EXPECT_NE(said.find("keeps its data in s3://bucket/fs, not in s3://bucket/other"), said.npos) << said;
  {
    ASSERT_TRUE((*Open({}, "/local"))->Shutdown().ok());
  }
  said = OpenFails(InS3("s3://bucket/local"), "/local");
  EXPECT_NE(said.find("keeps its data in /local/objects"), said.npos) << said;
  said = OpenFails({.s3_endpoint = server_.endpoint()}, "/local");
  EXPECT_NE(said.find("--data s3://BUCKET/PREFIX"), said.npos) << said;
  said = OpenFails({.data = "/some/dir"}, "/new");
  EXPECT_NE(said.find("write s3://BUCKET/PREFIX"), said.npos) << said;
  ExpectWorks({});
}

TEST_F(ObjectsTest, APrefixBelongsToOneFileSystem) {
  Make();
  std::string said = OpenFails(InS3(), "/second");
  EXPECT_NE(said.find("holds the data of another file system ('fs'"), said.npos) << said;
  auto fs = Open(InS3("s3://bucket/second"), "/second");
  ASSERT_TRUE(fs) << "the failed one is made anew: " << fs.error().ToString();
  EXPECT_TRUE((*fs)->Shutdown().ok());
  ExpectWorks({});
}

TEST_F(ObjectsTest, WrongKeysThenRightOnes) {
  SetKeys("NOBODY", "x");
  std::string said = OpenFails(InS3());
  EXPECT_NE(said.find("InvalidAccessKeyId"), said.npos) << said;
  ::unsetenv("AWS_ACCESS_KEY_ID");
  EXPECT_NE(OpenFails({}).find("only one of"), said.npos);
  SetKeys("TESTACCESSKEY", "test/secret+key");
  Make();
  ExpectWorks({});
}

TEST_F(ObjectsTest, AnotherEndpointIsTakenIfTheDataAreThere) {
  Make();
  test::S3Server moved, empty;
  for (const auto& [key, content] : server_.Objects()) moved.SetObject(key, content);
  std::string said = OpenFails({.s3_endpoint = empty.endpoint()});
  EXPECT_NE(said.find("curvefs.json is missing"), said.npos) << said;
  EXPECT_NE(Toml().find(server_.endpoint()), said.npos) << "not remembered";
  EXPECT_TRUE(empty.Objects().empty());
  ExpectWorks({.s3_endpoint = moved.endpoint()});
  const auto before = server_.requests("");
  ExpectWorks({});
  EXPECT_EQ(server_.requests(""), before);
  EXPECT_NE(Toml().find(moved.endpoint()), said.npos);
}

TEST_F(ObjectsTest, AReadOnlyMountWritesNothingThere) {
  Make();
  const auto objects = server_.Objects();
  server_.Deny({"PUT", "POST", "DELETE"});
  auto fs = Open({}, "/fs", /*read_only=*/true);
  ASSERT_TRUE(fs) << fs.error().ToString();
  EXPECT_TRUE(ReadLarge(**fs) == content_);
  EXPECT_TRUE((*fs)->Shutdown().ok());
  fs->reset();
  EXPECT_EQ(server_.Objects(), objects);
  EXPECT_NE(OpenFails({}).find("s3:PutObject"), std::string::npos);
}

TEST_F(ObjectsTest, FsckLooksIntoTheBucket) {
  Make();
  auto report = Fsck(disk_, "/fs", {.deep = true});
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->errors, 0u);
  EXPECT_EQ(report->verified, 2u);
  server_.SetObject("fs/objects/0000000000000/4000_0_0_1_9", "left by a crash");
  report = Fsck(disk_, "/fs", {.repair = true});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->leaked, 1u);
  EXPECT_FALSE(server_.Objects().contains("fs/objects/0000000000000/4000_0_0_1_9"));
  for (const auto& [key, content] : server_.Objects()) {
    if (key.starts_with("fs/objects/")) server_.SetObject(key, content.substr(0, 100));
  }
  report = Fsck(disk_, "/fs", {});
  ASSERT_TRUE(report);
  EXPECT_GT(report->counts.at("damaged-object"), 0u);
}

TEST_F(ObjectsTest, ADumpKnowsWhereTheDataAre) {
  Make();
  std::vector<std::string> lines;
  ASSERT_TRUE(Dump(disk_, "/fs", [&](const std::string& line) {
    lines.push_back(line);
    return Status();
  }));
  size_t next = 0;
  auto loaded = Load(
      disk_, "/loaded",
      [&](std::string* line) {
        if (next == lines.size()) return false;
        *line = lines[next++];
        return true;
      },
      "");
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  ExpectWorks({}, "/loaded");
}

TEST_F(ObjectsTest, TheStoreAwayIsAnErrorAndNothingIsLost) {
  auto fs = Open([&] {
    auto options = InS3();
    options.s3_timeout = std::chrono::milliseconds(50);
    return options;
  }());
  ASSERT_TRUE(fs) << fs.error().ToString();
  auto file = (*fs)->vfs().Create(kRoot, kRootInode, "large", 0644, O_RDWR);
  ASSERT_TRUE(file);
  const InodeId inode = file->entry.inode.id;
  ASSERT_TRUE((*fs)->vfs().Write(inode, file->opened.handle, 0, BufferSlice::CopyOf(content_), {}));
  server_.Inject({.kind = test::S3Fault::Kind::kSlowDown, .method = "PUT", .count = 1'000'000});
  Status s = (*fs)->vfs().Fsync(inode, /*data_only=*/false);
  EXPECT_EQ(s.code(), Code::kIo) << s.ToString();
  server_.ClearFaults();
  s = (*fs)->vfs().Fsync(inode, /*data_only=*/false);
  EXPECT_TRUE(s.ok()) << s.ToString();
  (*fs)->vfs().Release(inode, file->opened.handle);
  EXPECT_TRUE((*fs)->Shutdown().ok());
  fs->reset();
  ExpectWorks({});
}

}  // namespace
}  // namespace curvefs::cli
