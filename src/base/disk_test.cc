// The contract of Disk and File, held by the machine's disk and by the simulated one; then what only the
// latter does.
#include "base/disk.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "test/support/sim_disk.h"

namespace curvefs {
namespace {

using test::SimDisk;
using Mode = Disk::Mode;

class DiskTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "posix") {
      dir_ = std::filesystem::path(testing::TempDir()) / ("curvefs-disk-" + std::to_string(getpid()));
      std::filesystem::remove_all(dir_);
      disk_ = &Disk::Posix();
    } else {
      dir_ = "/d";
      disk_ = &sim_;
    }
    ASSERT_TRUE(disk_->MakeDir(dir_).ok());
  }
  void TearDown() override {
    if (GetParam() == "posix") std::filesystem::remove_all(dir_);
  }
  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  std::unique_ptr<File> Open(const std::string& name, Mode mode = Mode::kCreate) {
    auto file = disk_->Open(Path(name), mode);
    EXPECT_TRUE(file.has_value()) << file.error().ToString();
    return *std::move(file);
  }
  Code OpenError(const std::string& name, Mode mode) {
    auto file = disk_->Open(Path(name), mode);
    if (file) return Code::kOk;
    EXPECT_NE(file.error().message().find(Path(name)), std::string::npos) << "the path is not named";
    return file.error().code();
  }
  std::string Content(const std::string& name) {
    return disk_->ReadWholeFile(Path(name)).value_or("<error>");
  }

  std::string dir_;
  SimDisk sim_;
  Disk* disk_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Disks, DiskTest, testing::Values("posix", "sim"),
                         [](const auto& info) { return info.param; });

TEST_P(DiskTest, OpenModes) {
  EXPECT_EQ(OpenError("a", Mode::kRead), Code::kNotFound);
  EXPECT_EQ(OpenError("a", Mode::kReadWrite), Code::kNotFound);
  EXPECT_EQ(OpenError("a", Mode::kCreateNew), Code::kOk);
  EXPECT_EQ(OpenError("a", Mode::kCreateNew), Code::kExists);
  EXPECT_EQ(OpenError("a", Mode::kCreate), Code::kOk);
  EXPECT_EQ(OpenError("a", Mode::kReadWrite), Code::kOk);
  EXPECT_EQ(OpenError("no/a", Mode::kCreate), Code::kNotFound);
  EXPECT_FALSE(Open("a", Mode::kRead)->Write(0, "x").ok());
}

TEST_P(DiskTest, ReadAndWriteAtOffsets) {
  auto file = Open("a");
  EXPECT_TRUE(file->Write(5, "world").ok());
  EXPECT_TRUE(file->Write(0, "hello").ok());
  EXPECT_EQ(file->Size().value(), 10u);
  char out[20];
  EXPECT_EQ(file->Read(3, out, 4).value(), 4u);
  EXPECT_EQ(std::string_view(out, 4), "lowo");
  EXPECT_EQ(file->Read(7, out, 20).value(), 3u);
  EXPECT_EQ(file->Read(10, out, 20).value(), 0u);
  EXPECT_EQ(file->Read(1000, out, 20).value(), 0u);
  file->WillNeed(0, 1 << 20);
  EXPECT_TRUE(file->Write(12, "!").ok());
  EXPECT_EQ(Content("a"), std::string("helloworld\0\0!", 13));
}

TEST_P(DiskTest, DirectReadsAndWritesAreTheSameAlignedOrNot) {
  constexpr size_t kSize = 64 << 10;
  auto* aligned = static_cast<char*>(std::aligned_alloc(File::kDirectUnit, 2 * kSize));
  for (size_t i = 0; i < 2 * kSize; ++i) aligned[i] = static_cast<char>(i * 7 + i / 4096);
  const std::string all(aligned, 2 * kSize);
  auto file = Open("a");
  const iovec pieces[] = {{aligned, kSize}, {aligned + kSize, kSize}};
  ASSERT_TRUE(file->WriteDirect(0, pieces).ok());
  EXPECT_TRUE(Content("a") == all);
  const iovec odd[] = {{aligned + 1, 100}, {aligned + 3, 5}};
  ASSERT_TRUE(file->WriteDirect(2 * kSize, odd).ok());
  ASSERT_TRUE(file->WriteDirect(7, std::span(odd, 1)).ok());
  std::string expected = all + all.substr(1, 100) + all.substr(3, 5);
  expected.replace(7, 100, all.substr(1, 100));
  EXPECT_TRUE(Content("a") == expected);

  EXPECT_EQ(file->ReadDirect(0, aligned, 2 * kSize).value(), 2 * kSize);
  EXPECT_TRUE(std::string_view(aligned, 2 * kSize) == expected.substr(0, 2 * kSize));
  EXPECT_EQ(file->ReadDirect(4096, aligned + 1, 10'000).value(), 10'000u);
  EXPECT_TRUE(std::string_view(aligned + 1, 10'000) == expected.substr(4096, 10'000));
  EXPECT_EQ(file->ReadDirect(2 * kSize, aligned, kSize).value(), 105u) << "up to the end";
  EXPECT_TRUE(std::string_view(aligned, 105) == expected.substr(2 * kSize));
  std::free(aligned);
}

TEST_P(DiskTest, ManyPieces) {
  std::vector<std::string> parts;
  std::vector<iovec> pieces;
  std::string all;
  for (int i = 0; i < 3000; ++i) parts.push_back(std::string(i % 7, static_cast<char>('a' + i % 26)));
  for (std::string& part : parts) {
    pieces.push_back({part.data(), part.size()});
    all += part;
  }
  auto file = Open("a");
  ASSERT_TRUE(file->Write(1, pieces).ok());
  EXPECT_EQ(Content("a"), std::string(1, '\0') + all);
  EXPECT_TRUE(file->Write(0, std::span<const iovec>()).ok());
}

TEST_P(DiskTest, AllocateAndTruncate) {
  auto file = Open("a");
  ASSERT_TRUE(file->Write(0, "data").ok());
  ASSERT_TRUE(file->Allocate(3 << 20).ok());
  EXPECT_EQ(Content("a"), "data" + std::string((3 << 20) - 4, '\0'));
  ASSERT_TRUE(file->Allocate(10).ok());  // never shorter
  EXPECT_EQ(file->Size().value(), 3u << 20);
  ASSERT_TRUE(file->Truncate(2).ok());
  ASSERT_TRUE(file->Truncate(5).ok());
  EXPECT_EQ(Content("a"), std::string("da\0\0\0", 5));
  ASSERT_TRUE(file->Sync().ok());
}

TEST_P(DiskTest, NamesAndDirectories) {
  EXPECT_TRUE(disk_->MakeDir(dir_).ok());  // there already
  ASSERT_TRUE(disk_->MakeDir(Path("sub")).ok());
  Open("b");
  Open("a");
  Open("sub/c");
  EXPECT_EQ(disk_->MakeDir(Path("a")).code(), Code::kExists);
  EXPECT_EQ(disk_->List(dir_).value(), (std::vector<std::string>{"a", "b", "sub"}));
  EXPECT_EQ(disk_->List(Path("none")).error().code(), Code::kNotFound);
  EXPECT_TRUE(disk_->Exists(Path("sub/c")).value());
  EXPECT_FALSE(disk_->Exists(Path("sub/d")).value());
  EXPECT_EQ(disk_->RemoveDir(Path("sub")).code(), Code::kNotEmpty);
  ASSERT_TRUE(disk_->Rename(Path("sub/c"), Path("a")).ok());  // over another
  EXPECT_EQ(disk_->Rename(Path("none"), Path("a")).code(), Code::kNotFound);
  ASSERT_TRUE(disk_->Link(Path("a"), Path("sub/second")).ok());
  ASSERT_TRUE(Open("a")->Write(0, "seen under both").ok());
  EXPECT_EQ(Content("sub/second"), "seen under both");
  EXPECT_EQ(disk_->Link(Path("a"), Path("b")).code(), Code::kExists);
  EXPECT_EQ(disk_->Link(Path("none"), Path("d")).code(), Code::kNotFound);
  ASSERT_TRUE(disk_->Remove(Path("a")).ok());
  EXPECT_EQ(Content("sub/second"), "seen under both");
  ASSERT_TRUE(disk_->Remove(Path("sub/second")).ok());
  ASSERT_TRUE(disk_->RemoveDir(Path("sub")).ok());
  ASSERT_TRUE(disk_->Remove(Path("b")).ok());
  Status gone = disk_->Remove(Path("b"));
  EXPECT_EQ(gone.code(), Code::kNotFound);
  EXPECT_NE(gone.message().find(Path("b")), std::string::npos);
  EXPECT_TRUE(disk_->SyncDir(dir_).ok());
  EXPECT_EQ(disk_->SyncDir(Path("none")).code(), Code::kNotFound);
  EXPECT_TRUE(disk_->SyncAll(dir_).ok());
  EXPECT_GT(disk_->Space(dir_)->total_bytes, 0u);
  EXPECT_LE(disk_->Space(dir_)->free_bytes, disk_->Space(dir_)->total_bytes);
}

TEST_P(DiskTest, AnOpenFileOutlivesItsName) {
  auto file = Open("a");
  ASSERT_TRUE(disk_->Remove(Path("a")).ok());
  EXPECT_TRUE(file->Write(0, "x").ok());
  char c;
  EXPECT_EQ(file->Read(0, &c, 1).value(), 1u);
}

TEST_P(DiskTest, LockIsExclusiveAlsoInOneProcess) {
  auto lock = disk_->Lock(Path("lock"));
  ASSERT_TRUE(lock.has_value());
  auto second = disk_->Lock(Path("lock"));
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), Code::kBusy);
  EXPECT_NE(second.error().message().find(Path("lock")), std::string::npos);
  EXPECT_TRUE((*lock)->Write(0, "123").ok());
  lock->reset();
  EXPECT_TRUE(disk_->Lock(Path("lock")).has_value());
}

TEST_P(DiskTest, WholeFiles) {
  EXPECT_EQ(disk_->ReadWholeFile(Path("a")).error().code(), Code::kNotFound);
  ASSERT_TRUE(disk_->WriteFileAtomically(Path("a"), "one").ok());
  ASSERT_TRUE(disk_->WriteFileAtomically(Path("a"), "").ok());
  EXPECT_EQ(Content("a"), "");
  ASSERT_TRUE(disk_->WriteFileAtomically(Path("a"), "twelve").ok());
  EXPECT_EQ(Content("a"), "twelve");
  EXPECT_EQ(disk_->ReadWholeFile(Path("a"), 5).error().code(), Code::kTooBig);
  EXPECT_EQ(disk_->ReadWholeFile(Path("a"), 6).value(), "twelve");
  EXPECT_EQ(disk_->List(dir_).value(), std::vector<std::string>{"a"});
  EXPECT_EQ(disk_->WriteFileAtomically(Path("none/a"), "x").code(), Code::kNotFound);
}

// ---- The simulated disk

class SimDiskTest : public testing::Test {
 protected:
  std::unique_ptr<File> Open(const std::string& path) {
    auto file = disk_.Open(path, Mode::kCreate);
    EXPECT_TRUE(file.has_value());
    return *std::move(file);
  }
  std::string Content(const std::string& path) {
    auto files = disk_.Files();
    return files.contains(path) ? files[path] : "<none>";
  }
  SimDisk disk_;
};

TEST_F(SimDiskTest, ACrashKeepsWhatWasSynced) {
  auto file = Open("/a");
  ASSERT_TRUE(file->Write(0, "synced").ok());
  ASSERT_TRUE(file->Sync().ok());
  disk_.Crash(1, SimDisk::Keep::kNothing);
  EXPECT_EQ(Content("/a"), "<none>");  // its name was not synced

  file = Open("/a");
  ASSERT_TRUE(file->Write(0, "synced").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(disk_.SyncDir("/").ok());
  ASSERT_TRUE(file->Write(0, "S").ok());
  ASSERT_TRUE(file->Truncate(100).ok());
  EXPECT_EQ(Content("/a").size(), 100u);
  disk_.Crash(1, SimDisk::Keep::kNothing);
  EXPECT_EQ(Content("/a"), "synced");
  EXPECT_EQ(file->Write(0, "x").code(), Code::kIo);  // opened before the crash
  EXPECT_EQ(disk_.used_bytes(), 6u);
}

TEST_F(SimDiskTest, ACrashMayKeepEverything) {
  ASSERT_TRUE(Open("/a")->Write(0, "x").ok());
  ASSERT_TRUE(disk_.Rename("/a", "/b").ok());
  disk_.Crash(1, SimDisk::Keep::kEverything);
  EXPECT_EQ(Content("/a"), "<none>");
  EXPECT_EQ(Content("/b"), "x");
}

TEST_F(SimDiskTest, RenameAndRemoveAreUndoneUnlessSynced) {
  ASSERT_TRUE(disk_.WriteFileAtomically("/a", "a").ok());
  ASSERT_TRUE(disk_.WriteFileAtomically("/b", "b").ok());
  ASSERT_TRUE(disk_.Rename("/a", "/b").ok());
  EXPECT_EQ(Content("/b"), "a");
  disk_.Crash(1, SimDisk::Keep::kNothing);
  EXPECT_EQ(Content("/a"), "a");
  EXPECT_EQ(Content("/b"), "b");
  ASSERT_TRUE(disk_.Remove("/a").ok());
  disk_.Crash(1, SimDisk::Keep::kNothing);
  EXPECT_EQ(Content("/a"), "a");
  ASSERT_TRUE(disk_.Remove("/a").ok());
  ASSERT_TRUE(disk_.SyncDir("/").ok());
  disk_.Crash(1, SimDisk::Keep::kNothing);
  EXPECT_EQ(Content("/a"), "<none>");
}

TEST_F(SimDiskTest, ALinkIsOneFileWithTwoNames) {
  ASSERT_TRUE(disk_.WriteFileAtomically("/a", "1234").ok());
  ASSERT_TRUE(disk_.Link("/a", "/b").ok());
  EXPECT_EQ(disk_.used_bytes(), 4u);
  disk_.Crash(1, SimDisk::Keep::kNothing);
  EXPECT_EQ(Content("/b"), "<none>") << "the name was not synced";
  ASSERT_TRUE(disk_.Link("/a", "/b").ok() && disk_.SyncDir("/").ok());
  disk_.Crash(1, SimDisk::Keep::kNothing);
  ASSERT_TRUE(disk_.Remove("/a").ok());
  EXPECT_EQ(disk_.used_bytes(), 4u);
  EXPECT_EQ(Content("/b"), "1234");
  ASSERT_TRUE(disk_.Remove("/b").ok());
  EXPECT_EQ(disk_.used_bytes(), 0u);
}

TEST_F(SimDiskTest, SomeWritesAreTornAtSectors) {
  int whole = 0, torn = 0, none = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SimDisk disk;
    ASSERT_TRUE(disk.WriteFileAtomically("/a", std::string(4096, '.')).ok());
    auto file = disk.Open("/a", Mode::kReadWrite);
    ASSERT_TRUE((*file)->Write(100, std::string(3000, 'x')).ok());
    disk.Crash(seed);
    std::string content = disk.Files()["/a"];
    size_t x = static_cast<size_t>(std::count(content.begin(), content.end(), 'x'));
    (x == 3000 ? whole : x == 0 ? none : torn)++;
    for (size_t sector = 512; sector + 512 <= 3072; sector += 512) {
      ASSERT_EQ(content.substr(sector, 512), std::string(512, content[sector])) << "torn within a sector";
    }
    SimDisk same;
    ASSERT_TRUE(same.WriteFileAtomically("/a", std::string(4096, '.')).ok());
    ASSERT_TRUE((*same.Open("/a", Mode::kReadWrite))->Write(100, std::string(3000, 'x')).ok());
    same.Crash(seed);
    ASSERT_EQ(same.Files(), disk.Files()) << "not deterministic";
  }
  EXPECT_GT(whole, 10);
  EXPECT_GT(torn, 10);
  EXPECT_GT(none, 10);
}

TEST_F(SimDiskTest, AFailedSyncDropsTheDirtyPagesButShowsThem) {
  auto file = Open("/a");
  ASSERT_TRUE(disk_.SyncDir("/").ok());
  ASSERT_TRUE(file->Write(0, "lost").ok());
  disk_.FailNth(SimDisk::Op::kSync, 1, Code::kIo);
  EXPECT_EQ(file->Sync().code(), Code::kIo);
  EXPECT_TRUE(file->Sync().ok());  // and says nothing of what is gone
  EXPECT_EQ(Content("/a"), "lost");
  disk_.Crash(1, SimDisk::Keep::kEverything);
  EXPECT_EQ(Content("/a"), "");
}

TEST_F(SimDiskTest, FaultsCapacityAndHook) {
  auto file = Open("/a");
  disk_.FailNth(SimDisk::Op::kWrite, 2, Code::kIo, 2);
  EXPECT_TRUE(file->Write(0, "x").ok());
  EXPECT_EQ(file->Write(0, "x").code(), Code::kIo);
  EXPECT_EQ(file->Write(0, "x").code(), Code::kIo);
  EXPECT_TRUE(file->Write(0, "x").ok());
  EXPECT_EQ(disk_.count(SimDisk::Op::kWrite), 4u);

  disk_.SetCapacity(10);
  EXPECT_EQ(file->Write(0, std::string(11, 'x')).code(), Code::kNoSpace);
  EXPECT_EQ(file->Allocate(11).code(), Code::kNoSpace);
  EXPECT_TRUE(file->Allocate(10).ok());
  EXPECT_TRUE(file->Write(0, std::string(10, 'x')).ok());
  EXPECT_EQ(Open("/b")->Write(0, "x").code(), Code::kNoSpace);
  EXPECT_EQ(disk_.Space("/")->free_bytes, 0u);
  ASSERT_TRUE(disk_.Remove("/a").ok());
  EXPECT_TRUE(Open("/b")->Write(0, "x").ok());

  std::string seen;
  disk_.SetHook([&](SimDisk::Op op, const std::string& path) {
    if (op == SimDisk::Op::kSync) seen = path;
  });
  EXPECT_TRUE(Open("/b")->Sync().ok());
  EXPECT_EQ(seen, "/b");
}

}  // namespace
}  // namespace curvefs
