#include "test/sim/machine.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/hash.h"

namespace curvefs::sim {
namespace {

class StringReader final : public raft::SnapshotReader {
 public:
  StringReader(raft::SnapshotMeta meta, std::string bytes)
      : meta_(std::move(meta)), bytes_(std::move(bytes)) {}
  const raft::SnapshotMeta& meta() const override { return meta_; }
  Result<std::string> Read(uint64_t offset, size_t n) override {
    return offset >= bytes_.size() ? std::string() : bytes_.substr(offset, n);
  }

 private:
  raft::SnapshotMeta meta_;
  std::string bytes_;
};

class StringSink final : public raft::SnapshotSink {
 public:
  Status Append(std::string_view bytes) override {
    bytes_.append(bytes);
    return {};
  }
  std::string bytes_;
};

}  // namespace

std::string EncodeWrite(uint64_t key, uint64_t value, size_t padding) {
  std::string bytes;
  PutLe(&bytes, key);
  PutLe(&bytes, value);
  bytes.append(padding, 'p');
  return bytes;
}

bool DecodeWrite(std::string_view bytes, uint64_t* key, uint64_t* value) {
  ByteReader in(bytes);
  *key = in.Le<uint64_t>();
  *value = in.Le<uint64_t>();
  return in.ok();
}

RegisterMachine::RegisterMachine(Disk& disk, std::string path, raft::SnapshotMeta first, Watcher watcher)
    : disk_(disk), path_(std::move(path)), watcher_(std::move(watcher)), snapshot_(std::move(first)) {
  applied_ = snapshot_.index;
  term_ = snapshot_.term;
  members_ = snapshot_.members;
  auto bytes = disk_.ReadWholeFile(path_);
  if (!bytes) return;
  CURVEFS_CHECK(Decode(*bytes).ok());
}

void RegisterMachine::Write(uint64_t key, uint64_t value, size_t padding, Written done) {
  Status s = group_->Propose(raft::MakePayload(EncodeWrite(key, value, padding)), done);
  if (!s.ok()) done(Fail(s));
}

void RegisterMachine::Read(uint64_t key, std::function<void(Result<uint64_t>)> done) {
  group_->Read([this, key, done = std::move(done)](Status s) {
    if (!s.ok()) return done(Fail(s));
    auto it = registers_.find(key);
    done(it == registers_.end() ? 0 : it->second);
  });
}

Status RegisterMachine::Apply(std::span<const raft::Entry> entries) {
  for (const raft::Entry& e : entries) {
    CURVEFS_CHECK(e.index == applied_ + 1);
    applied_ = e.index;
    term_ = e.term;
    uint64_t key, value;
    if (e.kind == raft::EntryKind::kData && DecodeWrite(raft::BytesOf(e.payload), &key, &value))
      registers_[key] = value;
    std::string link;
    PutLe(&link, e.index);
    PutLe(&link, e.term);
    link.append(raft::BytesOf(e.payload));
    hash_ = Xxh3(link, hash_);
    watcher_.applied(e, hash_);
  }
  return {};
}

void RegisterMachine::MembersChanged(const raft::Members& members, const raft::MemberChange&) {
  members_ = members;
  watcher_.members(members);
}

std::string RegisterMachine::Encode(const raft::SnapshotMeta& meta) const {
  std::string head, bytes;
  EncodeMeta(meta, &head);
  PutLe<uint32_t>(&bytes, static_cast<uint32_t>(head.size()));
  bytes.append(head);
  PutLe(&bytes, hash_);
  for (const auto& [key, value] : registers_) {
    PutLe(&bytes, key);
    PutLe(&bytes, value);
  }
  return bytes;
}

Status RegisterMachine::Decode(std::string_view bytes) {
  ByteReader in(bytes);
  CURVEFS_TRY(snapshot_, raft::DecodeMeta(in.Bytes(in.Le<uint32_t>())));
  hash_ = in.Le<uint64_t>();
  registers_.clear();
  while (in.ok() && in.remaining() > 0) {
    auto key = in.Le<uint64_t>();
    registers_[key] = in.Le<uint64_t>();
  }
  applied_ = snapshot_.index;
  term_ = snapshot_.term;
  members_ = snapshot_.members;
  return in.ok() ? Status() : Status(Code::kCorrupt);
}

void RegisterMachine::TakeSnapshot(SnapshotDone done) {
  raft::SnapshotMeta meta{.index = applied_, .term = term_, .members = members_};
  watcher_.later([this, meta, bytes = Encode(meta), done = std::move(done)] {
    Status s = disk_.WriteFileAtomically(path_, bytes);
    if (!s.ok()) return done(Fail(s));
    snapshot_ = meta;
    done(meta);
  });
}

Result<std::unique_ptr<raft::SnapshotReader>> RegisterMachine::OpenSnapshot() {
  CURVEFS_TRY(std::string bytes, disk_.ReadWholeFile(path_));
  return std::make_unique<StringReader>(snapshot_, std::move(bytes));
}

Result<std::unique_ptr<raft::SnapshotSink>> RegisterMachine::ReceiveSnapshot(const raft::SnapshotMeta&) {
  return std::make_unique<StringSink>();
}

void RegisterMachine::Restore(std::unique_ptr<raft::SnapshotSink> sink, const raft::SnapshotMeta& meta,
                              Done done) {
  watcher_.later([this, meta, bytes = static_cast<StringSink&>(*sink).bytes_, done = std::move(done)] {
    Status s = disk_.WriteFileAtomically(path_, bytes);
    if (s.ok()) s = Decode(bytes);
    if (s.ok() && snapshot_ != meta) s = {Code::kCorrupt, "another snapshot than announced"};
    if (s.ok()) watcher_.restored(applied_, hash_);
    done(s);
  });
}

}  // namespace curvefs::sim
