// AWS Signature Version 4, as S3 wants it. Pure: the time is given.
//
// Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API
// Reference. S3 encodes the path once and does not normalise it, unlike other services of AWS.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "object/s3/credentials.h"

namespace curvefs::object::s3 {

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

struct SignableRequest {
  std::string method;
  std::string path;                                        // as it is sent: percent-encoded, begins with '/'
  std::vector<std::pair<std::string, std::string>> query;  // not encoded; any order
  std::vector<std::pair<std::string, std::string>> headers;  // every header that is to be signed; with host
  std::string payload_hash;                                  // SHA-256 in hex, or kUnsignedPayload
};

// The query as it is sent and signed: encoded, sorted, "a=1&b=".
std::string CanonicalQuery(const std::vector<std::pair<std::string, std::string>>& query);

// The value of the header Authorization. `headers` must hold x-amz-date with the same time (AmzTime).
std::string Authorization(const SignableRequest& request, const Credentials& credentials, Timestamp time,
                          std::string_view region, std::string_view service = "s3");

}  // namespace curvefs::object::s3
