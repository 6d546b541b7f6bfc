// Checker: one pass of fsck over the metadata and the objects. Finds, and gathers the changes that would mend
// what it found.
//
// A pass looks at the state as it is; what follows from its own repairs (a link count after a dropped entry)
// the next pass finds. Fsck repeats passes until one has nothing left to repair.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "cli/fsck.h"
#include "kv/view.h"
#include "meta/keys.h"
#include "meta/records.h"
#include "meta/txn.h"
#include "object/object_store.h"

namespace curvefs::cli {

class Checker {
 public:
  // What is stored about an inode, and what the rest of the metadata say it should be.
  struct InodeFacts {
    uint32_t mode = 0, nlink = 0, flags = 0;
    uint64_t length = 0, bytes = 0;
    InodeId parent;
    size_t symlink_size = 0;
    // Counted.
    uint32_t names = 0;    // entries that name it
    uint32_t subdirs = 0;  // entries of directories in it
    uint64_t entries = 0;
    uint64_t chunk_bytes = 0;
    uint64_t chunk_end = 0;
    InodeId named_in;  // directory of its first good name
    // Of a file: its names without a link record (there should be one, at home), and where the first of them
    // is.
    uint32_t home_names = 0;
    InodeId home;
    bool has_links = false;
    bool orphan = false, has_xattr = false, access_acl = false, default_acl = false;
    enum class Reach : uint8_t { kUnknown, kOnTheWay, kReached } reach = Reach::kUnknown;

    bool is_dir() const { return S_ISDIR(mode); }
    bool is_file() const { return S_ISREG(mode); }
  };
  struct ObjectFacts {
    object::ObjectName name;
    uint64_t size = 0;
    uint32_t digest = 0;
    uint64_t uses = 0;                    // records that name it
    uint64_t live = 0;                    // bytes that those hold
    meta::ObjectRefs refs;                // what its refs record says; 0: there is none
    PartitionId partition;                // that keeps its records
    InodeId user;                         // the first file that uses it
    bool freed = false;                   // waits for deletion
    bool there = false;                   // the object store has it
    std::optional<uint64_t> listed_size;  // as the store's list says; none: it does not
    bool shared = false;                  // there is a record of the files that share it
  };

  // How closely objects are looked at: that they are listed, that their sizes are right, every byte.
  enum class Depth { kNames, kSizes, kBytes };
  using Progress = std::function<void(uint64_t done, uint64_t total)>;

  Checker(const kv::View& view, object::ObjectStore& objects, Depth depth, Progress progress = nullptr)
      : view_(view), objects_(objects), depth_(depth), progress_(std::move(progress)) {}

  // An error is one of reading, not one of the file system.
  Status Run();

  const std::vector<Finding>& findings() const { return findings_; }  // at most FsckReport::kMaxFindings
  const std::map<std::string, uint64_t>& counts() const { return counts_; }  // all, by kind
  uint64_t errors() const { return errors_; }
  uint64_t errors_of_deep_reads() const { return deep_errors_; }
  // Key to new value, or none: delete.
  // Without a super block the metadata are gone, not damaged: then nothing may be repaired by them.
  bool has_super() const { return super_.has_value(); }
  const std::map<std::string, std::optional<std::string>>& repairs() const { return repairs_; }
  const std::vector<object::ObjectDetails>& leaked() const { return leaked_; }
  // Errors other than missing or damaged objects: with them, what is leaked cannot be trusted.
  uint64_t metadata_errors() const {
    uint64_t n = errors_;
    for (const char* kind : {"missing-object", "damaged-object"}) {
      if (auto found = counts_.find(kind); found != counts_.end()) n -= found->second;
    }
    return n;
  }
  uint64_t objects_in_use() const {
    return std::ranges::count_if(chunks_, [](const auto& c) { return c.second.uses > 0; });
  }
  uint64_t objects_waiting() const {
    return std::ranges::count_if(chunks_, [](const auto& c) { return c.second.freed && c.second.uses == 0; });
  }
  // Fills in the figures.
  void Describe(FsckReport* report) const;

 private:
  // fsck_scan.cc: every pair parses; what each says is counted.
  Status ScanAll();
  void TakePair(std::string_view key, std::string_view value);
  void TakeChunk(const meta::ParsedKey& key, std::string_view raw_key, std::string_view value);
  void TakeObject(const meta::ChunkRecord& record, InodeId user);
  void CheckRecord(const meta::ParsedKey& key, const meta::ChunkRecord& record, std::string_view raw_key);

  // fsck_tree.cc: entries, directories, reachability, counts.
  Status ScanEntries();
  void TakeEntry(const meta::ParsedKey& key, std::string_view raw_key, const meta::Dentry& dentry,
                 bool deferred);
  void CheckSuper();
  void CheckReach();
  bool Reaches(InodeId dir);
  void CheckInodes();
  void CheckLinks(InodeId id, const InodeFacts& facts);
  void TakeHome(const meta::ParsedKey& key, InodeId child_id, InodeFacts* child);
  void CheckHome(InodeId id, const InodeFacts& facts);
  void CheckAttributes(InodeId id, const InodeFacts& facts);
  void Rescue(InodeId id, const InodeFacts& facts);
  std::optional<InodeId> LostAndFound();

  // fsck_data.cc: owners of records, reference counts, partitions, objects.
  Status CheckObjects();
  void CheckRefs(const ObjectFacts& object);
  struct Verdict;
  Status VerifyObjects();
  Verdict VerifyObject(const ObjectFacts& object) const;
  using Users = std::unordered_map<uint64_t, std::vector<InodeId>>;  // by chunk id
  Result<Users> FindAffected(const std::vector<Verdict>& bad) const;
  std::string Named(const std::vector<InodeId>& ids) const;
  void CheckPartitions();

  void Found(Finding::Level level, std::string_view kind, std::string what);
  void Set(std::string key, std::string value) { repairs_[std::move(key)] = std::move(value); }
  void Drop(std::string_view key) { repairs_[std::string(key)] = std::nullopt; }
  // The inode as it will be after the repairs so far; changes to it are written when the pass ends.
  meta::Inode* Mend(InodeId id);
  InodeFacts* Find(InodeId id);
  // "inode 12 (/a/b)".
  std::string Named(InodeId id) const;
  std::string PathOf(InodeId id) const;

  const kv::View& view_;
  object::ObjectStore& objects_;
  const Depth depth_;
  const Progress progress_;
  FsId fs_{1};
  uint64_t hash_seed_ = 0;
  std::optional<meta::SuperBlock> super_;
  std::unordered_map<uint64_t, InodeFacts> inodes_;
  std::unordered_map<uint64_t, ObjectFacts> chunks_;  // by chunk id
  struct PartitionFacts {
    std::optional<meta::PartitionRecord> stored;
    uint64_t inodes = 0, bytes = 0, highest_inode = 0, highest_chunk = 0;
  };
  std::map<uint32_t, PartitionFacts> partitions_;
  std::map<InodeId, meta::Inode> mended_;
  std::vector<std::pair<std::string, meta::Dentry>>
      deferred_;  // entries of directories that believe to be elsewhere
  std::optional<InodeId> lost_and_found_;
  std::vector<Finding> findings_;
  std::map<std::string, uint64_t> counts_;
  uint64_t errors_ = 0;
  std::map<std::string, std::optional<std::string>> repairs_;
  std::vector<object::ObjectDetails> leaked_;
  uint64_t leaked_bytes_ = 0, verified_ = 0, orphans_ = 0, deep_errors_ = 0;
};

}  // namespace curvefs::cli
