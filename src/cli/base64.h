// Base64 (RFC 4648 section 4), and whether bytes are UTF-8 text: for names that JSON cannot hold.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::cli {

std::string ToBase64(std::string_view bytes);
Result<std::string> FromBase64(std::string_view text);  // kInvalid

// Well-formed UTF-8 (no surrogates, no overlong forms) without control characters.
bool IsPlainUtf8(std::string_view bytes);

}  // namespace curvefs::cli
