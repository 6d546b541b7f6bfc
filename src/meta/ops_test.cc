// The rules of the file system, on a plain map.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/crc32c.h"
#include "meta/acl.h"
#include "meta/extents.h"
#include "meta/ops/attributes.h"
#include "meta/ops/content.h"
#include "meta/ops/create.h"
#include "meta/ops/names.h"
#include "meta/ops/rename.h"

namespace curvefs::meta {
namespace {

// The simplest View that takes batches.
class MapView final : public kv::View {
 public:
  Status Get(std::string_view key, std::string* value) const override {
    auto it = map.find(std::string(key));
    if (it == map.end()) return Code::kNotFound;
    *value = it->second;
    return {};
  }
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    for (auto it = map.lower_bound(std::string(begin)); it != map.end() && (end.empty() || it->first < end);
         ++it) {
      if (!visit(it->first, it->second)) break;
    }
    return {};
  }
  void Apply(const kv::WriteBatch& batch) {
    kv::WriteBatch::ForEachTrusted(batch.encoded(),
                                   [&](kv::RecordType type, std::string_view key, std::string_view value) {
                                     if (type == kv::RecordType::kSet) {
                                       map[std::string(key)] = value;
                                     } else {
                                       map.erase(std::string(key));
                                     }
                                   });
  }
  std::map<std::string, std::string> map;
};

class Ops : public testing::Test {
 protected:
  Ops() {
    EXPECT_TRUE(Change([](Txn& t) -> Status {
      MakeRoot(t, 0755, 0, 0);
      return {};
    }));
  }
  template <typename F>
  auto Change(F&& f) -> decltype(f(std::declval<Txn&>())) {
    Txn txn(view, fs, Timestamp{++now});
    auto r = f(txn);
    if (r) {
      freed.insert(freed.end(), txn.freed_objects().begin(), txn.freed_objects().end());
      view.Apply(txn.ToBatch());
    }
    return r;
  }
  Status Replace(InodeId inode, const std::vector<ChunkRecord>& before,
                 const std::vector<ChunkRecord>& after) {
    auto statuses = Change([&](Txn& t) { return ReplaceChunks(t, {{inode, before, after}}); });
    return statuses ? statuses->front() : statuses.error();
  }
  Reader reader() { return Reader(view, fs); }
  InodeId Make(InodeId parent, std::string_view name, uint32_t mode) {
    auto r = Change([&](Txn& t) {
      return Create(t,
                    {.parent = parent, .name = name, .mode = mode, .symlink = S_ISLNK(mode) ? "target" : ""});
    });
    EXPECT_TRUE(r) << name << ": " << (r ? "" : r.error().ToString());
    return r ? r->id : InodeId();
  }
  InodeId File(InodeId parent, std::string_view name) { return Make(parent, name, S_IFREG | 0644); }
  InodeId Dir(InodeId parent, std::string_view name) { return Make(parent, name, S_IFDIR | 0755); }
  Code Move(InodeId p, std::string_view n, InodeId np, std::string_view nn,
            RenameKind kind = RenameKind::kReplace) {
    auto r = Change([&](Txn& t) {
      return Rename(t, {.parent = p, .name = n, .new_parent = np, .new_name = nn, .kind = kind});
    });
    return r ? Code::kOk : r.error().code();
  }
  Inode Get(InodeId id) {
    auto r = reader().GetInode(id);
    EXPECT_TRUE(r);
    return r ? *r : Inode();
  }
  InodeId Find(InodeId parent, std::string_view name) {
    auto r = Lookup(reader(), parent, name);
    return r ? r->id : InodeId();
  }
  // What holds of every tree: link counts, entry counts, parents, types.
  void CheckTree() {
    std::map<InodeId, uint32_t> links, subdirs;
    std::map<InodeId, uint64_t> entries;
    for (const auto& [key, value] : view.map) {
      ParsedKey k;
      ASSERT_TRUE(ParseKey(key, &k));
      if (k.kind != KeyKind::kDentry) continue;
      auto d = *DecodeDentry(value);
      Inode child = Get(d.inode);
      EXPECT_EQ(d.type, child.mode >> 12);
      ++links[d.inode];
      ++entries[k.inode];
      if (child.is_dir()) {
        ++subdirs[k.inode];
        EXPECT_EQ(child.parent, k.inode);
      }
    }
    uint64_t inodes = 0;
    for (const auto& [key, value] : view.map) {
      ParsedKey k;
      ParseKey(key, &k);
      if (k.kind != KeyKind::kInode) continue;
      ++inodes;
      Inode i = *DecodeInode(k.inode, value);
      bool orphan = *reader().IsOrphan(i.id);
      EXPECT_EQ(orphan, i.nlink == 0);
      if (i.is_dir()) {
        if (!orphan) {
          EXPECT_EQ(i.nlink, 2 + subdirs[i.id]) << i.id.value;
        }
        EXPECT_EQ(i.length, entries[i.id]);
        if (i.id != kRootInode) {
          EXPECT_EQ(links[i.id], orphan ? 0u : 1u);
        }
      } else {
        EXPECT_EQ(i.nlink, links[i.id]);
      }
    }
    EXPECT_EQ(inodes, reader().GetPartition(PartitionId(0))->inodes + 1);  // and the root
  }

  MapView view;
  FsContext fs;
  int64_t now = 1000;
  std::vector<ObjectRef> freed;
};

TEST_F(Ops, CreateCountsAndStampsTheParent) {
  InodeId d = Dir(kRootInode, "d");
  Inode before = Get(d);
  InodeId f = File(d, "f");
  Inode after = Get(d);
  EXPECT_EQ(after.length, 1u);
  EXPECT_GT(after.mtime, before.mtime);
  EXPECT_EQ(after.mtime, Get(f).ctime);
  EXPECT_EQ(Get(kRootInode).nlink, 3u);
  CheckTree();
}

TEST_F(Ops, CreateRefusesBadNames) {
  auto code = [&](std::string_view name) {
    return Change([&](Txn& t) { return Create(t, {.parent = kRootInode, .name = name, .mode = S_IFREG}); })
        .error()
        .code();
  };
  EXPECT_EQ(code(std::string(256, 'x')), Code::kNameTooLong);
  for (std::string_view bad : {std::string_view(""), std::string_view("."), std::string_view(".."),
                               std::string_view("a/b"), std::string_view("a\0b", 3)}) {
    EXPECT_EQ(code(bad), Code::kInvalid);
  }
  File(kRootInode, std::string(255, 'x'));
  File(kRootInode, "\x01\xff\xfe");
  EXPECT_EQ(code("\x01\xff\xfe"), Code::kExists);
}

TEST_F(Ops, SetgidDirectoryGivesItsGroup) {
  auto d = Change([&](Txn& t) {
    return Create(t, {.parent = kRootInode, .name = "d", .mode = S_IFDIR | 02775, .gid = 50});
  });
  auto f = Change([&](Txn& t) {
    return Create(t,
                  {.parent = d->id, .name = "f", .mode = S_IFREG | 0666, .uid = 1, .gid = 1, .umask = 022});
  });
  EXPECT_EQ(f->gid, 50u);
  EXPECT_EQ(f->mode & 07777, 0644u);
  auto sub = Change([&](Txn& t) {
    return Create(t,
                  {.parent = d->id, .name = "s", .mode = S_IFDIR | 0777, .uid = 1, .gid = 1, .umask = 022});
  });
  EXPECT_EQ(sub->mode & 07777, 02755u);
}

TEST_F(Ops, UnlinkedFileIsAnOrphanUntilReclaimed) {
  InodeId f = File(kRootInode, "f");
  ASSERT_TRUE(Change([&](Txn& t) { return Link(t, f, kRootInode, "g"); }));
  EXPECT_EQ(Change([&](Txn& t) { return Unlink(t, kRootInode, "f"); })->nlink, 1u);
  EXPECT_EQ(Change([&](Txn& t) { return Unlink(t, kRootInode, "g"); })->nlink, 0u);
  CheckTree();
  EXPECT_EQ(Change([&](Txn& t) { return Reclaim(t, kRootInode, 10); }).value(),
            true);  // not an orphan: untouched
  EXPECT_EQ(Change([&](Txn& t) { return Reclaim(t, f, 10); }).value(), true);
  EXPECT_FALSE(reader().GetInode(f));
  CheckTree();
  EXPECT_NE(File(kRootInode, "again"), f);
}

TEST_F(Ops, UnnamedFileCanBeLinked) {
  auto t = Change([&](Txn& x) { return CreateUnnamed(x, {.parent = kRootInode, .mode = S_IFREG | 0600}); });
  CheckTree();
  EXPECT_EQ(Change([&](Txn& x) { return Link(x, t->id, kRootInode, "named"); })->nlink, 1u);
  CheckTree();
}

TEST_F(Ops, RmdirRefusesFullAndWrong) {
  InodeId d = Dir(kRootInode, "d");
  InodeId s = Dir(d, "s");
  File(d, "f");
  auto rmdir = [&](InodeId p, std::string_view n) {
    auto r = Change([&](Txn& t) { return RemoveDirectory(t, p, n); });
    return r ? Code::kOk : r.error().code();
  };
  EXPECT_EQ(rmdir(kRootInode, "d"), Code::kNotEmpty);
  EXPECT_EQ(rmdir(d, "f"), Code::kNotDirectory);
  EXPECT_EQ(rmdir(d, "s"), Code::kOk);
  EXPECT_EQ(
      Change([&](Txn& t) { return Create(t, {.parent = s, .name = "x", .mode = S_IFREG}); }).error().code(),
      Code::kNotFound);
  CheckTree();
}

TEST_F(Ops, RenameMatrix) {
  InodeId d = Dir(kRootInode, "d"), e = Dir(kRootInode, "e"), sub = Dir(d, "sub");
  InodeId f = File(kRootInode, "f");
  File(e, "x");
  EXPECT_EQ(Move(kRootInode, "f", kRootInode, "d"), Code::kIsDirectory);
  EXPECT_EQ(Move(kRootInode, "d", kRootInode, "f"), Code::kNotDirectory);
  EXPECT_EQ(Move(kRootInode, "d", kRootInode, "e"), Code::kNotEmpty);
  EXPECT_EQ(Move(kRootInode, "d", sub, "loop"), Code::kInvalid);
  EXPECT_EQ(Move(kRootInode, "none", kRootInode, "f"), Code::kNotFound);
  EXPECT_EQ(Move(kRootInode, "f", e, "x", RenameKind::kNoReplace), Code::kExists);
  EXPECT_EQ(Move(kRootInode, "f", e, "y", RenameKind::kExchange), Code::kNotFound);
  CheckTree();
  EXPECT_EQ(Move(kRootInode, "f", e, "x"), Code::kOk);
  EXPECT_EQ(Find(e, "x"), f);
  EXPECT_EQ(Move(d, "sub", e, "sub"), Code::kOk);
  EXPECT_EQ(Get(sub).parent, e);
  CheckTree();
  EXPECT_EQ(Move(e, "sub", kRootInode, "d"), Code::kOk);  // over an empty directory
  EXPECT_EQ(Find(kRootInode, "d"), sub);
  CheckTree();
  EXPECT_EQ(Move(kRootInode, "d", e, "x", RenameKind::kExchange), Code::kOk);
  EXPECT_EQ(Find(e, "x"), sub);
  EXPECT_EQ(Find(kRootInode, "d"), f);
  EXPECT_EQ(Get(sub).parent, e);
  CheckTree();
  EXPECT_EQ(Move(kRootInode, "e", e, "x", RenameKind::kExchange), Code::kInvalid);
  EXPECT_EQ(Move(e, "x", kRootInode, "e", RenameKind::kExchange), Code::kInvalid);
  EXPECT_EQ(Move(kRootInode, "d", kRootInode, "w", RenameKind::kWhiteout), Code::kOk);
  EXPECT_EQ(Find(kRootInode, "w"), f);
  EXPECT_TRUE(S_ISCHR(Get(Find(kRootInode, "d")).mode));
  CheckTree();
}

TEST_F(Ops, RenameOfTwoNamesOfOneFileDoesNothing) {
  InodeId f = File(kRootInode, "f");
  ASSERT_TRUE(Change([&](Txn& t) { return Link(t, f, kRootInode, "g"); }));
  EXPECT_EQ(Move(kRootInode, "f", kRootInode, "g"), Code::kOk);
  EXPECT_EQ(Find(kRootInode, "f"), f);
  EXPECT_EQ(Find(kRootInode, "g"), f);
  CheckTree();
}

TEST_F(Ops, RandomTreesKeepTheirCounts) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    std::mt19937_64 rng(seed);
    std::vector<InodeId> dirs{kRootInode};
    auto dir = [&] { return dirs[rng() % dirs.size()]; };
    auto name = [&] { return std::string(1, static_cast<char>('a' + rng() % 4)); };
    for (int i = 0; i < 300; ++i) {
      switch (rng() % 6) {
        case 0: {
          auto r = Change(
              [&](Txn& t) { return Create(t, {.parent = dir(), .name = name(), .mode = S_IFDIR | 0755}); });
          if (r) dirs.push_back(r->id);
          break;
        }
        case 1:
          (void)Change([&](Txn& t) { return Create(t, {.parent = dir(), .name = name(), .mode = S_IFREG}); });
          break;
        case 2:
          (void)Change([&](Txn& t) { return Unlink(t, dir(), name()); });
          break;
        case 3:
          (void)Change([&](Txn& t) { return RemoveDirectory(t, dir(), name()); });
          break;
        default:
          (void)Move(dir(), name(), dir(), name(), static_cast<RenameKind>(rng() % 4));
          break;
      }
    }
    CheckTree();
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

TEST_F(Ops, CookiesBelongToTheirEntries) {
  InodeId d = Dir(kRootInode, "d");
  for (int i = 0; i < 500; ++i) File(d, "f" + std::to_string(i));
  std::map<std::string, uint64_t> cookies;
  ASSERT_TRUE(ListDirectory(reader(), d, 0, [&](const ListedEntry& e) {
                return cookies.emplace(e.name, e.cookie).second;
              }).ok());
  ASSERT_EQ(cookies.size(), 500u);
  // Others come and go; an entry that stays is listed exactly once after the cookie of any that was before
  // it.
  std::vector<std::string> seen;
  uint64_t cookie = 0;
  for (int round = 0;; ++round) {
    int page = 0;
    ASSERT_TRUE(ListDirectory(reader(), d, cookie, [&](const ListedEntry& e) {
                  if (page++ == 7) return false;
                  seen.emplace_back(e.name);
                  cookie = e.cookie;
                  return true;
                }).ok());
    if (page <= 7) break;
    ASSERT_TRUE(Change([&](Txn& t) { return Unlink(t, d, seen.back()); }));
    File(d, "new" + std::to_string(round));
  }
  std::map<std::string, int> times;
  for (const auto& s : seen) ++times[s];
  for (int i = 0; i < 500; ++i) EXPECT_EQ(times["f" + std::to_string(i)], 1) << i;
}

// ---- attributes

TEST_F(Ops, ChangeOfOwnerDropsSetIdBits) {
  auto f =
      Change([&](Txn& t) { return Create(t, {.parent = kRootInode, .name = "f", .mode = S_IFREG | 06755}); });
  EXPECT_EQ(Change([&](Txn& t) { return SetAttributes(t, {.inode = f->id, .uid = 5}); })->mode & 07777,
            0755u);
  auto g =
      Change([&](Txn& t) { return Create(t, {.parent = kRootInode, .name = "g", .mode = S_IFREG | 02644}); });
  EXPECT_EQ(Change([&](Txn& t) { return SetAttributes(t, {.inode = g->id, .uid = 5}); })->mode & 07777,
            02644u);
  EXPECT_EQ(Change([&](Txn& t) {
              return SetAttributes(t, {.inode = g->id, .uid = 5, .caller_in_group = false});
            })->mode &
                07777,
            0644u);
  auto d =
      Change([&](Txn& t) { return Create(t, {.parent = kRootInode, .name = "d", .mode = S_IFDIR | 06755}); });
  EXPECT_EQ(Change([&](Txn& t) { return SetAttributes(t, {.inode = d->id, .uid = 5}); })->mode & 07777,
            06755u);
}

TEST_F(Ops, XattrsComeAndGo) {
  InodeId f = File(kRootInode, "f");
  auto set = [&](std::string_view n, std::string_view v, bool create = false, bool replace = false) {
    auto r = Change([&](Txn& t) {
      return SetXattr(t, {.inode = f, .name = n, .value = v, .create = create, .replace = replace});
    });
    return r ? Code::kOk : r.error().code();
  };
  EXPECT_EQ(GetXattr(reader(), f, "user.a").error().code(), Code::kNoAttribute);
  EXPECT_EQ(set("user.a", "1", false, true), Code::kNoAttribute);
  EXPECT_EQ(set("user.a", "1"), Code::kOk);
  EXPECT_EQ(set("user.a", "2", true), Code::kExists);
  EXPECT_EQ(set("user.b", std::string(kMaxXattrValue, 'v')), Code::kOk);
  EXPECT_EQ(set("user.c", std::string(kMaxXattrValue + 1, 'v')), Code::kTooBig);
  EXPECT_EQ(*ListXattrs(reader(), f), std::string("user.a\0user.b\0", 14));
  EXPECT_TRUE(Change([&](Txn& t) { return RemoveXattr(t, f, "user.a"); }));
  EXPECT_EQ(Change([&](Txn& t) { return RemoveXattr(t, f, "user.a"); }).error().code(), Code::kNoAttribute);
  ASSERT_TRUE(Change([&](Txn& t) { return Unlink(t, kRootInode, "f"); }));
  ASSERT_TRUE(Change([&](Txn& t) { return Reclaim(t, f, 10); }));
  for (const auto& [key, value] : view.map) EXPECT_NE(key[7], 'X');
}

Acl SomeAcl() {
  return {{1, 7, ~0u}, {2, 6, 1000}, {4, 5, ~0u}, {16, 7, ~0u}, {32, 4, ~0u}};
}

TEST_F(Ops, AclsAndModesFollowEachOther) {
  InodeId f = File(kRootInode, "f");
  auto set = Change(
      [&](Txn& t) { return SetXattr(t, {.inode = f, .name = kAclAccess, .value = FormatAcl(SomeAcl())}); });
  EXPECT_EQ(set->mode & 0777, 0774u);
  ASSERT_TRUE(Change([&](Txn& t) { return SetAttributes(t, {.inode = f, .mode = 0640}); }));
  Acl now = *ParseAcl(*GetXattr(reader(), f, kAclAccess));
  EXPECT_EQ(ModeOf(now), 0640u);
  EXPECT_EQ(now[2].perm, 5);  // the group's own entry stays behind the mask
  // One that the mode can express is not kept.
  Acl minimal{{1, 6, ~0u}, {4, 4, ~0u}, {32, 0, ~0u}};
  EXPECT_EQ(Change([&](Txn& t) {
              return SetXattr(t, {.inode = f, .name = kAclAccess, .value = FormatAcl(minimal)});
            })->mode &
                0777,
            0640u);
  EXPECT_FALSE(GetXattr(reader(), f, kAclAccess));
}

TEST_F(Ops, DefaultAclIsInheritedInPlaceOfTheUmask) {
  InodeId d = Dir(kRootInode, "d");
  ASSERT_TRUE(Change(
      [&](Txn& t) { return SetXattr(t, {.inode = d, .name = kAclDefault, .value = FormatAcl(SomeAcl())}); }));
  auto f = Change(
      [&](Txn& t) { return Create(t, {.parent = d, .name = "f", .mode = S_IFREG | 0666, .umask = 077}); });
  EXPECT_EQ(f->mode & 0777, 0664u);
  EXPECT_EQ(ParseAcl(*GetXattr(reader(), f->id, kAclAccess))->size(), 5u);
  auto s = Change(
      [&](Txn& t) { return Create(t, {.parent = d, .name = "s", .mode = S_IFDIR | 0777, .umask = 077}); });
  EXPECT_EQ(*GetXattr(reader(), s->id, kAclDefault), FormatAcl(SomeAcl()));
}

TEST(Acl, RefusesWhatIsNotOne) {
  EXPECT_TRUE(ParseAcl(FormatAcl(SomeAcl())));
  for (auto spoil : {+[](Acl* a) { a->pop_back(); }, +[](Acl* a) { a->erase(a->begin() + 3); },
                     +[](Acl* a) { std::swap((*a)[0], (*a)[1]); }, +[](Acl* a) { (*a)[1].perm = 8; },
                     +[](Acl* a) { (*a)[1].tag = 3; }, +[](Acl* a) { a->push_back(a->back()); }}) {
    Acl a = SomeAcl();
    spoil(&a);
    EXPECT_FALSE(ParseAcl(FormatAcl(a)));
  }
  EXPECT_FALSE(ParseAcl("\x02\0\0"));
}

// ---- content

// A file as chunk records against the same file as bytes. Objects are strings.
class Content : public Ops {
 protected:
  Content() {
    fs.chunk_size = 1000;
    a = File(kRootInode, "a");
    b = File(kRootInode, "b");
  }
  ChunkRecord Record(std::mt19937_64& rng, uint64_t offset, uint64_t len, std::string* bytes) {
    bytes->clear();
    for (uint64_t i = 0; i < len; ++i) bytes->push_back(static_cast<char>('a' + rng() % 26));
    ChunkRecord r{.offset = offset, .len = len};
    if (rng() % 3 == 0) {
      r.inline_data = *bytes;
      r.inline_crc = Crc32c(*bytes);
    } else {
      r.chunk_id = ChunkId(++next_chunk);
      r.object_inode = a;
      r.object_size = len;
      objects[r.chunk_id] = *bytes;
    }
    return r;
  }
  std::string ReadFile(InodeId id) {
    uint64_t length = Get(id).length;
    auto records = *RecordsInRange(reader(), id, 0, length);
    std::string out(length, '\0');
    for (const Piece& p : Resolve(records, 0, length)) {
      if (p.record < 0) continue;
      const ChunkRecord& r = records[static_cast<size_t>(p.record)];
      if (r.in_object()) {
        EXPECT_TRUE(objects.contains(r.chunk_id));
        out.replace(p.offset, p.len,
                    objects[r.chunk_id].substr(r.object_offset + p.offset - r.offset, p.len));
      } else {
        EXPECT_EQ(Crc32c(r.inline_data), r.inline_crc);
        out.replace(p.offset, p.len, r.inline_data.substr(p.offset - r.offset, p.len));
      }
    }
    return out;
  }
  void DeleteFreed() {
    for (const auto& o : freed) {
      objects.erase(o.chunk);
      view.map.erase(FreeKey(fs.fs, PartitionId(0), o.chunk));
    }
    freed.clear();
  }
  // Byte counts, reference counts, and that exactly the objects without users are to be freed.
  void CheckBooks() {
    std::map<ChunkId, uint64_t> uses, counted;
    std::map<InodeId, uint64_t> bytes;
    std::set<ChunkId> free;
    for (const auto& [key, value] : view.map) {
      ParsedKey k;
      ASSERT_TRUE(ParseKey(key, &k));
      if (k.kind == KeyKind::kChunk) {
        ChunkRecord r = *DecodeChunk(k.inode, k.sequence, value);
        EXPECT_EQ(r.offset / fs.chunk_size, k.chunk_index);
        EXPECT_EQ((r.end() - 1) / fs.chunk_size, k.chunk_index);
        EXPECT_LE(r.end(), Get(k.inode).length);
        if (r.in_object()) ++uses[r.chunk_id];
        if (!r.is_zeros()) bytes[k.inode] += r.len;
      } else if (k.kind == KeyKind::kRefs) {
        counted[k.chunk] = DecodeRefs(value)->count;
      } else if (k.kind == KeyKind::kFree) {
        free.insert(k.chunk);
      }
    }
    for (const auto& [chunk, bytes_of] : objects) {
      uint64_t n = uses.contains(chunk) ? uses[chunk] : 0;
      EXPECT_EQ(counted.contains(chunk) ? counted[chunk] : std::min<uint64_t>(n, 1), n) << chunk.value;
      EXPECT_EQ(free.contains(chunk), n == 0) << chunk.value;
    }
    uint64_t total = 0;
    for (InodeId id : {a, b}) {
      EXPECT_EQ(Get(id).bytes, bytes[id]);
      total += bytes[id];
    }
    EXPECT_EQ(reader().GetPartition(PartitionId(0))->bytes, total);
  }

  InodeId a, b;
  uint64_t next_chunk = 0;
  std::map<ChunkId, std::string> objects;
};

TEST_F(Content, RandomChangesReadAsTheBytesDo) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    std::mt19937_64 rng(seed);
    DeleteFreed();
    std::map<InodeId, std::string> model{{a, ReadFile(a)}, {b, ReadFile(b)}};
    for (int step = 0; step < 60; ++step) {
      InodeId id = rng() % 2 ? a : b;
      std::string& m = model[id];
      uint64_t offset = rng() % 3000, len = 1 + rng() % 700;
      switch (rng() % 7) {
        case 0:
        case 1:
        case 2: {  // a few records at once
          AppendRequest request{.inode = id};
          std::vector<std::pair<uint64_t, std::string>> writes;
          for (uint64_t i = 0, n = 1 + rng() % 3; i < n; ++i) {
            uint64_t at = rng() % 3000, size = 1 + rng() % std::min<uint64_t>(700, 1000 - at % 1000);
            std::string bytes;
            request.records.push_back(Record(rng, at, size, &bytes));
            writes.emplace_back(at, bytes);
          }
          ASSERT_TRUE(Change([&](Txn& t) { return AppendChunks(t, request); }));
          for (auto& [at, bytes] : writes) {
            if (m.size() < at + bytes.size()) m.resize(at + bytes.size());
            m.replace(at, bytes.size(), bytes);
          }
          break;
        }
        case 3: {  // truncate, down or up
          ASSERT_TRUE(Change([&](Txn& t) { return SetAttributes(t, {.inode = id, .size = offset}); }));
          m.resize(offset);
          break;
        }
        case 4: {
          ASSERT_TRUE(Change([&](Txn& t) { return ZeroRange(t, id, offset, len, false); }));
          for (uint64_t i = offset; i < std::min<uint64_t>(offset + len, m.size()); ++i) m[i] = 0;
          break;
        }
        case 5: {  // copy_file_range
          InodeId from = rng() % 2 ? a : b;
          uint64_t at = rng() % 3000;
          if (at + len > model[from].size()) break;
          if (from == id && at < offset + len && offset < at + len) break;
          CloneRequest request{
              .from = from, .from_offset = at, .to = id, .to_offset = offset, .len = len, .max_records = 3};
          std::string bytes = model[from].substr(at, len);
          while (request.len > 0) {
            auto r = Change([&](Txn& t) { return CloneRange(t, request); });
            ASSERT_TRUE(r);
            ASSERT_GT(r->bytes, 0u);
            request.from_offset += r->bytes;
            request.to_offset += r->bytes;
            request.len -= r->bytes;
          }
          if (m.size() < offset + len) m.resize(offset + len);
          m.replace(offset, len, bytes);
          break;
        }
        case 6: {  // compaction of one chunk
          auto chunk = static_cast<uint32_t>(rng() % 3);
          auto before = *reader().ChunkRecords(id, chunk);
          if (before.empty()) break;
          uint64_t begin = chunk * fs.chunk_size, end = std::min<uint64_t>(begin + fs.chunk_size, m.size());
          std::vector<ChunkRecord> after;
          for (const Piece& p : Resolve(before, begin, end - begin)) {
            if (p.record < 0) continue;
            ChunkRecord r{.offset = p.offset,
                          .len = p.len,
                          .chunk_id = ChunkId(++next_chunk),
                          .compaction = 1,
                          .object_inode = id,
                          .object_size = p.len};
            objects[r.chunk_id] = m.substr(p.offset, p.len);
            after.push_back(r);
          }
          ASSERT_TRUE(Replace(id, before, after).ok());
          break;
        }
      }
      ASSERT_EQ(ReadFile(a), model[a]) << "seed " << seed << " step " << step;
      ASSERT_EQ(ReadFile(b), model[b]) << "seed " << seed << " step " << step;
      CheckBooks();
      ASSERT_FALSE(HasFailure()) << "seed " << seed << " step " << step;
    }
  }
}

// The books above would notice: an object freed while in use.
TEST_F(Content, CanaryAFreedObjectInUseIsNoticed) {
  std::mt19937_64 rng(1);
  std::string bytes;
  AppendRequest request{.inode = a};
  ChunkRecord r{.offset = 0, .len = 10, .chunk_id = ChunkId(1), .object_inode = a, .object_size = 10};
  request.records = {r};
  ASSERT_TRUE(Change([&](Txn& t) { return AppendChunks(t, request); }));
  view.map[FreeKey(fs.fs, PartitionId(0), ChunkId(1))] = EncodeFreeObject({ChunkId(1), 0, 0, a});
  std::set<ChunkId> free, used;
  for (const auto& [key, value] : view.map) {
    ParsedKey k;
    ParseKey(key, &k);
    if (k.kind == KeyKind::kFree) free.insert(k.chunk);
    if (k.kind == KeyKind::kChunk) used.insert(DecodeChunk(k.inode, k.sequence, value)->chunk_id);
  }
  EXPECT_EQ(free, used);
}

TEST_F(Content, CompactionKeepsNewerWritesAndLosesToChangesOfWhatItRead) {
  std::mt19937_64 rng(1);
  auto append = [&](uint64_t offset, uint64_t len) {
    std::string bytes;
    ChunkRecord record = Record(rng, offset, len, &bytes);
    EXPECT_TRUE(Change([&](Txn& t) { return AppendChunks(t, {.inode = a, .records = {record}}); }));
  };
  append(0, 100);
  append(100, 200);
  auto before = *reader().ChunkRecords(a, 0);
  std::string seen = ReadFile(a);
  ChunkRecord whole{.offset = 0, .len = 300, .chunk_id = ChunkId(99), .object_inode = a, .object_size = 300};
  objects[ChunkId(99)] = seen;
  append(250, 10);  // leaves what compaction read as it is, and is newer
  std::string newer = ReadFile(a);
  ASSERT_NE(seen, newer);
  ASSERT_TRUE(Replace(a, before, {whole}).ok());
  EXPECT_EQ(ReadFile(a), newer);
  before = *reader().ChunkRecords(a, 0);
  append(290, 20);  // cuts what compaction read
  newer = ReadFile(a);
  EXPECT_EQ(Replace(a, before, {whole}).code(), Code::kBusy);
  EXPECT_EQ(ReadFile(a), newer);
}

TEST_F(Content, TheTimeOfAWriteComesWithIt) {
  std::mt19937_64 rng(1);
  auto append = [&](std::optional<Timestamp> written) {
    std::string bytes;
    auto r = Change([&](Txn& t) {
      return AppendChunks(t, {.inode = a, .records = {Record(rng, 0, 10, &bytes)}, .written = written});
    });
    EXPECT_TRUE(r);
  };
  const Timestamp made = Get(a).mtime;
  append(std::nullopt);
  EXPECT_EQ(Get(a).mtime, made);
  append(Timestamp{1'500});
  EXPECT_EQ(Get(a).mtime, Timestamp{1'500});
  EXPECT_EQ(Get(a).ctime, Timestamp{1'500});
  // Set to what it never was, and written again.
  now = 2'000;
  ASSERT_TRUE(Change([&](Txn& t) { return SetAttributes(t, {.inode = a, .mtime = Timestamp{9'000}}); }));
  append(Timestamp{3'000});
  EXPECT_EQ(Get(a).mtime, Timestamp{3'000});
  // The mode was changed after the write, by somebody else: no time goes back.
  now = 5'000;
  ASSERT_TRUE(Change([&](Txn& t) { return SetAttributes(t, {.inode = a, .mode = 0600}); }));
  append(Timestamp{4'000});
  EXPECT_EQ(Get(a).mtime, Timestamp{4'000});
  EXPECT_EQ(Get(a).ctime, Timestamp{5'001});
}

TEST_F(Content, TruncateUpAfterDownReadsZeros) {
  std::mt19937_64 rng(1);
  std::string bytes;
  ASSERT_TRUE(Change(
      [&](Txn& t) { return AppendChunks(t, {.inode = a, .records = {Record(rng, 0, 100, &bytes)}}); }));
  ASSERT_TRUE(Change([&](Txn& t) { return SetAttributes(t, {.inode = a, .size = 40}); }));
  ASSERT_TRUE(Change([&](Txn& t) { return SetAttributes(t, {.inode = a, .size = 100}); }));
  EXPECT_EQ(ReadFile(a), bytes.substr(0, 40) + std::string(60, '\0'));
}

TEST_F(Content, ReclaimingTakesManySmallSteps) {
  std::mt19937_64 rng(1);
  for (uint64_t i = 0; i < 50; ++i) {
    std::string bytes;
    ASSERT_TRUE(Change(
        [&](Txn& t) { return AppendChunks(t, {.inode = a, .records = {Record(rng, i * 60, 20, &bytes)}}); }));
  }
  ASSERT_TRUE(Change([&](Txn& t) { return Unlink(t, kRootInode, "a"); }));
  int steps = 1;
  while (!*Change([&](Txn& t) { return Reclaim(t, a, 7); })) ++steps;
  EXPECT_EQ(steps, 8);
  EXPECT_EQ(reader().GetPartition(PartitionId(0))->bytes, 0u);
  EXPECT_EQ(freed.size(), objects.size());
}

// An object that files share lives until the last of them lets go; who used it and how much is known.
TEST_F(Ops, SharedObjects) {
  const InodeId root = kRootInode, a = File(root, "a"), b = File(root, "b"), gone = File(root, "gone");
  ASSERT_TRUE(Change([&](Txn& t) { return Unlink(t, root, "gone"); }));
  ASSERT_TRUE(Change([&](Txn& t) { return Reclaim(t, gone, 100); }));
  auto part = [](uint64_t at, uint64_t len) {
    return ChunkRecord{.offset = 0,
                       .len = len,
                       .chunk_id = ChunkId(77),
                       .object_inode = kRootInode,
                       .object_offset = at,
                       .object_size = 1000};
  };
  auto replies = Change([&](Txn& t) {
    return AppendChunks(t, {{a, {part(0, 600)}}, {gone, {part(600, 100)}}, {b, {part(700, 300)}}});
  });
  ASSERT_TRUE(replies);
  EXPECT_EQ((*replies)[1].error().code(), Code::kNotFound);
  auto refs = [&] { return *DecodeRefs(view.map.at(RefsKey(fs.fs, PartitionId(0), ChunkId(77)))); };
  EXPECT_EQ(refs(), (ObjectRefs{2, 900}));
  const std::string shared = SharedKey(fs.fs, PartitionId(0), ChunkId(77));
  EXPECT_EQ(DecodeShared(ChunkId(77), view.map.at(shared))->users,
            (std::vector<SharedObject::User>{{a, 0}, {b, 0}}));

  // A copy counts as well, though not as one of those it was packed for.
  const InodeId copy = File(root, "copy");
  ASSERT_TRUE(Change([&](Txn& t) { return CloneRange(t, {.from = b, .to = copy, .len = 50}); }));
  EXPECT_EQ(refs(), (ObjectRefs{3, 950}));
  ASSERT_TRUE(Change([&](Txn& t) { return ZeroRange(t, b, 100, 200, false); }));
  EXPECT_EQ(refs(), (ObjectRefs{3, 750}));
  bool sparse = false;
  auto cut = [&](InodeId id) {
    return Change([&](Txn& t) {
      auto r = SetAttributes(t, {.inode = id, .size = 0});
      sparse = t.sparse_objects() == std::vector{ChunkId(77)};
      return r;
    });
  };
  ASSERT_TRUE(cut(a));
  EXPECT_EQ(refs(), (ObjectRefs{2, 150}));
  EXPECT_TRUE(sparse);
  ASSERT_TRUE(cut(copy));
  EXPECT_EQ(refs(), (ObjectRefs{1, 100})) << "kept for the last one too";
  EXPECT_TRUE(freed.empty());
  ASSERT_TRUE(cut(b));
  EXPECT_EQ(freed.size(), 1u);
  EXPECT_FALSE(view.map.contains(shared));
  EXPECT_FALSE(view.map.contains(RefsKey(fs.fs, PartitionId(0), ChunkId(77))));
}

TEST_F(Ops, ALoopOfDirectoriesIsReportedNotFollowed) {
  const InodeId a = Dir(kRootInode, "a"), b = Dir(a, "b"), c = Dir(kRootInode, "c");
  Inode broken = *reader().GetInode(a);
  broken.parent = b;
  view.map[InodeKey(fs.fs, a)] = EncodeInode(broken);
  auto moved = Change([&](Txn& t) {
    return Rename(t, {.parent = kRootInode, .name = "c", .new_parent = b, .new_name = "c"});
  });
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code(), Code::kCorrupt);
  EXPECT_TRUE(reader().GetInode(c));
}

}  // namespace
}  // namespace curvefs::meta
