#include "cli/gc.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "cli/fs_dir.h"
#include "cli/offline.h"
#include "cli/standalone.h"
#include "meta/keys.h"
#include "test/support/fault_object_store.h"
#include "test/support/sim_disk.h"

namespace curvefs::cli {
namespace {

class GcTest : public testing::Test {
 protected:
  void SetUp() override {
    StandaloneOptions options;
    options.seed = 1;
    options.copyset.background = false;
    options.data.inline_max = 0;
    auto fs = Standalone::Open(disk_, clock_, "/fs", options, std::make_unique<Shared>(*store_));
    ASSERT_TRUE(fs) << fs.error().ToString();
    for (const char* name : {"a", "b"}) {
      auto file = (*fs)->vfs().Create({}, kRootInode, name, 0644, O_RDWR);
      ASSERT_TRUE(file);
      file_ = file->entry.inode.id;
      ASSERT_TRUE((*fs)->vfs().Write(file_, file->opened.handle, 0,
                                     BufferSlice::CopyOf(std::string(200'000, 'x')), {}));
      ASSERT_TRUE((*fs)->vfs().Fsync(file_, false).ok());
    }
    ASSERT_TRUE((*fs)->Shutdown().ok());
    store_->SetWrittenAt([this](const object::ObjectName& name) {
      return Timestamp{clock_.Wall().ns -
                       (name.chunk == ChunkId(90'000) ? 60 : 7200) * int64_t{1'000'000'000}};
    });
    // Two that nothing names, one of them a minute old.
    for (uint64_t chunk : {80'000, 90'000})
      ASSERT_TRUE(store_->Put({ChunkId(chunk), 0, 0, FsId(1), InodeId(9)}, {BufferSlice::CopyOf("stray")}));
  }
  // The store outlives the file system that is given it.
  class Shared final : public object::ObjectStore {
   public:
    explicit Shared(object::ObjectStore& base) : base_(base) {}
    Result<uint32_t> Put(const object::ObjectName& n, const BufferList& d) override {
      return base_.Put(n, d);
    }
    Status Sync(std::span<const object::ObjectName> names) override { return base_.Sync(names); }
    Status Read(const object::ObjectName& n, uint32_t d, uint64_t o, char* out, size_t s) override {
      return base_.Read(n, d, o, out, s);
    }
    void Prefetch(const object::ObjectName&, uint64_t, size_t) override {}
    Status Delete(const object::ObjectName& n) override { return base_.Delete(n); }
    Result<object::ObjectStat> Stat(const object::ObjectName& n) override { return base_.Stat(n); }
    Status List(ChunkId from, const std::function<bool(const object::ObjectName&)>& visit,
                uint64_t* foreign) override {
      return base_.List(from, visit, foreign);
    }
    Result<DiskSpace> Space() override { return base_.Space(); }

   private:
    object::ObjectStore& base_;
  };
  uint64_t Count() {
    uint64_t n = 0;
    EXPECT_TRUE(store_->List(ChunkId(0), [&](const object::ObjectName&) { return ++n; }, nullptr).ok());
    return n;
  }
  Result<GcReport> Run(GcOptions options) { return Gc(disk_, clock_, "/fs", options, store_.get()); }

  test::SimDisk disk_;
  ManualLoop clock_;
  std::unique_ptr<object::ObjectStore> memory_ = object::MakeMemoryObjectStore();
  std::unique_ptr<test::FaultObjectStore> store_ = std::make_unique<test::FaultObjectStore>(*memory_, 1);
  InodeId file_;
};

TEST_F(GcTest, ListsWhatNothingNamesAndDeletesItOnlyWhenAsked) {
  const uint64_t all = Count();
  auto disk = disk_.Files();
  auto report = Run({});
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->found, 1u);
  EXPECT_EQ(report->bytes, 5u);
  EXPECT_EQ(report->kept_young, 1u);
  EXPECT_EQ(report->in_use, all - 2);
  ASSERT_EQ(report->objects.size(), 1u);
  EXPECT_EQ(report->objects[0].name.chunk, ChunkId(80'000));
  EXPECT_EQ(Count(), all);
  EXPECT_EQ(disk_.Files(), disk) << "a dry run has changed something";
  report = Run({.remove = true});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->deleted, 1u);
  EXPECT_EQ(Count(), all - 1);
  report = Run({.remove = true, .older_than = Duration()});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->deleted, 1u);
  report = Run({});
  EXPECT_EQ(report->found + report->kept_young, 0u);
}

TEST_F(GcTest, AStoreWithoutAgesMustBeAskedWithoutAge) {
  store_->SetWrittenAt(nullptr);
  auto report = Run({.remove = true});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), Code::kNotSupported);
  EXPECT_NE(report.error().message().find("--older-than 0s"), std::string::npos);
  report = Run({.older_than = Duration()});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->found, 2u);
}

TEST_F(GcTest, DamagedMetadataDeleteNothing) {
  const uint64_t all = Count();
  {
    auto dir = FsDir::Open(disk_, "/fs", FsDir::Create::kNo, {}, {}, false);
    ASSERT_TRUE(dir);
    auto store = OfflineStore::Open(disk_, **dir, {.write = true});
    ASSERT_TRUE(store);
    kv::WriteBatch batch;
    batch.Set(meta::InodeKey(FsId(1), file_), "nonsense");  // its records belong to nobody now
    ASSERT_TRUE((*store)->Commit(batch).ok());
    ASSERT_TRUE((*store)->Finish().ok());
    ASSERT_TRUE((*dir)->Clean().ok());
  }
  auto report = Run({.remove = true, .older_than = Duration()});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), Code::kCorrupt);
  EXPECT_EQ(Count(), all);
}

TEST_F(GcTest, AMissingObjectIsNoReasonToKeepOthers) {
  object::ObjectName first;
  ASSERT_TRUE(
      store_->List(ChunkId(0), [&](const object::ObjectName& n) { return first = n, false; }, nullptr).ok());
  ASSERT_TRUE(store_->Delete(first).ok());
  auto report = Run({.remove = true});
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->deleted, 1u);
}

}  // namespace
}  // namespace curvefs::cli
