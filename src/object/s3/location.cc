#include "object/s3/location.h"

#include <algorithm>
#include <cctype>

#include "object/s3/encoding.h"

namespace curvefs::object::s3 {
namespace {

constexpr std::string_view kScheme = "s3://";
constexpr size_t kMaxBucket = 255;  // of AWS: 63; others allow more
constexpr size_t kMaxPrefix = 512;  // a key has at most 1024 bytes

bool HostChar(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
}

}  // namespace

Result<Location> Location::Parse(std::string_view text) {
  auto wrong = [&](const std::string& what) {
    return Fail(Code::kInvalid, "'" + std::string(text) + "' " + what +
                                    "; write s3://BUCKET/PREFIX, for example s3://my-bucket/home");
  };
  if (!text.starts_with(kScheme)) return wrong("is not a place for data");
  std::string_view rest = text.substr(kScheme.size());
  Location location;
  location.bucket = rest.substr(0, rest.find('/'));
  rest.remove_prefix(std::min(location.bucket.size() + 1, rest.size()));
  while (rest.ends_with('/')) rest.remove_suffix(1);
  location.prefix = rest;
  if (location.bucket.empty()) return wrong("names no bucket");
  if (location.bucket.size() > kMaxBucket || !std::ranges::all_of(location.bucket, HostChar))
    return wrong("has no valid bucket name");
  if (location.prefix.size() > kMaxPrefix) return wrong("has too long a prefix");
  for (std::string_view left = location.prefix; !left.empty();) {
    const std::string_view part = left.substr(0, left.find('/'));
    if (part.empty() || part == "." || part == "..")
      return wrong("has an empty part, '.' or '..' in its prefix");
    if (std::ranges::any_of(part, [](char c) { return c < 0x21 || c > 0x7e || c == '"' || c == '\\'; }))
      return wrong("has other than printable ASCII characters in its prefix");
    left.remove_prefix(std::min(part.size() + 1, left.size()));
  }
  return location;
}

std::string Location::ToString() const {
  return std::string(kScheme) + bucket + (prefix.empty() ? "" : "/" + prefix);
}

std::string Location::Key(std::string_view rest) const {
  return prefix.empty() ? std::string(rest) : prefix + "/" + std::string(rest);
}

Result<Endpoint> Endpoint::Parse(std::string_view text) {
  auto wrong = [&](const std::string& what) {
    return Fail(Code::kInvalid, "'" + std::string(text) + "' " + what +
                                    "; write https://HOST, or http://HOST:PORT, without a path");
  };
  Endpoint endpoint;
  if (text.starts_with("http://")) {
    endpoint.tls = false;
  } else if (!text.starts_with("https://")) {
    return wrong("is not the address of an S3 server");
  }
  std::string_view rest = text.substr(endpoint.tls ? 8 : 7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find('@') != rest.npos) return Fail(Code::kInvalid, "the S3 endpoint must not hold keys");
  size_t host_end = rest.find(':');
  if (rest.starts_with('[')) host_end = rest.find(']') == rest.npos ? 0 : rest.find(']') + 1;
  host_end = std::min(host_end, rest.size());
  std::string_view host = rest.substr(0, host_end), port = rest.substr(host_end);
  const bool literal = host.starts_with('[');
  if (host.empty() || (literal ? host.find_first_not_of("[]:.0123456789abcdefABCDEF") != host.npos
                               : !std::ranges::all_of(host, HostChar))) {
    return wrong("has no valid host name");
  }
  if (!port.empty()) {
    const std::string_view digits = port.substr(1);
    if (port[0] != ':' || digits.empty() || digits.size() > 5 ||
        digits.find_first_not_of("0123456789") != digits.npos || std::stoi(std::string(digits)) > 65535) {
      return wrong("has no valid port");
    }
    if (digits == (endpoint.tls ? "443" : "80")) port = {};
  }
  endpoint.authority = std::string(host) + std::string(port);
  return endpoint;
}

Endpoint Endpoint::OfAws(std::string_view region) {
  return {true, "s3." + std::string(region) + ".amazonaws.com"};
}

std::string Endpoint::ToString() const {
  return (tls ? "https://" : "http://") + authority;
}

Address AddressOf(const Endpoint& endpoint, Style style, std::string_view bucket, std::string_view key) {
  const std::string encoded = UriEncode(key, true);
  if (style == Style::kVirtual) return {std::string(bucket) + "." + endpoint.authority, "/" + encoded};
  return {endpoint.authority, "/" + std::string(bucket) + (key.empty() ? "" : "/" + encoded)};
}

}  // namespace curvefs::object::s3
