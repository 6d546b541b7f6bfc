// CRC-32C (Castagnoli, RFC 3720 appendix B.4), with the processor's instruction where there is one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace curvefs {

// The checksum of `n` bytes that follow data whose checksum is `crc` (0 at the start).
uint32_t Crc32c(uint32_t crc, const char* data, size_t n);
inline uint32_t Crc32c(std::string_view bytes) { return Crc32c(0, bytes.data(), bytes.size()); }

}  // namespace curvefs
