#include "object/s3/store.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/crc32c.h"
#include "base/limits.h"
#include "object/object_format.h"
#include "object/s3/table_cache.h"

namespace curvefs::object::s3 {
namespace {

constexpr uint64_t kChunksPerDir = 4096;
constexpr size_t kDirDigits = 13;  // of a chunk id divided by 4096: all names of directories are equally
                                   // long, so that the order of keys is the order of chunks
constexpr std::string_view kObjects = "objects/";

std::string DirOf(ChunkId chunk) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text(kDirDigits, '0');
  uint64_t dir = chunk.value / kChunksPerDir;
  for (size_t i = kDirDigits; i-- > 0; dir /= 16) text[i] = kHex[dir % 16];
  return text;
}

// What the application is to see: a store that refuses is an I/O error, whatever its reason.
Status ForApplication(Status s) {
  switch (s.code()) {
    case Code::kOk:
    case Code::kNotFound:
    case Code::kCorrupt:
    case Code::kNoSpace:
    case Code::kQuotaExceeded:
    case Code::kUnsupportedVersion:
      return s;
    default:
      return {Code::kIo, s.message()};
  }
}

Status Damaged(const ObjectName& name, const std::string& what) {
  return {Code::kCorrupt,
          "object " + name.ToString() + ": " + what +
              "; restore it from a backup or an older version of the bucket, or delete the files whose "
              "content is there; 'curvefs fsck --deep' names them"};
}

using Spans = std::vector<std::span<char>>;

// Bytes that were read: the first byte of a unit to a unit's end or the object's, in pieces. Returns the
// offset in the object of the first unit that is damaged, or ~0.
uint64_t FindDamage(const ChecksumTable& table, uint64_t unit, const Spans& pieces, uint64_t n) {
  uint32_t crc = 0;
  size_t in_unit = 0;
  for (const auto& piece : pieces) {
    for (size_t at = 0; at < piece.size() && n > 0;) {
      const size_t step = std::min({piece.size() - at, kChecksumUnit - in_unit, static_cast<size_t>(n)});
      crc = Crc32c(crc, piece.data() + at, step);
      at += step;
      n -= step;
      in_unit += step;
      if (in_unit < kChecksumUnit && n > 0) continue;
      if (unit >= table.units.size() || crc != table.units[unit]) return unit * kChecksumUnit;
      ++unit;
      crc = 0;
      in_unit = 0;
    }
  }
  return ~uint64_t{0};
}

class S3Store final : public ObjectStore {
 public:
  S3Store(std::shared_ptr<Client> client, Location location)
      : client_(std::move(client)), location_(std::move(location)) {}

  Result<uint32_t> Put(const ObjectName& name, const BufferList& data) override;
  Status Sync(std::span<const ObjectName> names) override;
  Status Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) override;
  void Prefetch(const ObjectName&, uint64_t, size_t) override {}  // whoever reads ahead reads
  Status Delete(const ObjectName& name) override;
  Status DeleteMany(std::span<const ObjectName> names) override;
  Result<std::shared_ptr<Buffer>> ReadWhole(const ObjectName& name, uint32_t digest) override;
  Result<ObjectStat> Stat(const ObjectName& name) override;
  Result<Timestamp> WrittenAt(const ObjectName& name) override;
  Status List(ChunkId from, const std::function<bool(const ObjectName&)>& visit, uint64_t* foreign) override {
    return ListDetails(from, [&](const ObjectDetails& object) { return visit(object.name); }, foreign);
  }
  Status ListDetails(ChunkId from, const std::function<bool(const ObjectDetails&)>& visit,
                     uint64_t* foreign) override;
  Result<DiskSpace> Space() override { return DiskSpace{kNominalSpace, kNominalSpace}; }

 private:
  // A read of one object, with the units around it.
  struct Plan;
  using Table = std::shared_ptr<const ChecksumTable>;

  std::string Key(const ObjectName& name) const { return ObjectKey(location_, name); }
  Status ReadWith(const ObjectName& name, const Table& table, Plan& plan);
  Status ReadWithTail(const ObjectName& name, uint32_t digest, Plan& plan);
  Status ReadToEnd(const ObjectName& name, uint32_t digest, Plan& plan);
  Status Verify(const ObjectName& name, uint32_t digest, const ChecksumTable& table, const Plan& plan,
                uint64_t received);
  Result<Table> KeepTable(const ObjectName& name, uint64_t total, std::string_view tail);
  Result<Table> FetchTable(const ObjectName& name);
  Status Failed(const ObjectName& name, const Status& s) const;

  const std::shared_ptr<Client> client_;
  const Location location_;
  TableCache tables_{kTableCacheBytes};
};

struct S3Store::Plan {
  uint64_t offset, n;       // what is wanted
  uint64_t begin, end;      // the units around it; what lies beyond the object's end is not there
  std::vector<char> slack;  // what is read beside it
  Spans into;               // [begin, end): slack, the caller's buffer, slack

  Plan(uint64_t o, char* out, size_t bytes)
      : offset(o),
        n(bytes),
        begin(o / kChecksumUnit * kChecksumUnit),
        end(UnitsOf(o + bytes) * kChecksumUnit),
        slack(end - begin - bytes) {
    const size_t head = offset - begin;
    if (head > 0) into.emplace_back(slack.data(), head);
    into.emplace_back(out, bytes);
    if (slack.size() > head) into.emplace_back(slack.data() + head, slack.size() - head);
  }
};

Status S3Store::Failed(const ObjectName& name, const Status& s) const {
  if (s.code() == Code::kNotFound)
    return {Code::kNotFound, "object " + name.ToString() + " is not there: " + s.message()};
  if (s.code() == Code::kInvalid) return Damaged(name, "it is cut short (" + s.message() + ")");
  return ForApplication({s.code(), "object " + name.ToString() + ": " + s.message()});
}

Result<uint32_t> S3Store::Put(const ObjectName& name, const BufferList& data) {
  const size_t size = curvefs::TotalSize(data);
  if (size > kMaxObjectData)
    return Fail(Code::kTooBig, "object " + name.ToString() + " is larger than a block");
  const Trailer trailer = MakeTrailer(data);
  BufferList body = data;
  body.push_back(BufferSlice::CopyOf(trailer.bytes));
  const std::string key = Key(name);
  tables_.Erase(key);
  if (Status s = client_->Put(key, body); !s.ok())
    return Fail(ForApplication({s.code(), "cannot store object " + name.ToString() + ": " + s.message()}));
  auto table = std::make_shared<ChecksumTable>();
  table->data_bytes = size;
  table->digest = trailer.digest;
  table->units.resize(UnitsOf(size));
  std::memcpy(table->units.data(), trailer.bytes.data(), table->units.size() * sizeof(uint32_t));
  tables_.Insert(key, std::move(table));
  return trailer.digest;
}

// Put was durable. An object that this process put, or has read, needs no look.
Status S3Store::Sync(std::span<const ObjectName> names) {
  for (const auto& name : names) {
    if (tables_.Find(Key(name)) != nullptr) continue;
    auto size = client_->Head(Key(name));
    if (!size) {
      return {Code::kIo, "object " + name.ToString() + " was to be synced: " + size.error().message()};
    }
  }
  return {};
}

Status S3Store::Verify(const ObjectName& name, uint32_t digest, const ChecksumTable& table, const Plan& plan,
                       uint64_t received) {
  if (table.digest != digest) {
    tables_.Erase(Key(name));
    return Damaged(name, "it is not the one that the metadata means (another digest)");
  }
  if (plan.offset + plan.n > table.data_bytes) {
    return Damaged(name, "a read up to " + std::to_string(plan.offset + plan.n) + " is past its end at " +
                             std::to_string(table.data_bytes));
  }
  const uint64_t wanted = std::min(plan.end, table.data_bytes) - plan.begin;
  uint64_t at = ~uint64_t{0};
  if (received < wanted) {
    at = plan.begin + received;
  } else {
    at = FindDamage(table, plan.begin / kChecksumUnit, plan.into, wanted);
  }
  if (at == ~uint64_t{0}) return {};
  tables_.Erase(Key(name));  // whoever repairs the object need not restart us
  return Damaged(name, (received < wanted ? "cut short at " : "wrong checksum at ") + std::to_string(at));
}

Result<S3Store::Table> S3Store::KeepTable(const ObjectName& name, uint64_t total, std::string_view tail) {
  auto parsed = ParseTrailer(total, tail);
  if (!parsed) {
    if (parsed.error().code() == Code::kCorrupt) return Fail(Damaged(name, parsed.error().message()));
    return Fail(parsed.error().code(), "object " + name.ToString() + ": " + parsed.error().message());
  }
  auto table = std::make_shared<const ChecksumTable>(*std::move(parsed));
  tables_.Insert(Key(name), table);
  return table;
}

Result<S3Store::Table> S3Store::FetchTable(const ObjectName& name) {
  std::array<char, kMaxTrailerBytes> tail;
  RangeRead read{.key = Key(name), .from_end = true, .bytes = tail.size(), .into = {tail}};
  if (Status s = client_->Read(std::span(&read, 1)); !s.ok()) return Fail(Failed(name, s));
  return KeepTable(name, read.total, std::string_view(tail.data(), read.received));
}

// The table is known: exactly the units.
Status S3Store::ReadWith(const ObjectName& name, const Table& table, Plan& plan) {
  RangeRead read{.key = Key(name),
                 .offset = plan.begin,
                 .bytes = std::min(plan.end, table->data_bytes) - plan.begin,
                 .into = plan.into};
  if (Status s = client_->Read(std::span(&read, 1)); !s.ok()) return Failed(name, s);
  return Verify(name, table->digest, *table, plan, read.received);
}

// The units and the table, at the same time.
Status S3Store::ReadWithTail(const ObjectName& name, uint32_t digest, Plan& plan) {
  std::array<char, kMaxTrailerBytes> tail;
  std::array<RangeRead, 2> reads;
  reads[0] = {.key = Key(name), .offset = plan.begin, .bytes = plan.end - plan.begin, .into = plan.into};
  reads[1] = {.key = Key(name), .from_end = true, .bytes = tail.size(), .into = {tail}};
  (void)client_->Read(reads);  // each has its own status
  if (!reads[1].status.ok()) return Failed(name, reads[1].status);
  CURVEFS_TRY(const Table table,
              KeepTable(name, reads[1].total, std::string_view(tail.data(), reads[1].received)));
  if (!reads[0].status.ok()) return Failed(name, reads[0].status);
  return Verify(name, digest, *table, plan, reads[0].received);
}

// One request, in the belief that the read goes to the object's end: then the table comes with it. If it does
// not, what came is good all the same, and the table is fetched after it.
Status S3Store::ReadToEnd(const ObjectName& name, uint32_t digest, Plan& plan) {
  const uint64_t size = plan.offset + plan.n;  // of the object, as we believe
  const uint64_t rest = plan.end - size;       // of the last unit, if the object goes on
  std::string tail(std::max(TrailerBytes(size), rest), '\0');
  RangeRead read{.key = Key(name), .offset = plan.begin, .bytes = size - plan.begin + tail.size()};
  read.into = plan.into;
  if (rest > 0) read.into.pop_back();  // behind the data there is the table, or else the rest of the unit
  read.into.emplace_back(tail);
  if (Status s = client_->Read(std::span(&read, 1)); !s.ok()) return Failed(name, s);
  if (read.total == size + TrailerBytes(size) && read.received == read.total - plan.begin) {
    CURVEFS_TRY(const Table table,
                KeepTable(name, read.total, std::string_view(tail).substr(0, TrailerBytes(size))));
    return Verify(name, digest, *table, plan, size - plan.begin);
  }
  if (rest > 0) std::memcpy(plan.into.back().data(), tail.data(), rest);
  CURVEFS_TRY(const Table table, FetchTable(name));
  return Verify(name, digest, *table, plan, read.received);
}

Status S3Store::Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) {
  if (offset > kMaxObjectData || n > kMaxObjectData - offset) {
    return Damaged(name, "a read up to " + std::to_string(offset + n) + " is past the end of any object");
  }
  Table table = tables_.Find(Key(name));
  if (table != nullptr && table->digest != digest) {
    tables_.Erase(Key(name));  // perhaps another process has put it anew
    table = nullptr;
  }
  if (n == 0) {
    if (table == nullptr) {
      CURVEFS_TRY(table, FetchTable(name));
    }
    if (table->digest == digest && offset <= table->data_bytes) return {};
    return Damaged(name, "it is not the one that the metadata means");
  }
  Plan plan(offset, out, n);
  if (table != nullptr) {
    if (offset + n > table->data_bytes) return Verify(name, digest, *table, plan, 0);
    return ReadWith(name, table, plan);
  }
  const bool perhaps_to_end = offset == 0 || (offset + n) % kChecksumUnit != 0 || offset + n >= kBlockSize;
  return perhaps_to_end ? ReadToEnd(name, digest, plan) : ReadWithTail(name, digest, plan);
}

Status S3Store::Delete(const ObjectName& name) {
  const std::string key = Key(name);
  tables_.Erase(key);
  return ForApplication(client_->Delete(key));
}

Status S3Store::DeleteMany(std::span<const ObjectName> names) {
  std::vector<std::string> keys;
  keys.reserve(names.size());
  for (const auto& name : names) {
    keys.push_back(Key(name));
    tables_.Erase(keys.back());
  }
  return ForApplication(client_->DeleteMany(keys));
}

Result<ObjectStat> S3Store::Stat(const ObjectName& name) {
  Table table = tables_.Find(Key(name));
  if (table == nullptr) {
    CURVEFS_TRY(table, FetchTable(name));
  }
  return ObjectStat{table->data_bytes, table->digest};
}

// One request, whatever the size is.
Result<std::shared_ptr<Buffer>> S3Store::ReadWhole(const ObjectName& name, uint32_t digest) {
  if (Table table = tables_.Find(Key(name)); table != nullptr && table->digest == digest) {
    auto data = Buffer::Make(table->data_bytes);
    CURVEFS_CHECK_OK(Read(name, digest, 0, data->data(), data->size()));
    return data;
  }
  auto all = Buffer::Make(kMaxObjectFile);
  RangeRead read{.key = Key(name), .bytes = all->size(), .into = {{all->data(), all->size()}}};
  if (Status s = client_->Read(std::span(&read, 1)); !s.ok()) return Fail(Failed(name, s));
  const std::string_view got(all->data(), read.received);
  CURVEFS_TRY(const Table table, KeepTable(name, read.total, got));
  auto data = Buffer::Make(table->data_bytes);
  std::memcpy(data->data(), all->data(), data->size());
  Plan whole(0, data->data(), data->size());
  CURVEFS_CHECK_OK(Verify(name, digest, *table, whole, table->data_bytes));
  return data;
}

Result<Timestamp> S3Store::WrittenAt(const ObjectName& name) {
  const std::string key = Key(name);
  Result<Timestamp> found = Fail(Code::kNotFound);
  CURVEFS_CHECK_OK(ForApplication(client_->List(key, "", [&](const ListedObject& object) {
    if (object.key != key) return true;
    found = object.modified.ns != 0 ? Result<Timestamp>(object.modified) : ObjectStore::WrittenAt(name);
    return false;
  })));
  return found;
}

Status S3Store::ListDetails(ChunkId from, const std::function<bool(const ObjectDetails&)>& visit,
                            uint64_t* foreign) {
  const std::string all = location_.Key(kObjects);
  uint64_t unknown = 0;
  bool go_on = true;
  std::string dir;                   // whose objects are in `there`
  std::vector<ObjectDetails> there;  // within a directory keys are in the order of text, not of numbers
  auto flush = [&] {
    std::ranges::sort(there, {}, &ObjectDetails::name);
    for (size_t i = 0; i < there.size() && go_on; ++i) go_on = visit(there[i]);
    there.clear();
  };
  const std::string after = from.value < kChunksPerDir ? "" : all + DirOf(from) + "/";
  Status s = client_->List(all, after, [&](const ListedObject& object) {
    const std::string_view rest =
        std::string_view(object.key).substr(std::min(all.size(), object.key.size()));
    const size_t slash = rest.find('/');
    auto name = ObjectName::Parse(slash == rest.npos ? rest : rest.substr(slash + 1));
    if (slash == rest.npos || !name || DirOf(name->chunk) != rest.substr(0, slash)) {
      ++unknown;
      return true;
    }
    if (dir != rest.substr(0, slash)) {
      flush();
      dir = rest.substr(0, slash);
    }
    if (name->chunk >= from) there.push_back({*name, DataBytesOf(object.bytes), object.modified});
    return go_on;
  });
  CURVEFS_CHECK_OK(ForApplication(std::move(s)));
  if (go_on) flush();
  if (foreign != nullptr) *foreign = unknown;
  return {};
}

}  // namespace

std::string ObjectKey(const Location& location, const ObjectName& name) {
  return location.Key(std::string(kObjects) + DirOf(name.chunk) + "/" + name.ToString());
}

std::unique_ptr<ObjectStore> MakeS3Store(std::shared_ptr<Client> client, Location location) {
  return std::make_unique<S3Store>(std::move(client), std::move(location));
}

}  // namespace curvefs::object::s3
