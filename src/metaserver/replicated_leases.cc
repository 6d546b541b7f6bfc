// Read leases of a replicated copyset: what a batch changes, and who is told.
#include <algorithm>
#include <chrono>

#include "base/bytes.h"
#include "meta/keys.h"
#include "metaserver/replicated_copyset.h"
#include "proto/meta_methods.h"
#include "proto/meta_wire.h"

namespace curvefs::metaserver {
namespace {

// The part of an inode that a record of that kind is; 0: nobody keeps it.
uint8_t PartOf(meta::KeyKind kind) {
  if (kind == meta::KeyKind::kInode) return LeaseTable::kAttributes;
  return kind == meta::KeyKind::kDentry ? LeaseTable::kNames : 0;
}

}  // namespace

// A lock of a transaction counts as the change that it announces: once the transaction is decided, at another
// copyset, whoever it is for may be told.
ReplicatedCopyset::Touched ReplicatedCopyset::TouchedBy(const kv::WriteBatch& batch) {
  Touched touched;
  kv::WriteBatch::ForEachTrusted(batch.encoded(),
                                 [&](kv::RecordType type, std::string_view key, std::string_view) {
                                   meta::ParsedKey parsed;
                                   if (!meta::ParseKey(key, &parsed)) return;
                                   if (parsed.kind != meta::KeyKind::kLock) {
                                     const uint8_t part = PartOf(parsed.kind);
                                     if (part == 0) return;
                                     const LeaseTable::Item item{parsed.fs, parsed.inode};
                                     touched.parts[item] |= part;
                                     if (part == LeaseTable::kNames)
                                       touched.names.emplace_back(item, parsed.name);
                                     return;
                                   }
                                   // Of a key, or of all that begin with a prefix.
                                   constexpr size_t kCounter = meta::kInodePrefix - meta::kKeyHeader;
                                   if (type != kv::RecordType::kSet || parsed.name.size() < 1 + kCounter)
                                     return;
                                   const uint8_t part = PartOf(static_cast<meta::KeyKind>(parsed.name[0]));
                                   if (part == 0) return;
                                   const uint64_t counter = GetBe(parsed.name.data() + 1, kCounter);
                                   touched.parts[{parsed.fs, MakeInodeId(parsed.partition, counter)}] |= part;
                                 });
  return touched;
}

uint64_t ReplicatedCopyset::RecallFor(uint64_t self, meta::Txn& txn) {
  if (!noted_since_) return 0;
  return leases_.Recall(self, TouchedBy(txn.ToBatch()).parts, clock_.Steady());
}

ReplicatedCopyset::LeaseGrant ReplicatedCopyset::KeepLeases(
    FsId fs, uint64_t session, const std::shared_ptr<ClientLink>& link,
    std::span<const std::pair<InodeId, uint8_t>> parts) {
  if (!link || !group_->leads()) return {};
  const SteadyTime now = clock_.Steady();
  const auto [until, time] = group_->Promisable();
  if (until <= now || !sessions_.Hear(session, 0, now)) return {};
  // What is under way and was proposed when nobody kept anything was not noted: until it has its outcome
  // nothing is given.
  if (!noted_since_) noted_since_ = last_proposal_;
  if (!proposals_.empty() && proposals_.begin()->first <= *noted_since_) return {};
  LeaseGrant grant{.epoch = leases_.Hear(session, link->number()), .time = time, .busy = {}};
  if (grant.epoch == 0) return {};
  links_[session] = link;
  for (const auto& [inode, part] : parts) {
    if (!leases_.Hold(session, {fs, inode}, part, reads_own_)) grant.busy.push_back(inode);
  }
  leases_.Extend(session, until);
  group_->NotePromise(until);
  return grant;
}

proto::LeaseNews ReplicatedCopyset::NewsFor(uint64_t session) const {
  proto::LeaseNews news;
  news.set_copyset_id(group_->id().value);
  news.set_session_id(session);
  news.set_lease_epoch(leases_.EpochOf(session));
  return news;
}

void ReplicatedCopyset::TellKeeper(uint64_t session, uint64_t number, const LeaseTable::Parts& gone,
                                   bool all) {
  auto link = links_.find(session);
  if (link == links_.end()) return;
  proto::LeaseNews news = NewsFor(session);
  news.set_number(number);
  news.set_all(all);
  for (const auto& [item, parts] : gone) {
    if ((parts & LeaseTable::kAttributes) != 0) news.add_inode_id(item.inode.value);
    if ((parts & LeaseTable::kNames) != 0) news.add_dir_inode_id(item.inode.value);
  }
  link->second->Send(proto::kLeaseNews, news.SerializeAsString());
}

// How it is now what the session has changed, before it is told that it has. Whatever else is being changed
// meanwhile, its own changes are: others had it drop what they change.
void ReplicatedCopyset::TellOwn(uint64_t self, const Touched& touched, const kv::View& view, bool early) {
  auto link = links_.find(self);
  if (link == links_.end() || touched.parts.empty()) return;
  proto::LeaseNews news = NewsFor(self);
  for (const auto& [item, parts] : touched.parts) {
    if ((parts & LeaseTable::kAttributes) == 0) continue;
    const meta::Reader reader(view, ContextOf(item.fs));
    const auto inode = reader.GetInode(item.inode);
    if (!inode || inode->nlink == 0) {
      // Nobody will look for it again, but who has it open.
      leases_.Release(self, item);
      news.add_inode_id(item.inode.value);
      news.add_dir_inode_id(item.inode.value);
      continue;
    }
    if (!leases_.Hold(self, item, LeaseTable::kAttributes, early)) {
      news.add_inode_id(item.inode.value);
      continue;
    }
    ToWire(item.fs, *inode, news.add_inode());
    if (inode->is_dir() && inode->length == 0 && leases_.Hold(self, item, LeaseTable::kNames, early))
      news.add_empty_dir_inode_id(item.inode.value);
  }
  for (const auto& [dir, name] : touched.names) {
    if ((leases_.Held(self, dir) & LeaseTable::kNames) == 0) continue;
    const auto dentry = meta::Reader(view, ContextOf(dir.fs)).GetDentry(dir.inode, name);
    proto::LeaseName* now = news.add_name();
    now->set_dir_inode_id(dir.inode.value);
    now->set_name(name);
    if (dentry) now->set_inode_id(dentry->inode.value);
  }
  link->second->Send(proto::kLeaseNews, news.SerializeAsString());
}

}  // namespace curvefs::metaserver
