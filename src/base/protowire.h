// The protobuf wire format, as far as our records need it: varints, fixed64 and byte strings.
//
// Records in the KVStore are protobuf messages (src/proto/records.proto). They are encoded and
// decoded on every metadata operation, by this small codec, which allocates nothing; a test holds
// it against the generated classes in both directions.
// Format: https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace curvefs {

// A varint by itself, as in a packed repeated field.
inline void PutVarint(std::string* out, uint64_t v) {
  for (; v >= 0x80; v >>= 7) out->push_back(static_cast<char>(v | 0x80));
  out->push_back(static_cast<char>(v));
}
// Reads one at *p, which it moves on; false if it is cut off or too long.
inline bool GetVarint(const char** p, const char* end, uint64_t* v) {
  *v = 0;
  for (int shift = 0; shift < 64 && *p < end; shift += 7) {
    const auto b = static_cast<unsigned char>(*(*p)++);
    *v |= static_cast<uint64_t>(b & 0x7f) << shift;
    if (b < 0x80) return true;
  }
  return false;
}

class ProtoWriter {
 public:
  explicit ProtoWriter(std::string* out) : out_(out) {}

  // A field equal to proto3's default (0 or empty) is left out.
  void Varint(int field, uint64_t v) {
    if (v == 0) return;
    Raw(static_cast<uint64_t>(field) << 3 | 0);
    Raw(v);
  }
  void Fixed64(int field, uint64_t v) {
    if (v == 0) return;
    Raw(static_cast<uint64_t>(field) << 3 | 1);
    PutLe<uint64_t>(out_, v);
  }
  void Fixed32(int field, uint32_t v) {
    if (v == 0) return;
    Raw(static_cast<uint64_t>(field) << 3 | 5);
    PutLe<uint32_t>(out_, v);
  }
  void Bytes(int field, std::string_view v) {
    if (v.empty()) return;
    Raw(static_cast<uint64_t>(field) << 3 | 2);
    Raw(v.size());
    out_->append(v);
  }

 private:
  void Raw(uint64_t v) { PutVarint(out_, v); }
  std::string* out_;
};

// Walks the fields of a message: while (r.Next()) switch (r.field()) { case 1: x = r.number(); … }
// Unknown fields are passed over. Malformed input ends the walk with ok() false.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view data) : p_(data.data()), end_(p_ + data.size()) {}

  bool Next() {
    if (p_ == end_ || !ok_) return false;
    uint64_t tag;
    if (!Raw(&tag) || tag >> 3 == 0) return ok_ = false;
    field_ = static_cast<int>(tag >> 3);
    number_ = 0;
    bytes_ = {};
    switch (tag & 7) {
      case 0:
        return ok_ = Raw(&number_);
      case 1:
        if (end_ - p_ < 8) return ok_ = false;
        number_ = GetLe<uint64_t>(p_);
        p_ += 8;
        return true;
      case 5:
        if (end_ - p_ < 4) return ok_ = false;
        number_ = GetLe<uint32_t>(p_);
        p_ += 4;
        return true;
      case 2: {
        uint64_t n;
        if (!Raw(&n) || n > static_cast<uint64_t>(end_ - p_)) return ok_ = false;
        bytes_ = {p_, static_cast<size_t>(n)};
        p_ += n;
        return true;
      }
      default:
        return ok_ = false;
    }
  }
  int field() const { return field_; }
  uint64_t number() const { return number_; }
  std::string_view bytes() const { return bytes_; }
  bool ok() const { return ok_; }

 private:
  bool Raw(uint64_t* v) { return ok_ = GetVarint(&p_, end_, v); }
  const char* p_;
  const char* end_;
  int field_ = 0;
  uint64_t number_ = 0;
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace curvefs
