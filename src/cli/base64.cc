#include "cli/base64.h"

#include <cstdint>

namespace curvefs::cli {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string ToBase64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
    }
  }
  return out;
}

Result<std::string> FromBase64(std::string_view text) {
  const auto bad = [] { return Fail(Code::kInvalid, "not base64"); };
  if (text.size() % 4 != 0) return bad();
  std::string out;
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t group = 0;
    int padding = 0;
    for (size_t k = 0; k < 4; ++k) {
      char c = text[i + k];
      size_t digit = kDigits.find(c);
      if (c == '=' && i + 4 == text.size() && k >= 2) {
        ++padding;
        digit = 0;
      } else if (padding > 0 || digit == kDigits.npos) {
        return bad();
      }
      group = group << 6 | static_cast<uint32_t>(digit);
    }
    // Bits that no byte uses must be zero, so that there is one text for each byte string.
    if ((padding == 1 && (group & 0xff) != 0) || (padding == 2 && (group & 0xffff) != 0)) return bad();
    for (int k = 0; k < 3 - padding; ++k) out += static_cast<char>(group >> (16 - 8 * k));
  }
  return out;
}

bool IsPlainUtf8(std::string_view s) {
  for (size_t i = 0; i < s.size();) {
    auto c = static_cast<unsigned char>(s[i]);
    if (c < 0x20 || c == 0x7f) return false;
    if (c < 0x80) {
      ++i;
      continue;
    }
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    if (c < 0xc2 || c > 0xf4 || i + static_cast<size_t>(more) >= s.size()) return false;
    uint32_t code = c & (0x3fu >> more);
    for (int k = 1; k <= more; ++k) {
      auto next = static_cast<unsigned char>(s[i + static_cast<size_t>(k)]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3fu);
    }
    if ((more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10ffff))) return false;
    if (code >= 0xd800 && code <= 0xdfff) return false;
    i += static_cast<size_t>(more) + 1;
  }
  return true;
}

}  // namespace curvefs::cli
