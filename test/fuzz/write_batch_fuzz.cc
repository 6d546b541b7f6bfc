// Any bytes are either refused or are exactly the encoding of what they decode to. With a first byte of 1 the
// checksums are put right first, so that the fuzzer gets past them.
#include <cstring>

#include "base/bytes.h"
#include "base/hash.h"
#include "kv/write_batch.h"

namespace {

using curvefs::kv::RecordType;
using curvefs::kv::WriteBatch;

void FixChecksums(std::string* bytes) {
  size_t start = 0;
  while (start < bytes->size()) {
    curvefs::ByteReader in(std::string_view(*bytes).substr(start));
    bool set = in.Le<uint8_t>() == static_cast<uint8_t>(RecordType::kSet);
    in.Bytes(in.Le<uint32_t>());
    if (set) in.Bytes(in.Le<uint32_t>());
    size_t checked = in.position();
    in.Bytes(8);
    if (!in.ok()) return;
    uint64_t checksum = curvefs::Xxh3(std::string_view(*bytes).substr(start, checked));
    std::memcpy(bytes->data() + start + checked, &checksum, sizeof checksum);
    start += in.position();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 1) FixChecksums(&bytes);
  auto count = WriteBatch::Verify(bytes);
  WriteBatch again;
  auto add = [&](RecordType type, std::string_view key, std::string_view value) {
    if (type == RecordType::kSet) {
      again.Set(key, value);
    } else {
      again.Del(key);
    }
  };
  CURVEFS_CHECK(WriteBatch::ForEach(bytes, add).ok() == count.has_value());
  if (!count) return 0;
  CURVEFS_CHECK(again.encoded() == bytes && again.count() == *count);
  again.Clear();
  WriteBatch::ForEachTrusted(bytes, add);
  CURVEFS_CHECK(again.encoded() == bytes);
  return 0;
}
