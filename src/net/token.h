// Tokens: secrets by which a file system of a cluster is mounted. Whoever checks them keeps their hashes
// only: they are 256 random bits, so a hash of them needs no salt and no stretching.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::net {

inline constexpr size_t kTokenHashBytes = 32;

// "cfs_" and 64 hexadecimal digits.
Result<std::string> NewToken();  // kIo: the system has no random bytes
// Without white space around it. kInvalid: it is no token; the message does not repeat it.
Result<std::string> ParseToken(std::string_view text);
std::string TokenHash(std::string_view token);  // SHA-256, binary

}  // namespace curvefs::net
