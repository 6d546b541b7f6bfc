// The trash: what goes there, how it comes back, how it ends.
#include "client/vfs/trash.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "cli/standalone.h"
#include "test/support/sim_disk.h"

namespace curvefs::cli {
namespace {

const client::Caller kRoot;

class DayClock final : public Clock {
 public:
  Timestamp Wall() const override { return {now}; }
  SteadyTime Steady() const override { return SteadyTime(Duration(now)); }
  int64_t now = 1'700'000'000'000'000'000;  // 2023-11-14 22:13:20
};

class TrashTest : public testing::Test {
 protected:
  void SetUp() override { Open(std::chrono::hours(24)); }
  void TearDown() override { EXPECT_TRUE(fs_->Shutdown().ok()); }
  void Open(Duration keep) {
    if (fs_) {
      ASSERT_TRUE(fs_->Shutdown().ok());
    }
    fs_.reset();
    StandaloneOptions options;
    options.seed = 1;
    options.copyset.background = false;
    options.vfs.trash = keep;
    options.data.inline_max = 0;
    auto fs = Standalone::Open(disk_, clock_, "/fs", options);
    ASSERT_TRUE(fs) << fs.error().ToString();
    fs_ = *std::move(fs);
    fs_->vfs().Watch([this](InodeId dir) { changed_.insert(dir); });
  }
  client::Vfs& vfs() { return fs_->vfs(); }
  InodeId MkDir(InodeId parent, const std::string& name) {
    auto made = vfs().MkDir(kRoot, parent, name, 0755);
    EXPECT_TRUE(made) << made.error().ToString();
    return made->inode.id;
  }
  InodeId Write(InodeId parent, const std::string& name, const std::string& content) {
    auto file = vfs().Create(kRoot, parent, name, 0644, O_RDWR);
    EXPECT_TRUE(file) << file.error().ToString();
    EXPECT_TRUE(vfs().Write(file->entry.inode.id, file->opened.handle, 0, BufferSlice::CopyOf(content), {}));
    vfs().Release(file->entry.inode.id, file->opened.handle);
    vfs().Forget(file->entry.inode.id, 1);
    return file->entry.inode.id;
  }
  std::string Read(InodeId id) {
    auto bytes = vfs().Read(id, 0, 0, 1 << 20);
    if (!bytes) return bytes.error().ToString();
    std::string out(TotalSize(*bytes), '\0');
    CopyOut(*bytes, out.data());
    return out;
  }
  std::set<std::string> Names(InodeId dir) {
    std::set<std::string> names;
    EXPECT_TRUE(vfs()
                    .ReadDir(dir, 2, false,
                             [&](const client::DirEntry& e) {
                               names.emplace(e.name);
                               return true;
                             })
                    .ok());
    return names;
  }
  InodeId Find(InodeId parent, const std::string& name) {
    auto found = vfs().Lookup(kRoot, parent, name);
    if (!found) return InodeId();
    vfs().Forget(found->inode.id, 1);
    return found->inode.id;
  }
  InodeId Top() { return Find(kRootInode, ".trash"); }
  InodeId Hour() { return Find(Top(), client::HourName(clock_.Wall())); }
  static std::string Kept(InodeId dir, InodeId inode, const std::string& name) {
    return std::to_string(dir.value) + "-" + std::to_string(inode.value) + "-" + name;
  }

  test::SimDisk disk_;
  DayClock clock_;
  std::unique_ptr<Standalone> fs_;
  std::set<InodeId> changed_;
};

TEST(TrashHours, AreNamedAndRead) {
  EXPECT_EQ(client::HourName({1'700'000'000'000'000'000}), "2023-11-14-22");
  EXPECT_EQ(client::ParseHourName("2023-11-14-22")->sec(), 1'699'999'200);
  for (const char* name :
       {"", "2023-11-14", "2023-11-14-24", "2023-13-01-00", "2023-11-14-2x", "x023-11-14-22"})
    EXPECT_FALSE(client::ParseHourName(name)) << name;
}

TEST_F(TrashTest, DeletedFilesAndDirectoriesGoThereAndComeBack) {
  const InodeId dir = MkDir(kRootInode, "d");
  const InodeId file = Write(dir, "f", "precious");
  ASSERT_TRUE(vfs().Unlink(kRoot, dir, "f").ok());
  ASSERT_TRUE(vfs().RmDir(kRoot, kRootInode, "d").ok());
  EXPECT_EQ(Names(Hour()), (std::set{Kept(dir, file, "f"), Kept(kRootInode, dir, "d")}));
  EXPECT_TRUE(changed_.contains(Hour()));
  EXPECT_EQ(vfs().GetAttr(Top())->mode, S_IFDIR | 0700u);
  // What the kernel sees there may change by itself.
  auto entry = vfs().Lookup(kRoot, Hour(), Kept(dir, file, "f"));
  ASSERT_TRUE(entry);
  EXPECT_FALSE(entry->cacheable);
  vfs().Forget(file, 1);

  ASSERT_TRUE(
      vfs()
          .Rename(kRoot, Hour(), Kept(kRootInode, dir, "d"), kRootInode, "d", client::RenameMode::kNoReplace)
          .ok());
  ASSERT_TRUE(
      vfs().Rename(kRoot, Hour(), Kept(dir, file, "f"), dir, "f", client::RenameMode::kNoReplace).ok());
  EXPECT_EQ(Read(Find(dir, "f")), "precious");
  EXPECT_EQ(vfs().GetXattr(kRootInode, "curvefs.dir.rfiles"), "1");
}

TEST_F(TrashTest, WhatARenameReplacesGoesThereInTheSameStep) {
  const InodeId old = Write(kRootInode, "a", "old"), fresh = Write(kRootInode, "b", "new");
  ASSERT_TRUE(vfs().Rename(kRoot, kRootInode, "b", kRootInode, "a", client::RenameMode::kReplace).ok());
  EXPECT_EQ(Find(kRootInode, "a"), fresh);
  EXPECT_EQ(Read(Find(Hour(), Kept(kRootInode, old, "a"))), "old");
  // Restoring over something: that goes to the trash, in the directory that the other leaves.
  ASSERT_TRUE(
      vfs()
          .Rename(kRoot, Hour(), Kept(kRootInode, old, "a"), kRootInode, "a", client::RenameMode::kReplace)
          .ok());
  EXPECT_EQ(Read(Find(kRootInode, "a")), "old");
  EXPECT_EQ(Names(Hour()), std::set{Kept(kRootInode, fresh, "a")});
  // Directories, too, if they are empty.
  const InodeId d = MkDir(kRootInode, "d"), e = MkDir(kRootInode, "e");
  Write(e, "x", "1");
  EXPECT_EQ(vfs().Rename(kRoot, kRootInode, "d", kRootInode, "e", client::RenameMode::kReplace).code(),
            Code::kNotEmpty);
  ASSERT_TRUE(vfs().Rename(kRoot, kRootInode, "e", kRootInode, "d", client::RenameMode::kReplace).ok());
  EXPECT_EQ(Find(Hour(), Kept(kRootInode, d, "d")), d);
}

TEST_F(TrashTest, WhatStaysElsewhereOrIsThereAlreadyIsReallyDeleted) {
  const InodeId file = Write(kRootInode, "f", "x");
  ASSERT_TRUE(vfs().Link(kRoot, file, kRootInode, "g"));
  vfs().Forget(file, 1);
  ASSERT_TRUE(vfs().Unlink(kRoot, kRootInode, "f").ok());
  EXPECT_FALSE(Hour() && !Names(Hour()).empty());  // it still has a name
  ASSERT_TRUE(vfs().Unlink(kRoot, kRootInode, "g").ok());
  ASSERT_EQ(Names(Hour()).size(), 1u);
  ASSERT_TRUE(vfs().Unlink(kRoot, Hour(), Kept(kRootInode, file, "g")).ok());
  EXPECT_TRUE(Names(Hour()).empty());
  EXPECT_EQ(vfs().GetAttr(file).error().code(), Code::kNotFound);
  // The trash itself stays; long names are cut.
  EXPECT_EQ(vfs().RmDir(kRoot, kRootInode, ".trash").code(), Code::kNotPermitted);
  EXPECT_EQ(vfs().Rename(kRoot, kRootInode, ".trash", kRootInode, "x", client::RenameMode::kReplace).code(),
            Code::kNotPermitted);
  const std::string name(255, 'n');
  Write(kRootInode, name, "");
  ASSERT_TRUE(vfs().Unlink(kRoot, kRootInode, name).ok());
  ASSERT_EQ(Names(Hour()).size(), 1u);
  EXPECT_EQ(Names(Hour()).begin()->size(), 255u);
}

TEST_F(TrashTest, WithoutTheDirectoryOfTheHourANewOneIsMade) {
  Write(kRootInode, "f", "");
  Write(kRootInode, "g", "");
  ASSERT_TRUE(vfs().Unlink(kRoot, kRootInode, "f").ok());
  const InodeId hour = Hour();
  ASSERT_TRUE(vfs().Unlink(kRoot, hour, *Names(hour).begin()).ok());
  ASSERT_TRUE(vfs().RmDir(kRoot, Top(), client::HourName(clock_.Wall())).ok());
  ASSERT_TRUE(vfs().Unlink(kRoot, kRootInode, "g").ok());
  EXPECT_NE(Hour(), hour);
  EXPECT_EQ(Names(Hour()).size(), 1u);
}

TEST_F(TrashTest, ItIsEmptiedByTheHourInBoundedStepsAndObjectsGo) {
  const std::string content(10'000, 'c');
  for (int i = 0; i < 30; ++i) {
    const std::string name = std::to_string(i);
    Write(kRootInode, name, content);
    ASSERT_TRUE(vfs().SyncFs().ok());
    ASSERT_TRUE(vfs().Unlink(kRoot, kRootInode, name).ok());
    if (i == 14) clock_.now += 3'600'000'000'000;
  }
  // A tree somebody moved there.
  const InodeId dir = MkDir(kRootInode, "dir");
  Write(MkDir(dir, "sub"), "leaf", content);
  const InodeId late = Hour();
  ASSERT_TRUE(vfs().Rename(kRoot, kRootInode, "dir", late, "dir", client::RenameMode::kReplace).ok());
  auto objects = [&] {
    EXPECT_TRUE(fs_->copyset().DrainDeletions().ok());
    uint64_t n = 0;
    EXPECT_TRUE(fs_->objects().List(ChunkId(0), [&](const object::ObjectName&) { return ++n; }).ok());
    return n;
  };
  ASSERT_TRUE(vfs().SyncFs().ok());
  EXPECT_EQ(objects(), 31u);
  EXPECT_EQ(Names(Top()).size(), 2u);
  EXPECT_EQ(vfs().ExpireTrash(100), 0u);
  clock_.now += 24 * int64_t{3'600'000'000'000};  // the first hour is over for a day, the second not yet
  EXPECT_EQ(vfs().ExpireTrash(7), 7u);
  EXPECT_EQ(vfs().ExpireTrash(7), 7u);
  EXPECT_EQ(Names(Top()).size(), 2u);
  EXPECT_EQ(vfs().ExpireTrash(7), 1u);
  EXPECT_EQ(Names(Top()).size(), 1u);
  EXPECT_EQ(objects(), 16u);
  EXPECT_TRUE(changed_.contains(Top()));
  clock_.now += 3'600'000'000'000;
  size_t steps = 0;
  while (*vfs().ExpireTrash(4) > 0) ++steps;
  EXPECT_EQ(steps, 5u);  // 15 files, the leaf, two directories
  EXPECT_TRUE(Names(Top()).empty());
  EXPECT_EQ(objects(), 0u);
  EXPECT_EQ(vfs().GetXattr(kRootInode, "curvefs.dir.rfiles"), "0");
}

TEST_F(TrashTest, SwitchedOffItIsAnOrdinaryDirectory) {
  Write(kRootInode, "f", "");
  ASSERT_TRUE(vfs().Unlink(kRoot, kRootInode, "f").ok());
  Open(Duration());
  const InodeId hour = Hour();
  Write(kRootInode, "g", "");
  ASSERT_TRUE(vfs().Unlink(kRoot, kRootInode, "g").ok());
  EXPECT_EQ(Names(hour).size(), 1u);
  clock_.now += 1'000 * int64_t{3'600'000'000'000};
  EXPECT_EQ(vfs().ExpireTrash(10), 0u);
  ASSERT_TRUE(vfs().Unlink(kRoot, hour, *Names(hour).begin()).ok());
  ASSERT_TRUE(vfs().RmDir(kRoot, Top(), "2023-11-14-22").ok());
  EXPECT_TRUE(vfs().RmDir(kRoot, kRootInode, ".trash").ok());
}

}  // namespace
}  // namespace curvefs::cli
