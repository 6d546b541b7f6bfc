#include "kv/write_batch.h"

#include <cstring>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"

namespace curvefs::kv {
namespace {

// type, key_length, key [, value_length, value], checksum
constexpr size_t kSetOverhead = 1 + 4 + 4 + 8;
constexpr size_t kDelOverhead = 1 + 4 + 8;

char* PutBytes(char* p, std::string_view bytes) {
  auto n = static_cast<uint32_t>(bytes.size());
  std::memcpy(p, &n, sizeof n);
  if (n > 0) std::memcpy(p + sizeof n, bytes.data(), n);  // data() of nothing may be null
  return p + sizeof n + n;
}

// Appends `size` bytes which `fill(p)` writes, without clearing them first.
template <typename Fill>
void AppendBytes(std::string* out, size_t size, Fill&& fill) {
  size_t start = out->size();
  out->resize_and_overwrite(start + size, [&](char* data, size_t) {  // libstdc++ 12 passes the capacity here
    fill(data + start);
    return start + size;
  });
}

void AppendChecksum(char* start, char* end) {
  uint64_t checksum = Xxh3({start, static_cast<size_t>(end - start)});
  std::memcpy(end, &checksum, sizeof checksum);
}

Status Malformed(size_t offset, std::string_view what) {
  return {Code::kCorrupt,
          "operation log record at byte " + std::to_string(offset) + " of its batch: " + std::string(what)};
}

struct Record {
  RecordType type;
  std::string_view key, value;
};

// Takes the record at *offset apart and moves *offset behind it.
template <bool kCheckHash>
Status Parse(std::string_view encoded, size_t* offset, Record* record) {
  const size_t start = *offset;
  ByteReader in(encoded.substr(start));
  auto type = in.Le<uint8_t>();
  record->type = static_cast<RecordType>(type);
  if (record->type != RecordType::kSet && record->type != RecordType::kDel)
    return Malformed(start, "unknown type " + std::to_string(type));
  auto key_length = in.Le<uint32_t>();
  if (in.ok() && (key_length == 0 || key_length > kMaxKey))
    return Malformed(start, "key of " + std::to_string(key_length) + " bytes");
  record->key = in.Bytes(key_length);
  record->value = {};
  if (record->type == RecordType::kSet) {
    auto value_length = in.Le<uint32_t>();
    if (in.ok() && value_length > kMaxValue)
      return Malformed(start, "value of " + std::to_string(value_length) + " bytes");
    record->value = in.Bytes(value_length);
  }
  size_t checked = in.position();
  auto checksum = in.Le<uint64_t>();
  if (!in.ok()) return Malformed(start, "cut short");
  if (kCheckHash && Xxh3(encoded.substr(start, checked)) != checksum)
    return Malformed(start, "checksum differs");
  *offset = start + in.position();
  return {};
}

}  // namespace

void WriteBatch::Set(std::string_view key, std::string_view value) {
  CURVEFS_CHECK(!key.empty() && key.size() <= kMaxKey && value.size() <= kMaxValue);
  AppendBytes(&encoded_, kSetOverhead + key.size() + value.size(), [&](char* start) {
    *start = static_cast<char>(RecordType::kSet);
    AppendChecksum(start, PutBytes(PutBytes(start + 1, key), value));
  });
  ++count_;
}

void WriteBatch::Del(std::string_view key) {
  CURVEFS_CHECK(!key.empty() && key.size() <= kMaxKey);
  AppendBytes(&encoded_, kDelOverhead + key.size(), [&](char* start) {
    *start = static_cast<char>(RecordType::kDel);
    AppendChecksum(start, PutBytes(start + 1, key));
  });
  ++count_;
}

void WriteBatch::Clear() {
  encoded_.clear();
  count_ = 0;
}

Status WriteBatch::ForEach(std::string_view encoded, const Visitor& visit) {
  for (size_t offset = 0; offset < encoded.size();) {
    Record record;
    CURVEFS_CHECK_OK(Parse<true>(encoded, &offset, &record));
    visit(record.type, record.key, record.value);
  }
  return {};
}

void WriteBatch::ForEachTrusted(std::string_view encoded, const Visitor& visit) {
  for (size_t offset = 0; offset < encoded.size();) {
    Record record;
    CURVEFS_CHECK(Parse<false>(encoded, &offset, &record).ok());
    visit(record.type, record.key, record.value);
  }
}

Result<uint32_t> WriteBatch::Verify(std::string_view encoded) {
  if (encoded.size() > kMaxBatchBytes)
    return Fail(Code::kCorrupt, "batch of " + std::to_string(encoded.size()) + " bytes is over the limit");
  uint32_t count = 0;
  for (size_t offset = 0; offset < encoded.size(); ++count) {
    Record record;
    CURVEFS_CHECK_OK(Parse<true>(encoded, &offset, &record));
  }
  if (count > kMaxBatchRecords)
    return Fail(Code::kCorrupt, "batch of " + std::to_string(count) + " records is over the limit");
  return count;
}

}  // namespace curvefs::kv
