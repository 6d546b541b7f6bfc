#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace curvefs {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected

constexpr std::array<std::array<uint32_t, 256>, 8> MakeTables() {
  std::array<std::array<uint32_t, 256>, 8> t{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? c >> 1 ^ kPolynomial : c >> 1;
    t[0][i] = c;
  }
  for (uint32_t i = 0; i < 256; ++i) {
    for (size_t k = 1; k < 8; ++k) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 0xff];
  }
  return t;
}
constexpr auto kTables = MakeTables();

// Eight bytes a step through eight tables ("slicing-by-8", Kounavis and Berry 2005).
uint32_t Portable(uint32_t crc, const char* data, size_t n) {
  auto p = reinterpret_cast<const unsigned char*>(data);
  for (; n >= 8; n -= 8, p += 8) {
    uint32_t a, b;
    std::memcpy(&a, p, 4);
    std::memcpy(&b, p + 4, 4);
    a ^= crc;
    crc = kTables[7][a & 0xff] ^ kTables[6][a >> 8 & 0xff] ^ kTables[5][a >> 16 & 0xff] ^
          kTables[4][a >> 24] ^ kTables[3][b & 0xff] ^ kTables[2][b >> 8 & 0xff] ^
          kTables[1][b >> 16 & 0xff] ^ kTables[0][b >> 24];
  }
  for (; n > 0; --n) crc = crc >> 8 ^ kTables[0][(crc ^ *p++) & 0xff];
  return crc;
}

#if defined(__x86_64__)
// The instruction takes three cycles but a new one can start in each, so three parts of the data go through
// it at once; then the checksums of the earlier parts are shifted past the later ones. The parts are sized so
// that three long ones fit in a checksum unit of an object (4096 bytes).
constexpr size_t kLong = 1344;
constexpr size_t kShort = 168;

// Shifts a checksum over `Bytes` zero bytes: linear, so a table per byte of the checksum.
using ShiftTable = std::array<std::array<uint32_t, 256>, 4>;
template <size_t Bytes>
constexpr ShiftTable MakeShift() {
  ShiftTable t{};
  for (uint32_t bit = 0; bit < 32; ++bit) {
    uint32_t c = uint32_t{1} << bit;
    for (size_t i = 0; i < Bytes; ++i) c = c >> 8 ^ kTables[0][c & 0xff];
    t[bit / 8][1u << (bit % 8)] = c;
  }
  for (auto& row : t) {
    for (uint32_t i = 1; i < 256; ++i) row[i] = row[i & (i - 1)] ^ row[i & (~i + 1)];
  }
  return t;
}
constexpr ShiftTable kShiftLong = MakeShift<kLong>();
constexpr ShiftTable kShiftShort = MakeShift<kShort>();

inline uint64_t Shift(const ShiftTable& t, uint64_t c) {
  return t[0][c & 0xff] ^ t[1][c >> 8 & 0xff] ^ t[2][c >> 16 & 0xff] ^ t[3][c >> 24 & 0xff];
}

template <size_t Part>
__attribute__((target("sse4.2"))) inline uint64_t ThreeParts(uint64_t c, const char*& data, size_t& n,
                                                             const ShiftTable& shift) {
  for (; n >= 3 * Part; n -= 3 * Part, data += 3 * Part) {
    uint64_t c1 = 0, c2 = 0, v0, v1, v2;
    for (size_t i = 0; i < Part; i += 8) {
      std::memcpy(&v0, data + i, 8);
      std::memcpy(&v1, data + Part + i, 8);
      std::memcpy(&v2, data + 2 * Part + i, 8);
      c = _mm_crc32_u64(c, v0);
      c1 = _mm_crc32_u64(c1, v1);
      c2 = _mm_crc32_u64(c2, v2);
    }
    c = Shift(shift, c) ^ c1;
    c = Shift(shift, c) ^ c2;
  }
  return c;
}

__attribute__((target("sse4.2"))) uint32_t Hardware(uint32_t crc, const char* data, size_t n) {
  uint64_t c = ThreeParts<kLong>(crc, data, n, kShiftLong);
  c = ThreeParts<kShort>(c, data, n, kShiftShort);
  for (; n >= 8; n -= 8, data += 8) {
    uint64_t v;
    std::memcpy(&v, data, 8);
    c = _mm_crc32_u64(c, v);
  }
  auto c32 = static_cast<uint32_t>(c);
  for (; n > 0; --n) c32 = _mm_crc32_u8(c32, static_cast<unsigned char>(*data++));
  return c32;
}
#endif

using Function = uint32_t (*)(uint32_t, const char*, size_t);
Function Choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return Hardware;
#endif
  return Portable;
}

}  // namespace

uint32_t Crc32c(uint32_t crc, const char* data, size_t n) {
  static const Function function = Choose();
  return ~function(~crc, data, n);
}

}  // namespace curvefs
