#include "raft/message.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/protowire.h"

namespace curvefs::raft {
namespace {

std::unexpected<Status> Malformed(const char* what) {
  return Fail(Code::kCorrupt, std::string("malformed ") + what + " of a Raft peer");
}

// At most kMaxMembers, ascending.
bool AddId(uint64_t id, std::vector<ReplicaId>* ids) {
  if (id == 0 || ids->size() >= kMaxMembers || (!ids->empty() && ids->back().value >= id)) return false;
  ids->push_back(ReplicaId(id));
  return true;
}

bool Disjoint(const Members& members) {
  return std::none_of(members.learners.begin(), members.learners.end(),
                      [&](ReplicaId id) { return members.IsVoter(id); });
}

bool ReadEntry(std::string_view bytes, Entry* entry) {
  ProtoReader in(bytes);
  uint64_t kind = 0;
  while (in.Next()) {
    switch (in.field()) {
      case 1:
        entry->term = in.number();
        break;
      case 2:
        kind = in.number();
        break;
      case 3:
        entry->payload = MakePayload(in.bytes());
        break;
      default:
        break;
    }
  }
  entry->kind = static_cast<EntryKind>(kind);
  return in.ok() && kind <= 1 && BytesOf(entry->payload).size() <= kMaxEntryBytes;
}

}  // namespace

void EncodeMeta(const SnapshotMeta& meta, std::string* out) {
  ProtoWriter w(out);
  w.Varint(1, meta.index);
  w.Varint(2, meta.term);
  // Not packed: there are few, and zero is no id, so none is left out.
  for (ReplicaId id : meta.members.voters) w.Varint(3, id.value);
  for (ReplicaId id : meta.members.learners) w.Varint(4, id.value);
}

Result<SnapshotMeta> DecodeMeta(std::string_view bytes) {
  SnapshotMeta meta;
  ProtoReader in(bytes);
  bool good = true;
  while (in.Next()) {
    switch (in.field()) {
      case 1:
        meta.index = in.number();
        break;
      case 2:
        meta.term = in.number();
        break;
      case 3:
        good &= AddId(in.number(), &meta.members.voters);
        break;
      case 4:
        good &= AddId(in.number(), &meta.members.learners);
        break;
      default:
        break;
    }
  }
  if (!in.ok() || !good || !Disjoint(meta.members)) return Malformed("snapshot description");
  return meta;
}

void EncodeMessage(const Message& m, std::string* out) {
  ProtoWriter w(out);
  w.Varint(1, static_cast<uint8_t>(m.type));
  w.Varint(2, m.group.value);
  w.Varint(3, m.to.value);
  w.Varint(4, m.from.value);
  w.Varint(5, m.term);
  w.Varint(6, m.log_term);
  w.Varint(7, m.index);
  w.Varint(8, m.commit);
  w.Varint(9, m.reject ? 1 : 0);
  w.Varint(10, m.reject_hint);
  if (!m.context.empty()) w.Bytes(11, m.context);
  std::string part;
  if (m.snapshot.index != 0) {
    EncodeMeta(m.snapshot, &part);
    w.Bytes(12, part);
  }
  for (const Entry& e : m.entries) {
    part.clear();
    ProtoWriter inner(&part);
    inner.Varint(1, e.term);
    inner.Varint(2, static_cast<uint8_t>(e.kind));
    if (e.payload) inner.Bytes(3, *e.payload);
    w.Bytes(13, part);
  }
  w.Varint(14, m.sleep ? 1 : 0);
}

Result<Message> DecodeMessage(std::string_view bytes) {
  Message m;
  uint64_t type = 0;
  ProtoReader in(bytes);
  while (in.Next()) {
    switch (in.field()) {
      case 1:
        type = in.number();
        break;
      case 2:
        m.group = GroupId(in.number());
        break;
      case 3:
        m.to = ReplicaId(in.number());
        break;
      case 4:
        m.from = ReplicaId(in.number());
        break;
      case 5:
        m.term = in.number();
        break;
      case 6:
        m.log_term = in.number();
        break;
      case 7:
        m.index = in.number();
        break;
      case 8:
        m.commit = in.number();
        break;
      case 9:
        m.reject = in.number() != 0;
        break;
      case 10:
        m.reject_hint = in.number();
        break;
      case 11:
        if (in.bytes().size() > kMaxContext) return Malformed("message");
        m.context = in.bytes();
        break;
      case 12: {
        CURVEFS_TRY(m.snapshot, DecodeMeta(in.bytes()));
        break;
      }
      case 13: {
        if (m.entries.size() >= kMaxMessageEntries) return Malformed("message");
        Entry& e = m.entries.emplace_back();
        if (!ReadEntry(in.bytes(), &e)) return Malformed("entry");
        break;
      }
      case 14:
        m.sleep = in.number() != 0;
        break;
      default:
        break;
    }
  }
  if (!in.ok() || type > 255 || !IsMessageType(static_cast<uint8_t>(type))) return Malformed("message");
  m.type = static_cast<MessageType>(type);
  if (!m.group || !m.to || !m.from || m.term == 0 || m.term > kMaxTerm) return Malformed("message");
  // Entries travel in appends only, numbered from index + 1 on, with terms that do not fall or pass the
  // sender's.
  if (!m.entries.empty() && m.type != MessageType::kAppend) return Malformed("message");
  if (m.index > kMaxIndex || (m.sleep && m.type != MessageType::kHeartbeat)) return Malformed("message");
  // The engine takes term 0 for "no such entry", which would fit wherever the log has none.
  if (m.type == MessageType::kAppend && (m.index == 0) != (m.log_term == 0)) return Malformed("message");
  Term term = m.log_term;
  Index index = m.index;
  for (Entry& e : m.entries) {
    e.index = ++index;
    if (e.term < term || e.term == 0 || e.term > m.term) return Malformed("message");
    term = e.term;
  }
  if ((m.type == MessageType::kSnapshot) != (m.snapshot.index != 0)) return Malformed("message");
  return m;
}

void EncodeChunk(const SnapshotChunk& chunk, std::string* out) {
  ProtoWriter w(out);
  w.Varint(1, chunk.group.value);
  w.Varint(2, chunk.to.value);
  w.Varint(3, chunk.from.value);
  w.Varint(4, chunk.term);
  std::string meta;
  EncodeMeta(chunk.meta, &meta);
  w.Bytes(5, meta);
  w.Varint(6, chunk.offset);
  w.Bytes(7, chunk.data);
  w.Varint(8, chunk.last ? 1 : 0);
  w.Fixed64(9, Xxh3(chunk.data));
}

Result<SnapshotChunk> DecodeChunk(std::string_view bytes) {
  SnapshotChunk chunk;
  ProtoReader in(bytes);
  while (in.Next()) {
    switch (in.field()) {
      case 1:
        chunk.group = GroupId(in.number());
        break;
      case 2:
        chunk.to = ReplicaId(in.number());
        break;
      case 3:
        chunk.from = ReplicaId(in.number());
        break;
      case 4:
        chunk.term = in.number();
        break;
      case 5: {
        CURVEFS_TRY(chunk.meta, DecodeMeta(in.bytes()));
        break;
      }
      case 6:
        chunk.offset = in.number();
        break;
      case 7:
        chunk.data = in.bytes();
        break;
      case 8:
        chunk.last = in.number() != 0;
        break;
      case 9:
        chunk.checksum = in.number();
        break;
      default:
        break;
    }
  }
  if (!in.ok() || !chunk.group || !chunk.to || !chunk.from || chunk.term == 0 || chunk.term > kMaxTerm ||
      chunk.meta.index == 0 || chunk.meta.index > kMaxIndex || chunk.meta.term == 0 ||
      chunk.meta.term > chunk.term || chunk.meta.members.voters.empty() || chunk.data.size() > kMaxChunk ||
      chunk.offset > (uint64_t{1} << 62)) {
    return Malformed("piece of a snapshot");
  }
  if (chunk.checksum != Xxh3(chunk.data)) {
    return Fail(Code::kCorrupt,
                "a piece of a snapshot came damaged, at byte " + std::to_string(chunk.offset));
  }
  return chunk;
}

void EncodeReply(const SnapshotReply& reply, std::string* out) {
  ProtoWriter w(out);
  w.Varint(1, reply.group.value);
  w.Varint(2, reply.to.value);
  w.Varint(3, reply.from.value);
  w.Varint(4, reply.index);
  w.Varint(5, reply.offset);
  w.Varint(6, reply.done ? 1 : 0);
  w.Varint(7, reply.failed ? 1 : 0);
}

Result<SnapshotReply> DecodeReply(std::string_view bytes) {
  SnapshotReply reply;
  ProtoReader in(bytes);
  while (in.Next()) {
    switch (in.field()) {
      case 1:
        reply.group = GroupId(in.number());
        break;
      case 2:
        reply.to = ReplicaId(in.number());
        break;
      case 3:
        reply.from = ReplicaId(in.number());
        break;
      case 4:
        reply.index = in.number();
        break;
      case 5:
        reply.offset = in.number();
        break;
      case 6:
        reply.done = in.number() != 0;
        break;
      case 7:
        reply.failed = in.number() != 0;
        break;
      default:
        break;
    }
  }
  if (!in.ok() || !reply.group || !reply.to || !reply.from || reply.index == 0) {
    return Malformed("answer to a snapshot");
  }
  return reply;
}

}  // namespace curvefs::raft
