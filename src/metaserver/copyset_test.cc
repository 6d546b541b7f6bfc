// A whole copyset on a simulated disk: recovery, ordering of data and metadata, deletion, full disks.
#include "metaserver/copyset.h"

#include <gtest/gtest.h>

#include <random>

#include "base/crc32c.h"
#include "meta/ops/attributes.h"
#include "meta/ops/content.h"
#include "meta/ops/create.h"
#include "meta/ops/names.h"
#include "test/support/rocks_disk.h"
#include "test/support/sim_disk.h"

namespace curvefs::metaserver {
namespace {

using meta::Txn;

class CopysetTest : public testing::TestWithParam<MetaEngine> {
 protected:
  CopysetTest() {
    EXPECT_TRUE(disk.MakeDir("/o").ok());
    EXPECT_TRUE(disk.SyncDir("/").ok());
    options.engine = GetParam();
    options.rocks.env = rocks_env.get();
    options.background = false;
    options.journal.segment_bytes = 128 << 10;
    format.fs = FsId(1);
    format.chunk_size = kChunkSize;
    format.block_size = kBlockSize;
    format.hash_seed = 7;
  }
  void Open() {
    c.reset();
    if (!remote) objects = object::MakeDirectoryStore(disk, "/o");
    auto opened = Copyset::Open(disk, "/m", *objects, &format, options, loop);
    ASSERT_TRUE(opened) << opened.error().ToString();
    c = *std::move(opened);
  }
  void Close() {
    c.reset();
    if (!remote) objects.reset();
  }
  Result<meta::Inode> MakeFile(std::string_view name) {
    return c->Change([&](Txn& t) {
      return meta::Create(t, {.parent = kRootInode, .name = name, .mode = S_IFREG | 0644});
    });
  }
  // Stores `bytes` as an object and the record that names it.
  Status WriteObject(InodeId inode, uint64_t offset, const std::string& bytes) {
    CURVEFS_TRY(ChunkId chunk, c->Change([](Txn& t) { return t.NewChunks(PartitionId(0), 1); }));
    meta::ChunkRecord r{.offset = offset,
                        .len = bytes.size(),
                        .chunk_id = chunk,
                        .object_inode = inode,
                        .object_size = bytes.size()};
    CURVEFS_TRY(r.digest, objects->Put({chunk, 0, 0, FsId(1), inode}, {BufferSlice::CopyOf(bytes)}));
    auto reply = c->Change([&](Txn& t) { return meta::AppendChunks(t, {.inode = inode, .records = {r}}); });
    return reply ? Status() : reply.error();
  }
  Result<std::string> ReadObject(InodeId inode) {
    auto records =
        c->Read([&](const meta::Reader& r) { return meta::RecordsInRange(r, inode, 0, kMaxFileSize); });
    if (!records) return Fail(records.error());
    std::string out;
    for (const auto& r : *records) {
      std::string piece(r.len, '\0');
      CURVEFS_CHECK_OK(objects->Read({r.chunk_id, r.block, r.compaction, FsId(1), r.object_inode}, r.digest,
                                     r.object_offset, piece.data(), r.len));
      out += piece;
    }
    return out;
  }
  uint64_t CountObjects() {
    uint64_t n = 0;
    EXPECT_TRUE(objects->List(ChunkId(0), [&](const object::ObjectName&) { return ++n; }).ok());
    return n;
  }
  bool Exists(std::string_view name) {
    return c->Read([&](const meta::Reader& r) { return meta::Lookup(r, kRootInode, name); }).has_value();
  }

  // A crash of RocksDB takes a tenth of a second: what it holds back is tried again.
  static uint64_t Seeds() { return GetParam() == MetaEngine::kRocksdb ? 15 : 60; }

  test::SimDisk disk;
  std::unique_ptr<rocksdb::Env> rocks_env = test::MakeRocksEnv(disk);
  ManualLoop loop;
  CopysetOptions options;
  meta::SuperBlock format;
  bool remote = false;  // the objects outlive crashes of the disk, as they are
  std::unique_ptr<object::ObjectStore> objects;
  std::unique_ptr<Copyset> c;
};

#ifdef __SANITIZE_THREAD__
// The packaged RocksDB is not instrumented: the sanitizer cannot see how it synchronises.
const auto kEngines = testing::Values(MetaEngine::kMemory);
#else
const auto kEngines = testing::Values(MetaEngine::kMemory, MetaEngine::kRocksdb);
#endif
INSTANTIATE_TEST_SUITE_P(Engines, CopysetTest, kEngines, [](const auto& engine) {
  return engine.param == MetaEngine::kRocksdb ? "Rocksdb" : "Memory";
});

TEST_P(CopysetTest, WhatIsSyncedSurvivesAndOrderIsKept) {
  for (uint64_t seed = 1; seed <= Seeds(); ++seed) {
    disk.Crash(seed, test::SimDisk::Keep::kNothing);
    Close();
    std::string name = "s" + std::to_string(seed) + "_";
    Open();
    std::mt19937_64 rng(seed);
    int made = 0, synced = 0;
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(MakeFile(name + std::to_string(made++)));
      if (rng() % 8 == 0) {
        ASSERT_TRUE(c->Sync().ok());
        synced = made;
      }
      if (rng() % 30 == 0) {
        ASSERT_TRUE(c->SnapshotNow().ok());
      }
    }
    disk.Crash(seed);
    Close();
    Open();
    int present = 0;
    while (present < made && Exists(name + std::to_string(present))) ++present;
    EXPECT_GE(present, synced) << "seed " << seed;
    for (int i = present; i < made; ++i)
      EXPECT_FALSE(Exists(name + std::to_string(i))) << "not a prefix, seed " << seed;
    if (HasFailure()) return;
  }
}

TEST_P(CopysetTest, NoRecordSurvivesWithoutItsObject) {
  for (uint64_t seed = 1; seed <= Seeds(); ++seed) {
    Open();
    std::mt19937_64 rng(seed);
    std::map<std::string, std::string> written, synced;
    for (int i = 0; i < 20; ++i) {
      std::string name = std::to_string(seed) + "-" + std::to_string(i),
                  bytes(1 + rng() % 20000, static_cast<char>('a' + i));
      auto f = MakeFile(name);
      ASSERT_TRUE(f);
      ASSERT_TRUE(WriteObject(f->id, 0, bytes).ok());
      written[name] = bytes;
      if (rng() % 6 == 0) {
        ASSERT_TRUE(c->Sync().ok());
        synced = written;
      }
    }
    disk.Crash(seed);
    Open();
    for (const auto& [name, bytes] : written) {
      auto f = c->Read([&](const meta::Reader& r) { return meta::Lookup(r, kRootInode, name); });
      ASSERT_TRUE(f || !synced.contains(name)) << name;
      if (!f) continue;
      auto content = ReadObject(f->id);
      ASSERT_TRUE(content) << "seed " << seed << ": " << content.error().ToString();
      EXPECT_TRUE(*content == bytes || (content->empty() && !synced.contains(name))) << name;
    }
    // Nothing is left that no record names.
    uint64_t records = 0;
    ASSERT_TRUE(c->store()
                    .Scan("", "",
                          [&](std::string_view key, std::string_view) {
                            meta::ParsedKey k;
                            return records += meta::ParseKey(key, &k) && k.kind == meta::KeyKind::kChunk,
                                   true;
                          })
                    .ok());
    EXPECT_EQ(CountObjects(), records) << "seed " << seed;
    if (HasFailure()) return;
  }
}

// The store is away when the file system is opened after a crash, once or twice.
TEST_P(CopysetTest, WhatACrashLeftIsDeletedWhenTheObjectsCanBeAskedFor) {
  remote = true;
  objects = object::MakeMemoryObjectStore();
  bool reached = true;
  options.objects_reached = [&] { return reached; };
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const std::string name = std::to_string(seed);
    reached = true;
    Open();
    const uint64_t before = CountObjects();
    auto f = MakeFile(name);
    ASSERT_TRUE(WriteObject(f->id, 0, "kept").ok());
    ASSERT_TRUE(c->Sync().ok());
    // Stored, and then nobody hears of them: the ids go with the journal's end.
    auto lost = c->Change([](Txn& t) { return t.NewChunks(PartitionId(0), 10); });
    for (uint64_t i = 0; i < 10; i += 3) {
      const object::ObjectName stray{ChunkId(lost->value + i), 0, 0, FsId(1), f->id};
      ASSERT_TRUE(objects->Put(stray, {BufferSlice::CopyOf("stray")}));
      ASSERT_TRUE(objects->Sync(std::span(&stray, 1)).ok());
    }
    disk.Crash(seed, test::SimDisk::Keep::kNothing);
    reached = false;
    Open();
    ASSERT_TRUE(c->Change([&](Txn& t) { return t.NewChunks(PartitionId(0), 1); })->value > lost->value + 10);
    ASSERT_TRUE(WriteObject(f->id, 4, "and new").ok());
    ASSERT_TRUE(c->DrainDeletions().ok());
    if (seed % 2 == 0) {
      ASSERT_TRUE(c->Sync().ok());
      disk.Crash(seed, test::SimDisk::Keep::kNothing);
      Open();
    }
    EXPECT_EQ(CountObjects(), before + 2 + 4) << "nothing could be looked for yet";
    if (seed % 4 < 2) {
      reached = true;
      ASSERT_TRUE(c->DrainDeletions().ok());
    } else {
      ASSERT_TRUE(c->Sync().ok());
      disk.Crash(seed, test::SimDisk::Keep::kNothing);
      reached = true;
      Open();
    }
    EXPECT_EQ(CountObjects(), before + 2) << "seed " << seed;
    EXPECT_EQ(*ReadObject(f->id), "keptand new");
    if (HasFailure()) return;
  }
}

TEST_P(CopysetTest, DeletedFilesFreeTheirObjectsOnceTheDeletionIsDurable) {
  Open();
  auto f = MakeFile("f");
  ASSERT_TRUE(WriteObject(f->id, 0, "content").ok());
  ASSERT_TRUE(c->Sync().ok());
  ASSERT_TRUE(c->Change([&](Txn& t) { return meta::Unlink(t, kRootInode, "f"); }));
  c->ReleaseOrphan(f->id);
  EXPECT_EQ(CountObjects(), 1u);  // the unlink is not durable: after a crash the file is back
  disk.Crash(1, test::SimDisk::Keep::kNothing);
  Open();
  EXPECT_EQ(*ReadObject(f->id), "content");
  ASSERT_TRUE(c->Change([&](Txn& t) { return meta::Unlink(t, kRootInode, "f"); }));
  c->ReleaseOrphan(f->id);
  ASSERT_TRUE(c->DrainDeletions().ok());
  EXPECT_EQ(CountObjects(), 0u);
}

TEST_P(CopysetTest, OrphansAreReclaimedAtTheNextOpen) {
  Open();
  auto f = MakeFile("f");
  ASSERT_TRUE(WriteObject(f->id, 0, "content").ok());
  ASSERT_TRUE(c->Change([&](Txn& t) { return meta::Unlink(t, kRootInode, "f"); }));
  ASSERT_TRUE(c->Sync().ok());  // still open somewhere, when the power goes
  disk.Crash(1);
  Open();
  ASSERT_TRUE(c->DrainDeletions().ok());
  EXPECT_FALSE(c->Read([&](const meta::Reader& r) { return r.GetInode(f->id); }));
  EXPECT_EQ(CountObjects(), 0u);
}

TEST_P(CopysetTest, AFullDiskLosesNothingAndGoesOn) {
  options.journal.segment_bytes = 64 << 10;
  options.journal.max_buffer_bytes = 128 << 10;
  Open();
  ASSERT_TRUE(MakeFile("before"));
  ASSERT_TRUE(c->Sync().ok());
  disk.SetCapacity(disk.used_bytes());
  int made = 0;
  Status full;
  while (made < 100'000) {
    auto f = MakeFile("f" + std::to_string(made));
    if (!f) {
      full = f.error();
      break;
    }
    ++made;
  }
  EXPECT_EQ(full.code(), Code::kNoSpace);
  EXPECT_FALSE(c->Sync().ok());
  EXPECT_TRUE(Exists("f0"));
  disk.SetCapacity(~uint64_t{0});
  ASSERT_TRUE(c->Sync().ok());
  ASSERT_TRUE(MakeFile("after"));
  ASSERT_TRUE(c->Sync().ok());
  disk.Crash(3, test::SimDisk::Keep::kNothing);
  Open();
  EXPECT_TRUE(Exists("after"));
  for (int i = 0; i < made; ++i) ASSERT_TRUE(Exists("f" + std::to_string(i))) << i;
}

TEST_P(CopysetTest, IdsAreNotHandedOutTwice) {
  Open();
  auto f = MakeFile("f");
  ASSERT_TRUE(c->Sync().ok());
  ASSERT_TRUE(c->Change([&](Txn& t) { return meta::Unlink(t, kRootInode, "f"); }));
  c->ReleaseOrphan(f->id);
  ASSERT_TRUE(c->Shutdown().ok());
  Open();
  EXPECT_GT(MakeFile("g")->id, f->id);
}

TEST_P(CopysetTest, OnlyOneMayHaveIt) {
  Open();
  auto second = Copyset::Open(disk, "/m", *objects, &format, options, loop);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kBusy);
}

TEST_P(CopysetTest, ReadOnlyChangesNothing) {
  Open();
  ASSERT_TRUE(MakeFile("f"));
  ASSERT_TRUE(MakeFile("gone"));
  ASSERT_TRUE(c->Shutdown().ok());
  Open();
  ASSERT_TRUE(MakeFile("later"));  // in the journal only
  ASSERT_TRUE(c->Change([&](Txn& t) { return meta::Unlink(t, kRootInode, "gone"); }));
  ASSERT_TRUE(c->Sync().ok());
  Close();
  const auto before = disk.Files();
  options.read_only = true;
  Open();
  EXPECT_TRUE(Exists("f"));
  EXPECT_TRUE(Exists("later"));
  EXPECT_FALSE(Exists("gone"));
  std::set<std::string> listed;
  const Status s = c->Read([&](const meta::Reader& r) {
    return meta::ListDirectory(r, kRootInode, 0, [&](const meta::ListedEntry& entry) {
      return listed.insert(std::string(entry.name)).second;
    });
  });
  EXPECT_TRUE(s.ok()) << s.ToString();
  EXPECT_EQ(listed, (std::set<std::string>{"f", "later"}));
  EXPECT_EQ(MakeFile("g").error().code(), Code::kReadOnly);
  Close();
  EXPECT_TRUE(disk.Files() == before);
}

}  // namespace
}  // namespace curvefs::metaserver
