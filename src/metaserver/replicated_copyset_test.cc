// What a copyset takes over from another replica, without a group. Whole groups are in test/sim.
#include "metaserver/replicated_copyset.h"

#include <gtest/gtest.h>

#include "base/loop.h"
#include "test/support/sim_disk.h"

namespace curvefs::metaserver {
namespace {

using test::SimDisk;

struct Inline final : Background {
  void Run(std::function<void()> work, std::function<void()> then) override { work(), then(); }
};

class ReplicatedCopysetTest : public testing::Test {
 protected:
  std::unique_ptr<ReplicatedCopyset> Open(const std::string& dir) {
    auto opened = ReplicatedCopyset::Open(disk, dir, {.voters = {raft::ReplicaId(1), raft::ReplicaId(2)}}, fs,
                                          loop, background);
    EXPECT_TRUE(opened.has_value()) << opened.error().ToString();
    return *std::move(opened);
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
  // What `from` has in its snapshot goes to `to`, under the name `meta`.
  Status Send(ReplicatedCopyset& from, ReplicatedCopyset& to, const raft::SnapshotMeta& meta) {
    auto reader = from.OpenSnapshot();
    EXPECT_TRUE(reader.has_value());
    auto sink = to.ReceiveSnapshot(meta);
    EXPECT_TRUE(sink.has_value());
    EXPECT_TRUE((*sink)->Append(*(*reader)->Read(0, 1 << 20)).ok());
    Status outcome(Code::kTimedOut);
    to.Restore(*std::move(sink), meta, [&](Status s) { outcome = s; });
    return outcome;
  }

  SimDisk disk;
  ManualLoop loop;
  Inline background;
  meta::FsContext fs{.fs = FsId(1)};
};

TEST_F(ReplicatedCopysetTest, TakesASnapshotOver) {
  auto one = Open("/one"), two = Open("/two");
  Fill(*one, 5, 3);
  raft::SnapshotMeta meta;
  one->TakeSnapshot([&](Result<raft::SnapshotMeta> taken) { meta = *taken; });
  EXPECT_TRUE(Send(*one, *two, meta).ok());
  EXPECT_EQ(two->applied(), 5u);
  EXPECT_EQ(Open("/two")->snapshot(), meta);
}

// A snapshot that is not the one that was announced must not cost the replica what it has.
TEST_F(ReplicatedCopysetTest, KeepsItsStateWhenAnotherSnapshotCame) {
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
    EXPECT_EQ(Open("/two")->snapshot(), own);
  }
  EXPECT_TRUE(Send(*one, *two, meta).ok());
}

}  // namespace
}  // namespace curvefs::metaserver
