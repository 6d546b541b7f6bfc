#include "object/s3/errors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "object/s3/xml.h"

namespace curvefs::object::s3 {
namespace {

constexpr size_t kMaxMessage = 300;
constexpr int kMaxRetryAfter = 60;  // seconds

struct Known {
  std::string_view code;
  Code means;
  std::string_view remedy;
};
// Codes of the S3 API's list of error responses, where more can be said than the code.
constexpr std::array<Known, 20> kKnown = {{
    {"NoSuchBucket", Code::kIo, "make the bucket first, or correct its name in --data"},
    {"InvalidBucketName", Code::kInvalid, "correct the bucket's name in --data"},
    {"InvalidAccessKeyId", Code::kAccessDenied,
     "the store does not know this access key: check AWS_ACCESS_KEY_ID or ~/.aws/credentials, and that "
     "--s3-endpoint is the store that gave out the key"},
    {"SignatureDoesNotMatch", Code::kAccessDenied,
     "the secret key is not the one of this access key: check AWS_SECRET_ACCESS_KEY or ~/.aws/credentials"},
    {"RequestTimeTooSkewed", Code::kAccessDenied,
     "this machine's clock and the store's differ by more than 15 minutes: set the clock, and keep it with "
     "NTP"},
    {"ExpiredToken", Code::kAccessDenied,
     "the session token has expired: get new keys; a file is read again"},
    {"TokenRefreshRequired", Code::kAccessDenied, "get a new session token"},
    {"InvalidToken", Code::kAccessDenied, "AWS_SESSION_TOKEN does not belong to these keys"},
    {"AccessDenied", Code::kAccessDenied,
     "give these keys the permissions s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on the "
     "bucket"},
    {"AllAccessDisabled", Code::kAccessDenied, "the bucket's owner has disabled access to it"},
    {"AccountProblem", Code::kAccessDenied, "ask the operator of the store about the account"},
    {"QuotaExceeded", Code::kQuotaExceeded, "delete files, or have the quota of the bucket or user raised"},
    {"XMinioStorageFull", Code::kNoSpace, "delete files, or give the store space"},
    {"EntityTooLarge", Code::kTooBig, "the store does not take objects of this size"},
    {"NotImplemented", Code::kNotSupported, "the store does not know this request"},
    {"MethodNotAllowed", Code::kNotSupported, "is --s3-endpoint an S3 server, and --s3-style right?"},
    {"InvalidRange", Code::kInvalid, ""},
    {"PreconditionFailed", Code::kExists, ""},
    {"NoSuchKey", Code::kNotFound, ""},
    {"NoSuchUpload", Code::kIo, "another process aborted the multipart upload"},
}};

constexpr std::array<std::string_view, 13> kPassing = {
    "SlowDown",
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "RequestThrottled",
    "TooManyRequests",
    "BadDigest",
    "RequestLimitExceeded",
    "OperationAborted",
    "ConditionalRequestConflict",
    "XAmzContentSHA256Mismatch"};  // what arrived is not what was sent

const Known* Find(std::string_view code) {
  auto found = std::ranges::find(kKnown, code, &Known::code);
  return found == kKnown.end() ? nullptr : &*found;
}

// The region in "…; expecting 'eu-west-1'".
std::string ExpectedRegion(std::string_view message) {
  constexpr std::string_view kMark = "expecting '";
  const size_t at = message.find(kMark);
  if (at == message.npos) return {};
  message.remove_prefix(at + kMark.size());
  return std::string(message.substr(0, message.find('\'')));
}

bool WrongRegion(const Failure& f, const ErrorContext& c) {
  if (f.code == "AuthorizationHeaderMalformed" || f.code == "IllegalLocationConstraintException") return true;
  return (f.status == 301 || f.status == 307) ||
         (!f.region.empty() && f.region != c.region && f.status == 400);
}

Failure WithDocument(const Exchange& e, Failure f) {
  const ErrorDocument document = ParseError(e.text);
  f.status = e.status;
  f.code = document.code;
  f.message = document.message.substr(0, kMaxMessage);
  f.region = document.region;
  f.request_id = document.request_id.empty() ? e.Header("x-amz-request-id") : document.request_id;
  if (f.region.empty()) f.region = e.Header("x-amz-bucket-region");
  if (f.region.empty()) f.region = ExpectedRegion(document.message);
  if (const std::string after = e.Header("retry-after"); !after.empty()) {
    int seconds = 0;
    std::from_chars(after.data(), after.data() + after.size(), seconds);
    f.retry_after = std::chrono::seconds(std::clamp(seconds, 0, kMaxRetryAfter));
  }
  return f;
}

Status OfNetwork(const Failure& f, const ErrorContext& c) {
  const std::string failed = c.what + ": ";
  switch (f.outcome) {
    case Exchange::Outcome::kNoAddress:
      return {Code::kUnavailable, failed + "the host of " + c.endpoint + " is not known (" + f.message +
                                      "); check --s3-endpoint and the name service"};
    case Exchange::Outcome::kNoConnection:
      return {Code::kUnavailable,
              failed + "cannot connect to " + c.endpoint + " (" + f.message +
                  "); is the S3 server running, and is --s3-endpoint right (host, port, http or https)?"};
    case Exchange::Outcome::kUntrusted:
      return {Code::kAccessDenied, failed + "the certificate of " + c.endpoint + " is not trusted (" +
                                       f.message +
                                       "); give the certificate of its authority with --s3-ca FILE"};
    case Exchange::Outcome::kTimedOut:
      return {Code::kUnavailable, failed + "no answer from " + c.endpoint + " (" + f.message +
                                      "); the network or the S3 server is slow or away"};
    case Exchange::Outcome::kTooLong:
      return {Code::kIo, failed + "the answer is longer than what was asked for; " + c.endpoint +
                             " or a proxy before it does not do ranges, or is no S3 server"};
    default:
      return {Code::kUnavailable, failed + "the connection to " + c.endpoint + " broke (" + f.message + ")"};
  }
}

}  // namespace

bool Succeeded(const Exchange& e) {
  return e.outcome == Exchange::Outcome::kAnswered && e.status / 100 == 2;
}

Failure FailureOf(const Exchange& e) {
  Failure f;
  f.outcome = e.outcome;
  if (e.outcome == Exchange::Outcome::kAnswered) return WithDocument(e, f);
  f.message = e.error.substr(0, kMaxMessage);
  return f;
}

Failure FailureIn(const Exchange& e) {
  Failure f = WithDocument(e, {});
  if (f.code.empty()) f.status = 500;
  return f;
}

bool MayRetry(const Failure& f) {
  if (f.outcome != Exchange::Outcome::kAnswered)
    return f.outcome != Exchange::Outcome::kUntrusted && f.outcome != Exchange::Outcome::kTooLong;
  if (std::ranges::find(kPassing, f.code) != kPassing.end()) return true;
  return f.status == 408 || f.status == 429 || f.status == 500 || f.status == 502 || f.status == 503 ||
         f.status == 504;
}

ErrorClass ClassOf(const Failure& f) {
  switch (f.outcome) {
    case Exchange::Outcome::kAnswered:
      break;
    case Exchange::Outcome::kTimedOut:
      return ErrorClass::kTimeOut;
    default:
      return ErrorClass::kNetwork;
  }
  constexpr std::array<std::string_view, 6> kThrottling = {
      "SlowDown",         "Throttling",      "ThrottlingException",
      "RequestThrottled", "TooManyRequests", "RequestLimitExceeded"};
  if (std::ranges::find(kThrottling, f.code) != kThrottling.end()) return ErrorClass::kThrottled;
  switch (f.status) {
    case 404:
    case 412:
    case 416:
      return f.code == "NoSuchBucket" ? ErrorClass::kOther : ErrorClass::kAnswer;
    case 408:
      return ErrorClass::kTimeOut;
    case 429:
      return ErrorClass::kThrottled;
    case 401:
    case 403:
      return ErrorClass::kDenied;
    default:
      return f.status >= 500 || MayRetry(f) ? ErrorClass::kServer : ErrorClass::kOther;
  }
}

bool BlamesCredentials(const Failure& f) {
  constexpr std::array<std::string_view, 5> kBlaming = {
      "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"};
  return std::ranges::find(kBlaming, f.code) != kBlaming.end();
}

Status ToStatus(const Failure& f, const ErrorContext& c) {
  if (f.outcome != Exchange::Outcome::kAnswered) return OfNetwork(f, c);
  std::string text = c.what + ": ";
  text += f.code.empty() ? "HTTP status " + std::to_string(f.status) : f.code;
  if (!f.message.empty()) text += " (" + f.message + ")";
  if (!f.request_id.empty()) text += ", request " + f.request_id;
  if (WrongRegion(f, c)) {
    std::string remedy = "; the bucket " + c.bucket + " is not in the region '" + c.region + "'";
    remedy += f.region.empty() || f.region == c.region
                  ? ": give the right one with --s3-region"
                  : " but in '" + f.region + "': give --s3-region " + f.region;
    return {Code::kAccessDenied, text + remedy + ", and the endpoint of that region"};
  }
  if (const Known* known = Find(f.code)) {
    return {known->means, known->remedy.empty() ? text : text + "; " + std::string(known->remedy)};
  }
  if (f.code.empty()) {  // the answer to HEAD, or of something that is no S3 server
    if (f.status == 404) return {Code::kNotFound, text};
    if (f.status == 403) return ToStatus({.status = 403, .code = "AccessDenied"}, c);
    if (f.status == 412) return {Code::kExists, text};
    if (f.status == 416) return {Code::kInvalid, text};
    if (f.status == 501 || f.status == 405) return {Code::kNotSupported, text};
  }
  if (MayRetry(f)) {
    return {Code::kUnavailable, text + "; the store is overloaded or in trouble, ask its operator"};
  }
  return {Code::kIo, text};
}

}  // namespace curvefs::object::s3
