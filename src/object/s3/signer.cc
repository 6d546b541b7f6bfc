#include "object/s3/signer.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "object/s3/encoding.h"

namespace curvefs::object::s3 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string Lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Without spaces at its ends, and with single ones inside.
std::string Trimmed(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == '\t') c = ' ';
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

std::string CanonicalQuery(const std::vector<std::pair<std::string, std::string>>& query) {
  std::vector<std::pair<std::string, std::string>> encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query)
    encoded.emplace_back(UriEncode(name, false), UriEncode(value, false));
  std::ranges::sort(encoded);
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

std::string Authorization(const SignableRequest& request, const Credentials& credentials, Timestamp time,
                          std::string_view region, std::string_view service) {
  std::map<std::string, std::string> headers;  // of equal names the values, in their order, joined by commas
  for (const auto& [name, value] : request.headers) {
    auto [it, fresh] = headers.try_emplace(Lower(name), Trimmed(value));
    if (!fresh) it->second += "," + Trimmed(value);
  }
  std::string canonical = request.method + "\n" + request.path + "\n" + CanonicalQuery(request.query) + "\n";
  std::string names;
  for (const auto& [name, value] : headers) {
    canonical += name + ":" + value + "\n";
    if (!names.empty()) names += ';';
    names += name;
  }
  canonical += "\n" + names + "\n" + request.payload_hash;

  const std::string at = AmzTime(time);
  const std::string date = at.substr(0, 8);
  const std::string scope = date + "/" + std::string(region) + "/" + std::string(service) + "/aws4_request";
  const std::string to_sign =
      std::string(kAlgorithm) + "\n" + at + "\n" + scope + "\n" + Sha256Hex(std::string_view(canonical));
  std::string key = "AWS4" + credentials.secret_key;
  for (std::string_view part : {std::string_view(date), region, service, std::string_view("aws4_request")})
    key = HmacSha256(key, part);
  return std::string(kAlgorithm) + " Credential=" + credentials.access_key + "/" + scope +
         ", SignedHeaders=" + names + ", Signature=" + Hex(HmacSha256(key, to_sign));
}

}  // namespace curvefs::object::s3
