// The keys for S3, from where people keep them. They are never logged, printed or stored.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/status.h"

namespace curvefs::object::s3 {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: none
  friend bool operator==(const Credentials&, const Credentials&) = default;
};

// The value of an environment variable, or null.
using Environment = std::function<const char*(const char*)>;

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; else the profile AWS_PROFILE (default:
// "default") of the file AWS_SHARED_CREDENTIALS_FILE (default: ~/.aws/credentials). kNotFound, kInvalid: says
// where it looked and what to do.
Result<Credentials> FindCredentials(const Environment& getenv, Disk& disk);

// A profile of a credentials file's text. kNotFound: no such profile; kInvalid: it lacks a key.
Result<Credentials> ParseCredentials(std::string_view text, std::string_view profile);

}  // namespace curvefs::object::s3
