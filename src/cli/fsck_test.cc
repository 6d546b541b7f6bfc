// Each test damages a sound file system in one way, and expects fsck to name it, to mend it, and to find
// nothing the second time. So every check has a canary.
#include "cli/fsck.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <functional>

#include "cli/offline.h"
#include "cli/standalone.h"
#include "meta/acl.h"
#include "meta/ops/names.h"
#include "test/support/sim_disk.h"

namespace curvefs::cli {
namespace {

using meta::KeyKind;
using test::SimDisk;

constexpr FsId kFs{1};
const client::Caller kRoot;

class FsckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto fs = Open();
    client::Vfs& vfs = fs->vfs();
    dir_ = vfs.MkDir(kRoot, kRootInode, "dir", 0755)->inode.id;
    sub_ = vfs.MkDir(kRoot, dir_, "sub", 0755)->inode.id;
    small_ = Write(vfs, dir_, "small", "hello");
    large_ = Write(vfs, dir_, "large", std::string(200'000, 'x'));
    link_ = vfs.Symlink(kRoot, sub_, "link", "target")->inode.id;
    ASSERT_TRUE(vfs.Link(kRoot, small_, sub_, "second"));
    ASSERT_TRUE(vfs.SetXattr(kRoot, small_, "user.a", "b", false, false, false).ok());
    hash_seed_ = fs->copyset().fs().hash_seed;
    ASSERT_TRUE(fs->Shutdown().ok());
    fs.reset();
    pristine_ = disk_.Files();
  }

  std::unique_ptr<Standalone> Open() {
    StandaloneOptions options;
    options.seed = 1;
    options.copyset.background = false;
    options.copyset.journal.segment_bytes = 256 << 10;
    auto fs = Standalone::Open(disk_, Clock::System(), "/fs", options);
    EXPECT_TRUE(fs) << fs.error().ToString();
    return *std::move(fs);
  }
  static InodeId Write(client::Vfs& vfs, InodeId parent, const std::string& name,
                       const std::string& content) {
    auto file = vfs.Create(kRoot, parent, name, 0644, O_RDWR);
    EXPECT_TRUE(file);
    EXPECT_TRUE(vfs.Write(file->entry.inode.id, file->opened.handle, 0, BufferSlice::CopyOf(content), {}));
    vfs.Release(file->entry.inode.id, file->opened.handle);
    return file->entry.inode.id;
  }

  // The same file system as at first, whatever has become of it.
  void SetUpAgain() {
    disk_.Crash(1, SimDisk::Keep::kNothing);
    for (const auto& [path, content] : disk_.Files()) disk_.RemoveDurably(path);
    for (const auto& [path, content] : pristine_) disk_.SetContent(path, content);
  }

  // Changes the metadata behind everybody's back.
  void Damage(const std::function<void(const kv::View&, kv::WriteBatch*)>& change) {
    auto dir = FsDir::Open(disk_, "/fs", FsDir::Create::kNo, {}, {}, false);
    ASSERT_TRUE(dir) << dir.error().ToString();
    auto store = OfflineStore::Open(disk_, **dir, {.write = true});
    ASSERT_TRUE(store);
    kv::WriteBatch batch;
    change((*store)->view(), &batch);
    ASSERT_TRUE((*store)->Commit(batch).ok());
    ASSERT_TRUE((*store)->Finish().ok());
    ASSERT_TRUE((*dir)->Clean().ok());
  }
  void DamageInode(InodeId id, const std::function<void(meta::Inode*)>& change) {
    Damage([&](const kv::View& view, kv::WriteBatch* batch) {
      std::string value;
      ASSERT_TRUE(view.Get(meta::InodeKey(kFs, id), &value).ok());
      meta::Inode inode = *meta::DecodeInode(id, value);
      change(&inode);
      batch->Set(meta::InodeKey(kFs, id), meta::EncodeInode(inode));
    });
  }
  std::string EntryKey(InodeId parent, std::string_view name) const {
    return meta::DentryKey(kFs, parent, meta::NameHash(hash_seed_, name), name);
  }
  std::string FirstKey(KeyKind kind, InodeId inode) {
    std::string found;
    Damage([&](const kv::View& view, kv::WriteBatch*) {
      std::string prefix = meta::InodePrefix(kFs, kind, inode);
      (void)view.Scan(prefix, kv::PrefixEnd(prefix), [&](std::string_view key, std::string_view) {
        found = key;
        return false;
      });
    });
    EXPECT_FALSE(found.empty());
    return found;
  }
  meta::ChunkRecord LargeRecord() {
    meta::ChunkRecord record;
    const std::string key = FirstKey(KeyKind::kChunk, large_);
    Damage([&](const kv::View& view, kv::WriteBatch*) {
      std::string value;
      ASSERT_TRUE(view.Get(key, &value).ok());
      record = *meta::DecodeChunk(large_, 1, value);
    });
    EXPECT_TRUE(record.in_object());
    return record;
  }
  std::string ObjectFile() {
    for (const auto& [path, content] : disk_.Files()) {
      if (path.starts_with("/fs/objects/") && content.size() > 100'000) return path;
    }
    ADD_FAILURE() << "no object";
    return {};
  }

  FsckReport Check(FsckOptions options = {}) {
    auto report = Fsck(disk_, "/fs", options);
    EXPECT_TRUE(report) << report.error().ToString();
    return report ? *report : FsckReport();
  }
  static std::string Text(const FsckReport& report) {
    std::string text;
    for (const Finding& f : report.findings) text += f.kind + ": " + f.what + "\n";
    return text;
  }
  // Found without changing anything, mended, and then clean; and what is left can be mounted.
  void ExpectMended(const std::string& kind) {
    auto before = disk_.Files();
    FsckReport report = Check();
    EXPECT_TRUE(report.counts.contains(kind)) << Text(report);
    EXPECT_GT(report.errors, 0u);
    EXPECT_EQ(disk_.Files(), before) << "a check without --repair has changed something";
    report = Check({.repair = true});
    EXPECT_EQ(report.errors_left, 0u) << Text(report);
    EXPECT_GT(report.repaired, 0u);
    ExpectClean();
    auto fs = Open();
    EXPECT_TRUE(fs->Shutdown().ok());
  }
  void ExpectClean() {
    FsckReport report = Check({.deep = true});
    EXPECT_EQ(report.errors, 0u) << Text(report);
    EXPECT_EQ(report.leaked, 0u) << Text(report);
  }
  // There, and lost: repairing does not pretend.
  void ExpectLost(const std::string& kind, FsckOptions options = {}) {
    FsckReport report = Check(options);
    EXPECT_TRUE(report.counts.contains(kind)) << Text(report);
    options.repair = true;
    EXPECT_GT(Check(options).errors_left, 0u);
  }

  SimDisk disk_;
  std::map<std::string, std::string> pristine_;
  InodeId dir_, sub_, small_, large_, link_;
  uint64_t hash_seed_ = 0;
};

TEST_F(FsckTest, ASoundFileSystemIsClean) {
  FsckReport report = Check({.deep = true});
  EXPECT_EQ(report.errors, 0u) << Text(report);
  EXPECT_EQ(report.directories, 3u);
  EXPECT_EQ(report.files, 2u);
  EXPECT_EQ(report.others, 1u);
  EXPECT_GT(report.verified, 0u);
  report = Check({.repair = true});
  EXPECT_EQ(report.repaired, 0u);
}

TEST_F(FsckTest, WhatIsNoFileSystemIsNotChecked) {
  EXPECT_EQ(Fsck(disk_, "/nowhere", {}).error().code(), Code::kNotFound);
  auto fs = Open();
  EXPECT_EQ(Fsck(disk_, "/fs", {}).error().code(), Code::kBusy);
  EXPECT_TRUE(fs->Shutdown().ok());
}

TEST_F(FsckTest, ForeignKey) {
  Damage([](const kv::View&, kv::WriteBatch* b) { b->Set("zzz", "1"); });
  ExpectMended("key");
}
TEST_F(FsckTest, MalformedValue) {
  Damage([&](const kv::View&, kv::WriteBatch* b) { b->Set(meta::InodeKey(kFs, link_), "\xff"); });
  ExpectMended("value");
}
TEST_F(FsckTest, EntryWithoutInode) {
  Damage([&](const kv::View&, kv::WriteBatch* b) { b->Del(meta::InodeKey(kFs, link_)); });
  ExpectMended("entry-inode");
}
TEST_F(FsckTest, EntryInSomethingThatIsNoDirectory) {
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Set(EntryKey(small_, "x"), meta::EncodeDentry({large_, 8}));
  });
  ExpectMended("entry-parent");
}
TEST_F(FsckTest, EntryOfTheWrongType) {
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Set(EntryKey(dir_, "small"), meta::EncodeDentry({small_, 4}));
  });
  ExpectMended("entry-type");
}
TEST_F(FsckTest, EntryAtTheWrongPlace) {
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Del(EntryKey(dir_, "small"));
    b->Set(meta::DentryKey(kFs, dir_, meta::NameHash(hash_seed_, "small") ^ 1, "small"),
           meta::EncodeDentry({small_, 8}));
  });
  ExpectMended("entry-hash");
  EXPECT_TRUE(Open()->vfs().Lookup(kRoot, dir_, "small"));
}
TEST_F(FsckTest, EntryWithABadName) {
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Set(EntryKey(dir_, "a/b"), meta::EncodeDentry({small_, 8}));
  });
  ExpectMended("entry-name");
}
TEST_F(FsckTest, DirectoryWithTwoNames) {
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Set(EntryKey(kRootInode, "again"), meta::EncodeDentry({sub_, 4}));
  });
  ExpectMended("directory-links");
  EXPECT_TRUE(Open()->vfs().Lookup(kRoot, dir_, "sub"));
}
TEST_F(FsckTest, DirectoryWithTheWrongParent) {
  DamageInode(sub_, [&](meta::Inode* i) { i->parent = kRootInode; });
  ExpectMended("directory-parent");
}
TEST_F(FsckTest, DirectoryBelowItself) {
  Damage([&](const kv::View& view, kv::WriteBatch* b) {
    std::string value;
    ASSERT_TRUE(view.Get(meta::InodeKey(kFs, dir_), &value).ok());
    meta::Inode dir = *meta::DecodeInode(dir_, value);
    dir.parent = sub_;
    b->Set(meta::InodeKey(kFs, dir_), meta::EncodeInode(dir));
    b->Del(EntryKey(kRootInode, "dir"));
    b->Set(EntryKey(sub_, "ring"), meta::EncodeDentry({dir_, 4}));
  });
  ExpectMended("directory-ring");
  auto fs = Open();
  auto lost = fs->vfs().Lookup(kRoot, kRootInode, "lost+found");
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->inode.length, 1u);
}
TEST_F(FsckTest, FileWithoutNameGoesToLostAndFound) {
  Damage([&](const kv::View&, kv::WriteBatch* b) { b->Del(EntryKey(dir_, "large")); });
  ExpectMended("unreachable");
  auto fs = Open();
  auto lost = fs->vfs().Lookup(kRoot, kRootInode, "lost+found");
  ASSERT_TRUE(lost);
  auto found = fs->vfs().Lookup(kRoot, lost->inode.id, "#" + std::to_string(large_.value));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->inode.length, 200'000u);
}
TEST_F(FsckTest, DirectoryWithoutNameKeepsWhatIsInIt) {
  Damage([&](const kv::View&, kv::WriteBatch* b) { b->Del(EntryKey(kRootInode, "dir")); });
  ExpectMended("unreachable");
  auto fs = Open();
  auto lost = fs->vfs().Lookup(kRoot, kRootInode, "lost+found");
  ASSERT_TRUE(lost);
  auto dir = fs->vfs().Lookup(kRoot, lost->inode.id, "#" + std::to_string(dir_.value));
  ASSERT_TRUE(dir);
  EXPECT_TRUE(fs->vfs().Lookup(kRoot, dir->inode.id, "sub"));
}
TEST_F(FsckTest, RootMissing) {
  Damage([&](const kv::View&, kv::WriteBatch* b) { b->Del(meta::InodeKey(kFs, kRootInode)); });
  ExpectMended("root");
}
TEST_F(FsckTest, SuperBlockMissing) {
  Damage([&](const kv::View&, kv::WriteBatch* b) { b->Del(meta::SuperBlockKey(kFs)); });
  ExpectLost("super-block");
}
TEST_F(FsckTest, LinkCount) {
  DamageInode(small_, [](meta::Inode* i) { i->nlink = 7; });
  ExpectMended("link-count");
}
TEST_F(FsckTest, LinkCountOfADirectory) {
  DamageInode(dir_, [](meta::Inode* i) { i->nlink = 2; });
  ExpectMended("link-count");
}
TEST_F(FsckTest, EntryCount) {
  DamageInode(dir_, [](meta::Inode* i) { i->length = 0; });
  ExpectMended("entry-count");
}
TEST_F(FsckTest, ByteCount) {
  DamageInode(large_, [](meta::Inode* i) { i->bytes = 1; });
  ExpectMended("byte-count");
}
TEST_F(FsckTest, LengthShorterThanContent) {
  DamageInode(large_, [](meta::Inode* i) { i->length = 10; });
  ExpectMended("length");
}
TEST_F(FsckTest, SymlinkLength) {
  DamageInode(link_, [](meta::Inode* i) { i->length = 1; });
  ExpectMended("length");
}
TEST_F(FsckTest, HomeOfAFile) {
  DamageInode(large_, [](meta::Inode* i) { i->parent = kRootInode == i->parent ? InodeId(99) : kRootInode; });
  ExpectMended("home");
}
TEST_F(FsckTest, NamesAndLinkRecordsDisagree) {
  {
    auto fs = Open();
    ASSERT_TRUE(fs->vfs().Link({}, large_, kRootInode, "second"));
    ASSERT_TRUE(fs->vfs().Link({}, large_, dir_, "third"));
    ASSERT_TRUE(fs->Shutdown().ok());
  }
  ExpectClean();
  const std::string second = meta::LinkKey(kFs, large_, kRootInode, "second");
  Damage([&](const kv::View&, kv::WriteBatch* batch) { batch->Del(second); });
  ExpectMended("link-record");
  Damage([&](const kv::View&, kv::WriteBatch* batch) {
    batch->Set(meta::LinkKey(kFs, large_, kRootInode, "never"), {});
    batch->Set(meta::LinkKey(kFs, InodeId(999), kRootInode, "second"), {});
  });
  ExpectMended("link-record");
  // Every name has a record: none is at home.
  Damage([&](const kv::View& view, kv::WriteBatch* batch) {
    std::string prefix = meta::InodePrefix(kFs, KeyKind::kDentry, kRootInode);
    for (InodeId dir : {kRootInode, dir_}) {
      prefix = meta::InodePrefix(kFs, KeyKind::kDentry, dir);
      (void)view.Scan(prefix, kv::PrefixEnd(prefix), [&](std::string_view key, std::string_view value) {
        meta::ParsedKey parsed;
        if (meta::ParseKey(key, &parsed) && meta::DecodeDentry(value)->inode == large_)
          batch->Set(meta::LinkKey(kFs, large_, dir, parsed.name), {});
        return true;
      });
    }
  });
  ExpectMended("home");
}
TEST_F(FsckTest, QuotaOfNothing) {
  Damage([&](const kv::View&, kv::WriteBatch* batch) {
    batch->Set(meta::QuotaKey(kFs, InodeId(999)), meta::EncodeQuota({.bytes = 1}));
  });
  ExpectMended("no-inode");
}
TEST_F(FsckTest, XattrFlags) {
  DamageInode(small_, [](meta::Inode* i) { i->flags = meta::kHasDefaultAcl; });
  ExpectMended("flags");
}
TEST_F(FsckTest, XattrWithoutInode) {
  Damage(
      [&](const kv::View&, kv::WriteBatch* b) { b->Set(meta::XattrKey(kFs, InodeId(999), "user.x"), "y"); });
  ExpectMended("no-inode");
}
TEST_F(FsckTest, OrphanMarkWithoutInode) {
  Damage([&](const kv::View&, kv::WriteBatch* b) { b->Set(meta::OrphanKey(kFs, InodeId(999)), "1"); });
  ExpectMended("no-inode");
}
TEST_F(FsckTest, OrphanMarkOfANamedFile) {
  Damage([&](const kv::View&, kv::WriteBatch* b) { b->Set(meta::OrphanKey(kFs, small_), "1"); });
  ExpectMended("orphan");
}
TEST_F(FsckTest, ChunkRecordWithoutInode) {
  const meta::ChunkRecord record = LargeRecord();
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Set(meta::ChunkKey(kFs, InodeId(999), 0, 1), meta::EncodeChunk(InodeId(999), record));
  });
  ExpectMended("no-inode");
}
TEST_F(FsckTest, ChunkRecordOutsideItsChunk) {
  meta::ChunkRecord record;
  record.offset = kChunkSize;
  record.len = 5;
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Set(meta::ChunkKey(kFs, large_, 0, 1), meta::EncodeChunk(large_, record));
  });
  ExpectMended("chunk-record");
}
TEST_F(FsckTest, InlineDataDamaged) {
  const std::string key = FirstKey(KeyKind::kChunk, small_);
  Damage([&](const kv::View& view, kv::WriteBatch* b) {
    std::string value;
    ASSERT_TRUE(view.Get(key, &value).ok());
    meta::ChunkRecord record = *meta::DecodeChunk(small_, 1, value);
    ASSERT_TRUE(record.is_inline());
    record.inline_data[0] ^= 1;
    b->Set(key, meta::EncodeChunk(small_, record));
  });
  ExpectLost("chunk-record");
}
TEST_F(FsckTest, ReferenceCount) {
  const meta::ChunkRecord record = LargeRecord();
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Set(meta::RefsKey(kFs, PartitionId(0), record.chunk_id), meta::EncodeRefs({5, 0}));
  });
  ExpectMended("reference-count");
}
TEST_F(FsckTest, FreedButInUse) {
  const meta::ChunkRecord r = LargeRecord();
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Set(meta::FreeKey(kFs, PartitionId(0), r.chunk_id),
           meta::EncodeFreeObject({r.chunk_id, r.block, r.compaction, r.object_inode}));
  });
  ExpectMended("freed-in-use");
  EXPECT_EQ(Check({.deep = true}).errors, 0u);
}
TEST_F(FsckTest, PartitionCounters) {
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Set(meta::PartitionKey(kFs, PartitionId(0)), meta::EncodePartition({1, 1, 1000, 1}));
  });
  ExpectMended("partition");
}
TEST_F(FsckTest, MissingObject) {
  disk_.RemoveDurably(ObjectFile());
  ExpectLost("missing-object");
  EXPECT_NE(Text(Check()).find("/dir/large"), std::string::npos);
}
TEST_F(FsckTest, ObjectCutShort) {
  const std::string path = ObjectFile();
  disk_.SetContent(path, disk_.Files()[path].substr(0, 5000));
  ExpectLost("damaged-object");
}
TEST_F(FsckTest, DamageInsideAnObjectIsFoundByReading) {
  const std::string path = ObjectFile();
  std::string content = disk_.Files()[path];
  content[content.size() / 2] ^= 1;
  disk_.SetContent(path, content);
  EXPECT_EQ(Check().errors, 0u);
  ExpectLost("damaged-object", {.deep = true});
}
TEST_F(FsckTest, LeakedObjectIsNoErrorAndCanBeReclaimed) {
  const meta::ChunkRecord r = LargeRecord();
  auto objects = object::MakeDirectoryStore(disk_, "/fs/objects");
  const object::ObjectName name{ChunkId(r.chunk_id.value + 100), 0, 0, kFs, large_};
  ASSERT_TRUE(objects->Put(name, {BufferSlice::CopyOf("leak")}));
  FsckReport report = Check();
  EXPECT_EQ(report.errors, 0u) << Text(report);
  EXPECT_EQ(report.leaked, 1u);
  report = Check({.repair = true});
  EXPECT_EQ(report.repaired, 1u);
  auto gone = object::MakeDirectoryStore(disk_, "/fs/objects")->Size(name);  // the other one may have it open
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), Code::kNotFound);
  ExpectClean();
}
TEST_F(FsckTest, CorruptJournalIsCutOnlyOnRequest) {
  Damage([](const kv::View&, kv::WriteBatch*) {});  // leaves all in a snapshot
  {
    auto fs = Open();
    for (const char* name : {"a", "b", "c"}) {
      ASSERT_TRUE(fs->vfs().MkDir(kRoot, kRootInode, name, 0755));
      ASSERT_TRUE(fs->vfs().SyncFs().ok());
    }
  }
  // The frame before the last but one: the last says that it was durable, so it is no torn tail.
  bool damaged = false;
  for (const auto& [path, content] : disk_.Files()) {
    if (!path.starts_with("/fs/meta/journal/")) continue;
    std::vector<size_t> frames;
    for (size_t at = content.find("CFRM"); at != content.npos; at = content.find("CFRM", at + 1))
      frames.push_back(at);
    if (frames.size() < 3) continue;
    std::string bytes = content;
    bytes[frames[frames.size() - 3] + 60] ^= 1;
    disk_.SetContent(path, bytes);
    damaged = true;
  }
  ASSERT_TRUE(damaged);
  auto report = Fsck(disk_, "/fs", {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), Code::kCorrupt);
  FsckReport repaired = Check({.repair = true});
  EXPECT_TRUE(repaired.counts.contains("journal")) << Text(repaired);
  EXPECT_EQ(repaired.errors_left, 0u);
  ExpectClean();
  EXPECT_FALSE(Open()->vfs().Lookup(kRoot, kRootInode, "c"));
}
// Metadata that are gone cannot be mended: the objects stay for whoever puts them back.
TEST_F(FsckTest, WithoutMetadataNothingIsTouched) {
  for (const char* part : {"/fs/meta/journal", "/fs/meta/store"}) {
    auto names = disk_.List(part);
    ASSERT_TRUE(names);
    for (const auto& name : *names) ASSERT_TRUE(disk_.Remove(std::string(part) + "/" + name).ok());
  }
  const auto before = disk_.Files();
  auto report = Fsck(disk_, "/fs", {.repair = true});
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_GT(report->errors_left, 0u);
  EXPECT_EQ(report->repaired, 0u);
  EXPECT_EQ(disk_.Files(), before);
}

TEST_F(FsckTest, ManyDamagesAtOnce) {
  Damage([&](const kv::View&, kv::WriteBatch* b) {
    b->Del(meta::InodeKey(kFs, sub_));
    b->Del(EntryKey(dir_, "large"));
    b->Set(EntryKey(kRootInode, "nothing"), meta::EncodeDentry({InodeId(12345), 8}));
    b->Set("zzz", "");
    b->Del(meta::PartitionKey(kFs, PartitionId(0)));
  });
  FsckReport report = Check({.repair = true});
  EXPECT_EQ(report.errors_left, 0u) << Text(report);
  ExpectClean();
}

// Damages by chance: keys dropped, values of one key put under another. Repair ends, and what it leaves is
// clean but for what is lost.
TEST_F(FsckTest, RandomDamageIsAlwaysMended) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SetUpAgain();
    Damage([&](const kv::View& view, kv::WriteBatch* b) {
      uint64_t random = seed * 0x9e3779b97f4a7c15;
      auto next = [&](uint64_t below) {
        random = random * 6364136223846793005 + 1442695040888963407;
        return (random >> 33) % below;
      };
      std::vector<std::pair<std::string, std::string>> pairs;
      (void)view.Scan("", "", [&](std::string_view k, std::string_view v) {
        meta::ParsedKey key;
        if (meta::ParseKey(k, &key) && key.kind != KeyKind::kSuperBlock) pairs.emplace_back(k, v);
        return true;
      });
      for (uint64_t n = 1 + next(4); n > 0; --n) {
        auto& victim = pairs[next(pairs.size())];
        auto& other = pairs[next(pairs.size())];
        if (next(2) == 0) {
          b->Del(victim.first);
        } else if (victim.first[7] == other.first[7] && victim.first[7] != 'C') {
          b->Set(victim.first, other.second);
        }
      }
    });
    auto report = Fsck(disk_, "/fs", {.repair = true});
    ASSERT_TRUE(report) << "seed " << seed << ": " << report.error().ToString();
    ASSERT_EQ(report->errors_left, 0u) << "seed " << seed << "\n" << Text(*report);
    report = Fsck(disk_, "/fs", {.deep = true});
    ASSERT_TRUE(report);
    ASSERT_EQ(report->errors, 0u) << "seed " << seed << "\n" << Text(*report);
  }
}

// An object that small files share: damage is the matter of those whose content is there, and of nobody else.
TEST_F(FsckTest, DamageInASharedObjectNamesTheFilesThatHaveItsBytes) {
  StandaloneOptions options;
  options.seed = 1;
  options.copyset.background = false;
  options.data.inline_max = 0;
  {
    auto fs = Standalone::Open(disk_, Clock::System(), "/shared", options);
    ASSERT_TRUE(fs);
    for (int i = 0; i < 20; ++i)
      Write((*fs)->vfs(), kRootInode, "f" + std::to_string(i), std::string(8192, static_cast<char>('a' + i)));
    ASSERT_TRUE((*fs)->Shutdown().ok());
  }
  std::string path, content;
  for (const auto& [p, c] : disk_.Files()) {
    if (p.find("/shared/objects/") != std::string::npos && c.size() > 20 * 8192) path = p, content = c;
  }
  ASSERT_FALSE(path.empty()) << "the files do not share an object";
  const size_t at = content.find(std::string(8192, 'a' + 12));
  ASSERT_NE(at, std::string::npos);
  std::string damaged = content;
  damaged[at + 5000] ^= 1;
  disk_.SetContent(path, damaged);
  std::string found;
  auto report = Fsck(disk_, "/shared", {.deep = true});
  ASSERT_TRUE(report) << report.error().ToString();
  for (const Finding& f : report->findings) found += f.what + "\n";
  EXPECT_NE(found.find("(/f12)"), std::string::npos) << found;
  for (const char* other : {"(/f0)", "(/f11)", "(/f13)", "(inode"})
    EXPECT_EQ(found.find(other), std::string::npos) << found;

  // Without that file it is nobody's loss.
  {
    auto fs = Standalone::Open(disk_, Clock::System(), "/shared", options);
    ASSERT_TRUE(fs);
    ASSERT_TRUE((*fs)->vfs().Unlink({}, kRootInode, "f12").ok());
    ASSERT_TRUE((*fs)->Shutdown().ok());
  }
  report = Fsck(disk_, "/shared", {.deep = true});
  ASSERT_TRUE(report) << report.error().ToString();
  ASSERT_EQ(report->findings.size(), 1u);
  EXPECT_EQ(report->findings[0].kind, "damaged-unused");
  EXPECT_EQ(report->findings[0].level, Finding::Level::kNote);
}

}  // namespace
}  // namespace curvefs::cli
