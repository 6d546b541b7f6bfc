// The encodings that S3 requests are made of. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/buffer.h"
#include "base/clock.h"

namespace curvefs::object::s3 {

// Percent-encodes every byte that is not a letter, a digit or one of "-._~"; '/' stays if `keep_slash`.
std::string UriEncode(std::string_view text, bool keep_slash);
// The way back; a '+' stays one, a broken escape stays as it is.
std::string UriDecode(std::string_view text);

std::string Hex(std::string_view bytes);  // lower case
std::string Base64(std::string_view bytes);

std::string Sha256Hex(std::string_view bytes);
std::string Sha256Hex(const BufferList& bytes);
std::string Md5Base64(std::string_view bytes);
std::string HmacSha256(std::string_view key, std::string_view text);  // 32 bytes

// "20130524T000000Z"; its first eight characters are the date.
std::string AmzTime(Timestamp time);

}  // namespace curvefs::object::s3
