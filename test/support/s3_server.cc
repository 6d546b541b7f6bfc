#include "test/support/s3_server.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <pugixml.hpp>
#include <sstream>

#include "base/status.h"

namespace curvefs::test {
namespace {

constexpr long kMaxSkewSeconds = 15 * 60;

// ---- its own cryptography and encodings, so that it agrees with the client only if both are right

std::string DigestOf(const EVP_MD* kind, std::string_view bytes) {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned int n = 0;
  CURVEFS_CHECK(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), &n, kind,
                           nullptr) == 1);
  return out.substr(0, n);
}
std::string HexOf(const std::string& bytes) {
  std::string out;
  char two[3];
  for (unsigned char c : bytes) {
    std::snprintf(two, sizeof two, "%02x", c);
    out += two;
  }
  return out;
}
std::string Mac(const std::string& key, const std::string& text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int n = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, &n);
  return {reinterpret_cast<char*>(out), n};
}
std::string Base64Of(const std::string& bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  out.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                                 reinterpret_cast<const unsigned char*>(bytes.data()),
                                                 static_cast<int>(bytes.size()))));
  return out;
}
std::string Decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::strtol(std::string(text.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}
std::string EncodeForList(std::string_view text) {
  std::string out;
  char three[4];
  for (unsigned char c : text) {
    if (std::isalnum(c) != 0 || c == '/' || c == '-' || c == '_' || c == '.') {
      out += static_cast<char>(c);
    } else {
      std::snprintf(three, sizeof three, "%%%02X", c);
      out += three;
    }
  }
  return out;
}
std::vector<std::string> Split(std::string_view text, char at) {
  std::vector<std::string> out;
  while (true) {
    const size_t end = text.find(at);
    out.emplace_back(text.substr(0, end));
    if (end == text.npos) return out;
    text.remove_prefix(end + 1);
  }
}
// The value after "NAME=" in an Authorization header.
std::string Field(const std::string& text, const std::string& name) {
  const size_t at = text.find(name + "=");
  if (at == text.npos) return {};
  return text.substr(at + name.size() + 1, text.find(',', at) - at - name.size() - 1);
}
long SecondsOf(const std::string& amz_time) {
  std::tm t{};
  return ::strptime(amz_time.c_str(), "%Y%m%dT%H%M%SZ", &t) == nullptr ? 0 : ::timegm(&t);
}
uint64_t Number(const std::string& text) {
  uint64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

std::string Xml(const pugi::xml_document& document) {
  std::ostringstream out;
  document.save(out, "", pugi::format_raw);
  return out.str();
}
void Add(pugi::xml_node parent, const char* name, const std::string& text) {
  parent.append_child(name).text().set(text.c_str());
}
HttpReply Error(int status, const std::string& code, const std::string& message,
                const std::string& region = "") {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("Error");
  Add(root, "Code", code);
  Add(root, "Message", message);
  if (!region.empty()) Add(root, "Region", region);
  Add(root, "RequestId", "req-1");
  return HttpReply::Text(status, Xml(document));
}

}  // namespace

S3Server::S3Server(S3ServerOptions options) : options_(std::move(options)), random_(options_.seed) {
  for (const auto& name : options_.buckets) buckets_[name];
  http_ = std::make_unique<HttpServer>(
      options_.port, [this](const HttpRequest& r) { return Handle(r); },
      [this](HttpRequest& r) { return Choose(r); }, options_.certificate);
}
S3Server::~S3Server() = default;

std::string S3Server::endpoint() const {
  return (options_.certificate != nullptr ? "https" : "http") +
         ("://127.0.0.1:" + std::to_string(http_->port()));
}
std::string S3Server::virtual_endpoint() const {
  return (options_.certificate != nullptr ? "https" : "http") +
         ("://localhost:" + std::to_string(http_->port()));
}
void S3Server::Inject(S3Fault fault) {
  std::lock_guard lock(mu_);
  faults_.push_back(std::move(fault));
}
void S3Server::ClearFaults() {
  std::lock_guard lock(mu_);
  faults_.clear();
}
void S3Server::SetKeys(std::string access_key, std::string secret_key) {
  std::lock_guard lock(mu_);
  options_.access_key = std::move(access_key);
  options_.secret_key = std::move(secret_key);
}
void S3Server::Deny(std::set<std::string> methods) {
  std::lock_guard lock(mu_);
  denied_ = std::move(methods);
}
std::map<std::string, std::string> S3Server::Objects(const std::string& bucket) const {
  std::lock_guard lock(mu_);
  std::map<std::string, std::string> out;
  for (const auto& [key, object] : buckets_.at(bucket)) out[key] = *object.content;
  return out;
}
void S3Server::SetObject(const std::string& key, std::string content, const std::string& bucket) {
  std::lock_guard lock(mu_);
  buckets_[bucket][key] = {std::make_shared<const std::string>(std::move(content)), "\"set\""};
}
uint64_t S3Server::requests(const std::string& method) const {
  std::lock_guard lock(mu_);
  uint64_t n = 0;
  for (const auto& [m, count] : requests_) n += method.empty() || m == method ? count : 0;
  return n;
}
size_t S3Server::unfinished_uploads() const {
  std::lock_guard lock(mu_);
  return uploads_.size();
}

// The fault for this request goes along as a header of our own to where it is carried out.
WireFault S3Server::Choose(HttpRequest& request) {
  using Kind = S3Fault::Kind;
  std::lock_guard lock(mu_);
  ++requests_[request.method];
  for (S3Fault& f : faults_) {
    if (f.count == 0 || (!f.method.empty() && f.method != request.method)) continue;
    if ((request.path + "?" + request.query).find(f.part_of_path) == std::string::npos) continue;
    if (f.after > 0) {
      --f.after;
      continue;
    }
    if (f.share < 1 && std::uniform_real_distribution<double>(0, 1)(random_) >= f.share) continue;
    --f.count;
    ++injected_;
    switch (f.kind) {
      case Kind::kReset:
        return WireFault::kReset;
      case Kind::kLostReply:
        return WireFault::kLostReply;
      case Kind::kTruncate:
        return WireFault::kTruncate;
      case Kind::kBlackHole:
        return WireFault::kBlackHole;
      case Kind::kHold:
        return WireFault::kHold;
      default:
        request.headers.emplace_back("test-fault", std::to_string(static_cast<int>(f.kind)));
        return WireFault::kNone;
    }
  }
  return WireFault::kNone;
}

HttpReply S3Server::Handle(const HttpRequest& request) {
  using Kind = S3Fault::Kind;
  const std::string fault = request.Header("test-fault");
  if (!fault.empty()) {
    switch (static_cast<Kind>(Number(fault))) {
      case Kind::kSlowDown:
        return Error(503, "SlowDown", "Please reduce your request rate.");
      case Kind::kInternal:
        return Error(500, "InternalError", "We encountered an internal error.");
      case Kind::kThrottled:
        return HttpReply{.status = 429};
      default:
        break;
    }
  }
  // BUCKET.localhost/KEY or /BUCKET/KEY
  std::string host = request.Header("host");
  host = host.substr(0, host.find(':'));
  std::string bucket, key;
  if (host.ends_with(".localhost")) {
    bucket = host.substr(0, host.size() - 10);
    key = Decode(std::string_view(request.path).substr(1));
  } else {
    const size_t slash = std::min(request.path.find('/', 1), request.path.size());
    bucket = Decode(std::string_view(request.path).substr(1, slash - 1));
    if (slash < request.path.size()) key = Decode(std::string_view(request.path).substr(slash + 1));
  }
  HttpReply allowed = Authorize(request);
  if (allowed.status != 200) {
    if (request.method == "HEAD") allowed.bytes = 0;
    return allowed;
  }
  Query query;
  for (const auto& part : Split(request.query, '&')) {
    const size_t equals = std::min(part.find('='), part.size());
    if (!part.empty())
      query[Decode(part.substr(0, equals))] =
          Decode(std::string_view(part).substr(std::min(equals + 1, part.size())));
  }
  std::lock_guard lock(mu_);
  if (!buckets_.contains(bucket)) return Error(404, "NoSuchBucket", "The specified bucket does not exist");
  if (denied_.contains(request.method)) return Error(403, "AccessDenied", "Access Denied");
  HttpReply reply = key.empty() ? OnBucket(request, bucket, query) : OnObject(request, bucket, key, query);
  if (!fault.empty() && static_cast<Kind>(Number(fault)) == Kind::kFlipBit && reply.bytes > 0) {
    std::string content = reply.body->substr(reply.offset, reply.bytes);
    content[content.size() / 2] ^= 1;
    reply.body = std::make_shared<const std::string>(std::move(content));
    reply.offset = 0;
  }
  return reply;
}

// Signature Version 4, from the request as it came.
HttpReply S3Server::Authorize(const HttpRequest& request) {
  std::string access_key, secret_key;
  {
    std::lock_guard lock(mu_);
    access_key = options_.access_key;
    secret_key = options_.secret_key;
  }
  const std::string authorization = request.Header("authorization");
  if (!authorization.starts_with("AWS4-HMAC-SHA256 ")) return Error(403, "AccessDenied", "no signature");
  const auto scope = Split(Field(authorization, "Credential"), '/');
  if (scope.size() != 5 || scope[3] != "s3" || scope[4] != "aws4_request")
    return Error(400, "AuthorizationHeaderMalformed", "the scope is malformed");
  if (scope[0] != access_key)
    return Error(403, "InvalidAccessKeyId", "The key does not exist in our records.");
  if (scope[2] != options_.region) {
    return Error(400, "AuthorizationHeaderMalformed",
                 "the region '" + scope[2] + "' is wrong; expecting '" + options_.region + "'",
                 options_.region);
  }
  const std::string at = request.Header("x-amz-date");
  if (!at.starts_with(scope[1])) return Error(403, "AccessDenied", "two dates");
  if (std::labs(SecondsOf(at) - static_cast<long>(std::time(nullptr))) > kMaxSkewSeconds)
    return Error(403, "RequestTimeTooSkewed",
                 "The difference between the request time and the server's is too large.");
  if (request.Header("x-amz-security-token") != options_.session_token)
    return Error(400, "InvalidToken", "The provided token is malformed or otherwise invalid.");
  const std::string hash = request.Header("x-amz-content-sha256");
  std::vector<std::string> query = Split(request.query, '&');
  std::ranges::sort(query);
  std::string canonical = request.method + "\n" + request.path + "\n";
  for (size_t i = 0; i < query.size(); ++i) canonical += (i == 0 ? "" : "&") + query[i];
  canonical += "\n";
  const std::string names = Field(authorization, "SignedHeaders");
  std::set<std::string> covered;
  for (const auto& name : Split(names, ';')) {
    canonical += name + ":" + request.Header(name) + "\n";
    covered.insert(name);
  }
  for (const auto& [name, value] : request.headers) {
    if ((name == "host" || name.starts_with("x-amz-") || name == "content-md5") && !covered.contains(name))
      return Error(403, "AccessDenied", "the header " + name + " is not signed");
  }
  canonical += "\n" + names + "\n" + hash;
  std::string key = "AWS4" + secret_key;
  for (size_t i = 1; i < scope.size(); ++i) key = Mac(key, scope[i]);
  const std::string expected =
      HexOf(Mac(key, "AWS4-HMAC-SHA256\n" + at + "\n" + scope[1] + "/" + scope[2] + "/s3/aws4_request\n" +
                         HexOf(DigestOf(EVP_sha256(), canonical))));
  if (Field(authorization, "Signature") != expected)
    return Error(403, "SignatureDoesNotMatch", "The signature we calculated does not match.");
  if (hash == "UNSIGNED-PAYLOAD") {
    if (options_.certificate == nullptr) return Error(400, "InvalidRequest", "unsigned payload without TLS");
  } else if (hash != HexOf(DigestOf(EVP_sha256(), request.body))) {
    return Error(400, "XAmzContentSHA256Mismatch", "The provided hash does not match what was computed.");
  }
  return {};
}

HttpReply S3Server::OnBucket(const HttpRequest& request, const std::string& bucket, const Query& query) {
  if (request.method == "GET" && query.contains("list-type")) return List(buckets_[bucket], query);
  if (request.method == "POST" && query.contains("delete")) return DeleteMany(request, buckets_[bucket]);
  return Error(501, "NotImplemented", "this is a test server");
}

HttpReply S3Server::OnObject(const HttpRequest& request, const std::string& bucket, const std::string& key,
                             const Query& query) {
  Bucket& objects = buckets_[bucket];
  if (query.contains("uploads") || query.contains("uploadId")) return Multipart(request, bucket, key, query);
  auto found = objects.find(key);
  if (request.method == "PUT") {
    if (conditions_ && request.Header("if-none-match") == "*" && found != objects.end())
      return Error(412, "PreconditionFailed", "At least one of the preconditions did not hold");
    objects[key] = {std::make_shared<const std::string>(request.body),
                    "\"" + HexOf(DigestOf(EVP_md5(), request.body)) + "\""};
    return {.status = 200, .headers = {{"ETag", objects[key].etag}}};
  }
  if (request.method == "DELETE") {
    if (found != objects.end()) objects.erase(found);
    return {.status = 204};
  }
  if (found == objects.end()) {
    HttpReply r = Error(404, "NoSuchKey", "The specified key does not exist.");
    if (request.method == "HEAD") r.bytes = 0;
    return r;
  }
  if (request.method == "GET") return Get(request, found->second);
  if (request.method == "HEAD") {
    return {.status = 200,
            .headers = {{"Content-Length", std::to_string(found->second.content->size())},
                        {"ETag", found->second.etag}}};
  }
  return Error(405, "MethodNotAllowed", "The method is not allowed.");
}

HttpReply S3Server::Get(const HttpRequest& request, const Object& object) {
  const size_t size = object.content->size();
  HttpReply reply{
      .status = 200, .headers = {{"ETag", object.etag}}, .body = object.content, .offset = 0, .bytes = size};
  std::string range = request.Header("range");
  const std::string fault = request.Header("test-fault");
  if (!fault.empty() && static_cast<S3Fault::Kind>(Number(fault)) == S3Fault::Kind::kIgnoreRange)
    return reply;
  if (!range.starts_with("bytes=")) return reply;
  range = range.substr(6);
  const size_t dash = range.find('-');
  size_t first = 0, last = size == 0 ? 0 : size - 1;
  if (dash == 0) {
    const size_t n = Number(range.substr(1));
    first = n >= size ? 0 : size - n;
  } else {
    first = Number(range.substr(0, dash));
    if (dash + 1 < range.size()) last = std::min<size_t>(last, Number(range.substr(dash + 1)));
  }
  if (size == 0 || first >= size || first > last)
    return Error(416, "InvalidRange", "The requested range cannot be satisfied.");
  reply.status = 206;
  reply.offset = first;
  reply.bytes = last - first + 1;
  reply.headers.emplace_back("Content-Range", "bytes " + std::to_string(first) + "-" + std::to_string(last) +
                                                  "/" + std::to_string(size));
  return reply;
}

HttpReply S3Server::List(Bucket& bucket, const Query& query) {
  auto value = [&](const char* name) {
    auto found = query.find(name);
    return found == query.end() ? std::string() : found->second;
  };
  const std::string prefix = value("prefix");
  std::string after = value("start-after");
  if (query.contains("continuation-token")) after = value("continuation-token").substr(5);
  size_t page = options_.page;
  if (query.contains("max-keys")) page = std::min<size_t>(page, Number(value("max-keys")));
  const bool encode = value("encoding-type") == "url";
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("ListBucketResult");
  Add(root, "Prefix", prefix);
  if (encode) Add(root, "EncodingType", "url");
  auto it = after.empty() || after < prefix ? bucket.lower_bound(prefix) : bucket.upper_bound(after);
  size_t n = 0;
  std::string last;
  for (; it != bucket.end() && it->first.starts_with(prefix) && n < page; ++it, ++n) {
    pugi::xml_node entry = root.append_child("Contents");
    Add(entry, "Key", encode ? EncodeForList(it->first) : it->first);
    Add(entry, "Size", std::to_string(it->second.content->size()));
    Add(entry, "LastModified", "2026-01-31T17:50:30.000Z");
    last = it->first;
  }
  const bool more = it != bucket.end() && it->first.starts_with(prefix);
  Add(root, "IsTruncated", more ? "true" : "false");
  if (more) Add(root, "NextContinuationToken", "next+" + last);
  return HttpReply::Text(200, Xml(document));
}

HttpReply S3Server::DeleteMany(const HttpRequest& request, Bucket& bucket) {
  if (!delete_many_) return Error(501, "NotImplemented", "no such request here");
  if (request.Header("content-md5") != Base64Of(DigestOf(EVP_md5(), request.body)))
    return Error(400, "BadDigest", "The Content-MD5 you specified did not match.");
  pugi::xml_document in;
  in.load_buffer(request.body.data(), request.body.size());
  pugi::xml_document out;
  pugi::xml_node result = out.append_child("DeleteResult");
  size_t n = 0;
  for (pugi::xml_node object : in.child("Delete").children("Object")) {
    const std::string key = object.child_value("Key");
    if (++n > 1000) return Error(400, "MalformedXML", "too many keys");
    if (key.find("undeletable") != key.npos) {
      pugi::xml_node error = result.append_child("Error");
      Add(error, "Key", key);
      Add(error, "Code", "AccessDenied");
      Add(error, "Message", "Access Denied");
    } else {
      bucket.erase(key);
    }
  }
  if (n == 0) return Error(400, "MalformedXML", "no keys");
  return HttpReply::Text(200, Xml(out));
}

HttpReply S3Server::Multipart(const HttpRequest& request, const std::string& bucket, const std::string& key,
                              const Query& query) {
  if (request.method == "POST" && query.contains("uploads")) {
    const std::string id = "upload/" + std::to_string(next_upload_++) + "+=";
    uploads_[id] = {bucket, key, {}};
    pugi::xml_document document;
    Add(document.append_child("InitiateMultipartUploadResult"), "UploadId", id);
    return HttpReply::Text(200, Xml(document));
  }
  auto upload = uploads_.find(query.contains("uploadId") ? query.at("uploadId") : "");
  if (upload == uploads_.end() || upload->second.key != key)
    return Error(404, "NoSuchUpload", "The specified upload does not exist.");
  if (request.method == "PUT") {
    const std::string etag = "\"" + HexOf(DigestOf(EVP_md5(), request.body)) + "\"";
    upload->second.parts[Number(query.at("partNumber"))] = {std::make_shared<const std::string>(request.body),
                                                            etag};
    return {.status = 200, .headers = {{"ETag", etag}}};
  }
  if (request.method == "DELETE") {
    uploads_.erase(upload);
    return {.status = 204};
  }
  pugi::xml_document document;
  document.load_buffer(request.body.data(), request.body.size());
  std::string whole;
  for (pugi::xml_node part : document.child("CompleteMultipartUpload").children("Part")) {
    auto found = upload->second.parts.find(part.child("PartNumber").text().as_ullong());
    if (found == upload->second.parts.end() || found->second.etag != part.child_value("ETag"))
      return Error(400, "InvalidPart", "One or more of the specified parts could not be found.");
    whole += *found->second.content;
  }
  if (conditions_ && request.Header("if-none-match") == "*" && buckets_[bucket].contains(key))
    return Error(412, "PreconditionFailed", "At least one of the preconditions did not hold");
  buckets_[bucket][key] = {std::make_shared<const std::string>(std::move(whole)), "\"multipart\""};
  uploads_.erase(upload);
  pugi::xml_document out;
  Add(out.append_child("CompleteMultipartUploadResult"), "Key", key);
  return HttpReply::Text(200, Xml(out));
}

}  // namespace curvefs::test
