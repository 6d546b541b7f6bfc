#include "cli/standalone.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "test/support/sim_disk.h"

namespace curvefs::cli {
namespace {

using test::SimDisk;

const client::Caller kRoot;

StandaloneOptions Options() {
  StandaloneOptions options;
  options.seed = 1;
  options.copyset.background = false;
  options.copyset.journal.segment_bytes = 256 << 10;
  options.user = {.pid = 42, .command = "mount", .mount_point = "/mnt"};
  return options;
}

Result<std::unique_ptr<Standalone>> Open(Disk& disk, StandaloneOptions options = Options()) {
  return Standalone::Open(disk, Clock::System(), "/fs", std::move(options));
}

void Write(Standalone& fs, const std::string& name, const std::string& content) {
  auto file = fs.vfs().Create(kRoot, kRootInode, name, 0644, O_RDWR);
  ASSERT_TRUE(file) << file.error().ToString();
  auto n = fs.vfs().Write(file->entry.inode.id, file->opened.handle, 0, BufferSlice::CopyOf(content), {});
  ASSERT_TRUE(n) << n.error().ToString();
  fs.vfs().Release(file->entry.inode.id, file->opened.handle);
}

std::string Read(Standalone& fs, const std::string& name) {
  auto entry = fs.vfs().Lookup(kRoot, kRootInode, name);
  if (!entry) return "error: " + entry.error().ToString();
  auto opened = fs.vfs().Open(kRoot, entry->inode.id, O_RDONLY);
  if (!opened) return "error: " + opened.error().ToString();
  auto bytes = fs.vfs().Read(entry->inode.id, opened->handle, 0, entry->inode.length);
  fs.vfs().Release(entry->inode.id, opened->handle);
  if (!bytes) return "error: " + bytes.error().ToString();
  std::string out(TotalSize(*bytes), '\0');
  CopyOut(*bytes, out.data());
  return out;
}

TEST(Standalone, MakesAFileSystemAndFindsItAgain) {
  SimDisk disk;
  const std::string large(10 << 20, 'x');
  std::string uuid;
  {
    auto fs = Open(disk);
    ASSERT_TRUE(fs) << fs.error().ToString();
    Write(**fs, "small", "hello");
    Write(**fs, "large", large);
    uuid = (*fs)->dir().description().uuid;
    ASSERT_TRUE((*fs)->Shutdown().ok());
  }
  auto fs = Open(disk);
  ASSERT_TRUE(fs) << fs.error().ToString();
  EXPECT_EQ(Read(**fs, "small"), "hello");
  EXPECT_EQ(Read(**fs, "large"), large);
  EXPECT_EQ((*fs)->dir().description().uuid, uuid);
  EXPECT_EQ((*fs)->dir().description().name, "fs");
  EXPECT_EQ((*fs)->dir().crashed_user().pid, 0);
  EXPECT_TRUE((*fs)->Shutdown().ok());
}

TEST(Standalone, WhatWasSyncedSurvivesACrash) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimDisk disk;
    const std::string large(300 << 10, 'y');
    {
      auto fs = Open(disk);
      ASSERT_TRUE(fs);
      Write(**fs, "kept", large);
      ASSERT_TRUE((*fs)->vfs().SyncFs().ok());
      Write(**fs, "perhaps", "gone");
    }
    disk.Crash(seed);
    auto fs = Open(disk);
    ASSERT_TRUE(fs) << "seed " << seed << ": " << fs.error().ToString();
    EXPECT_EQ(Read(**fs, "kept"), large) << "seed " << seed;
    EXPECT_TRUE((*fs)->Shutdown().ok());
  }
}

TEST(Standalone, DeletingThatFailsIsLoggedWhenItBeginsAndWhenItWorksAgain) {
  Mutex mu;
  std::vector<std::string> said;
  auto lines = [&](std::string_view what) {
    MutexLock lock(mu);
    return std::ranges::count_if(said, [&](const std::string& line) { return line.contains(what); });
  };
  SetLogSink([&](LogLevel, const std::string& line) {
    MutexLock lock(mu);
    said.push_back(line);
  });
  SimDisk disk;
  StandaloneOptions options = Options();
  options.copyset.background = true;
  options.copyset.commit_interval = std::chrono::milliseconds(5);
  auto fs = Open(disk, options);
  ASSERT_TRUE(fs) << fs.error().ToString();
  auto soon = [&](const std::function<bool()>& is) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!is() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return is();
  };
  for (int time = 1; time <= 2; ++time) {
    Write(**fs, "f", std::string(1 << 20, 'x'));
    ASSERT_TRUE((*fs)->vfs().SyncFs().ok());
    auto entry = (*fs)->vfs().Lookup(kRoot, kRootInode, "f");
    ASSERT_TRUE(entry);
    disk.FailNth(SimDisk::Op::kRemove, 1, Code::kIo, 1'000'000);
    ASSERT_TRUE((*fs)->vfs().Unlink(kRoot, kRootInode, "f").ok());
    (*fs)->vfs().Forget(entry->inode.id, 2);
    EXPECT_TRUE(soon([&] { return lines("deleting in the background fails") == time; }));
    const uint64_t tried = disk.count(SimDisk::Op::kRemove);
    EXPECT_TRUE(soon([&] { return disk.count(SimDisk::Op::kRemove) >= tried + 10; }));
    EXPECT_EQ(lines("deleting in the background"), 2 * time - 1);
    disk.ClearFaults();
    EXPECT_TRUE(soon([&] { return lines("deleting in the background works again") == time; }));
    EXPECT_EQ((*fs)->copyset().stats().freed_objects_waiting, 0u);
  }
  EXPECT_TRUE((*fs)->Shutdown().ok());
  fs->reset();
  SetLogSink(nullptr);
  EXPECT_EQ(lines("deleting"), 4);
}

TEST(Standalone, ASecondUserIsRefused) {
  SimDisk disk;
  auto first = Open(disk);
  ASSERT_TRUE(first);
  auto second = Open(disk);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kBusy);
  EXPECT_NE(second.error().message().find("process 42"), std::string::npos);
  EXPECT_TRUE((*first)->Shutdown().ok());
}

TEST(Standalone, TheEngineIsChosenOnce) {
  SimDisk disk;
  ASSERT_TRUE((*Open(disk))->Shutdown().ok());
  StandaloneOptions options = Options();
  options.engine = metaserver::MetaEngine::kRocksdb;
  auto fs = Open(disk, options);
  ASSERT_FALSE(fs);
  EXPECT_EQ(fs.error().code(), Code::kInvalid);
}

TEST(Standalone, ReadOnlyChangesNothing) {
  SimDisk disk;
  {
    auto fs = Open(disk);
    Write(**fs, "file", "content");
    ASSERT_TRUE((*fs)->Shutdown().ok());
  }
  auto before = disk.Files();
  StandaloneOptions options = Options();
  options.vfs.read_only = true;
  {
    auto fs = Open(disk, options);
    ASSERT_TRUE(fs) << fs.error().ToString();
    EXPECT_EQ(Read(**fs, "file"), "content");
    EXPECT_EQ((*fs)->vfs().MkDir(kRoot, kRootInode, "d", 0755).error().code(), Code::kReadOnly);
    ASSERT_TRUE((*fs)->Shutdown().ok());
  }
  EXPECT_EQ(disk.Files(), before);
}

TEST(Standalone, PartsOfTwoFileSystemsAreNotMixed) {
  SimDisk disk;
  ASSERT_TRUE((*Open(disk))->Shutdown().ok());
  std::string text = *disk.ReadWholeFile("/fs/curvefs.toml");
  size_t at = text.find("uuid = \"") + 8;
  text[at] = text[at] == '0' ? '1' : '0';
  disk.SetContent("/fs/curvefs.toml", text);
  auto fs = Open(disk);
  ASSERT_FALSE(fs);
  EXPECT_EQ(fs.error().code(), Code::kCorrupt);
}

TEST(Standalone, LostMetadataAreNotReplacedByAnEmptyFileSystem) {
  SimDisk disk;
  {
    auto fs = Open(disk);
    Write(**fs, "file", "content");
    ASSERT_TRUE((*fs)->Shutdown().ok());
  }
  for (const auto& [path, content] : disk.Files()) {
    if (path.starts_with("/fs/meta/")) disk.RemoveDurably(path);
  }
  auto fs = Open(disk);
  ASSERT_FALSE(fs);
}

TEST(Standalone, ConfigFileShowsTheFacts) {
  SimDisk disk;
  StandaloneOptions options = Options();
  options.vfs.config_text = "mount.answer = 42\n";
  auto fs = Open(disk, options);
  ASSERT_TRUE(fs);
  const std::string text = [&] {
    auto entry = (*fs)->vfs().Lookup(kRoot, kRootInode, ".config");
    EXPECT_TRUE(entry);
    auto opened = (*fs)->vfs().Open(kRoot, entry->inode.id, O_RDONLY);
    EXPECT_TRUE(opened);
    auto bytes = (*fs)->vfs().Read(entry->inode.id, opened->handle, 0, 1 << 20);
    std::string out(TotalSize(*bytes), '\0');
    CopyOut(*bytes, out.data());
    (*fs)->vfs().Release(entry->inode.id, opened->handle);
    return out;
  }();
  EXPECT_NE(text.find("fs.uuid = \"" + (*fs)->dir().description().uuid), std::string::npos) << text;
  EXPECT_NE(text.find("mount.answer = 42"), std::string::npos);
  EXPECT_NE((*fs)->meta().StatsText().find("journal_durable "), std::string::npos);
  EXPECT_TRUE((*fs)->Shutdown().ok());
}

// Making a file system fails at every possible disk operation in turn; afterwards, crash or not, it can be
// made.
TEST(Standalone, MakingSurvivesFailuresAndCrashes) {
  for (auto op : {SimDisk::Op::kOpen, SimDisk::Op::kWrite, SimDisk::Op::kSync, SimDisk::Op::kAllocate,
                  SimDisk::Op::kRename, SimDisk::Op::kMakeDir, SimDisk::Op::kSyncDir}) {
    for (uint64_t nth = 1; nth < 40; ++nth) {
      SimDisk disk;
      disk.FailNth(op, nth, Code::kIo);
      bool made = false;
      if (auto fs = Open(disk)) made = (*fs)->Shutdown().ok();
      disk.ClearFaults();
      disk.Crash(nth);
      auto fs = Open(disk);
      ASSERT_TRUE(fs) << "op " << static_cast<int>(op) << " nth " << nth << ": " << fs.error().ToString();
      ASSERT_TRUE((*fs)->Shutdown().ok());
      if (made && disk.count(op) < nth) break;
    }
  }
}

}  // namespace
}  // namespace curvefs::cli
