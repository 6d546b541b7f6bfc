// What a failed exchange means, and what to do about it. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "object/s3/transport.h"

namespace curvefs::object::s3 {

// Of an exchange that is not a success.
struct Failure {
  Exchange::Outcome outcome = Exchange::Outcome::kAnswered;
  int status = 0;           // 0: no answer
  std::string code;         // of S3, "SlowDown"; empty if the answer had none (to HEAD it never has)
  std::string message;      // of S3, or of the network
  std::string region;       // the right one, if the answer names it
  std::string request_id;   // for the operator of the store
  Duration retry_after{0};  // as the store asks
};
bool Succeeded(const Exchange& exchange);
Failure FailureOf(const Exchange& exchange);
// An answer of 200 that is an error document all the same (CompleteMultipartUpload may give one).
Failure FailureIn(const Exchange& exchange);

// Whether the same request may succeed later.
bool MayRetry(const Failure& failure);
// What sort of trouble it is. That a key is not there, is there already, or has no such range, is an answer.
enum class ErrorClass : uint8_t { kAnswer, kThrottled, kServer, kNetwork, kTimeOut, kDenied, kOther };
inline constexpr std::array<std::string_view, 7> kErrorClassNames = {
    "answer", "throttled", "server", "network", "timeout", "denied", "other"};
ErrorClass ClassOf(const Failure& failure);
// Whether other keys might help: they may have been changed since they were read.
bool BlamesCredentials(const Failure& failure);

struct ErrorContext {
  std::string what;  // "PUT s3://bucket/key"
  std::string endpoint, bucket, region;
};
// kNotFound: there is no such key. kExists: a condition did not hold. kInvalid: no such range. kNotSupported.
// kAccessDenied: keys, permissions, clock, region, certificate. kNoSpace, kQuotaExceeded: the store is full.
// kUnavailable: it cannot be reached, or is in trouble, and may be back by itself. kIo: everything else. The
// message names cause and remedy.
Status ToStatus(const Failure& failure, const ErrorContext& context);

}  // namespace curvefs::object::s3
