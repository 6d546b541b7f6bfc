// A file system whose data are in S3: made, remembered, refused, moved to another endpoint, checked, dumped.
#include "cli/objects.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "cli/dump.h"
#include "cli/fsck.h"
#include "cli/gc.h"
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

// ---- mounted while the store is away

class AwayTest : public ObjectsTest {
 protected:
  void SetAway(bool away) {
    server_.ClearFaults();
    if (away) server_.Inject({.kind = test::S3Fault::Kind::kReset, .count = ~uint64_t{0}});
  }
  Status TryOpen(bool with_cache = true) {
    fs_.reset();
    StandaloneOptions options;
    options.copyset.background = false;
    options.copyset.journal.segment_bytes = 256 << 10;
    options.data.inline_max = 0;
    options.objects = InS3();
    options.objects.s3_timeout = patience_;
    if (with_cache) options.stack.cache_dirs = {"/cache"};
    options.stack.free_space_ratio = 0;
    options.stack.writeback = with_cache;
    options.draining = [this](uint64_t, uint64_t) { return wait_; };
    CURVEFS_TRY(fs_, Standalone::Open(disk_, Clock::System(), "/fs", std::move(options)));
    return {};
  }
  void Open() {
    Status s = TryOpen();
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  void Close() {
    Status s = fs_->Shutdown();
    ASSERT_TRUE(s.ok()) << s.ToString();
    fs_.reset();
  }
  InodeId Write(const char* name, const std::string& content) {
    auto file = fs_->vfs().Create(kRoot, kRootInode, name, 0644, O_RDWR);
    EXPECT_TRUE(file);
    const InodeId inode = file->entry.inode.id;
    EXPECT_TRUE(fs_->vfs().Write(inode, file->opened.handle, 0, BufferSlice::CopyOf(content), {}));
    Status s = fs_->vfs().Fsync(inode, /*data_only=*/false);
    EXPECT_TRUE(s.ok()) << s.ToString();
    fs_->vfs().Release(inode, file->opened.handle);
    return inode;
  }
  std::string Stat(const std::string& name) {
    const std::string text = "\n" + fs_->vfs().StatsText();
    const size_t at = text.find("\n" + name + " ");
    return at == text.npos
               ? "none"
               : text.substr(at + name.size() + 2, text.find('\n', at + 1) - at - name.size() - 2);
  }
  Duration patience_ = std::chrono::milliseconds(50);  // with a store that does not answer
  bool wait_ = true;
  std::unique_ptr<Standalone> fs_;
};

TEST_F(AwayTest, WhatTheCacheHoldsIsServedAndWhatIsWrittenWaits) {
  Open();
  Write("large", content_);
  Write("other", "o");
  Close();
  SetAway(true);
  Open();
  EXPECT_TRUE(ReadLarge(*fs_) == content_);
  Write("new", std::string(3 << 20, 'n'));
  EXPECT_EQ(Stat("cache_waiting_objects"), "1");
  wait_ = false;
  Close();  // as --no-wait: it does not wait for the store
  EXPECT_TRUE(disk_.Files().contains("/fs/writeback"));
  Open();  // once more
  EXPECT_EQ(Stat("cache_waiting_objects"), "1");
  SetAway(false);
  wait_ = true;
  Close();  // waits until it is back and has taken all
  EXPECT_FALSE(disk_.Files().contains("/fs/writeback"));
  auto report = Fsck(disk_, "/fs", {.deep = true});
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->errors, 0u);
  EXPECT_EQ(report->leaked, 0u);
  EXPECT_EQ(report->verified, 3u);
}

TEST_F(AwayTest, WhatIsNotCachedIsAnErrorUntilTheStoreIsBack) {
  Make();
  SetAway(true);
  Open();
  EXPECT_NE(ReadLarge(*fs_).find("has not been reached since the mount"), std::string::npos);
  SetAway(false);
  std::string read;
  while ((read = ReadLarge(*fs_)) != content_)
    ASSERT_NE(read.find("has not been reached since the mount"), std::string::npos) << read;
  Close();
}

TEST_F(AwayTest, OnlyWithACacheAndOnlyIfItIsAway) {
  Make();
  SetAway(true);
  Status s = TryOpen(/*with_cache=*/false);
  EXPECT_EQ(s.code(), Code::kUnavailable) << s.ToString();
  SetAway(false);
  SetKeys("TESTACCESSKEY", "wrong");
  EXPECT_EQ(TryOpen().code(), Code::kAccessDenied) << "refused is not away";
  SetKeys("TESTACCESSKEY", "test/secret+key");
  SetAway(true);
  ObjectsOptions fresh = InS3("s3://bucket/new");
  fresh.s3_timeout = std::chrono::milliseconds(50);
  EXPECT_NE(OpenFails(fresh, "/new").find("broke"), std::string::npos) << "a new one needs its store";
}

// ---- how much is asked of the store

TEST_F(AwayTest, FsckAndGcAskByTheListAndNotForEachObject) {
  Open();
  constexpr uint64_t kFiles = 40;
  for (uint64_t i = 0; i < kFiles; ++i) Write(std::to_string(i).c_str(), std::string(300'000, 'a'));
  Close();
  for (uint64_t i = 0; i < 30; ++i)  // that nothing names
    server_.SetObject("fs/objects/0000000000000/" + std::to_string(1000 + i) + "_0_0_1_9",
                      std::string(37, 'x'));
  auto asked = [&, before = uint64_t{0}]() mutable {
    const uint64_t all = server_.requests("");
    return all - std::exchange(before, all);
  };
  (void)asked();
  auto report = Fsck(disk_, "/fs", {});
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->objects, kFiles);
  EXPECT_EQ(report->leaked, 30u);
  EXPECT_EQ(report->leaked_bytes, 30u * 5) << "of 37 bytes 32 are the checksums and the footer";
  EXPECT_LE(asked(), 5u);
  auto gc = Gc(disk_, Clock::System(), "/fs", {.older_than = std::chrono::nanoseconds(1)});
  ASSERT_TRUE(gc) << gc.error().ToString();
  EXPECT_EQ(gc->found, 30u);
  EXPECT_EQ(gc->bytes, 30u * 5);
  EXPECT_LE(asked(), 5u);
  report = Fsck(disk_, "/fs", {.deep = true});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->verified, kFiles);
  EXPECT_LE(asked(), kFiles + 5) << "one for each that is read";
  // What the list shows is believed only as far as it goes.
  const auto objects = server_.Objects();
  server_.SetObject(objects.rbegin()->first, "short");
  report = Fsck(disk_, "/fs", {});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->counts.at("damaged-object"), 1u);
}

TEST_F(AwayTest, StatsSayWhatWasAskedOfTheStore) {
  patience_ = std::chrono::seconds(30);  // each try counts, so none may be for a slow machine
  Open();
  const uint64_t puts = std::stoull(Stat("s3_requests_put"));
  server_.Inject({.kind = test::S3Fault::Kind::kSlowDown, .method = "PUT", .count = 2});
  Write("large", content_);
  ASSERT_TRUE(fs_->cache()->Drain(nullptr).ok());
  EXPECT_EQ(Stat("s3_requests_put"), std::to_string(puts + 2 + 2)) << "two objects, two tries more";
  EXPECT_EQ(Stat("s3_errors_throttled"), "2");
  EXPECT_EQ(Stat("s3_errors_network"), "0");
  EXPECT_EQ(Stat("s3_retries"), "2");
  EXPECT_GE(std::stoull(Stat("s3_sent_bytes")), content_.size());
  EXPECT_EQ(Stat("s3_in_flight"), "0");
  EXPECT_EQ(Stat("s3_waiting"), "0");
  for (const char* name :
       {"s3_requests_get", "s3_requests_head", "s3_requests_delete", "s3_requests_delete_many",
        "s3_requests_list", "s3_requests_multipart", "s3_errors_timeout", "s3_errors_server",
        "s3_errors_denied", "s3_errors_other", "s3_given_up", "s3_connections", "s3_received_bytes"})
    EXPECT_NE(Stat(name), "none") << name;
  Close();
}

}  // namespace
}  // namespace curvefs::cli
