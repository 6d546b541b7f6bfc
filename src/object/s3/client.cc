#include "object/s3/client.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/log.h"
#include "object/s3/encoding.h"
#include "object/s3/http.h"
#include "object/s3/signer.h"

namespace curvefs::object::s3 {
namespace {

constexpr size_t kPartsAtOnce = 4;  // of one upload

// [begin, begin + n) of a list, sharing its buffers.
BufferList Cut(const BufferList& list, uint64_t begin, uint64_t n) {
  BufferList out;
  for (const auto& slice : list) {
    if (n == 0) break;
    if (begin >= slice.size) {
      begin -= slice.size;
      continue;
    }
    const size_t take = std::min<uint64_t>(n, slice.size - begin);
    out.push_back(slice.Sub(begin, take));
    begin = 0;
    n -= take;
  }
  return out;
}

std::vector<std::span<char>> FirstBytes(const std::vector<std::span<char>>& into, uint64_t n) {
  std::vector<std::span<char>> out;
  for (const auto& span : into) {
    if (n == 0) break;
    out.push_back(span.first(std::min<uint64_t>(n, span.size())));
    n -= out.back().size();
  }
  return out;
}

}  // namespace

// One request with all its tries.
struct Client::Request {
  std::string key;
  std::vector<std::pair<std::string, std::string>> query;
  std::vector<std::pair<std::string, std::string>> headers;  // beside those that every request has
  bool answer_may_be_error = false;                          // look into an answer of 200
  Exchange exchange;  // lane, method, body and into are set by the maker

  std::string payload_hash;  // computed once
  Status status;
  Failure failure;  // of the last try, if it failed
  size_t tries = 0;
  bool reread = false;  // the keys, already
  bool finished = false;
  std::optional<SteadyTime> began;  // of the first try

  const Kind kind;

  Request(Kind which, Lane lane, std::string method, std::string k) : key(std::move(k)), kind(which) {
    exchange.lane = lane;
    exchange.method = std::move(method);
  }
};

Result<std::unique_ptr<Client>> Client::Make(ClientOptions options, CredentialSource source,
                                             const Clock& clock) {
  if (!options.sign_payload && !options.endpoint.tls) {
    return Fail(Code::kInvalid,
                "without TLS the payload must be signed: nothing else protects it on the way");
  }
  CURVEFS_TRY(auto credentials, source());
  return std::unique_ptr<Client>(
      new Client(std::move(options), std::move(source), std::move(credentials), clock));
}

Client::Client(ClientOptions options, CredentialSource source, Credentials credentials, const Clock& clock)
    : options_(std::move(options)),
      source_(std::move(source)),
      clock_(clock),
      transport_(options_.transport),
      credentials_(std::move(credentials)),
      random_(std::random_device()()) {}

Client::~Client() = default;

ErrorContext Client::Context(std::string_view method, std::string_view key) const {
  std::string what = std::string(method) + " s3://" + options_.bucket;
  if (!key.empty()) what += "/" + std::string(key);
  return {std::move(what), options_.endpoint.ToString(), options_.bucket, options_.region};
}

ClientStats Client::stats() const {
  ClientStats s{.transport = transport_.stats(), .retries = retries_, .failures = failures_};
  std::ranges::copy(requests_, s.requests.begin());
  std::ranges::copy(errors_, s.errors.begin());
  return s;
}

void Client::Prepare(Request* request, const Credentials& credentials) {
  Exchange& e = request->exchange;
  const Address address = AddressOf(options_.endpoint, options_.style, options_.bucket, request->key);
  if (request->payload_hash.empty()) {
    if (e.body == nullptr || TotalSize(*e.body) == 0) {
      request->payload_hash = Sha256Hex(std::string_view());
    } else {
      request->payload_hash = options_.sign_payload ? Sha256Hex(*e.body) : std::string(kUnsignedPayload);
    }
  }
  const Timestamp now = clock_.Wall();
  SignableRequest sign{e.method, address.path, request->query, request->headers, request->payload_hash};
  sign.headers.emplace_back("Host", address.host);
  sign.headers.emplace_back("x-amz-content-sha256", request->payload_hash);
  sign.headers.emplace_back("x-amz-date", AmzTime(now));
  if (!credentials.session_token.empty())
    sign.headers.emplace_back("x-amz-security-token", credentials.session_token);
  const std::string authorization = Authorization(sign, credentials, now, options_.region);

  e.headers.clear();
  for (const auto& [name, value] : sign.headers) e.headers.push_back(name + ": " + value);
  e.headers.push_back("Authorization: " + authorization);
  e.url = (options_.endpoint.tls ? "https://" : "http://") + address.host + address.path;
  if (!request->query.empty()) e.url += "?" + CanonicalQuery(request->query);
  e.timeout = options_.request_timeout;
  e.outcome = Exchange::Outcome::kBroken;
  e.error.clear();
  e.status = 0;
  e.answer_headers.clear();
  e.text.clear();
  e.received = 0;
}

void Client::Execute(Request* request) {
  Execute(std::span(&request, 1));
}

void Client::Execute(std::span<Request*> requests) {
  for (;;) {
    Credentials credentials;
    {
      MutexLock lock(mu_);
      credentials = credentials_;
    }
    std::vector<Exchange*> exchanges;
    const SteadyTime now = Clock::System().Steady();
    for (Request* r : requests) {
      if (r->finished) continue;
      Prepare(r, credentials);
      exchanges.push_back(&r->exchange);
    }
    transport_.Run(exchanges);
    Duration pause{0};
    bool again = false;
    for (Request* r : requests) {
      if (r->finished) continue;
      ++r->tries;
      if (!r->began) r->began = now + r->exchange.waited;
      if (!Judge(r, credentials)) {
        r->finished = true;
        continue;
      }
      again = true;
      ++retries_;
      if (MayRetry(r->failure)) pause = std::max({pause, Pause(r->tries), r->failure.retry_after});
    }
    if (!again) return;
    (void)Wait(pause);  // given up: the next try fails, and is the last
  }
}

bool Client::Wait(Duration pause) {
  const SteadyTime until = Clock::System().Steady() + pause;
  MutexLock lock(mu_);
  while (!given_up_ && pause > Duration(0)) {
    if (!gave_up_.WaitUntil(mu_, until)) break;
  }
  return !given_up_;
}

void Client::GiveUp() {
  {
    MutexLock lock(mu_);
    given_up_ = true;
  }
  gave_up_.NotifyAll();
  transport_.GiveUp();
}

bool Client::Judge(Request* r, const Credentials& used) {
  ++requests_[static_cast<size_t>(r->kind)];
  const bool hidden_error = r->answer_may_be_error && ParseError(r->exchange.text).code != "";
  if (Succeeded(r->exchange) && !hidden_error) {
    r->status = {};
    Report(*r, false);
    return false;
  }
  r->failure = hidden_error ? FailureIn(r->exchange) : FailureOf(r->exchange);
  ++errors_[static_cast<size_t>(ClassOf(r->failure))];
  if (BlamesCredentials(r->failure) && !r->reread) {
    r->reread = true;
    if (Reread(used)) return true;
  }
  r->status = ToStatus(r->failure, Context(r->exchange.method, r->key));
  if (!MayRetry(r->failure)) return false;
  const Duration tried = Clock::System().Steady() - *r->began;
  if (tried < options_.retry_total && Wait(Duration(0))) return true;
  r->status = {r->status.code(), r->status.message() + " (tried " + std::to_string(r->tries) + " times in " +
                                     std::to_string(tried / std::chrono::seconds(1)) + " s)"};
  Report(*r, true);
  return false;
}

// Whether there are other keys now than those that were used.
bool Client::Reread(const Credentials& used) {
  auto fresh = source_();
  MutexLock lock(mu_);
  if (fresh) credentials_ = *std::move(fresh);
  return !(credentials_ == used);
}

// Doubling, and random between a half and the whole, so that clients do not come back together.
Duration Client::Pause(size_t tries) {
  Duration most = options_.first_pause;
  for (size_t i = 1; i < tries && most < options_.longest_pause; ++i) most *= 2;
  most = std::min(most, options_.longest_pause);
  MutexLock lock(mu_);
  return most / 2 + Duration(static_cast<int64_t>(random_() % static_cast<uint64_t>(most.count() / 2 + 1)));
}

// In the log once when the store is away for long, and once when it is back.
void Client::Report(const Request& r, bool gave_up) {
  std::atomic<bool>& failing = failing_[static_cast<size_t>(r.exchange.lane)];
  if (gave_up) {
    ++failures_;
    if (!failing.exchange(true)) Log(LogLevel::kError, "the object store fails: " + r.status.ToString());
  } else if (failing.load(std::memory_order_relaxed) && failing.exchange(false)) {
    Log(LogLevel::kInfo, "the object store works again: " + Context(r.exchange.method, r.key).what);
  }
}

Status Client::Put(const std::string& key, const BufferList& body, bool if_absent) {
  if (TotalSize(body) > options_.part_bytes) return PutParts(key, body, if_absent);
  Request r(Kind::kPut, Lane::kUpload, "PUT", key);
  r.exchange.body = &body;
  if (if_absent) r.headers.emplace_back("If-None-Match", "*");
  Execute(&r);
  return r.status;
}

Status Client::PutParts(const std::string& key, const BufferList& body, bool if_absent) {
  const uint64_t total = TotalSize(body);
  const uint64_t part = std::max(options_.part_bytes, (total + kMaxParts - 1) / kMaxParts);
  Request begin(Kind::kMultipart, Lane::kControl, "POST", key);
  begin.query = {{"uploads", ""}};
  Execute(&begin);
  CURVEFS_CHECK_OK(begin.status);
  auto id = ParseUploadId(begin.exchange.text);
  if (!id) return {Code::kIo, Context("POST", key).what + ": " + id.error().message()};
  auto abort = [&](const Status& why) {
    Request r(Kind::kMultipart, Lane::kControl, "DELETE", key);  // else its parts would stay, unseen
    r.query = {{"uploadId", *id}};
    Execute(&r);
    return why;
  };

  std::vector<std::string> etags;
  for (uint64_t at = 0; at < total;) {
    std::vector<BufferList> bodies;
    std::vector<std::unique_ptr<Request>> parts;
    std::vector<Request*> pointers;
    for (; at < total && bodies.size() < kPartsAtOnce; at += part)
      bodies.push_back(Cut(body, at, std::min(part, total - at)));
    for (size_t i = 0; i < bodies.size(); ++i) {
      auto& r = parts.emplace_back(std::make_unique<Request>(Kind::kMultipart, Lane::kUpload, "PUT", key));
      r->query = {{"partNumber", std::to_string(etags.size() + i + 1)}, {"uploadId", *id}};
      r->exchange.body = &bodies[i];
      pointers.push_back(r.get());
    }
    Execute(pointers);
    for (const auto& r : parts) {
      if (!r->status.ok()) return abort(r->status);
      etags.push_back(r->exchange.Header("etag"));
    }
  }
  Request end(Kind::kMultipart, Lane::kControl, "POST", key);
  const BufferList text{BufferSlice::CopyOf(CompleteUploadRequest(etags))};
  end.query = {{"uploadId", *id}};
  end.exchange.body = &text;
  end.answer_may_be_error = true;
  if (if_absent) end.headers.emplace_back("If-None-Match", "*");
  Execute(&end);
  return end.status.ok() ? Status() : abort(end.status);
}

Result<std::string> Client::Get(const std::string& key) {
  Request r(Kind::kGet, Lane::kDownload, "GET", key);
  Execute(&r);
  CURVEFS_CHECK_OK(r.status);
  return std::move(r.exchange.text);
}

Status Client::Read(std::span<RangeRead> reads) {
  std::vector<std::unique_ptr<Request>> requests;
  std::vector<Request*> pointers;
  for (RangeRead& read : reads) {
    auto& r = requests.emplace_back(std::make_unique<Request>(Kind::kGet, Lane::kDownload, "GET", read.key));
    const std::string range =
        read.from_end ? "-" + std::to_string(read.bytes)
                      : std::to_string(read.offset) + "-" + std::to_string(read.offset + read.bytes - 1);
    r->headers.emplace_back("Range", "bytes=" + range);
    r->exchange.into = FirstBytes(read.into, read.bytes);
    pointers.push_back(r.get());
  }
  Execute(pointers);
  Status first;
  for (size_t i = 0; i < reads.size(); ++i) {
    const Request& r = *requests[i];
    RangeRead& read = reads[i];
    read.status = r.status;
    read.received = r.exchange.received;
    if (read.status.ok()) {
      if (r.exchange.status == 206) {
        if (const auto range = ParseContentRange(r.exchange.Header("content-range"))) {
          read.first = range->first;
          read.total = range->total;
        } else {
          read.status = {Code::kIo,
                         Context("GET", read.key).what + ": a part of an object without Content-Range"};
        }
      } else {  // the whole, because it is not longer
        read.first = 0;
        read.total = read.received;
      }
      if (read.status.ok() && !read.from_end && read.first != read.offset)
        read.status = {Code::kIo, Context("GET", read.key).what + ": another part came than was asked for"};
    }
    if (first.ok()) first = read.status;
  }
  return first;
}

Result<uint64_t> Client::Head(const std::string& key) {
  Request r(Kind::kHead, Lane::kControl, "HEAD", key);
  Execute(&r);
  CURVEFS_CHECK_OK(r.status);
  const std::string text = r.exchange.Header("content-length");
  uint64_t bytes = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error != std::errc()) return Fail(Code::kIo, Context("HEAD", key).what + ": no size in the answer");
  return bytes;
}

Status Client::Delete(const std::string& key) {
  Request r(Kind::kDelete, Lane::kControl, "DELETE", key);
  Execute(&r);
  return r.status.code() == Code::kNotFound ? Status() : r.status;
}

Status Client::DeleteMany(std::span<const std::string> keys) {
  Status first;
  auto keep = [&first](Status s) {
    if (first.ok()) first = std::move(s);
  };
  while (!keys.empty()) {
    const auto batch = keys.first(std::min(keys.size(), kMaxDeleteBatch));
    keys = keys.subspan(batch.size());
    if (batch.size() > 1 && !no_delete_many_) {
      Status s = DeleteBatch(batch);
      if (s.code() != Code::kNotSupported) {
        keep(std::move(s));
        continue;
      }
      no_delete_many_ = true;
    }
    for (const auto& key : batch) keep(Delete(key));
  }
  return first;
}

Status Client::DeleteBatch(std::span<const std::string> keys) {
  std::vector<std::string> left(keys.begin(), keys.end());
  const SteadyTime began = Clock::System().Steady();
  for (size_t tries = 1;; ++tries) {
    const std::string text = DeleteRequest(left);
    const BufferList body{BufferSlice::CopyOf(text)};
    Request r(Kind::kDeleteMany, Lane::kControl, "POST", "");
    r.query = {{"delete", ""}};
    r.headers = {{"Content-MD5", Md5Base64(text)}, {"Content-Type", "application/xml"}};
    r.exchange.body = &body;
    Execute(&r);
    CURVEFS_CHECK_OK(r.status);
    auto failures = ParseDeleteResult(r.exchange.text);
    if (!failures) return {Code::kIo, Context("POST", "?delete").what + ": " + failures.error().message()};
    std::erase_if(*failures, [](const DeleteFailure& f) { return f.code == "NoSuchKey"; });
    if (failures->empty()) return {};
    const bool retry = std::ranges::all_of(
        *failures, [](const auto& f) { return MayRetry({.status = 200, .code = f.code}); });
    if (!retry || Clock::System().Steady() - began >= options_.retry_total) {
      const DeleteFailure& f = failures->front();
      return ToStatus({.status = 200, .code = f.code, .message = f.message}, Context("DELETE", f.key));
    }
    left.clear();
    for (const auto& f : *failures) left.push_back(f.key);
    ++retries_;
    if (!Wait(Pause(tries))) return {Code::kUnavailable, "deleting was given up for the end of the process"};
  }
}

Status Client::List(const std::string& prefix, const std::string& after,
                    const std::function<bool(const ListedObject&)>& visit) {
  std::string token;
  for (;;) {
    Request r(Kind::kList, Lane::kControl, "GET", "");
    r.query = {{"list-type", "2"}, {"prefix", prefix}, {"encoding-type", "url"}};
    if (!token.empty()) {
      r.query.emplace_back("continuation-token", token);
    } else if (!after.empty()) {
      r.query.emplace_back("start-after", after);
    }
    Execute(&r);
    CURVEFS_CHECK_OK(r.status);
    auto page = ParseListPage(r.exchange.text);
    if (!page) return {Code::kIo, Context("LIST", prefix).what + ": " + page.error().message()};
    for (const auto& object : page->objects) {
      if (!visit(object)) return {};
    }
    if (!page->truncated) return {};
    token = page->next;
  }
}

}  // namespace curvefs::object::s3
