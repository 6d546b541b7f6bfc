#include "client/cluster/lease_cache.h"

#include <algorithm>
#include <unordered_set>

#include "proto/meta_wire.h"

namespace curvefs::client {

LeaseCache::Ticket LeaseCache::Begin() const {
  MutexLock lock(mu_);
  return {sequence_};
}

LeaseCache::Attempt LeaseCache::Sending(size_t server) const {
  MutexLock lock(mu_);
  auto it = lost_.find(server);
  return {.server = server, .connection = it == lost_.end() ? 0 : it->second, .sent = clock_.Steady()};
}

void LeaseCache::Keep(const Ticket& ticket, const Attempt& attempt, const proto::ResponseHeader& header,
                      const Answer& answer) {
  if (header.lease_epoch() == 0) return;
  MutexLock lock(mu_);
  auto lost = lost_.find(attempt.server);
  if (ticket.sequence < floor_ || (lost != lost_.end() && lost->second != attempt.connection)) return;
  const SteadyTime until = attempt.sent + std::chrono::microseconds(header.lease_us());
  if (epoch_ != header.lease_epoch() || server_ != attempt.server) {
    ForgetAll();
    epoch_ = header.lease_epoch();
    server_ = attempt.server;
    until_ = until;
    floor_ = ticket.sequence;  // this one is of the new leader, and knows all its news
  }
  until_ = std::max(until_, until);
  const std::unordered_set<uint64_t> busy_inodes(header.busy_inode_id().begin(),
                                                 header.busy_inode_id().end());
  auto busy = [&](InodeId inode) { return busy_inodes.contains(inode.value); };
  for (const meta::Inode& inode : answer.inodes) {
    if (SlotOf(inode_slots_, inode.id) <= ticket.sequence && !busy(inode.id)) Put(inode);
  }
  for (const Name& name : answer.names) {
    if (SlotOf(name_slots_, name.dir) > ticket.sequence || busy(name.dir)) continue;
    Directory& directory = directories_[name.dir];
    auto [it, added] = directory.names.try_emplace(name.name);
    it->second = {.inode = name.inode, .elsewhere = name.elsewhere};
    names_ += added ? 1 : 0;
  }
  if (answer.page && SlotOf(name_slots_, answer.page_of) <= ticket.sequence && !busy(answer.page_of)) {
    auto& pages = directories_[answer.page_of].pages;
    std::erase_if(pages, [&](const auto& page) {
      if (page->after != answer.page->after) return false;
      names_ -= page->entries.size();
      return true;
    });
    pages.push_back(answer.page);
    names_ += answer.page->entries.size();
  }
  Bound();
}

std::shared_ptr<const LeaseCache::Page> LeaseCache::PageAfter(InodeId dir, uint64_t cookie) {
  MutexLock lock(mu_);
  auto it = directories_.find(dir);
  if (it == directories_.end() || !Usable(dir)) return nullptr;
  for (const auto& page : it->second.pages) {
    if (page->after > cookie) continue;
    if (page->last || (!page->entries.empty() && cookie < page->entries.back().cookie)) return page;
  }
  return nullptr;
}

bool LeaseCache::Usable(InodeId inode) const {
  return paused_ == 0 && clock_.Steady() < until_ && !changing_.contains(inode);
}

std::optional<meta::Inode> LeaseCache::Inode(InodeId inode) {
  MutexLock lock(mu_);
  auto it = inodes_.find(inode);
  if (it == inodes_.end() || !Usable(inode)) {
    ++counters_.misses;
    return std::nullopt;
  }
  ++counters_.hits;
  return it->second;
}

std::optional<LeaseCache::Found> LeaseCache::Lookup(InodeId dir, std::string_view name) {
  MutexLock lock(mu_);
  auto it = directories_.find(dir);
  if (it == directories_.end() || !Usable(dir)) return std::nullopt;
  auto entry = it->second.names.find(name);
  if (entry != it->second.names.end())
    return Found{.inode = entry->second.inode, .elsewhere = entry->second.elsewhere};
  if (!it->second.complete) return std::nullopt;
  return Found{};
}

void LeaseCache::Put(const meta::Inode& inode) {
  inodes_[inode.id] = inode;
}

void LeaseCache::Drop(InodeId inode) {
  SlotOf(inode_slots_, inode) = sequence_;
  inodes_.erase(inode);
}

void LeaseCache::DropNames(InodeId dir) {
  SlotOf(name_slots_, dir) = sequence_;
  auto it = directories_.find(dir);
  if (it == directories_.end()) return;
  DropPages(&it->second);
  names_ -= it->second.names.size();
  directories_.erase(it);
}

void LeaseCache::DropPages(Directory* directory) {
  for (const auto& page : directory->pages) names_ -= page->entries.size();
  directory->pages.clear();
}

void LeaseCache::News(const proto::LeaseNews& news) {
  MutexLock lock(mu_);
  ++sequence_;
  ++counters_.news;
  if (news.all()) return ForgetAll();
  const bool current = epoch_ != 0 && news.lease_epoch() == epoch_;
  for (const uint64_t inode : news.inode_id()) Drop(InodeId(inode));
  for (const uint64_t dir : news.dir_inode_id()) DropNames(InodeId(dir));
  for (const proto::Inode& inode : news.inode()) {
    Drop(InodeId(inode.inode_id()));
    if (current) Put(FromWire(inode));
  }
  for (const uint64_t dir : news.empty_dir_inode_id()) {
    DropNames(InodeId(dir));
    if (current) directories_[InodeId(dir)].complete = true;
  }
  for (const proto::LeaseName& changed : news.name()) {
    const InodeId dir(changed.dir_inode_id());
    SlotOf(name_slots_, dir) = sequence_;
    auto it = directories_.find(dir);
    if (it == directories_.end()) {
      if (!current) continue;
      it = directories_.try_emplace(dir).first;
    }
    if (!current) {
      DropNames(dir);
      continue;
    }
    Directory& directory = it->second;
    DropPages(&directory);
    if (changed.inode_id() == 0 && directory.complete) {
      names_ -= directory.names.erase(changed.name());
      continue;
    }
    auto [entry, added] = directory.names.try_emplace(changed.name());
    entry->second = {.inode = InodeId(changed.inode_id()), .elsewhere = false};
    names_ += added ? 1 : 0;
  }
  Bound();
}

void LeaseCache::Lost(size_t server) {
  MutexLock lock(mu_);
  ++lost_[server];
  if (server == server_ && epoch_ != 0) ForgetAll();
}

bool LeaseCache::active() const {
  MutexLock lock(mu_);
  return epoch_ != 0;
}

void LeaseCache::Clear() {
  MutexLock lock(mu_);
  ForgetAll();
}

void LeaseCache::Forget() {
  inodes_.clear();
  directories_.clear();
  names_ = 0;
}

void LeaseCache::ForgetAll() {
  Forget();
  epoch_ = 0;
  until_ = {};
  floor_ = ++sequence_;
}

void LeaseCache::Bound() {
  if (inodes_.size() + names_ + directories_.size() > kMaxKept) Forget();
}

void LeaseCache::Pause() {
  MutexLock lock(mu_);
  ++paused_;
}

void LeaseCache::Resume() {
  MutexLock lock(mu_);
  --paused_;
  Forget();
  floor_ = ++sequence_;
}

LeaseCache::Counters LeaseCache::counters() const {
  MutexLock lock(mu_);
  Counters c = counters_;
  c.kept = inodes_.size() + names_;
  return c;
}

// ---- Changing

LeaseCache::Changing::Changing(LeaseCache& cache, std::initializer_list<InodeId> inodes,
                               std::initializer_list<Entry> names)
    : cache_(cache), inodes_(inodes) {
  MutexLock lock(cache_.mu_);
  for (const Entry& entry : names) {
    auto it = cache_.directories_.find(entry.dir);
    if (it == cache_.directories_.end()) continue;
    auto kept = it->second.names.find(entry.name);
    if (kept != it->second.names.end() && kept->second.inode) inodes_.push_back(kept->second.inode);
  }
  for (const InodeId inode : inodes_) ++cache_.changing_[inode];
}

LeaseCache::Changing::Changing(LeaseCache& cache, std::vector<InodeId> inodes)
    : cache_(cache), inodes_(std::move(inodes)) {
  MutexLock lock(cache_.mu_);
  for (const InodeId inode : inodes_) ++cache_.changing_[inode];
}

LeaseCache::Changing::~Changing() {
  MutexLock lock(cache_.mu_);
  for (const InodeId inode : inodes_) {
    auto it = cache_.changing_.find(inode);
    if (--it->second == 0) cache_.changing_.erase(it);
  }
}

}  // namespace curvefs::client
