// WriteBatch: the SET and DEL records of one operation, in order, applied whole or not at all.
//
// Kept encoded, exactly as the journal stores it: a sequence of operation log records of SPEC P1
// (docs/FORMATS.md "Operation log record"), each with its own XXH3-64 checksum.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::kv {

enum class RecordType : uint8_t { kSet = 0x01, kDel = 0x02 };

class WriteBatch {
 public:
  void Set(std::string_view key, std::string_view value);
  void Del(std::string_view key);

  bool empty() const { return count_ == 0; }
  uint32_t count() const { return count_; }
  std::string_view encoded() const { return encoded_; }
  void Clear();

  // Calls visit(type, key, value) for each record of an encoded batch. kCorrupt, naming the offset, if a
  // record is malformed, over its limit or fails its checksum; records before it have been visited by then,
  // so pass untrusted bytes through Verify first.
  using Visitor = std::function<void(RecordType, std::string_view key, std::string_view value)>;
  static Status ForEach(std::string_view encoded, const Visitor& visit);
  // As ForEach but does not check the checksums: for bytes that this process encoded or has verified.
  static void ForEachTrusted(std::string_view encoded, const Visitor& visit);
  // Checks every record; returns their number.
  static Result<uint32_t> Verify(std::string_view encoded);

 private:
  std::string encoded_;
  uint32_t count_ = 0;
};

}  // namespace curvefs::kv
