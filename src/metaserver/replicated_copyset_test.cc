// What a copyset takes over from another replica, without a group. Whole groups are in test/sim.
#include "metaserver/replicated_copyset.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "base/loop.h"
#include "test/support/sim_disk.h"

namespace curvefs::metaserver {
namespace {

using test::SimDisk;

struct Inline final : Background {
  void Run(std::function<void()> work, std::function<void()> then) override { work(), then(); }
};

class ReplicatedCopysetTest : public testing::TestWithParam<MetaEngine> {
 protected:
  ReplicatedCopysetTest() {
    SetLogSink([](LogLevel, const std::string&) {});
    if (memory()) return;
    root = std::filesystem::temp_directory_path() / ("curvefs-copyset-" + std::to_string(::getpid()));
    std::filesystem::remove_all(root);
    std::filesystem::create_directories(root);
  }
  ~ReplicatedCopysetTest() override {
    if (!memory()) std::filesystem::remove_all(root);
  }
  bool memory() const { return GetParam() == MetaEngine::kMemory; }

  Result<std::unique_ptr<ReplicatedCopyset>> TryOpen(const std::string& dir, MetaEngine engine) {
    ReplicatedOptions options;
    options.engine = engine;
    options.rocks.memory = rocks;
    return ReplicatedCopyset::Open(disk, root + dir, {.voters = {raft::ReplicaId(1), raft::ReplicaId(2)}}, fs,
                                   loop, background, options);
  }
  std::unique_ptr<ReplicatedCopyset> Open(const std::string& dir) {
    auto opened = TryOpen(dir, GetParam());
    EXPECT_TRUE(opened.has_value()) << opened.error().ToString();
    return *std::move(opened);
  }
  static raft::SnapshotMeta Take(ReplicatedCopyset& copyset) {
    raft::SnapshotMeta meta;
    copyset.TakeSnapshot([&](Result<raft::SnapshotMeta> taken) { meta = *taken; });
    return meta;
  }
  // What a replica that is behind gets; it asks again if it must.
  static std::unique_ptr<raft::SnapshotReader> Give(ReplicatedCopyset& copyset) {
    auto reader = copyset.OpenSnapshot();
    if (!reader && reader.error().code() == Code::kBusy) reader = copyset.OpenSnapshot();
    EXPECT_TRUE(reader.has_value()) << reader.error().ToString();
    return *std::move(reader);
  }
  static std::string All(raft::SnapshotReader& reader, size_t piece = 1 << 20) {
    std::string bytes;
    while (true) {
      const std::string next = *reader.Read(bytes.size(), piece);
      if (next.empty()) return bytes;
      bytes += next;
    }
  }
  static std::vector<std::string> Names(const std::string& dir) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir))
      names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }
  static std::string Dump(const ReplicatedCopyset& copyset) {
    std::string text;
    EXPECT_TRUE(copyset.store()
                    .Scan("", "",
                          [&](std::string_view key, std::string_view value) {
                            text.append(key).append("=").append(value).append("\n");
                            return true;
                          })
                    .ok());
    return text;
  }
  // Entries as a leader would make them.
  void Fill(ReplicatedCopyset& copyset, raft::Index upto, raft::Term term) {
    while (copyset.applied() < upto) {
      kv::WriteBatch batch;
      batch.Set("key " + std::to_string(copyset.applied()), "value");
      const raft::Entry entry{
          .term = term, .index = copyset.applied() + 1, .payload = raft::MakePayload(batch.encoded())};
      ASSERT_TRUE(copyset.Apply(std::span(&entry, 1)).ok());
    }
  }
  // `bytes` come in pieces for `to`, under the name `meta`.
  static Status Put(const std::string& bytes, ReplicatedCopyset& to, const raft::SnapshotMeta& meta) {
    auto sink = to.ReceiveSnapshot(meta);
    EXPECT_TRUE(sink.has_value());
    for (size_t at = 0; at < bytes.size(); at += 1000) {
      if (Status s = (*sink)->Append(std::string_view(bytes).substr(at, 1000)); !s.ok()) return s;
    }
    Status outcome(Code::kTimedOut);
    to.Restore(*std::move(sink), meta, [&](Status s) { outcome = s; });
    return outcome;
  }
  Status Send(ReplicatedCopyset& from, ReplicatedCopyset& to, const raft::SnapshotMeta& meta) {
    return Put(All(*Give(from)), to, meta);
  }

  SimDisk simulated;
  Disk& disk = memory() ? static_cast<Disk&>(simulated) : Disk::Posix();
  std::string root;
  std::shared_ptr<kv::RocksMemory> rocks = kv::MakeRocksMemory(16 << 20);
  ManualLoop loop;
  Inline background;
  meta::FsContext fs{.fs = FsId(1)};
};

TEST_P(ReplicatedCopysetTest, TakesASnapshotOver) {
  auto one = Open("/one"), two = Open("/two");
  Fill(*one, 5, 3);
  raft::SnapshotMeta meta;
  one->TakeSnapshot([&](Result<raft::SnapshotMeta> taken) { meta = *taken; });
  EXPECT_TRUE(Send(*one, *two, meta).ok());
  EXPECT_EQ(two->applied(), 5u);
  EXPECT_EQ(Dump(*two), Dump(*one));
  two.reset();
  EXPECT_EQ(Open("/two")->snapshot(), meta);
}

// A snapshot that is not the one that was announced must not cost the replica what it has.
TEST_P(ReplicatedCopysetTest, KeepsItsStateWhenAnotherSnapshotCame) {
  auto one = Open("/one"), two = Open("/two");
  Fill(*one, 5, 3);
  Fill(*two, 3, 2);
  raft::SnapshotMeta meta;
  one->TakeSnapshot([&](Result<raft::SnapshotMeta> taken) { meta = *taken; });
  raft::SnapshotMeta own;
  two->TakeSnapshot([&](Result<raft::SnapshotMeta> taken) { own = *taken; });
  for (int wrong = 0; wrong < 3; ++wrong) {
    raft::SnapshotMeta announced = meta;
    if (wrong == 0) announced.index = 9;
    if (wrong == 1) announced.term = 4;
    if (wrong == 2) announced.members.voters.pop_back();
    EXPECT_EQ(Send(*one, *two, announced).code(), Code::kCorrupt);
    EXPECT_EQ(two->applied(), 3u);
    two.reset();
    two = Open("/two");
    EXPECT_EQ(two->snapshot(), own);
  }
  EXPECT_TRUE(Send(*one, *two, meta).ok());
}

// A damaged state, or half of one, costs nothing either.
TEST_P(ReplicatedCopysetTest, KeepsItsStateWhenDamageCame) {
  auto one = Open("/one"), two = Open("/two");
  Fill(*one, 500, 3);
  Fill(*two, 3, 2);
  const raft::SnapshotMeta meta = Take(*one);
  const std::string bytes = All(*Give(*one));
  for (size_t part = 0; part < 20; ++part) {
    std::string damaged = bytes;
    damaged[bytes.size() * part / 20] ^= 0x40;
    const Status s = Put(damaged, *two, meta);
    // Not every byte of RocksDB's files means anything; what was taken over is right then.
    if (s.ok()) {
      EXPECT_FALSE(memory()) << part;
      EXPECT_EQ(Dump(*two), Dump(*one)) << part;
      two = Open("/other" + std::to_string(part));
      Fill(*two, 3, 2);
      continue;
    }
    EXPECT_EQ(two->applied(), 3u);
  }
  EXPECT_FALSE(Put(bytes.substr(0, bytes.size() - 1), *two, meta).ok());
  EXPECT_TRUE(Put(bytes, *two, meta).ok());
  EXPECT_EQ(Dump(*two), Dump(*one));
}

// What a crash leaves is the last snapshot or a later state, and says which; the log goes on behind it.
TEST_P(ReplicatedCopysetTest, KnowsWhereItStandsAfterACrash) {
  auto one = Open("/one");
  Fill(*one, 300, 3);
  const raft::SnapshotMeta meta = Take(*one);
  EXPECT_EQ(meta.index, 300u);
  Fill(*one, 400, 4);
  const std::string before = Dump(*one);
  one.reset();
  one = Open("/one");
  EXPECT_GE(one->applied(), 300u);
  EXPECT_LE(one->applied(), 400u);
  EXPECT_EQ(one->snapshot().index, one->applied());
  Fill(*one, 400, 4);
  EXPECT_EQ(Dump(*one), before);
}

// A state that is given away stays as it was while changes go on, and leaves nothing behind.
TEST_P(ReplicatedCopysetTest, GivesAStateThatStays) {
  auto one = Open("/one"), two = Open("/two");
  Fill(*one, 1000, 3);
  const raft::SnapshotMeta meta = Take(*one);
  const std::string then = Dump(*one);
  auto reader = Give(*one);
  EXPECT_EQ(reader->meta(), meta);
  Fill(*one, 3000, 3);
  // Another one, later, gets at least what the log begins behind.
  const raft::SnapshotMeta later = Take(*one);
  auto other = Give(*one);
  EXPECT_EQ(other->meta(), later);
  EXPECT_TRUE(Put(All(*reader, 777), *two, meta).ok());
  EXPECT_EQ(Dump(*two), then);
  EXPECT_TRUE(Put(All(*other), *two, later).ok());
  EXPECT_EQ(Dump(*two), Dump(*one));
  reader.reset();
  other.reset();
  if (memory()) return;
  EXPECT_EQ(Names(root + "/one"), (std::vector<std::string>{"db", "db-1"}));
  EXPECT_EQ(Names(root + "/two"), (std::vector<std::string>{"db", "db-3"}));
}

// The other engine's state is neither overlooked nor taken for its own.
TEST_P(ReplicatedCopysetTest, RefusesTheOtherEngine) {
  if (memory()) GTEST_SKIP() << "needs a real disk for both";
  auto one = Open("/one");
  Fill(*one, 5, 3);
  const raft::SnapshotMeta meta = Take(*one);
  auto other = TryOpen("/other", MetaEngine::kMemory);
  ASSERT_TRUE(other.has_value());
  Fill(**other, 5, 3);
  EXPECT_EQ(Take(**other), meta);
  EXPECT_EQ(Put(All(*Give(*one)), **other, meta).code(), Code::kInvalid);
  EXPECT_EQ(Put(All(*Give(**other)), *one, meta).code(), Code::kInvalid);
  one.reset();
  other->reset();
  EXPECT_EQ(TryOpen("/one", MetaEngine::kMemory).error().code(), Code::kInvalid);
  EXPECT_EQ(TryOpen("/other", MetaEngine::kRocksdb).error().code(), Code::kInvalid);
}

// Crashes in the middle of a checkpoint or of an arrival leave directories; they go at the start.
TEST_P(ReplicatedCopysetTest, LeftoversGo) {
  if (memory()) GTEST_SKIP() << "has none";
  auto one = Open("/one");
  Fill(*one, 50, 3);
  const raft::SnapshotMeta meta = Take(*one);
  one.reset();
  for (const char* left : {"/one/db-2", "/one/copy-1", "/one/copy-2.tmp"}) {
    std::filesystem::create_directories(root + left);
    ASSERT_TRUE(disk.WriteFileAtomically(root + left + "/000001.sst", "x").ok());
  }
  one = Open("/one");
  EXPECT_EQ(one->snapshot(), meta);
  EXPECT_EQ(Names(root + "/one"), (std::vector<std::string>{"db", "db-1"}));
}

// The packaged RocksDB is not instrumented: the thread sanitizer cannot see how it synchronises.
#if defined(__SANITIZE_THREAD__)
const auto kEngines = testing::Values(MetaEngine::kMemory);
#else
const auto kEngines = testing::Values(MetaEngine::kMemory, MetaEngine::kRocksdb);
#endif
INSTANTIATE_TEST_SUITE_P(Engines, ReplicatedCopysetTest, kEngines,
                         [](const auto& info) { return std::string(EngineName(info.param)); });

}  // namespace
}  // namespace curvefs::metaserver
