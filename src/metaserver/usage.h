// UsageTree: how much lies below each directory, kept as it changes, and the limits on it.
//
// A tree over directories only, in memory. Every inode that has a name counts once, in its home directory
// (meta/txn.h UsageShare) and so in all above it; the directory itself does not count in its own figures. A
// file counts with its length, or with the length that was announced for it: what was written and is not yet
// stored counts as well.
//
// Built by going over the inodes in the order of their ids, a slice at a time, while changes go on: a change
// of an inode that has not been reached is left to the slice that will. Not thread-safe: the copyset's strand
// owns it.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "meta/records.h"
#include "meta/txn.h"

namespace curvefs::metaserver {

struct Usage {
  uint64_t files = 0;    // everything but directories
  uint64_t subdirs = 0;  // directories, itself not counted
  uint64_t bytes = 0;    // lengths of regular files
  uint64_t entries() const { return files + subdirs; }
  friend bool operator==(const Usage&, const Usage&) = default;
};

// A directory that has a limit, and what counts against it.
struct QuotaUsage {
  InodeId dir;
  meta::Quota quota;
  Usage used;
};

class UsageTree {
 public:
  // `whole`: the limits of the file system, which answer kNoSpace; those of directories kQuotaExceeded.
  explicit UsageTree(const meta::Quota& whole) { SetQuota(kRootInode, whole); }
  UsageTree(const UsageTree&) = delete;
  UsageTree& operator=(const UsageTree&) = delete;

  // The next inode, in ascending order; then Complete.
  void Add(InodeId inode, const meta::UsageShare& share);
  // Every inode up to here has been added.
  void AdvanceTo(InodeId inode) { counted_to_ = inode; }
  void Complete() { counted_to_ = InodeId(~uint64_t{0}); }
  InodeId counted_to() const { return counted_to_; }
  // Takes over what files are announced to be.
  void CopyAnnounced(const UsageTree& other) { announced_ = other.announced_; }

  // Whether the limits allow the changes: kNoSpace, kQuotaExceeded. What only shrinks is always allowed.
  Status Check(std::span<const meta::UsageChange> changes) const;
  void Apply(std::span<const meta::UsageChange> changes);

  // The file, whose share is as given, will be `end` bytes long once what was written to it is stored; or, if
  // longer, as long as announced before, unless `exactly`. With `checked` within the limits only.
  Status Announce(InodeId file, const meta::UsageShare& share, uint64_t end, bool exactly, bool checked);

  Usage Below(InodeId dir) const;  // zeros if nothing is known of it
  void SetQuota(InodeId dir, const meta::Quota& quota);
  bool has_quotas() const { return quotas_ > 0; }
  // The limited directories from the one nearest to `inode` (a directory, or a file's home) up to the root.
  std::vector<QuotaUsage> QuotasAbove(InodeId dir) const;
  std::vector<QuotaUsage> AllQuotas() const;  // in the order of ids
  // Directories whose figures differ from `other`'s, at most `max`.
  std::vector<InodeId> Differences(const UsageTree& other, size_t max) const;

 private:
  struct Node {
    InodeId id;
    Node* parent = nullptr;  // null: the root, or not yet known
    Usage below;
    meta::Quota quota;
  };
  struct Delta {
    int64_t entries = 0, bytes = 0;
  };
  Node* NodeOf(InodeId dir);
  const Node* Find(InodeId dir) const;
  uint64_t Effective(InodeId inode, const meta::UsageShare& share) const;
  Usage WeightOf(InodeId inode, const meta::UsageShare& share) const;
  void ApplyOne(const meta::UsageChange& change);
  static void AddAbove(Node* from, const Usage& what);
  static void TakeAbove(Node* from, const Usage& what);
  static Status Allowed(const Node& node, const Delta& delta);

  std::unordered_map<InodeId, Node> nodes_;
  std::unordered_map<InodeId, uint64_t> announced_;  // of files whose dirty data reaches past their length
  size_t quotas_ = 0;
  InodeId counted_to_;
};

}  // namespace curvefs::metaserver
