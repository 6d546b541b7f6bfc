// Compaction against everything that can happen in the middle of it: whatever is done between any two of its
// steps, and wherever the machine stops, no write is lost, and no object is missing or left over (SPEC §7).
#include <fcntl.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/fsck.h"
#include "cli/standalone.h"
#include "test/support/sim_disk.h"

namespace curvefs::cli {
namespace {

const client::Caller kRoot;

// Calls a hook before and after each Put and before each Read of one thread: the steps of its compaction.
class StepStore final : public object::ObjectStore {
 public:
  StepStore(std::unique_ptr<object::ObjectStore> base, std::function<void(bool reading)>* hook)
      : base_(std::move(base)), hook_(hook), thread_(std::this_thread::get_id()) {}
  Result<uint32_t> Put(const object::ObjectName& name, const BufferList& data) override {
    Step(false);
    auto r = base_->Put(name, data);
    Step(false);
    return r;
  }
  Status Sync(std::span<const object::ObjectName> names) override { return base_->Sync(names); }
  Status Read(const object::ObjectName& name, uint32_t digest, uint64_t offset, char* out,
              size_t n) override {
    Step(true);
    return base_->Read(name, digest, offset, out, n);
  }
  void Prefetch(const object::ObjectName&, uint64_t, size_t) override {}
  Status Delete(const object::ObjectName& name) override { return base_->Delete(name); }
  Result<object::ObjectStat> Stat(const object::ObjectName& name) override { return base_->Stat(name); }
  Status List(ChunkId from, const std::function<bool(const object::ObjectName&)>& visit,
              uint64_t* foreign) override {
    return base_->List(from, visit, foreign);
  }
  Result<DiskSpace> Space() override { return base_->Space(); }

 private:
  void Step(bool reading) {
    if (*hook_ && std::this_thread::get_id() == thread_) (*hook_)(reading);
  }
  std::unique_ptr<object::ObjectStore> base_;
  std::function<void(bool)>* const hook_;
  const std::thread::id thread_;
};

class Scene {
 public:
  Scene() : random_(7) {
    Open();
    auto file = vfs().Create(kRoot, kRootInode, "f", 0644, O_RDWR);
    EXPECT_TRUE(file);
    id_ = file->entry.inode.id;
    handle_ = file->opened.handle;
    Write(0, 120'000);
    Sync();
    for (int i = 0; i < 12; ++i) {
      Write(random_() % 110'000, 1 + random_() % 6'000);
      Sync();
    }
  }

  void Open() {
    StandaloneOptions options;
    options.seed = 1;
    options.copyset.background = false;
    options.copyset.journal.segment_bytes = 256 << 10;
    options.copyset.journal.prepare_ahead = false;
    options.data.inline_max = 0;
    options.data.staged_max = 0;
    options.data.flush_age = std::chrono::hours(1);
    options.data.reserve_bytes = 0;
    EXPECT_TRUE(disk_.MakeDir("/objects").ok());
    EXPECT_TRUE(disk_.SyncDir("/").ok());
    auto fs =
        Standalone::Open(disk_, Clock::System(), "/fs", options,
                         std::make_unique<StepStore>(object::MakeDirectoryStore(disk_, "/objects"), &hook_));
    ASSERT_TRUE(fs) << fs.error().ToString();
    fs_ = *std::move(fs);
  }
  client::Vfs& vfs() { return fs_->vfs(); }

  // Compacts, and does `what` at the step. False: there are not so many steps. What reads the file itself may
  // not come in the middle of a read: it would wait for that one, which is on its own stack.
  bool CompactWith(int step, const std::function<void()>& what, bool reads = false) {
    int at = 0;
    bool fired = false;
    hook_ = [&](bool reading) {
      if ((reading && reads) || at++ != step) return;
      fired = true;
      auto none = std::exchange(hook_, nullptr);
      what();
    };
    status_ = vfs().Compact(id_, nullptr);
    hook_ = nullptr;
    return fired;
  }
  const Status& status() const { return status_; }

  void Write(uint64_t offset, size_t n) {
    std::string bytes(n, '\0');
    for (auto& c : bytes) c = static_cast<char>(random_());
    ASSERT_TRUE(vfs().Write(id_, handle_, offset, BufferSlice::CopyOf(bytes), {}));
    if (bytes_.size() < offset + n) bytes_.resize(offset + n);
    bytes_.replace(offset, n, bytes);
  }
  void Truncate(uint64_t size) {
    ASSERT_TRUE(vfs().SetAttributes(kRoot, id_, {.what = client::SetAttr::kSize, .size = size}));
    bytes_.resize(size);
  }
  void Punch(uint64_t offset, uint64_t n) {
    ASSERT_TRUE(
        vfs().Fallocate(kRoot, id_, client::kFallocPunchHole | client::kFallocKeepSize, offset, n).ok());
    bytes_.replace(offset, n, n, '\0');
  }
  void Clone(uint64_t from, uint64_t to, uint64_t n) {
    ASSERT_EQ(vfs().CopyFileRange(kRoot, id_, from, id_, to, n), n);
    bytes_.replace(to, n, bytes_.substr(from, n));
  }
  void Delete() {
    ASSERT_TRUE(vfs().Unlink(kRoot, kRootInode, "f").ok());
    vfs().Release(id_, handle_);
    vfs().Forget(id_, 1);
    deleted_ = true;
  }
  void Sync() {
    ASSERT_TRUE(vfs().Fsync(id_, false).ok());
    Drain();
  }
  // What is freed goes from the store, also from under a compaction that reads it.
  void Drain() { ASSERT_TRUE(fs_->copyset().DrainDeletions().ok()); }
  void CompactToo() { ASSERT_TRUE(vfs().Compact(id_, nullptr).ok()); }
  void Crash() { disk_.Crash(random_()); }
  void Recover() {
    fs_.reset();
    Open();
  }

  // Empty, or what is wrong.
  std::string Check() {
    if (!deleted_) {
      auto inode = vfs().GetAttr(id_);
      if (!inode || inode->length != bytes_.size()) return "the length is wrong";
      auto read = vfs().Read(id_, 0, 0, bytes_.size() + 10);
      if (!read) return "reading fails: " + read.error().ToString();
      std::string got(TotalSize(*read), '\0');
      CopyOut(*read, got.data());
      if (got != bytes_) return "wrong bytes";
    } else if (vfs().GetAttr(id_)) {
      return "the deleted file is there";
    }
    if (Status s = fs_->Shutdown(); !s.ok()) return "shutdown: " + s.ToString();
    fs_.reset();
    auto objects = object::MakeDirectoryStore(disk_, "/objects");
    auto report = Fsck(disk_, "/fs", {.deep = true}, objects.get());
    if (!report) return "fsck: " + report.error().ToString();
    if (report->errors > 0 || report->leaked > 0)
      return report->findings.front().kind + ": " + report->findings.front().what;
    return {};
  }

 private:
  test::SimDisk disk_;
  std::function<void(bool)> hook_;
  std::unique_ptr<Standalone> fs_;
  std::mt19937_64 random_;
  InodeId id_;
  client::HandleId handle_ = 0;
  std::string bytes_;
  Status status_;
  bool deleted_ = false;
};

struct Interruption {
  const char* name;
  std::function<void(Scene&)> run;
  bool reads = false;
};

const std::vector<Interruption>& Interruptions() {
  static const std::vector<Interruption> all = {
      {"a write, not yet stored", [](Scene& s) { s.Write(50'000, 3'000); }},
      {"a write, stored", [](Scene& s) { s.Write(50'000, 3'000), s.Sync(); }},
      {"everything overwritten", [](Scene& s) { s.Write(0, 130'000), s.Sync(); }},
      {"an append", [](Scene& s) { s.Write(120'000, 10'000), s.Sync(); }},
      {"a shorter file", [](Scene& s) { s.Truncate(40'000), s.Sync(); }},
      {"an empty file, written again", [](Scene& s) { s.Truncate(0), s.Write(10'000, 5'000), s.Sync(); }},
      {"a longer file", [](Scene& s) { s.Truncate(200'000), s.Sync(); }},
      {"a hole", [](Scene& s) { s.Punch(30'000, 30'000), s.Sync(); }},
      {"a clone within the file", [](Scene& s) { s.Clone(0, 60'000, 20'000), s.Sync(); }},
      {"another compaction", [](Scene& s) { s.CompactToo(), s.Drain(); }, true},
      {"the end of the file", [](Scene& s) { s.Delete(), s.Drain(); }},
  };
  return all;
}

TEST(CompactInterleaving, NoWriteIsLostAtAnyStep) {
  for (const Interruption& i : Interruptions()) {
    int steps = 0;
    for (;; ++steps) {
      Scene scene;
      if (!scene.CompactWith(steps, [&] { i.run(scene); }, i.reads)) break;
      ASSERT_EQ(scene.Check(), "") << i.name << " at step " << steps
                                   << "; compaction: " << scene.status().ToString();
    }
    EXPECT_GT(steps, i.reads ? 1 : 5) << i.name;
  }
}

TEST(CompactInterleaving, ACrashAtAnyStepLosesNothingAndLeavesNothing) {
  int steps = 0;
  for (;; ++steps) {
    Scene scene;
    if (!scene.CompactWith(steps, [&] { scene.Crash(); })) break;
    scene.Recover();
    ASSERT_EQ(scene.Check(), "") << "crash at step " << steps;
  }
  EXPECT_GT(steps, 5);
}

TEST(CompactInterleaving, WhatIsWrongWouldBeNoticed) {
  Scene scene;
  ASSERT_TRUE(scene.CompactWith(3, [&] { scene.Write(50'000, 3'000); }));
  scene.Truncate(100'000);
  EXPECT_EQ(scene.Check(), "");
  Scene other;
  other.Write(1'000, 10);
  other.Sync();
  other.Write(1'000, 10);  // lost in the crash: it was never synced
  other.Crash();
  other.Recover();
  EXPECT_EQ(other.Check(), "wrong bytes");
}

}  // namespace
}  // namespace curvefs::cli
