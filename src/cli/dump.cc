#include "cli/dump.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "cli/base64.h"
#include "cli/offline.h"
#include "meta/keys.h"
#include "meta/records.h"

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;
using meta::KeyKind;

constexpr int kDumpVersion = 1;
constexpr uint32_t kBatchRecords = 1000;
constexpr size_t kBatchBytes = 4 << 20;

struct KindName {
  KeyKind kind;
  const char* name;
};
constexpr KindName kKinds[] = {
    {KeyKind::kInode, "inode"}, {KeyKind::kDentry, "dentry"},       {KeyKind::kChunk, "chunk"},
    {KeyKind::kXattr, "xattr"}, {KeyKind::kOrphan, "orphan"},       {KeyKind::kFree, "free"},
    {KeyKind::kRefs, "refs"},   {KeyKind::kShared, "shared"},       {KeyKind::kLink, "link"},
    {KeyKind::kQuota, "quota"}, {KeyKind::kPartition, "partition"}, {KeyKind::kSuperBlock, "super"}};

void PutBytes(Json* j, const std::string& field, std::string_view bytes) {
  if (IsPlainUtf8(bytes)) {
    (*j)[field] = bytes;
  } else {
    (*j)[field + "_base64"] = ToBase64(bytes);
  }
}

// Takes fields out of a line; the first thing wrong is kept.
class Fields {
 public:
  explicit Fields(const Json& json) : json_(json) {}

  uint64_t Number(const char* field) {
    auto found = json_.find(field);
    if (found == json_.end()) return 0;
    if (found->is_number_unsigned()) return found->get<uint64_t>();
    if (found->is_number_integer()) return static_cast<uint64_t>(found->get<int64_t>());
    return Wrong(field), 0;
  }
  // An array of pairs of numbers.
  std::vector<std::pair<uint64_t, uint64_t>> Pairs(const char* field) {
    std::vector<std::pair<uint64_t, uint64_t>> pairs;
    auto found = json_.find(field);
    if (found == json_.end()) return pairs;
    for (const Json& j : *found) {
      if (!j.is_array() || j.size() != 2 || !j[0].is_number_unsigned() || !j[1].is_number_unsigned())
        return Wrong(field), pairs;
      pairs.emplace_back(j[0].get<uint64_t>(), j[1].get<uint64_t>());
    }
    return pairs;
  }
  uint32_t Number32(const char* field) {
    uint64_t value = Number(field);
    if (value > ~uint32_t{0}) Wrong(field);
    return static_cast<uint32_t>(value);
  }
  bool Flag(const char* field) {
    auto found = json_.find(field);
    if (found == json_.end()) return false;
    if (found->is_boolean()) return found->get<bool>();
    return Wrong(field), false;
  }
  Timestamp Time(const char* field) { return {static_cast<int64_t>(Number(field))}; }
  std::string Bytes(const std::string& field) {
    if (auto found = json_.find(field); found != json_.end()) {
      if (found->is_string()) return found->get<std::string>();
      return Wrong(field), std::string();
    }
    auto encoded = json_.find(field + "_base64");
    if (encoded == json_.end()) return {};
    auto bytes = encoded->is_string() ? FromBase64(encoded->get<std::string>()) : Fail(Code::kInvalid);
    if (!bytes) Wrong(field);
    return bytes ? *std::move(bytes) : std::string();
  }
  const Status& status() const { return status_; }

 private:
  void Wrong(const std::string& field) {
    if (status_.ok()) status_ = {Code::kInvalid, "field '" + field + "' is not what it should be"};
  }
  const Json& json_;
  Status status_;
};

template <typename T>
void Put(Json* j, const char* field, T value) {
  if (value != T{}) (*j)[field] = value;
}

Status InodeToJson(const meta::ParsedKey& key, std::string_view value, Json* j) {
  CURVEFS_TRY(meta::Inode i, meta::DecodeInode(key.inode, value));
  (*j)["mode"] = i.mode;
  Put(j, "uid", i.uid);
  Put(j, "gid", i.gid);
  Put(j, "nlink", i.nlink);
  Put(j, "length", i.length);
  (*j)["atime_ns"] = i.atime.ns;
  (*j)["mtime_ns"] = i.mtime.ns;
  (*j)["ctime_ns"] = i.ctime.ns;
  Put(j, "rdev", i.rdev);
  Put(j, "parent", i.parent.value);
  if (!i.symlink.empty()) PutBytes(j, "symlink", i.symlink);
  Put(j, "version", i.version);
  Put(j, "flags", i.flags);
  Put(j, "bytes", i.bytes);
  return {};
}

std::string InodeFromJson(InodeId id, Fields& f) {
  meta::Inode i;
  i.id = id;
  i.mode = f.Number32("mode");
  i.uid = f.Number32("uid");
  i.gid = f.Number32("gid");
  i.nlink = f.Number32("nlink");
  i.length = f.Number("length");
  i.atime = f.Time("atime_ns");
  i.mtime = f.Time("mtime_ns");
  i.ctime = f.Time("ctime_ns");
  i.rdev = f.Number32("rdev");
  i.parent = InodeId(f.Number("parent"));
  i.symlink = f.Bytes("symlink");
  i.version = f.Number("version");
  i.flags = f.Number32("flags");
  i.bytes = f.Number("bytes");
  return meta::EncodeInode(i);
}

Status ChunkToJson(const meta::ParsedKey& key, std::string_view value, Json* j) {
  CURVEFS_TRY(meta::ChunkRecord c, meta::DecodeChunk(key.inode, key.sequence, value));
  (*j)["offset"] = c.offset;
  (*j)["len"] = c.len;
  if (c.in_object()) {
    (*j)["chunk"] = c.chunk_id.value;
    (*j)["block"] = c.block;
    Put(j, "compaction", c.compaction);
    (*j)["object_inode"] = c.object_inode.value;
    (*j)["object_offset"] = c.object_offset;
    (*j)["object_size"] = c.object_size;
    (*j)["digest"] = c.digest;
  } else if (c.is_inline()) {
    PutBytes(j, "data", c.inline_data);
    (*j)["data_crc"] = c.inline_crc;
  }
  return {};
}

std::string ChunkFromJson(InodeId inode, uint64_t sequence, Fields& f) {
  meta::ChunkRecord c;
  c.sequence = sequence;
  c.offset = f.Number("offset");
  c.len = f.Number("len");
  c.chunk_id = ChunkId(f.Number("chunk"));
  c.block = f.Number32("block");
  c.compaction = f.Number32("compaction");
  c.object_inode = InodeId(f.Number("object_inode"));
  c.object_offset = f.Number("object_offset");
  c.object_size = f.Number("object_size");
  c.digest = f.Number32("digest");
  c.inline_data = f.Bytes("data");
  c.inline_crc = f.Number32("data_crc");
  return meta::EncodeChunk(inode, c);
}

Status SuperToJson(std::string_view value, Json* j) {
  CURVEFS_TRY(meta::SuperBlock s, meta::DecodeSuperBlock(value));
  (*j)["fs_id"] = s.fs.value;
  PutBytes(j, "name", s.name);
  (*j)["uuid"] = UuidText(s.uuid);
  (*j)["root"] = s.root.value;
  (*j)["chunk_size"] = s.chunk_size;
  (*j)["block_size"] = s.block_size;
  (*j)["created_ns"] = s.created.ns;
  (*j)["hash_seed"] = s.hash_seed;
  Put(j, "capacity_bytes", s.capacity_bytes);
  Put(j, "capacity_inodes", s.capacity_inodes);
  Put(j, "homes", s.homes);
  return {};
}

Result<std::string> SuperFromJson(Fields& f) {
  meta::SuperBlock s;
  s.fs = FsId(f.Number32("fs_id"));
  s.name = f.Bytes("name");
  CURVEFS_TRY(s.uuid, UuidBytes(f.Bytes("uuid")));
  s.root = InodeId(f.Number("root"));
  s.chunk_size = f.Number("chunk_size");
  s.block_size = f.Number("block_size");
  s.created = f.Time("created_ns");
  s.hash_seed = f.Number("hash_seed");
  s.capacity_bytes = f.Number("capacity_bytes");
  s.capacity_inodes = f.Number("capacity_inodes");
  s.homes = f.Flag("homes");
  return meta::EncodeSuperBlock(s);
}

Status ValueToJson(const meta::ParsedKey& key, std::string_view value, Json* j) {
  switch (key.kind) {
    case KeyKind::kSession:  // of a copyset, which a standalone file system has none of: raw
    case KeyKind::kOutcome:
    case KeyKind::kLock:
    case KeyKind::kIntent:
    case KeyKind::kDecision:
    case KeyKind::kMutex:
      return Code::kNotSupported;
    case KeyKind::kInode:
      return InodeToJson(key, value, j);
    case KeyKind::kChunk:
      return ChunkToJson(key, value, j);
    case KeyKind::kSuperBlock:
      return SuperToJson(value, j);
    case KeyKind::kDentry: {
      CURVEFS_TRY(meta::Dentry d, meta::DecodeDentry(value));
      (*j)["inode"] = d.inode.value;
      (*j)["type"] = d.type;
      return {};
    }
    case KeyKind::kPartition: {
      CURVEFS_TRY(meta::PartitionRecord p, meta::DecodePartition(value));
      (*j)["next_inode"] = p.next_inode;
      (*j)["next_chunk"] = p.next_chunk;
      (*j)["inodes"] = p.inodes;
      (*j)["bytes"] = p.bytes;
      Put(j, "sweep_from", p.sweep_from);
      return {};
    }
    case KeyKind::kFree: {
      CURVEFS_TRY(meta::FreeObject o, meta::DecodeFreeObject(key.chunk, value));
      (*j)["block"] = o.block;
      Put(j, "compaction", o.compaction);
      (*j)["inode"] = o.inode.value;
      return {};
    }
    case KeyKind::kRefs: {
      CURVEFS_TRY(const meta::ObjectRefs refs, meta::DecodeRefs(value));
      (*j)["count"] = refs.count;
      Put(j, "live", refs.live);
      return {};
    }
    case KeyKind::kShared: {
      CURVEFS_TRY(const meta::SharedObject object, meta::DecodeShared(key.chunk, value));
      (*j)["size"] = object.size;
      for (const auto& user : object.users) (*j)["users"].push_back({user.inode.value, user.chunk_index});
      return {};
    }
    case KeyKind::kQuota: {
      CURVEFS_TRY(meta::Quota q, meta::DecodeQuota(value));
      Put(j, "bytes", q.bytes);
      Put(j, "inodes", q.inodes);
      return {};
    }
    case KeyKind::kXattr:
    case KeyKind::kOrphan:
    case KeyKind::kLink:
      PutBytes(j, "value", value);
      return {};
  }
  return Code::kInvalid;
}

Json KeyToJson(const meta::ParsedKey& key) {
  Json j;
  for (const KindName& k : kKinds) {
    if (k.kind == key.kind) j["kind"] = k.name;
  }
  j["fs"] = key.fs.value;
  Put(&j, "partition", key.partition.value);
  switch (key.kind) {
    case KeyKind::kInode:
    case KeyKind::kOrphan:
    case KeyKind::kQuota:
      j["inode"] = key.inode.value;
      break;
    case KeyKind::kLink:
      j["inode"] = key.inode.value;
      j["parent"] = key.parent.value;
      PutBytes(&j, "name", key.name);
      break;
    case KeyKind::kDentry:
      j["parent"] = key.inode.value;
      j["hash"] = key.name_hash;
      PutBytes(&j, "name", key.name);
      break;
    case KeyKind::kXattr:
      j["inode"] = key.inode.value;
      PutBytes(&j, "name", key.name);
      break;
    case KeyKind::kChunk:
      j["inode"] = key.inode.value;
      j["index"] = key.chunk_index;
      j["sequence"] = key.sequence;
      break;
    case KeyKind::kFree:
    case KeyKind::kRefs:
    case KeyKind::kShared:
      j["chunk"] = key.chunk.value;
      break;
    case KeyKind::kPartition:
    case KeyKind::kSuperBlock:
    case KeyKind::kSession:
    case KeyKind::kOutcome:
    case KeyKind::kLock:
    case KeyKind::kIntent:
    case KeyKind::kDecision:
    case KeyKind::kMutex:
      break;
  }
  return j;
}

Result<Pair> FieldsToPair(KeyKind kind, Fields& f) {
  const FsId fs(f.Number32("fs"));
  const PartitionId partition(f.Number32("partition"));
  const InodeId inode(f.Number("inode"));
  switch (kind) {
    case KeyKind::kInode:
      return Pair{meta::InodeKey(fs, inode), InodeFromJson(inode, f)};
    case KeyKind::kOrphan:
      return Pair{meta::OrphanKey(fs, inode), f.Bytes("value")};
    case KeyKind::kLink:
      return Pair{meta::LinkKey(fs, inode, InodeId(f.Number("parent")), f.Bytes("name")), f.Bytes("value")};
    case KeyKind::kQuota:
      return Pair{meta::QuotaKey(fs, inode), meta::EncodeQuota({f.Number("bytes"), f.Number("inodes")})};
    case KeyKind::kXattr:
      return Pair{meta::XattrKey(fs, inode, f.Bytes("name")), f.Bytes("value")};
    case KeyKind::kDentry:
      return Pair{meta::DentryKey(fs, InodeId(f.Number("parent")), f.Number("hash"), f.Bytes("name")),
                  meta::EncodeDentry({inode, f.Number32("type")})};
    case KeyKind::kChunk: {
      uint64_t sequence = f.Number("sequence");
      return Pair{meta::ChunkKey(fs, inode, f.Number32("index"), sequence),
                  ChunkFromJson(inode, sequence, f)};
    }
    case KeyKind::kFree: {
      const ChunkId chunk(f.Number("chunk"));
      return Pair{meta::FreeKey(fs, partition, chunk),
                  meta::EncodeFreeObject({chunk, f.Number32("block"), f.Number32("compaction"), inode})};
    }
    case KeyKind::kRefs:
      return Pair{meta::RefsKey(fs, partition, ChunkId(f.Number("chunk"))),
                  meta::EncodeRefs({f.Number("count"), f.Number("live")})};
    case KeyKind::kShared: {
      meta::SharedObject object{.chunk = ChunkId(f.Number("chunk")), .size = f.Number("size")};
      for (const auto& [user, index] : f.Pairs("users"))
        object.users.push_back({InodeId(user), static_cast<uint32_t>(index)});
      return Pair{meta::SharedKey(fs, partition, object.chunk), meta::EncodeShared(object)};
    }
    case KeyKind::kPartition:
      return Pair{meta::PartitionKey(fs, partition),
                  meta::EncodePartition({f.Number("next_inode"), f.Number("next_chunk"), f.Number("inodes"),
                                         f.Number("bytes"), f.Number("sweep_from")})};
    case KeyKind::kSuperBlock: {
      CURVEFS_TRY(std::string value, SuperFromJson(f));
      return Pair{meta::SuperBlockKey(fs), std::move(value)};
    }
    case KeyKind::kSession:
    case KeyKind::kOutcome:
    case KeyKind::kLock:
    case KeyKind::kIntent:
    case KeyKind::kDecision:
    case KeyKind::kMutex:
      break;
  }
  return Fail(Code::kInvalid);
}

Result<Json> ParseLine(std::string_view line) {
  Json j = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (j.is_discarded() || !j.is_object()) return Fail(Code::kInvalid, "not a JSON object");
  return j;
}

Result<Pair> PairFromObject(const Json& j) {
  Fields f(j);
  const std::string kind = f.Bytes("kind");
  if (kind == "raw") {
    Pair pair{f.Bytes("key"), f.Bytes("value")};
    CURVEFS_CHECK_OK(f.status());
    return pair;
  }
  for (const KindName& k : kKinds) {
    if (kind != k.name) continue;
    CURVEFS_TRY(Pair pair, FieldsToPair(k.kind, f));
    CURVEFS_CHECK_OK(f.status());
    return pair;
  }
  return Fail(Code::kInvalid, "there is no kind '" + kind + "'");
}

}  // namespace

std::string PairToJson(std::string_view key, std::string_view value) {
  meta::ParsedKey parsed;
  if (meta::ParseKey(key, &parsed)) {
    Json j = KeyToJson(parsed);
    if (ValueToJson(parsed, value, &j).ok()) {
      auto back = PairFromObject(j);
      if (back && back->key == key && back->value == value) return j.dump();
    }
  }
  Json j;
  j["kind"] = "raw";
  j["key_base64"] = ToBase64(key);
  j["value_base64"] = ToBase64(value);
  return j.dump();
}

Result<Pair> PairFromJson(std::string_view line) {
  CURVEFS_TRY(Json j, ParseLine(line));
  return PairFromObject(j);
}

Result<uint64_t> Dump(Disk& disk, const std::string& path,
                      const std::function<Status(const std::string&)>& line) {
  DirUser user{.command = "dump"};
  CURVEFS_TRY(auto dir, FsDir::Open(disk, path, FsDir::Create::kNo, {}, user, /*read_only=*/true));
  CURVEFS_TRY(auto store, OfflineStore::Open(disk, *dir, {}));
  const FsDescription& d = dir->description();
  Json header;
  header["curvefs_dump"] = kDumpVersion;
  header["uuid"] = d.uuid;
  PutBytes(&header, "name", d.name);
  header["engine"] = EngineName(d.engine);
  if (!d.place.data.empty()) {
    header["data"] = d.place.data;
    header["s3_endpoint"] = d.place.s3_endpoint;
    header["s3_region"] = d.place.s3_region;
    header["s3_style"] = d.place.s3_style;
    PutBytes(&header, "s3_ca", d.place.s3_ca);
  }
  if (d.compress != object::Compression::kNone) header["compress"] = object::CompressionName(d.compress);
  if (!d.wrapped_key.empty()) header["wrapped_key"] = d.wrapped_key;
  CURVEFS_CHECK_OK(line(header.dump()));
  uint64_t pairs = 0;
  Status failure;
  CURVEFS_CHECK_OK(store->view().Scan("", "", [&](std::string_view key, std::string_view value) {
    failure = line(PairToJson(key, value));
    ++pairs;
    return failure.ok();
  }));
  CURVEFS_CHECK_OK(failure);
  Json end;
  end["kind"] = "end";
  end["pairs"] = pairs;
  CURVEFS_CHECK_OK(line(end.dump()));
  CURVEFS_CHECK_OK(dir->Clean());
  return pairs;
}

Result<uint64_t> Load(Disk& disk, const std::string& path, const std::function<bool(std::string*)>& next,
                      std::string_view engine) {
  std::string line;
  uint64_t number = 0;
  auto wrong = [&](const std::string& what) {
    return Fail(Code::kInvalid, "line " + std::to_string(number) + ": " + what);
  };
  auto read = [&] {
    ++number;
    return next(&line);
  };
  if (!read()) return wrong("the dump is empty");
  auto header = ParseLine(line);
  if (!header) return wrong("not the header of a dump: " + header.error().message());
  Fields f(*header);
  const uint64_t version = f.Number("curvefs_dump");
  if (version == 0) return wrong("not the header of a dump");
  if (version > kDumpVersion)
    return Fail(Code::kUnsupportedVersion, "the dump was written by a newer curvefs");
  FsDescription fresh;
  fresh.uuid = f.Bytes("uuid");
  fresh.name = f.Bytes("name");
  CURVEFS_TRY(fresh.engine, ParseEngine(engine.empty() ? f.Bytes("engine") : std::string(engine)));
  fresh.place = {f.Bytes("data"), f.Bytes("s3_endpoint"), f.Bytes("s3_region"), f.Bytes("s3_style"),
                 f.Bytes("s3_ca")};
  if (header->contains("compress")) {
    CURVEFS_TRY(fresh.compress, object::ParseCompression(f.Bytes("compress")));
  }
  if (header->contains("wrapped_key")) fresh.wrapped_key = f.Bytes("wrapped_key");
  fresh.state = FsDescription::State::kLoading;
  if (!f.status().ok() || !UuidBytes(fresh.uuid)) return wrong("not the header of a dump");

  DirUser user{.command = "load"};
  CURVEFS_TRY(auto dir,
              FsDir::Open(disk, path, FsDir::Create::kMustBeEmpty, fresh, user, /*read_only=*/false));
  CURVEFS_TRY(auto store, OfflineStore::Open(disk, *dir, {.write = true}));
  kv::WriteBatch batch;
  uint64_t pairs = 0;
  while (true) {
    if (!read()) return wrong("the dump is cut off: its end line is missing");
    auto j = ParseLine(line);
    if (!j) return wrong(j.error().message());
    if (Fields(*j).Bytes("kind") == "end") {
      if (Fields(*j).Number("pairs") != pairs) return wrong("the dump is not whole: pairs are missing");
      break;
    }
    auto pair = PairFromObject(*j);
    if (!pair) return wrong(pair.error().message());
    if (pair->key.empty() || pair->key.size() > kMaxKey || pair->value.size() > kMaxValue)
      return wrong("key or value too long");
    batch.Set(pair->key, pair->value);
    ++pairs;
    if (batch.count() >= kBatchRecords || batch.encoded().size() >= kBatchBytes) {
      CURVEFS_CHECK_OK(store->Commit(batch));
      batch.Clear();
    }
  }
  CURVEFS_CHECK_OK(store->Commit(batch));
  CURVEFS_CHECK_OK(store->Finish());
  CURVEFS_CHECK_OK(dir->MarkReady());
  CURVEFS_CHECK_OK(dir->Clean());
  return pairs;
}

}  // namespace curvefs::cli
