// The stack above the store: a whole file system with codes and write-back, over restarts and crashes.
#include "cli/data_stack.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "cli/dump.h"
#include "cli/fsck.h"
#include "cli/standalone.h"
#include "test/support/fault_object_store.h"
#include "test/support/sim_disk.h"

namespace curvefs::cli {
namespace {

using test::SimDisk;

const client::Caller kRoot;

// A file system on a simulated disk whose store can go away.
class DataStackTest : public testing::Test {
 protected:
  DataStackTest() : base_(object::MakeMemoryObjectStore()) {
    options_.seed = 1;
    options_.copyset.background = false;
    options_.copyset.journal.segment_bytes = 256 << 10;
    options_.data.inline_max = 0;
    options_.data.staged_max = 0;
    options_.stack.free_space_ratio = 0;
    options_.stack.upload_threads = 2;
  }
  Status TryOpen() {
    fs_.reset();
    auto inner = std::make_unique<test::FaultObjectStore>(*base_, 1);
    inner_ = inner.get();
    if (away_) inner_->SetFaults({.put_fails = 1});
    CURVEFS_TRY(fs_, Standalone::Open(disk_, Clock::System(), "/fs", options_, std::move(inner)));
    return {};
  }
  void Open() {
    Status s = TryOpen();
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  void Write(const std::string& name, const std::string& content) {
    auto file = fs_->vfs().Create(kRoot, kRootInode, name, 0644, O_RDWR);
    ASSERT_TRUE(file) << file.error().ToString();
    auto n = fs_->vfs().Write(file->entry.inode.id, file->opened.handle, 0, BufferSlice::CopyOf(content), {});
    ASSERT_TRUE(n) << n.error().ToString();
    fs_->vfs().Release(file->entry.inode.id, file->opened.handle);
    Status s = fs_->vfs().SyncFs();
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  std::string Read(const std::string& name) {
    auto entry = fs_->vfs().Lookup(kRoot, kRootInode, name);
    if (!entry) return "error: " + entry.error().ToString();
    auto opened = fs_->vfs().Open(kRoot, entry->inode.id, O_RDONLY);
    if (!opened) return "error: " + opened.error().ToString();
    auto bytes = fs_->vfs().Read(entry->inode.id, opened->handle, 0, entry->inode.length);
    fs_->vfs().Release(entry->inode.id, opened->handle);
    if (!bytes) return "error: " + bytes.error().ToString();
    std::string out(TotalSize(*bytes), '\0');
    CopyOut(*bytes, out.data());
    return out;
  }
  void Close() {
    Status s = fs_->Shutdown();
    ASSERT_TRUE(s.ok()) << s.ToString();
    fs_.reset();
  }
  size_t Inside() {
    size_t n = 0;
    EXPECT_TRUE(base_->List(ChunkId(0), [&](const auto&) { return ++n > 0; }).ok());
    return n;
  }
  bool Marked() { return disk_.Files().contains("/fs/writeback"); }

  SimDisk disk_;
  std::unique_ptr<object::ObjectStore> base_;
  test::FaultObjectStore* inner_ = nullptr;
  bool away_ = false;
  StandaloneOptions options_;
  std::unique_ptr<Standalone> fs_;
  const std::string large_ = std::string(3 << 20, 'x');
};

TEST_F(DataStackTest, WriteBackSurvivesACrashWithTheStoreAway) {
  options_.stack.cache_dirs = {"/cache"};
  options_.stack.writeback = true;
  away_ = true;
  Open();
  Write("file", large_);
  EXPECT_EQ(Inside(), 0u);
  EXPECT_TRUE(Marked());
  EXPECT_NE(fs_->vfs().StatsText().find("\ncache_waiting_objects 1\n"), std::string::npos)
      << fs_->vfs().StatsText();
  fs_.reset();
  disk_.Crash(1, SimDisk::Keep::kNothing);
  // Without the cache it must not be mounted: the file would seem lost, and a sweep would be wrong.
  options_.stack.cache_dirs = {};
  options_.stack.writeback = false;
  Status refused = TryOpen();
  EXPECT_EQ(refused.code(), Code::kInvalid);
  EXPECT_NE(refused.message().find("--cache-dir /cache"), std::string::npos) << refused.message();
  options_.stack.cache_dirs = {"/other"};
  EXPECT_EQ(TryOpen().code(), Code::kInvalid);
  options_.stack.cache_dirs = {"/cache", "/other"};
  options_.draining = [](uint64_t objects, uint64_t) { return objects != 1; };
  Open();
  EXPECT_EQ(Read("file"), large_);
  Close();  // as --no-wait
  EXPECT_TRUE(Marked());
  away_ = false;
  options_.draining = nullptr;
  Open();
  Close();
  EXPECT_FALSE(Marked());
  EXPECT_EQ(Inside(), 1u);
  options_.stack.cache_dirs = {};
  Open();
  EXPECT_EQ(Read("file"), large_);
}

TEST_F(DataStackTest, AnEmptiedCacheDirectoryIsNoticed) {
  options_.stack.cache_dirs = {"/cache"};
  options_.stack.writeback = true;
  away_ = true;
  Open();
  Write("file", large_);
  fs_.reset();
  for (const auto& [path, content] : disk_.Files()) {
    if (path.starts_with("/cache/")) disk_.RemoveDurably(path);
  }
  auto uuid = disk_.List("/cache");
  ASSERT_TRUE(uuid && uuid->size() == 1);
  for (const char* sub : {"/write/0", "/write", "/read/0", "/read"})
    ASSERT_TRUE(disk_.RemoveDir("/cache/" + uuid->front() + sub).ok()) << sub;
  Status s = TryOpen();
  EXPECT_EQ(s.code(), Code::kNotFound);
  EXPECT_NE(s.message().find("mount the cache disk"), std::string::npos) << s.message();
}

TEST_F(DataStackTest, FsckCountsWhatWaits) {
  options_.stack.cache_dirs = {"/cache"};
  options_.stack.writeback = true;
  Open();
  inner_->SetFaults({.put_fails = 1});
  Write("file", large_);
  fs_.reset();
  base_ = object::MakeMemoryObjectStore();
  // fsck finds the objects' directory empty, and the cache by itself.
  auto report = Fsck(disk_, "/fs", {.deep = true});
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->errors, 0u);
  EXPECT_EQ(report->verified, 1u);
  EXPECT_EQ(report->leaked, 0u);
  auto repaired = Fsck(disk_, "/fs", {.repair = true});
  ASSERT_TRUE(repaired) << repaired.error().ToString();
  EXPECT_EQ(repaired->errors, 0u);
  // Canary: without the mark it would be missing.
  disk_.RemoveDurably("/fs/writeback");
  auto blind = Fsck(disk_, "/fs", {});
  ASSERT_TRUE(blind) << blind.error().ToString();
  EXPECT_EQ(blind->counts["missing-object"], 1u);
}

TEST_F(DataStackTest, CodesAreChosenOnceAndTheSecretIsNeeded) {
  options_.stack.compress = object::Compression::kZstd;
  options_.stack.secret.passphrase = "correct horse";
  Open();
  Write("file", large_);
  EXPECT_EQ(fs_->dir().description().format, 2u);
  Close();
  EXPECT_LT(*base_->Size([&] {
    object::ObjectName name;
    (void)base_->List(ChunkId(0), [&](const auto& n) { return name = n, false; });
    return name;
  }()),
            large_.size() / 100);
  options_.stack.compress = std::nullopt;
  Open();
  EXPECT_EQ(Read("file"), large_);
  Close();
  options_.stack.secret.passphrase = "wrong horse";
  EXPECT_EQ(TryOpen().code(), Code::kAccessDenied);
  options_.stack.secret.passphrase = "";
  Status s = TryOpen();
  EXPECT_EQ(s.code(), Code::kAccessDenied);
  EXPECT_NE(s.message().find("--encrypt-passphrase-file"), std::string::npos) << s.message();
  options_.stack.secret.passphrase = "correct horse";
  options_.stack.compress = object::Compression::kLz4;
  EXPECT_EQ(TryOpen().code(), Code::kInvalid);
}

TEST_F(DataStackTest, APlainFileSystemWantsNoSecret) {
  Open();
  EXPECT_EQ(fs_->dir().description().format, 1u) << "older programs can use it";
  Close();
  options_.stack.secret.passphrase = "x";
  EXPECT_EQ(TryOpen().code(), Code::kInvalid);
}

TEST_F(DataStackTest, DumpAndLoadKeepTheCodes) {
  options_.stack.compress = object::Compression::kLz4;
  options_.stack.secret.passphrase = "correct horse";
  Open();
  Write("file", large_);
  const FsDescription before = fs_->dir().description();
  Close();
  std::vector<std::string> lines;
  auto dumped = Dump(disk_, "/fs", [&](const std::string& line) { return lines.push_back(line), Status(); });
  ASSERT_TRUE(dumped) << dumped.error().ToString();
  size_t next = 0;
  auto loaded = Load(
      disk_, "/loaded",
      [&](std::string* line) { return next < lines.size() && (*line = lines[next++], true); }, "");
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  auto text = disk_.ReadWholeFile("/loaded/curvefs.toml");
  ASSERT_TRUE(text);
  auto after = ParseDescription(*text, "x");
  ASSERT_TRUE(after) << after.error().ToString();
  EXPECT_EQ(after->wrapped_key, before.wrapped_key);
  EXPECT_EQ(after->compress, before.compress);
  fs_.reset();
  auto fs = Standalone::Open(disk_, Clock::System(), "/loaded", options_,
                             std::make_unique<test::FaultObjectStore>(*base_, 1));
  ASSERT_TRUE(fs) << fs.error().ToString();
  fs_ = *std::move(fs);
  EXPECT_EQ(Read("file"), large_);
}

TEST_F(DataStackTest, TheCacheAnswersAfterARestart) {
  options_.stack.cache_dirs = {"/cache"};
  Open();
  Write("file", large_);
  Close();
  Open();
  inner_->SetFaults({.read_fails = 1});
  EXPECT_EQ(Read("file"), large_);
  EXPECT_NE(fs_->vfs().StatsText().find("\ncache_hits 1\n"), std::string::npos) << fs_->vfs().StatsText();
}

TEST(WritebackMark, RoundTripAndNonsense) {
  const std::vector<std::string> dirs{"/a b", "/c"};
  EXPECT_EQ(*ParseWritebackMark(FormatWritebackMark(dirs)), dirs);
  for (const char* bad : {"cache_dir", "cache_dir \n", "x\n", "cache_dir /a"})
    EXPECT_FALSE(ParseWritebackMark(bad)) << bad;
}

TEST(Secrets, FilesAndEnvironment) {
  SimDisk disk;
  disk.SetContent("/pass", "correct horse\r\n");
  disk.SetContent("/empty", "\n");
  EXPECT_EQ(ReadSecret(disk, "/pass", "", "from outside")->passphrase, "correct horse");
  EXPECT_EQ(ReadSecret(disk, "", "", "from outside")->passphrase, "from outside");
  EXPECT_FALSE(ReadSecret(disk, "", "", nullptr)->given());
  EXPECT_EQ(ReadSecret(disk, "/pass", "/pass", nullptr).error().code(), Code::kInvalid);
  EXPECT_EQ(ReadSecret(disk, "/empty", "", nullptr).error().code(), Code::kInvalid);
  EXPECT_EQ(ReadSecret(disk, "/none", "", nullptr).error().code(), Code::kNotFound);
}

}  // namespace
}  // namespace curvefs::cli
