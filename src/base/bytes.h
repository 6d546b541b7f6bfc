// Fixed-width integers in byte strings: little-endian for records and files, big-endian for keys
// (so that byte order is number order), and a bounds-checked reader for bytes from outside.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace curvefs {

static_assert(std::endian::native == std::endian::little, "the codecs below assume a little-endian host");

template <typename T>
inline void PutLe(std::string* out, T v) {
  out->append(reinterpret_cast<const char*>(&v), sizeof v);
}
template <typename T>
inline T GetLe(const char* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// The low `bytes` bytes of v, most significant first. `bytes` is 1 to 8.
inline void PutBe(std::string* out, uint64_t v, int bytes) {
  char b[8];
  for (int i = bytes - 1; i >= 0; --i, v >>= 8) b[i] = static_cast<char>(v);
  out->append(b, static_cast<size_t>(bytes));
}
inline uint64_t GetBe(const char* p, int bytes) {
  uint64_t v = 0;
  for (int i = 0; i < bytes; ++i) v = v << 8 | static_cast<unsigned char>(p[i]);
  return v;
}

// Reads forward through `data`. Once a read does not fit, every later read fails too and ok()
// stays false, so a decoder may check once at its end. The bytes are not owned.
class ByteReader {
 public:
  explicit ByteReader(std::string_view data) : data_(data) {}

  template <typename T>
  T Le() {
    if (!Take(sizeof(T))) return T{};
    return GetLe<T>(data_.data() + pos_ - sizeof(T));
  }
  uint64_t Be(int bytes) {
    if (!Take(static_cast<size_t>(bytes))) return 0;
    return GetBe(data_.data() + pos_ - static_cast<size_t>(bytes), bytes);
  }
  std::string_view Bytes(size_t n) {
    if (!Take(n)) return {};
    return data_.substr(pos_ - n, n);
  }
  bool ok() const { return ok_; }
  size_t position() const { return pos_; }
  size_t remaining() const { return data_.size() - pos_; }

 private:
  bool Take(size_t n) {
    if (!ok_ || n > data_.size() - pos_) return ok_ = false;
    pos_ += n;
    return true;
  }
  std::string_view data_;
  size_t pos_ = 0;
  bool ok_ = true;
};

}  // namespace curvefs
