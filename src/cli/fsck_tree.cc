// Names, directories, reachability and the counts that follow from them.
#include <algorithm>
#include <string>

#include "cli/base64.h"
#include "cli/fsck_checker.h"
#include "meta/acl.h"
#include "meta/ops/create.h"

namespace curvefs::cli {
namespace {

constexpr std::string_view kLostAndFoundName = "lost+found";

std::string Printable(std::string_view name) {
  return IsPlainUtf8(name) ? "'" + std::string(name) + "'" : "base64 " + ToBase64(name);
}

}  // namespace

using meta::KeyKind;
using Level = Finding::Level;

// The second walk: entries and what else hangs on inodes, now that all inodes are known.
Status Checker::ScanEntries() {
  CURVEFS_CHECK_OK(view_.Scan("", "", [&](std::string_view raw_key, std::string_view value) {
    meta::ParsedKey key;
    if (!meta::ParseKey(raw_key, &key) || repairs_.contains(std::string(raw_key))) return true;
    InodeFacts* owner = Find(key.inode);
    auto ownerless = [&](const char* what) {
      Found(Level::kRepairable, "no-inode",
            std::string(what) + " of inode " + std::to_string(key.inode.value) + ", which is not there");
      Drop(raw_key);
    };
    switch (key.kind) {
      case KeyKind::kDentry:
        if (auto dentry = meta::DecodeDentry(value)) TakeEntry(key, raw_key, *dentry, false);
        break;
      case KeyKind::kXattr:
        if (owner == nullptr) {
          ownerless("an extended attribute");
          break;
        }
        owner->has_xattr = true;
        owner->access_acl |= key.name == meta::kAclAccess;
        owner->default_acl |= key.name == meta::kAclDefault;
        break;
      case KeyKind::kOrphan:
        if (owner == nullptr) {
          ownerless("the mark of an orphan");
        } else {
          owner->orphan = true;
          ++orphans_;
        }
        break;
      case KeyKind::kQuota:
        if (owner == nullptr || !owner->is_dir()) ownerless("a quota");
        break;
      case KeyKind::kLink: {
        std::string ignored;
        const std::string entry =
            meta::DentryKey(fs_, key.parent, meta::NameHash(hash_seed_, key.name), key.name);
        auto dentry = view_.Get(entry, &ignored).ok() ? meta::DecodeDentry(ignored) : Fail(Code::kNotFound);
        if (owner == nullptr || owner->is_dir() || !dentry || dentry->inode != key.inode) {
          Found(Level::kRepairable, "link-record",
                "inode " + std::to_string(key.inode.value) + " has a record of the name " +
                    Printable(key.name) + " in inode " + std::to_string(key.parent.value) +
                    ", which is not its name");
          Drop(raw_key);
        } else {
          owner->has_links = true;
        }
        break;
      }
      case KeyKind::kChunk: {
        if (owner == nullptr || !owner->is_file()) {
          ownerless("a chunk record");
          break;
        }
        if (auto record = meta::DecodeChunk(key.inode, key.sequence, value)) {
          if (!record->is_zeros()) owner->chunk_bytes += record->len;
          owner->chunk_end = std::max(owner->chunk_end, record->end());
        }
        break;
      }
      default:
        break;
    }
    return true;
  }));
  for (const auto& [raw_key, dentry] : deferred_) {
    meta::ParsedKey key;
    if (meta::ParseKey(raw_key, &key)) TakeEntry(key, raw_key, dentry, true);
  }
  deferred_.clear();
  return {};
}

void Checker::TakeEntry(const meta::ParsedKey& key, std::string_view raw_key, const meta::Dentry& dentry,
                        bool deferred) {
  const std::string where = Printable(key.name) + " in inode " + std::to_string(key.inode.value);
  auto drop = [&](std::string_view kind, const std::string& what) {
    Found(Level::kRepairable, kind, where + ": " + what);
    Drop(raw_key);
  };
  InodeFacts* parent = Find(key.inode);
  InodeFacts* child = Find(dentry.inode);
  if (parent == nullptr || !parent->is_dir())
    return drop("entry-parent", "an entry of something that is not a directory");
  if (child == nullptr)
    return drop("entry-inode", "names inode " + std::to_string(dentry.inode.value) + ", which is not there");
  if (!meta::CheckName(key.name).ok()) return drop("entry-name", "not a valid name");
  if (dentry.inode == kRootInode) return drop("entry-inode", "names the root");
  if (child->is_dir() && child->parent != key.inode && !deferred) {
    // The entry where the directory itself believes to be wins, and may still come.
    deferred_.push_back({std::string(raw_key), dentry});
    return;
  }
  if (child->is_dir() && child->names > 0) {
    return drop("directory-links", "a second name of directory " + std::to_string(dentry.inode.value));
  }
  if (deferred) {
    Found(Level::kRepairable, "directory-parent",
          where + ": directory " + std::to_string(dentry.inode.value) + " believes to be in inode " +
              std::to_string(child->parent.value));
    child->parent = key.inode;
    Mend(dentry.inode)->parent = key.inode;
  }
  const uint64_t hash = meta::NameHash(hash_seed_, key.name);
  if (super_ && hash != key.name_hash) {
    drop("entry-hash", "stands at the wrong place of its directory");
    Set(meta::DentryKey(fs_, key.inode, hash, key.name),
        meta::EncodeDentry({dentry.inode, child->mode >> 12}));
  } else if (dentry.type != child->mode >> 12) {
    Found(Level::kRepairable, "entry-type",
          where + ": its type is not that of inode " + std::to_string(dentry.inode.value));
    Set(std::string(raw_key), meta::EncodeDentry({dentry.inode, child->mode >> 12}));
  }
  if (!child->is_dir()) TakeHome(key, dentry.inode, child);
  ++child->names;
  if (child->names == 1) child->named_in = key.inode;
  ++parent->entries;
  if (child->is_dir()) ++parent->subdirs;
}

// A file's name without a link record is the one at home. Records are dropped and made by what is found here.
void Checker::TakeHome(const meta::ParsedKey& key, InodeId child_id, InodeFacts* child) {
  std::string value;
  const std::string link = meta::LinkKey(fs_, child_id, key.inode, key.name);
  if (view_.Get(link, &value).ok()) return;
  if (++child->home_names == 1) {
    child->home = key.inode;
  } else if (super_ && super_->homes) {
    Found(Level::kRepairable, "link-record",
          Printable(key.name) + " in inode " + std::to_string(key.inode.value) +
              " is a further name of inode " + std::to_string(child_id.value) + " without a record");
    Set(link, {});
    child->has_links = true;
  }
}

// Where a file counts. Before a version that keeps homes has mounted the file system there are none.
void Checker::CheckHome(InodeId id, const InodeFacts& facts) {
  if (!super_ || !super_->homes || facts.is_dir() || facts.names == 0) return;
  InodeId home = facts.home;
  if (facts.home_names == 0) {
    // All its names have a record: the first of them is made the one at home.
    const std::string prefix = meta::InodePrefix(fs_, KeyKind::kLink, id);
    (void)view_.Scan(prefix, kv::PrefixEnd(prefix), [&](std::string_view raw_key, std::string_view) {
      meta::ParsedKey key;
      if (repairs_.contains(std::string(raw_key)) || !meta::ParseKey(raw_key, &key)) return true;
      home = key.parent;
      Drop(raw_key);
      return false;
    });
  }
  if (home == facts.parent && facts.home_names > 0) return;
  Found(Level::kRepairable, "home",
        Named(id) + " counts in inode " + std::to_string(facts.parent.value) + ", should in " +
            std::to_string(home.value));
  Mend(id)->parent = home;
}

void Checker::CheckSuper() {
  if (!super_)
    Found(Level::kLost, "super-block",
          "there is no super block: restore DIR/meta from a backup, or 'curvefs load' a dump");
  InodeFacts* root = Find(kRootInode);
  if (root != nullptr && root->is_dir()) return;
  Found(Level::kRepairable, "root", "there is no root directory");
  meta::Inode& inode = mended_[kRootInode];  // instead of whatever stands there
  inode.id = inode.parent = kRootInode;
  inode.mode = S_IFDIR | 0755;
  inode.nlink = 2;
  inodes_[kRootInode.value] = {.mode = inode.mode, .nlink = 2, .parent = kRootInode};
}

// Whether `dir` hangs below the root, by the names that were found good.
bool Checker::Reaches(InodeId dir) {
  using Reach = InodeFacts::Reach;
  std::vector<InodeFacts*> way;
  bool reached = false;
  for (InodeId at = dir;;) {
    InodeFacts* facts = Find(at);
    if (at == kRootInode || (facts != nullptr && facts->reach == Reach::kReached)) {
      reached = true;
      break;
    }
    if (facts == nullptr || facts->names == 0 || facts->reach == Reach::kOnTheWay) break;
    facts->reach = Reach::kOnTheWay;
    way.push_back(facts);
    at = facts->named_in;
  }
  for (InodeFacts* facts : way) facts->reach = reached ? Reach::kReached : Reach::kUnknown;
  return reached;
}

// Directories in a ring have names but no way from the root: the ring is opened at one of them.
void Checker::CheckReach() {
  for (auto& [number, facts] : inodes_) {
    const InodeId id(number);
    if (!facts.is_dir() || facts.names == 0 || Reaches(id)) continue;
    // Up to the first one met twice (then it is a ring) or the nameless one (rescued by itself).
    std::map<InodeId, bool> seen;
    InodeId at = id;
    while (Find(at) != nullptr && Find(at)->names > 0 && !seen[at]) {
      seen[at] = true;
      at = Find(at)->named_in;
    }
    InodeFacts* cut = Find(at);
    if (cut == nullptr || cut->names == 0) continue;
    std::string prefix = meta::InodePrefix(fs_, KeyKind::kDentry, cut->named_in);
    (void)view_.Scan(prefix, kv::PrefixEnd(prefix), [&](std::string_view key, std::string_view value) {
      auto dentry = meta::DecodeDentry(value);
      if (!dentry || dentry->inode != at) return true;
      Found(Level::kRepairable, "directory-ring",
            "directory " + std::to_string(at.value) + " is below itself");
      Drop(key);
      return false;
    });
    cut->names = 0;
  }
}

void Checker::CheckInodes() {
  for (auto& [number, facts] : inodes_) {
    const InodeId id(number);
    CheckLinks(id, facts);
    CheckHome(id, facts);
    CheckAttributes(id, facts);
  }
}

void Checker::CheckLinks(InodeId id, const InodeFacts& facts) {
  const bool named = facts.names > 0 || id == kRootInode;
  if (named && facts.orphan) {
    Found(Level::kRepairable, "orphan", Named(id) + " is marked as an orphan and has a name");
    Drop(meta::OrphanKey(fs_, id));
  }
  if (!named) {
    if (facts.orphan) return;  // reclaimed at the next mount
    Found(Level::kRepairable, "unreachable", "inode " + std::to_string(id.value) + " has no name");
    return Rescue(id, facts);
  }
  const uint32_t links = facts.is_dir() ? 2 + facts.subdirs : facts.names;
  if (facts.nlink != links) {
    Found(Level::kRepairable, "link-count",
          Named(id) + " has link count " + std::to_string(facts.nlink) + ", should be " +
              std::to_string(links));
    Mend(id)->nlink = links;
  }
  if (!facts.is_dir()) return;
  if (facts.length != facts.entries) {
    Found(Level::kRepairable, "entry-count",
          Named(id) + " says it has " + std::to_string(facts.length) + " entries, and has " +
              std::to_string(facts.entries));
    Mend(id)->length = facts.entries;
  }
  if (id == kRootInode && facts.parent != kRootInode) {
    Found(Level::kRepairable, "directory-parent", "the root is not its own parent");
    Mend(id)->parent = kRootInode;
  }
}

void Checker::CheckAttributes(InodeId id, const InodeFacts& facts) {
  if (facts.bytes != facts.chunk_bytes) {
    Found(Level::kRepairable, "byte-count",
          Named(id) + " says it holds " + std::to_string(facts.bytes) + " bytes, its records hold " +
              std::to_string(facts.chunk_bytes));
    Mend(id)->bytes = facts.chunk_bytes;
  }
  if (facts.is_file() && facts.chunk_end > facts.length) {
    Found(Level::kRepairable, "length",
          Named(id) + " is " + std::to_string(facts.length) + " bytes long and has content up to " +
              std::to_string(facts.chunk_end));
    Mend(id)->length = facts.chunk_end;
  }
  if (S_ISLNK(facts.mode) && (facts.symlink_size == 0 || facts.symlink_size != facts.length)) {
    Found(Level::kRepairable, "length",
          Named(id) + " is a symbolic link whose length is not that of its target");
    Mend(id)->length = facts.symlink_size;
  }
  uint32_t flags = facts.flags & ~(meta::kHasAccessAcl | meta::kHasDefaultAcl);
  if (facts.has_xattr) flags |= meta::kHasXattrs;
  if (facts.access_acl) flags |= meta::kHasAccessAcl;
  if (facts.default_acl) flags |= meta::kHasDefaultAcl;
  if (facts.has_links) flags |= meta::kHasLinks;
  if (flags != facts.flags) {
    Found(Level::kRepairable, "flags", Named(id) + " has wrong flags for its extended attributes");
    Mend(id)->flags = flags;
  }
}

std::optional<InodeId> Checker::LostAndFound() {
  if (lost_and_found_ || !super_) return lost_and_found_;
  const std::string key =
      meta::DentryKey(fs_, kRootInode, meta::NameHash(hash_seed_, kLostAndFoundName), kLostAndFoundName);
  std::string value;
  if (view_.Get(key, &value).ok()) {
    auto dentry = meta::DecodeDentry(value);
    if (dentry && Find(dentry->inode) != nullptr && Find(dentry->inode)->is_dir())
      lost_and_found_ = dentry->inode;
    return lost_and_found_;  // the name is taken by something else: nothing can be rescued
  }
  PartitionFacts& partition = partitions_[0];
  uint64_t counter = std::max(partition.highest_inode, kRootInode.value) + 1;
  if (partition.stored) counter = std::max(counter, partition.stored->next_inode);
  meta::Inode dir;
  dir.id = MakeInodeId(PartitionId(0), counter);
  dir.mode = S_IFDIR | 0700;
  dir.nlink = 2;
  dir.parent = kRootInode;
  Set(meta::InodeKey(fs_, dir.id), meta::EncodeInode(dir));
  Set(key, meta::EncodeDentry({dir.id, dir.mode >> 12}));
  lost_and_found_ = dir.id;
  return lost_and_found_;
}

void Checker::Rescue(InodeId id, const InodeFacts& facts) {
  auto home = LostAndFound();
  if (!home || *home == id) return;
  const std::string name = "#" + std::to_string(id.value);
  Set(meta::DentryKey(fs_, *home, meta::NameHash(hash_seed_, name), name),
      meta::EncodeDentry({id, facts.mode >> 12}));
  if (facts.is_dir()) Mend(id)->parent = *home;
}

std::string Checker::PathOf(InodeId id) const {
  if (findings_.size() >= FsckReport::kMaxFindings) return "path not looked up";
  std::string path;
  for (int depth = 0; id != kRootInode; ++depth) {
    auto found = inodes_.find(id.value);
    if (found == inodes_.end() || found->second.names == 0 || depth > 256) return "?" + path;
    const InodeId parent = found->second.named_in;
    std::string prefix = meta::InodePrefix(fs_, KeyKind::kDentry, parent), name;
    (void)view_.Scan(prefix, kv::PrefixEnd(prefix), [&](std::string_view raw_key, std::string_view value) {
      auto dentry = meta::DecodeDentry(value);
      meta::ParsedKey key;
      if (!dentry || dentry->inode != id || !meta::ParseKey(raw_key, &key)) return true;
      name = IsPlainUtf8(key.name) ? std::string(key.name) : "(base64 " + ToBase64(key.name) + ")";
      return false;
    });
    path.insert(0, "/" + name);
    id = parent;
  }
  return path.empty() ? "/" : path;
}

std::string Checker::Named(InodeId id) const {
  return "inode " + std::to_string(id.value) + " (" + PathOf(id) + ")";
}

}  // namespace curvefs::cli
