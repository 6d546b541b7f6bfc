#include "net/token.h"

#include <openssl/rand.h>
#include <openssl/sha.h>

namespace curvefs::net {
namespace {

constexpr std::string_view kPrefix = "cfs_";
constexpr size_t kRandom = 32;
constexpr const char* kDigits = "0123456789abcdef";

}  // namespace

Result<std::string> NewToken() {
  unsigned char random[kRandom];
  if (RAND_bytes(random, sizeof random) != 1) return Fail(Code::kIo, "there are no random bytes for a token");
  std::string token(kPrefix);
  for (const unsigned char byte : random) {
    token += kDigits[byte >> 4];
    token += kDigits[byte & 15];
  }
  return token;
}

Result<std::string> ParseToken(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return Fail(Code::kInvalid, "there is no token in it: it is empty");
  text = text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
  if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + 2 * kRandom ||
      text.find_first_not_of(kDigits, kPrefix.size()) != text.npos)
    return Fail(Code::kInvalid,
                "that is no token; one begins with cfs_, as 'curvefs fs token create' has printed it");
  return std::string(text);
}

std::string TokenHash(std::string_view token) {
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), hash);
  return {reinterpret_cast<const char*>(hash), sizeof hash};
}

}  // namespace curvefs::net
