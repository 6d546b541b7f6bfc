#include "metaserver/usage.h"

#include <algorithm>
#include <string>
#include <utility>

namespace curvefs::metaserver {

UsageTree::Node* UsageTree::NodeOf(InodeId dir) {
  Node& node = nodes_[dir];
  node.id = dir;
  return &node;
}

const UsageTree::Node* UsageTree::Find(InodeId dir) const {
  auto found = nodes_.find(dir);
  return found == nodes_.end() ? nullptr : &found->second;
}

uint64_t UsageTree::Effective(InodeId inode, const meta::UsageShare& share) const {
  if (announced_.empty()) return share.bytes;
  auto found = announced_.find(inode);
  return found == announced_.end() ? share.bytes : std::max(share.bytes, found->second);
}

// What the inode adds to its home: itself, and of a directory all below it.
Usage UsageTree::WeightOf(InodeId inode, const meta::UsageShare& share) const {
  if (!share.is_dir) return {.files = 1, .bytes = Effective(inode, share)};
  const Node* node = Find(inode);
  Usage weight = node != nullptr ? node->below : Usage();
  ++weight.subdirs;
  return weight;
}

void UsageTree::AddAbove(Node* from, const Usage& what) {
  for (Node* at = from; at != nullptr; at = at->parent) {
    at->below.files += what.files;
    at->below.subdirs += what.subdirs;
    at->below.bytes += what.bytes;
  }
}

void UsageTree::TakeAbove(Node* from, const Usage& what) {
  for (Node* at = from; at != nullptr; at = at->parent) {
    at->below.files -= what.files;
    at->below.subdirs -= what.subdirs;
    at->below.bytes -= what.bytes;
  }
}

void UsageTree::Add(InodeId inode, const meta::UsageShare& share) {
  counted_to_ = inode;
  if (share.home) ApplyOne({inode, {}, share});
}

void UsageTree::ApplyOne(const meta::UsageChange& change) {
  const meta::UsageShare &before = change.before, &after = change.after;
  if (before.home) {
    TakeAbove(NodeOf(before.home), WeightOf(change.inode, before));
    if (before.is_dir) NodeOf(change.inode)->parent = nullptr;
  }
  if (!after.home) {
    announced_.erase(change.inode);
    if (auto node = nodes_.find(change.inode); before.is_dir && node != nodes_.end()) {
      SetQuota(change.inode, {});
      nodes_.erase(node);
    }
    return;
  }
  if (after.bytes < before.bytes) announced_.erase(change.inode);  // shortened: what lay beyond is gone
  AddAbove(NodeOf(after.home), WeightOf(change.inode, after));
  if (after.is_dir) NodeOf(change.inode)->parent = NodeOf(after.home);
  if (auto a = announced_.find(change.inode); a != announced_.end() && a->second <= after.bytes)
    announced_.erase(a);
}

void UsageTree::Apply(std::span<const meta::UsageChange> changes) {
  for (const auto& c : changes) {
    if (c.inode <= counted_to_) ApplyOne(c);
  }
}

Status UsageTree::Allowed(const Node& node, const Delta& delta) {
  const auto over = [](uint64_t used, int64_t more, uint64_t limit) {
    return more > 0 && limit > 0 && (used >= limit || static_cast<uint64_t>(more) > limit - used);
  };
  const bool bytes = over(node.below.bytes, delta.bytes, node.quota.bytes);
  if (!bytes && !over(node.below.entries(), delta.entries, node.quota.inodes)) return {};
  const std::string what = bytes ? "bytes" : "inodes";
  const std::string limit = std::to_string(bytes ? node.quota.bytes : node.quota.inodes);
  if (node.id == kRootInode)
    return {Code::kNoSpace, "the file system's limit of " + limit + " " + what + " is reached"};
  return {Code::kQuotaExceeded, "directory " + std::to_string(node.id.value) + " has a quota of " + limit +
                                    " " + what + ", which is used up"};
}

Status UsageTree::Check(std::span<const meta::UsageChange> changes) const {
  if (quotas_ == 0) return {};
  std::vector<std::pair<const Node*, Delta>> deltas;
  auto count = [&](InodeId home, const Usage& weight, int64_t sign) {
    for (const Node* at = Find(home); at != nullptr; at = at->parent) {
      if (!at->quota.any()) continue;
      auto it = std::ranges::find(deltas, at, [](const auto& d) { return d.first; });
      if (it == deltas.end()) it = deltas.insert(it, {at, {}});
      it->second.entries += sign * static_cast<int64_t>(weight.entries());
      it->second.bytes += sign * static_cast<int64_t>(weight.bytes);
    }
  };
  for (const auto& c : changes) {
    if (c.before.home) count(c.before.home, WeightOf(c.inode, c.before), -1);
    if (c.after.home) count(c.after.home, WeightOf(c.inode, c.after), +1);
  }
  for (const auto& [node, delta] : deltas) CURVEFS_CHECK_OK(Allowed(*node, delta));
  return {};
}

Status UsageTree::Announce(InodeId file, const meta::UsageShare& share, uint64_t end, bool exactly,
                           bool checked) {
  if (!share.home || share.is_dir) return {};
  const uint64_t before = Effective(file, share);
  const uint64_t after = exactly ? std::max(share.bytes, end) : std::max(before, end);
  if (after == before) return {};
  const bool counted = file <= counted_to_;
  if (checked && counted && quotas_ > 0 && after > before) {
    const Delta delta{.bytes = static_cast<int64_t>(after - before)};
    for (const Node* at = Find(share.home); at != nullptr; at = at->parent) {
      if (at->quota.any()) CURVEFS_CHECK_OK(Allowed(*at, delta));
    }
  }
  if (counted) {
    TakeAbove(NodeOf(share.home), {.bytes = before});
    AddAbove(NodeOf(share.home), {.bytes = after});
  }
  if (after > share.bytes) {
    announced_[file] = after;
  } else {
    announced_.erase(file);
  }
  return {};
}

Usage UsageTree::Below(InodeId dir) const {
  const Node* node = Find(dir);
  return node != nullptr ? node->below : Usage();
}

void UsageTree::SetQuota(InodeId dir, const meta::Quota& quota) {
  Node* node = NodeOf(dir);
  quotas_ += quota.any();
  quotas_ -= node->quota.any();
  node->quota = quota;
}

std::vector<QuotaUsage> UsageTree::QuotasAbove(InodeId dir) const {
  std::vector<QuotaUsage> found;
  for (const Node* at = Find(dir); at != nullptr; at = at->parent) {
    if (at->quota.any()) found.push_back({at->id, at->quota, at->below});
  }
  return found;
}

std::vector<QuotaUsage> UsageTree::AllQuotas() const {
  std::vector<QuotaUsage> all;
  for (const auto& [id, node] : nodes_) {
    if (node.quota.any()) all.push_back({id, node.quota, node.below});
  }
  std::ranges::sort(all, {}, &QuotaUsage::dir);
  return all;
}

std::vector<InodeId> UsageTree::Differences(const UsageTree& other, size_t max) const {
  std::vector<InodeId> differ;
  for (const UsageTree* tree : {this, &other}) {
    for (const auto& [id, node] : tree->nodes_) {
      if (Below(id) == other.Below(id)) continue;
      if (std::ranges::find(differ, id) == differ.end()) differ.push_back(id);
      if (differ.size() >= max) return differ;
    }
  }
  return differ;
}

}  // namespace curvefs::metaserver
