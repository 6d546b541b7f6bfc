// Usage of directories against a walk over everything, under random operations, restarts and rebuilding;
// quotas.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "meta/ops/attributes.h"
#include "meta/ops/content.h"
#include "meta/ops/create.h"
#include "meta/ops/names.h"
#include "meta/ops/rename.h"
#include "metaserver/copyset.h"
#include "test/support/sim_disk.h"

namespace curvefs::metaserver {
namespace {

using meta::Txn;

class UsageTest : public testing::Test {
 protected:
  UsageTest() {
    EXPECT_TRUE(disk.MakeDir("/o").ok());
    EXPECT_TRUE(disk.SyncDir("/").ok());
    options.background = false;
    format.fs = FsId(1);
    format.chunk_size = kChunkSize;
    format.block_size = kBlockSize;
    format.hash_seed = 7;
  }
  void Open() {
    c.reset();
    objects = object::MakeDirectoryStore(disk, "/o");
    auto opened = Copyset::Open(disk, dir, *objects, &format, options, loop);
    ASSERT_TRUE(opened) << opened.error().ToString();
    c = *std::move(opened);
  }
  void Restart() {
    ASSERT_TRUE(c->Shutdown().ok());
    Open();
  }
  Result<meta::Inode> Make(InodeId parent, const std::string& name, uint32_t type = S_IFREG) {
    return c->Change(
        [&](Txn& t) { return meta::Create(t, {.parent = parent, .name = name, .mode = type | 0755}); });
  }
  Result<meta::Inode> Resize(InodeId file, uint64_t size) {
    return c->Change([&](Txn& t) { return meta::SetAttributes(t, {.inode = file, .size = size}); });
  }
  Result<meta::AppendReply> Append(InodeId file, uint64_t offset, uint64_t len) {
    return c->Change([&](Txn& t) {
      t.PassQuotas();
      return meta::AppendChunks(t, {.inode = file, .records = {{.offset = offset, .len = len}}});
    });
  }
  Status Unlink(InodeId dir, const std::string& name) {
    auto r = c->Change([&](Txn& t) { return meta::Unlink(t, dir, name); });
    return r ? Status() : r.error();
  }
  Status Rename(InodeId dir, const std::string& name, InodeId to, const std::string& new_name,
                meta::RenameKind kind = meta::RenameKind::kReplace) {
    auto r = c->Change([&](Txn& t) {
      return meta::Rename(
          t, {.parent = dir, .name = name, .new_parent = to, .new_name = new_name, .kind = kind});
    });
    return r ? Status() : r.error();
  }
  meta::Inode Get(InodeId id) {
    return c->Read([&](const meta::Reader& r) { return r.GetInode(id); }).value_or(meta::Inode());
  }

  // What the definition says: every named inode counts in its home and all directories above that.
  std::map<InodeId, Usage> Walk() {
    std::map<InodeId, Usage> out;
    std::map<InodeId, std::set<InodeId>> named_in;
    std::map<InodeId, InodeId> up = {{kRootInode, InodeId()}};
    std::vector<InodeId> dirs = {kRootInode};
    for (size_t i = 0; i < dirs.size(); ++i) {
      out[dirs[i]];
      (void)c->Read([&](const meta::Reader& r) {
        return meta::ListDirectory(r, dirs[i], 0, [&](const meta::ListedEntry& e) {
          named_in[e.dentry.inode].insert(dirs[i]);
          if (e.dentry.type == S_IFDIR >> 12) {
            up[e.dentry.inode] = dirs[i];
            dirs.push_back(e.dentry.inode);
          }
          return true;
        });
      });
    }
    for (const auto& [id, where] : named_in) {
      const meta::Inode inode = Get(id);
      EXPECT_TRUE(where.contains(inode.parent)) << "inode " << id.value << " counts where it has no name";
      for (InodeId at = inode.parent; at; at = up[at]) {
        (inode.is_dir() ? out[at].subdirs : out[at].files) += 1;
        if (inode.is_file()) out[at].bytes += inode.length;
      }
    }
    return out;
  }
  // Empty, or the first difference.
  std::string Compare() {
    for (const auto& [dir, want] : Walk()) {
      auto got = c->UsageBelow(dir);
      if (!got) return got.error().ToString();
      if (*got == want) continue;
      return "directory " + std::to_string(dir.value) + ": " + std::to_string(got->files) + " files, " +
             std::to_string(got->subdirs) + " directories, " + std::to_string(got->bytes) +
             " bytes; should be " + std::to_string(want.files) + ", " + std::to_string(want.subdirs) + ", " +
             std::to_string(want.bytes);
    }
    return {};
  }

  test::SimDisk disk;
  std::string dir = "/m";
  ManualLoop loop;
  CopysetOptions options;
  meta::SuperBlock format;
  std::unique_ptr<object::ObjectStore> objects;
  std::unique_ptr<Copyset> c;
};

// A random operation among few directories and names, so that they meet.
class RandomTree {
 public:
  RandomTree(uint64_t seed, Copyset** c) : random_(seed), c_(c) {}
  void Step() {
    const InodeId dir = Pick(dirs_), to = Pick(dirs_);
    const std::string name = Name(), other = Name();
    switch (Below(14)) {
      case 0:
      case 1:
      case 2:
        Keep(&files_, (*c_)->Change([&](Txn& t) {
          return meta::Create(t, {.parent = dir, .name = name, .mode = S_IFREG | 0644});
        }));
        break;
      case 3:
      case 4:
        Keep(&dirs_, (*c_)->Change([&](Txn& t) {
          return meta::Create(t, {.parent = dir, .name = name, .mode = S_IFDIR | 0755});
        }));
        break;
      case 5:
        if (!files_.empty())
          (void)(*c_)->Change([&](Txn& t) { return meta::Link(t, Pick(files_), dir, name); });
        break;
      case 6:
        (void)(*c_)->Change([&](Txn& t) { return meta::Unlink(t, dir, name); });
        break;
      case 7:
        (void)(*c_)->Change([&](Txn& t) { return meta::RemoveDirectory(t, dir, name); });
        break;
      case 8:
      case 9:
      case 10: {
        constexpr meta::RenameKind kKinds[] = {meta::RenameKind::kReplace, meta::RenameKind::kExchange,
                                               meta::RenameKind::kNoReplace, meta::RenameKind::kWhiteout};
        const auto kind = kKinds[Below(4)];
        (void)(*c_)->Change([&](Txn& t) {
          return meta::Rename(
              t, {.parent = dir, .name = name, .new_parent = to, .new_name = other, .kind = kind});
        });
        break;
      }
      case 11:
        if (!files_.empty())
          (void)(*c_)->Change([&](Txn& t) {
            t.PassQuotas();
            return meta::AppendChunks(
                t, {.inode = Pick(files_), .records = {{.offset = Below(5000), .len = 1 + Below(5000)}}});
          });
        break;
      case 12:
        if (!files_.empty())
          (void)(*c_)->Change(
              [&](Txn& t) { return meta::SetAttributes(t, {.inode = Pick(files_), .size = Below(9000)}); });
        break;
      default:
        if (!files_.empty())
          (void)(*c_)->Change(
              [&](Txn& t) { return meta::Allocate(t, Pick(files_), Below(9000), true, false); });
    }
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  InodeId Pick(const std::vector<InodeId>& from) { return from[Below(from.size())]; }
  std::string Name() { return std::string(1, static_cast<char>('a' + Below(5))); }
  void Keep(std::vector<InodeId>* list, const Result<meta::Inode>& made) {
    if (made) list->push_back(made->id);
  }
  std::mt19937_64 random_;
  Copyset** c_;
  std::vector<InodeId> dirs_ = {kRootInode}, files_;
};

TEST_F(UsageTest, AgreesWithAWalkUnderRandomOperationsAndRestarts) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    dir = "/m" + std::to_string(seed);
    Open();
    Copyset* copyset = c.get();
    RandomTree tree(seed, &copyset);
    for (int i = 0; i < 50; ++i) tree.Step();
    ASSERT_TRUE(c->TrackUsage().ok());
    for (int i = 1; i <= 1500; ++i) {
      tree.Step();
      if (i % 25 == 0) {
        ASSERT_EQ(Compare(), "") << "seed " << seed << ", step " << i;
      }
      if (i % 300 == 0) {
        Restart();
        copyset = c.get();
        EXPECT_EQ(c->UsageBelow(kRootInode).error().code(), Code::kUnavailable);
        for (int j = 0; j < 20; ++j) tree.Step();
        ASSERT_TRUE(c->TrackUsage().ok());
      }
    }
    auto wrong = c->CheckUsage(false);
    ASSERT_TRUE(wrong);
    EXPECT_TRUE(wrong->empty());
  }
}

// The tree alone, with changes between any two inodes of the building.
TEST(UsageTree, ChangesWhileItIsBuiltAreCountedOnce) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    std::map<uint64_t, meta::UsageShare> shares;  // inode 2 to 40; those up to 10 are directories in a line
    for (uint64_t i = 2; i <= 40; ++i) {
      shares[i] = {InodeId(i <= 10 ? random() % (i - 1) + 1 : random() % 10 + 1), i <= 10,
                   i <= 10 ? 0 : random() % 100};
    }
    UsageTree tree{meta::Quota{}}, whole{meta::Quota{}};
    for (uint64_t next = 2; next <= 40;) {
      if (random() % 2 == 0) {
        tree.Add(InodeId(next), shares[next]);
        ++next;
        continue;
      }
      const uint64_t i = random() % 39 + 2;
      meta::UsageShare after = shares[i];
      after.home = InodeId(i <= 10 ? random() % (i - 1) + 1 : random() % 10 + 1);  // lower: no rings
      if (i > 10) after.bytes = random() % 100;
      if (i > 10 && random() % 4 == 0) after = {};
      const meta::UsageChange change{InodeId(i), shares[i], after};
      tree.Apply({&change, 1});
      shares[i] = after;
    }
    tree.Complete();
    for (const auto& [id, share] : shares) whole.Add(InodeId(id), share);
    whole.Complete();
    ASSERT_TRUE(tree.Differences(whole, 10).empty()) << "round " << round;
  }
}

TEST_F(UsageTest, TheCheckNoticesWrongFiguresAndRepairsThem) {
  Open();
  auto d = Make(kRootInode, "d", S_IFDIR);
  ASSERT_TRUE(Make(d->id, "f"));
  ASSERT_TRUE(c->TrackUsage().ok());
  // What no operation does: a file longer behind the back of the accounts.
  const_cast<meta::FsContext&>(c->fs()).track_usage = false;
  ASSERT_TRUE(Make(d->id, "unseen"));
  const_cast<meta::FsContext&>(c->fs()).track_usage = true;
  EXPECT_NE(Compare(), "");
  auto wrong = c->CheckUsage(false);
  ASSERT_TRUE(wrong);
  EXPECT_EQ(wrong->size(), 2u);
  EXPECT_NE(Compare(), "");
  ASSERT_TRUE(c->CheckUsage(true));
  EXPECT_EQ(Compare(), "");
}

TEST_F(UsageTest, AFileOfSeveralNamesCountsOnceAtTheOldestThatIsLeft) {
  Open();
  ASSERT_TRUE(c->TrackUsage().ok());
  auto a = Make(kRootInode, "a", S_IFDIR), b = Make(kRootInode, "b", S_IFDIR);
  auto f = Make(a->id, "f");
  ASSERT_TRUE(Resize(f->id, 100));
  ASSERT_TRUE(c->Change([&](Txn& t) { return meta::Link(t, f->id, b->id, "g"); }));
  EXPECT_EQ(c->UsageBelow(a->id)->bytes, 100u);
  EXPECT_EQ(c->UsageBelow(b->id)->files, 0u);
  EXPECT_EQ(c->UsageBelow(kRootInode)->files, 1u);
  ASSERT_TRUE(Unlink(a->id, "f").ok());
  EXPECT_EQ(c->UsageBelow(a->id)->files, 0u);
  EXPECT_EQ(c->UsageBelow(b->id)->bytes, 100u);
  ASSERT_TRUE(Unlink(b->id, "g").ok());
  EXPECT_EQ(c->UsageBelow(kRootInode)->files, 0u);
  EXPECT_EQ(Compare(), "");
}

TEST_F(UsageTest, AnOlderFileSystemGetsItsHomesAtTheFirstMount) {
  Open();
  auto d = Make(kRootInode, "d", S_IFDIR);
  auto f = Make(d->id, "f"), g = Make(d->id, "g");
  ASSERT_TRUE(Resize(f->id, 10));
  ASSERT_TRUE(c->Change([&](Txn& t) { return meta::Link(t, g->id, kRootInode, "g2"); }));
  ASSERT_TRUE(c->Change([&](Txn& t) { return meta::Link(t, g->id, d->id, "g3"); }));
  // As an older version would have left it.
  ASSERT_TRUE(c->Change([&](Txn& t) -> Status {
                 for (InodeId id : {f->id, g->id}) {
                   CURVEFS_TRY(meta::Inode inode, t.GetInode(id));
                   inode.parent = InodeId();
                   inode.flags = 0;
                   t.PutInode(inode);
                 }
                 t.Del(meta::LinkKey(FsId(1), g->id, kRootInode, "g2"));
                 t.Del(meta::LinkKey(FsId(1), g->id, d->id, "g3"));
                 meta::SuperBlock super = c->super();
                 super.homes = false;
                 t.Set(meta::SuperBlockKey(FsId(1)), meta::EncodeSuperBlock(super));
                 return {};
               }).ok());
  ASSERT_TRUE(c->Shutdown().ok());
  options.read_only = true;
  Open();
  EXPECT_EQ(c->TrackUsage().code(), Code::kNotSupported);
  options.read_only = false;
  Open();
  EXPECT_TRUE(c->super().homes);
  ASSERT_TRUE(c->TrackUsage().ok());
  EXPECT_EQ(Compare(), "");
  for (const char* name : {"g", "g3"}) ASSERT_TRUE(Unlink(d->id, name).ok());
  EXPECT_EQ(Compare(), "");
  EXPECT_EQ(c->UsageBelow(kRootInode)->files, 2u);
  Restart();
  ASSERT_TRUE(c->TrackUsage().ok());
  EXPECT_EQ(Compare(), "");
}

TEST_F(UsageTest, QuotasNestAndHoldForEveryWayIn) {
  Open();
  auto outer = Make(kRootInode, "outer", S_IFDIR);
  auto inner = Make(outer->id, "inner", S_IFDIR);
  ASSERT_TRUE(c->SetQuota(outer->id, {.bytes = 1000, .inodes = 5}).ok());
  ASSERT_TRUE(c->SetQuota(inner->id, {.bytes = 300}).ok());
  for (bool restarted : {false, true}) {
    if (restarted) Restart();
    auto f = Make(inner->id, "f");
    ASSERT_TRUE(f);
    EXPECT_TRUE(Resize(f->id, 300));
    EXPECT_EQ(Resize(f->id, 301).error().code(), Code::kQuotaExceeded);
    EXPECT_EQ(c->Change([&](Txn& t) { return meta::Allocate(t, f->id, 301, true, false); }).error().code(),
              Code::kQuotaExceeded);
    auto g = Make(outer->id, "g");
    EXPECT_EQ(Resize(g->id, 701).error().code(), Code::kQuotaExceeded);
    EXPECT_TRUE(Resize(g->id, 700));
    EXPECT_EQ(c->AnnounceLength(g->id, 701, false).code(), Code::kQuotaExceeded);
    // Into the inner one: refused there, though the outer one would not change.
    EXPECT_EQ(Rename(outer->id, "g", inner->id, "g").code(), Code::kQuotaExceeded);
    auto big = Make(kRootInode, "big");
    EXPECT_TRUE(Resize(big->id, 5000));
    EXPECT_EQ(Rename(kRootInode, "big", outer->id, "big").code(), Code::kQuotaExceeded);
    // Replacing makes room in the same step.
    ASSERT_TRUE(Resize(big->id, 700));
    EXPECT_TRUE(Rename(kRootInode, "big", outer->id, "g").ok());
    EXPECT_EQ(c->UsageBelow(outer->id)->bytes, 1000u);
    // Inodes: inner, f, g and two more.
    EXPECT_TRUE(Make(outer->id, "h"));
    EXPECT_TRUE(Make(inner->id, "i", S_IFDIR));
    EXPECT_EQ(Make(inner->id, "j").error().code(), Code::kQuotaExceeded);
    // What is stored of accepted data is never refused, and leaving or shrinking always works.
    EXPECT_TRUE(Append(f->id, 0, 400));
    EXPECT_TRUE(Resize(f->id, 350));
    EXPECT_TRUE(Rename(inner->id, "f", kRootInode, "f").ok());
    for (const char* name : {"g", "h"}) EXPECT_TRUE(Unlink(outer->id, name).ok());
    EXPECT_TRUE(Unlink(kRootInode, "f").ok());
    EXPECT_TRUE(c->Change([&](Txn& t) { return meta::RemoveDirectory(t, inner->id, "i"); }));
    EXPECT_EQ(Compare(), "");
  }
  EXPECT_EQ(c->ListQuotas().size(), 2u);
  // A tree moves with all that it holds.
  auto tree = Make(kRootInode, "tree", S_IFDIR);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Make(tree->id, std::to_string(i)));
  EXPECT_EQ(Rename(kRootInode, "tree", outer->id, "tree").code(), Code::kQuotaExceeded);
  ASSERT_TRUE(Unlink(tree->id, "0").ok());
  EXPECT_TRUE(Rename(kRootInode, "tree", outer->id, "tree").ok());
  // A directory's quota goes with it.
  EXPECT_TRUE(c->Change([&](Txn& t) { return meta::RemoveDirectory(t, outer->id, "inner"); }));
  EXPECT_EQ(c->ListQuotas().size(), 1u);
  Restart();
  EXPECT_EQ(c->ListQuotas().size(), 1u);
}

TEST_F(UsageTest, TheFileSystemsOwnLimitsAnswerNoSpace) {
  format.capacity_bytes = 1000;
  format.capacity_inodes = 3;
  Open();
  auto a = Make(kRootInode, "a"), b = Make(kRootInode, "b");
  ASSERT_TRUE(Resize(a->id, 900));
  EXPECT_EQ(c->AnnounceLength(b->id, 101, false).code(), Code::kNoSpace);
  EXPECT_TRUE(c->AnnounceLength(b->id, 100, false).ok());
  EXPECT_EQ(Resize(a->id, 901).error().code(), Code::kNoSpace);  // what is announced is taken
  EXPECT_EQ(c->UsageBelow(kRootInode)->bytes, 1000u);
  EXPECT_TRUE(Append(b->id, 0, 60));
  EXPECT_EQ(c->UsageBelow(kRootInode)->bytes, 1000u);
  EXPECT_TRUE(c->AnnounceLength(b->id, 60, true).ok());
  EXPECT_EQ(c->UsageBelow(kRootInode)->bytes, 960u);
  EXPECT_TRUE(Make(kRootInode, "c"));
  EXPECT_EQ(Make(kRootInode, "d").error().code(), Code::kNoSpace);
  ASSERT_TRUE(c->SetQuota(kRootInode, {.inodes = 4}).ok());
  EXPECT_TRUE(Make(kRootInode, "d"));
  EXPECT_TRUE(Resize(a->id, 5000));
  Restart();
  EXPECT_EQ(Make(kRootInode, "e").error().code(), Code::kNoSpace);
}

}  // namespace
}  // namespace curvefs::metaserver
