// Where a bucket is and how its addresses are written. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::object::s3 {

// "s3://BUCKET/PREFIX". The prefix has no '/' at its ends and may be empty.
struct Location {
  std::string bucket;
  std::string prefix;

  static Result<Location> Parse(std::string_view text);  // kInvalid
  std::string ToString() const;
  std::string Key(std::string_view rest) const;  // "PREFIX/rest"
};

enum class Style { kPath, kVirtual };

// The server: "https://HOST" or "http://HOST:PORT".
struct Endpoint {
  bool tls = true;
  std::string authority;  // host, and the port unless it is the scheme's own

  static Result<Endpoint> Parse(std::string_view text);  // kInvalid
  static Endpoint OfAws(std::string_view region);
  std::string ToString() const;
};

// The address of a key ("": of the bucket itself) in a bucket.
struct Address {
  std::string host;  // the value of the header Host
  std::string path;  // percent-encoded, begins with '/'
};
Address AddressOf(const Endpoint& endpoint, Style style, std::string_view bucket, std::string_view key);

}  // namespace curvefs::object::s3
