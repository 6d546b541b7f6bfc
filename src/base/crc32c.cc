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
    crc = kTables[7][a & 0xff] ^ kTables[6][a >> 8 & 0xff] ^ kTables[5][a >> 16 & 0xff] ^ kTables[4][a >> 24] ^
          kTables[3][b & 0xff] ^ kTables[2][b >> 8 & 0xff] ^ kTables[1][b >> 16 & 0xff] ^ kTables[0][b >> 24];
  }
  for (; n > 0; --n) crc = crc >> 8 ^ kTables[0][(crc ^ *p++) & 0xff];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t Hardware(uint32_t crc, const char* data, size_t n) {
  uint64_t c = crc;
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
