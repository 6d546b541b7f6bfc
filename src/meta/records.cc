#include "meta/records.h"

#include "base/protowire.h"

namespace curvefs::meta {
namespace {

Status Malformed(const char* what) {
  return {Code::kCorrupt, std::string("malformed ") + what + " record"};
}
uint32_t U32(uint64_t v) {
  return static_cast<uint32_t>(v);
}

}  // namespace

std::string EncodeInode(const Inode& i) {
  std::string out;
  out.reserve(96 + i.symlink.size());
  ProtoWriter w(&out);
  w.Varint(1, i.mode);
  w.Varint(2, i.uid);
  w.Varint(3, i.gid);
  w.Varint(4, i.nlink);
  w.Varint(5, i.length);
  w.Fixed64(6, static_cast<uint64_t>(i.atime.ns));
  w.Fixed64(7, static_cast<uint64_t>(i.mtime.ns));
  w.Fixed64(8, static_cast<uint64_t>(i.ctime.ns));
  w.Varint(9, i.rdev);
  w.Varint(10, i.parent.value);
  w.Bytes(11, i.symlink);
  w.Varint(12, i.version);
  w.Varint(13, i.flags);
  w.Varint(15, i.bytes);
  return out;
}

Result<Inode> DecodeInode(InodeId id, std::string_view value) {
  Inode i;
  i.id = id;
  ProtoReader r(value);
  while (r.Next()) {
    switch (r.field()) {
      case 1:
        i.mode = U32(r.number());
        break;
      case 2:
        i.uid = U32(r.number());
        break;
      case 3:
        i.gid = U32(r.number());
        break;
      case 4:
        i.nlink = U32(r.number());
        break;
      case 5:
        i.length = r.number();
        break;
      case 6:
        i.atime.ns = static_cast<int64_t>(r.number());
        break;
      case 7:
        i.mtime.ns = static_cast<int64_t>(r.number());
        break;
      case 8:
        i.ctime.ns = static_cast<int64_t>(r.number());
        break;
      case 9:
        i.rdev = U32(r.number());
        break;
      case 10:
        i.parent = InodeId(r.number());
        break;
      case 11:
        i.symlink = r.bytes();
        break;
      case 12:
        i.version = r.number();
        break;
      case 13:
        i.flags = U32(r.number());
        break;
      case 15:
        i.bytes = r.number();
        break;
      default:
        break;
    }
  }
  if (!r.ok() || (i.mode & S_IFMT) == 0) return Fail(Malformed("inode"));
  return i;
}

std::string EncodeDentry(const Dentry& d) {
  std::string out;
  ProtoWriter w(&out);
  w.Varint(1, d.inode.value);
  w.Varint(2, d.type);
  return out;
}

Result<Dentry> DecodeDentry(std::string_view value) {
  Dentry d;
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) d.inode = InodeId(r.number());
    if (r.field() == 2) d.type = U32(r.number());
  }
  if (!r.ok() || !d.inode) return Fail(Malformed("dentry"));
  return d;
}

std::string EncodeChunk(InodeId inode, const ChunkRecord& c) {
  std::string out;
  out.reserve(64 + c.inline_data.size());
  ProtoWriter w(&out);
  w.Varint(1, c.offset);
  w.Varint(2, c.len);
  w.Varint(3, c.chunk_id.value);
  w.Varint(4, c.block);
  w.Varint(5, c.compaction);
  w.Varint(6, c.object_inode == inode ? 0 : c.object_inode.value);
  w.Varint(7, c.object_offset);
  w.Varint(8, c.object_size);
  w.Fixed32(9, c.digest);
  w.Bytes(10, c.inline_data);
  w.Fixed32(11, c.inline_crc);
  return out;
}

Result<ChunkRecord> DecodeChunk(InodeId inode, uint64_t sequence, std::string_view value) {
  ChunkRecord c;
  c.sequence = sequence;
  ProtoReader r(value);
  while (r.Next()) {
    switch (r.field()) {
      case 1:
        c.offset = r.number();
        break;
      case 2:
        c.len = r.number();
        break;
      case 3:
        c.chunk_id = ChunkId(r.number());
        break;
      case 4:
        c.block = U32(r.number());
        break;
      case 5:
        c.compaction = U32(r.number());
        break;
      case 6:
        c.object_inode = InodeId(r.number());
        break;
      case 7:
        c.object_offset = r.number();
        break;
      case 8:
        c.object_size = r.number();
        break;
      case 9:
        c.digest = U32(r.number());
        break;
      case 10:
        c.inline_data = r.bytes();
        break;
      case 11:
        c.inline_crc = U32(r.number());
        break;
      default:
        break;
    }
  }
  bool ok = r.ok() && c.len > 0 && c.offset + c.len > c.offset;
  if (c.in_object()) {
    ok = ok && c.inline_data.empty() && c.object_offset <= c.object_size &&
         c.len <= c.object_size - c.object_offset;
    if (!c.object_inode) c.object_inode = inode;
  } else {
    ok = ok && (c.inline_data.empty() || c.inline_data.size() == c.len);
  }
  if (!ok) return Fail(Malformed("chunk"));
  return c;
}

Result<ChunkExtent> PeekChunk(uint64_t sequence, std::string_view value) {
  ChunkExtent e{.sequence = sequence};
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) e.offset = r.number();
    if (r.field() == 2) e.len = r.number();
    if (r.field() == 3) e.in_object = r.number() != 0;
    if (r.field() == 10) e.is_inline = !r.bytes().empty();
  }
  if (!r.ok() || e.len == 0 || e.end() <= e.offset) return Fail(Malformed("chunk"));
  return e;
}

std::string EncodePartition(const PartitionRecord& p) {
  std::string out;
  ProtoWriter w(&out);
  w.Varint(1, p.next_inode);
  w.Varint(2, p.next_chunk);
  w.Varint(3, p.inodes);
  w.Varint(4, p.bytes);
  w.Varint(5, p.sweep_from);
  return out;
}

Result<PartitionRecord> DecodePartition(std::string_view value) {
  PartitionRecord p;
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) p.next_inode = r.number();
    if (r.field() == 2) p.next_chunk = r.number();
    if (r.field() == 3) p.inodes = r.number();
    if (r.field() == 4) p.bytes = r.number();
    if (r.field() == 5) p.sweep_from = r.number();
  }
  if (!r.ok()) return Fail(Malformed("partition"));
  return p;
}

std::string EncodeSuperBlock(const SuperBlock& s) {
  std::string out;
  ProtoWriter w(&out);
  w.Varint(1, s.fs.value);
  w.Bytes(2, s.name);
  w.Bytes(3, s.uuid);
  w.Varint(4, s.root.value);
  w.Varint(5, s.chunk_size);
  w.Varint(6, s.block_size);
  w.Fixed64(7, static_cast<uint64_t>(s.created.ns));
  w.Varint(8, s.hash_seed);
  w.Varint(9, s.capacity_bytes);
  w.Varint(10, s.capacity_inodes);
  w.Varint(11, s.homes);
  return out;
}

Result<SuperBlock> DecodeSuperBlock(std::string_view value) {
  SuperBlock s;
  ProtoReader r(value);
  while (r.Next()) {
    switch (r.field()) {
      case 1:
        s.fs = FsId(U32(r.number()));
        break;
      case 2:
        s.name = r.bytes();
        break;
      case 3:
        s.uuid = r.bytes();
        break;
      case 4:
        s.root = InodeId(r.number());
        break;
      case 5:
        s.chunk_size = r.number();
        break;
      case 6:
        s.block_size = r.number();
        break;
      case 7:
        s.created.ns = static_cast<int64_t>(r.number());
        break;
      case 8:
        s.hash_seed = r.number();
        break;
      case 9:
        s.capacity_bytes = r.number();
        break;
      case 10:
        s.capacity_inodes = r.number();
        break;
      case 11:
        s.homes = r.number() != 0;
        break;
      default:
        break;
    }
  }
  if (!r.ok() || !s.fs || s.chunk_size == 0 || s.block_size == 0) return Fail(Malformed("super block"));
  return s;
}

std::string EncodeFreeObject(const FreeObject& f) {
  std::string out;
  ProtoWriter w(&out);
  w.Varint(1, f.block);
  w.Varint(2, f.compaction);
  w.Varint(3, f.inode.value);
  return out;
}

Result<FreeObject> DecodeFreeObject(ChunkId chunk, std::string_view value) {
  FreeObject f;
  f.chunk = chunk;
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) f.block = U32(r.number());
    if (r.field() == 2) f.compaction = U32(r.number());
    if (r.field() == 3) f.inode = InodeId(r.number());
  }
  if (!r.ok()) return Fail(Malformed("free object"));
  return f;
}

std::string EncodeQuota(const Quota& q) {
  std::string out;
  ProtoWriter w(&out);
  w.Varint(1, q.bytes);
  w.Varint(2, q.inodes);
  return out;
}

Result<Quota> DecodeQuota(std::string_view value) {
  Quota q;
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) q.bytes = r.number();
    if (r.field() == 2) q.inodes = r.number();
  }
  if (!r.ok()) return Fail(Malformed("quota"));
  return q;
}

std::string EncodeRefs(const ObjectRefs& refs) {
  std::string out;
  ProtoWriter w(&out);
  w.Varint(1, refs.count);
  w.Varint(2, refs.live);
  return out;
}

Result<ObjectRefs> DecodeRefs(std::string_view value) {
  ObjectRefs refs;
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) refs.count = r.number();
    if (r.field() == 2) refs.live = r.number();
  }
  if (!r.ok()) return Fail(Malformed("refs"));
  return refs;
}

std::string EncodeShared(const SharedObject& object) {
  std::string out, inodes, chunks;
  for (const auto& user : object.users) {
    PutVarint(&inodes, user.inode.value);
    PutVarint(&chunks, user.chunk_index);
  }
  ProtoWriter w(&out);
  w.Varint(1, object.size);
  w.Bytes(2, inodes);  // packed
  w.Bytes(3, chunks);
  return out;
}

Result<SharedObject> DecodeShared(ChunkId chunk, std::string_view value) {
  SharedObject object;
  object.chunk = chunk;
  std::vector<uint64_t> inodes, chunks;
  bool ok = true;
  auto unpack = [&ok](std::string_view packed, std::vector<uint64_t>* out) {
    const char *p = packed.data(), *end = p + packed.size();
    for (uint64_t v; ok && p < end;) {
      ok = GetVarint(&p, end, &v);
      out->push_back(v);
    }
  };
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) object.size = r.number();
    if (r.field() == 2) unpack(r.bytes(), &inodes);
    if (r.field() == 3) unpack(r.bytes(), &chunks);
  }
  if (!ok || !r.ok() || object.size == 0 || chunks.size() != inodes.size())
    return Fail(Malformed("shared object"));
  for (size_t i = 0; i < chunks.size(); ++i) object.users.push_back({InodeId(inodes[i]), U32(chunks[i])});
  return object;
}

}  // namespace curvefs::meta
