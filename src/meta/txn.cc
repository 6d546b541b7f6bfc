#include "meta/txn.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace curvefs::meta {

Result<Inode> Reader::GetInode(InodeId id) const {
  std::string value;
  CURVEFS_CHECK_OK(view_.Get(InodeKey(fs_.fs, id), &value));
  return DecodeInode(id, value);
}

Result<Inode> Reader::GetDirectory(InodeId id) const {
  CURVEFS_TRY(Inode inode, GetInode(id));
  if (!inode.is_dir()) return Fail(Code::kNotDirectory);
  return inode;
}

Result<Dentry> Reader::GetDentry(InodeId parent, std::string_view name) const {
  std::string value;
  CURVEFS_CHECK_OK(view_.Get(DentryKey(fs_.fs, parent, NameHash(fs_.hash_seed, name), name), &value));
  return DecodeDentry(value);
}

Result<PartitionRecord> Reader::GetPartition(PartitionId partition) const {
  std::string value;
  Status s = view_.Get(PartitionKey(fs_.fs, partition), &value);
  if (s.code() == Code::kNotFound) return PartitionRecord{};
  CURVEFS_CHECK_OK(s);
  return DecodePartition(value);
}

Result<bool> Reader::IsOrphan(InodeId id) const {
  std::string value;
  Status s = view_.Get(OrphanKey(fs_.fs, id), &value);
  if (s.ok()) return true;
  if (s.code() == Code::kNotFound) return false;
  return Fail(s);
}

Result<bool> Reader::HasEntries(InodeId dir) const {
  std::string begin = InodePrefix(fs_.fs, KeyKind::kDentry, dir);
  bool found = false;
  CURVEFS_CHECK_OK(view_.Scan(begin, kv::PrefixEnd(begin), [&](std::string_view, std::string_view) {
    found = true;
    return false;
  }));
  return found;
}

Status Reader::ScanChunks(InodeId inode, std::string_view begin, std::string_view end, uint64_t from,
                          uint64_t to, const std::function<bool(ChunkRecord&&)>& visit) const {
  Status failure;
  CURVEFS_CHECK_OK(view_.Scan(begin, end, [&](std::string_view key, std::string_view value) {
    const uint64_t sequence = GetBe(key.data() + key.size() - 8, 8);
    auto extent = PeekChunk(sequence, value);
    if (extent && (extent->offset >= to || extent->end() <= from)) return true;
    auto record = DecodeChunk(inode, sequence, value);
    if (!record) {
      failure = record.error();
      return false;
    }
    return visit(*std::move(record));
  }));
  return failure;
}

Result<std::vector<ChunkRecord>> Reader::ChunkRecords(InodeId inode, uint32_t chunk_index) const {
  std::vector<ChunkRecord> records;
  const std::string begin = ChunkPrefix(fs_.fs, inode, chunk_index);
  CURVEFS_CHECK_OK(ScanChunks(inode, begin, kv::PrefixEnd(begin), 0, kMaxFileSize, [&](ChunkRecord&& record) {
    records.push_back(std::move(record));
    return true;
  }));
  return records;
}

Txn::Txn(const kv::View& base, const FsContext& fs, Timestamp now)
    : Reader(overlay_, fs), overlay_(base), now_(now) {}

UsageShare ShareOf(const Inode& inode) {
  if (inode.nlink == 0 || inode.id == kRootInode) return {};
  return {inode.parent, inode.is_dir(), inode.is_file() ? inode.length : 0};
}

UsageChange& Txn::Noted(InodeId id, const UsageShare& before) const {
  for (auto c = shares_.rbegin(); c != shares_.rend(); ++c) {
    if (c->inode == id) return *c;
  }
  if (shares_.empty()) shares_.reserve(4);
  shares_.push_back({id, before, before});
  return shares_.back();
}

std::vector<UsageChange> Txn::usage_changes() const {
  std::vector<UsageChange> changes;
  for (const UsageChange& c : shares_) {
    if (c.before != c.after) changes.push_back(c);
  }
  return changes;
}

Result<Inode> Txn::GetInode(InodeId id) const {
  auto inode = Reader::GetInode(id);
  if (inode && fs().track_usage) Noted(id, ShareOf(*inode));
  return inode;
}

Result<Inode> Txn::GetDirectory(InodeId id) const {
  CURVEFS_TRY(Inode inode, GetInode(id));
  if (!inode.is_dir()) return Fail(Code::kNotDirectory);
  return inode;
}

void Txn::PutInode(const Inode& inode) {
  // One that was not read before is new.
  if (fs().track_usage) Noted(inode.id, {}).after = ShareOf(inode);
  Set(InodeKey(fs().fs, inode.id), EncodeInode(inode));
}

void Txn::DeleteInode(const Inode& inode) {
  if (fs().track_usage) Noted(inode.id, {}).after = {};
  Del(InodeKey(fs().fs, inode.id));
  auto counters = Counters(PartitionOf(inode.id));
  if (!counters) return;
  if ((*counters)->inodes > 0) --(*counters)->inodes;
}

void Txn::AddDentry(Inode* parent, std::string_view name, Inode* child) {
  Set(DentryKey(fs().fs, parent->id, NameHash(fs().hash_seed, name), name),
      EncodeDentry({child->id, child->mode >> 12}));
  if (child->is_dir() || !child->parent) {
    child->parent = parent->id;
  } else {
    Set(LinkKey(fs().fs, child->id, parent->id, name), {});
    child->flags |= kHasLinks;
  }
  ++parent->length;
  if (child->is_dir()) ++parent->nlink;
  parent->mtime = parent->ctime = now_;
  ++parent->version;
}

Status Txn::RemoveDentry(Inode* parent, std::string_view name, Inode* child) {
  Del(DentryKey(fs().fs, parent->id, NameHash(fs().hash_seed, name), name));
  if ((child->flags & kHasLinks) == 0) {
    child->parent = InodeId();
  } else {
    CURVEFS_CHECK_OK(RemoveLinkRecord(parent->id, name, child));
  }
  if (parent->length > 0) --parent->length;
  if (child->is_dir() && parent->nlink > 2) --parent->nlink;
  parent->mtime = parent->ctime = now_;
  ++parent->version;
  return {};
}

// A name without a link record is the one at home: another takes its place.
Status Txn::RemoveLinkRecord(InodeId parent, std::string_view name, Inode* child) {
  const std::string key = LinkKey(fs().fs, child->id, parent, name),
                    prefix = InodePrefix(fs().fs, KeyKind::kLink, child->id);
  std::string value, next;
  Status found = view().Get(key, &value);
  if (!found.ok() && found.code() != Code::kNotFound) return found;
  if (found.ok()) {
    Del(key);
  } else {
    child->parent = InodeId();
  }
  CURVEFS_CHECK_OK(view().Scan(prefix, kv::PrefixEnd(prefix), [&](std::string_view k, std::string_view) {
    next = k;
    return false;
  }));
  if (!child->parent && !next.empty()) {
    ParsedKey parsed;
    if (!ParseKey(next, &parsed)) return {Code::kCorrupt, "malformed link record"};
    child->parent = parsed.parent;
    Del(next);
    next.clear();
    CURVEFS_CHECK_OK(view().Scan(prefix, kv::PrefixEnd(prefix), [&](std::string_view k, std::string_view) {
      next = k;
      return false;
    }));
  }
  if (next.empty()) child->flags &= ~uint32_t{kHasLinks};
  return {};
}

void Txn::DropQuota(Inode* dir) {
  if ((dir->flags & kHasQuota) == 0) return;
  Del(QuotaKey(fs().fs, dir->id));
  dir->flags &= ~uint32_t{kHasQuota};
}

void Txn::PutOrphan(InodeId id) {
  Set(OrphanKey(fs().fs, id), "1");
  new_orphans_.push_back(id);
}
void Txn::DeleteOrphan(InodeId id) {
  Del(OrphanKey(fs().fs, id));
}

Result<PartitionRecord*> Txn::Counters(PartitionId partition) {
  for (Counted& c : counters_) {
    if (c.partition == partition) return &c.record;
  }
  CURVEFS_TRY(const PartitionRecord record, GetPartition(partition));
  counters_.push_back({partition, record});
  return &counters_.back().record;
}

Result<InodeId> Txn::NewInode(PartitionId partition) {
  CURVEFS_TRY(PartitionRecord * p, Counters(partition));
  uint64_t counter = std::max<uint64_t>(p->next_inode, kRootInode.value + 1);
  if (counter > kInodeCounterMask)
    return Fail(Code::kNoSpace, "the partition has handed out all its inode ids");
  p->next_inode = counter + 1;
  ++p->inodes;
  return MakeInodeId(partition, counter);
}

Result<ChunkId> Txn::NewChunks(PartitionId partition, uint32_t n) {
  CURVEFS_TRY(PartitionRecord * p, Counters(partition));
  uint64_t first = std::max<uint64_t>(p->next_chunk, 1);
  p->next_chunk = first + n;
  return ChunkId(first);
}

Status Txn::SetSweepFrom(PartitionId partition, uint64_t chunk) {
  CURVEFS_TRY(PartitionRecord * p, Counters(partition));
  p->sweep_from = chunk;
  return {};
}

void Txn::CountBytes(Inode* inode, int64_t delta) {
  auto add = [delta](uint64_t* v) {
    *v = delta < 0 && *v < static_cast<uint64_t>(-delta) ? 0 : *v + static_cast<uint64_t>(delta);
  };
  add(&inode->bytes);
  auto counters = Counters(PartitionOf(inode->id));
  if (!counters) return;
  add(&(*counters)->bytes);
}

void Txn::AddChunk(Inode* inode, const ChunkRecord& record) {
  auto chunk_index = static_cast<uint32_t>(record.offset / fs().chunk_size);
  Set(ChunkKey(fs().fs, inode->id, chunk_index, record.sequence), EncodeChunk(inode->id, record));
  if (!record.is_zeros()) CountBytes(inode, static_cast<int64_t>(record.len));
}

Status Txn::RemoveChunk(Inode* inode, const ChunkRecord& record) {
  auto chunk_index = static_cast<uint32_t>(record.offset / fs().chunk_size);
  Del(ChunkKey(fs().fs, inode->id, chunk_index, record.sequence));
  if (!record.is_zeros()) CountBytes(inode, -static_cast<int64_t>(record.len));
  if (!record.in_object()) return Status();
  return ChangeRefs(record, -1);
}

Status Txn::ShrinkChunk(Inode* inode, const ChunkRecord& old, uint64_t offset, uint64_t len) {
  ChunkRecord r = old;
  uint64_t skip = offset - old.offset;
  r.offset = offset;
  r.len = len;
  if (r.in_object()) {
    r.object_offset += skip;
  } else if (r.is_inline()) {
    r.inline_data = old.inline_data.substr(skip, len);
    r.inline_crc = Crc32c(r.inline_data);
  }
  auto chunk_index = static_cast<uint32_t>(offset / fs().chunk_size);
  Set(ChunkKey(fs().fs, inode->id, chunk_index, r.sequence), EncodeChunk(inode->id, r));
  if (!r.is_zeros()) CountBytes(inode, static_cast<int64_t>(len) - static_cast<int64_t>(old.len));
  if (!r.in_object()) return {};
  bool stored;
  CURVEFS_TRY(ObjectRefs refs, Refs(r, &stored));
  if (refs.live == 0) return {};
  refs.live -= std::min(refs.live - 1, old.len - len);
  PutRefs(r, refs);
  return {};
}

Result<ObjectRefs> Txn::Refs(const ChunkRecord& record, bool* stored) const {
  std::string value;
  Status s = view().Get(RefsKey(fs().fs, PartitionOf(record.object_inode), record.chunk_id), &value);
  *stored = s.ok();
  if (s.ok()) return DecodeRefs(value);
  if (s.code() != Code::kNotFound) return Fail(std::move(s));
  return ObjectRefs{.count = 1};
}

// Of an object that is used, and more than once or shared.
void Txn::PutRefs(const ChunkRecord& record, const ObjectRefs& refs) {
  Set(RefsKey(fs().fs, PartitionOf(record.object_inode), record.chunk_id), EncodeRefs(refs));
  if (refs.live > 0 && refs.live < record.object_size / 2) sparse_objects_.push_back(record.chunk_id);
}

Status Txn::ChangeRefs(const ChunkRecord& record, int64_t delta) {
  bool stored;
  CURVEFS_TRY(ObjectRefs refs, Refs(record, &stored));
  const bool shared = refs.live > 0;
  refs.count = static_cast<uint64_t>(std::max<int64_t>(static_cast<int64_t>(refs.count) + delta, 0));
  if (shared && delta > 0) refs.live += record.len * static_cast<uint64_t>(delta);
  if (shared && delta < 0) refs.live -= std::min(refs.live - 1, record.len * static_cast<uint64_t>(-delta));
  if (refs.count > 1 || (refs.count == 1 && shared)) {
    PutRefs(record, refs);
    return {};
  }
  const PartitionId partition = PartitionOf(record.object_inode);
  if (stored) Del(RefsKey(fs().fs, partition, record.chunk_id));
  if (refs.count > 0) return {};
  if (shared) Del(SharedKey(fs().fs, partition, record.chunk_id));
  Set(FreeKey(fs().fs, partition, record.chunk_id),
      EncodeFreeObject({record.chunk_id, record.block, record.compaction, record.object_inode}));
  freed_objects_.push_back({record.chunk_id, record.block, record.compaction, record.object_inode});
  return {};
}

void Txn::AddNewObject(const ChunkRecord& record, uint64_t uses, uint64_t bytes,
                       std::vector<SharedObject::User> users) {
  const PartitionId partition = PartitionOf(record.object_inode);
  const bool shared = !users.empty() && users.front().inode != users.back().inode;
  if (shared) {
    Set(SharedKey(fs().fs, partition, record.chunk_id),
        EncodeShared({record.chunk_id, record.object_size, std::move(users)}));
  }
  if (shared || uses > 1)
    Set(RefsKey(fs().fs, partition, record.chunk_id), EncodeRefs({uses, shared ? bytes : 0}));
  new_objects_.push_back({record.chunk_id, record.block, record.compaction, record.object_inode});
}

kv::WriteBatch Txn::ToBatch() {
  for (const Counted& c : counters_) Set(PartitionKey(fs().fs, c.partition), EncodePartition(c.record));
  counters_.clear();
  return overlay_.ToBatch();
}

}  // namespace curvefs::meta
